"""Receiving the lender's ledger: its payments, and each day's balances and statuses, one transaction a file.

What names no case of the lender waits in suspense: it is not lost, and never guessed.
"""

import datetime as dt
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import (
    ColumnElement,
    Select,
    TableClause,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from crypto import cobblestone
from crypto.cells import lp
from models.business_day import day_of
from models.case import Case
from models.errors import AlreadyUploaded, Conflict, Invalid, NotFound, RowError, outside
from models.ids import new_id, new_ids
from models.ledger import CaseBalance, Feed, FeedError, LedgerPayment
from models.ledger_file import read_balances, read_payments
from models.services import bulk, pages, tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.services.parties import organisations
from models.tabular import Source, Upload
from models.work import Work

PAYMENTS: Final = "payments"
BALANCES: Final = "balances"
SEQUENCE_MAX: Final = 9999

_PAYMENT: Final = {
    "row": "bigint",
    "id": "uuid",
    "case_number": "text",  # null where it might be personal: then it is sealed
    "suspense_sealed": "bytea",
    "amount": "numeric(18, 2)",
    "currency": "text",
    "effective_on": "date",
    "posted_on": "date",
    "reference": "text",
    "paid_to": "text",
    "reversal_of": "text",
}
_FILE_NAMES: Final = {"effective_on": "value_date", "posted_on": "posting_date"}
_BALANCE: Final = {
    "row": "bigint",
    "case_number": "text",
    "balance": "numeric(18, 2)",
    "currency": "text",
    "status": "text",
}
_ERROR: Final = {"row": "bigint", "field": "text", "code": "text"}


class Suspense(NamedTuple):
    """What waits without a case, in one currency; reversals count as they are signed."""

    currency: str
    payment_count: int
    amount: Decimal
    oldest_on: dt.date


class FeedKey(NamedTuple):
    """What a file of the ledger is, whatever it holds: sent twice, it changes nothing."""

    kind: str
    business_date: dt.date
    sequence: int


def receive_payments(work: Work, stream: Source, business_date: dt.date, sequence: int) -> Feed:
    """Book the payments of one file; a row that is refused is kept as its error, the rest stands."""
    key = _checked(work, FeedKey(PAYMENTS, business_date, sequence))
    turns.take(work, "ledger")
    bulk.join_by_sets(work)
    upload, rows, errors = Upload(stream), bulk.make(work, _PAYMENT), bulk.make(work, _ERROR)
    for batch in read_payments(upload):
        bulk.fill(work, rows, _sealed_payments(work, batch.rows))
        bulk.fill(work, errors, batch.errors)
    _require_new(work, key, upload.digest())
    stands = exists().where(tenancy.own(work, LedgerPayment), LedgerPayment.reference == rows.c.reference)
    _refuse(work, rows, errors, stands, "reference", "duplicate_reference")
    for field in ("effective_on", "posted_on"):
        _refuse(work, rows, errors, rows.c[field] > day_of(work.at), _FILE_NAMES[field], "in_future")
    _refuse(work, rows, errors, _takes_back_too_much(work, rows), "reversal_of", "reversal_mismatch")
    other = exists().where(_same_case(work, rows), Case.currency != rows.c.currency)
    _refuse(work, rows, errors, other, "currency", "currency_mismatch")
    in_suspense = _count(work, select(rows.c.row).where(~_is_ours(work, rows)))
    feed = _record_feed(work, key, upload.digest(), rows, errors, in_suspense)
    _book(work, feed, rows)
    return feed


def receive_balances(work: Work, stream: Source, business_date: dt.date, sequence: int) -> Feed:
    """Keep each case's balance and status of the day; what is newer already stands."""
    key = _checked(work, FeedKey(BALANCES, business_date, sequence))
    turns.take(work, "ledger")
    bulk.join_by_sets(work)
    upload, rows, errors = Upload(stream), bulk.make(work, _BALANCE), bulk.make(work, _ERROR)
    for batch in read_balances(upload):
        bulk.fill(work, rows, batch.rows.select(*_BALANCE))
        bulk.fill(work, errors, batch.errors)
    _require_new(work, key, upload.digest())
    _refuse(work, rows, errors, ~_is_ours(work, rows), "case_number", "unknown_case")
    other = exists().where(_same_case(work, rows), Case.currency != rows.c.currency)
    _refuse(work, rows, errors, other, "currency", "currency_mismatch")
    feed = _record_feed(work, key, upload.digest(), rows, errors, 0)
    _keep_balances(work, feed, rows)
    return feed


def list_feeds(work: Work, after: UUID | None = None, limit: int = 50) -> list[Feed]:
    query = select(Feed).where(tenancy.own(work, Feed))
    return list(work.session.scalars(pages.newest(query, Feed.id, after, limit)))


def next_sequence(work: Work, kind: str, business_date: dt.date) -> int:
    """The number that the next file of the day takes."""
    of_day = (tenancy.own(work, Feed), Feed.kind == kind, Feed.business_date == business_date)
    return (work.session.scalar(select(func.max(Feed.sequence)).where(*of_day)) or 0) + 1


def get_feed(work: Work, feed_id: UUID) -> Feed:
    found = work.session.scalar(select(Feed).where(tenancy.own(work, Feed), Feed.id == feed_id))
    if found is None:
        raise NotFound
    return found


def list_feed_errors(work: Work, feed_id: UUID) -> list[FeedError]:
    get_feed(work, feed_id)
    return list(
        work.session.scalars(
            select(FeedError)
            .where(tenancy.own(work, FeedError), FeedError.feed_id == feed_id)
            .order_by(FeedError.row, FeedError.field)
        )
    )


def list_suspense(work: Work, after: UUID | None = None, limit: int = 50) -> list[LedgerPayment]:
    """Payments without a case, newest first; a sealed reference stays sealed."""
    query = select(LedgerPayment).where(tenancy.own(work, LedgerPayment), LedgerPayment.case_id.is_(None))
    return list(work.session.scalars(pages.newest(query, LedgerPayment.id, after, limit)))


def suspense_totals(work: Work) -> list[Suspense]:
    rows = work.session.execute(
        select(LedgerPayment.currency, func.count(), func.sum(LedgerPayment.amount), func.min(LedgerPayment.posted_on))
        .where(tenancy.own(work, LedgerPayment), LedgerPayment.case_id.is_(None))
        .group_by(LedgerPayment.currency)
        .order_by(LedgerPayment.currency)
    )
    return [Suspense(*row) for row in rows]


def suspense_context(lender_id: UUID, payment_id: UUID) -> bytes:
    """What a sealed reference is bound to: it opens as this payment's alone."""
    return b"consign/suspense/1\x00" + lp(lender_id.bytes) + lp(payment_id.bytes)


def _checked(work: Work, key: FeedKey) -> FeedKey:
    faults = [
        *([RowError(0, "business_date", "in_future")] if key.business_date > day_of(work.at) else []),
        *outside("sequence", key.sequence, 1, SEQUENCE_MAX),
    ]
    if faults:
        raise Invalid(errors=faults)
    return key


def _require_new(work: Work, key: FeedKey, digest: bytes) -> None:
    standing = work.session.scalar(
        select(Feed.digest).where(
            tenancy.own(work, Feed),
            Feed.kind == key.kind,
            Feed.business_date == key.business_date,
            Feed.sequence == key.sequence,
        )
    )
    if standing == digest:
        raise AlreadyUploaded
    if standing is not None:
        raise Conflict("feed_key_taken")


def _sealed_payments(work: Work, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows as `_PAYMENT`, with every case number that might be personal sealed before it goes anywhere."""
    ids = new_ids(rows.height)
    personal = rows["reference_personal"].to_list()
    key = organisations.open_lender_key(work, "ledger").reveal() if any(personal) else b""
    numbers = rows["case_number"].to_list()
    sealed = [
        "\\x" + cobblestone.seal(key, suspense_context(work.tenant_id, id_), number.encode()).hex()
        if is_personal
        else None
        for id_, number, is_personal in zip(ids, numbers, personal, strict=True)
    ]
    return rows.with_columns(
        pl.Series("id", [str(id_) for id_ in ids], pl.String),
        pl.Series("suspense_sealed", sealed, pl.String),
        case_number=pl.when(~pl.col("reference_personal")).then("case_number"),
        **_FILE_NAMES,
    ).select(*_PAYMENT)


def _same_case(work: Work, rows: TableClause) -> ColumnElement[bool]:
    return and_(tenancy.own(work, Case), Case.reference == rows.c.case_number)


def _is_ours(work: Work, rows: TableClause) -> ColumnElement[bool]:
    return exists().where(_same_case(work, rows))


def _takes_back_too_much(work: Work, rows: TableClause) -> ColumnElement[bool]:
    """A reversal of another case's or currency's payment, of a reversal, or of more than is left of its payment.

    The payment may stand, or be in this file. One that is not known yet may come in a later file.
    """
    names = ("reference", "reversal_of", "currency", "amount")
    named = select(rows.c.reversal_of).where(rows.c.reversal_of.is_not(None))
    standing = (
        select(
            literal(0).label("row"),
            Case.reference.label("case_number"),
            *(getattr(LedgerPayment, name) for name in names),
        )
        .outerjoin(Case, and_(Case.lender_id == LedgerPayment.lender_id, Case.id == LedgerPayment.case_id))
        .where(
            tenancy.own(work, LedgerPayment),
            or_(LedgerPayment.reference.in_(named), LedgerPayment.reversal_of.in_(named)),
        )
    )
    given = select(rows.c.row, rows.c.case_number, *(rows.c[name] for name in names))
    known = union_all(standing, given).cte("known")
    so_far = func.sum(known.c.amount).over(partition_by=known.c.reversal_of, order_by=known.c.row)
    taken = select(known, so_far.label("so_far")).cte("taken")
    original = known.alias("original")
    too_much = (
        select(taken.c.row)
        .join(original, original.c.reference == taken.c.reversal_of)
        .where(
            or_(
                original.c.case_number != taken.c.case_number,
                original.c.currency != taken.c.currency,
                original.c.amount + taken.c.so_far < 0,
            )
        )
    )
    return rows.c.row.in_(too_much)


def _refuse(
    work: Work, rows: TableClause, errors: TableClause, condition: ColumnElement[bool], field: str, code: str
) -> None:
    """Turn the rows for which `condition` holds into errors."""
    faulty = select(rows.c.row, literal(field), literal(code)).where(condition)
    work.session.execute(insert(errors).from_select(["row", "field", "code"], faulty))
    work.session.execute(delete(rows).where(rows.c.row.in_(select(errors.c.row))))


def _record_feed(
    work: Work,
    key: FeedKey,
    digest: bytes,
    rows: TableClause,
    errors: TableClause,
    suspense_count: int,
) -> Feed:
    assert work.actor.member_id is not None
    feed = Feed(
        lender_id=work.tenant_id,
        id=new_id(),
        digest=digest,
        row_count=_count(work, select(rows.c.row)),
        refused_count=_count(work, select(errors.c.row).distinct()),
        suspense_count=suspense_count,
        received_by=work.actor.member_id,
        received_at=work.at,
        **key._asdict(),
    )
    work.session.add(feed)
    work.session.flush()
    kept = select(literal(work.tenant_id), literal(feed.id), errors.c.row, errors.c.field, errors.c.code)
    work.session.execute(
        upsert(FeedError).from_select(["lender_id", "feed_id", "row", "field", "code"], kept).on_conflict_do_nothing()
    )
    audit.record(
        work,
        audit.Action.FEED_RECEIVE,
        {
            "feed": feed.id,
            **key._asdict(),
            "digest": digest,
            "rows": feed.row_count,
            "refused": feed.refused_count,
            "suspense": suspense_count,
        },
    )
    return feed


def _count(work: Work, query: Select[Any]) -> int:
    counted = select(func.count()).select_from(query.subquery())
    return work.session.scalar(counted) or 0


def _book(work: Work, feed: Feed, rows: TableClause) -> None:
    values = {
        "lender_id": literal(work.tenant_id),
        "id": rows.c.id,
        "feed_id": literal(feed.id),
        "case_id": Case.id,
        "suspense_reference": case((Case.id.is_(None), rows.c.case_number)),
        "suspense_sealed": rows.c.suspense_sealed,
        **{
            name: rows.c[name]
            for name in ("amount", "currency", "effective_on", "posted_on", "reference", "paid_to", "reversal_of")
        },
        "received_at": literal(work.at),
    }
    source = select(*values.values()).select_from(rows).outerjoin(Case, _same_case(work, rows))
    source = source.order_by(Case.id, rows.c.row)  # as cases are locked everywhere: each row refers to its own
    work.session.execute(insert(LedgerPayment).from_select(list(values), source))


def _keep_balances(work: Work, feed: Feed, rows: TableClause) -> None:
    named = select(Case.id).join(rows, _same_case(work, rows)).order_by(Case.id)
    work.session.execute(named.with_for_update(key_share=True, of=Case)).all()
    values = {
        "lender_id": literal(work.tenant_id),
        "case_id": Case.id,
        "feed_id": literal(feed.id),
        "balance_on": literal(feed.business_date),
        **{name: rows.c[name] for name in ("balance", "currency", "status")},
    }
    source = select(*values.values()).select_from(rows).join(Case, _same_case(work, rows))
    work.session.execute(insert(CaseBalance).from_select(list(values), source))
    newer = exists().where(
        tenancy.own(work, CaseBalance),
        CaseBalance.case_id == Case.id,
        CaseBalance.balance_on == feed.business_date,
        tenancy.own(work, Feed),
        Feed.id == CaseBalance.feed_id,
        Feed.sequence > feed.sequence,
    )
    work.session.execute(
        update(Case)
        .where(_same_case(work, rows), Case.balance_on <= feed.business_date, ~newer)
        .values(balance=rows.c.balance, status=rows.c.status, balance_on=feed.business_date)
        .execution_options(synchronize_session=False)
    )
