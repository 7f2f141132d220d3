"""The opener's modules in Chromium: published vectors, then what Python sealed opens here and the other way round."""

import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from playwright.sync_api import Browser

from crypto import cobblestone, grants, keyfile
from crypto.cells import CellName, case_key, open_cell, seal_cell
from crypto.errors import SealBroken
from crypto.free_text import NoteName, open_note, seal_note
from crypto.grants import RecipientKey, WrapContext
from crypto.leases import LeaseName, seal_lease
from crypto.memory import Memory
from crypto.secret import Secret
from tests.browser.opener import Opener, Refused, memory, opener, private

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
PORTFOLIO, CASE, PLACEMENT, CONTACT = (bytes([number]) * 16 for number in range(1, 5))
REFERENCE = "K-甲乙".encode()
FIELDS = {"name": "张三", "birth_date": "1984-07-03", "\U0001f600": '\u2028\x7f"\\\x01', "more": ["x", {"n": 7}]}
PASSPHRASE = "long enough é 口令"


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Opener]:
    with opener(chromium) as opened:
        yield opened


def vectors(shared_folder: Path, name: str) -> Any:
    return json.loads((shared_folder / "vectors" / name).read_text())


def test_every_published_chunked_vector_comes_out_as_published(page: Opener, shared_folder: Path) -> None:
    for test in vectors(shared_folder, "chunked_encryption_aes_256_gcm.json")["tests"]:
        key, context, sealed = (bytes.fromhex(test[name]) for name in ("key", "ctx", "ct"))
        sealed = zlib.decompress(sealed) if sealed.startswith(b"\x78\xda") else sealed
        if test["result"] != "valid":
            with pytest.raises(Refused, match="seal_broken"):
                page.call("cobblestone", "open", key, context, sealed)
            continue
        plaintext = page.call("cobblestone", "open", key, context, sealed)
        assert hashlib.sha512(plaintext).hexdigest() == test["msgSha512"], test["tcId"]
        assert page.call("cobblestone", "seal", key, context, plaintext, sealed[:24]) == sealed, test["tcId"]


def test_the_key_encapsulation_of_rfc_9180_comes_out_as_published(page: Opener, shared_folder: Path) -> None:
    for test in base_mode(shared_folder):
        enc, recipient, shared = (bytes.fromhex(test[name]) for name in ("enc", "pkRm", "shared_secret"))
        held, once = (private(bytes.fromhex(test[name])) for name in ("skRm", "skEm"))
        assert page.call("hpke", "decapsulate", enc, held, recipient) == shared
        assert page.call("hpke", "encapsulate", recipient, {"privateKey": once, "public": enc}) == shared


def test_the_key_schedule_and_ciphertexts_of_rfc_9180_come_out_as_published(page: Opener, shared_folder: Path) -> None:
    (test,) = [test for test in base_mode(shared_folder) if (test["kdf_id"], test["aead_id"]) == (1, 2)]
    shared, info = (bytes.fromhex(test[name]) for name in ("shared_secret", "info"))
    schedule = page.call("hpke", "keySchedule", shared, info)
    assert schedule == {"key": bytes.fromhex(test["key"]), "nonce": bytes.fromhex(test["base_nonce"])}
    for encryption in test["encryptions"]:
        # Ours is single-shot without associated data; the page is asked for the published one beside it.
        nonce, aad, ciphertext = (bytes.fromhex(encryption[name]) for name in ("nonce", "aad", "ct"))
        opened = page.page.evaluate(OPEN_WITH_AAD, [schedule["key"].hex(), nonce.hex(), aad.hex(), ciphertext.hex()])
        assert opened == encryption["pt"]


OPEN_WITH_AAD = """async (given) => {
  const [key, iv, additionalData, ciphertext] = given.map((text) => Uint8Array.fromHex(text));
  const held = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
  return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, held, ciphertext)).toHex();
}"""


def base_mode(shared_folder: Path) -> list[dict[str, Any]]:
    found = [test for test in vectors(shared_folder, "rfc9180_x25519_subset.json") if test["mode"] == 0]
    assert found
    return found


