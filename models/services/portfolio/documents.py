"""Documents of a case: recordings, letters and proofs, sealed in class `notes` on their way into the object store.

Adding takes three steps, so that no lock is held while a file comes in: `begin` asks whether it may be added, `store`
seals it into the store, `add` asks again and writes its row. An object without a row is nobody's, and swept.

Opening one is a release of class `notes`. The release's row is the ticket: for a few minutes its person may read the
file, whole or in ranges, as long as they may still open the case.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select

from crypto import cobblestone
from crypto.errors import SealBroken
from crypto.fields import NOTES
from crypto.files import FileName
from crypto.packages import NOTES_VERSION
from crypto.secret import Secret
from crypto.vault import Vault
from models.case import Case
from models.case_document import KINDS, CaseDocument
from models.errors import Conflict, Forbidden, Invalid, NotFound, RowError
from models.ids import new_id
from models.media import HEAD_BYTES, media_type_of
from models.objects import ObjectStore
from models.placement import Placement
from models.release import ReleaseRecord
from models.services import tenancy
from models.services.collection import releases
from models.services.collection.releases import Release
from models.services.exchange import placed_cases
from models.services.oversight import audit
from models.services.sealing import key_paths
from models.services.sealing.key_paths import OpenPath
from models.work import AGENCY, LENDER, Work

BYTES_MAX = 200 << 20
OF_CASE_MAX = 200
OPEN_LASTS = dt.timedelta(minutes=5)
ORPHAN_AFTER = dt.timedelta(days=1)  # no upload takes so long
WINDOW_BYTES = 64 * cobblestone.CHUNK_BYTES  # read from the store at a time


class Upload(NamedTuple):
    """A file that may come in: where it belongs, and the key for it."""

    id: UUID
    lender_id: UUID
    case_id: UUID
    kind: str
    epoch: int
    key: Secret
    name: FileName


class Stored(NamedTuple):
    """What came in; `byte_count` in the clear, the digest of the sealed object."""

    media_type: str
    byte_count: int
    sealed_digest: bytes


@dataclass(frozen=True, repr=False)
class SealedDocument:
    """What the release of one document names. Its bytes are read later, by `content`."""

    document: CaseDocument
    version = NOTES_VERSION
    packed = False

    @property
    def digest(self) -> bytes:
        return self.document.sealed_digest

    def open(self, vault: Vault) -> dict[str, Any]:
        return {"document": str(self.document.id)}


class Content(NamedTuple):
    """A document that this person may read now."""

    document: CaseDocument
    key: Secret
    name: FileName


def begin(work: Work, case_id: UUID, kind: str) -> Upload:
    """Whether the person may add a file to the case now, and under which key.

    Raises as `placed_cases.hold` for an agency; Conflict `documents_full`, `case_erased`, or `note_needs_own_key`
    where nobody here can seal.
    """
    if kind not in KINDS:
        raise Invalid(errors=[RowError(0, "kind", "unknown_value")])
    with _ground(work, case_id) as (case, placement):
        path, epoch = key_paths.find_to_write(work, case, placement)
        _require_room(work, case)
        upload_id = new_id()
        name = FileName(case.portfolio_id.bytes, case.reference.encode(), upload_id.bytes)
        key = path.derive(work.vault, NOTES_VERSION)
    return Upload(upload_id, case.lender_id, case.id, kind, epoch, key, name)


def store(upload: Upload, chunks: Iterable[bytes], objects: ObjectStore) -> Stored:
    """Seal the chunks into the store as they come, outside any Work; nothing is kept where it fails.

    Invalid for a file that is empty, too large or of no kind we take.
    """
    head, rest = _headed(iter(chunks))
    media_type = media_type_of(head)
    if media_type is None:
        raise Invalid(errors=[RowError(0, "file", "media_type_unknown" if head else "empty_file")])
    count = 0

    def counted() -> Iterator[bytes]:
        nonlocal count
        for chunk in rest:
            count += len(chunk)
            if count > BYTES_MAX:
                raise Invalid(errors=[RowError(0, "file", "too_large")])
            yield chunk

    digest = seal_into(upload.key, upload.name, counted(), objects, object_key(upload.lender_id, upload.id))
    return Stored(media_type, count, digest)


def add(work: Work, upload: Upload, stored: Stored) -> CaseDocument:
    """Write the row of what was stored, if the person still may. Conflict `keys_changed` after a re-key meanwhile."""
    with _ground(work, upload.case_id) as (case, placement):
        _, epoch = key_paths.find_to_write(work, case, placement)
        if epoch != upload.epoch:
            raise Conflict("keys_changed")
        _require_room(work, case)
        assert work.actor.member_id is not None
        document = CaseDocument(
            lender_id=case.lender_id,
            id=upload.id,
            case_id=case.id,
            agency_id=placement.agency_id if placement else None,
            placement_id=placement.id if placement else None,
            kind=upload.kind,
            media_type=stored.media_type,
            byte_count=stored.byte_count,
            object_id=upload.id,
            sealed_digest=stored.sealed_digest,
            epoch=epoch,
            added_by=work.actor.member_id,
            member_name=work.actor.name,
            added_at=work.at,
        )
        work.session.add(document)
        work.session.flush()
        subject = {"document": document.id, "case": case.id, "agency": document.agency_id, "kind": document.kind}
        facts = {"bytes": document.byte_count, "sealed_digest": document.sealed_digest}
        audit.record(work, audit.Action.DOCUMENT_ADD, subject | facts | {"placement": document.placement_id})
    return document


def list_of_case(work: Work, case_id: UUID) -> list[CaseDocument]:
    """Newest first: for the lender and its auditor all of the case, for an agency those its people added."""
    if work.actor.side == AGENCY:
        placed_cases.get_placed(work, case_id)
    elif work.session.scalar(select(Case.id).where(tenancy.own(work, Case), Case.id == case_id)) is None:
        raise NotFound
    query = select(CaseDocument).where(
        tenancy.own(work, CaseDocument), CaseDocument.case_id == case_id, CaseDocument.erased_at.is_(None)
    )
    return list(work.session.scalars(query.order_by(CaseDocument.id.desc())))


def authorise(work: Work, document_id: UUID, reason: str) -> Release:
    """The release of one document, as any release of class `notes`; `content` reads it once that is committed.

    Conflict `document_needs_own_key` where only the asker's own key opens the case.
    """
    document = get(work, document_id)

    def sealed(work: Work, case: Case, placement: Placement | None) -> SealedDocument:
        key_paths.hold(work, case, NOTES)
        work.session.refresh(document)  # A re-key may have sealed it anew before this.
        _open_path(work, case, document, placement)
        return SealedDocument(document)

    return releases.authorise(work, document.case_id, NOTES, reason, sealed)


def content(work: Work, document_id: UUID, release_id: UUID) -> Content:
    """What a release of a few minutes ago lets this person read, if they still may open the case.

    NotFound for no release of theirs of this very document; Conflict `document_closed` after its minutes.
    """
    document = get(work, document_id)
    released = work.session.scalar(
        select(ReleaseRecord).where(
            tenancy.own(work, ReleaseRecord),
            ReleaseRecord.id == release_id,
            ReleaseRecord.org_id == work.actor.org_id,
            ReleaseRecord.member_id == work.actor.member_id,
            ReleaseRecord.case_id == document.case_id,
            ReleaseRecord.field_class == NOTES,
            ReleaseRecord.cell_digest == document.sealed_digest,
        )
    )
    if released is None:
        raise NotFound
    with _ground(work, document.case_id, "release") as (case, placement):
        key_paths.hold(work, case, NOTES)
        work.session.refresh(document)  # As above.
        if document.sealed_digest != released.cell_digest or work.now() >= released.released_at + OPEN_LASTS:
            raise Conflict("document_closed")
        key = _open_path(work, case, document, placement).derive(work.vault, NOTES_VERSION)
        name = FileName(case.portfolio_id.bytes, case.reference.encode(), document.id.bytes)
    return Content(document, key, name)


def read(opened: Content, objects: ObjectStore, start: int, length: int) -> Iterator[bytes]:
    """Bytes of the document in the clear, a window at a time; SealBroken before any that are not authentic.

    That the object has the size of what was added is asked first, so that none that was cut off begins.
    """
    document, context = opened.document, opened.name.context()
    place, size = object_key(document.lender_id, document.object_id), cobblestone.sealed_size(document.byte_count)
    if objects.size(place) != size:
        raise SealBroken
    header = objects.read(place, 0, cobblestone.HEADER_BYTES)

    def fetch(offset: int, count: int) -> bytes:
        if (offset, count) == (0, cobblestone.HEADER_BYTES):
            return header
        return objects.read(place, offset, count)

    end = start + length
    while start < end:
        until = min(end, (start // WINDOW_BYTES + 1) * WINDOW_BYTES)
        yield cobblestone.open_range(opened.key.reveal(), context, fetch, size, start, until - start)
        start = until


def sweep(work: Work, objects: ObjectStore) -> int:
    """Delete objects that no row names: of uploads that came to nothing, of files erased or sealed anew."""
    prefix = f"document/{work.tenant_id}/"
    old = {
        object_id: key
        for key in objects.list(prefix)
        if work.at - _made_at(object_id := UUID(key.removeprefix(prefix))) > ORPHAN_AFTER
    }
    standing = set(
        work.session.scalars(
            select(CaseDocument.object_id).where(tenancy.own(work, CaseDocument), CaseDocument.erased_at.is_(None))
        )
    )
    orphans = [key for object_id, key in old.items() if object_id not in standing]
    for key in orphans:
        objects.delete(key)
    return len(orphans)


def seal_into(key: Secret, name: FileName, chunks: Iterable[bytes], objects: ObjectStore, place: str) -> bytes:
    """Seal the chunks into the store as they come; answers the object's digest."""
    digest = sha256()

    def digested() -> Iterator[bytes]:
        for piece in cobblestone.seal_stream(key.reveal(), name.context(), chunks):
            digest.update(piece)
            yield piece

    objects.put_stream(place, digested())
    return digest.digest()


