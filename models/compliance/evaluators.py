"""The few general questions a rule can ask, over Polars frames: no clock, no database, no law.

Each takes events and parameters and returns one verdict row (`VERDICTS`) for every event that the rule governs; an
event outside its scope (another channel or direction, a person who is not counted) has no row. Ids are strings, times
UTC in microseconds.

Scope is decided in three values: what is missing may or may not count, and is never `permitted`.
Spans are half-open: 22:00:00 is night, 08:00:00 is not.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import polars as pl

from models.compliance.vocabulary import (
    PROPOSED,
    UNKNOWN,
    Channel,
    Direction,
    FieldClass,
    Outcome,
    Party,
    Unit,
    Verdict,
)

UTC_TIME = pl.Datetime("us", "UTC")
BORROWER_ZONE = "borrower"

# Agencies are left out on purpose: a borrower is one person, whoever rings.
UNIT_KEYS = {
    Unit.BORROWER: ("lender_id", "borrower_id"),
    Unit.NUMBER: ("lender_id", "borrower_id", "contact_point"),
}

PERSON = ["lender_id", "member_id"]
PERSON_AND_TIME = [*PERSON, "released_at"]

# `window_…` is the span that was looked at: closed hours, a calendar day, the time allowed.
VERDICTS: dict[str, pl.DataType] = {
    "subject_id": pl.String(),
    "verdict": pl.String(),
    "evidence": pl.List(pl.String),
    "window_start": UTC_TIME,
    "window_end": UTC_TIME,
}
INSUFFICIENT, BREACH, PERMITTED = (
    pl.lit(verdict.value) for verdict in (Verdict.INSUFFICIENT, Verdict.BREACH, Verdict.PERMITTED)
)


@dataclass(frozen=True, slots=True)
class HoursWindow:
    """Closed from `closed_from` up to `closed_until`, local times that may cross midnight, in `zone`.

    `zone` is an IANA name, or `borrower`: all of the zones in the event's `zones` column (a list) must be open.
    With `unless_agreed`, the event's `agreed_from` up to `agreed_until` (local times), where present, is open too.
    """

    closed_from: dt.time
    closed_until: dt.time
    zone: str
    channels: tuple[Channel, ...]
    direction: Direction
    unless_agreed: bool

    def evidence(self) -> set[str]:
        return {"channel", "direction", "occurred_at"} | ({"zones"} if self.zone == BORROWER_ZONE else set())


@dataclass(frozen=True, slots=True)
class CountInDay:
    """At most `at_most` events with one of `outcomes` per unit and calendar day in `zone`."""

    per: Unit
    at_most: int
    zone: str
    channels: tuple[Channel, ...]
    direction: Direction
    parties: tuple[Party, ...]
    outcomes: tuple[Outcome, ...]

    def evidence(self) -> set[str]:
        return {"channel", "direction", "party", "outcome", "occurred_at", *UNIT_KEYS[self.per][1:]}


@dataclass(frozen=True, slots=True)
class ReleaseWithoutContact:
    """A release of `field_classes` wants a contact in `direction`, by that agency on that case, within the hours."""

    field_classes: tuple[FieldClass, ...]
    direction: Direction
    within_hours: int

    def evidence(self) -> set[str]:
        return {"field_class", "released_at", "direction", "occurred_at"}


@dataclass(frozen=True, slots=True)
class ReleasePace:
    """One person of an agency opens at most `at_most` different cases within any so many minutes."""

    at_most: int
    within_minutes: int

    def evidence(self) -> set[str]:
        return {"released_at", "member_id", "case_id"}


Parameters = HoursWindow | CountInDay | ReleaseWithoutContact | ReleasePace


class Facts(NamedTuple):
    """What there is to judge, and the moment it is judged at (aware)."""

    contacts: pl.DataFrame
    releases: pl.DataFrame
    now: dt.datetime


class Evaluator(NamedTuple):
    parameters: type[Parameters]
    subject_kind: str
    judge: Callable[[Facts, Any], pl.DataFrame]


def hours_window(events: pl.DataFrame, params: HoursWindow) -> pl.DataFrame:
    """Judge each contact by the local time at which it was made.

    The window of a breach is the closed span it fell into, whose end is the first open moment; else it is null.
    """
    zones = _zones_to_hold(events, params)
    scope = _is_in("channel", params.channels) & (pl.col("direction") == params.direction.value)
    known = scope & pl.col("occurred_at").is_not_null()
    if params.zone == BORROWER_ZONE:
        known &= pl.col("zones").list.drop_nulls().list.len() > 0
    # On each zone's clock, the last time before the event at which the hours closed.
    closings = {f"closing {zone}": _last_closing(params, zone) for zone in zones}
    closed = {f"closed {zone}": _is_closed(events, params, zone) for zone in zones}
    judged = (
        _with_columns_for(events, params)
        .filter(scope.fill_null(True))
        .with_columns(known=known.fill_null(False), **closings)
        .with_columns(**closed)
    )
    starts = [pl.when(f"closed {zone}").then(_instant(pl.col(f"closing {zone}"), zone)) for zone in zones]
    ends = [
        pl.when(f"closed {zone}").then(_instant(pl.col(f"closing {zone}") + _closed_for(params), zone))
        for zone in zones
    ]
    return judged.select(
        subject_id="id",
        verdict=pl.when(pl.col("known").not_())
        .then(INSUFFICIENT)
        .when(pl.any_horizontal(pl.lit(False), *closed))
        .then(BREACH)
        .otherwise(PERMITTED),
        evidence=pl.concat_list("id"),
        window_start=pl.min_horizontal(pl.lit(None, UTC_TIME), *starts),
        window_end=pl.max_horizontal(pl.lit(None, UTC_TIME), *ends),
    )


def count_in_day(events: pl.DataFrame, params: CountInDay) -> pl.DataFrame:
    """Judge each contact by how many counted ones of its unit came before it on its day, in order of time, then id.

    Every counted event beyond the limit is a breach; its evidence is the events that used the limit up, and itself.
    One that may count (no outcome, party unknown) throws doubt on later ones that it would tip over the limit.
    One without a unit or a time is in doubt itself and throws none.
    """
    keys = [*UNIT_KEYS[params.per], "day"]
    scope = (
        _is_in("channel", params.channels)
        & (pl.col("direction") == params.direction.value)
        & pl.when(pl.col("party") != UNKNOWN).then(_is_in("party", params.parties))
    )
    placed = pl.all_horizontal(pl.col(*UNIT_KEYS[params.per], "occurred_at").is_not_null())
    counts = pl.when(placed).then(scope & _is_in("outcome", (*params.outcomes, PROPOSED)))
    judged = (
        _with_columns_for(events, params)
        .filter(scope.fill_null(True))
        .sort("occurred_at", "id")
        .with_columns(counts=counts, day=_wall_clock(params.zone).dt.truncate("1d"))
        .with_columns(
            certain=pl.col("counts").fill_null(False).cum_sum().over(keys),
            possible=pl.col("counts").fill_null(True).cum_sum().over(keys),
            in_all=pl.col("counts").fill_null(True).sum().over(keys),
        )
    )
    verdict = (
        pl.when(pl.col("counts").is_null())
        .then(INSUFFICIENT)
        .when(pl.col("counts") & (pl.col("certain") > params.at_most))
        .then(BREACH)
        .when(pl.col("counts") & (pl.col("possible") > params.at_most))
        .then(INSUFFICIENT)
        .otherwise(PERMITTED)
    )
    # Few days come near the limit, and only there is the evidence more than the event itself.
    near = pl.col("in_all") > params.at_most
    calm = judged.filter(near.not_()).with_columns(evidence=pl.concat_list("id"))
    tight = judged.filter(near).with_columns(evidence=_evidence_of_count(keys, params.at_most))
    return pl.concat([calm, tight]).select(
        subject_id="id",
        verdict=verdict,
        evidence="evidence",
        window_start=_instant(pl.col("day"), params.zone),
        window_end=_instant(pl.col("day").dt.offset_by("1d"), params.zone),
    )


def release_without_contact(
    releases: pl.DataFrame, contacts: pl.DataFrame, params: ReleaseWithoutContact, now: dt.datetime
) -> pl.DataFrame:
    """Judge each agency's release whose hours are over at `now`: was anybody tried, reached or not?

    The window runs from the release to the end of its hours. A release to no agency (its lender's or auditor's own)
    is not governed. A contact whose direction is missing throws doubt; one without a time is not there.
    """
    outbound = pl.col("direction") == params.direction.value
    timed = contacts.filter(pl.col("occurred_at").is_not_null()).sort("occurred_at", "id")
    scope = _is_in("field_class", params.field_classes) & pl.col("agency_id").is_not_null()
    judged = (
        releases.filter(scope.fill_null(True))
        .with_columns(known=scope & pl.col("released_at").is_not_null() & pl.col("case_id").is_not_null())
        .with_columns(window_end=pl.col("released_at").dt.offset_by(f"{params.within_hours}h"))
        .filter((pl.col("window_end") <= now).fill_null(True))
        .sort("released_at", "id")
    )
    judged = _with_next(judged, timed.filter(outbound), "attempt")
    judged = _with_next(judged, timed.filter(outbound.is_null()), "doubt")
    return judged.select(
        subject_id="id",
        verdict=pl.when(pl.col("known").fill_null(False).not_())
        .then(INSUFFICIENT)
        .when(pl.col("attempt").is_not_null())
        .then(PERMITTED)
        .when(pl.col("doubt").is_not_null())
        .then(INSUFFICIENT)
        .otherwise(BREACH),
        evidence=pl.concat_list("id", pl.coalesce("attempt", "doubt")).list.drop_nulls(),
        window_start="released_at",
        window_end="window_end",
    )


def release_pace(releases: pl.DataFrame, params: ReleasePace) -> pl.DataFrame:
    """Judge each agency's release by how many different cases its person opened in the minutes up to it.

    The release that goes beyond the limit is the breach; those that follow while the pace lasts are one with it. Its
    evidence is all that was opened in those minutes. A release whose person, case or time is missing is in doubt.
    """
    governed = releases.filter(pl.col("agency_id").is_not_null())
    known = pl.all_horizontal(pl.col("released_at", "case_id", "member_id").is_not_null())
    timed = governed.filter(known).sort(*PERSON_AND_TIME, "id")
    counted = _with_window(timed, params, pl.col("case_id").n_unique().alias("cases"))
    beyond = pl.col("cases") > params.at_most
    judged = counted.with_columns(passed=beyond & beyond.shift(1).over(PERSON).fill_null(False).not_())
    # Few people go beyond it, and only for them is the evidence more than the release itself.
    fast = judged.join(judged.filter("passed").select(PERSON).unique(), on=PERSON).sort(*PERSON_AND_TIME, "id")
    opened = _with_window(fast.select("id", "passed", *PERSON_AND_TIME), params, pl.col("id").alias("evidence"))
    judged = judged.join(opened.filter("passed").select("id", "evidence"), on="id", how="left")
    return pl.concat([judged, governed.filter(known.not_())], how="diagonal").select(
        subject_id="id",
        verdict=pl.when(pl.col("passed").is_null()).then(INSUFFICIENT).when("passed").then(BREACH).otherwise(PERMITTED),
        evidence=pl.coalesce("evidence", pl.concat_list("id")),
        window_start=pl.col("released_at").dt.offset_by(f"-{params.within_minutes}m"),
        window_end="released_at",
    )


def _with_window(releases: pl.DataFrame, params: ReleasePace, told: pl.Expr) -> pl.DataFrame:
    """Add what is told of each release's minutes up to it, those of the same moment included."""
    period = f"{params.within_minutes}m"
    windows = releases.rolling("released_at", period=period, group_by=PERSON).agg(told)
    return releases.join(windows.unique(PERSON_AND_TIME), on=PERSON_AND_TIME, how="left", maintain_order="left")


