"""The audit log of the organisation at work: the file that proves itself, its checkpoint, receipts and key."""

from typing import Any

from flask import Response, current_app
from flask_smorest import Blueprint

from models.errors import NotFound
from models.services.oversight import logs
from portal.access import permit, tenant_work
from portal.description import TEXT
from portal.downloads import text_download
from portal.log_download import bundle_download, consistency_download, log_download, receipt_of
from portal.schemas import conduct as s

blueprint = Blueprint("audit-api", __name__, description="The audit log")


@blueprint.get("/audit-log")
@permit("audit.export")
@blueprint.response(200, TEXT, content_type="application/jsonl")
def download_log() -> Response:
    """The whole log as one file, for `python -m crypto verify-log FILE --key …`. That it was taken is logged first."""
    return log_download()


@blueprint.get("/audit-log/checkpoint")
@permit("audit.read")
@blueprint.response(200, TEXT, content_type="text/plain")
def read_checkpoint() -> Response:
    """The last signed checkpoint: origin, size and root as a C2SP signed note."""
    with tenant_work() as work:
        checkpoint = logs.head(work).checkpoint
    if checkpoint is None:
        raise NotFound
    return text_download("checkpoint", [checkpoint.note], "text/plain")


@blueprint.get("/audit-log/receipts/<leaf_id>")
@permit("audit.read")
@blueprint.response(200, s.ReceiptView)
def read_receipt(leaf_id: str) -> dict[str, Any]:
    """The platform's signed word that the log holds the entry with this leaf hash (hex), and since when."""
    with tenant_work() as work:
        return receipt_of(logs.receipt(work, s.leaf_hash(leaf_id)))


@blueprint.get("/audit-log/bundles/<leaf_id>")
@permit("audit.export")
@blueprint.response(200, TEXT, content_type="application/json")
def download_bundle(leaf_id: str) -> Response:
    """One entry with the proof of its place in the log, for `python -m crypto verify-log FILE --key …`."""
    return bundle_download(s.leaf_hash(leaf_id))


@blueprint.get("/audit-log/consistency")
@permit("audit.export")
@blueprint.arguments(s.ConsistencyQuery, location="query")
@blueprint.response(200, TEXT, content_type="application/json")
def download_consistency(query: dict[str, Any]) -> Response:
    """The proof that the log of one checkpoint is the beginning of another's, for the same command."""
    return consistency_download(**query)


@blueprint.get("/audit-log/daily-roots")
@permit("audit.read")
@blueprint.arguments(s.DailyRootQuery, location="query")
@blueprint.response(200, s.DailyRootPage)
def list_daily_roots(query: dict[str, Any]) -> dict[str, Any]:
    """The last checkpoint of each business day on which the log grew, the newest first."""
    with tenant_work() as work:
        found = logs.list_daily_roots(work, **query)
    return {"items": found, "next_before": found[-1].business_date if len(found) == query["limit"] else None}


@blueprint.get("/audit-log/key")
@permit("audit.read")
@blueprint.response(200, s.LogKeyView)
def read_log_key() -> dict[str, str]:
    """What an auditor pins, once, from a channel they trust."""
    host = current_app.config["LOG_HOST"]
    with tenant_work() as work:
        return {
            "verifier_key": logs.verifier_key(work, host),
            "origin": logs.origin(host, work.tenant_id),
            "receipt_key": logs.receipt_key(work).hex(),
        }
