"""The audit logs: an outbox becomes a Merkle tree, the tree a signed checkpoint, and both a file that proves itself.

Growing and signing are two Works, in this order, because a signature may only say what has committed:

    with database.work(actor) as work:
        moved = logs.integrate(work)
    with database.work(actor) as work:
        logs.publish(work, objects, host)
"""

import datetime as dt
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, LargeBinary, delete, func, insert, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert

from crypto import notes
from crypto.canonical import canonical
from crypto.custody import PLATFORM
from crypto.logfile import write_log
from crypto.merkle import EMPTY_ROOT, HASH_BYTES, Frontier, root
from models.audit import Checkpoint, LogHead, LogLeaf, OutboxEntry
from models.base import Base
from models.errors import Conflict, NotFound, Unavailable
from models.objects import ObjectStore
from models.release import ReleaseRecord
from models.services import audit, pages, tenancy, turns
from models.work import JOBS, Work

LEAVES_PER_TURN_MAX = 256  # of one `integrate`: no more than this goes unsigned
TILE_HASHES = 256  # C2SP tlog-tiles: a full tile's hashes, and how many tiles one of the next level spans
ROWS_PER_FETCH = 1000
RECEIPT_FORMAT = "consign/receipt/1"


class Head(NamedTuple):
    """How far a log has grown, and the checkpoint that was signed last, if any."""

    size: int
    root: bytes
    checkpoint: Checkpoint | None


class Receipt(NamedTuple):
    """The platform's word that the log holds an entry: its leaf hash and time, not where it stands.

    `signature` is Ed25519 over `statement` for the purpose `receipt` (`crypto.grants.verify_signature`).
    """

    statement: str
    signature: bytes


def origin(host: str, org_id: UUID) -> str:
    """The log's name for good; a log that changes its name is another log."""
    return f"{host}/log/{org_id}"


def verifier_key(work: Work, host: str) -> str:
    """What an auditor pins for the log of the tenant at work: `NAME+HASH+KEY`."""
    return work.vault.log_verifier(origin(host, work.tenant_id))


def integrate(work: Work) -> int:
    """Move what waits in the outbox to the end of the tree, in order; answers how many entries moved.

    At most LEAVES_PER_TURN_MAX, so that a checkpoint can follow: call again while it moves as many.
    """
    assert work.actor.side == JOBS
    if work.session.scalar(select(OutboxEntry.id).where(_here(work, OutboxEntry)).limit(1)) is None:
        return 0
    head = _locked_head(work)
    frontier = Frontier(head.size, head.frontier)
    leaves = _move(work, head.size)
    for leaf in leaves:
        frontier.append(leaf)
    head.size, head.root, head.frontier = frontier.size, frontier.root(), frontier.to_list()
    work.session.flush()
    return len(leaves)


def publish(work: Work, objects: ObjectStore, host: str) -> notes.Checkpoint | None:
    """Sign the committed tree and store its new tiles and checkpoint; None where that size is signed already.

    Needs a Work of its own. The checkpoint's row comes last: where it stands, the objects stand. What a
    killed publisher left undone is done by the next, to the same bytes. Conflict `log_forked` where the store
    holds another history, which a database restored from a backup would overwrite.
    """
    assert work.actor.side == JOBS
    assert _has_written_nothing(work), "what this Work has changed may still be rolled back, so it is not signed here"
    turns.take(work, "log.publish")
    head = work.session.scalar(select(LogHead).where(_here(work, LogHead)))
    if head is None or _signed(work, head.size):
        return None
    folder = f"log/{head.org_id}"
    grown = notes.Checkpoint(origin(host, head.org_id), head.size, head.root)
    stored = _stored_checkpoint(objects, folder)
    if stored and not _may_follow(stored, grown):
        raise Conflict("log_forked")
    _store_tiles(work, objects, folder, stored.size if stored else 0, grown.size)
    note = work.vault.sign_checkpoint(grown)
    _store_once(objects, f"{folder}/checkpoints/{grown.size}", note.encode())
    objects.put(f"{folder}/checkpoint", note.encode())
    work.session.add(Checkpoint(org_id=head.org_id, size=grown.size, note=note, signed_at=work.at))
    work.session.flush()
    return grown


