"""Every write broken twice: lost, and kept but reported lost. After each retry, what should be is there once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from consent.audit import audit
from consent.events import EventKind, Level, Move, Purpose
from consent.keys import KeyRing
from consent.ledger import Entry, Ledger, LedgerError
from tests.consent.shop import NOON, NOTICE, say_yes, write

CODE = "0123456789ABCDEFGHJK"
OTHER = "ZYXWVTSRQPNMKJHGFEDC"
TABLES = (
    "leaves",
    "nodes",
    "checkpoints",
    "levels",
    "subjects",
    "grants",
    "records",
    "inbox",
    "pad_requests",
    "requests",
)
OPERATION = b"operation-number"


class Broken(sqlite3.Connection):
    """A connection that fails at one statement, before or after carrying it out."""

    countdown = -1
    after = False

    def _step(self) -> bool:
        if Broken.countdown < 0:
            return False
        Broken.countdown -= 1
        return Broken.countdown < 0

    def execute(self, *args: object) -> sqlite3.Cursor:
        breaks = self._step()
        if breaks and not Broken.after:
            raise sqlite3.OperationalError("disk I/O error")
        cursor = super().execute(*args)  # type: ignore[arg-type]
        if breaks:
            cursor.close()  # an execute that fails leaves no open statement behind, so neither does this
            raise sqlite3.OperationalError("disk I/O error")
        return cursor

    def executemany(self, *args: object) -> sqlite3.Cursor:
        if self._step():
            raise sqlite3.OperationalError("disk I/O error")
        return super().executemany(*args)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Case:
    """One write, safe to repeat; what it needs before it."""

    write: Callable[[Ledger], object]
    before: Callable[[Ledger], object] = lambda _: None


def yes(ledger: Ledger) -> object:
    return say_yes(ledger, Purpose.DWELL, Purpose.REPEAT, secret=CODE)


def no(ledger: Ledger) -> object:
    yes(ledger)
    write(ledger, ledger.find(CODE), at_us=NOON)
    return ledger.withdraw(CODE, now_us=NOON)


def raise_level(ledger: Ledger) -> object:
    return ledger.set_level(Level.DWELL, now_us=NOON, approvals=[b"a" * 32, b"b" * 32], dpia_sha256=NOTICE)


NOTICED = {"now_us": NOON, "notice_sha256": NOTICE, "language": "en", "version": "1"}
CASES: dict[str, Case] = {
    "grant": Case(lambda ledger: say_yes(ledger, *Purpose, secret=CODE, operation=OPERATION)),
    "second grant": Case(lambda ledger: say_yes(ledger, Purpose.SMILE, secret=CODE, operation=OPERATION), yes),
    "renew": Case(lambda ledger: ledger.renew(CODE, **NOTICED, operation=OPERATION), yes),  # type: ignore[arg-type]
    "refuse": Case(lambda ledger: ledger.refuse(**NOTICED, operation=OPERATION)),  # type: ignore[arg-type]
    "object": Case(lambda ledger: ledger.object(now_us=NOON, operation=OPERATION)),
    "withdraw": Case(lambda ledger: ledger.withdraw(CODE, now_us=NOON, operation=OPERATION), yes),
    "withdraw, no id": Case(lambda ledger: ledger.withdraw(CODE, now_us=NOON), yes),
    "withdraw on the pad": Case(
        lambda ledger: ledger.withdraw_subject(ledger.find(CODE), now_us=NOON, operation=OPERATION), yes
    ),
    "revoke": Case(lambda ledger: ledger.end(ledger.find(CODE), Move.REVOKE, now_us=NOON), yes),
    "expire": Case(lambda ledger: ledger.expire(NOON * 2), yes),
    "write a row": Case(
        lambda ledger: ledger.write_inbox(
            "dwell",
            ledger.find(CODE),
            b"row",
            now_us=NOON,
            visit_end_us=NOON,
            requires=[Purpose.DWELL],
            operation=OPERATION,
        ),
        yes,
    ),
    "write cells": Case(
        lambda ledger: ledger.write_inbox("cells", None, b"bins", now_us=NOON, visit_end_us=NOON, operation=OPERATION)
    ),
    "delete rows": Case(lambda ledger: ledger.delete_inbox([1], up_to=0), no),
    "set level": Case(raise_level),
    "note settings": Case(lambda ledger: ledger.note_config(NOTICE, now_us=NOON)),
    "log an event": Case(lambda ledger: ledger.append_event(EventKind.RELEASED, now_us=NOON, operation=OPERATION)),
    "sign": Case(lambda ledger: ledger.sign_checkpoint(), yes),
    "ask the pad": Case(
        lambda ledger: ledger.open_pad_request("door", "link", ledger.find(CODE), now_us=NOON, operation=OPERATION),
        yes,
    ),
    "answer at the pad": Case(
        lambda ledger: ledger.answer_pad_request(1, "linked", now_us=NOON),
        lambda ledger: ledger.open_pad_request("door", "object", now_us=NOON),
    ),
    "ask the keeper": Case(lambda ledger: ledger.open_request("sweep", now_us=NOON, operation=OPERATION)),
    "settle": Case(
        lambda ledger: ledger.settle_request(1, "done", now_us=NOON),
        lambda ledger: ledger.open_request("sweep", now_us=NOON),
    ),
    "destroy": Case(
        lambda ledger: ledger.destroy_subjects(ledger.subjects(), now_us=NOON),
        no,
    ),
    "forget": Case(
        lambda ledger: ledger.forget(NOON + 1),
        lambda ledger: (ledger.object(now_us=NOON), ledger.open_pad_request("door", "object", now_us=NOON)),
    ),
    "rewrap": Case(lambda ledger: ledger.rewrap(), yes),
}


def counts(ledger: Ledger) -> dict[str, int]:
    return {t: ledger.select(f"SELECT count(*) FROM {t}")[0][0] for t in TABLES}  # noqa: S608


def states(ledger: Ledger) -> object:
    return (
        sorted((str(s.purpose), s.state, s.until_us) for x in ledger.subjects() for s in ledger.standing(x)),
        ledger.approved_level(),
        ledger.select("SELECT id, outcome FROM pad_requests"),
        ledger.select("SELECT id, status FROM requests"),
    )


def fresh(path: Path, keys: KeyRing, case: Case) -> Ledger:
    path.mkdir(parents=True)
    ledger = Ledger(path / "ledger.sqlite", keys, store="s", factory=Broken)
    case.before(ledger)
    return ledger


@pytest.fixture(autouse=True)
def _whole() -> None:
    Broken.countdown = -1


@pytest.mark.parametrize("name", CASES)
def test_a_broken_write_is_all_or_nothing_and_its_retry_makes_it_once(
    name: str, fast_path: Path, keys: KeyRing
) -> None:
    case = CASES[name]
    with fresh(fast_path / "whole", keys, case) as ledger:
        untouched = counts(ledger), states(ledger)
        case.write(ledger)
        wanted = counts(ledger), states(ledger)
    assert name == "rewrap" or wanted != untouched, "the case does something"
    broke = 0
    for after in (False, True):
        for at in range(200):
            with fresh(fast_path / f"{after}-{at}", keys, case) as ledger:
                Broken.after, Broken.countdown = after, at
                try:
                    case.write(ledger)
                    held = True
                except (LedgerError, sqlite3.OperationalError):
                    held = False
                passed = Broken.countdown >= 0
                Broken.countdown = -1
                assert not ledger._db.in_transaction
                between = counts(ledger), states(ledger)
                assert between in (untouched, wanted), (name, after, at)
                audit(ledger)
                if not passed:
                    broke += 1
                    assert not held
                    case.write(ledger)
                assert (counts(ledger), states(ledger)) == wanted, (name, after, at)
                audit(ledger)
            if passed:
                break
        else:
            pytest.fail("the write never came through")
    assert broke >= 4


def test_what_was_reported_lost_but_kept_is_returned_by_the_retry(ledger: Ledger, keys: KeyRing) -> None:
    with Ledger(ledger.path, keys, store="main-street", factory=Broken) as broken:
        first = say_yes(broken, secret=CODE, operation=OPERATION)
        assert say_yes(broken, secret=CODE, operation=OPERATION) == first
        ended = broken.withdraw(CODE, now_us=NOON, operation=b"another-operation")
        assert broken.withdraw(CODE, now_us=NOON + 9, operation=b"another-operation") == ended
        with pytest.raises(LedgerError, match="something else"):
            say_yes(broken, secret=OTHER, operation=b"another-operation")
        with pytest.raises(LedgerError, match="another code"):
            say_yes(broken, secret=OTHER, operation=OPERATION)
    assert ledger.size == 2


def test_a_write_that_raises_for_another_reason_leaves_nothing(ledger: Ledger) -> None:
    def stumble() -> None:
        with ledger._write() as db:
            db.execute("INSERT INTO requests (kind, args, status, opened_us) VALUES ('x', x'', 'pending', 1)")
            raise KeyError

    with pytest.raises(KeyError):
        stumble()
    assert not ledger._db.in_transaction
    assert ledger.pending_requests() == []
    ledger.append_events([Entry(EventKind.RELEASED, NOON, {})])
