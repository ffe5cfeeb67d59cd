"""A released file that is not as it was written: one line says which, and nothing is written over it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cli
from analytics.bins import HOUR
from analytics.model import AnalyticsError
from analytics.report import read_plan
from retention.figures import PLAN, FiguresError, Released
from retention.release import Release
from tests.retention.busy_shop import TZ, day_of_visits, payloads

DAY_ONE = date(2026, 11, 17)
CELL_FILE = f"everybody-footfall-{DAY_ONE}.parquet"


def another_table(path: Path) -> None:
    pq.write_table(pa.table({"name": ["somebody"]}), path)


def cut_off(path: Path) -> None:
    whole = path.read_bytes() if path.exists() else b"PAR1"
    path.write_bytes(whole[: len(whole) // 2])


DAMAGE: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: path.write_bytes(b"PAR1" + bytes(range(256)) + b"PAR1"),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": cut_off,
    "another table": another_table,
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", [CELL_FILE, "plan.parquet"])
def test_the_keeper_names_a_broken_file_in_one_line_and_leaves_it(
    name: str, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "shop"
    assert cli.main(["init", str(state), "--timezone", TZ]) == 0
    (state / "released").mkdir(exist_ok=True)
    path = state / "released" / name
    DAMAGE[damage](path)
    before = path.is_file() and path.read_bytes()
    capsys.readouterr()
    assert cli.main(["keeper", "--once", "--state", str(state)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert str(path) in said[0]
    assert "restore it from a backup" in said[0]
    assert (path.is_file() and path.read_bytes()) == before


@pytest.mark.parametrize("damage", [word for word in DAMAGE if word != "folder"])
def test_a_file_that_breaks_while_the_keeper_runs_is_not_written_over(damage: str, tmp_path: Path) -> None:
    release = Release(tmp_path, random.Random(1), tz=TZ)
    cells = payloads(DAY_ONE, day_of_visits(DAY_ONE, random.Random(1)), "run")
    release.release_everybody(cells[:-1])
    path = tmp_path / "released" / CELL_FILE
    DAMAGE[damage](path)
    before = path.read_bytes()
    with pytest.raises(FiguresError, match=CELL_FILE):
        release.release_everybody(cells)
    assert path.read_bytes() == before


def plan_of(audience: str, figure: str, bin_us: int) -> pa.Table:
    row = {"audience": audience, "figure": figure, "camera": "a", "zone": "b", "from_us": 0, "bin_us": bin_us}
    return pa.Table.from_pylist([row], schema=PLAN)


@pytest.mark.parametrize(
    ("audience", "figure", "bin_us"),
    [("nobody", "dwell", HOUR), ("everybody", "faces", HOUR), ("everybody", "dwell", 1)],
)
def test_a_plan_of_unknown_words_or_lengths_is_refused(audience: str, figure: str, bin_us: int, tmp_path: Path) -> None:
    pq.write_table(plan_of(audience, figure, bin_us), tmp_path / "plan.parquet")
    with pytest.raises(FiguresError, match=r"plan\.parquet"):
        Released(tmp_path).plan()
    with pytest.raises(AnalyticsError, match=r"plan\.parquet.* restore it from a backup"):
        read_plan(tmp_path)


@pytest.mark.parametrize("damage", DAMAGE)
def test_watch_names_a_broken_plan(damage: str, tmp_path: Path) -> None:
    DAMAGE[damage](tmp_path / "plan.parquet")
    with pytest.raises(AnalyticsError, match=r"plan\.parquet.* restore it from a backup"):
        read_plan(tmp_path)
