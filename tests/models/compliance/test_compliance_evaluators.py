"""The general questions at their edges, and against a slow recount in plain Python."""

import dataclasses
import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.compliance.evaluators import count_in_day, hours_window, release_without_contact
from models.compliance.examples import CONTACTS, RELEASES

NIGHT, DAY, UNSURE = "breach", "permitted", "insufficient_evidence"
NOW = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def hours(rules):
    return rules["CN-GBT-HOURS"].parameters


@pytest.fixture(scope="session")
def three_calls(rules):
    return rules["CN-GBT-VOICE-3"].parameters


@pytest.fixture(scope="session")
def six_tries(rules):
    return rules["CN-CBA-ATTEMPT-6"].parameters


@pytest.fixture(scope="session")
def within_a_day(rules):
    return rules["HOUSE-RELEASE-24H"].parameters


# Hours


@pytest.mark.parametrize(
    ("at", "verdict"),
    [
        ("2026-03-10T21:59:59", DAY),
        ("2026-03-10T21:59:59.999999", DAY),
        ("2026-03-10T22:00:00", NIGHT),
        ("2026-03-10T23:59:59.999999", NIGHT),
        ("2026-03-11T00:00:00", NIGHT),
        ("2026-03-11T07:59:59.999", NIGHT),
        ("2026-03-11T08:00:00", DAY),
    ],
)
def test_night_begins_at_22_and_ends_at_8(contacts, verdict_of, hours, at, verdict):
    assert verdict_of(hours_window(contacts({"at": at}), hours)) == {"e1": verdict}


@pytest.mark.parametrize("at", ["2026-03-10T22:00:00", "2026-03-11T03:00:00"])
def test_the_window_of_a_night_call_is_its_night(contacts, hours, at):
    found = hours_window(contacts({"at": at}), hours)

    assert found.select("window_start", "window_end").row(0) == (
        dt.datetime(2026, 3, 10, 14, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 11, 0, tzinfo=dt.UTC),
    )


def test_a_daytime_call_has_no_window(contacts, hours):
    assert hours_window(contacts({}), hours).select("window_start", "window_end").row(0) == (None, None)


def test_closed_hours_within_one_day_do_not_cross_midnight(contacts, verdict_of, hours):
    siesta = dataclasses.replace(hours, closed_from=dt.time(12), closed_until=dt.time(14))
    at = ["2026-03-10T11:59:59", "2026-03-10T12:00:00", "2026-03-10T13:59:59", "2026-03-10T14:00:00"]

    found = verdict_of(hours_window(contacts(*({"at": moment} for moment in at)), siesta))

    assert list(found.values()) == [DAY, NIGHT, NIGHT, DAY]


@pytest.mark.parametrize("ignored", [{"direction": "inbound"}, {"channel": "letter"}])
def test_what_hours_do_not_govern_has_no_verdict(contacts, hours, ignored):
    assert hours_window(contacts({"at": "2026-03-10T23:00:00"} | ignored), hours).is_empty()


@pytest.mark.parametrize("missing", [{"direction": None}, {"channel": None}, {"at": None}])
def test_hours_are_never_permitted_on_missing_evidence(contacts, verdict_of, hours, missing):
    assert verdict_of(hours_window(contacts(missing), hours)) == {"e1": UNSURE}


def test_the_outcome_of_a_night_call_does_not_matter(contacts, verdict_of, hours):
    assert verdict_of(hours_window(contacts({"at": "2026-03-10T23:00:00", "outcome": None}), hours)) == {"e1": NIGHT}


@pytest.mark.parametrize(
    ("agreed", "verdict"),
    [
        ((dt.time(8), dt.time(23)), DAY),
        ((dt.time(8), dt.time(22, 30)), NIGHT),
        ((dt.time(20), dt.time(1)), DAY),
        ((None, None), NIGHT),
        ((dt.time(8), None), NIGHT),
    ],
)
def test_agreed_hours_open_the_night_and_end_where_they_end(contacts, verdict_of, hours, agreed, verdict):
    agreed_from, agreed_until = agreed
    call = {"at": "2026-03-10T22:30:00", "agreed_from": agreed_from, "agreed_until": agreed_until}

    assert verdict_of(hours_window(contacts(call), hours)) == {"e1": verdict}


def test_agreed_hours_change_nothing_where_the_rule_knows_none(contacts, verdict_of, hours):
    strict = dataclasses.replace(hours, unless_agreed=False)
    call = {"at": "2026-03-10T22:30:00", "agreed_from": dt.time(8), "agreed_until": dt.time(23)}

    assert verdict_of(hours_window(contacts(call), strict)) == {"e1": NIGHT}


