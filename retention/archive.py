"""One backup as one file: a tar that any tar can list, with a manifest before and a signature behind.

    manifest.json            format, store, instant, head of the log, and size and SHA-256 of every other file
    store.toml
    ledger.sqlite
    visits.duckdb            where there is one
    released/….parquet, certificates/…
    openaisle backup v1 zPb3…            (behind the end of the tar: Ed25519 over the SHA-256 of every byte before)

Rules:
- Nothing is unpacked, and no byte of the tar is interpreted, before the signature holds for all of it.
- Only the names above go in or out; no link, no other folder, no other owner or mode.
- A file is written beside its place and moved there whole; nothing is overwritten.

The signature is the log key's: who cannot sign the shop's log cannot make a backup that restores. Nothing here is
encrypted: a backup wants the same care as the disk it was made from. What is in the files is not known here.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from retention.model import RetentionError

FORMAT = 1
MANIFEST = "manifest.json"
_MARK = b"openaisle backup v1 "
_TRAILER = len(_MARK) + 88 + 1  # the mark, the signature in base64, a line break
FOLDERS = ("released", "certificates", "notes")
_NAME = re.compile(
    rf"(store\.toml|ledger\.sqlite|visits\.duckdb|({'|'.join(FOLDERS)})/[A-Za-z0-9_][A-Za-z0-9._-]{{0,200}})"
)
_CHUNK = 1 << 20
_LARGEST_MANIFEST = 64 << 20


class BackupError(RetentionError):
    """A backup cannot be made or used."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    Attributes:
        store: the shop's id.
        made_us: when, UTC microseconds.
        entries: entries in its log.
        root: hex root hash of the log.
        checkpoint: the newest signed note in it.
        files: size and hex SHA-256 by name.
    """

    store: str
    made_us: int
    entries: int
    root: str
    checkpoint: str | None
    files: Mapping[str, tuple[int, str]]

    def encode(self) -> bytes:
        """Return it as JSON."""
        files = {name: {"size": size, "sha256": sha256} for name, (size, sha256) in sorted(self.files.items())}
        fields = {"format": FORMAT, "store": self.store, "made_us": self.made_us, "entries": self.entries}
        fields |= {"root": self.root, "checkpoint": self.checkpoint, "files": files}
        return json.dumps(fields, indent=1, sort_keys=True).encode()

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Read it back.

        Raises:
            BackupError: it is of another format.
        """
        try:
            told: dict[str, Any] = json.loads(data)
            if told["format"] != FORMAT:
                raise BackupError(f"this backup is of format {told['format']}, this program knows {FORMAT}: upgrade")
            files = {str(name): (int(f["size"]), str(f["sha256"])) for name, f in told["files"].items()}
            note = told["checkpoint"]
            return cls(
                str(told["store"]),
                int(told["made_us"]),
                int(told["entries"]),
                str(told["root"]),
                None if note is None else str(note),
                files,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackupError("the manifest of this backup is not one that openaisle writes") from error


def has_place(name: str) -> bool:
    """Say whether a backup may hold a file of this name; no other comes back."""
    return _NAME.fullmatch(name) is not None


def digest(path: Path) -> tuple[int, str]:
    """Return size and hex SHA-256 of a file."""
    hashed, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            hashed.update(part)
            size += len(part)
    return size, hashed.hexdigest()


def write(target: Path, manifest: Manifest, sources: Mapping[str, Path], key: Ed25519PrivateKey) -> None:
    """Write a backup, whole or not at all.

    Args:
        target: the file to make; nothing is there yet.
        manifest: with every name of `sources`.
        sources: files by their name in the backup.
        key: the log's.

    Raises:
        BackupError: a file changed while it was read.
        OSError: the disk is full or cannot be written; nothing is left behind.
    """
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)  # of a backup that was killed
    try:
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                _add(tar, MANIFEST, io.BytesIO(text := manifest.encode()), len(text))
                for name, source in sources.items():
                    with source.open("rb") as data:
                        _add(tar, name, data, manifest.files[name][0])
            file.flush()
            file.seek(0)
            hashed = hashlib.sha256()
            while chunk := file.read(_CHUNK):
                hashed.update(chunk)
            file.write(_MARK + base64.b64encode(key.sign(_MARK + hashed.digest())) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            raise BackupError(f"{target} is there already, and nothing is overwritten; name another file")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    sync(target.parent)


def _add(tar: tarfile.TarFile, name: str, data: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    try:
        tar.addfile(member, data)
    except OSError as error:
        if error.errno is None:  # tarfile's own: fewer bytes than told
            raise BackupError(f"{name} changed while it was read; try again") from error
        raise


@contextmanager
def opened(path: Path, public: Sequence[bytes]) -> Iterator[tuple[tarfile.TarFile, Manifest]]:
    """Open a backup whose signature holds, and yield its (tar, manifest).

    Args:
        path: the backup.
        public: the log's public keys.

    Raises:
        BackupError: it is no backup of this shop, or a byte of it was changed or is missing.
    """
    if not path.is_file():  # a pipe would be waited for
        raise BackupError(f"{path} is no backup: name a file that `openaisle backup` wrote")
    with path.open("rb") as file:
        _check(path, file, public)
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                first = tar.next()
                held = None if first is None or first.name != MANIFEST else tar.extractfile(first)
                if held is None or first is None or first.size > _LARGEST_MANIFEST:
                    raise BackupError(f"{path} does not begin with its manifest")
                yield tar, Manifest.decode(held.read())
        except tarfile.TarError as error:
            raise BackupError(f"{path} cannot be read as a backup ({error})") from error


def _check(path: Path, file: IO[bytes], public: Sequence[bytes]) -> None:
    size = file.seek(0, os.SEEK_END) - _TRAILER
    file.seek(max(0, size))
    trailer = file.read()
    file.seek(0)
    hashed, left = hashlib.sha256(), size
    while left > 0 and (part := file.read(min(_CHUNK, left))):
        hashed.update(part)
        left -= len(part)
    try:
        signature = base64.b64decode(trailer[len(_MARK) : -1], validate=True)
    except ValueError:
        signature = b""
    if trailer == _MARK + base64.b64encode(signature) + b"\n":
        for key in public:
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(signature, _MARK + hashed.digest())
            except InvalidSignature:
                continue
            return
    raise BackupError(
        f"{path} is damaged, cut short, or no backup of this shop: its signature does not hold; take another one"
    )


def unpack(tar: tarfile.TarFile, manifest: Manifest, folder: Path) -> None:
    """Write the files of a backup into a folder, each held against the manifest.

    Args:
        tar: as `opened` yields it.
        manifest: the same.
        folder: where; the files must not be there yet.

    Raises:
        BackupError: there is more, less or something else in it than the manifest says.
    """
    left = dict(manifest.files)
    for member in tar:
        if member.name == MANIFEST:
            continue
        wanted = left.pop(member.name, None)
        if wanted is None or not _NAME.fullmatch(member.name) or not member.isreg():
            raise BackupError(f"the backup holds {member.name!r}, which has no place in one; take another one")
        data = tar.extractfile(member)
        path = folder / member.name
        path.parent.mkdir(exist_ok=True)
        hashed = hashlib.sha256()
        with path.open("xb") as file:
            while data is not None and (part := data.read(_CHUNK)):
                hashed.update(part)
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if (member.size, hashed.hexdigest()) != wanted:
            raise BackupError(f"{member.name} in the backup is not what its manifest says; take another one")
    if left:
        raise BackupError(f"the backup lacks {min(left)}; take another one")


def sync(folder: Path) -> None:
    """Bring what was made or moved in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
