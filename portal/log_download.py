"""The audit log as a download, for page and API alike: that it is taken is logged before its first line leaves."""

from collections.abc import Iterator
from contextlib import AbstractContextManager

from flask import Response

from models.services import logs
from models.work import Work
from portal.access import tenant_work
from portal.downloads import text_download


def log_download() -> Response:
    """The log of the tenant at work. Its lines are read while they are sent, so a Work stays open for as long."""
    with tenant_work() as work:
        logs.record_export(work)
    return text_download("audit-log.jsonl", _lines(tenant_work()), "application/jsonl")


def _lines(opened: AbstractContextManager[Work]) -> Iterator[str]:
    with opened as work:
        yield from logs.export(work)