EVALUATORS: Mapping[str, Evaluator] = {
    "hours_window": Evaluator(HoursWindow, "contact", lambda facts, params: hours_window(facts.contacts, params)),
    "count_in_day": Evaluator(CountInDay, "contact", lambda facts, params: count_in_day(facts.contacts, params)),
    "release_without_contact": Evaluator(
        ReleaseWithoutContact,
        "release",
        lambda facts, params: release_without_contact(facts.releases, facts.contacts, params, facts.now),
    ),
    "release_pace": Evaluator(ReleasePace, "release", lambda facts, params: release_pace(facts.releases, params)),
}


def _is_in(column: str, words: Iterable[str]) -> pl.Expr:
    return pl.col(column).is_in([word.value if isinstance(word, StrEnum) else word for word in words])


def _with_columns_for(events: pl.DataFrame, params: HoursWindow | CountInDay) -> pl.DataFrame:
    """Evidence that the caller has no column for is missing evidence."""
    absent = params.evidence() - set(events.columns)
    types = {"occurred_at": UTC_TIME, "zones": pl.List(pl.String)}
    return events.with_columns(pl.lit(None, types.get(name, pl.String())).alias(name) for name in sorted(absent))


def _wall_clock(zone: str) -> pl.Expr:
    return pl.col("occurred_at").dt.convert_time_zone(zone).dt.replace_time_zone(None)


