"""A lender or an agency that holds its own keys: publish, seal, place, lease, open, and what the platform refuses."""

import json
from typing import Any
from uuid import UUID

import pytest

from crypto.grants import fingerprint
from crypto.keyfile import make_keys
from models.errors import Conflict, Invalid
from models.placement import AWAITING_ACK, AWAITING_KEYS, Placement
from models.services.collection import releases
from models.services.collection.releases import Release
from models.services.exchange import offers, placements, tenders
from models.services.portfolio import cases, portfolios
from models.services.sealing import custodies, key_directory, key_orders
from tests.own_keys import OwnKeys, confirm, own_agency, own_lender
from tests.world import Debt, Someone, World

NAMED = {"birth_date", "id_number", "name"}


def place(world: World, lender: OwnKeys, agency: Someone, cases: int = 2) -> Placement:
    """Accepted, and waiting for its keys."""
    portfolio, agreement = lender.upload(cases), world.agreement(lender.someone, agency)
    with world.database.work(lender.someone.actor) as work:
        offer = tenders.assign(work, portfolio.id, agreement.id)
    with world.database.work(agency.actor) as work:
        return offers.accept(work, offer.id)


def order_of(world: World, lender: OwnKeys) -> UUID:
    with world.database.work(lender.someone.actor) as work:
        (order,) = key_orders.list_own(work, state="open")
    return order.id


def lease(world: World, lender: OwnKeys, agency: Someone) -> None:
    """Compare the agency's key, and let the lender's tool make the leases it is asked for."""
    with world.database.work(lender.someone.actor) as work:
        keys = key_directory.get_party(work, agency.organisation.id).keys
    assert keys is not None
    lender.pin(agency, "kem", keys.kem.public_key)
    confirm(world, lender.someone, agency)
    lender.carry_out(order_of(world, lender))


def placed(world: World, lender: OwnKeys, agency: Someone, cases: int = 2) -> Placement:
    """Leased and acknowledged."""
    placement = place(world, lender, agency, cases)
    lease(world, lender, agency)
    with world.database.work(agency.actor) as work:
        return placements.acknowledge(work, placement.id, placement.case_count, placement.referred_amount)


def release(world: World, someone: Someone, case_id: UUID, field_class: str = "identity") -> Release:
    with world.database.work(someone.actor) as work:
        return releases.authorise(work, case_id, field_class, "verify_identity")


def opened(world: World, someone: Someone, case_id: UUID, field_class: str = "identity") -> dict[str, Any]:
    return release(world, someone, case_id, field_class).open(world.database.vault)


def signing_key(lender: Someone, world: World) -> bytes:
    with world.database.work(lender.actor) as work:
        keys = key_directory.find_own(work)
    assert keys is not None
    return keys.signing.public_key


def test_an_organisation_in_self_custody_has_no_keys_here_until_it_publishes_them(world: World) -> None:
    someone = world.organisation("lender", "administrator", self_custody=True)
    with world.database.work(someone.actor) as work:
        assert key_directory.find_own(work) is None
        custodies.publish(work, json.dumps(make_keys(someone.organisation.id.bytes).public_file()).encode())
        found = key_directory.find_own(work)
    assert found is not None
    assert found.in_self_custody


def test_published_keys_are_an_entry_in_the_log(world: World) -> None:
    lender = own_lender(world)
    assert fingerprint(lender.keys.public.kem).hex() in "".join(outbox(world, lender.id))


def test_keys_made_in_our_custody_are_an_entry_in_the_log_too(world: World) -> None:
    lender = world.lender()
    with world.database.work(lender.actor) as work:
        keys = key_directory.find_own(work)
    assert keys is not None
    assert fingerprint(keys.kem.public_key).hex() in "".join(outbox(world, lender.organisation.id))


def outbox(world: World, org_id: UUID) -> list[str]:
    with world.database.engine.connect() as raw, raw.begin():
        raw.exec_driver_sql("set local role consign_jobs")
        raw.exec_driver_sql(f"select set_config('app.org_id', '{org_id}', true)")
        return [bytes(row[0]).decode() for row in raw.exec_driver_sql("select entry from audit_outbox")]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda keys, own: b"{", "invalid"),
        (lambda keys, own: json.dumps(make_keys(own).public_file() | {"kem": "AQ=="}).encode(), "invalid"),
        (lambda keys, own: json.dumps(keys.public_file() | {"organisation": str(UUID(int=7))}).encode(), "invalid"),
        (lambda keys, own: json.dumps(make_keys(bytes(16)).public_file()).encode(), "public_file_of_another"),
        (lambda keys, own: json.dumps(keys.public_file()).encode(), "key_published_already"),
    ],
)
def test_a_public_file_that_is_not_ones_own_new_one_is_refused(world: World, spoil: Any, code: str) -> None:
    lender = own_lender(world)
    with world.database.work(lender.someone.actor) as work, pytest.raises((Conflict, Invalid)) as refused:
        custodies.publish(work, spoil(lender.keys, lender.id.bytes))
    assert refused.value.code == code


def test_a_key_that_was_replaced_does_not_come_back(world: World) -> None:
    lender = own_lender(world)
    old = lender.change_keys()
    lender.publish()
    lender.keys = old
    with pytest.raises(Conflict, match="key_replaced_before"):
        lender.publish()


