"""The keeper: what reaches the visits, what leaves them and the disk, and what survives a crash at any point."""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import os
import random
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analytics.duckfile import DuckFile
from analytics.figures import SLOTS, Audience, Figure
from analytics.payload import CellPayload
from analytics.row import VISIT
from analytics.store import StoreError, Visits
from analytics.zones import ZoneKind
from consent.audit import audit
from consent.events import EventKind, Leaf, Level, Purpose
from consent.keys import Role
from consent.ledger import Ledger
from retention import erasure, scan
from retention.keeper import Keeper, PassReport
from retention.model import RetentionError
from tests.apart import read_apart
from tests.retention import keeper_child
from tests.retention.keeping import DAY_US, NOON, NOTICE, SECOND, Shop, visit

RUNS = int(os.environ.get("OPENAISLE_RUNS", "8"))
MINUTE = 60 * SECOND


@pytest.fixture
def fast_path() -> Iterator[Path]:
    """A directory in memory where there is one: processes are killed here, and no machine."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def shop(fast_path: Path) -> Iterator[Shop]:
    shop = Shop.make(fast_path / "shop")
    with shop.ledger:
        yield shop


def run_once(shop: Shop, now_us: int = NOON + MINUTE, *, sweep: bool = True) -> PassReport:
    """A keeper that comes, makes one pass, and goes."""
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        return keeper.run_once(now_us, sweep=sweep)


def traces(shop: Shop, *pseudonyms: int) -> dict[str, int]:
    """Where a pseudonym stands in any form, by a search that shares nothing with the product's."""
    found: dict[str, int] = {}
    for path in sorted(shop.state.root.rglob("*")):
        data = read_apart(path) if path.is_file() else b""
        for number in pseudonyms:
            raw = number.to_bytes(8, "little")
            for form in (raw, raw[::-1], raw.hex().encode(), raw[::-1].hex().encode(), str(number).encode()):
                if form in data:
                    found[path.name] = found.get(path.name, 0) + data.count(form)
    return found


def erased(ledger: Ledger) -> list[tuple[int, int]]:
    """Return (subjects, rows) of every `Erased` entry."""
    found = []
    for index, data in ledger.leaves(0, ledger.size):
        leaf = Leaf.decode(data)
        if leaf.kind is EventKind.ERASED:
            record = ledger.record(index)
            assert record is not None
            found.append((int(leaf.count or 0), int(json.loads(record.payload)["rows"])))
    return found


# --- what is loaded ---------------------------------------------------------------------------------------------------


def test_a_visit_stands_under_a_hash_of_its_day_and_for_repeat_visits_under_one_for_all_days(shop: Shop) -> None:
    her = shop.yes(Purpose.DWELL, Purpose.REPEAT).subject
    instants = [NOON + MINUTE, NOON + DAY_US, NOON + 2 * DAY_US]
    assert [shop.stay(her, t) for t in instants] == [True] * 3
    report = run_once(shop, NOON + 3 * DAY_US)
    assert (report.loaded, report.refused) == (6, 0)
    assert shop.rows() == [(shop.hash_of(her, t), t) for t in instants]
    assert len({pseudonym for pseudonym, _ in shop.rows()}) == 3
    assert shop.rows(Purpose.REPEAT) == [(shop.hash_of(her, NOON, Purpose.REPEAT), t) for t in instants]
    assert shop.ledger.read_inbox() == []


def test_a_row_keeps_where_how_long_and_why_and_its_day_in_the_store(shop: Shop) -> None:
    her = shop.yes().subject
    night = NOON - NOON % DAY_US + 22 * 3600 * SECOND + 1800 * SECOND  # 22:30 UTC is the next day in Berlin
    shop.stay(her, night + DAY_US)
    run_once(shop, night + DAY_US + MINUTE)
    with Visits(shop.state.visits) as visits:
        (new,) = visits.read(Purpose.DWELL)
    assert new.row == visit(night + DAY_US)
    assert new.day.isoformat() == "2026-09-23"


def withdrawn(shop: Shop) -> None:
    shop.ledger.withdraw_subject(shop.ledger.subjects()[0], now_us=NOON + MINUTE)


def level_lowered(shop: Shop) -> None:
    shop.ledger.set_level(Level.COUNTS, now_us=NOON + MINUTE)


def level_asked_back(shop: Shop) -> None:
    shop.set('level = "repeat"', 'level = "counts"')


