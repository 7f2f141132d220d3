"""Statements on their pages: the way from recovered to payable, each line's derivation, and a proof file that holds."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from models.commission.__main__ import main as commission_tool
from models.placement import Placement
from models.services.exchange import offers, placements, undoing
from models.services.settlement import commissions, statements
from tests import facts
from tests.world import Someone, World

Client = Callable[[Someone], FlaskClient]
PATH = "/statements/{agreement}/2026-03"


def booked(world: World) -> facts.Placed:
    """Two payments, one taken back, one to the agency, which may not receive money."""
    placed = facts.placed(world, 3)
    first = facts.payment(placed.cases[0], "1000.00")
    facts.receive_payments(
        world,
        placed.lender,
        first,
        facts.payment(placed.cases[1], "333.33"),
        facts.payment(placed.cases[2], "50.00", paid_to="agency"),
    )
    reversal = facts.payment(placed.cases[0], "-1000.00", reversal_of=first["reference"])
    facts.receive_payments(world, placed.lender, reversal, sequence=2)
    with world.database.work(facts.jobs(placed.lender)) as work:
        commissions.book(work, facts.TODAY)
    return placed


def booked_with_fees(world: World) -> facts.Placed:
    """Two cases at 12.50 each, and a payment of one of them."""
    placed = facts.placed(world, 2, acknowledged=False)
    with world.database.work(placed.lender.actor) as work:
        this = Placement.id == placed.placement.id
        work.session.execute(update(Placement).where(this).values(case_fee=Decimal("12.50")))
    with world.database.work(placed.agency.actor) as work:
        placements.acknowledge(work, placed.placement.id, *placements.figures(work, placed.placement.id))
    facts.receive_payments(world, placed.lender, facts.payment(placed.case, "1000.00"))
    with world.database.work(facts.jobs(placed.lender)) as work:
        commissions.book(work, facts.TODAY)
    return placed


def path_of(placed: facts.Placed) -> str:
    return PATH.format(agreement=placed.placement.agreement_id)


def test_the_steps_from_recovered_lead_to_what_is_payable(world: World) -> None:
    placed = booked(world)
    with world.database.work(placed.lender.actor) as work:
        (part,) = statements.breakdown(work, placed.placement.agreement_id, "2026-03")
        head = statements.get(work, placed.placement.agreement_id, "2026-03").head
    assert part == (
        "CNY",
        Decimal("1383.33"),
        Decimal("1333.33"),
        Decimal("240.00"),
        Decimal("0.00"),
        Decimal("-180.00"),
        Decimal("0.00"),
    )
    assert part.payable == head.totals[0].amount == Decimal("60.00")


def test_the_rates_of_a_statement_sum_to_its_total(world: World) -> None:
    placed = booked(world)
    with world.database.work(placed.lender.actor) as work:
        groups = statements.rate_groups(work, placed.placement.agreement_id, "2026-03")
        at_rate = statements.get(work, placed.placement.agreement_id, "2026-03", rate=groups[0].rate).lines
    assert sum(group.amount for group in groups) == Decimal("60.00")
    assert len(at_rate) == groups[0].line_count == 4


@pytest.mark.parametrize(("language", "word"), [("zh", "应付"), ("en", "payable")])
def test_lender_agency_and_auditor_see_the_same_statement(
    world: World, signed_in: Client, language: str, word: str
) -> None:
    placed = booked(world)
    officer = world.person(placed.lender, "settlement_officer")
    for someone in (officer, placed.agency, world.auditor(of=placed.lender)):
        client = signed_in(someone)
        client.set_cookie("language", language)
        page = client.get(path_of(placed)).text
        assert "¥60.00" in page
        assert word in page
        assert "<svg" in page
        assert placed.cases[0].reference in page


def test_a_line_that_earns_nothing_says_why(world: World, signed_in: Client) -> None:
    placed = booked(world)
    client = signed_in(placed.agency)
    client.set_cookie("language", "en")
    assert "paid to the agency, which may not receive money" in client.get(path_of(placed)).text


def test_fees_for_cases_are_named_and_part_of_what_is_payable(world: World, signed_in: Client) -> None:
    placed = booked_with_fees(world)
    client = signed_in(placed.agency)
    client.set_cookie("language", "en")
    page = client.get(path_of(placed)).text
    assert "fees for cases <b>" in page
    assert "¥25.00" in page
    assert "¥205.00" in page
    fees = client.get(f"{path_of(placed)}?component=case_fee").text
    assert fees.count("Fee for a case") == 2
    assert "¥12.50 for each case, as bid, frozen on the placement" in fees
    assert client.get(f"{path_of(placed)}?component=clawback").status_code == 422
    assert "and ¥12.50 for each case" in client.get(f"/placements/{placed.placement.id}").text


def test_fees_are_a_group_of_their_own_beside_the_rates(world: World) -> None:
    placed = booked_with_fees(world)
    with world.database.work(placed.lender.actor) as work:
        groups = statements.rate_groups(work, placed.placement.agreement_id, "2026-03")
    assert [(group.rate, group.line_count, group.amount) for group in groups] == [
        (Decimal("0.18"), 1, Decimal("180.00")),
        (None, 2, Decimal("25.00")),
    ]


def test_an_undone_distribution_takes_its_fees_back_in_words(world: World, signed_in: Client) -> None:
    placed = booked_with_fees(world)
    with world.database.work(placed.lender.actor) as work:
        tender_id = offers.get(work, placed.placement.offer_id).tender_id
        undoing.undo(work, tender_id, "wrong_split")
    with world.database.work(facts.jobs(placed.lender)) as work:
        commissions.book(work, facts.TODAY)
    client = signed_in(placed.agency)
    client.set_cookie("language", "en")
    page = client.get(f"{path_of(placed)}?component=case_fee").text
    assert page.count("the distribution was undone before the first contact") == 2
    with world.database.work(placed.agency.actor) as work:
        assert statements.get(work, placed.placement.agreement_id, "2026-03").head.totals[0].amount == 0


def test_the_proof_file_downloaded_by_either_side_recomputes(
    world: World, signed_in: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    placed = booked(world)
    officer = world.person(placed.lender, "settlement_officer")
    files = [signed_in(someone).get(f"{path_of(placed)}/statement.csv").data for someone in (officer, placed.agency)]
    assert files[0] == files[1]
    proof = tmp_path / "statement.csv"
    proof.write_bytes(files[0])
    assert commission_tool(["verify", str(proof)]) == 0


def test_the_list_has_one_line_for_each_agreement_and_month(world: World, signed_in: Client) -> None:
    placed = booked(world)
    page = signed_in(placed.agency).get("/statements").text
    assert path_of(placed) in page
    assert placed.lender.organisation.name in page


def test_a_foreign_or_empty_statement_is_unknown(world: World, signed_in: Client) -> None:
    placed = booked(world)
    assert signed_in(world.agency()).get(path_of(placed)).status_code == 404
    client = signed_in(placed.agency)
    assert client.get(PATH.replace("03", "04").format(agreement=placed.placement.agreement_id)).status_code == 404
    assert client.get(f"{path_of(placed)[:-7]}{dt.date.max}").status_code == 404


def test_a_collector_and_a_compliance_officer_open_no_statement(world: World, signed_in: Client) -> None:
    placed = booked(world)
    for someone in (world.person(placed.agency, "collector"), world.person(placed.lender, "compliance_officer")):
        assert signed_in(someone).get(path_of(placed)).status_code == 403
