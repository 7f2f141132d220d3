"""The audit logs: an outbox becomes a Merkle tree, the tree a signed checkpoint, and both files that prove themselves.

Growing and signing are two Works, in this order and in turn, because a signature may only say what has committed,
and nothing is added to a tree that is not signed yet:

    with database.work(actor) as work:
        moved = logs.integrate(work)
    with database.work(actor) as work:
        logs.publish(work, objects, host)

A store and a database that hold different histories, of which one came from a backup, are a fork: nothing is added
or signed any more, and nothing is released, until they agree.
"""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, LargeBinary, delete, func, insert, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert

from crypto import notes
from crypto.bundle import Bundle, write_bundle, write_consistency
from crypto.canonical import canonical
from crypto.custody import PLATFORM
from crypto.errors import LogRefused, NoteRefused
from crypto.logfile import write_log
from crypto.merkle import EMPTY_ROOT, Frontier, consistency_parts, inclusion_parts, root
from models.audit import Checkpoint, LogHead, LogLeaf, OutboxEntry
from models.base import Base
from models.bid import Bid
from models.business_day import day_of, start_of
from models.errors import Conflict, NotFound, Unavailable
from models.objects import ObjectStore
from models.release import ReleaseRecord
from models.services import pages, tenancy
from models.services.exchange import turns
from models.services.oversight import audit
from models.services.oversight.log_store import LogStore, Tree
from models.work import JOBS, Work

LEAVES_PER_TURN_MAX = 256  # of one `integrate`: no more than this goes unsigned
ROWS_PER_FETCH = 1000
DAYS_PER_PAGE_MAX = 31
RECEIPT_FORMAT = "consign/receipt/1"


class Head(NamedTuple):
    """How far a log has grown, the checkpoint that was signed last, if any, and whether it is known to have forked."""

    size: int
    root: bytes
    checkpoint: Checkpoint | None
    forked: bool = False


class DailyRoot(NamedTuple):
    """The last checkpoint that was signed on a business day."""

    business_date: dt.date
    size: int
    root: bytes
    checkpoint: Checkpoint


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


def receipt_key(work: Work) -> bytes:
    """The platform's raw Ed25519 key that signs receipts."""
    return work.vault.custody.public(PLATFORM).signing


