"""Blind index: one spelling, one token; another lender, kind or value, another."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import ValueRefused
from crypto.secret import Secret
from crypto.tokens import NORMAL_FORMS, id_of_18, normalise, token, tokens

KEY = Secret(bytes(range(32)))


def test_a_token_is_the_hmac_it_says() -> None:
    expected = hmac.new(KEY.reveal(), b"mobile\x0018049531999", hashlib.sha256).digest()
    assert token(KEY, "mobile", "18049531999") == expected


def test_tokens_of_many_values_are_those_of_each() -> None:
    values = ["18049531999", None, "+86 13812345678"]
    assert tokens(KEY, "mobile", values) == [value and token(KEY, "mobile", value) for value in values]


@pytest.mark.parametrize(
    "spelling",
    ["18049531999", "+8618049531999", "8618049531999", "008618049531999", "+86 180-4953-1999", "１８０４９５３１９９９",
     " 180 4953 1999\u3000", "＋86—180 4953 1999"],
)  # fmt: skip
def test_every_spelling_of_a_mobile_has_one_token(spelling: str) -> None:
    assert normalise("mobile", spelling) == "18049531999"


@pytest.mark.parametrize("spelling", ["51343620000320711X", "51343620000320711x", "513436 20000320 711Ｘ"])
def test_every_spelling_of_an_id_has_one_token(spelling: str) -> None:
    assert normalise("id_cn", spelling) == "51343620000320711X"


def test_an_id_of_15_digits_meets_its_18() -> None:
    # GB 11643-1999's own example.
    assert id_of_18("110105491231002") == "11010519491231002X"
    assert token(KEY, "id_cn", "110105491231002") == token(KEY, "id_cn", "11010519491231002X")


def test_another_lender_or_kind_gives_another_token() -> None:
    assert token(KEY, "mobile", "18049531999") != token(Secret(bytes(32)), "mobile", "18049531999")
    assert normalise("mobile", "13800138000") != normalise("id_cn", "513436200003207")


@pytest.mark.parametrize(
    ("kind", "value"),
    [("mobile", "12345678901"), ("mobile", ""), ("mobile", "1804953199"), ("mobile", "180495319990"),
     ("mobile", "0" * 11), ("id_cn", "5134362000032071"), ("id_cn", "X" * 18), ("id_cn", ""), ("name", "张三"),
     ("mobile", "\ud800"), ("id_cn", "٥١٣٤٣٦٢٠٠٠٠٣٢٠٧١١٢")],
)  # fmt: skip
def test_what_has_no_normal_form_is_refused_without_its_value(kind: str, value: str) -> None:
    with pytest.raises(ValueRefused) as caught:
        token(KEY, kind, value)
    assert not value or value not in str(caught.value)


@given(st.sampled_from(sorted(NORMAL_FORMS)), st.text())
def test_normalising_is_idempotent_or_refuses(kind: str, value: str) -> None:
    try:
        normal = normalise(kind, value)
    except ValueRefused:
        return
    assert normalise(kind, normal) == normal
