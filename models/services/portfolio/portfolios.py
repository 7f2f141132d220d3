"""Portfolios: a lender's file of cases, read once, sealed on the way in, and not kept."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, and_, exists, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import array

from crypto.fields import FIELD_CLASSES
from models.business_day import day_of
from models.case import OPEN, Case, CaseSealing
from models.case_file import read_cases
from models.errors import AlreadyUploaded, Conflict, Invalid, NotFound, RowError
from models.identifiers import looks_personal
from models.ids import new_id
from models.intake import Sealer
from models.organisation import SELF
from models.placement import Placement
from models.portfolio import PLATFORM, REFUSED, UPLOADED, ClassKey, Portfolio, PortfolioError
from models.sealed_portfolio import peek
from models.services import bulk, pages, tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.services.parties import organisations
from models.services.portfolio import incoming_cases, scrub, sealed_portfolios, tallies
from models.services.portfolio.incoming_cases import Intake, Stored
from models.strata import BALANCE_BAND_ABOVE, BALANCE_BANDS, CASE_SCHEMA, Strata, stratify
from models.tabular import Upload
from models.tender import Tender, TenderedCase
from models.work import Work

NAME_CHARS_MAX = 100
OFFERED, KEPT_BACK, WHOLE = "offered", "kept_back", "whole"  # beside the places of the tallies


class Progress(NamedTuple):
    """Where the cases of a portfolio are now; each is counted once, in the first of these that holds."""

    placed: int
    closed: int  # paid off or cured
    offered: int
    free: int  # to be offered, but for those that are time-barred by now
    kept_back: int = 0  # by the lender's word on the case, an exclusion, a hold or an erasure


class Fault(NamedTuple):
    """In how many rows a field has this fault."""

    field: str
    code: str
    row_count: int


class GridCell(NamedTuple):
    """Cases of one bucket and one band of balances, in one currency."""

    currency: str
    bucket: str
    balance_band: str
    case_count: int
    balance: Decimal


def upload(work: Work, stream: Iterable[bytes], name: str) -> Portfolio:
    """Store a case file (CSV in UTF-8 or GB18030, XLSX): its good rows as cases, its bad rows as PortfolioErrors.

    A lender in self-custody brings one that it has sealed itself (`consign-sealed/1`), and no other.
    Where no row is good, the portfolio is `refused`. Raises Invalid where the file as a whole is none,
    AlreadyUploaded where the lender has this very file, Unavailable while another of its files is being read.
    """
    _check_name(name)
    # One file of a lender at a time: two would wait for each other's borrowers, and could do so in a circle.
    turns.take(work, "portfolios")
    is_sealed, chunks = peek(stream)
    if is_sealed != (organisations.get_own(work).custody == SELF):
        raise Conflict("upload_plain_file" if is_sealed else "upload_sealed_file")
    file = Upload(chunks)
    intake = sealed_portfolios.read(work, file) if is_sealed else _sealing(work, file)
    portfolio = _begin(work, name, intake)
    stored = incoming_cases.store(work, portfolio.id, intake.batches, intake.balance_on)
    _settle(work, portfolio, file.digest(), stored)
    audit.record(
        work,
        audit.Action.PORTFOLIO_UPLOAD,
        {
            "portfolio": portfolio.id,
            "sealed_by": portfolio.sealed_by,
            "file_digest": portfolio.file_digest,
            "cases": portfolio.case_count,
            "borrowers": portfolio.borrower_count,
            "refused": portfolio.refused_count,
        },
    )
    return portfolio


def list_own(work: Work, after: UUID | None = None, limit: int = 50) -> list[Portfolio]:
    """Newest first, those before the portfolio `after`."""
    own = select(Portfolio).where(tenancy.own(work, Portfolio))
    return list(work.session.scalars(pages.newest(own, Portfolio.id, after, limit)))


def get(work: Work, portfolio_id: UUID) -> Portfolio:
    found = work.session.scalar(select(Portfolio).where(tenancy.own(work, Portfolio), Portfolio.id == portfolio_id))
    if found is None:
        raise NotFound
    return found


def list_errors(work: Work, portfolio_id: UUID, limit: int | None = None) -> list[PortfolioError]:
    """Every fault of the file, or its first ones, by row: what the lender downloads to mend it."""
    get(work, portfolio_id)
    return list(
        work.session.scalars(
            select(PortfolioError)
            .where(tenancy.own(work, PortfolioError), PortfolioError.portfolio_id == portfolio_id)
            .order_by(PortfolioError.row, PortfolioError.field, PortfolioError.code)
            .limit(limit)
        )
    )


def count_errors(work: Work, portfolio_id: UUID) -> list[Fault]:
    """The kinds of fault in the file, the most frequent first."""
    get(work, portfolio_id)
    rows = work.session.execute(
        select(PortfolioError.field, PortfolioError.code, func.count())
        .where(tenancy.own(work, PortfolioError), PortfolioError.portfolio_id == portfolio_id)
        .group_by(PortfolioError.field, PortfolioError.code)
        .order_by(func.count().desc(), PortfolioError.field, PortfolioError.code)
    )
    return [Fault(*row) for row in rows]


def count_cells(work: Work, portfolio_id: UUID) -> int:
    """How many cells of its cases are sealed, over all field classes and versions."""
    cells = func.num_nonnulls(CaseSealing.identity, CaseSealing.contact, CaseSealing.related, CaseSealing.account)
    return work.session.scalar(
        select(func.coalesce(func.sum(cells), 0))
        .join(Case, and_(Case.lender_id == CaseSealing.lender_id, Case.id == CaseSealing.case_id))
        .where(tenancy.own(work, Case), tenancy.own(work, CaseSealing), Case.portfolio_id == portfolio_id)
    )  # type: ignore[return-value]


def strata(work: Work, portfolio_id: UUID) -> Strata:
    """The lender's own view of its cases: nothing is merged."""
    get(work, portfolio_id)
    columns = [getattr(Case, name) for name in CASE_SCHEMA]
    cases = select(*columns).where(tenancy.own(work, Case), Case.portfolio_id == portfolio_id)
    return stratify(bulk.read(work, cases, CASE_SCHEMA), k=1)


