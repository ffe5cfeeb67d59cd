"""Consents: who said yes to what, until when, and every way it ends.

Rules:
- A grant, a renewal, a refusal, an objection and every end of a consent is one transaction with its leaf in the log.
- The state table of `events` decides; an illegal move raises, and nothing is written.
- An end counts at once and for every clock: nothing is permitted afterwards, not even for instants before it.
- What repeats is harmless: an operation id makes a retry return the first result and write nothing.

The secret on the receipt is never kept, and no row of measurements is written here.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consent.database import LedgerError
from consent.events import (
    DAY_US,
    DEFAULT_TERM,
    END_EVENTS,
    PERMITTING,
    Channel,
    EventKind,
    Level,
    Move,
    Purpose,
    State,
    Value,
    move,
)
from consent.register import LIVE, Register, UnknownCodeError
from consent.subjects import new_secret, read_secret
from consent.tree import Entry

_JUMP_US = 7 * DAY_US  # further than any clock drifts; ours


@dataclass(frozen=True, slots=True)
class Grant:
    """A yes, as the receipt needs it.

    Attributes:
        secret: the code for the receipt; it is kept nowhere else, so hand it over and forget it.
        subject: under what the ledger keeps it, 32 bytes.
        grant_id: random number of this grant, 16 bytes.
        until: end of the term of each purpose, UTC microseconds.
        leaf_index: where it stands in the log.
    """

    secret: str = field(repr=False)
    subject: bytes
    grant_id: bytes
    until: Mapping[Purpose, int]
    leaf_index: int


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An end of consent.

    Attributes:
        subject: whose.
        purposes: what ended now; empty where nothing was live any more.
        leaf_index: where it stands in the log, None where nothing ended.
    """

    subject: bytes
    purposes: frozenset[Purpose]
    leaf_index: int | None


