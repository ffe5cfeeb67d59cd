"""What is usual: the median of the same weekday of the last four weeks, where two of them were seen whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from statistics import median

from analytics.answers import Answers
from analytics.bins import HOUR, local
from analytics.days import whole
from analytics.figures import Figure
from analytics.released import Cell, joined

WEEKS = 4  # earlier weeks whose same weekday is "as usual"
FEWEST = 2  # of those days


def usual(report: Answers, that: date, tz: str, until_us: int | None) -> tuple[float, int] | None:
    """Return how many came in by that time of day on the same weekday of earlier weeks (median), and on how many days.

    Args:
        report: of the released cells.
        that: local day.
        tz: IANA name of the store's time zone.
        until_us: up to this time of that day; None for the whole day.
    """
    sums = []
    for back in range(1, WEEKS + 1):
        then = that - timedelta(weeks=back)
        cells = report.cells(Figure.FOOTFALL, then, then)
        if until_us is not None:
            end = local(until_us, tz)
            close = timedelta(hours=end.hour, minutes=end.minute) if end.date() == that else timedelta(hours=24)
            cells = [cell for cell in cells if _clock(cell.end_us, then, tz) <= close]
        if whole(cells):
            sums.append(sum(cell.n or 0 for cell in cells))
    return (float(median(sums)), len(sums)) if len(sums) >= FEWEST else None


def _clock(t_us: int, of: date, tz: str) -> timedelta:
    """Return the time of day of an instant, past midnight too."""
    at = local(t_us, tz)
    return timedelta(days=(at.date() - of).days, hours=at.hour, minutes=at.minute, seconds=at.second)


def usual_by_hour(report: Answers, that: date, cells: Sequence[Cell], tz: str) -> list[tuple[int, int, float]]:
    """Return (start, end, entries an hour) as usual, for each stretch of which enough earlier days have a cell.

    Args:
        report: of the released cells.
        that: local day.
        cells: entries of that day.
        tz: IANA name of the store's time zone.
    """
    earlier: dict[tuple[timedelta, timedelta], list[int]] = {}
    for back in range(1, WEEKS + 1):
        then = that - timedelta(weeks=back)
        for cell in joined(report.cells(Figure.FOOTFALL, then, then), zones_apart=False):
            if not cell.suppressed:
                key = (_clock(cell.start_us, then, tz), _clock(cell.end_us, then, tz))
                earlier.setdefault(key, []).append(cell.n or 0)
    out = []
    for cell in joined(cells, zones_apart=False):
        counts = earlier.get((_clock(cell.start_us, that, tz), _clock(cell.end_us, that, tz)), [])
        if len(counts) >= FEWEST:
            out.append((cell.start_us, cell.end_us, median(counts) * HOUR / (cell.end_us - cell.start_us)))
    return out