@pytest.mark.parametrize(
    ("ends", "now_us"),
    [
        (withdrawn, NOON + 2 * MINUTE),
        (level_lowered, NOON + 2 * MINUTE),
        (level_asked_back, NOON + 2 * MINUTE),
        (lambda _: None, NOON + 30 * DAY_US),  # the term is over
    ],
    ids=["withdrawn", "level lowered", "level asked back", "term over"],
)
def test_a_row_whose_grant_ended_before_it_was_loaded_never_is(
    shop: Shop, ends: Callable[[Shop], None], now_us: int
) -> None:
    her = shop.yes().subject
    assert shop.stay(her, NOON + SECOND)
    ends(shop)
    report = run_once(shop, now_us, sweep=False)
    assert (report.loaded, report.refused) == (0, 1)
    assert shop.rows() == []
    assert shop.ledger.read_inbox() == []


def test_a_row_from_before_the_present_grant_or_past_its_end_is_not_loaded(shop: Shop) -> None:
    her = shop.yes(days=1)
    shop.stay(her.subject, NOON + SECOND)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    again = {"notice_sha256": NOTICE, "language": "en", "version": "1", "secret": her.secret}
    shop.ledger.grant([Purpose.DWELL], now_us=NOON + 2 * MINUTE, **again)  # type: ignore[arg-type]
    shop.stay(her.subject, NOON + 3 * MINUTE)
    report = run_once(shop, NOON + 4 * MINUTE)
    assert (report.loaded, report.refused) == (1, 1)
    assert [enter for _, enter in shop.rows()] == [NOON + 3 * MINUTE]


def test_a_row_that_this_version_cannot_read_stays_and_hinders_no_erasure(shop: Shop) -> None:
    her, him = shop.yes(), shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    times = {"now_us": NOON + MINUTE, "visit_end_us": NOON + MINUTE, "requires": {Purpose.DWELL}}
    assert shop.ledger.write_inbox(VISIT, him.subject, b'{"camera":"entrance"}', **times)  # type: ignore[arg-type]
    shop.stay(him.subject, NOON + 2 * MINUTE)
    strange = shop.ledger.read_inbox()[0].id
    shop.ledger.withdraw(her.secret, now_us=NOON + 3 * MINUTE)
    report = run_once(shop, NOON + 4 * MINUTE)
    assert (report.blocked, report.loaded) == (strange, 0)
    assert [(e.subjects, e.rows) for e in report.erased] == [(1, 1)]
    assert len(shop.ledger.read_inbox()) == 2
    shop.ledger.withdraw(him.secret, now_us=NOON + 5 * MINUTE)
    assert run_once(shop, NOON + 6 * MINUTE).blocked == strange  # seen once more before its subject is destroyed
    assert run_once(shop, NOON + 7 * MINUTE).blocked is None


# --- what is erased ---------------------------------------------------------------------------------------------------


def test_after_a_withdrawal_no_byte_of_the_hash_is_left_where_a_plain_delete_leaves_them(
    shop: Shop, tmp_path: Path
) -> None:
    people = [shop.yes(Purpose.DWELL, Purpose.REPEAT) for _ in range(20)]
    for i, one in enumerate(people):
        for t in (NOON + (i + 1) * SECOND, NOON + DAY_US):
            assert shop.stay(one.subject, t)
    run_once(shop, NOON + DAY_US + MINUTE)
    gone = people[:4]
    hashes = [shop.hash_of(p.subject, t, Purpose.DWELL) for p in gone for t in (NOON, NOON + DAY_US)]
    hashes += [shop.hash_of(p.subject, NOON, Purpose.REPEAT) for p in gone]

    control = tmp_path / "control.duckdb"
    control.write_bytes(shop.state.visits.read_bytes())
    with duckdb.connect(str(control)) as db:
        for number in hashes:
            db.execute("DELETE FROM dwell WHERE visitor = ?", [number])
            db.execute("DELETE FROM repeat WHERE visitor = ?", [number])
        db.execute("CHECKPOINT")
    left = control.read_bytes()
    assert sum(number.to_bytes(8, "little") in left for number in hashes) == len(hashes)

    for one in gone:
        shop.ledger.withdraw(one.secret, now_us=NOON + DAY_US + 2 * MINUTE)
    report = run_once(shop, NOON + DAY_US + 3 * MINUTE)
    assert [(e.subjects, e.rows) for e in report.erased] == [(4, 16)]
    assert traces(shop, *hashes) == {}
    assert len(shop.rows()) == len(shop.rows(Purpose.REPEAT)) == 32
    assert erased(shop.ledger) == [(4, 16)]
    audit(shop.ledger)


