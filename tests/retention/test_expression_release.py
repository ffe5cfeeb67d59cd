"""Attempts to learn somebody's expression from the released figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.bins import HOUR
from analytics.figures import PARTS, Audience, Figure, diverse, expression_slots
from analytics.payload import CellPayload, OpenBin
from analytics.report import Report
from analytics.row import CLASSES, ExpressionRow, apportion
from analytics.store import NewExpression
from analytics.zones import ZoneKind
from consent.events import Level, Purpose
from retention.release import ReleaseError
from tests.retention.busy_shop import CAMERA, Rows, instant
from tests.retention.keeping import NOON, SECOND, Shop
from tests.retention.test_expression_rows import BOTH
from tests.retention.test_keeper import MINUTE, fast_path, run_once
from tests.retention.test_release import COFFEE, DAY_ONE, cells, opened

__all__ = ["fast_path"]

HAPPY, NEUTRAL, UNKNOWN = (CLASSES.index(name) for name in ("happy", "neutral", "unknown"))


def shares(**parts: int) -> tuple[int, ...]:
    return tuple(parts.get(name, 0) for name in CLASSES)


def faces(of: list[tuple[int, ...]], hour: float = 9.5, first: int = 0, day: date = DAY_ONE) -> Rows:
    rows = Rows()
    for i, one in enumerate(of):
        enter = instant(day, hour) + i * SECOND
        rows.faces.append(
            NewExpression(first + i, day, ExpressionRow(CAMERA, "coffee", enter, enter + 12 * SECOND, 24, one))
        )
    return rows


MIXED = shares(happy=300, neutral=500, unknown=200)


def released(path: Path) -> list[dict[str, object]]:
    return cells(path, Audience.CONSENTING, Figure.EXPRESSION)


def test_it_appears_at_ten_visitors_and_not_before(tmp_path: Path) -> None:
    release, now = opened(tmp_path), instant(DAY_ONE, 12)
    release.release_consenting(faces([MIXED] * 9), COFFEE, now)
    assert released(tmp_path) == []
    release.release_consenting(faces([MIXED] * 10), COFFEE, now)
    (cell,) = released(tmp_path)
    assert (cell["people"], cell["k"], cell["unit"], cell["n"]) == (10, 10, "visitors", 100)
    assert cell["counts"] == [0, 0, 0, 30, 0, 0, 50, 20]


@pytest.mark.parametrize(
    "alike",
    [
        shares(happy=1000),
        shares(neutral=1000),
        shares(unknown=1000),
        shares(happy=500, unknown=500),
        shares(happy=960, neutral=40),  # less than half a part of anybody's visit
    ],
)
def test_a_cell_in_which_all_show_the_same_waits_until_somebody_shows_something_else(
    tmp_path: Path, alike: tuple[int, ...]
) -> None:
    release, now = opened(tmp_path), instant(DAY_ONE, 15)
    rows = faces([alike] * 40)
    assert release.release_consenting(rows, COFFEE, now) == 0
    rows.faces += faces([shares(sad=1000), shares(happy=1000)], hour=12.5, first=100).faces
    release.release_consenting(rows, COFFEE, now)
    assert all(diverse(Figure.EXPRESSION, c["counts"]) for c in released(tmp_path))  # type: ignore[arg-type]
    assert all(c["start_us"] < instant(DAY_ONE, 9.5) and c["end_us"] > instant(DAY_ONE, 12) for c in released(tmp_path))  # type: ignore[operator]


def test_two_expressions_are_enough_and_both_stay_after_rounding(tmp_path: Path) -> None:
    rows = faces([shares(neutral=1000)] * 30 + [shares(happy=100, neutral=900)] * 10)
    for seed in range(30):
        path = tmp_path / str(seed)
        opened(path, seed).release_consenting(rows, COFFEE, instant(DAY_ONE, 12))
        (cell,) = released(path)
        assert cell["counts"][HAPPY] == 10  # type: ignore[index]


def test_what_one_visitor_shows_is_no_figure(tmp_path: Path) -> None:
    rows = faces([MIXED] * 10 + [shares(sad=500, happy=500)])
    opened(tmp_path).release_consenting(rows, COFFEE, instant(DAY_ONE, 12))
    (cell,) = released(tmp_path)
    assert cell["counts"][CLASSES.index("sad")] == 0  # type: ignore[index]
    assert sum(cell["counts"]) == cell["n"]  # type: ignore[call-overload]


@pytest.mark.parametrize("few", [1, 4, 5, 9])
def test_the_rest_that_the_counts_leave_of_n_is_of_ten_visitors_too(tmp_path: Path, few: int) -> None:
    """Few are unknown or sad, and all else is happy or neutral: the rest takes the smallest of these with it."""
    plain = [shares(happy=500, neutral=500)] * 30 + [shares(neutral=600, surprise=400)] * 12
    rows = faces(plain + [shares(sad=500, unknown=500)] * few)
    opened(tmp_path).release_consenting(rows, COFFEE, instant(DAY_ONE, 12))
    (cell,) = released(tmp_path)
    counts = dict(zip(CLASSES, cell["counts"], strict=True))  # type: ignore[call-overload]
    assert counts["sad"] == counts["surprise"] == 0
    assert min(counts["happy"], counts["neutral"]) > 100
    assert abs(counts["unknown"] - 12 * 4 - 10 * few) < 5


@pytest.mark.parametrize("seconds", [12, 3600])
def test_a_long_visit_weighs_no_more_than_a_short_one(seconds: int) -> None:
    row = ExpressionRow(CAMERA, "coffee", 0, seconds * SECOND, 2 * seconds, MIXED)
    assert len(expression_slots(row.shares)) == PARTS


@settings(max_examples=100, deadline=None)
@given(
    people=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 12), st.lists(st.integers(0, 3), min_size=8, max_size=8)),
        max_size=80,
    ),
    seed=st.integers(0, 2**32),
)
def test_whatever_comes_each_cell_has_ten_visitors_and_two_expressions(
    tmp_path_factory: pytest.TempPathFactory, people: list[tuple[int, int, list[int]]], seed: int
) -> None:
    path, rows = tmp_path_factory.mktemp("state"), Rows()
    for who, hour, weights in people:
        if any(weights):
            enter = instant(DAY_ONE, 6 + hour)
            row = ExpressionRow(CAMERA, "coffee", enter, enter + SECOND, 2, apportion(tuple(weights), 1000))
            rows.faces.append(NewExpression(who, DAY_ONE, row))
    release = opened(path, seed)
    for hour in (9, 14, 23):
        release.release_consenting(rows, COFFEE, instant(DAY_ONE, hour))
    for cell in released(path):
        inside = [f for f in rows.faces if cell["start_us"] <= f.row.leave_us < cell["end_us"]]  # type: ignore[operator]
        exact = [sum(expression_slots(f.row.shares).count(i) for f in inside) for i in range(len(CLASSES))]
        assert len({f.visitor for f in inside}) >= 10
        shown = {i for i in range(UNKNOWN) if cell["counts"][i]}  # type: ignore[index]
        by_class = [{f.visitor for f in inside if i in expression_slots(f.row.shares)} for i in range(len(CLASSES))]
        assert all(len(by_class[i]) >= 10 for i in shown)
        rest = set().union(*(by_class[i] for i in range(len(CLASSES)) if i not in shown))
        assert len(rest) >= 10 or not rest
        exact = [count if i in shown else 0 for i, count in enumerate(exact)]
        exact[UNKNOWN] = PARTS * len(inside) - sum(exact)
        assert sum(count > 0 for count in cell["counts"][:UNKNOWN]) >= 2  # type: ignore[index]
        assert all(abs(a - b) < 5 for a, b in zip(exact, cell["counts"], strict=True))  # type: ignore[call-overload]


def cell_of(counts: tuple[int, ...]) -> CellPayload:
    start = instant(DAY_ONE, 9)
    return CellPayload(
        "a", Audience.CONSENTING, Figure.EXPRESSION, CAMERA, "coffee", ZoneKind.PRODUCT, "UTC", start, start + HOUR,
        HOUR, 12, counts, HOUR, HOUR,
    )  # fmt: skip


def test_a_cell_of_one_expression_cannot_be_made_read_or_written(tmp_path: Path) -> None:
    good = cell_of((0, 0, 0, 60, 0, 0, 60, 0))
    for counts in (
        (0, 0, 0, 120, 0, 0, 0, 0),
        (0, 0, 0, 60, 0, 0, 4, 56),
        (9, 0, 0, 51, 0, 0, 60, 0),
        (0,) * 7 + (120,),
    ):
        with pytest.raises(ValueError, match="one expression"):
            cell_of(counts)
        forged = replace(good)
        object.__setattr__(forged, "counts", counts)
        with pytest.raises(ReleaseError, match="expression"):
            opened(tmp_path)._row(forged)
        assert not OpenBin(0, 1, 1, {i: [HAPPY] * 10 for i in range(50)}).passes(Audience.CONSENTING, Figure.EXPRESSION)


def test_an_erasure_changes_no_released_cell(tmp_path: Path) -> None:
    rows, now = faces([MIXED] * 12), instant(DAY_ONE, 12)
    opened(tmp_path).release_consenting(rows, COFFEE, now)
    before = released(tmp_path)
    rows.faces = rows.faces[3:]
    assert opened(tmp_path, 2).release_consenting(rows, COFFEE, now) == 0
    assert released(tmp_path) == before


def test_nobody_waits_for_it_below_its_level_and_everybody_does_at_it(fast_path: Path) -> None:
    for level in Level:
        shop = Shop.make(fast_path / level.value, level)
        with shop.ledger:
            toml = shop.state.root / "store.toml"
            toml.write_text(toml.read_text() + ZONE)
            run_once(shop)
            report = Report(shop.state.released)
            told = {one.metric for one in report.waiting()}
            report.close()
        assert ("consenting.expression" in told) == (level is Level.EMOTION)
        assert "everybody.zone_visits" in told


ZONE = """
[[camera]]
name = "entrance"
source = "clip.mp4"
zone = [{name = "floor", kind = "product", polygon = [[0, 0], [100, 0], [100, 100]]}]
"""


def test_the_keeper_releases_it_and_a_report_reads_it(fast_path: Path) -> None:
    shop = Shop.make(fast_path / "shop", Level.EMOTION)
    with shop.ledger:
        toml = shop.state.root / "store.toml"
        toml.write_text(toml.read_text() + ZONE)
        for i in range(14):
            her = shop.yes(*BOTH) if i % 2 else shop.yes(Purpose.EMOTION)  # one needs no other purpose
            shop.face(her.subject, NOON + (1 + i) * SECOND)
        run_once(shop, NOON + 3 * HOUR)
        report = Report(shop.state.released)
        first, last = min(report.days()), max(report.days())
        (cell,) = report.cells(Figure.EXPRESSION, first, last, audience=Audience.CONSENTING)
        report.close()
        assert sum(cell.counts) == cell.n
        assert cell.counts[HAPPY] > 0
        assert cell.counts[NEUTRAL] > cell.counts[UNKNOWN]
        run_once(shop, NOON + 3 * HOUR + MINUTE)
