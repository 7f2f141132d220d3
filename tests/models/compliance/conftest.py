"""Contacts and releases told in a few words, the ordinary one being a daytime call to one debtor that was answered."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pytest

from models.compliance.examples import CONTACTS, RELEASES
from models.compliance.pack import load_packs
from models.compliance.rule import Pack, Rule

Frame = Callable[..., pl.DataFrame]


def beijing(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{text}+08:00").astimezone(dt.UTC)


def _frame(rows: Sequence[dict[str, Any]], ordinary: dict[str, Any], time: str, schema: Any) -> pl.DataFrame:
    told = []
    for number, row in enumerate(rows, start=1):
        at = row.get("at", "2026-03-10T10:00:00")
        event = ordinary | {"id": f"e{number}", time: beijing(at) if isinstance(at, str) else at} | row
        told.append({name: value for name, value in event.items() if name != "at"})
    return pl.DataFrame(told, schema=schema, orient="row")


@pytest.fixture(scope="session")
def contacts() -> Frame:
    """`contacts(dict(at="2026-03-10T22:00:00", …), …)`: times Beijing, ids e1, e2, …"""
    ordinary = {
        "lender_id": "L",
        "agency_id": "A",
        "case_id": "C1",
        "borrower_id": "P1",
        "member_id": "M",
        "channel": "call",
        "direction": "outbound",
        "party": "debtor",
        "outcome": "conversation",
    }
    return lambda *rows: _frame(rows, ordinary, "occurred_at", CONTACTS)


@pytest.fixture(scope="session")
def releases() -> Frame:
    ordinary = {
        "lender_id": "L",
        "agency_id": "A",
        "case_id": "C1",
        "borrower_id": "P1",
        "member_id": "M",
        "field_class": "contact",
        "reason": "contact_borrower",
    }
    return lambda *rows: _frame(
        [{"id": f"r{n}"} | row for n, row in enumerate(rows, 1)], ordinary, "released_at", RELEASES
    )


@pytest.fixture(scope="session")
def packs() -> tuple[Pack, ...]:
    return load_packs()


@pytest.fixture(scope="session")
def rules(packs: tuple[Pack, ...]) -> dict[str, Rule]:
    return {rule.id: rule for pack in packs for rule in pack.rules}


@pytest.fixture(scope="session")
def verdict_of() -> Callable[[pl.DataFrame], dict[str, str]]:
    return lambda frame: dict(zip(frame["subject_id"], frame["verdict"], strict=True))
