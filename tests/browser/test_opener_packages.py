"""Packages opened in Chromium: honest ones open, and every attack is refused with the code the tool refuses it with."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser

from crypto import strict
from crypto.errors import Distrusted, SealBroken, WrapBroken
from crypto.keyfile import PrivateKeys
from crypto.memory import Memory
from crypto.packages import open_package
from tests.browser.attacks import ATTACKS, Attack, memory_of
from tests.browser.handed import FIELDS, SECOND, Handed, keys_of
from tests.browser.opener import Opener, Refused, memory, opener, private

OPEN = """async (given) => {
  const { Memory } = await import("/static/js/opener/memory.js");
  const { importPrivate } = await import("/static/js/opener/hpke.js");
  const { openPackage } = await import("/static/js/opener/package.js");
  const { seed, kemPublic, signingPublic, ...keys } = given.keys;
  keys.kem = await importPrivate(Uint8Array.fromBase64(seed));
  keys.kemPublic = Uint8Array.fromBase64(kemPublic);
  keys.signingPublic = Uint8Array.fromBase64(signingPublic);
  const memory = Memory.parse(given.memory);
  try {
    const fields = await openPackage(given.package, given.wanted, keys, memory, given.known, given.now);
    return { fields, memory: memory.text() };
  } catch (error) {
    return { refused: error.code ?? `${error.stack}` };
  }
}"""


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Opener]:
    with opener(chromium) as opened:
        yield opened


@pytest.fixture
def handed() -> Handed:
    return Handed(keys_of())


def in_browser(
    page: Opener,
    handed: Handed,
    package: dict[str, Any],
    known: dict[str, str],
    kept: Memory,
    keys: PrivateKeys | None = None,
    now: int = SECOND,
) -> dict[str, Any]:
    """As the page opens it, and what it remembers then."""
    keys = keys or handed.agency
    opened: dict[str, Any] = page.page.evaluate(
        OPEN,
        {
            "package": package,
            "wanted": {
                "case": str(handed.case_id),
                "fieldClass": "notes" if package.get("class") == "notes" else "identity",
            },
            "keys": {
                "organisation": strict.id_text(keys.organisation_id),
                "seed": strict.to_base64(keys.kem.seed.reveal()),
                "kemPublic": strict.to_base64(keys.public.kem),
                "signingPublic": strict.to_base64(keys.public.signing),
            },
            "memory": kept.to_json().decode(),
            "known": known,
            "now": now,
        },
    )
    return opened


def in_python(
    handed: Handed, package: dict[str, Any], known: dict[str, str], kept: Memory, now: int = SECOND
) -> dict[str, str] | str:
    """As the tool opens it: the fields, or the code."""
    signing = {strict.raw_id(name): strict.unbase64(public) for name, public in known.items()}
    try:
        return open_package(package, handed.agency, kept, signing, now)
    except Distrusted as refused:
        return refused.code
    except (SealBroken, WrapBroken):
        return "seal_broken"


def test_an_honest_package_opens_and_is_remembered_as_the_tool_remembers_it(page: Opener, handed: Handed) -> None:
    package, kept = handed.package(version=3, epoch=2, serial=4), memory_of(handed)
    opened = in_browser(page, handed, package, handed.signing_keys, kept)
    assert opened["fields"] == FIELDS
    assert in_python(handed, package, handed.signing_keys, kept) == FIELDS
    assert json.loads(opened["memory"]) == json.loads(kept.to_json())


def test_notes_open_by_their_contacts(page: Opener, handed: Handed) -> None:
    texts = {uuid4(): "约好周五", uuid4(): "second"}
    opened = in_browser(page, handed, handed.notes(texts), handed.signing_keys, memory_of(handed))
    assert opened["fields"] == {str(contact_id): text for contact_id, text in texts.items()}


def test_a_lender_opens_its_own_without_any_pin(page: Opener, handed: Handed) -> None:
    opened = in_browser(page, handed, handed.own(), {}, Memory(), keys=handed.lender)
    assert opened["fields"] == FIELDS


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_is_refused_with_the_code_of_the_tool(page: Opener, handed: Handed, attack: Attack) -> None:
    kept = memory_of(handed)
    if attack.seen:
        assert in_python(handed, attack.seen(handed), handed.signing_keys, kept) == FIELDS
    package, known = attack.answer(handed)
    assert in_browser(page, handed, package, known, kept) == {"refused": attack.code}
    if (
        package["case"] == str(handed.case_id) and package["class"] == "identity"
    ):  # What was asked for is the page's to know.
        assert in_python(handed, package, known, kept) == attack.code


def test_a_clock_set_back_revives_nothing(page: Opener, handed: Handed) -> None:
    kept = memory_of(handed)
    kept.check_clock(SECOND + 3600)
    opened = in_browser(page, handed, handed.package(), handed.signing_keys, kept)
    assert opened == {"refused": "clock_behind"}


def test_no_single_bit_of_a_grant_can_change(page: Opener, handed: Handed) -> None:
    grant = handed.package()["grant"]
    keys = {
        "organisation": grant["grantee"],
        "kem": private(handed.agency.kem.seed.reveal()),
        "kemPublic": handed.agency.public.kem,
        "signingPublic": handed.agency.public.signing,
    }
    kept, signing = memory_of(handed).to_json(), handed.lender.public.signing
    for member in ("wrapped", "signature"):
        raw = strict.unbase64(grant[member])
        for byte in range(len(raw)):
            altered = bytearray(raw)
            altered[byte] ^= 1 << byte % 8
            sent = grant | {member: strict.to_base64(bytes(altered))}
            with pytest.raises(Refused, match=r"wrap_unsigned|suite_downgraded"):
                page.call("grants", "openGrant", sent, keys, signing, memory(kept), SECOND)


@pytest.mark.parametrize("member", ["case", "reference", "portfolio", "class", "grant", "cell", "notes", "epoch"])
@pytest.mark.parametrize("value", [None, 7, [7], {}, "x"])
def test_a_malformed_package_is_one_refusal(page: Opener, handed: Handed, member: str, value: object) -> None:
    package = handed.package() | {member: value}
    opened = in_browser(page, handed, package, handed.signing_keys, memory_of(handed))
    assert opened["refused"] in {"seal_broken", "terms_changed"}
