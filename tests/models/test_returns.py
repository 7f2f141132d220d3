"""Returns: what an agency gives back goes with its code, and each code brings about what its table says."""

import datetime as dt
import json
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from models import recall_file
from models.audit import OutboxEntry
from models.case import Case
from models.errors import CaseClosedToWork, Conflict, Forbidden, Invalid, NotFound
from models.exclusion import Exclusion
from models.placement import ACTIVE, RETURN_CODES, RETURNED, PlacedCase
from models.services.collection import contacts, releases
from models.services.exchange import agency_files, expiries, paying, placements, recalls, returns, tenders
from models.services.exchange.treatments import BORROWER, CASE, NOTHING, RETURNS
from models.services.oversight import audit
from models.services.parties import freezes
from models.tabular import FileOutcome
from models.tender import TenderedCase
from models.work import Work
from tests.facts import Placed, jobs, placed
from tests.world import Debt, Someone, World


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, [Debt(1), Debt(1), Debt(2)])


def give_back(world: World, ground: Placed, code: str, *case_ids: UUID) -> int:
    with world.database.work(ground.agency.actor) as work:
        return returns.give_back(work, ground.placement.id, code, list(case_ids))


def give_back_file(world: World, ground: Placed, *cases: Case, code: str = "capacity") -> FileOutcome:
    file = "\n".join(["case_number,return_code", *(f"{case.reference},{code}" for case in cases)]).encode()
    with world.database.work(ground.agency.actor) as work:
        return returns.give_back_file(work, [file], "returns.csv")


def retain(world: World, ground: Placed, case_id: UUID, days: int) -> None:
    with world.database.work(ground.lender.actor) as work:
        paying.extend(work, placements.get(work, ground.placement.id), [case_id], days)


def over(ground: Placed, world: World) -> dt.timedelta:
    return ground.placement.expires_at - world.clock()


def exclusions(world: World, ground: Placed) -> list[Exclusion]:
    with world.database.work(ground.lender.actor) as work:
        return list(work.session.scalars(select(Exclusion)))


def test_every_code_has_its_treatment() -> None:
    assert set(RETURNS) == set(RETURN_CODES)


def test_what_is_given_back_is_the_lenders_again_with_its_code(world: World, ground: Placed) -> None:
    assert give_back(world, ground, "capacity", ground.case.id) == 1
    with world.database.work(ground.agency.actor) as work:
        assert ground.case.id not in [line.case.id for line in placements.list_cases(work, ground.placement.id)]
        assert placements.get(work, ground.placement.id).state == ACTIVE
    with world.database.work(ground.lender.actor) as work:
        row = work.session.get(PlacedCase, (ground.placement.lender_id, ground.placement.id, ground.case.id))
        assert row is not None
        assert (row.end_reason, row.ended_at) == ("returned_capacity", world.clock())


def test_with_its_last_case_the_placement_is_returned(world: World, ground: Placed) -> None:
    give_back(world, ground, "capacity", *(case.id for case in ground.cases))
    with world.database.work(ground.agency.actor) as work:
        assert placements.get(work, ground.placement.id).state == RETURNED


@pytest.mark.parametrize("code", RETURN_CODES)
def test_a_code_excludes_whom_its_treatment_says(world: World, ground: Placed, code: str) -> None:
    give_back(world, ground, code, ground.case.id)
    found = [(row.borrower_id, row.case_id, row.reason, row.source) for row in exclusions(world, ground)]
    excludes, reason = RETURNS[code]
    case = ground.case
    expected = {
        BORROWER: [(case.borrower_id, None, reason, "agency")],
        CASE: [(case.borrower_id, case.id, reason, "agency")],
        NOTHING: [],
    }
    assert found == expected[excludes]


def test_the_same_is_not_excluded_twice(world: World, ground: Placed) -> None:
    give_back(world, ground, "deceased", ground.cases[0].id, ground.cases[1].id)
    assert len(exclusions(world, ground)) == 1


def test_an_excluded_case_is_not_offered_and_another_is(world: World, ground: Placed) -> None:
    give_back(world, ground, "hardship", ground.cases[0].id)
    give_back(world, ground, "outside_territory", ground.cases[2].id)
    agreement = world.agreement(ground.lender, world.agency())
    with world.database.work(ground.lender.actor) as work:
        offer = tenders.assign(work, ground.placement.portfolio_id, agreement.id)
        assert tenders.get(work, offer.tender_id).case_count == 1


def test_what_was_given_back_is_opened_and_worked_no_more(world: World, ground: Placed) -> None:
    give_back(world, ground, "capacity", ground.case.id)
    report = contacts.ContactReport("call", "outbound", "debtor", "busy", world.clock())
    for act in (
        lambda work: releases.authorise(work, ground.case.id, "identity", "verify_identity"),
        lambda work: contacts.record(work, ground.case.id, report),
    ):
        with world.database.work(ground.agency.actor) as work, pytest.raises(CaseClosedToWork) as late:
            act(work)
        assert late.value.code == "case_returned"


