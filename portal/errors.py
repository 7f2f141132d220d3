"""How a refusal is told: RFC 9457 problem details to programs, a page to people."""

import logging
import re
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from flask import Flask, Response, current_app, g, json, redirect, render_template, request, url_for
from marshmallow import ValidationError
from psycopg import errors as pg
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, SQLAlchemyError
from werkzeug.exceptions import HTTPException

from crypto.errors import CryptoError, CustodyUnavailable, KeyringReadOnly, KeyringRefused
from models import errors, failures
from models.services import refusals
from models.services.portfolio import documents
from portal.access import database
from portal.messages import MESSAGES
from portal.refusals import fault, sentence
from portal.requests import nearest_page

log = logging.getLogger("consign.portal")

# Flask would pick handlers by class; one table read top to bottom says it aloud: first match wins.
STATUSES: tuple[tuple[type[errors.Refusal], HTTPStatus], ...] = (
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (errors.Forbidden, HTTPStatus.FORBIDDEN),
    (errors.Invalid, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.Conflict, HTTPStatus.CONFLICT),
    (errors.KeyReused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.TooMany, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.Refusal, HTTPStatus.BAD_REQUEST),
)

# What outlives the request as an entry of the audit log: also whatever an agency asks of a case that it has no longer.
# Another conflict only where something was to be opened, searched, taken away or proved.
LOGGED = (errors.Forbidden, errors.NotFound, errors.TooMany, errors.CaseClosedToWork)
LOGGED_CONFLICTS_OF = ("cases.release", "cases.search", "exports.", "self.prove")

CUSTODY_RETRY_SECONDS = 10

JSON_TYPES = {"application/json", "application/problem+json"}

# What werkzeug and webargs refuse before a view runs.
HTTP_CODES = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "upload_cut_off",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
}


def register(app: Flask) -> None:
    app.register_error_handler(errors.Refusal, refused)
    app.register_error_handler(HTTPException, http_refused)
    app.register_error_handler(ValidationError, shape_refused)
    app.register_error_handler(IntegrityError, constraint_refused)
    app.register_error_handler(DataError, value_refused)
    app.register_error_handler(OperationalError, database_unavailable)
    app.register_error_handler(CustodyUnavailable, keys_unavailable)
    app.register_error_handler(KeyringRefused, keys_unavailable)
    app.register_error_handler(Exception, failed)


def refused(refusal: errors.Refusal) -> Response:
    keep(refusal)
    status = status_of(refusal)
    if status == HTTPStatus.UNAUTHORIZED and not wants_problem():
        back = request.path if request.method == "GET" else None
        return redirect(url_for("door.sign_in", next=back))  # type: ignore[return-value]
    rows = refusal.errors if isinstance(refusal, errors.Invalid) else []
    return problem(status, refusal.code, rows, refusal.facts)


def keep(refusal: errors.Refusal) -> None:
    """Log the refusal of somebody known, in a Work of its own. That it cannot be logged refuses nothing else."""
    known = g.get("known")
    asked_for = getattr(current_app.view_functions.get(request.endpoint or ""), "permission", None) or ""
    conflict = isinstance(refusal, errors.Conflict) and asked_for.startswith(LOGGED_CONFLICTS_OF)
    named = request.view_args or {}
    if not known or not (conflict or isinstance(refusal, LOGGED)):
        return
    try:
        with database().work(known.actor) as work:
            document_id = named.get("document_id")
            case_id = documents.case_of(work, document_id) if document_id else named.get("case_id")
            placement_id = refusal.placement_id or named.get("placement_id")
            refusals.record(work, refusal, asked_for, case_id, placement_id)
    except SQLAlchemyError as failure:
        log.error("refusal %s not logged: %s", refusal.code, type(failure).__name__)


def status_of(refusal: errors.Refusal) -> HTTPStatus:
    return next(status for kind, status in STATUSES if isinstance(refusal, kind))


def http_refused(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or 500)
    if status in {HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND, HTTPStatus.PERMANENT_REDIRECT}:
        return error.get_response()  # type: ignore[return-value]
    if status == HTTPStatus.METHOD_NOT_ALLOWED and request.method == "GET" and not wants_problem():
        # Where a refused form was shown again, a reload or a link asks for the form's target.
        return redirect(nearest_page(), HTTPStatus.SEE_OTHER)  # type: ignore[return-value]
    data: dict[str, Any] = getattr(error, "data", None) or {}
    return problem(status, HTTP_CODES.get(status, "refused"), field_errors(data.get("messages", {})), {})


def shape_refused(error: ValidationError) -> Response:
    """A page's form that no browser of ours would have sent."""
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", field_errors(error.messages), {})


