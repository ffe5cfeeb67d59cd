"""The whole way: from a shop's first day to a figure, and from a withdrawal to bytes that are gone.

Everything is the product's own but who walks before the simulated camera; see `tests.shoppers`.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import math
import multiprocessing
import os
import random
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import pytest

import cli
from analytics.bins import WEEK, Choice, bin_of
from analytics.figures import Audience, Figure
from analytics.model import SECOND, AnalyticsError, Blind, StartReason
from analytics.payload import CellPayload
from analytics.pipeline import CameraWatch, Staff
from analytics.report import Report
from analytics.row import VisitRow
from analytics.state import State
from analytics.store import Visits
from analytics.watch import unwatched_since, watch
from analytics.zones import Zone, ZoneKind
from consent.audit import audit
from consent.events import ConsentError, Level, Purpose
from consent.events import State as Standing
from consent.keys import Role
from consent.ledger import Grant
from consent.padwords import PadKind, PadOutcome
from consent.subjects import period_of, show_secret, visitor
from retention.figures import Released
from retention.keeper import Keeper, PassReport
from retention.scan import search
from tests import four_eyes, shoppers
from tests.apart import read_apart
from tests.shoppers import (
    EVERY_US,
    LANES,
    LEFT,
    ON_PAD,
    RIGHT,
    SIZE,
    SPEED,
    Crowd,
    Shopper,
    ask,
    camera,
    customer,
    walk,
    yes,
)

RUNS = int(os.environ.get("OPENAISLE_RUNS", "6"))
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
TEN = int(datetime(2026, 11, 16, 10, tzinfo=UTC).timestamp()) * SECOND
DAY = date(2026, 11, 16)


@pytest.fixture
def root() -> Iterator[Path]:
    """Where a shop will be; in memory where there is some: processes are killed here, and no machine."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name) / "shop"


@pytest.fixture
def shop(root: Path) -> State:
    """A shop at level `dwell` with one camera."""
    return open_shop(root, "corridor.mp4")


def run(*words: str | Path) -> None:
    """Run a command of `openaisle`."""
    assert cli.main([str(word) for word in words]) == 0


def open_shop(root: Path, source: str) -> State:
    """Make a shop by the commands and edits of its first day."""
    run("init", root, "--timezone", "Europe/Berlin")
    toml = root / "store.toml"
    head, _, _ = toml.read_text().partition("[[camera]]")
    one = f'[[camera]]\nname = "corridor"\nsource = "{source}"\n{shoppers.ZONES}'
    toml.write_text(head.replace('level = "counts"', 'level = "dwell"') + one)
    for words in four_eyes.words(root, "dwell", root.parent):
        run(*words)
    return State.read(root)


def keep(state: State, now_us: int) -> PassReport:
    """A keeper that comes, makes one pass, and goes."""
    with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger) as keeper:
        report = keeper.run_once(now_us)
        assert (report.blocked, report.deferred, report.config) == (None, None, None)
        return report


def rows(state: State) -> list[tuple[int, VisitRow]]:
    """Return what is in the visits, while no keeper runs."""
    with Visits(state.visits) as visits:
        return [(new.visitor, new.row) for new in visits.read(Purpose.DWELL)]


def hash_of(state: State, subject: bytes, t_us: int) -> int:
    """Return a shopper's pseudonym on the day of an instant, while their key lives."""
    with state.open_ledger(Role.KEEPER) as ledger:
        period = period_of(Purpose.DWELL, t_us, state.store.timezone)
        return visitor(ledger.subject_key(subject), Purpose.DWELL, period, ledger.store)


def files_with(state: State, *needles: bytes) -> set[str]:
    """Return the files of a shop, keys too, that hold one of these bytes."""
    paths = [p for folder in (state.root, state.keys) for p in folder.rglob("*") if p.is_file()]
    contents = ((path.name, read_apart(path)) for path in paths)
    return {name for name, data in contents if any(needle in data for needle in needles)}


