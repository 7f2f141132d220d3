"""Papers of agencies: two sides make one count, versions stay, and what ends is told three times to both."""

import datetime as dt
import json
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from models import agency_document
from models.agency_document import DUE_DILIGENCE, INSURANCE, LICENCE, AgencyDocument, Paper
from models.audit import OutboxEntry
from models.errors import Conflict, Invalid, NotFound
from models.notice import Notice
from models.services import notices
from models.services.parties import agency_documents, lender_settings
from tests.conftest import Clock
from tests.facts import TODAY, jobs
from tests.world import Someone, World

YEAR = dt.timedelta(days=365)


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender("compliance_officer")


@pytest.fixture
def agency(world: World, lender: Someone) -> Someone:
    """Under an agreement, with the papers asked for by default."""
    agency = world.agency()
    world.agreement(lender, agency)
    return agency


def paper(kind: str = INSURANCE, **changes: object) -> Paper:
    return Paper(kind, "N-1", "issuer", TODAY, TODAY + YEAR)._replace(**changes)  # type: ignore[arg-type]


def record(world: World, by: Someone, other: Someone, given: Paper | None = None) -> AgencyDocument:
    with world.database.work(by.actor) as work:
        return agency_documents.record(work, other.organisation.id, given or paper())


def attest(world: World, agency: Someone, document: AgencyDocument) -> None:
    with world.database.work(agency.actor) as work:
        agency_documents.attest(work, document.id)


def accept(world: World, lender: Someone, document: AgencyDocument) -> None:
    with world.database.work(lender.actor) as work:
        agency_documents.accept(work, document.id)


def counting(world: World, lender: Someone, agency: Someone, kind: str = INSURANCE) -> UUID | None:
    with world.database.work(lender.actor) as work:
        found = agency_documents.find_counting(work, work.tenant_id, [agency.organisation.id], TODAY)
    documents = found[agency.organisation.id].get(kind)
    return documents[0].id if documents else None


@pytest.mark.parametrize("by_the_agency", [True, False])
def test_a_paper_counts_once_the_agency_has_attested_and_the_lender_accepted_it(
    world: World, lender: Someone, agency: Someone, by_the_agency: bool
) -> None:
    made = record(world, *((agency, lender) if by_the_agency else (lender, agency)))
    assert (made.state, counting(world, lender, agency)) == ("recorded", None)
    attest(world, agency, made)
    assert counting(world, lender, agency) is None
    accept(world, lender, made)
    assert counting(world, lender, agency) == made.id


def test_a_newer_version_takes_over_when_it_is_accepted_and_the_older_is_kept(
    world: World, lender: Someone, agency: Someone
) -> None:
    old = counting(world, lender, agency, LICENCE)
    new = record(world, agency, lender, paper(LICENCE, provinces=["110000"], expires_on=TODAY + 3 * YEAR))
    attest(world, agency, new)
    assert counting(world, lender, agency, LICENCE) == old
    accept(world, lender, new)
    assert counting(world, lender, agency, LICENCE) == new.id
    with world.database.work(agency.actor) as work:
        versions = agency_documents.list_own(work, lender.organisation.id)
    assert [document.id for document in versions if document.kind == LICENCE] == [new.id, old]


def test_of_the_versions_those_count_that_no_newer_one_outlasts() -> None:
    def ends(*days_left: int) -> list[int]:
        """Of versions, newest first, that end in so many days: when those end that count."""
        versions = [AgencyDocument(expires_on=TODAY + dt.timedelta(days=days)) for days in days_left]
        return [(document.expires_on - TODAY).days for document in agency_document.counting(versions, TODAY)]

    assert ends() == []
    assert ends(400, 30, 90) == [400]  # a renewal takes the place of both
    assert ends(400, 400) == [400]
    assert ends(30, 400, 90) == [400, 30]  # the newer one ends earlier: both count
    assert ends(-1, 400) == [400]
    assert ends(-9, -2, -5) == [-2]


