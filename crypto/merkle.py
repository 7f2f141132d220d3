"""RFC 6962 Merkle trees: hashes, roots, proofs, and the frontier a growing log carries."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from hmac import compare_digest

from crypto.errors import ProofRefused

HASH_BYTES = 32
EMPTY_ROOT = sha256().digest()


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: one hash per complete subtree, largest first.

    Appends in amortised constant time and holds at most 64 hashes, whatever the size.
    """

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(hashes) != size.bit_count() or any(len(one) != HASH_BYTES for one in hashes):
            raise ProofRefused("a frontier has one hash of 32 bytes for each 1 bit of its size")
        self.size = size
        self._hashes = list(hashes)

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        hashes, carry = self._hashes, self.size
        while carry & 1:
            leaf = sha256(b"\x01" + hashes.pop() + leaf).digest()
            carry >>= 1
        hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self._hashes:
            return EMPTY_ROOT
        root = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            root = node_hash(left, root)
        return root

    def to_list(self) -> list[bytes]:
        """The hashes to store beside `size`; `Frontier(size, hashes)` brings it back."""
        return list(self._hashes)


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """The tree's root over leaf hashes in order."""
    frontier = Frontier()
    for leaf in leaf_hashes:
        frontier.append(leaf)
    return frontier.root()


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of one leaf, from the leaf up (RFC 6962, 2.1.1)."""
    return [root(leaf_hashes[part.start : part.stop]) for part in inclusion_parts(index, len(leaf_hashes))]


def consistency_proof(leaf_hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """That the first `old_size` leaves are a prefix of all (RFC 6962, 2.1.2)."""
    return [root(leaf_hashes[part.start : part.stop]) for part in consistency_parts(old_size, len(leaf_hashes))]


def inclusion_parts(index: int, size: int) -> list[range]:
    """The leaves below each hash of an inclusion proof, for whoever has the roots of subtrees at hand."""
    if not 0 <= index < size:
        raise ProofRefused("no such leaf")
    parts, low, high = [], 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            parts.append(range(middle, high))
            high = middle
        else:
            parts.append(range(low, middle))
            low = middle
    return parts[::-1]


def consistency_parts(old_size: int, size: int) -> list[range]:
    """The leaves below each hash of a consistency proof."""
    if not 0 < old_size <= size:
        raise ProofRefused("no such earlier tree")
    parts, low, high = [], 0, size
    while old_size != high:
        middle = low + _split(high - low)
        if old_size <= middle:
            parts.append(range(middle, high))
            high = middle
        else:
            parts.append(range(low, middle))
            low = middle
    if low:  # The old tree's own root is known to the verifier; a part of it is not.
        parts.append(range(low, high))
    return parts[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes] | None, root: bytes) -> None:
    """Check a leaf hash against a root (RFC 9162, 2.1.3.2), or `ProofRefused`."""
    if not 0 <= index < size:
        raise ProofRefused("the leaf lies outside the tree")
    _check_hashes(leaf, root, *(proof or ()))
    node, last, found = index, size - 1, leaf
    for sibling in proof or ():
        if last == 0:
            raise ProofRefused("the proof is too long")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or not compare_digest(found, root):
        raise ProofRefused("the proof does not lead to the root")


def verify_consistency(
    old_size: int, new_size: int, proof: Sequence[bytes] | None, old_root: bytes, new_root: bytes
) -> None:
    """Check that one tree is the beginning of another (RFC 9162, 2.1.4.2), or `ProofRefused`.

    From an empty tree nothing follows, so only sizes from 1 are proved.
    """
    path = list(proof or ())
    if not 0 < old_size <= new_size:
        raise ProofRefused("the sizes cannot follow each other")
    _check_hashes(old_root, new_root, *path)
    if old_size == new_size:
        if path or not compare_digest(old_root, new_root):
            raise ProofRefused("trees of one size differ")
        return
    if old_size.bit_count() == 1:
        path.insert(0, old_root)
    if not path:
        raise ProofRefused("the proof is too short")
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_found = new_found = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofRefused("the proof is too long")
        if node & 1 or node == last:
            old_found, new_found = node_hash(sibling, old_found), node_hash(sibling, new_found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_found = node_hash(new_found, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or not compare_digest(old_found, old_root) or not compare_digest(new_found, new_root):
        raise ProofRefused("the proof does not lead to both roots")


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _check_hashes(*hashes: bytes) -> None:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise ProofRefused("a hash has 32 bytes")