def test_ending_one_purpose_deletes_its_rows_and_no_other(shop: Shop) -> None:
    her = shop.yes(Purpose.DWELL, Purpose.REPEAT)
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    number = shop.hash_of(her.subject, NOON)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE, purposes=[Purpose.DWELL])
    report = run_once(shop, NOON + 2 * MINUTE)
    assert [(e.subjects, e.rows) for e in report.erased] == [(0, 1)]
    assert (shop.rows(), len(shop.rows(Purpose.REPEAT))) == ([], 1)
    assert traces(shop, number) == {}
    assert shop.ledger.find(her.secret) == her.subject


def test_a_row_past_its_term_goes_though_the_consent_was_renewed(shop: Shop) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    later = NOON + 29 * DAY_US
    shop.ledger.renew(her.secret, now_us=later, notice_sha256=NOTICE, language="en", version="1")
    shop.stay(her.subject, later + SECOND)
    run_once(shop, later + MINUTE)
    assert len(shop.rows()) == 2
    run_once(shop, NOON + 31 * DAY_US)
    assert [enter for _, enter in shop.rows()] == [later + SECOND]
    assert shop.ledger.find(her.secret) == her.subject


def test_consent_and_rows_end_with_their_term(shop: Shop) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    number = shop.hash_of(her.subject, NOON)
    assert run_once(shop, NOON + 30 * DAY_US - 1).erased == ()
    report = run_once(shop, NOON + 30 * DAY_US)
    assert [(e.subjects, e.rows) for e in report.erased] == [(1, 1)]
    assert traces(shop, number) == {}
    assert shop.ledger.subjects() == []


def test_a_row_that_no_grant_covers_goes_whoever_it_is(shop: Shop) -> None:
    shop.stay(shop.yes().subject, NOON + SECOND)
    run_once(shop)
    with duckdb.connect(str(shop.state.visits)) as db:
        db.execute("UPDATE dwell SET visitor = 12345678901234567890")
    assert [(e.subjects, e.rows) for e in run_once(shop).erased] == [(0, 1)]
    assert traces(shop, 12345678901234567890) == {}


def test_a_yes_right_after_a_no_does_not_keep_what_the_no_ended(shop: Shop) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    again = {"notice_sha256": NOTICE, "language": "en", "version": "1", "secret": her.secret}
    shop.ledger.grant([Purpose.DWELL], now_us=NOON + MINUTE, **again)  # type: ignore[arg-type]
    shop.stay(her.subject, NOON + 2 * MINUTE)
    report = run_once(shop, NOON + 3 * MINUTE)
    assert [(e.subjects, e.rows) for e in report.erased] == [(0, 1)]
    assert [enter for _, enter in shop.rows()] == [NOON + 2 * MINUTE]


def test_lowering_the_level_deletes_what_it_does_not_allow(shop: Shop) -> None:
    her = shop.yes(Purpose.DWELL, Purpose.REPEAT).subject
    shop.stay(her, NOON + SECOND)
    run_once(shop)
    shop.set('level = "repeat"', 'level = "dwell"')
    run_once(shop)
    assert (len(shop.rows()), shop.rows(Purpose.REPEAT)) == (1, [])


def test_a_clock_that_was_moved_back_erases_nothing_and_one_put_right_goes_on(shop: Shop) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    for now_us in (NOON + MINUTE, NOON - 400 * DAY_US, 0, NOON + MINUTE):
        assert run_once(shop, now_us).erased == ()
        assert len(shop.rows()) == 1
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    assert [e.subjects for e in run_once(shop, NOON - 400 * DAY_US).erased] == [1]
    assert shop.rows() == []


def test_nothing_is_logged_as_erased_while_its_hash_stands_in_a_file(shop: Shop) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    number = shop.hash_of(her.subject, NOON)
    stray = shop.state.root / "notes.txt"
    stray.write_text(f"seen: {number:016X}\n")
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    report = run_once(shop, NOON + 2 * MINUTE)
    assert report.erased == ()
    assert "notes.txt" in str(report.deferred)
    assert str(number) not in str(report.deferred)
    assert erased(shop.ledger) == []
    stray.unlink()
    assert [(e.subjects, e.rows) for e in run_once(shop, NOON + 3 * MINUTE).erased] == [(1, 1)]
    assert traces(shop, number) == {}


