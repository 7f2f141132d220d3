"""Recalls, returns and retained cases on their pages and over the API, from both sides."""

import csv
import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from models.acknowledgement_break import AcknowledgementBreak
from models.audit import OutboxEntry
from models.placement import Placement
from models.recall_request import RecallRequest
from models.services.exchange import acknowledgements, placements, recall_lists, recalls, retentions, returns, stops
from models.services.parties import lender_settings
from models.work import JOBS, enter
from tests.conftest import Clock
from tests.facts import Placed, jobs, placed, promise
from tests.world import World

Client = Callable[..., FlaskClient]


@pytest.fixture
def ground(world: World) -> Placed:
    return placed(world, 4)


def page(client: FlaskClient, path: str, language: str = "en") -> str:
    client.set_cookie("language", language)
    answer = client.get(path)
    assert answer.status_code == 200, answer.status_code
    return answer.text


def ask(world: World, ground: Placed, *of: int) -> RecallRequest:
    with world.database.work(ground.lender.actor) as work:
        return recalls.request(work, ground.placement.id, "lender_request", [ground.cases[place].id for place in of])


def held(world: World, ground: Placed) -> int:
    with world.database.work(ground.agency.actor) as work:
        return len(placements.list_cases(work, ground.placement.id))


def entries(world: World, ground: Placed) -> str:
    """The lender's log, as it waits."""
    with world.database.work(ground.lender.actor) as work:
        enter(work.session, JOBS, ground.lender.organisation.id)
        return b"\n".join(work.session.scalars(select(OutboxEntry.entry).order_by(OutboxEntry.id))).decode()


