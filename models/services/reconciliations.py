"""The agencies' claims against the lender's ledger: derive what matches and what does not, post the difference.

Every run looks at the whole open set: the placed cases with a claim or a payment that nothing matched yet, or with an
open break. A match stands once it is posted; a payment that comes late matches then, and closes the break by itself.
"""

import datetime as dt
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import polars as pl
from sqlalchemy import Select, TableClause, and_, exists, func, insert, literal, select, union, update
from sqlalchemy.dialects.postgresql import insert as upsert

from models import attribution, reconciliation
from models.break_item import Break, Match
from models.business_day import ZONE
from models.claim import Claim
from models.ids import new_ids
from models.ledger import LedgerPayment
from models.placement import PlacedCase, Placement
from models.services import audit, bulk, tenancy, turns
from models.services.job_runs import Report, quietly
from models.work import Work

TOLERANCE: Final = Decimal("0.01")
DAY_WINDOW: Final = 3
OPEN, CLOSED = "open", "closed"
MATCHED_LATER, RESTATED = "matched_later", "restated"  # the causes with which a run closes a break
# Whose turn it is to clear a break of this kind.
OWNERS: Final = {
    "missing_here": "agency",
    "missing_there": "agency",
    "amount": "agency",
    "date": "agency",
    "duplicate": "agency",
    "currency": "lender",
}
_KEY: Final = ("kind", "claim_id", "payment_id")


def run(work: Work, business_date: dt.date, report: Report = quietly) -> dict[str, int]:
    """Match what is open and bring the breaks up to date; run again, it posts nothing."""
    turns.take(work, "reconciliation")
    cases = _open_cases(work)
    claims = bulk.read(work, _claims(work, cases), reconciliation.CLAIMS)
    attributed = attribution.attribute(*payments_and_spans(work, cases))
    standing = bulk.read(work, _standing_links(work, cases), reconciliation.STANDING)
    report(40)
    found = reconciliation.match(claims, attributed, TOLERANCE, DAY_WINDOW, standing)
    report(70)
    _post_matches(work, found.matches)
    opened, closed = _post_breaks(work, found.breaks)
    counts = {
        "claims": claims.height,
        "payments": attributed.height,
        "matched": found.matches["claim_id"].n_unique(),
        "breaks_opened": opened,
        "breaks_closed": closed,
    }
    if found.matches.height or opened or closed:
        audit.record(work, audit.Action.RECONCILIATION_RUN, {"business_date": business_date, **counts})
    return counts


def list_breaks(work: Work, state: str | None = None, after: UUID | None = None, limit: int = 50) -> list[Break]:
    """Newest first: a lender's, or those of the agency."""
    query = select(Break).where(tenancy.own(work, Break)).order_by(Break.id.desc()).limit(limit)
    if state:
        query = query.where(Break.state == state)
    return list(work.session.scalars(query.where(Break.id < after) if after else query))


def list_matches(work: Work, after: UUID | None = None, limit: int = 50) -> list[Match]:
    query = select(Match).where(tenancy.own(work, Match)).order_by(Match.id.desc()).limit(limit)
    return list(work.session.scalars(query.where(Match.id < after) if after else query))


