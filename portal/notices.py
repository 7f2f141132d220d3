"""How a notice reads: one sentence from its kind, and its facts beside it."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from models.notice import AGENCY, LENDER, Notice
from portal.formats import count, moment
from portal.words import N_, label


class Sentence(NamedTuple):
    """`name` in a list of kinds; `text` in the inbox, where %(who)s is the other side. `codes` is the table of words
    for the notice's reason or code."""

    icon: str
    meaning: str
    name: str
    text: str
    codes: str = "end_reason"


SENTENCES: Final[Mapping[str, Sentence]] = {
    "agency.cleared": Sentence(
        "check",
        "good",
        N_("Agency reinstated"),
        N_("The stop between you and %(who)s is lifted: offers and placements go on."),
    ),
    "agency.frozen": Sentence(
        "stop",
        "bad",
        N_("Agency frozen"),
        N_("Everything between you and %(who)s is frozen at once: nothing is opened, reported or offered."),
        "standing_reason",
    ),
    "agency.removed": Sentence(
        "cross", "bad", N_("Agency removed"), N_("%(who)s and you no longer place with each other."), "standing_reason"
    ),
    "agency.suspended": Sentence(
        "stop",
        "bad",
        N_("Agency suspended"),
        N_("Between you and %(who)s there are no new offers and placements until further notice."),
        "standing_reason",
    ),
    "agency.watched": Sentence("eye", "watch", N_("Agency watched"), N_("%(who)s is under watch."), "standing_reason"),
    "agreement.approved": Sentence(
        "check", "good", N_("Agreement in force"), N_("Your agreement with %(who)s was approved and is in force.")
    ),
    "agreement.changed": Sentence("file", "watch", N_("Agreement changed"), N_("%(who)s has changed your agreement.")),
    "agreement.ended": Sentence("cross", "bad", N_("Agreement ended"), N_("%(who)s has ended your agreement.")),
    "agreement.expiring": Sentence(
        "clock", "watch", N_("Agreement ends soon"), N_("The agreement between you and %(who)s ends soon.")
    ),
    "allocation.placed": Sentence(
        "check", "good", N_("Allocation placed"), N_("A large allocation is placed with its agencies.")
    ),
    "allocation.refused": Sentence(
        "cross", "bad", N_("Allocation not carried out"), N_("A large allocation came to nothing."), "error"
    ),
    "bid.lost": Sentence("cross", "neutral", N_("Bid not won"), N_("Your bid to %(who)s did not win."), "bid_reason"),
    "bid.reveal_due": Sentence(
        "key", "watch", N_("Bid to reveal"), N_("Reveal your bid to %(who)s before the window closes.")
    ),
    "bid.void": Sentence("cross", "bad", N_("Bid void"), N_("Your bid to %(who)s is void."), "bid_reason"),
    "bid.withdrawn": Sentence(
        "back", "neutral", N_("Bid called off"), N_("%(who)s has withdrawn its tender; your bid is not opened.")
    ),
    "bid.won": Sentence("check", "good", N_("Bid won"), N_("Your bid to %(who)s has won. Acknowledge the placement.")),
    "case.returned": Sentence(
        "back", "watch", N_("Cases returned"), N_("%(who)s has given cases back."), "return_code"
    ),
    "document.accepted": Sentence("check", "good", N_("Paper accepted"), N_("%(who)s has accepted a paper.")),
    "document.attested": Sentence(
        "file", "watch", N_("Paper attested"), N_("%(who)s has attested a paper. It awaits acceptance.")
    ),
    "document.expired": Sentence(
        "stop",
        "bad",
        N_("Paper over"),
        N_("A paper between you and %(who)s is over: there are no offers until a newer one counts."),
    ),
    "document.expiring": Sentence(
        "clock",
        "watch",
        N_("Paper expires soon"),
        N_("A paper between you and %(who)s expires soon. Without it there are no offers."),
    ),
    "document.recorded": Sentence(
        "file", "watch", N_("Paper recorded"), N_("%(who)s has recorded a paper. It awaits your attestation.")
    ),
    "document.withdrawn": Sentence(
        "cross", "bad", N_("Paper withdrawn"), N_("%(who)s has withdrawn a paper. It no longer counts.")
    ),
    "offer.accepted": Sentence("check", "good", N_("Offer accepted"), N_("%(who)s has accepted your offer.")),
    "offer.declined": Sentence(
        "cross", "watch", N_("Offer declined"), N_("%(who)s has declined your offer."), "decline_reason"
    ),
    "offer.expired": Sentence(
        "clock", "neutral", N_("Offer expired"), N_("An offer between you and %(who)s has run out unanswered.")
    ),
    "offer.made": Sentence("offer", "watch", N_("Offer made"), N_("%(who)s makes you an offer. Answer it in time.")),
    "offer.taken": Sentence(
        "clock", "neutral", N_("Offer taken"), N_("Another agency was quicker: the offer of %(who)s is taken.")
    ),
    "offer.withdrawn": Sentence("cross", "neutral", N_("Offer withdrawn"), N_("%(who)s has withdrawn its offer.")),
    "placement.acknowledged": Sentence(
        "check", "good", N_("Placement acknowledged"), N_("%(who)s has acknowledged the placement: work has begun.")
    ),
    "placement.allocated": Sentence(
        "link",
        "watch",
        N_("Cases allocated"),
        N_("%(who)s has allocated cases to you. Acknowledge their count and balance."),
    ),
    "placement.expired": Sentence(
        "clock", "neutral", N_("Term ended"), N_("The term of a placement between you and %(who)s has ended.")
    ),
    "placement.frozen": Sentence(
        "stop",
        "bad",
        N_("Placement frozen"),
        N_("%(who)s has frozen a placement: nothing under it is opened or reported."),
        "freeze_reason",
    ),
    "placement.mismatch": Sentence(
        "warning",
        "bad",
        N_("Acknowledgement does not agree"),
        N_("%(who)s counts otherwise than you have placed. Clear it before work begins."),
    ),
    "placement.recalled": Sentence(
        "stop", "bad", N_("Cases recalled"), N_("%(who)s has recalled cases. Stop all work on them at once.")
    ),
    "placement.unacknowledged": Sentence(
        "clock",
        "watch",
        N_("Acknowledgement overdue"),
        N_("A placement between you and %(who)s is not acknowledged yet."),
    ),
    "placement.undone": Sentence(
        "back", "neutral", N_("Distribution undone"), N_("%(who)s has undone a distribution before any contact.")
    ),
    "placement.unfrozen": Sentence(
        "check", "good", N_("Freeze lifted"), N_("%(who)s has lifted the freeze of a placement.")
    ),
    "rate_card.approved": Sentence(
        "money", "watch", N_("New rate card"), N_("A new rate card of your agreement with %(who)s was approved.")
    ),
    "rate_card.withdrawn": Sentence(
        "money",
        "watch",
        N_("Rate card withdrawn"),
        N_("%(who)s has withdrawn a rate card of your agreement before its first day."),
    ),
    "recall.kept": Sentence(
        "check", "good", N_("Objection agreed"), N_("%(who)s agrees with your objection: the cases stay with you.")
    ),
    "recall.objected": Sentence(
        "warning",
        "watch",
        N_("Objection to a recall"),
        N_("%(who)s objects to a recall. Decide case by case."),
        "objection",
    ),
    "recall.requested": Sentence(
        "warning", "watch", N_("Recall asked for"), N_("%(who)s wants cases back. Object in time, or they go.")
    ),
    "recall.stop_confirmed": Sentence(
        "check", "good", N_("Stop of work confirmed"), N_("%(who)s confirms that work on recalled cases has stopped.")
    ),
    "recall.stop_missed": Sentence(
        "warning",
        "bad",
        N_("Stop of work not confirmed"),
        N_("Between you and %(who)s the stop of work after a recall was not confirmed in time. It is a breach."),
    ),
    "recall.withdrawn": Sentence(
        "back", "neutral", N_("Recall withdrawn"), N_("%(who)s has withdrawn a recall: work goes on.")
    ),
    "retention.approved": Sentence(
        "check", "good", N_("Retention approved"), N_("%(who)s lets you keep cases beyond the term.")
    ),
    "retention.refused": Sentence(
        "cross", "watch", N_("Retention refused"), N_("%(who)s does not let you keep cases beyond the term.")
    ),
    "retention.requested": Sentence(
        "clock",
        "watch",
        N_("Retention asked for"),
        N_("%(who)s asks to keep cases beyond the term. Without an answer they come back when it ends."),
    ),
    "rotation.left_free": Sentence(
        "warning",
        "watch",
        N_("Cases stay free"),
        N_("Cases whose term is over could go to no agency of the next tier. They stay free."),
    ),
    "tender.awarded": Sentence("check", "good", N_("Tender awarded"), N_("A tender went to %(who)s.")),
    "tender.lots_left": Sentence(
        "warning",
        "watch",
        N_("Lots without taker"),
        N_("Nobody won some lots of a tender; their cases are free again."),
    ),
    "tender.unanswered": Sentence(
        "warning", "watch", N_("Tender without taker"), N_("Nobody took a tender; its cases are free again.")
    ),
    "webhook.paused": Sentence(
        "warning",
        "bad",
        N_("Webhook paused"),
        N_("A webhook of yours is paused: what happens waits until you resume it."),
        "pause_reason",
    ),
}

