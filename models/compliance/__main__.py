"""The packs from the command line: `python -m models.compliance check-examples FILE`."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from models.compliance.examples import ExampleUnreadable, read_example
from models.compliance.pack import load_packs
from models.compliance.rule import Rule


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.compliance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check-examples", help="judge worked examples by the rules of the packs")
    check.add_argument("file", type=Path, help="a JSON list of examples")
    options = parser.parse_args(arguments)
    try:
        examples = json.loads(options.file.read_text("utf-8"))
    except (OSError, ValueError) as refusal:
        print(f"{options.file}: {refusal}", file=sys.stderr)
        return 2
    if not isinstance(examples, list) or not all(isinstance(item, dict) and "rule" in item for item in examples):
        print(f"{options.file}: a list of examples is wanted, each with its rule", file=sys.stderr)
        return 2
    return check_examples(examples, {rule.id: rule for pack in load_packs() for rule in pack.rules})


def check_examples(examples: Iterable[Mapping[str, Any]], rules: Mapping[str, Rule]) -> int:
    """Print what failed, what no rule of ours covers, and last the count; 1 if any failed."""
    not_covered: Counter[str] = Counter()
    passed = failed = 0
    for example in examples:
        rule = rules.get(example["rule"])
        if rule is None:
            not_covered[example["rule"]] += 1
            continue
        answer = _answer(rule, example)
        if answer == example.get("expected"):
            passed += 1
        else:
            failed += 1
            print(f"{example.get('id')} ({rule.id}): expected {example.get('expected')}, got {answer}")
    if not_covered:
        print(f"{not_covered.total()} not covered: {', '.join(sorted(not_covered))}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def _answer(rule: Rule, example: Mapping[str, Any]) -> str:
    try:
        return read_example(example).answer(rule)
    except ExampleUnreadable as refusal:
        return f"no answer, it {refusal}"


if __name__ == "__main__":
    sys.exit(main())
