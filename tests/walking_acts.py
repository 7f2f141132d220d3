"""The acts of a walk through the exchange: placing in every way, coming back in every way, standing still."""

import datetime as dt
from decimal import Decimal
from typing import Any, Final
from unittest.mock import patch
from uuid import UUID

from jobs import allocation
from models.allocation_plan import RULES, Plan, Rule, Where, equal_shares
from models.award import Package, Terms
from models.business_day import day_of
from models.exclusion import RECORDED_REASONS
from models.offer import DECLINE_REASONS, Offer
from models.placement import AWAITING_ACK, LIVE, RECALL_REASONS, RETURN_CODES
from models.recall_request import OBJECTED, OBJECTIONS, RECALLED, REQUESTED
from models.retention import PROMISE
from models.retention import REQUESTED as RETENTION_REQUESTED
from models.services.collection import promises
from models.services.collection.promises import PromiseReport
from models.services.exchange import (
    acknowledgements,
    allocations,
    awards,
    bids,
    offers,
    opened_bids,
    placements,
    recalls,
    retentions,
    returns,
    rotations,
    stops,
    tenders,
    undoing,
)
from models.services.exchange.opened_bids import BidOn
from models.services.parties import freezes, standings
from models.services.portfolio import exclusions
from models.tender import (
    ALLOCATION,
    ASSIGNED,
    AWAITING_APPROVAL,
    COMMITTING,
    DRAWING,
    FIRST_CLAIM,
    OPEN,
    PREVIEWED,
    SEALED_BID,
    UNDO_REASONS,
)
from models.tender_plan import Plan as TenderPlan
from models.work import Work
from tests.facts import payment, receive_payments
from tests.walking import Row, pick_of
from tests.walking_ground import GATE, HOURS, NO_CASES, Ground, always, on

PICK: Final = range(30)
SOME: Final = range(2, 5)
YES: Final = (False, True)
STOPS: Final = ("watch", "suspend", "freeze", "remove")


def at_size(large: bool) -> Any:
    """As if the portfolio were one that a worker draws and places, or not."""
    return patch.object(allocations, "CASES_AT_ONCE", 0 if large else 20_000)


