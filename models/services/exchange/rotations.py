"""Rotation (轮转): cases whose term is over go on to the next tier, to agencies that never had their borrower."""

import datetime as dt
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select

from models.agreement import Agreement
from models.allocation_plan import PANEL_MAX, RULES, Plan, Rule, equal_shares
from models.business_day import bounds
from models.case import Case
from models.errors import Conflict
from models.lender_setting import AUTOMATIC
from models.placement import TERM_OVER, PlacedCase, Placement
from models.services import notices, tenancy
from models.services.exchange import allocation_cases, allocation_draws, allocations, eligibility, turns
from models.services.exchange.allocation_cases import CameBack
from models.services.exchange.allocation_draws import Drawn
from models.services.parties import lender_settings
from models.tender import ALLOCATION, AWAITING_APPROVAL, COMMITTING, PLACED, Tender
from models.work import Work

DAYS: Final = 7  # looked back, so that a missed night is made good


class Batch(NamedTuple):
    """Cases that came back from one tier of one portfolio, in one currency."""

    portfolio_id: UUID
    currency: str
    tier: int


def run(work: Work, business_date: dt.date) -> dict[str, int]:
    """Place what came back by its term up to this day and is free; what nobody can take stays so, and the lender is
    told once. Does nothing unless the lender lets it: what is placed is not free any more, so twice is once."""
    counts = {"placed": 0, "left_free": 0, "awaiting_approval": 0}
    if lender_settings.get(work).rotation != AUTOMATIC:
        return counts
    since, until = bounds(business_date - dt.timedelta(days=DAYS - 1))[0], bounds(business_date)[1]
    turns.take(work, "offers")
    for batch in _batches(work, since, until):
        if _waits(work, batch):
            continue
        came_back = CameBack(batch.tier, since, until)
        free = allocation_cases.count(work, batch.portfolio_id, batch.currency, came_back)
        drawn = _draw(work, batch, came_back)
        if drawn is None:
            counts["left_free"] += free
            _tell(work, batch, business_date, free)
            continue
        tender = allocations.settle(work, allocations.propose(work, batch.portfolio_id, drawn, came_back), drawn)
        counts["placed" if tender.state == PLACED else "awaiting_approval"] += tender.case_count
        counts["left_free"] += free - tender.case_count
        if free > tender.case_count:
            _tell(work, batch, business_date, free - tender.case_count)
    return counts


def _batches(work: Work, since: dt.datetime, until: dt.datetime) -> Sequence[Batch]:
    query = (
        select(Case.portfolio_id, Case.currency, Placement.tier)
        .join(PlacedCase, (PlacedCase.lender_id == Case.lender_id) & (PlacedCase.case_id == Case.id))
        .join(Placement, (Placement.lender_id == PlacedCase.lender_id) & (Placement.id == PlacedCase.placement_id))
        .where(tenancy.own(work, Case), tenancy.own(work, PlacedCase), tenancy.own(work, Placement))
        .where(Case.agency_id.is_(None), PlacedCase.end_reason == TERM_OVER)
        .where(PlacedCase.ended_at >= since, PlacedCase.ended_at < until)
        .distinct()
        .order_by(Case.portfolio_id, Case.currency, Placement.tier)
    )
    return [Batch(*row) for row in work.session.execute(query)]


def _waits(work: Work, batch: Batch) -> bool:
    """Whether a second person has been asked about an earlier night's, or it is being placed now."""
    asked = select(Tender.rules["came_back"][0].as_integer()).where(
        tenancy.own(work, Tender),
        Tender.portfolio_id == batch.portfolio_id,
        Tender.currency == batch.currency,
        Tender.state.in_((AWAITING_APPROVAL, COMMITTING)),
        Tender.kind == ALLOCATION,
    )
    return batch.tier in work.session.scalars(asked).all()


def _draw(work: Work, batch: Batch, came_back: CameBack) -> Drawn | None:
    """Equal shares among the next tier's agencies; whoever would get more than it may take is left aside."""
    seed = sha256(f"{batch.portfolio_id}/{batch.tier}/{came_back.until.isoformat()}".encode()).digest()
    panel = _next_tier(work, batch)
    while panel:
        plan = Plan(RULES, [Rule(equal_shares(panel))], seed, exclude_earlier=True)
        try:
            drawn = allocation_draws.draw_to_place(work, batch.portfolio_id, plan, came_back)
        except Conflict:  # nothing of it is free
            return None
        if not drawn.obstacles:
            return drawn if drawn.parts["seat"].count() else None
        panel = [agreement_id for agreement_id in panel if agreement_id not in drawn.obstacles]
    return None


def _next_tier(work: Work, batch: Batch) -> list[UUID]:
    """The eligible agreements of the lowest tier after the batch's that has any."""
    candidates = eligibility.panel(work, batch.currency)
    free: list[Agreement] = [one.agreement for one in candidates if not one.reasons and one.agreement.tier > batch.tier]
    lowest = min((agreement.tier for agreement in free), default=0)
    return [agreement.id for agreement in free if agreement.tier == lowest][:PANEL_MAX]


def _tell(work: Work, batch: Batch, business_date: dt.date, count: int) -> None:
    """Once a day for each batch, however often the job runs."""
    if count:
        key = f"rotation.left_free/{batch.portfolio_id}/{batch.currency}/{batch.tier}/{business_date}"
        facts = {"cases": count, "tier": batch.tier}
        notices.tell_self(work, "rotation.left_free", "portfolio", batch.portfolio_id, key, **facts)