def test_a_reader_of_the_ledger_defers_an_erasure_and_does_not_spoil_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consent.database._BUSY_MS", 50)
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    with sqlite3.connect(shop.state.ledger, isolation_level=None) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM subjects").fetchone()
        report = run_once(shop, NOON + 2 * MINUTE)
        assert report.deferred is not None
        assert erased(shop.ledger) == []
        reader.execute("ROLLBACK")
    reader.close()
    assert [(e.subjects, e.rows) for e in run_once(shop, NOON + 3 * MINUTE).erased] == [(1, 1)]


# --- crashes ----------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process ends here."""


STEPS: list[tuple[type, str]] = [
    (Visits, "load"),
    (Ledger, "delete_inbox"),
    (Ledger, "expire"),
    (Ledger, "open_request"),
    (Visits, "delete"),
    (Ledger, "destroy_subjects"),
    (Ledger, "compact"),
    (DuckFile, "rewrite"),
    (DuckFile, "_swap"),
    (erasure.Erasure, "_prove"),
    (Ledger, "append_event"),
    (Ledger, "settle_request"),
    (Visits, "settle"),
    (Ledger, "sign_checkpoint"),
]


@pytest.mark.parametrize("after", [False, True], ids=["lost", "done"])
@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[name for _, name in STEPS])
def test_a_crash_at_any_step_loses_nothing_repeats_nothing_and_the_next_run_finishes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, owner: type, step: str, after: bool
) -> None:
    her, him = shop.yes(), shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    number = shop.hash_of(her.subject, NOON)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    for i in range(3):
        shop.stay(him.subject, NOON + MINUTE + i * SECOND)

    real = getattr(owner, step)

    def crash(*args: object, **named: object) -> object:
        if after:
            real(*args, **named)
        raise Crash

    with monkeypatch.context() as broken:
        with shop.state.open_ledger(Role.KEEPER) as ledger:
            keeper = Keeper(shop.state, ledger)
            broken.setattr(owner, step, crash)
            with pytest.raises(Crash):
                keeper.run_once(NOON + 2 * MINUTE)
        keeper.close()
    if erased(shop.ledger):
        assert traces(shop, number) == {}
    report = run_once(shop, NOON + 3 * MINUTE)
    assert report.deferred is None
    assert [enter for _, enter in shop.rows()] == [NOON + MINUTE + i * SECOND for i in range(3)]
    assert erased(shop.ledger) == [(1, 1)]
    assert traces(shop, number) == {}
    assert shop.ledger.read_inbox() == []
    assert run_once(shop, NOON + 4 * MINUTE) == PassReport()
    audit(shop.ledger)


def test_killed_at_any_moment_it_loses_no_acknowledged_row_doubles_none_and_logs_no_erasure_it_did_not_do(
    fast_path: Path,
) -> None:
    rng = random.Random(20)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([keeper_child.__name__])
    warm = processes.Process(target=len, args=([],))
    warm.start()
    warm.join()
    shop = Shop.make(fast_path / "shop")
    people = [shop.yes(Purpose.DWELL, Purpose.REPEAT) for _ in range(RUNS + 2)]
    acknowledged: dict[bytes, list[int]] = {p.subject: [] for p in people}
    now_us = NOON + DAY_US
    instant = NOON + SECOND
    gone: set[int] = set()
    for run in range(RUNS):
        keeper = processes.Process(target=keeper_child.keep, args=(str(shop.state.root), now_us))
        keeper.start()
        until = time.monotonic() + rng.uniform(0.0, 0.9)
        withdraw_at = rng.randrange(5)
        step = 0
        while time.monotonic() < until or step <= withdraw_at:
            subject = rng.choice(people[run:]).subject
            if shop.stay(subject, instant):
                acknowledged[subject].append(instant)
            instant += SECOND
            step += 1
            if step == withdraw_at + 1:
                out = people[run]
                gone |= {shop.hash_of(out.subject, NOON, p) for p in (Purpose.DWELL, Purpose.REPEAT)}
                shop.ledger.withdraw(out.secret, now_us=now_us)
                del acknowledged[out.subject]
            time.sleep(0.01)
        keeper.kill()
        keeper.join()
        if not shop.ledger.pending_requests() and sum(n for n, _ in erased(shop.ledger)) == run + 1:
            assert traces(shop, *gone) == {}
    report = run_once(shop, now_us)
    assert report.deferred is None
    for purpose in (Purpose.DWELL, Purpose.REPEAT):
        expected = Counter(
            (shop.hash_of(s, NOON, purpose), t) for s, instants in acknowledged.items() for t in instants
        )
        assert Counter(shop.rows(purpose)) == expected
    assert sum(n for n, _ in erased(shop.ledger)) == RUNS
    assert traces(shop, *gone) == {}
    assert shop.ledger.read_inbox() == []
    audit(shop.ledger)
    shop.ledger.close()