def head(work: Work) -> Head:
    """The state of the log of the tenant at work; an untouched log is empty."""
    found = work.session.scalar(select(LogHead).where(_here(work, LogHead)))
    return Head(found.size if found else 0, found.root if found else EMPTY_ROOT, _last_signed(work))


def record_export(work: Work) -> Checkpoint:
    """Log that the log is taken away, in a Work that commits before its first line leaves.

    A download broken off would take the entry back with its own Work. Unavailable while nothing is signed.
    """
    checkpoint = _require_signed(work)
    audit.record(work, audit.Action.EXPORT_DOWNLOAD, {"export": "log", "size": checkpoint.size})
    return checkpoint


def export(work: Work) -> Iterator[str]:
    """The whole log as the lines of one file (`crypto.logfile`), up to the checkpoint that was signed last.

    Lines are read while they are taken, so the Work stays open for as long. Unavailable while nothing is signed.
    """
    checkpoint = _require_signed(work)
    return (line.decode() for line in write_log(checkpoint.note, _entries(work, checkpoint.size)))


def list_entries(work: Work, before: int | None = None, limit: int = 50) -> list[LogLeaf]:
    """The newest entries first; `before` is the index at which the page before ended."""
    leaves = select(LogLeaf).where(_here(work, LogLeaf))
    if before is not None:
        leaves = leaves.where(LogLeaf.index < before)
    return list(work.session.scalars(leaves.order_by(LogLeaf.index.desc()).limit(pages.clamped(limit))))


def receipt(work: Work, leaf_hash: bytes) -> Receipt:
    """A receipt for an entry that the actor may know of: one of its own log, or of a release it made."""
    at = _recorded_at(work, leaf_hash)
    if at is None:
        raise NotFound
    time = at.astimezone(dt.UTC).isoformat(timespec="microseconds")
    statement = canonical({"format": RECEIPT_FORMAT, "leaf_hash": leaf_hash.hex(), "at": time})
    return Receipt(statement.decode(), work.vault.custody.sign(PLATFORM, "receipt", statement))


def tile_path(level: int, index: int) -> str:
    """Where a full tile stands (C2SP tlog-tiles): `tile/0/x001/x234/067` for index 1234067."""
    *above, last = [group.zfill(3) for group in f"{index:,}".split(",")]
    return "/".join(["tile", str(level), *(f"x{group}" for group in above), last])


def _here(work: Work, table: type[Base]) -> ColumnElement[bool]:
    """Rows of the log of the tenant at work: an auditor's is the lender's."""
    columns: Any = table
    return tenancy.equals(columns.org_id, work.tenant_id)


def _locked_head(work: Work) -> LogHead:
    """The log's head, made where there is none, held until the transaction ends: integrators take turns on it."""
    empty = {"org_id": work.tenant_id, "size": 0, "root": EMPTY_ROOT, "frontier": []}
    work.session.execute(upsert(LogHead).values(empty).on_conflict_do_nothing())
    locked = select(LogHead).where(_here(work, LogHead)).with_for_update()
    return work.session.scalars(locked, execution_options={"populate_existing": True}).one()


def _move(work: Work, size: int) -> list[bytes]:
    """Outbox rows become leaves from index `size`, in one statement; answers their leaf hashes in order."""
    waiting = select(OutboxEntry.id).where(_here(work, OutboxEntry)).order_by(OutboxEntry.id)
    moved = (
        delete(OutboxEntry)
        .where(OutboxEntry.id.in_(waiting.limit(LEAVES_PER_TURN_MAX)))
        .returning(OutboxEntry.id, OutboxEntry.org_id, OutboxEntry.entry, OutboxEntry.salt, OutboxEntry.recorded_at)
        .cte("moved")
    )
    # The same hash as `crypto.logfile.entry_leaf_hash`, made where the entries are.
    leaf_data = func.sha256(moved.c.salt.op("||")(moved.c.entry))
    leaf_hash = func.sha256(literal(b"\x00", LargeBinary).op("||")(leaf_data))
    index = size - 1 + func.row_number().over(order_by=moved.c.id)
    leaves = work.session.execute(
        insert(LogLeaf)
        .from_select(
            ["org_id", "index", "leaf_hash", "entry", "salt", "recorded_at"],
            select(moved.c.org_id, index, leaf_hash, moved.c.entry, moved.c.salt, moved.c.recorded_at),
        )
        .returning(LogLeaf.index, LogLeaf.leaf_hash)
    )
    return [leaf for _, leaf in sorted((index, leaf) for index, leaf in leaves)]


