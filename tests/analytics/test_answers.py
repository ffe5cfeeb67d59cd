"""What is remembered is what a report would read now: always the same answers, and no file read twice for nothing."""

from __future__ import annotations

import os
import shutil
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics import answers as module
from analytics.answers import answers
from analytics.figures import FIGURES, Audience, Figure
from analytics.report import Report, ReportError
from tests.retention.busy_shop import fill

LAST = date(2026, 11, 19)
FIRST = LAST - timedelta(days=3)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled")
    fill(path, LAST, 4)
    return path


@pytest.fixture
def state(filled: Path, tmp_path: Path) -> Path:
    shutil.copytree(filled / "released", tmp_path / "released")
    return tmp_path


def same(state: Path) -> None:
    asked, read = answers(state), Report(state / "released")
    assert asked.days() == read.days()
    assert asked.tz == read.tz
    assert asked.waiting() == read.waiting()
    for audience in Audience:
        for figure in FIGURES[audience]:
            for first, last in ((FIRST, LAST), (LAST, LAST), (FIRST, FIRST)):
                cells = read.cells(figure, first, last, audience=audience)
                assert sorted(map(str, asked.cells(figure, first, last, audience=audience))) == sorted(map(str, cells))
                assert asked.total(figure, first, last, audience=audience) == read.total(
                    figure, first, last, audience=audience
                )
    for figure in (Figure.DWELL, Figure.DECISION):
        assert asked.dwells(FIRST, LAST, figure=figure) == read.dwells(FIRST, LAST, figure=figure)


def test_it_answers_as_a_report_does_again_and_again(state: Path) -> None:
    same(state)
    same(state)