def constraint_refused(error: IntegrityError) -> Response:
    """A composite reference that does not hold is a foreign or unknown id; any other constraint, a race lost."""
    return refused(errors.NotFound() if isinstance(error.orig, pg.ForeignKeyViolation) else errors.Conflict())


def value_refused(error: DataError) -> Response:
    """A value that no column holds: a number without end, a NUL in a text. Which one, the driver's text would tell."""
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", [], {})


def database_unavailable(error: OperationalError) -> Response:
    if isinstance(error.orig, pg.LockNotAvailable | pg.DeadlockDetected):
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", [], {"retry_seconds": 2})
    return failed(error)


def keys_unavailable(error: CryptoError) -> Response:
    """Nothing opens or is sealed until somebody has seen to the keys; what they must do stands in our log."""
    log.error("keys: %s", error)
    if isinstance(error, KeyringReadOnly):
        return refused(errors.Conflict("custody_read_only"))
    code = error.code if isinstance(error, CustodyUnavailable) else "custody_unavailable"
    return refused(errors.Unavailable(code, retry_seconds=CUSTODY_RETRY_SECONDS))


def failed(error: Exception) -> Response:
    """Whatever we did not foresee: a reference for the person, the class and the places for us, no text."""
    reference = uuid4().hex[:12]
    log.error("failed %s: %s", reference, failures.told(error))
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", [], {"reference": reference})


def problem(status: HTTPStatus, code: str, rows: list[errors.RowError], facts: dict[str, Any]) -> Response:
    shown = [{"row": e.row, "field": e.field, "code": e.code, "title": fault(e)} for e in rows]
    title = sentence(code, facts)
    if wants_problem():
        body = {
            "type": f"urn:consign:problem:{code}",
            "title": title,
            "status": status.value,
            "code": code,
            **facts,
            **({"errors": shown} if shown else {}),
        }
        response = Response(json.dumps(body), status.value, content_type="application/problem+json")
    else:
        page = render_template("problem.html", status=status.value, code=code, title=title, facts=facts, errors=shown)
        response = Response(page, status.value, content_type="text/html; charset=utf-8")
    if "retry_seconds" in facts:
        response.headers["Retry-After"] = str(facts["retry_seconds"])
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    response.headers["Cache-Control"] = "no-store"
    return response


def wants_problem() -> bool:
    """Programs, and the scripts of our pages."""
    return request.path.startswith("/api/") or request.accept_mimetypes.best in JSON_TYPES


def field_errors(messages: Any, path: str = "") -> list[errors.RowError]:
    """marshmallow's nested messages as rows: its texts become codes, so that no text of ours repeats a value."""
    if isinstance(messages, dict):
        found = []
        for name, inner in messages.items():
            step = "" if name in {"json", "query", "form", "_schema"} else _step(name)
            found += field_errors(inner, ".".join(part for part in (path, step) if part))
        return found
    texts = messages if isinstance(messages, list) else [messages]
    return [
        text.at(0, path or "*") if isinstance(text, errors.RowError) else shape_fault(path or "*", str(text))
        for text in texts
    ]


# How a text begins -> its code; some go on with the bounds.
SHAPE_CODES = {
    "Missing data for required field": "required_missing",
    "Field may not be null": "required_missing",
    "Unknown field": "unknown_field",
    "Not a valid UUID": "not_an_id",
    "Not a valid date": "impossible_date",
    "Not a valid datetime": "impossible_date",
    "Not a valid integer": "not_a_number",
    "Not a valid number": "not_a_number",
    "Not a valid email address": "invalid_email",
    "Must be one of": "unknown_value",
    "Shorter than minimum length": "too_short",
    "Longer than maximum length": "too_long",
    "The two differ": "passwords_differ",
}


# How marshmallow's Range tells its bounds.
BOUNDS = re.compile(
    r"Must be (?:greater than or equal to (?P<least>-?\d+))?(?: and )?(?:less than or equal to (?P<most>-?\d+))?\."
)


def shape_fault(field: str, text: str) -> errors.RowError:
    """A validator of ours may say a code itself, as `field_errors` has it even a whole fault."""
    if bounds := BOUNDS.fullmatch(text):
        least, most = (None if bound is None else int(bound) for bound in bounds.group("least", "most"))
        return errors.OutOfRange(0, field, least, most)
    code = next((code for start, code in SHAPE_CODES.items() if text.startswith(start)), "wrong_shape")
    return errors.RowError(0, field, text if text in MESSAGES else code)


def _step(name: str | int) -> str:
    """A field's name, or the position in a list."""
    return str(name) if isinstance(name, int) else safe_name(name)


def safe_name(name: str) -> str:
    """A field's name as given, unless it could be data somebody put in the wrong place."""
    return (
        name if name.replace("_", "").isalnum() and name.isascii() and not name.isdigit() and len(name) <= 40 else "?"
    )