def test_a_borrower_with_two_possible_zones_must_be_awake_in_both(contacts, verdict_of, hours):
    anywhere = dataclasses.replace(hours, zone="borrower")
    rows = [{"zones": zones} for zones in (["Asia/Shanghai"], ["Asia/Shanghai", "America/New_York"])]

    # 10:00 in Beijing is 22:00 in New York, where clocks went forward two days before.
    assert verdict_of(hours_window(contacts(*rows), anywhere)) == {"e1": DAY, "e2": NIGHT}


@pytest.mark.parametrize("zones", [None, [], [None]])
def test_a_borrower_without_a_known_zone_is_never_permitted(contacts, verdict_of, hours, zones):
    anywhere = dataclasses.replace(hours, zone="borrower")

    assert verdict_of(hours_window(contacts({"zones": zones}), anywhere)) == {"e1": UNSURE}


def test_a_frame_without_zones_is_missing_evidence(contacts, verdict_of, hours):
    anywhere = dataclasses.replace(hours, zone="borrower")

    assert verdict_of(hours_window(contacts({}).drop("zones"), anywhere)) == {"e1": UNSURE}


def test_eight_in_the_morning_follows_summer_time(contacts, verdict_of, hours):
    new_york = dataclasses.replace(hours, zone="America/New_York")
    at = [dt.datetime(2026, 3, 7, 12, 30, tzinfo=dt.UTC), dt.datetime(2026, 3, 8, 12, 30, tzinfo=dt.UTC)]

    # 12:30 UTC is 07:30 the day before the clocks go forward and 08:30 that day.
    assert verdict_of(hours_window(contacts(*({"at": moment} for moment in at)), new_york)) == {"e1": NIGHT, "e2": DAY}


def test_a_night_that_loses_an_hour_ends_at_eight_all_the_same(contacts, hours):
    new_york = dataclasses.replace(hours, zone="America/New_York")

    found = hours_window(contacts({"at": dt.datetime(2026, 3, 8, 5, tzinfo=dt.UTC)}), new_york)

    assert found.select("window_start", "window_end").row(0) == (
        dt.datetime(2026, 3, 8, 3, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 8, 12, tzinfo=dt.UTC),
    )


# Calls a day


def _calls(count, **common):
    return [{"at": f"2026-03-10T{9 + number:02}:00:00"} | common for number in range(count)]


def test_the_fourth_effective_call_is_the_breach_and_names_the_three_before(contacts, three_calls):
    found = count_in_day(contacts(*_calls(4)), three_calls).sort("subject_id")

    assert found["verdict"].to_list() == [DAY, DAY, DAY, NIGHT]
    assert found["evidence"].to_list() == [["e1"], ["e2"], ["e3"], ["e1", "e2", "e3", "e4"]]


def test_every_call_after_the_third_is_a_breach_of_its_own(contacts, verdict_of, three_calls):
    found = count_in_day(contacts(*_calls(6)), three_calls)

    assert [event for event, verdict in sorted(verdict_of(found).items()) if verdict == NIGHT] == ["e4", "e5", "e6"]
    assert found.filter(pl.col("subject_id") == "e6")["evidence"].item().to_list() == ["e1", "e2", "e3", "e6"]


def test_the_agency_that_makes_the_fourth_call_breaches_whoever_made_the_first_three(contacts, verdict_of, three_calls):
    calls = _calls(4, agency_id="A", case_id="C1")
    calls[3] |= {"agency_id": "B", "case_id": "C2"}

    assert verdict_of(count_in_day(contacts(*calls), three_calls))["e4"] == NIGHT


@pytest.mark.parametrize("other", [{"borrower_id": "P2"}, {"lender_id": "L2"}])
def test_another_borrower_or_lender_has_a_count_of_its_own(contacts, verdict_of, three_calls, other):
    calls = _calls(4)
    calls[1] |= other

    assert set(verdict_of(count_in_day(contacts(*calls), three_calls)).values()) == {DAY}


@pytest.mark.parametrize(
    "uncounted",
    [
        {"outcome": "voicemail_left"},
        {"outcome": "answered_dropped"},
        {"outcome": "ring_no_answer"},
        {"direction": "inbound"},
        {"party": "relative"},
        {"channel": "sms"},
    ],
)
def test_what_is_no_effective_call_to_the_debtor_does_not_count(contacts, verdict_of, three_calls, uncounted):
    calls = _calls(4)
    calls[0] |= uncounted

    assert verdict_of(count_in_day(contacts(*calls), three_calls)).get("e4") == DAY


