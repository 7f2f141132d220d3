"""A lender's settings: defaults until changed, in range, and each change in the log as it was and as it is."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import select

from models.audit import OutboxEntry
from models.errors import Invalid
from models.lender_setting import HISTORY, NOTHING, LenderSetting
from models.services.parties import lender_settings
from tests.facts import jobs
from tests.world import Someone, World


@pytest.fixture
def lender(world: World) -> Someone:
    return world.lender("administrator")


def change(world: World, lender: Someone, **changes: lender_settings.Value) -> lender_settings.Settings:
    with world.database.work(lender.actor) as work:
        return lender_settings.change(work, changes)


def test_until_a_lender_decides_the_defaults_hold(world: World, lender: Someone) -> None:
    with world.database.work(lender.actor) as work:
        assert lender_settings.get(work) == lender_settings.Settings(1095, 200, 1000, NOTHING)


def test_a_change_leaves_the_other_settings_as_they_are(world: World, lender: Someone) -> None:
    change(world, lender, retention_days=1826)
    change(world, lender, earlier_agencies=HISTORY)
    for someone in (lender, world.auditor(lender)):
        with world.database.work(someone.actor) as work:
            found = lender_settings.get(work)
        assert found == lender_settings.Settings(
            retention_days=1826,
            earlier_agencies=HISTORY,
            required_documents=["licence", "due_diligence"],
            changed_by=lender.member.id,
            changed_at=world.clock(),
        )


def test_what_an_agency_needs_may_be_due_diligence_alone_and_is_kept_as_it_was_given(
    world: World, lender: Someone
) -> None:
    asked = ["training", "due_diligence"]
    assert change(world, lender, required_documents=asked).required_documents == asked
    alone = ["due_diligence"]
    assert change(world, lender, required_documents=alone, new_case_follows=False).new_case_follows is False
    with world.database.work(lender.actor) as work:
        assert lender_settings.get(work).required_documents == alone


def test_the_log_has_each_setting_as_it_was_and_as_it_is(world: World, lender: Someone) -> None:
    change(world, lender, retention_days=1826, releases_per_day=200)
    change(world, lender, retention_days=1826)
    with world.database.work(jobs(lender)) as work:
        entries = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
    assert [entry["subject"] for entry in entries if entry["action"] == "setting.change"] == [
        {"setting": "retention_days", "old": 1095, "new": 1826}
    ]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("retention_days", 729, "out_of_range"),
        ("retention_days", 36_501, "out_of_range"),
        ("releases_per_day", -1, "out_of_range"),
        ("export_rows", 1_000_001, "out_of_range"),
        ("export_rows", "many", "out_of_range"),
        ("earlier_agencies", "everything", "unknown_value"),
        ("colour", "blue", "unknown_value"),
        ("conduct_score_min", 101, "out_of_range"),
        ("tape_borrowers_min", 4, "out_of_range"),
        ("complaints_per_5000_max", -1, "out_of_range"),
        ("rotation", "sometimes", "unknown_value"),
        ("new_case_follows", "yes", "unknown_value"),
        ("required_documents", ["licence", "diploma"], "unknown_value"),
        ("required_documents", "licence", "unknown_value"),
        ("required_documents", ["licence", "training"], "due_diligence_required"),
        ("required_documents", [], "due_diligence_required"),
    ],
)
def test_a_setting_out_of_range_changes_nothing(
    world: World, lender: Someone, name: str, value: lender_settings.Value, code: str
) -> None:
    with world.database.work(lender.actor) as work, pytest.raises(Invalid) as refused:
        lender_settings.change(work, {"retention_days": 1826} | {name: value})
    assert [(error.field, error.code) for error in refused.value.errors] == [(name, code)]
    with world.database.work(lender.actor) as work:
        assert lender_settings.get(work) == lender_settings.Settings()


def test_a_lenders_settings_are_its_own(world: World, lender: Someone) -> None:
    change(world, lender, retention_days=1826)
    with world.database.work(world.lender().actor) as work:
        assert lender_settings.get(work) == lender_settings.Settings()
    agency = world.agency()
    with world.database.work(agency.actor) as work:
        assert work.session.scalars(select(LenderSetting.retention_days)).all() == []
    with world.database.work(agency.actor) as work, pytest.raises(AssertionError):
        lender_settings.change(work, {"retention_days": 730})


def test_whoever_distributes_does_not_raise_what_one_person_may_distribute(world: World, lender: Someone) -> None:
    distributor = world.person(lender, "portfolio_manager")
    both = replace(distributor.actor, roles=frozenset({"administrator", "portfolio_manager"}))
    with world.database.work(both) as work:
        lender_settings.change(work, {"approval_cases": 50})
    with world.database.work(both) as work, pytest.raises(Invalid) as refused:
        lender_settings.change(work, {"approval_cases": 51})
    assert [(error.field, error.code) for error in refused.value.errors] == [("approval_cases", "raises_own_limit")]
    assert change(world, lender, approval_cases=51).approval_cases == 51
    with world.database.work(jobs(lender)) as work:
        entries = [
            json.loads(entry) for entry in work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))
        ]
    assert [entry["actor"] for entry in entries if entry["action"] == "setting.change"] == [
        both.label,
        lender.actor.label,
    ]
