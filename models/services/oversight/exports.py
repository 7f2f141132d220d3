"""Exports: files that leave, each one person's at one time with its digest in the log; a large one has two people.

A file of more rows than the lenders in it allow is asked for, approved by somebody else of the organisation, and then
taken once; of lists of cases, what the same person took alone in the last 24 hours counts as rows of it. What is in it
is read when it is taken: what was recalled or frozen meanwhile is not.

The log itself and statements need no second person: a log holds ids, codes and digests alone, and both parties of a
statement must be able to prove it to each other at any time.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select

from models.agreement import Agreement
from models.errors import Conflict, Forbidden, Invalid, NotFound, RowError
from models.export import APPROVED, AWAITING, PERSONAL, REFUSED, TAKEN, Export
from models.identifiers import looks_personal
from models.ids import new_id
from models.services import pages, tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.services.parties import lender_settings
from models.work import AGENCY, AUDITOR, LENDER, Work

ROWS_MAX = 100_000  # of one file, which is made in memory
REQUEST_LASTS = dt.timedelta(hours=24)
COUNTED_FOR = dt.timedelta(hours=24)
WORDS: Final = ("search", "name", "product")  # filters that are no code
ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
CODE: Final = re.compile(r"[A-Za-z0-9_.:+-]{1,60}")

DECIDERS: Final[Mapping[str, frozenset[str]]] = {
    LENDER: frozenset({"compliance_officer", "administrator"}),
    AGENCY: frozenset({"manager"}),
    AUDITOR: frozenset({"auditor"}),
}


class File(NamedTuple):
    """What leaves: its export and its bytes."""

    export: Export
    content: bytes


def take(
    work: Work,
    kind: str,
    subject: Mapping[str, str],
    rows_of: Counter[UUID],
    write: Callable[[UUID], bytes],
    approved: Export | None = None,
) -> File:
    """Log the file that `write` makes under the id of its export; it may leave once the transaction is committed.

    `rows_of` counts rows by lender; `approved` is what `claim` answered. Conflict `export_too_large` above ROWS_MAX,
    `export_needs_second_person` above what the lenders allow, `export_grew` above what was approved.
    """
    row_count = rows_of.total()
    if approved is None:
        _require_allowed(work, kind, rows_of)
    elif row_count > approved.row_count:
        raise Conflict("export_grew", rows=row_count, rows_max=approved.row_count)
    export = approved or _add(work, kind, subject, row_count, TAKEN)
    content = write(export.id)
    export.row_count, export.file_digest = row_count, sha256(content).digest()
    export.state, export.taken_at = TAKEN, work.at
    facts = {"export": kind, "export_id": export.id, "file_digest": export.file_digest}
    facts |= {"approved_by": export.decided_by}
    audit.record(work, audit.Action.EXPORT_DOWNLOAD, facts | {"rows": row_count} | _ids_of(subject))
    for lender_id, agreement in _agreements(work, rows_of).items():
        with work.as_lender(agreement):
            audit.record(work, audit.Action.EXPORT_DOWNLOAD, facts | {"rows": rows_of[lender_id]})
    return File(export, content)


def _require_allowed(work: Work, kind: str, rows_of: Counter[UUID]) -> None:
    """Refuse what is too large for one file, or for one person: of the lenders concerned, the strictest decides."""
    rows = rows_of.total()
    if rows > ROWS_MAX:
        raise Conflict("export_too_large", rows_max=ROWS_MAX)
    turns.take(work, f"exports of {work.actor.member_id}")  # Of two files at once each would overlook the other.
    allowed = allowance(work, kind, rows_of)
    if rows > allowed:
        raise Conflict("export_needs_second_person", rows=rows, rows_max=allowed)


def allowance(work: Work, kind: str, rows_of: Counter[UUID]) -> int:
    """How many rows this person may take alone now, of a file in which these lenders have rows."""
    return max(0, limit(work, rows_of) - (_taken_lately(work) if kind in PERSONAL else 0))


def limit(work: Work, rows_of: Counter[UUID]) -> int:
    """How many rows one person may take alone where these lenders have rows."""
    if work.actor.side != AGENCY:
        return lender_settings.get(work).export_rows
    limits = []
    for lender_id, agreement in _agreements(work, rows_of).items():
        with work.as_lender(agreement):
            limits.append(lender_settings.of_lender(work, lender_id).export_rows)
    return min(limits, default=0)


def request(work: Work, kind: str, subject: Mapping[str, str], rows_of: Counter[UUID]) -> Export:
    """Ask for a file that needs a second person. Conflict `export_not_large` for one that does not."""
    if rows_of.total() > ROWS_MAX:
        raise Conflict("export_too_large", rows_max=ROWS_MAX)
    if rows_of.total() <= allowance(work, kind, rows_of):
        raise Conflict("export_not_large")
    export = _add(work, kind, subject, rows_of.total(), AWAITING)
    facts = {"export": kind, "export_id": export.id, "rows": export.row_count}
    audit.record(work, audit.Action.EXPORT_REQUEST, facts | _ids_of(subject))
    return export


def decide(work: Work, export_id: UUID, approve: bool) -> Export:
    """Approve or refuse what somebody else has asked for; of two who decide at once, one does.

    Forbidden without the role, or `export_own` for whoever asked; Conflict `export_decided` where it is decided,
    `export_lapsed` where it is too late.
    """
    if not may_decide(work):
        raise Forbidden
    export = _lock(work, export_id)
    if export.requested_by == work.actor.member_id:
        raise Forbidden("export_own")
    _require(export, AWAITING, "export_decided", work.now())
    export.state = APPROVED if approve else REFUSED
    export.decided_by, export.decider_name, export.decided_at = work.actor.member_id, work.actor.name, work.at
    export.expires_at = work.at + REQUEST_LASTS if approve else export.expires_at
    action = audit.Action.EXPORT_APPROVE if approve else audit.Action.EXPORT_REFUSE
    audit.record(work, action, {"export": export.kind, "export_id": export.id, "rows": export.row_count})
    work.session.flush()
    return export


def claim(work: Work, export_id: UUID) -> Export:
    """Lock what was approved for this person, to be taken in the same transaction.

    NotFound for what somebody else asked for; Conflict `export_not_approved` before the approval and after the one
    download, `export_lapsed` where it is too late.
    """
    export = _lock(work, export_id)
    if export.requested_by != work.actor.member_id:
        raise NotFound
    _require(export, APPROVED, "export_not_approved", work.now())
    return export


def get(work: Work, export_id: UUID) -> Export:
    found = work.session.scalar(select(Export).where(_visible(work), Export.id == export_id))
    if found is None:
        raise NotFound
    return found


def list_own(work: Work, after: UUID | None = None, limit: int = 50) -> list[Export]:
    """Newest first: for who may decide, those of the whole organisation, for others their own."""
    return list(work.session.scalars(pages.newest(select(Export).where(_visible(work)), Export.id, after, limit)))


def may_decide(work: Work) -> bool:
    return bool(DECIDERS.get(work.actor.side, frozenset()) & work.actor.roles)


def record_exempt(work: Work, kind: str, subject: Mapping[str, Any], rows: int, content: bytes) -> None:
    """Log a file that needs no second person, with its digest."""
    facts = {"export": kind, "export_id": new_id(), "rows": rows, "file_digest": sha256(content).digest()}
    audit.record(work, audit.Action.EXPORT_DOWNLOAD, facts | dict(subject))


def _add(work: Work, kind: str, subject: Mapping[str, str], row_count: int, state: str) -> Export:
    assert work.actor.member_id is not None
    _refuse_personal(subject)
    export = Export(
        org_id=work.actor.org_id,
        id=new_id(),
        tenant_id=work.tenant_id,
        kind=kind,
        subject=dict(subject),
        row_count=row_count,
        state=state,
        requested_by=work.actor.member_id,
        requester_name=work.actor.name,
        requested_at=work.at,
        expires_at=work.at + REQUEST_LASTS,
    )
    work.session.add(export)
    work.session.flush()
    return export


def _refuse_personal(subject: Mapping[str, str]) -> None:
    """Filters stand in the export as they are: ids, codes, and WORDS that hold nobody's number."""
    faults = [
        RowError(0, name, "search_personal" if name in WORDS else "unknown_value")
        for name, value in subject.items()
        if not ID.fullmatch(value) and (looks_personal(value) or not (name in WORDS or CODE.fullmatch(value)))
    ]
    if faults:
        raise Invalid(errors=faults)


