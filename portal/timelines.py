"""How what has happened to a case reads: one line for each item of its timeline."""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from models.placement import UNDONE
from models.services.collection.timelines import TimelineItem
from portal.formats import day, money
from portal.words import label

CHANNEL_ICONS = {
    "call": "phone",
    "ai_voice": "phone",
    "sms": "message",
    "im": "message",
    "email": "mail",
    "letter": "mail",
    "visit": "visit",
}

# What a reader may hide, in the order of the chips.
GROUPS = {
    "contact": lazy_gettext("Contacts"),
    "earlier": lazy_gettext("Earlier contacts"),
    "promise": lazy_gettext("Promises"),
    "claim": lazy_gettext("Claims"),
    "payment": lazy_gettext("Payments"),
    "release": lazy_gettext("Releases"),
    "placement": lazy_gettext("Placements"),
}


class Words(NamedTuple):
    """What an item says, and how it looks while saying it."""

    icon: str
    meaning: str
    title: str
    text: str


class Line(NamedTuple):
    """What the timeline macro shows of an item."""

    at: dt.datetime
    on: dt.date | None  # instead of `at`, where no more than the day is known
    kind: str
    icon: str
    meaning: str
    title: str
    text: str
    actor: str


def lines_of(items: Iterable[TimelineItem], currency: str, with_agency: bool) -> list[Line]:
    """The items in their order; `currency` is the case's, for amounts that carry none of their own."""
    lines = []
    for item in items:
        words = READINGS[item.kind]({"currency": currency, "agency": item.agency_name} | item.facts)
        actor = " · ".join(name for name in (item.agency_name if with_agency else None, item.member_name) if name)
        group = item.kind if item.kind in GROUPS else "placement"
        lines.append(Line(item.at, item.facts.get("occurred_on"), group, *words, actor))
    return lines


def groups_of(lines: Iterable[Line]) -> list[tuple[str, str]]:
    """The groups that occur, with their names."""
    present = {line.kind for line in lines}
    return [(group, str(name)) for group, name in GROUPS.items() if group in present]


def _contact(facts: dict[str, Any]) -> Words:
    spoke = facts["outcome"] == "conversation"
    parts = [label(facts["direction"], "direction"), label(facts["party"], "party")]
    if facts["duration_seconds"]:
        minutes, seconds = divmod(facts["duration_seconds"], 60)
        parts.append(_("%(minutes)s min %(seconds)s s", minutes=minutes, seconds=seconds))
    if facts["noted"]:
        parts.append(_("note sealed"))
    if facts["corrects_id"]:
        parts.append(_("corrects an earlier entry"))
    title = f"{label(facts['channel'], 'channel')} · {label(facts['outcome'], 'outcome')}"
    return Words(CHANNEL_ICONS[facts["channel"]], "good" if spoke else "neutral", title, " · ".join(parts))


def _promise(facts: dict[str, Any]) -> Words:
    title = _("Promised %(amount)s by %(day)s", amount=_amount(facts), day=day(facts["due_on"]))
    return Words("calendar", "watch", title, "")


def _claim(facts: dict[str, Any]) -> Words:
    title = _("Claimed %(amount)s, paid on %(day)s", amount=_amount(facts), day=day(facts["paid_on"]))
    to = _("Paid to: %(whom)s", whom=label(facts["paid_to"], "paid_to"))
    number = _("reference %(number)s", number=facts["reference"])
    return Words("money", "neutral", title, f"{to} · {number}")


def _release(facts: dict[str, Any]) -> Words:
    title = _("Opened: %(fields)s", fields=label(facts["field_class"], "field_class"))
    return Words("key", "sealed", title, label(facts["reason"], "release_reason"))


def _payment(facts: dict[str, Any]) -> Words:
    text = _("Posted on %(day)s · reference %(number)s", day=day(facts["posted_on"]), number=facts["reference"])
    amount, on = _amount(facts), day(facts["effective_on"])
    if facts["reversal_of"]:
        return Words("back", "bad", _("Lender's ledger: %(amount)s reversed on %(day)s", amount=amount, day=on), text)
    return Words("money", "good", _("Lender's ledger: %(amount)s paid on %(day)s", amount=amount, day=on), text)


def _placed(facts: dict[str, Any]) -> Words:
    referred = money(facts["referred_amount"], facts["currency"])
    seq = facts.get("placement_seq")
    text = (
        _("Placement no. %(seq)s, referred at %(amount)s", seq=seq, amount=referred)
        if seq
        else _("Referred at %(amount)s", amount=referred)
    )
    return Words("link", "good", _("Placed with %(agency)s", agency=facts["agency"]), text)


def _ended(facts: dict[str, Any]) -> Words:
    if facts["reason"] == UNDONE:
        return Words("back", "neutral", label(UNDONE, "end_reason"), "")
    seq = facts.get("placement_seq")
    title = _("Placement no. %(seq)s ended", seq=seq) if seq else _("Placement ended")
    return Words("stop", "bad", title, label(facts["reason"], "end_reason"))


def _frozen(facts: dict[str, Any]) -> Words:
    return Words("stop", "bad", _("Placement frozen"), label(facts["reason"], "freeze_reason"))


def _unfrozen(facts: dict[str, Any]) -> Words:
    return Words("check", "neutral", _("Freeze lifted"), "")


def _earlier(facts: dict[str, Any]) -> Words:
    """A contact of an agency before this one: its channel only where the lender tells the whole history."""
    channel, outcome = facts.get("channel", ""), label(facts["outcome"], "outcome")
    title = f"{label(channel, 'channel')} · {outcome}" if channel else outcome
    return Words(CHANNEL_ICONS.get(channel, "clock"), "neutral", title, _("before this placement"))


READINGS: dict[str, Callable[[dict[str, Any]], Words]] = {
    "contact": _contact,
    "promise": _promise,
    "claim": _claim,
    "release": _release,
    "payment": _payment,
    "placed": _placed,
    "ended": _ended,
    "frozen": _frozen,
    "unfrozen": _unfrozen,
    "earlier": _earlier,
}


def _amount(facts: dict[str, Any]) -> str:
    return money(facts["amount"], facts["currency"])
