"""A tender in lots: who may receive which, what is published of each, and where an agreement does not reach.

What an agency is told of a lot follows from what is published of it alone. A lot is outside its agreement where it is
made of a bucket or province that the agreement leaves out, whether or not there is a case of that. Where a lot seems
to be within and a case in it is not, "outside" would tell of that one case: such an agency is not asked, as with a
tender that is placed as a whole.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import String, cast, select

from models.agreement import Agreement
from models.case import Case
from models.errors import Conflict
from models.lots import BUCKETS_OF, TAPE_DIMENSIONS, Lots, find, find_small
from models.services import bulk, tenancy
from models.services.exchange import eligibility, tender_cases, tenders
from models.services.parties import lender_settings
from models.tender import Tender, TenderedCase
from models.work import Work


class Seat(NamedTuple):
    """An agreement at the gate, refused where it may receive no lot at all; `outside`: the lots beyond its terms."""

    candidate: eligibility.Candidate
    outside: list[int]


def assess(work: Work, panel: Sequence[Agreement], cases: pl.DataFrame, lots: Lots | None) -> list[Seat]:
    """The panel at the gate, in its order. `cases` with `lot`: each lot for itself; without: all of them at once."""
    if lots is None:
        return [Seat(one, []) for one in tenders.assess(work, panel, cases)]
    parts = [cases.filter(pl.col("lot") == number) for number in lots.numbers]
    by_lot = [tenders.assess(work, panel, part) for part in parts]
    return [_seat(seats, lots) for seats in zip(*by_lot, strict=True)]


def read_held(work: Work, tender: Tender) -> pl.DataFrame:
    """As `tender_cases.read_held`, with the `lot` of each case where the tender is in lots.

    Conflict `too_few_to_score` where so many cases have gone since that a lot has too few borrowers for figures.
    """
    cases = tender_cases.read_held(work, tender)
    lots = find(tender.rules)
    if lots is None:
        return cases
    query = select(cast(TenderedCase.case_id, String), TenderedCase.lot).where(
        tenancy.of_lender(tender.lender_id, TenderedCase), TenderedCase.tender_id == tender.id
    )
    held = bulk.read(work, query, {"case_id": pl.String, "lot": pl.Int16})
    parted = cases.join(held, on="case_id", how="left", maintain_order="left")
    if find_small(parted, lots, lender_settings.get(work).tape_borrowers_min):
        raise Conflict("too_few_to_score")
    return parted


def published(strata: dict[str, Any], lots: Lots) -> list[dict[str, Any]]:
    """The figures of each lot as they stand on the tape, as `award.Lot` has them; none where it is withheld."""
    if not strata["currencies"]:
        return []
    return list(strata["currencies"][0]["dimensions"][TAPE_DIMENSIONS[lots.divided_by]])


def lot_of(work: Work, tender: Tender) -> dict[UUID, int]:
    """Of each case that the tender still holds."""
    held = select(TenderedCase.case_id, TenderedCase.lot).where(
        tenancy.of_lender(tender.lender_id, TenderedCase), TenderedCase.tender_id == tender.id, TenderedCase.open
    )
    return {case_id: lot for case_id, lot in work.session.execute(held) if lot is not None}


def list_outside(work: Work, tender: Tender, seat: eligibility.Candidate, now: dt.datetime) -> set[int]:
    """The lots beyond the terms of an agreement, and those that hold a case which it does not cover."""
    outside = (
        select(TenderedCase.lot)
        .join(Case, (Case.lender_id == TenderedCase.lender_id) & (Case.id == TenderedCase.case_id))
        .where(
            tenancy.of_lender(tender.lender_id, TenderedCase),
            TenderedCase.tender_id == tender.id,
            TenderedCase.open,
            tender_cases.placeable(work, tender.lender_id),
            eligibility.outside(work, seat.agreement, now),
        )
        .distinct()
    )
    lots = find(tender.rules)
    beyond = [] if lots is None else _beyond(seat, lots)
    return {*beyond, *(lot for lot in work.session.scalars(outside) if lot is not None)}


def _seat(seats: Sequence[eligibility.Candidate], lots: Lots) -> Seat:
    """One agreement, from what the gate says of it for each lot."""
    beyond = _beyond(seats[0], lots)
    within = [seat for number, seat in enumerate(seats, start=1) if number not in beyond]
    if not within:
        return Seat(_with_outside(seats[0]), beyond)
    hidden = (seat for seat in within if eligibility.OUTSIDE in seat.reasons)
    free = (seat for seat in within if not seat.reasons)
    return Seat(next(hidden, None) or next(free, None) or within[0], beyond)


def _beyond(seat: eligibility.Candidate, lots: Lots) -> list[int]:
    """The lots made of a bucket, or of a province, that the agreement (of provinces: the licence too) leaves out."""
    held = set(seat.agreement.buckets if lots.divided_by == BUCKETS_OF else seat.provinces)
    return [number for number, values in zip(lots.numbers, lots.values, strict=True) if held and not held >= {*values}]


def _with_outside(seat: eligibility.Candidate) -> eligibility.Candidate:
    return seat._replace(reasons=list(dict.fromkeys([*seat.reasons, eligibility.OUTSIDE])))
