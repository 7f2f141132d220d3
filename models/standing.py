"""What a lender makes of an agency's conduct: one published formula each for the score and the complaint ratio.

    score = 100 × (cases + 500) ÷ (cases + 500 + Σ breaches × weight of their severity)

over the cases placed and the breaches that stand of the last 365 days. The 500 cases without a breach that everybody
starts with keep one breach among three cases from weighing like one breach among three in a thousand.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from models.money import round_money

WINDOW_DAYS: Final = 365
WEIGHTS: Final[Mapping[str, int]] = {"critical": 40, "high": 20, "medium": 8, "low": 2}
CASES_ASSUMED: Final = 500
RATIO_CASES: Final = 5_000


def conduct_score(breaches: Mapping[str, int], cases_placed: int) -> Decimal:
    """0 to 100 with two places; `breaches` counts them by severity."""
    cases = cases_placed + CASES_ASSUMED
    points = sum(WEIGHTS[severity] * count for severity, count in breaches.items())
    return round_money(Decimal(100 * cases) / (cases + points))


def conduct_factor(score: Decimal) -> Decimal:
    """0 to 1 with four places: what an expected net-back is multiplied with."""
    return round_money(score / 100, places=4)


def complaint_ratio(upheld: int, cases_placed: int) -> Decimal:
    """Upheld complaints ÷ cases placed × 5,000, with two places."""
    return round_money(Decimal(upheld * RATIO_CASES) / max(cases_placed, 1))
