"""People who hold their own keys: unlocked in the browser, a lender's key pinned, and a case opened there."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Locator, Request, expect
from sqlalchemy import select

from crypto import strict
from crypto.grants import X25519, fingerprint
from crypto.keyfile import make_keys, open_keyfile, read_public_file, seal_keyfile
from crypto.orders import grouped
from models.case import Case
from models.placement import Placement
from models.services.exchange import offers, placements, tenders
from models.services.sealing import key_directory, key_orders
from tests.browser.visitor import Visitor
from tests.conftest import Clock
from tests.own_keys import OwnKeys, confirm, own_agency, own_keys, own_lender
from tests.world import Debt, Someone, World

PASSPHRASE = "korrektes Pferd 马 battery"
NAME = "张三"


@dataclass
class Desk:
    """An agency that holds its own key, and one case that is placed with it."""

    agency: OwnKeys
    lender: Someone
    lender_signing: bytes
    case: Case

    @property
    def key_file(self) -> bytes:
        return seal_keyfile(self.agency.keys, PASSPHRASE)

    @property
    def lender_print(self) -> str:
        """What the lender's people read out on the telephone."""
        return grouped(fingerprint(self.lender_signing).hex())


@pytest.fixture
def agency(world: World) -> OwnKeys:
    return own_agency(world)


@pytest.fixture
def desk(world: World, agency: OwnKeys) -> Desk:
    """The lender's keys are with the platform, which grants the one case's key."""
    lender = world.organisation("lender", "portfolio_manager", "恒信消费金融")
    placement = world.placement(lender, agency.someone, [Debt(1, "12840.60", 45)])
    confirm(world, lender, agency.someone)
    return desk_of(world, agency, lender, placement)


@pytest.fixture
def own_desk(world: World, agency: OwnKeys) -> Desk:
    """The lender holds its own keys too; its tool has sealed the file and made the leases."""
    lender = own_lender(world)
    portfolio, agreement = lender.upload(1), world.agreement(lender.someone, agency.someone)
    with world.database.work(lender.someone.actor) as work:
        offer = tenders.assign(work, portfolio.id, agreement.id)
    with world.database.work(agency.someone.actor) as work:
        placement = offers.accept(work, offer.id)
    confirm(world, lender.someone, agency.someone)
    lender.pin(agency.someone, "kem", agency.keys.public.kem)
    with world.database.work(lender.someone.actor) as work:
        (order,) = key_orders.list_own(work, state="open")
    lender.carry_out(order.id)
    with world.database.work(agency.someone.actor) as work:
        placements.acknowledge(work, placement.id, placement.case_count, placement.referred_amount)
    return desk_of(world, agency, lender.someone, placement)


def desk_of(world: World, agency: OwnKeys, lender: Someone, placement: Placement) -> Desk:
    with world.database.work(lender.actor) as work:
        case = work.session.scalars(select(Case).where(Case.portfolio_id == placement.portfolio_id)).one()
        keys = key_directory.find_own(work)
    assert keys is not None
    return Desk(agency, lender, keys.signing.public_key, case)


@pytest.fixture
def at_desk(agency: OwnKeys, clock: Clock, visit: Callable[[Someone], Visitor]) -> Visitor:
    """The agency's manager, signed in, at the hour that the test's clock shows."""
    visitor = visit(agency.someone)
    visitor.page.clock.install(time=clock.at)
    return visitor


def unlock(visitor: Visitor, key_file: bytes, passphrase: str = PASSPHRASE, memory: bytes | None = None) -> None:
    form = visitor.page.locator("form[data-unlock]")
    form.locator("#own-key-file").set_input_files(_file("key.json", key_file))
    if memory is not None:
        form.locator("#own-memory").set_input_files(_file("memory.json", memory))
    form.locator("#own-passphrase").fill(passphrase)
    form.locator("button").click()


def pin(visitor: Visitor, lender: Someone, print_: str) -> None:
    place = pin_of(visitor, lender)
    if not place.locator("input").is_visible():
        place.locator("summary").click()
    place.locator("input").fill(print_)
    place.locator("button").click()


def pin_of(visitor: Visitor, lender: Someone) -> Locator:
    return visitor.page.locator(f"[data-pin='{lender.organisation.id}']")


def ready(visitor: Visitor, desk: Desk) -> None:
    visitor.go("/keys")
    unlock(visitor, desk.key_file)
    expect(visitor.page.locator("[data-when=unlocked]")).to_be_visible()
    pin(visitor, desk.lender, desk.lender_print)
    expect(pin_of(visitor, desk.lender).locator("[data-pin-when=pinned]")).to_be_visible()


def open_class(visitor: Visitor, case: Case, field: str = "name") -> Locator:
    visitor.go(f"/cases/{case.id}")
    section = visitor.page.locator("[data-release]", has=visitor.page.locator(f"[data-field={field}]"))
    section.locator("select").select_option("contact_borrower")
    section.locator("button").click()
    return section