def test_no_file_is_read_twice(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    original = Report._rows

    def counting(self: Report, files: list[object], *rest: object) -> list[object]:
        asked.extend(file.path.name for file in files)  # type: ignore[attr-defined]
        return original(self, files, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Report, "_rows", counting)
    answers(state).cells(Figure.VISITS, FIRST, LAST)
    assert len(asked) == len(set(asked)) == 4
    for _ in range(3):
        answers(state).cells(Figure.VISITS, FIRST, LAST)
        answers(state).cells(Figure.VISITS, LAST, LAST)
    assert len(asked) == 4


def test_a_file_that_was_replaced_is_read_anew_and_the_others_are_not(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = answers(state).cells(Figure.VISITS, FIRST, LAST)
    released = state / "released"
    newest, before = (released / f"everybody-zone_visits-{day}.parquet" for day in (LAST, LAST - timedelta(days=1)))
    new = released / "new"
    shutil.copy(before, new)  # other cells, and a name of its day
    new.replace(newest)
    asked: list[str] = []
    original = Report._rows

    def counting(self: Report, files: list[object], *rest: object) -> list[object]:
        asked.extend(file.path.name for file in files)  # type: ignore[attr-defined]
        return original(self, files, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Report, "_rows", counting)
    assert answers(state).cells(Figure.VISITS, FIRST, LAST) != old
    assert asked == [newest.name]
    monkeypatch.undo()
    same(state)


def test_a_file_that_went_is_gone_and_a_broken_one_is_named(state: Path) -> None:
    assert answers(state).days()[-1] == LAST
    for path in (state / "released").glob(f"*-{LAST}.parquet"):
        path.unlink()
    assert answers(state).days()[-1] == LAST - timedelta(days=1)
    broken = state / "released" / f"everybody-footfall-{FIRST}.parquet"
    broken.write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(ReportError, match=broken.name):
        answers(state).cells(Figure.FOOTFALL, FIRST, LAST)


def test_who_changes_an_answer_changes_their_own(state: Path) -> None:
    asked = answers(state)
    cells, dwells = asked.cells(Figure.DWELL, FIRST, LAST), asked.dwells(FIRST, LAST)
    cells.clear()
    dwells.clear()
    same(state)


def test_memory_is_bounded_and_answers_stay_whole(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CELLS", 30)
    same(state)
    held = answers(state)
    assert sum(map(len, held._cells.values())) <= 30


def test_many_pages_may_ask_at_once(state: Path) -> None:
    wanted = Report(state / "released").total(Figure.VISITS, FIRST, LAST)
    found = []

    def ask() -> None:
        for _ in range(5):
            found.append(answers(state).total(Figure.VISITS, FIRST, LAST))
            answers(state).dwells(FIRST, LAST)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 40


def test_a_shop_without_figures_has_none(tmp_path: Path) -> None:
    assert answers(tmp_path).days() == []
    assert answers(tmp_path).cells(Figure.VISITS, FIRST, LAST) == []


def test_a_folder_that_nobody_touched_is_not_looked_through_again(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = state / "released"
    os.utime(released, ns=(10**18, 10**18))  # long ago
    looked: list[Path] = []
    original = module._stamps

    def stamps(folder: Path) -> object:
        looked.append(folder)
        return original(folder)

    monkeypatch.setattr(module, "_stamps", stamps)
    first = answers(state)
    for _ in range(3):
        assert answers(state) is first
    assert len(looked) == 1
    (released / f"everybody-footfall-{LAST}.parquet").unlink()
    assert answers(state) is not first
    same(state)


def test_a_folder_that_was_just_touched_may_be_touched_again_unseen_and_is_looked_through(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, now = state / "released", time.time_ns()
    os.utime(released, ns=(now, now))
    first = answers(state)
    path = released / f"everybody-footfall-{LAST}.parquet"
    path.unlink()
    os.utime(released, ns=(now, now))  # in the same tick of its clock
    assert answers(state) is not first
    same(state)


def test_a_file_that_was_written_into_is_found_after_a_while(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = state / "released"
    os.utime(released, ns=(10**18, 10**18))
    answers(state).cells(Figure.FOOTFALL, FIRST, LAST)
    path = released / f"everybody-footfall-{LAST}.parquet"
    path.write_bytes(b"PAR1 not really PAR1")
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 0.0)
    with pytest.raises(ReportError, match=path.name):
        answers(state).cells(Figure.FOOTFALL, FIRST, LAST)


def test_what_was_made_of_cells_is_made_once_and_forgotten_first_come_first_served(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[date] = []
    original = Report.dwells

    def counting(self: Report, first: date, last: date, **rest: Any) -> Any:
        made.append(first)
        return original(self, first, last, **rest)

    monkeypatch.setattr(Report, "dwells", counting)
    asked = answers(state)
    for _ in range(2):
        asked.dwells(FIRST, LAST)
    assert made == [FIRST]
    monkeypatch.setattr(module, "MOST_HELD", 1)
    asked.dwells(LAST, LAST)
    asked.dwells(FIRST, LAST)
    assert made == [FIRST, LAST, FIRST]


def test_what_is_read_ahead_is_not_read_when_it_is_asked_for(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(state).read_ahead()
    monkeypatch.setattr(Report, "_ask", lambda *_: pytest.fail("a file was read"))
    for audience in Audience:
        for figure in FIGURES[audience]:
            answers(state).cells(figure, FIRST, LAST, audience=audience)
    monkeypatch.undo()
    same(state)


def test_reading_ahead_outlives_a_broken_file_and_finds_it_mended(state: Path) -> None:
    path = state / "released" / f"everybody-footfall-{FIRST}.parquet"
    sound = path.read_bytes()
    path.write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(ReportError, match=path.name):
        answers(state).read_ahead()
    stop = module.read_ahead(state, every_s=0.01)
    mended = path.with_name("mended")
    mended.write_bytes(sound)
    mended.replace(path)
    until = time.monotonic() + 30
    while path.name not in answers(state)._cells and time.monotonic() < until:
        time.sleep(0.01)
    stop.set()
    same(state)
