"""The commands `lease`, `rekey`, `rewrap` and `erase`: an order is shown, agreed to, carried out, answered."""

import argparse
import json
from pathlib import Path

from crypto import answers
from crypto.errors import FileRefused, OrderRefused
from crypto.keyfile import PrivateKeys
from crypto.memory import Memory
from crypto.orders import (
    ERASE,
    LEASE,
    REKEY,
    REWRAP,
    EraseOrder,
    LeaseOrder,
    Order,
    RekeyOrder,
    RewrapOrder,
    read_order,
)
from crypto.private_file import create_private
from crypto.tool import terminal

DONE, DECLINED = 0, 1


def run(options: argparse.Namespace) -> int:
    """What was seen is remembered once the answer is on the disk."""
    terminal.require_absent(options.out)
    data = options.order.read_bytes()
    keys = terminal.read_keys(options.key)
    memory = Memory.read(options.memory)
    order = read_order(data, options.kind, keys.organisation_id)
    if isinstance(order, LeaseOrder) and options.cases:
        _require_expected(order, options.cases)
    terminal.show(order.facts())
    if not terminal.agreed(options.yes):
        print("nothing was done")
        return DECLINED
    answer = _answer(order, keys, memory, options)
    create_private(options.out, json.dumps(answer, separators=(",", ":")).encode() + b"\n")
    memory.write(options.memory)
    print(f"done: upload {options.out}")
    return DONE


def _require_expected(order: LeaseOrder, cases: Path) -> None:
    """OrderRefused `case_not_expected` unless the order names exactly the case numbers in the lender's own list."""
    try:
        lines = cases.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise FileRefused(f"{cases} is not UTF-8: save it as text with one case number a line") from None
    expected = {line.strip() for line in lines} - {""}
    if expected != {case.reference for case in order.cases}:
        raise OrderRefused("case_not_expected")


def _answer(order: Order, keys: PrivateKeys, memory: Memory, options: argparse.Namespace) -> answers.Answer:
    match order:
        case LeaseOrder():
            return answers.lease(order, keys, memory, options.now)
        case RekeyOrder():
            return answers.rekey(order, keys, memory, options.now)
        case RewrapOrder():
            return answers.rewrap(order, keys, terminal.read_keys(options.new_key), memory, options.now)
        case EraseOrder():
            return answers.erase(order, keys, memory, options.now)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    for kind, text in (
        (LEASE, "let an agency open the cases placed with it"),
        (REKEY, "seal a portfolio anew under new keys"),
        (REWRAP, "wrap the keys of all portfolios to a new key file"),
        (ERASE, "sign the record of an erasure"),
    ):
        command = commands.add_parser(kind, help=f"carry out an order: {text}")
        command.add_argument("order", type=Path, metavar="ORDER")
        command.add_argument("--key", type=Path, required=True, metavar="FILE", help="the lender's key file")
        if kind == LEASE:
            command.add_argument(
                "--cases", type=Path, metavar="FILE", help="the case numbers that you placed, one a line: no others"
            )
        if kind == REWRAP:
            command.add_argument("--new-key", type=Path, required=True, metavar="FILE", help="that takes its place")
        command.add_argument(
            "--memory", type=Path, required=True, metavar="FILE", help="pins, and what was seen before"
        )
        command.add_argument("-o", "--out", type=Path, required=True, metavar="ANSWER")
        command.add_argument("--yes", action="store_true", help="do not ask")
        command.set_defaults(run=run, kind=kind)
