"""One day's breaches over everybody's contacts and releases, and the same rules asked about one contact beforehand."""

import datetime as dt
from collections.abc import Collection

import polars as pl

from models.compliance.evaluators import UTC_TIME, Facts
from models.compliance.rule import Pack, Rule, in_force, judge
from models.compliance.vocabulary import Verdict

BUSINESS_ZONE = "Asia/Shanghai"
SUBJECT = ("lender_id", "agency_id", "case_id", "borrower_id", "member_id")

# `occurred_at` is when the conduct was complete: the contact's time, or the end of a release's hours.
BREACHES: dict[str, pl.DataType] = {
    "rule_id": pl.String(),
    "pack": pl.String(),
    "pack_version": pl.String(),
    "standard": pl.String(),
    "severity": pl.String(),
    "subject_kind": pl.String(),
    "subject_id": pl.String(),
    **dict.fromkeys(SUBJECT, pl.String()),
    "business_date": pl.Date(),
    "occurred_at": UTC_TIME,
    "evidence": pl.List(pl.String),
    "window_start": UTC_TIME,
    "window_end": UTC_TIME,
}


def sweep(
    packs: Collection[Pack],
    contacts: pl.DataFrame,
    releases: pl.DataFrame,
    business_date: dt.date,
    now: dt.datetime,
) -> pl.DataFrame:
    """The breaches (`BREACHES`) that were completed on this day in the business zone, in order of rule and time.

    A release is a breach on the day on which its hours ended, not on the day it was made. So the frames must hold that
    day's contacts and, where a rule gives releases a day, those of the day before too; more does no harm.
    `contacts` has id, lender_id, agency_id, case_id, borrower_id, member_id, channel, direction, party, outcome,
    occurred_at, and where known contact_point, zones, agreed_from, agreed_until; `releases` has the same first six and
    field_class, released_at. Ids are strings, times UTC in microseconds. A corrected contact is given once.
    """
    facts = Facts(contacts, releases, now)
    found = [_breaches(pack, rule, facts, business_date) for pack, rule in in_force(packs, business_date)]
    return pl.concat([pl.DataFrame(schema=BREACHES), *found]).sort("rule_id", "occurred_at", "subject_id")


def judge_proposed(
    packs: Collection[Pack], contacts: pl.DataFrame, proposed_id: str, day: dt.date, now: dt.datetime
) -> pl.DataFrame:
    """Every verdict (`JUDGED`) on one of `contacts`, whose outcome is `proposed`, by the rules in force on `day`.

    `contacts` is what the borrower's day holds already, from all agencies, and the proposed one.
    The end of a breach's window is the first moment at which that rule would no longer forbid it.
    """
    rules = [rule for _, rule in in_force(packs, day) if rule.subject_kind == "contact"]
    facts = Facts(contacts, pl.DataFrame(), now)
    return judge(rules, facts).filter(pl.col("subject_id") == proposed_id)


def _breaches(pack: Pack, rule: Rule, facts: Facts, business_date: dt.date) -> pl.DataFrame:
    events = facts.contacts if rule.subject_kind == "contact" else facts.releases
    occurred_at = pl.col("occurred_at") if rule.subject_kind == "contact" else pl.col("window_end")
    return (
        rule.judge(facts)
        .filter(pl.col("verdict") == Verdict.BREACH.value)
        .join(events.rename({"id": "subject_id"}), on="subject_id")
        .with_columns(
            pack=pl.lit(pack.pack),
            pack_version=pl.lit(pack.version),
            standard=pl.lit(rule.standard.value),
            severity=pl.lit(rule.severity.value),
            subject_kind=pl.lit(rule.subject_kind),
            business_date=pl.lit(business_date),
            occurred_at=occurred_at,
        )
        .filter(pl.col("occurred_at").dt.convert_time_zone(BUSINESS_ZONE).dt.date() == business_date)
        .select(*BREACHES)
    )
