"""The witness: the officer's own machine, which remembers what it saw of a log and never takes a smaller one.

Rules:
- It cosigns a checkpoint only with a proof that the log added to what the witness cosigned last.
- It writes down what it is about to cosign before it hands the cosignature out.
- Its key and its memory lie in a directory of its own; losing that is losing the protection, so nothing makes it anew
  by itself.

A request is a small text file in the form of c2sp.org/tlog-witness, carried over by whatever means:

    old 2
    ApjRIpBtz8EIkstTpzmS/FufST6kybrbJ7eRtBJ6f+c=        (the consistency proof, one hash a line)

    openaisle/main-street
    3
    …                                                   (the signed note)

The witness sees sizes and hashes, never an entry.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent import merkle
from consent.log import COSIGNATURE, ED25519, KEY_NAME, LogError, cosign, open_note, read_verifier_key, verifier_key

if TYPE_CHECKING:
    from consent.ledger import Ledger

LONGEST = 64 * 1024  # of a request, bytes: a proof of 63 hashes, and a note
_OLD = re.compile(r"old (0|[1-9][0-9]{0,15})")


def request(ledger: Ledger, old_size: int) -> str:
    """Return what the store sends to its witness: its newest checkpoint and the proof from the size seen last.

    Raises:
        ConsentError: nothing is signed yet, or the witness has seen more than there is.
    """
    newest = ledger.newest_checkpoint()
    if newest is None:
        raise LogError("the log has no checkpoint yet: let the keeper sign one first")
    note, checkpoint = newest
    proof = ledger.consistency_proof(old_size, checkpoint.size)
    return f"old {old_size}\n" + "".join(base64.b64encode(h).decode("ascii") + "\n" for h in proof) + "\n" + note


def read_request(data: bytes) -> str:
    """Return a request as text.

    Raises:
        ConsentError: it is none.
    """
    if len(data) > LONGEST:
        raise LogError("this is far too long for a request to a witness; give what `openaisle witness ask` wrote")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LogError("this is not text; give what `openaisle witness ask` wrote") from error


class Witness:
    """One witness of one log, with its memory on disk.

    Args:
        directory: where `create` made it.

    Raises:
        ConsentError: there is no witness.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            memory = self._memory()
            self._key = Ed25519PrivateKey.from_private_bytes((directory / "witness.key").read_bytes())
        except (OSError, ValueError, KeyError) as error:
            raise LogError(f"no witness in {directory}; make one, or restore it from its own backup") from error
        self.name = str(memory["name"])
        self._origin, self._log_public, _ = read_verifier_key(str(memory["log"]))

    @classmethod
    def create(cls, directory: Path, name: str, log_key: str) -> Witness:
        """Make a witness that has seen nothing yet.

        Args:
            directory: new or empty.
            name: the witness's key name, such as `officer.example/main-street`.
            log_key: the log's public key as `log.verifier_key` writes it.
        """
        kind = read_verifier_key(log_key)[2]
        if directory.exists() and any(directory.iterdir()):
            raise LogError(f"{directory} is not empty; a witness is never made anew over an old one")
        if kind != ED25519:
            raise LogError("this is the key of a witness; give the log's own, as `openaisle consent export` prints it")
        if not KEY_NAME.fullmatch(name):
            raise LogError(f"{name!r} is no name of a witness; write it like officer.example/main-street")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = directory / "witness.key"
        key.touch(mode=0o600)
        key.write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
        _replace(directory / "witness.json", {"name": name, "log": log_key, "size": 0, "root": merkle.EMPTY_ROOT.hex()})
        return cls(directory)

    @property
    def verifier_key(self) -> str:
        """The witness's public key as one line of text."""
        return verifier_key(self.name, self._key.public_key().public_bytes_raw(), COSIGNATURE)

    @property
    def size(self) -> int:
        """The number of entries the witness has seen; a request proves from here."""
        return int(str(self._memory()["size"]))

    def cosign(self, request: str, *, now_s: int) -> str:
        """Return the checkpoint of a request with the witness's cosignature.

        Args:
            request: what `request` wrote.
            now_s: POSIX seconds.

        Raises:
            ConsentError: the log was cut short, rolled back, forked or changed; nothing is remembered or signed.
        """
        head, _, note = request.partition("\n\n")
        first, *proof = head.split("\n")
        match = _OLD.fullmatch(first)
        if match is None:
            raise LogError("this is not a request to a witness; give what `openaisle witness ask` wrote")
        checkpoint = open_note(note, self._log_public, origin=self._origin)
        try:
            hashes = [base64.b64decode(line, validate=True) for line in proof]
        except ValueError as error:
            raise LogError("a hash of this request is damaged") from error
        with (self.directory / "witness.key").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            memory = self._memory()
            size, root = int(str(memory["size"])), bytes.fromhex(str(memory["root"]))
            if int(match[1]) != size and checkpoint.size >= size:
                raise LogError(f"the witness has seen {size} entries; ask with a proof from there")
            if size or hashes:
                merkle.verify_consistency(size, checkpoint.size, root, checkpoint.root, hashes)
            cosigned = cosign(note, self.name, self._key, now_s=now_s)
            memory |= {"size": checkpoint.size, "root": checkpoint.root.hex(), "note": cosigned}
            _replace(self.directory / "witness.json", memory)
        return cosigned

    def newest(self) -> str | None:
        """Return the last checkpoint the witness cosigned, None before the first."""
        note = self._memory().get("note")
        return None if note is None else str(note)

    def _memory(self) -> dict[str, object]:
        return dict(json.loads((self.directory / "witness.json").read_text(encoding="utf-8")))


def _replace(path: Path, memory: dict[str, object]) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(memory, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
