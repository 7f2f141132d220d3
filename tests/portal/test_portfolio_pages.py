"""A lender's portfolios and parties on their pages: uploaded, looked at, offered."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from models.case import Case
from models.portfolio import UPLOADED, Portfolio
from models.services.exchange import recalls, tenders
from models.services.parties import members
from models.services.portfolio import exclusions, portfolios
from models.services.portfolio.portfolios import Progress
from portal.web.portfolios import stage_of
from tests.facts import TODAY
from tests.world import Debt, Someone, World, case_file

Client = Callable[[Someone], FlaskClient]
DEBTS = [Debt(1, balance="500.00", dpd=10), Debt(1, balance="900.00", dpd=40), Debt(2, balance="20000.00", dpd=75)]


def upload(client: FlaskClient, body: bytes, name: str) -> str:
    answer = client.post("/api/v1/portfolios", query_string={"name": name}, data=body, content_type="text/csv")
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def test_the_upload_page_leads_to_a_page_that_shows_what_stands(world: World, signed_in: Client) -> None:
    client = signed_in(world.lender())
    form = client.get("/portfolios/new").text
    assert 'data-upload-url="/api/v1/portfolios"' in form
    assert 'data-upload-next="/portfolios/{id}"' in form
    portfolio_id = upload(client, case_file(DEBTS), "March")
    page = client.get(f"/portfolios/{portfolio_id}").text
    assert "¥21,400.00" in page
    assert "M2" in page


@pytest.mark.parametrize(("language", "word"), [("zh", "资产包"), ("en", "Portfolios")])
def test_the_list_speaks_the_readers_language(world: World, signed_in: Client, language: str, word: str) -> None:
    lender = world.lender()
    world.portfolio(lender)
    client = signed_in(lender)
    client.set_cookie("language", language)
    assert f"<h1>{word}</h1>" in client.get("/portfolios").text


def test_refused_rows_are_shown_by_row_and_reason_and_never_by_value(world: World, signed_in: Client) -> None:
    client = signed_in(world.lender())
    client.set_cookie("language", "en")
    body = case_file([Debt(1), Debt(2)]).replace(b"13800000002", b"not one")
    page = client.get(f"/portfolios/{upload(client, body, 'March')}").text
    assert "Not a valid mobile number." in page
    assert "not one" not in page


def test_the_figures_of_a_portfolio_count_each_case_once(world: World) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, DEBTS), world.agreement(lender, agency)
    with world.database.work(lender.actor) as work:
        tenders.assign(work, portfolio.id, agreement.id, ["M3"])
        progress = portfolios.progress(work, [portfolio.id])[portfolio.id]
        cells = portfolios.grid(work, portfolio.id)
    assert progress == Progress(0, 0, 1, 2)
    assert [(c.bucket, c.balance_band, c.case_count) for c in cells] == [
        ("M1", "0-1k", 1),
        ("M2", "0-1k", 1),
        ("M3", "10k-50k", 1),
    ]


def test_a_portfolio_that_came_back_is_free_again_and_not_merely_sealed(world: World, signed_in: Client) -> None:
    lender = world.lender()
    placement = world.placement(lender, world.agency(), 2)
    with world.database.work(lender.actor) as work:
        recalls.recall(work, placement.id, "lender_request")
    client = signed_in(lender)
    client.set_cookie("language", "en")
    shown = client.get("/portfolios").text
    assert ("Free again" in shown, "Sealed" in shown) == (True, False)


def test_an_offer_is_made_from_the_portfolios_page(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, DEBTS), world.agreement(lender, agency)
    form = {"agreement_id": str(agreement.id), "buckets": ["M1", "M2"], "case_limit": "", "respond_hours": "24"}
    answer = signed_in(lender).post(f"/portfolios/{portfolio.id}/offers", data=form)
    assert answer.status_code == 302
    with world.database.work(lender.actor) as work:
        assert [(t.case_count, t.portfolio_id) for t in tenders.list_own(work)] == [(2, portfolio.id)]


def test_an_offer_of_nothing_says_so_in_place_and_keeps_the_form(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, DEBTS), world.agreement(lender, agency)
    client = signed_in(lender)
    client.set_cookie("language", "en")
    form = {"agreement_id": str(agreement.id), "buckets": ["M6"], "respond_hours": "36"}
    answer = client.post(f"/portfolios/{portfolio.id}/offers", data=form)
    assert answer.status_code == 409
    assert "No case of this portfolio is free to be offered so." in answer.text
    assert 'value="M6" checked' in answer.text
    assert 'value="36"' in answer.text


def test_a_wrong_figure_is_told_beside_its_input(world: World, signed_in: Client) -> None:
    lender, agency = world.lender(), world.agency()
    portfolio, agreement = world.portfolio(lender, DEBTS), world.agreement(lender, agency)
    form = {"agreement_id": str(agreement.id), "case_limit": "many"}
    answer = signed_in(lender).post(f"/portfolios/{portfolio.id}/offers", data=form)
    assert answer.status_code == 422
    assert 'id="case_limit-error"' in answer.text


def test_another_lenders_portfolio_is_as_unknown_as_none(world: World, signed_in: Client) -> None:
    theirs = world.portfolio(world.lender())
    client = signed_in(world.lender())
    assert client.get(f"/portfolios/{theirs.id}").status_code == 404
    assert client.get("/portfolios/01890000-0000-7000-8000-000000000000").status_code == 404


def test_an_agency_opens_no_portfolio(world: World, signed_in: Client) -> None:
    assert signed_in(world.agency()).get("/portfolios").status_code == 403


def test_the_list_is_downloaded_with_one_line_for_each_currency(world: World, signed_in: Client) -> None:
    lender = world.lender()
    world.portfolio(lender, [Debt(1), Debt(2, currency="USD")])
    lines = signed_in(lender).get("/portfolios.csv").text.splitlines()
    assert [line.split(",")[6] for line in lines] == ["currency", "CNY", "USD"]


def test_an_unknown_agency_code_is_told_on_the_form(world: World, signed_in: Client) -> None:
    client = signed_in(world.lender("compliance_officer"))
    client.set_cookie("language", "en")
    form = {"auditor_code": "U-NOBODY", "starts_on": "2026-03-10", "ends_on": "2026-04-10"}
    answer = client.post("/mandates", data=form)
    assert answer.status_code == 404
    assert "No organisation of that kind has this code." in answer.text


def test_a_mandate_is_granted_by_code(world: World, signed_in: Client) -> None:
    auditor = world.auditor()
    client = signed_in(world.lender("compliance_officer"))
    form = {"auditor_code": auditor.organisation.code, "starts_on": "2026-03-10", "ends_on": "2026-04-10"}
    assert client.post("/mandates", data=form).status_code == 302
    assert auditor.organisation.name in client.get("/mandates").text


def test_a_colleague_is_added_once(world: World, signed_in: Client) -> None:
    manager = world.agency()
    form = {
        "name": "王敏",
        "email": "wang@example.com",
        "roles": ["collector"],
        "password": "a long first password",
        "locale": "zh",
    }
    client = signed_in(manager)
    assert client.post("/colleagues", data=form).status_code == 302
    assert client.post("/colleagues", data=form).status_code == 409
    with world.database.work(manager.actor) as work:
        assert [(m.name, m.roles) for m in members.list_own(work) if m.name == "王敏"] == [("王敏", ["collector"])]


def test_a_short_password_is_told_and_not_repeated(world: World, signed_in: Client) -> None:
    form = {"name": "n", "email": "n@example.com", "roles": ["collector"], "password": "quiteshort", "locale": "zh"}
    answer = signed_in(world.agency()).post("/colleagues", data=form)
    assert answer.status_code == 422
    assert 'id="password-error"' in answer.text
    assert "quiteshort" not in answer.text


@pytest.mark.parametrize(
    ("free", "offered", "placed", "closed", "step"),
    [
        (5, 0, 0, 0, "sealed"),
        (3, 2, 0, 0, "offered"),
        (3, 0, 2, 0, "placed"),
        (0, 0, 4, 1, "closed"),
        (0, 0, 0, 5, None),
    ],
)
def test_the_strip_stands_at_the_step_that_is_not_done(
    free: int, offered: int, placed: int, closed: int, step: str | None
) -> None:
    portfolio = Portfolio(state=UPLOADED, case_count=5)
    assert stage_of(portfolio, Progress(free=free, offered=offered, placed=placed, closed=closed)) == step


def test_the_ways_to_place_count_no_case_as_free_that_may_not_be_offered(world: World, signed_in: Client) -> None:
    lender = world.lender()
    portfolio = world.portfolio(lender, 3)
    world.agreement(lender, world.agency())
    with world.database.work(lender.actor) as work:
        case_id = work.session.scalars(select(Case.id).order_by(Case.id).limit(1)).one()
        exclusions.record(work, case_id, "debt_sold", "lender", TODAY)
    client = signed_in(lender)
    client.set_cookie("language", "en")
    asked = f"?portfolio_id={portfolio.id}"
    for path in ("/portfolios", f"/portfolios/{portfolio.id}", f"/place-cases{asked}", f"/allocations/new{asked}"):
        page = client.get(path).text
        assert "2 cases" in page, path
        assert "1 more is kept back" in page, path
    assert "2 free cases" in client.get("/place-cases").text
