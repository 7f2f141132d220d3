"""The pages of conduct: the list, and one breach with the evidence that each side may see."""

import datetime as dt
from collections.abc import Callable
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from models.services.exchange import stops
from models.services.oversight import breaches, conduct
from tests.facts import Placed, call, jobs, placed, recall, release
from tests.world import Debt, Someone, World

Client = Callable[[Someone], FlaskClient]
DAY = dt.date(2026, 3, 9)
SHANGHAI = dt.timezone(dt.timedelta(hours=8))


class Conduct:
    """One borrower's day with two agencies of a lender: three calls by the first, the fourth by the second."""

    def __init__(self, world: World) -> None:
        self.world, self.lender = world, world.lender("compliance_officer")
        manager = world.person(self.lender, "portfolio_manager")
        self.first = placed(world, [Debt(1)], manager)
        for hour in (9, 10, 11):
            call(world, self.first, at(hour))
        recall(world, self.first)
        self.second = placed(world, [Debt(1)], manager)
        call(world, self.second, at(12))
        with world.database.work(jobs(self.lender)) as work:
            conduct.sweep(work, DAY)

    @property
    def breach_id(self) -> UUID:
        with self.world.database.work(self.lender.actor) as work:
            (found,) = breaches.list_own(work, breaches.BreachFilter(rule_id="CN-GBT-VOICE-3"))
        return found.id


def at(hour: int) -> dt.datetime:
    return dt.datetime.combine(DAY, dt.time(hour), SHANGHAI)


@pytest.fixture
def fourth(world: World) -> Conduct:
    return Conduct(world)


def shown(client: FlaskClient, path: str, language: str = "en") -> str:
    client.set_cookie("language", language)
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.parametrize(("language", "word"), [("en", "Fourth effective call"), ("zh", "当日第四次有效通话")])
def test_the_list_names_rule_agency_and_case(fourth: Conduct, signed_in: Client, language: str, word: str) -> None:
    page = shown(signed_in(fourth.lender), "/breaches", language)
    for text in (word, fourth.second.agency.organisation.name, fourth.second.case.reference):
        assert text in page


def test_the_list_is_filtered(fourth: Conduct, signed_in: Client) -> None:
    client = signed_in(fourth.lender)
    assert f"/breaches/{fourth.breach_id}" not in shown(client, "/breaches?rule_id=CN-GBT-HOURS")
    assert f"/breaches/{fourth.breach_id}" in shown(client, "/breaches?state=flagged&since_on=2026-03-09")
    assert client.get("/breaches?state=nonsense").status_code == 422


def test_the_list_leaves_as_csv(fourth: Conduct, signed_in: Client) -> None:
    header, row = signed_in(fourth.lender).get("/breaches.csv").text.splitlines()
    assert header.endswith("severity,state,business_date,flagged_at,export")
    assert "CN-GBT-VOICE-3" in row


def test_the_lender_sees_every_call_that_counts(fourth: Conduct, signed_in: Client) -> None:
    page = shown(signed_in(fourth.lender), f"/breaches/{fourth.breach_id}")
    for hour in (9, 10, 11, 12):
        assert f"2026-03-09 {hour:02}:00" in page
    assert fourth.first.agency.organisation.name in page
    assert "GB/T 45251-2025, 5.3" in page


def test_the_agency_sees_its_own_call_and_nothing_of_the_others(fourth: Conduct, signed_in: Client) -> None:
    page = shown(signed_in(fourth.second.agency), f"/breaches/{fourth.breach_id}")
    assert "2026-03-09 12:00" in page
    assert "2026-03-09 09:00" not in page
    assert fourth.first.agency.organisation.name not in page


def test_another_agency_finds_nothing(fourth: Conduct, signed_in: Client) -> None:
    client = signed_in(fourth.first.agency)
    assert client.get(f"/breaches/{fourth.breach_id}").status_code == 404


def test_a_collector_reads_no_breaches(fourth: Conduct, world: World, signed_in: Client) -> None:
    collector = world.person(fourth.second.agency, "collector")
    assert signed_in(collector).get("/breaches").status_code == 403


def test_a_release_that_nobody_followed_up_says_until_when(world: World, signed_in: Client) -> None:
    of: Placed = placed(world, 1)
    release(world, of, at(9) - dt.timedelta(days=1))
    with world.database.work(jobs(of.lender)) as work:
        conduct.sweep(work, DAY)
        (found,) = breaches.list_own(work)
    page = shown(signed_in(of.lender), f"/breaches/{found.id}")
    assert "followed by 2026-03-09 09:00" in page


def test_a_breach_is_listed_with_the_moment_it_happened_and_the_one_it_was_flagged_at(
    fourth: Conduct, signed_in: Client
) -> None:
    page = shown(signed_in(fourth.lender), "/breaches")
    for text in ("Happened</th>", "Flagged at</th>", "2026-03-09 12:00", "2026-03-10 "):
        assert text in page


def test_the_rule_that_no_pack_holds_is_told_in_words_and_filtered_by(world: World, signed_in: Client) -> None:
    of = placed(world, 1)
    recall(world, of)
    world.clock.forward(days=1)  # type: ignore[attr-defined]
    with world.database.work(jobs(of.lender)) as work:
        stops.flag_missing(work)
        (found,) = breaches.list_own(work)
    client = signed_in(of.lender)
    page = shown(client, "/breaches?rule_id=stop_work_not_confirmed")
    assert '<td class="article">House rule</td>' in page
    assert 'value="stop_work_not_confirmed" selected' in page
    page = shown(client, f"/breaches/{found.id}")
    assert "confirms in time that all work on recalled cases has stopped" in page
    assert "no longer hold this rule" not in page
