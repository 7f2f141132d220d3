"""The conduct score and the complaint ratio, by their published formulas."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.compliance.vocabulary import Severity
from models.standing import WEIGHTS, complaint_ratio, conduct_factor, conduct_score

COUNTS = st.integers(0, 10_000)
BREACHES = st.dictionaries(st.sampled_from(sorted(WEIGHTS)), COUNTS)


def test_every_severity_of_a_rule_has_a_weight() -> None:
    assert set(WEIGHTS) == {severity.value for severity in Severity}


@pytest.mark.parametrize(
    ("breaches", "cases", "score"),
    [
        ({}, 0, "100.00"),
        ({}, 1_000, "100.00"),
        ({"high": 1}, 3, "96.18"),  # 503 of 523: one breach among three cases is not the end
        ({"high": 10, "medium": 5}, 1_000, "86.21"),  # 1500 of 1740
        ({"critical": 25}, 500, "50.00"),
    ],
)
def test_the_score_is_the_published_one(breaches: dict[str, int], cases: int, score: str) -> None:
    assert conduct_score(breaches, cases) == Decimal(score)


@given(BREACHES, COUNTS)
def test_the_score_stays_between_0_and_100_and_the_factor_is_its_hundredth(
    breaches: dict[str, int], cases: int
) -> None:
    score = conduct_score(breaches, cases)
    assert 0 <= score <= 100
    assert conduct_factor(score) == score / 100


@given(BREACHES, COUNTS, st.sampled_from(sorted(WEIGHTS)))
def test_one_more_breach_never_raises_the_score_and_one_more_case_never_lowers_it(
    breaches: dict[str, int], cases: int, severity: str
) -> None:
    score = conduct_score(breaches, cases)
    assert conduct_score(breaches | {severity: breaches.get(severity, 0) + 1}, cases) <= score
    assert conduct_score(breaches, cases + 1) >= score


@pytest.mark.parametrize(
    ("upheld", "cases", "ratio"), [(0, 0, "0.00"), (0, 10, "0.00"), (5, 1_000, "25.00"), (1, 3, "1666.67")]
)
def test_complaints_are_counted_per_5000_cases_placed(upheld: int, cases: int, ratio: str) -> None:
    assert complaint_ratio(upheld, cases) == Decimal(ratio)
