"""The inbox: one sentence for each notice in both languages, counted on every page, read for everybody."""

import re
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from babel.messages.pofile import read_po
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale

from models.notice import AGENCY, BOTH, KINDS, LENDER, Notice
from models.services import notices
from portal.notices import FACTS, SENTENCES, SUBJECTS, details_of, lines_of
from tests.conftest import ROOT
from tests.models.test_notices import tell
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]
LAST = UUID(int=2**128 - 1)
TRANSLATIONS = ROOT / "portal" / "translations" / "zh" / "LC_MESSAGES" / "messages.po"


def english(client: FlaskClient) -> FlaskClient:
    client.set_cookie("language", "en")
    return client


def test_the_inbox_says_what_happened_and_leads_there(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    offer = world.offer(lender, agency)
    page = english(signed_in(agency)).get("/notices").text
    assert f"{lender.organisation.name} makes you an offer." in page
    assert f'href="/offers/{offer.id}"' in page
    assert f"{lender.organisation.name}" in signed_in(agency).get("/notices").text


def test_every_page_counts_what_is_not_read(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    tell(world, lender, agency)
    client = signed_in(agency)
    assert '<b class="nav-count">1</b>' in client.get("/offers").text
    assert "nav-count" not in signed_in(lender).get("/offers").text


def test_reading_one_or_all_of_them_empties_the_count(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    for _ in range(3):
        tell(world, lender, agency)
    client = english(signed_in(agency))
    page = client.get("/notices").text
    one = re.search(r'action="(/notices/[0-9a-f-]{36}/read[^"]*)"', page)
    assert one is not None
    assert client.post(one[1].replace("&amp;", "&")).status_code == 302
    assert '<b class="nav-count">2</b>' in client.get("/offers").text
    until = re.search(r'name="until" value="([^"]+)"', client.get("/notices").text)
    assert until is not None
    answer = client.post("/notices/read", data={"until": until[1]}, follow_redirects=True)
    assert "2 notices marked as read." in answer.text
    assert "nav-count" not in client.get("/offers").text


def test_what_waits_comes_before_what_was_read(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    world.agreement(lender, agency)
    with world.database.work(agency.actor) as work:
        notices.mark_all_read(work, LAST)
    tell(world, lender, agency)
    tell(world, lender, agency, kind="offer.withdrawn")
    with world.database.work(agency.actor) as work:
        newest = notices.list_own(work, limit=1)[0]
        notices.mark_read(work, newest.id)
    page = english(signed_in(agency)).get("/notices").text
    assert page.index("makes you an offer") < page.index("has withdrawn its offer")
    page = english(signed_in(agency)).get("/notices?show=all").text
    assert page.index("has withdrawn its offer") < page.index("makes you an offer")


def test_a_list_is_narrowed_to_a_kind(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    tell(world, lender, agency)
    tell(world, lender, agency, kind="offer.withdrawn")
    page = english(signed_in(agency)).get("/notices?kind=offer.withdrawn&show=all").text
    assert "has withdrawn its offer" in page
    assert "makes you an offer" not in page


def test_the_inbox_is_downloaded_as_it_is_narrowed(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    world.agreement(lender, agency)
    tell(world, lender, agency, cases=7)
    tell(world, lender, agency, kind="offer.withdrawn")
    client = english(signed_in(agency))
    assert 'href="/notices.csv?show=first"' in client.get("/notices").text
    header, *lines = client.get("/notices.csv?kind=offer.made").text.lstrip("\ufeff").splitlines()
    assert header == "told,kind,party,subject,subject_id,facts,read,export"
    (line,) = lines
    assert line.split(",")[1:4] == ["offer.made", lender.organisation.name, "offer"]
    assert "cases=7" in line
    with world.database.work(agency.actor) as work:
        notices.mark_all_read(work, LAST, "offer.made")
    kinds = {line.split(",")[1] for line in client.get("/notices.csv?show=unread").text.splitlines()[1:]}
    assert "offer.withdrawn" in kinds
    assert "offer.made" not in kinds
    assert signed_in(world.person(agency, "collector")).get("/notices.csv").status_code == 403


def test_a_collector_and_an_auditor_have_no_inbox(world: World, signed_in: Client) -> None:
    lender = world.lender()
    for someone in (world.agency("collector"), world.auditor(of=lender)):
        assert signed_in(someone).get("/notices").status_code == 403


def test_a_foreign_notice_is_as_unknown_as_nobodys(world: World, signed_in: Client, program: Client) -> None:
    lender, agency = world.lender(), world.agency()
    tell(world, lender, agency)
    with world.database.work(agency.actor) as work:
        (notice,) = notices.list_own(work)
    for id_ in (notice.id, uuid4()):
        assert signed_in(lender).post(f"/notices/{id_}/read").status_code == 404
        assert program(lender).post(f"/api/v1/notices/{id_}/read").status_code == 404


def test_the_api_lists_and_marks(world: World, program: Client) -> None:
    lender, agency = world.lender(), world.agency()
    for _ in range(3):
        tell(world, lender, agency, cases=7)
    client = program(agency)
    first = client.get("/api/v1/notices?limit=2").json
    assert first is not None
    assert [item["kind"] for item in first["items"]] == ["offer.made"] * 2
    assert first["items"][0]["facts"] == {"cases": 7}
    rest = client.get(f"/api/v1/notices?limit=2&after={first['next_after']}").json
    assert rest is not None
    assert len(rest["items"]) == 1
    read = client.post(f"/api/v1/notices/{first['items'][0]['id']}/read").json
    assert read is not None
    assert read["read_by"] == str(agency.member.id)
    assert client.post("/api/v1/notices/read", json={"until": first["items"][0]["id"]}).json == {"count": 2}
    assert client.get("/api/v1/notices?read=false").json == {"items": [], "next_after": None}
    assert client.get("/api/v1/notices?kind=nothing").status_code == 422


def test_every_kind_has_its_sentence() -> None:
    assert set(SENTENCES) == set(KINDS)


def test_every_kind_is_told_somewhere() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "models" / "services").rglob("*.py"))
    assert [kind for kind in KINDS if f'"{kind}"' not in sources and kind.split(".")[1] != "expiring"] == []


def test_a_kind_that_nobody_knows_or_that_is_not_for_this_side_is_not_told(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    for told, kind in ((AGENCY, "offer.guessed"), (LENDER, "offer.made")):
        with pytest.raises(ValueError, match=kind):
            tell(world, lender, agency, told, kind)


def test_every_sentence_and_name_has_its_chinese() -> None:
    with TRANSLATIONS.open("rb") as file:
        chinese = {message.id: message.string for message in read_po(file, locale="zh") if message.string}
    texts = {text for sentence in SENTENCES.values() for text in (sentence.name, sentence.text)}
    assert texts - set(chinese) == set()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_notice_can_be_read(app: Flask, kind: str, language: str) -> None:
    facts = {
        "number": "AG-1",
        "document_kind": "licence",
        "cases": 12,
        "placements": 2,
        "reason": "capacity",
        "code": "promise",
        "days": 30,
        "until": "2026-03-11T02:00:00+00:00",
        "ends_on": "2026-04-01",
        "expires_on": "2026-04-01",
        "late": True,
    }
    assert set(facts) == set(FACTS)
    other = uuid4()
    for side in KINDS[kind]:
        notice = Notice(
            id=uuid4(),
            lender_id=other,
            agency_id=other,
            kind=kind,
            subject_kind="offer",
            subject_id=uuid4(),
            facts=facts,
        )
        with app.test_request_context(), force_locale(language):
            (line,) = lines_of([notice], {other: "正和催收"}, side)
        assert "%(" not in line.text
        assert len(line.details) == len(facts)


def test_differing_counts_tell_what_was_counted(app: Flask) -> None:
    notice = Notice(kind="placement.mismatch", facts={"cases": 99})
    with app.test_request_context(), force_locale("en"):
        assert details_of(notice) == ["counted: 99 cases"]


def test_whatever_a_notice_is_about_has_its_page(app: Flask) -> None:
    assert {endpoint for endpoint, *_ in SUBJECTS.values()} - set(app.view_functions) == set()


def test_both_means_both() -> None:
    assert {LENDER, AGENCY} == BOTH