def test_a_case_is_opened_with_a_key_that_the_server_never_has(desk: Desk, at_desk: Visitor) -> None:
    sent: list[str] = []
    at_desk.page.on("request", lambda request: "/static/img/" in request.url or sent.append(_told(request)))
    at_desk.go("/keys")
    at_desk.look("keys-locked")
    before = len(sent)
    unlock(at_desk, desk.key_file)
    expect(at_desk.page.locator("[data-when=unlocked]")).to_be_visible()
    assert len(sent) == before, "unlocking asks the server nothing"
    pin(at_desk, desk.lender, desk.lender_print)
    expect(pin_of(at_desk, desk.lender).locator("[data-pin-when=pinned]")).to_be_visible()
    at_desk.look("keys-unlocked")
    section = open_class(at_desk, desk.case)
    expect(section.locator("[data-field=name]")).to_have_text(NAME)
    at_desk.look("case-opened-with-own-key")
    seeds = [desk.agency.keys.kem.seed, desk.agency.keys.signing, desk.agency.keys.index]
    secrets = [PASSPHRASE, *(strict.to_base64(seed.reveal()) for seed in seeds), *(s.reveal().hex() for s in seeds)]
    assert not [secret for secret in secrets for told in sent if secret in told]
    at_desk.check("opened with an own key")


def test_a_case_of_a_lender_with_its_own_keys_is_opened_through_its_lease(own_desk: Desk, at_desk: Visitor) -> None:
    ready(at_desk, own_desk)
    section = open_class(at_desk, own_desk.case)
    expect(section.locator("[data-field=name]")).to_have_text(NAME)
    at_desk.look("case-opened-through-a-lease")


def test_a_lender_opens_its_own_sealed_case_without_any_pin(
    world: World, clock: Clock, visit: Callable[[Someone], Visitor]
) -> None:
    lender = own_keys(world, "lender", "portfolio_manager", X25519)
    portfolio = lender.upload(1)
    with world.database.work(lender.someone.actor) as work:
        case = work.session.scalars(select(Case).where(Case.portfolio_id == portfolio.id)).one()
    visitor = visit(lender.someone)
    visitor.page.clock.install(time=clock.at)
    visitor.go("/keys")
    unlock(visitor, seal_keyfile(lender.keys, PASSPHRASE))
    expect(visitor.page.locator("[data-when=unlocked]")).to_be_visible()
    visitor.look("keys-of-a-lender")
    section = open_class(visitor, case)
    expect(section.locator("[data-field=name]")).to_have_text(NAME)


def test_a_value_closes_again_after_its_time(desk: Desk, at_desk: Visitor) -> None:
    ready(at_desk, desk)
    section = open_class(at_desk, desk.case)
    expect(section.locator("[data-field=name]")).to_have_text(NAME)
    at_desk.page.clock.run_for(61_000)
    expect(section.locator("[data-field=name]")).not_to_have_text(NAME)
    assert NAME not in at_desk.page.content()


def test_nothing_is_asked_of_the_server_while_the_key_is_locked(desk: Desk, at_desk: Visitor) -> None:
    section = open_class(at_desk, desk.case)
    expect(section.locator(".release-trace")).to_contain_text(
        at_desk.say("Your key is locked. Unlock it first: nothing is asked of the server until then.")
    )
    at_desk.look("case-locked")
    at_desk.follow("Unlock your key")
    expect(at_desk.page.locator("[data-when=locked]")).to_be_visible()
    at_desk.check("locked")


def test_an_unpinned_lender_is_refused_with_what_to_do(desk: Desk, at_desk: Visitor) -> None:
    at_desk.go("/keys")
    unlock(at_desk, desk.key_file)
    expect(at_desk.page.locator("[data-when=unlocked]")).to_be_visible()
    trace = open_class(at_desk, desk.case).locator(".release-trace")
    expect(trace).to_contain_text(
        at_desk.say(
            "You have not pinned this lender’s key yet. Compare its fingerprint with what the lender tells you by"
            " another way, then pin it under “Keys”."
        )
    )
    at_desk.look("case-unpinned")


def test_a_fingerprint_that_is_not_the_platforms_is_not_pinned(desk: Desk, at_desk: Visitor) -> None:
    at_desk.go("/keys")
    for typed, sentence in (
        ("abcd", "A fingerprint has 64 characters, 0 to 9 and a to f. Spaces do not matter."),
        (
            "ab" * 32,
            (
                "The platform shows another key than this fingerprint is of. Nothing was pinned: check what you typed,"
                " then ask the lender again by another way."
            ),
        ),
    ):
        pin(at_desk, desk.lender, typed)
        place = pin_of(at_desk, desk.lender)
        expect(place.locator("[role=alert]:visible")).to_have_text(at_desk.say(sentence))
        expect(place.locator("[data-pin-when=unpinned]")).to_be_visible()


