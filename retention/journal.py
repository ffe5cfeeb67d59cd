"""The journal: what must not come back with a backup, written down outside the state directory and its backups.

It is a folder beside the keys, best on another disk. The keeper writes it, and `openaisle restore` reads it:

    {"at_us":1790000000000000,"ended":[[7,4611686018427387905,["dwell"]]],"kind":"log","leaves":[["{…}",null]],…} c2ln…

Rules:
- Before an erasure deletes anything, the random numbers of its subjects are here, on disk, with the privacy level and
  the terms it followed.
- A consent that ended is here as number and purposes as soon as the keeper sees it, and before a checkpoint says so.
- The entries of the log are here, too (they say nothing about a person), so that a restored log can go on where the
  lost one ended and still fits every receipt and every witness.
- A line names the hash of the line before and is signed with the log's key: a changed, removed or added line is
  noticed. A torn last line was never acknowledged and is dropped. Lines cut off the end are noticed by the ledger while
  there is one, and after that by a checkpoint from a witness or a receipt.
- It is kept as long as a backup may live, and begins anew with a line `start`; no older backup can be restored by it.

Beside it lies the newest checkpoint that was signed, for every process to hold its ledger against; it alone is open to
other users of this machine, and says no more than a receipt does.

No subject, pseudonym, key or secret is ever here. What is done with it is decided in `retention.restore`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from analytics.state import HEAD
from consent.events import DAY_US, END_EVENTS, EventKind, Leaf, Level, Purpose
from consent.ledger import Ledger
from retention.archive import sync
from retention.journalled import FIRST, NAME, JournalError, Kind, Line, parse, seal

_BATCH = 1000  # log entries in one line
_ENDS = frozenset(END_EVENTS.values())


class Journal:
    """The journal of one shop, as the keeper writes it.

    Args:
        folder: made when missing; not below the state directory.
        ledger: opened with a role that holds the log's key.

    Raises:
        JournalError: the folder lies in the state directory.
    """

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        if folder.resolve().is_relative_to(ledger.path.resolve().parent):
            raise JournalError(f"the journal must not lie in the state directory; move {folder} elsewhere")
        self.folder, self._ledger = folder, ledger
        self._path = folder / NAME
        self._pruned_us = -DAY_US
        self._forget()

    def _forget(self) -> None:
        self._head: Line | None = None
        self._before, self._end, self._inode = FIRST, 0, 0
        self._requests: set[tuple[int, tuple[int, ...]]] = set()

    def check(self) -> None:
        """Find that the journal is whole and knows of nothing that the ledger does not have.

        Raises:
            JournalError: it was changed, or the ledger was put back without it.
        """
        with self._open():
            self._fits()

    # writing

    def follow(self, now_us: int) -> int:
        """Write down what the log says since the last time, and return how many entries that were.

        Raises:
            JournalError: the journal cannot be written, was changed, or knows more than the ledger.
        """
        with self._open() as file:
            return self._catch_up(file, now_us)

    def append(
        self,
        numbers: Sequence[int],
        request: int,
        now_us: int,
        *,
        level: Level = Level.EMOTION,
        terms: Mapping[Purpose, int] | None = None,
    ) -> None:
        """Write an erasure down before it is begun; the same one is written down once.

        Args:
            numbers: the random numbers of the subjects that go.
            request: number of the erasure in the ledger.
            now_us: UTC microseconds.
            level: the privacy level it follows.
            terms: the days per purpose it follows.

        Raises:
            JournalError: see `follow`.
        """
        with self._open() as file:
            self._catch_up(file, now_us)
            if (request, tuple(numbers)) not in self._requests:
                days = {purpose.value: days for purpose, days in (terms or {}).items()}
                line = self._line(Kind.ERASURE, now_us, self._head)
                line = replace(line, numbers=tuple(numbers), request=request, level=level, terms=days)
                self._write(file, line)

    def prune(self, before_us: int) -> int:
        """Drop the lines that are older than any backup may be, once a day, and return how many.

        Args:
            before_us: UTC microseconds.

        Raises:
            JournalError: see `follow`.
        """
        if abs(before_us - self._pruned_us) < DAY_US:
            return 0
        self._pruned_us = before_us
        with self._open() as file:
            data = file.read()
            lines = [line for line, _, _ in self._checked(data)]
            dropped = next((i for i, line in enumerate(lines) if line.at_us >= before_us), len(lines))
            if not dropped or (dropped == 1 and lines[0].kind is Kind.START):
                return 0
            last = lines[dropped - 1]
            start = Line(Kind.START, last.at_us, last.size, last.root)
            fresh, hashed = b"", FIRST
            for line in (start, *lines[dropped:]):
                raw = self._sealed(line, hashed)
                fresh, hashed = fresh + raw, hashlib.sha256(raw).hexdigest()
            new = self._path.with_suffix(".new")
            with self._tells(), new.open("wb") as copy:
                new.chmod(0o600)
                copy.write(fresh)
                copy.flush()
                os.fsync(copy.fileno())
            new.replace(self._path)
            sync(self.folder)
            return dropped

    def _catch_up(self, file: Any, now_us: int) -> int:
        ledger, size = self._ledger, self._ledger.size
        if self._head is None:
            self._write(file, self._line(Kind.START, now_us, None, size))
            return 0
        known = self._head
        self._fits()
        requests = {request for request, _ in self._requests}
        unknown = False  # an erasure that the journal was never told: it was lost, or put back by hand
        for low in range(known.size, size, _BATCH):
            high = min(size, low + _BATCH)
            leaves, ended = [], []
            for index, data in ledger.leaves(low, high):
                leaf = Leaf.decode(data)
                record = None if leaf.kind.personal else ledger.record(index)
                opening = None if record is None else (record.entry_key.hex(), record.payload.decode("ascii"))
                leaves.append((data.decode("ascii"), opening))
                if leaf.kind in _ENDS:
                    ended += [(index, n, tuple(sorted(p.value for p in leaf.purposes))) for n in self._number(index)]
                if leaf.kind is EventKind.ERASED:
                    told = {} if record is None else json.loads(record.payload)
                    unknown = unknown or told.get("request") not in requests
            line = self._line(Kind.LOG, now_us, None, high)
            self._write(file, replace(line, leaves=tuple(leaves), ended=tuple(ended)))
        if unknown:
            self._write(file, self._line(Kind.START, now_us, self._head))
        return size - known.size

    def _fits(self) -> None:
        known = self._head
        if known is None or (known.size <= self._ledger.size and self._ledger.root(known.size).hex() == known.root):
            return
        raise JournalError(
            f"the journal {self.folder} knows log entries that this ledger does not have: it was put back by hand; put "
            "it back with `openaisle restore`, so that nothing erased returns"
        )

    def _number(self, leaf: int) -> list[int]:
        sql = "SELECT s.number FROM records r JOIN subjects s ON s.subject = r.subject WHERE r.leaf = ?"
        return [int(number) for (number,) in self._ledger.select(sql, leaf)]

    def _line(self, kind: Kind, now_us: int, as_of: Line | None, size: int = 0) -> Line:
        if as_of is not None:
            return Line(kind, now_us, as_of.size, as_of.root)
        return Line(kind, now_us, size, self._ledger.root(size).hex())

    def note_head(self, note: str) -> None:
        """Put down the newest checkpoint, once the journal holds all that it speaks of.

        Args:
            note: signed.

        Raises:
            JournalError: it cannot be written.
        """
        new = self.folder / f"{HEAD}.new"
        with self._tells():
            self.folder.chmod(self.folder.stat().st_mode & 0o777 | 0o011)  # through, and no look at what else is here
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "w", encoding="utf-8") as file:
                new.chmod(0o644)
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.folder / HEAD)
            sync(self.folder)

    # the file

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """Open the file for this process alone, read what is new in it, and cut a torn line off."""
        with self._tells():
            self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with self._tells():
                fcntl.flock(lock, fcntl.LOCK_EX)
                new = not self._path.exists()
                file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
                if new:
                    sync(self.folder)
            with file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode or file.seek(0, os.SEEK_END) < self._end:
                    self._forget()
                    self._inode = inode
                file.seek(self._end)
                data, whole = file.read(), 0
                for line, hashed, end in list(self._checked(data, self._before)):
                    self._note(line)
                    self._before, whole = hashed, end
                self._end += whole
                if whole < len(data):
                    with self._tells():
                        file.truncate(self._end)
                file.seek(0)
                yield file
        finally:
            os.close(lock)

    def _checked(self, data: bytes, before: str = FIRST) -> Iterator[tuple[Line, str, int]]:
        return parse(data, before, self._ledger.keys.public_keys("log"), self._ledger.origin, self.folder)

    def _note(self, line: Line) -> None:
        self._head = line
        if line.request is not None:
            self._requests.add((line.request, line.numbers))

    def _sealed(self, line: Line, before: str) -> bytes:
        return seal(line, before, self._ledger.keys.signing_key("log"), self._ledger.origin)

    def _write(self, file: Any, line: Line) -> None:
        raw = self._sealed(line, self._before)
        with self._tells():
            file.seek(self._end)
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        self._before, self._end = hashlib.sha256(raw).hexdigest(), self._end + len(raw)
        self._note(line)

    @contextmanager
    def _tells(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JournalError(
                f"the journal {self.folder} cannot be written: {error.strerror}; nothing is erased before it can"
            ) from error
