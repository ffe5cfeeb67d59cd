"""The log as others see it: checkpoints, cosignatures, an export of plain files, and the check of such an export.

A checkpoint is a C2SP tlog-checkpoint, a signed note (c2sp.org/signed-note, /tlog-checkpoint, /tlog-cosignature):

    openaisle/main-street
    3
    rra8/idLcKFPsGel5VeCZNsPqbUa9eC6FZFY8yngbnc=

    — openaisle/main-street eRkwyAMo…            (base64 of key id ‖ Ed25519 signature over the three lines)
    — officer.example eXoPQAAAAABn…              (base64 of key id ‖ time ‖ Ed25519 signature of a witness)

An export is three files: `leaves.jsonl` (leaf data, one entry a line), `checkpoint` (the newest signed note) and
`openings.jsonl` (payload and entry key of the entries that are about no person: settings, levels, erasures, releases).
`verify` needs the export and the log's public key, and nothing else. What it cannot see without an older or newer
receipt or witness checkpoint is a log that was cut short or rewritten by whoever holds the signing key.

Nothing here reads the ledger's tables, and nothing here decides when to sign.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consent import merkle
from consent.events import ConsentError, Leaf, commit

if TYPE_CHECKING:
    from consent.ledger import Ledger

ED25519 = 0x01  # signature types of c2sp.org/signed-note
COSIGNATURE = 0x04

_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
KEY_NAME = re.compile(r"[^\s+]+")
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+=*)")
_MOST_SIGNATURES = 64


class LogError(ConsentError):
    """The log, a checkpoint or a signature is not what it should be."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note: key name, 4-byte key id, and the rest."""

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        """Return the line as it stands in a note, with its line break."""
        return f"— {self.name} {_encode(self.key_id + self.value)}\n"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its name, its number of entries, its root hash (32 bytes), and opaque extension lines."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not KEY_NAME.fullmatch(self.origin):
            raise LogError("a log's name has no blank and no plus sign")
        if not 0 <= self.size < 2**53 or len(self.root) != 32:
            raise LogError("a checkpoint has a size from 0 and a root of 32 bytes")

    def text(self) -> str:
        """Return the note text that is signed."""
        return "".join(f"{line}\n" for line in (self.origin, str(self.size), _encode(self.root), *self.extensions))

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a note.

        Raises:
            LogError: it is not exactly what `text` writes.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]) or not _SIZE.fullmatch(lines[1]):
            raise LogError("this is not a checkpoint: it needs a name, a size and a root, one a line")
        return cls(lines[0], int(lines[1]), _decode(lines[2]), tuple(lines[3:-1]))


def is_signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether an Ed25519 signature (RFC 8032) of a 32-byte public key verifies."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def key_id(name: str, public: bytes, kind: int = ED25519) -> bytes:
    """Return the first 4 bytes of SHA-256(name ‖ 0x0A ‖ kind ‖ public key)."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def verifier_key(name: str, public: bytes, kind: int = ED25519) -> str:
    """Return a public key as one line of text: name+keyid+base64(kind ‖ public key)."""
    return f"{name}+{key_id(name, public, kind).hex()}+{_encode(bytes([kind]) + public)}"


def read_verifier_key(line: str) -> tuple[str, bytes, int]:
    """Return (name, public key, kind) of a line that `verifier_key` wrote.

    Raises:
        LogError: it is damaged.
    """
    name, _, rest = line.strip().partition("+")
    short, _, encoded = rest.partition("+")
    key = _decode(encoded)
    if len(key) != 33 or key_id(name, key[1:], key[0]).hex() != short:
        raise LogError("this public key is damaged: copy the whole line again")
    return name, key[1:], key[0]


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """Return the checkpoint as a signed note under the log's own name."""
    text = checkpoint.text()
    public = key.public_key().public_bytes_raw()
    return text + "\n" + Signature(checkpoint.origin, key_id(checkpoint.origin, public), key.sign(text.encode())).line()


def split(note: str) -> tuple[str, list[Signature]]:
    """Return the text of a note and its signatures, unchecked.

    Raises:
        LogError: it is not a signed note.
    """
    head, gap, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not gap or lines.pop() or not lines or len(lines) > _MOST_SIGNATURES:
        raise LogError("this is not a signed note: it needs a text, a blank line and signature lines")
    if any(ord(c) < 0x20 and c != "\n" for c in note):
        raise LogError("a signed note holds no control characters")
    signatures = []
    for line in lines:
        match = _LINE.fullmatch(line)
        raw = _decode(match[2]) if match else b""
        if match is None or len(raw) < 5:
            raise LogError("a signature line of this note is damaged")
        signatures.append(Signature(match[1], raw[:4], raw[4:]))
    return head + "\n", signatures