def _taken_lately(work: Work) -> int:
    """Rows of personal lists that this person took without a second one."""
    lately = select(func.coalesce(func.sum(Export.row_count), 0)).where(
        _of_organisation(work),
        Export.requested_by == work.actor.member_id,
        Export.kind.in_(PERSONAL),
        Export.state == TAKEN,
        Export.decided_by.is_(None),
        Export.taken_at > work.at - COUNTED_FOR,
    )
    return work.session.scalars(lately).one()


def _lock(work: Work, export_id: UUID) -> Export:
    mine = select(Export).where(_of_organisation(work), Export.id == export_id)
    found = work.session.scalar(mine.with_for_update().execution_options(populate_existing=True))
    if found is None:
        raise NotFound
    return found


def _require(export: Export, state: str, code: str, at: dt.datetime) -> None:
    if export.state != state:
        raise Conflict(code)
    if at >= export.expires_at:
        raise Conflict("export_lapsed")


def _visible(work: Work) -> ColumnElement[bool]:
    if may_decide(work):
        return _of_organisation(work)
    return and_(_of_organisation(work), Export.requested_by == work.actor.member_id)


def _of_organisation(work: Work) -> ColumnElement[bool]:
    return and_(tenancy.equals(Export.tenant_id, work.tenant_id), tenancy.mine(work, Export))


def _agreements(work: Work, rows_of: Counter[UUID]) -> dict[UUID, Agreement]:
    """What an agency has with each lender whose rows it takes: the ground on which to act in that lender's tenant."""
    if work.actor.side != AGENCY:
        return {}
    found = work.session.scalars(select(Agreement).where(tenancy.own(work, Agreement)))
    return {agreement.lender_id: agreement for agreement in found if agreement.lender_id in rows_of}


def _ids_of(subject: Mapping[str, str]) -> dict[str, str]:
    """Of the filters what the log may hold: ids."""
    return {name: value for name, value in subject.items() if name.endswith("_id")}