# --- the rest of a pass -----------------------------------------------------------------------------------------------


def test_one_keeper_keeps_every_other_out(shop: Shop) -> None:
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        keeper.run_once(NOON)
        with pytest.raises(StoreError, match="another keeper"):
            Keeper(shop.state, ledger)
    assert run_once(shop).deferred is None


def test_sums_about_everybody_are_released_and_leave_the_inbox(shop: Shop) -> None:
    counts = [0] * SLOTS[Figure.FOOTFALL]
    counts[0] = 25
    hour = 3600 * SECOND
    start = NOON - NOON % hour
    cell = CellPayload(
        "one",
        Audience.EVERYBODY,
        Figure.FOOTFALL,
        "entrance",
        "floor",
        ZoneKind.PRODUCT,
        "Europe/Berlin",
        start,
        start + hour,
        hour,
        25,
        tuple(counts),
        hour,
        hour,
    )
    for _ in range(2):  # a crash may leave the same sum in the inbox once more
        shop.ledger.write_inbox("cells", None, cell.to_bytes(), now_us=NOON, visit_end_us=NOON)
        report = run_once(shop, start + 2 * hour)
        assert shop.ledger.read_inbox() == []
    assert report.cells == 0
    assert [path.name for path in shop.state.released.glob("everybody-footfall-*")]


def test_a_changed_store_toml_is_noted_and_a_broken_one_is_not_followed(shop: Shop) -> None:
    run_once(shop)
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        size = ledger.size
        shop.set("# [terms] ", "[terms] ")
        shop.set("# dwell = 30", "dwell = 20")
        assert keeper.run_once(NOON).config is None
        assert keeper.state.store.terms.dwell == 20
        assert ledger.size == size + 1
        shop.set("dwell = 20", "dwel = 20")
        report = keeper.run_once(NOON)
        assert "did you mean 'terms.dwell'" in str(report.config) or "did you mean 'dwell'" in str(report.config)
        assert keeper.state.store.terms.dwell == 20


def test_the_loop_signs_within_a_second_loads_at_once_and_erases_at_once(shop: Shop) -> None:
    stop, reports = threading.Event(), list[PassReport]()
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        clock = iter([NOON + MINUTE, NOON - DAY_US])  # and back it goes, in the middle of the day
        loop = threading.Thread(
            target=keeper.run,
            args=(stop, lambda: next(clock, NOON + 2 * MINUTE)),
            kwargs={"on_pass": reports.append},
        )
        loop.start()
        try:
            wait_for(lambda: len(reports) > 0)
            her = shop.yes()
            said = time.monotonic()
            wait_for(lambda: _signed(shop.ledger) == shop.ledger.size)
            assert time.monotonic() - said < 1.0
            shop.stay(her.subject, NOON + SECOND)
            wait_for(lambda: any(r.loaded for r in reports))
            number = shop.hash_of(her.subject, NOON)
            shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
            wait_for(lambda: any(r.erased for r in reports))
        finally:
            stop.set()
            loop.join()
    assert traces(shop, number) == {}
    assert shop.ledger.subjects() == []


