"""Retention (留案): before a term ends the agency asks to keep cases, the lender approves some; silence is a no.

What the lender approves of a placement is capped, and the cap holds whoever else approves at the same moment: every
decision locks the placement first. What the rule for paying cases keeps (see `paying`) stands beside the cap.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, insert, literal, select, true, update

from models.business_day import day_of
from models.case import Case
from models.claim import Claim
from models.errors import CaseClosedToWork, Conflict, Invalid, NotFound, RowError, outside
from models.ids import new_ids
from models.notice import AGENCY as TO_AGENCY
from models.notice import LENDER as TO_LENDER
from models.placement import ACTIVE, LIVE, Placement
from models.promise import Promise
from models.retention import APPROVED, GROUNDS, PROMISE, REQUESTED, TRANSITIONS, Retention
from models.services import bulk, pages, tenancy
from models.services.exchange import ends, paying, placements
from models.services.oversight import audit
from models.services.parties import lender_settings
from models.states import step
from models.work import LENDER, Work

RECENT_DAYS = 30  # where the lender's own `paying_days` is 0


class Window(NamedTuple):
    """When an agency may ask, and for how much; `left` is how many cases the lender may still approve."""

    opens_at: dt.datetime
    closes_at: dt.datetime
    days_max: int
    cases_max: int
    left: int


class RetentionLine(NamedTuple):
    """`reference` and `balance` are None for an agency that no longer has the case. `expires_at`: of the placement."""

    retention: Retention
    reference: str | None
    balance: Decimal | None
    currency: str
    lender_name: str
    agency_name: str
    expires_at: dt.datetime
    promised_on: dt.date | None
    claimed_on: dt.date | None


class RetentionFilter(NamedTuple):
    """What to list; None leaves it open."""

    state: str | None = None
    placement_id: UUID | None = None
    agency_id: UUID | None = None


ANY = RetentionFilter()


class Waiting(NamedTuple):
    """What waits for a decision; `up_to` is None where nothing does. What is asked for later has a higher id.

    `digest`: SHA-256 of the ids, ascending, each as its 16 bytes; which they are, and not how many alone.
    """

    cases: int
    up_to: UUID | None
    digest: bytes


class Decided(NamedTuple):
    """How many were decided, and how many left as they stand: of placements of which not all could be."""

    cases: int
    left: int


def request(work: Work, placement_id: UUID, case_ids: list[UUID], ground: str, days: int) -> int:
    """The agency asks to keep these cases for so many days beyond the term; answers how many it asked for.

    NotFound unless it holds each of them under the placement. Conflict `retention_window` outside the window,
    `retention_stands` where one was asked for or retained before, `ground_missing` where the agency has recorded no
    open promise, or claimed no recent payment. CaseClosedToWork where it asks too late, or while frozen.
    """
    _refuse_impossible(case_ids, ground, days)
    placement = placements.get(work, placement_id)
    wanted = sorted(set(case_ids))
    with work.as_lender(placement):
        placements.lock(work, placement)
        days_max = require_window(work, placement).days_max
        if faults := outside("days", days, 1, days_max):
            raise Invalid(errors=faults)
        ends.require_live(work, placement, wanted)
        if standing := asked_of(work, placement, wanted):
            raise _refuse_cases("retention_stands", standing)
        if missing := set(wanted) - shown(work, placement, wanted, ground):
            raise _refuse_cases("ground_missing", missing)
        ask(work, placement, wanted, ground, days)
    return len(wanted)


def _refuse_cases(code: str, case_ids: set[UUID]) -> Conflict:
    """Names which of those that were asked for are in the way of the rest."""
    return Conflict(code, count=len(case_ids), case_ids=sorted(map(str, case_ids)))


def require_window(work: Work, placement: Placement) -> Window:
    """The window of the locked placement, in which the agency may ask now; else Conflict. In the lender's tenant."""
    ends.refuse_ended(placement, "retain", "placement_not_active")
    if placement.state != ACTIVE:
        raise Conflict("placement_not_active", state=placement.state)
    placements.refuse_frozen(work, placement)
    open_, now = _window(work, placement), work.now()
    if not open_.opens_at <= now < open_.closes_at:
        told: dict[str, Any] = {"opens_at": open_.opens_at.isoformat(), "closes_at": open_.closes_at.isoformat()}
        if now < open_.opens_at:
            raise Conflict("retention_window", **told)
        raise CaseClosedToWork("retention_window", placement.id, **told)
    return open_