def test_a_code_is_a_code_and_cases_are_named(world: World, ground: Placed) -> None:
    for code, case_ids in (("gone", [ground.case.id]), ("capacity", [])):
        with pytest.raises(Invalid):
            give_back(world, ground, code, *case_ids)


def test_foreign_unknown_and_returned_cases_are_the_same(world: World, ground: Placed) -> None:
    other = placed(world)
    give_back(world, ground, "capacity", ground.cases[2].id)
    for case_id in (other.case.id, uuid4(), ground.cases[2].id):
        with pytest.raises(NotFound):
            give_back(world, ground, "capacity", ground.case.id, case_id)
    with world.database.work(other.agency.actor) as work, pytest.raises(NotFound):
        returns.give_back(work, ground.placement.id, "capacity", [ground.case.id])


def test_nothing_is_given_back_while_frozen_or_after_the_end(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        freezes.freeze(work, ground.placement.id, "conduct")
    with pytest.raises(Conflict) as frozen:
        give_back(world, ground, "capacity", ground.case.id)
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "conduct")
    with pytest.raises(Conflict) as ended:
        give_back(world, ground, "capacity", ground.case.id)
    assert (frozen.value.code, ended.value.code) == ("placement_frozen", "wrong_state")


def test_a_file_gives_back_its_good_rows_and_names_the_others(world: World, ground: Placed) -> None:
    foreign = placed(world)
    rows = [
        (ground.cases[0].reference, "hardship"),
        (ground.cases[1].reference, "capacity"),
        (ground.cases[2].reference, "gone"),
        (foreign.case.reference, "capacity"),
        (ground.cases[0].reference, "capacity"),
    ]
    file = "\n".join(["case_number,return_code", *map(",".join, rows)]).encode()
    with world.database.work(ground.agency.actor) as work:
        outcome = returns.give_back_file(work, [file], "returns.csv")
    assert (outcome.accepted, outcome.refused) == (2, 3)
    assert [tuple(error) for error in outcome.errors] == [
        (3, "return_code", "unknown_value"),
        (4, "case_number", "unknown_case"),
        (5, "case_number", "duplicate_case_number"),
    ]


def test_a_file_of_returns_names_the_rows_of_a_frozen_placement(world: World, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        freezes.freeze(work, ground.placement.id, "conduct")
    with world.database.work(ground.agency.actor) as work:
        file = f"case_number,return_code\n{ground.case.reference},capacity\n".encode()
        outcome = returns.give_back_file(work, [file], "returns.csv")
    assert [tuple(error) for error in outcome.errors] == [(1, "case_number", "placement_frozen")]


def test_a_file_of_returns_is_for_managers(world: World, ground: Placed) -> None:
    collector = world.person(ground.agency, "collector")
    with world.database.work(collector.actor) as work, pytest.raises(Forbidden):
        returns.give_back_file(work, [b"case_number,return_code\n"], "returns.csv")


def test_after_its_term_nothing_is_given_back_though_no_job_has_swept_it(world: World, ground: Placed) -> None:
    world.clock.forward(seconds=over(ground, world).total_seconds())  # type: ignore[attr-defined]
    with pytest.raises(CaseClosedToWork) as late:
        give_back(world, ground, "deceased", ground.case.id)
    assert late.value.code == "placement_expired"
    assert exclusions(world, ground) == []


def test_a_retained_case_is_given_back_until_its_own_day(world: World, ground: Placed) -> None:
    for case in ground.cases[:2]:
        retain(world, ground, case.id, 10)
    world.clock.forward(seconds=over(ground, world).total_seconds())  # type: ignore[attr-defined]
    assert give_back(world, ground, "capacity", ground.cases[0].id) == 1
    world.clock.forward(days=10)  # type: ignore[attr-defined]
    with pytest.raises(CaseClosedToWork):
        give_back(world, ground, "capacity", ground.cases[1].id)


def test_what_a_file_gives_back_late_is_refused_and_stands_in_the_lenders_log(world: World, ground: Placed) -> None:
    retain(world, ground, ground.cases[0].id, 10)
    world.clock.forward(seconds=over(ground, world).total_seconds())  # type: ignore[attr-defined]
    outcome = give_back_file(world, ground, *ground.cases)
    assert outcome.accepted == 1
    assert [tuple(error) for error in outcome.errors] == [
        (2, "case_number", "placement_expired"),
        (3, "case_number", "placement_expired"),
    ]
    with world.database.work(jobs(ground.lender)) as work:
        late = [
            entry
            for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
            if b"access.refused" in entry
        ]
    assert [b'"code":"placement_expired","count":2' in entry for entry in late] == [True]


def test_a_file_is_told_how_cases_ended_before_it_and_the_lenders_log_counts_them(world: World, ground: Placed) -> None:
    give_back(world, ground, "capacity", ground.cases[0].id)
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "complaint", [ground.cases[1].id])
    world.clock.forward(seconds=over(ground, world).total_seconds())  # type: ignore[attr-defined]
    with world.database.work(jobs(ground.lender)) as work:
        assert expiries.expire_due(work)
    outcome = give_back_file(world, ground, *ground.cases)
    codes = ["case_returned", "case_recalled", "placement_expired"]
    assert [tuple(error) for error in outcome.errors] == [
        (row, "case_number", code) for row, code in enumerate(codes, 1)
    ]
    assert late_rows(world, ground.lender) == {code: (str(ground.placement.id), 1) for code in codes}


