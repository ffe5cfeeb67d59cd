"""Rows of expression: a yes of their own, a pseudonym of their own, and nothing of them left where it ended."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.row import CLASSES, THOUSAND, ExpressionRow, RowError, apportion
from analytics.store import NewExpression, Visits
from consent.events import Level, Purpose
from retention import holds
from tests.retention.keeping import DAY_US, NOON, SECOND, Shop
from tests.retention.test_access import everything, told
from tests.retention.test_holds import TODAY
from tests.retention.test_keeper import MINUTE, fast_path, run_once, traces

__all__ = ["fast_path"]

BOTH = (Purpose.DWELL, Purpose.EMOTION)


@pytest.fixture
def shop(fast_path: Path) -> Iterator[Shop]:
    shop = Shop.make(fast_path / "shop", Level.EMOTION)
    with shop.ledger:
        yield shop


def tables(shop: Shop) -> set[str]:
    with Visits(shop.state.visits) as visits:
        return set(visits.columns())


def faces(shop: Shop) -> list[tuple[int, int]]:
    with Visits(shop.state.visits) as visits:
        return [(new.visitor, new.row.enter_us) for new in visits.read_expression()]


def test_no_table_is_made_before_there_is_a_row_and_none_is_left_after_the_last(shop: Shop) -> None:
    her = shop.yes(*BOTH)
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    assert not {"emotion", "held_emotion"} & tables(shop)
    assert shop.face(her.subject, NOON + SECOND)
    run_once(shop)
    assert {"emotion", "held_emotion"} <= tables(shop)
    assert faces(shop) == [(shop.hash_of(her.subject, NOON, Purpose.EMOTION), NOON + SECOND)]
    shop.set('level = "emotion"', 'level = "repeat"')
    assert [e.rows for e in run_once(shop, NOON + 2 * MINUTE).erased] == [1]
    assert not {"emotion", "held_emotion"} & tables(shop)
    assert len(shop.rows()) == 1


@pytest.mark.parametrize("level", [Level.COUNTS, Level.DWELL, Level.REPEAT])
def test_below_its_level_nothing_of_it_is_written_or_loaded(fast_path: Path, level: Level) -> None:
    shop = Shop.make(fast_path / "shop", level)
    with shop.ledger:
        her = shop.yes(*BOTH)  # by a kiosk that was wrong about the level
        row = ExpressionRow("entrance", "floor", NOON + SECOND, NOON + 2 * SECOND, 2, (0, 0, 0, 500, 0, 0, 500, 0))
        assert not shop.ledger.write_inbox(
            "expression",
            her.subject,
            row.encode(),
            now_us=NOON + 3 * SECOND,
            visit_start_us=row.enter_us,
            visit_end_us=row.leave_us,
            requires={Purpose.EMOTION},
            level=level,
        )
        assert shop.face(her.subject, NOON + SECOND)  # one that was written before the level fell
        assert run_once(shop).refused == 1
        assert not {"emotion", "held_emotion"} & tables(shop)


def test_its_pseudonym_is_its_own_and_changes_every_day(shop: Shop) -> None:
    her = shop.yes(*BOTH)
    for t_us in (NOON, NOON + DAY_US):
        shop.stay(her.subject, t_us + SECOND)
        shop.face(her.subject, t_us + SECOND)
    run_once(shop, NOON + DAY_US + MINUTE)
    seen = {v for v, _ in faces(shop)}
    assert len(seen) == 2
    assert not seen & {v for v, _ in shop.rows()}


def test_ending_one_purpose_ends_its_rows_and_no_other(shop: Shop) -> None:
    her, him = shop.yes(*BOTH), shop.yes(*BOTH)
    for one in (her, him):
        shop.stay(one.subject, NOON + SECOND)
        shop.face(one.subject, NOON + SECOND)
    run_once(shop)
    number = shop.hash_of(her.subject, NOON, Purpose.EMOTION)
    assert traces(shop, number) != {}
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE, purposes={Purpose.EMOTION})
    assert not shop.face(her.subject, NOON + MINUTE)
    assert [(e.subjects, e.rows) for e in run_once(shop, NOON + 2 * MINUTE).erased] == [(0, 1)]
    assert traces(shop, number) == {}
    assert len(shop.rows()) == 2
    assert [v for v, _ in faces(shop)] == [shop.hash_of(him.subject, NOON, Purpose.EMOTION)]


def test_a_row_on_its_way_is_not_loaded_once_its_consent_ended(shop: Shop) -> None:
    her = shop.yes(*BOTH)
    shop.stay(her.subject, NOON + SECOND)
    shop.face(her.subject, NOON + SECOND)
    shop.ledger.withdraw(her.secret, now_us=NOON + 30 * SECOND, purposes={Purpose.EMOTION})
    report = run_once(shop)
    assert (report.loaded, report.refused) == (1, 1)
    assert faces(shop) == []
    assert shop.ledger.read_inbox() == []


def test_a_withdrawal_of_everything_leaves_no_byte(shop: Shop) -> None:
    people = [shop.yes(*BOTH) for _ in range(20)]
    for i, one in enumerate(people):
        shop.stay(one.subject, NOON + SECOND)
        shop.face(one.subject, NOON + SECOND, shares=(i, 0, 0, 900 - i, 0, 0, 100, 0))
    run_once(shop)
    gone, stays = people[:7], people[7:]
    numbers = [shop.hash_of(one.subject, NOON, p) for one in gone for p in BOTH]
    kept = [shop.hash_of(one.subject, NOON, Purpose.EMOTION) for one in stays]
    assert all(traces(shop, number) for number in numbers)
    for one in gone:
        shop.ledger.withdraw(one.secret, now_us=NOON + MINUTE)
    assert sum(e.rows for e in run_once(shop, NOON + 2 * MINUTE).erased) == 14
    assert traces(shop, *numbers) == {}
    assert sorted(v for v, _ in faces(shop)) == sorted(kept)


def test_its_term_is_its_own_and_ends_its_rows(shop: Shop) -> None:
    her = shop.yes(*BOTH)
    shop.stay(her.subject, NOON + SECOND)
    shop.face(her.subject, NOON + SECOND)
    run_once(shop)
    number = shop.hash_of(her.subject, NOON, Purpose.EMOTION)
    run_once(shop, NOON + 7 * DAY_US - MINUTE)
    assert len(faces(shop)) == 1
    run_once(shop, NOON + 7 * DAY_US + MINUTE)
    assert faces(shop) == []
    assert traces(shop, number) == {}
    assert len(shop.rows()) == 1  # dwell: 30 days


def test_a_hold_keeps_it_apart_and_its_release_erases_it(shop: Shop) -> None:
    her = shop.yes(*BOTH)
    shop.stay(her.subject, NOON + SECOND)
    shop.face(her.subject, NOON + SECOND)
    run_once(shop)
    number = shop.hash_of(her.subject, NOON, Purpose.EMOTION)
    hold = holds.place(
        shop.ledger, ["emotion"], TODAY, TODAY, officer="Ada Lovelace", reference="12/26", now_us=NOON + MINUTE
    )
    shop.ledger.withdraw(her.secret, now_us=NOON + 2 * MINUTE)
    run_once(shop, NOON + 3 * MINUTE)
    assert faces(shop) == []
    with Visits(shop.state.visits) as visits:
        assert {(p, v) for p, v, _ in visits.held()} == {(Purpose.EMOTION, number)}
    holds.release(shop.ledger, hold.entry, officer="Ada Lovelace", now_us=NOON + 4 * MINUTE)
    run_once(shop, NOON + 5 * MINUTE)
    assert traces(shop, number) == {}
    assert not {"emotion", "held_emotion"} & tables(shop)


def test_whoever_asks_is_told_what_is_held(shop: Shop) -> None:
    her, him = shop.yes(*BOTH), shop.yes(*BOTH)
    shop.face(her.subject, NOON + SECOND, shares=(0, 0, 0, 250, 0, 0, 500, 250))
    shop.face(him.subject, NOON + 2 * SECOND)
    (way,) = everything(told(shop, her.secret, NOON + 30 * SECOND))["visits_on_their_way"]
    assert (way["kind"], way["looks"]) == ("expression", 20)
    files = told(shop, her.secret, NOON + MINUTE)
    (mine,) = everything(files)["expressions"]
    assert mine["looks"] == 20
    assert mine["shares"] == {**dict.fromkeys(CLASSES, 0.0), "happy": 0.25, "neutral": 0.5, "unknown": 0.25}
    (row,) = csv.DictReader(io.StringIO(files["expression.csv"].decode()))
    assert row["enter"] == mine["enter"]
    assert str(shop.hash_of(him.subject, NOON, Purpose.EMOTION)).encode() not in b"".join(files.values())


def test_a_copy_of_the_file_holds_it(shop: Shop) -> None:
    her = shop.yes(*BOTH)
    shop.face(her.subject, NOON + SECOND)
    run_once(shop)
    with Visits(shop.state.visits) as visits:
        visits.copy(visits.spare)
        visits.spare.rename(shop.state.root / "copy.duckdb")
    with Visits(shop.state.root / "copy.duckdb") as copy:
        assert copy.count(Purpose.EMOTION) == 1


# --- the row ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10_000), min_size=8, max_size=8).filter(any), st.integers(1, 2000))
def test_parts_add_up_and_are_fair(weights: list[int], parts: int) -> None:
    found = apportion(tuple(weights), parts)
    assert sum(found) == parts
    for part, weight in zip(found, weights, strict=True):
        assert abs(part - parts * weight / sum(weights)) < 1


def test_the_payload_is_as_it_is_written_down() -> None:
    row = ExpressionRow("entrance", "coffee", NOON, NOON + 12_500_000, 20, (0, 0, 0, 250, 0, 0, 500, 250))
    assert ExpressionRow.decode(row.encode()) == row
    assert row.encode() == (
        b'{"camera":"entrance","enter_us":1790000000000000,"leave_us":1790000012500000,"samples":20,'
        b'"shares":[0,0,0,250,0,0,500,250],"zone":"coffee"}'
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"samples":20', '"samples":0'),
        ('"samples":20', '"samples":20.0'),
        ("[0,0,0,250,0,0,500,250]", "[0,0,0,250,0,0,500,249]"),
        ("[0,0,0,250,0,0,500,250]", "[0,0,0,250,0,0,750]"),
        ("[0,0,0,250,0,0,500,250]", "[0,0,-250,500,0,0,500,250]"),
        ('"zone"', '"face"'),
        ('{"camera"', '{"series":[3,3,6],"camera"'),
        ('"enter_us":1790000000000000', '"enter_us":1790000019500000'),
    ],
)
def test_anything_else_is_refused(old: str, new: str) -> None:
    row = ExpressionRow("entrance", "coffee", NOON, NOON + 12_500_000, 20, (0, 0, 0, 250, 0, 0, 500, 250))
    text = row.encode().decode()
    assert old in text
    with pytest.raises(RowError):
        ExpressionRow.decode(text.replace(old, new).encode())


def test_the_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    row = ExpressionRow("entrance", "coffee", NOON, NOON + SECOND, 3, apportion((0, 0, 0, 1, 0, 0, 1, 1), THOUSAND))
    one = NewExpression(7, TODAY, row)
    with Visits(tmp_path / "visits.duckdb") as visits:
        visits.load([], 1, {}, [one])
        assert list(visits.read_expression()) == list(visits.read_expression(zone=("entrance", "coffee"))) == [one]
        assert list(visits.read_expression(since_us=NOON + 1)) == []
