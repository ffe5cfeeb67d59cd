"""RFC 9162, section 2.1, written down as it stands there, and a second verifier that shares no line with the first.

Slow on purpose: the tree is a Python list, and every definition is the recursion of the text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def _sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def largest_power_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


class Oracle:
    """MTH, PATH and PROOF over a list of leaf data; the hashes of ranges are remembered."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves
        self._known: dict[tuple[int, int], bytes] = {}

    def mth(self, low: int, high: int) -> bytes:
        if (low, high) not in self._known:
            n = high - low
            if n == 0:
                value = _sha(b"")
            elif n == 1:
                value = _sha(b"\x00" + self.leaves[low])
            else:
                k = largest_power_below(n)
                value = _sha(b"\x01" + self.mth(low, low + k) + self.mth(low + k, high))
            self._known[low, high] = value
        return self._known[low, high]

    def path(self, m: int, low: int, high: int) -> list[bytes]:
        n = high - low
        if n == 1:
            return []
        k = largest_power_below(n)
        if m < k:
            return [*self.path(m, low, low + k), self.mth(low + k, high)]
        return [*self.path(m - k, low + k, high), self.mth(low, low + k)]

    def proof(self, m: int, n: int) -> list[bytes]:
        return self.subproof(m, 0, n, True)

    def subproof(self, m: int, low: int, high: int, b: bool) -> list[bytes]:
        n = high - low
        if m == n:
            return [] if b else [self.mth(low, high)]
        k = largest_power_below(n)
        if m <= k:
            return [*self.subproof(m, low, low + k, b), self.mth(low + k, high)]
        return [*self.subproof(m - k, low + k, high, False), self.mth(low, low + k)]


class _Bad(Exception):  # noqa: N818
    pass


def included(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether the proof holds, by walking PATH's recursion from the top."""
    rest = list(proof)

    def build(m: int, n: int) -> bytes:
        if n == 1:
            return leaf
        if not rest:
            raise _Bad
        sibling = rest.pop()
        k = largest_power_below(n)
        return _sha(b"\x01" + build(m, k) + sibling) if m < k else _sha(b"\x01" + sibling + build(m - k, n - k))

    if index < 0 or index >= size or any(len(h) != 32 for h in (leaf, root, *proof)):
        return False
    try:
        return build(index, size) == root and not rest
    except _Bad:
        return False


def consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether the proof holds, by walking SUBPROOF's recursion from the top."""
    rest = list(proof)

    def build(m: int, n: int, whole: bool) -> tuple[bytes, bytes]:
        if m == n:
            if whole:
                return old_root, old_root
            if not rest:
                raise _Bad
            value = rest.pop()
            return value, value
        if not rest:
            raise _Bad
        sibling = rest.pop()
        k = largest_power_below(n)
        if m <= k:
            before, after = build(m, k, whole)
            return before, _sha(b"\x01" + after + sibling)
        before, after = build(m - k, n - k, False)
        return _sha(b"\x01" + sibling + before), _sha(b"\x01" + sibling + after)

    if old == new > 0:
        return old_root == new_root and not rest
    if not 0 < old < new or any(len(h) != 32 for h in (old_root, new_root, *proof)):
        return False
    try:
        before, after = build(old, new, True)
    except _Bad:
        return False
    return not rest and before == old_root and after == new_root
