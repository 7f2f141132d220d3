"""What a lender decides about its own data; until it decides anything, the defaults here hold."""

import datetime as dt
from collections.abc import Mapping
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from models.errors import Invalid, RowError
from models.lender_setting import EARLIER_AGENCIES, NOTHING, LenderSetting
from models.services import audit, tenancy, turns
from models.work import LENDER, Work


class Settings(NamedTuple):
    """`changed_at` and `changed_by` are None as long as the defaults hold."""

    retention_days: int = 1095
    releases_per_day: int = 200
    export_rows: int = 1000
    earlier_agencies: str = NOTHING
    changed_by: UUID | None = None
    changed_at: dt.datetime | None = None


# Inclusive. No law in the packs lets the records of a collection go sooner than after two years.
RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "retention_days": (730, 36_500),
    "releases_per_day": (0, 10_000),
    "export_rows": (0, 1_000_000),
}
NAMES: Final = (*RANGES, "earlier_agencies")


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


def change(work: Work, changes: Mapping[str, int | str]) -> Settings:
    """Change the settings named; the log has each as it was and as it is. Invalid for what is out of range."""
    assert work.actor.side == LENDER
    errors = [RowError(0, name, code) for name, value in changes.items() if (code := _fault(name, value))]
    if errors:
        raise Invalid(errors=errors)
    turns.take(work, "lender settings")
    old = get(work)
    news = {name: value for name, value in changes.items() if value != getattr(old, name)}
    if not news:
        return old
    new = old._replace(**news, changed_by=work.actor.member_id, changed_at=work.at)  # type: ignore[arg-type]
    work.session.execute(
        insert(LenderSetting)
        .values(lender_id=work.tenant_id, **new._asdict())
        .on_conflict_do_update(index_elements=["lender_id"], set_=new._asdict())
    )
    for name, value in news.items():
        audit.record(work, audit.Action.SETTING_CHANGE, {"setting": name, "old": getattr(old, name), "new": value})
    return new


def _fault(name: str, value: int | str) -> str | None:
    if name in RANGES:
        low, high = RANGES[name]
        return None if isinstance(value, int) and low <= value <= high else "out_of_range"
    return None if name == "earlier_agencies" and value in EARLIER_AGENCIES else "unknown_value"
