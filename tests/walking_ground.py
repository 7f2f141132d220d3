"""The ground of a walk through the exchange: a lender, its panel and cases, and how acts on it are done or refused."""

import datetime as dt
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from sqlalchemy import select

from models.agency_standing import FROZEN, GOOD, REMOVED, SUSPENDED
from models.agency_standing import TRANSITIONS as STANDINGS
from models.agreement import Agreement
from models.business_day import day_of
from models.case import Case
from models.errors import Refusal
from models.offer import OFFERED
from models.placement import ACTIVE, LIVE
from models.portfolio import Portfolio
from models.recall_request import ASKED, REQUESTED
from models.retention import APPROVED
from models.retention import REQUESTED as RETENTION_REQUESTED
from models.services.exchange import acknowledgements, bids, expiries, offers, recalls, stops
from models.services.exchange.opened_bids import BidOn
from models.services.parties import lender_settings, standings
from models.services.portfolio import exclusions, tallies
from models.tender import ASSIGNED, FIRST_CLAIM, KINDS, OPEN, PLACED, SEALED_BID
from models.work import JOBS, Actor, Work
from tests import walking, walking_checks
from tests.conftest import Clock
from tests.walking import Row, pick_of
from tests.walking_checks import HELD
from tests.world import Debt, Someone, World

TERM_DAYS: Final = 6
DAYS: Final = 300  # agreements and papers last for a year: a walk stays within it
HOURS: Final = 24  # of each window
PERCENT: Final = 50
LIMIT: Final = 12  # cases that one person may distribute in a day
CAPACITY: Final = 8  # of one of the agencies
OFTEN: Final = dict.fromkeys(
    ("accept", "commit_bid", "reveal", "undo", "carry_out_a_recall", "stop_an_agency", "the_next_time_comes"), 2
) | {"misplaced": 4}  # for each time of another act
HOUSEHOLDS: Final = 5  # the least that a tape may show
# Two debts of each of the first six borrowers, and twelve of one; half of all in each bucket.
DEBTS: Final = [Debt(number, dpd=30 + 30 * (number % 2)) for number in [*range(1, 7), *range(1, 19)]]
SETTINGS: Final[dict[str, int | str | list[str]]] = {
    "approval_cases": LIMIT,
    "retention_window_days": 90,
    "retention_percent_max": PERCENT,
    "tape_borrowers_min": HOUSEHOLDS,
    "rotation": "automatic",
    "conduct_score_min": 0,
}
# What may be in the way of an act that applies: the gate, or that no case is left for it.
GATE: Final = (
    "nobody_eligible",
    "agency_suspended",
    "agency_frozen",
    "agency_removed",
    "capacity_exceeded",
    "ineligible",
)
NO_CASES: Final = ("no_cases_to_offer", "no_cases_to_place", "plan_places_nothing")
SWEEPS: Final[Sequence[Callable[[Work], object]]] = (
    expiries.expire_due,
    offers.expire_due,
    bids.remind,
    recalls.execute_due,
    stops.flag_missing,
    acknowledgements.flag_missing,
    standings.catch_up,
    tallies.fold,
)

NUMBER: Final = st.integers(0, 999)

Walked = Counter[tuple[str, str, str]]
Act = Callable[[Work], object]


@dataclass(frozen=True)
class Move:
    """An act of a walk, on one of the things found or on nothing in particular; what else is `given` is chosen too."""

    name: str
    do: Callable[..., None]
    find: Callable[[Any], Sequence[Any]] | None
    given: Mapping[str, Sequence[Any]]


def on(find: Callable[[Any], Sequence[Any]], **given: Sequence[Any]) -> Callable[[Callable[..., None]], Move]:
    """An act on one of the things found; while there is none it does not apply."""
    return lambda do: Move(do.__name__, do, find, given)


def always(**given: Sequence[Any]) -> Callable[[Callable[..., None]], Move]:
    """An act that applies whatever stands."""
    return lambda do: Move(do.__name__, do, None, given)


class Tally(NamedTuple):
    """Over all walks: which transitions were walked, and how many `steps` there were, and how many acts
    were `done`, `refused` or `misplaced`."""

    walked: Walked
    acts: Counter[str]


