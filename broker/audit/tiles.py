"""The tree's hashes in tiles of 256, as C2SP tlog-tiles lays them out: tile (level, number) has the hashes of the
complete subtrees of 8 * level levels from number * 256 on. So a tree of millions is a few thousand rows, a proof reads
a handful of them, and adding leaves rewrites only the last tile of each level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from broker.audit.merkle import HASH_BYTES, node_hash

TILE_WIDTH = 256
TILE_HEIGHT = 8

TileKey = tuple[int, int]
"""Level and number."""


class TileMissing(Exception):
    """A tile is not there, or too short: the stored tree is damaged."""


class Tiles:
    """A tree's tiles: those that were changed here, else those that ``load`` finds. Gives any complete subtree."""

    def __init__(self, load: Callable[[TileKey], bytes | None], size: int) -> None:
        self._load = load
        self._known: dict[TileKey, bytes] = {}
        self.size = size
        self.changed: dict[TileKey, bytes] = {}

    def __call__(self, level: int, number: int) -> bytes:
        """The hash of a complete subtree (``merkle.Subtrees``)."""
        height, rest = divmod(level, TILE_HEIGHT)
        first = number << rest
        tile, place = divmod(first, TILE_WIDTH)
        content = self._tile((height, tile))
        end = (place + (1 << rest)) * HASH_BYTES
        if len(content) < end:
            raise TileMissing(f"tile {height}/{tile} is too short")
        return _subtree(content[place * HASH_BYTES : end])

    def append(self, leaves: Iterable[bytes]) -> None:
        """Add leaves' hashes at the end of the tree, and those of the subtrees that they complete."""
        for leaf in leaves:
            self._put(0, self.size, leaf)
            self.size += 1
            height, number = 1, self.size
            while number % TILE_WIDTH == 0:
                number //= TILE_WIDTH
                self._put(height, number - 1, _subtree(self._tile((height - 1, number - 1))))
                height += 1

    def _put(self, height: int, number: int, digest: bytes) -> None:
        tile, place = divmod(number, TILE_WIDTH)
        content = self._tile((height, tile)) if place else b""
        if len(content) < place * HASH_BYTES:
            raise TileMissing(f"tile {height}/{tile} is too short")
        self._known[height, tile] = self.changed[height, tile] = content[: place * HASH_BYTES] + digest

    def _tile(self, key: TileKey) -> bytes:
        found = self._known.get(key)
        if found is None:
            found = self._load(key)
            if found is None:
                raise TileMissing(f"tile {key[0]}/{key[1]} is missing")
            self._known[key] = found
        return found


def _subtree(content: bytes) -> bytes:
    """The hash of the complete subtree over these hashes."""
    hashes = [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def memory_tiles(leaves: Iterable[bytes]) -> Tiles:
    """A tree made of leaves' hashes alone, with nothing stored."""
    none: Mapping[TileKey, bytes] = {}
    tiles = Tiles(none.get, 0)
    tiles.append(leaves)
    return tiles
