"""RFC 6962 trees: the published tree and proofs, then everything that must not verify."""

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import ProofRefused
from crypto.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_parts,
    consistency_proof,
    inclusion_parts,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(bytes([number])) for number in range(40)]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962's own recursion."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:middle]) + naive_root(leaves[middle:])).digest()


def decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def test_the_published_tree_comes_out_as_published(published) -> None:
    tree = published("rfc6962_reference_tree.json")
    assert (len(tree["leaf_inputs_hex"]), len(tree["root_hash_by_size_hex"])) == (8, 9)
    leaves = [leaf_hash(bytes.fromhex(text)) for text in tree["leaf_inputs_hex"]]
    levels = [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(left, right) for left, right in zip(below[::2], below[1::2], strict=True)])
    assert [[one.hex() for one in level] for level in levels] == tree["node_hashes_by_level_hex"]
    assert [root(leaves[:size]).hex() for size in range(9)] == tree["root_hash_by_size_hex"]
    assert leaf_hash(b"L123456").hex() == tree["hasher"]["leaf_L123456"]
    assert node_hash(b"N123", b"N456").hex() == tree["hasher"]["node_N123_N456"]
    assert EMPTY_ROOT.hex() == tree["hasher"]["empty"]


def verify(test: dict[str, Any]) -> None:
    proof = [decoded(one) for one in test["proof"]] if test["proof"] is not None else None
    if test["kind"] == "inclusion":
        leaf, top = decoded(test["leafHash"]), decoded(test["root"])
        verify_inclusion(test["leafIdx"], test["treeSize"], leaf, proof, top)
    else:
        verify_consistency(test["size1"], test["size2"], proof, decoded(test["root1"]), decoded(test["root2"]))


def test_every_published_proof_is_taken_or_refused_as_published(published) -> None:
    refused = 0
    tests = published("merkle_proofs.jsonl")
    for test in tests:
        if test["wantErr"]:
            with pytest.raises(ProofRefused):
                verify(test)
            refused += 1
        else:
            verify(test)
    assert (len(tests), refused) == (98, 91)


@given(st.integers(0, 40))
def test_a_root_is_that_of_the_recursion(size: int) -> None:
    assert root(LEAVES[:size]) == naive_root(LEAVES[:size])


@given(st.integers(1, 40), st.data())
def test_every_leaf_proves_its_place_and_no_other(size: int, data: st.DataObject) -> None:
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    proof, top = inclusion_proof(LEAVES[:size], index), root(LEAVES[:size])
    verify_inclusion(index, size, LEAVES[index], proof, top)
    if other != index:
        with pytest.raises(ProofRefused):
            verify_inclusion(other, size, LEAVES[index], proof, top)
    with pytest.raises(ProofRefused):
        verify_inclusion(index, size, LEAVES[(index + 1) % 40], proof, top)


@given(st.integers(1, 40), st.data())
def test_every_tree_follows_from_its_beginnings(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    proof = consistency_proof(LEAVES[:size], old)
    verify_consistency(old, size, proof, root(LEAVES[:old]), root(LEAVES[:size]))
    forked = [leaf_hash(b"another"), *LEAVES[1:old]]
    with pytest.raises(ProofRefused):
        verify_consistency(old, size, proof, root(forked), root(LEAVES[:size]))


@given(st.integers(2, 40), st.data())
def test_no_bit_of_a_proof_can_change(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(LEAVES[:size], index)
    place, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    altered = bytearray(proof[place])
    altered[bit // 8] ^= 1 << bit % 8
    proof[place] = bytes(altered)
    with pytest.raises(ProofRefused):
        verify_inclusion(index, size, LEAVES[index], proof, root(LEAVES[:size]))


@pytest.mark.parametrize("index", [-1, 3])
def test_a_leaf_outside_the_tree_has_no_proof(index: int) -> None:
    with pytest.raises(ProofRefused):
        inclusion_proof(LEAVES[:3], index)


@pytest.mark.parametrize("old_size", [-1, 0, 4])
def test_a_tree_that_is_no_beginning_has_no_proof(old_size: int) -> None:
    with pytest.raises(ProofRefused):
        consistency_proof(LEAVES[:3], old_size)


@given(st.integers(1, 40), st.data())
def test_the_parts_of_a_proof_are_complete_subtrees_or_the_ragged_end(size: int, data: st.DataObject) -> None:
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    for part in [*inclusion_parts(index, size), *consistency_parts(old, size)]:
        span = 1 << (len(part) - 1).bit_length()
        assert part.start % span == 0
        assert len(part) == span or part.stop == size


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_frontier_stored_and_brought_back_grows_the_same_tree(stored_at: int, size: int) -> None:
    frontier = Frontier()
    for number in range(size):
        if number == stored_at:
            frontier = Frontier(frontier.size, frontier.to_list())
        frontier.append(LEAVES[number])
    assert (frontier.size, frontier.root()) == (size, root(LEAVES[:size]))
    assert len(frontier.to_list()) == size.bit_count()


@pytest.mark.parametrize(("size", "hashes"), [(-1, []), (0, [bytes(32)]), (3, [bytes(32)]), (1, [bytes(31)])])
def test_a_frontier_that_is_not_of_its_size_is_refused(size: int, hashes: list[bytes]) -> None:
    with pytest.raises(ProofRefused):
        Frontier(size, hashes)
