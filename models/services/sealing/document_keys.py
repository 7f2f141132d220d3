"""The files of a portfolio that is re-keyed: each is sealed anew into another object, which its row then names.

`begin` reads the keys, `copy` does the long part with no lock held, `finish` changes the row. The older object is
nobody's from then on, and swept: whoever is reading it comes to its end.
"""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import CursorResult, and_, func, select, update

from crypto.fields import NOTES
from crypto.files import FileName
from crypto.secret import Secret
from models.case import Case
from models.case_document import CaseDocument
from models.ids import new_id
from models.objects import ObjectStore
from models.portfolio import ClassKey
from models.services import tenancy
from models.services.oversight import audit
from models.services.portfolio import documents
from models.services.portfolio.documents import Content
from models.services.sealing import class_keys
from models.services.sealing.class_keys import ClassKeys
from models.work import Work


class Move(NamedTuple):
    """A file as it can be read now, and the object and the key that it goes to."""

    opened: Content
    object_id: UUID
    epoch: int
    key: Secret


def begin(work: Work, portfolio_id: UUID, after: UUID | None = None) -> Move | None:
    """The portfolio's next file after `after` that is sealed under an older key."""
    of_portfolio = (tenancy.own(work, ClassKey), ClassKey.portfolio_id == portfolio_id, ClassKey.field_class == NOTES)
    epoch = work.session.scalars(select(func.max(ClassKey.epoch)).where(*of_portfolio)).one()
    older = (
        select(CaseDocument)
        .join(Case, and_(Case.lender_id == CaseDocument.lender_id, Case.id == CaseDocument.case_id))
        .where(tenancy.own(work, CaseDocument), tenancy.own(work, Case), Case.portfolio_id == portfolio_id)
        .where(CaseDocument.epoch != epoch, CaseDocument.erased_at.is_(None), Case.erased_at.is_(None))
        .order_by(CaseDocument.id)
        .limit(1)
        .with_for_update(read=True, of=Case)  # an erasure locks it FOR UPDATE
    )
    document = work.session.scalar(older if after is None else older.where(CaseDocument.id > after))
    if document is None:
        return None
    case, keys = class_keys.list_cases(work, [document.case_id])[document.case_id], ClassKeys(work)
    name = FileName(portfolio_id.bytes, case.reference, document.id.bytes)
    old, new = (case.key(keys.get(portfolio_id, NOTES, one)) for one in (document.epoch, epoch))
    return Move(Content(document, old, name), new_id(), epoch, new)


def copy(move: Move, objects: ObjectStore) -> bytes:
    """Seal the file into its new object, outside any Work; answers the digest.

    SealBroken or NotFound where the old object is not what was added.
    """
    document = move.opened.document
    plaintext = documents.read(move.opened, objects, 0, document.byte_count)
    place = documents.object_key(document.lender_id, move.object_id)
    return documents.seal_into(move.key, move.opened.name, plaintext, objects, place)


def finish(work: Work, move: Move, digest: bytes) -> bool:
    """Let the row name the new object; False where the file was erased meanwhile, or sealed anew by another."""
    document = move.opened.document
    changed = work.session.execute(
        update(CaseDocument)
        .where(
            tenancy.own(work, CaseDocument),
            CaseDocument.id == document.id,
            CaseDocument.object_id == document.object_id,
            CaseDocument.erased_at.is_(None),
        )
        .values(object_id=move.object_id, epoch=move.epoch, sealed_digest=digest)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(changed, CursorResult)
    if changed.rowcount:
        subject = {"document": document.id, "case": document.case_id, "epoch": move.epoch, "sealed_digest": digest}
        audit.record(work, audit.Action.DOCUMENT_RESEAL, subject)
    return changed.rowcount > 0