def test_a_wrong_count_stands_on_the_page_of_both_sides_after_the_answer(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    placement: Placement = world.placement(lender, agency, 3, acknowledged=False)
    path = f"/placements/{placement.id}"
    answer = signed_in(agency).post(f"{path}/acknowledge", data={"case_count": "2", "balance": "2000.00"})
    assert answer.status_code == 409
    with world.database.work(lender.actor) as work:
        assert work.session.scalars(select(AcknowledgementBreak.case_count)).all() == [2]
    for someone in (lender, agency):
        assert "Counts differ: work has not started" in page(signed_in(someone), path)
    assert "Counts differ" in page(signed_in(lender), "/placements")
    rows = signed_in(lender).get(f"/api/v1{path}/breaks", headers={"Accept": "application/json"}).json
    assert [(row["kind"], row["case_count"], row["balance_expected"]) for row in rows] == [("mismatch", 2, "3000.00")]
    for someone in (lender, agency):
        header, line = csv.reader(signed_in(someone).get("/breaks.csv").text.lstrip("\ufeff").splitlines())
        row = dict(zip(header, line, strict=True))
        assert (row["kind"], row["claimed"], row["booked"], row["state"]) == ("mismatch", "2000.00", "3000.00", "open")
        assert (row["placement_id"], row["cases_counted"], row["cases_placed"]) == (str(placement.id), "2", "3")


def test_the_file_of_breaks_tells_both_sides_of_a_count_that_is_late(
    world: World, signed_in: Client, clock: Clock
) -> None:
    lender, agency = world.lender(), world.agency()
    world.placement(lender, agency, 3, acknowledged=False)
    clock.forward(hours=49)
    with world.database.work(jobs(lender)) as work:
        acknowledgements.flag_missing(work)
    for someone in (lender, agency):
        text = signed_in(someone).get("/breaks.csv").text
        assert ("missing" in text, "3000.00" in text) == (True, True)


def test_selected_cases_are_asked_for_and_objected_to_and_decided_and_confirmed(
    world: World, signed_in: Client, ground: Placed
) -> None:
    lender, agency = signed_in(ground.lender), signed_in(ground.agency)
    first, second = (str(case.id) for case in ground.cases[:2])
    form = {"selected": "1", "ask": "1", "reason": "lender_request", "case_ids": [first, second]}
    answer = lender.post(f"/placements/{ground.placement.id}/recall", data=form)
    assert answer.status_code == 302
    path = answer.location
    assert "You may object until" in page(agency, path)
    assert agency.post(f"{path}/object", data={"code": "promise", "case_ids": [first]}).status_code == 302
    early = lender.post(f"{path}/execute")
    assert early.status_code == 409
    assert lender.post(f"{path}/keep", data={"case_ids": [first]}).status_code == 302
    world.clock.forward(hours=24)  # type: ignore[attr-defined]
    lender, agency = signed_in(ground.lender), signed_in(ground.agency)
    assert lender.post(f"{path}/execute").status_code == 302
    assert held(world, ground) == 3
    assert "Stop all work on these cases" in page(agency, path)
    assert agency.post(f"{path}/confirm", data={"case_count": "9"}).status_code == 409
    assert agency.post(f"{path}/confirm", data={"case_count": "1"}).status_code == 302
    for language, word in (("en", "The stop of work was confirmed."), ("zh", "<html")):
        assert word in page(agency, path, language)


def test_what_was_objected_to_is_counted_after_the_recall(world: World, signed_in: Client, ground: Placed) -> None:
    request = ask(world, ground, 0, 1)
    with world.database.work(ground.agency.actor) as work:
        recalls.object_to(work, request.id, [ground.cases[0].id], "promise")
    with world.database.work(ground.lender.actor) as work:
        recalls.execute(work, request.id, at_once=True)
        line = recall_lists.get_line(work, request.id)
    assert (line.objected, line.objections, line.recalled) == (0, 1, 2)
    shown = page(signed_in(ground.lender), f"/recalls/{request.id}")
    assert '<span class="figure-label">Objected to</span>\n  <span class="figure-value num">1</span>' in shown
    assert "as the lender decided" not in shown


def test_each_act_on_a_recall_says_what_it_does_and_one_is_the_main_one(
    world: World, signed_in: Client, ground: Placed
) -> None:
    request = ask(world, ground, 0, 1)
    shown = page(signed_in(ground.lender), f"/recalls/{request.id}")
    assert ("Withdraw the recall" in shown, "Carry out the recall" in shown) == (True, False)
    assert 'class="btn btn-primary" data-confirm' not in shown
    world.clock.forward(hours=24)  # type: ignore[attr-defined]
    shown = page(signed_in(ground.lender), f"/recalls/{request.id}")
    assert ("Carry out the recall" in shown, "Recall at once" in shown) == (True, False)
    assert shown.count('class="btn btn-primary" data-confirm') == 1


def test_a_recall_is_taken_back(world: World, signed_in: Client, ground: Placed) -> None:
    request = ask(world, ground, 0)
    assert signed_in(ground.lender).post(f"/recalls/{request.id}/withdraw").status_code == 302
    assert held(world, ground) == 4


def test_what_is_over_says_so_in_words(world: World, signed_in: Client, ground: Placed) -> None:
    request = ask(world, ground, 0)
    client = signed_in(ground.lender)
    client.set_cookie("language", "en")
    assert client.post(f"/recalls/{request.id}/execute", data={"at_once": "1"}).status_code == 302
    again = client.post(f"/recalls/{request.id}/withdraw")
    assert (again.status_code, "It is carried out and cannot be withdrawn." in again.text) == (409, True)
    told = client.post(f"/api/v1/recalls/{request.id}/withdraw", headers={"Accept": "application/json"}).json
    assert (told["code"], told["title"]) == ("wrong_state", "It is carried out and cannot be withdrawn.")


def test_a_recall_is_carried_out_at_once_by_its_own_button(world: World, signed_in: Client, ground: Placed) -> None:
    request = ask(world, ground, 0, 1)
    client = signed_in(ground.lender)
    assert "Recall at once" in page(client, f"/recalls/{request.id}")
    assert client.post(f"/recalls/{request.id}/execute", data={"at_once": "1"}).status_code == 302
    assert held(world, ground) == 2
    assert "Recall at once" not in page(client, f"/recalls/{request.id}")


def test_a_recall_whose_cases_left_another_way_is_not_called_withdrawn(
    world: World, signed_in: Client, ground: Placed
) -> None:
    left, taken_back = ask(world, ground, 0, 1), ask(world, ground, 2)
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "complaint", [case.id for case in ground.cases[:2]])
        recalls.withdraw(work, taken_back.id)
    for someone in (ground.lender, ground.agency):
        shown = page(signed_in(someone), f"/recalls/{left.id}")
        assert ("Its cases left another way" in shown, "Withdrawn" in shown) == (True, False)
        shown = page(signed_in(someone), f"/recalls/{taken_back.id}")
        assert ("Its cases left another way" in shown, "Withdrawn" in shown) == (False, True)
    assert page(signed_in(ground.lender), "/recalls").count("Its cases left another way") == 1