def forms(pseudonym: int) -> list[bytes]:
    """Return how a pseudonym may stand in a file; DuckDB keeps a column of one value as sevens of bits alone."""
    raw = pseudonym.to_bytes(8, "little")
    sevens = [pseudonym >> shift & 0x7F for shift in range(0, pseudonym.bit_length(), 7)]
    varint = bytes([*(seven | 0x80 for seven in sevens[:-1]), sevens[-1]])
    return [raw, raw[::-1], raw.hex().encode(), raw[::-1].hex().encode(), str(pseudonym).encode(), varint]


def withdraw(state: State, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a consent back at the counter, the code being typed."""
    monkeypatch.setattr("sys.stdin", io.StringIO(code + "\n"))
    run("consent", "withdraw", "--state", state.root)


def frozen(state: State) -> dict[str, str]:
    """Return the digest of every file of released cells."""
    cells = state.released.glob("*-*-????-??-??.parquet")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in cells}


# --- the journey ------------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_from_the_first_day_to_a_figure_and_from_a_withdrawal_to_bytes_that_are_gone(
    data: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = open_shop(root, str(data / "video" / "caviar" / "ShopAssistant1cor.mp4"))

    # one person stops alone in the corridor between 15.3 s and 20.6 s; from 57.9 s to 62.4 s there are several
    given: dict[str, tuple[Grant, int]] = {}

    def kiosk(_camera: str, t_us: int) -> None:
        for name, tap_s in (("alone", 17.2), ("several", 60.0)):
            tap_us = TEN + round(tap_s * SECOND)
            if name not in given and t_us >= tap_us:
                grant = yes(kiosk_ledger, tap_us)
                given[name] = grant, ask(kiosk_ledger, "pad", PadKind.GRANT, grant.subject, tap_us)

    model = data / "models" / "detection" / "yolov8n_int8_openvino_model"
    with state.open_ledger(Role.WATCH) as ledger, state.open_ledger(Role.KIOSK) as kiosk_ledger:
        (done,) = watch(state, ledger, model, start_us=TEN, before=kiosk).values()
        answers = {name: kiosk_ledger.read_pad_request(number) for name, (_, number) in given.items()}
    outcomes = {name: answer and answer.outcome for name, answer in answers.items()}
    assert outcomes == {"alone": PadOutcome.LINKED, "several": PadOutcome.SEVERAL_PEOPLE}
    assert (done.links, done.rows, done.refused) == (1, 2, 0)
    assert done.visits > 10

    # rows under a keyed hash, and nothing else that could tell who it was
    her = given["alone"][0]
    report = keep(state, TEN + HOUR + 2 * MINUTE)
    assert (report.loaded, report.refused) == (2, 0)
    found = rows(state)
    pseudonym = hash_of(state, her.subject, TEN)
    assert [(number, row.zone, row.start) for number, row in found] == [
        (pseudonym, "passage", StartReason.CONSENT),
        (pseudonym, "front", StartReason.CROSSED),
    ]
    assert all(TEN + 17.2 * SECOND <= row.enter_us < row.leave_us <= TEN + 23 * SECOND for _, row in found)
    secrets = [her.secret.encode(), show_secret(her.secret).encode()]
    assert files_with(state, *secrets) == set()
    traces = files_with(state, her.subject, her.subject.hex().encode())
    assert traces
    assert traces <= {"ledger.sqlite", "ledger.sqlite-wal"}
    assert files_with(state, *forms(pseudonym)) == {"visits.duckdb"}
    assert set(search(state.root, [pseudonym]).found) == {"visits.duckdb"}  # so a search after an erasure would see it

    # the hour is over, and a single shopper is no figure
    waiting = waits(state)
    assert ("consenting.zone_visits", "front", 10) in waiting
    assert ("consenting.dwell", "front", 20) in waiting
    assert consenting(state, Figure.VISITS) == consenting(state, Figure.DWELL) == {}

    # two hundred more by the same way; every tenth besides stands on the pad and never decides
    start = TEN + HOUR + 15 * MINUTE
    coming = [customer(start + i * EVERY_US, i, taps=None if i % 11 == 10 else PadKind.GRANT) for i in range(220)]
    stands = [(RIGHT, 0.0), (ON_PAD, 2.2), (LANES[0], 6.0), ((330.0, 172.0), 1500.0), ((380.0, 172.0), 0.0)]
    lingerer = coming[-2] = Shopper(coming[-2].came_us, stands, PadKind.GRANT)
    assert lingerer.gone_us > TEN + 2 * HOUR + 5 * MINUTE
    with state.open_ledger(Role.WATCH) as ledger, state.open_ledger(Role.KIOSK) as kiosk_ledger:
        crowd = Crowd(coming, kiosk_ledger)
        one = camera(state, ledger, crowd)
        walk(one, crowd, start, TEN + 2 * HOUR + 3 * MINUTE)
        assert Counter(crowd.outcomes()) == {PadOutcome.LINKED: 200}
        report = keep(state, TEN + 2 * HOUR + 3 * MINUTE)
        assert (report.loaded, report.refused) == (399, 0)  # the lingerer is still in the passage
        hashes = {hash_of(state, s.granted.subject, TEN) for s in crowd.shoppers if s.granted}
        assert {number for number, _ in rows(state)} == hashes | {pseudonym}

        shown = consenting(state, Figure.VISITS)
        for zone, visits in (("front", 201), ("passage", 200)):  # hers are among them: they waited
            start_us, end_us, n = shown.pop(zone)
            assert (start_us, end_us) == (TEN, TEN + 2 * HOUR)
            assert n is not None
            assert abs(n - visits) < 5
        assert shown == {}
        assert set(consenting(state, Figure.DWELL)) == {"front", "passage"}
        assert not [line for line in waits(state) if line[0].startswith("consenting")]

        # two take it back: her from the morning, and somebody who is still being watched
        before, shown = frozen(state), consenting(state, Figure.VISITS)
        assert lingerer.granted is not None
        theirs = hash_of(state, lingerer.granted.subject, TEN)
        written = one.watched.rows
        withdraw(state, show_secret(her.secret), monkeypatch)
        withdraw(state, lingerer.granted.secret.lower(), monkeypatch)
        walk(one, crowd, TEN + 2 * HOUR + 3 * MINUTE, lingerer.gone_us + MINUTE)
        one.finish()
        assert (one.watched.rows, one.watched.refused) == (written, 0)
        assert [row for row in ledger.read_inbox() if row.subject is not None] == []

    report = keep(state, lingerer.gone_us + 2 * MINUTE)
    assert [(e.subjects, e.rows) for e in report.erased] == [(2, 3)]
    assert {number for number, _ in rows(state)} == hashes - {theirs}
    assert files_with(state, *forms(pseudonym), *forms(theirs)) == set()
    assert files_with(state, her.subject, lingerer.granted.subject) == set()
    after = frozen(state)
    assert {name: after[name] for name in before if name.startswith("consenting")} == {
        name: digest for name, digest in before.items() if name.startswith("consenting")
    }
    assert consenting(state, Figure.VISITS) == shown
    with state.open_ledger(Role.KEEPER) as ledger:
        audit(ledger)


def consenting(state: State, figure: Figure) -> dict[str, tuple[int, int, int | None]]:
    """Return start, end and number of visits of the only cell of each zone, as the page shows them."""
    cells = Report(state.released).cells(figure, DAY, DAY, audience=Audience.CONSENTING)
    found = {cell.zone: (cell.start_us, cell.end_us, cell.n) for cell in cells}
    assert len(found) == len(cells)
    return found


def waits(state: State) -> set[tuple[str, str, int]]:
    """Return (metric, zone, how many people it needs) of what the page says it waits for."""
    return {(w.metric, w.zone, w.k) for w in Report(state.released).waiting()}


# --- who did not say yes ----------------------------------------------------------------------------------------------


def dump(state: State) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table of the ledger and of the visits."""
    found: dict[str, list[tuple[object, ...]]] = {}
    with sqlite3.connect(state.ledger) as ledger:
        names = ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            found[name] = ledger.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608
    ledger.close()
    with duckdb.connect(state.visits, read_only=True) as visits:
        for (name,) in visits.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            found[f"visits.{name}"] = visits.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608
    return found


def test_a_shopper_who_never_decided_leaves_no_row_of_any_kind(shop: State) -> None:
    keep(shop, TEN)
    before = dump(shop)
    assert len(before) > 15
    with shop.open_ledger(Role.WATCH) as ledger, shop.open_ledger(Role.KIOSK) as kiosk:
        crowd = Crowd([customer(TEN + i * EVERY_US, i, taps=None) for i in range(4)], kiosk)
        one = camera(shop, ledger, crowd)
        walk(one, crowd, TEN, TEN + 2 * MINUTE)
        one.finish()
        assert (one.watched.visits, one.watched.rows, one.watched.links) == (12, 0, 0)
        cells = [CellPayload.from_bytes(row.payload) for row in ledger.read_inbox()]
        assert len(cells) == one.watched.cells > 0
        assert all(cell.suppressed for cell in cells)  # four are too few even to be counted
        after = dump(shop)
    print({n: [r for r in after[n] if r not in before[n]] for n in after if after[n] != before[n]})
    of_the_log = {"leaves", "nodes", "records"}
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"inbox", "sqlite_sequence"} | of_the_log
    assert all(row[1:3] == ("cells", None) for row in after["inbox"])
    (hour,) = [row for row in after["records"] if row not in before["records"]]
    told = json.loads(str(hour[-1], "ascii") if isinstance(hour[-1], bytes) else "")
    assert hour[1:3] == ("tallied", None)
    assert (told["tracks"], told["links"], told["rows"], told["looks"]) == ("0-4", "0-4", "hidden", "hidden")
    keep(shop, TEN + 2 * HOUR)
    changed = {name for name, held in dump(shop).items() if held != before[name]}
    assert changed <= {"sqlite_sequence", "checkpoints"} | of_the_log