class Placing(Ground):
    """From a tender or a preview to an acknowledged placement."""

    # The lender places.

    @always(pick=PICK, limit=SOME, choices=SOME)
    def ask_one_after_the_other(self, pick: int, limit: int, choices: int) -> None:
        self._tender(ASSIGNED, pick, limit, choices)

    @always(pick=PICK, limit=SOME, choices=SOME)
    def ask_who_is_first(self, pick: int, limit: int, choices: int) -> None:
        self._tender(FIRST_CLAIM, pick, limit, choices)

    def _tender(self, kind: str, pick: int, limit: int, choices: int) -> None:
        panel = self.some_of_panel(pick, choices)
        plan = TenderPlan(self.portfolio.id, kind, panel, case_limit=limit, respond_hours=HOURS)
        self.act(pick_of(self.people, pick).actor, lambda work: tenders.create(work, plan), *GATE, *NO_CASES)

    @always(pick=PICK, choices=SOME, in_lots=YES)
    def invite_bids(self, pick: int, choices: int, in_lots: bool) -> None:
        lots = [{"buckets": ["M1"]}, {"buckets": ["M2"]}] if in_lots else None

        def invite(work: Work) -> None:
            panel, hours = self.some_of_panel(pick, choices), (HOURS, HOURS)
            limit = None if in_lots else 10
            bids.invite(work, self.portfolio.id, panel, None, limit, *hours, Decimal("0.12"), lots=lots)

        self.act(pick_of(self.people, pick).actor, invite, *GATE, *NO_CASES, "too_few_to_score", "invalid")

    @always(pick=PICK, choices=SOME, large=YES, buckets=[(), ("M1",), ("M2",)])
    def preview(self, pick: int, choices: int, large: bool, buckets: tuple[str, ...]) -> None:
        shares = equal_shares(self.some_of_panel(pick, choices))
        portfolio = self.bare if pick % 5 == 4 else self.portfolio
        plan = Plan(RULES, [Rule(shares, Where(buckets))], bytes(32), exclude_earlier=pick % 5 == 0)
        with at_size(large):
            self.act(
                pick_of(self.people, pick).actor,
                lambda work: allocations.preview(work, portfolio.id, plan),
                "no_cases_to_offer",
            )

    @on(lambda self: self.tenders(PREVIEWED), large=YES, second=YES)
    def commit_allocation(self, row: Row, large: bool, second: bool) -> None:
        who = self.other(row) if second else self.maker(row)
        with at_size(large):
            self.act(who.actor, lambda work: allocations.commit(work, row.id), *GATE, *NO_CASES, "preview_outdated")

    @on(lambda self: self.tenders(AWAITING_APPROVAL, kinds=(ALLOCATION,)), large=YES)
    def approve_allocation(self, row: Row, large: bool) -> None:
        with at_size(large):
            who = self.other(row).actor
            self.act(who, lambda work: allocations.approve(work, row.id), *GATE, *NO_CASES, "preview_outdated")

    @on(lambda self: self.tenders(DRAWING, COMMITTING))
    def let_the_worker_on(self, row: Row) -> None:
        allocation.run(self.world.database, self.lender.organisation.id, row.id)
        self.tally.acts["done"] += 1
        self.look(self.jobs)

    @on(lambda self: self.tenders(AWAITING_APPROVAL, kinds=(ASSIGNED, FIRST_CLAIM, SEALED_BID)))
    def approve(self, row: Row) -> None:
        verb = bids.approve if row.kind == SEALED_BID else tenders.approve
        self.act(self.other(row).actor, lambda work: verb(work, row.id), *GATE, *NO_CASES, "too_few_to_score")

    @on(lambda self: self.tenders(AWAITING_APPROVAL))
    def refuse(self, row: Row) -> None:
        self.act(self.other(row).actor, lambda work: tenders.refuse(work, row.id))

    @on(lambda self: self.tenders(DRAWING, PREVIEWED, COMMITTING, AWAITING_APPROVAL, OPEN))
    def withdraw_tender(self, row: Row) -> None:
        verb = allocations.withdraw if row.kind == ALLOCATION else tenders.withdraw
        self.act(self.lender.actor, lambda work: verb(work, row.id))

    @on(lambda self: self.undoable(), reason=UNDO_REASONS)
    def undo(self, row: Row, reason: str) -> None:
        self.act(self.other(row).actor, lambda work: undoing.undo(work, row.id, reason), "undo_after_promise")

    @on(lambda self: [row for row in self.undoable() if row.by])
    def keep_what_was_to_be_undone(self, row: Row) -> None:
        self.act(self.lender.actor, lambda work: undoing.keep(work, row.id))

    # The agencies answer, and bid.

    @on(lambda self: self.offers(ASSIGNED, FIRST_CLAIM))
    def accept(self, row: Row) -> None:
        self.act(self.agency(row).actor, lambda work: offers.accept(work, row.id), *GATE, *NO_CASES)

    @on(lambda self: self.declinable(), reason=DECLINE_REASONS)
    def decline(self, row: Row, reason: str) -> None:
        self.act(self.agency(row).actor, lambda work: offers.decline(work, row.id, reason))

    @on(lambda self: self.to_bid("commit", has_bid=False), rate=SOME)
    def commit_bid(self, row: Row, rate: int) -> None:
        terms, nonce = Terms("rate", f"0.{rate}00000", "0.00"), bytes([rate]) * 32

        bid_on: BidOn = (Package((1 + rate % 2,), terms),) if row.size else terms
        commitment = opened_bids.commitment_of(Offer(tender_id=row.of, agency_id=row.agency_id), bid_on, nonce)

        def commit(work: Work) -> None:
            bids.commit(work, row.id, commitment)
            self.kept[row.id] = bid_on, nonce

        self.act(self.agency(row).actor, commit, *GATE)

    @on(lambda self: self.to_bid("commit"))
    def withdraw_bid(self, row: Row) -> None:
        self.act(self.agency(row).actor, lambda work: bids.withdraw(work, row.id))

    @on(lambda self: self.to_bid("reveal"))
    def reveal(self, row: Row) -> None:
        bid_on, nonce = self.kept[row.id]
        given = opened_bids.spelled(bid_on)
        self.act(self.agency(row).actor, lambda work: bids.reveal(work, row.id, given, nonce))

    @on(lambda self: [row for row in self.tenders(OPEN, kinds=(SEALED_BID,)) if row.until <= self.now], by_job=YES)
    def award(self, row: Row, by_job: bool) -> None:
        self.act(self.jobs if by_job else self.lender.actor, lambda work: awards.award(work, row.id))

    @on(lambda self: self.placements(AWAITING_ACK))
    def acknowledge(self, row: Row) -> None:
        def acknowledge(work: Work) -> None:
            placements.acknowledge(work, row.id, *placements.figures(work, row.id))

        self.act(self.agency(row).actor, acknowledge)

    @on(lambda self: self.placements(AWAITING_ACK))
    def count_wrongly(self, row: Row) -> None:
        wrong = (row.size + 1, Decimal(1))
        self.misplace(self.agency(row).actor, lambda work: placements.acknowledge(work, row.id, *wrong))
        self.act(self.agency(row).actor, lambda work: acknowledgements.record_mismatch(work, row.id, *wrong))