def _instant(wall_clock: pl.Expr, zone: str) -> pl.Expr:
    # An hour that the zone skipped has no instant; one that it repeated begins with the first.
    return wall_clock.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")


def _zones_to_hold(events: pl.DataFrame, params: HoursWindow) -> Collection[str]:
    if params.zone != BORROWER_ZONE:
        return (params.zone,)
    if "zones" not in events.columns:
        return ()
    return sorted(set(events["zones"].explode().drop_nulls()))


def _last_closing(params: HoursWindow, zone: str) -> pl.Expr:
    into_the_day = _since_midnight(params.closed_from)
    return (_wall_clock(zone) - into_the_day).dt.truncate("1d") + into_the_day


def _closed_for(params: HoursWindow) -> dt.timedelta:
    return (_since_midnight(params.closed_until) - _since_midnight(params.closed_from)) % dt.timedelta(days=1)


def _is_closed(events: pl.DataFrame, params: HoursWindow, zone: str) -> pl.Expr:
    closed = _wall_clock(zone) < pl.col(f"closing {zone}") + _closed_for(params)
    if params.zone == BORROWER_ZONE:
        closed &= pl.col("zones").list.contains(zone)
    if params.unless_agreed and {"agreed_from", "agreed_until"} <= set(events.columns):
        agreed = _within(_wall_clock(zone).dt.time(), pl.col("agreed_from"), pl.col("agreed_until"))
        closed &= agreed.fill_null(False).not_()
    return closed


