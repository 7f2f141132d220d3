"""Refusals in the audit log, in the log of those whose data was asked for.

One entry for each actor, code, placement and minute, and for files one more for what each asked for, with how many
rows. To be called in a Work of its own, since the refused act's was rolled back; `record_rows` in that of its file. An
id that is foreign or unknown is named in no entry, so that the entry says no more than the answer did.
"""

import datetime as dt
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from models.audit import AccessRefusal
from models.case import Case
from models.errors import Refusal
from models.placement import PlacedCase, Placement
from models.services import tenancy
from models.services.oversight import audit
from models.work import AGENCY, AUDITOR, LENDER, Work

PACE = "release_pace"


def record(
    work: Work, refusal: Refusal, permission: str, case_id: UUID | None = None, placement_id: UUID | None = None
) -> None:
    """For an agency the lender's log, if case or placement is or was its own; else the log of the tenant at work.

    `permission` says what was asked for. Too quick a pace has an entry of its own besides, once an hour.
    """
    placement = _find_placement(work, case_id, placement_id) if work.actor.side == AGENCY else None
    if placement is None:
        _write(work, refusal, permission, {"case": _find_own(work, case_id)})
        return
    with work.as_lender(placement):
        _write(
            work,
            refusal,
            permission,
            {"case": case_id, "agency": placement.agency_id, "placement": placement.id},
        )


def record_rows(work: Work, code: str, asked_for: str, count: int, placement_id: UUID) -> None:
    """So many rows of a file refused under the placement, in the log of its lender, in whose tenant this stands.

    Within the file's own Work, whose other rows stand.
    """
    if _is_first(work, _kind(code, asked_for, placement_id), _minute(work)):
        about = {"asked_for": asked_for, "agency": work.actor.org_id, "placement": placement_id, "count": count}
        audit.record(work, audit.Action.ACCESS_REFUSED, {"code": code, **about})


def _write(work: Work, refusal: Refusal, permission: str, about: dict[str, UUID | None]) -> None:
    minute = _minute(work)
    if _is_first(work, _kind(refusal.code, about.get("placement")), minute):
        audit.record(work, audit.Action.ACCESS_REFUSED, {"code": refusal.code, "asked_for": permission, **about})
    if refusal.code == PACE and _is_first(work, audit.Action.RELEASE_PACE, minute.replace(minute=0)):
        limit: dict[str, Any] = {"limit_of": refusal.facts["limit_of"], "cases": refusal.facts["cases_max"]}
        audit.record(work, audit.Action.RELEASE_PACE, {**about, **limit})


def _minute(work: Work) -> dt.datetime:
    return work.at.replace(second=0, microsecond=0)


def _kind(*parts: object) -> str:
    """What is logged once: an act and the rows of a file differ in how many parts they have."""
    return " ".join(str(part) for part in parts if part is not None)


def _is_first(work: Work, code: str, since: dt.datetime) -> bool:
    """Whether nothing of the kind has its entry yet; of two at once, the second waits and sees that it has."""
    key = {"actor": work.actor.label, "code": code, "minute": since}
    added = insert(AccessRefusal).values(org_id=audit.CURRENT_TENANT, **key).on_conflict_do_nothing()
    return work.session.scalar(added.returning(AccessRefusal.code)) is not None


def _find_placement(work: Work, case_id: UUID | None, placement_id: UUID | None) -> Placement | None:
    """The one asked for, or under which the case is or was in the agency's hands, the latest."""
    if placement_id is not None:
        return work.session.scalar(select(Placement).where(tenancy.own(work, Placement), Placement.id == placement_id))
    if case_id is None:
        return None
    return work.session.scalar(
        select(Placement)
        .join(PlacedCase, (PlacedCase.lender_id == Placement.lender_id) & (PlacedCase.placement_id == Placement.id))
        .where(tenancy.own(work, Placement), tenancy.own(work, PlacedCase), PlacedCase.case_id == case_id)
        .order_by(PlacedCase.ended_at.is_not(None), PlacedCase.started_at.desc(), PlacedCase.placement_id.desc())
        .limit(1)
    )


def _find_own(work: Work, case_id: UUID | None) -> UUID | None:
    """The id, if it is of a case of the lender at work."""
    if case_id is None or work.actor.side not in (LENDER, AUDITOR):
        return None
    return work.session.scalar(select(Case.id).where(tenancy.own(work, Case), Case.id == case_id))