def test_the_lists_filter_and_leave_as_a_file(world: World, signed_in: Client, ground: Placed) -> None:
    ask(world, ground, 0)
    client = signed_in(ground.lender)
    for path in ("/recalls", "/recalls?state=requested", f"/recalls?agency_id={ground.agency.organisation.id}"):
        assert ground.agency.organisation.name in page(client, path)
    assert "No recall fits these filters" in page(client, "/recalls?state=executed")
    assert "lender_request" in client.get("/recalls.csv?state=requested").text
    assert "lender_request" not in client.get("/recalls.csv?state=executed").text
    assert "1" in page(client, "/placements?state=active&ends_before=2030-01-01")
    assert "No placement fits these filters" in page(client, "/placements?ends_before=2026-03-11")


def test_selected_cases_are_given_back(world: World, signed_in: Client, ground: Placed) -> None:
    path = f"/placements/{ground.placement.id}"
    form = {"code": "hardship", "case_ids": [str(ground.case.id)]}
    assert signed_in(ground.agency).post(f"{path}/return", data=form).status_code == 302
    assert held(world, ground) == 3
    assert "Returned: hardship" in page(signed_in(ground.lender), path)


def test_cases_are_asked_to_be_kept_and_approved_together(world: World, signed_in: Client, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        lender_settings.change(work, {"retention_percent_max": 25})
    world.clock.forward(days=85)  # type: ignore[attr-defined]
    promise(world, ground, *ground.cases[:2], in_days=10)
    form = {"ground": "promise", "days": "10", "case_ids": [str(case.id) for case in ground.cases[:2]]}
    agency, lender = signed_in(ground.agency), signed_in(ground.lender)
    assert agency.post(f"/placements/{ground.placement.id}/retain", data=form).status_code == 302
    assert "2 cases wait for the lender." in page(agency, "/retentions")
    text = page(lender, "/retentions?state=requested")
    assert "2 cases wait for your decision." in text
    with world.database.work(ground.lender.actor) as work:
        ids = [str(line.retention.id) for line in retentions.list_own(work)]
    over = lender.post("/retentions/decide", data={"approve": "true", "retention_ids": ids})
    assert over.status_code == 409
    assert "1 of 1 may still be" in over.text
    answers = [
        lender.post("/retentions/decide", data={"approve": approve, "retention_ids": [id_]}).status_code
        for approve, id_ in zip(("true", "false"), ids, strict=True)
    ]
    assert answers == [302, 302]
    assert "stays until" in page(lender, f"/placements/{ground.placement.id}")
    assert ground.case.reference in lender.get("/retentions.csv").text


def test_a_refused_wish_to_keep_names_the_case_in_the_way_and_keeps_what_was_ticked(
    world: World, signed_in: Client, ground: Placed
) -> None:
    world.clock.forward(days=85)  # type: ignore[attr-defined]
    promise(world, ground, ground.cases[0], in_days=10)
    asked = [str(case.id) for case in ground.cases[:2]]
    client = signed_in(ground.agency)
    client.set_cookie("language", "en")
    form = {"ground": "promise", "days": "10", "case_ids": asked}
    refused = client.post(f"/placements/{ground.placement.id}/retain", data=form)
    assert refused.status_code == 409
    assert sorted(re.findall(r'value="([^"]+)"[^>]* checked', refused.text)) == sorted(asked)
    (row,) = (row for row in refused.text.split("<tr>") if "in the way" in row)
    assert f'value="{ground.cases[1].id}"' in row


def test_the_case_page_of_the_lender_tells_its_placements_and_the_agencys_does_not(
    world: World, signed_in: Client, ground: Placed
) -> None:
    path = f"/cases/{ground.case.id}"
    assert "Placements of this case" in page(signed_in(ground.lender), path)
    assert "Placements of this case" not in page(signed_in(ground.agency), path)
    (row,) = signed_in(ground.lender).get(f"/api/v1{path}/history", headers={"Accept": "application/json"}).json
    held = row["placement"]
    assert (row["number"], held["agency_name"], held["balance_at_start"]) == (
        1,
        ground.agency.organisation.name,
        "1000.00",
    )
    assert signed_in(ground.agency).get(f"/api/v1{path}/history").status_code == 403


def test_what_is_asked_for_after_the_recall_is_refused_and_stands_in_the_lenders_log(
    world: World, signed_in: Client, ground: Placed
) -> None:
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "complaint")
    client = signed_in(ground.agency)
    case, contact = f"/api/v1/cases/{ground.case.id}", {"channel": "call", "direction": "outbound", "party": "debtor"}
    late = {
        "cases.release": (f"{case}/releases", {"field_class": "identity", "reason": "verify_identity"}),
        "contacts.record": (
            f"{case}/contacts",
            {**contact, "outcome": "busy", "occurred_at": "2026-03-10T10:00:00+08:00"},
        ),
        "promises.record": (f"{case}/promises", {"amount": "1.00", "currency": "CNY", "due_on": "2026-03-12"}),
        "claims.record": (
            f"{case}/claims",
            {"amount": "1.00", "currency": "CNY", "paid_on": "2026-03-10", "reference": "R-A", "paid_to": "lender"},
        ),
    }
    token = csrf_of(client)
    for path, body in late.values():
        answer = client.post(path, json=body, headers={"X-CSRF-Token": token})
        assert (answer.status_code, answer.json["code"]) == (409, "case_recalled")
    world.clock.forward(minutes=1)  # type: ignore[attr-defined]
    assert client.get(f"/placements/{ground.placement.id}/cases.csv").status_code == 409
    log = entries(world, ground)
    for permission in ("cases.release", "placements.read"):
        assert f'"asked_for":"{permission}"' in log
    assert log.count('"action":"access.refused"') == 2  # one for an actor, code and minute


