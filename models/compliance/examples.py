"""Worked examples: a few events, one of them under question, and how the rule must answer."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import polars as pl

from models.compliance.evaluators import UTC_TIME, Facts
from models.compliance.rule import Rule
from models.compliance.vocabulary import (
    PROPOSED,
    UNKNOWN,
    Channel,
    Direction,
    FieldClass,
    Outcome,
    Party,
    Verdict,
)

SUBJECT: dict[str, pl.DataType] = {
    "id": pl.String(),
    "lender_id": pl.String(),
    "agency_id": pl.String(),
    "case_id": pl.String(),
}
CONTACTS: dict[str, pl.DataType] = {
    **SUBJECT,
    "borrower_id": pl.String(),
    "member_id": pl.String(),
    "channel": pl.String(),
    "direction": pl.String(),
    "party": pl.String(),
    "outcome": pl.String(),
    "occurred_at": UTC_TIME,
    "duration_seconds": pl.Int64(),
    "contact_point": pl.String(),
    "zones": pl.List(pl.String),
    "agreed_from": pl.Time(),
    "agreed_until": pl.Time(),
}
RELEASES: dict[str, pl.DataType] = {
    **SUBJECT,
    "borrower_id": pl.String(),
    "member_id": pl.String(),
    "field_class": pl.String(),
    "reason": pl.String(),
    "released_at": UTC_TIME,
}
ROLES: Mapping[str, str] = {
    **{party.value: party.value for party in Party},
    UNKNOWN: UNKNOWN,
    "contact_person": Party.THIRD_PARTY,
    "unrelated_third": Party.THIRD_PARTY,
}
CONTACT_KEYS: Mapping[str, type] = {
    **dict.fromkeys(("id", "at", "channel", "direction", "outcome", "placed_by", "to"), str),
    "party": dict,
    "debts": list,
    "zones": list,
    "ai_voice": bool,
    "consent": dict,
}
CONTACT_WORDS: Mapping[str, list[str]] = {
    "channel": [*Channel],
    "direction": [*Direction],
    "outcome": [*Outcome, PROPOSED, "received"],
}
RELEASE_KEYS: Mapping[str, type] = {
    **dict.fromkeys(("id", "at", "channel", "action", "field_class", "to", "by"), str),
    "debts": list,
}
LENDER = "LENDER"  # An example is told from one lender's desk.


class ExampleUnreadable(ValueError):
    """The example says something that would change the answer and that we cannot read."""


class Example(NamedTuple):
    id: str
    description: str
    facts: Facts
    evaluate: str
    expected: str

    def answer(self, rule: Rule) -> str:
        """A verdict; an event that the rule does not govern is permitted by it."""
        verdicts = rule.judge(self.facts).filter(pl.col("subject_id") == self.evaluate)["verdict"]
        return str(verdicts.item()) if len(verdicts) else Verdict.PERMITTED.value


def read_example(raw: Mapping[str, Any]) -> Example:
    """Keys: id, description, events, evaluate, expected; `now` (ISO 8601), else the last event's time.

    Raises ExampleUnreadable, for unknown keys of events too.
    """
    missing = {"id", "description", "events", "evaluate", "expected"} - raw.keys()
    if missing:
        raise ExampleUnreadable(f"lacks {', '.join(sorted(missing))}")
    if raw.get("context") or raw.get("expected_flags"):
        raise ExampleUnreadable("rests on a context or on flags")
    if raw["expected"] not in list(Verdict):
        raise ExampleUnreadable(f"expects {raw['expected']!r}")
    events = raw["events"]
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise ExampleUnreadable("has no list of events")
    for event in events:
        _check_event(event)
    if [event.get("id") for event in events].count(raw["evaluate"]) != 1:
        raise ExampleUnreadable("the event to evaluate is not there, or there twice")
    releases = [event for event in events if event.get("action") == "release"]
    contacts = [event for event in events if event.get("action") != "release"]
    now = _instant(raw["now"]) if "now" in raw else max(_instant(event["at"]) for event in events)
    facts = Facts(
        pl.DataFrame(_contact_rows(contacts), schema=CONTACTS, orient="row"),
        pl.DataFrame([_release_row(event) for event in releases], schema=RELEASES, orient="row"),
        now,
    )
    return Example(str(raw["id"]), str(raw["description"]), facts, raw["evaluate"], raw["expected"])


def _contact_rows(events: Iterable[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Rows in the order given; an hours consent holds for its person's later events."""
    rows = []
    agreed: dict[object, tuple[dt.time, dt.time]] = {}
    for event in events:
        _check_words(event)
        party = event.get("party") or {}
        agreed_from, agreed_until = agreed.get(party.get("id"), (None, None))
        rows.append(
            {
                "id": event["id"],
                "lender_id": LENDER,
                "agency_id": event.get("placed_by"),
                "case_id": next(iter(event.get("debts", ())), None),
                # The counters look at the debtor's own contacts alone, so the person may stand for the borrower.
                "borrower_id": party.get("id"),
                "channel": "ai_voice" if event.get("ai_voice") else event.get("channel"),
                "direction": event.get("direction"),
                "party": _role(party),
                "outcome": event.get("outcome"),
                "occurred_at": _instant(event["at"]),
                "contact_point": event.get("to"),
                "zones": event.get("zones"),
                "agreed_from": agreed_from,
                "agreed_until": agreed_until,
            }
        )
        if "consent" in event:
            agreed[party.get("id")] = _hours_agreed(event["consent"])
    return rows


