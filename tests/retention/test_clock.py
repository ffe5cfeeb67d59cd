"""A clock that jumps: nobody is recorded for longer than they said, and what proves an erasure stays."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.audit import audit
from consent.events import DAY_US, EventKind, Purpose
from consent.keys import Role
from retention import plan
from retention.clock import WEEK_US, Clock
from retention.journalled import NAME, read
from retention.keeper import Keeper
from retention.status import last_sweep
from tests.retention.keeping import NOON, SECOND, Shop

YEAR_US = 365 * DAY_US


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop.make(tmp_path / "shop")


def sweep(shop: Shop, now_us: int) -> None:
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        keeper.run_once(now_us).check()


@pytest.mark.parametrize("ahead_us", [8 * DAY_US, 60 * DAY_US, 4 * YEAR_US])
def test_a_yes_of_a_clock_far_ahead_ends_once_the_clock_is_right(shop: Shop, ahead_us: int) -> None:
    real = shop.yes(now_us=NOON)
    wrong = shop.yes(now_us=NOON + ahead_us)
    shop.stay(wrong.subject, NOON + ahead_us + SECOND)
    sweep(shop, NOON + ahead_us + 60 * SECOND)
    if ahead_us < 30 * DAY_US:
        assert shop.ledger.standing(real.subject)[0].state.permits
    sweep(shop, NOON + DAY_US)
    assert wrong.subject not in shop.ledger.subjects(), "it would live until its own, wrong, term"
    assert shop.rows() == []
    audit(shop.ledger)


def test_a_renewal_by_a_clock_far_ahead_ends_too(shop: Shop) -> None:
    yes = shop.yes(now_us=NOON)
    shop.ledger.grant(
        [Purpose.DWELL],
        now_us=NOON + 100 * DAY_US,
        notice_sha256="ab" * 32,
        language="en",
        version="1",
        secret=yes.secret,
    )
    sweep(shop, NOON + DAY_US)
    assert yes.subject not in shop.ledger.subjects()


def test_a_clock_put_back_by_mistake_ends_nobody(shop: Shop) -> None:
    people = [shop.yes(now_us=NOON + day * DAY_US, days=400) for day in range(0, 40, 5)]
    for wrong_us in (0, NOON - YEAR_US, NOON - 2 * DAY_US, NOON, NOON + 12 * DAY_US, NOON + 33 * DAY_US):
        sweep(shop, wrong_us)
    assert all(shop.ledger.standing(one.subject)[0].state.permits for one in people)


def test_a_clock_far_ahead_costs_neither_journal_nor_certificates_and_a_right_one_does(shop: Shop) -> None:
    yes = shop.yes(now_us=NOON)
    shop.stay(yes.subject, NOON + SECOND)
    sweep(shop, NOON + 60 * SECOND)
    shop.ledger.withdraw(yes.secret, now_us=NOON + 61 * SECOND)
    sweep(shop, NOON + 62 * SECOND)
    (certificate,) = shop.state.certificates.glob("*")
    os.utime(certificate, (NOON // SECOND, NOON // SECOND))
    journal = (shop.state.journal / NAME).read_bytes()
    for late_us in (0, DAY_US, 6 * DAY_US):
        sweep(shop, NOON + 4 * YEAR_US + late_us)
        assert certificate.exists()
        assert (shop.state.journal / NAME).read_bytes().startswith(journal)
    told = plan.status(shop.state, NOON + 4 * YEAR_US + 6 * DAY_US)
    assert "1459 days ahead" in plan.text(told)
    assert told["problems"] == []
    sweep(shop, NOON + 4 * YEAR_US + WEEK_US)
    assert not certificate.exists(), "a week bore it out"
    lines = read(shop.state.journal, shop.ledger.keys.public_keys("log"), shop.ledger.origin)
    assert lines[0].at_us >= NOON
    assert not any(line.numbers for line in lines)
    assert plan.status(shop.state, NOON + 4 * YEAR_US + WEEK_US)["clock"] is None


def test_personal_data_goes_early_rather_than_late_by_a_clock_that_is_doubted(shop: Shop) -> None:
    yes = shop.yes(now_us=NOON)
    sweep(shop, NOON + SECOND)
    sweep(shop, NOON + 4 * YEAR_US)
    assert yes.subject not in shop.ledger.subjects()
    kinds = [EventKind(k) for (k,) in shop.ledger.select("SELECT kind FROM records ORDER BY leaf")]
    assert EventKind.ERASED in kinds


def test_a_file_of_an_older_version_or_a_broken_one_is_no_trouble(shop: Shop) -> None:
    sweep(shop, NOON)
    file = shop.state.root / "keeper.json"
    told = json.loads(file.read_text())
    del told["clock"]
    file.write_text(json.dumps(told))
    last = last_sweep(shop.state.root)
    assert last is not None
    assert last["clock"] is None
    for broken in ({"believed_us": "x", "doubted_us": None}, {}, 7):
        file.write_text(json.dumps({**told, "clock": broken}))
        assert last_sweep(shop.state.root) is None
        sweep(shop, NOON + SECOND)


@given(st.lists(st.integers(0, WEEK_US), min_size=1))
def test_a_clock_that_goes_on_is_always_believed(steps: list[int]) -> None:
    now, clock = NOON, Clock(NOON)
    for step in steps:
        now += step
        clock = clock.look(now)
        assert clock.believed
        assert clock.complaint() is None


@given(st.integers(WEEK_US + 1, 100 * YEAR_US), st.lists(st.integers(0, DAY_US), max_size=6))
def test_a_jump_is_doubted_for_a_week_however_often_it_is_looked_at(jump: int, steps: list[int]) -> None:
    now = NOON + jump
    clock = Clock(NOON).look(now)
    assert not clock.believed
    for step in steps:
        now += step
        clock = clock.look(now)
        assert clock.believed is (now - (NOON + jump) >= WEEK_US)
    assert clock.look(NOON + DAY_US).believed, "it was put right"
