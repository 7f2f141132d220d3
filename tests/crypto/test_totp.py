"""One-time codes: the published ones, the window, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto import totp

SEED = b"12345678901234567890"  # RFC 6238, appendix B, whose codes have eight digits: the last six are ours


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_codes_of_the_standard_come_out(at: int, code: str) -> None:
    assert totp.code_of(SEED, at // totp.STEP_SECONDS) == code
    assert totp.find_step(SEED, code, at) == at // totp.STEP_SECONDS


@pytest.mark.parametrize(("off", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_phones_clock_may_be_one_step_off(off: int, taken: bool) -> None:
    code = totp.code_of(SEED, 1000 + off)
    assert (totp.find_step(SEED, code, 1000 * totp.STEP_SECONDS + 7) is not None) == taken


@given(st.text(max_size=8))
def test_what_is_no_code_of_now_is_none(text: str) -> None:
    codes = {totp.code_of(SEED, step) for step in (999, 1000, 1001)}
    assert (totp.find_step(SEED, text, 1000 * totp.STEP_SECONDS) is not None) == (text in codes)


def test_two_seeds_differ_and_are_spelled_for_people() -> None:
    first, second = totp.new_seed(), totp.new_seed()
    assert first != second
    assert totp.spelled(SEED) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"


def test_the_address_is_what_an_authenticator_reads() -> None:
    address = totp.address(SEED, "a@example.com", "Consign")
    assert address.startswith("otpauth://totp/Consign:a%40example.com?")
    assert "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" in address
