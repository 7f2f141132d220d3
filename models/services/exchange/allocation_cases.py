"""What an allocation divides: a portfolio's free cases, who may have each of them, and who had or has its borrower."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, Final, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import BigInteger, ColumnElement, String, and_, case, cast, exists, func, literal, select
from sqlalchemy.orm import aliased

from models.agreement import Agreement
from models.allocation import CASES, WORD_BITS, word_of, words_of
from models.case import Case
from models.money import MONEY, Schema
from models.placement import TERM_OVER, UNDONE, PlacedCase, Placement
from models.provinces import province_of
from models.services import bulk, tenancy
from models.services.exchange import eligibility
from models.services.parties import lender_settings
from models.services.portfolio import scrub
from models.tender import TenderedCase
from models.work import Work

_READ: Final[Schema] = {name: dtype for name, dtype in CASES.items() if name != "placement_seq"}
_SEQ: Final[Schema] = {"case_id": pl.String, "placement_seq": pl.Int64}
# What decides, of one currency, whose agreement covers a case: `band` counts the amounts agreed on that its balance is
# not below.
_KIND: Final = ["product", "bucket", "province", "band"]
_PAIR: Final[Schema] = {"borrower_id": pl.String, "agency_id": pl.String}


class CameBack(NamedTuple):
    """Only cases whose last placement, of this tier, ended by its term in this time: what a rotation divides."""

    tier: int
    since: dt.datetime
    until: dt.datetime

    def to_json(self) -> dict[str, Any]:
        """As a tender keeps it, beside its plan."""
        return {"came_back": [self.tier, self.since.isoformat(), self.until.isoformat()]}

    @staticmethod
    def from_json(rules: Mapping[str, Any]) -> "CameBack | None":
        if "came_back" not in rules:
            return None
        tier, since, until = rules["came_back"]
        return CameBack(tier, dt.datetime.fromisoformat(since), dt.datetime.fromisoformat(until))


def read(
    work: Work,
    portfolio_id: UUID,
    panel: Sequence[Agreement],
    exclude_earlier: bool,
    came_back: CameBack | None = None,
) -> pl.DataFrame:
    """CASES and SETS of models.allocation, for the agreements of `panel` in their order, in order of case id; all are
    of one currency. A household of which anything is tendered now is left out whole.
    """
    cases = _free(work, portfolio_id, panel[0].currency, came_back)
    borrowers = select(Case.borrower_id).where(tenancy.own(work, Case), Case.portfolio_id == portfolio_id)
    follows = lender_settings.get(work).new_case_follows
    sets = (
        _bits_of_agencies(work, panel, "earlier", _having_held(work, borrowers) if exclude_earlier else None),
        _bits_of_agencies(work, panel, "holder", _holding(work, borrowers) if follows else None),
    )
    for bits in sets:
        cases = cases.join(bits, on="borrower_id", how="left", maintain_order="left")
    numbers = bulk.read(work, _numbers(work, portfolio_id), _SEQ)
    cases = cases.with_columns(band=_bands(cases["balance"], panel))
    return (
        cases.join(_bits_of_terms(work, panel, cases), on=_KIND, nulls_equal=True, maintain_order="left")
        .join(numbers, on="case_id", how="left", maintain_order="left")
        .with_columns(pl.col("placement_seq").fill_null(1), pl.col(words_of("earlier", panel)).fill_null(0))
        .drop("band")
    )


def count(work: Work, portfolio_id: UUID, currency: str, came_back: CameBack) -> int:
    """How many cases `read` would answer."""
    return _free(work, portfolio_id, currency, came_back).height


def _free(work: Work, portfolio_id: UUID, currency: str, came_back: CameBack | None) -> pl.DataFrame:
    """The cases as _READ, in order of id."""
    bulk.join_by_sets(work)
    columns = (Case.id, Case.borrower_id, Case.balance, Case.bucket, Case.product, province_of(Case.region))
    cases = bulk.read(work, select(*columns).where(*_open(work, portfolio_id, currency, came_back)), _READ)
    # Few households, as a rule: read apart, so that the database need not look for each case's.
    tendered = bulk.read(work, _tendered(work), {"borrower_id": pl.String})
    return cases.join(tendered, on="borrower_id", how="anti").sort("case_id")


def _open(work: Work, portfolio_id: UUID, currency: str, came_back: CameBack | None) -> Iterator[ColumnElement[bool]]:
    yield tenancy.own(work, Case)
    yield Case.portfolio_id == portfolio_id
    yield Case.currency == currency
    yield Case.agency_id.is_(None)
    yield scrub.clear(work)
    if came_back:
        yield _returned(work, came_back)


def _returned(work: Work, came_back: CameBack) -> ColumnElement[bool]:
    """Cases whose last placement is the one that `came_back` says."""
    last, later = aliased(PlacedCase), aliased(PlacedCase)
    newer = exists().where(
        tenancy.own(work, later), later.case_id == last.case_id, later.placement_seq > last.placement_seq
    )
    return exists().where(
        tenancy.own(work, last),
        tenancy.own(work, Placement),
        Placement.id == last.placement_id,
        Placement.tier == came_back.tier,
        last.case_id == Case.id,
        last.end_reason == TERM_OVER,
        last.ended_at >= came_back.since,
        last.ended_at < came_back.until,
        ~newer,
    )


def _bands(balances: pl.Series, panel: Sequence[Agreement]) -> pl.Series:
    """Of each balance, how many of the amounts that bound the panel's agreements it is not below."""
    amounts = {amount for one in panel for amount in (one.balance_from, one.balance_below) if amount is not None}
    return pl.Series(sorted(amounts), dtype=MONEY).search_sorted(balances, side="right")