def test_hpke_opens_in_each_language_what_the_other_sealed(page: Opener) -> None:
    recipient, info = RecipientKey(grants.X25519, Secret(KEY)), b"some info"
    public = recipient.public[1:]
    assert recipient.open(page.call("hpke", "seal", OTHER_KEY, public, info), info) == OTHER_KEY
    sealed = grants.SUITES[grants.X25519].encrypt(
        OTHER_KEY, X25519PrivateKey.from_private_bytes(KEY).public_key(), info
    )
    assert page.call("hpke", "open", sealed, private(KEY), public, info) == OTHER_KEY
    with pytest.raises(Refused, match="seal_broken"):
        page.call("hpke", "open", sealed, private(OTHER_KEY), public, info)
    with pytest.raises(Refused, match="seal_broken"):
        page.call("hpke", "open", bytes(80), private(KEY), public, info)


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 32768])
def test_sealed_bytes_open_in_each_language(page: Opener, size: int) -> None:
    plaintext = bytes(size)
    assert cobblestone.open_(KEY, b"context", page.call("cobblestone", "seal", KEY, b"context", plaintext)) == plaintext
    assert page.call("cobblestone", "open", KEY, b"context", cobblestone.seal(KEY, b"context", plaintext)) == plaintext


def test_sealed_bytes_cut_short_or_rearranged_do_not_open(page: Opener) -> None:
    sealed = cobblestone.seal(KEY, b"context", bytes(2 * 16384 + 10))
    head, first, second, last = sealed[:56], sealed[56:16456], sealed[16456:32856], sealed[32856:]
    for altered in (
        *(sealed[:length] for length in (0, 10, 24, 55, 56, 60, 72, 16456, 32856, len(sealed) - 1)),
        head + second + first + last,
        head + first + first + second + last,
        sealed + b"\0",
    ):
        with pytest.raises(Refused, match="seal_broken"):
            page.call("cobblestone", "open", KEY, b"context", altered)


def cell_name(**changes: Any) -> dict[str, Any]:
    return {"portfolio": PORTFOLIO, "reference": REFERENCE, "fieldClass": "identity", "version": 3} | changes


def test_a_cell_opens_in_each_language(page: Opener) -> None:
    name = CellName(PORTFOLIO, REFERENCE, "identity", 3)
    assert page.call("cells", "openCell", KEY, cell_name(), seal_cell(Secret(KEY), name, FIELDS)) == FIELDS
    assert open_cell(Secret(KEY), name, page.call("cells", "sealCell", KEY, cell_name(), FIELDS)) == FIELDS


@pytest.mark.parametrize(
    "changed", [{"portfolio": CASE}, {"reference": b"K-other"}, {"fieldClass": "contact"}, {"version": 4}]
)
def test_a_cell_moved_elsewhere_does_not_open_in_the_browser(page: Opener, changed: dict[str, Any]) -> None:
    sealed = seal_cell(Secret(KEY), CellName(PORTFOLIO, REFERENCE, "identity", 3), FIELDS)
    with pytest.raises(Refused, match="seal_broken"):
        page.call("cells", "openCell", KEY, cell_name(**changed), sealed)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"a":1.5}', b'{"a": 1}', b'{"b":"","a":""}', b'{"a":"\xff"}', b'{"a":"1","a":"2"}', b"{}{}"]
)
def test_a_cell_that_is_not_one_spelling_of_json_does_not_open_in_the_browser(page: Opener, text: bytes) -> None:
    padded = (text + b"\x80").ljust(64, b"\0")
    sealed = cobblestone.seal(KEY, CellName(PORTFOLIO, REFERENCE, "identity", 3).context(), padded)
    with pytest.raises(Refused, match="seal_broken"):
        page.call("cells", "openCell", KEY, cell_name(), sealed)


@pytest.mark.parametrize("padded", [b"{}\x80", b"{}".ljust(64, b"\0"), b"{}\x80".ljust(128, b"\0"), bytes(64)])
def test_a_cell_that_is_padded_otherwise_does_not_open_in_the_browser(page: Opener, padded: bytes) -> None:
    sealed = cobblestone.seal(KEY, CellName(PORTFOLIO, REFERENCE, "identity", 3).context(), padded)
    with pytest.raises(Refused, match="seal_broken"):
        page.call("cells", "openCell", KEY, cell_name(), sealed)


def test_the_case_key_is_the_same_in_each_language(page: Opener) -> None:
    derived = case_key(Secret(KEY), PORTFOLIO, REFERENCE, OTHER_KEY)
    assert page.call("cells", "caseKey", KEY, PORTFOLIO, REFERENCE, OTHER_KEY) == derived.reveal()


