"""Reading packs of rules from YAML: all of it understood and its examples as written, or nothing."""

import dataclasses
import datetime as dt
import types
from collections.abc import Collection, Hashable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import polars as pl
import yaml

from models.compliance.evaluators import BORROWER_ZONE, EVALUATORS, HoursWindow, Parameters
from models.compliance.examples import Example, read_example
from models.compliance.rule import Pack, Rule, Summary
from models.compliance.vocabulary import Source, Standard, Verdict

PACKS = Path(__file__).parent / "packs"
T = TypeVar("T")


class PackRefused(ValueError):
    """A pack that must not be used; names the file, the rule and what is wrong with it."""


def load_packs(names: Collection[str] = (), folder: Path = PACKS) -> tuple[Pack, ...]:
    """The packs of these names (`cn`, `house`, …), by default all of the folder, in the order of their names."""
    paths = [folder / f"{name}.yaml" for name in sorted(names)] or sorted(
        folder.glob("*.yaml"), key=lambda path: path.stem
    )
    packs = tuple(load_pack(path) for path in paths)
    ids = [rule.id for pack in packs for rule in pack.rules]
    twice = sorted({rule_id for rule_id in ids if ids.count(rule_id) > 1})
    if twice:
        raise PackRefused(f"{folder.name}: {', '.join(twice)} stands twice")
    return packs


def load_pack(path: Path) -> Pack:
    """One pack; raises PackRefused where it cannot be read, is not complete or contradicts its own examples."""
    try:
        raw = _mapping(yaml.load(path.read_text("utf-8"), _StrictLoader))  # noqa: S506 (a SafeLoader, only stricter)
        rules = tuple(_read_rule(item) for item in _items(raw.get("rules")))
        if not rules:
            raise ValueError("has no rules")
        pack = _read_record(Pack, raw, rules=rules)
        if pack.pack != path.stem:
            raise ValueError(f"calls itself {pack.pack!r}")
    except (OSError, ValueError, yaml.YAMLError) as refusal:
        raise PackRefused(f"{path.name}: {refusal}") from refusal
    return pack


class _StrictLoader(yaml.SafeLoader):
    """YAML keeps the last of two equal keys; a rule written twice would change in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if any(keys.count(key) > 1 for key in keys):
            raise ValueError(f"line {node.start_mark.line + 1}: a key stands twice")
        return super().construct_mapping(node, deep)


def _read_rule(item: object) -> Rule:
    raw = _mapping(item)
    try:
        evaluator = EVALUATORS.get(str(raw.get("evaluator")))
        if evaluator is None:
            raise ValueError(f"there is no evaluator {raw.get('evaluator')!r}")
        parameters = _read_record(evaluator.parameters, _mapping(raw.get("parameters")))
        summary = _mapping(raw.get("summary"))
        if summary.keys() != set(Summary._fields) or not all(
            isinstance(text, str) and text for text in summary.values()
        ):
            raise ValueError("the summary must be given in zh and en")
        examples = [read_example(_mapping(example)) for example in _items(raw.get("examples"))]
        fields = {key: value for key, value in raw.items() if key != "examples"}
        rule = _read_record(Rule, fields, parameters=parameters, summary=Summary(**summary))
        _check_rule(rule)
        _check_examples(rule, examples)
    except (ValueError, pl.exceptions.PolarsError) as refusal:
        raise ValueError(f"{raw.get('id')}: {refusal}") from refusal
    return rule


def _check_rule(rule: Rule) -> None:
    if rule.effective_until is not None and rule.effective_until < rule.effective_from:
        raise ValueError("ends before it begins")
    unstated = rule.parameters.evidence() - set(rule.evidence)
    if unstated:
        raise ValueError(f"does not state the evidence it needs: {', '.join(sorted(unstated))}")
    if rule.source is Source.MEMORY and rule.standard is not Standard.ADVISORY:
        raise ValueError("is from memory, so it can only be advisory")
    if isinstance(rule.parameters, HoursWindow) and rule.parameters.closed_from == rule.parameters.closed_until:
        raise ValueError("closes at the time it opens")
    _check_zone(rule.parameters)


def _check_zone(parameters: Parameters) -> None:
    zone = getattr(parameters, "zone", BORROWER_ZONE)
    if zone != BORROWER_ZONE:
        # The database of zones that decides is the one the evaluators use.
        pl.Series([dt.datetime(2000, 1, 1, tzinfo=dt.UTC)]).dt.convert_time_zone(zone)


def _check_examples(rule: Rule, examples: Collection[Example]) -> None:
    expected = {example.expected for example in examples}
    if not {Verdict.BREACH.value, Verdict.PERMITTED.value} <= expected:
        raise ValueError("needs an example and a counter-example")
    for example in examples:
        answer = example.answer(rule)
        if answer != example.expected:
            raise ValueError(f"example {example.id} says {example.expected}, the rule says {answer}")


def _read_record(kind: type[T], raw: Mapping[str, object], **ready: object) -> T:
    """A dataclass from a mapping with exactly its fields; those whose type allows None may be left out."""
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    unknown = [str(key) for key in raw if key not in names]
    if unknown:
        raise ValueError(f"has unknown keys: {', '.join(sorted(unknown))}")
    return kind(**{name: ready[name] if name in ready else _read(hints[name], name, raw.get(name)) for name in names})


def _read(kind: Any, name: str, value: object) -> Any:
    if get_origin(kind) is types.UnionType:
        optional_kind, _ = get_args(kind)
        return None if value is None else _read(optional_kind, name, value)
    if value is None:
        raise ValueError(f"lacks {name}")
    if get_origin(kind) is tuple:
        if not isinstance(value, list) or not value:
            raise ValueError(f"{name} must be a list, and not empty")
        return tuple(_read(get_args(kind)[0], name, item) for item in value)
    if kind is dt.time and isinstance(value, str):
        return dt.time.fromisoformat(value)
    if issubclass(kind, StrEnum):
        if value not in list(kind):
            raise ValueError(f"{name} cannot be {value!r}")
        return kind(value)
    # `type` and not isinstance: True is no number, a datetime no date.
    if type(value) is not kind or (isinstance(value, int) and value < 0) or value == "":
        raise ValueError(f"{name} cannot be {value!r}")
    return value


def _items(value: object) -> list[Any]:
    if not isinstance(value, list | None):
        raise ValueError(f"a list is wanted, not {value!r}")
    return value or []


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"a mapping is wanted, not {value!r}")
    return value
