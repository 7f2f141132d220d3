"""The audit log: how far it has grown, what it says, and how to take it away and check it."""

import json
from datetime import datetime
from typing import Any, NamedTuple

from flask import Blueprint, Response, current_app, render_template, request

from models.audit import LogLeaf
from models.services.oversight import logs
from portal.access import permit, tenant_work
from portal.downloads import text_download
from portal.log_download import bundle_download, consistency_download, log_download, receipt_of
from portal.schemas.conduct import leaf_hash
from portal.schemas.conduct_forms import ConsistencyForm, DayListForm, EntryListForm
from portal.schemas.forms import require

blueprint = Blueprint("audit", __name__)

LIST_ROWS = 50
LATEST_DAYS = 7


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
        days = logs.list_daily_roots(work, limit=LATEST_DAYS) if query["cursor"] is None else []
        key, origin = logs.verifier_key(work, host), logs.origin(host, work.tenant_id)
    return render_template(
        "audit/index.html",
        head=head,
        entries=entries,
        days=days,
        more_days=len(days) == LATEST_DAYS,
        next_cursor=entries[-1].place if len(entries) == LIST_ROWS and entries[-1].place else None,
        key=key,
        origin=origin,
    )


@blueprint.get("/audit-log/download")
@permit("audit.export")
def download() -> Response:
    return log_download()


@blueprint.get("/audit-log/daily-roots")
@permit("audit.read")
def daily_roots() -> str:
    query = require(DayListForm(), request.args)
    with tenant_work() as work:
        head = logs.head(work)
        days = logs.list_daily_roots(work, query["cursor"])
    next_cursor = days[-1].business_date if len(days) == logs.DAYS_PER_PAGE_MAX else None
    return render_template("audit/daily_roots.html", head=head, days=days, next_cursor=next_cursor)


@blueprint.get("/audit-log/bundles/<leaf_id>")
@permit("audit.export")
def bundle(leaf_id: str) -> Response:
    return bundle_download(leaf_hash(leaf_id))


@blueprint.get("/audit-log/consistency")
@permit("audit.export")
def consistency() -> Response:
    return consistency_download(**require(ConsistencyForm(), request.args))


@blueprint.get("/audit-log/receipts/<leaf_id>")
@permit("audit.read")
def receipt(leaf_id: str) -> Response:
    leaf = leaf_hash(leaf_id)
    with tenant_work() as work:
        found = receipt_of(logs.receipt(work, leaf))
    return text_download(f"receipt-{leaf.hex()[:12]}.json", [json.dumps(found) + "\n"], "application/json")


def entry_of(leaf: LogLeaf) -> Entry:
    said = json.loads(leaf.entry)
    at = datetime.fromisoformat(said["at"])
    return Entry(leaf.index, leaf.leaf_hash.hex(), at, said["action"], said["actor"], said["subject"])