def integrate(work: Work) -> int:
    """Move what waits in the outbox to the end of the tree, in order; answers how many entries moved.

    At most LEAVES_PER_TURN_MAX, and none while the tree is not signed, or forked: publish, and call again.
    """
    assert work.actor.side == JOBS
    if work.session.scalar(select(OutboxEntry.id).where(_here(work, OutboxEntry)).limit(1)) is None:
        return 0
    head = _locked_head(work)
    if head.forked_at or (head.size and not _signed(work, head.size)):
        return 0
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
    killed publisher left undone, and what a store restored from an old copy lacks, is done again, to the same
    bytes. Conflict `log_forked` where the store holds another history, which must not be overwritten.
    """
    assert work.actor.side == JOBS
    assert _has_written_nothing(work), "what this Work has changed may still be rolled back, so it is not signed here"
    turns.take(work, "log.publish")
    head = work.session.scalar(select(LogHead).where(_here(work, LogHead)))
    if head is None or (_signed(work, head.size) and head.forked_at is None):
        return None
    grown = notes.Checkpoint(origin(host, head.org_id), head.size, head.root)
    store = LogStore(work, objects)
    _make_good(work, store, _stored_size(work, store, host, head), head.size)
    head.forked_at = None
    if _signed(work, head.size):
        return None
    note = work.vault.sign_checkpoint(grown)
    store.put_note(grown.size, note)
    store.put_last_note(note)
    work.session.add(Checkpoint(org_id=head.org_id, size=grown.size, note=note, signed_at=work.at))
    work.session.flush()
    return grown


def require_one_history(work: Work, objects: ObjectStore, host: str) -> None:
    """Conflict `log_forked` where the store holds what this database does not: one of them was restored."""
    turns.take(work, "log.publish")
    head = work.session.scalar(select(LogHead).where(_here(work, LogHead)))
    if head is not None:
        _stored_size(work, LogStore(work, objects), host, head)


def mark_forked(work: Work) -> None:
    """From now on nothing of this tenant is released. What found the fork has rolled back, so this is another Work."""
    assert work.actor.side == JOBS
    head = _locked_head(work)
    head.forked_at = head.forked_at or work.at
    work.session.flush()


def head(work: Work) -> Head:
    """The state of the log of the tenant at work; an untouched log is empty."""
    found = work.session.scalar(select(LogHead).where(_here(work, LogHead)))
    if found is None:
        return Head(0, EMPTY_ROOT, None)
    return Head(found.size, found.root, _last_signed(work), found.forked_at is not None)


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


def bundle(work: Work, objects: ObjectStore, leaf_hash: bytes) -> str:
    """One entry and the proof of its place in the last checkpoint, as a file of one line (`crypto.bundle`).

    NotFound for what this log does not hold; Unavailable for an entry on its way into it.
    """
    leaf = work.session.scalar(select(LogLeaf).where(_here(work, LogLeaf), LogLeaf.leaf_hash == leaf_hash))
    if leaf is None and _released_at(work, leaf_hash) is None:
        raise NotFound
    checkpoint = _require_signed(work)
    if leaf is None or leaf.index >= checkpoint.size:
        raise Unavailable("log_not_published", retry_seconds=2)
    tree = Tree(LogStore(work, objects), checkpoint.size)
    proof = [tree.root(part) for part in inclusion_parts(leaf.index, checkpoint.size)]
    try:
        return write_bundle(Bundle(leaf.index, leaf.salt, leaf.entry, proof, checkpoint.note)).decode()
    except LogRefused:
        raise Conflict("log_forked") from None


def consistency(work: Work, objects: ObjectStore, old_size: int, new_size: int | None = None) -> str:
    """That the checkpoint of one size is the beginning of another's, or of the last one's: a file of one line.

    NotFound where there is no checkpoint of a size; Conflict where the sizes cannot follow each other.
    """
    new = _last_signed(work) if new_size is None else _checkpoint_of(work, new_size)
    old = _checkpoint_of(work, old_size)
    if old is None or new is None:
        raise NotFound
    if old.size > new.size:
        raise Conflict("sizes_reversed")
    tree = Tree(LogStore(work, objects), new.size)
    proof = [tree.root(part) for part in consistency_parts(old.size, new.size)]
    try:
        return write_consistency(old.note, new.note, proof).decode()
    except LogRefused:
        raise Conflict("log_forked") from None


def list_daily_roots(work: Work, before: dt.date | None = None, limit: int = DAYS_PER_PAGE_MAX) -> list[DailyRoot]:
    """The newest business day first; a day on which nothing was signed has none. `before` ended the page before."""
    found: list[DailyRoot] = []
    until = start_of(before) if before else None
    # One step through an index for each day: a day may have 86,400 checkpoints.
    while len(found) < max(1, min(limit, DAYS_PER_PAGE_MAX)):
        newest = select(Checkpoint).where(_here(work, Checkpoint))
        newest = newest.order_by(Checkpoint.signed_at.desc(), Checkpoint.size.desc()).limit(1)
        last = work.session.scalar(newest.where(Checkpoint.signed_at < until) if until else newest)
        if last is None:
            break
        on, signed = day_of(last.signed_at), _parsed(last)
        found.append(DailyRoot(on, signed.size, signed.root, last))
        until = start_of(on)
    return found


def list_entries(work: Work, before: int | None = None, limit: int = 50) -> list[LogLeaf]:
    """The newest entries first; `before` is the index at which the page before ended."""
    leaves = select(LogLeaf).where(_here(work, LogLeaf))
    if before is not None:
        leaves = leaves.where(LogLeaf.index < before)
    return list(work.session.scalars(leaves.order_by(LogLeaf.index.desc()).limit(pages.clamped(limit))))


def receipt(work: Work, leaf_hash: bytes) -> Receipt:
    """A receipt for an entry that the actor may know of: one of its own log, of a release it made, or of its bid.

    Its time is the entry's own. A release and a commitment have the same time, and tell it to their agency, who sees
    nothing of the log.
    """
    at = _released_at(work, leaf_hash) or _committed_at(work, leaf_hash)
    time = audit.time_text(at) if at else _entry_time(work, leaf_hash)
    if time is None:
        raise NotFound
    statement = canonical({"format": RECEIPT_FORMAT, "leaf_hash": leaf_hash.hex(), "at": time})
    return Receipt(statement.decode(), work.vault.custody.sign(PLATFORM, "receipt", statement))


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


def _checkpoint_of(work: Work, size: int) -> Checkpoint | None:
    return work.session.scalar(select(Checkpoint).where(_here(work, Checkpoint), Checkpoint.size == size))


def _parsed(checkpoint: Checkpoint) -> notes.Checkpoint:
    return notes.Checkpoint.parse(notes.split_note(checkpoint.note)[0])


def _stored_size(work: Work, store: LogStore, host: str, head: LogHead) -> int:
    """How far the store is. Conflict `log_forked` where what stands there is not the beginning of this log."""
    note = store.last_note()
    if note is None:
        return 0
    try:
        stored = notes.Checkpoint.parse(notes.open_note(note, [verifier_key(work, host)]).text)
    except NoteRefused:
        raise Conflict("log_forked") from None
    if stored.size > head.size or stored.root != _root_at(work, store, stored.size, head):
        raise Conflict("log_forked")
    return stored.size


def _root_at(work: Work, store: LogStore, size: int, head: LogHead) -> bytes:
    """The database's own root at an earlier size. What the store says is under suspicion, so no tile is asked."""
    if size == head.size:
        return head.root
    signed = _checkpoint_of(work, size)
    return _parsed(signed).root if signed else root(store.leaves(range(size)))