def test_a_foreign_recall_is_an_unknown_page_and_a_stranger_role_is_refused(
    world: World, signed_in: Client, ground: Placed
) -> None:
    request = ask(world, ground, 0)
    for id_ in (request.id, uuid4()):
        for stranger in (world.lender(), world.agency()):
            assert signed_in(stranger).get(f"/recalls/{id_}").status_code == 404
    compliance = world.person(ground.lender, "compliance_officer")
    assert signed_in(compliance).get(f"/recalls/{request.id}").status_code == 200
    assert signed_in(compliance).post(f"/recalls/{request.id}/execute").status_code == 403
    assert signed_in(world.person(ground.agency, "collector")).get("/recalls").status_code == 403
    assert signed_in(ground.agency).post(f"/recalls/{request.id}/keep").status_code == 403


def test_a_recall_says_what_keeps_its_cases_from_being_offered_again_to_the_lender_alone(
    world: World, signed_in: Client, ground: Placed
) -> None:
    with world.database.work(ground.lender.actor) as work:
        waits = recalls.request(work, ground.placement.id, "debt_sold", [ground.cases[0].id])
        done = recalls.recall(work, ground.placement.id, "complaint", [ground.cases[1].id])
    lender, agency = signed_in(ground.lender), signed_in(ground.agency)
    assert "will not be offered again until its exclusion is lifted: <b>Debt sold" in page(
        lender, f"/recalls/{waits.id}"
    )
    text = page(lender, f"/recalls/{done.id}")
    assert "1 of these cases will not be offered again until its exclusion is lifted:" in text
    assert '<a href="/exclusions?reason=complaint">Complaint</a>' in text
    assert "not be offered again" not in page(agency, f"/recalls/{done.id}")


def test_the_exclusions_of_a_recall_are_lifted_by_one_button(world: World, signed_in: Client, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        done = recalls.recall(work, ground.placement.id, "complaint")
    lender, path = signed_in(ground.lender), f"/recalls/{done.id}"
    assert f'action="{path}/lift-exclusions"' in page(lender, path)
    assert signed_in(ground.agency).post(f"{path}/lift-exclusions").status_code == 403
    assert lender.post(f"{path}/lift-exclusions").status_code == 302
    assert "lift-exclusions" not in page(lender, path)
    assert lender.post(f"{path}/lift-exclusions").status_code == 409


def test_recalls_are_filtered_by_the_category_of_their_reason_on_page_file_and_api(
    world: World, signed_in: Client, ground: Placed
) -> None:
    ask(world, ground, 0)
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "conduct", [ground.cases[1].id])
    for someone in (ground.lender, ground.agency):
        client = signed_in(someone)
        text = page(client, "/recalls?category=compliance")
        assert "Conduct" in text
        assert "Lender's request" not in text
        (line,) = csv.DictReader(client.get("/recalls.csv?category=compliance").text.lstrip("\ufeff").splitlines())
        assert (line["reason"], line["category"]) == ("conduct", "compliance")
        found = client.get("/api/v1/recalls?category=operational", headers={"Accept": "application/json"}).json
        assert [(row["reason"], row["category"]) for row in found["items"]] == [("lender_request", "operational")]