def progress(work: Work, portfolio_ids: Iterable[UUID]) -> dict[UUID, Progress]:
    """All in one statement: an acceptance between two would count a case twice, or not at all."""
    wanted = list(portfolio_ids)
    places = (*tallies.PLACES, OFFERED, KEPT_BACK, WHOLE)
    found = {portfolio_id: dict.fromkeys(places, 0) for portfolio_id in wanted}
    counted = union_all(
        tallies.of_portfolios(work, wanted),
        _offered(work, wanted),
        _named(KEPT_BACK, scrub.kept_back(work, wanted)),
        _named(WHOLE, scrub.kept_back_whole(work, wanted)),
    )
    for portfolio_id, place, count in work.session.execute(counted):
        found[portfolio_id][place] = count
    return {portfolio_id: _progress(counts) for portfolio_id, counts in found.items()}


def once_placed(work: Work, portfolio_ids: Sequence[UUID]) -> set[UUID]:
    """Those of which cases were placed at some time, wherever they are now."""
    placed = select(Placement.portfolio_id).where(
        tenancy.own(work, Placement), Placement.portfolio_id.in_(portfolio_ids)
    )
    return set(work.session.scalars(placed.distinct()))


def grid(work: Work, portfolio_id: UUID) -> list[GridCell]:
    """The lender's own cases by bucket and balance, as they stand now; a cell without cases is left out."""
    get(work, portfolio_id)
    bands = (*BALANCE_BANDS.values(), BALANCE_BAND_ABOVE)
    band = func.width_bucket(Case.balance, array([literal(Decimal(below)) for below in BALANCE_BANDS]))
    banded = (
        select(Case.currency, Case.bucket, Case.balance, band.label("band"))
        .where(tenancy.own(work, Case), Case.portfolio_id == portfolio_id)
        .subquery()
    )
    cell = (banded.c.currency, banded.c.bucket, banded.c.band)
    rows = work.session.execute(select(*cell, func.count(), func.sum(banded.c.balance)).group_by(*cell).order_by(*cell))
    return [GridCell(currency, bucket, bands[at], count, balance) for currency, bucket, at, count, balance in rows]


def list_keys(work: Work, portfolio_id: UUID) -> list[ClassKey]:
    """The newest key of each field class, in the order of FIELD_CLASSES."""
    get(work, portfolio_id)
    keys = select(ClassKey).where(tenancy.own(work, ClassKey), ClassKey.portfolio_id == portfolio_id)
    newest = {key.field_class: key for key in work.session.scalars(keys.order_by(ClassKey.epoch))}
    return [newest[field_class] for field_class in FIELD_CLASSES if field_class in newest]


def _progress(counts: Mapping[str, int]) -> Progress:
    unoffered = counts[tallies.UNPLACED] - counts[OFFERED]
    kept_back = unoffered if counts[WHOLE] else counts[KEPT_BACK]
    return Progress(
        placed=counts[tallies.PLACED],
        closed=counts[tallies.CLOSED],
        offered=counts[OFFERED],
        free=unoffered - kept_back,
        kept_back=counts[tallies.HALTED] + kept_back,
    )