def test_a_long_erasure_keeps_no_event_waiting_for_its_checkpoint(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    proving, go_on, stop = threading.Event(), threading.Event(), threading.Event()
    prove = erasure.Erasure._prove

    def slowly(self: erasure.Erasure, *args: Any, **named: Any) -> None:
        proving.set()
        go_on.wait(30)
        prove(self, *args, **named)

    monkeypatch.setattr(erasure.Erasure, "_prove", slowly)
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        loop = threading.Thread(target=keeper.run, args=(stop, lambda: NOON + MINUTE))
        loop.start()
        try:
            assert proving.wait(30)
            shop.yes()
            said = time.monotonic()
            wait_for(lambda: _signed(shop.ledger) == shop.ledger.size)
            assert time.monotonic() - said < 1.0
            assert erased(shop.ledger) == []
        finally:
            go_on.set()
            wait_for(lambda: bool(erased(shop.ledger)))
            stop.set()
            loop.join()


def test_an_idle_loop_rests(shop: Shop) -> None:
    stop, reports = threading.Event(), list[PassReport]()
    with shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(shop.state, ledger) as keeper:
        loop = threading.Thread(target=keeper.run, args=(stop, lambda: NOON), kwargs={"on_pass": reports.append})
        loop.start()
        wait_for(lambda: len(reports) > 0)
        time.sleep(1.0)
        before = len(reports)
        time.sleep(0.6)
        stop.set()
        loop.join()
    assert len(reports) == before <= 3


def _signed(ledger: Ledger) -> int:
    newest = ledger.newest_checkpoint()
    return 0 if newest is None else newest[1].size


def wait_for(happens: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


# --- the search -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1 << 12, 9 << 20], ids=["small", "large"])
def test_the_search_finds_every_form_at_every_place_and_nothing_else(tmp_path: Path, size: int) -> None:
    rng = random.Random(7)
    numbers = [rng.getrandbits(64) for _ in range(20)]
    forms = sorted(set().union(*map(scan.forms, numbers[:10])))
    data = bytearray(rng.randbytes(size))
    tail = numbers[0].to_bytes(8, "little")  # whole in the bytes that two chunks share
    data[(8 << 20) - 30 : (8 << 20) - 22] = tail if size > 8 << 20 else data[0:0]
    places = [0, size - 24, *((8 << 20) - 1 - i * 3 for i in range(5) if size > 8 << 20)]
    places += [64 + i * (size // 128 * 2) // 3 for i in range(40)]
    for i, place in enumerate(places):
        form = forms[i * 7 % len(forms)]
        data[place : place + len(form)] = form
    (tmp_path / "planted").write_bytes(data)
    (tmp_path / "clean").write_bytes(rng.randbytes(size))
    (tmp_path / "empty").write_bytes(b"")
    seen = scan.search_apart(tmp_path, numbers, control=numbers[10:])
    assert list(seen.found) == ["planted"]
    assert seen.found["planted"] == sum(bytes(data).count(form) for form in forms)
    assert seen.control == 0
    told = {name: (size, sha256) for name, size, sha256 in seen.files}
    assert told == {
        path.name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) for path in tmp_path.iterdir()
    }
    again = scan.search_apart(tmp_path, numbers[10:], control=numbers[:10])
    assert (again.found, again.control) == ({}, seen.found["planted"])
    assert scan.search_apart(tmp_path, numbers, leave_out=[tmp_path / "planted"]).found == {}


@pytest.mark.parametrize("size", [1 << 12, 9 << 20], ids=["small", "large"])
def test_other_bytes_are_found_in_every_form_at_every_place(tmp_path: Path, size: int) -> None:
    rng = random.Random(8)
    key, payload = rng.randbytes(32), b'{"at_us":1790000000000000,"grant":"%s"}' % rng.randbytes(16).hex().encode()
    data = bytearray(rng.randbytes(size))
    whole = json.dumps({"inner": payload.decode()}).encode()
    planted = [
        *(key, key.hex().encode(), key.hex().upper().encode(), payload, whole),
        *(base64.b64encode(rng.randbytes(n) + key + rng.randbytes(5)) for n in range(3)),
        *(base64.urlsafe_b64encode(rng.randbytes(n) + payload + b"end") for n in range(3)),
    ]
    for i, form in enumerate(planted):
        place = (8 << 20) - 17 if i == 3 and size > 8 << 20 else 64 + i * (size // 13)  # one across two chunks
        data[place : place + len(form)] = form
    (tmp_path / "planted").write_bytes(data)
    assert scan.search_apart(tmp_path, [], others=[key, payload]).found == {"planted": len(planted)}
    assert scan.search_apart(tmp_path, [], others=[key]).found == {"planted": 6}


def test_a_search_that_fails_is_not_taken_for_one_that_found_nothing(tmp_path: Path) -> None:
    with pytest.raises((OSError, RetentionError)):
        scan.search_apart(tmp_path, [2**70])
