"""Organisations, for the operator: who takes part, and bringing one in with its first person."""

import secrets
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, render_template, request

from models.errors import Refusal
from models.member import ROLES
from models.organisation import AGENCY, AUDITOR, LENDER
from models.services.parties import members, organisations
from portal.access import open_work, permit
from portal.downloads import csv_download
from portal.schemas.conduct_forms import OrganisationForm
from portal.schemas.forms import require
from portal.web.forms import MENDABLE, Answer, Page, show

blueprint = Blueprint("organisations", __name__)

KINDS = (LENDER, AGENCY, AUDITOR)
PASSWORD_BYTES = 12


@blueprint.get("/organisations")
@permit("organisations.read")
def index() -> str:
    with open_work() as work:
        found = organisations.list_all(work)
    return render_template("organisations/index.html", organisations=found)


@blueprint.get("/organisations.csv")
@permit("organisations.read")
def download() -> Any:
    with open_work() as work:
        found = organisations.list_all(work)
    rows = [(o.code, o.kind, o.name, o.custody, o.state, o.created_at) for o in found]
    return csv_download("organisations.csv", ("code", "kind", "name", "custody", "state", "created_at"), rows)


@blueprint.get("/organisations/new")
@permit("organisations.create")
def new() -> Page:
    return _form({"kind": LENDER})


@blueprint.post("/organisations")
@permit("organisations.create")
def create() -> Answer:
    """Both or neither; what the first person needs to sign in is shown on this answer and never again."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    try:
        given = require(OrganisationForm(), request.form.to_dict() | {"roles": request.form.getlist("roles")})
        with open_work() as work:
            made = organisations.create(work, given["kind"], given["name"], given["self_custody"])
            person = members.create(
                work, made.kind, made.id, given["email"], given["person"], given["roles"], password, given["locale"]
            )
    except MENDABLE as refusal:
        return _form(request.form, refusal)
    return render_template("organisations/created.html", organisation=made, person=person, password=password), 201


def _form(form: Mapping[str, Any], refusal: Refusal | None = None) -> Page:
    chosen = request.form.getlist("roles")
    roles = [(kind, ROLES[kind]) for kind in KINDS]
    return show("organisations/new.html", form, refusal, kinds=KINDS, roles=roles, chosen=chosen)
