"""The audit log and what proves it, as downloads for page and API alike."""

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager

from flask import Response

from models.services.oversight import logs
from models.work import Work
from portal.access import objects, tenant_work
from portal.downloads import text_download


def log_download() -> Response:
    """The log of the tenant at work; that it is taken is logged before its first line leaves.

    Its lines are read while they are sent, so a Work stays open for as long.
    """
    with tenant_work() as work:
        logs.record_export(work)
    return text_download("audit-log.jsonl", _lines(tenant_work()), "application/jsonl")


def bundle_download(leaf_hash: bytes) -> Response:
    """One entry and its proof."""
    with tenant_work() as work:
        line = logs.bundle(work, objects(), leaf_hash)
    return text_download(f"audit-entry-{leaf_hash.hex()[:12]}.json", [line], "application/json")


def consistency_download(old_size: int, new_size: int | None) -> Response:
    """The proof between two checkpoints."""
    with tenant_work() as work:
        line = logs.consistency(work, objects(), old_size, new_size)
    return text_download(f"audit-log-from-{old_size}.json", [line], "application/json")


def receipt_of(receipt: logs.Receipt) -> dict[str, str]:
    """A receipt as JSON carries it."""
    return {"statement": receipt.statement, "signature": base64.b64encode(receipt.signature).decode()}


def _lines(opened: AbstractContextManager[Work]) -> Iterator[str]:
    with opened as work:
        yield from logs.export(work)
