"""A log in the object store: its tiles and checkpoints, written once, and the roots that proofs are made of."""

from collections.abc import Iterator

from sqlalchemy import select

from crypto.merkle import HASH_BYTES, Frontier, root
from models.audit import LogLeaf
from models.errors import Conflict, NotFound
from models.objects import ObjectStore
from models.services import tenancy
from models.work import Work

TILE_HASHES = 256  # C2SP tlog-tiles: a full tile's hashes, and how many tiles one of the next level spans


class LogStore:
    """The log of the tenant at work: its objects, and the leaves of the database that they are made of."""

    def __init__(self, work: Work, objects: ObjectStore) -> None:
        self.work = work
        self.objects = objects
        self.folder = f"log/{work.tenant_id}"

    def last_note(self) -> bytes | None:
        """The last checkpoint stored: all tiles and checkpoints up to its size stand too."""
        return self._find("checkpoint")

    def note(self, size: int) -> bytes | None:
        return self._find(note_path(size))

    def put_last_note(self, note: str) -> None:
        self.objects.put(f"{self.folder}/checkpoint", note.encode())

    def put_note(self, size: int, note: str) -> None:
        self._put_once(note_path(size), note.encode())

    def put_tiles(self, old_size: int, new_size: int) -> None:
        """The tiles that filled up between two sizes, the lowest level first: upper ones are made of lower ones."""
        level, span = 0, TILE_HASHES
        while span <= new_size:
            for index in range(old_size // span, new_size // span):
                hashes = self._tile_of_tiles(level, index) if level else self.leaves(_span(index, span))
                self._put_once(tile_path(level, index), b"".join(hashes))
            level, span = level + 1, span * TILE_HASHES

    def leaves(self, part: range) -> Iterator[bytes]:
        """Leaf hashes, from the database."""
        here = tenancy.equals(LogLeaf.org_id, self.work.tenant_id)
        rows = select(LogLeaf.leaf_hash).where(here, LogLeaf.index >= part.start, LogLeaf.index < part.stop)
        return iter(self.work.session.scalars(rows.order_by(LogLeaf.index)))

    def tile(self, level: int, index: int) -> list[bytes]:
        """The hashes of a full tile; Conflict `log_forked` where it is gone."""
        path = tile_path(level, index)
        stored = self._find(path)
        if stored is None:
            raise Conflict("log_forked", place=path)
        return [stored[at : at + HASH_BYTES] for at in range(0, len(stored), HASH_BYTES)]

    def _tile_of_tiles(self, level: int, index: int) -> list[bytes]:
        return [root(self.tile(level - 1, child)) for child in _span(index, TILE_HASHES)]

    def _find(self, path: str) -> bytes | None:
        try:
            return self.objects.get(f"{self.folder}/{path}")
        except NotFound:
            return None

    def _put_once(self, path: str, data: bytes) -> None:
        """Store for good. That it stands already, to the byte, is a publisher killed before it was done."""
        key = f"{self.folder}/{path}"
        try:
            self.objects.put_once(key, data)
        except Conflict:
            if self.objects.get(key) != data:
                raise Conflict("log_forked", place=path) from None


class Tree:
    """Roots of parts of a log as it was at a size: of its full upper tiles, and of leaves where no tile is full yet.

    Whatever its length, a part takes at most TILE_HASHES tiles or the leaves of one. Nothing is taken on trust:
    what is made of these roots is checked against a signed root.
    """

    def __init__(self, store: LogStore, size: int) -> None:
        self.store = store
        self.size = size

    def root(self, part: range) -> bytes:
        """Of a part that a proof names (`crypto.merkle.inclusion_parts`): its complete subtrees, the largest first."""
        hashes, at = [], part.start
        for bit in reversed(range(len(part).bit_length())):
            if len(part) >> bit & 1:
                hashes.append(self._subtree(at, 1 << bit))
                at += 1 << bit
        return Frontier(len(part), hashes).root()

    def _subtree(self, start: int, span: int) -> bytes:
        """The root of a complete subtree: from the highest level whose hashes are not larger than it."""
        level, unit = 0, 1
        while unit * TILE_HASHES <= span:
            level, unit = level + 1, unit * TILE_HASHES
        index, first = divmod(start // unit, TILE_HASHES)
        if level and (index + 1) * unit * TILE_HASHES <= self.size:
            return root(self.store.tile(level, index)[first : first + span // unit])
        if level > 1:
            return root(root(self.store.tile(level - 1, at // unit)) for at in range(start, start + span, unit))
        return root(self.store.leaves(range(start, start + span)))


def tile_path(level: int, index: int) -> str:
    """Where a full tile stands (C2SP tlog-tiles): `tile/0/x001/x234/067` for index 1234067."""
    *above, last = [group.zfill(3) for group in f"{index:,}".split(",")]
    return "/".join(["tile", str(level), *(f"x{group}" for group in above), last])


def note_path(size: int) -> str:
    return f"checkpoints/{size}"


def _span(index: int, length: int) -> range:
    return range(index * length, (index + 1) * length)
