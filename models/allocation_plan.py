"""The plan of an allocation (分案), by rules or as a stratified random split; and all that can be wrong with it."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from models.buckets import BUCKETS
from models.errors import RowError, outside
from models.identifiers import PROVINCES

RULES, RANDOM = "rules", "random"
KINDS: Final = (RULES, RANDOM)
CASES, AMOUNT = "cases", "amount"  # what a share is a share of
BASES: Final = (CASES, AMOUNT)
DIMENSIONS: Final = ("bucket", "balance_band", "province", "product")
RULES_MAX: Final = 50
PANEL_MAX: Final = 500
SEED_BYTES: Final = 32
HUNDRED: Final = Decimal(100)


class Where(NamedTuple):
    """Which households a rule is for; what is empty or None leaves its dimension open."""

    buckets: Sequence[str] = ()
    products: Sequence[str] = ()
    provinces: Sequence[str] = ()  # GB/T 2260: the first two digits and 0000
    amount_from: Decimal | None = None
    amount_below: Decimal | None = None


class Rule(NamedTuple):
    """`shares`: agreement → per cent of the `basis`, with at most two places."""

    shares: Mapping[UUID, Decimal]
    where: Where = Where()
    basis: str = CASES


class Plan(NamedTuple):
    """Rules are asked in order, and the first that fits decides. A random split is one rule without a condition,
    kept within each stratum of `dimensions`. The same seed orders the same households alike."""

    kind: str
    rules: Sequence[Rule]
    seed: bytes
    dimensions: Sequence[str] = ()
    exclude_earlier: bool = False  # nothing goes back to an agency that had the borrower before

    @property
    def panel(self) -> list[UUID]:
        """Every agreement it names, in order of id: that of the bits and seats of a split."""
        return sorted({agreement_id for rule in self.rules for agreement_id in rule.shares})


def equal_shares(agreement_ids: Collection[UUID]) -> dict[UUID, Decimal]:
    """100 per cent among them; what does not divide goes, a hundredth each, to the first."""
    each, over = divmod(10_000, len(agreement_ids))
    return {
        agreement_id: Decimal(each + (place < over)).scaleb(-2)
        for place, agreement_id in enumerate(sorted(agreement_ids))
    }


def faults(plan: Plan, currencies: Mapping[UUID, str], products: Collection[str]) -> list[RowError]:
    """Row n is the n-th rule, row 0 the plan.

    `currencies`: of each agreement that the lender has; `products`: those that its cases have.
    """
    wrong = [error for row, rule in enumerate(plan.rules, 1) for error in _of_rule(row, rule, currencies, products)]
    return [*_of_plan(plan), *wrong] or _mixed(plan, currencies)


def to_json(plan: Plan) -> dict[str, Any]:
    return {
        "kind": plan.kind,
        "rules": [
            {
                "shares": {str(agreement_id): f"{share:.2f}" for agreement_id, share in sorted(rule.shares.items())},
                "basis": rule.basis,
                "where": {name: _plain(value) for name, value in rule.where._asdict().items() if value},
            }
            for rule in plan.rules
        ],
        "dimensions": list(plan.dimensions),
        "seed": plan.seed.hex(),
        "exclude_earlier": plan.exclude_earlier,
    }


def from_json(stored: Mapping[str, Any]) -> Plan:
    """What `to_json` made."""
    return Plan(
        kind=stored["kind"],
        rules=[
            Rule(
                shares={UUID(agreement_id): Decimal(share) for agreement_id, share in rule["shares"].items()},
                where=Where(**{name: _read(name, value) for name, value in rule["where"].items()}),
                basis=rule["basis"],
            )
            for rule in stored["rules"]
        ],
        seed=bytes.fromhex(stored["seed"]),
        dimensions=tuple(stored["dimensions"]),
        exclude_earlier=stored["exclude_earlier"],
    )


def _of_plan(plan: Plan) -> list[RowError]:
    random = plan.kind == RANDOM
    found = {
        ("kind", "unknown_value"): plan.kind not in KINDS,
        ("rules", "required_missing"): not plan.rules,
        ("rules", "too_many"): len(plan.rules) > RULES_MAX,
        ("rules", "one_expected"): random
        and (len(plan.rules) > 1 or any(rule.where != Where() for rule in plan.rules)),
        ("dimensions", "unknown_value"): not set(plan.dimensions) <= set(DIMENSIONS),
        ("dimensions", "random_only"): bool(plan.dimensions) and not random,
        ("seed", "seed_invalid"): len(plan.seed) != SEED_BYTES,
        ("shares", "panel_too_large"): len(plan.panel) > PANEL_MAX,
    }
    after_the_rest = [
        RowError(row, "where", "rule_unreachable")
        for row in range(2, len(plan.rules) + 1)
        if plan.rules[row - 2].where == Where()
    ]
    return [*(RowError(0, field, code) for (field, code), wrong in found.items() if wrong), *after_the_rest]


def _of_rule(row: int, rule: Rule, currencies: Mapping[UUID, str], products: Collection[str]) -> list[RowError]:
    where = rule.where
    shares = rule.shares.values()
    low, high = where.amount_from, where.amount_below
    found = {
        ("shares", "required_missing"): not shares,
        ("shares", "share_bounds"): any(not 0 < share <= HUNDRED for share in shares),
        ("shares", "too_precise"): any(share != round(share, 2) for share in shares),
        ("shares", "shares_not_100"): bool(shares) and sum(shares) != HUNDRED,
        ("shares", "agreement_unknown"): not set(rule.shares) <= set(currencies),
        ("basis", "unknown_value"): rule.basis not in BASES,
        ("buckets", "unknown_value"): not set(where.buckets) <= set(BUCKETS),
        ("products", "unknown_value"): not set(where.products) <= set(products),
        ("provinces", "invalid_region"): any(
            code[:2] not in PROVINCES or code[2:] != "0000" for code in where.provinces
        ),
        ("amount_below", "range_reversed"): high is not None and high <= (low or 0),
    }
    return [
        *(RowError(row, field, code) for (field, code), wrong in found.items() if wrong),
        *outside("amount_from", low, 0, row=row),
    ]


def _mixed(plan: Plan, currencies: Mapping[UUID, str]) -> list[RowError]:
    """The rules whose agreements are in another currency than the first rule's first."""
    wanted = currencies[min(plan.rules[0].shares)]
    return [
        RowError(row, "shares", "currency_mixed")
        for row, rule in enumerate(plan.rules, 1)
        if any(currencies[agreement_id] != wanted for agreement_id in rule.shares)
    ]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else list(value)


def _read(name: str, value: Any) -> Any:
    return Decimal(value) if name.startswith("amount") else value
