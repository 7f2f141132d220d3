"""RFC 8785, against an implementation that is not ours."""

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from crypto.canonical import INTEGER_MAX, canonical
from crypto.errors import ValueRefused

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    TEXT | st.integers(-INTEGER_MAX, INTEGER_MAX) | st.none(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_the_spelling_is_that_of_rfc_8785(value) -> None:
    assert canonical(value) == rfc8785.dumps(value)


def test_names_are_ordered_by_utf_16_units() -> None:
    assert canonical({"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3}) == '{"€":3,"😀":2,"\ufb33":1}'.encode()


def test_control_characters_are_escaped_in_the_one_way() -> None:
    assert canonical('\x00\x1f\b\t\n\f\r"\\/\x7f') == b'"\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\/\x7f"'


@pytest.mark.parametrize("value", [1.5, True, False, b"x", INTEGER_MAX + 1, {1: "x"}, ["\ud800"], {"\udfff": 1}])
def test_what_has_no_exact_spelling_is_refused(value) -> None:
    with pytest.raises(ValueRefused):
        canonical(value)


def test_depth_without_end_is_refused() -> None:
    value: list = []
    for _ in range(5_000):
        value = [value]
    with pytest.raises(ValueRefused, match="too deep"):
        canonical(value)


def test_a_refusal_carries_no_part_of_the_value() -> None:
    with pytest.raises(ValueRefused) as caught:
        canonical({"name": "张三\ud800"})
    assert caught.value.__context__ is None
    assert "张三" not in str(caught.value)