class ComingBack(Ground):
    """From a recall, a return, or the end of a term to free cases."""

    @on(lambda self: self.held(), reason=RECALL_REASONS, immediate=YES)
    def recall_a_case(self, row: Row, reason: str, immediate: bool) -> None:
        def recall(work: Work) -> None:
            recalls.request_cases(work, reason, [row.id], immediate=immediate)

        self.act(self.lender.actor, recall, "recall_stands")

    @on(lambda self: self.rows("placement", *LIVE), immediate=YES)
    def recall_a_placement(self, row: Row, immediate: bool) -> None:
        def recall(work: Work) -> None:
            recalls.request(work, row.id, "lender_request", immediate=immediate)

        self.act(self.lender.actor, recall, "recall_stands")

    @on(lambda self: self.objectionable(), code=OBJECTIONS)
    def object_to(self, row: Row, code: str) -> None:
        self.act(self.agency(row).actor, lambda work: recalls.object_to(work, row.of, [row.id], code))

    @on(lambda self: self.recalled(OBJECTED))
    def agree_with_an_objection(self, row: Row) -> None:
        self.act(self.lender.actor, lambda work: recalls.keep(work, row.of, [row.id]))

    @on(lambda self: self.rows("recall", REQUESTED), waits=YES)
    def carry_out_a_recall(self, row: Row, waits: bool) -> None:
        def execute(work: Work) -> None:
            recalls.execute(work, row.id, at_once=not waits)

        self.act(self.lender.actor, execute, *(["objection_window_open"] if waits else []))

    @on(lambda self: self.rows("recall", REQUESTED))
    def take_a_recall_back(self, row: Row) -> None:
        self.act(self.lender.actor, lambda work: recalls.withdraw(work, row.id))

    @on(lambda self: self.rows("stop", "ordered", "missed"))
    def confirm_a_stop(self, row: Row) -> None:
        def confirm(work: Work) -> None:
            stops.confirm(work, row.id, len([one for one in self.rows("recall_case", RECALLED) if one.of == row.id]))

        self.act(self.agency(row).actor, confirm)

    @on(lambda self: self.movable(), code=RETURN_CODES, whole=YES)
    def give_back(self, row: Row, code: str, whole: bool) -> None:
        ids = [one.id for one in self.movable() if one.of == row.of] if whole else [row.id]
        self.act(self.agency(row).actor, lambda work: returns.give_back(work, row.of, code, ids))

    @on(lambda self: self.unasked(), days=range(1, 31))
    def ask_to_retain(self, row: Row, days: int) -> None:
        def promise_and_ask(work: Work) -> None:
            promise = PromiseReport(Decimal("10.00"), "CNY", day_of(self.now))
            promises.record(work, row.id, promise)
            retentions.request(work, row.of, [row.id], PROMISE, days)

        self.act(self.agency(row).actor, promise_and_ask)

    @on(lambda self: self.rows("retention", RETENTION_REQUESTED), refuse=YES)
    def decide_a_retention(self, row: Row, refuse: bool) -> None:
        def decide(work: Work) -> None:
            retentions.decide(work, [row.id], approve=not refuse)

        self.act(self.lender.actor, decide, *([] if refuse else ["retention_cap"]))

    @on(lambda self: self.held())
    def pay(self, row: Row) -> None:
        """Who pays may stay at the end of the term."""
        number = next(case.kind for case in self.rows("case") if case.id == row.id)
        self.feeds += 1
        today = day_of(self.now)
        receive_payments(self.world, self.lender, payment(number, "10.00", today), on=today, sequence=self.feeds)


