"""A day's breaches over all agencies, and one contact asked about beforehand."""

import datetime as dt
import random

import polars as pl
import pytest

from models.compliance.evaluators import hours_window
from models.compliance.sweep import BREACHES, judge_proposed, sweep

TENTH, ELEVENTH = dt.date(2026, 3, 10), dt.date(2026, 3, 11)
NOW = dt.datetime(2026, 3, 14, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def chosen(packs):
    """The packs of a lender that is no bank."""
    return [pack for pack in packs if pack.pack in {"cn", "house"}]


@pytest.fixture(scope="session")
def bad_day(contacts):
    """Three conversations by agency A, a fourth by B, and a message at night."""
    return contacts(
        {"at": "2026-03-10T09:00:00"},
        {"at": "2026-03-10T10:00:00"},
        {"at": "2026-03-10T11:00:00"},
        {"at": "2026-03-10T12:00:00", "agency_id": "B", "case_id": "C2", "member_id": "N"},
        {"at": "2026-03-10T22:15:00", "channel": "sms", "outcome": "sent"},
    )


def test_a_day_with_one_breach_of_each_kind_yields_exactly_those(chosen, bad_day, releases):
    opened = releases({"at": "2026-03-09T20:00:00", "case_id": "C9", "borrower_id": "P9"})

    found = sweep(chosen, bad_day, opened, TENTH, NOW)

    assert dict(found.schema) == BREACHES
    assert found.select("rule_id", "subject_kind", "subject_id", "agency_id", "member_id", "case_id").rows() == [
        ("CN-GBT-HOURS", "contact", "e5", "A", "M", "C1"),
        ("CN-GBT-VOICE-3", "contact", "e4", "B", "N", "C2"),
        ("HOUSE-RELEASE-24H", "release", "r1", "A", "M", "C9"),
    ]
    assert found.select("pack", "pack_version", "standard", "severity").row(1) == ("cn", "2025.1", "ban", "high")
    assert found["evidence"].to_list() == [["e5"], ["e1", "e2", "e3", "e4"], ["r1"]]


def test_a_quiet_day_has_no_breaches(chosen, contacts, releases):
    assert sweep(chosen, contacts({}), releases(), TENTH, NOW).is_empty()


def test_no_packs_find_nothing(bad_day, releases):
    assert dict(sweep([], bad_day, releases(), TENTH, NOW).schema) == BREACHES


def test_the_neighbouring_days_are_not_swept(chosen, contacts, releases):
    nights = ["2026-03-09T23:59:59.999999", "2026-03-10T00:00:00", "2026-03-10T23:59:59.999999", "2026-03-11T00:00:00"]

    found = sweep(chosen, contacts(*({"at": at} for at in nights)), releases(), TENTH, NOW)

    assert found["subject_id"].to_list() == ["e2", "e3"]


def test_a_release_belongs_to_the_day_on_which_its_hours_ended(chosen, contacts, releases):
    opened = releases({"at": "2026-03-10T09:00:00"})

    on_the_day, the_day_after = (sweep(chosen, contacts(), opened, day, NOW) for day in (TENTH, ELEVENTH))

    assert on_the_day.is_empty()
    assert the_day_after["occurred_at"].to_list() == [dt.datetime(2026, 3, 11, 1, tzinfo=dt.UTC)]


def test_a_release_whose_hours_still_run_is_not_swept(chosen, contacts, releases):
    opened = releases({"at": "2026-03-10T09:00:00"})

    assert sweep(chosen, contacts(), opened, ELEVENTH, dt.datetime(2026, 3, 11, 0, 59, tzinfo=dt.UTC)).is_empty()


def test_a_rule_does_not_reach_back_before_its_effective_day(packs, contacts, releases):
    nights = contacts({"at": "2026-01-29T23:00:00"}, {"at": "2026-01-30T23:00:00"})

    found = [sweep(packs, nights, releases(), dt.date(2026, 1, day), NOW)["rule_id"].to_list() for day in (29, 30)]

    assert found == [["CN-GBT-HOURS"], ["CN-CBA-HOURS", "CN-GBT-HOURS"]]


def test_missing_evidence_is_no_breach(chosen, contacts, releases):
    calls = contacts(*({"at": f"2026-03-10T1{hour}:00:00", "outcome": None} for hour in range(6)))

    assert sweep(chosen, calls, releases(), TENTH, NOW).is_empty()


def test_the_sweep_does_not_depend_on_the_order_of_its_rows(chosen, bad_day, releases):
    opened = releases({"at": "2026-03-09T20:00:00", "case_id": "C9"})
    order = list(range(len(bad_day)))
    random.Random(5).shuffle(order)

    assert sweep(chosen, bad_day[order], opened, TENTH, NOW).equals(sweep(chosen, bad_day, opened, TENTH, NOW))


def test_a_late_report_moves_the_breach_to_the_call_that_is_now_the_fourth(chosen, contacts, releases):
    hours = [9, 10, 11, 12]
    calls = contacts(*({"id": f"e{hour}", "at": f"2026-03-10T{hour:02}:00:00"} for hour in hours))
    as_known, later = calls.filter(pl.col("id") != "e10"), calls

    assert sweep(chosen, as_known, releases(), TENTH, NOW).is_empty()
    assert sweep(chosen, later, releases(), TENTH, NOW)["subject_id"].to_list() == ["e12"]


def test_a_proposed_fourth_call_is_forbidden_until_the_next_day(chosen, contacts):
    calls = [{"at": f"2026-03-10T{hour}:00:00"} for hour in (10, 11, 12)]
    day = contacts(*calls, {"id": "asked", "at": "2026-03-10T13:00:00", "outcome": "proposed", "agency_id": "B"})

    found = judge_proposed(chosen, day, "asked", TENTH, NOW)

    assert found.select("rule_id", "verdict").sort("rule_id").rows() == [
        ("CN-GBT-HOURS", "permitted"),
        ("CN-GBT-VOICE-3", "breach"),
    ]
    assert found.filter(pl.col("verdict") == "breach")["window_end"].item() == dt.datetime(
        2026, 3, 10, 16, tzinfo=dt.UTC
    )


def test_a_proposed_contact_that_no_rule_governs_has_no_verdict(chosen, contacts):
    letter = contacts({"id": "asked", "channel": "letter", "outcome": "proposed"})

    assert judge_proposed(chosen, letter, "asked", TENTH, NOW).is_empty()


def test_the_same_function_judges_one_contact_and_the_day(rules, bad_day):
    one = hours_window(bad_day.filter(pl.col("id") == "e5"), rules["CN-GBT-HOURS"].parameters)

    assert one.equals(hours_window(bad_day, rules["CN-GBT-HOURS"].parameters).filter(pl.col("subject_id") == "e5"))
