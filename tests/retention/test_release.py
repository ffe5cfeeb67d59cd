"""Attempts to get something about a person out of the released figures."""

from __future__ import annotations

import inspect
import itertools
import math
import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analytics import figures, payload
from analytics.bins import DAY, HOUR, bin_of
from analytics.figures import TIMES, Audience, Figure, least, slots
from analytics.payload import CellPayload
from analytics.zones import ZoneKind
from retention import release as release_module
from retention.figures import Released, Row
from retention.release import Release, ReleaseError
from retention.rounding import round_counts
from tests.retention.busy_shop import CAMERA, TZ, Rows, day_of_visits, fill, instant, payloads, visit

DAY_ONE = date(2026, 11, 17)
COFFEE = {(CAMERA, "coffee"): ZoneKind.PRODUCT}


def opened(path: Path, seed: int = 1) -> Release:
    return Release(path, random.Random(seed), tz=TZ)


def cells(path: Path, audience: Audience, figure: Figure) -> list[Row]:
    rows = Released(path / "released").cells()
    chosen = [r for r in rows if (r["audience"], r["figure"]) == (audience, figure)]
    return sorted(chosen, key=lambda r: (r["camera"], r["zone"], r["start_us"]))


def content(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((path / "released").iterdir())}


def shoppers(hours: list[float], first: int = 0, day: date = DAY_ONE, seconds: float = 12) -> Rows:
    rows = Rows()
    for i, hour in enumerate(hours):
        rows.add(first + i, visit(i, "coffee", instant(day, hour), seconds))
    return rows


def someday(seed: int = 1) -> list[CellPayload]:
    return payloads(DAY_ONE, day_of_visits(DAY_ONE, random.Random(seed)), "run")


# --- rounding ---------------------------------------------------------------------------------------------------------

COUNTS = st.lists(st.integers(0, 60), min_size=1, max_size=40)


@given(counts=COUNTS, draw=st.floats(0, 1, exclude_max=True))
def test_rounded_counts_are_multiples_of_five_off_by_less_than_five_and_add_up(counts: list[int], draw: float) -> None:
    rounded = round_counts(counts, draw)
    assert all(r % 5 == 0 and r >= 0 for r in rounded)
    assert all(abs(r - c) < 5 for r, c in zip(rounded, counts, strict=True))
    assert sum(rounded) == round_counts([sum(counts)], draw)[0]
    assert all(r == 0 for r, c in zip(rounded, counts, strict=True) if c == 0)


@given(counts=COUNTS)
def test_rounding_is_right_on_average_for_each_count(counts: list[int]) -> None:
    # with whole counts the outcome depends only on which fifth the draw falls into: five draws are the whole average
    drawn = [round_counts(counts, (i + 0.5) / 5) for i in range(5)]
    assert [sum(column) / 5 for column in zip(*drawn, strict=True)] == counts


def test_a_difference_of_released_counts_never_tells_of_a_group_of_one_to_four() -> None:
    """Where the difference could be such a group, it could as well be nobody at all, or five people or more."""
    may_be: dict[tuple[int, int], set[int]] = {}
    for whole in range(60):
        for part in range(whole + 1):
            for a, b in itertools.product(range(5), repeat=2):
                (one,), (other,) = round_counts([whole], a / 5), round_counts([part], b / 5)
                may_be.setdefault((one, other), set()).add(whole - part)
    inner = {seen: could for seen, could in may_be.items() if seen[0] < 50}
    assert len(inner) > 50
    assert all(0 in could or max(could) >= 5 for could in inner.values())
    assert all(len(could) > 1 for seen, could in inner.items() if seen[0] > 0)


