"""Notices: telling one side of a relation what happened, once, in the transaction of what happened; and its inbox."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, true, update
from sqlalchemy.dialects.postgresql import insert

from models.agreement import Agreement
from models.errors import NotFound
from models.ids import new_id
from models.notice import AGENCY, KINDS, LENDER, Notice
from models.services import pages, tenancy
from models.work import AGENCY as AGENCY_SIDE
from models.work import Work

COUNTED_MAX = 100  # above it the navigation says "many"
_INSERT = insert(Notice).on_conflict_do_nothing(index_elements=["lender_id", "agency_id", "told", "key"])


def tell(
    work: Work,
    lender_id: UUID,
    agency_id: UUID,
    told: str,
    kind: str,
    subject_kind: str,
    subject_id: UUID,
    key: str | None = None,
    **facts: Any,
) -> bool:
    """Tell `told` ("lender" or "agency") of `kind` (`noun.verb`); False where this occasion was told already.

    Stands in the lender's tenant (within `as_lender` for an agency's act). `key` names the occasion, by default kind
    and subject. `facts` are counts, dates, codes and ids.
    """
    _require_told(told, kind)
    key = key or f"{kind}/{subject_id}"
    row = _row(work, lender_id, agency_id, told, kind, key, subject_kind, subject_id, facts)
    return work.session.scalar(_INSERT.values(row).returning(Notice.id)) is not None


def tell_agencies(
    work: Work, lender_id: UUID, kind: str, subject_kind: str, subjects: Iterable[Sequence[UUID]], **facts: Any
) -> None:
    """Tell many agencies at once, each of a subject of its own: `agency, subject`; as above, all by the same facts."""
    _require_told(AGENCY, kind)
    rows = [
        _row(work, lender_id, agency_id, AGENCY, kind, f"{kind}/{subject_id}", subject_kind, subject_id, facts)
        for agency_id, subject_id in subjects
    ]
    if rows:
        work.session.execute(_INSERT, rows)


def tell_self(work: Work, kind: str, subject_kind: str, subject_id: UUID, key: str, **facts: Any) -> bool:
    """Tell the organisation at work something of its own; `key` and `facts` as above."""
    own = work.tenant_id
    return tell(work, own, own, _side(work), kind, subject_kind, subject_id, key, **facts)


def list_own(
    work: Work, after: UUID | None = None, limit: int = 50, kind: str | None = None, read: bool | None = None
) -> list[Notice]:
    """What this side was told, the newest first; of one kind, or only what was read, or only what was not."""
    query = select(Notice).where(told_here(work))
    if kind is not None:
        query = query.where(Notice.kind == kind)
    if read is not None:
        query = query.where(Notice.read_at.is_not(None) if read else Notice.read_at.is_(None))
    return list(work.session.scalars(pages.newest(query, Notice.id, after, limit)))


def count_unread(work: Work) -> int:
    """At most COUNTED_MAX: it is asked for with every page."""
    unread = select(Notice.id).where(told_here(work), Notice.read_at.is_(None)).limit(COUNTED_MAX)
    return work.session.scalars(select(func.count()).select_from(unread.subquery())).one()


def get(work: Work, notice_id: UUID) -> Notice:
    found = work.session.scalar(select(Notice).where(told_here(work), Notice.id == notice_id))
    if found is None:
        raise NotFound
    return found


def mark_read(work: Work, notice_id: UUID) -> Notice:
    """For the whole organisation. Who read it first stays."""
    found = get(work, notice_id)
    if found.read_at is None:
        found.read_at, found.read_by = work.at, work.actor.member_id
    return found


def mark_all_read(work: Work, until: UUID, kind: str | None = None) -> int:
    """Up to the newest that the reader had before them; answers how many were not read yet."""
    marked = work.session.scalars(
        update(Notice)
        .where(
            told_here(work),
            Notice.id <= until,
            Notice.read_at.is_(None),
            true() if kind is None else Notice.kind == kind,
        )
        .values(read_at=work.at, read_by=work.actor.member_id)
        .returning(Notice.id)
        .execution_options(synchronize_session=False)
    )
    return len(marked.all())


def names_of(work: Work, notices: list[Notice]) -> dict[UUID, str]:
    """What the other sides of these notices are called, as the agreements with them say."""
    agency = work.actor.side == AGENCY_SIDE
    other, name = (
        (Agreement.lender_id, Agreement.lender_name) if agency else (Agreement.agency_id, Agreement.agency_name)
    )
    ids = {notice.lender_id if agency else notice.agency_id for notice in notices}
    rows = work.session.execute(
        select(other, func.max(name)).where(tenancy.own(work, Agreement), other.in_(ids)).group_by(other)
    )
    return {row[0]: row[1] for row in rows}


def told_here(work: Work) -> ColumnElement[bool]:
    """The notices that the side at work was told, of its own tenant alone."""
    return and_(tenancy.own(work, Notice), Notice.told == _side(work))


def _side(work: Work) -> str:
    return AGENCY if work.actor.side == AGENCY_SIDE else LENDER


def _require_told(told: str, kind: str) -> None:
    if told not in KINDS.get(kind, ()):
        raise ValueError(f"no {told} is told of {kind}")


def _row(
    work: Work,
    lender_id: UUID,
    agency_id: UUID,
    told: str,
    kind: str,
    key: str,
    subject_kind: str,
    subject_id: UUID,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "lender_id": lender_id,
        "id": new_id(),
        "agency_id": agency_id,
        "told": told,
        "kind": kind,
        "key": key,
        "subject_kind": subject_kind,
        "subject_id": subject_id,
        "facts": {name: value if isinstance(value, int | str | bool) else str(value) for name, value in facts.items()},
        "told_at": work.at,
    }
