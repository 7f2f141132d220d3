"""Signed notes: what the published examples open, and what they must not."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import NoteRefused
from crypto.merkle import EMPTY_ROOT
from crypto.notes import (
    COSIGNATURE,
    Checkpoint,
    VerifierKey,
    assemble_note,
    cosigned_at,
    open_note,
    sign_note,
    verifier_key,
)

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
NAME = "consign.example/log/1"
KEY = verifier_key(NAME, PUBLIC)
TEXT = f"{NAME}\n7\n{base64.b64encode(bytes(range(32))).decode()}\n"
NOTE = sign_note(TEXT, NAME, PRIVATE)


def test_every_published_note_opens_or_not_as_published(published) -> None:
    tests = published("signed_notes.json")["open"]
    assert len(tests) == 16
    for test in tests:
        note = test["msg"] if "msg" in test else base64.b64decode(test["msg_b64"])
        if test["want"] == "ok":
            opened = open_note(note, test["vkeys"])
            assert (len(opened.verified), len(opened.unverified)) == (test["verified"], test["unverified"])
        else:
            with pytest.raises(NoteRefused):
                open_note(note, test["vkeys"])


def test_every_published_verifier_key_is_read_or_not_as_published(published) -> None:
    vectors = published("signed_notes.json")
    assert (len(vectors["vkeys"]), len(vectors["cosignature_v1_vkeys"])) == (9, 2)
    for test in vectors["vkeys"]:
        if test.get("ok"):
            assert VerifierKey.parse(test["vkey"]).text() == test["vkey"]
        elif "vkey" in test:
            with pytest.raises(NoteRefused):
                VerifierKey.parse(test["vkey"])
        else:
            _refuse_mangled(vectors["vkeys"][0]["vkey"])  # as it says
    for test in vectors["cosignature_v1_vkeys"]:
        assert VerifierKey.parse(test["vkey"]).algorithm == test["alg"]


def test_the_published_signing_key_signs_as_published(published) -> None:
    test = published("signed_notes.json")["signing_key_seed_note"]
    _, _, name, _, body = test["skey"].split("+", 4)
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(body)[1:])
    assert sign_note(test["text"], name, private) == test["want_signed"]


def test_the_published_cosignature_times_are_read(published) -> None:
    tests = published("signed_notes.json")["cosignature_v1_timestamp"]
    assert len(tests) == 2
    for test in tests:
        signature = base64.b64decode(test["sig_b64"])
        if test.get("want") == "error":
            with pytest.raises(NoteRefused):
                cosigned_at(signature)
        else:
            assert cosigned_at(signature) == test["unix"]


def test_a_signed_note_opens() -> None:
    assert open_note(NOTE, [KEY]) == (TEXT, (NAME,), ())
    assert open_note(NOTE.encode(), [VerifierKey.parse(KEY)]).text == TEXT


def test_no_byte_of_a_note_can_change() -> None:
    raw = NOTE.encode()
    for place in range(len(raw)):
        for bit in range(8):
            altered = bytearray(raw)
            altered[place] ^= 1 << bit
            with pytest.raises(NoteRefused):
                open_note(bytes(altered), [KEY])


def test_no_truncated_or_extended_note_opens() -> None:
    for altered in [*(NOTE[:size] for size in range(len(NOTE))), NOTE + "\n", NOTE + "x\n", NOTE + "\n\n", "\n" + NOTE]:
        with pytest.raises(NoteRefused):
            open_note(altered, [KEY])


def test_no_mangled_verifier_key_is_read() -> None:
    _refuse_mangled(KEY)


def _refuse_mangled(key: str) -> None:
    """Every proper beginning and end of it, and every single character one further."""
    mangled = [key[:size] for size in range(len(key))] + [key[start:] for start in range(1, len(key))]
    mangled += [key[:place] + chr(ord(key[place]) + 1) + key[place + 1 :] for place in range(len(key))]
    for text in mangled:
        with pytest.raises(NoteRefused):
            VerifierKey.parse(text)


def test_the_right_key_under_another_name_does_not_open() -> None:
    with pytest.raises(NoteRefused):
        open_note(NOTE, [verifier_key("another", PUBLIC)])


def test_base64_has_one_spelling() -> None:
    # The last character of 68 bytes carries two bits that no byte needs.
    line = NOTE.rstrip("\n")
    assert line.endswith("=")
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
        if last != line[-2]:
            with pytest.raises(NoteRefused):
                open_note(line[:-2] + last + "=\n", [KEY])


def test_a_witness_cosignature_is_checked_with_its_time() -> None:
    key = VerifierKey("witness.example", COSIGNATURE, PUBLIC)
    stamp = (1727964367).to_bytes(8)
    signature = PRIVATE.sign(b"cosignature/v1\ntime 1727964367\n" + TEXT.encode())
    note = assemble_note(TEXT, key.text(), stamp + signature)
    assert open_note(note, [key]).verified == ("witness.example",)
    later = (1727964368).to_bytes(8)
    with pytest.raises(NoteRefused):
        assemble_note(TEXT, key.text(), later + signature)
    with pytest.raises(NoteRefused):
        assemble_note(TEXT, key.text(), signature)


@pytest.mark.parametrize("text", ["no newline", "bell\x07\n", "lone\ud800\n"])
def test_a_text_that_no_note_may_hold_is_not_signed(text: str) -> None:
    with pytest.raises(NoteRefused):
        sign_note(text, NAME, PRIVATE)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u3000b", "a\nb", "a\x00"])
def test_a_name_with_spaces_or_plus_is_refused(name: str) -> None:
    with pytest.raises(NoteRefused):
        verifier_key(name, PUBLIC)


def test_a_checkpoint_is_read_as_it_is_written() -> None:
    checkpoint = Checkpoint(NAME, 7, bytes(range(32)))
    assert checkpoint.text() == TEXT
    assert Checkpoint.parse(TEXT) == checkpoint
    assert Checkpoint.parse(Checkpoint(NAME, 0, EMPTY_ROOT).text()).size == 0


ROOT = base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{NAME}\n7\n{ROOT}",
        f"{NAME}\n7\n{ROOT}\n\n",
        f"{NAME}\n7\n{ROOT}\nextension\n",
        f"\n7\n{ROOT}\n",
        f"a b\n7\n{ROOT}\n",
        *(f"{NAME}\n{size}\n{ROOT}\n" for size in ("", "07", "+7", "-7", "7_0", " 7", "7 ", "٧", "7.0", "0x7", 2**63)),
        f"{NAME}\n0\n{ROOT}\n",
        f"{NAME}\n7\n{ROOT[:-1]}\n",
        f"{NAME}\n7\n{ROOT[:-2]}9=\n",
        f"{NAME}\n7\n{base64.b64encode(bytes(31)).decode()}\n",
        f"{NAME}\r\n7\n{ROOT}\n",
    ],
)
def test_a_checkpoint_in_any_other_spelling_is_refused(text: str) -> None:
    with pytest.raises(NoteRefused):
        Checkpoint.parse(text)


@given(st.text() | st.binary())
def test_noise_is_no_note(noise: str | bytes) -> None:
    with pytest.raises(NoteRefused):
        open_note(noise, [KEY])


@given(st.text())
def test_noise_is_no_checkpoint_and_no_key(noise: str) -> None:
    with pytest.raises(NoteRefused):
        Checkpoint.parse(noise)
    with pytest.raises(NoteRefused):
        VerifierKey.parse(noise)
