"""Answers that are remembered: a page is drawn anew at every click, and the figures behind it change once an hour.

Rules:
- What is remembered is the cells of one file as it was read; a file that was replaced is read anew, the others are not.
- One memory a folder and process, of released cells alone. It is bounded: when it is full, the oldest days go first.
- Several pages may ask at once; they ask one after the other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from analytics.figures import Audience, Figure
from analytics.released import Cell
from analytics.report import COLUMNS, Dwell, Report, Waiting, cell_of

MOST_CELLS = 400_000  # held in memory, about 600 bytes each; a year of one busy shop has fewer
RECENT = timedelta(days=56)
MOST_PERIODS = 200  # of whose life tables are held

_Stamp = tuple[int, int, int]
_lock = threading.Lock()
_shops: dict[Path, Answers] = {}


def answers(state_dir: Path) -> Answers:
    """Return what remembers the released cells of a shop, as they are now.

    Args:
        state_dir: of the store; only its folder of released cells is read.

    Raises:
        ReportError: a file there is not as the keeper wrote it; so does whatever reads it later.
    """
    folder = (state_dir / "released").resolve()
    stamps = _stamps(folder)
    with _lock:
        known = _shops.get(folder)
        if known is None or known.stamps != stamps:
            known = _shops[folder] = Answers(folder, stamps, known)
        return known


def _stamps(folder: Path) -> dict[str, _Stamp]:
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".parquet")]
    return {name: (stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in found}


class Answers(Report):
    """A report that remembers what it read; see `answers`.

    Args:
        folder: `released/` of a state directory.
        stamps: of its files, by name.
        before: what remembered this folder as it was before.

    Attributes:
        stamps: of its files, by name.
    """

    def __init__(self, folder: Path, stamps: dict[str, _Stamp], before: Answers | None = None) -> None:
        super().__init__(folder)
        self.stamps = stamps
        self._busy = threading.RLock()
        self._tz: str | None = None
        self._zones: list[str] | None = None
        self._waited: list[Waiting] | None = None
        self._dwells: dict[tuple[object, ...], dict[tuple[str, str], Dwell]] = {}
        self._cells: dict[str, tuple[Cell, ...]] = {}
        if before is not None:
            with before._busy:
                self._cells = {n: c for n, c in before._cells.items() if before.stamps.get(n) == stamps.get(n)}

    @property
    def tz(self) -> str:
        """The store's time zone; see `Report.tz`."""
        with self._busy:
            self._tz = self._tz or super().tz
            return self._tz

    def waiting(self) -> list[Waiting]:
        """Return the figures that are not there yet; see `Report.waiting`."""
        with self._busy:
            if self._waited is None:
                self._waited = super().waiting()
            return list(self._waited)

    def cells(self, figure: Figure, first: date, last: date, *, audience: Audience = Audience.EVERYBODY) -> list[Cell]:
        """Return the cells of a figure that begin on the local days from first to last, oldest first."""
        metric = f"{audience}-{figure}"
        files = [file for file in self._files if file.metric == metric and first <= file.day <= last]
        with self._busy:
            unread = {file.path.name: file for file in files if file.path.name not in self._cells}
            fresh: dict[str, list[Cell]] = {name: [] for name in unread}
            sql = f"SELECT parse_filename(filename), {COLUMNS} FROM cells ORDER BY start_us, camera, zone"  # noqa: S608
            for name, *row in self._rows(list(unread.values()), sql):
                fresh[name].append(cell_of(row))
            self._cells.update({name: tuple(cells) for name, cells in fresh.items()})
            found = list(chain.from_iterable(self._cells[file.path.name] for file in files))
            self._make_room()
        newest = max((int(cell.rule) for cell in found), default=0)
        return sorted(
            (cell for cell in found if int(cell.rule) == newest),
            key=lambda cell: (cell.start_us, cell.camera, cell.zone),
        )

    def zones(self) -> list[str]:
        """Return the names of the zones that had a visit in the newest weeks, or ever where those have none."""
        with self._busy:
            if self._zones is None:
                days = self.days()
                for first in (max(days[0], days[-1] - RECENT), days[0]) if days else ():
                    self._zones = sorted({cell.zone for cell in self.cells(Figure.VISITS, first, days[-1])})
                    if self._zones:
                        break
            return list(self._zones or ())

    def dwells(
        self, first: date, last: date, *, audience: Audience = Audience.EVERYBODY, figure: Figure = Figure.DWELL
    ) -> dict[tuple[str, str], Dwell]:
        """Return how long people stayed, for each (camera, zone) of which a cell is released; see `Report.dwells`."""
        key = (first, last, audience, figure)
        with self._busy:
            if key not in self._dwells:
                if len(self._dwells) >= MOST_PERIODS:
                    self._dwells.clear()
                self._dwells[key] = super().dwells(first, last, audience=audience, figure=figure)
            return dict(self._dwells[key])

    def _rows(self, files: Sequence[Any], sql: str, *args: object) -> list[Any]:
        with self._busy:
            return super()._rows(files, sql, *args)

    def _make_room(self) -> None:
        held = sum(map(len, self._cells.values()))
        for name in sorted(self._cells, key=lambda n: n[-18:]):  # a name ends with its day
            if held <= MOST_CELLS:
                break
            held -= len(self._cells.pop(name))
