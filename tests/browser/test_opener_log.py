"""An exported log checked in Chromium: what stands, and what was dropped, moved, cut, forged or forked."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import Browser

from crypto.logfile import entry_leaf_hash, verify_log, write_log
from crypto.merkle import Frontier
from crypto.notes import Checkpoint, sign_note, verifier_key
from tests.browser.opener import Opener, opener

ORIGIN = "consign.example/log/1"
SIGNER, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
KEY = verifier_key(ORIGIN, SIGNER.public_key().public_bytes_raw())
ENTRIES = [
    json.dumps({"at": f"2026-01-05T00:00:0{number}Z", "who": '张\u2028\x7f"'}, ensure_ascii=False)
    for number in range(7)
]
SALT = bytes(range(32))

VERIFY = """async ([text, typed, seen]) => {
  const { readVerifierKey, verifyLog } = await import("/static/js/opener/log.js");
  try {
    return await verifyLog(new Blob([text]).stream(), await readVerifierKey(typed), async () => seen);
  } catch (error) {
    return { refused: error.code ?? error.stack, line: error.line ?? null };
  }
}"""


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Opener]:
    with opener(chromium) as opened:
        yield opened


def log(entries: list[str] = ENTRIES, signer: Ed25519PrivateKey = SIGNER) -> list[str]:
    frontier = Frontier()
    for entry in entries:
        frontier.append(entry_leaf_hash(SALT, entry.encode()))
    note = sign_note(Checkpoint(ORIGIN, frontier.size, frontier.root()).text(), ORIGIN, signer)
    return [line.decode() for line in write_log(note, [(SALT, entry.encode()) for entry in entries])]


def verify(page: Opener, lines: list[str], key: str = KEY, seen: dict[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = page.page.evaluate(VERIFY, ["".join(lines), key, seen])
    return found


def checkpoint(entries: list[str]) -> dict[str, Any]:
    report = verify_log([line.encode() for line in log(entries)], KEY).checkpoint
    return {"origin": report.origin, "size": report.size, "root": report.root.hex()}


@pytest.mark.parametrize("size", range(8))
def test_a_log_of_any_size_stands_with_the_root_that_python_finds(page: Opener, size: int) -> None:
    assert verify(page, log(ENTRIES[:size])) == checkpoint(ENTRIES[:size])


@pytest.mark.parametrize("size", range(8))
def test_a_log_goes_on_from_what_was_seen(page: Opener, size: int) -> None:
    assert verify(page, log(), seen=checkpoint(ENTRIES[:size])) == checkpoint(ENTRIES)


@pytest.mark.parametrize(
    ("attack", "line"),
    [
        (lambda lines: lines[:3] + lines[4:], 4),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], 3),
        (lambda lines: lines[:-1], 9),
        (lambda lines: [*lines[:-1], lines[-1][:-5]], 9),
        (lambda lines: [*lines, "{}\n"], 10),
        (lambda lines: [*lines, "\n"], 10),
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[0].replace('"size":7', '"size":7.0'), *lines[1:]], 1),
        (lambda lines: [lines[0].replace("{", "{ "), *lines[1:]], 1),
        (lambda lines: [lines[0], lines[1].replace("2026", "2027"), *lines[2:]], 9),
        (lambda lines: [lines[0], lines[1].replace('"index":0', '"index":0,"index":0'), *lines[2:]], 2),
        (lambda lines: [lines[0], lines[1].replace("AAECAwQF", "AQECAwQF"), *lines[2:]], 9),
        (lambda lines: [*lines[:-1], log(ENTRIES, OTHER)[-1]], 9),
        (lambda lines: [*lines[:-1], log(ENTRIES[:6])[-1]], 9),
        (lambda lines: [], 1),
    ],
    ids=lambda one: "" if callable(one) else str(one),
)
def test_what_was_done_to_a_log_is_found_at_its_line(page: Opener, attack: Any, line: int) -> None:
    assert verify(page, attack(log())) == {"refused": "log_broken", "line": line}


def test_a_rewritten_log_is_a_fork_and_a_shorter_one_is_rolled_back(page: Opener) -> None:
    rewritten = [*ENTRIES[:4], "{}", *ENTRIES[4:]]
    assert verify(page, log(rewritten), seen=checkpoint(ENTRIES))["refused"] == "log_forked"
    assert verify(page, log(ENTRIES[:5]), seen=checkpoint(ENTRIES))["refused"] == "log_rolled_back"


def test_another_key_than_the_pinned_one_is_refused(page: Opener) -> None:
    other = verifier_key(ORIGIN, OTHER.public_key().public_bytes_raw())
    assert verify(page, log(), key=other) == {"refused": "log_broken", "line": 9}
    for malformed in ("", "x", KEY[:-1], KEY.replace("+", " ", 1), "x" + KEY):
        assert verify(page, log(), key=malformed)["refused"] == "log_key_malformed"


def test_no_single_byte_of_a_log_can_change(page: Opener) -> None:
    text = "".join(log(ENTRIES[:2])).encode()
    for place in range(len(text)):
        altered = bytearray(text)
        altered[place] ^= 1
        found = page.page.evaluate(
            VERIFY.replace("[text]", "[Uint8Array.fromBase64(text)]"), [_base64(altered), KEY, None]
        )
        assert found["refused"] == "log_broken", place


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