def _within(moment: pl.Expr, start: pl.Expr, end: pl.Expr) -> pl.Expr:
    """start ≤ moment < end on the clock's face, where a span may cross midnight."""
    after, before = moment >= start, moment < end
    return pl.when(start <= end).then(after & before).when(start > end).then(after | before)


def _since_midnight(moment: dt.time) -> dt.timedelta:
    return dt.timedelta(
        hours=moment.hour, minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond
    )


def _evidence_of_count(keys: list[str], at_most: int) -> pl.Expr:
    """The event's own id, after those that used up its limit: the certain ones if they did, else the possible ones."""
    certain = pl.col("id").filter(pl.col("counts")).head(at_most).implode().over(keys)
    possible = pl.col("id").filter(pl.col("counts").fill_null(True)).head(at_most).implode().over(keys)
    return (
        pl.when(pl.col("counts") & (pl.col("certain") > at_most))
        .then(pl.concat_list(certain, "id"))
        .when(pl.col("counts") & (pl.col("possible") > at_most))
        .then(pl.concat_list(possible, "id"))
        .otherwise(pl.concat_list("id"))
    )


def _with_next(releases: pl.DataFrame, contacts: pl.DataFrame, name: str) -> pl.DataFrame:
    """Add the id of the first of `contacts` by the same agency on the same case inside each release's window."""
    keys = ["lender_id", "agency_id", "case_id"]
    joined = releases.join_asof(
        contacts.select(*keys, pl.col("id").alias(name), pl.col("occurred_at").alias("next_at")),
        left_on="released_at",
        right_on="next_at",
        by=keys,
        strategy="forward",
        check_sortedness=False,  # Polars cannot check inside groups; both sides are sorted by time.
    )
    inside = pl.col("next_at") < pl.col("window_end")
    return joined.with_columns(pl.when(inside).then(name).alias(name)).drop("next_at")