def test_a_robot_counts_like_a_person(contacts, verdict_of, three_calls):
    assert verdict_of(count_in_day(contacts(*_calls(4, channel="ai_voice")), three_calls))["e4"] == NIGHT


def test_midnight_in_beijing_begins_a_new_count(contacts, verdict_of, three_calls):
    late = ["23:57:00", "23:58:00", "23:59:59.999999"]
    at = [f"2026-03-10T{time}" for time in late] + ["2026-03-11T00:00:00"]

    found = count_in_day(contacts(*({"at": moment} for moment in at)), three_calls)

    assert set(verdict_of(found).values()) == {DAY}
    assert found.sort("subject_id")["window_end"].to_list() == [
        dt.datetime(2026, 3, 10, 16, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 10, 16, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 10, 16, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 11, 16, tzinfo=dt.UTC),
    ]


def test_midnight_in_utc_does_not(contacts, verdict_of, three_calls):
    at = [f"2026-03-10T{time}" for time in ("07:30:00", "07:59:59", "08:00:00", "08:00:01")]

    assert verdict_of(count_in_day(contacts(*({"at": moment} for moment in at)), three_calls))["e4"] == NIGHT


def test_a_late_reported_call_makes_a_later_one_the_fourth(contacts, verdict_of, three_calls):
    calls = _calls(3)
    before = verdict_of(count_in_day(contacts(*calls), three_calls))

    after = verdict_of(count_in_day(contacts(*calls, {"id": "late", "at": "2026-03-10T10:30:00"}), three_calls))

    assert before["e3"] == DAY
    assert after == {"e1": DAY, "e2": DAY, "late": DAY, "e3": NIGHT}


def test_two_calls_at_one_moment_are_ordered_by_their_ids(contacts, verdict_of, three_calls):
    calls = [{"id": name} for name in ("d", "b", "a", "c")]

    assert verdict_of(count_in_day(contacts(*calls), three_calls)) == {"a": DAY, "b": DAY, "c": DAY, "d": NIGHT}


def test_a_proposed_call_counts_as_if_it_were_answered(contacts, verdict_of, three_calls):
    calls = _calls(4)
    calls[2] |= {"outcome": "proposed"}

    assert verdict_of(count_in_day(contacts(*calls), three_calls))["e4"] == NIGHT


@pytest.mark.parametrize("missing", [{"outcome": None}, {"party": None}, {"party": "unknown"}, {"channel": None}])
def test_a_call_that_may_have_counted_leaves_the_fourth_in_doubt(contacts, verdict_of, three_calls, missing):
    calls = _calls(4)
    calls[1] |= missing

    found = count_in_day(contacts(*calls), three_calls)

    assert verdict_of(found) == {"e1": DAY, "e2": UNSURE, "e3": DAY, "e4": UNSURE}
    assert found.filter(pl.col("subject_id") == "e4")["evidence"].item().to_list() == ["e1", "e2", "e3", "e4"]


def test_doubt_does_not_excuse_a_fourth_call_that_is_certain(contacts, three_calls):
    calls = _calls(5)
    calls[1] |= {"outcome": None}

    last = count_in_day(contacts(*calls), three_calls).filter(pl.col("subject_id") == "e5")

    assert last["verdict"].item() == NIGHT
    assert last["evidence"].item().to_list() == ["e1", "e3", "e4", "e5"]


@pytest.mark.parametrize("missing", [{"at": None}, {"borrower_id": None}])
def test_a_call_without_a_day_or_a_borrower_is_in_doubt_alone(contacts, verdict_of, three_calls, missing):
    calls = _calls(4)
    calls[0] |= missing

    assert verdict_of(count_in_day(contacts(*calls), three_calls)) == {"e1": UNSURE, "e2": DAY, "e3": DAY, "e4": DAY}


def test_each_number_has_its_six_tries(contacts, verdict_of, six_tries):
    tries = _calls(8, outcome="ring_no_answer", contact_point="N1")
    tries[3] |= {"contact_point": "N2"}

    found = verdict_of(count_in_day(contacts(*tries), six_tries))

    assert [event for event, verdict in sorted(found.items()) if verdict == NIGHT] == ["e8"]


def test_tries_without_a_number_are_missing_evidence(contacts, verdict_of, six_tries):
    tries = contacts(*_calls(2, outcome="busy")).drop("contact_point")

    assert set(verdict_of(count_in_day(tries, six_tries)).values()) == {UNSURE}


