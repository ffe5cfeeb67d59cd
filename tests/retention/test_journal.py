"""The journal: nothing is deleted that is not in it, no edit of it goes unseen, and a torn line loses nothing."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.config import ConfigError
from analytics.start import init
from analytics.state import HEAD
from analytics.store import Visits
from consent.events import Level, Purpose
from consent.keys import Role
from consent.ledger import Ledger
from retention.erasure import Erasure
from retention.journal import Journal
from retention.journalled import NAME, JournalError, Kind, Line, read
from retention.keeper import Keeper, PassReport
from tests.retention import keeper_child
from tests.retention.keeping import DAY_US, NOON, SECOND, Shop

RUNS = int(os.environ.get("OPENAISLE_RUNS", "8"))
MINUTE = 60 * SECOND


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop.make(tmp_path / "shop")
    with shop.ledger:
        yield shop


def run_once(shop: Shop, now_us: int) -> PassReport:
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        return keeper.run_once(now_us)


def lines(shop: Shop) -> list[Line]:
    return read(shop.state.journal, shop.ledger.keys.public_keys("log"), shop.ledger.origin)


def erasures(shop: Shop) -> set[int]:
    return {number for line in lines(shop) for number in line.numbers}


def gone(shop: Shop, people: int = 3) -> tuple[list[int], int]:
    """People who came and went, with a keeper's pass in between; return their numbers, and when."""
    everybody = [shop.yes() for _ in range(people)]
    run_once(shop, NOON + SECOND)
    for one in everybody:
        shop.stay(one.subject, NOON + SECOND)
    run_once(shop, NOON + MINUTE)
    numbers = [shop.ledger.number_of(one.subject) for one in everybody]
    for one in everybody:
        shop.ledger.withdraw(one.secret, now_us=NOON + MINUTE)
    return sorted(numbers), NOON + 2 * MINUTE


def test_an_erasure_and_the_withdrawals_before_it_are_in_the_journal_by_number(shop: Shop) -> None:
    numbers, now_us = gone(shop)
    run_once(shop, now_us)
    told = lines(shop)
    assert told[0].kind is Kind.START
    assert sorted(n for line in told for _, n, words in line.ended if words == ("dwell",)) == numbers
    (erasure,) = [line for line in told if line.kind is Kind.ERASURE]
    assert (list(erasure.numbers), erasure.level) == (numbers, Level.REPEAT)
    assert erasure.terms == {"dwell": 30, "emotion": 7, "repeat": 90, "smile": 1}
    assert told[-1].size == shop.ledger.size
    assert told[-1].root == shop.ledger.root().hex()
    data = (shop.state.journal / NAME).read_bytes()
    assert (shop.state.journal / NAME).stat().st_mode & 0o777 == 0o600
    for one in shop.ledger.keys.subjects_of("0" * 20):
        assert one not in data


STEPS = [
    (Journal, "append"),
    (Visits, "delete"),
    (Ledger, "destroy_subjects"),
    (Visits, "rewrite"),
    (Ledger, "append_event"),
    (Ledger, "settle_request"),
    (Visits, "settle"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[step for _, step in STEPS])
def test_whatever_step_an_erasure_stops_at_it_is_journalled_before_a_row_is_gone_and_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, owner: type, step: str, after: bool
) -> None:
    numbers, now_us = gone(shop)
    real = getattr(owner, step)

    def stop(*args: object, **how: object) -> None:
        if after:
            real(*args, **how)
        os.kill(os.getpid(), signal.SIGKILL)

    def erase() -> None:
        monkeypatch.setattr(owner, step, stop)
        with shop.state.open_ledger(Role.KEEPER) as ledger, Visits(shop.state.visits) as visits:
            Erasure(shop.state, ledger, visits).run(now_us)

    child = multiprocessing.get_context("fork").Process(target=erase)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    begun = (owner, step, after) != (Journal, "append", False)
    assert erasures(shop) == (set(numbers) if begun else set())
    if not begun:
        assert len(shop.rows()) == 3
    run_once(shop, now_us + SECOND)
    assert shop.rows() == []
    assert shop.ledger.subjects() == []
    assert [sorted(line.numbers) for line in lines(shop) if line.kind is Kind.ERASURE] == [numbers]
    assert [line.kind for line in lines(shop)].count(Kind.START) == 1


