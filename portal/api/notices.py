"""Notices: what one's side of a relation was told, and that it was read."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.services import notices
from portal.access import open_work, permit
from portal.schemas import notices as s
from portal.schemas.base import page, page_of

blueprint = Blueprint("notices-api", __name__, description="What the other side did, told once")


@blueprint.get("/notices")
@permit("notices.read")
@blueprint.arguments(s.NoticeQuery, location="query")
@blueprint.response(200, page_of(s.NoticeView))
def list_notices(query: dict[str, Any]) -> Any:
    """The newest first; of one kind, or only what was or was not read."""
    with open_work() as work:
        return page(notices.list_own(work, **query), query["limit"])


@blueprint.post("/notices/read")
@permit("notices.mark")
@blueprint.arguments(s.ReadRequest)
@blueprint.response(200, s.ReadCountView)
def mark_all_read(given: dict[str, Any]) -> Any:
    """Everything up to the newest notice that was seen, for the whole organisation."""
    with open_work() as work:
        return {"count": notices.mark_all_read(work, **given)}


@blueprint.post("/notices/<uuid:notice_id>/read")
@permit("notices.mark")
@blueprint.response(200, s.NoticeView)
def mark_read(notice_id: UUID) -> Any:
    """One notice, for the whole organisation; who read it first stays."""
    with open_work() as work:
        return notices.mark_read(work, notice_id)
