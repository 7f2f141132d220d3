"""What `/api/openapi.json` says beyond the schemas: credentials, scopes, refusals, files and idempotency keys."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from apispec import BasePlugin
from flask import Flask
from flask_smorest import Api
from marshmallow import Schema

from models.columns import Column
from models.services.idempotency import KEY_LENGTH_MAX
from portal.access import COOKIE, PERMISSIONS
from portal.schemas.base import Problem

PROBLEM_TYPE = "application/problem+json"
BYTES = {"type": "string", "format": "binary"}
CSV, XLSX = "text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TEXT = {"type": "string"}

# For `@blueprint.doc(**ONCE)` on every view that calls `once`.
ONCE = {
    "parameters": [
        {
            "in": "header",
            "name": "Idempotency-Key",
            "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH_MAX},
            "description": "Of your choosing, new for each act: the same request sent again with it acts once and is"
            " answered the same; another request with it is refused.",
        }
    ]
}

SPEC: dict[str, Any] = {
    "info": {
        "description": "Amounts are strings with two decimals, days are YYYY-MM-DD, times carry an offset, ids are"
        " UUIDs. A list is continued by `after` with the `next_after` that came before, until that is null."
        " Titles of problems come in the language of `Accept-Language` (en, zh); codes never change."
    },
    "servers": [{"url": "/", "description": "This host"}],
    "security": [{"bearer": []}],
    "components": {
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of `POST /api/v1/sign-in` or of one's account page. What an operation lists is"
                " the scope that its token needs; the person's role decides as well.",
            },
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": COOKIE,
                "description": "A person's browser, for what no token may do; writing needs X-CSRF-Token too.",
            },
        }
    },
}


def file_body(columns: Iterable[Column]) -> dict[str, Any]:
    """The raw body of an upload, for `@blueprint.doc(**file_body(…))`: never a form, never in parts."""
    lines = ["The file itself, its columns under these names in any order; CSV as UTF-8 or GB18030.", ""]
    return {
        "requestBody": {
            "required": True,
            "description": "\n".join([*lines, *map(_told, columns)]),
            "content": {kind: {"schema": BYTES} for kind in (CSV, XLSX)},
        }
    }


def either(*views: type[Schema]) -> dict[str, Any]:
    """A 200 whose shape depends on who asks, for `@blueprint.doc(**either(…))`; the view dumps it itself."""
    return {"responses": {200: {"content": {"application/json": {"schema": {"anyOf": list(views)}}}}}}


def _told(column: Column) -> str:
    facts = ["required" if column.required else "optional"]
    if column.field_class:
        facts.append(f"personal, sealed as {column.field_class}")
    return f"- `{column.name}`: {', '.join(facts)}"


class Doors(BasePlugin):
    """Each operation's name, and what opens its door: read from the view's own mark, so that neither can differ."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def operation_helper(self, path: str | None = None, operations: dict[str, Any] | None = None, **given: Any) -> None:
        endpoint: str = given["rule"].endpoint
        view: Any = self.app.view_functions[endpoint]
        for operation in (operations or {}).values():
            operation["operationId"] = endpoint.rpartition(".")[2]
            operation["security"] = _security(view.permission)


def _security(permission: str | None) -> list[dict[str, list[str]]]:
    if permission is None:
        return []
    scope = PERMISSIONS[permission][0]
    return [{"session": []}] if scope == "person" else [{"bearer": [scope]}]


class ProblemApi(Api):
    """flask-smorest with our problem details in place of its own error body."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app, spec_kwargs={**SPEC, "extra_plugins": [Doors(app)]})

    def _register_error_handlers(self) -> None:
        """portal/errors.py answers for every refusal."""

    def _register_responses(self) -> None:
        told = {status.name: status.phrase for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST}
        told[self.DEFAULT_ERROR_RESPONSE_NAME] = "Refused, for the reason that `code` names"
        for name, description in told.items():
            body = {"description": description, "content": {PROBLEM_TYPE: {"schema": Problem}}}
            self.spec.components.response(name, body, lazy=True)
