"""Answers that are remembered: a page is drawn anew at every click, and the figures behind it change once an hour.

Rules:
- What is remembered is the cells of one file as it was read; a file that was replaced is read anew, the others are not.
- What was made of cells is remembered for as long as no file of the folder changes.
- A folder that was not touched is not looked through again at every click: the keeper replaces files and never writes
  into one, and whatever did is found within `LOOK_AGAIN_S`.
- One memory a folder and process, of released cells alone. It is bounded: when it is full, the oldest days go first.
- Several pages may ask at once; they ask one after the other.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from analytics.figures import Audience, Figure
from analytics.released import Cell, Sum
from analytics.report import COLUMNS, Dwell, Flow, Report, ReportError, Wait, Waiting, cell_of

MOST_CELLS = 400_000  # held in memory, about 600 bytes each; a year of one busy shop has fewer
RECENT = timedelta(days=56)
MOST_HELD = 1_000_000  # parts of answers held; one is a pointer to a cell, or as small
LOOK_AGAIN_S = 10.0
_A_FEW = 32  # files read ahead at a time: whoever asks meanwhile waits for no more
_SETTLED_NS = 1_000_000_000  # a folder touched less than this ago may be touched again within one tick of its clock

_Stamp = tuple[int, int, int]
_T = TypeVar("_T")
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
    with _lock:
        known = _shops.get(folder)
        if known is not None and known.untouched(_touched_ns(folder), time.monotonic()):
            return known
        touched_ns, now_ns = _touched_ns(folder), time.time_ns()
        stamps = _stamps(folder)
        if known is None or known.stamps != stamps:
            known = _shops[folder] = Answers(folder, stamps, known)
        known.looked(touched_ns if now_ns - touched_ns > _SETTLED_NS else None, time.monotonic())
        return known


def read_ahead(state_dir: Path, every_s: float = 15.0) -> threading.Event:
    """Read the released cells of a shop before anybody asks, and again whenever they change.

    Args:
        state_dir: of the store; only its folder of released cells is read.
        every_s: how often it is looked for what changed.

    Returns:
        What ends it when it is set; the end of the process does, too.
    """
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            with suppress(ReportError):  # the page that needs that file says so
                answers(state_dir).read_ahead()
            stop.wait(every_s)

    threading.Thread(target=work, name="read-ahead", daemon=True).start()
    return stop


def _touched_ns(folder: Path) -> int:
    """Return when a file of a folder last came, went or was replaced."""
    try:
        return folder.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return 0


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
        self._touched_ns: int | None = None
        self._looked_s = 0.0
        self._held: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._holds = 0
        self._cells: dict[str, tuple[Cell, ...]] = {}
        if before is not None:
            with before._busy:
                self._cells = {n: c for n, c in before._cells.items() if before.stamps.get(n) == stamps.get(n)}

    def untouched(self, touched_ns: int, now_s: float) -> bool:
        """Say whether the folder need not be looked through.

        Args:
            touched_ns: when a file of it last came, went or was replaced.
            now_s: of a clock that never goes back.
        """
        return touched_ns == self._touched_ns and now_s - self._looked_s < LOOK_AGAIN_S

    def looked(self, touched_ns: int | None, now_s: float) -> None:
        """Note that the folder was looked through; see `untouched`. None: it must be looked through again."""
        self._touched_ns, self._looked_s = touched_ns, now_s

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
        return list(
            self._once(("cells", audience, figure, first, last), lambda: self._read(audience, figure, first, last))
        )

    def _read(self, audience: Audience, figure: Figure, first: date, last: date) -> list[Cell]:
        metric = f"{audience}-{figure}"
        files = [file for file in self._files if file.metric == metric and first <= file.day <= last]
        with self._busy:
            self._load(files)
            found = list(chain.from_iterable(self._cells[file.path.name] for file in files))
            self._make_room()
        newest = max((int(cell.rule) for cell in found), default=0)
        return sorted(
            (cell for cell in found if int(cell.rule) == newest),
            key=lambda cell: (cell.start_us, cell.camera, cell.zone),
        )

    def _load(self, files: Sequence[Any]) -> bool:
        """Read files that were not read yet, and say whether there was one."""
        with self._busy:
            unread = {file.path.name: file for file in files if file.path.name not in self._cells}
            fresh: dict[str, list[Cell]] = {name: [] for name in unread}
            sql = f"SELECT parse_filename(filename), {COLUMNS} FROM cells ORDER BY start_us, camera, zone"  # noqa: S608
            for name, *row in self._rows(list(unread.values()), sql):
                fresh[name].append(cell_of(row))
            self._cells.update({name: tuple(cells) for name, cells in fresh.items()})
            return bool(unread)

    def read_ahead(self) -> None:
        """Read what pages will ask for, newest first, a little at a time and resting as long as it worked.

        Raises:
            ReportError: a file is not as the keeper wrote it.
        """
        if self.days():
            self.waiting()
            self.zones()
        files = sorted(self._files, key=lambda file: file.day, reverse=True)
        for at in range(0, len(files), _A_FEW):
            began = time.monotonic()
            with self._busy:
                full = sum(map(len, self._cells.values())) > 0.9 * MOST_CELLS
            if full:
                return
            if self._load(files[at : at + _A_FEW]):
                time.sleep(time.monotonic() - began)

    def total(self, figure: Figure, first: date, last: date, *, audience: Audience = Audience.EVERYBODY) -> Sum:
        """Return the sum of those cells."""
        ask = super().total
        return self._once(("total", audience, figure, first, last), lambda: ask(figure, first, last, audience=audience))

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
        ask = super().dwells
        key = ("dwells", audience, figure, first, last)
        return dict(self._once(key, lambda: ask(first, last, audience=audience, figure=figure)))

    def waits(self, first: date, last: date) -> dict[tuple[str, str], Wait]:
        """Return how long people waited, for each queue (camera, zone) of which a cell is released."""
        ask = super().waits
        return dict(self._once(("waits", first, last), lambda: ask(first, last)))

    def flows(self, first: date, last: date) -> list[Flow]:
        """Return the steps from zone to zone, most travelled first."""
        ask = super().flows
        return list(self._once(("flows", first, last), lambda: ask(first, last)))

    def _once(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """Return what is made of the cells, made once; not to be changed."""
        with self._busy:
            if key in self._held:
                self._held.move_to_end(key)
                found: _T = self._held[key][0]
                return found
            made = make()
            size = len(made) + 1 if isinstance(made, (list, dict)) else 1
            self._held[key] = made, size
            self._holds += size
            while self._holds > MOST_HELD and len(self._held) > 1:
                self._holds -= self._held.popitem(last=False)[1][1]
            return made

    def _rows(self, files: Sequence[Any], sql: str, *args: object) -> list[Any]:
        with self._busy:
            return super()._rows(files, sql, *args)

    def _make_room(self) -> None:
        held = sum(map(len, self._cells.values()))
        for name in sorted(self._cells, key=lambda n: n[-18:]):  # a name ends with its day
            if held <= MOST_CELLS:
                break
            held -= len(self._cells.pop(name))
