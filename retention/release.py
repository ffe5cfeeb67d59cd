"""The release: exact cells become figures that say nothing about a person, once and for good.

Rules:
- k: a cell of everybody's holds 5 tracks or more, one of consenting shoppers 10 visitors or more; twice as many where
  a median can be read from it. The numbers stand below as they stand in `analytics.figures`, on purpose: both must
  agree, and nothing outside either file can lower them.
- A bin of consenting shoppers that has too few waits and merges with the next, over days if need be; it is never
  given up, and what was erased meanwhile is simply not in it. Each visit is in one cell of each figure at most.
- Of expression each count is of 10 visitors or more, not the cell alone: a class of fewer counts with `unknown`.
- Counts are rounded to 5 without bias, with one draw for a cell: the counts of a cell are five times a random
  one-in-five sample of its visits, so they add up exactly to its n.
- A released cell is frozen. An erasure afterwards changes no cell, or the difference would be the person.

Erasing, and whether a shopper's grant lives, are not decided here: what is not in the visits any more is not counted.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from analytics.bins import DAY, WEEK, Choice, Plan, bin_of, day_of, local
from analytics.cells import GRACE_US
from analytics.figures import FIGURES, RULE, Audience, Figure, expression_slots, least, measured, origin, slots
from analytics.payload import CellPayload, OpenBin
from analytics.store import NewExpression, NewVisit
from analytics.zones import ZoneKind
from consent.events import Purpose
from retention.figures import Released, Row
from retention.lengths import Opening, choose_lengths
from retention.model import RetentionError
from retention.rounding import round_counts

_LOOK_BACK = 4 * WEEK  # how much of the past a bin length is chosen from
_ZONE = tuple[str, str]  # camera, name
_Line = tuple[Audience, Figure, str, str]


class ReleaseError(RetentionError):
    """A cell that must not be released."""


class Rng(Protocol):
    """Where chance comes from: `random.SystemRandom()` in a shop, a seeded one in a test."""

    def random(self) -> float:
        """Return a number in [0, 1)."""
        ...


class VisitRows(Protocol):
    """What the release reads of `analytics.store.Visits`."""

    def read(self, purpose: Purpose, *, since_us: int = 0, zone: tuple[str, str] | None = None) -> Iterator[NewVisit]:
        """Yield the rows of a purpose that were entered from an instant on, of one zone in any order."""
        ...

    def read_expression(self, *, since_us: int = 0, zone: tuple[str, str] | None = None) -> Iterator[NewExpression]:
        """Yield the rows of expression that were entered from an instant on, of one zone in any order."""
        ...


class FirstEnds(Protocol):
    """What `close` asks of `analytics.store.Visits`."""

    def first_ends(self, purpose: Purpose) -> dict[tuple[str, str], int]:
        """Return when the oldest row of each zone (camera, name) ended, UTC microseconds."""
        ...


class Release:
    """The only writer of `released/`.

    Args:
        state_dir: the store's state directory.
        rng: where the draws for rounding come from.
        tz: IANA name of the store's time zone.
        opening: gives opening and closing (UTC microseconds) of the local day of an instant, None where it is closed;
            without it a day is open throughout. Only the choice of bin lengths asks for it.
    """

    def __init__(self, state_dir: Path, rng: Rng, *, tz: str = "UTC", opening: Opening | None = None) -> None:
        self._files = Released(state_dir / "released")
        self._rng, self._tz, self._opening = rng, tz, opening
        self._newest: dict[_Line, int] = {}
        columns = ("audience", "figure", "camera", "zone", "end_us")
        for row in self._files.cells(columns):
            self._seen(row)
        self.plan = Plan(
            tuple(
                Choice(Audience(r["audience"]), Figure(r["figure"]), r["camera"], r["zone"], r["from_us"], r["bin_us"])
                for r in self._files.plan()
            )
        )

    def release_everybody(self, payloads: Iterable[CellPayload]) -> int:
        """Release cells that `watch` handed over, and return how many were new.

        A cell that was released before is left as it is, so the inbox may be deleted after this or read again.

        Raises:
            ReleaseError: a cell is not everybody's, or has too few people; nothing is written.
        """
        cells = list(payloads)
        if any(cell.audience is not Audience.EVERYBODY for cell in cells):
            raise ReleaseError("the inbox brings cells about everybody only; look at who wrote this one")
        return self._write(cells)

    def release_consenting(self, visits: VisitRows, zones: Mapping[_ZONE, ZoneKind], now_us: int) -> int:
        """Release the bins of consenting shoppers that are over and have enough visitors; return how many cells.

        Load the inbox first: a row that ended before the newest cell of its zone comes too late for any figure.

        Args:
            visits: the open store of visits.
            zones: kind of each measured zone of `store.toml`; rows of others wait.
            now_us: UTC microseconds.
        """
        cells: list[CellPayload] = []
        for place, kind in zones.items():
            lines: list[_Line] = [
                (Audience.CONSENTING, figure, *place)
                for figure in FIGURES[Audience.CONSENTING]
                if measured(figure, kind)
            ]
            # by its end a visit belongs to a bin, and none is longer than a day
            since = min((self._newest.get(line, 0) for line in lines), default=0) - DAY
            bins: dict[_Line, dict[int, OpenBin]] = {line: {} for line in lines}
            for visit in visits.read(
                Purpose.DWELL, since_us=max(0, since), zone=place
            ):  # one by one: there may be many
                for line in lines:
                    self._put(line, bins[line], visit)
            faces: _Line = (Audience.CONSENTING, Figure.EXPRESSION, *place)
            since = self._newest.get(faces, 0) - DAY
            for face in visits.read_expression(since_us=max(0, since), zone=place):
                self._place(faces, bins[faces], face.visitor, face.row.leave_us, expression_slots(face.row.shares))
            for line in lines:
                cells += self._fill(line, kind, bins[line], now_us - GRACE_US)
        return self._write(cells)

    def close(self, visits: FirstEnds, zones: Mapping[_ZONE, ZoneKind], since_us: int, now_us: int) -> int:
        """Suppress what is over and not released, after a restore; return how many cells that were.

        It may have been released before the older state came back, and a second draw of it, or one without somebody who
        was erased meanwhile, would say more than the first.

        Args:
            visits: the open store of visits.
            zones: kind of each measured zone of `store.toml`.
            since_us: when the older state was of, UTC microseconds.
            now_us: UTC microseconds.
        """
        oldest, faces = visits.first_ends(Purpose.DWELL), visits.first_ends(Purpose.EMOTION)
        cells = []
        for (camera, zone), kind in zones.items():
            for figure in FIGURES[Audience.CONSENTING]:
                if not measured(figure, kind):
                    continue
                line = (Audience.CONSENTING, figure, camera, zone)
                if figure is Figure.EXPRESSION and line not in self._newest and (camera, zone) not in faces:
                    continue  # a shop that never had any has no trace of it
                first = self._grid(line, min(since_us, oldest.get((camera, zone), since_us)))[0]
                start = self._newest.get(line) or self._first_day(camera, zone, first)
                end = self._grid(line, now_us - GRACE_US)[0]
                if start < end:
                    cells.append(self._cell(line, kind, OpenBin(start, end, self._grid(line, start)[2])))
        return self._write(cells)

    def choose_bins(self, now_us: int) -> int:
        """Fix the length of every zone's bins for the week to come, once a week; return how many were fixed.

        They follow from what was released in the four weeks before, and from nothing else.

        Args:
            now_us: UTC microseconds.
        """
        monday = bin_of(now_us, WEEK, self._tz)[1]
        if any(choice.from_us >= monday for choice in self.plan.choices):
            return 0
        columns = ("audience", "figure", "camera", "zone", "start_us", "end_us", "people")
        past = [row for row in self._files.cells(columns) if row["end_us"] > now_us - _LOOK_BACK]
        chosen = choose_lengths(past, monday, self._tz, self._opening)
        if not chosen:
            return 0
        plan = Plan((*self.plan.choices, *chosen))
        rows = [
            {
                "audience": c.audience.value,
                "figure": c.figure.value,
                "camera": c.camera,
                "zone": c.zone,
                "from_us": c.from_us,
                "bin_us": c.bin_us,
            }
            for c in plan.choices
        ]
        self._files.write_plan(rows)
        self.plan = plan
        return len(chosen)

    def announce(
        self,
        zones: Mapping[_ZONE, ZoneKind],
        now_us: int,
        audiences: Sequence[Audience],
        *,
        without: Collection[Figure] = (),
        shelves: Collection[_ZONE] = (),
    ) -> None:
        """Write down what every zone waits for, whether or not anybody was in it.

        Args:
            zones: kind of each measured zone of `store.toml`.
            now_us: UTC microseconds.
            audiences: of whom the store's privacy level allows figures.
            without: figures that the level does not allow.
            shelves: zones whose shelf is drawn; only before these can a reach be seen.
        """
        rows = []
        for audience in audiences:
            for (camera, zone), kind in zones.items():
                for figure in FIGURES[audience]:
                    if not measured(figure, kind) or figure in without:
                        continue
                    if figure is Figure.POSE and (camera, zone) not in shelves:
                        continue
                    rows.append(
                        {
                            "audience": audience.value,
                            "figure": figure.value,
                            "camera": camera,
                            "zone": zone,
                            "kind": kind.value,
                            "tz": self._tz,
                            "since_us": self._newest.get((audience, figure, camera, zone)),
                            "bin_us": self.plan.length(audience, figure, camera, zone, now_us),
                            "k": least(audience, figure),
                            "now_us": now_us,
                        }
                    )
        self._files.write_waiting(rows)

    def _put(self, line: _Line, bins: dict[int, OpenBin], visit: NewVisit) -> None:
        """Put a visit into its bin, where none of its line that holds it was released."""
        row = visit.row
        found = slots(
            line[1],
            row.leave_us - row.enter_us,
            stopped=row.stopped_us > 0,
            censored=row.censored,
            decisions=row.decided,
            posed=row.posed,
        )
        self._place(line, bins, visit.visitor, row.leave_us, found)

    def _place(
        self, line: _Line, bins: dict[int, OpenBin], visitor: int, leave_us: int, found: tuple[int, ...]
    ) -> None:
        newest = self._newest.get(line)
        if newest is not None and leave_us < newest:
            return
        for at in found:
            start, end, length = self._grid(line, leave_us)
            bins.setdefault(start, OpenBin(start, end, length)).add(visitor, at)

    def _fill(self, line: _Line, kind: ZoneKind, bins: Mapping[int, OpenBin], until_us: int) -> Iterator[CellPayload]:
        """Yield the cells of one line that are full, oldest first; what is not full waits in the visits."""
        audience, figure, camera, zone = line
        newest = self._newest.get(line)
        if not bins:
            return
        next_us = self._first_day(camera, zone, min(bins)) if newest is None else newest
        waiting: OpenBin | None = None
        while True:
            start, end, length = self._grid(line, next_us)
            if end > until_us:
                return
            one = bins.get(start, OpenBin(start, end, length))
            # a change of length may have left a cell's end inside a bin
            waiting = waiting.merge(one) if waiting else OpenBin(next_us, end, length, one.people)
            next_us = end
            if waiting.passes(audience, figure):
                yield self._cell(line, kind, waiting)
                waiting = None

    def _first_day(self, camera: str, zone: str, t_us: int) -> int:
        """Return where a zone's first cell begins: with the camera's day, so that it does not say who came first."""
        day = day_of(t_us, self._tz)[0]
        rows = self._files.between(Audience.EVERYBODY, Figure.VISITS, day, day, self._tz)
        starts = [row["start_us"] for row in rows if (row["camera"], row["zone"]) == (camera, zone)]
        return min(starts) if starts and min(starts) <= t_us else day

    def _grid(self, line: _Line, t_us: int) -> tuple[int, int, int]:
        length = self.plan.length(*line, t_us)
        return *bin_of(t_us, length, self._tz), length

    def _cell(self, line: _Line, kind: ZoneKind, full: OpenBin) -> CellPayload:
        audience, figure, camera, zone = line
        observed, opened = self._coverage(camera, zone, full.start_us, full.end_us)
        name = json.dumps([audience.value, figure.value, camera, zone, full.start_us])
        return CellPayload(
            id=hashlib.sha256(name.encode()).hexdigest()[:32],
            audience=audience,
            figure=figure,
            camera=camera,
            zone=zone,
            kind=kind,
            tz=self._tz,
            start_us=full.start_us,
            end_us=full.end_us,
            bin_us=full.bin_us,
            people=len(full.people),
            counts=full.counts(figure) if full.people else (),
            observed_us=observed,
            open_us=opened,
            rule=RULE,
        )

    def _coverage(self, camera: str, zone: str, start_us: int, end_us: int) -> tuple[int, int]:
        """Return how long the camera saw and was meant to see, as far as everybody's cells of the zone tell."""
        observed = opened = 0.0
        for row in self._files.between(Audience.EVERYBODY, Figure.VISITS, start_us - DAY, end_us, self._tz):
            if (row["camera"], row["zone"]) == (camera, zone):
                inside = min(end_us, row["end_us"]) - max(start_us, row["start_us"])
                share = max(0, inside) / (row["end_us"] - row["start_us"])
                observed += share * row["observed_us"]
                opened += share * row["open_us"]
        return int(observed), int(opened)

    def _write(self, cells: Sequence[CellPayload]) -> int:
        by_file: dict[str, list[Row]] = defaultdict(list)
        for cell in cells:
            day = local(cell.start_us, cell.tz).date().isoformat()
            by_file[f"{cell.audience}-{cell.figure}-{day}"].append(self._row(cell))
        written = 0
        for name, rows in by_file.items():
            for row in self._files.append(name, rows):
                self._seen(row)
                written += 1
        return written

    def _row(self, cell: CellPayload) -> Row:
        needed = 5 if cell.audience is Audience.EVERYBODY else 10
        if cell.figure in (*(Figure.DWELL, Figure.DECISION, Figure.POSE, Figure.WAIT, Figure.STAY, Figure.OCCUPANCY),):
            needed *= 2
        if not cell.suppressed and cell.people < needed:
            raise ReleaseError(f"a cell of {cell.people} people is not released; {needed} are needed")
        if cell.figure is Figure.EXPRESSION and cell.counts:
            if sum(c > 0 for c in cell.counts[:-1]) < 2:
                raise ReleaseError("a cell of one expression alone is not released; two are needed")
            if any(0 < c < 10 for c in cell.counts):  # of ten visitors each has a part or more
                raise ReleaseError("an expression of fewer than ten visitors is not released; put it with unknown")
        draw = self._rng.random()
        counts = None if cell.suppressed else round_counts(cell.counts, draw)
        long = cell.end_us - cell.start_us > DAY
        return {
            "id": cell.id,
            "metric": f"{cell.audience}.{cell.figure}",
            "rule": cell.rule,
            "audience": cell.audience.value,
            "figure": cell.figure.value,
            "camera": cell.camera,
            "zone": cell.zone,
            "kind": cell.kind.value,
            "tz": cell.tz,
            "start_us": cell.start_us,
            "end_us": cell.end_us,
            "bin_us": cell.bin_us,
            "k": needed,
            "unit": _unit(cell, long=long),
            "suppressed": cell.suppressed,
            "n": None if counts is None else sum(counts),
            "people": None if cell.suppressed else round_counts((cell.people,), draw)[0],
            "counts": None if counts is None else list(counts),
            "observed_us": cell.observed_us,
            "open_us": cell.open_us,
        }

    def _seen(self, row: Row) -> None:
        line = _line(row)
        self._newest[line] = max(self._newest.get(line, 0), row["end_us"])


def _unit(cell: CellPayload, *, long: bool) -> str:
    if cell.audience is Audience.CONSENTING:
        return "visitor_days" if long else "visitors"
    return {Figure.SALES: "receipts", Figure.FUNNEL: "questions"}.get(cell.figure, "tracks")


def _line(row: Row) -> _Line:
    return Audience(row["audience"]), Figure(row["figure"]), row["camera"], origin(row["zone"])
