"""JSON from elsewhere has one type and one spelling for each member, and a refusal never repeats it."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto import strict


@given(st.binary(max_size=64))
def test_bytes_come_back_from_their_one_spelling(raw: bytes) -> None:
    assert strict.unbase64(strict.to_base64(raw), len(raw)) == strict.unhex(raw.hex(), len(raw)) == raw


@given(st.uuids())
def test_an_id_comes_back_from_its_text(one: uuid.UUID) -> None:
    assert strict.id_text(strict.raw_id(str(one))) == str(one)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (strict.unbase64, "AQF="),
        (strict.unbase64, "AQ"),
        (strict.unbase64, "AQ==\n"),
        (strict.unbase64, "-_8="),
        (strict.unbase64, b"AQ=="),
        (strict.unbase64, "é==="),
        (strict.raw_id, "4C4C4C4C-4C4C-4C4C-4C4C-4C4C4C4C4C4C"),
        (strict.raw_id, "{4c4c4c4c-4c4c-4c4c-4c4c-4c4c4c4c4c4c}"),
        (strict.raw_id, 7),
        (strict.text, ""),
        (strict.text, "\ud800"),
        (strict.text, None),
        (strict.integer, True),
        (strict.integer, 1.0),
        (strict.integer, -1),
        (strict.integer, 2**53),
        (strict.mapping, []),
        (strict.parse, b'{"a":1,"a":1}'),
        (strict.parse, b'{"a":{"b":1,"b":1}}'),
        (strict.parse, b"\xff\xfe{\x00}\x00"[:5]),
        (strict.parse, b'{"a":' + b"9" * 5000 + b"}"),
    ],
)
def test_any_other_spelling_is_refused_without_a_trace(read: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(ValueError) as caught:
        read(value)
    assert caught.value.__context__ is None
    assert str(value) not in str(caught.value) or value == ""


@pytest.mark.parametrize("value", ["AB" * 4, "ab" * 3, "ab cd ef ab", "zz" * 4, None])
def test_hex_is_lower_case_and_of_its_size(value: Any) -> None:
    with pytest.raises(ValueError):
        strict.unhex(value, 4)


@pytest.mark.parametrize("value", [{"a": 1}, {"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}, [], None])
def test_an_object_has_exactly_its_members(value: Any) -> None:
    with pytest.raises(ValueError):
        strict.exactly(value, "a", "b")


def test_a_document_beyond_the_limit_is_not_even_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict, "DOCUMENT_BYTES_MAX", 8)
    with pytest.raises(ValueError):
        strict.parse(b'{"a": 123}')