def asked_of(work: Work, placement: Placement, case_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the cases that were asked for, or retained, before."""
    standing = select(Retention.case_id).where(
        tenancy.of_lender(placement.lender_id, Retention),
        Retention.placement_id == placement.id,
        bulk.among(Retention.case_id, case_ids),
        Retention.state.in_((REQUESTED, APPROVED)),
    )
    return set(work.session.scalars(standing))


def shown(work: Work, placement: Placement, case_ids: Sequence[UUID], ground: str) -> set[UUID]:
    """Those that have what the ground says, by what the agency itself has recorded: the ledger it does not see."""
    today = day_of(work.at)
    if ground == PROMISE:
        recorded = select(Promise.case_id).where(*_recorded(placement, Promise, case_ids), Promise.due_on >= today)
    else:
        days = lender_settings.of_lender(work, placement.lender_id).paying_days or RECENT_DAYS
        since = today - dt.timedelta(days=days)
        recorded = select(Claim.case_id).where(*_recorded(placement, Claim, case_ids), Claim.paid_on > since)
    return set(work.session.scalars(recorded))


def ask(work: Work, placement: Placement, case_ids: Sequence[UUID], ground: str, days: int) -> None:
    """Ask for cases of the locked placement of which all that is required was seen to."""
    shared = {
        "lender_id": placement.lender_id,
        "agency_id": placement.agency_id,
        "placement_id": placement.id,
        "ground": ground,
        "days": days,
        "state": REQUESTED,
        "requested_by": work.actor.member_id,
        "requested_at": work.at,
    }
    ids = new_ids(len(case_ids))
    rows = [shared | {"id": id_, "case_id": case_id} for id_, case_id in zip(ids, case_ids, strict=True)]
    work.session.execute(insert(Retention), rows)
    subject = {"placement": placement.id, "agency": placement.agency_id, "ground": ground, "days": days}
    audit.record(work, audit.Action.RETENTION_REQUEST, {**subject, "count": len(case_ids)})
    placements.tell(work, placement, TO_LENDER, "retention.requested", key=ids[0], cases=len(case_ids))


def decide(work: Work, retention_ids: list[UUID], *, approve: bool) -> int:
    """Approve or refuse what was asked for, all of it or nothing; answers how many.

    NotFound for an unknown one; Conflict `wrong_state` where one is decided or lapsed, `retention_cap` where more
    would be approved than the lender's share of a placement's cases, `placement_expired` after its term.
    """
    if not retention_ids:
        raise Invalid(errors=[RowError(0, "retention_ids", "required_missing")])
    wanted = set(retention_ids)
    groups = _lock(work, bulk.among(Retention.id, sorted(wanted)))
    if sum(map(len, groups.values())) != len(wanted):
        raise NotFound
    for placement, found in groups.items():
        _decide(work, placement, found, approve=approve)
    return len(wanted)


def decide_all(
    work: Work, filters: RetentionFilter, up_to: UUID | None, digest: bytes | None, *, approve: bool
) -> Decided:
    """Approve or refuse all that waits under the filters, and was asked for no later than `up_to`.

    Placement by placement: where more is asked for than may be approved, or the term is over, all of it is left.
    Conflict `list_changed` unless it is what was seen, by its digest as `waiting` tells it: an id is older than the
    commit that shows it, and what was seen may be withdrawn by a recall.
    """
    until = true() if up_to is None else Retention.id <= up_to
    groups = _lock(work, and_(*_matching(filters._replace(state=REQUESTED)), until))
    ids = sorted(row.id for rows in groups.values() for row in rows)
    if digest is not None and digest != _digest(ids):
        raise Conflict("list_changed", cases=len(ids))
    decided = left = 0
    for placement, found in groups.items():
        try:
            _decide(work, placement, found, approve=approve)
        except Conflict:  # nothing of this placement is changed yet
            left += len(found)
        else:
            decided += len(found)
    return Decided(decided, left)


def window(work: Work, placement_id: UUID) -> Window:
    """As it is now, for either side."""
    placement = placements.get(work, placement_id)
    if work.actor.side == LENDER or work.actor.tenant_id == placement.lender_id:
        return _window(work, placement)
    with work.as_lender(placement):
        return _window(work, placement)


def list_own(
    work: Work, filters: RetentionFilter = ANY, after: UUID | None = None, limit: int = 50
) -> list[RetentionLine]:
    """Newest first: what all agencies asked of the lender, or the agency itself of anyone."""
    query = (
        select(
            Retention,
            Case.reference,
            Case.balance,
            Placement.currency,
            Placement.lender_name,
            Placement.agency_name,
            Placement.expires_at,
            _newest(work, Promise, Promise.due_on),
            _newest(work, Claim, Claim.paid_on),
        )
        .join(Placement, and_(Placement.lender_id == Retention.lender_id, Placement.id == Retention.placement_id))
        .outerjoin(
            Case, and_(tenancy.own(work, Case), Case.lender_id == Retention.lender_id, Case.id == Retention.case_id)
        )
        .where(tenancy.own(work, Retention), tenancy.own(work, Placement))
    )
    query = query.where(*_matching(filters))
    return [RetentionLine(*row) for row in work.session.execute(pages.newest(query, Retention.id, after, limit))]


def waiting(work: Work, filters: RetentionFilter = ANY) -> Waiting:
    """What waits for the lender's decision, whatever state the filters name."""
    query = select(Retention.id).where(tenancy.own(work, Retention), *_matching(filters._replace(state=REQUESTED)))
    ids = work.session.scalars(query.order_by(Retention.id)).all()
    return Waiting(len(ids), ids[-1] if ids else None, _digest(ids))


def _digest(ids: Sequence[UUID]) -> bytes:
    return sha256(b"".join(id_.bytes for id_ in ids)).digest()


def _refuse_impossible(case_ids: list[UUID], ground: str, days: int) -> None:
    errors = [
        *([RowError(0, "case_ids", "required_missing")] if not case_ids else []),
        *([RowError(0, "ground", "unknown_value")] if ground not in GROUNDS else []),
        *outside("days", days, 1),
    ]
    if errors:
        raise Invalid(errors=errors)


def _window(work: Work, placement: Placement) -> Window:
    settings = lender_settings.of_lender(work, placement.lender_id)
    cases_max = placement.case_count * settings.retention_percent_max // 100
    approved = select(func.count()).where(
        tenancy.of_lender(placement.lender_id, Retention),
        Retention.placement_id == placement.id,
        Retention.state == APPROVED,
        Retention.requested_by.is_not(None),
    )
    left = max(0, cases_max - (work.session.scalar(approved) or 0))
    opens_at = placement.expires_at - dt.timedelta(days=settings.retention_window_days)
    return Window(opens_at, placement.expires_at, settings.retention_days_max, cases_max, left)


def _matching(filters: RetentionFilter) -> list[ColumnElement[bool]]:
    columns = (
        (Retention.state, filters.state),
        (Retention.placement_id, filters.placement_id),
        (Retention.agency_id, filters.agency_id),
    )
    return [column == value for column, value in columns if value is not None]


def _lock(work: Work, which: ColumnElement[bool]) -> dict[Placement, list[Retention]]:
    """The lender's retentions by their placements, all locked: what was decided meanwhile is seen."""
    assert work.actor.side == LENDER
    named = and_(tenancy.own(work, Retention), which)
    placement_ids = work.session.scalars(select(Retention.placement_id).where(named).distinct()).all()
    groups: dict[Placement, list[Retention]] = {
        placement: [] for placement in ends.lock(work, work.tenant_id, placement_ids, [])
    }
    by_id = {placement.id: rows for placement, rows in groups.items()}
    locked = (
        select(Retention)
        .where(named, bulk.among(Retention.placement_id, placement_ids))
        .order_by(Retention.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    for row in work.session.scalars(locked):
        by_id[row.placement_id].append(row)
    return {placement: rows for placement, rows in groups.items() if rows}


def _recorded(
    placement: Placement, table: type[Promise] | type[Claim], case_ids: Sequence[UUID]
) -> tuple[ColumnElement[bool], ...]:
    return (
        tenancy.of_lender(placement.lender_id, table),
        table.placement_id == placement.id,
        bulk.among(table.case_id, case_ids),
    )


def _decide(work: Work, placement: Placement, found: Sequence[Retention], *, approve: bool) -> None:
    states = {step(TRANSITIONS, row.state, "approve" if approve else "refuse") for row in found}
    if approve:
        _require_room(work, placement, len(found))
    work.session.execute(
        update(Retention)
        .where(tenancy.own(work, Retention), bulk.among(Retention.id, [row.id for row in found]))
        .values(state=literal(states.pop()), decided_by=work.actor.member_id, decided_at=work.at)
        .execution_options(synchronize_session=False)
    )
    if approve:
        for days in sorted({row.days for row in found}):
            paying.extend(work, placement, [row.case_id for row in found if row.days == days], days)
    action = audit.Action.RETENTION_APPROVE if approve else audit.Action.RETENTION_REFUSE
    subject = {"placement": placement.id, "agency": placement.agency_id, "count": len(found)}
    audit.record(work, action, {**subject, "cases": audit.named([row.case_id for row in found])})
    kind = "retention.approved" if approve else "retention.refused"
    placements.tell(work, placement, TO_AGENCY, kind, key=found[0].id, cases=len(found))


def _require_room(work: Work, placement: Placement, count: int) -> None:
    if placement.state not in LIVE:
        raise Conflict("placement_not_active", state=placement.state)
    if work.now() >= placement.expires_at:
        raise Conflict("placement_expired")
    room = _window(work, placement)
    if count > room.left:
        raise Conflict("retention_cap", asked=count, cases_max=room.cases_max, left=room.left)


def _newest(work: Work, table: type[Promise] | type[Claim], column: Any) -> ColumnElement[dt.date]:
    """The latest day that the agency named for the case under this placement."""
    return (
        select(func.max(column))
        .where(
            tenancy.own(work, table),
            table.lender_id == Retention.lender_id,
            table.placement_id == Retention.placement_id,
            table.case_id == Retention.case_id,
        )
        .correlate(Retention)
        .scalar_subquery()
    )