def test_who_leaves_its_keys_with_us_publishes_none(world: World) -> None:
    lender = world.lender()
    data = json.dumps(make_keys(lender.organisation.id.bytes).public_file()).encode()
    with world.database.work(lender.actor) as work, pytest.raises(Conflict, match="keys_with_platform"):
        custodies.publish(work, data)


def test_a_sealed_portfolio_stands_and_none_of_it_can_be_opened_here(world: World) -> None:
    lender = own_lender(world)
    portfolio = lender.upload([Debt(1), Debt(1), Debt(2)])
    assert (portfolio.case_count, portfolio.borrower_count, portfolio.refused_count) == (3, 2, 0)
    assert portfolio.sealed_by == "lender"
    with world.database.work(lender.someone.actor) as work:
        assert portfolios.strata(work, portfolio.id)["currencies"][0]["case_count"] == 3
        assert portfolios.count_cells(work, portfolio.id) == 6


def test_a_borrower_is_known_again_by_token_in_the_next_sealed_portfolio(world: World) -> None:
    lender = own_lender(world)
    first, second = lender.upload([Debt(1)]), lender.upload([Debt(1), Debt(2)])
    with world.database.work(lender.someone.actor) as work:
        sizes = [portfolios.get(work, p.id).borrower_count for p in (first, second)]
    assert sizes == [1, 2]


def test_a_lender_in_self_custody_uploads_nothing_in_the_clear(world: World) -> None:
    lender = own_lender(world)
    with pytest.raises(Conflict, match="upload_sealed_file"):
        world.portfolio(lender.someone)


def test_a_lender_whose_keys_we_hold_uploads_nothing_sealed(world: World) -> None:
    with world.database.work(world.lender().actor) as work, pytest.raises(Conflict, match="upload_plain_file"):
        portfolios.upload(work, [own_lender(world).sealed_file()], "sealed")


def test_a_placement_of_sealed_cases_awaits_its_keys(world: World) -> None:
    lender, agency = own_lender(world), world.agency()
    placement = place(world, lender, agency)
    assert placement.state == AWAITING_KEYS
    with world.database.work(agency.actor) as work, pytest.raises(Conflict, match="wrong_state"):
        placements.acknowledge(work, placement.id, placement.case_count, placement.referred_amount)


def test_leases_are_ordered_only_for_a_key_that_was_compared(world: World) -> None:
    lender, agency = own_lender(world), world.agency()
    place(world, lender, agency)
    order_id = order_of(world, lender)
    with world.database.work(lender.someone.actor) as work, pytest.raises(Conflict, match="agency_key_not_confirmed"):
        custodies.document(work, order_id)


def test_with_its_leases_a_placement_can_be_acknowledged(world: World) -> None:
    lender, agency = own_lender(world), world.agency()
    placement = place(world, lender, agency)
    lease(world, lender, agency)
    with world.database.work(agency.actor) as work:
        assert placements.get(work, placement.id).state == AWAITING_ACK


# --- five ways to open ---------------------------------------------------------------------------------------------


def test_an_agency_whose_key_we_hold_opens_a_sealed_case_through_its_lease(world: World) -> None:
    lender, agency = own_lender(world), world.agency()
    placement = placed(world, lender, agency)
    (case_id, _) = world.case_ids(placement, lender.someone)
    assert opened(world, agency, case_id)["name"] == "张三"


def test_an_agency_that_holds_its_key_opens_a_sealed_case_by_itself(world: World) -> None:
    lender, agency = own_lender(world), own_agency(world)
    placement = placed(world, lender, agency.someone)
    (case_id, _) = world.case_ids(placement, lender.someone)
    held = release(world, agency.someone, case_id)
    assert held.packed
    package = held.open(world.database.vault)
    assert agency.open(package, (lender.someone, lender.keys.public.signing))["name"] == "张三"


def test_an_agency_that_holds_its_key_opens_a_case_that_we_sealed(world: World) -> None:
    lender, agency = world.lender(), own_agency(world)
    confirm_later = world.placement(lender, agency.someone)
    confirm(world, lender, agency.someone)
    (case_id, *_) = world.case_ids(confirm_later, lender)
    package = opened(world, agency.someone, case_id)
    assert package["lease"] is None
    assert agency.open(package, (lender, signing_key(lender, world)))["name"] == "张三"


def test_nothing_is_granted_to_an_agencys_key_before_it_was_compared(world: World) -> None:
    lender, agency = world.lender(), own_agency(world)
    placement = world.placement(lender, agency.someone)
    (case_id, *_) = world.case_ids(placement, lender)
    with pytest.raises(Conflict, match="agency_key_not_confirmed"):
        release(world, agency.someone, case_id)


def test_a_lender_that_holds_its_keys_opens_its_own_case(world: World) -> None:
    lender = own_lender(world)
    lender.upload(1)
    with world.database.work(lender.someone.actor) as work:
        (line,) = cases.list_own(work)
    held = release(world, lender.someone, line.case.id)
    assert held.packed
    assert lender.open(held.open(world.database.vault))["name"] == "张三"
