"""Worked examples: a few events, one of them under question, and how the rule must answer."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import polars as pl

from models.compliance.evaluators import UTC_TIME, Facts
from models.compliance.rule import Rule
from models.compliance.vocabulary import UNKNOWN, FieldClass, Party, Verdict

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
CONTACT_KEYS = {
    *("id", "at", "channel", "direction", "party", "debts", "outcome", "placed_by"),
    *("to", "zones", "ai_voice", "consent"),
}
RELEASE_KEYS = {"id", "at", "channel", "action", "field_class", "debts", "to"}
EXPECTED = {verdict.value for verdict in Verdict}
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
    if raw["expected"] not in EXPECTED:
        raise ExampleUnreadable(f"expects {raw['expected']!r}")
    events = list(raw["events"])
    if [event.get("id") for event in events].count(raw["evaluate"]) != 1:
        raise ExampleUnreadable("the event to evaluate is not there, or there twice")
    now = raw.get("now") or max(events, key=lambda event: _instant(event["at"]))["at"]
    releases = [event for event in events if event.get("action") == "release"]
    contacts = [event for event in events if event.get("action") != "release"]
    facts = Facts(
        pl.DataFrame(_contact_rows(contacts), schema=CONTACTS, orient="row"),
        pl.DataFrame([_release_row(event) for event in releases], schema=RELEASES, orient="row"),
        _instant(now),
    )
    return Example(str(raw["id"]), str(raw["description"]), facts, raw["evaluate"], raw["expected"])


def _contact_rows(events: Iterable[Mapping[str, Any]]) -> list[dict[str, object]]:
    """Rows in the order given; an hours consent holds for its person's later events."""
    rows = []
    agreed: dict[object, tuple[dt.time, dt.time]] = {}
    for event in events:
        _refuse_unknown(event, CONTACT_KEYS)
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
    _refuse_unknown(event, RELEASE_KEYS)
    if event.get("field_class") not in {None, *FieldClass}:
        raise ExampleUnreadable(f"releases {event['field_class']!r}")
    return {
        "id": event["id"],
        "lender_id": LENDER,
        "agency_id": event.get("to"),
        "case_id": next(iter(event.get("debts", ())), None),
        "field_class": event.get("field_class"),
        "released_at": _instant(event["at"]),
    }


def _refuse_unknown(event: Mapping[str, Any], keys: set[str]) -> None:
    unknown = event.keys() - keys
    if unknown:
        raise ExampleUnreadable(f"event {event.get('id')} has {', '.join(sorted(unknown))}")


def _role(party: Mapping[str, Any]) -> str | None:
    role = party.get("role")
    if role is not None and role not in ROLES:
        raise ExampleUnreadable(f"a party's role is {role!r}")
    return None if role is None else str(ROLES[role])


def _hours_agreed(consent: Mapping[str, Any]) -> tuple[dt.time, dt.time]:
    if consent.keys() != {"type", "from", "to", "given_to"} or consent["type"] != "hours":
        raise ExampleUnreadable("holds a consent that is not about hours")
    return dt.time.fromisoformat(consent["from"]), dt.time.fromisoformat(consent["to"])


def _instant(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ExampleUnreadable(f"{text} has no zone")
    return moment.astimezone(dt.UTC)
