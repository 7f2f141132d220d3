"""The way of a sealed batch into the tables: COPY into a temporary one, then INSERT … SELECT under the policies."""

import datetime as dt
from io import BytesIO
from typing import NamedTuple
from uuid import UUID

import polars as pl
from psycopg import Connection
from sqlalchemy import (
    ARRAY,
    BindParameter,
    Column,
    Date,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    and_,
    delete,
    func,
    insert,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as insert_or

from models.borrower import Borrower
from models.case import OPEN, Case, CaseSalt, CaseSealing, PhoneToken
from models.errors import RowError
from models.intake import FIELDS, FIGURES, SealedBatch
from models.portfolio import PortfolioError
from models.services import tenancy
from models.tabular import error_frame
from models.work import Work

# PostgreSQL may write it to a disk: it holds figures, masks, tokens and sealed bytes, nothing in the clear.
incoming = Table(
    "incoming_case",
    MetaData(),
    Column("row", Integer),
    Column("reference", Text),
    Column("product", Text),
    Column("region", Text),
    Column("currency", Text),
    Column("principal", Numeric(18, 2)),
    Column("interest", Numeric(18, 2)),
    Column("fees", Numeric(18, 2)),
    Column("balance", Numeric(18, 2)),
    Column("dpd", Integer),
    Column("bucket", Text),
    Column("age_band", Text),
    Column("overdue_since_on", Date),
    Column("opened_on", Date),
    Column("masks", JSONB),
    Column("case_id", Uuid),
    Column("borrower_id", Uuid),  # of a person new to the lender
    Column("id_token", LargeBinary),
    Column("mobile_token", LargeBinary),
    Column("mobile_2_token", LargeBinary),
    Column("salt", LargeBinary),
    *(Column(field_class, LargeBinary) for field_class in FIELDS),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
BYTES = [column.name for column in incoming.columns if isinstance(column.type, LargeBinary)]


class Stored(NamedTuple):
    """How many rows of a batch became cases, and how many were refused."""

    cases: int
    refused: int


def prepare(work: Work) -> None:
    incoming.create(work.session.connection(), checkfirst=True)


def store(work: Work, portfolio_id: UUID, batch: SealedBatch, balance_on: dt.date) -> Stored:
    """Join the borrowers, insert the cases with what belongs to them, and record the faults."""
    _copy(work, batch.rows)
    taken = _drop_taken(work)
    _insert_borrowers(work)
    _insert_cases(work, portfolio_id, balance_on)
    _insert_sealed(work)
    _insert_phone_tokens(work)
    errors = pl.concat([batch.errors, taken])
    _insert_errors(work, portfolio_id, errors)
    return Stored(batch.rows.height - taken.height, errors["row"].n_unique())


def _copy(work: Work, rows: pl.DataFrame) -> None:
    as_hex = (pl.lit("\\x") + pl.col(BYTES).bin.encode("hex")).name.keep()
    lines = BytesIO()
    rows.select(incoming.columns.keys()).with_columns(as_hex).write_csv(lines, include_header=False)
    raw = work.session.connection().connection.driver_connection
    assert isinstance(raw, Connection)
    with raw.cursor() as cursor:
        cursor.execute("truncate incoming_case")
        with cursor.copy("copy incoming_case from stdin (format csv)") as copy:
            copy.write(lines.getbuffer())


def _drop_taken(work: Work) -> pl.DataFrame:
    """Take out the rows whose case number the lender has used already; answers their faults."""
    taken = (
        delete(incoming)
        .where(tenancy.own(work, Case), Case.reference == incoming.c.reference)
        .returning(incoming.c.row)
    )
    rows = work.session.scalars(taken).all()
    return error_frame([RowError(row, "case_number", "case_number_exists") for row in rows])


def _insert_borrowers(work: Work) -> None:
    new = select(_lender(work), incoming.c.borrower_id, incoming.c.id_token, literal(work.at))
    statement = insert_or(Borrower).from_select(["lender_id", "id", "id_token", "created_at"], new)
    work.session.execute(statement.on_conflict_do_nothing(index_elements=["lender_id", "id_token"]))


def _insert_cases(work: Work, portfolio_id: UUID, balance_on: dt.date) -> None:
    figures = [incoming.c[name] for name in FIGURES if name != "row"]
    rows = select(
        _lender(work),
        incoming.c.case_id,
        literal(portfolio_id),
        Borrower.id,
        literal(balance_on),
        literal(OPEN),
        func.jsonb_strip_nulls(incoming.c.masks),
        *figures,
    ).join(Borrower, and_(tenancy.own(work, Borrower), Borrower.id_token == incoming.c.id_token))
    names = ["lender_id", "id", "portfolio_id", "borrower_id", "balance_on", "status", "masks"]
    work.session.execute(insert(Case).from_select([*names, *(column.name for column in figures)], rows))


def _insert_sealed(work: Work) -> None:
    salts = select(_lender(work), incoming.c.case_id, incoming.c.salt)
    work.session.execute(insert(CaseSalt).from_select(["lender_id", "case_id", "salt"], salts))
    cells = select(_lender(work), incoming.c.case_id, literal(1), literal(1), *(incoming.c[name] for name in FIELDS))
    names = ["lender_id", "case_id", "version", "epoch", *FIELDS]
    work.session.execute(insert(CaseSealing).from_select(names, cells))


def _insert_phone_tokens(work: Work) -> None:
    tokens = union_all(
        select(_lender(work), incoming.c.mobile_token, incoming.c.case_id),
        select(_lender(work), incoming.c.mobile_2_token, incoming.c.case_id).where(
            incoming.c.mobile_2_token.is_not(None)
        ),
    )
    work.session.execute(insert(PhoneToken).from_select(["lender_id", "token", "case_id"], tokens))


def _insert_errors(work: Work, portfolio_id: UUID, errors: pl.DataFrame) -> None:
    columns = [
        func.unnest(literal(errors[name].to_list(), ARRAY(kind)))
        for name, kind in (("row", Integer), ("field", Text), ("code", Text))
    ]
    rows = select(_lender(work), literal(portfolio_id), *columns)
    names = ["lender_id", "portfolio_id", "row", "field", "code"]
    work.session.execute(insert(PortfolioError).from_select(names, rows))


def _lender(work: Work) -> BindParameter[UUID]:
    return literal(work.tenant_id)
