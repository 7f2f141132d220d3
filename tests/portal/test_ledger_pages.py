"""The ledger's pages and the breaks': files in, refusals by row, suspense, and where two sides differ."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from models.services.exchange import recalls
from models.services.settlement import reconciliations
from tests import facts
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]


def reconciled(world: World) -> facts.Placed:
    """A claim that the ledger does not know, and a payment that nobody claimed."""
    placed = facts.placed(world, 2)
    facts.claim(world, placed, "100.00")
    facts.receive_payments(world, placed.lender, facts.payment(placed.cases[1], "250.00"))
    with world.database.work(facts.jobs(placed.lender)) as work:
        reconciliations.run(work, facts.TODAY)
    return placed


def test_the_upload_page_offers_the_next_number_of_the_day(world: World, signed_in: Client) -> None:
    officer = world.lender("settlement_officer")
    client = signed_in(officer)
    assert 'name="sequence"' in client.get("/ledger/upload/payments").text
    facts.receive_payments(world, officer)
    page = client.get("/ledger/upload/payments").text
    assert 'data-upload-url="/api/v1/ledger/payments"' in page
    assert 'value="2"' in page
    assert client.get("/ledger/upload/anything").status_code == 404


def test_a_file_sent_from_the_page_shows_its_refused_rows(world: World, signed_in: Client) -> None:
    officer = world.lender("settlement_officer")
    client = signed_in(officer)
    client.set_cookie("language", "en")
    body = facts.ledger_file([facts.payment("K-1", "no number"), facts.payment("K-1", "5.00")], facts.PAYMENT_HEADER)
    query = {"business_date": "2026-03-10", "sequence": "1"}
    answer = client.post("/api/v1/ledger/payments", query_string=query, data=body, content_type="text/csv")
    page = client.get(f"/ledger/feeds/{answer.json['id']}").text
    assert "1 row was refused." in page
    assert "no number" not in page


@pytest.mark.parametrize(("language", "word"), [("zh", "账务"), ("en", "Ledger")])
def test_the_ledger_says_what_waits_in_suspense(world: World, signed_in: Client, language: str, word: str) -> None:
    officer = world.lender("settlement_officer")
    facts.receive_payments(world, officer, facts.payment("K-UNKNOWN", "880.00"))
    client = signed_in(officer)
    client.set_cookie("language", language)
    page = client.get("/ledger").text
    assert f"<h1>{word}</h1>" in page
    assert "¥880.00" in page
    assert "K-UNKNOWN" in client.get("/ledger/suspense").text
    assert "K-UNKNOWN" in client.get("/ledger/suspense.csv").text


def test_a_reference_that_may_be_personal_stays_sealed(world: World, signed_in: Client) -> None:
    officer = world.lender("settlement_officer")
    facts.receive_payments(world, officer, facts.payment("13800138000", "880.00"))
    client = signed_in(officer)
    for path in ("/ledger/suspense", "/ledger/suspense.csv"):
        page = client.get(path).text
        assert "880.00" in page
        assert "13800138000" not in page


def test_a_foreign_feed_is_unknown_and_an_agency_has_no_ledger(world: World, signed_in: Client) -> None:
    feed = facts.receive_payments(world, world.lender("settlement_officer"))
    assert signed_in(world.lender("settlement_officer")).get(f"/ledger/feeds/{feed.id}").status_code == 404
    assert signed_in(world.agency()).get("/ledger").status_code == 403


def test_a_portfolio_manager_reads_the_ledger_and_uploads_nothing(world: World, signed_in: Client) -> None:
    client = signed_in(world.lender("portfolio_manager"))
    assert client.get("/ledger").status_code == 200
    assert client.get("/ledger/upload/payments").status_code == 403


@pytest.mark.parametrize(("language", "word"), [("zh", "差异"), ("en", "Breaks")])
def test_both_sides_see_what_differs_and_whose_turn_it_is(
    world: World, signed_in: Client, language: str, word: str
) -> None:
    placed = reconciled(world)
    for someone in (placed.lender, placed.agency, world.auditor(of=placed.lender)):
        client = signed_in(someone)
        client.set_cookie("language", language)
        page = client.get("/breaks").text
        assert f"<h1>{word}</h1>" in page
        assert "¥100.00" in page
        assert "−¥250.00" in page
        assert placed.cases[0].reference in page


def test_an_agency_reads_the_day_of_a_payment_and_not_the_ledgers_reference(world: World, signed_in: Client) -> None:
    placed = facts.placed(world, 1)
    paid = facts.payment(placed.case, "250.00") | {"reference": "LEDGER-77"}
    facts.receive_payments(world, placed.lender, paid)
    with world.database.work(facts.jobs(placed.lender)) as work:
        reconciliations.run(work, facts.TODAY)
    pages = [signed_in(someone).get("/breaks").text for someone in (placed.lender, placed.agency)]
    assert [facts.TODAY.isoformat() in page for page in pages] == [True, True]
    assert ["LEDGER-77" in page for page in pages] == [True, False]


def test_the_upload_page_names_columns_and_what_they_may_hold(world: World, signed_in: Client) -> None:
    page = signed_in(world.lender("settlement_officer")).get("/ledger/upload/balances").text
    assert all(f"<code>{code}</code>" in page for code in ("case_number", "balance", "currency", "status", "paid_off"))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_wrong_acknowledgements_stand_among_the_breaks_of_both_sides(
    world: World, signed_in: Client, language: str
) -> None:
    lender, agency = world.lender(), world.agency()
    placement = world.placement(lender, agency, 3, acknowledged=False)
    answer = signed_in(agency).post(
        f"/placements/{placement.id}/acknowledge", data={"case_count": "2", "balance": "2000.00"}
    )
    assert answer.status_code == 409
    for someone in (lender, agency, world.auditor(lender)):
        client = signed_in(someone)
        client.set_cookie("language", language)
        shown = client.get("/breaks").text
        assert f"/placements/{placement.id}" in shown
        assert all(figure in shown for figure in ("¥2,000.00", "¥3,000.00", "−¥1,000.00"))
        assert f"/placements/{placement.id}" not in client.get("/breaks?state=closed").text
    assert f"/placements/{placement.id}" not in signed_in(world.agency()).get("/breaks").text
    assert 'href="/breaks"' in signed_in(lender).get("/").text


def test_breaks_are_filtered_by_kind_and_state(world: World, signed_in: Client) -> None:
    placed = reconciled(world)
    client = signed_in(placed.lender)
    page = client.get("/breaks?kind=missing_here").text
    assert placed.cases[0].reference in page
    assert placed.cases[1].reference not in page
    assert placed.cases[0].reference not in client.get("/breaks?state=closed").text


def test_the_agency_keeps_the_break_and_loses_the_number_of_a_recalled_case(world: World, signed_in: Client) -> None:
    placed = reconciled(world)
    with world.database.work(placed.lender.actor) as work:
        recalls.recall(work, placed.placement.id, "complaint")
    client = signed_in(placed.agency)
    for path in ("/breaks", "/breaks.csv"):
        page = client.get(path).text
        assert "100.00" in page
        assert placed.cases[0].reference not in page


def test_another_agency_sees_none_of_it(world: World, signed_in: Client) -> None:
    placed = reconciled(world)
    page = signed_in(world.agency()).get("/breaks").text
    assert "¥100.00" not in page
    assert placed.cases[0].reference not in page
