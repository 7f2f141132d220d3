"""What a placement went through, as the timeline macro shows it."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from models.acknowledgement_break import MISMATCH, AcknowledgementBreak
from models.placement import Placement
from models.services.exchange.recall_lists import RecallLine
from portal.words import label

Item: TypeAlias = dict[str, Any]


def items_of(
    placement: Placement, breaks: Iterable[AcknowledgementBreak], recalled: Iterable[RecallLine]
) -> list[Item]:
    """Newest first."""
    items = [*_of_placement(placement), *map(_of_break, breaks)]
    for line in recalled:
        items += _of_recall(line)
    return sorted(items, key=lambda item: item["at"], reverse=True)


def _of_placement(placement: Placement) -> Iterator[Item]:
    yield {"at": placement.started_at, "icon": "link", "title": _("Placed")}
    if placement.acknowledged_at:
        yield {"at": placement.acknowledged_at, "icon": "check", "meaning": "good", "title": _("Acknowledged")}
    if placement.frozen_at:
        yield {"at": placement.frozen_at, "icon": "stop", "meaning": "bad", "title": _("Frozen")}
    if placement.extended_until:
        yield {"at": placement.expires_at, "icon": "clock", "title": _("Term ended; retained cases go on")}
    if placement.ended_at:
        why = label(placement.end_reason or "", "end_reason")
        yield {"at": placement.ended_at, "icon": "cross", "title": _("Ended"), "text": why}


def _of_break(row: AcknowledgementBreak) -> Item:
    title = _("Counts differ") if row.kind == MISMATCH else _("No acknowledgement in time")
    return {"at": row.noted_at, "icon": "warning", "meaning": "bad", "title": title, "actor": row.member_name}


def _of_recall(line: RecallLine) -> Iterator[Item]:
    row = line.request
    about = {"href": url_for("recalls.show_one", recall_id=row.id), "text": label(row.reason, "end_reason")}
    if row.object_until > row.requested_at:
        yield {"at": row.requested_at, "icon": "back", "meaning": "watch", "title": _("Recall asked for"), **about}
    if row.executed_at:
        title = ngettext("%(num)d case recalled", "%(num)d cases recalled", line.recalled)
        yield {"at": row.executed_at, "icon": "stop", "meaning": "bad", "title": title, **about}
    if row.stop_confirmed_at:
        yield {"at": row.stop_confirmed_at, "icon": "check", "title": _("Stop of work confirmed"), **about}