def test_a_level_lowered_while_somebody_is_linked_leaves_no_row_of_them(shop: State) -> None:
    with shop.open_ledger(Role.WATCH) as ledger, shop.open_ledger(Role.KIOSK) as kiosk:
        crowd = Crowd([customer(TEN, 0), customer(TEN + 40 * SECOND, 1), customer(TEN + 80 * SECOND, 2)], kiosk)
        one = camera(shop, ledger, crowd)
        walk(one, crowd, TEN, TEN + 50 * SECOND)
        assert (one.watched.links, one.watched.rows) == (2, 2)  # the first has gone, the second just said yes
        run("level", "lower", "counts", "--state", shop.root)
        walk(one, crowd, TEN + 50 * SECOND, TEN + 2 * MINUTE)
        one.finish()
        assert (one.watched.links, one.watched.rows) == (2, 2)
        assert crowd.outcomes() == [PadOutcome.LINKED, PadOutcome.LINKED, PadOutcome.NO_GRANT]
        assert sum(row.subject is not None for row in ledger.read_inbox()) == 2
    report = keep(shop, TEN + 2 * HOUR)
    assert (report.loaded, report.refused) == (0, 2)
    assert rows(shop) == []


def test_whoever_is_on_the_pad_or_near_at_an_objection_is_in_no_figure_and_no_row(shop: State) -> None:
    front = (LANES[0], 6.0)
    objects = Shopper(TEN + 60 * SECOND, [front, (ON_PAD, 6), (RIGHT, 0)], PadKind.OBJECT, tap_s=3.0)
    with_them = Shopper(TEN + 54 * SECOND, [front, ((250.0, 208.0), 16), (RIGHT, 0)])  # in the ring, 7 px off the pad
    walk_us, wait_s = round(math.dist(LANES[1], (125.0, 208.0)) / SPEED * SECOND), 2.0
    came_us = objects.tap_us + 200_000 - walk_us - round((6.0 + wait_s) * SECOND)
    nears = Shopper(came_us, [(LANES[1], 6.0), ((125.0, 208.0), wait_s), ((190.0, 208.0), 5.0), (LEFT, 0.0)])
    passers = [customer(TEN + 3 * MINUTE + i * EVERY_US, i, taps=None) for i in range(9)]
    with shop.open_ledger(Role.WATCH) as ledger, shop.open_ledger(Role.KIOSK) as kiosk:
        linked = Shopper(TEN, [(ON_PAD, 3), ((225.0, 240.0), 120), (RIGHT, 0)], PadKind.GRANT)  # stays there
        linked.pad_us = TEN
        crowd = Crowd([linked, with_them, objects, nears, *passers], kiosk)  # one comes near within a second of the tap
        one = camera(shop, ledger, crowd)
        walk(one, crowd, TEN, TEN + 5 * MINUTE)
        one.finish()
        assert crowd.outcomes() == [PadOutcome.LINKED, PadOutcome.SUPPRESSED]
        assert (one.watched.links, one.watched.rows) == (1, 0)
        cells = [CellPayload.from_bytes(row.payload) for row in ledger.read_inbox()]
        people = {cell.zone: cell.people for cell in cells if cell.figure is Figure.VISITS}
        assert people == {"front": 9, "passage": 9}  # who passed later, and nobody else
        assert linked.granted is not None
        (standing,) = ledger.standing(linked.granted.subject)
        assert standing.state is Standing.GIVEN  # somebody else's no took nothing back
    keep(shop, TEN + 2 * HOUR)
    assert rows(shop) == []


