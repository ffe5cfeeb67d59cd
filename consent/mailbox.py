"""Where the processes meet: questions to the pad, rows for the keeper, requests from the dashboard.

Rules:
- A message is an enum or an opaque payload; the one who reads it decides what it means.
- A pad request forgets its subject the moment it is answered.
- Rows about a person enter the inbox only through `Ledger.write_inbox`, which checks the grant.

Nothing here is logged: these tables are emptied again, and no promise is made in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from consent.database import LedgerError
from consent.padwords import PadKind, PadOutcome
from consent.tree import Tree

_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PAD = re.compile(r"[^\x00-\x1f]{1,64}")


class RequestStatus(StrEnum):
    """How far a request to the keeper has come."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PadRequest:
    """One question to the pad. All instants are UTC microseconds.

    Attributes:
        id: number of the request.
        pad: name of the pad's zone.
        kind: see `PadKind`.
        subject: whom to link, None where the question names nobody or is answered.
        screen_us: when the consent screen appeared.
        tap_us: when the shopper tapped.
        opened_us: when the kiosk wrote the request.
        outcome: the answer, None while pending.
        answered_us: when it was answered.
    """

    id: int
    pad: str
    kind: PadKind
    subject: bytes | None
    screen_us: int
    tap_us: int
    opened_us: int
    outcome: PadOutcome | None = None
    answered_us: int | None = None


