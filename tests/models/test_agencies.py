"""A lender's agencies at a glance: filtered, sorted and paged, with what they declared and what they showed."""

import datetime as dt
from uuid import UUID, uuid4

import pytest

from models.agency_document import DUE_DILIGENCE, INSURANCE, LICENCE, TRAINING, AgencyDocument
from models.errors import NotFound
from models.services.collection import contacts, releases
from models.services.parties import agencies, lender_settings, standings
from models.services.parties.agencies import AgencyFilter
from tests.conftest import Clock
from tests.facts import TODAY, placed
from tests.world import Debt, Someone, World


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender("compliance_officer")


@pytest.fixture
def three(world: World, lender: Someone) -> list[Someone]:
    """Alpha holds two cases and Beta one, whose agreement ends soon; Gamma is suspended and of the second tier."""
    alpha, beta, gamma = (world.organisation("agency", "manager", name) for name in ("Alpha", "Beta", "Gamma"))
    world.placement(lender, alpha, [Debt(1), Debt(2)], open_cases_max=10)
    world.placement(lender, beta, [Debt(3)], ends_on=TODAY + dt.timedelta(days=9), open_cases_max=3)
    world.agreement(lender, gamma, tier=2)
    with world.database.work(lender.actor) as work:
        standings.suspend(work, gamma.organisation.id, "conduct")
    world.placement(world.lender(), gamma, 3)
    return [alpha, beta, gamma]


def names(world: World, lender: Someone, **filters: object) -> list[str]:
    with world.database.work(lender.actor) as work:
        return [line.agency_name for line in agencies.list_own(work, AgencyFilter(**filters))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["Alpha", "Beta", "Gamma"]),
        ({"name": "AM"}, ["Gamma"]),
        ({"eligibility": "eligible"}, ["Alpha", "Beta"]),
        ({"eligibility": "not_eligible"}, ["Gamma"]),
        ({"reason": "agency_suspended"}, ["Gamma"]),
        ({"reason": "licence_missing"}, []),
        ({"standing": "good"}, ["Alpha", "Beta"]),
        ({"tier": 2}, ["Gamma"]),
        ({"sort": "open_cases"}, ["Alpha", "Beta", "Gamma"]),
        ({"sort": "capacity_left"}, ["Gamma", "Alpha", "Beta"]),
        ({"sort": "next_ending"}, ["Beta", "Alpha", "Gamma"]),
    ],
)
def test_agencies_are_found_and_sorted(
    world: World, lender: Someone, three: list[Someone], filters: dict[str, object], found: list[str]
) -> None:
    assert names(world, lender, **filters) == found


def test_the_pages_of_a_list_follow_each_other_in_its_order(
    world: World, lender: Someone, three: list[Someone]
) -> None:
    by = AgencyFilter(sort="next_ending")
    after: UUID | None = None
    seen = []
    with world.database.work(lender.actor) as work:
        while page := agencies.list_own(work, by, after, 2):
            seen.append([line.agency_name for line in page])
            after = page[-1].agency_id
        with pytest.raises(NotFound):
            agencies.list_own(work, by, uuid4())
    assert seen == [["Beta", "Alpha"], ["Gamma"]]


def test_an_agency_that_one_agreement_lets_receive_is_eligible(world: World, lender: Someone) -> None:
    agency = world.agency()
    world.agreement(lender, agency, open_cases_max=0)
    open_one = world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        (line,) = agencies.list_own(work)
    assert (line.reasons, line.leading.agreement.id, len(line.candidates)) == ([], open_one.id, 2)


def test_an_auditor_sees_what_the_lender_sees(world: World, lender: Someone, three: list[Someone]) -> None:
    auditor = world.auditor(lender)
    assert names(world, auditor) == names(world, lender)
    with world.database.work(auditor.actor) as work:
        view = agencies.get(work, three[2].organisation.id)
    assert [change.act for change in view.changes] == ["suspend"]