def test_whoever_is_in_view_when_a_camera_starts_is_not_counted_for_they_may_have_objected_before(shop: State) -> None:
    here = [Shopper(TEN + i * 500_000, [((40.0 + 50 * i, 172.0), 30), (RIGHT, 0)]) for i in range(5)]  # the last at 2 s
    later = [customer(TEN + MINUTE + i * EVERY_US, i, taps=None) for i in range(6)]
    with shop.open_ledger(Role.WATCH) as ledger, shop.open_ledger(Role.KIOSK) as kiosk:
        crowd = Crowd([*here, *later], kiosk)
        one = camera(shop, ledger, crowd, restart=True)
        walk(one, crowd, TEN, TEN + 3 * MINUTE)
        one.finish()
        cells = [CellPayload.from_bytes(row.payload) for row in ledger.read_inbox()]
        people = {cell.zone: cell.people for cell in cells if cell.figure is Figure.VISITS}
        assert people == {"front": 6, "passage": 6}


def test_a_linked_shopper_who_stops_at_the_pad_needs_no_code(shop: State) -> None:
    with shop.open_ledger(Role.WATCH) as ledger, shop.open_ledger(Role.KIOSK) as kiosk:
        comes_back = Shopper(TEN, [(RIGHT, 0), (ON_PAD, 2.2), (LANES[0], 6), (ON_PAD, 20), (RIGHT, 0)], PadKind.GRANT)
        comes_back.pad_us = TEN + round(4.2 * SECOND)
        crowd = Crowd([comes_back], kiosk)
        one = camera(shop, ledger, crowd)
        walk(one, crowd, TEN, TEN + 30 * SECOND)
        assert (one.watched.links, one.watched.rows) == (1, 1)
        number = ask(kiosk, "pad", PadKind.WITHDRAW, None, TEN + 30 * SECOND)
        walk(one, crowd, TEN + 30 * SECOND, TEN + MINUTE)
        one.finish()
        answer = kiosk.read_pad_request(number)
        assert answer is not None
        assert answer.outcome is PadOutcome.UNLINKED
        assert one.watched.rows == 1
        assert comes_back.granted is not None
        (standing,) = ledger.standing(comes_back.granted.subject)
        assert standing.state is Standing.WITHDRAWN
    pseudonym = hash_of(shop, comes_back.granted.subject, TEN)
    report = keep(shop, TEN + 2 * HOUR)
    assert (report.loaded, report.refused, len(report.erased)) == (0, 1, 1)
    assert rows(shop) == []
    assert files_with(shop, *forms(pseudonym), comes_back.granted.subject) == set()