@dataclass(frozen=True, slots=True)
class InboxRow:
    """One row on its way to the keeper; `id` only ever grows, and is never used again."""

    id: int
    kind: str
    subject: bytes | None
    written_us: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the keeper, with its opaque arguments and result."""

    id: int
    kind: str
    args: bytes
    status: RequestStatus
    opened_us: int
    settled_us: int | None
    result: bytes | None


class Mailbox(Tree):
    """The tables in which the processes leave each other messages."""

    # kiosk → watch → kiosk

    def open_pad_request(
        self,
        pad: str,
        kind: str,
        subject: bytes | None = None,
        *,
        now_us: int,
        screen_us: int | None = None,
        tap_us: int | None = None,
        operation: bytes | None = None,
    ) -> int:
        """Ask the camera that sees the pad, and return the number to read the answer by.

        Args:
            pad: name of the pad's zone.
            kind: see `PadKind`; `grant` and `link` need a subject.
            subject: whom to link.
            now_us: UTC microseconds.
            screen_us: when the consent screen appeared, `now_us` by default.
            tap_us: when the shopper tapped, `now_us` by default.
            operation: 16 random bytes or more that make a retry return the first number.
        """
        kind = PadKind(kind)
        if not _PAD.fullmatch(pad):
            raise LedgerError("a pad is named by its zone in store.toml")
        if (subject is None) == (kind in (PadKind.GRANT, PadKind.LINK)):
            raise LedgerError(f"a pad request to {kind} names {'a' if subject is None else 'no'} subject")
        sql = "INSERT INTO pad_requests (pad, kind, subject, screen_us, tap_us, opened_us) VALUES (?, ?, ?, ?, ?, ?)"
        screen, tap = now_us if screen_us is None else screen_us, now_us if tap_us is None else tap_us
        if tap < screen:
            raise LedgerError("a tap comes after its screen; check the clock and ask again")
        row = (pad, kind.value, subject, screen, tap, now_us)

        def put() -> int:
            return self._put_once("pad", sql, row, now_us, operation, subject)

        return put() if kind in (PadKind.GRANT, PadKind.LINK) else self._surely(put)

    def pending_pad_requests(self, pad: str | None = None) -> list[PadRequest]:
        """Return the questions nobody has answered, oldest first."""
        return [r for r in self._pad_requests("outcome IS NULL", ()) if pad in (None, r.pad)]

    def answer_pad_request(self, request_id: int, outcome: str, *, now_us: int) -> bool:
        """Answer a question and forget whom it was about; False where it was answered before or is gone."""
        with self._write() as db:
            sql = (
                "UPDATE pad_requests SET outcome = ?, answered_us = ?, subject = NULL WHERE id = ? AND outcome IS NULL"
            )
            return db.execute(sql, (PadOutcome(outcome).value, now_us, request_id)).rowcount == 1

    def read_pad_request(self, request_id: int) -> PadRequest | None:
        """Return a question with its answer, if any; None where it was forgotten."""
        found = self._pad_requests("id = ?", (request_id,))
        return found[0] if found else None

    def _pad_requests(self, where: str, args: tuple[int, ...]) -> list[PadRequest]:
        sql = (
            "SELECT id, pad, kind, subject, screen_us, tap_us, opened_us, outcome, answered_us"  # noqa: S608
            f" FROM pad_requests WHERE {where} ORDER BY id"
        )
        with self._lock:
            rows = self._db.execute(sql, args).fetchall()
        return [
            PadRequest(i, pad, PadKind(kind), subject, screen, tap, opened, PadOutcome(o) if o else None, answered)
            for i, pad, kind, subject, screen, tap, opened, o, answered in rows
        ]

    # watch → keeper

    def read_inbox(self, after_id: int = 0, limit: int = 1000) -> list[InboxRow]:
        """Return the oldest rows with a number above `after_id`."""
        sql = "SELECT id, kind, subject, written_us, payload FROM inbox WHERE id > ? ORDER BY id LIMIT ?"
        with self._lock:
            return [InboxRow(*row) for row in self._db.execute(sql, (after_id, limit))]

    def delete_inbox(self, ids: Iterable[int] = (), *, up_to: int = 0) -> int:
        """Delete rows by number, and all rows up to a number; return how many went."""
        with self._write() as db:
            gone = db.execute("DELETE FROM inbox WHERE id <= ?", (up_to,)).rowcount
            return gone + sum(db.execute("DELETE FROM inbox WHERE id = ?", (i,)).rowcount for i in ids)

    def _put_inbox(self, kind: str, subject: bytes | None, payload: bytes, now_us: int) -> int:
        sql = "INSERT INTO inbox (kind, subject, written_us, payload) VALUES (?, ?, ?, ?)"
        return int(self._db.execute(sql, (_word(kind), subject, now_us, payload)).lastrowid or 0)

    # dashboard → keeper

    def open_request(self, kind: str, args: bytes = b"", *, now_us: int, operation: bytes | None = None) -> int:
        """Ask the keeper for something, and return the number to read the result by."""
        sql = "INSERT INTO requests (kind, args, status, opened_us) VALUES (?, ?, 'pending', ?)"
        return self._put_once("request", sql, (_word(kind), args, now_us), now_us, operation)

    def _put_once(
        self,
        what: str,
        sql: str,
        args: tuple[str | bytes | int | None, ...],
        now_us: int,
        operation: bytes | None,
        subject: bytes | None = None,
    ) -> int:
        with self._write() as db:
            if done := self._done(what, operation):
                return int(done["id"])
            number = int(db.execute(sql, args).lastrowid or 0)
            self._did(what, operation, now_us, subject, {"id": number})
            return number

    def pending_requests(self) -> list[Request]:
        """Return the requests that are not settled, oldest first; one that runs was interrupted or is at work."""
        return self._requests("status IN ('pending', 'running') ORDER BY id", ())

    def read_request(self, request_id: int) -> Request | None:
        """Return a request and its result, None where it was forgotten."""
        found = self._requests("id = ?", (request_id,))
        return found[0] if found else None

    def settle_request(self, request_id: int, status: str, *, now_us: int, result: bytes | None = None) -> bool:
        """Say how far a request has come; False where it was settled before or is gone."""
        status = RequestStatus(status)
        if status is RequestStatus.PENDING:
            raise LedgerError("a request does not go back to pending; open a new one")
        settled = None if status is RequestStatus.RUNNING else now_us
        with self._write() as db:
            sql = (
                "UPDATE requests SET status = ?, settled_us = ?, result = ?"
                " WHERE id = ? AND status IN ('pending', 'running')"
            )
            return db.execute(sql, (status.value, settled, result, request_id)).rowcount == 1

    def oldest(self) -> dict[str, int]:
        """Return when the oldest row of each erasable table is of, UTC microseconds; empty tables are not in it."""
        columns = (("subjects", "created_us"), ("inbox", "written_us"), ("requests", "opened_us"))
        found = {}
        for table, column in (*columns, ("pad_requests", "opened_us"), ("operations", "at_us")):
            ((at_us,),) = self.select(f"SELECT min({column}) FROM {table}")  # noqa: S608  names of ours
            if at_us is not None:
                found["consent" if table == "subjects" else table] = int(at_us)
        return found

    def blank_request(self, request_id: int) -> None:
        """Take the arguments out of a settled request: what they held serves nobody any more."""
        with self._write() as db:
            db.execute("UPDATE requests SET args = x'' WHERE id = ? AND settled_us IS NOT NULL", (request_id,))

    def forget_requests(self, ids: Iterable[int]) -> int:
        """Delete requests by number; return how many went."""
        with self._write() as db:
            return sum(db.execute("DELETE FROM requests WHERE id = ?", (i,)).rowcount for i in ids)

    def _requests(self, where: str, args: tuple[int, ...]) -> list[Request]:
        sql = f"SELECT id, kind, args, status, opened_us, settled_us, result FROM requests WHERE {where}"  # noqa: S608
        with self._lock:
            rows = self._db.execute(sql, args).fetchall()
        return [Request(i, kind, a, RequestStatus(status), o, s, r) for i, kind, a, status, o, s, r in rows]


def _word(kind: str) -> str:
    if not _WORD.fullmatch(kind):
        raise LedgerError("a kind is one lower-case word")
    return kind