def open_note(note: str, public: bytes | Sequence[bytes], *, origin: str | None = None) -> Checkpoint:
    """Return the checkpoint of a note that the log's key signed.

    Args:
        note: the signed note.
        public: the log's Ed25519 public key, 32 bytes, or all of them where it was rotated.
        origin: the name the log must have, where the caller knows it.

    Raises:
        LogError: no signature of that key, or one that does not verify.
    """
    text, signatures = split(note)
    checkpoint = Checkpoint.parse(text)
    if origin is not None and checkpoint.origin != origin:
        raise LogError(f"this checkpoint is of the log {checkpoint.origin}, not of {origin}")
    keys = {key_id(checkpoint.origin, key): key for key in ((public,) if isinstance(public, bytes) else public)}
    found = [s for s in signatures if s.name == checkpoint.origin and s.key_id in keys]
    if not found:
        raise LogError("this checkpoint is not signed by the log's key")
    for signature in found:
        complaint = "the log's signature on this checkpoint does not verify"
        _check(keys[signature.key_id], signature.value, text.encode(), complaint)
    return checkpoint


def cosign(note: str, name: str, key: Ed25519PrivateKey, *, now_s: int) -> str:
    """Return the note with a cosignature/v1 line added; the caller has checked consistency.

    Args:
        note: a signed note.
        name: the witness's key name.
        key: the witness's key, used for nothing else.
        now_s: POSIX seconds.
    """
    text, _ = split(note)
    public = key.public_key().public_bytes_raw()
    value = struct.pack(">Q", now_s) + key.sign(_cosigned(text, now_s))
    return note + Signature(name, key_id(name, public, COSIGNATURE), value).line()


def cosigned_at(note: str, name: str, public: bytes) -> int:
    """Return the POSIX second at which the witness cosigned the note, the latest if there are several.

    Raises:
        LogError: the witness did not, or a cosignature of its key does not verify.
    """
    text, signatures = split(note)
    wanted = key_id(name, public, COSIGNATURE)
    times = []
    for signature in signatures:
        if signature.name != name or signature.key_id != wanted:
            continue
        if len(signature.value) != 72:
            raise LogError(f"the cosignature of {name} is damaged")
        (time_s,) = struct.unpack(">Q", signature.value[:8])
        _check(public, signature.value[8:], _cosigned(text, time_s), f"the cosignature of {name} does not verify")
        times.append(int(time_s))
    if not times:
        raise LogError(f"this checkpoint is not cosigned by {name}")
    return max(times)


def export(ledger: Ledger, directory: Path) -> Checkpoint:
    """Write the log up to its newest checkpoint into a new directory, for anybody to keep and check.

    Raises:
        ConsentError: the directory is not empty, or nothing is signed yet.
    """
    if directory.exists() and any(directory.iterdir()):
        raise LogError(f"{directory} is not empty; name a new directory for the export")
    checkpoint, files = contents(ledger)
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (directory / name).write_bytes(data)
    return checkpoint


def contents(ledger: Ledger) -> tuple[Checkpoint, dict[str, bytes]]:
    """Return the newest checkpoint, and the files of an export up to it, by name.

    Raises:
        LogError: nothing is signed yet, or the ledger was changed.
    """
    newest = ledger.newest_checkpoint()
    if newest is None:
        raise LogError("the log has no checkpoint yet: let the keeper sign one first")
    note, checkpoint = newest
    leaves, openings = bytearray(), bytearray()
    for index, data in ledger.leaves(0, checkpoint.size):
        leaves += data + b"\n"
        if not Leaf.decode(data).kind.personal:
            record = ledger.record(index)
            if record is None:
                raise LogError(f"entry {index} is about no person, but its payload is gone: the ledger was changed")
            openings += _opening(index, record.entry_key, record.payload) + b"\n"
    return checkpoint, {"checkpoint": note.encode(), "leaves.jsonl": bytes(leaves), "openings.jsonl": bytes(openings)}


@dataclass(frozen=True, slots=True)
class Verified:
    """What an export proved.

    Attributes:
        checkpoint: its head.
        known: how many older or newer checkpoints it was held against.
        cosigned_s: POSIX second of the newest cosignature seen, None without a witness.
    """

    checkpoint: Checkpoint
    known: int
    cosigned_s: int | None