@pytest.mark.parametrize("text", ["约好周五回电\nsecond line", "x" * 64, ""])
def test_a_note_opens_in_each_language(page: Opener, text: str) -> None:
    name = NoteName(PORTFOLIO, REFERENCE, CONTACT)
    there = {"portfolio": PORTFOLIO, "reference": REFERENCE, "contact": CONTACT}
    assert page.call("cells", "openNote", KEY, there, seal_note(Secret(KEY), 2, name, text)) == text
    made = page.call("cells", "sealNote", KEY, 2, there, text)
    assert open_note(Secret(KEY), name, made) == text
    assert page.call("cells", "epochOf", made) == 2


def lease_name(**changes: Any) -> dict[str, Any]:
    return {"placement": PLACEMENT, "case": CASE, "fieldClass": "contact", "epoch": 2} | changes


def test_a_lease_of_python_opens_in_the_browser_for_its_case_alone(page: Opener) -> None:
    sealed = seal_lease(Secret(KEY), LeaseName(PLACEMENT, CASE, "contact", 2), Secret(OTHER_KEY), 7)
    assert page.call("leases", "openLease", KEY, lease_name(), sealed) == {"key": OTHER_KEY, "version": 7}
    for changed in ({"placement": CASE}, {"case": CONTACT}, {"fieldClass": "identity"}, {"epoch": 1}):
        with pytest.raises(Refused, match="seal_broken"):
            page.call("leases", "openLease", KEY, lease_name(**changed), sealed)


def own(keys: keyfile.PrivateKeys) -> dict[str, Any]:
    return {
        "organisation": keys.public_file()["organisation"],
        "kem": private(keys.kem.seed.reveal()),
        "kemPublic": keys.public.kem,
        "signingPublic": keys.public.signing,
    }


@pytest.fixture(scope="module")
def lender() -> keyfile.PrivateKeys:
    return keyfile.make_keys(bytes([9]) * 16, grants.X25519)


def test_a_grant_of_python_opens_in_the_browser(page: Opener, lender: keyfile.PrivateKeys) -> None:
    context = WrapContext.of_class(lender.organisation_id, PORTFOLIO, "identity", epoch=2, serial=5)
    grant = grants.make_grant(Secret(OTHER_KEY), lender.public.kem, context, lender.sign)
    sent = json.loads(json.dumps(grant.to_json()))
    now = 1_800_000_000
    opened = page.call("grants", "openGrant", sent, own(lender), lender.public.signing, memory(Memory().to_json()), now)
    assert opened == OTHER_KEY


def test_a_key_file_of_python_opens_in_the_browser(page: Opener, lender: keyfile.PrivateKeys) -> None:
    opened = page.call("keyfile", "openKeyFile", keyfile.seal_keyfile(lender, PASSPHRASE).decode(), PASSPHRASE)
    assert opened["kemPublic"] == lender.public.kem
    assert opened["kem"] == "private X25519 false", "no script can read the key back"


def test_a_key_file_of_the_browser_opens_in_python(page: Opener) -> None:
    organisation = "01939c5e-0000-7000-8000-000000000001"
    made = page.call("keyfile", "makeKeyFile", organisation, PASSPHRASE)
    keys = keyfile.open_keyfile(made["keyFile"].encode(), PASSPHRASE)
    assert keys.public == keyfile.read_public_file(made["publicFile"].encode())
    assert page.call("keyfile", "openKeyFile", made["keyFile"], PASSPHRASE)["organisation"] == organisation


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"format": "consign-key/2"}, "key_file_format"),
        ({"kdf": {"name": "argon2", "rounds": 600_000, "salt": "A" * 22 + "=="}}, "key_file_format"),
        ({"kdf": {"name": keyfile.KDF, "rounds": 599_999, "salt": "A" * 22 + "=="}}, "key_file_rounds"),
        ({"kdf": {"name": keyfile.KDF, "rounds": 10**12, "salt": "A" * 22 + "=="}}, "key_file_rounds"),
        ({"sealed": "AAAA"}, "passphrase_wrong"),
        ({"sealed": "not base64"}, "key_file_malformed"),
        ({"organisation": "somebody"}, "key_file_malformed"),
        ({"organisation": "01939c5e-0000-7000-8000-000000000001"}, "passphrase_wrong"),
        ({"more": 1}, "key_file_malformed"),
    ],
)
def test_an_altered_key_file_says_what_is_wrong_with_it(
    page: Opener, lender: keyfile.PrivateKeys, change: dict[str, Any], code: str
) -> None:
    text = json.dumps(json.loads(keyfile.seal_keyfile(lender, PASSPHRASE)) | change)
    with pytest.raises(Refused, match=code):
        page.call("keyfile", "openKeyFile", text, PASSPHRASE)


