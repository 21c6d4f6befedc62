"""The Merkle tree against RFC 9162's rules and against pymerkle, another implementation."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from broker.audit.merkle import (
    Frontier,
    ProofRefused,
    consistency_proof,
    empty_root,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from broker.audit.tiles import TileMissing, Tiles, memory_tiles

SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 255, 256, 257, 300, 511, 512, 700]


def entries(count: int) -> list[bytes]:
    return [f"event {number}".encode() for number in range(count)]


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(entry) for entry in entries(count)]


TREE = memory_tiles(leaves(700))
OTHER = InmemoryTree.init_from_entries(entries(700), algorithm="sha256")


def test_the_empty_tree() -> None:
    """RFC 9162, section 2.1.1."""
    assert root(memory_tiles([]), 0) == empty_root() == hashlib.sha256().digest() == Frontier().root()


@pytest.mark.parametrize("size", SIZES)
def test_roots_are_those_of_pymerkle(size: int) -> None:
    frontier = Frontier()
    for leaf in leaves(size):
        frontier.append(leaf)
    assert root(TREE, size) == root(memory_tiles(leaves(size)), size) == frontier.root()
    assert root(TREE, size) == (OTHER.get_root(size) if size else empty_root())


@pytest.mark.parametrize("size", SIZES[1:])
def test_inclusion_proofs_are_those_of_pymerkle(size: int) -> None:
    chance = random.Random(size)
    for leaf in {0, size - 1, size // 2, chance.randrange(size)}:
        path = inclusion_proof(TREE, leaf, size)
        theirs = OTHER.prove_inclusion(leaf + 1, size).serialize()["path"][1:]
        assert [step.hex() for step in path] == theirs
        verify_inclusion(leaves(700)[leaf], leaf, size, path, root(TREE, size))


@given(st.integers(1, 700), st.data())
def test_consistency_proofs_verify(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    path = consistency_proof(TREE, old, new)
    verify_consistency(old, root(TREE, old), new, root(TREE, new), path)
    if 0 < old < new:
        wrong = root(TREE, old)[:-1] + bytes([root(TREE, old)[-1] ^ 1])
        with pytest.raises(ProofRefused):
            verify_consistency(old, wrong, new, root(TREE, new), path)
        with pytest.raises(ProofRefused):
            verify_consistency(old, root(TREE, old), new, wrong, path)


@given(st.integers(2, 700), st.data())
def test_a_changed_proof_is_refused(size: int, data: st.DataObject) -> None:
    leaf = data.draw(st.integers(0, size - 1))
    path, top, digest = inclusion_proof(TREE, leaf, size), root(TREE, size), leaves(700)[leaf]
    place = data.draw(st.integers(0, len(path) - 1))
    changed = [*path[:place], hashlib.sha256(path[place]).digest(), *path[place + 1 :]]
    for bad in (changed, path[:-1], [*path, top], path[::-1] if path != path[::-1] else changed):
        with pytest.raises(ProofRefused):
            verify_inclusion(digest, leaf, size, bad, top)
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != leaf))
    with pytest.raises(ProofRefused):
        verify_inclusion(digest, other, size, path, top)


@pytest.mark.parametrize(("leaf", "size"), [(-1, 5), (5, 5), (0, 0)])
def test_a_leaf_outside_of_the_tree_has_no_proof(leaf: int, size: int) -> None:
    with pytest.raises(ProofRefused):
        inclusion_proof(TREE, leaf, size)
    with pytest.raises(ProofRefused):
        verify_inclusion(bytes(32), leaf, size, [], bytes(32))


@pytest.mark.parametrize(("old", "new"), [(6, 5), (-1, 5)])
def test_trees_in_the_wrong_order_have_no_proof(old: int, new: int) -> None:
    with pytest.raises(ProofRefused):
        consistency_proof(TREE, old, new)
    with pytest.raises(ProofRefused):
        verify_consistency(old, bytes(32), new, bytes(32), [bytes(32)])


def test_a_proof_between_equal_trees_is_empty() -> None:
    verify_consistency(5, root(TREE, 5), 5, root(TREE, 5), [])
    for path, other in (([bytes(32)], root(TREE, 5)), ([], root(TREE, 6))):
        with pytest.raises(ProofRefused):
            verify_consistency(5, root(TREE, 5), 5, other, path)


def test_tiles_grow_in_steps_as_in_one() -> None:
    stored: dict[tuple[int, int], bytes] = {}
    size = 0
    for step in (1, 255, 1, 300, 43, 66_000 - 600):
        tiles = Tiles(stored.get, size)
        tiles.append(leaf_hash(str(size + number).encode()) for number in range(step))
        stored |= tiles.changed
        size = tiles.size
    whole = memory_tiles(leaf_hash(str(number).encode()) for number in range(size))
    assert root(Tiles(stored.get, size), size) == root(whole, size)
    assert {key for key, _ in stored.items()} >= {(0, 257), (1, 1), (2, 0)}
    assert all(len(content) <= 256 * 32 for content in stored.values())


@pytest.mark.parametrize("damage", [{(0, 0): None}, {(0, 0): bytes(31)}])
def test_missing_tiles_are_told(damage: dict[tuple[int, int], bytes | None]) -> None:
    with pytest.raises(TileMissing):
        root(Tiles(damage.get, 3), 3)