def test_released_numbers_are_unbiased_over_many_cells(tmp_path: Path) -> None:
    given_cells = [replace(c, id=f"{c.id}{i}") for i in range(20) for c in someday() if not c.suppressed]
    opened(tmp_path, 3).release_everybody(given_cells)
    rows = [r for r in Released(tmp_path / "released").cells() if not r["suppressed"]]
    true, shown = sum(sum(c.counts) for c in given_cells), sum(r["n"] for r in rows)
    assert len(rows) == len(given_cells)
    assert abs(shown - true) < 3 * 2.5 * math.sqrt(len(rows))  # 3 standard deviations of 2.5 each, at the most


# --- how many are enough ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("figure", "k"), [(Figure.VISITS, 10), (Figure.DWELL, 20), (Figure.DECISION, 20)])
def test_consenting_shoppers_appear_at_k_and_not_before(tmp_path: Path, figure: Figure, k: int) -> None:
    release, now = opened(tmp_path), instant(DAY_ONE, 12)
    release.release_consenting(shoppers([9.5] * (k - 1)), COFFEE, now)
    assert cells(tmp_path, Audience.CONSENTING, figure) == []
    release.release_consenting(shoppers([9.5] * k), COFFEE, now)
    assert [(r["people"], r["k"], r["unit"]) for r in cells(tmp_path, Audience.CONSENTING, figure)] == [
        (k, k, "visitors")
    ]


def test_one_regular_who_comes_a_hundred_times_is_one_visitor(tmp_path: Path) -> None:
    rows = Rows()
    for i in range(100):
        rows.add(i % 9, visit(i, "coffee", instant(DAY_ONE, 9) + i * 20_000_000, 12))
    assert opened(tmp_path).release_consenting(rows, COFFEE, instant(DAY_ONE, 20)) == 0


def test_a_payload_of_too_few_stops_at_the_release_if_it_got_past_everything_else(tmp_path: Path) -> None:
    cell = next(c for c in someday() if not c.suppressed)
    for people in (1, 4):
        forged = replace(cell)
        object.__setattr__(forged, "people", people)
        with pytest.raises(ReleaseError, match="are needed"):
            opened(tmp_path).release_everybody([forged])
    assert content(tmp_path) == {}


def test_one_bad_payload_lets_none_of_its_batch_through(tmp_path: Path) -> None:
    good, bad = [c for c in someday() if not c.suppressed][:2]
    object.__setattr__(bad, "people", 1)
    with pytest.raises(ReleaseError):
        opened(tmp_path).release_everybody([good, bad])
    assert content(tmp_path) == {}


def test_consenting_cells_do_not_come_in_by_the_inbox(tmp_path: Path) -> None:
    cell = replace(next(c for c in someday() if c.people >= 20), audience=Audience.CONSENTING)
    with pytest.raises(ReleaseError, match="everybody"):
        opened(tmp_path).release_everybody([cell])


