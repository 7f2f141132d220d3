"""What views read of a request: an idempotency key, a page's cursor, an upload's bytes."""

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import IO, TypeVar
from uuid import UUID

from flask import current_app, request
from werkzeug.exceptions import BadRequest, ClientDisconnected

from models.services import idempotency
from models.services.idempotency import Identified
from models.work import Work

UPLOAD_BYTES_MAX = 2 << 30
CHUNK_BYTES = 1 << 18

Made = TypeVar("Made", bound=Identified)


def refuse_malformed() -> None:
    """Refuse what parses and still is no text or number: NUL, half a surrogate pair, NaN, depth without end.

    Neither the parser of JSON behind this nor the database would refuse it politely.
    """
    if "\x00" in request.path or b"%00" in request.query_string:
        raise BadRequest
    if request.is_json and not _is_plain(request.get_data()):
        raise BadRequest


def _is_plain(body: bytes) -> bool:
    try:
        text = json.dumps(json.loads(body), ensure_ascii=False, allow_nan=False)
        text.encode()
    except json.JSONDecodeError:
        return True  # The schema's parser says what is wrong with it.
    except (RecursionError, ValueError):
        return False
    return "\\u0000" not in text


def once(work: Work, act: Callable[[], Made], again: Callable[[UUID], Made]) -> Made:
    """Do `act` once per Idempotency-Key (a page's form carries its own); again, `again(id of what was made)`."""
    body = request.get_data()  # before the form is looked at, which would leave nothing to read
    digest = sha256(f"{request.method} {request.full_path}\n".encode() + (body or _form_bytes())).digest()
    key = request.headers.get("Idempotency-Key") or request.form.get("idempotency_key")
    return idempotency.once(work, key, digest, act, again)


def _form_bytes() -> bytes:
    return repr(sorted(request.form.items(multi=True))).encode()


def nearest_page() -> str:
    """The path asked for if it can be looked at, else the nearest above it that can: a form's page, not its target."""
    adapter = current_app.create_url_adapter(request)
    path = request.path
    while path and not (adapter and adapter.test(path, method="GET")):
        path = path.rpartition("/")[0]
    return path or "/"


def uploaded() -> Iterator[bytes]:
    """The raw body, chunk by chunk: it is never parsed as a form, because that spools to a temporary file.

    A body that ends before its announced length is refused, not taken for a shorter file.
    """
    request.max_content_length = UPLOAD_BYTES_MAX
    # The reader may be a thread of its own, which knows no request.
    return _chunks(request.stream, request.content_length)


def uploaded_whole(bytes_max: int) -> bytes:
    """The same at once, for a document that must be whole before any of it is believed."""
    request.max_content_length = bytes_max
    return b"".join(_chunks(request.stream, request.content_length))


def _chunks(stream: IO[bytes], expected: int | None) -> Iterator[bytes]:
    seen = 0
    try:
        while chunk := stream.read(CHUNK_BYTES):
            seen += len(chunk)
            yield chunk
    except OSError:  # The chunks of a chunked body do not end as they should.
        raise ClientDisconnected from None
    if expected is not None and seen < expected:
        raise ClientDisconnected
