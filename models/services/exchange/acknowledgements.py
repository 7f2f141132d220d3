"""Breaks before work starts: a count that differs from what was placed, or none in time. Both sides see them."""

import datetime as dt
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, select, true
from sqlalchemy.dialects.postgresql import insert

from models.acknowledgement_break import MISMATCH, MISSING, AcknowledgementBreak
from models.ids import new_id
from models.notice import AGENCY as TO_AGENCY
from models.notice import LENDER as TO_LENDER
from models.placement import AWAITING_ACK, Placement
from models.services import pages, tenancy
from models.services.exchange import ends, placements, turns
from models.services.oversight import audit
from models.work import Work

ACKNOWLEDGE_HOURS = 48


class Broken(NamedTuple):
    """A break with the placement that it keeps, or kept, from starting."""

    row: AcknowledgementBreak
    placement: Placement

    @property
    def id(self) -> UUID:
        return self.row.id


def record_mismatch(work: Work, placement_id: UUID, case_count: int, balance: Decimal) -> AcknowledgementBreak | None:
    """Keep what the agency counted, beside what is placed.

    In a Work of its own: the acknowledgement that was refused is rolled back. None where the figures are right by now,
    or the placement waits for none.
    """
    placement = placements.get(work, placement_id)
    with work.as_lender(placement):
        placements.lock(work, placement)
        ours = ends.figures(work, placement)
        if placement.state != AWAITING_ACK or (case_count, balance) == ours:
            return None
        counted = {
            "case_count": case_count,
            "balance": balance,
            "member_id": work.actor.member_id,
            "member_name": work.actor.name,
        }
        kept = _keep(work, placement, MISMATCH, counted)
        # Once for a break: it shows what was counted last, and whoever goes on guessing tells nothing new.
        placements.tell(
            work, placement, TO_LENDER, "placement.mismatch", key=kept.id, cases=case_count, balance=balance
        )
    return kept


def flag_missing(work: Work) -> int:
    """Break the silence of agencies that have not acknowledged within ACKNOWLEDGE_HOURS; answers how many."""
    flagged = exists().where(
        AcknowledgementBreak.lender_id == Placement.lender_id,
        AcknowledgementBreak.placement_id == Placement.id,
        AcknowledgementBreak.kind == MISSING,
        AcknowledgementBreak.closed_at.is_(None),
    )
    late = work.session.scalars(
        turns.on_placements(
            work,
            select(Placement).where(
                tenancy.own(work, Placement),
                Placement.state == AWAITING_ACK,
                Placement.frozen_at.is_(None),
                Placement.started_at <= work.at - dt.timedelta(hours=ACKNOWLEDGE_HOURS),
                Placement.expires_at > work.at,
                ~flagged,
            ),
        )
    ).all()
    for placement in late:
        _keep(work, placement, MISSING, {})
        for told in (TO_LENDER, TO_AGENCY):
            placements.tell(work, placement, told, "placement.unacknowledged", hours=ACKNOWLEDGE_HOURS)
    return len(late)


def list_of_placement(work: Work, placement_id: UUID) -> list[AcknowledgementBreak]:
    """Newest first, with those that are closed."""
    placement = placements.get(work, placement_id)
    query = select(AcknowledgementBreak).where(
        tenancy.own(work, AcknowledgementBreak),
        AcknowledgementBreak.lender_id == placement.lender_id,
        AcknowledgementBreak.placement_id == placement.id,
    )
    return list(work.session.scalars(pages.newest(query, AcknowledgementBreak.id, None, pages.LIMIT_MAX)))


def list_open(work: Work) -> list[Broken]:
    """Those that keep work from starting, of every placement, newest first."""
    return _page(work, AcknowledgementBreak.closed_at.is_(None), None)


def list_own(work: Work, after: UUID | None = None) -> list[Broken]:
    """All, open and closed, newest first."""
    return _page(work, true(), after)


def _page(work: Work, which: ColumnElement[bool], after: UUID | None) -> list[Broken]:
    query = (
        select(AcknowledgementBreak, Placement)
        .join(
            Placement,
            and_(
                Placement.lender_id == AcknowledgementBreak.lender_id,
                Placement.id == AcknowledgementBreak.placement_id,
            ),
        )
        .where(
            tenancy.own(work, AcknowledgementBreak),
            tenancy.own(work, Placement),
            which,
        )
    )
    rows = work.session.execute(pages.newest(query, AcknowledgementBreak.id, after, pages.LIMIT_MAX))
    return [Broken(*row) for row in rows]


def _keep(work: Work, placement: Placement, kind: str, counted: dict[str, object]) -> AcknowledgementBreak:
    """One open break of a kind, with the figures that were counted last."""
    ours = ends.figures(work, placement)
    said = {
        "case_count_expected": ours.case_count,
        "balance_expected": ours.balance,
        "noted_at": work.at,
        **counted,
    }
    insertion = insert(AcknowledgementBreak).values(
        lender_id=placement.lender_id,
        id=new_id(),
        agency_id=placement.agency_id,
        placement_id=placement.id,
        kind=kind,
        **said,
    )
    kept = work.session.scalars(
        insertion.on_conflict_do_update(
            index_elements=["lender_id", "placement_id", "kind"],
            index_where=AcknowledgementBreak.closed_at.is_(None),
            set_=said,
        ).returning(AcknowledgementBreak),
        execution_options={"populate_existing": True},
    ).one()
    subject = {"break": kept.id, "placement": placement.id, "agency": placement.agency_id, "kind": kind}
    figures = {"cases": counted.get("case_count"), "balance": counted.get("balance")}
    placed = {"cases_placed": ours.case_count, "balance_placed": ours.balance}
    audit.record(work, audit.Action.ACKNOWLEDGEMENT_BREAK, subject | figures | placed)
    return kept