class Ground(RuleBasedStateMachine):
    """Each walk has a lender of its own, so that the thousandth has no more to read than the first.

    An act of a rule is done, or is refused by one of the codes that the rule names. Whatever was refused has changed
    nothing, and whatever was done has come by listed transitions and left everything sound.
    """

    def __init__(
        self, world: World, clock: Clock, agencies: Sequence[Someone], began_at: dt.datetime, tally: Tally
    ) -> None:
        super().__init__()
        clock.at = began_at
        self.world, self.clock, self.tally = world, clock, tally
        self.ends_at = began_at + dt.timedelta(days=DAYS)
        self.lender = world.lender()
        self.people = [self.lender, world.person(self.lender, "administrator")]
        self.jobs = Actor(side=JOBS, org_id=self.lender.organisation.id, name="test")
        self.agencies = {agency.organisation.id: agency for agency in agencies}
        with world.database.work(self.lender.actor) as work:
            lender_settings.change(work, SETTINGS)
        self.panel = [self._agree(place, agency) for place, agency in enumerate(agencies)]
        self.portfolio: Portfolio = world.portfolio(self.lender, DEBTS)
        self.kept: dict[UUID, tuple[BidOn, bytes]] = {}  # by offer: what its bidder has committed to
        self.moves = dict(inspect.getmembers(type(self), lambda one: isinstance(one, Move)))
        self.done: Counter[str] = Counter()
        self.bare = self._without_free_cases()
        self.feeds = 0  # files of payments
        self.seen: list[Row] = []
        self.look(self.jobs)

    @rule(any_act=st.booleans(), which=NUMBER, of=NUMBER, more=st.tuples(*[NUMBER] * 4))
    def step(self, any_act: bool, which: int, of: int, more: tuple[int, ...]) -> None:
        """Do one of the acts that apply, of those done least so far as often as of all.

        Numbers are drawn, and choose from what stands: so whatever stands, every step draws alike.
        """
        able = sorted((one.name for one in self.moves.values() if not one.find or one.find(self)), key=self._done)
        one = self.moves[pick_of(able if any_act else able[: 1 + len(able) // 4], which)]
        self.done[one.name] += 1
        self.tally.acts["steps"] += 1
        found = [pick_of(one.find(self), of)] if one.find else []
        chosen = {name: pick_of(those, number) for (name, those), number in zip(one.given.items(), more, strict=False)}
        note(f"{one.name} {found} {chosen}")
        one.do(self, *found, **chosen)

    def _done(self, name: str) -> int:
        return self.done[name] // OFTEN.get(name, 1)

    # How an act is done, and what came of it is seen.

    def act(self, actor: Actor, act: Act, *but: str) -> bool:
        """Whether it was done; else it was refused by one of these codes."""
        try:
            with self.world.database.work(actor) as work:
                act(work)
        except Refusal as refusal:
            if refusal.code not in but:
                raise
            note(f"refused: {refusal.code}")
            self.tally.acts["refused"] += 1
            self._require_nothing_new()
            return False
        self.tally.acts["done"] += 1
        self.look(actor)
        return True

    def misplace(self, actor: Actor, act: Act) -> None:
        """What does not apply is refused, and changes nothing."""
        with pytest.raises(Refusal), self.world.database.work(actor) as work:
            act(work)
        self.tally.acts["misplaced"] += 1
        self._require_nothing_new()

    def sweep(self) -> None:
        """What the jobs of a minute and of a night do, but the award and the rotation, which are acts of their own."""
        for sweep in SWEEPS:
            with self.world.database.work(self.jobs) as work:
                sweep(work)
        self.tally.acts["done"] += 1
        self.look(self.jobs, jumped=True)

    def look(self, actor: Actor, jumped: bool = False) -> None:
        """See what has become of it, and that it became so rightly. `jumped`: by more acts than one."""
        with self.world.database.work(self.lender.actor) as work:
            seen = walking.look(work)
            walking_checks.require_sound(work, seen, PERCENT)
        self.tally.walked.update(walking.steps(self.seen, seen, actor.org_id in self.agencies))
        walking_checks.require_placed_rightly(self.seen, seen, jumped)
        self.seen = seen
        self.by_noun = {noun: list(rows) for noun, rows in groupby(seen, attrgetter("noun"))}

    def _require_nothing_new(self) -> None:
        with self.world.database.work(self.lender.actor) as work:
            assert walking.look(work) == self.seen

    def _agree(self, place: int, agency: Someone) -> Agreement:
        """The first may hold only so much; the last two are of the second tier."""
        terms: dict[str, Any] = {
            "tier": 1 + place // 2,
            "open_cases_max": None if place else CAPACITY,
            "term_days": TERM_DAYS,
        }
        ends_on = self.ends_at.date() + dt.timedelta(days=30)
        return self.world.agreement(self.lender, agency, ends_on=ends_on, **terms)

    def _without_free_cases(self) -> Portfolio:
        """A portfolio of which nothing may be placed."""
        portfolio = self.world.portfolio(self.lender, [Debt(99)])
        with self.world.database.work(self.lender.actor) as work:
            case_id = work.session.scalars(select(Case.id).where(Case.portfolio_id == portfolio.id)).one()
            exclusions.record(work, case_id, "deceased", "court", day_of(work.at))
        return portfolio

    # What an act may be about.

    @property
    def now(self) -> dt.datetime:
        return self.clock.at

    def rows(self, noun: str, *states: str) -> list[Row]:
        """What stands of a noun, in order of id; of any state unless some are named."""
        return [row for row in self.by_noun.get(noun, []) if not states or row.state in states]

    def stands(self, agency_id: UUID) -> str:
        return next((row.state for row in self.rows("standing") if row.id == agency_id), GOOD)

    def agency(self, row: Row) -> Someone:
        assert row.agency_id is not None
        return self.agencies[row.agency_id]

    def another(self, row: Row) -> Someone:
        """An agency that it is not about."""
        return next(agency for agency_id, agency in self.agencies.items() if agency_id != row.agency_id)

    def maker(self, row: Row) -> Someone:
        """The person of the lender who made it; of what a job made, anybody."""
        return next((person for person in self.people if person.member.id == row.by), self.lender)

    def other(self, row: Row) -> Someone:
        """Somebody else than its maker."""
        return next(person for person in self.people if person.member.id != row.by)

    def some_of_panel(self, pick: int, count: int) -> list[UUID]:
        """So many agreements, beginning anywhere."""
        return [pick_of(self.panel, pick + place).id for place in range(count)]

    def tenders(self, *states: str, kinds: Sequence[str] = KINDS) -> list[Row]:
        return [row for row in self.rows("tender", *states) if row.kind in kinds]

    def undoable(self) -> list[Row]:
        live = {row.of for row in self.rows("placement", *LIVE)}
        return [row for row in self.tenders(PLACED) if row.id in live]

    def offers(self, *kinds: str) -> list[Row]:
        """Those that wait for an answer, or for a bid."""
        return [row for row in self.rows("offer", OFFERED) if self.now < row.until and row.kind in kinds]

    def declinable(self) -> list[Row]:
        return [*self.offers(ASSIGNED, FIRST_CLAIM), *self.to_bid("commit", has_bid=False)]

    def to_bid(self, window: str, has_bid: bool = True) -> list[Row]:
        """Offers that take sealed bids, in the window to `commit` or to `reveal`, with a bid that stands or without."""
        bid = {row.of for row in self.rows("bid") if row.state != "withdrawn"}
        return [
            row
            for row in self.offers(SEALED_BID)
            if (self.now < row.since) == (window == "commit") and (row.id in bid) == has_bid
        ]

    def placements(self, *states: str) -> list[Row]:
        """Those that do not stand still."""
        return [row for row in self.rows("placement", *states) if row.kind != "frozen"]

    def held(self) -> list[Row]:
        """Placed cases."""
        return self.rows("placed_case", *HELD)

    def movable(self) -> list[Row]:
        """Of these, those that do not stand still."""
        moving = {row.id for row in self.placements()}
        return [row for row in self.held() if row.of in moving]

    def unasked(self) -> list[Row]:
        """Of these, those that an agency works in their term and has not asked to keep."""
        active = {row.id for row in self.placements(ACTIVE) if self.now < row.until}
        asked = {(row.of, row.by) for row in self.rows("retention", RETENTION_REQUESTED, APPROVED)}
        return [row for row in self.movable() if row.of in active and (row.of, row.id) not in asked]

    def recalled(self, state: str) -> list[Row]:
        """Cases that a recall asks for."""
        return self.rows("recall_case", state)

    def objectionable(self) -> list[Row]:
        """Of these, those that an agency may still object to."""
        moving = {row.id for row in self.placements()}
        open_ = {row.id for row in self.rows("recall", REQUESTED) if self.now < row.until and row.of in moving}
        return [row for row in self.recalled(ASKED) if row.of in open_]

    def thawable(self) -> list[Row]:
        """Freezes that stand, of agencies that may go on."""
        shut = {row.id for row in self.rows("standing", "frozen", "removed")}
        return [row for row in self.rows("freeze", "standing") if row.agency_id not in shut]

    def changeable(self, *acts: str) -> list[tuple[UUID, str]]:
        """Agencies with each of the acts that changes how they stand: at most one at a time may not receive, and one
        is removed for good."""
        shut = [row.id for row in self.rows("standing", SUSPENDED, FROZEN)]
        gone = bool(self.rows("standing", REMOVED))
        return [
            (agency_id, act)
            for agency_id in shut or self.agencies
            for act in acts
            if (self.stands(agency_id), act) in STANDINGS and not (act == "remove" and gone)
        ]

    def due(self) -> list[dt.datetime]:
        """The times that are waited for."""
        waiting = [
            *self.rows("tender", OPEN),
            *self.rows("offer", OFFERED),
            *self.rows("placement", *LIVE),
            *self.rows("recall", REQUESTED),
            *self.rows("stop", "ordered"),
            *self.rows("placed_case", "retained"),
        ]
        return sorted({at for row in waiting for at in (row.since, row.until) if at and at > self.now})
