"""What every page knows without asking: who looks, where they are and which nouns are theirs."""

from typing import Any, NamedTuple

from flask import current_app, g, request, url_for
from flask_babel import lazy_gettext as _

from models.services import notices
from models.work import AUDITOR
from portal import access
from portal.formats import moment
from portal.requests import nearest_page
from portal.words import label


class Item(NamedTuple):
    """One entry of the navigation, shown to those who may open it."""

    endpoint: str
    label: Any
    icon: str
    permission: str


class Group(NamedTuple):
    """Entries that belong together: they open and close as one where there are too many to show at once."""

    label: Any
    icon: str
    items: tuple[Item, ...]


ALWAYS = (
    Item("overview.show", _("Overview"), "home", "self.read"),
    Item("notices.index", _("Notices"), "mail", "notices.read"),
)
GROUPS = (
    Group(
        _("Exchange"),
        "offer",
        (
            Item("portfolios.index", _("Portfolios"), "file", "portfolios.read"),
            Item("tenders.index", _("Tenders"), "offer", "tenders.read"),
            Item("offers.index", _("Offers"), "offer", "offers.read"),
            Item("allocations.index", _("Allocations"), "list", "allocations.read"),
            Item("placements.index", _("Placements"), "link", "placements.read"),
            Item("recalls.index", _("Recalls"), "back", "placements.read"),
            Item("retentions.index", _("Retained cases"), "clock", "placements.read"),
        ),
    ),
    Group(
        _("Casework"),
        "list",
        (
            Item("cases.worklist", _("Worklist"), "list", "worklist.read"),
            Item("cases.index", _("Cases"), "list", "cases.list"),
            Item("exclusions.index", _("Exclusions"), "stop", "exclusions.read"),
            Item("search.index", _("Search"), "search", "cases.search"),
            Item("activity.show", _("Activity files"), "upload", "activity.upload"),
        ),
    ),
    Group(
        _("Money"),
        "money",
        (
            Item("ledger.index", _("Ledger"), "money", "ledger.read"),
            Item("breaks.index", _("Breaks"), "warning", "breaks.read"),
            Item("statements.index", _("Statements"), "chart", "statements.read"),
        ),
    ),
    Group(
        _("Oversight"),
        "shield",
        (
            Item("breaches.index", _("Conduct"), "shield", "breaches.read"),
            Item("releases.index", _("Releases"), "key", "releases.read"),
            Item("exports.index", _("Exports"), "download", "exports.read"),
            Item("audit.index", _("Audit log"), "lock", "audit.read"),
            Item("erasures.index", _("Retention"), "box", "erasures.read"),
        ),
    ),
    Group(
        _("Partners"),
        "people",
        (
            Item("agencies.index", _("Agencies"), "people", "agencies.read"),
            Item("agencies.list_papers", _("Papers"), "file", "papers.attest"),
            Item("parties.index", _("Parties"), "people", "agreements.read"),
            Item("organisations.index", _("Organisations"), "people", "organisations.read"),
        ),
    ),
    Group(
        _("Keys and jobs"),
        "clock",
        (
            Item("keys.index", _("Keys"), "lock", "keys.read"),
            Item("jobs.index", _("Jobs"), "clock", "jobs.read"),
        ),
    ),
)
SHOWN_AT_ONCE = 14  # entries; more than these are shown by group

# Pages of a noun that has no entry of its own.
WITHIN = {"agreements": "parties", "webhooks": "notices", "bids": "tenders", "bids.show_bid": "offers"}


def frame() -> dict[str, Any]:
    """The variables of layout/base.html and layout/bare.html."""
    known = access.find_known() if request.endpoint and not request.endpoint.endswith("static") else None
    shown: dict[str, Any] = {
        "csrf_token": access.csrf_token,
        "may": may,
        "home_url": url_for("overview.show"),
        "language_url": url_for("door.choose_language"),
        "language_next": request.full_path if request.method == "GET" and request.query_string else nearest_page(),
    }
    if known:
        shown |= {
            "org_id": known.organisation.id,
            "org_name": known.organisation.name,
            "org_code": known.organisation.code,
            "org_custody": known.organisation.custody,
            "org_kind": known.actor.side,
            "member_name": known.member.name,
            "watermark_at": moment(access.database().clock()),
            "member_role": ", ".join(label(role, "role") for role in known.member.roles),
            "working_for": known.actor.mandate_lender_id,
            "sign_out_url": url_for("door.sign_out"),
            "account_url": url_for("account.index"),
            "jobs_url": url_for("jobs.now") if may("jobs.read") else None,
            "nav": _navigation(),
        }
    return shown


def may(permission: str) -> bool:
    """Whether this person's roles allow it: for showing a button, never for guarding a route."""
    known = access.find_known()
    allowed = access.PERMISSIONS[permission][1]
    return bool(known) and any((known.actor.side, role) in allowed for role in known.actor.roles)  # type: ignore[union-attr]


def _navigation() -> list[dict[str, Any]]:
    """Groups of links, a group without a label being links alone; where nothing is open, the first group is."""
    links = _links(ALWAYS)
    groups = [(group, found) for group in GROUPS if (found := _links(group.items))]
    everything = links + [link for _group, found in groups for link in found]
    if len(everything) <= SHOWN_AT_ONCE:
        return [{"links": everything}]
    shown: list[dict[str, Any]] = [{"links": links}]
    for group, found in groups:
        named = {"label": group.label, "icon": group.icon} if len(found) > 1 else {}
        shown.append(named | {"links": found, "open": any(link["active"] for link in found)})
    if not any(link["active"] for link in everything[len(links) :]):
        next(group for group in shown if "label" in group)["open"] = True
    return shown


def _links(items: tuple[Item, ...]) -> list[dict[str, Any]]:
    return [_shown(item) for item in items if _is_theirs(item)]


def _is_theirs(item: Item) -> bool:
    return item.endpoint in current_app.view_functions and may(item.permission) and not _waits(item)


def _waits(item: Item) -> bool:
    """Until an auditor has chosen a mandate, there is nothing of a lender's to open."""
    known = access.require_known()
    return known.actor.side == AUDITOR and known.actor.mandate_lender_id is None and item.endpoint != "overview.show"


def _shown(item: Item) -> dict[str, Any]:
    endpoint = request.endpoint or ""
    noun = endpoint.split(".")[0]
    here = WITHIN.get(endpoint, WITHIN.get(noun, noun))
    return {
        "endpoint": item.endpoint,
        "label": item.label,
        "icon": item.icon,
        "active": item.endpoint.split(".")[0] == here,
        "count": unread if item.endpoint == "notices.index" else None,
    }


def unread() -> int:
    """How many notices nobody has read; asked for where the navigation is drawn, once a request."""
    if "unread_notices" not in g:
        with access.open_work() as work:
            g.unread_notices = notices.count_unread(work)
    count: int = g.unread_notices
    return count
