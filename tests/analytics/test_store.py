"""The visits: what may be in the file, loading once, the rule of what is due, and a rewrite that leaves nothing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.decision import Outcome
from analytics.model import SECOND, EndReason, StartReason, Visit
from analytics.row import RowError, VisitRow
from analytics.store import (
    DECLARED,
    END_CODES,
    LATER,
    PURPOSES,
    START_CODES,
    Cover,
    NewVisit,
    StoreError,
    Visits,
    day_of,
)
from analytics.zones import ZoneKind
from consent.events import Purpose

NOON = 1_790_000_000_000_000
FOR_EVER = dict.fromkeys(PURPOSES, 0)

rows = st.builds(
    lambda enter, length, share, **rest: VisitRow(
        enter_us=enter, leave_us=enter + length, stopped_us=int(length * share), **rest
    ),
    camera=st.text(st.characters(codec="utf-8"), min_size=1, max_size=64),
    zone=st.text(st.characters(codec="utf-8"), min_size=1, max_size=64),
    enter=st.integers(0, 2**52),
    length=st.integers(0, 2**50),
    share=st.floats(0, 1),
    start=st.sampled_from(StartReason),
    end=st.sampled_from(EndReason),
)


def new(
    number: int, enter_us: int = NOON, purpose: Purpose = Purpose.DWELL, zone: str = "floor", length_us: int = SECOND
) -> NewVisit:
    row = VisitRow("entrance", zone, enter_us, enter_us + length_us, StartReason.CROSSED, EndReason.LOST, 7)
    return NewVisit(purpose, number, day_of(enter_us, UTC), row)


def cover(number: int, since_us: int = NOON, until_us: int = 2 * NOON, purpose: Purpose = Purpose.DWELL) -> Cover:
    return Cover(purpose, number, since_us, until_us)


# --- the payload ------------------------------------------------------------------------------------------------------


@given(row=rows)
def test_a_row_comes_back_as_it_went(row: VisitRow) -> None:
    assert VisitRow.decode(row.encode()) == row


def test_the_payload_is_as_it_is_written_down() -> None:
    row = VisitRow(
        "entrance",
        "coffee",
        NOON,
        NOON + 12_500_000,
        StartReason.CROSSED,
        EndReason.CROSSED,
        8_000_000,
        (9_000_000,),
        poses=(4_500_000,),
        outcomes=(Outcome.TAKE,),
    )
    assert row.encode() == (
        b'{"camera":"entrance","decisions":[9000000],"end":"crossed","enter_us":1790000000000000,'
        b'"leave_us":1790000012500000,"outcomes":["take_candidate"],"poses":[4500000],"start":"crossed",'
        b'"stopped_us":8000000,"undecided":false,"zone":"coffee"}'
    )


def test_a_row_of_a_visit_adds_up_its_stops() -> None:
    stops = ((NOON, NOON + 2), (NOON + 5, NOON + 9))
    visit = Visit(1, "coffee", NOON, NOON + 10, StartReason.CONSENT, EndReason.BLIND, stops)
    row = VisitRow.of("entrance", visit, ZoneKind.PRODUCT)
    assert row == VisitRow("entrance", "coffee", NOON, NOON + 10, StartReason.CONSENT, EndReason.BLIND, 6)
    assert row.censored


def test_a_row_holds_what_was_decided_before_a_shelf_and_nowhere_else() -> None:
    stops = ((NOON + 2 * SECOND, NOON + 6 * SECOND), (NOON + 10 * SECOND, NOON + 20 * SECOND))
    visit = Visit(1, "coffee", NOON, NOON + 20 * SECOND, StartReason.CROSSED, EndReason.LOST, stops)
    row = VisitRow.of("entrance", visit, ZoneKind.PRODUCT)
    assert row.decided == ((4 * SECOND, False), (10 * SECOND, True))
    assert VisitRow.decode(row.encode()) == row
    for kind in ZoneKind:
        if kind is not ZoneKind.PRODUCT:
            assert VisitRow.of("entrance", visit, kind).decided == ()


GOOD = json.loads(VisitRow("a", "b", 5, 9, StartReason.CROSSED, EndReason.CROSSED, 1).encode())
SEEN = {"poses": [3 * SECOND, 0], "outcomes": ["no_touch", "lost"]}
LONG = GOOD | SEEN | {"leave_us": 20 * SECOND, "end": "lost", "decisions": [4 * SECOND, 5 * SECOND], "undecided": True}
VisitRow.decode(json.dumps(LONG, sort_keys=True, separators=(",", ":")).encode())  # what the refusals below spoil


@pytest.mark.parametrize(
    "fields",
    [
        GOOD | {"name": "Ann"},
        {k: v for k, v in GOOD.items() if k != "zone"},
        GOOD | {"leave_us": 4},
        GOOD | {"stopped_us": 5},
        GOOD | {"stopped_us": -1},
        GOOD | {"enter_us": 5.0},
        GOOD | {"enter_us": True},
        GOOD | {"leave_us": 2**53},
        GOOD | {"start": "born"},
        GOOD | {"zone": ""},
        GOOD | {"zone": 3},
        GOOD | {"camera": "c" * 65},
        GOOD | {"decisions": None},
        GOOD | {"decisions": [4 * SECOND]},
        GOOD | {"undecided": True},
        LONG | {"decisions": [2 * SECOND]},
        LONG | {"decisions": [4.5 * SECOND]},
        LONG | {"decisions": [12 * SECOND, 12 * SECOND]},
        LONG | {"decisions": []},
        LONG | {"end": "crossed"},
        LONG | {"undecided": 1},
        LONG | {"poses": [3 * SECOND]},
        LONG | {"outcomes": ["no_touch"]},
        LONG | {"outcomes": ["lost", "no_touch"]},
        LONG | {"outcomes": ["no_touch", "bought"]},
        LONG | {"outcomes": ["lost", "lost"]},
        LONG | {"poses": [3 * SECOND, -1]},
        LONG | {"poses": [3 * SECOND, 0.5]},
        LONG | {"poses": [9 * SECOND, SECOND]},
        LONG | {"poses": [0, 0, 0], "outcomes": ["no_touch", "no_touch", "lost"]},
        LONG | {"outcomes": ["no_touch", "take_candidate"], "undecided": False, "poses": None},
        {k: v for k, v in LONG.items() if k != "outcomes"},
        [],
        None,
    ],
    ids=repr,
)
def test_anything_but_a_visit_is_refused(fields: object) -> None:
    with pytest.raises(RowError):
        VisitRow.decode(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[" * 100_000, json.dumps(GOOD).encode()])
def test_what_is_no_canonical_json_is_refused(payload: bytes) -> None:
    with pytest.raises(RowError):
        VisitRow.decode(payload)


def test_watch_needs_no_database_to_write_a_payload() -> None:
    code = "import sys, analytics.row; print('duckdb' in sys.modules, 'sqlite3' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "False False\n"


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_file_holds_exactly_what_is_declared(tmp_path: Path) -> None:
    Visits(tmp_path / "visits.duckdb").close()
    with duckdb.connect(str(tmp_path / "visits.duckdb")) as db:
        found = db.execute("SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal")
        columns = set(found.fetchall())
        assert db.execute("SELECT count(*) FROM duckdb_indexes()").fetchone() == (0,)
    at_once = {t: declared for t, declared in DECLARED.items() if t not in LATER}
    assert columns == {(t, c, kind) for t, declared in at_once.items() for c, kind in declared.items()}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE faces (embedding BLOB)",
        "ALTER TABLE dwell ADD COLUMN note VARCHAR",
        "CREATE VIEW peek AS SELECT visitor FROM dwell",
        "CREATE SCHEMA side; CREATE TABLE side.dwell (visitor UBIGINT)",
        "CREATE INDEX quick ON dwell (visitor)",
    ],
)
def test_what_is_not_declared_stops_loading_and_rewriting_and_deleting_goes_on(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "visits.duckdb"
    with Visits(path) as visits:
        visits.load([new(1), new(2)], 1)
    with duckdb.connect(str(path)) as db:
        db.execute(statement)
    before = path.stat().st_ino
    with Visits(path) as visits:
        assert len(visits.undeclared()) == 1
        with pytest.raises(StoreError, match="which no retention rule names"):
            visits.load([new(3)], 2)
        with pytest.raises(StoreError, match="which no retention rule names"):
            visits.rewrite(print)
        assert visits.delete([cover(2)], FOR_EVER, 1) == 1
        assert [n.visitor for n in visits.read(Purpose.DWELL)] == [2]
        assert (visits.mark, visits.erasing(), path.stat().st_ino) == (1, [1], before)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE repeat ALTER COLUMN stopped_us TYPE VARCHAR",
        "DROP TABLE erasing",
        "ALTER TABLE zones DROP COLUMN kind",
    ],
)
def test_a_file_that_lacks_a_column_is_not_opened(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "visits.duckdb"
    Visits(path).close()
    with duckdb.connect(str(path)) as db:
        db.execute(statement)
    with pytest.raises(StoreError, match="lacks columns"):
        Visits(path)
    with duckdb.connect(str(path)):
        pass  # and the lock is free again


def test_every_reason_has_a_number_of_its_own() -> None:
    assert set(START_CODES) == set(StartReason)
    assert set(END_CODES) == set(EndReason)
    for codes in (START_CODES, END_CODES):
        assert sorted(codes.values()) == list(range(len(codes)))


def test_a_second_process_is_told_that_a_keeper_is_at_work(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from analytics.store import StoreError, Visits\n"
        "try: Visits(Path(sys.argv[1]))\nexcept StoreError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "visits.duckdb")]
    root = Path(__file__).resolve().parents[2]
    with Visits(tmp_path / "visits.duckdb"):
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert "another keeper" in done.stdout
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == ""


def test_what_a_killed_keeper_left_beside_the_file_is_removed(tmp_path: Path) -> None:
    orphans = [tmp_path / f"visits.duckdb.next{end}" for end in ("", ".wal", ".tmp")]
    for orphan in orphans:
        orphan.write_bytes(b"half a copy")
    spill = tmp_path / "spill"
    spill.mkdir()
    (spill / "block").write_bytes(b"x")
    with Visits(tmp_path / "visits.duckdb"):
        assert not any(orphan.exists() for orphan in orphans)
        assert not (spill / "block").exists()


def test_a_file_that_is_no_store_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "visits.duckdb").write_bytes(os.urandom(20_000))
    with pytest.raises(StoreError) as refused:
        Visits(tmp_path / "visits.duckdb")
    assert "\n" not in str(refused.value)


# --- loading and reading ----------------------------------------------------------------------------------------------


def test_rows_and_their_mark_are_kept_together_and_read_back_as_they_were(tmp_path: Path) -> None:
    rng = random.Random(3)
    loaded = [
        NewVisit(
            rng.choice(PURPOSES),
            rng.getrandbits(64),
            date(2026, 9, 21) + timedelta(days=rng.randrange(40)),
            VisitRow(
                rng.choice("ab"),
                rng.choice(["coffee", "tea's", "Käse"]),
                NOON + i,
                NOON + i + rng.randrange(10**7, 10**9),
                rng.choice(list(StartReason)),
                EndReason.LOST,
                0,
                *rng.choice([((), False), ((3_000_000,), True), ((3_000_001, 4_000_000), False)]),
            ),
        )
        for i in range(300)
    ]
    path = tmp_path / "visits.duckdb"
    with Visits(path) as visits:
        visits.load(loaded[:200], 4, {("a", "coffee"): ZoneKind.PRODUCT})
        visits.load(loaded[200:], 9)
    with Visits(path) as visits:
        assert visits.mark == 9
        for purpose in PURPOSES:
            assert list(visits.read(purpose)) == [n for n in loaded if n.purpose is purpose]
            assert visits.count(purpose) == sum(n.purpose is purpose for n in loaded)
            assert visits.days(purpose) == sorted({n.day for n in loaded if n.purpose is purpose})
        some = list(visits.read(Purpose.DWELL, since_us=NOON + 50, until_us=NOON + 100))
        assert some == [n for n in loaded[50:100] if n.purpose is Purpose.DWELL]


def test_a_load_that_fails_leaves_neither_row_nor_mark(tmp_path: Path) -> None:
    with Visits(tmp_path / "visits.duckdb") as visits:
        visits.load([new(1)], 5)
        with pytest.raises(StoreError):
            visits.load([new(2)], 4)
        with pytest.raises(StoreError) as refused:
            visits.load([new(3), new(2**64)], 6)
        assert str(2**64) not in str(refused.value)
        assert (visits.mark, [n.visitor for n in visits.read(Purpose.DWELL)]) == (5, [1])


@pytest.mark.parametrize("number", [0, 1, 2**63, 2**64 - 1])
def test_every_pseudonym_of_64_bits_fits(tmp_path: Path, number: int) -> None:
    with Visits(tmp_path / "visits.duckdb") as visits:
        visits.load([new(number)], 1)
        assert [n.visitor for n in visits.read(Purpose.DWELL)] == [number]
        assert visits.due([cover(number)], FOR_EVER) == 0
        assert visits.due([], FOR_EVER) == 1


# --- what is due ------------------------------------------------------------------------------------------------------

instants = st.integers(NOON, NOON + 20)


@settings(max_examples=25, deadline=None)
@given(
    held=st.lists(st.tuples(st.integers(0, 5), instants, st.integers(0, 5), st.sampled_from(PURPOSES)), max_size=12),
    covers=st.lists(st.tuples(st.integers(0, 5), instants, st.integers(0, 20), st.sampled_from(PURPOSES)), max_size=6),
    oldest=st.tuples(instants, instants),
)
def test_a_row_is_due_when_no_cover_holds_all_of_it_or_its_term_is_over(
    tmp_path_factory: pytest.TempPathFactory,
    held: list[tuple[int, int, int, Purpose]],
    covers: list[tuple[int, int, int, Purpose]],
    oldest: tuple[int, int],
) -> None:
    kept = dict(zip(PURPOSES, oldest, strict=True))
    loaded = [new(v, enter, p, length_us=7 + more) for v, enter, more, p in held]

    def stays(one: NewVisit) -> bool:
        row = one.row
        return row.leave_us > kept[one.purpose] and any(
            v == one.visitor and p is one.purpose and since <= row.enter_us and row.leave_us <= since + length
            for v, since, length, p in covers
        )

    with Visits(tmp_path_factory.mktemp("store") / "visits.duckdb", threads=1) as visits:
        visits.load(loaded, 1)
        given_covers = [cover(v, since, since + length, p) for v, since, length, p in covers]
        gone = [n for n in loaded if not stays(n)]
        assert visits.due(given_covers, kept) == len(gone)
        assert visits.delete(given_covers, kept, 3) == len(gone) == visits.deleted(3)
        left = Counter(n for p in PURPOSES for n in visits.read(p))
        assert left == Counter(n for n in loaded if stays(n))
        assert set(visits.erasing()) == {n.visitor for n in gone} - {n.visitor for n in left}
        assert visits.due(given_covers, kept) == 0


# --- rewriting --------------------------------------------------------------------------------------------------------


def test_a_rewrite_keeps_every_other_row_and_no_byte_of_the_deleted_ones(tmp_path: Path) -> None:
    path = tmp_path / "visits.duckdb"
    rng = random.Random(5)
    numbers = [rng.getrandbits(64) for _ in range(3000)]
    gone, stay = numbers[:20], numbers[20:]
    with Visits(path) as visits:
        visits.load([new(v, NOON + i) for i, v in enumerate(numbers)], 1)
        visits.delete([cover(v) for v in stay], FOR_EVER, 8)
    present = path.read_bytes()
    assert sum(v.to_bytes(8, "little") in present for v in gone) == 20  # what DELETE leaves, after a checkpoint too
    proved: list[Path] = []
    with Visits(path) as visits:
        assert sorted(visits.erasing()) == sorted(gone)
        visits.rewrite(proved.append)
        assert visits.erasing() == []
        assert visits.deleted(8) == 20
        assert [n.visitor for n in visits.read(Purpose.DWELL)] == stay
        visits.settle(8)
        assert visits.deleted(8) == 0
    data = path.read_bytes()
    assert not any(v.to_bytes(8, "little") in data for v in gone)
    assert all(v.to_bytes(8, "little") in data for v in stay)
    assert proved == [tmp_path / "visits.duckdb.next"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["visits.duckdb", "visits.duckdb.lock"]


def test_a_pseudonym_stands_in_the_file_as_plainly_as_in_its_rows(tmp_path: Path) -> None:
    path, middle = tmp_path / "visits.duckdb", 0x7766554433221100
    with Visits(path) as visits:
        visits.load([new(v, NOON + i) for v in (1, middle, 2**64 - 1) for i in range(1000)], 1)
    assert path.read_bytes().count(middle.to_bytes(8, "little")) >= 1000
    with Visits(path) as visits:
        visits.rewrite(lambda _: None)
    assert path.read_bytes().count(middle.to_bytes(8, "little")) >= 1000


def test_a_rewrite_that_is_not_proved_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "visits.duckdb"

    def refuse(copy: Path) -> None:
        assert copy.stat().st_size
        raise StoreError("found")

    with Visits(path) as visits:
        visits.load([new(1), new(2)], 1)
        visits.delete([cover(1)], FOR_EVER, 8)
        before = path.stat().st_ino
        with pytest.raises(StoreError, match="found"):
            visits.rewrite(refuse)
        assert (path.stat().st_ino, visits.erasing(), visits.count(Purpose.DWELL)) == (before, [2], 1)
        visits.rewrite(lambda _: None)
        assert (path.stat().st_ino != before, visits.erasing(), visits.mark) == (True, [], 1)


def test_the_store_day_follows_the_stores_clock() -> None:
    from zoneinfo import ZoneInfo

    late = int(datetime(2026, 10, 24, 22, 30, tzinfo=UTC).timestamp()) * SECOND
    assert day_of(late, ZoneInfo("Europe/Berlin")) == date(2026, 10, 25)
    assert day_of(late, UTC) == date(2026, 10, 24)
