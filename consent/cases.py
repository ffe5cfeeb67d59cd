"""The register of requests that people make: what for, when received, by when to be answered, and how it ended.

Rules:
- Nothing about the person: no name, no code, no free text; who asked stands in the shop's own correspondence.
- A month is that of Regulation (EEC, Euratom) 1182/71, Article 3: it ends on the same date of the next month, or on the
  last day of one that has no such date; where that is a Saturday or a Sunday, on the next working day. Public holidays
  are not known here, so a date shown may be a day earlier than the law's, and is never later.
- A case may be extended once, by two further months, with a reason, while its first month lasts (GDPR Art. 12(3)).
- What is closed stays as it is, until it is forgotten.

Deadlines are dates of the shop's calendar; the caller says which day it is.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from consent.database import LedgerError
from consent.events import EventKind
from consent.mailbox import Mailbox
from consent.tree import Entry


class CaseKind(StrEnum):
    """What somebody asks for."""

    ACCESS = "access"  # Art. 15 and 20
    ERASURE = "erasure"  # Art. 17
    OBJECTION = "objection"  # Art. 21
    COMPLAINT = "complaint"


class Reason(StrEnum):
    """Why an answer takes longer, in the words of Art. 12(3)."""

    COMPLEXITY = "complexity"
    NUMBER = "number"  # of requests


class Outcome(StrEnum):
    """How a case ended."""

    ANSWERED = "answered"
    ERASED = "erased"
    NOTHING = "nothing"  # nothing is held on whoever asked
    UNKNOWN = "unknown"  # who asked could not be told apart from others (Art. 11(2))
    REFUSED = "refused"  # Art. 12(5)
    TAKEN_BACK = "taken_back"


@dataclass(frozen=True, slots=True)
class Case:
    """One request of a person.

    Attributes:
        number: of the case.
        kind: what for.
        received: the day it came.
        due: the last day for the answer.
        extended: why it takes longer, None where it does not.
        closed: the day it was closed, None while open.
        outcome: how it ended.
    """

    number: int
    kind: CaseKind
    received: date
    due: date
    extended: Reason | None = None
    closed: date | None = None
    outcome: Outcome | None = None

    def overdue(self, today: date) -> bool:
        """Say whether it should have been answered by now, or was too late."""
        return (self.closed or today) > self.due


def due_on(received: date, months: int = 1) -> date:
    """Return the last day of a period of months that began with an event.

    Args:
        received: the day of the event, which is not counted itself.
        months: how many.
    """
    year, month = divmod(received.year * 12 + received.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    day = date(year, month + 1, min(received.day, last))
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)


class Cases(Mailbox):
    """The table of cases."""

    def open_case(self, kind: str, received: date) -> Case:
        """Write a request down, and return it with its deadline."""
        kind, due = CaseKind(kind), due_on(received)
        with self._write() as db:
            sql = "INSERT INTO cases (kind, received, due) VALUES (?, ?, ?)"
            number = int(db.execute(sql, (kind.value, received.isoformat(), due.isoformat())).lastrowid or 0)
        return Case(number, kind, received, due)

    def extend_case(self, number: int, reason: str, today: date) -> Case:
        """Give a case two further months.

        Raises:
            LedgerError: there is none, it is closed or was extended, or its first month is over.
        """
        case = self._open_case(number)
        if case.extended is not None:
            raise LedgerError(f"case {number} was extended already, until {case.due}; once is all the law allows")
        if today > case.due:
            raise LedgerError(f"case {number} was due on {case.due}; an extension must be said before that day is over")
        due = due_on(case.received, 3)
        with self._write() as db:
            row = (Reason(reason).value, due.isoformat(), number)
            db.execute("UPDATE cases SET extended = ?, due = ? WHERE id = ? AND extended IS NULL", row)
        return self.case(number)

    def close_case(self, number: int, outcome: str, today: date, *, now_us: int) -> Case:
        """Close a case, and log that somebody was answered.

        Raises:
            LedgerError: there is none, or it is closed.
        """
        case, ended = self._open_case(number), Outcome(outcome)
        if today < case.received:
            raise LedgerError(f"case {number} came on {case.received}; it cannot be closed before that")
        details = {"case": number, "kind": case.kind.value, "outcome": ended.value}
        with self._write() as db:
            row = (today.isoformat(), now_us, ended.value, number)
            sql = "UPDATE cases SET closed = ?, closed_us = ?, outcome = ? WHERE id = ? AND closed IS NULL"
            if db.execute(sql, row).rowcount:
                self._append(db, Entry(EventKind.ANSWERED, now_us, details))
        return self.case(number)

    def case(self, number: int) -> Case:
        """Return a case.

        Raises:
            LedgerError: there is none.
        """
        found = [case for case in self.cases() if case.number == number]
        if not found:
            raise LedgerError(f"there is no case {number}; `openaisle requests list` shows those there are")
        return found[0]

    def cases(self) -> list[Case]:
        """Return every case, the most urgent first and those closed last."""
        sql = (
            "SELECT id, kind, received, due, extended, closed, outcome FROM cases ORDER BY closed IS NOT NULL, due, id"
        )
        with self._lock:
            rows = self._db.execute(sql).fetchall()
        return [
            Case(
                i,
                CaseKind(kind),
                date.fromisoformat(received),
                date.fromisoformat(due),
                None if extended is None else Reason(extended),
                None if closed is None else date.fromisoformat(closed),
                None if outcome is None else Outcome(outcome),
            )
            for i, kind, received, due, extended, closed, outcome in rows
        ]

    def _open_case(self, number: int) -> Case:
        case = self.case(number)
        if case.closed is not None:
            raise LedgerError(f"case {number} was closed on {case.closed}; open a new one")
        return case
