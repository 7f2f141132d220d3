"""The nightly sweep for breaches of conduct, over what all agencies of one lender did.

A run judges its business date and every finished day that a report touched since the last run: what an agency reports
late counts on the day on which it happened, and may move a breach from one contact to the next.
"""

import datetime as dt
from functools import cache
from typing import Any, Final

import polars as pl
from sqlalchemy import Date, TableClause, func, literal, select, type_coerce, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import aliased

from models.breach import Breach, BreachEvidence
from models.business_day import ZONE, bounds, day_of
from models.compliance.evaluators import UTC_TIME, ReleaseWithoutContact
from models.compliance.pack import load_packs
from models.compliance.rule import Pack
from models.compliance.sweep import BREACHES
from models.compliance.sweep import sweep as judge_day
from models.contact import Contact
from models.money import Schema
from models.release import ReleaseRecord
from models.services import bulk, job_runs, tenancy
from models.services.exchange import turns
from models.services.job_runs import Report, quietly
from models.services.oversight import audit
from models.work import Work

FLAGGED, WITHDRAWN = "flagged", "withdrawn"
WITHDRAWABLE: Final = ("flagged", "answered", "upheld")  # a verdict that no longer stands is taken back from these
FLAGGING: Final = ("ban", "presumption")  # an advisory rule, a factor or a judgement makes no breach by itself
JUDGED: Final = ("contact", "release")  # other breaches are found where they happen
OVERLAP: Final = dt.timedelta(days=1)  # what was still being reported when the last run began
DAY: Final = dt.timedelta(days=1)

_EVENT: Final = dict.fromkeys(
    ("id", "lender_id", "agency_id", "placement_id", "case_id", "borrower_id", "member_id"), pl.String
)
_CONTACT: Final[Schema] = {
    **_EVENT,
    **dict.fromkeys(("channel", "direction", "party", "outcome"), pl.String),
    "occurred_at": UTC_TIME,
}
_RELEASE: Final[Schema] = {**_EVENT, "field_class": pl.String, "released_at": UTC_TIME}
_STANDING: Final[Schema] = {
    **dict.fromkeys(("id", "rule_id", "subject_id", "state"), pl.String),
    "business_date": pl.Date,
}
_KEY: Final = ("rule_id", "subject_id")