def test_an_agency_of_another_lender_and_an_unknown_one_look_alike(
    world: World, lender: Someone, three: list[Someone]
) -> None:
    other = world.lender()
    for agency_id in (three[0].organisation.id, uuid4()):
        with world.database.work(other.actor) as work, pytest.raises(NotFound):
            agencies.get(work, agency_id)
    assert names(world, other) == []


def test_what_has_ended_does_not_end_next(world: World, clock: Clock, lender: Someone, three: list[Someone]) -> None:
    clock.forward(days=10)
    with world.database.work(lender.actor) as work:
        (beta,) = agencies.list_own(work, AgencyFilter(name="Beta"))
        assert beta.next_ending is None or beta.next_ending.ends_on > TODAY + dt.timedelta(days=9)
        ends = {a.agency_name: [c.agreement.ends_on for c in a.candidates] for a in agencies.list_all(work)}
        assert ends["Beta"] == [TODAY + dt.timedelta(days=9)]


def test_everybody_who_worked_in_the_last_30_days_is_counted_whatever_their_role(
    world: World, clock: Clock, lender: Someone
) -> None:
    ground = placed(world, 3, lender=lender)
    caller, reader = (world.person(ground.agency, "manager") for _ in range(2))
    with world.database.work(caller.actor) as work:
        contacts.record(
            work, ground.case.id, contacts.ContactReport("call", "outbound", "debtor", "busy", world.clock())
        )
    with world.database.work(reader.actor) as work:
        releases.authorise(work, ground.case.id, "identity", "verify_identity")
    agency_id = ground.agency.organisation.id
    with world.database.work(lender.actor) as work:
        assert agencies.get(work, agency_id).observed == (2, 2)
    clock.forward(days=31)
    with world.database.work(lender.actor) as work:
        assert agencies.get(work, agency_id).observed == (0, None)


def test_the_page_of_an_agency_has_its_papers_agreements_placements_and_history(
    world: World, lender: Someone, three: list[Someone]
) -> None:
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"required_documents": [LICENCE, INSURANCE, DUE_DILIGENCE]})
        view = agencies.get(work, three[0].organisation.id)
    assert {each.kind: (each.required, each.state) for each in view.kinds} == {
        "licence": (True, "current"),
        "insurance": (True, "missing"),
        "due_diligence": (True, "current"),
        "training": (False, "missing"),
    }
    assert view.line.reasons == ["insurance_missing"]
    assert (len(view.documents), len(view.placements), view.line.record.open_cases) == (2, 1, 2)
    assert (view.line.record.score, view.line.record.cases_placed) == (100, 2)


def version(number: int, state: str, expires_on: dt.date) -> AgencyDocument:
    at = dt.datetime(2026, 1, number, tzinfo=dt.UTC)
    return AgencyDocument(
        id=UUID(int=number),
        kind=TRAINING,
        expires_on=expires_on,
        attested_at=at if state != "recorded" else None,
        accepted_at=at if state == "accepted" else None,
    )


@pytest.mark.parametrize(
    ("versions", "state"),
    [
        ([], "missing"),
        ([("recorded", 300)], "waiting"),
        ([("attested", 300)], "waiting"),
        ([("recorded", -1)], "missing"),
        ([("accepted", 300)], "current"),
        ([("accepted", 90)], "expiring"),
        ([("accepted", 0)], "expiring"),
        ([("accepted", -1)], "expired"),
        ([("attested", 300), ("accepted", -1)], "expired"),
        ([("accepted", 300), ("accepted", -1)], "current"),
        ([("accepted", 30), ("accepted", 300)], "current"),
        ([("accepted", -1), ("accepted", 300)], "current"),
    ],
)
def test_a_kind_of_paper_stands_as_its_versions_do(versions: list[tuple[str, int]], state: str) -> None:
    documents = [
        version(9 - place, kept, TODAY + dt.timedelta(days=left)) for place, (kept, left) in enumerate(versions)
    ]
    found = {each.kind: each for each in agencies.kind_states([TRAINING], documents, TODAY)}
    assert (found[TRAINING].state, found[TRAINING].required) == (state, True)