def test_a_tap_is_answered_though_its_picture_comes_later(shop: State) -> None:
    with shop.open_ledger(Role.WATCH) as ledger, shop.open_ledger(Role.KIOSK) as kiosk:
        crowd = Crowd([customer(TEN, 0, taps=None)], kiosk)
        one = camera(shop, ledger, crowd)
        walk(one, crowd, TEN, TEN + 5 * SECOND)
        grant = yes(kiosk, TEN + 5 * SECOND + 300_000)  # the pictures are 0.3 s behind the kiosk
        number = ask(kiosk, "pad", PadKind.GRANT, grant.subject, TEN + 5 * SECOND + 300_000)
        walk(one, crowd, TEN + 5 * SECOND, TEN + 7 * SECOND)
        answer = kiosk.read_pad_request(number)
        assert answer is not None
        assert answer.outcome is PadOutcome.LINKED


def test_the_hours_in_which_an_open_shop_was_not_watched_are_time_not_observed(shop: State) -> None:
    nine, ten = TEN - HOUR, TEN
    text = (shop.root / "store.toml").read_text()
    (shop.root / "store.toml").write_text(text + '\n[hours]\nmon = ["10:00", "20:00"]\n')  # Berlin: 9 o'clock UTC
    state = shop.reread()
    assert unwatched_since(state, "corridor", nine - 1) is None  # closed
    assert unwatched_since(state, "corridor", ten) == nine
    with state.open_ledger(Role.WATCH) as ledger, state.open_ledger(Role.KIOSK) as kiosk:
        crowd = Crowd([customer(ten + i * EVERY_US, i, taps=None) for i in range(6)], kiosk)
        one = camera(state, ledger, crowd)
        one.missed(nine, ten)
        walk(one, crowd, ten, ten + 2 * MINUTE)
        one.finish()
        assert one.watched.blind_s == 3600
    keep(state, ten + 3 * HOUR)
    told = unwatched_since(state, "corridor", ten + 4 * HOUR)
    assert told is not None
    assert told > ten  # what was released tells until when it was watched