def _named(place: str, counted: Select[UUID, int]) -> Select[UUID, str, int]:
    portfolio_id, count = counted.subquery().c
    return select(portfolio_id, literal(place), count)


def _offered(work: Work, portfolio_ids: Sequence[UUID]) -> Select[UUID, str, int]:
    """Of each portfolio, the open cases in live tenders, which are placed nowhere. The others of them are few, and an
    index has them."""
    not_open = exists().where(tenancy.own(work, Case), Case.id == TenderedCase.case_id, Case.status != OPEN)
    return (
        select(Tender.portfolio_id, literal(OFFERED), func.count())
        .join(TenderedCase, and_(TenderedCase.lender_id == Tender.lender_id, TenderedCase.tender_id == Tender.id))
        .where(
            tenancy.own(work, Tender),
            tenancy.own(work, TenderedCase),
            Tender.portfolio_id.in_(portfolio_ids),
            TenderedCase.open,
            ~not_open,
        )
        .group_by(Tender.portfolio_id)
    )


def _check_name(name: str) -> None:
    faults = {
        "required_missing": not name.strip(),
        "too_long": len(name) > NAME_CHARS_MAX,
        "name_personal": looks_personal(name),
    }
    errors = [RowError(0, "name", code) for code, found in faults.items() if found]
    if errors:
        raise Invalid(errors=errors)


def _sealing(work: Work, file: Upload) -> Intake:
    """A case file, sealed here: a key for each field class, wrapped to the lender alone."""
    lender_id, portfolio_id, today = work.tenant_id, new_id(), day_of(work.at)
    made = work.vault.make_class_keys(str(lender_id), lender_id.bytes, portfolio_id.bytes, FIELD_CLASSES)
    keys = {field_class: wrapped.key for field_class, wrapped in made.items()}
    sealer = Sealer(portfolio_id.bytes, keys, organisations.open_lender_key(work, "index"))
    return Intake(
        portfolio_id=portfolio_id,
        sealed_by=PLATFORM,
        wraps={field_class: (wrapped.wrapped, wrapped.signature, 1) for field_class, wrapped in made.items()},
        batches=sealer.seal_batches(read_cases(file, today)),
        balance_on=today,
    )


def _begin(work: Work, name: str, intake: Intake) -> Portfolio:
    portfolio = Portfolio(
        lender_id=work.tenant_id,
        id=intake.portfolio_id,
        name=name.strip(),
        file_digest=intake.portfolio_id.bytes,  # until the last byte of the file is read
        state=UPLOADED,
        sealed_by=intake.sealed_by,
        row_count=0,
        case_count=0,
        borrower_count=0,
        refused_count=0,
        balances={},
        products=[],
        created_by=work.actor.member_id,
        created_at=work.at,
    )
    work.session.add(portfolio)
    work.session.flush()
    for field_class, (wrapped, signature, serial) in intake.wraps.items():
        work.session.add(
            ClassKey(
                lender_id=work.tenant_id,
                portfolio_id=portfolio.id,
                field_class=field_class,
                epoch=1,
                serial=serial,
                wrapped=wrapped,
                signature=signature,
                created_at=work.at,
            )
        )
    work.session.flush()
    return portfolio


def _settle(work: Work, portfolio: Portfolio, file_digest: bytes, stored: Stored) -> None:
    """The whole file is read: is it new, and what does it come to?"""
    same_file = select(Portfolio.id).where(tenancy.own(work, Portfolio), Portfolio.file_digest == file_digest)
    if twin := work.session.scalar(same_file):
        raise AlreadyUploaded(portfolio=twin)
    mine = (tenancy.own(work, Case), Case.portfolio_id == portfolio.id)
    totals = work.session.execute(select(Case.currency, func.sum(Case.balance)).where(*mine).group_by(Case.currency))
    portfolio.balances = {currency: str(total) for currency, total in totals}
    products = select(Case.product).where(*mine).distinct().order_by(Case.product)
    portfolio.products = list(work.session.scalars(products))
    portfolio.borrower_count = work.session.scalar(select(func.count(Case.borrower_id.distinct())).where(*mine)) or 0
    portfolio.case_count = stored.cases
    portfolio.refused_count = stored.refused
    portfolio.row_count = portfolio.case_count + portfolio.refused_count
    portfolio.state = UPLOADED if portfolio.case_count else REFUSED
    portfolio.file_digest = file_digest
    work.session.flush()
