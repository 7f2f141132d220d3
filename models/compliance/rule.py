"""A rule of conduct and the pack it stands in, as values."""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from models.compliance.evaluators import EVALUATORS, VERDICTS, Facts, Parameters
from models.compliance.vocabulary import Force, Severity, Source, Standard

JUDGED: dict[str, pl.DataType] = {"rule_id": pl.String(), **VERDICTS}


class Summary(NamedTuple):
    """The rule in our own words."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Rule:
    """`prevents`: what it forbids is refused beforehand, not only flagged. Both effective days are inside."""

    id: str
    article: str
    summary: Summary
    evaluator: str
    parameters: Parameters
    standard: Standard
    severity: Severity
    prevents: bool
    evidence: tuple[str, ...]
    effective_from: dt.date
    effective_until: dt.date | None
    source: Source

    @property
    def subject_kind(self) -> str:
        return EVALUATORS[self.evaluator].subject_kind

    def in_force_on(self, day: dt.date) -> bool:
        return self.effective_from <= day and (self.effective_until is None or day <= self.effective_until)

    def judge(self, facts: Facts) -> pl.DataFrame:
        """One row (`JUDGED`) for every event that this rule governs, whatever its date."""
        verdicts = EVALUATORS[self.evaluator].judge(facts, self.parameters)
        return verdicts.insert_column(0, pl.Series("rule_id", [self.id], pl.String).new_from_index(0, len(verdicts)))


@dataclass(frozen=True, slots=True)
class Pack:
    pack: str
    version: str
    jurisdiction: str
    force: Force
    notice: str
    rules: tuple[Rule, ...]


def in_force(packs: Iterable[Pack], day: dt.date) -> list[tuple[Pack, Rule]]:
    return [(pack, rule) for pack in packs for rule in pack.rules if rule.in_force_on(day)]


def judge(rules: Collection[Rule], facts: Facts) -> pl.DataFrame:
    """Every rule's verdicts, each kept apart (`JUDGED`)."""
    return pl.concat([rule.judge(facts) for rule in rules] or [pl.DataFrame(schema=JUDGED)])
