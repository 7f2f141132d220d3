"""Documents of a case: unsealed for a reason, then read for some minutes."""

from uuid import UUID

from flask import Blueprint, Response, jsonify, request

from portal import filing
from portal.access import permit
from portal.schemas.documents import ContentForm, OpenForm
from portal.schemas.forms import require

blueprint = Blueprint("documents", __name__)


@blueprint.post("/documents/<uuid:document_id>/releases")
@permit("cases.release")
def open_document(document_id: UUID) -> Response:
    """For the page's script, which plays it in place or takes it as a file."""
    return jsonify(filing.unseal(document_id, require(OpenForm(), request.form)["reason"]))


@blueprint.get("/documents/<uuid:document_id>/content")
@permit("cases.release")
def read(document_id: UUID) -> Response:
    return filing.send(document_id, require(ContentForm(), request.args)["release"])
