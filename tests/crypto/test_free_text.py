"""A note opens as its own contact's alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto import cobblestone
from crypto.errors import SealBroken, ValueRefused
from crypto.free_text import NoteName, epoch_of, open_note, seal_note
from crypto.secret import Secret

KEY, OTHER_KEY = Secret(bytes(32)), Secret(bytes([1]) * 32)
NAME = NoteName(b"P" * 16, b"K-1", b"C" * 16)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=300))
def test_a_note_opens_as_it_was_written(text: str) -> None:
    sealed = seal_note(KEY, 1, NAME, text)
    assert open_note(KEY, NAME, sealed) == text
    assert (len(sealed) - 2 - cobblestone.HEADER_BYTES - cobblestone.TAG_BYTES) % 64 == 0


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (OTHER_KEY, NAME),
        (KEY, NAME._replace(portfolio_id=b"Q" * 16)),
        (KEY, NAME._replace(case_reference=b"K-2")),
        (KEY, NAME._replace(contact_id=b"D" * 16)),
    ],
)
def test_a_note_moved_to_another_contact_does_not_open(key: Secret, name: NoteName) -> None:
    sealed = seal_note(KEY, 1, NAME, "hello")
    with pytest.raises(SealBroken):
        open_note(key, name, sealed)


def test_a_note_names_its_epoch() -> None:
    assert [epoch_of(seal_note(KEY, epoch, NAME, "hello")) for epoch in (1, 2, 65535)] == [1, 2, 65535]


def test_no_sealed_bit_of_a_note_can_change() -> None:
    sealed = seal_note(KEY, 1, NAME, "本人称下周还款")
    for bit in range(16, len(sealed) * 8):  # The first two bytes choose the key.
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            open_note(KEY, NAME, bytes(altered))


def test_no_truncated_note_opens() -> None:
    sealed = seal_note(KEY, 1, NAME, "hello")
    for size in range(len(sealed)):
        with pytest.raises(SealBroken):
            open_note(KEY, NAME, sealed[:size])


@pytest.mark.parametrize("text", ["\ud83d", "a\x00"])
def test_what_would_not_come_back_is_refused_without_the_text(text: str) -> None:
    with pytest.raises(ValueRefused) as caught:
        seal_note(KEY, 1, NAME, text)
    assert caught.value.__context__ is None


def test_bytes_that_are_no_text_do_not_open_and_leave_no_trace() -> None:
    sealed = b"\x00\x01" + cobblestone.seal(KEY.reveal(), NAME.context(), b"\xff".ljust(64, b"\x00"))
    with pytest.raises(SealBroken) as caught:
        open_note(KEY, NAME, sealed)
    assert caught.value.__context__ is None
