"""Any walk through the exchange, by every way of placing and of coming back, keeps what must always hold."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from models.offer import OFFERED
from models.placement import AWAITING_ACK, LIVE
from models.recall_request import ASKED, OBJECTED, REQUESTED
from models.retention import APPROVED
from models.retention import REQUESTED as RETENTION_REQUESTED
from models.services.exchange import (
    allocations,
    awards,
    bids,
    offers,
    placements,
    recalls,
    retentions,
    returns,
    stops,
    tenders,
    undoing,
)
from models.services.parties import freezes
from models.services.portfolio import exclusions
from models.tender import (
    ALLOCATION,
    ASSIGNED,
    AWAITING_APPROVAL,
    COMMITTING,
    DRAWING,
    FIRST_CLAIM,
    OPEN,
    PLACED,
    PREVIEWED,
    SEALED_BID,
)
from models.work import Work
from tests import walking
from tests.conftest import Clock
from tests.walking import Row, pick_of
from tests.walking_acts import PICK, ComingBack, Placing, StandingStill
from tests.walking_checks import HELD
from tests.walking_ground import Ground, Tally, always, on
from tests.world import Someone, World

STEPS: Final = 100  # of one walk
SHORT: Final = 200


Misplaced = tuple[Callable[[Ground], Sequence[Row]], Callable[[Ground, Row], Someone], Callable[[Work, Row], object]]


def but(noun: str, *states: str) -> Callable[[Ground], Sequence[Row]]:
    return lambda walk: [row for row in walk.rows(noun) if row.state not in states]


def of(noun: str, *states: str) -> Callable[[Ground], Sequence[Row]]:
    return lambda walk: walk.rows(noun, *states)


def agency(walk: Ground, row: Row) -> Someone:
    return walk.agency(row)


def another(walk: Ground, row: Row) -> Someone:
    return walk.another(row)


def lender(walk: Ground, _: Row) -> Someone:
    return walk.lender


def maker(walk: Ground, row: Row) -> Someone:
    return walk.maker(row)


def second(walk: Ground, row: Row) -> Someone:
    return walk.other(row)


def acknowledge(work: Work, row: Row) -> object:
    return placements.acknowledge(work, row.id, *placements.figures(work, row.id))


def bid_again(work: Work, row: Row) -> object:
    return bids.commit(work, row.id, bytes(32))


def accept(work: Work, row: Row) -> object:
    return offers.accept(work, row.id)


def approve(work: Work, row: Row) -> object:
    verbs = {ALLOCATION: allocations.approve, SEALED_BID: bids.approve}
    return verbs.get(str(row.kind), tenders.approve)(work, row.id)


def frozen(walk: Ground) -> Sequence[Row]:
    return [row for row in walk.rows("placement", *LIVE) if row.kind == "frozen"]


# What is refused: what it is about, by whom, and the act.
MISPLACED: Final[Mapping[str, Misplaced]] = {
    "accept what is answered": (but("offer", OFFERED), agency, accept),
    "decline what is answered": (but("offer", OFFERED), agency, lambda work, row: offers.decline(work, row.id, "rate")),
    "accept another's offer": (of("offer", OFFERED), another, accept),
    "decline after a bid": (
        lambda walk: [*walk.to_bid("commit"), *walk.to_bid("reveal")],
        agency,
        lambda work, row: offers.decline(work, row.id, "rate"),
    ),
    "bid again": (lambda walk: walk.to_bid("commit"), agency, bid_again),
    "bid too late": (lambda walk: walk.to_bid("reveal", has_bid=False), agency, bid_again),
    "withdraw a bid too late": (
        lambda walk: walk.to_bid("reveal"),
        agency,
        lambda work, row: bids.withdraw(work, row.id),
    ),
    "award too early": (
        lambda walk: [row for row in walk.tenders(OPEN, kinds=(SEALED_BID,)) if walk.now < row.until],
        lender,
        lambda work, row: awards.award(work, row.id),
    ),
    "award what is decided": (but("tender", OPEN), lender, lambda work, row: awards.award(work, row.id)),
    "withdraw what has ended": (
        but("tender", DRAWING, PREVIEWED, COMMITTING, AWAITING_APPROVAL, OPEN),
        lender,
        lambda work, row: tenders.withdraw(work, row.id),
    ),
    "approve what awaits none": (but("tender", AWAITING_APPROVAL), second, approve),
    "approve one's own": (lambda walk: [row for row in walk.tenders(AWAITING_APPROVAL) if row.by], maker, approve),
    "undo what is not placed": (
        but("tender", PLACED),
        lender,
        lambda work, row: undoing.undo(work, row.id, "wrong_cases"),
    ),
    "acknowledge what is at work or over": (but("placement", AWAITING_ACK), agency, acknowledge),
    "acknowledge another's": (of("placement", AWAITING_ACK), another, acknowledge),
    "acknowledge what stands still": (frozen, agency, acknowledge),
    "return from what stands still": (
        lambda walk: [row for row in walk.held() if row not in walk.movable()],
        agency,
        lambda work, row: returns.give_back(work, row.of, "capacity", [row.id]),
    ),
    "return what is not held": (
        but("placed_case", *HELD),
        agency,
        lambda work, row: returns.give_back(work, row.of, "capacity", [row.id]),
    ),
    "recall what is not held": (
        but("placed_case", *HELD),
        lender,
        lambda work, row: recalls.recall(work, row.of, "conduct", [row.id]),
    ),
    "recall what has ended": (
        but("placement", *LIVE),
        lender,
        lambda work, row: recalls.recall(work, row.id, "conduct"),
    ),
    "freeze what has ended": (
        but("placement", *LIVE),
        lender,
        lambda work, row: freezes.freeze(work, row.id, "conduct"),
    ),
    "freeze what stands still": (frozen, lender, lambda work, row: freezes.freeze(work, row.id, "conduct")),
    "thaw what moves": (lambda walk: walk.placements(), lender, lambda work, row: freezes.unfreeze(work, row.id)),
    "object to what is decided": (
        but("recall_case", ASKED),
        agency,
        lambda work, row: recalls.object_to(work, row.of, [row.id], "promise"),
    ),
    "object for another": (
        of("recall_case", ASKED),
        another,
        lambda work, row: recalls.object_to(work, row.of, [row.id], "promise"),
    ),
    "keep what nobody objected to": (
        but("recall_case", OBJECTED),
        lender,
        lambda work, row: recalls.keep(work, row.of, [row.id]),
    ),
    "carry out what is decided": (but("recall", REQUESTED), lender, lambda work, row: recalls.execute(work, row.id)),
    "take back what is decided": (but("recall", REQUESTED), lender, lambda work, row: recalls.withdraw(work, row.id)),
    "confirm no stop": (
        but("stop", "ordered", "missed"),
        agency,
        lambda work, row: stops.confirm(work, row.id, row.size),
    ),
    "confirm a stop of more": (
        of("stop", "ordered", "missed"),
        agency,
        lambda work, row: stops.confirm(work, row.id, row.size + 1),
    ),
    "retain twice": (
        of("retention", RETENTION_REQUESTED, APPROVED),
        agency,
        lambda work, row: retentions.request(work, row.of, [row.by], "promise", 3),
    ),
    "decide what is decided": (
        but("retention", RETENTION_REQUESTED),
        lender,
        lambda work, row: retentions.decide(work, [row.id], approve=True),
    ),
    "lift what is lifted": (of("exclusion", "lifted"), lender, lambda work, row: exclusions.lift(work, row.id)),
}


class Walk(Placing, ComingBack, StandingStill):
    @always(pick=PICK, what=sorted(MISPLACED))
    def misplaced(self, pick: int, what: str) -> None:
        find, by, act = MISPLACED[what]
        if rows := find(self):
            row = pick_of(rows, pick)
            self.misplace(by(self, row).actor, lambda work: act(work, row))

    @on(lambda self: [*self.offers(ASSIGNED, FIRST_CLAIM), *self.placements(AWAITING_ACK)])
    def come_too_late(self, row: Row) -> None:
        """At the very time at which it ends, before any job has come by."""
        self.clock.at = row.until
        answer = acknowledge if row.noun == "placement" else accept
        self.misplace(self.agency(row).actor, lambda work: answer(work, row))
        self.sweep()


# What no such walk comes by, and why.
NOT_WALKED: Final = {
    "the lender of the walk does not hold its own keys": [
        ("placement", "awaiting_keys", act) for act in ("lease", "recall", "expire", "undo")
    ],
    "what an agency keeps it keeps for a promise, after which nothing is undone; who pays is kept too seldom": [
        ("placed_case", "retained", "undone")
    ],
}


# What even the shortest walk comes by: its first hundred steps are the simplest, each act in its turn.
OF_SHORT: Final = {
    "tender": [
        ("drawing", "preview"),
        ("previewed", "ask_approval"),
        ("awaiting_approval", "commit"),
        ("open", "place"),
        ("open", "withdraw"),
        ("open", "run_out"),
        ("placed", "undo"),
    ],
    "offer": [("offered", act) for act in ("accept", "decline", "withdraw", "expire", "miss")],
    "placement": [("awaiting_acknowledgement", act) for act in ("acknowledge", "expire", "undo")],
    "placed_case": [("placed", end) for end in ("recalled", "returned", "term_over", "undone")],
    "recall": [("requested", "execute"), ("requested", "withdraw")],
    "freeze": [("standing", "lift")],
    "break": [("open", "close")],
    "exclusion": [("standing", "lift")],
    "standing": [("good", "watch"), ("watch", "clear")],
}


@pytest.mark.parametrize("steps", [SHORT, pytest.param(20_000, marks=pytest.mark.soak)])
def test_a_walk_through_the_exchange_keeps_its_invariants(world: World, clock: Clock, steps: int) -> None:
    tally = Tally(Counter(), Counter())
    agencies, began_at = [world.agency() for _ in range(4)], clock.at
    walk: Any = partial(Walk, world, clock, agencies, began_at, tally)
    while (left := steps - tally.acts["steps"]) > 0:  # Hypothesis ends some walks early
        run_state_machine_as_test(
            walk,
            settings=settings(
                max_examples=-(-left // STEPS),
                stateful_step_count=STEPS,
                derandomize=steps == SHORT,  # what it must come by it comes by each time
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    short = [(noun, *step) for noun, steps_of in OF_SHORT.items() for step in steps_of]
    wanted = short if steps == SHORT else walking.listed(*chain(*NOT_WALKED.values()))
    assert walking.told(tally.walked, wanted) == []
    assert tally.acts["done"] > steps / 2
    assert tally.acts["misplaced"] > steps / 20
