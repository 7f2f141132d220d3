"""A tender in lots: who may receive which, what is published of each, and where an agreement does not reach."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import String, cast, false, func, select

from models.agreement import Agreement
from models.award import told
from models.case import Case
from models.errors import Conflict
from models.lots import TAPE_DIMENSIONS, Lots, find, find_small
from models.services import bulk, tenancy
from models.services.exchange import eligibility, tender_cases, tenders
from models.services.parties import lender_settings
from models.tender import Tender, TenderedCase
from models.work import Work


class Seat(NamedTuple):
    """An agreement at the gate, refused only where every lot is; `refused`: lot → codes, as its agency is told them."""

    candidate: eligibility.Candidate
    refused: dict[str, list[str]]


def assess(work: Work, panel: Sequence[Agreement], cases: pl.DataFrame) -> list[Seat]:
    """The panel at the gate, in its order. `cases` with `lot`: each lot for itself; without: all of them at once."""
    if "lot" not in cases.columns:
        return [Seat(one, {}) for one in tenders.assess(work, panel, cases)]
    parts = cases.sort("lot").partition_by("lot", maintain_order=True)
    by_lot = [tenders.assess(work, panel, part) for part in parts]
    return [_seat(seats) for seats in zip(*by_lot, strict=True)]


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


def list_outside(work: Work, tender: Tender, agreement: Agreement, now: dt.datetime) -> set[int]:
    """The lots that hold a case which the agreement does not cover."""
    outside = (
        select(TenderedCase.lot)
        .join(Case, (Case.lender_id == TenderedCase.lender_id) & (Case.id == TenderedCase.case_id))
        .where(
            tenancy.of_lender(tender.lender_id, TenderedCase),
            TenderedCase.tender_id == tender.id,
            TenderedCase.open,
            func.coalesce(eligibility.fits(work, agreement, now), false()).is_(False),
        )
        .distinct()
    )
    return {lot for lot in work.session.scalars(outside) if lot is not None}


def _seat(seats: Sequence[eligibility.Candidate]) -> Seat:
    """One agreement, from what the gate says of it for each lot."""
    refused = {str(number): told(seat.reasons) for number, seat in enumerate(seats, start=1) if seat.reasons}
    return Seat(next((seat for seat in seats if not seat.reasons), seats[0]), refused)
