"""What the pages may know: answers from the released cells, and from nothing else.

Rules:
- DuckDB runs in memory and is locked to the folder of released cells: no other file, no network, no extension.
- Nothing is imputed. A cell stands for its own stretch of time and is not cut up; a total is of released cells only,
  and says from when to when they reach.
- Cells of two rule versions are never added up; the newest one is shown.
- Of consenting shoppers only what was released; this module could not read a visit if it wanted to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from analytics.bins import DAY, WEEK, Choice, Plan, bin_of, local
from analytics.figures import Audience, Figure
from analytics.lifetable import LifeTable, Quantile
from analytics.model import AnalyticsError
from analytics.released import Cell, Sum

_COLUMNS = (
    "rule, camera, zone, kind, start_us, end_us, bin_us, k, unit, suppressed, n, people, counts, observed_us, open_us"
)
_ROUNDING = 6.25  # greatest variance of one count rounded to 5 without bias


class ReportError(AnalyticsError):
    """A released file cannot be used."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is not as the keeper wrote it; move it away or restore it from a backup")


@dataclass(frozen=True, slots=True)
class Dwell:
    """How long people stayed, from the life table of the added histograms.

    Attributes:
        total: what it is made of.
        median: seconds, with 95 % interval.
        p90: seconds, with 95 % interval.
        censored: share of stays whose end was not seen.
        ended: stays seen to end, one number a bin of `EDGES_US`.
        lost: stays lost from sight, one number a bin.
    """

    total: Sum
    median: Quantile
    p90: Quantile
    censored: float
    ended: tuple[int, ...]
    lost: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A figure that is not there yet.

    Attributes:
        metric: audience.figure.
        camera: name of the camera.
        zone: name of the zone.
        k: how many people it needs.
        unit: of those people.
        since_us: where the newest cell ends, None where nothing was shown in the last four weeks.
        expected_us: when it can be expected at the rate of what was released in the last four weeks; None: no rate yet.
        bin_us: planned length of a bin.
    """

    metric: str
    camera: str
    zone: str
    k: int
    unit: str
    since_us: int | None
    expected_us: int | None
    bin_us: int


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    metric: str  # audience-figure
    day: date  # on which its cells begin


class Report:
    """Reads one folder of released cells, as it was when this was made.

    Args:
        folder: `released/` of a state directory; need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._db = duckdb.connect(
            config={
                "threads": 2,
                "memory_limit": "256MB",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
            }
        )
        self._db.execute("SET temp_directory = ''")
        self._db.execute(f"SET allowed_directories = ['{_quoted(self._folder)}/']")
        self._db.execute("SET enable_external_access = false")
        self._db.execute("SET lock_configuration = true")
        self._files = [
            _File(path, path.stem[:-11], date.fromisoformat(path.stem[-10:]))
            for path in sorted(self._folder.glob("*-*-????-??-??.parquet"))
        ]

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    @property
    def tz(self) -> str:
        """The store's time zone, as the newest cell has it; UTC without one."""
        newest = max(self._files, key=lambda f: f.day, default=None)
        found = self._rows([newest] if newest else [], "SELECT max(tz) FROM cells") or self._waiting("tz")
        return str(found[0][0]) if found else "UTC"

    def days(self) -> list[date]:
        """Return the local days on which a cell begins, oldest first."""
        return sorted({file.day for file in self._files})

    def cells(self, figure: Figure, first: date, last: date, *, audience: Audience = Audience.EVERYBODY) -> list[Cell]:
        """Return the cells of a figure that begin on the local days from first to last, oldest first."""
        metric = f"{audience}-{figure}"
        files = [file for file in self._files if file.metric == metric and first <= file.day <= last]
        sql = (
            f"SELECT {_COLUMNS} FROM cells QUALIFY rule::INTEGER = max(rule::INTEGER) OVER ()"  # noqa: S608
            " ORDER BY start_us, camera, zone"
        )
        return [_cell(row) for row in self._rows(files, sql)]

    def total(self, figure: Figure, first: date, last: date, *, audience: Audience = Audience.EVERYBODY) -> Sum:
        """Return the sum of those cells."""
        return Sum.of(f"{audience}.{figure}", self.cells(figure, first, last, audience=audience))

    def footfall_by_day(self, first: date, last: date) -> list[tuple[date, Sum]]:
        """Return entries of each local day on which there is a cell."""
        tz = self.tz
        by_day: dict[date, list[Cell]] = {}
        for cell in self.cells(Figure.FOOTFALL, first, last):
            by_day.setdefault(local(cell.start_us, tz).date(), []).append(cell)
        metric = f"{Audience.EVERYBODY}.{Figure.FOOTFALL}"
        return [(day, Sum.of(metric, cells)) for day, cells in sorted(by_day.items())]

    def dwells(
        self, first: date, last: date, *, audience: Audience = Audience.EVERYBODY
    ) -> dict[tuple[str, str], Dwell]:
        """Return how long people stayed, for each (camera, zone) of which a cell is released."""
        by_zone: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells(Figure.DWELL, first, last, audience=audience):
            by_zone.setdefault((cell.camera, cell.zone), []).append(cell)
        metric = f"{audience}.{Figure.DWELL}"
        return {zone: _dwell(metric, by_zone[zone]) for zone in sorted(by_zone) if _shown(by_zone[zone])}

    def waiting(self) -> list[Waiting]:
        """Return the figures that are not there yet, and when each can be expected."""
        sql = (
            "SELECT audience, figure, camera, zone, sum(coalesce(people, 0)), sum(end_us - start_us) FROM cells"
            " WHERE end_us > ? GROUP BY ALL"
        )
        out = []
        columns = "audience, figure, camera, zone, k, since_us, bin_us, now_us"
        rows = sorted(self._waiting(columns), key=lambda row: row[0] != Audience.EVERYBODY)
        now = max((row[7] for row in rows), default=0)
        since_day = local(now - 8 * WEEK, self.tz).date()  # a cell may begin long before it ends
        recent = [file for file in self._files if file.day >= since_day]
        rates = {tuple(row[:4]): (row[4], row[5]) for row in self._rows(recent, sql, now - 4 * WEEK)}
        for audience, figure, camera, zone, k, since, bin_us, _ in rows:
            people, stretch = rates.get((audience, figure, camera, zone), (0, 0))
            if people and audience == Audience.EVERYBODY:
                continue  # each day brings a cell, or says that it was suppressed
            if since is not None and now - since <= max(2 * bin_us, DAY) and people:
                continue  # the shop was closed, or its newest bins are not over
            expected = None
            if people and since is not None:
                expected = max(since + int(k * stretch / people), now)
                expected = bin_of(expected, bin_us, self.tz)[1]
            unit = "tracks" if audience == Audience.EVERYBODY else "visitors"
            out.append(
                Waiting(f"{audience}.{figure}", camera, zone, k, unit, since if people else None, expected, bin_us)
            )
        return out

    def _rows(self, files: Sequence[_File], sql: str, *args: object) -> list[Any]:
        if not files:
            return []
        names = ", ".join(f"'{_quoted(file.path)}'" for file in files)
        source = f"WITH cells AS (SELECT * FROM read_parquet([{names}]))"  # noqa: S608
        return self._db.execute(f"{source} {sql}", list(args)).fetchall()

    def _waiting(self, columns: str) -> list[Any]:
        path = self._folder / "waiting.parquet"
        if not path.exists():
            return []
        sql = f"SELECT {columns} FROM read_parquet('{_quoted(path)}') ORDER BY ALL"  # noqa: S608
        return self._db.execute(sql).fetchall()