def test_the_api_counts_a_finished_recall_as_page_and_file_do(
    world: World, signed_in: Client, program: Client, ground: Placed
) -> None:
    request = ask(world, ground, 0, 1, 2)
    with world.database.work(ground.agency.actor) as work:
        recalls.object_to(work, request.id, [ground.cases[place].id for place in (0, 1)], "promise")
    with world.database.work(ground.lender.actor) as work:
        recalls.keep(work, request.id, [ground.cases[0].id])
        recalls.execute(work, request.id, at_once=True)
    (line,) = csv.DictReader(signed_in(ground.lender).get("/recalls.csv").text.lstrip("\ufeff").splitlines())
    for someone in (ground.lender, ground.agency):
        told = program(someone).get(f"/api/v1/recalls/{request.id}").json
        assert [told[name] for name in ("asked", "objected", "kept", "recalled")] == [3, 2, 1, 2]
        assert [str(told[name]) for name in ("asked", "objected")] == [line["cases"], line["objections"]]


def test_files_go_to_the_api_and_bad_rows_are_named(world: World, signed_in: Client, ground: Placed) -> None:
    lender, agency = signed_in(ground.lender), signed_in(ground.agency)
    assert "reason" in page(lender, "/recalls/new")
    assert "return_code" in page(agency, "/returns/new")
    for client, path, column in (
        (lender, "/api/v1/recalls/file?immediate=true", "reason"),
        (agency, "/api/v1/returns/file", "return_code"),
    ):
        row = {"reason": "debt_sold", "return_code": "capacity"}[column]
        case = ground.cases[0 if client is lender else 1]
        file = f"case_number,{column}\n{case.reference},{row}\nK-NOBODY,{row}\n".encode()
        headers = {"X-CSRF-Token": csrf_of(client), "Content-Type": "text/csv"}
        outcome = client.post(path, data=file, headers=headers).json
        assert (outcome["accepted"], outcome["refused"]) == (1, 1)
        assert outcome["errors"][0]["code"] == "unknown_case"
    assert held(world, ground) == 2


def test_an_unconfirmed_stop_is_a_breach_with_a_page(world: World, signed_in: Client, ground: Placed) -> None:
    with world.database.work(ground.lender.actor) as work:
        recalls.recall(work, ground.placement.id, "complaint")
    world.clock.forward(hours=24)  # type: ignore[attr-defined]
    with world.database.work(jobs(ground.lender)) as work:
        stops.flag_missing(work)
    for someone in (world.person(ground.lender, "compliance_officer"), ground.agency):
        client = signed_in(someone)
        text = page(client, "/breaches")
        assert "Stop of work not confirmed" in text
        breach_id = client.get("/api/v1/breaches", headers={"Accept": "application/json"}).json["items"][0]["id"]
        assert "did not confirm by" in page(client, f"/breaches/{breach_id}")


def csrf_of(client: FlaskClient) -> str:
    text = client.get("/placements").text
    return text.split('name="csrf-token" content="')[1].split('"')[0]


def test_a_recall_counts_the_same_cases_on_the_list_and_in_its_file(
    world: World, signed_in: Client, ground: Placed
) -> None:
    request = ask(world, ground, 0, 1, 2)
    with world.database.work(ground.agency.actor) as work:
        recalls.object_to(work, request.id, [ground.cases[1].id, ground.cases[2].id], "negotiation")
        returns.give_back(work, ground.placement.id, "capacity", [ground.cases[0].id])
    with world.database.work(ground.lender.actor) as work:
        recalls.keep(work, request.id, [ground.cases[1].id])
        recalls.execute(work, request.id, at_once=True)
    client = signed_in(ground.lender)
    (line,) = csv.DictReader(client.get("/recalls.csv").text.lstrip("\ufeff").splitlines())
    told = [line[name] for name in ("cases", "objections", "kept", "recalled", "gone")]
    assert told == ["3", "2", "1", "1", "1"]
    listed = page(client, "/recalls").split("<tbody>")[1]
    assert re.findall(r'<td class="text-end num">(\d+)</td>', listed) == told
