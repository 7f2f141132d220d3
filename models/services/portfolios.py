"""Portfolios: a lender's file of cases, read once, sealed on the way in, and not kept."""

import datetime as dt
from collections.abc import Iterable
from contextlib import closing
from io import BytesIO
from typing import NamedTuple
from uuid import UUID

import polars as pl
from psycopg import Connection
from psycopg.errors import LockNotAvailable
from sqlalchemy import (
    ARRAY,
    Column,
    Date,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    cast,
    delete,
    func,
    insert,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.exc import OperationalError

from crypto.secret import Secret
from models import strata as figures
from models.borrower import Borrower
from models.business_day import day_of
from models.case import OPEN, Case, CaseSalt, CaseSealing, PhoneToken
from models.case_file import read_cases
from models.errors import AlreadyUploaded, Conflict, Invalid, NotFound, RowError
from models.identifiers import looks_personal
from models.ids import new_id
from models.intake import FIELDS, SealedBatch, Sealer
from models.portfolio import FIELD_CLASSES, REFUSED, UPLOADED, ClassKey, Portfolio, PortfolioError
from models.services import audit, organisations, tenancy
from models.tabular import Upload
from models.work import Work

NAME_CHARS_MAX = 100

# A batch lies here between COPY, which row security does not allow into our tables, and its INSERTs.
# PostgreSQL may write it to disk: it holds figures, masks, tokens and sealed bytes, nothing in the clear.
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
COPY = f"copy incoming_case ({', '.join(f'"{name}"' for name in incoming.columns.keys())}) from stdin (format csv)"
KEPT = [name for name in incoming.columns.keys() if name in Case.__table__.columns and name != "borrower_id"]


class Stored(NamedTuple):
    cases: int
    refused: int


def upload(work: Work, stream: Iterable[bytes], name: str) -> Portfolio:
    """Store a case file (CSV in UTF-8 or GB18030, XLSX): its good rows as cases, its bad rows as PortfolioErrors.

    Where no row is good, the portfolio is `refused`. Raises Invalid where the file as a whole is none,
    AlreadyUploaded where the lender has this very file, Conflict while another of its files is being read.
    """
    _check_name(name)
    _take_turn(work)
    file = Upload(stream)
    portfolio = _begin(work, name)
    sealer = Sealer(portfolio.id.bytes, _make_keys(work, portfolio.id), organisations.open_lender_key(work, "index"))
    today = day_of(work.at)
    with closing(sealer.seal_ahead(read_cases(file, today))) as batches:
        stored = [_store(work, portfolio.id, batch, today) for batch in batches]
    _settle(work, portfolio, file.digest(), stored)
    audit.record(
        work,
        audit.Action.PORTFOLIO_UPLOAD,
        {
            "portfolio": portfolio.id,
            "file_digest": portfolio.file_digest,
            "cases": portfolio.case_count,
            "borrowers": portfolio.borrower_count,
            "refused": portfolio.refused_count,
        },
    )
    return portfolio


def list_own(work: Work, after: UUID | None = None, limit: int = 50) -> list[Portfolio]:
    """Newest first, those before the portfolio `after`."""
    page = select(Portfolio).where(tenancy.own(work, Portfolio)).order_by(Portfolio.id.desc()).limit(limit)
    return list(work.session.scalars(page.where(Portfolio.id < after) if after else page))


def get(work: Work, portfolio_id: UUID) -> Portfolio:
    found = work.session.scalar(select(Portfolio).where(tenancy.own(work, Portfolio), Portfolio.id == portfolio_id))
    if found is None:
        raise NotFound
    return found


def list_errors(work: Work, portfolio_id: UUID) -> list[PortfolioError]:
    """Every fault of the file, by row: what the lender downloads to mend it."""
    get(work, portfolio_id)
    return list(
        work.session.scalars(
            select(PortfolioError)
            .where(tenancy.own(work, PortfolioError), PortfolioError.portfolio_id == portfolio_id)
            .order_by(PortfolioError.row, PortfolioError.field, PortfolioError.code)
        )
    )


def strata(work: Work, portfolio_id: UUID) -> figures.Strata:
    """The portfolio as an agency would be offered it whole."""
    get(work, portfolio_id)
    columns = [getattr(Case, name) for name in figures.COLUMNS]
    found = work.session.execute(select(*columns).where(tenancy.own(work, Case), Case.portfolio_id == portfolio_id))
    return figures.stratify(pl.DataFrame(found.all(), schema=figures.SCHEMA, orient="row"))


def _check_name(name: str) -> None:
    faults = {
        "required_missing": not name.strip(),
        "too_long": len(name) > NAME_CHARS_MAX,
        "name_personal": looks_personal(name),
    }
    errors = [RowError(0, "name", code) for code, found in faults.items() if found]
    if errors:
        raise Invalid(errors=errors)


def _take_turn(work: Work) -> None:
    """One file of a lender at a time: two would wait for each other's borrowers, and could do so in a circle."""
    turn = func.pg_advisory_xact_lock(func.hashtextextended(f"{work.tenant_id}/portfolios", 0))
    try:
        work.session.execute(select(turn))
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable):
            raise Conflict("upload_in_progress") from None
        raise


def _begin(work: Work, name: str) -> Portfolio:
    portfolio_id = new_id()
    portfolio = Portfolio(
        lender_id=work.tenant_id,
        id=portfolio_id,
        name=name.strip(),
        file_digest=portfolio_id.bytes,  # until the last byte of the file is read
        state=UPLOADED,
        row_count=0,
        case_count=0,
        borrower_count=0,
        refused_count=0,
        balances={},
        created_by=work.actor.member_id,
        created_at=work.at,
    )
    work.session.add(portfolio)
    work.session.flush()
    return portfolio


def _make_keys(work: Work, portfolio_id: UUID) -> dict[str, Secret]:
    """A key for each field class, wrapped to the lender alone."""
    lender_id = work.tenant_id
    made = work.vault.make_class_keys(str(lender_id), lender_id.bytes, portfolio_id.bytes, FIELD_CLASSES)
    for field_class, (_, wrapped) in made.items():
        work.session.add(
            ClassKey(
                lender_id=lender_id,
                portfolio_id=portfolio_id,
                field_class=field_class,
                epoch=1,
                wrapped=wrapped,
                created_at=work.at,
            )
        )
    work.session.flush()
    incoming.create(work.session.connection(), checkfirst=True)
    return {field_class: key for field_class, (key, _) in made.items()}
