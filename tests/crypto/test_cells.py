"""A cell opens in its own place alone."""

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto import cobblestone
from crypto.canonical import canonical
from crypto.cells import CellName, CellSealer, case_key, lp, open_cell, seal_cell
from crypto.errors import SealBroken, ValueRefused
from crypto.secret import Secret

CLASS_KEY = Secret(bytes(range(32)))
PORTFOLIO = b"P" * 16
CASE = b"C" * 16
SALT = b"S" * 32
NAME = CellName(PORTFOLIO, CASE, "identity", 1)
FIELDS: dict[str, Any] = {"name": "张三", "id_number": "51343620000320711X"}


@pytest.fixture
def key() -> Secret:
    return case_key(CLASS_KEY, PORTFOLIO, CASE, SALT)


def test_a_cell_comes_back(key: Secret) -> None:
    assert open_cell(key, NAME, seal_cell(key, NAME, FIELDS)) == FIELDS


@pytest.mark.parametrize(
    "moved",
    [
        NAME._replace(portfolio_id=b"Q" * 16),
        NAME._replace(case_reference=b"D" * 16),
        NAME._replace(field_class="contact"),
        NAME._replace(version=2),
        NAME._replace(version=11),
    ],
)
def test_a_cell_moved_to_another_place_does_not_open(key: Secret, moved: CellName) -> None:
    with pytest.raises(SealBroken):
        open_cell(key, moved, seal_cell(key, NAME, FIELDS))


def test_neighbouring_parts_of_a_name_never_run_together() -> None:
    contexts = {
        CellName(b"ab", b"c", "identity", 1).context(),
        CellName(b"a", b"bc", "identity", 1).context(),
        CellName(b"ab", b"", "cidentity", 1).context(),
        CellName(b"ab", b"c", "identity1", 1).context(),
    }
    assert len(contexts) == 4


@pytest.mark.parametrize(
    "other",
    [
        (Secret(bytes(32)), PORTFOLIO, CASE, SALT),
        (CLASS_KEY, b"Q" * 16, CASE, SALT),
        (CLASS_KEY, PORTFOLIO, b"D" * 16, SALT),
        (CLASS_KEY, PORTFOLIO, CASE, b"T" * 32),
        (CLASS_KEY, PORTFOLIO + CASE[:1], CASE[1:], SALT),
    ],
)
def test_a_case_key_is_of_one_class_portfolio_case_and_salt(key: Secret, other: Any) -> None:
    assert case_key(*other) != key
    with pytest.raises(SealBroken):
        open_cell(case_key(*other), NAME, seal_cell(key, NAME, FIELDS))


def test_no_single_bit_of_a_cell_can_change(key: Secret) -> None:
    sealed = seal_cell(key, NAME, FIELDS)
    for bit in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            open_cell(key, NAME, bytes(altered))


def test_no_truncated_cell_opens(key: Secret) -> None:
    sealed = seal_cell(key, NAME, FIELDS)
    for size in range(len(sealed)):
        with pytest.raises(SealBroken):
            open_cell(key, NAME, sealed[:size])


@pytest.mark.parametrize("size", range(0, 140, 7))
def test_a_cells_length_tells_no_more_than_64_byte_steps(key: Secret, size: int) -> None:
    sealed = seal_cell(key, NAME, {"n": "x" * size})
    assert (len(sealed) - cobblestone.HEADER_BYTES - cobblestone.TAG_BYTES) % 64 == 0


@pytest.mark.parametrize(
    "padded",
    [
        b"",
        b"{}",
        b'{"a":"b"}'.ljust(64, b"\x00"),
        (b'{"a":"b"}\x80').ljust(128, b"\x00"),
        (b'{"a": "b"}\x80').ljust(64, b"\x00"),
        (b'{"a":"b","a":"c"}\x80').ljust(64, b"\x00"),
        (b'["a"]\x80').ljust(64, b"\x00"),
        (b'{"a":1.5}\x80').ljust(64, b"\x00"),
        (b'{"a":null}\x80').ljust(64, b"\x00"),
        (b"\xff\x80").ljust(64, b"\x00"),
    ],
)
def test_what_no_sealer_writes_does_not_open(key: Secret, padded: bytes) -> None:
    sealed = cobblestone.seal(key.reveal(), NAME.context(), padded)
    with pytest.raises(SealBroken) as caught:
        open_cell(key, NAME, sealed)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("value", ["\ud83d", None, [None], {"part": ["a", None]}])
def test_what_a_cell_cannot_hold_is_refused(key: Secret, value: Any) -> None:
    with pytest.raises(ValueRefused):
        seal_cell(key, NAME, {"name": value})


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@given(st.dictionaries(TEXT, TEXT | st.integers(-(2**53) + 1, 2**53 - 1) | st.lists(TEXT, max_size=3), max_size=6))
def test_bulk_and_single_sealing_are_one_format(fields: Any) -> None:
    reference, salt = os.urandom(16), os.urandom(32)
    keys = {"identity": CLASS_KEY, "contact": Secret(b"k" * 32)}
    texts = {"identity": [None, canonical(fields)], "contact": [canonical(fields), None]}
    cells = CellSealer(PORTFOLIO, keys).seal_cases([reference, reference], [salt, salt], texts)
    assert [cells["identity"][0], cells["contact"][1]] == [None, None]
    for name, sealed in (("identity", cells["identity"][1]), ("contact", cells["contact"][0])):
        key = case_key(keys[name], PORTFOLIO, reference, salt)
        assert sealed is not None
        assert open_cell(key, CellName(PORTFOLIO, reference, name, 1), sealed) == fields


def test_bulk_sealing_gives_each_case_its_own_key() -> None:
    references, salts = [b"first", b"second"], [b"s" * 32, b"t" * 32]
    cells = CellSealer(PORTFOLIO, {"identity": CLASS_KEY}).seal_cases(references, salts, {"identity": [b"{}", b"{}"]})
    first, second = (CellName(PORTFOLIO, reference, "identity", 1) for reference in references)
    key = case_key(CLASS_KEY, PORTFOLIO, references[1], salts[1])
    assert cells["identity"][1] is not None
    assert open_cell(key, second, cells["identity"][1]) == {}
    with pytest.raises(SealBroken):
        open_cell(key, first, cells["identity"][1])


def test_a_sealer_shows_no_key() -> None:
    assert CLASS_KEY.reveal().hex() not in repr(vars(CellSealer(PORTFOLIO, {"identity": CLASS_KEY})))


def test_a_length_prefix_is_four_big_endian_bytes() -> None:
    assert lp(b"abc") == b"\x00\x00\x00\x03abc"
