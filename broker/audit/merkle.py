"""The Merkle tree of RFC 9162, section 2.1 (as in RFC 6962): hashes, proofs and their verification. Pure.

A tree is known through a ``Subtrees`` function alone, which gives the hash of any complete subtree: from stored tiles,
or from leaves in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

Subtrees = Callable[[int, int], bytes]
"""Of a level (0: leaves) and a number: the hash over leaves number << level up to (number + 1) << level."""

HASH_BYTES = 32


class ProofRefused(Exception):
    """A proof does not show what it is said to show."""


def leaf_hash(entry: bytes) -> bytes:
    """RFC 9162, section 2.1.1: ``HASH(0x00 || entry)``."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162, section 2.1.1: ``HASH(0x01 || left || right)``."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def empty_root() -> bytes:
    """The root of the tree without leaves."""
    return hashlib.sha256(b"").digest()


def range_hash(subtrees: Subtrees, start: int, end: int) -> bytes:
    """MTH of the leaves from ``start`` up to ``end``; ``start`` begins a complete subtree at least as wide."""
    width = end - start
    if width == 0:
        return empty_root()
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return subtrees(level, start >> level)
    split = start + _split(width)
    return node_hash(range_hash(subtrees, start, split), range_hash(subtrees, split, end))


def root(subtrees: Subtrees, size: int) -> bytes:
    """The root hash of the tree of the first ``size`` leaves."""
    return range_hash(subtrees, 0, size)


def inclusion_proof(subtrees: Subtrees, leaf: int, size: int) -> list[bytes]:
    """RFC 9162, section 2.1.3.1: that leaf number ``leaf`` is in the tree of ``size`` leaves."""
    if not 0 <= leaf < size:
        raise ProofRefused(f"leaf {leaf} is not in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if leaf < split:
            path.append(range_hash(subtrees, split, end))
            end = split
        else:
            path.append(range_hash(subtrees, start, split))
            start = split
    return path[::-1]


def consistency_proof(subtrees: Subtrees, old: int, new: int) -> list[bytes]:
    """RFC 9162, section 2.1.4.1: that the tree of ``new`` leaves begins with the tree of ``old`` leaves."""
    if not 0 <= old <= new:
        raise ProofRefused(f"a tree of {new} does not begin with one of {old}")
    if old in (0, new):
        return []
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while end != old:
        split = start + _split(end - start)
        if old <= split:
            path.append(range_hash(subtrees, split, end))
            end = split
        else:
            path.append(range_hash(subtrees, start, split))
            start, whole = split, False
    if not whole:
        path.append(range_hash(subtrees, start, end))
    return path[::-1]


class Frontier:
    """A tree to which leaves are only added: it keeps no more than its root needs."""

    def __init__(self) -> None:
        self.size = 0
        self._subtrees: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        digest, rest = leaf, self.size
        while rest & 1:
            digest = node_hash(self._subtrees.pop(), digest)
            rest >>= 1
        self._subtrees.append(digest)
        self.size += 1

    def root(self) -> bytes:
        """The root hash of all leaves so far."""
        if not self._subtrees:
            return empty_root()
        digest = self._subtrees[-1]
        for left in self._subtrees[-2::-1]:
            digest = node_hash(left, digest)
        return digest


def verify_inclusion(leaf_digest: bytes, leaf: int, size: int, path: Sequence[bytes], root_hash: bytes) -> None:
    """RFC 9162, section 2.1.3.2. Raises ProofRefused."""
    if not 0 <= leaf < size:
        raise ProofRefused(f"leaf {leaf} is not in a tree of {size}")
    first, last, digest = leaf, size - 1, leaf_digest
    for sibling in path:
        if last == 0:
            raise ProofRefused("the inclusion proof is too long")
        if first & 1 or first == last:
            digest = node_hash(sibling, digest)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        first, last = first >> 1, last >> 1
    if last or digest != root_hash:
        raise ProofRefused("the inclusion proof does not lead to the root")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """RFC 9162, section 2.1.4.2. Raises ProofRefused."""
    if not 0 <= old <= new or (old in (0, new) and path):
        raise ProofRefused(f"no proof of this form for trees of {old} and {new}")
    if old == 0 or old == new:
        if (old_root if old else empty_root()) != (new_root if old else old_root):
            raise ProofRefused("the trees differ")
        return
    steps = list(path)
    if old & (old - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        raise ProofRefused("the consistency proof is empty")
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    before = after = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            raise ProofRefused("the consistency proof is too long")
        if first & 1 or first == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        first, last = first >> 1, last >> 1
    if last or before != old_root or after != new_root:
        raise ProofRefused("the consistency proof does not join the two roots")


def _split(width: int) -> int:
    """The largest power of two below ``width``."""
    return 1 << (width - 1).bit_length() - 1
