"""Whatever people and clocks do, no row exists without a valid purpose at its instant.

A model of a few lines says what is permitted; the ledger must agree at every step. There are two clocks: the wall
clock, which somebody may set back, and the time of the pictures, which runs behind it or ahead.

    OPENAISLE_RUNS=10000 pytest tests/consent/test_model.py
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from consent.audit import audit
from consent.events import DAY_US, ConsentError, Level, Move, Purpose, State
from consent.keys import KeyRing
from consent.ledger import Ledger
from consent.subjects import new_secret
from tests.consent.shop import NOON, NOTICE, runs

PURPOSES = st.sets(st.sampled_from(Purpose), min_size=1)
SHIFTS = st.sampled_from([-DAY_US, -1, 0, 1, 5_000_000, DAY_US, 6 * DAY_US, 29 * DAY_US, 91 * DAY_US])
WHO = st.integers(0, 2)
TERM = {Purpose.DWELL: 30, Purpose.EMOTION: 7, Purpose.REPEAT: 90, Purpose.SMILE: 1}
WAYS_OUT = ("code", "pad", "revoke", "invalidate", "object")
NOTICED: dict[str, Any] = {"notice_sha256": NOTICE, "language": "en", "version": "1"}


@dataclass
class Yes:
    """What the model remembers of one purpose of one person."""

    given: int
    until: int
    live: bool = True
    renewed: bool = False


@dataclass(frozen=True)
class Row:
    """A row the ledger took."""

    who: int
    purposes: frozenset[Purpose]
    start: int
    end: int
    payload: bytes


class Shop(RuleBasedStateMachine):
    """Three people, two clocks, one ledger."""

    keys: KeyRing

    @initialize()
    def open(self) -> None:
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.ledger = Ledger(self.folder / "ledger.sqlite", self.keys, store="s")
        self.now, self.media, self.level = NOON, NOON, Level.EMOTION
        self.codes: dict[int, str] = {}
        self.subjects: dict[int, bytes] = {}
        self.said: dict[int, dict[Purpose, Yes]] = {}
        self.rows: list[Row] = []
        self.leaves = 0

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            audit(self.ledger)
            self.ledger.close()
            shutil.rmtree(self.folder)

    # the clocks

    @rule(shift=SHIFTS)
    def wall_clock(self, shift: int) -> None:
        self.now += shift

    @rule(shift=st.sampled_from([-DAY_US, -1, 0, 0, 1, 5_000_000]))
    def media_clock(self, shift: int) -> None:
        self.media = self.now + shift

    @rule(level=st.sampled_from([*Level, Level.EMOTION, Level.EMOTION, Level.EMOTION]))
    def level_set(self, level: Level) -> None:
        self.level = level

    # the people

    def over(self, who: int) -> set[Purpose]:
        return {p for p, yes in self.said.get(who, {}).items() if yes.live and yes.until <= self.now}

    @rule(who=WHO, purposes=PURPOSES)
    def say_yes(self, who: int, purposes: set[Purpose]) -> None:
        said = self.said.get(who, {})
        due = self.over(who)
        code = self.codes.get(who) or new_secret()
        fine = all(not (p in said and said[p].live) or p in due for p in purposes)
        try:
            given = self.ledger.grant(purposes, now_us=self.now, secret=code, **NOTICED)
        except ConsentError:
            assert not fine
            return
        assert fine
        self.leaves += 1 + bool(due)
        for p in due:
            said[p].live = False
        self.codes[who], self.subjects[who] = code, given.subject
        said |= {p: Yes(self.now, self.now + TERM[p] * DAY_US) for p in purposes}
        self.said[who] = said

    @precondition(lambda self: self.said)
    @rule(who=WHO, purposes=st.none() | PURPOSES)
    def renew(self, who: int, purposes: set[Purpose] | None) -> None:
        if who not in self.codes:
            return
        said = self.said[who]
        live = {p for p, yes in said.items() if yes.live and yes.until > self.now}
        wanted = live if purposes is None else purposes
        fine = bool(wanted) and wanted <= live
        try:
            self.ledger.renew(self.codes[who], now_us=self.now, purposes=purposes, **NOTICED)
        except ConsentError:
            assert not fine
            return
        assert fine
        self.leaves += 1
        for p in wanted:
            said[p].until, said[p].renewed = self.now + TERM[p] * DAY_US, True

    @rule(
        who=WHO, purposes=st.none() | PURPOSES, how=st.sampled_from(["code", "pad", "revoke", "invalidate", "object"])
    )
    def say_no(self, who: int, purposes: set[Purpose] | None, how: str) -> None:
        if who not in self.codes:
            with pytest.raises(ConsentError):
                self.ledger.withdraw(new_secret(), now_us=self.now)
            return
        if how == "code":
            ended = self.ledger.withdraw(self.codes[who], now_us=self.now, purposes=purposes)
        elif how == "pad":
            ended = self.ledger.withdraw_subject(self.subjects[who], now_us=self.now, purposes=purposes)
        else:
            ended = self.ledger.end(self.subjects[who], Move(how), now_us=self.now, purposes=purposes)
        expected = {p for p, yes in self.said[who].items() if yes.live and (purposes is None or p in purposes)}
        assert ended.purposes == expected
        self.leaves += bool(expected)
        for p in expected:
            self.said[who][p].live = False

    @rule()
    def sweep(self) -> None:
        due = {who: self.over(who) for who in self.said if self.over(who)}
        ended = {w.subject: w.purposes for w in self.ledger.expire(self.now)}
        assert ended == {self.subjects[who]: purposes for who, purposes in due.items()}
        self.leaves += len(due)
        for who, purposes in due.items():
            for p in purposes:
                self.said[who][p].live = False

    @rule(who=WHO)
    def destroy(self, who: int) -> None:
        if who not in self.codes:
            return
        due = self.over(who)
        fine = all(not yes.live or p in due for p, yes in self.said[who].items())
        try:
            self.ledger.destroy_subject(self.subjects[who], now_us=self.now)
        except ConsentError:
            assert not fine
            return
        assert fine
        self.leaves += 1 + bool(due)
        self.rows = [row for row in self.rows if row.who != who]
        del self.codes[who], self.subjects[who], self.said[who]

    # the pictures

    @rule(who=WHO, purposes=PURPOSES, length=st.sampled_from([0, 0, 1, 5_000_000, DAY_US]))
    def visit(self, who: int, purposes: set[Purpose], length: int) -> None:
        subject = self.subjects.get(who, bytes([who]) * 32)
        start, end = self.media - length, self.media
        fine = all(
            (yes := self.said.get(who, {}).get(p)) is not None
            and yes.live
            and self.level.allows(p)
            and all(yes.given <= t < yes.until for t in (start, end, self.now))
            for p in purposes
        )
        payload = str(len(self.rows)).encode()
        assert fine == self.ledger.write_inbox(
            "dwell",
            subject,
            payload,
            now_us=self.now,
            visit_end_us=end,
            visit_start_us=start,
            requires=purposes,
            level=self.level,
        )
        if fine:
            self.rows.append(Row(who, frozenset(purposes), start, end, payload))

    @invariant()
    def the_ledger_permits_what_the_model_permits(self) -> None:
        if not hasattr(self, "ledger"):
            return
        assert self.ledger.size == self.leaves
        for who, said in self.said.items():
            for t in {self.now, self.media}:
                permitted = {
                    p for p, yes in said.items() if yes.live and yes.given <= t < yes.until and self.level.allows(p)
                }
                assert self.ledger.permits(self.subjects[who], t, level=self.level) == permitted
            for standing in self.ledger.standing(self.subjects[who]):
                yes = said[standing.purpose]
                assert standing.state.permits == yes.live
                assert not yes.live or standing.state == (State.RENEWED if yes.renewed else State.GIVEN)
        assert len(self.ledger.subjects()) == len(self.said)

    @invariant()
    def every_row_had_a_valid_purpose_at_its_instant(self) -> None:
        if not hasattr(self, "ledger"):
            return
        inbox = self.ledger.read_inbox(limit=10_000)
        assert [(r.subject, r.payload) for r in inbox] == [(self.subjects[r.who], r.payload) for r in self.rows]
        for row in self.rows:
            told = [json.loads(r.payload) for r in self.ledger.records_of(self.subjects[row.who])]
            for p in row.purposes:
                terms = [(t["at_us"], t["until_us"][p]) for t in told if p in t.get("until_us", ())]
                assert any(start <= row.start for start, _ in terms)
                assert any(row.end < until for _, until in terms)


def test_no_row_without_a_valid_purpose_at_its_instant(keys: KeyRing) -> None:
    Shop.keys = keys
    run_state_machine_as_test(
        Shop,
        settings=settings(
            max_examples=runs(120),
            stateful_step_count=40,
            deadline=None,
            derandomize=runs(0) == 0,
            suppress_health_check=list(HealthCheck),
        ),
    )
