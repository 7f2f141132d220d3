"""The inbox: what the other side did, what waits for us first."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import ngettext
from werkzeug.wrappers import Response as AnyResponse

from models.notice import KINDS, Notice
from models.services import notices
from models.work import AGENCY, Work
from portal import sheets
from portal.access import open_work, permit, require_known
from portal.formats import count
from portal.notices import kinds_of, lines_of
from portal.schemas.base import page
from portal.schemas.forms import require
from portal.schemas.notices import NoticeListForm, ReadForm
from portal.sheets import Line, Sheet, bounded
from portal.web.forms import Answer

blueprint = Blueprint("notices", __name__)

LIST_ROWS = 50
SHEET_ROWS = 1_000  # read at a time


@blueprint.get("/notices")
@permit("notices.read")
def index() -> str:
    query = require(NoticeListForm(), request.args)
    with open_work() as work:
        found = _listed(work, query)
        names, waiting = notices.names_of(work, found), notices.count_unread(work)
    side = require_known().actor.side
    return render_template(
        "notices/index.html",
        lines=lines_of(found, names, side),
        next_after=None if query["show"] == "first" else page(found, LIST_ROWS)["next_after"],
        waiting=waiting,
        newest=max((notice.id for notice in found), default=None),
        kinds=kinds_of(side, KINDS),
        query=query,
    )


@blueprint.get("/notices.csv")
@permit("notices.read")
def download() -> AnyResponse:
    return sheets.download(SHEET)


def _lines(work: Work, subject: Mapping[str, str]) -> Iterator[Line]:
    """By time, however the page lists them; facts as programs are told them, in no language."""
    query = require(NoticeListForm(), subject)
    kind, read = query["kind"], False if query["show"] == "unread" else None
    found = bounded(lambda after: notices.list_own(work, after, SHEET_ROWS, kind, read))
    names = notices.names_of(work, found)
    for n in found:
        other = n.lender_id if work.actor.side == AGENCY else n.agency_id
        facts = "; ".join(f"{name}={value}" for name, value in n.facts.items())
        yield n.lender_id, (n.told_at, n.kind, names.get(other), n.subject_kind, n.subject_id, facts, n.read_at)


SHEET = Sheet(
    "notices",
    "notices.read",
    ("told", "kind", "party", "subject", "subject_id", "facts", "read"),
    _lines,
    filters=("kind", "show"),
)


@blueprint.post("/notices/<uuid:notice_id>/read")
@permit("notices.mark")
def read(notice_id: UUID) -> Answer:
    query = require(NoticeListForm(), request.args)
    with open_work() as work:
        notices.mark_read(work, notice_id)
    return redirect(url_for("notices.index", show=query["show"], kind=query["kind"]))


@blueprint.post("/notices/read")
@permit("notices.mark")
def read_all() -> Answer:
    with open_work() as work:
        marked = notices.mark_all_read(work, **require(ReadForm(), request.form))
    told = ngettext(
        "%(count)s notice marked as read.", "%(count)s notices marked as read.", marked, count=count(marked)
    )
    flash(told, "good")
    return redirect(url_for("notices.index"))


def _listed(work: Work, query: dict[str, Any]) -> list[Notice]:
    """What waits, then what was read, on one page; or a page of all, or of what waits."""
    kind, cursor = query["kind"], query["cursor"]
    if query["show"] != "first":
        return notices.list_own(work, cursor, LIST_ROWS, kind, False if query["show"] == "unread" else None)
    waiting = notices.list_own(work, None, LIST_ROWS, kind, read=False)
    left = LIST_ROWS - len(waiting)
    return waiting + (notices.list_own(work, None, left, kind, read=True) if left else [])
