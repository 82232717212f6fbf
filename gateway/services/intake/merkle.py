"""The Merkle root over a batch's rows (RFC 9162 section 2.1): one value that fixes every row and their order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

_LEAF, _NODE = b"\0", b"\1"


def leaf_of(keyed: Callable[[bytes], bytes], cells: Sequence[str]) -> bytes:
    """What stands for one row in the tree: HMAC-SHA256 under the batch's key (`keyed_hash`) over its cells in the order
    of `COLUMNS`, cleaned, with 0x1f between them. Without the key nobody can search the root for a NIK.
    """
    return keyed("\x1f".join(cells).encode())


class MerkleTree:
    """Takes leaves one after another and keeps one hash a level, so that a million rows cost no memory."""

    def __init__(self) -> None:
        self._levels: list[tuple[int, bytes]] = []
        """Roots of complete subtrees, largest first, as (leaves, hash)."""

    def add(self, leaves: Iterable[bytes]) -> None:
        """Append leaves."""
        levels = self._levels
        for leaf in leaves:
            size, node = 1, hashlib.sha256(_LEAF + leaf).digest()
            while levels and levels[-1][0] == size:
                node = hashlib.sha256(_NODE + levels.pop()[1] + node).digest()
                size *= 2
            levels.append((size, node))

    def root(self) -> bytes:
        """32 bytes; of no leaf at all, the hash of nothing."""
        if not self._levels:
            return hashlib.sha256().digest()
        node = self._levels[-1][1]
        for _, left in reversed(self._levels[:-1]):
            node = hashlib.sha256(_NODE + left + node).digest()
        return node
