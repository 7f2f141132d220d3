"""Retained cases: asked for by file, and all that waits decided at once, on the page and over the API."""

import re
from collections.abc import Callable
from hashlib import sha256

import pytest
from flask.testing import FlaskClient

from models.services.exchange import retentions
from models.services.parties import lender_settings
from tests.facts import Placed, placed, promise
from tests.world import World

Client = Callable[..., FlaskClient]
JSON = {"Accept": "application/json"}


@pytest.fixture
def ground(world: World) -> Placed:
    """Four cases, five days before their term ends, of which two may be kept; each is promised to be paid."""
    made = placed(world, 4)
    with world.database.work(made.lender.actor) as work:
        lender_settings.change(work, {"retention_percent_max": 50})
    world.clock.forward(days=85)  # type: ignore[attr-defined]
    promise(world, made, *made.cases, in_days=10)
    return made


def page(client: FlaskClient, path: str, language: str = "en") -> str:
    client.set_cookie("language", language)
    answer = client.get(path)
    assert answer.status_code == 200, answer.status_code
    return answer.text


def ask(world: World, ground: Placed, *of: int) -> None:
    with world.database.work(ground.agency.actor) as work:
        retentions.request(work, ground.placement.id, [ground.cases[place].id for place in of], "promise", 5)


def states(world: World, ground: Placed) -> list[str]:
    with world.database.work(ground.lender.actor) as work:
        return sorted(line.retention.state for line in retentions.list_own(work))


def seen(client: FlaskClient, path: str = "/retentions") -> dict[str, str]:
    text = page(client, path)
    return dict(re.findall(r'name="(up_to|digest|agency_id)" value="([^"]+)"', text))


def decide_all(client: FlaskClient, approve: str = "true") -> str:
    """As the form says it that stands on the page."""
    form = seen(client) | {"approve": approve}
    answer = client.post("/retentions/decide-all", data=form, follow_redirects=True)
    assert answer.status_code == 200
    return answer.text


def test_a_file_asks_for_its_good_rows_and_names_the_others(world: World, program: Client, ground: Placed) -> None:
    file = f"case_number,ground,days\n{ground.case.reference},promise,5\n{ground.cases[1].reference},promise,99\n"
    answer = program(ground.agency).post("/api/v1/retentions/file?file_name=keep.csv", data=file.encode())
    assert answer.status_code == 200
    assert (answer.json["accepted"], answer.json["refused"]) == (1, 1)
    assert [(error["row"], error["field"]) for error in answer.json["errors"]] == [(2, "days")]
    assert program(ground.lender).post("/api/v1/retentions/file", data=file.encode()).status_code == 403
    assert states(world, ground) == ["requested"]


def test_the_page_of_the_file_says_what_it_holds_in_both_languages(signed_in: Client, ground: Placed) -> None:
    agency = signed_in(ground.agency)
    assert "/retentions/new" in page(agency, "/retentions")
    for language in ("zh", "en"):
        text = page(agency, "/retentions/new", language)
        assert all(column in text for column in ("case_number", "ground", "days", "recent_payment"))
        assert "negotiation" not in text
    assert signed_in(ground.lender).get("/retentions/new").status_code == 403


def test_all_that_waits_is_approved_by_one_form(world: World, signed_in: Client, ground: Placed) -> None:
    ask(world, ground, 0, 1)
    lender = signed_in(ground.lender)
    assert "Approve all 2 that wait" in page(lender, "/retentions?state=requested")
    assert "2 cases stay beyond their term." in decide_all(lender)
    assert states(world, ground) == ["approved", "approved"]
    assert "Approve all" not in page(lender, "/retentions")
    assert "Approve all" not in page(signed_in(ground.agency), "/retentions")


def test_what_no_cap_has_room_for_is_left_and_told(world: World, signed_in: Client, ground: Placed) -> None:
    ask(world, ground, 0, 1, 2)
    assert "3 cases are left as they were" in decide_all(signed_in(ground.lender))
    assert states(world, ground) == ["requested"] * 3
    assert "3 requests refused." in decide_all(signed_in(ground.lender), "false")


@pytest.mark.parametrize(("language", "said"), [("en", "The list has changed"), ("zh", "")])
def test_what_came_since_one_looked_is_shown_and_nothing_is_decided(
    world: World, signed_in: Client, ground: Placed, language: str, said: str
) -> None:
    ask(world, ground, 0)
    lender = signed_in(ground.lender)
    form = seen(lender, f"/retentions?agency_id={ground.agency.organisation.id}") | {"approve": "true"}
    ask(world, ground, 1)
    with world.database.work(ground.lender.actor) as work:
        both = retentions.waiting(work)
    form["up_to"] = str(both.up_to)
    lender.set_cookie("language", language)
    answer = lender.post("/retentions/decide-all", data=form)
    assert answer.status_code == 409
    assert said in answer.text
    assert f'name="digest" value="{both.digest.hex()}"' in answer.text
    assert f'name="agency_id" value="{ground.agency.organisation.id}"' in answer.text
    assert states(world, ground) == ["requested"] * 2


def test_a_program_says_which_it_saw_with_the_newest_that_it_saw(world: World, program: Client, ground: Placed) -> None:
    ask(world, ground, 0)
    with world.database.work(ground.lender.actor) as work:
        (line,) = retentions.list_own(work)
    asked = {"up_to": str(line.retention.id), "approve": True}
    client, path = program(ground.lender), "/api/v1/retentions/decide-all"
    assert client.post(path, json=asked).status_code == 422
    answer = client.post(path, json=asked | {"digest": "00" * 32})
    assert (answer.status_code, answer.json["code"], answer.json["cases"]) == (409, "list_changed", 1)
    digest = sha256(line.retention.id.bytes).hexdigest()
    assert client.post(path, json=asked | {"digest": digest}).json == {"cases": 1, "left": 0}


def test_a_program_decides_all_that_waits_with_an_agency(world: World, program: Client, ground: Placed) -> None:
    ask(world, ground, 0)
    other = placed(world)
    client = program(ground.lender)
    for agency, cases in ((other.agency, 0), (ground.agency, 1)):
        asked = {"agency_id": str(agency.organisation.id), "approve": True}
        answer = client.post("/api/v1/retentions/decide-all", json=asked)
        assert answer.json == {"cases": cases, "left": 0}
    assert program(ground.agency).post("/api/v1/retentions/decide-all", json={"approve": True}).status_code == 403