@pytest.mark.parametrize("end", ["lock", "hours", "sign out"])
def test_the_key_is_locked_again(end: str, desk: Desk, at_desk: Visitor) -> None:
    page = at_desk.page
    at_desk.go("/keys")
    unlock(at_desk, desk.key_file)
    expect(page.locator("[data-when=unlocked]")).to_be_visible()
    if end == "lock":
        at_desk.button("Lock now").click()
    elif end == "hours":
        page.clock.run_for(8 * 3_600_000)
        at_desk.go("/keys")
    else:
        page.locator("details.menu", has=page.locator("[data-sign-out]")).locator("summary").click()
        at_desk.press("Sign out")
        at_desk.sign_in(desk.agency.someone)
        at_desk.go("/keys")
    expect(page.locator("[data-when=locked]")).to_be_visible()


def test_a_wrong_passphrase_and_anothers_key_file_are_refused(desk: Desk, at_desk: Visitor) -> None:
    alert = at_desk.page.locator("form[data-unlock] [role=alert]")
    at_desk.go("/keys")
    unlock(at_desk, desk.key_file, "not the passphrase")
    expect(alert).to_have_text(at_desk.say("The passphrase is wrong, or the key file was altered."))
    unlock(at_desk, seal_keyfile(make_keys(bytes(16), X25519), PASSPHRASE))
    expect(alert).to_have_text(at_desk.say("This key file belongs to another organisation."))
    at_desk.look("keys-refused")


def test_the_memory_is_the_clients_own_file(desk: Desk, at_desk: Visitor) -> None:
    ready(at_desk, desk)
    page = at_desk.page
    expect(page.locator("[data-news]")).to_be_visible()
    saved = at_desk.download(page.locator("[data-news] [data-save-memory]"))
    expect(page.locator("[data-news]")).to_be_hidden()
    pins = json.loads(saved)["pins"]
    assert pins == {str(desk.lender.organisation.id): {"signing": desk.lender_print.replace(" ", "")}}
    page.evaluate("indexedDB.deleteDatabase('consign')")
    at_desk.go("/keys")
    expect(pin_of(at_desk, desk.lender).locator("[data-pin-when=unpinned]")).to_be_visible()
    unlock(at_desk, desk.key_file, memory=saved)
    expect(page.locator("[data-when=unlocked]")).to_be_visible()
    expect(pin_of(at_desk, desk.lender).locator("[data-pin-when=pinned]")).to_be_visible()
    expect(page.locator("[data-news]")).to_be_hidden()


def test_a_changed_lender_key_opens_nothing_and_says_so(desk: Desk, at_desk: Visitor) -> None:
    ready(at_desk, desk)
    public = strict.to_base64(make_keys(bytes(16), X25519).public.signing)

    def swap(route: Any) -> None:
        answer = route.fetch()
        body = re.sub(r'data-public="[^"]+"', f'data-public="{public}"', answer.text())
        route.fulfill(response=answer, body=body)

    at_desk.page.route("**/keys", swap)
    at_desk.go("/keys")
    expect(pin_of(at_desk, desk.lender).locator("[data-pin-when=changed]")).to_be_visible()
    at_desk.look("keys-changed")


def test_keys_are_made_in_the_browser_and_leave_it_as_files_alone(desk: Desk, at_desk: Visitor) -> None:
    page = at_desk.page
    at_desk.go("/keys")
    for field in page.locator("form[data-make-keys] input").all():
        field.fill(PASSPHRASE)
    at_desk.button("Make keys").click()
    expect(page.locator("[data-made]")).to_be_visible()
    key_file = at_desk.download(page.locator("[data-offer=key]"))
    public_file = at_desk.download(page.locator("[data-offer=public]"))
    keys = open_keyfile(key_file, PASSPHRASE)
    assert keys.organisation_id == desk.agency.id.bytes
    assert keys.public == read_public_file(public_file)
    at_desk.look("keys-made")


def _file(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "application/json", "buffer": content}


def _told(request: Request) -> str:
    return f"{request.url} {request.all_headers()} {(request.post_data_buffer or b'').decode('utf-8', 'replace')}"


def test_a_key_file_chosen_for_the_public_one_does_not_leave_the_machine(desk: Desk, at_desk: Visitor) -> None:
    sent: list[Request] = []
    at_desk.go("/keys")
    at_desk.page.on("request", lambda request: sent.append(request))
    form = at_desk.page.locator("form[data-upload-format='consign-public/1']")
    form.locator("input[type=file]").set_input_files(_file("mine.key", desk.key_file))
    form.locator("button").click()
    expect(form.locator(".upload-problem")).to_contain_text("consign-public/1")
    assert [request.url for request in sent if request.method != "GET"] == []


def test_where_both_sides_hold_their_own_keys_there_is_no_place_for_a_note(own_desk: Desk, at_desk: Visitor) -> None:
    at_desk.go(f"/cases/{own_desk.case.id}")
    expect(at_desk.page.locator("[name=outcome]")).to_have_count(1)
    expect(at_desk.page.locator("[name=note]")).to_have_count(0)


def test_where_the_platform_can_seal_it_there_is_a_place_for_a_note(desk: Desk, at_desk: Visitor) -> None:
    at_desk.go(f"/cases/{desk.case.id}")
    expect(at_desk.page.locator("[name=note]")).to_have_count(1)
