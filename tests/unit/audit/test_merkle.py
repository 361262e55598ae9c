"""The tree against pymerkle and the Certificate Transparency vectors; proofs with everything that must be refused."""

from __future__ import annotations

from hashlib import sha256

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.tlog.merkle import (
    EMPTY_ROOT,
    Frontier,
    fold,
    frontier_at,
    leaf_hash,
    node_hash,
    range_root,
    ranges_needed,
    subtrees,
)
from app.audit.tlog.proofs import (
    consistency_holds,
    consistency_ranges,
    inclusion_holds,
    inclusion_ranges,
    proof_hashes,
    root_from_inclusion,
)

CT_ENTRIES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
"""The eight leaves of the test data of Certificate Transparency."""
MOST = 300
ENTRIES = [f"entry {number}".encode() for number in range(MOST)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def reference_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, written as there."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(reference_root(leaves[:k]), reference_root(leaves[k:]))


def stored_hashes() -> dict[tuple[int, int], bytes]:
    """What the store keeps: leaf hashes and the nodes of level 8."""
    stored = {(0, n): leaf for n, leaf in enumerate(LEAVES)}
    frontier = Frontier()
    for leaf in LEAVES:
        stored.update({(level, n): value for level, n, value in frontier.append(leaf)})
    return stored


STORED = stored_hashes()
ROOTS = [reference_root(LEAVES[:size]) for size in range(MOST + 1)]


def test_the_root_of_the_certificate_transparency_vectors():
    frontier = Frontier()
    for entry in CT_ENTRIES:
        frontier.append(leaf_hash(entry))
    assert frontier.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_the_empty_tree():
    assert Frontier().root() == EMPTY_ROOT == fold([]) == sha256(b"").digest()


def test_frontier_equals_pymerkle_at_every_size():
    tree, frontier = pymerkle.InmemoryTree(algorithm="sha256"), Frontier()
    for size, entry in enumerate(ENTRIES, 1):
        tree.append_entry(entry)
        frontier.append(leaf_hash(entry))
        assert frontier.root() == tree.get_root() == ROOTS[size]
        assert Frontier(size, frontier.pack()).root() == frontier.root()


def test_every_256_leaves_complete_one_tile_node():
    frontier = Frontier()
    made = [node for leaf in LEAVES for node in frontier.append(leaf)]
    assert made == [(8, 0, ROOTS[256])]
    big = Frontier(65_535, b"".join(bytes([n]) * 32 for n in range(16)))
    assert [(level, n) for level, n, _ in big.append(bytes(32))] == [(8, 255), (16, 0)]


@pytest.mark.parametrize(("size", "packed"), [(1, b""), (3, bytes(32)), (0, bytes(32)), (-1, b"")])
def test_a_frontier_that_does_not_fit_its_size_is_refused(size, packed):
    with pytest.raises(ValueError, match="frontier"):
        Frontier(size, packed)


@given(st.integers(0, MOST))
def test_the_frontier_at_any_size_from_stored_hashes(size):
    wanted = ranges_needed([(0, size)])
    stored = {(level, n): STORED[level, n] for level, first, count in wanted for n in range(first, first + count)}
    assert frontier_at(size, stored).root() == range_root(0, size, stored) == ROOTS[size]


@given(st.integers(0, 2**40))
def test_subtrees_cover_a_range_without_gap(size):
    position = 0
    for level, n in subtrees(0, size):
        assert n << level == position
        position += 1 << level
    assert position == size


@given(st.integers(1, MOST).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))))
def test_inclusion_proofs_hold_and_lead_nowhere_else(pair):
    index, size = pair
    path = proof_hashes(inclusion_ranges(index, size), STORED)
    assert inclusion_holds(LEAVES[index], index, size, path, ROOTS[size])
    assert not inclusion_holds(LEAVES[index - 1] if size > 1 else bytes(32), index, size, path, ROOTS[size])
    assert not inclusion_holds(LEAVES[index], index, size, [*path, bytes(32)], ROOTS[size])
    assert not inclusion_holds(LEAVES[index], index, size, path[:-1], ROOTS[size]) or not path
    assert not inclusion_holds(LEAVES[index], size, size, path, ROOTS[size])
    assert not inclusion_holds(LEAVES[index], -1, size, path, ROOTS[size])
    for other in {index ^ 1, 0, size - 1} - {index}:
        assert not inclusion_holds(LEAVES[index], other, size, path, ROOTS[size])


def test_inclusion_paths_are_those_of_pymerkle():
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in ENTRIES[:70]:
        tree.append_entry(entry)
    for index in range(70):
        path = tree.prove_inclusion(index + 1, 70).path
        assert proof_hashes(inclusion_ranges(index, 70), STORED) == path[1:]


@given(st.integers(1, MOST).flatmap(lambda new: st.tuples(st.integers(1, new), st.just(new))))
def test_consistency_proofs_hold_and_refuse_forks(pair):
    old, new = pair
    path = proof_hashes(consistency_ranges(old, new), STORED)
    assert consistency_holds(old, ROOTS[old], new, ROOTS[new], path)
    assert not consistency_holds(old, bytes(32), new, ROOTS[new], path)
    assert not consistency_holds(old, ROOTS[old], new, bytes(32), path)
    assert not consistency_holds(new + 1, ROOTS[new], new, ROOTS[new], path)
    assert not consistency_holds(old, ROOTS[old], new, ROOTS[new], [*path, bytes(32)])
    if path:
        assert not consistency_holds(old, ROOTS[old], new, ROOTS[new], path[:-1])


def test_consistency_from_the_empty_tree_is_the_empty_proof():
    assert consistency_ranges(0, 9) == []
    assert consistency_holds(0, EMPTY_ROOT, 9, ROOTS[9], [])
    assert not consistency_holds(0, EMPTY_ROOT, 9, ROOTS[9], [bytes(32)])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_no_proof_outside_the_tree(index, size):
    with pytest.raises(ValueError, match="outside"):
        inclusion_ranges(index, size)
    assert root_from_inclusion(bytes(32), index, size, []) is None


def test_no_consistency_proof_backwards():
    with pytest.raises(ValueError, match="from size 5 to 4"):
        consistency_ranges(5, 4)