def test_a_file_watched_twice_is_released_once(shop: State) -> None:
    def cells() -> list[str]:
        with shop.open_ledger(Role.WATCH) as ledger, shop.open_ledger(Role.KIOSK) as kiosk:
            crowd = Crowd([customer(TEN + i * EVERY_US, i, taps=None) for i in range(6)], kiosk)
            one = CameraWatch(
                shop.store,
                shop.store.camera[0],
                crowd,
                SIZE,
                ledger,
                level=lambda: Level.COUNTS,
                restart=False,
                run="clip",
            )
            walk(one, crowd, TEN, TEN + 2 * MINUTE)
            one.finish()
            return [CellPayload.from_bytes(row.payload).id for row in ledger.read_inbox()]

    first = cells()
    assert keep(shop, TEN + 3 * HOUR).cells == len(first) > 0
    before = frozen(shop)
    assert cells() == first
    assert keep(shop, TEN + 4 * HOUR).cells == 0
    assert frozen(shop) == before


def test_the_keys_of_another_shop_are_refused_before_anything_is_written_with_them(
    shop: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("init", tmp_path / "other", "--timezone", "Europe/Berlin")
    capsys.readouterr()
    with shop.open_ledger(Role.WATCH) as ledger:
        size = ledger.size
    foreign = str(tmp_path / "other-keys")
    assert cli.main(["keeper", "--once", "--state", str(shop.root), "--keys", foreign]) == 2
    assert cli.main(["level", "lower", "counts", "--state", str(shop.root), "--keys", foreign]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert all("are not those of" in line for line in said)
    with shop.open_ledger(Role.WATCH) as ledger:
        assert ledger.size == size


def test_a_code_shown_at_another_camera_since_is_no_longer_this_bodys(shop: State) -> None:
    with shop.open_ledger(Role.WATCH) as ledger, shop.open_ledger(Role.KIOSK) as kiosk:
        for elsewhere in (False, True):
            crowd = Crowd([customer(TEN, 0)], kiosk)
            holders: dict[str, str] = {}
            eyes_of = (shop.store, shop.store.camera[0], crowd, SIZE, ledger)
            one = CameraWatch(*eyes_of, level=lambda: Level.DWELL, restart=False, holders=holders)
            walk(one, crowd, TEN, TEN + 12 * SECOND)
            assert one.watched.links == 1
            ((subject, _),) = holders.items()
            holders[subject] = "another" if elsewhere else "corridor"
            walk(one, crowd, TEN + 12 * SECOND, TEN + 2 * MINUTE)
            one.finish()
            assert (one.watched.rows > 0) is not elsewhere


def test_a_camera_with_two_pads_or_too_few_looks_for_one_is_refused(shop: State) -> None:
    text = (shop.root / "store.toml").read_text()
    second = '\n[[camera.zone]]\nname = "pad two"\nkind = "pad"\npolygon = [[0, 0], [50, 0], [50, 50], [0, 50]]\n'
    slow = text.replace('name = "corridor"', 'name = "corridor"\nfps = 1.8', 1)
    for changed, line in ((text + second, "sees 2 pads"), (slow, "needs fps = 4")):
        (shop.root / "store.toml").write_text(changed)
        with shop.open_ledger(Role.WATCH) as ledger, pytest.raises(AnalyticsError, match=line):
            watch(shop.reread(), ledger, Path("none"), start_us=TEN)


def test_whoever_turns_out_to_work_here_leaves_the_open_sums() -> None:
    back = Zone("back", ZoneKind.STAFF, ((0.0, 0.0), (50.0, 0.0), (50.0, 50.0), (0.0, 50.0)))
    staff = Staff((back,))
    assert [staff.see(t, 7, x, 25.0) for t, x in ((0, 90.0), (1, 40.0), (2, 40.0))] == [False, True, False]
    assert 7 in staff
    assert staff.see(3 * HOUR, 8, 90.0, 90.0) is False
    assert staff.see(5 * HOUR + 1, 8, 90.0, 90.0) is True  # nobody shops for more than two hours


def test_a_day_later_nothing_tells_when_somebody_objected(shop: State) -> None:
    with shop.open_ledger(Role.KIOSK) as kiosk:
        number = kiosk.open_pad_request("pad", PadKind.OBJECT, now_us=TEN)
        kiosk.answer_pad_request(number, PadOutcome.SUPPRESSED, now_us=TEN + SECOND)
        with pytest.raises(ConsentError, match="after its screen"):
            kiosk.open_pad_request("pad", PadKind.OBJECT, now_us=TEN, screen_us=TEN, tap_us=TEN - 1)
    keep(shop, TEN + 25 * HOUR)
    with shop.open_ledger(Role.KIOSK) as kiosk:
        assert kiosk.read_pad_request(number) is None


def test_a_camera_takes_up_the_lengths_of_bins_that_were_fixed_while_it_ran(shop: State) -> None:
    monday = bin_of(TEN, WEEK, "Europe/Berlin")[1]
    later = monday + 10 * HOUR
    with shop.open_ledger(Role.WATCH) as ledger, shop.open_ledger(Role.KIOSK) as kiosk:
        crowd = Crowd([customer(t + i * EVERY_US, i, taps=None) for t in (TEN, later) for i in range(6)], kiosk)
        one = camera(shop, ledger, crowd)
        walk(one, crowd, TEN, TEN + 2 * MINUTE)
        choice = Choice(Audience.EVERYBODY, Figure.VISITS, "corridor", "front", monday, 3 * HOUR)
        row = asdict(choice) | {"audience": choice.audience.value, "figure": choice.figure.value}
        Released(shop.released).write_plan([row])
        one.step(Blind(TEN + 2 * MINUTE, later, "stalled"))
        walk(one, crowd, later, later + 2 * MINUTE)
        one.finish()
        cells = [CellPayload.from_bytes(row.payload) for row in ledger.read_inbox()]
    lengths = [cell.bin_us for cell in cells if (cell.zone, cell.figure, cell.people) == ("front", Figure.VISITS, 6)]
    assert lengths == [HOUR, 3 * HOUR]


@pytest.mark.data
def test_a_camera_that_fails_ends_the_watching_of_the_others(data: Path, shop: State) -> None:
    toml = shop.root / "store.toml"
    clip = data / "video" / "caviar" / "ShopAssistant1cor.mp4"
    zone = '[[camera.zone]]\nname = "floor"\nkind = "product"\npolygon = [[0, 0], [9, 0], [9, 9]]\n'
    second = f'\n[[camera]]\nname = "door"\nsource = "missing.mp4"\n{zone}'
    toml.write_text(toml.read_text().replace("corridor.mp4", str(clip)) + second)
    state, stop = State.read(shop.root), threading.Event()
    model = data / "models" / "detection" / "yolov8n_int8_openvino_model"

    slow: list[int] = []

    def first_picture_takes_long(_camera: str, t_us: int) -> None:
        slow.append(t_us)
        stop.wait(3.0)  # longer than it takes the other one to fail

    with state.open_ledger(Role.WATCH) as ledger, pytest.raises(AnalyticsError, match="missing"):
        watch(state, ledger, model, start_us=TEN, stop=stop, before=first_picture_takes_long)
    assert len(slow) <= 2, "the first camera went on"


# --- killed at any moment ---------------------------------------------------------------------------------------------


def test_killed_at_any_moment_watch_and_keeper_lose_no_acknowledged_row_and_double_none(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = open_shop(root, "corridor.mp4")
    rng = random.Random(20)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([shoppers.__name__, "retention.keeper"])
    told: list[tuple[bytes, VisitRow]] = []
    gone: dict[bytes, int] = {}
    start = time.time_ns() // 1000 - 4 * 24 * HOUR
    with state.open_ledger(Role.KEEPER) as ledger:
        for number in range(RUNS):
            hear, tell = processes.Pipe(duplex=False)
            watching = processes.Process(
                target=shoppers.watch_until_killed, args=(str(root), start + number * 3 * HOUR, tell)
            )
            keeping = processes.Process(target=cli.main, args=(["keeper", "--state", str(root)],))
            watching.start()
            keeping.start()
            tell.close()
            at_work = rng.randrange(1, 12)  # rows, before the clock of the kills starts
            heard = listen(hear, at_work, time.monotonic() + 60)
            assert len(heard) == at_work
            kills = sorted([(rng.uniform(0, 1.5), watching), (rng.uniform(0, 1.5), keeping)], key=lambda k: k[0])
            began = time.monotonic()
            for index, (after_s, process) in enumerate(kills):
                heard += listen(hear, None, began + after_s)
                if index == 0:
                    out = heard[0][0]
                    gone[out] = hash_of(state, out, heard[0][1].enter_us)
                    ledger.withdraw_subject(out, now_us=time.time_ns() // 1000)
                process.kill()
                process.join()
            told += heard + listen(hear, None, time.monotonic() + 60)
        now_us = time.time_ns() // 1000
        keep(state, now_us)
        expected = Counter((hash_of(state, subject, row.enter_us), row) for subject, row in told if subject not in gone)
        held = Counter(rows(state))
        assert max(held.values()) == 1
        assert expected - held == Counter()
        assert (held - expected).total() <= RUNS  # written, and killed before it could be told
        assert keep(state, now_us) == PassReport()
        assert ledger.read_inbox() == []
        assert not set(gone) & set(ledger.subjects())
        audit(ledger)
    assert files_with(state, *itertools.chain(*map(forms, gone.values()))) == set()


def listen(hear: Connection, least: int | None, until_s: float) -> list[tuple[bytes, VisitRow]]:
    """Return the rows that were acknowledged until an instant, or until there are enough, or the teller is dead."""
    heard: list[tuple[bytes, VisitRow]] = []
    while (least is None or len(heard) < least) and hear.poll(max(0.0, until_s - time.monotonic())):
        try:
            message = hear.recv_bytes()
        except EOFError:
            break
        heard.append((message[:32], VisitRow.decode(message[32:])))
    return heard
