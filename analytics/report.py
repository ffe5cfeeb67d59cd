"""What the pages may know: answers from the released cells, and from nothing else.

Rules:
- DuckDB runs in memory and is locked to the folder of released cells: no other file, no network, no extension.
- Nothing is imputed. A cell stands for its own stretch of time and is not cut up; a total is of released cells only,
  and says from when to when they reach.
- Cells of two rule versions are never added up; the newest one is shown.
- Of consenting shoppers only what was released; this module could not read a visit if it wanted to.
- A file that does not hold cells as they are released is named and stops the answer; it is never left out in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb

from analytics.bins import DAY, LENGTHS, WEEK, Choice, Plan, bin_of, local
from analytics.figures import K_CONSENTING, L_EXPRESSION, LOST, OTHERS, SLOTS, STEP, Audience, Figure, Served, least
from analytics.lifetable import Quantile, bin_index
from analytics.model import SECOND, AnalyticsError
from analytics.released import Cell, Sum
from analytics.survival import Times, quantile
from analytics.waits import AT_ONCE_US
from analytics.zones import ZoneKind

COLUMNS = (
    "rule, camera, zone, kind, start_us, end_us, bin_us, k, unit, suppressed, n, people, counts, observed_us, open_us"
)
_TYPES = {
    **dict.fromkeys(("rule", "audience", "figure", "camera", "zone", "kind", "tz", "unit"), "VARCHAR"),
    **dict.fromkeys(("start_us", "end_us", "bin_us", "observed_us", "open_us"), "BIGINT"),
    **dict.fromkeys(("k", "n", "people"), "INTEGER"),
    "suppressed": "BOOLEAN",
    "counts": "INTEGER[]",
}
_UNITS = ("tracks", "visitors", "visitor_days", "receipts", "questions")
_YEARS = range(2000, 2100)  # of a day that a cell can begin on
_FIRST, _END = 946_684_800 * SECOND, 4_102_444_800 * SECOND  # those years, in UTC


def _known(name: str, values: Iterable[object]) -> str:
    return f"{name} IN ({', '.join(repr(value) for value in values)})"


_LINE = f"{_known('audience', map(str, Audience))} AND {_known('figure', map(str, Figure))}"
_LEAST = (
    "CASE audience || figure "
    + " ".join(f"WHEN '{one}{figure}' THEN {least(one, figure)}" for one in Audience for figure in Figure)
    + " END"
)
# as store.toml has names of cameras and zones; this engine's own \w knows ASCII only
_NAME = r"[\p{L}\p{M}\p{N}\p{Pc}\x{200c}\x{200d}\x{24b6}-\x{24e9} .-]+"
_TILL = r"[^\p{C}\p{Zl}\p{Zp}<>]+"  # a till is called what its own file calls it


def _named(column: str, pattern: str) -> str:
    return f"regexp_full_match({column}, '{pattern}')"


_NAMED = (
    f"length(camera) <= 64 AND length(split_part(zone, '{STEP}', 1)) <= 64"  # a bound in the pattern takes seconds
    f" AND length(split_part(zone, '{STEP}', 2)) <= 64"
    f" AND {_named('camera', _NAME)} AND CASE figure WHEN '{Figure.SALES}' THEN {_named('zone', _TILL)}"
    f" WHEN '{Figure.TRANSITIONS}' THEN {_named('zone', f'{_NAME}({STEP}({_NAME}|{LOST}|{OTHERS}))?')}"
    f" ELSE {_named('zone', _NAME)} END"
)
_MAY_LACK = ("n", "people", "counts")  # where suppressed
# what a row must be before any number of it is used
_CELL = " AND ".join(
    (
        *(f"{name} IS NOT NULL" for name in _TYPES if name not in _MAY_LACK),
        _LINE,
        "starts_with(parse_filename(filename), audience || '-' || figure || '-')",
        "regexp_full_match(rule, '[0-9]{1,6}')",
        f"{_NAMED} AND {_known('kind', map(str, ZoneKind))} AND {_known('unit', _UNITS)} AND k = {_LEAST}",
        f"{_FIRST} <= start_us AND start_us < end_us AND end_us < {_END}",
        f"{_known('bin_us', LENGTHS)} AND 0 <= observed_us AND 0 <= open_us",
        "(suppressed OR (people >= k AND n >= k AND list_sum(counts) = n AND list_min(counts) >= 0",
        "len(counts) = CASE figure "
        + " ".join(f"WHEN '{figure}' THEN {slots}" for figure, slots in SLOTS.items())
        + " END",
        f"(figure <> '{Figure.EXPRESSION}' OR (len([c FOR c IN counts IF c BETWEEN 1 AND {K_CONSENTING - 1}]) = 0",
        f"len([c FOR c IN counts[1:{SLOTS[Figure.EXPRESSION] - 1}] IF c > 0]) >= {L_EXPRESSION}))))",
    )
)
_WAIT = " AND ".join(
    (
        *(f"{name} IS NOT NULL" for name in ("camera", "zone", "tz")),
        _LINE,
        f"{_named('camera', _NAME)} AND {_named('zone', _NAME)} AND k = {_LEAST} AND {_known('bin_us', LENGTHS)}",
        f"now_us BETWEEN {_FIRST} AND {_END} AND coalesce(since_us BETWEEN {_FIRST} AND {_END}, true)",
    )
)
_WAIT_TYPES = {
    **dict.fromkeys(("audience", "figure", "camera", "zone", "tz"), "VARCHAR"),
    **dict.fromkeys(("k", "since_us", "bin_us", "now_us"), "BIGINT"),
}


class ReportError(AnalyticsError):
    """A released file cannot be used."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is not as the keeper wrote it; move it away or restore it from a backup")