# What a notice is about, and who reads it: the page that shows it, the id it takes, and which of the notice that is.
_BOTH_READ = {
    "agreement": ("agreements.show_one", "agreement_id", "subject_id"),
    "offer": ("offers.show_one", "offer_id", "subject_id"),
    "placement": ("placements.show_one", "placement_id", "subject_id"),
    "webhook": ("webhooks.show_one", "webhook_id", "subject_id"),
}
SUBJECTS: Final[Mapping[tuple[str, str], tuple[str, str, str]]] = {
    **{(subject, side): page for subject, page in _BOTH_READ.items() for side in (LENDER, AGENCY)},
    ("agency", LENDER): ("agencies.show_one", "agency_id", "agency_id"),
    ("agency", AGENCY): ("agencies.show_papers", "lender_id", "lender_id"),
    ("allocation", LENDER): ("allocations.show_one", "tender_id", "subject_id"),
    ("document", LENDER): ("agencies.show_one", "agency_id", "agency_id"),
    ("document", AGENCY): ("agencies.show_papers", "lender_id", "lender_id"),
    ("portfolio", LENDER): ("portfolios.show_one", "portfolio_id", "subject_id"),
    ("tender", LENDER): ("tenders.show_one", "tender_id", "subject_id"),
}


class Line(NamedTuple):
    """What the inbox shows of a notice."""

    notice: Notice
    icon: str
    meaning: str
    text: str
    details: list[str]
    href: str


