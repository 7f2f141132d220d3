"""What a lender decides; until it decides anything, the defaults here hold."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from models.agency_document import DOCUMENT_KINDS, DUE_DILIGENCE, LICENCE, REQUIRED_ALWAYS
from models.errors import Invalid, OutOfRange, RowError
from models.lender_setting import EARLIER_AGENCIES, NOTHING, OFF, ROTATIONS, LenderSetting
from models.services import tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.work import LENDER, Work

Value: TypeAlias = int | str | bool | list[str]


class Settings(NamedTuple):
    """`changed_at` and `changed_by` are None as long as the defaults hold."""

    retention_days: int = 1095
    releases_per_day: int = 200
    export_rows: int = 1000
    earlier_agencies: str = NOTHING
    tape_borrowers_min: int = 20
    new_case_follows: bool = True
    approval_cases: int = 100_000
    required_documents: Sequence[str] = (LICENCE, DUE_DILIGENCE)
    conduct_score_min: int = 60
    complaints_per_5000_max: int = 25
    limitation_days: int = 1095
    rotation: str = OFF
    paying_days: int = 30
    retention_window_days: int = 14
    retention_days_max: int = 30
    retention_percent_max: int = 10
    objection_hours: int = 24
    stop_work_hours: int = 24
    changed_by: UUID | None = None
    changed_at: dt.datetime | None = None


# Inclusive. No law in the packs lets the records of a collection go sooner than after two years.
RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "retention_days": (730, 36_500),
    "releases_per_day": (0, 10_000),
    "export_rows": (0, 1_000_000),
    "tape_borrowers_min": (5, 1_000),
    "approval_cases": (0, 10_000_000),
    "conduct_score_min": (0, 100),
    "complaints_per_5000_max": (0, 5_000),
    "limitation_days": (0, 36_500),
    "paying_days": (0, 365),
    "retention_window_days": (0, 90),
    "retention_days_max": (1, 180),
    "retention_percent_max": (0, 100),
    "objection_hours": (0, 240),
    "stop_work_hours": (1, 240),
}
CHOICES: Final[Mapping[str, Sequence[str]]] = {"earlier_agencies": EARLIER_AGENCIES, "rotation": ROTATIONS}
DISTRIBUTING: Final = "portfolio_manager"
NAMES: Final = (*RANGES, *CHOICES, "new_case_follows", "required_documents")


def get(work: Work) -> Settings:
    """Of the lender at work, for its auditor and its jobs too."""
    return of_lender(work, work.tenant_id)


def of_lender(work: Work, lender_id: UUID) -> Settings:
    """The same for verbs that crossed into this lender's tenant."""
    found = work.session.execute(
        select(*(getattr(LenderSetting, name) for name in Settings._fields)).where(
            tenancy.of_lender(lender_id, LenderSetting)
        )
    ).one_or_none()
    return Settings(*found) if found else Settings()


def change(work: Work, changes: Mapping[str, Value]) -> Settings:
    """Change the settings named; the log has each as it was and as it is, and who did it.

    Invalid for what is out of range, and `raises_own_limit` where somebody who distributes cases would raise how many
    may be distributed without a second person: that other person is whoever raises it.
    """
    assert work.actor.side == LENDER
    errors = [fault for name, value in changes.items() if (fault := _fault(name, value))]
    if errors:
        raise Invalid(errors=errors)
    turns.take(work, "lender settings")
    old = get(work)
    if DISTRIBUTING in work.actor.roles and changes.get("approval_cases", 0) > old.approval_cases:  # type: ignore[operator]
        raise Invalid(errors=[RowError(0, "approval_cases", "raises_own_limit")])
    news = {name: value for name, value in changes.items() if value != _plain(getattr(old, name))}
    if not news:
        return old
    new = old._replace(**news, changed_by=work.actor.member_id, changed_at=work.at)  # type: ignore[arg-type]
    columns = {name: _plain(value) for name, value in new._asdict().items()}
    work.session.execute(
        insert(LenderSetting)
        .values(lender_id=work.tenant_id, **columns)
        .on_conflict_do_update(index_elements=["lender_id"], set_=columns)
    )
    for name, value in news.items():
        audit.record(
            work, audit.Action.SETTING_CHANGE, {"setting": name, "old": _plain(getattr(old, name)), "new": value}
        )
    return new


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _fault(name: str, value: object) -> RowError | None:
    if name in RANGES:
        low, high = RANGES[name]
        return None if isinstance(value, int) and low <= value <= high else OutOfRange(0, name, low, high)
    if name in CHOICES:
        known = value in CHOICES[name]
    elif name == "required_documents":
        known = isinstance(value, list) and set(value) <= set(DOCUMENT_KINDS)
        if isinstance(value, list) and not set(value) >= set(REQUIRED_ALWAYS):
            return RowError(0, name, "due_diligence_required" if known else "unknown_value")
    else:
        known = name == "new_case_follows" and isinstance(value, bool)
    return None if known else RowError(0, name, "unknown_value")