def _has_written_nothing(work: Work) -> bool:
    return work.session.scalar(select(func.pg_current_xact_id_if_assigned().is_(None))) is True


def _signed(work: Work, size: int) -> bool:
    return bool(work.session.scalar(select(Checkpoint.size).where(_here(work, Checkpoint), Checkpoint.size == size)))


def _require_signed(work: Work) -> Checkpoint:
    checkpoint = _last_signed(work)
    if checkpoint is None:
        raise Unavailable("log_not_published", retry_seconds=2)
    return checkpoint


def _last_signed(work: Work) -> Checkpoint | None:
    newest = select(Checkpoint).where(_here(work, Checkpoint)).order_by(Checkpoint.size.desc()).limit(1)
    return work.session.scalar(newest)


def _stored_checkpoint(objects: ObjectStore, folder: str) -> notes.Checkpoint | None:
    """The last checkpoint of the object store: all tiles and checkpoints up to its size stand there."""
    try:
        note = objects.get(f"{folder}/checkpoint")
    except NotFound:
        return None
    return notes.Checkpoint.parse(notes.split_note(note)[0])


def _may_follow(stored: notes.Checkpoint, grown: notes.Checkpoint) -> bool:
    return grown == stored or (grown.origin == stored.origin and grown.size > stored.size)


def _store_tiles(work: Work, objects: ObjectStore, folder: str, old_size: int, new_size: int) -> None:
    """The tiles that filled up between two sizes, the lowest level first: upper ones are made of lower ones."""
    level, span = 0, TILE_HASHES
    while span <= new_size:
        for index in range(old_size // span, new_size // span):
            hashes = _tile_of_tiles(objects, folder, level, index) if level else _tile_of_leaves(work, index)
            _store_once(objects, f"{folder}/{tile_path(level, index)}", b"".join(hashes))
        level, span = level + 1, span * TILE_HASHES


def _tile_of_leaves(work: Work, index: int) -> list[bytes]:
    first = index * TILE_HASHES
    leaves = select(LogLeaf.leaf_hash).where(
        _here(work, LogLeaf), LogLeaf.index >= first, LogLeaf.index < first + TILE_HASHES
    )
    return list(work.session.scalars(leaves.order_by(LogLeaf.index)))


def _tile_of_tiles(objects: ObjectStore, folder: str, level: int, index: int) -> list[bytes]:
    first = index * TILE_HASHES
    below = [objects.get(f"{folder}/{tile_path(level - 1, first + child)}") for child in range(TILE_HASHES)]
    return [root(tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)) for tile in below]


def _store_once(objects: ObjectStore, key: str, data: bytes) -> None:
    """Store for good. That it stands already, to the byte, is a publisher killed before it was done."""
    try:
        objects.put_once(key, data)
    except Conflict:
        if objects.get(key) != data:
            raise Conflict("log_forked") from None


def _entries(work: Work, size: int) -> Iterator[tuple[bytes, bytes]]:
    """(salt, entry) of the first `size` leaves, through a cursor that holds few at a time."""
    leaves = select(LogLeaf.salt, LogLeaf.entry).where(_here(work, LogLeaf), LogLeaf.index < size)
    query = leaves.order_by(LogLeaf.index)
    with work.session.execute(query, execution_options={"yield_per": ROWS_PER_FETCH}) as fetched:
        yield from fetched


def _recorded_at(work: Work, leaf_hash: bytes) -> dt.datetime | None:
    """A release tells its time itself, to its lender and to its agency, who sees nothing of the lender's log."""
    released = select(ReleaseRecord.released_at).where(
        tenancy.own(work, ReleaseRecord), ReleaseRecord.entry_leaf == leaf_hash
    )
    logged = select(LogLeaf.recorded_at).where(_here(work, LogLeaf), LogLeaf.leaf_hash == leaf_hash)
    return work.session.scalar(released) or work.session.scalar(logged)
