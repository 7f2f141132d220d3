"""Where the cases of an activity file are: with the agency now, or once, and what a place then refuses."""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, delete, exists, func, insert, literal, select, true
from sqlalchemy import case as case_when
from sqlalchemy.dialects.postgresql import distinct_on

from models.agency_standing import FROZEN, AgencyStanding
from models.case import Case
from models.case_actions import CLOSED_TO_WORK, Standing, actions
from models.placement import LIVE, TERM_OVER, PlacedCase, Placement
from models.services import bulk, tenancy
from models.services.collection import contacts
from models.services.collection.activity_rows import PLACE, Fault, File, refuse
from models.services.exchange import placed_cases, turns
from models.services.exchange.placed_cases import EXPIRED
from models.work import AGENCY, Work


def find(work: Work, file: File) -> dict[UUID, Placement]:
    """Fill `places`, and lock FOR SHARE the live placements among them; answers a placement for each lender.

    A case that was recalled is out of the agency's sight, so its number is looked up where it lies; only
    cases that this agency holds or held are looked at.
    """
    turns.take(work, "activity files")
    lenders = placed_cases.crossings(work)
    for placement in lenders.values():
        with work.as_lender(placement):
            _lock_placements(work, file, placement)
            columns = list(PLACE)
            work.session.execute(insert(file.places).from_select(columns, _placings(file, placement)))
    bulk.analyze(work, file.places)
    return lenders


def settle(work: Work, file: File) -> None:
    """Refuse rows whose case number names none or several; where a case is live, that is its place."""
    rows, places = file.rows.c, file.places.c
    live = file.places.alias("live")
    unknown = ~exists().where(places.row == rows.row)
    refuse(work, file, "case_number", "unknown_case", unknown)
    work.session.execute(
        delete(file.places).where(
            places.ended_at.is_not(None), exists().where(live.c.row == places.row, live.c.ended_at.is_(None))
        )
    )
    several = select(places.row).where(places.ended_at.is_(None)).group_by(places.row).having(func.count() > 1)
    refuse(work, file, "case_number", "ambiguous_case_number", rows.row.in_(several))


def faults(work: Work, file: File) -> list[Fault]:
    """Why a place, as it stands now that it is locked, allows no report: the same reasons as case by case."""
    places = file.places.c
    ended = places.ended_at.is_not(None)
    live = work.session.scalars(
        select(Placement)
        .where(
            tenancy.own(work, Placement), Placement.id.in_(select(places.placement_id).where(places.ended_at.is_(None)))
        )
        .execution_options(populate_existing=True)
    )
    now = work.now()
    refusing = {placement.id: code for placement in live if (code := _why_not(work, placement, now))}
    over = and_(ended, places.end_reason == TERM_OVER)
    returned = and_(ended, places.end_reason.in_(placed_cases.RETURNED))
    retained = func.coalesce(places.retained_until > now, literal(value=False))
    of_term = {id_: ~retained for id_, code in refusing.items() if code == EXPIRED}
    return [
        Fault("case_number", "case_recalled", and_(ended, ~over, ~returned)),
        Fault("case_number", "case_returned", returned),
        Fault("case_number", EXPIRED, over),
        Fault("case_number", "placement_frozen", and_(~ended, places.agency_state == FROZEN)),
        *(
            Fault("case_number", code, and_(places.placement_id == id_, of_term.get(id_, true())))
            for id_, code in refusing.items()
        ),
    ]


def _lock_placements(work: Work, file: File, crossing: Placement) -> None:
    named = (
        select(PlacedCase.placement_id)
        .join(Case, and_(Case.lender_id == PlacedCase.lender_id, Case.id == PlacedCase.case_id))
        .join(file.rows, file.rows.c.case_number == Case.reference)
        .where(
            tenancy.of_lender(crossing.lender_id, PlacedCase),
            PlacedCase.agency_id == crossing.agency_id,
            PlacedCase.ended_at.is_(None),
        )
    )
    live = select(Placement.id).where(
        tenancy.of_lender(crossing.lender_id, Placement), Placement.state.in_(LIVE), Placement.id.in_(named)
    )
    work.session.execute(turns.on_placements(work, live, shared=True)).all()


def _placings(file: File, crossing: Placement) -> Select[Any]:
    """Of each row's case its latest placing with this agency: the live one, if any."""
    status = Case.status
    return (
        select(
            file.rows.c.row,
            Case.lender_id,
            PlacedCase.placement_id,
            Case.id,
            Case.borrower_id,
            Case.currency,
            status,
            case_when((status.in_(CLOSED_TO_WORK), contacts.closed_since())),
            PlacedCase.started_at,
            PlacedCase.retained_until,
            PlacedCase.ended_at,
            PlacedCase.end_reason,
            AgencyStanding.state,
        )
        .join(Case, Case.reference == file.rows.c.case_number)
        .join(PlacedCase, and_(PlacedCase.lender_id == Case.lender_id, PlacedCase.case_id == Case.id))
        .outerjoin(
            AgencyStanding,
            and_(tenancy.of_lender(crossing.lender_id, AgencyStanding), AgencyStanding.agency_id == crossing.agency_id),
        )
        .where(tenancy.of_lender(crossing.lender_id, Case), PlacedCase.agency_id == crossing.agency_id)
        .ext(distinct_on(file.rows.c.row))
        .order_by(
            file.rows.c.row,
            PlacedCase.ended_at.is_not(None),
            PlacedCase.started_at.desc(),
            PlacedCase.placement_id.desc(),
        )
    )


def _why_not(work: Work, placement: Placement, now: dt.datetime) -> str | None:
    standing = Standing(
        side=AGENCY,
        roles=work.actor.roles,
        status="open",
        placement_state=placement.state,
        expires_at=placement.expires_at,
        assigned_to_me=False,
        offered=False,
        frozen=placement.frozen_at is not None,
        erased=False,  # what was done before may still be reported
    )
    return actions(standing, now)["record_claim"]