def _make_good(work: Work, store: LogStore, old_size: int, new_size: int) -> None:
    """Tiles and checkpoints between two sizes: new ones, and those that a store restored from an old copy lacks."""
    store.put_tiles(old_size, new_size)
    between = select(Checkpoint).where(_here(work, Checkpoint), Checkpoint.size > old_size)
    for signed in work.session.scalars(between.order_by(Checkpoint.size)):
        store.put_note(signed.size, signed.note)
        store.put_last_note(signed.note)


def _entries(work: Work, size: int) -> Iterator[tuple[bytes, bytes]]:
    """(salt, entry) of the first `size` leaves, through a cursor that holds few at a time."""
    leaves = select(LogLeaf.salt, LogLeaf.entry).where(_here(work, LogLeaf), LogLeaf.index < size)
    query = leaves.order_by(LogLeaf.index)
    with work.session.execute(query, execution_options={"yield_per": ROWS_PER_FETCH}) as fetched:
        yield from fetched


def _released_at(work: Work, leaf_hash: bytes) -> dt.datetime | None:
    """When a release was made that the actor may know of, by its entry."""
    known = tenancy.own(work, ReleaseRecord)
    return work.session.scalar(select(ReleaseRecord.released_at).where(known, ReleaseRecord.entry_leaf == leaf_hash))


def _committed_at(work: Work, leaf_hash: bytes) -> dt.datetime | None:
    """When a sealed bid that the actor may know of was committed to, by its entry."""
    return work.session.scalar(select(Bid.committed_at).where(tenancy.own(work, Bid), Bid.entry_leaf == leaf_hash))


def _entry_time(work: Work, leaf_hash: bytes) -> str | None:
    entry = work.session.scalar(select(LogLeaf.entry).where(_here(work, LogLeaf), LogLeaf.leaf_hash == leaf_hash))
    return str(json.loads(entry)["at"]) if entry is not None else None