def test_a_wrong_passphrase_and_what_is_no_key_file_are_told_apart(page: Opener, lender: keyfile.PrivateKeys) -> None:
    with pytest.raises(Refused, match="passphrase_wrong"):
        page.call("keyfile", "openKeyFile", keyfile.seal_keyfile(lender, PASSPHRASE).decode(), "another passphrase")
    for text in ("", "null", "[]", '"text"', "{}"):
        with pytest.raises(Refused, match="key_file_malformed"):
            page.call("keyfile", "openKeyFile", text, PASSPHRASE)


def test_a_post_quantum_key_is_sent_to_the_tool(page: Opener) -> None:
    keys = keyfile.make_keys(bytes(16), grants.XWING)
    with pytest.raises(Refused, match="suite_not_here"):
        page.call("keyfile", "openKeyFile", keyfile.seal_keyfile(keys, PASSPHRASE).decode(), PASSPHRASE)


def test_no_single_bit_of_a_cell_a_lease_a_note_or_a_wrap_can_change(page: Opener) -> None:
    name = CellName(PORTFOLIO, REFERENCE, "identity", 3)
    cell = seal_cell(Secret(KEY), name, {"name": "张三"})
    lease = seal_lease(Secret(KEY), LeaseName(PLACEMENT, CASE, "contact", 2), Secret(OTHER_KEY), 7)
    note = seal_note(Secret(KEY), 1, NoteName(PORTFOLIO, REFERENCE, CONTACT), "x")[2:]
    context = NoteName(PORTFOLIO, REFERENCE, CONTACT).context()
    recipient = RecipientKey(grants.X25519, Secret(KEY))
    wrap = page.call("hpke", "seal", OTHER_KEY, recipient.public[1:], b"")
    wrapped = ("hpke", "open", wrap, private(KEY), recipient.public[1:], b"")
    assert page.flipped("cells", "openCell", KEY, cell_name(), cell, place=2) == {"seal_broken": 8 * len(cell)}
    assert page.flipped("leases", "openLease", KEY, lease_name(), lease, place=2) == {"seal_broken": 8 * len(lease)}
    assert page.flipped("cobblestone", "open", KEY, context, note, place=2) == {"seal_broken": 8 * len(note)}
    # X25519 ignores the top bit of a point, but HPKE hashes the point as it was sent.
    assert page.flipped(*wrapped, place=0) == {"seal_broken": 8 * len(wrap)}


def test_what_the_browser_remembers_is_the_tools_file(page: Opener) -> None:
    kept = Memory()
    kept.pin(CASE, "signing", bytes(range(32)))
    kept.take_epoch("a/b/-/identity", 2)
    kept.take_serial("a/b/-/identity", 9)
    kept.take_version("case/identity", 4)
    kept.check_clock(1_800_000_000)
    text = page.page.evaluate(
        "async (text) => (await import('/static/js/opener/memory.js')).Memory.parse(text).text()",
        kept.to_json().decode(),
    )
    assert Memory.from_json(text.encode()).to_json() == kept.to_json()


@pytest.mark.parametrize(
    "change", [{"format": "x"}, {"seen_at": -1}, {"pins": {"x": {}}}, {"serials": {"a": "1"}}, {"more": 1}]
)
def test_a_damaged_memory_is_refused_in_the_browser(page: Opener, change: dict[str, Any]) -> None:
    text = json.dumps(json.loads(Memory().to_json()) | change)
    with pytest.raises(Refused, match="memory_malformed"):
        page.call("memory", "Memory", memory(text))


def test_python_refuses_what_the_browser_sealed_for_elsewhere(page: Opener) -> None:
    made = page.call("cells", "sealCell", KEY, cell_name(version=4), FIELDS)
    with pytest.raises(SealBroken):
        open_cell(Secret(KEY), CellName(PORTFOLIO, REFERENCE, "identity", 3), made)