@pytest.mark.parametrize(
    "lower",
    [
        lambda m: m.setattr(figures, "K_EVERYBODY", 1),
        lambda m: m.setattr(figures, "K_CONSENTING", 1),
        lambda m: [m.setattr(where, "least", lambda *_: 1) for where in (figures, payload, release_module)],
    ],
)
def test_k_is_not_lowered_by_changing_one_of_the_places_where_it_stands(
    lower: Callable[[pytest.MonkeyPatch], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = next(c for c in someday() if c.figure is Figure.VISITS and not c.suppressed)
    lower(monkeypatch)
    release = opened(tmp_path)
    with suppress(ValueError, ReleaseError):
        release.release_everybody([replace(cell, people=2)])
    with suppress(ValueError, ReleaseError):
        release.release_consenting(shoppers([9.5] * 9), COFFEE, instant(DAY_ONE, 20))
    assert content(tmp_path) == {}


def test_no_argument_and_no_setting_speaks_of_k() -> None:
    for thing in (Release, Release.release_everybody, Release.release_consenting, Release.choose_bins, figures.least):
        names = set(inspect.signature(thing).parameters)
        assert not names & {"k", "least", "minimum", "threshold", "floor", "settings", "config"}


def test_no_environment_variable_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(os, "getenv", lambda *_: pytest.fail("the release looked for a setting"))
    opened(tmp_path).release_consenting(shoppers([9.5] * 9), COFFEE, instant(DAY_ONE, 20))
    assert cells(tmp_path, Audience.CONSENTING, Figure.VISITS) == []


# --- bins -------------------------------------------------------------------------------------------------------------


def test_too_few_merge_forward_over_days_and_the_cell_says_visitor_days(tmp_path: Path) -> None:
    release, rows = opened(tmp_path), Rows()
    for back in range(5):
        day = DAY_ONE + timedelta(days=back)
        rows.rows += shoppers([9.5] * 3, 100 * back, day).rows
        release.release_consenting(rows, COFFEE, instant(day, 20))
    (cell,) = cells(tmp_path, Audience.CONSENTING, Figure.VISITS)
    assert cell["unit"] == "visitor_days"
    assert (cell["start_us"], cell["end_us"]) == (instant(DAY_ONE, 0), instant(DAY_ONE + timedelta(days=3), 10))


def test_where_a_cell_begins_does_not_say_when_its_first_visitor_came(tmp_path: Path) -> None:
    release, rows = opened(tmp_path), shoppers([9.5] * 20 + [14.5] * 20)
    release.release_consenting(rows, COFFEE, instant(DAY_ONE, 20))
    spans = [(c["start_us"], c["end_us"]) for c in cells(tmp_path, Audience.CONSENTING, Figure.VISITS)]
    assert spans == [(instant(DAY_ONE, 0), instant(DAY_ONE, 10)), (instant(DAY_ONE, 10), instant(DAY_ONE, 15))]


def test_a_first_cell_begins_with_the_cameras_day_where_that_is_known(tmp_path: Path) -> None:
    release = opened(tmp_path)
    release.release_everybody(someday())  # the camera began at eight
    release.release_consenting(shoppers([9.5] * 20), COFFEE, instant(DAY_ONE, 20))
    (cell,) = cells(tmp_path, Audience.CONSENTING, Figure.VISITS)
    assert (cell["start_us"], cell["end_us"]) == (instant(DAY_ONE, 8), instant(DAY_ONE, 10))


def test_a_bin_that_is_not_over_is_not_released(tmp_path: Path) -> None:
    release, rows = opened(tmp_path), shoppers([9.5] * 30)
    assert release.release_consenting(rows, COFFEE, instant(DAY_ONE, 9.99)) == 0
    assert release.release_consenting(rows, COFFEE, instant(DAY_ONE, 10)) == 0  # somebody may still be coming in
    assert release.release_consenting(rows, COFFEE, instant(DAY_ONE, 10.1)) == 3


def test_a_row_that_comes_after_its_cell_is_in_no_cell(tmp_path: Path) -> None:
    release, rows = opened(tmp_path), shoppers([9.5] * 20)
    release.release_consenting(rows, COFFEE, instant(DAY_ONE, 12))
    before = content(tmp_path)
    rows.rows += shoppers([9.2] * 40, 500).rows
    release.release_consenting(rows, COFFEE, instant(DAY_ONE, 23))
    assert content(tmp_path) == before


def test_a_time_zone_that_was_put_right_counts_no_visit_again(tmp_path: Path) -> None:
    rows = shoppers([9.7] * 20)
    opened(tmp_path).release_consenting(rows, COFFEE, instant(DAY_ONE, 10.1))
    rows.rows += shoppers([10.2] * 20, 100).rows
    moved = Release(tmp_path, random.Random(1), tz="Asia/Kolkata")  # its hours begin at half past
    moved.release_consenting(rows, COFFEE, instant(DAY_ONE, 12))
    first, second = cells(tmp_path, Audience.CONSENTING, Figure.VISITS)
    assert (first["people"], second["people"]) == (20, 20)
    assert (second["start_us"], second["end_us"]) == (instant(DAY_ONE, 10), instant(DAY_ONE, 10.5))


def test_the_length_of_bins_is_fixed_a_week_ahead_and_from_released_cells_alone(tmp_path: Path) -> None:
    fill(tmp_path, date(2026, 11, 19), 12)
    rows = Released(tmp_path / "released").plan()
    known = {(r["audience"], r["figure"], r["zone"], r["from_us"]): r["bin_us"] for r in rows}
    mondays = sorted({r["from_us"] for r in rows})
    assert mondays == [instant(date(2026, 11, 16), 0), instant(date(2026, 11, 23), 0)]
    line = ("everybody", "zone_visits")
    assert known[*line, "bread", mondays[1]] == HOUR
    assert known[*line, "magazines", mondays[1]] == DAY
    assert known["consenting", "zone_visits", "bread", mondays[1]] in (3 * HOUR, DAY)
    assert all(r["bin_us"] <= DAY for r in rows if r["audience"] == "everybody")
    for cell in Released(tmp_path / "released").cells():
        at = max((m for m in mondays if m <= cell["start_us"]), default=0)
        planned = known.get((cell["audience"], cell["figure"], cell["zone"], at), HOUR)
        assert cell["bin_us"] == planned or cell["audience"] == "everybody"  # this tally was given no plan
    again = opened(tmp_path)
    assert again.choose_bins(instant(date(2026, 11, 20), 9)) == 0
    assert again.choose_bins(instant(date(2026, 11, 24), 9)) > 0
    assert Released(tmp_path / "released").plan()[: len(rows)] == rows


def test_closed_hours_do_not_make_the_bins_of_a_busy_zone_longer(tmp_path: Path) -> None:
    def opening(t_us: int) -> tuple[int, int]:
        start = bin_of(t_us, DAY, TZ)[0]
        return start + 9 * HOUR, start + 17 * HOUR

    rows = Rows()
    for back in range(4):
        day = DAY_ONE + timedelta(days=back)
        rows.rows += shoppers([9 + i / 30 for i in range(240)], 1000 * back, day).rows  # 30 an hour, from 9 to 17
    now, chosen = instant(DAY_ONE + timedelta(days=3), 20), {}
    for name, hours in (("with", opening), ("without", None)):
        release = Release(tmp_path / name, random.Random(1), tz=TZ, opening=hours)
        release.release_consenting(rows, COFFEE, now)
        release.choose_bins(now)
        chosen[name] = release.plan.length(Audience.CONSENTING, Figure.VISITS, CAMERA, "coffee", now + 7 * DAY)
    assert chosen["with"] == HOUR
    assert chosen["without"] > HOUR


# --- frozen -----------------------------------------------------------------------------------------------------------


def test_an_erasure_changes_no_released_cell_so_there_is_no_difference_to_look_at(tmp_path: Path) -> None:
    release, rows = opened(tmp_path), shoppers([9.5] * 20 + [10.5] * 20)
    release.release_consenting(rows, COFFEE, instant(DAY_ONE, 12))
    before = content(tmp_path)
    rows.rows = [r for r in rows.rows if r.visitor not in (3, 23)]
    for seed in range(5):
        opened(tmp_path, seed).release_consenting(rows, COFFEE, instant(DAY_ONE, 20))
    rows.rows.clear()
    opened(tmp_path).release_consenting(rows, COFFEE, instant(DAY_ONE, 23))
    assert content(tmp_path) == before


def test_erased_before_the_release_is_not_in_the_figure(tmp_path: Path) -> None:
    rows = shoppers([9.5] * 20)
    rows.rows.pop()
    opened(tmp_path).release_consenting(rows, COFFEE, instant(DAY_ONE, 20))
    assert cells(tmp_path, Audience.CONSENTING, Figure.DWELL) == []


def test_releasing_again_with_other_chances_changes_nothing(tmp_path: Path) -> None:
    batch = someday()
    assert opened(tmp_path, 1).release_everybody(batch) == len(batch)
    before = content(tmp_path)
    for seed in range(2, 12):
        assert opened(tmp_path, seed).release_everybody(batch) == 0
    assert content(tmp_path) == before


def test_another_payload_under_a_released_name_changes_nothing(tmp_path: Path) -> None:
    cell = next(c for c in someday() if c.figure is Figure.FOOTFALL)
    release = opened(tmp_path)
    release.release_everybody([cell])
    before = content(tmp_path)
    release.release_everybody([replace(cell, people=500, counts=(500,))])
    assert content(tmp_path) == before


def test_later_cells_leave_earlier_rows_as_they_are(tmp_path: Path) -> None:
    batch, release = someday(), opened(tmp_path)
    release.release_everybody(batch[: len(batch) // 2])
    before = {r["id"]: r for r in Released(tmp_path / "released").cells()}
    release.release_everybody(batch)
    after = {r["id"]: r for r in Released(tmp_path / "released").cells()}
    assert len(after) == len(batch)
    assert {i: after[i] for i in before} == before


def test_a_crash_between_two_files_counts_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = someday()
    real, calls = Path.replace, 0

    def dies(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path).release_everybody(batch)
    monkeypatch.undo()
    first = {r["id"]: r for r in Released(tmp_path / "released").cells()}
    assert 0 < len(first) < len(batch)
    assert opened(tmp_path, 9).release_everybody(batch) == len(batch) - len(first)
    rows = Released(tmp_path / "released").cells()
    assert Counter(r["id"] for r in rows) == Counter(c.id for c in batch)
    assert [r for r in rows if r["id"] in first] == [first[r["id"]] for r in rows if r["id"] in first]
    assert not list((tmp_path / "released").glob(".*"))


# --- what a cell says -------------------------------------------------------------------------------------------------


def test_a_released_row_says_what_it_is_and_nothing_of_who_was_in_it(tmp_path: Path) -> None:
    fill(tmp_path, DAY_ONE, 3)
    rows = Released(tmp_path / "released").cells()
    names = {"id", "metric", "rule", "audience", "figure", "camera", "zone", "kind", "tz", "start_us", "end_us"}
    names |= {"bin_us", "k", "unit", "suppressed", "n", "people", "counts", "observed_us", "open_us"}
    for row in rows:
        assert set(row) == names
        assert row["metric"] == f"{row['audience']}.{row['figure']}"
        assert row["k"] == least(Audience(row["audience"]), Figure(row["figure"]))
        if row["suppressed"]:
            assert (row["n"], row["people"], row["counts"]) == (None, None, None)
            continue
        assert row["n"] == sum(row["counts"])
        assert row["n"] >= row["people"] >= row["k"]
        assert all(c % 5 == 0 for c in row["counts"])
        long = row["end_us"] - row["start_us"] > DAY
        assert row["unit"] == ("tracks" if row["audience"] == "everybody" else "visitor_days" if long else "visitors")
    assert any(row["suppressed"] for row in rows)
    consenting = [row for row in rows if row["audience"] == "consenting"]
    assert consenting
    assert all(0 < row["observed_us"] <= row["open_us"] for row in consenting[:1])


def test_one_file_a_day_and_figure(tmp_path: Path) -> None:
    fill(tmp_path, DAY_ONE, 2)
    for path in (tmp_path / "released").glob("*-2026-*.parquet"):
        rows = pq.read_table(path).to_pylist()
        day = path.stem[-10:]
        assert {f"{r['audience']}-{r['figure']}-{day}" for r in rows} == {path.stem}
        start = instant(date.fromisoformat(day), 0)
        assert all(start <= r["start_us"] < start + DAY for r in rows)


def test_what_is_waited_for_does_not_depend_on_who_was_there(tmp_path: Path) -> None:
    said = []
    for n in (0, 1, 9):
        path = tmp_path / str(n)
        release, now = opened(path), instant(DAY_ONE, 20)
        release.release_consenting(shoppers([9.5] * n), COFFEE, now)
        release.announce(COFFEE, now, tuple(Audience), shelves=COFFEE)
        said.append(content(path))
    assert said[0] == said[1] == said[2]
    rows = pq.read_table(tmp_path / "0" / "released" / "waiting.parquet").to_pylist()
    assert {(r["audience"], r["figure"], r["k"]) for r in rows} == {
        ("everybody", "zone_visits", 5),
        ("everybody", "dwell", 10),
        ("everybody", "decision_box", 10),
        ("everybody", "transitions", 5),
        ("everybody", "occupancy", 10),
        ("consenting", "zone_visits", 10),
        ("consenting", "dwell", 20),
        ("consenting", "decision_box", 20),
        ("consenting", "decision_pose", 20),
        ("consenting", "expression", 10),
    }


def test_reaches_are_waited_for_only_where_a_shelf_is_drawn(tmp_path: Path) -> None:
    release = opened(tmp_path)
    release.announce(COFFEE, instant(DAY_ONE, 20), tuple(Audience))
    rows = pq.read_table(tmp_path / "released" / "waiting.parquet").to_pylist()
    assert {r["figure"] for r in rows} >= {"dwell", "decision_box"}
    assert "decision_pose" not in {r["figure"] for r in rows}


# --- everything at once -----------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(0, 400), hours=st.sampled_from([6, 30, 200]))
@example(seed=1, size=400, hours=6)
@example(seed=1, size=400, hours=200)
def test_whatever_comes_no_cell_has_fewer_than_k_and_no_visit_is_in_two(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: int, hours: int
) -> None:
    rng = random.Random(seed)
    stays = [(rng.randrange(60), rng.uniform(0, hours), rng.uniform(1, 600)) for _ in range(size)]
    runs = [*(rng.uniform(0, hours) for _ in range(rng.randint(0, 4))), hours + 30]
    erased = {rng.randrange(60) for _ in range(rng.randrange(20))}
    path = tmp_path_factory.mktemp("state")
    rows = Rows()
    for i, (who, hour, seconds) in enumerate(stays):
        enter = instant(DAY_ONE, hour)
        day = enter // DAY
        rows.add(1000 * day + who, visit(i, "coffee", enter, seconds))
    everyone = list(rows.rows)
    for n, hour in enumerate(sorted(runs)):
        now = instant(DAY_ONE, hour)
        here = [r for r in everyone if r.row.leave_us <= now and (n == 0 or r.visitor % 1000 not in erased)]
        rows.rows = here
        before = {r["id"]: r for r in Released(path / "released").cells()} if n else {}
        opened(path, n).release_consenting(rows, COFFEE, now)
        after = {r["id"]: r for r in Released(path / "released").cells()}
        assert {i: after[i] for i in before} == before
        for figure in (Figure.VISITS, Figure.DWELL, Figure.DECISION):
            new = [r for i, r in after.items() if i not in before and r["figure"] == figure]
            for cell in new:
                inside = [
                    r
                    for r in here
                    if cell["start_us"] <= r.row.leave_us < cell["end_us"]
                    and slots(
                        figure,
                        r.row.leave_us - r.row.enter_us,
                        stopped=True,
                        censored=False,
                        decisions=r.row.decided,
                    )
                ]
                assert len({r.visitor for r in inside}) >= (20 if figure in TIMES else 10)
                assert abs(cell["n"] - len(inside)) < 5
                assert cell["end_us"] <= now
    for figure in (Figure.VISITS, Figure.DWELL, Figure.DECISION):
        ends = [(c["start_us"], c["end_us"]) for c in cells(path, Audience.CONSENTING, figure)]
        assert all(a[1] <= b[0] for a, b in pairwise(ends))
        assert all(bin_of(a, HOUR, TZ)[0] == a and bin_of(b, HOUR, TZ)[0] == b for a, b in ends)
        if size == 400:
            assert ends  # this test must not pass because nothing is ever released
