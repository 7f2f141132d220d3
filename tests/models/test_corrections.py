"""Corrections: what was wrong is sealed anew as a version, and masks, tokens and households follow."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from models.audit import OutboxEntry
from models.case import Case, CaseSealing
from models.erasure import CASE
from models.errors import Conflict, Forbidden, Invalid, NotFound
from models.release import ReleaseRecord
from models.services.collection import releases
from models.services.exchange import turns
from models.services.portfolio import cases, corrections, erasures, searches
from models.services.sealing import portfolio_keys
from models.work import JOBS, Actor, Work
from tests.own_keys import own_lender
from tests.world import Debt, Someone, World, _resident_id

OTHER = "13900000002"


def opened(world: World, someone: Someone, case_id: UUID, field_class: str) -> tuple[ReleaseRecord, dict[str, Any]]:
    with world.database.work(replace(someone.actor, proved_at=world.clock())) as work:
        release = releases.authorise(work, case_id, field_class, "verify_identity")
    return release.record, release.open(world.database.vault)


def correct(world: World, lender: Someone, case_id: UUID, **changes: str) -> int:
    with world.database.work(lender.actor) as work:
        return corrections.correct(work, case_id, changes).version


def one(world: World, lender: Someone) -> Case:
    with world.database.work(lender.actor) as work:
        (line,) = cases.list_own(work)
    return line.case


def found(world: World, lender: Someone, kind: str, value: str) -> int:
    with world.database.work(lender.actor) as work:
        return len(searches.find(work, kind, value, "verify_identity").cases)


def test_a_corrected_field_opens_in_the_next_version_and_the_release_names_it(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 1)
    (case_id,) = world.case_ids(placement, lender)
    assert correct(world, lender, case_id, mobile=OTHER) == 2
    record, values = opened(world, agency, case_id, "contact")
    assert (record.cell_version, values) == (2, {"mobile": OTHER})


def test_only_the_touched_classes_are_sealed_anew(world: World) -> None:
    lender = world.lender()
    world.portfolio(lender, 1)
    case = one(world, lender)
    correct(world, lender, case.id, mobile=OTHER, card_number="4111111111111111")
    with world.database.work(lender.actor) as work:
        first, second = work.session.scalars(
            select(CaseSealing).where(CaseSealing.case_id == case.id).order_by(CaseSealing.version)
        )
    assert (first.identity, second.identity) != (None, None)
    assert second.identity is None
    assert second.related is None
    assert opened(world, lender, case.id, "identity")[0].cell_version == 1
    assert opened(world, lender, case.id, "account")[1] == {"card_number": "4111111111111111"}


def test_masks_and_search_follow_a_correction(world: World) -> None:
    lender = world.lender()
    world.portfolio(lender, 1)
    case_id = one(world, lender).id
    correct(world, lender, case_id, mobile=OTHER, name="李四", email="a@example.com")
    masks = one(world, lender).masks
    assert (masks["mobile"], masks["name"]) == ("139****0002", "李*")
    assert "email" in masks
    correct(world, lender, case_id, email="")
    assert "email" not in one(world, lender).masks
    assert found(world, lender, "mobile", OTHER) == 1
    assert found(world, lender, "mobile", "13800000001") == 0


def test_the_log_names_fields_and_versions_and_no_value(world: World) -> None:
    lender = world.lender()
    world.portfolio(lender, 1)
    case_id = one(world, lender).id
    correct(world, lender, case_id, mobile=OTHER)
    with world.database.work(Actor(side=JOBS, org_id=lender.organisation.id)) as work:
        entries = [bytes(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))]
    (entry,) = [entry for entry in entries if json.loads(entry)["action"] == "case.correct"]
    assert json.loads(entry)["subject"] == {"case": str(case_id), "fields": ["mobile"], "version": 2}
    with world.database.work(lender.actor) as work:
        (row,) = corrections.list_of_case(work, case_id)
    assert (row.version, row.fields, row.corrected_at) == (2, ["mobile"], world.clock())


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"mobile": "12"}, ("mobile", "invalid_mobile")),
        ({"mobile": " "}, ("mobile", "required_missing")),
        ({"birth_date": "1960-01-01"}, ("birth_date", "birth_date_mismatch")),
        ({"id_number": "110101199003070001"}, ("id_number", "invalid_resident_id")),
        ({"name": "张\x00三"}, ("name", "control_character")),
        ({"balance": "1.00"}, ("balance", "unknown_value")),
        ({}, ("changes", "required_missing")),
    ],
)
def test_what_a_case_file_could_not_say_is_no_correction(
    world: World, changes: dict[str, str], fault: tuple[str, str]
) -> None:
    lender = world.lender()
    world.portfolio(lender, 1)
    with world.database.work(lender.actor) as work, pytest.raises(Invalid) as refused:
        corrections.correct(work, one(world, lender).id, changes)
    assert [(error.field, error.code) for error in refused.value.errors] == [fault]


def test_a_correction_that_changes_nothing_is_none(world: World) -> None:
    lender = world.lender()
    world.portfolio(lender, 1)
    with pytest.raises(Conflict, match="nothing_changed"):
        correct(world, lender, one(world, lender).id, mobile="138 0000 0001")


def test_a_new_id_number_joins_the_household_of_whoever_has_it(world: World) -> None:
    lender = world.lender()
    world.portfolio(lender, [Debt(1), Debt(2)])
    with world.database.work(lender.actor) as work:
        first, second = sorted((line.case for line in cases.list_own(work)), key=lambda case: case.id)
    correct(world, lender, first.id, id_number=_resident_id(2))
    with world.database.work(lender.actor) as work:
        assert cases.get(work, first.id).case.borrower_id == second.borrower_id
    assert found(world, lender, "id_cn", _resident_id(2)) == 2


@pytest.mark.parametrize("changes", [{"id_number": _resident_id(2)}, {"id_number": _resident_id(77)}])
def test_the_turn_at_offers_is_taken_before_the_case_that_may_change_households(
    world: World, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]
) -> None:
    """As every way of placing takes them: the other way round the two would wait for each other."""
    lender = world.lender()
    world.portfolio(lender, [Debt(1), Debt(1), Debt(2)])
    with world.database.work(lender.actor) as work:
        case_id = min(line.case.id for line in cases.list_own(work))
    taken: list[str] = []
    take, hold = turns.take, corrections._hold

    def taking(work: Work, what: str) -> None:
        taken.append(what)
        take(work, what)

    def holding(work: Work, held_id: UUID) -> Case:
        taken.append("case")
        return hold(work, held_id)

    monkeypatch.setattr(turns, "take", taking)
    monkeypatch.setattr(corrections, "_hold", holding)
    correct(world, lender, case_id, **changes)
    assert taken[:3] == ["portfolios", "offers", "case"]


def test_a_number_nobody_has_stays_with_its_borrower_also_while_placed(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 1)
    (case_id,) = world.case_ids(placement, lender)
    before = one(world, lender)
    correct(world, lender, case_id, id_number=_resident_id(77))
    assert one(world, lender).borrower_id == before.borrower_id
    assert found(world, lender, "id_cn", _resident_id(77)) == 1


@pytest.mark.parametrize("number", [2, 77])
def test_a_placed_case_leaves_no_household(world: World, number: int) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, [Debt(1), Debt(1), Debt(2)])
    case_id = world.case_ids(placement, lender)[0]
    with pytest.raises(Conflict, match="household_placed"):
        correct(world, lender, case_id, id_number=_resident_id(number))


def test_an_erased_case_is_not_corrected(world: World) -> None:
    lender = world.lender()
    world.portfolio(lender, 1)
    case_id = one(world, lender).id
    with world.database.work(lender.actor) as work:
        erasures.erase(work, CASE, case_id)
    with pytest.raises(Conflict, match="case_erased"):
        correct(world, lender, case_id, mobile=OTHER)


def test_what_a_lender_sealed_itself_is_not_corrected_here(world: World) -> None:
    lender = own_lender(world)
    lender.upload(1)
    with pytest.raises(Conflict, match="needs_own_key"):
        correct(world, lender.someone, one(world, lender.someone).id, mobile=OTHER)


def test_others_correct_nothing(world: World) -> None:
    lender = world.lender()
    world.portfolio(lender, 1)
    case_id = one(world, lender).id
    with pytest.raises(NotFound):
        correct(world, world.lender(), case_id, mobile=OTHER)
    with pytest.raises(Forbidden):
        correct(world, world.person(lender, "compliance_officer"), case_id, mobile=OTHER)


def test_a_correction_during_a_re_key_is_sealed_under_the_new_keys(world: World) -> None:
    lender = world.lender()
    portfolio = world.portfolio(lender, 1)
    case_id = one(world, lender).id
    with world.database.work(lender.actor) as work:
        portfolio_keys.rekey(work, portfolio.id)
    correct(world, lender, case_id, mobile=OTHER)
    with world.database.work(lender.actor) as work:
        portfolio_keys.finish(work, portfolio.id)
    assert opened(world, lender, case_id, "contact")[1] == {"mobile": OTHER}
    assert opened(world, lender, case_id, "identity")[0].cell_version == 1