class StandingStill(Ground):
    """What stops the others, and what goes on by itself."""

    @on(lambda self: [row for row in self.rows("placement", *LIVE) if row.kind != "frozen"])
    def freeze(self, row: Row) -> None:
        self.act(self.lender.actor, lambda work: freezes.freeze(work, row.id, "conduct"))

    @on(lambda self: self.thawable())
    def thaw(self, row: Row) -> None:
        self.act(self.lender.actor, lambda work: freezes.unfreeze(work, row.of))

    @on(lambda self: self.changeable(*STOPS))
    def stop_an_agency(self, change: tuple[UUID, str]) -> None:
        self._change(*change, "conduct")

    @on(lambda self: self.changeable("clear"))
    def clear_an_agency(self, change: tuple[UUID, str]) -> None:
        self._change(*change, None)

    def _change(self, agency_id: UUID, act: str, reason: str | None) -> None:
        """A freeze reaches the placements in a transaction of its own."""
        with self.world.database.work(self.lender.actor) as work:
            standings.change(work, agency_id, act, reason)
        self.act(self.lender.actor, lambda work: standings.stop_placements(work, agency_id))

    @always(pick=PICK, whole_borrower=YES, reason=RECORDED_REASONS)
    def exclude(self, pick: int, whole_borrower: bool, reason: str) -> None:
        case_id = pick_of(self.rows("case"), pick).id

        def exclude(work: Work) -> None:
            exclusions.record(work, case_id, reason, "lender", day_of(self.now), whole_borrower)

        self.act(self.lender.actor, exclude, "already_excluded")

    @on(lambda self: self.rows("exclusion", "standing"), every=YES)
    def lift(self, row: Row, every: bool) -> None:
        def lift(work: Work) -> None:
            for one in self.rows("exclusion", "standing") if every else [row]:
                exclusions.lift(work, one.id)

        self.act(self.lender.actor, lift)

    @always(hours=[1, 24, 72])
    def time_passes(self, hours: int) -> None:
        self._pass(self.now + dt.timedelta(hours=hours))

    @on(lambda self: self.due()[:1])
    def the_next_time_comes(self, at: dt.datetime) -> None:
        self._pass(at)

    def _pass(self, to: dt.datetime) -> None:
        self.clock.at = min(to, self.ends_at)
        self.sweep()

    @always()
    def rotate(self) -> None:
        self.act(self.jobs, lambda work: rotations.run(work, day_of(work.at)))