@dataclass(frozen=True, slots=True)
class Dwell:
    """How long people stayed, or took to decide, by Kaplan and Meier over the added histograms.

    Attributes:
        total: what it is made of.
        median: seconds, with 95 % interval.
        p90: seconds, with 95 % interval.
        censored: share of times whose end was not seen.
        ended: times seen to end, one number a bin of `EDGES_US`.
        lost: times lost from sight, one number a bin.
    """

    total: Sum
    median: Quantile
    p90: Quantile
    censored: float
    ended: tuple[int, ...]
    lost: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """How many went from one zone to the next.

    Attributes:
        camera: name of the camera.
        start: zone.
        end: the zone after it, or `figures.LOST`, or `figures.OTHERS`.
        n: steps, rounded in each cell.
    """

    camera: str
    start: str
    end: str
    n: int


@dataclass(frozen=True, slots=True)
class Wait:
    """How long people wait in a queue until they are served, were nobody to give up; and how many do.

    Attributes:
        total: what it is made of.
        median: seconds, of those who waited `AT_ONCE_US` or more, with 95 % interval; whoever gave up or was lost
            waited at least that long (censored).
        p90: the same.
        at_once: who walked up to a till in less.
        served: waits that ended at a till, these among them.
        gave_up: waits that ended elsewhere.
        lost: waits whose end was not seen.
        gone_after: waits given up, one number a bin of `EDGES_US`.
        served_after: waits that ended at a till, one number a bin.
    """

    total: Sum
    median: Quantile
    p90: Quantile
    at_once: int
    served: int
    gave_up: int
    lost: int
    gone_after: tuple[int, ...]
    served_after: tuple[int, ...]

    @property
    def abandoned(self) -> float | None:
        """Share that gave up, of the waits whose end was seen."""
        seen = self.served + self.gave_up
        return self.gave_up / seen if seen else None


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

    Raises:
        ReportError: a file there is not as the keeper wrote it; so does whatever reads it later.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._files = [_file(path) for path in sorted(self._folder.glob("*-*-????-??-??.parquet"))]
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

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    @property
    def tz(self) -> str:
        """The store's time zone, as the newest cell has it; UTC without one."""
        newest = max(self._files, key=lambda f: f.day, default=None)
        found = self._rows([newest] if newest else [], "SELECT tz FROM cells ORDER BY tz DESC LIMIT 1")
        path = newest.path if newest and found else self._folder / "waiting.parquet"
        found = found or self._waiting("tz")
        tz = str(found[0][0]) if found else "UTC"
        try:
            ZoneInfo(tz)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ReportError(path) from error
        return tz

    def days(self) -> list[date]:
        """Return the local days on which a cell begins, oldest first."""
        return sorted({file.day for file in self._files})

    def cells(self, figure: Figure, first: date, last: date, *, audience: Audience = Audience.EVERYBODY) -> list[Cell]:
        """Return the cells of a figure that begin on the local days from first to last, oldest first."""
        metric = f"{audience}-{figure}"
        files = [file for file in self._files if file.metric == metric and first <= file.day <= last]
        sql = (
            f"SELECT {COLUMNS} FROM cells QUALIFY rule::INTEGER = max(rule::INTEGER) OVER ()"  # noqa: S608
            " ORDER BY start_us, camera, zone"
        )
        return [cell_of(row) for row in self._rows(files, sql)]

    def total(self, figure: Figure, first: date, last: date, *, audience: Audience = Audience.EVERYBODY) -> Sum:
        """Return the sum of those cells."""
        return Sum.of(f"{audience}.{figure}", self.cells(figure, first, last, audience=audience))

    def named(self) -> dict[tuple[str, str], tuple[date, date]]:
        """Return each (camera, zone) of which a figure of visits is released, with the first and the last local day."""
        files = [file for file in self._files if file.metric == f"{Audience.EVERYBODY}-{Figure.VISITS}"]
        rows = self._rows(files, "SELECT camera, zone, min(start_us), max(start_us) FROM cells GROUP BY ALL")
        tz = self.tz
        return {(camera, zone): (local(a, tz).date(), local(b, tz).date()) for camera, zone, a, b in rows}

    def footfall_by_day(self, first: date, last: date) -> list[tuple[date, Sum]]:
        """Return entries of each local day on which there is a cell."""
        tz = self.tz
        by_day: dict[date, list[Cell]] = {}
        for cell in self.cells(Figure.FOOTFALL, first, last):
            by_day.setdefault(local(cell.start_us, tz).date(), []).append(cell)
        metric = f"{Audience.EVERYBODY}.{Figure.FOOTFALL}"
        return [(day, Sum.of(metric, cells)) for day, cells in sorted(by_day.items())]

    def dwells(
        self, first: date, last: date, *, audience: Audience = Audience.EVERYBODY, figure: Figure = Figure.DWELL
    ) -> dict[tuple[str, str], Dwell]:
        """Return how long people stayed, for each (camera, zone) of which a cell is released.

        Args:
            first: local day.
            last: local day.
            audience: of whom.
            figure: of times: `DWELL`, or `DECISION` for how long they took to decide.
        """
        by_zone: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells(figure, first, last, audience=audience):
            by_zone.setdefault((cell.camera, cell.zone), []).append(cell)
        metric = f"{audience}.{figure}"
        return {zone: dwell_of(metric, by_zone[zone]) for zone in sorted(by_zone) if _shown(by_zone[zone])}

    def flows(self, first: date, last: date) -> list[Flow]:
        """Return the steps from zone to zone, most travelled first."""
        sums: dict[tuple[str, str, str], int] = {}
        for cell in self.cells(Figure.TRANSITIONS, first, last):
            start, step, end = cell.zone.partition(STEP)
            if step and not cell.suppressed:
                key = (cell.camera, start, end)
                sums[key] = sums.get(key, 0) + (cell.n or 0)
        return [Flow(*key, n) for key, n in sorted(sums.items(), key=lambda one: (-one[1], one[0])) if n]

    def waits(self, first: date, last: date) -> dict[tuple[str, str], Wait]:
        """Return how long people waited, for each queue (camera, zone) of which a cell is released."""
        by_zone: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells(Figure.WAIT, first, last):
            by_zone.setdefault((cell.camera, cell.zone), []).append(cell)
        return {zone: wait(by_zone[zone]) for zone in sorted(by_zone) if _shown(by_zone[zone])}

    def waiting(self) -> list[Waiting]:
        """Return the figures that are not there yet, and when each can be expected."""
        sql = (
            f"SELECT audience, figure, camera, split_part(zone, '{STEP}', 1), sum(coalesce(people, 0)),"  # noqa: S608
            " sum(end_us - start_us) FROM cells WHERE end_us > ? GROUP BY ALL"
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
        """Ask `cells`, the rows of some files."""
        if not files:
            return []
        try:
            return self._ask(files, sql, *args)
        except duckdb.Error as error:
            raise ReportError(self._broken(files)) from error

    def _ask(self, files: Sequence[_File], sql: str, *args: object) -> list[Any]:
        source = _sound([file.path for file in files], _TYPES, _CELL)
        return self._db.execute(f"WITH cells AS ({source}) {sql}", list(args)).fetchall()

    def _broken(self, files: Sequence[_File]) -> Path:
        """Return the first file that cannot be read by itself."""
        for file in files[:-1]:
            try:
                self._ask([file], "SELECT * FROM cells")
            except duckdb.Error:
                return file.path
        return files[-1].path

    def _waiting(self, columns: str) -> list[Any]:
        path = self._folder / "waiting.parquet"
        if not path.exists():
            return []
        sql = f"SELECT {columns} FROM ({_sound([path], _WAIT_TYPES, _WAIT)}) ORDER BY ALL"  # noqa: S608
        try:
            return self._db.execute(sql).fetchall()
        except duckdb.Error as error:
            raise ReportError(path) from error


def _sound(paths: Sequence[Path], types: Mapping[str, str], test: str) -> str:
    """Return a query for all rows of some files, which fails where one is not as the test wants it."""
    names = ", ".join(f"'{_quoted(path)}'" for path in paths)
    columns = ", ".join(f"{name}::{kind} AS {name}" for name, kind in types.items())
    typed = f"SELECT {columns}, filename FROM read_parquet([{names}], filename = true)"  # noqa: S608
    return f"SELECT * FROM ({typed}) WHERE CASE WHEN {test} THEN true ELSE error('not as it was written') END"  # noqa: S608


def _file(path: Path) -> _File:
    try:
        day = date.fromisoformat(path.stem[-10:])
    except ValueError as error:
        raise ReportError(path) from error
    if day.year not in _YEARS or not path.is_file():
        raise ReportError(path)
    return _File(path, path.stem[:-11], day)


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


def dwell_of(metric: str, cells: Sequence[Cell]) -> Dwell:
    """Return what cells of a figure of times say together; one of them or more is released."""
    times = Times.of(cells)
    return Dwell(
        Sum.of(metric, cells),
        quantile(times, 0.5),
        quantile(times, 0.9),
        sum(times.lost) / times.n,
        times.ended[0],
        times.lost,
    )


def wait(cells: Sequence[Cell]) -> Wait:
    """Return what cells of `queue_wait` say together; one of them or more is released."""
    shown = _shown(cells)
    sums = [sum(column) for column in zip(*(cell.counts for cell in shown), strict=True)]
    served, gave_up, lost = (tuple(sums[how :: len(Served)]) for how in Served)
    first = bin_index(AT_ONCE_US)
    stood, unseen = (
        (0,) * first + tuple(counts[first:])
        for counts in (served, tuple(a + b for a, b in zip(gave_up, lost, strict=True)))
    )
    times = Times((stood,), unseen, len(shown))
    return Wait(
        Sum.of(f"{Audience.EVERYBODY}.{Figure.WAIT}", cells),
        quantile(times, 0.5),
        quantile(times, 0.9),
        sum(served[:first]),
        sum(served),
        sum(gave_up),
        sum(lost),
        gave_up,
        served,
    )


def cell_of(row: Sequence[Any]) -> Cell:
    """Return the cell of a row of `COLUMNS`."""
    fields = dict(zip(COLUMNS.split(", "), row, strict=True))
    return Cell(**{**fields, "counts": tuple(fields["counts"] or ())})


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