def test_a_number_recalled_at_two_lenders_is_late_for_both(world: World, ground: Placed) -> None:
    other = world.lender()
    second = world.placement(other, ground.agency, [Debt(1, case_number=ground.case.reference)])
    for lender, placement in ((ground.lender, ground.placement), (other, second)):
        with world.database.work(lender.actor) as work:
            recalls.recall(work, placement.id, "complaint")
    outcome = give_back_file(world, ground, ground.case)
    assert [tuple(error) for error in outcome.errors] == [(1, "case_number", "case_recalled")]
    assert late_rows(world, ground.lender) == {"case_recalled": (str(ground.placement.id), 1)}
    assert late_rows(world, other) == {"case_recalled": (str(second.id), 1)}


def test_a_number_that_others_held_is_unknown_and_nobodys_log_has_it(world: World, ground: Placed) -> None:
    foreign = placed(world)
    give_back(world, foreign, "capacity", foreign.case.id)
    outcome = give_back_file(world, ground, foreign.case)
    assert [tuple(error) for error in outcome.errors] == [(1, "case_number", "unknown_case")]
    assert late_rows(world, foreign.lender) == late_rows(world, ground.lender) == {}


def late_rows(world: World, lender: Someone) -> dict[str, tuple[str, int]]:
    """code → under which placement so many rows came too late."""
    with world.database.work(jobs(lender)) as work:
        found = [json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry))]
    late = [entry["subject"] for entry in found if entry["action"] == "access.refused"]
    return {said["code"]: (said["placement"], said["count"]) for said in late}


def test_a_case_that_goes_while_a_file_is_read_loses_its_own_row_alone(
    world: World, ground: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = agency_files.find_held

    def recalled_meanwhile(work: Work, numbers: set[str]) -> object:
        found = find(work, numbers)
        with world.database.work(ground.lender.actor) as other:
            recalls.recall(other, ground.placement.id, "complaint", [ground.cases[1].id])
        return found

    monkeypatch.setattr(agency_files, "find_held", recalled_meanwhile)
    outcome = give_back_file(world, ground, *ground.cases)
    assert outcome.accepted == 2
    assert [tuple(error) for error in outcome.errors] == [(2, "case_number", "case_recalled")]


def test_the_entry_of_a_return_names_no_more_cases_than_an_entry_holds(
    world: World, ground: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "ENTRY_CASES_MAX", 1)
    give_back(world, ground, "capacity", ground.cases[0].id)
    give_back(world, ground, "capacity", *(case.id for case in ground.cases[1:3]))
    with world.database.work(jobs(ground.lender)) as work:
        found = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
    few, many = [entry["subject"] for entry in found if entry["action"] == "case.return"]
    assert few["cases"] == [str(ground.cases[0].id)]
    assert (many["count"], "cases" in many) == (2, False)


def test_a_file_of_too_many_rows_gives_nothing_back(
    world: World, ground: Placed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall_file, "ROWS_MAX", 2)
    with pytest.raises(Invalid) as refused:
        give_back_file(world, ground, *ground.cases)
    assert [tuple(error) for error in refused.value.errors] == [(0, "*", "too_many_rows")]
    assert give_back_file(world, ground, *ground.cases[:2]).accepted == 2


@pytest.mark.parametrize(("code", "left"), [("deceased", 0), ("hardship", 1)])
def test_what_a_return_excludes_leaves_the_open_tender_that_holds_it(world: World, code: str, left: int) -> None:
    ground = placed(world, [Debt(1)])
    portfolio = world.portfolio(ground.lender, [Debt(1)])
    with world.database.work(ground.lender.actor) as work:
        offer = tenders.assign(work, portfolio.id, ground.placement.agreement_id)
    give_back(world, ground, code, ground.case.id)
    with world.database.work(ground.lender.actor) as work:
        held = select(TenderedCase).where(TenderedCase.tender_id == offer.tender_id, TenderedCase.open)
        assert len(work.session.scalars(held).all()) == left
