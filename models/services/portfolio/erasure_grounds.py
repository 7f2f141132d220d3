"""What stands in the way of an erasure: the cases of its subject, how each of them stands, and holds on them."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, and_, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from models.business_day import day_of
from models.case import Case
from models.contact import Contact
from models.erasure import BORROWER, CASE, PORTFOLIO, Ground, LegalHold, obstacle
from models.errors import Conflict, Invalid, NotFound, RowError
from models.ledger import LedgerPayment
from models.placement import PlacedCase
from models.portfolio import Portfolio
from models.services import tenancy
from models.services.exchange import turns
from models.services.parties import lender_settings
from models.tender import TenderedCase
from models.work import LENDER, Work

_SUBJECT: Final[Mapping[str, InstrumentedAttribute[UUID]]] = {
    CASE: Case.id,
    PORTFOLIO: Case.portfolio_id,
    BORROWER: Case.borrower_id,
}


class Prospect(NamedTuple):
    """What an erasure would meet: `cases` to erase, those `erased` before, and how many each reason stops.

    `until` is the day on which the last of those that are retained may go.
    """

    cases: int
    erased: int
    obstacles: Mapping[str, int]
    until: dt.date | None


class Standing(NamedTuple):
    """A case that is not erased yet, and the ground it stands on."""

    case_id: UUID
    ground: Ground


def prospect(work: Work, subject_kind: str, subject_id: UUID) -> Prospect:
    """What an erasure would meet now. NotFound for what the lender does not have."""
    left, erased = _counted(work, subject_kind, subject_id)
    obstacles, until = _obstacles(work, _standings(work, subject_kind, subject_id))
    return Prospect(left, erased, obstacles, until)


def names(work: Work, subject_ids: Iterable[UUID]) -> dict[UUID, str]:
    """What people call those of the subjects that have a name: cases by their number, portfolios by their name.

    A portfolio's name is the lender's own word: nobody under a mandate is told it.
    """
    wanted = set(subject_ids)
    queries = [select(Case.id, Case.reference).where(tenancy.own(work, Case), Case.id.in_(wanted))]
    if work.actor.side == LENDER:
        queries.append(
            select(Portfolio.id, Portfolio.name).where(tenancy.own(work, Portfolio), Portfolio.id.in_(wanted))
        )
    return {id_: name for query in queries for id_, name in work.session.execute(query)}


def take_turn(work: Work) -> None:
    """One erasure or hold of a lender at a time, so that neither overlooks the other."""
    turns.take(work, "erasures")


def require_readable(work: Work, subject_kind: str, subject_id: UUID) -> None:
    """NotFound for what the lender does not have, Conflict `already_erased` where all of it is erased."""
    left, _ = _counted(work, subject_kind, subject_id)
    if not left:
        raise Conflict("already_erased")


def lock_free_cases(work: Work, subject_kind: str, subject_id: UUID) -> list[UUID]:
    """Every case of the subject that is not erased yet, locked in order of id; a Conflict where one may not go."""
    require_readable(work, subject_kind, subject_id)
    for others in ("portfolios", "offers"):  # An upload may be joining a case to this borrower, an offer taking one.
        turns.take(work, others)
    take_turn(work)
    of_subject = _of_subject(work, subject_kind, subject_id)
    unerased = select(Case.id).where(of_subject, Case.erased_at.is_(None)).order_by(Case.id)
    work.session.scalars(unerased.with_for_update()).all()
    cases = _standings(work, subject_kind, subject_id)
    if not cases:
        raise Conflict("already_erased")
    _require_free(work, subject_kind, cases)
    return [case.case_id for case in cases]


def _require_free(work: Work, subject_kind: str, cases: Sequence[Standing]) -> None:
    obstacles, until = _obstacles(work, cases)
    if not obstacles:
        return
    day = {} if until is None else {"until": until.isoformat()}
    if subject_kind == CASE:
        raise Conflict(*obstacles, **day)
    raise Conflict("erasure_blocked", cases=len(cases), **obstacles, **day)


def _obstacles(work: Work, cases: Sequence[Standing]) -> tuple[dict[str, int], dt.date | None]:
    """Reason -> how many cases it stops, and when the last of the retained ones may go."""
    retention = dt.timedelta(days=lender_settings.get(work).retention_days)
    faults = {case: code for case in cases if (code := obstacle(case.ground, retention, work.at))}
    last_acts = [case.ground.last_act_at for case, code in faults.items() if code == "retention_until"]
    until = max((at for at in last_acts if at), default=None)
    return dict(Counter(faults.values())), day_of(until + retention) if until else None


def _counted(work: Work, subject_kind: str, subject_id: UUID) -> tuple[int, int]:
    """How many cases of the subject are left, and how many are erased."""
    left = func.count().filter(Case.erased_at.is_(None))
    row = work.session.execute(
        select(left, func.count(Case.erased_at)).where(_of_subject(work, subject_kind, subject_id))
    ).one()
    if row == (0, 0):
        raise NotFound
    return row[0], row[1]


def _standings(work: Work, subject_kind: str, subject_id: UUID) -> list[Standing]:
    rows = work.session.execute(
        select(
            Case.id,
            exists().where(*_about(work, PlacedCase), PlacedCase.ended_at.is_(None)),
            exists().where(*_about(work, TenderedCase), TenderedCase.open),
            exists().where(tenancy.own(work, LegalHold), LegalHold.lifted_at.is_(None), _holds_case()),
            # Greatest of those there are: PostgreSQL leaves out what is null.
            func.greatest(
                _last(work, Contact, Contact.occurred_at),
                _last(work, LedgerPayment, LedgerPayment.received_at),
                _last(work, PlacedCase, PlacedCase.ended_at),
            ),
        )
        .where(_of_subject(work, subject_kind, subject_id), Case.erased_at.is_(None))
        .order_by(Case.id)
    )
    return [Standing(case_id, Ground(*ground)) for case_id, *ground in rows]


def _of_subject(work: Work, subject_kind: str, subject_id: UUID) -> ColumnElement[bool]:
    if subject_kind not in _SUBJECT:
        raise Invalid(errors=[RowError(0, "subject_kind", "unknown_value")])
    return and_(tenancy.own(work, Case), _SUBJECT[subject_kind] == subject_id)


def _holds_case() -> ColumnElement[bool]:
    """The hold is on the case itself, on its portfolio or on its borrower."""
    return or_(
        *(and_(LegalHold.subject_kind == kind, LegalHold.subject_id == column) for kind, column in _SUBJECT.items())
    )


def _last(
    work: Work,
    table: type[Contact | LedgerPayment | PlacedCase],
    column: InstrumentedAttribute[dt.datetime] | InstrumentedAttribute[dt.datetime | None],
) -> ScalarSelect[dt.datetime | None]:
    return select(func.max(column)).where(*_about(work, table)).scalar_subquery()


def _about(
    work: Work, table: type[Contact | LedgerPayment | TenderedCase | PlacedCase]
) -> tuple[ColumnElement[bool], ...]:
    """Rows of `table` about the `Case` of the query around it."""
    return tenancy.own(work, table), table.lender_id == Case.lender_id, table.case_id == Case.id