# Releases


def test_a_release_that_nobody_acted_on_is_a_breach_when_its_day_is_over(contacts, releases, verdict_of, within_a_day):
    opened = releases({"at": "2026-03-10T09:00:00"})
    due = dt.datetime(2026, 3, 11, 1, tzinfo=dt.UTC)

    early = release_without_contact(opened, contacts(), within_a_day, due - dt.timedelta(microseconds=1))
    over = release_without_contact(opened, contacts(), within_a_day, due)

    assert early.is_empty()
    assert verdict_of(over) == {"r1": NIGHT}
    assert over.select("window_start", "window_end").row(0) == (due - dt.timedelta(days=1), due)


@pytest.mark.parametrize(
    ("attempt", "verdict"),
    [
        ({"at": "2026-03-10T09:00:00"}, DAY),
        ({"at": "2026-03-11T08:59:59.999999", "outcome": "ring_no_answer"}, DAY),
        ({"at": "2026-03-10T12:00:00", "channel": "sms", "outcome": None}, DAY),
        ({"at": "2026-03-11T09:00:00"}, NIGHT),
        ({"at": "2026-03-10T08:59:59.999999"}, NIGHT),
        ({"at": "2026-03-10T12:00:00", "direction": "inbound"}, NIGHT),
        ({"at": "2026-03-10T12:00:00", "agency_id": "B"}, NIGHT),
        ({"at": "2026-03-10T12:00:00", "case_id": "C2"}, NIGHT),
        ({"at": "2026-03-10T12:00:00", "lender_id": "L2"}, NIGHT),
        ({"at": "2026-03-10T12:00:00", "direction": None}, UNSURE),
    ],
)
def test_only_an_attempt_by_that_agency_on_that_case_in_time_answers_a_release(
    contacts, releases, verdict_of, within_a_day, attempt, verdict
):
    opened = releases({"at": "2026-03-10T09:00:00"})

    assert verdict_of(release_without_contact(opened, contacts(attempt), within_a_day, NOW)) == {"r1": verdict}


def test_the_attempt_that_answers_a_release_is_its_evidence(contacts, releases, within_a_day):
    found = release_without_contact(
        releases({"at": "2026-03-10T09:00:00"}), contacts({"at": "2026-03-10T11:00:00"}), within_a_day, NOW
    )

    assert found["evidence"].to_list() == [["r1", "e1"]]


@pytest.mark.parametrize("other", [{"field_class": "identity"}, {"agency_id": None}])
def test_a_release_of_another_class_or_to_no_agency_is_not_governed(contacts, releases, within_a_day, other):
    assert release_without_contact(releases(other), contacts(), within_a_day, NOW).is_empty()


@pytest.mark.parametrize("missing", [{"at": None}, {"field_class": None}, {"case_id": None}])
def test_a_release_that_lacks_evidence_is_never_permitted(contacts, releases, verdict_of, within_a_day, missing):
    found = release_without_contact(releases(missing), contacts({"at": "2026-03-10T12:00:00"}), within_a_day, NOW)

    assert verdict_of(found) == {"r1": UNSURE}


def test_no_events_have_no_verdicts(contacts, releases, hours, three_calls, within_a_day):
    assert hours_window(contacts(), hours).is_empty()
    assert count_in_day(contacts(), three_calls).is_empty()
    assert release_without_contact(releases(), contacts({}), within_a_day, NOW).is_empty()


# Against a recount in plain Python

START = dt.datetime(2026, 3, 10, 4, tzinfo=dt.UTC)
SOME_CONTACTS = st.lists(
    st.fixed_dictionaries(
        {
            "occurred_at": st.integers(0, 60).map(lambda steps: START + dt.timedelta(minutes=30 * steps)),
            "lender_id": st.just("L"),
            "agency_id": st.sampled_from(["A", "B"]),
            "case_id": st.sampled_from(["C1", "C2"]),
            "borrower_id": st.sampled_from(["P1", "P1", "P2"]),
            "channel": st.sampled_from(["call", "call", "ai_voice", "sms", None]),
            "direction": st.sampled_from(["outbound", "outbound", "outbound", "inbound", None]),
            "party": st.sampled_from(["debtor", "debtor", "debtor", "relative", "unknown", None]),
            "outcome": st.sampled_from(["conversation", "conversation", "busy", "proposed", None]),
        }
    ),
    max_size=25,
).map(lambda rows: [row | {"id": f"{number:03}"} for number, row in enumerate(rows)])


