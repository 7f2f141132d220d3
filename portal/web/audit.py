"""The audit log: how far it has grown, what it says, and how to take it away and check it."""

import json
from datetime import datetime
from typing import Any, NamedTuple

from flask import Blueprint, Response, current_app, render_template, request

from models.audit import LogLeaf
from models.services import logs
from portal.access import permit, tenant_work
from portal.log_download import log_download
from portal.schemas.conduct_forms import EntryListForm
from portal.schemas.forms import require

blueprint = Blueprint("audit", __name__)

LIST_ROWS = 50


class Entry(NamedTuple):
    """A leaf as people read it: who did what, and the ids and counts it names."""

    place: int
    leaf_hash: str
    at: datetime
    action: str
    actor: str
    subject: dict[str, Any]


@blueprint.get("/audit-log")
@permit("audit.read")
def index() -> str:
    query = require(EntryListForm(), request.args)
    host = current_app.config["LOG_HOST"]
    with tenant_work() as work:
        head = logs.head(work)
        entries = [entry_of(leaf) for leaf in logs.list_entries(work, query["cursor"], LIST_ROWS)]
        key, origin = logs.verifier_key(work, host), logs.origin(host, work.tenant_id)
    return render_template(
        "audit/index.html",
        head=head,
        entries=entries,
        next_cursor=entries[-1].place if len(entries) == LIST_ROWS and entries[-1].place else None,
        key=key,
        origin=origin,
    )


@blueprint.get("/audit-log/download")
@permit("audit.export")
def download() -> Response:
    return log_download()


def entry_of(leaf: LogLeaf) -> Entry:
    said = json.loads(leaf.entry)
    at = datetime.fromisoformat(said["at"])
    return Entry(leaf.index, leaf.leaf_hash.hex(), at, said["action"], said["actor"], said["subject"])