def payments_and_spans(work: Work, cases: Select[Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All ledger payments of these cases, and every term in which they were placed: what attribution asks for."""
    columns = [getattr(LedgerPayment, name) for name in attribution.PAYMENTS]
    payments = select(*columns).where(tenancy.own(work, LedgerPayment), LedgerPayment.case_id.in_(cases))
    zone = str(ZONE)
    spans = (
        select(
            PlacedCase.placement_id,
            PlacedCase.agency_id,
            PlacedCase.case_id,
            func.date(func.timezone(zone, PlacedCase.started_at)),
            func.date(func.timezone(zone, PlacedCase.ended_at)),
            Placement.tail_days,
            Placement.agency_may_receive,
        )
        .join(Placement, and_(Placement.lender_id == PlacedCase.lender_id, Placement.id == PlacedCase.placement_id))
        .where(tenancy.own(work, PlacedCase), tenancy.own(work, Placement), PlacedCase.case_id.in_(cases))
    )
    read_spans = {**attribution.SPANS, "agency_may_receive": pl.String}
    found = bulk.read(work, spans, read_spans).with_columns(agency_may_receive=pl.col("agency_may_receive") == "t")
    return bulk.read(work, payments, attribution.PAYMENTS), found


def _open_cases(work: Work) -> Select[Any]:
    """Cases where something still waits for its counterpart."""
    claim_matched = exists().where(tenancy.own(work, Match), Match.claim_id == Claim.id)
    payment_matched = exists().where(tenancy.own(work, Match), Match.payment_id == LedgerPayment.id)
    placed = exists().where(tenancy.own(work, PlacedCase), PlacedCase.case_id == LedgerPayment.case_id)
    waiting = union(
        select(Claim.case_id).where(tenancy.own(work, Claim), ~claim_matched),
        select(LedgerPayment.case_id).where(
            tenancy.own(work, LedgerPayment), LedgerPayment.amount > 0, placed, ~payment_matched
        ),
        select(Break.case_id).where(tenancy.own(work, Break), Break.state == OPEN),
    ).subquery()
    return select(waiting.c.case_id)


def _claims(work: Work, cases: Select[Any]) -> Select[Any]:
    columns = [getattr(Claim, name) for name in reconciliation.CLAIMS]
    return select(*columns).where(tenancy.own(work, Claim), Claim.case_id.in_(cases))


def _standing_links(work: Work, cases: Select[Any]) -> Select[Any]:
    return select(Match.claim_id, Match.payment_id).where(tenancy.own(work, Match), Match.case_id.in_(cases))


def _post_matches(work: Work, matches: pl.DataFrame) -> None:
    names = ("agency_id", "case_id", "claim_id", "payment_id", "rule", "amount_difference", "days_difference")
    bulk.append(work, Match, _stamped(work, matches.select(names), "matched_at"))


def _post_breaks(work: Work, derived: pl.DataFrame) -> tuple[int, int]:
    """Open what is derived and does not stand, close what stands and is not derived: how many of each."""
    stands = select(Break.kind, Break.claim_id, Break.payment_id, Break.id).where(
        tenancy.own(work, Break), Break.state == OPEN
    )
    standing = bulk.read(work, stands, dict.fromkeys((*_KEY, "id"), pl.String))
    gone = standing.join(derived, on=_KEY, how="anti", nulls_equal=True)
    new = derived.join(standing, on=_KEY, how="anti", nulls_equal=True)
    if gone.height:
        _close(work, bulk.stage(work, Break, gone.select("id")))
    if new.height:
        _open(work, new)
    return new.height, gone.height


def _close(work: Work, gone: TableClause) -> None:
    matched = exists().where(
        tenancy.own(work, Match), (Match.claim_id == Break.claim_id) | (Match.payment_id == Break.payment_id)
    )
    for cause, condition in ((MATCHED_LATER, matched), (RESTATED, ~matched)):
        work.session.execute(
            update(Break)
            .where(tenancy.own(work, Break), Break.id == gone.c.id, condition)
            .values(state=CLOSED, cause=cause, closed_at=work.at)
            .execution_options(synchronize_session=False)
        )


def _open(work: Work, new: pl.DataFrame) -> None:
    """One row for a break, even if it comes back after a run had closed it. What a person closed stays closed."""
    columns = ("agency_id", "placement_id", "case_id", *_KEY, "amount_claimed", "amount_booked", "currency")
    owner = pl.col("kind").replace_strict(OWNERS, return_dtype=pl.String)
    rows = new.select(*columns, owner.alias("owner"), pl.lit(OPEN).alias("state"))
    staged = bulk.stage(work, Break, _stamped(work, rows, "opened_at"))
    insertion = upsert(Break).from_select([column.name for column in staged.c], select(staged))
    work.session.execute(
        insertion.on_conflict_do_update(
            index_elements=["lender_id", *_KEY],
            set_={
                "state": OPEN,
                "cause": None,
                "closed_at": None,
                "opened_at": insertion.excluded.opened_at,
            },
            where=Break.cause.in_((MATCHED_LATER, RESTATED)),
        )
    )


def _stamped(work: Work, rows: pl.DataFrame, moment: str) -> pl.DataFrame:
    """The rows with the tenant, new ids in their order, and the time of the run."""
    return rows.with_columns(
        pl.lit(str(work.tenant_id)).alias("lender_id"),
        pl.Series("id", [str(new) for new in new_ids(rows.height)], pl.String),
        pl.lit(work.at.isoformat()).alias(moment),
    )