def _both(*conditions):
    """And, where None is unknown."""
    if False in conditions:
        return False
    return None if None in conditions else True


def _one_of(value, words):
    return None if value in (None, "unknown") else value in words


def _recount(rows):
    verdicts = {}
    for row in rows:
        scope, counts = _counts(row)
        if scope is False:
            continue
        beijing_day = (row["occurred_at"] + dt.timedelta(hours=8)).date()
        until_here = [
            _counts(other)[1]
            for other in rows
            if other["borrower_id"] == row["borrower_id"]
            and (other["occurred_at"] + dt.timedelta(hours=8)).date() == beijing_day
            and (other["occurred_at"], other["id"]) <= (row["occurred_at"], row["id"])
        ]
        certain, possible = until_here.count(True), until_here.count(True) + until_here.count(None)
        if counts is None:
            verdicts[row["id"]] = UNSURE
        elif counts and certain > 3:
            verdicts[row["id"]] = NIGHT
        else:
            verdicts[row["id"]] = UNSURE if counts and possible > 3 else DAY
    return verdicts


def _counts(row):
    scope = _both(
        _one_of(row["channel"], ["call", "ai_voice"]),
        _one_of(row["direction"], ["outbound"]),
        _one_of(row["party"], ["debtor"]),
    )
    return scope, _both(scope, _one_of(row["outcome"], ["conversation", "proposed"]))


@settings(deadline=None)
@given(rows=SOME_CONTACTS, data=st.data())
def test_the_count_equals_a_slow_recount_in_any_order(three_calls, verdict_of, rows, data):
    shuffled = data.draw(st.permutations(rows))

    found = count_in_day(pl.DataFrame(shuffled, schema=CONTACTS, orient="row"), three_calls)

    assert verdict_of(found) == _recount(rows)


@settings(deadline=None)
@given(rows=SOME_CONTACTS, data=st.data())
def test_the_verdicts_and_their_evidence_do_not_depend_on_the_order_of_events(three_calls, hours, rows, data):
    shuffled = data.draw(st.permutations(rows))
    first, second = (pl.DataFrame(order, schema=CONTACTS, orient="row") for order in (rows, shuffled))

    for evaluate, params in ((count_in_day, three_calls), (hours_window, hours)):
        assert evaluate(first, params).sort("subject_id").equals(evaluate(second, params).sort("subject_id"))


@settings(deadline=None)
@given(rows=SOME_CONTACTS)
def test_night_equals_the_clock_on_a_beijing_wall(hours, verdict_of, rows):
    expected = {}
    for row in rows:
        scope = _both(_one_of(row["channel"], ["call", "ai_voice", "sms"]), _one_of(row["direction"], ["outbound"]))
        hour = (row["occurred_at"].hour + 8) % 24
        if scope is not False:
            expected[row["id"]] = UNSURE if scope is None else NIGHT if hour >= 22 or hour < 8 else DAY

    assert verdict_of(hours_window(pl.DataFrame(rows, schema=CONTACTS, orient="row"), hours)) == expected


@settings(deadline=None)
@given(
    rows=SOME_CONTACTS,
    opened=st.lists(st.tuples(st.integers(0, 60), st.sampled_from("AB"), st.sampled_from(["C1", "C2"])), max_size=8),
    hours_later=st.integers(0, 60),
)
def test_releases_equal_a_slow_search(within_a_day, verdict_of, rows, opened, hours_later):
    now = START + dt.timedelta(hours=hours_later)
    released = [
        {"id": f"r{n}", "lender_id": "L", "agency_id": agency, "case_id": case, "field_class": "contact"}
        | {"released_at": START + dt.timedelta(minutes=30 * steps)}
        for n, (steps, agency, case) in enumerate(opened)
    ]
    expected = {}
    for release in released:
        directions = {
            row["direction"]
            for row in rows
            if (row["agency_id"], row["case_id"]) == (release["agency_id"], release["case_id"])
            and dt.timedelta(0) <= row["occurred_at"] - release["released_at"] < dt.timedelta(days=1)
        }
        if now - release["released_at"] >= dt.timedelta(days=1):
            unsure = UNSURE if None in directions else NIGHT
            expected[release["id"]] = DAY if "outbound" in directions else unsure

    found = release_without_contact(
        pl.DataFrame(released, schema=RELEASES, orient="row"),
        pl.DataFrame(rows, schema=CONTACTS, orient="row"),
        within_a_day,
        now,
    )

    assert verdict_of(found) == expected