@pytest.mark.parametrize("by_the_agency", [True, False])
def test_a_withdrawn_paper_counts_no_more(world: World, lender: Someone, agency: Someone, by_the_agency: bool) -> None:
    document_id = counting(world, lender, agency, LICENCE)
    assert document_id
    with world.database.work((agency if by_the_agency else lender).actor) as work:
        agency_documents.withdraw(work, document_id)
    assert counting(world, lender, agency, LICENCE) is None


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"kind": "diploma"}, "kind", "unknown_value"),
        ({"number": " "}, "number", "required_missing"),
        ({"issuer": ""}, "issuer", "required_missing"),
        ({"issued_on": TODAY + dt.timedelta(days=2)}, "issued_on", "in_future"),
        ({"expires_on": TODAY - dt.timedelta(days=1)}, "expires_on", "dates_reversed"),
        (
            {"issued_on": TODAY - YEAR, "expires_on": TODAY - dt.timedelta(days=1)},
            "expires_on",
            "expired_already",
        ),
        ({"kind": DUE_DILIGENCE, "expires_on": TODAY + dt.timedelta(days=367)}, "expires_on", "evaluation_too_long"),
        ({"kind": LICENCE, "provinces": ["119999"]}, "provinces", "unknown_region"),
        ({"provinces": ["110000"]}, "provinces", "of_licences_only"),
        ({"file_digest": b"short"}, "file_digest", "invalid_length"),
    ],
)
def test_a_paper_that_cannot_be_is_refused_by_field_and_code(
    world: World, lender: Someone, agency: Someone, changes: dict[str, object], field: str, code: str
) -> None:
    with world.database.work(agency.actor) as work, pytest.raises(Invalid) as refused:
        agency_documents.record(work, lender.organisation.id, paper(**changes))
    assert [(error.field, error.code) for error in refused.value.errors] == [(field, code)]


def test_the_steps_are_taken_in_order_and_once(world: World, lender: Someone, agency: Someone) -> None:
    made = record(world, lender, agency)
    taken = []
    for step in ("accept", "attest", "attest", "accept", "accept", "withdraw", "withdraw"):
        try:
            with world.database.work((agency if step == "attest" else lender).actor) as work:
                getattr(agency_documents, step)(work, made.id)
            taken.append(step)
        except Conflict as refused:
            taken.append(refused.code)
    assert taken == ["wrong_state", "attest", "wrong_state", "accept", "wrong_state", "withdraw", "wrong_state"]


def test_an_expired_paper_is_not_accepted(world: World, clock: Clock, lender: Someone, agency: Someone) -> None:
    made = record(world, agency, lender, paper(expires_on=TODAY + dt.timedelta(days=3)))
    attest(world, agency, made)
    clock.forward(days=4)
    with world.database.work(lender.actor) as work, pytest.raises(Conflict) as refused:
        agency_documents.accept(work, made.id)
    assert refused.value.code == "document_expired"


def test_papers_of_others_and_unknown_ones_look_alike(world: World, lender: Someone, agency: Someone) -> None:
    made = record(world, agency, lender)
    stranger, other_lender = world.agency(), world.lender()
    for someone, verbs in (
        (stranger, ("get", "attest", "withdraw")),
        (other_lender, ("get", "accept", "withdraw")),
    ):
        for verb in verbs:
            for document_id in (made.id, uuid4()):
                with world.database.work(someone.actor) as work, pytest.raises(NotFound):
                    getattr(agency_documents, verb)(work, document_id)
    for someone, other in ((stranger, lender), (other_lender, agency), (agency, other_lender)):
        with world.database.work(someone.actor) as work, pytest.raises(NotFound):
            agency_documents.record(work, other.organisation.id, paper())
        with world.database.work(someone.actor) as work:
            assert agency_documents.list_own(work, other.organisation.id) == []


def test_only_the_agency_attests_and_only_the_lender_accepts(world: World, lender: Someone, agency: Someone) -> None:
    made = record(world, agency, lender)
    with world.database.work(lender.actor) as work, pytest.raises(AssertionError):
        agency_documents.attest(work, made.id)
    with world.database.work(agency.actor) as work, pytest.raises(AssertionError):
        agency_documents.accept(work, made.id)


def test_each_step_is_in_the_lenders_log_and_tells_the_other_side(
    world: World, lender: Someone, agency: Someone
) -> None:
    made = record(world, agency, lender)
    attest(world, agency, made)
    accept(world, lender, made)
    with world.database.work(jobs(lender)) as work:
        entries = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
        told = work.session.execute(
            select(Notice.told, Notice.kind).where(Notice.subject_id == made.id).order_by(Notice.id)
        ).all()
    acts = [entry["action"] for entry in entries if entry["subject"].get("document") == str(made.id)]
    assert acts == ["agency_document.record", "agency_document.attest", "agency_document.accept"]
    assert [tuple(row) for row in told] == [
        ("lender", "document.attested"),
        ("agency", "document.accepted"),
    ]