def read_plan(folder: Path) -> Plan:
    """Return how long each zone's bins are, for whoever fills them; bins of an hour where nothing was chosen yet.

    Args:
        folder: `released/` of a state directory.

    Raises:
        ReportError: the plan is not as the keeper wrote it.
    """
    path = folder / "plan.parquet"
    if not path.exists():
        return Plan()
    try:
        with duckdb.connect() as db:
            sql = "SELECT audience, figure, camera, zone, from_us, bin_us FROM read_parquet(?)"
            rows = db.execute(sql, [str(path)]).fetchall()
        return Plan(
            tuple(Choice(Audience(a), Figure(f), camera, zone, at, length) for a, f, camera, zone, at, length in rows)
        )
    except (duckdb.Error, ValueError, TypeError) as error:
        raise ReportError(path) from error


def _shown(cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if not cell.suppressed]


def _dwell(metric: str, cells: Sequence[Cell]) -> Dwell:
    shown = _shown(cells)
    sums = [sum(column) for column in zip(*(cell.counts for cell in shown), strict=True)]
    ended, lost = sums[0::2], sums[1::2]
    table = LifeTable.of(ended, lost, noise=_ROUNDING * len(shown))
    return Dwell(
        Sum.of(metric, cells),
        table.quantile(0.5),
        table.quantile(0.9),
        sum(lost) / sum(sums),
        tuple(ended),
        tuple(lost),
    )


def _cell(row: Sequence[Any]) -> Cell:
    fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
    return Cell(**{**fields, "counts": tuple(fields["counts"] or ())})


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