def object_key(lender_id: UUID, object_id: UUID) -> str:
    return f"document/{lender_id}/{object_id}"


def get(work: Work, document_id: UUID) -> CaseDocument:
    found = work.session.scalar(
        select(CaseDocument).where(tenancy.own(work, CaseDocument), CaseDocument.id == document_id)
    )
    if found is None:
        raise NotFound
    if found.erased_at is not None:
        raise Conflict("case_erased")
    return found


def case_of(work: Work, document_id: UUID) -> UUID | None:
    """The case of a document that the actor may see, an erased one's too; None where there is no such."""
    return work.session.scalar(
        select(CaseDocument.case_id).where(tenancy.own(work, CaseDocument), CaseDocument.id == document_id)
    )


@contextmanager
def _ground(work: Work, case_id: UUID, action: str = "record_claim") -> Iterator[tuple[Case, Placement | None]]:
    """The case in the lender's tenant, held until the transaction ends, for who may act on it now."""
    if work.actor.side == AGENCY:
        placed = placed_cases.get_placed(work, case_id)
        with work.as_lender(placed.placement):
            held = placed_cases.hold(work, placed)
            held.require(action)
            yield held.case, placed.placement
        return
    if work.actor.side != LENDER or not releases.LENDER_ROLES & work.actor.roles:
        raise Forbidden
    own = select(Case).where(tenancy.own(work, Case), Case.id == case_id)
    case = work.session.scalar(own.with_for_update(read=True))  # an erasure locks it FOR UPDATE
    if case is None:
        raise NotFound
    yield case, None


def _open_path(work: Work, case: Case, document: CaseDocument, placement: Placement | None) -> OpenPath:
    path = key_paths.find(work, case, NOTES, document.epoch, placement)
    if not isinstance(path, OpenPath):
        raise Conflict("document_needs_own_key")
    return path


def _require_room(work: Work, case: Case) -> None:
    """People at work in the same moment may pass it by one each."""
    count = select(func.count(CaseDocument.id)).where(
        tenancy.of_lender(case.lender_id, CaseDocument),
        CaseDocument.case_id == case.id,
        CaseDocument.erased_at.is_(None),
    )
    if work.session.scalars(count).one() >= OF_CASE_MAX:
        raise Conflict("documents_full", documents_max=OF_CASE_MAX)


def _headed(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, and all of the chunks."""
    first = b""
    while len(first) < HEAD_BYTES and (chunk := next(chunks, None)) is not None:
        first += chunk
    return first[:HEAD_BYTES], chain([first], chunks)


def _made_at(id_: UUID) -> dt.datetime:
    """When a UUIDv7 was made."""
    return dt.datetime.fromtimestamp((id_.int >> 80) / 1000, dt.UTC)