def test_only_a_paper_that_the_lender_records_awaits_an_attestation_and_says_so(
    world: World, lender: Someone, agency: Someone
) -> None:
    made = record(world, lender, agency)
    with world.database.work(agency.actor) as work:
        told = work.session.scalars(select(Notice.kind).where(Notice.subject_id == made.id)).all()
    assert told == ["document.recorded"]


def test_both_sides_learn_which_kinds_a_lender_asks_for(world: World, lender: Someone, agency: Someone) -> None:
    with world.database.work(lender.actor) as work:
        lender_settings.change(work, {"required_documents": [DUE_DILIGENCE, INSURANCE]})
    for someone in (agency, lender, world.auditor(lender)):
        with world.database.work(someone.actor) as work:
            assert agency_documents.list_required(work, lender.organisation.id) == [DUE_DILIGENCE, INSURANCE]
    for someone in (world.agency(), world.lender(), world.auditor(world.lender())):
        with world.database.work(someone.actor) as work, pytest.raises(NotFound):
            agency_documents.list_required(work, lender.organisation.id)


@pytest.mark.parametrize(("left", "days"), [(91, None), (90, 90), (61, 90), (60, 60), (30, 30), (0, 30), (-1, None)])
def test_the_notice_that_is_due_depends_on_the_days_left(left: int, days: int | None) -> None:
    assert agency_documents.band(TODAY + dt.timedelta(days=left), TODAY) == days


def test_both_sides_are_told_90_60_and_30_days_before_a_paper_ends_once_each_and_the_days_left(
    world: World, clock: Clock, lender: Someone, agency: Someone
) -> None:
    made = record(world, agency, lender, paper(expires_on=TODAY + dt.timedelta(days=100)))
    attest(world, agency, made)
    accept(world, lender, made)
    counts = []
    for days in (0, 10, 1, 30, 25, 20, 14):  # 100, 90, 89, 59, 34, 14, 0 days left
        clock.forward(days=days)
        with world.database.work(jobs(lender)) as work:
            counts.append(agency_documents.notify_expiring(work))
    assert counts == [0, 2, 0, 2, 0, 2, 0]
    with world.database.work(agency.actor) as work:
        told = work.session.scalars(
            select(Notice.facts).where(Notice.kind == "document.expiring").order_by(Notice.id)
        ).all()
    assert [facts["days"] for facts in told] == [90, 59, 14]


def test_the_day_after_a_paper_ends_both_sides_are_told_once_that_offers_stopped(
    world: World, clock: Clock, lender: Someone
) -> None:
    bound, left = world.agency(), world.agency()
    world.agreement(lender, bound)
    world.agreement(lender, left, ends_on=TODAY + dt.timedelta(days=5))
    for agency in (bound, left):
        made = record(world, agency, lender, paper(expires_on=TODAY + dt.timedelta(days=10)))
        attest(world, agency, made)
        accept(world, lender, made)
    for days in (10, 1, 1):  # the last day, the first without it, the next
        clock.forward(days=days)
        with world.database.work(jobs(lender)) as work:
            agency_documents.notify_expiring(work)
    for someone, times in ((lender, 1), (bound, 1), (left, 0)):
        with world.database.work(someone.actor) as work:
            over = [told for told in notices.list_own(work) if told.kind == "document.expired"]
        assert [told.facts["document_kind"] for told in over] == [INSURANCE] * times


def test_a_superseded_paper_is_not_told_and_an_ending_agreement_is(world: World, clock: Clock, lender: Someone) -> None:
    agency = world.agency()
    agreement = world.agreement(lender, agency, ends_on=TODAY + dt.timedelta(days=20))
    for left in (10, 366):
        made = record(world, agency, lender, paper(DUE_DILIGENCE, expires_on=TODAY + dt.timedelta(days=left)))
        attest(world, agency, made)
        accept(world, lender, made)
    with world.database.work(jobs(lender)) as work:
        assert agency_documents.notify_expiring(work) == 2
    with world.database.work(agency.actor) as work:
        ending = work.session.execute(
            select(Notice.kind, Notice.subject_id).where(Notice.kind.like("%.expiring"))
        ).all()
    assert [tuple(row) for row in ending] == [("agreement.expiring", agreement.id)]
