"""Documents in their order: asked, sealed into the store, written; and opened, logged, committed and only then read."""

from collections.abc import Iterator
from itertools import chain
from typing import Any
from uuid import UUID

from flask import Response, request, url_for
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from crypto.errors import SealBroken
from models.case_document import CaseDocument
from models.errors import Refusal, Unavailable
from models.media import SUFFIXES
from models.services.portfolio import documents
from portal.access import objects, open_work
from portal.requests import uploaded

CONTENT_SECURITY_POLICY = "default-src 'none'; sandbox"


def add(case_id: UUID, kind: str) -> CaseDocument:
    """The request's body as a document of the case."""
    with open_work() as work:
        upload = documents.begin(work, case_id, kind)
    stored = documents.store(upload, uploaded(), objects())
    try:
        with open_work() as work:
            return documents.add(work, upload, stored)
    except Refusal:
        # Refused, so there is no row. Where the outcome is not known the file stays until it is swept.
        objects().delete(documents.object_key(upload.lender_id, upload.id))
        raise


def unseal(document_id: UUID, reason: str) -> dict[str, Any]:
    """The release of one document, and where to read it for some minutes."""
    with open_work() as work:
        release = documents.authorise(work, document_id, reason)
        document = documents.get(work, document_id)
    # Committed: an outcome that is not known never comes this far.
    return {
        "release_id": str(release.id),
        "entry": release.entry_leaf.hex(),
        "url": url_for("documents.read", document_id=document_id, release=release.id),
        "media_type": document.media_type,
        "byte_count": document.byte_count,
    }


def send(document_id: UUID, release_id: UUID) -> Response:
    """The document, or the one range that is asked for; never kept by a cache and never run by a browser."""
    with open_work() as work:
        opened = documents.content(work, document_id, release_id)
    document = opened.document
    start, end, partial = _range(document.byte_count)
    pieces = _begun(documents.read(opened, objects(), start, end - start))
    response = Response(pieces, 206 if partial else 200, content_type=document.media_type)
    if partial:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{document.byte_count}"
    place = "inline" if document.media_type.startswith("audio/") else "attachment"
    name = f"{document.kind}-{document.id}.{SUFFIXES[document.media_type]}"
    response.headers["Content-Disposition"] = f'{place}; filename="{name}"'
    response.headers["Content-Length"] = str(end - start)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


def _range(size: int) -> tuple[int, int, bool]:
    """From where, to where, and whether that is a part. Several ranges at once are answered by the whole."""
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return 0, size, False
    found = asked.range_for_length(size)
    if found is None:
        raise RequestedRangeNotSatisfiable(size)
    return found[0], found[1], True


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces with the first already opened: a file that is not authentic from the start is refused in words."""
    try:
        first = next(pieces, b"")
    except SealBroken:
        raise Unavailable("document_broken") from None
    return chain([first], pieces)
