"""A look at a shop as it stands, beside whoever is at work in it: nothing is opened, locked, written or waited for.

Rules:
- Files are read as plain files by a process that has none of them open as a database: no lock is taken and none lost.
- What is read goes into memory that has no name: it ends with this process, however that ends.
- A copy during which the file was written anew is thrown away and made again.

How a copy is whole. SQLite: the log beside the file holds every page that changed since it was begun; where it was not
begun anew between the reading of both, the copies fit. DuckDB: nothing that the head of the file refers to is
written over before the head changes; where the head is the same before and after, the copy is as it was, and so
is the log that was read between.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from analytics.state import State
from analytics.store import Visits
from consent.keys import KeyRing, Role
from consent.ledger import Ledger
from retention.model import RetentionError

_MEMORY = Path("/dev/shm")  # noqa: S108 - small, and unlinked the moment it is open
_TRIES = 20
_HEAD = 3 * 4096  # of a DuckDB file: one header and two that take turns
_SALTS = slice(16, 24)  # of the head of SQLite's log: new ones with every beginning


@contextmanager
def snapshot(state: State) -> Iterator[tuple[Ledger, Visits]]:
    """Yield copies of the ledger and the visits, in memory.

    Args:
        state: the shop.

    Raises:
        RetentionError: it is written too fast to be copied.
        ConsentError: the keys are not there, or not the keeper's.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="openaisle-plan-", dir=_MEMORY)))
        ring = KeyRing.open(state.keys, Role.KEEPER, state=state.root)
        path = folder / state.ledger.name
        main, wal = _ledger(state.ledger)
        try:
            _put(path, main)
            _put(_wal(path, "-wal"), wal)
            ledger = stack.enter_context(Ledger(path, ring, store=state.store.store.id))
        finally:  # it stays open, and is gone whatever happens
            for end in ("", "-wal", "-shm"):
                _wal(path, end).unlink(missing_ok=True)
        if state.visits.exists():
            for end, number in zip(("", ".wal"), _visits(state.visits), strict=True):
                if number is not None:
                    stack.callback(os.close, number)
                    _wal(folder / state.visits.name, end).symlink_to(f"/proc/self/fd/{number}")
        yield ledger, stack.enter_context(Visits(folder / state.visits.name))


def _ledger(path: Path) -> tuple[bytes, bytes]:
    """Return the ledger's file and its log, fitting each other."""
    for _ in range(_TRIES):
        stamp, before = path.stat(), _read(_wal(path, "-wal"))[:32]
        main, wal = path.read_bytes(), _read(_wal(path, "-wal"))
        after = path.stat()
        untouched = (stamp.st_mtime_ns, stamp.st_size) == (after.st_mtime_ns, after.st_size)
        if (before and before[_SALTS] == wal[_SALTS]) or (untouched and not before):
            return main, wal
        time.sleep(0.05)
    raise RetentionError(f"{path} changes too fast to be looked at; try again in a minute")


def _visits(path: Path) -> tuple[int, int | None]:
    """Return descriptors of copies in memory of the visits and, where there is one, of their log."""
    for _ in range(_TRIES):
        with path.open("rb") as file:
            head = file.read(_HEAD)
            wal = _read(_wal(path, ".wal"))
            file.seek(0)
            number = os.memfd_create("visits")
            with os.fdopen(os.dup(number), "wb") as copy:
                while part := file.read(8 << 20):
                    copy.write(part)
            file.seek(0)
            same = file.read(_HEAD) == head and os.fstat(file.fileno()).st_ino == _inode(path)
        if same:
            if not wal:
                return number, None
            log = os.memfd_create("wal")
            with os.fdopen(os.dup(log), "wb") as copy:
                copy.write(wal)
            return number, log
        os.close(number)
        time.sleep(0.2)
    raise RetentionError(f"{path} changes too fast to be looked at; try again in a minute")


def _wal(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _put(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
