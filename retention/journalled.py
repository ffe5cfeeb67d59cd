"""One line of the journal, and how a journal is read: each line names the hash of the one before, the last is signed.

    {"at_us":1790000000000000,"before":"…","ended":[[7,4611686018427387905,["dwell"]]],"kind":"log",…} c2lnbmF0dXJl…

Whatever is not byte for byte what was written is refused. Nothing here writes, and nothing here knows a ledger.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consent.events import Level
from retention.model import RetentionError

NAME = "journal.jsonl"
FIRST = bytes(32).hex()  # what the first line names as the one before
_CONTEXT = b"openaisle journal v1\x00"  # what is signed cannot be taken for a checkpoint


class JournalError(RetentionError):
    """The journal cannot be used."""


class Kind(StrEnum):
    """What a line says."""

    START = "start"  # nothing is known of what was before
    LOG = "log"
    ERASURE = "erasure"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the journal.

    Attributes:
        kind: what it says.
        at_us: when it was written, UTC microseconds.
        size: entries in the log up to and with this line.
        root: hex root hash of the log at that size.
        leaves: of a `log` line: the newest entries, each as its leaf data and, where it is about no person, what opens
            it: entry key in hex, and payload.
        ended: of a `log` line: leaf index, subject number and purposes of each consent that ended.
        numbers: of an `erasure` line: the subjects that go.
        request: number of the erasure in the ledger.
        level: the privacy level the erasure followed.
        terms: the days per purpose the erasure followed.
    """

    kind: Kind
    at_us: int
    size: int
    root: str
    leaves: tuple[tuple[str, tuple[str, str] | None], ...] = ()
    ended: tuple[tuple[int, int, tuple[str, ...]], ...] = ()
    numbers: tuple[int, ...] = ()
    request: int | None = None
    level: Level | None = None
    terms: Mapping[str, int] | None = None

    def encode(self, before: str) -> bytes:
        """Return the line as JSON, without its signature.

        Args:
            before: hex hash of the line before.
        """
        fields = {name: value for name, value in asdict(self).items() if value not in (None, ())}
        return json.dumps({**fields, "before": before}, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, text: bytes) -> tuple[Line, str]:
        """Read a line back, with the hash of the line before it.

        Raises:
            ValueError: it is not one (also `KeyError`, `TypeError`).
        """
        told: dict[str, Any] = json.loads(text)
        before = str(told.pop("before"))
        level = told.get("level")
        line = replace(
            cls(**told),
            kind=Kind(told["kind"]),
            leaves=tuple((data, None if o is None else (o[0], o[1])) for data, o in told.get("leaves", ())),
            ended=tuple((leaf, number, tuple(words)) for leaf, number, words in told.get("ended", ())),
            numbers=tuple(told.get("numbers", ())),
            level=None if level is None else Level(level),
        )
        return line, before


def read(folder: Path, public: Sequence[bytes], origin: str) -> list[Line]:
    """Return the lines of a journal, oldest first.

    Args:
        folder: the journal.
        public: the log's public keys.
        origin: the log's name.

    Raises:
        JournalError: there is none, or it was changed.
    """
    try:
        data = (folder / NAME).read_bytes()
    except OSError as error:
        raise JournalError(f"the journal {folder} cannot be read: {error.strerror}; name it with --journal") from error
    return [line for line, _, _ in parse(data, FIRST, public, origin, folder)]


def parse(
    data: bytes, before: str, public: Sequence[bytes], origin: str, folder: Path
) -> Iterator[tuple[Line, str, int]]:
    """Yield each whole line, its hash, and where it ends; the signature of the last one answers for all before it."""
    broken = JournalError(
        f"the journal {folder} was changed or belongs to another shop; put back its own copy, or move it away: a new "
        "one begins, and no older backup can be restored any more"
    )
    end = 0
    whole = data[: data.rfind(b"\n") + 1]
    for raw in whole.splitlines(keepends=True):
        text, _, signature = raw.rstrip(b"\n").rpartition(b" ")
        end += len(raw)
        try:
            line, told = Line.decode(text)
            signed = base64.b64decode(signature, validate=True)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise broken from error
        if base64.b64encode(signed) != signature or told != before:
            raise broken  # base64 has several spellings; one is written
        if end == len(whole) and not _signed(text, signed, public, origin):
            raise broken
        before = hashlib.sha256(raw).hexdigest()
        yield line, before, end


def seal(line: Line, before: str, key: Ed25519PrivateKey, origin: str) -> bytes:
    """Return a line as it stands in the file.

    Args:
        line: what to write.
        before: hex hash of the line before.
        key: the log's.
        origin: the log's name.
    """
    text = line.encode(before)
    return text + b" " + base64.b64encode(key.sign(_CONTEXT + origin.encode() + b"\x00" + text)) + b"\n"


def _signed(text: bytes, signature: bytes, public: Sequence[bytes], origin: str) -> bool:
    for key in public:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, _CONTEXT + origin.encode() + b"\x00" + text)
        except InvalidSignature:
            continue
        return True
    return False