def verify(
    directory: Path,
    public: bytes | Sequence[bytes],
    *,
    known: Iterable[str] = (),
    witness: tuple[str, bytes] | None = None,
) -> Verified:
    """Check an exported log offline.

    Args:
        directory: what `export` wrote.
        public: the log's Ed25519 public key, 32 bytes, or all of them, from somewhere else than the export.
        known: signed checkpoints from receipts or from the witness; the log must contain each.
        witness: (name, public key) of a witness that must have cosigned every known checkpoint.

    Raises:
        ConsentError: any bit was changed, or an entry removed, added, repeated or moved, or the log does not contain
            a known checkpoint: it was cut short, rolled back or forked.
    """
    names = ("checkpoint", "leaves.jsonl", "openings.jsonl")
    try:
        note, leaves, openings = ((directory / name).read_bytes() for name in names)
    except OSError as error:
        raise LogError(f"this is not an export of a log: {error.filename} cannot be read") from error
    return check(note, leaves, openings, public, known=known, witness=witness)


def check(
    note_file: bytes,
    leaves_file: bytes,
    openings_file: bytes,
    public: bytes | Sequence[bytes],
    *,
    known: Iterable[str] = (),
    witness: tuple[str, bytes] | None = None,
) -> Verified:
    """Check the contents of the three files of an export; see `verify`."""
    try:
        note = note_file.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LogError("the checkpoint is not text: the export was changed") from error
    lines, openings = _lines(leaves_file, "leaves.jsonl"), _lines(openings_file, "openings.jsonl")
    checkpoint = open_note(note, public)
    if len(split(note)[1]) != 1:
        raise LogError("the checkpoint of an export carries the log's signature and no other")
    if len(lines) != checkpoint.size:
        raise LogError(f"the export has {len(lines)} entries, its checkpoint {checkpoint.size}")
    levels = subtrees(lines)

    def read(level: int, index: int) -> bytes:
        return levels[level][index]

    if merkle.root(checkpoint.size, read) != checkpoint.root:
        raise LogError("the entries do not lead to the root of the checkpoint: the log was changed")
    _check_openings(lines, openings)
    times, notes = [], list(known)
    for other in notes:
        seen = open_note(other, public, origin=checkpoint.origin)
        if witness is not None:
            times.append(cosigned_at(other, *witness))
        if seen.size > checkpoint.size:
            raise LogError(f"the log once had {seen.size} entries and now has {checkpoint.size}: it was cut short")
        if merkle.root(seen.size, read) != seen.root:
            raise LogError(f"the log does not contain its own checkpoint at {seen.size} entries: it was rewritten")
    return Verified(checkpoint, len(notes), max(times, default=None))


def subtrees(lines: Sequence[bytes]) -> list[list[bytes]]:
    """Return the hashes of the complete subtrees over leaf data, by level and index."""
    levels = [[merkle.leaf_hash(line) for line in lines]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([merkle.node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
    return levels


def _check_openings(lines: Sequence[bytes], openings: Sequence[bytes]) -> None:
    leaves = {index: leaf for index, line in enumerate(lines) if not (leaf := Leaf.decode(line)).kind.personal}
    if len(openings) != len(leaves):
        raise LogError("openings.jsonl does not hold exactly the entries that are about no person")
    for line, (index, leaf) in zip(openings, leaves.items(), strict=True):
        _check_opening(line, index, leaf)


def _check_opening(line: bytes, index: int, leaf: Leaf) -> None:
    try:
        opening = json.loads(line)
        key, payload = bytes.fromhex(opening["key"]), opening["payload"].encode("ascii")
        same = _opening(index, key, payload) == line and commit(key, payload) == leaf.commitment
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LogError(f"the opening of entry {index} is damaged: the export was changed") from error
    if not same:
        raise LogError(f"the opening of entry {index} does not match the log: the export was changed")


def _lines(data: bytes, name: str) -> list[bytes]:
    lines = data.split(b"\n")
    if lines.pop():
        raise LogError(f"{name} ends within a line: the export was cut")
    return lines


def _opening(index: int, entry_key: bytes, payload: bytes) -> bytes:
    """Return the one form of a line of openings.jsonl."""
    fields = {"index": index, "key": entry_key.hex(), "payload": payload.decode("ascii")}
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def _cosigned(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def _check(public: bytes, signature: bytes, message: bytes, complaint: str) -> None:
    if not is_signed(public, signature, message):
        raise LogError(complaint)


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _decode(text: str) -> bytes:
    """Return the bytes of base64 in its one canonical form; spare bits would let a note change and still verify."""
    try:
        value = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise LogError("this is not base64") from error
    if _encode(value) != text:
        raise LogError("this is not canonical base64")
    return value
