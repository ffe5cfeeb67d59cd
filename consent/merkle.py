"""The Merkle tree of RFC 9162, section 2.1. Pure: no storage, no signature, no clock.

A tree is a function that reads the hash of a complete subtree: `read(level, index)` is the root over the leaves
index·2^level up to (index + 1)·2^level. Complete subtrees never change, so a store only ever adds them: `grown` says
which ones one more leaf completes.

Proofs are lists of 32-byte hashes. A proof that does not hold raises `ProofError`; nothing returns False.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

from consent.events import ConsentError

NodeReader = Callable[[int, int], bytes]

EMPTY_ROOT = hashlib.sha256(b"").digest()


class ProofError(ConsentError):
    """A proof does not hold: the log, the proof or the root was changed."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf, SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node, SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def grown(size: int, leaf: bytes, read: NodeReader) -> list[tuple[int, int, bytes]]:
    """Return the complete subtrees that come to be when a leaf is appended to a tree of the given size.

    Args:
        size: number of leaves before.
        leaf: hash of the new leaf.
        read: reader of the tree before.

    Returns:
        (level, index, hash), the leaf itself first at level 0.
    """
    level, index, value = 0, size, leaf
    nodes = [(level, index, value)]
    while index & 1:
        value = node_hash(read(level, index - 1), value)
        level, index = level + 1, index >> 1
        nodes.append((level, index, value))
    return nodes


def _split(size: int) -> int:
    """Return the largest power of two below size (RFC 9162: k < n <= 2k)."""
    return 1 << ((size - 1).bit_length() - 1)


def _range(low: int, high: int, read: NodeReader) -> bytes:
    """Return MTH(D[low:high]); low is a multiple of the power of two that covers the range."""
    size = high - low
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return read(level, low >> level)
    middle = low + _split(size)
    return node_hash(_range(low, middle, read), _range(middle, high, read))


def root(size: int, read: NodeReader) -> bytes:
    """Return the root hash over the first `size` leaves."""
    if size < 0:
        raise ProofError(f"a tree cannot have {size} leaves")
    return _range(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: NodeReader) -> list[bytes]:
    """Return PATH(index, D[size]) of RFC 9162, 2.1.3.1, the sibling of the leaf first.

    Raises:
        ProofError: the tree of that size has no such leaf.
    """
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    path, low, high = [], 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range(middle, high, read))
            high = middle
        else:
            path.append(_range(low, middle, read))
            low = middle
    return path[::-1]


def consistency_proof(old: int, new: int, read: NodeReader) -> list[bytes]:
    """Return PROOF(old, D[new]) of RFC 9162, 2.1.4.1; empty where old is 0 or equals new.

    Raises:
        ProofError: the old tree is larger than the new one.
    """
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} leaves never had {old}")
    if old in (0, new):
        return []
    path, low, high, whole = [], 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_range(middle, high, read))
            high = middle
        else:
            path.append(_range(low, middle, read))
            low, whole = middle, False
    if not whole:
        path.append(_range(low, high, read))
    return path[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash stands at the index of the tree with this size and root (RFC 9162, 2.1.3.2).

    Raises:
        ProofError: it does not, or the proof is malformed.
    """
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    _check_hashes(leaf, root, *proof)
    position, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if position & 1 or position == last:
            value = node_hash(sibling, value)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        position, last = position >> 1, last >> 1
    if last != 0 or not hmac.compare_digest(value, root):
        raise ProofError("the inclusion proof does not lead to the root: the entry is not in this log")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the new tree only added to the old one (RFC 9162, 2.1.4.2).

    Raises:
        ProofError: it does not, or the proof is malformed.
    """
    if not 0 <= old <= new:
        raise ProofError(f"a log of {new} entries cannot follow one of {old}: it was cut short or rolled back")
    if old == 0:
        raise ProofError("every log continues the empty one: a proof from 0 says nothing")
    if old == new:
        if proof:
            raise ProofError("the consistency proof is too long")
        if not hmac.compare_digest(old_root, new_root):
            raise ProofError("two logs of the same size have different roots: the log was forked")
        return
    _check_hashes(old_root, new_root, *proof)
    if not proof:
        raise ProofError("the consistency proof is empty")
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    before = after = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if position & 1 or position == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        position, last = position >> 1, last >> 1
    if last != 0 or not hmac.compare_digest(before, old_root) or not hmac.compare_digest(after, new_root):
        raise ProofError("the consistency proof does not hold: the log was changed")


def _check_hashes(*hashes: bytes) -> None:
    if any(len(value) != 32 for value in hashes):
        raise ProofError("every hash of a proof has 32 bytes")
