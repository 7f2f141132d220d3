"""Whether a log stands as it was signed: every row and every object of it, read again and compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Select, select

from crypto import notes
from crypto.errors import NoteRefused
from crypto.logfile import entry_leaf_hash
from crypto.merkle import Frontier, root
from models.audit import Checkpoint, LogHead, LogLeaf
from models.errors import Conflict
from models.objects import ObjectStore
from models.services import tenancy
from models.services.oversight import log_store, logs
from models.services.oversight.log_store import LogStore
from models.work import Work

ROWS_PER_FETCH = 1000


def check(work: Work, objects: ObjectStore, host: str) -> int:
    """Read the whole log of the tenant at work, in constant memory; answers how many leaves it has.

    Conflict `log_forked` names the first `place` that is not as it was signed. Leaves that are not signed yet have
    no tile. The log may grow meanwhile: what is asked first may be behind what is asked later, never ahead.
    """
    last = work.session.scalar(_rows(work, Checkpoint).order_by(Checkpoint.size.desc()).limit(1))
    signed_size, store = last.size if last else 0, LogStore(work, objects)
    stored = _opened(work, host, store.last_note(), "the stored checkpoint") if last else None
    head = work.session.scalar(_rows(work, LogHead))
    size = head.size if head else 0
    frontier, tiles = Frontier(), _Tiles(store, signed_size)
    notes_of = _rows(work, Checkpoint).where(Checkpoint.size <= signed_size).order_by(Checkpoint.size)
    leaves_of = _rows(work, LogLeaf).where(LogLeaf.index < size).order_by(LogLeaf.index)
    with _streamed(work, notes_of) as signed, _streamed(work, leaves_of) as leaves:
        due: Checkpoint | None = next(signed, None)
        for leaf in leaves:
            _require(leaf.index == frontier.size, f"leaf {frontier.size}")
            _require(entry_leaf_hash(leaf.salt, leaf.entry) == leaf.leaf_hash, f"leaf {leaf.index}")
            frontier.append(leaf.leaf_hash)
            tiles.append(leaf.leaf_hash)
            if due and due.size == frontier.size:
                place = f"checkpoint {due.size}"
                _require(_opened(work, host, due.note, place).root == frontier.root(), place)
                _require(store.note(due.size) == due.note.encode(), f"the stored checkpoint {due.size}")
                due = next(signed, None)
            if stored and stored.size == frontier.size:
                _require(stored.root == frontier.root(), "the stored checkpoint")
    _require(due is None, "a checkpoint beyond the leaves")
    _require(stored is None or signed_size <= stored.size <= frontier.size, "the stored checkpoint")
    if head:
        found = (head.size, head.root, head.frontier)
        _require(found == (frontier.size, frontier.root(), frontier.to_list()), "the head")
    return frontier.size


class _Tiles:
    """Compares each tile with the stored one when its last hash is there."""

    def __init__(self, store: LogStore, size: int) -> None:
        self.store = store
        self.size = size
        self.open: list[list[bytes]] = []
        self.full: list[int] = []

    def append(self, leaf_hash: bytes) -> None:
        level, one, span = 0, leaf_hash, log_store.TILE_HASHES
        while True:
            if level == len(self.open):
                self.open.append([])
                self.full.append(0)
            self.open[level].append(one)
            if len(self.open[level]) < log_store.TILE_HASHES:
                return
            hashes, index = self.open[level], self.full[level]
            if (index + 1) * span <= self.size:
                _require(self.store.tile(level, index) == hashes, log_store.tile_path(level, index))
            self.open[level], self.full[level] = [], index + 1
            level, one, span = level + 1, root(hashes), span * log_store.TILE_HASHES


def _rows(work: Work, table: Any) -> Select[Any]:
    return select(table).where(tenancy.equals(table.org_id, work.tenant_id))


@contextmanager
def _streamed(work: Work, query: Select[Any]) -> Iterator[Iterator[Any]]:
    """Rows through a cursor that holds few at a time."""
    with work.session.execute(query, execution_options={"yield_per": ROWS_PER_FETCH}) as rows:
        yield iter(rows.scalars())


def _opened(work: Work, host: str, note: bytes | str | None, place: str) -> notes.Checkpoint:
    """What a note says, where it is signed with this log's key and by nobody else."""
    try:
        opened = notes.open_note(note or "", [logs.verifier_key(work, host)])
        _require(not opened.unverified, place)
        return notes.Checkpoint.parse(opened.text)
    except NoteRefused:
        raise Conflict("log_forked", place=place) from None


def _require(holds: bool, place: str) -> None:
    if not holds:
        raise Conflict("log_forked", place=place)
