"""The way of a case file into the tables, batch by batch: sealed, copied aside, inserted under the policies."""

import datetime as dt
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from uuid import UUID

import polars as pl
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    ScalarSelect,
    TableClause,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import InstrumentedAttribute

from crypto.fields import FIELDS
from models.borrower import Borrower
from models.case import OPEN, Case, CaseSalt, CaseSealing, PhoneToken
from models.errors import Invalid, RowError
from models.intake import FIGURES, SealedBatch
from models.portfolio import PortfolioError
from models.services import bulk, tenancy
from models.tabular import error_frame
from models.work import Work

# PostgreSQL may write it to a disk: it holds figures, masks, tokens and sealed bytes, nothing in the clear.
INCOMING = {
    **dict.fromkeys(("row", "dpd"), "integer"),
    **dict.fromkeys(("reference", "product", "region", "currency", "bucket", "age_band"), "text"),
    **dict.fromkeys(("principal", "interest", "fees", "balance"), "numeric(18, 2)"),
    **dict.fromkeys(("overdue_since_on", "opened_on"), "date"),
    **dict.fromkeys(("case_id", "borrower_id"), "uuid"),
    "masks": "jsonb",
    **dict.fromkeys(("id_token", "mobile_token", "mobile_2_token", "salt", *FIELDS), "bytea"),
}
BYTES = [name for name, kind in INCOMING.items() if kind == "bytea"]
FAULTS_MAX = 200_000  # a file with more is not a file of cases: nobody mends it row by row
CASE_FIGURES = [name for name in FIGURES if name != "row"]


class Intake(NamedTuple):
    """A file on its way in, whoever seals it; `wraps`: of each field class the wrapped key, signature and serial."""

    portfolio_id: UUID
    sealed_by: str
    wraps: Mapping[str, tuple[bytes, bytes, int]]
    batches: Iterator[SealedBatch]
    balance_on: dt.date


class Stored(NamedTuple):
    """How many rows became cases, and how many were refused."""

    cases: int
    refused: int


def store(work: Work, portfolio_id: UUID, batches: Iterator[SealedBatch], balance_on: dt.date) -> Stored:
    """Every batch: join its borrowers, insert its cases with what belongs to them, and record its faults."""
    incoming = bulk.make(work, INCOMING)
    stored, faults = Stored(0, 0), 0
    with ThreadPoolExecutor(1, "intake") as thread:
        coming = thread.submit(next, batches, None)
        while sealed := coming.result():
            rows, errors = sealed
            # The thread reads and seals the next rows while PostgreSQL takes and inserts these.
            coming = thread.submit(next, batches, None)
            _copy(work, incoming, rows)
            faults += errors.height
            if faults > FAULTS_MAX:
                raise Invalid("file_refused", [RowError(0, "*", "too_many_faults")])
            taken = _insert(work, portfolio_id, incoming, balance_on)
            errors = pl.concat([errors, taken])
            _insert_errors(work, portfolio_id, errors)
            stored = Stored(stored.cases + rows.height - taken.height, stored.refused + errors["row"].n_unique())
    return stored


def _copy(work: Work, incoming: TableClause, rows: pl.DataFrame) -> None:
    as_hex = bulk.bytes_text(pl.col(BYTES))
    work.session.execute(text(f"truncate {incoming.name}"))
    bulk.fill(work, incoming, rows.with_columns(as_hex))


def _insert(work: Work, portfolio_id: UUID, incoming: TableClause, balance_on: dt.date) -> pl.DataFrame:
    """Insert what came in but for case numbers that the lender has used already; answers the faults of those."""
    taken = _drop_taken(work, incoming)
    _insert_borrowers(work, incoming)
    _insert_cases(work, portfolio_id, incoming, balance_on)
    _insert_sealed(work, incoming)
    _insert_phone_tokens(work, incoming)
    return error_frame([RowError(row, "case_number", "case_number_exists") for row in taken])


def _drop_taken(work: Work, incoming: TableClause) -> list[int]:
    taken = _looked_up(Case.id, tenancy.own(work, Case), Case.reference == incoming.c.reference)
    return list(work.session.scalars(delete(incoming).where(taken.is_not(None)).returning(incoming.c.row)))


def _insert_borrowers(work: Work, incoming: TableClause) -> None:
    """Those whom the lender does not have yet; nobody else adds any, for it is this file's turn."""
    new = (
        select(_lender(work), incoming.c.borrower_id, incoming.c.id_token, literal(work.at))
        .ext(distinct_on(incoming.c.id_token))
        .where(_borrower_of(work, incoming).is_(None))
        .order_by(incoming.c.id_token)
    )
    work.session.execute(insert(Borrower).from_select(["lender_id", "id", "id_token", "created_at"], new))


def _borrower_of(work: Work, incoming: TableClause) -> ScalarSelect[UUID]:
    return _looked_up(Borrower.id, tenancy.own(work, Borrower), Borrower.id_token == incoming.c.id_token)


def _looked_up(found: InstrumentedAttribute[UUID], *key: ColumnElement[bool]) -> ScalarSelect[UUID]:
    # No join: the planner does not know of the rows that this transaction has inserted, takes the table for small,
    # and would read all that the lender has once a batch. A subquery goes to the unique key, row by row.
    return select(found).where(*key).scalar_subquery()


def _insert_cases(work: Work, portfolio_id: UUID, incoming: TableClause, balance_on: dt.date) -> None:
    values: dict[str, Any] = {
        "lender_id": _lender(work),
        "id": incoming.c.case_id,
        "portfolio_id": literal(portfolio_id),
        "borrower_id": _borrower_of(work, incoming),
        "balance_on": literal(balance_on),
        "status": literal(OPEN),
        "masks": incoming.c.masks,
        **{name: incoming.c[name] for name in CASE_FIGURES},
        "overdue_since_on": func.coalesce(incoming.c.overdue_since_on, literal(balance_on) - incoming.c.dpd),
    }
    work.session.execute(insert(Case).from_select(list(values), select(*values.values())))


def _insert_sealed(work: Work, incoming: TableClause) -> None:
    salts = select(_lender(work), incoming.c.case_id, incoming.c.salt)
    work.session.execute(insert(CaseSalt).from_select(["lender_id", "case_id", "salt"], salts))
    first = literal(1)
    cells = select(_lender(work), incoming.c.case_id, first, first, *(incoming.c[name] for name in FIELDS))
    work.session.execute(insert(CaseSealing).from_select(["lender_id", "case_id", "version", "epoch", *FIELDS], cells))


def _insert_phone_tokens(work: Work, incoming: TableClause) -> None:
    first, other = incoming.c.mobile_token, incoming.c.mobile_2_token
    tokens = union_all(
        select(_lender(work), first, incoming.c.case_id),
        select(_lender(work), other, incoming.c.case_id).where(other.is_not(None)),
    )
    work.session.execute(insert(PhoneToken).from_select(["lender_id", "token", "case_id"], tokens))


def _insert_errors(work: Work, portfolio_id: UUID, errors: pl.DataFrame) -> None:
    ids = {"lender_id": str(work.tenant_id), "portfolio_id": str(portfolio_id)}
    bulk.append(work, PortfolioError, errors.with_columns(**{name: pl.lit(id_) for name, id_ in ids.items()}))


def _lender(work: Work) -> BindParameter[UUID]:
    return literal(work.tenant_id)
