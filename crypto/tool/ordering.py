"""The commands `lease`, `rekey`, `rewrap` and `erase`: an order is shown, agreed to, carried out, answered."""

import argparse
import json
from pathlib import Path

from crypto import answers
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
    terminal.show(order.facts())
    if not terminal.agreed(options.yes):
        print("nothing was done")
        return DECLINED
    answer = _answer(order, keys, memory, options)
    create_private(options.out, json.dumps(answer, separators=(",", ":")).encode() + b"\n")
    memory.write(options.memory)
    print(f"done: upload {options.out}")
    return DONE


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
        if kind == REWRAP:
            command.add_argument("--new-key", type=Path, required=True, metavar="FILE", help="that takes its place")
        command.add_argument(
            "--memory", type=Path, required=True, metavar="FILE", help="pins, and what was seen before"
        )
        command.add_argument("-o", "--out", type=Path, required=True, metavar="ANSWER")
        command.add_argument("--yes", action="store_true", help="do not ask")
        command.set_defaults(run=run, kind=kind)