def _bits_of_terms(work: Work, panel: Sequence[Agreement], cases: pl.DataFrame) -> pl.DataFrame:
    """The set `may` of each _KIND: one of the cases stands for all that are alike."""
    kinds = cases.unique(_KIND).select("case_id", *_KIND)
    names = words_of("may", panel)
    covered = [
        case((eligibility.fits(work, agreement, work.at), literal(1 << seat % WORD_BITS, BigInteger)), else_=0)
        for seat, agreement in enumerate(panel)
    ]
    bits = (reduce(add, covered[WORD_BITS * word :][:WORD_BITS]) for word in range(len(names)))
    alike = bulk.among(Case.id, [UUID(case_id) for case_id in kinds["case_id"]])
    query = select(cast(Case.id, String), *bits).where(tenancy.own(work, Case), alike)
    found = bulk.read(work, query, {"case_id": pl.String} | dict.fromkeys(names, pl.Int64))
    return kinds.join(found, on="case_id").drop("case_id")


def _numbers(work: Work, portfolio_id: UUID) -> Any:
    """Case → which placement of its life its next one is, of those that had any: as placing.py counts them."""
    return (
        select(cast(PlacedCase.case_id, String), func.count() + 1)
        .join(Case, and_(Case.lender_id == PlacedCase.lender_id, Case.id == PlacedCase.case_id))
        .where(tenancy.own(work, Case), tenancy.own(work, PlacedCase), Case.portfolio_id == portfolio_id)
        .where(Case.agency_id.is_(None), PlacedCase.end_reason.is_distinct_from(UNDONE))
        .group_by(PlacedCase.case_id)
    )


def _tendered(work: Work) -> Any:
    """The borrowers of whom anything is tendered now."""
    held = and_(TenderedCase.lender_id == Case.lender_id, TenderedCase.case_id == Case.id, TenderedCase.open)
    mine = (tenancy.own(work, Case), tenancy.own(work, TenderedCase))
    return select(Case.borrower_id).join(TenderedCase, held).where(*mine).distinct()


def _holding(work: Work, borrowers: Any) -> Any:
    pair = select(cast(Case.borrower_id, String), cast(Case.agency_id, String))
    return pair.where(tenancy.own(work, Case), Case.agency_id.is_not(None), Case.borrower_id.in_(borrowers)).distinct()


def _having_held(work: Work, borrowers: Any) -> Any:
    return (
        select(cast(Case.borrower_id, String), cast(PlacedCase.agency_id, String))
        .join(PlacedCase, and_(PlacedCase.lender_id == Case.lender_id, PlacedCase.case_id == Case.id))
        .where(tenancy.own(work, Case), tenancy.own(work, PlacedCase), PlacedCase.ended_at.is_not(None))
        .where(PlacedCase.end_reason.is_distinct_from(UNDONE), Case.borrower_id.in_(borrowers))
        .distinct()
    )


def _bits_of_agencies(work: Work, panel: Sequence[Agreement], name: str, pairs: Any | None) -> pl.DataFrame:
    """Borrower → the set of the agreements with its agencies; empty where none of them is on the panel."""
    names = words_of(name, panel)
    if pairs is None:
        return pl.DataFrame(schema={"borrower_id": pl.String} | dict.fromkeys(names, pl.Int64))
    bits: dict[str, int] = {}
    for seat, agreement in enumerate(panel):
        bits[str(agreement.agency_id)] = bits.get(str(agreement.agency_id), 0) | 1 << seat
    words = (
        pl.col("agency_id")
        .replace_strict({one: word_of(seats, word) for one, seats in bits.items()}, default=0, return_dtype=pl.Int64)
        .bitwise_or()
        .alias(column)
        for word, column in enumerate(names)
    )
    return bulk.read(work, pairs, _PAIR).group_by("borrower_id").agg(words)
