"""Asking the ledger: who is known, how their consents stand, and what is permitted at an instant.

Nothing here writes, and nothing here guesses: who is not found has permitted nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consent.cases import Cases
from consent.database import LedgerError
from consent.events import END_EVENTS, Level, Purpose, State
from consent.subjects import read_secret

LIVE = "state IN ('ConsentGiven', 'RenewedConsentGiven')"  # in SQL what `State.permits` is in Python


class UnknownCodeError(LedgerError):
    """Nobody is known under this code: it was typed wrong, or everything under it is erased already."""

    def __init__(self) -> None:
        super().__init__("nobody is known under this code: check it, or everything under it is erased already")


@dataclass(frozen=True, slots=True)
class Standing:
    """How one purpose of one subject stands; instants are UTC microseconds."""

    purpose: Purpose
    state: State
    given_us: int
    until_us: int
    ended_us: int | None
    leaf_index: int


class Register(Cases):
    """Subjects and the state of their consents."""

    def permits(self, subject: bytes, at_us: int, *, level: Level = Level.EMOTION) -> frozenset[Purpose]:
        """Return what may be recorded about a subject at an instant, as far as is known now.

        Args:
            subject: 32 bytes.
            at_us: UTC microseconds.
            level: the store's privacy level; it caps what any grant can allow.
        """
        sql = f"SELECT purpose FROM grants WHERE subject = ? AND {LIVE} AND given_us <= ? AND ? < until_us"  # noqa: S608
        with self._lock:
            found = {Purpose(row[0]) for row in self._db.execute(sql, (subject, at_us, at_us))}
        return frozenset(p for p in found if level.allows(p))

    def live_subjects(self, now_us: int, *, level: Level = Level.EMOTION) -> dict[bytes, frozenset[Purpose]]:
        """Return every subject with a live grant, and for what."""
        sql = f"SELECT subject, purpose FROM grants WHERE {LIVE} AND given_us <= ? AND ? < until_us"  # noqa: S608
        found: dict[bytes, set[Purpose]] = {}
        with self._lock:
            for subject, purpose in self._db.execute(sql, (now_us, now_us)):
                if level.allows(Purpose(purpose)):
                    found.setdefault(subject, set()).add(Purpose(purpose))
        return {subject: frozenset(purposes) for subject, purposes in found.items()}

    def standing(self, subject: bytes) -> list[Standing]:
        """Return how each purpose of a subject stands; what is not listed is `State.UNKNOWN`."""
        sql = "SELECT purpose, state, given_us, until_us, ended_us, leaf FROM grants WHERE subject = ? ORDER BY purpose"
        with self._lock:
            rows = self._db.execute(sql, (subject,)).fetchall()
        return [Standing(Purpose(p), State(s), given, until, ended, leaf) for p, s, given, until, ended, leaf in rows]

    def find(self, secret: str) -> bytes:
        """Return the subject of a code as typed.

        Raises:
            UnknownCodeError: nobody is known under it.
        """
        return self._known(read_secret(secret))

    def subjects(self) -> list[bytes]:
        """Return every subject that is not destroyed, live or not."""
        with self._lock:
            return [row[0] for row in self._db.execute("SELECT subject FROM subjects ORDER BY id")]

    def idle_subjects(self) -> list[bytes]:
        """Return the subjects that have nothing live: every consent under them has ended."""
        sql = (
            "SELECT subject FROM subjects s WHERE NOT EXISTS"  # noqa: S608
            f" (SELECT 1 FROM grants g WHERE g.subject = s.subject AND {LIVE}) ORDER BY id"
        )
        with self._lock:
            return [row[0] for row in self._db.execute(sql)]

    def live_grants(self, now_us: int) -> dict[bytes, list[Standing]]:
        """Return what has neither ended nor, at an instant, outlived its term, by subject.

        A grant that seems to lie in the future is live: it is the clock that was moved back.
        """
        sql = (
            "SELECT subject, purpose, state, given_us, until_us, ended_us, leaf FROM grants"  # noqa: S608
            f" WHERE {LIVE} AND ? < until_us ORDER BY id"
        )
        found: dict[bytes, list[Standing]] = {}
        with self._lock:
            for subject, p, s, given, until, ended, leaf in self._db.execute(sql, (now_us,)):
                found.setdefault(subject, []).append(Standing(Purpose(p), State(s), given, until, ended, leaf))
        return found

    def ended_since(self, leaf: int) -> set[bytes]:
        """Return the subjects of whom the log says, from an entry on, that a consent ended, and who are known still."""
        kinds = ", ".join(f"'{kind.value}'" for kind in END_EVENTS.values())
        sql = f"SELECT DISTINCT subject FROM records WHERE leaf >= ? AND subject IS NOT NULL AND kind IN ({kinds})"  # noqa: S608
        with self._lock:
            return {row[0] for row in self._db.execute(sql, (leaf,))}

    def subjects_granted(self, start_us: int, end_us: int) -> list[bytes]:
        """Return the subjects whose consent was given in a window, for somebody who lost their code."""
        sql = "SELECT DISTINCT subject FROM records WHERE kind IN ('granted', 'renewed') AND at_us BETWEEN ? AND ?"
        with self._lock:
            return [row[0] for row in self._db.execute(sql, (start_us, end_us))]

    def number_of(self, subject: bytes) -> int:
        """Return the random number under which an erasure journal may name a subject outside the state directory."""
        return int(self._subject("number", "subject", subject))

    def subject_of_number(self, number: int) -> bytes:
        """Return the subject of a number from an erasure journal."""
        return bytes(self._subject("subject", "number", number))

    def subject_key(self, subject: bytes) -> bytes:
        """Return a subject's own key, 32 bytes; `watch` and the keeper can.

        Raises:
            ConsentError: the subject is destroyed, or this process does not hold the sealing key.
        """
        return self.keys.unseal(subject, self._subject("wrapped", "subject", subject))

    def _subject(self, column: str, by: str, value: bytes | int) -> bytes:
        with self._lock:
            row = self._db.execute(f"SELECT {column} FROM subjects WHERE {by} = ?", (value,)).fetchone()  # noqa: S608
        if row is None:
            raise LedgerError("this subject is not in the ledger, or is destroyed")
        return row[0]  # type: ignore[no-any-return]

    def _find(self, secret: str) -> bytes | None:
        return self._first_known(self.keys.subjects_of(secret))

    def _known(self, secret: str) -> bytes:
        subject = self._find(secret)
        if subject is None:
            raise UnknownCodeError
        return subject

    def _first_known(self, subjects: Sequence[bytes]) -> bytes | None:
        with self._lock:
            for subject in subjects:
                if self._db.execute("SELECT 1 FROM subjects WHERE subject = ?", (subject,)).fetchone():
                    return subject
        return None
