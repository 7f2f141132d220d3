"""A platform that lies to the browser, attack by attack: the case page shows nothing and says, by its code, why."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Route, expect

from crypto.keyfile import seal_keyfile
from crypto.packages import open_package
from crypto.strict import raw_id, unbase64
from tests.browser.attacks import ATTACKS, Attack, memory_of
from tests.browser.conftest import address, chromium, language, stranger, visit
from tests.browser.handed import FIELDS, SECOND, Handed
from tests.browser.visitor import Visitor
from tests.conftest import Clock
from tests.own_keys import own_agency
from tests.world import Someone, World

pytestmark = pytest.mark.browser
__all__ = ["address", "chromium", "language", "stranger", "visit"]  # fixtures of the other browser tests

PASSPHRASE = "long enough for a test"
UNLOCK = """async ([text, passphrase]) => {
  const { openKeyFile } = await import("/static/js/opener/keyfile.js");
  const { unlock } = await import("/static/js/opener/store.js");
  await unlock(await openKeyFile(text, passphrase));
}"""
REMEMBER = """async ([organisation, text]) => {
  const { Memory } = await import("/static/js/opener/memory.js");
  const { withMemory } = await import("/static/js/opener/store.js");
  await withMemory(organisation, async (memory) => { Object.assign(memory, Memory.parse(text)); });
}"""


class Server:
    """Answers the page's releases with what it is told to, whatever the portal would have answered."""

    def __init__(self) -> None:
        self.package: dict[str, Any] = {}
        self.signing_keys: dict[str, str] = {}

    def __call__(self, route: Route) -> None:
        answer = {"release_id": str(UUID(int=1)), "entry": "00" * 32, "package": self.package}
        route.fulfill(json=answer | {"signing_keys": self.signing_keys})


class Scene:
    """An agency's case page, its key unlocked, and the server between it and the lender."""

    def __init__(self, visitor: Visitor, handed: Handed) -> None:
        self.visitor, self.handed, self.server = visitor, handed, Server()
        page = visitor.page
        page.route("**/releases", self.server)
        visitor.go(f"/cases/{handed.case_id}")
        page.evaluate(UNLOCK, [seal_keyfile(handed.agency, PASSPHRASE).decode(), PASSPHRASE])
        self.section = page.locator("[data-release]", has=page.locator("[data-field=name]"))

    def meet(self, attack: Attack) -> str:
        """What the page says; the client has pinned the lender's key and opened what the attack says it has."""
        kept = memory_of(self.handed)
        if attack.seen:
            known = {raw_id(name): unbase64(key) for name, key in self.handed.signing_keys.items()}
            open_package(attack.seen(self.handed), self.handed.agency, kept, known, SECOND)
        self._remember(kept.to_json())
        self.server.package, self.server.signing_keys = attack.answer(self.handed)
        self.release()
        trace = self.section.locator(".release-trace.bad")
        expect(trace).to_be_visible()
        assert FIELDS["name"] not in self.visitor.page.content()
        return trace.inner_text()

    def release(self) -> None:
        self.section.locator("select").select_option("verify_identity")
        self.section.locator("button").click()

    def open_honestly(self) -> None:
        self._remember(memory_of(self.handed).to_json())
        self.server.package, self.server.signing_keys = self.handed.package(), self.handed.signing_keys
        self.release()

    def said_of(self, code: str) -> str:
        sentence = self.visitor.page.locator("#own-keys").get_attribute(f"data-{code.replace('_', '-')}")
        assert sentence
        return sentence

    def _remember(self, memory: bytes) -> None:
        organisation = str(UUID(bytes=self.handed.agency.organisation_id))
        self.visitor.page.evaluate(REMEMBER, [organisation, memory.decode()])


@pytest.fixture
def scene(world: World, clock: Clock, visit: Callable[[Someone], Visitor]) -> Scene:
    agency, lender = own_agency(world), world.lender()
    placement = world.placement(lender, agency.someone, 1)
    (case_id,) = world.case_ids(placement, lender)
    visitor = visit(agency.someone)
    visitor.page.clock.install(time=clock.at)
    return Scene(visitor, Handed(agency.keys, case_id=case_id))


def test_every_attack_is_refused_with_the_sentence_of_its_code(scene: Scene) -> None:
    said = {attack.name: scene.meet(attack) for attack in ATTACKS}
    assert said == {attack.name: scene.said_of(attack.code) for attack in ATTACKS}
    scene.visitor.check("attacked")


def test_fields_that_come_in_the_clear_are_not_shown(scene: Scene) -> None:
    """Nobody signed them: the server may have made them up."""
    scene.visitor.page.unroute("**/releases")
    answer = {"release_id": str(UUID(int=1)), "entry": "00" * 32, "fields": FIELDS}
    scene.visitor.page.route("**/releases", lambda route: route.fulfill(json=answer))
    scene.release()
    expect(scene.section.locator(".release-trace.bad")).to_have_text(scene.said_of("seal_broken"))
    assert FIELDS["name"] not in scene.visitor.page.content()


def test_the_honest_server_passes(scene: Scene) -> None:
    scene.open_honestly()
    for field, value in FIELDS.items():
        expect(scene.section.locator(f"[data-field={field}]")).to_have_text(value)


def test_each_code_has_a_sentence_of_its_own(scene: Scene) -> None:
    sentences = [scene.said_of(code) for code in sorted({attack.code for attack in ATTACKS} | {"clock_behind"})]
    assert len(set(sentences)) == len(sentences)
