"""Documents of a case: recordings, letters and proofs, sealed as they come in."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from models.services.portfolio import documents
from portal import filing
from portal.access import permit, tenant_work
from portal.description import BYTES
from portal.schemas import documents as s

blueprint = Blueprint("documents-api", __name__, description="Recordings, letters and proofs of a case")

BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": BYTES}}}}


@blueprint.post("/cases/<uuid:case_id>/documents")
@permit("documents.add")
@blueprint.arguments(s.DocumentQuery, location="query")
@blueprint.response(201, s.DocumentView)
@blueprint.doc(**BODY)
def add_document(query: dict[str, Any], case_id: UUID) -> Any:
    """Add a file as the raw body: PDF, PNG, JPEG, MP3, M4A, WAV, OGG or text, up to 200 MB. Its name is not kept."""
    return filing.add(case_id, query["kind"])


@blueprint.get("/cases/<uuid:case_id>/documents")
@permit("cases.read")
@blueprint.response(200, s.DocumentView(many=True))
def list_documents(case_id: UUID) -> Any:
    """Newest first: for the lender and its auditor all of the case, for an agency those its people added."""
    with tenant_work() as work:
        return documents.list_of_case(work, case_id)


@blueprint.post("/documents/<uuid:document_id>/releases")
@permit("cases.release")
@blueprint.arguments(s.OpenRequest)
@blueprint.response(201, s.OpenedDocumentView)
def open_document(given: dict[str, Any], document_id: UUID) -> Any:
    """Open one document for a reason. It may be read for five minutes; that is one release of class `notes`."""
    return filing.unseal(document_id, given["reason"])


@blueprint.get("/documents/<uuid:document_id>/content")
@permit("cases.release")
@blueprint.arguments(s.ContentQuery, location="query")
@blueprint.response(200, BYTES, content_type="application/octet-stream")
def read_document(query: dict[str, Any], document_id: UUID) -> Any:
    """The document that the release opened, whole or the one range asked for, in its own media type."""
    return filing.send(document_id, query["release"])