def sweep(work: Work, business_date: dt.date, report: Report = quietly) -> dict[str, int]:
    """Bring the breaches of the days in question up to the facts; run again, it posts nothing."""
    turns.take(work, "conduct")
    bulk.join_by_sets(work)
    days = _days_to_judge(work, business_date)
    found, contact_count = [pl.DataFrame(schema={**BREACHES, "placement_id": pl.String})], 0
    for number, day in enumerate(days, start=1):
        contacts, releases = _facts(work, day)
        contact_count += contacts.height
        found.append(_judged(work, contacts, releases, day))
        report(90 * number // len(days))
    flagged, withdrawn = _post(work, pl.concat(found), days)
    counts = {"days": len(days), "contacts": contact_count, "flagged": flagged, "withdrawn": withdrawn}
    if flagged or withdrawn:
        audit.record(work, audit.Action.BREACH_FLAG, {"business_date": business_date, **counts})
    return counts


@cache
def packs() -> tuple[Pack, ...]:
    """The rule packs, read once: they are part of the program."""
    return load_packs()


@cache
def _look_back() -> dt.timedelta:
    """How long before a day what is judged on it may have begun."""
    hours = [
        rule.parameters.within_hours
        for pack in packs()
        for rule in pack.rules
        if isinstance(rule.parameters, ReleaseWithoutContact)
    ]
    return dt.timedelta(hours=max(hours, default=0))


def _days_to_judge(work: Work, business_date: dt.date) -> list[dt.date]:
    """In order: the business date, and earlier days that are over and got new facts."""
    last_start = job_runs.find_last_start(work, "conduct")
    since = last_start - OVERLAP if last_start else dt.datetime.min.replace(tzinfo=dt.UTC)
    reported = select(_local_day(Contact.occurred_at)).where(tenancy.own(work, Contact), Contact.recorded_at >= since)
    released = select(_local_day(ReleaseRecord.released_at)).where(
        tenancy.own(work, ReleaseRecord), ReleaseRecord.released_at >= since
    )
    touched = set(work.session.scalars(reported.union(released)))
    reach = range(_look_back() // DAY + 1)
    judged = {day + DAY * days for day in touched for days in reach}
    return sorted({business_date} | {day for day in judged if day < day_of(work.at)})


def _facts(work: Work, day: dt.date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The day's contacts and releases and, before them, those whose hours may end on it. A correction counts alone."""
    start, end = bounds(day)
    start -= _look_back()
    correction = aliased(Contact)
    corrected = select(correction.corrects_id).where(tenancy.own(work, correction), correction.corrects_id.is_not(None))
    contacts = select(*_columns(Contact, _CONTACT)).where(
        tenancy.own(work, Contact),
        Contact.occurred_at >= start,
        Contact.occurred_at < end,
        Contact.id.not_in(corrected),
    )
    releases = select(*_columns(ReleaseRecord, _RELEASE)).where(
        tenancy.own(work, ReleaseRecord), ReleaseRecord.released_at >= start, ReleaseRecord.released_at < end
    )
    return bulk.read(work, contacts, _CONTACT), bulk.read(work, releases, _RELEASE)


def _judged(work: Work, contacts: pl.DataFrame, releases: pl.DataFrame, day: dt.date) -> pl.DataFrame:
    """BREACHES of the day, each with the placement it was committed in."""
    placements = pl.concat([contacts.select("id", "placement_id"), releases.select("id", "placement_id")])
    found = judge_day(packs(), contacts, releases, day, work.at).filter(pl.col("standard").is_in(FLAGGING))
    return found.join(placements, left_on="subject_id", right_on="id")


def _post(work: Work, found: pl.DataFrame, days: list[dt.date]) -> tuple[int, int]:
    """Flag what is found and does not stand, withdraw what stands and is not found: how many of each."""
    stands = select(*_columns(Breach, _STANDING)).where(
        tenancy.own(work, Breach), Breach.business_date.in_(days), Breach.subject_kind.in_(JUDGED)
    )
    standing = bulk.read(work, stands, _STANDING)
    is_withdrawn = pl.col("state") == WITHDRAWN
    gone = standing.join(found, on=_KEY, how="anti").filter(pl.col("state").is_in(WITHDRAWABLE))
    new = found.join(standing.filter(~is_withdrawn), on=_KEY, how="anti")
    if gone.height:
        _withdraw(work, bulk.stage(work, Breach, gone.select("id")))
    if new.height:
        _flag(work, new)
    if found.height:
        _keep_evidence(work, found)
    return new.height, gone.height


def _withdraw(work: Work, gone: TableClause) -> None:
    work.session.execute(
        update(Breach)
        .where(tenancy.own(work, Breach), Breach.id == gone.c.id)
        .values(state=WITHDRAWN)
        .execution_options(synchronize_session=False)
    )


def _flag(work: Work, new: pl.DataFrame) -> None:
    """One row for a breach, even if it stands again after it had been withdrawn."""
    shared = [name for name in new.columns if name in Breach.__table__.columns and name != "lender_id"]
    rows = new.select(*shared, pl.lit(FLAGGED).alias("state"))
    staged = bulk.stage(work, Breach, bulk.stamped(work, rows, "flagged_at"))
    insertion = upsert(Breach).from_select([column.name for column in staged.c], select(staged))
    work.session.execute(
        insertion.on_conflict_do_update(
            index_elements=["lender_id", *_KEY],
            set_={"state": FLAGGED, "flagged_at": insertion.excluded.flagged_at},
            where=Breach.state == WITHDRAWN,
        )
    )


def _keep_evidence(work: Work, found: pl.DataFrame) -> None:
    """The events each verdict rests on now."""
    rows = found.select(
        *_KEY,
        bulk.array_text(pl.col("evidence")).alias("event_ids"),
        pl.struct(start="window_start", end="window_end").struct.json_encode().alias("window"),
    )
    staged = bulk.make(work, {"rule_id": "text", "subject_id": "uuid", "event_ids": "uuid[]", "window": "jsonb"})
    bulk.fill(work, staged, rows)
    known = (
        select(literal(work.tenant_id), Breach.id, staged.c.event_ids, staged.c.window)
        .join(Breach, (Breach.rule_id == staged.c.rule_id) & (Breach.subject_id == staged.c.subject_id))
        .where(tenancy.own(work, Breach))
    )
    insertion = upsert(BreachEvidence).from_select(["lender_id", "breach_id", "event_ids", "window"], known)
    work.session.execute(
        insertion.on_conflict_do_update(
            index_elements=["lender_id", "breach_id"],
            set_={"event_ids": insertion.excluded.event_ids, "window": insertion.excluded.window},
            where=BreachEvidence.event_ids != insertion.excluded.event_ids,
        )
    )


def _columns(table: Any, schema: Schema) -> list[Any]:
    return [getattr(table, name) for name in schema]


def _local_day(moment: Any) -> Any:
    return type_coerce(func.date(func.timezone(str(ZONE), moment)), Date)