def lines_of(notices: Iterable[Notice], names: Mapping[UUID, str], side: str) -> list[Line]:
    """`names` of the other sides, by id; `side` is the reader's."""
    return [_line(notice, names, side) for notice in notices]


def kinds_of(side: str, kinds: Mapping[str, frozenset[str]]) -> list[tuple[str, str]]:
    """The kinds that this side may be told, with their names."""
    return [(kind, _(SENTENCES[kind].name)) for kind, told in kinds.items() if side in told]


def name_of(kind: str) -> str:
    """A kind as a list names it; one that only webhooks know as it is."""
    return _(SENTENCES[kind].name) if kind in SENTENCES else kind


def _line(notice: Notice, names: Mapping[UUID, str], side: str) -> Line:
    sentence = SENTENCES[notice.kind]
    other = notice.lender_id if side == AGENCY else notice.agency_id
    unnamed = _("the other side")
    text = _(sentence.text, who=names.get(other, unnamed))
    return Line(notice, sentence.icon, sentence.meaning, text, details_of(notice), _href(notice, side))


def details_of(notice: Notice) -> list[str]:
    """The facts that have words, in the order of FACTS."""
    codes = SENTENCES[notice.kind].codes
    ways = FACTS | FACTS_OF.get(notice.kind, {})
    said = [say(notice.facts[name], codes) for name, say in ways.items() if name in notice.facts]
    return [text for text in said if text]


def _href(notice: Notice, side: str) -> str:
    endpoint, argument, column = SUBJECTS[notice.subject_kind, side]
    ids: dict[str, Any] = {argument: getattr(notice, column)}
    return url_for(endpoint, **ids)


def _cases(value: Any, _codes: str) -> str:
    return ngettext("%(count)s case", "%(count)s cases", int(value), count=count(int(value)))


def _counted(value: Any, _codes: str) -> str:
    return ngettext("counted: %(count)s case", "counted: %(count)s cases", int(value), count=count(int(value)))


def _placements(value: Any, _codes: str) -> str:
    if not int(value):
        return ""
    return ngettext("%(count)s placement", "%(count)s placements", int(value), count=count(int(value)))


def _time(value: Any, _codes: str) -> str:
    return _("until %(when)s", when=moment(dt.datetime.fromisoformat(str(value))))


def _day(value: Any, _codes: str) -> str:
    return _("ends %(day)s", day=str(value))


def _last_day(value: Any, _codes: str) -> str:
    return _("last day %(day)s", day=str(value))


FACTS: Final[dict[str, Callable[[Any, str], str]]] = {
    "number": lambda value, codes: str(value),
    "document_kind": lambda value, codes: label(value, "paper"),
    "cases": _cases,
    "placements": _placements,
    "reason": label,
    "code": label,
    "days": lambda value, codes: ngettext("%(num)d day left", "%(num)d days left", int(value)),
    "until": _time,
    "ends_on": _day,
    "expires_on": _day,
    "late": lambda value, codes: _("late") if value else "",
}
# Where a fact is not what it is elsewhere.
FACTS_OF: Final[Mapping[str, dict[str, Callable[[Any, str], str]]]] = {
    "placement.mismatch": {"cases": _counted},
    "document.expired": {"ends_on": _last_day},
}