def test_a_keeper_killed_at_any_moment_has_journalled_whatever_it_destroyed(shop: Shop) -> None:
    rng = random.Random(7)
    born: set[int] = set()
    start_us = NOON
    for i in range(RUNS):
        people = [shop.yes(now_us=start_us) for _ in range(4)]
        for one in people:
            shop.stay(one.subject, start_us + SECOND)
        born |= {shop.ledger.number_of(one.subject) for one in people}
        for one in people[:3]:
            shop.ledger.withdraw(one.secret, now_us=start_us + MINUTE)
        start_us += 2 * MINUTE
        child = multiprocessing.get_context("spawn").Process(
            target=keeper_child.keep, args=(str(shop.state.root), start_us)
        )
        child.start()
        time.sleep(0.8 + rng.random() * 0.8)
        child.kill()
        child.join()
        alive = {shop.ledger.number_of(s) for s in shop.ledger.subjects()}
        journal = shop.state.journal / NAME
        told = erasures(shop) if journal.exists() else set()
        assert born - alive <= told, i
    run_once(shop, start_us)
    assert len(shop.ledger.subjects()) == RUNS
    assert born - {shop.ledger.number_of(s) for s in shop.ledger.subjects()} == erasures(shop)


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_torn_last_line_is_dropped_wherever_it_tore_and_writing_goes_on(shop: Shop) -> None:
    numbers, now_us = gone(shop)
    run_once(shop, now_us)
    path = shop.state.journal / NAME
    whole = path.read_bytes()
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    before = len(lines(shop))
    for cut in range(start, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert len(lines(shop)) == before - 1
        Journal(shop.state.journal, shop.ledger).follow(now_us)
        assert lines(shop)[-1].size == shop.ledger.size
        assert erasures(shop) == set(numbers)


def test_every_changed_byte_is_noticed(shop: Shop) -> None:
    _, now_us = gone(shop, 1)
    run_once(shop, now_us)
    path = shop.state.journal / NAME
    whole = path.read_bytes()
    noticed = 0
    for i in range(len(whole) - 1):  # without the last line break the last line is a torn one
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        with pytest.raises(JournalError, match="was changed"):
            lines(shop)
        noticed += 1
    assert noticed == len(whole) - 1


def test_a_removed_swapped_or_foreign_line_is_noticed(shop: Shop, tmp_path: Path) -> None:
    _, now_us = gone(shop)
    run_once(shop, now_us)
    path = shop.state.journal / NAME
    told = path.read_bytes().splitlines(keepends=True)
    other = Shop.make(tmp_path / "other")
    with other.ledger:
        Journal(other.state.journal, other.ledger).follow(NOON)
    foreign = (other.state.journal / NAME).read_bytes()
    for edited in (told[1:], told[:1] + told[2:], [told[1], told[0], *told[2:]], [*told, told[-1]], [*told, foreign]):
        path.write_bytes(b"".join(edited))
        with pytest.raises(JournalError, match="was changed"):
            Journal(shop.state.journal, shop.ledger).check()
    path.write_bytes(foreign)
    with pytest.raises(JournalError, match="was changed"):
        lines(shop)


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "lost"])
def test_a_journal_that_lost_an_erasure_says_that_it_knows_nothing_of_before(shop: Shop, cut: bool) -> None:
    _, now_us = gone(shop)
    path = shop.state.journal / NAME
    early = path.read_bytes()
    run_once(shop, now_us)
    if cut:
        path.write_bytes(early)
    else:
        shutil.rmtree(shop.state.journal)
    run_once(shop, now_us + MINUTE)
    told = lines(shop)
    (again,) = [line for line in told[1:] if line.kind is Kind.START] if cut else [told[0]]
    assert again.size == shop.ledger.size


def test_a_ledger_put_back_by_hand_is_not_kept(shop: Shop, tmp_path: Path) -> None:
    shop.yes()
    run_once(shop, NOON)
    shop.ledger.close()
    shutil.copytree(shop.state.root, tmp_path / "copy")
    again = Shop(shop.state, shop.state.open_ledger(Role.ADMIN))
    again.yes(now_us=NOON + SECOND)
    run_once(again, NOON + MINUTE)
    again.ledger.close()
    shutil.rmtree(shop.state.root)
    shutil.copytree(tmp_path / "copy", shop.state.root)
    with pytest.raises(ConfigError, match="openaisle restore"):
        shop.state.open_ledger(Role.KEEPER)
    (shop.state.journal / HEAD).unlink()  # as an earlier version left it
    with shop.state.open_ledger(Role.KEEPER) as ledger, pytest.raises(JournalError, match="openaisle restore"):
        Keeper(shop.state, ledger)


def test_while_the_journal_cannot_be_written_nothing_is_erased_and_the_log_is_signed(shop: Shop) -> None:
    numbers, now_us = gone(shop)
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        aside = shop.state.journal.with_name("aside")
        shop.state.journal.rename(aside)
        shop.state.journal.write_bytes(b"")
        report = keeper.run_once(now_us)
        assert report.erased == ()
        assert "cannot be written" in str(report.deferred)
        assert "cannot be written" in str(report.journal)
        assert report.signed
        shop.state.journal.unlink()
        aside.rename(shop.state.journal)
        report = keeper.run_once(now_us + SECOND)
    assert ([e.subjects for e in report.erased], report.journal) == ([3], None)
    assert erasures(shop) == set(numbers)


def test_old_lines_go_and_what_is_left_still_fits(shop: Shop) -> None:
    gone(shop)
    run_once(shop, NOON + 2 * MINUTE)
    size = shop.ledger.size
    for day in range(6, 31, 6):
        run_once(shop, NOON + day * DAY_US)
    late = NOON + 31 * DAY_US
    shop.yes(now_us=late)
    run_once(shop, late)
    told = lines(shop)
    assert (told[0].kind, told[0].size) == (Kind.START, size)
    assert erasures(shop) == set()
    assert told[-1].size == shop.ledger.size
    shop.yes(Purpose.DWELL, now_us=late + SECOND)
    run_once(shop, late + MINUTE)
    assert lines(shop)[-1].root == shop.ledger.root().hex()


def test_a_journal_lies_outside_and_a_new_shop_does_not_take_an_old_one(tmp_path: Path) -> None:
    shop = Shop.make(tmp_path / "shop")
    with shop.ledger, pytest.raises(JournalError, match="must not lie in the state directory"):
        Journal(shop.state.root / "journal", shop.ledger)
    (tmp_path / "new-journal").mkdir()
    (tmp_path / "new-journal" / NAME).write_bytes(b"")
    with pytest.raises(ConfigError, match="is there already"):
        init(tmp_path / "new", now_us=NOON)
