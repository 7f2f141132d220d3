"""What may be done with a case now, and why not: one pure function behind every button."""

import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

from models.case import CURED, HOLD, PAID_OFF, STOPPED
from models.placement import ACTIVE, AWAITING_ACK, AWAITING_KEYS
from models.work import AGENCY, LENDER

# The reason each status gives for refusing a release, a contact or a promise.
CLOSED_TO_WORK = {PAID_OFF: "case_paid_off", CURED: "case_cured", HOLD: "case_on_hold", STOPPED: "case_stopped"}


class Standing(NamedTuple):
    """Who looks, and how the case stands. `placement_state` and `expires_at` are None where it is not placed."""

    side: str
    roles: frozenset[str]
    status: str
    placement_state: str | None
    expires_at: dt.datetime | None
    assigned_to_me: bool
    offered: bool
    frozen: bool
    erased: bool


def actions(standing: Standing, at: dt.datetime) -> Mapping[str, str | None]:
    """Action -> None where it may be done, else a code that says why not. Only the side's own actions are named."""
    if standing.side == AGENCY:
        return _of_agency(standing, at)
    if standing.side == LENDER:
        return _of_lender(standing)
    return {}


def _of_agency(standing: Standing, at: dt.datetime) -> dict[str, str | None]:
    manages = "manager" in standing.roles
    unplaced = _not_workable(standing, at)
    not_mine = None if manages or standing.assigned_to_me else "not_assigned"
    closed = "case_erased" if standing.erased else CLOSED_TO_WORK.get(standing.status)
    return {
        "release": unplaced or not_mine or closed,
        "record_contact": unplaced or not_mine or closed,
        "record_promise": unplaced or not_mine or closed,
        "record_claim": unplaced or not_mine,  # what was paid before the case closed may still be claimed
        "assign": unplaced or (None if manages else "for_managers"),
    }


def _of_lender(standing: Standing) -> dict[str, str | None]:
    placed = "already_placed" if standing.placement_state else None
    offered = "already_offered" if standing.offered else None
    erased = "case_erased" if standing.erased else None
    return {
        "release": erased,
        "offer": erased or placed or offered or CLOSED_TO_WORK.get(standing.status),
        "recall": None if placed else "not_placed",
    }


def _not_workable(standing: Standing, at: dt.datetime) -> str | None:
    if standing.placement_state is None or standing.expires_at is None:
        return "not_placed"
    if standing.frozen:
        return "placement_frozen"
    if standing.placement_state == AWAITING_KEYS:
        return "keys_awaited"
    if standing.placement_state == AWAITING_ACK:
        return "placement_awaiting_acknowledgement"
    if standing.placement_state != ACTIVE:
        return "placement_not_active"
    return "placement_expired" if at >= standing.expires_at else None