class Consents(Register):
    """The consents in the ledger."""

    # saying yes

    def grant(
        self,
        purposes: Collection[Purpose],
        *,
        now_us: int,
        notice_sha256: bytes | str,
        language: str,
        version: str,
        terms: Mapping[Purpose, int] | None = None,
        channel: Channel = Channel.KIOSK,
        controller_sha256: bytes | str | None = None,
        jurisdiction: str = "",
        level: Level = Level.EMOTION,
        stated_age: int | None = None,
        minimum_age: int = 0,
        secret: str | None = None,
        operation: bytes | None = None,
    ) -> Grant:
        """Write a consent down, with its leaf.

        Args:
            purposes: what the shopper switched on, one or more.
            now_us: when they tapped, UTC microseconds.
            notice_sha256: SHA-256 of the notice as shown, 32 bytes or hex.
            language: its language, BCP 47.
            version: its version.
            terms: days per purpose where the store's differ from `DEFAULT_TERM`.
            channel: where it was said; a phone cannot grant.
            controller_sha256: SHA-256 of the controller's name and address as shown.
            jurisdiction: ISO 3166 code of the law that applies.
            level: the store's privacy level; it caps the grant.
            stated_age: as the shopper stated it, if asked; it is not kept.
            minimum_age: under it one can only refuse.
            secret: the code of a returning shopper, or one made beforehand with `new_secret`.
            operation: 16 random bytes or more that make a retry harmless; needs `secret`.

        Raises:
            ConsentError: nothing was written, and the text says why.
        """
        wanted = _purposes(purposes)
        if channel is Channel.PHONE:
            raise LedgerError("a consent is given at the kiosk; a phone can withdraw, show and export")
        if stated_age is not None and stated_age < minimum_age:
            raise LedgerError(f"somebody under {minimum_age} can only refuse; offer the refusal")
        if capped := sorted(p.value for p in wanted if not level.allows(p)):
            raise LedgerError(f"the store's privacy level {level.value} does not allow {', '.join(capped)}")
        if operation is not None and secret is None:
            raise LedgerError("make the code with new_secret() and pass it, so that a retry can return the same one")
        secret = new_secret() if secret is None else read_secret(secret)
        with self._write() as db:
            if done := self._done(EventKind.GRANTED, operation):
                return self._grant_again(secret, done)
            subject = self._find(secret) or self.keys.subjects_of(secret)[0]
            self._expire_due(db, now_us, subject)
            states = {s.purpose: s.state for s in self.standing(subject)}
            after = {p: move(states.get(p, State.UNKNOWN), Move.REQUEST, Move.GIVE) for p in wanted}
            wrapped = self.keys.seal(subject, secrets.token_bytes(32))
            db.execute(
                "INSERT INTO subjects (subject, number, wrapped, created_us) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (subject) DO NOTHING",
                (subject, secrets.randbits(63), wrapped, now_us),
            )
            notice = read_sha256(notice_sha256, "the notice")
            details: dict[str, Value] = {"language": language, "version": version, "channel": channel.value}
            if controller_sha256 is not None:
                details["controller"] = read_sha256(controller_sha256, "the controller").hex()
            if jurisdiction:
                details["jurisdiction"] = jurisdiction
            return self._give(db, EventKind.GRANTED, secret, subject, after, now_us, terms, notice, details, operation)

    def renew(
        self,
        secret: str,
        *,
        now_us: int,
        notice_sha256: bytes | str,
        language: str,
        version: str,
        purposes: Collection[Purpose] | None = None,
        terms: Mapping[Purpose, int] | None = None,
        channel: Channel = Channel.KIOSK,
        operation: bytes | None = None,
    ) -> Grant:
        """Start the term of live purposes anew, all of them by default.

        Raises:
            ConsentError: the code is unknown, or a purpose is not live; nothing was written.
        """
        if channel is Channel.PHONE:
            raise LedgerError("a consent is renewed at the kiosk; a phone can withdraw, show and export")
        secret = read_secret(secret)
        with self._write() as db:
            if done := self._done(EventKind.RENEWED, operation):
                return self._grant_again(secret, done)
            subject = self._known(secret)
            states = {s.purpose: s for s in self.standing(subject)}
            due = {p for p, s in states.items() if s.state in PERMITTING and s.until_us <= now_us}
            live = {p for p, s in states.items() if s.state in PERMITTING} - due
            wanted = _purposes(live if purposes is None else purposes)
            if late := sorted(p.value for p in wanted & due):
                raise LedgerError(f"the term of {', '.join(late)} is over; ask anew")
            after = {p: move(states[p].state if p in states else State.UNKNOWN, Move.RENEW) for p in wanted}
            notice = read_sha256(notice_sha256, "the notice")
            details: dict[str, Value] = {"language": language, "version": version, "channel": channel.value}
            return self._give(db, EventKind.RENEWED, secret, subject, after, now_us, terms, notice, details, operation)

    def _give(
        self,
        db: sqlite3.Connection,
        kind: EventKind,
        secret: str,
        subject: bytes,
        after: Mapping[Purpose, State],
        now_us: int,
        terms: Mapping[Purpose, int] | None,
        notice: bytes,
        details: Mapping[str, Value],
        operation: bytes | None,
    ) -> Grant:
        days = {**DEFAULT_TERM, **(terms or {})}
        if any(days[p] < 1 for p in after):
            raise LedgerError("the term of a consent is one day or more")
        until = {p: now_us + days[p] * DAY_US for p in sorted(after)}
        grant_id = secrets.token_bytes(16)
        payload: dict[str, Value] = {**details, "grant": grant_id.hex(), "until_us": {p.value: until[p] for p in until}}
        leaf = self._append(db, Entry(kind, now_us, payload, subject, frozenset(after), digest=notice))
        for purpose, state in after.items():
            # a renewal keeps the first instant: what was recorded under the old term stays covered
            db.execute(
                "INSERT INTO grants (subject, purpose, state, grant_id, given_us, until_us, leaf)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (subject, purpose) DO UPDATE SET state = excluded.state,"
                " given_us = CASE WHEN ? THEN grants.given_us ELSE excluded.given_us END, grant_id = excluded.grant_id,"
                " until_us = excluded.until_us, ended_us = NULL, leaf = excluded.leaf",
                (
                    *(subject, purpose.value, state.value, grant_id, now_us, until[purpose], leaf),
                    kind is EventKind.RENEWED,
                ),
            )
        self._did(
            kind,
            operation,
            now_us,
            subject,
            {"subject": subject.hex(), "grant": grant_id.hex(), "leaf": leaf, "until": payload["until_us"]},
        )
        return Grant(secret, subject, grant_id, until, leaf)

    def _grant_again(self, secret: str, done: Mapping[str, Any]) -> Grant:
        subject = bytes.fromhex(done["subject"])
        if subject not in self.keys.subjects_of(secret):
            raise LedgerError("this operation id was used with another code; make a new one")
        until = {Purpose(p): int(t) for p, t in done["until"].items()}
        return Grant(secret, subject, bytes.fromhex(done["grant"]), until, int(done["leaf"]))

    # saying no

    def refuse(
        self,
        *,
        now_us: int,
        notice_sha256: bytes | str,
        language: str,
        version: str,
        purposes: Collection[Purpose] = tuple(Purpose),
        channel: Channel = Channel.KIOSK,
        operation: bytes | None = None,
    ) -> int:
        """Write down that somebody said no, and return the leaf index; nothing tells who."""
        details: dict[str, Value] = {"language": language, "version": version, "channel": channel.value}
        entry = Entry(
            EventKind.REFUSED,
            now_us,
            details,
            purposes=_purposes(purposes),
            digest=read_sha256(notice_sha256, "the notice"),
        )
        return self.append_once(entry, operation)

    def object(self, *, now_us: int, channel: Channel = Channel.KIOSK, operation: bytes | None = None) -> int:
        """Write down that somebody does not want to be counted either, and return the leaf index; nothing tells who.

        Their track is suppressed by a pad request of kind `object`; a linked shopper's consent ends by `end`.
        """
        entry = Entry(EventKind.OBJECTED, now_us, {"channel": channel.value})
        return self._surely(lambda: self.append_once(entry, operation))

    def withdraw(
        self,
        secret: str,
        *,
        now_us: int,
        purposes: Collection[Purpose] | None = None,
        channel: Channel = Channel.KIOSK,
        operation: bytes | None = None,
    ) -> Withdrawal:
        """Take a consent back by its code: from this commit on nothing is permitted.

        Args:
            secret: the code, as typed.
            now_us: UTC microseconds.
            purposes: which, all by default.
            channel: where it was said.
            operation: 16 random bytes or more that make a retry return the first result.

        Raises:
            UnknownCodeError: nobody is known under the code.
        """
        subjects = self.keys.subjects_of(read_secret(secret))
        return self._end(subjects, Move.WITHDRAW, now_us, purposes, channel, operation)

    def withdraw_subject(
        self,
        subject: bytes,
        *,
        now_us: int,
        purposes: Collection[Purpose] | None = None,
        channel: Channel = Channel.PAD,
        operation: bytes | None = None,
    ) -> Withdrawal:
        """Take a consent back for a shopper who stands linked on the pad, without a code."""
        return self._end((subject,), Move.WITHDRAW, now_us, purposes, channel, operation)

    def end(
        self,
        subject: bytes,
        how: Move,
        *,
        now_us: int,
        purposes: Collection[Purpose] | None = None,
        channel: Channel = Channel.DESK,
        operation: bytes | None = None,
    ) -> Withdrawal:
        """End a consent otherwise: `REVOKE` and `INVALIDATE` by the officer, `OBJECT` by a linked shopper."""
        if how not in END_EVENTS or how is Move.EXPIRE:
            raise LedgerError(f"{how} does not end a consent; a term ends by `expire`")
        return self._end((subject,), how, now_us, purposes, channel, operation)

    def _end(
        self,
        subjects: Sequence[bytes],
        how: Move,
        now_us: int,
        purposes: Collection[Purpose] | None,
        channel: Channel,
        operation: bytes | None,
    ) -> Withdrawal:
        return self._surely(lambda: self._end_once(subjects, how, now_us, purposes, channel, operation))

    def _end_once(
        self,
        subjects: Sequence[bytes],
        how: Move,
        now_us: int,
        purposes: Collection[Purpose] | None,
        channel: Channel,
        operation: bytes | None,
    ) -> Withdrawal:
        with self._write() as db:
            if done := self._done(how, operation):
                ended = frozenset(Purpose(p) for p in done["purposes"])
                return Withdrawal(bytes.fromhex(done["subject"]), ended, done["leaf"])
            subject = self._first_known(subjects)
            if subject is None:
                raise UnknownCodeError
            result = self._finish(db, subject, how, now_us, purposes, channel)
            words = sorted(p.value for p in result.purposes)
            self._did(
                how,
                operation,
                now_us,
                subject,
                {"subject": subject.hex(), "purposes": words, "leaf": result.leaf_index},
            )
            return result

    def _finish(
        self,
        db: sqlite3.Connection,
        subject: bytes,
        how: Move,
        now_us: int,
        purposes: Collection[Purpose] | None,
        channel: Channel,
    ) -> Withdrawal:
        live = {s.purpose: s.state for s in self.standing(subject) if s.state in PERMITTING}
        chosen = {p: move(live[p], how) for p in live if purposes is None or p in purposes}
        if not chosen:
            return Withdrawal(subject, frozenset(), None)
        leaf = self._append(db, Entry(END_EVENTS[how], now_us, {"channel": channel.value}, subject, frozenset(chosen)))
        for purpose, state in chosen.items():
            db.execute(
                "UPDATE grants SET state = ?, ended_us = ?, leaf = ? WHERE subject = ? AND purpose = ?",
                (state.value, now_us, leaf, subject, purpose.value),
            )
        return Withdrawal(subject, frozenset(chosen), leaf)

    def expire(self, now_us: int) -> list[Withdrawal]:
        """End every consent whose term is over, each with its leaf; permission ends at the term even before this.

        So is one that was given while the clock was far ahead: it would outlive its term by as much, and permit nothing
        until then. The clock was ahead where the log goes on by more than a week from one entry to the next, and now
        it is between the two. A clock that was put back by mistake finds no such gap, and ends nothing.
        """
        with self._write() as db:
            return [*self._expire_due(db, now_us, None), *self._expire_ahead(db, now_us)]

    def _expire_ahead(self, db: sqlite3.Connection, now_us: int) -> list[Withdrawal]:
        sql = (
            "SELECT g.subject, g.purpose, g.leaf FROM grants g JOIN records r ON r.leaf = g.leaf"  # noqa: S608
            f" WHERE g.{LIVE} AND r.at_us > ?"
        )
        ahead: dict[bytes, set[Purpose]] = {}
        for subject, purpose, leaf in db.execute(sql, (now_us + DAY_US,)).fetchall():
            sql = "SELECT leaf, at_us FROM records WHERE leaf < ? AND at_us <= ? ORDER BY leaf DESC LIMIT 1"
            before = db.execute(sql, (leaf, now_us + DAY_US)).fetchone()
            if before is not None:
                sql = "SELECT at_us FROM records WHERE leaf > ? ORDER BY leaf LIMIT 1"
                (after_us,) = db.execute(sql, (before[0],)).fetchone()
                if after_us - before[1] > _JUMP_US:
                    ahead.setdefault(subject, set()).add(Purpose(purpose))
        return [self._finish(db, s, Move.EXPIRE, now_us, p, Channel.SYSTEM) for s, p in ahead.items()]

    def _expire_due(self, db: sqlite3.Connection, now_us: int, subject: bytes | None) -> list[Withdrawal]:
        sql = f"SELECT subject, purpose FROM grants WHERE {LIVE} AND until_us <= ?"  # noqa: S608
        rows = db.execute(sql + (" AND subject = ?" if subject else ""), (now_us, subject) if subject else (now_us,))
        due: dict[bytes, set[Purpose]] = {}
        for found, purpose in rows.fetchall():
            due.setdefault(found, set()).add(Purpose(purpose))
        return [self._finish(db, s, Move.EXPIRE, now_us, p, Channel.SYSTEM) for s, p in due.items()]


def _purposes(purposes: Collection[Purpose]) -> frozenset[Purpose]:
    if not purposes:
        raise LedgerError("name one purpose or more; nothing is switched on by itself")
    return frozenset(Purpose(p) for p in purposes)


def read_sha256(value: bytes | str, what: str) -> bytes:
    """Return a SHA-256 value given as 32 bytes or 64 hex digits.

    Raises:
        ConsentError: it is neither.
    """
    try:
        digest = bytes.fromhex(value) if isinstance(value, str) else value
    except ValueError as error:
        raise LedgerError(f"{what} is named by its SHA-256: 32 bytes or 64 hex digits") from error
    if len(digest) != 32:
        raise LedgerError(f"{what} is named by its SHA-256: 32 bytes or 64 hex digits")
    return digest
