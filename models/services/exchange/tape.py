"""Publishing a tender's safe tape: made once, shown to every agency that is asked, and kept with the tender.

Beside it a synthetic sample, made of what is shown alone.
"""

import datetime as dt
import os
from copy import deepcopy
from typing import Any, Final
from uuid import UUID

import polars as pl
from sqlalchemy import and_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from models import lots, tape, tape_sample
from models.case import Case
from models.errors import Conflict
from models.lots import Lots
from models.offer import Offer
from models.services import tenancy
from models.services.oversight import exports
from models.services.parties import lender_settings
from models.strata import borrowers_in
from models.tape import Tape
from models.tape_sample import Sample
from models.tender import TapeKey, Tender, TenderedCase
from models.work import Work

# Two tenders of a portfolio that differ by fewer than k borrowers, and by few of each, show the same figures where they
# are in the same lots, if in any: an agency that compares them learns nothing of those few. A month later balances have
# moved, and old figures would mislead.
ALIKE_DAYS: Final = 30
ALIKE_PERCENT: Final = 10

SECRET_BYTES: Final = 32


def publish(work: Work, tender: Tender, cases: pl.DataFrame | None) -> Tape:
    """What is shown of the tender, from its cases as they stand when it is first shown; afterwards the same again.

    `cases` as CANDIDATE, with `lot` where it is in lots; None where the tape stands. In the lender's tenant.
    """
    if tender.tape is None:
        assert cases is not None
        k = lender_settings.of_lender(work, tender.lender_id).tape_borrowers_min
        like = _find_alike(work, tender, borrowers_in(cases), k)
        tender.tape_of = like.id if like else tender.id
        tender.tape = _shown_by(like, lots.find(tender.rules)) if like else _make(work, tender, cases, k)
        work.session.flush()
    strata: Any = tender.tape
    return tape.read(strata)


def sample(offer: Offer) -> Sample:
    """Made-up cases with the figures that the offer shows. Conflict `no_tape` where it shows none of so few, or was
    never to be answered; by the first reason why its agency may not see it."""
    if offer.withheld:
        raise Conflict(offer.withheld[0], reasons=[*offer.withheld])
    shown: Any = offer.strata
    found = tape_sample.draw(shown)
    if found is None:
        raise Conflict("no_tape")
    return found


def sample_file(work: Work, offer: Offer, mark: str) -> list[str]:
    """The same as pieces of a CSV file, whose rows all begin with the word `mark`. The download is logged; it needs no
    second person, because whoever sees the offer could make it up."""
    found = sample(offer)
    pieces = tape_sample.file_lines(found, mark)
    exports.record_exempt(work, "tape_sample", {"offer": offer.id}, len(found.rows), "".join(pieces).encode())
    return pieces


def _make(work: Work, tender: Tender, cases: pl.DataFrame, k: int) -> dict[str, Any]:
    return dict(tape.make(cases, k, _secret(work, tender), lots.find(tender.rules)).strata)


def _find_alike(work: Work, tender: Tender, borrower_count: int, k: int) -> Tender | None:
    """The newest tender whose own tape shows this one too, if there is any."""
    if borrower_count < k:
        return None
    most = min(k - 1, borrower_count * ALIKE_PERCENT // 100)
    shown = work.session.scalars(
        select(Tender)
        .where(
            tenancy.of_lender(tender.lender_id, Tender),
            Tender.portfolio_id == tender.portfolio_id,
            Tender.currency == tender.currency,
            Tender.id != tender.id,
            Tender.tape_of == Tender.id,
            Tender.tape["k"].as_integer() == k,
            func.jsonb_array_length(Tender.tape["currencies"]) > 0,
            Tender.created_at > work.at - dt.timedelta(days=ALIKE_DAYS),
            Tender.borrower_count.between(borrower_count - most, borrower_count + most),
        )
        .order_by(Tender.id.desc())
    ).all()
    same_lots = (one for one in shown if _parted(one) == _parted(tender))
    return next((one for one in same_lots if _count_apart(work, tender, one.id) <= most), None)


def _parted(tender: Tender) -> tuple[str, frozenset[frozenset[str]]] | None:
    found = lots.find(tender.rules)
    return None if found is None else found.as_sets


def _shown_by(like: Tender, parted: Lots | None) -> dict[str, Any]:
    """The other's tape, with its lots in this order."""
    shown: Any = deepcopy(like.tape or {})
    if parted is not None:
        dimensions, name = shown["currencies"][0]["dimensions"], lots.TAPE_DIMENSIONS[parted.divided_by]
        figures = {frozenset(lot["values"]): lot for lot in dimensions[name]}
        dimensions[name] = [figures[frozenset(values)] for values in parted.values]
    return dict(shown)


def _count_apart(work: Work, tender: Tender, other_id: UUID) -> int:
    """Borrowers of whom one of the two tenders holds a case that the other does not."""
    ours, theirs = aliased(TenderedCase), aliased(TenderedCase)
    of_ours = select(ours.case_id).where(ours.lender_id == tender.lender_id, ours.tender_id == tender.id).subquery()
    of_theirs = select(theirs.case_id).where(
        theirs.lender_id == tender.lender_id, theirs.tender_id == literal(other_id)
    )
    other = of_theirs.subquery()
    both = of_ours.join(other, of_ours.c.case_id == other.c.case_id, full=True)
    in_one = (
        select(func.coalesce(of_ours.c.case_id, other.c.case_id).label("case_id"))
        .select_from(both)
        .where(or_(of_ours.c.case_id.is_(None), other.c.case_id.is_(None)))
        .subquery()
    )
    apart = (
        select(func.count(Case.borrower_id.distinct()))
        .select_from(in_one)
        .join(Case, and_(tenancy.of_lender(tender.lender_id, Case), Case.id == in_one.c.case_id))
    )
    return work.session.scalar(apart) or 0


def _secret(work: Work, tender: Tender) -> bytes:
    """The lender's, made when it is first needed."""
    work.session.execute(
        insert(TapeKey)
        .values(lender_id=tender.lender_id, secret=os.urandom(SECRET_BYTES), created_at=work.at)
        .on_conflict_do_nothing(index_elements=["lender_id"])
    )
    return work.session.scalars(select(TapeKey.secret).where(tenancy.of_lender(tender.lender_id, TapeKey))).one()
