"""The commission statement of an agreement and a month: the booked lines and what they come to, for both parties."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Numeric, case, cast, func, select

from models.agreement import Agreement
from models.commission.engine import CASE_FEE, CLAWBACK, CONTINGENCY
from models.commission.statement_file import statement_file
from models.commission_line import CommissionLine
from models.errors import NotFound
from models.services import tenancy
from models.services.exchange import agreements
from models.services.oversight import exports
from models.services.settlement import commissions
from models.work import Work


class Total(NamedTuple):
    """Sums of the lines in one currency: what was recovered, and what it earns."""

    currency: str
    line_count: int
    base_amount: Decimal
    amount: Decimal


class Breakdown(NamedTuple):
    """The way from what borrowers paid to what the agency is owed; the last four sum to it."""

    currency: str
    recovered: Decimal
    base_amount: Decimal  # the part of it that earns
    commission: Decimal
    case_fees: Decimal
    clawback: Decimal  # for payments taken back: zero or below
    adjustment: Decimal  # of lines booked before

    @property
    def payable(self) -> Decimal:
        return self.commission + self.case_fees + self.clawback + self.adjustment


class RateGroup(NamedTuple):
    currency: str
    rate: Decimal | None  # None: fees for cases
    line_count: int
    base_amount: Decimal
    amount: Decimal


class StatementHead(NamedTuple):
    agreement_id: UUID
    agreement_number: str
    lender_name: str
    agency_name: str
    period: str  # YYYY-MM
    totals: list[Total]


class Statement(NamedTuple):
    """`lines` may be one page of them; the totals are of all."""

    head: StatementHead
    lines: list[CommissionLine]


def list_own(work: Work) -> list[StatementHead]:
    """A lender's statements, or the agency's: the newest month first."""
    parties = {agreement.id: agreement for agreement in agreements.list_own(work)}
    found: dict[tuple[str, UUID], list[Total]] = {}
    for agreement_id, period, *total in work.session.execute(
        select(CommissionLine.agreement_id, CommissionLine.period, *_total())
        .where(tenancy.own(work, CommissionLine))
        .group_by(CommissionLine.agreement_id, CommissionLine.period, CommissionLine.currency)
        .order_by(CommissionLine.period.desc(), CommissionLine.agreement_id.desc(), CommissionLine.currency)
    ):
        found.setdefault((period, agreement_id), []).append(Total(*total))
    return [_head(parties[agreement_id], period, totals) for (period, agreement_id), totals in found.items()]


def get(
    work: Work,
    agreement_id: UUID,
    period: str,
    after: UUID | None = None,
    limit: int | None = None,
    rate: Decimal | None = None,
    component: str | None = None,
) -> Statement:
    """The statement, its lines in the order in which they were booked; NotFound where nothing is booked."""
    lines = select(CommissionLine).where(*_of(work, agreement_id, period)).order_by(CommissionLine.id).limit(limit)
    if rate is not None:
        lines = lines.where(_rate() == rate)
    if component is not None:
        lines = lines.where(CommissionLine.component == component)
    head = _get_head(work, agreement_id, period)
    return Statement(head, list(work.session.scalars(lines.where(CommissionLine.id > after) if after else lines)))


def breakdown(work: Work, agreement_id: UUID, period: str) -> list[Breakdown]:
    """One for each currency, from the booked lines."""
    first = CommissionLine.adjusts_id.is_(None)
    earned, fee, clawed_back = (
        first & (CommissionLine.component == component) for component in (CONTINGENCY, CASE_FEE, CLAWBACK)
    )
    paid = cast(CommissionLine.derivation["payment"]["amount"].astext, Numeric(18, 2))
    query = (
        select(
            CommissionLine.currency,
            _sum(paid, earned),
            _sum(CommissionLine.base_amount, earned),
            _sum(CommissionLine.amount, earned),
            _sum(CommissionLine.amount, fee),
            _sum(CommissionLine.amount, clawed_back),
            _sum(CommissionLine.amount, ~first),
        )
        .where(*_of(work, agreement_id, period))
        .group_by(CommissionLine.currency)
        .order_by(CommissionLine.currency)
    )
    return [Breakdown(*row) for row in work.session.execute(query)]


def rate_groups(work: Work, agreement_id: UUID, period: str) -> list[RateGroup]:
    """The lines summed by rate, the highest first, then the fees for cases."""
    rate = _rate().label("of_rate")
    query = (
        select(CommissionLine.currency, rate, *_total()[1:])
        .where(*_of(work, agreement_id, period))
        .group_by(CommissionLine.currency, rate)
        .order_by(CommissionLine.currency, rate.desc().nulls_last())
    )
    return [RateGroup(*row) for row in work.session.execute(query)]


def csv_lines(work: Work, agreement_id: UUID, period: str) -> Iterator[str]:
    """Pieces of the statement file, which `python -m models.commission verify` recomputes. The download is logged."""
    _get_head(work, agreement_id, period)
    query = select(*commissions.line_columns()).where(*_of(work, agreement_id, period))
    lines = commissions.read_lines(work, query)
    pieces = list(statement_file(lines))
    subject = {"agreement": agreement_id, "period": period}
    exports.record_exempt(work, "statement", subject, lines.height, "".join(pieces).encode())
    return iter(pieces)


def _get_head(work: Work, agreement_id: UUID, period: str) -> StatementHead:
    agreement = agreements.get(work, agreement_id)
    totals = work.session.execute(
        select(*_total())
        .where(*_of(work, agreement_id, period))
        .group_by(CommissionLine.currency)
        .order_by(CommissionLine.currency)
    )
    head = _head(agreement, period, [Total(*total) for total in totals])
    if not head.totals:
        raise NotFound
    return head


def _of(work: Work, agreement_id: UUID, period: str) -> tuple[ColumnElement[bool], ...]:
    return (
        tenancy.own(work, CommissionLine),
        CommissionLine.agreement_id == agreement_id,
        CommissionLine.period == period,
    )


def _rate() -> ColumnElement[Decimal | None]:
    """A fee has none, though its line holds 0."""
    return case((CommissionLine.component != CASE_FEE, CommissionLine.rate))


def _sum(amount: Any, where: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(amount).filter(where), Decimal("0.00"))


def _head(agreement: Agreement, period: str, totals: list[Total]) -> StatementHead:
    return StatementHead(agreement.id, agreement.number, agreement.lender_name, agreement.agency_name, period, totals)


def _total() -> tuple[ColumnElement[Any], ...]:
    return (
        CommissionLine.currency.expression,
        func.count(),
        func.sum(CommissionLine.base_amount),
        func.sum(CommissionLine.amount),
    )