def _release_row(event: Mapping[str, Any]) -> dict[str, object]:
    if event.get("field_class") not in [None, *FieldClass]:
        raise ExampleUnreadable(f"releases {event['field_class']!r}")
    return {
        "id": event["id"],
        "lender_id": LENDER,
        "agency_id": event.get("to"),
        "case_id": next(iter(event.get("debts", ())), None),
        "member_id": event.get("by"),
        "field_class": event.get("field_class"),
        "released_at": _instant(event["at"]),
    }


def _check_event(event: Mapping[str, Any]) -> None:
    kinds = RELEASE_KEYS if event.get("action") == "release" else CONTACT_KEYS
    if not {"id", "at"} <= event.keys():
        raise ExampleUnreadable("has an event without id or time")
    for key, value in event.items():
        if not isinstance(value, kinds.get(key, ())):
            raise ExampleUnreadable(f"event {event['id']} has {key} {value!r}")
    for key in ("debts", "zones"):
        if not all(isinstance(item, str) for item in event.get(key, ())):
            raise ExampleUnreadable(f"event {event['id']} has {key} that are not words")


def _check_words(event: Mapping[str, Any]) -> None:
    for key, words in CONTACT_WORDS.items():
        if key in event and event[key] not in words:
            raise ExampleUnreadable(f"event {event['id']} has {key} {event[key]!r}")


def _role(party: Mapping[str, Any]) -> str | None:
    role = party.get("role")
    if role is None:
        return None
    if role not in list(ROLES) or not isinstance(party.get("id"), str):
        raise ExampleUnreadable(f"a party is {dict(party)!r}")
    return str(ROLES[role])


def _hours_agreed(consent: Mapping[str, Any]) -> tuple[dt.time, dt.time]:
    if consent.keys() != {"type", "from", "to", "given_to"} or consent["type"] != "hours":
        raise ExampleUnreadable("holds a consent that is not about hours")
    return dt.time.fromisoformat(str(consent["from"])), dt.time.fromisoformat(str(consent["to"]))


def _instant(text: object) -> dt.datetime:
    if not isinstance(text, str):
        raise ExampleUnreadable(f"{text!r} is no quoted time")
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ExampleUnreadable(f"{text} has no zone")
    return moment.astimezone(dt.UTC)
