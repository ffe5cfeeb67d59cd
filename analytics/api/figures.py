"""Released cells as answers: one row a cell, totals of them, and pages of rows. It reads nothing by itself."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from analytics.answers import Answers
from analytics.api.definitions import Metric
from analytics.api.questions import CellsAsked, Period, TotalsAsked
from analytics.api.shapes import Awaited, Cell, Point, Total
from analytics.bins import local
from analytics.figures import STEP, Figure, origin
from analytics.lifetable import Quantile
from analytics.model import SECOND, AnalyticsError
from analytics.released import Cell as Released
from analytics.released import Sum
from analytics.report import wait
from analytics.survival import Times, quantile

_WEEK = timedelta(days=6)
_estimating = threading.Lock()  # people at the pages come first
_Place = tuple[int, str, str, int]  # start, camera, zone, and which of those that have all three in common


class QuestionError(AnalyticsError):
    """A question that has no answer; the text says what to ask instead."""


@dataclass(frozen=True, slots=True)
class Found:
    """The cells that a question is about.

    Attributes:
        first: local day; None where there is no figure at all.
        last: local day.
        cells: oldest first.
        left_out: how many more reach beyond the hours asked for.
    """

    first: date | None
    last: date | None
    cells: Sequence[Released]
    left_out: int


def find(report: Answers, metric: Metric, asked: Period) -> Found:
    """Return the cells that are asked for.

    Raises:
        QuestionError: with the days that were left out, the period is turned round.
    """
    days = report.days()
    last = asked.last or (days[-1] if days else asked.first)
    first = asked.first or (None if last is None else last - _WEEK)
    if first is None or last is None:
        return Found(first, last, (), 0)
    if first > last:
        raise QuestionError(f"from is after {last}, the newest day with figures; give `to`, too, or an earlier `from`")
    cells = [
        cell
        for cell in report.cells(metric.figure, first, last, audience=metric.of)
        if (not asked.camera or cell.camera in asked.camera) and (not asked.zone or origin(cell.zone) in asked.zone)
    ]
    if (asked.from_hour, asked.to_hour) == (0, 24):
        return Found(first, last, cells, 0)
    tz = report.tz
    within = [cell for cell in cells if _hours(cell, tz, asked)[0]]
    return Found(first, last, within, sum(_hours(cell, tz, asked)[1] for cell in cells) - len(within))


def _hours(cell: Released, tz: str, asked: Period) -> tuple[bool, bool]:
    """Say whether a cell lies within the hours asked for, and whether it touches them."""
    start, end = local(cell.start_us, tz), local(cell.end_us, tz)
    begins = start.hour + start.minute / 60
    ends = end.hour + end.minute / 60 + 24 * (end.date() - start.date()).days
    within = asked.from_hour <= begins and ends <= asked.to_hour
    return within, within or ends - begins >= 24 or (begins < asked.to_hour and asked.from_hour < ends)


def page(found: Found, asked: CellsAsked) -> tuple[Sequence[Released], str | None]:
    """Return the cells of one page, and the cursor of the next one.

    A cursor names the last cell that was told and no number of rows, so what is released meanwhile moves nothing.

    Raises:
        QuestionError: the cursor is none of ours.
    """
    placed = list(_placed(found.cells))
    after = None if asked.cursor is None else _read(asked.cursor)
    rest = [one for one in placed if after is None or one[0] > after]
    shown = rest[: asked.limit]
    return [cell for _, cell in shown], _cursor(shown[-1][0]) if len(rest) > len(shown) else None


def _placed(cells: Iterable[Released]) -> Iterable[tuple[_Place, Released]]:
    before: tuple[int, str, str] | None = None
    count = 0
    for cell in cells:
        key = cell.start_us, cell.camera, cell.zone
        count = count + 1 if key == before else 0
        before = key
        yield (*key, count), cell


def _cursor(place: _Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _read(cursor: str) -> _Place:
    try:
        start, camera, zone, count = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, RecursionError) as error:
        raise QuestionError("this cursor is none of ours; take it from `next`") from error
    if type(start) is not int or type(count) is not int or not isinstance(camera, str) or not isinstance(zone, str):
        raise QuestionError("this cursor is none of ours; take it from `next`")
    return start, camera, zone, count


def row(cell: Released, tz: str) -> Cell:
    """Return one cell as it is told."""
    start = local(cell.start_us, tz)
    zone, _, to = cell.zone.partition(STEP)
    return Cell(
        camera=cell.camera,
        zone=zone,
        to=to or None,
        kind=cell.kind,
        start=_instant(cell.start_us),
        end=_instant(cell.end_us),
        day=start.date(),
        hour=start.hour,
        planned_s=cell.bin_us // SECOND,
        rule=cell.rule,
        least=cell.k,
        unit=cell.unit,
        suppressed=cell.suppressed,
        why=_why(cell) if cell.suppressed else None,
        n=None if cell.suppressed else cell.n,
        people=None if cell.suppressed else cell.people,
        counts=None if cell.suppressed else cell.counts,
        observed_s=cell.observed_us / SECOND,
        open_s=cell.open_us / SECOND,
        coverage=cell.observed_us / cell.open_us if cell.open_us else None,
    )


def totals(found: Found, metric: Metric, asked: TotalsAsked, tz: str) -> list[Total]:
    """Return the totals that are asked for, by day, camera and zone."""
    lines: dict[tuple[date | None, str, str], list[Released]] = {}
    for cell in found.cells:
        day = local(cell.start_us, tz).date() if asked.by == "day" else None
        lines.setdefault((day, cell.camera, cell.zone), []).append(cell)
    ordered = sorted(lines.items(), key=lambda line: (line[0][0] or date.min, *line[0][1:]))
    return [_total(metric, day, cells) for (day, _, _), cells in ordered]


def _total(metric: Metric, day: date | None, cells: Sequence[Released]) -> Total:
    whole = Sum.of(metric.id, cells)
    shown = [cell for cell in cells if not cell.suppressed]
    points = _points(metric, shown) if metric.is_time and day is None and shown else None
    zone, _, to = cells[0].zone.partition(STEP)
    return Total(
        camera=cells[0].camera,
        zone=zone,
        to=to or None,
        day=day,
        start=None if whole.start_us is None else _instant(whole.start_us),
        end=None if whole.end_us is None else _instant(whole.end_us),
        cells=whole.cells,
        suppressed=whole.suppressed,
        why=next((_why(cell) for cell in cells if cell.suppressed), None),
        rule=whole.rule,
        units=whole.units,
        n=whole.n if shown else None,
        counts=tuple(map(sum, zip(*(cell.counts for cell in shown), strict=True))) if shown else None,
        coverage=whole.coverage,
        median=None if points is None else _point(points[0]),
        p90=None if points is None else _point(points[1]),
        censored=None if points is None else points[2],
    )


def _points(metric: Metric, shown: Sequence[Released]) -> tuple[Quantile, Quantile, float | None]:
    """Return median, p90 and the share that was lost from sight, as the pages read them; one at a time."""
    with _estimating:
        if metric.figure is Figure.WAIT:
            waits = wait(shown)
            return waits.median, waits.p90, waits.lost / waits.total.n if waits.total.n else None
        times = Times.of(shown).together
        return quantile(times, 0.5), quantile(times, 0.9), sum(times.lost) / times.n if times.n else None


def awaited(report: Answers, known: Iterable[str]) -> list[Awaited]:
    """Return what is waited for, of the metrics that exist."""
    metrics = set(known)
    return [
        Awaited(
            metric=one.metric,
            camera=one.camera,
            zone=one.zone,
            least=one.k,
            unit=one.unit,
            since=None if one.since_us is None else _instant(one.since_us),
            expected=None if one.expected_us is None else _instant(one.expected_us),
        )
        for one in report.waiting()
        if one.metric in metrics
    ]


def _why(cell: Released) -> str:
    return f"fewer than {cell.k} {cell.unit.replace('_', '-')}"


def _point(found: Quantile) -> Point:
    return Point(found.at, found.low, found.high)


def _instant(t_us: int) -> datetime:
    return local(t_us, "UTC").astimezone(UTC)
