"""Everybody's figures: visits become sums in RAM, and leave it only as cells of enough people.

Rules:
- A visit counts in the bin in which it ended, and in exactly one cell of each figure; what follows from several visits
  (`analytics.walks`, `analytics.waits`, `analytics.doors`) in the bin in which it became known.
- A bin with too few people in it waits and merges with the next. At the end of the day the last of them merges back
  into the cell before it, which waits for that; where there is none, nothing is said but that it was suppressed. An
  empty bin is treated as one of four people is, so that nobody can tell the two apart.
- The steps out of a zone are told by where they lead, and all of them: those to zones of too few are put together with
  others until they are enough, so that no difference is fewer.
- How many people are enough is written in `analytics.figures` and, once more, in `retention.release`.
- Opted-out tracks are left out; pads and staff zones are not measured, and outside only who passes by.

Who is in an open bin is known by track number and in RAM only. Nothing here rounds, reads a clock or touches a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from analytics.bins import Plan, bin_of, day_of
from analytics.decision import deliberations
from analytics.doors import Doors
from analytics.figures import FIGURES, LOOK_US, OTHERS, STEP, Audience, Figure, crowd, least, measured, slots
from analytics.model import SECOND, EndReason, Visit
from analytics.payload import CellError, CellPayload, OpenBin
from analytics.waits import Waits
from analytics.walks import Told, Walks
from analytics.zones import Zone, ZoneKind

__all__ = ["GRACE_US", "CellError", "CellPayload", "Tally"]

GRACE_US = 90 * SECOND  # a visit is known this long after its end at the latest: two holds of 30 s, and a stitch

_LOOK_US = 60 * SECOND


@dataclass(slots=True)
class _Line:
    """The bins of one figure of one zone, in order: filling, waiting (too few people), held (for the day's tail)."""

    zone: Zone
    figure: Figure
    next_us: int | None = None  # start of the first bin not closed yet
    filling: dict[int, OpenBin] = field(default_factory=dict)
    waiting: OpenBin | None = None
    held: OpenBin | None = None

    def bins(self) -> list[OpenBin]:
        return [*self.filling.values(), *(b for b in (self.waiting, self.held) if b)]


class Tally:
    """The sums of one camera.

    Args:
        camera: name of the camera.
        zones: its zones; pads and staff zones may be among them and are not measured.
        run: a random word, new with each start, that keeps the names of cells apart.
        plan: how long each zone's bins are; a newer plan may be put in its place at any time, for it changes nothing
            before its next Monday.
        tz: IANA name of the store's time zone.
    """

    def __init__(
        self, camera: str, zones: Iterable[Zone], *, run: str, plan: Plan | None = None, tz: str = "UTC"
    ) -> None:
        self._camera, self._run, self.plan, self._tz = camera, run, plan or Plan(), tz
        zones = tuple(zones)
        seen = [zone for zone in zones if zone.kind.in_shop]
        entrance = any(zone.kind is ZoneKind.ENTRANCE for zone in zones)  # without one everybody outside would pass by
        self._walks, self._waits, self._doors = Walks(seen), Waits(seen), Doors(zones)
        self._measured = frozenset(zone.name for zone in seen)
        self._lines = {
            (zone.name, figure): _Line(zone, figure)
            for zone in zones
            for figure in FIGURES[Audience.EVERYBODY]
            if measured(figure, zone.kind) and (entrance or figure is not Figure.PASSERS)
        }
        self._seen: list[tuple[int, int]] = []
        self._open: list[tuple[int, int]] = []
        self._looked = -1  # minute in which bins were last looked at
        self._counted = -1  # look at which people were last counted

    def add_visit(self, visit: Visit) -> None:
        """Count a closed visit; one that was opted out, or of a zone that is not measured, only places its track."""
        footfall = self._doors.add(visit)
        if visit.end_reason is EndReason.OPT_OUT:
            self.forget(visit.track)
            return
        decisions = [(d.box_us, d.censored) for d in deliberations(visit)]
        for figure in FIGURES[Audience.EVERYBODY]:
            line = self._lines.get((visit.zone, figure))
            if line is None or (figure is Figure.FOOTFALL and not footfall):
                continue
            for at in slots(
                figure, visit.dwell_us, stopped=bool(visit.stops), censored=visit.censored, decisions=decisions
            ):
                self._bin(line, visit.leave_us).add(visit.track, at)
        if visit.zone in self._measured:
            self._tell(visit.leave_us, visit.track, self._walks.add(visit, entry=footfall))
            self._tell(visit.leave_us, visit.track, self._waits.add(visit))

    def counts_at(self, now_us: int) -> bool:
        """Say whether the people in the zones are to be counted now, by `count`."""
        return now_us // LOOK_US != self._counted

    def count(self, now_us: int, people: Mapping[str, Collection[int]]) -> None:
        """Count who is in which zone at an instant, for its occupancy.

        Args:
            now_us: media time, UTC microseconds.
            people: track numbers by zone, of those who count.
        """
        self._counted = now_us // LOOK_US
        for zone, there in people.items():
            line = self._lines.get((zone, Figure.OCCUPANCY))
            if line is not None:
                for track in there:
                    self._bin(line, now_us).add(track, crowd(len(there)))

    def _gone(self, now_us: int, alive: Collection[int]) -> None:
        """Tell of everybody who will not come back what is known by that."""
        for track in sorted((self._walks.people() | self._doors.people()) - set(alive)):
            # the instant before: a bin that begins now is not there yet, and must not be because of them
            told = [*self._walks.gone(track), *self._waits.gone(track), *self._doors.gone(track)]
            self._tell(now_us - 1, track, told)

    def _tell(self, t_us: int, track: int, told: Iterable[Told]) -> None:
        for one in told:
            line = self._lines.get((one.zone, one.figure))
            if line is not None:
                self._bin(line, t_us).add(track, one.at)

    def came_out(self, track: int) -> None:
        """Take a track that was first seen at a door."""
        self._doors.came_out(track)

    def leave(self, track: int) -> None:
        """Tell no more of a track: it may be another's from now on. What was counted of it stays."""
        self._walks.forget(track)
        self._waits.forget(track)
        self._doors.forget(track)

    def forget(self, track: int) -> None:
        """Take a track out of every bin that has not left: it objected."""
        self.leave(track)
        for line in self._lines.values():
            for each in line.bins():
                each.people.pop(track, None)

    def add_observed(self, start_us: int, end_us: int) -> None:
        """Say that the camera saw from one instant to the other. Instants come in order; gaps are allowed."""
        _extend(self._seen, start_us, end_us)
        _extend(self._open, start_us, end_us)

    def add_blind(self, start_us: int, end_us: int) -> None:
        """Say that it was meant to see from one instant to the other, and did not."""
        _extend(self._open, start_us, end_us)

    def close(self, now_us: int, alive: Collection[int] | None = None) -> list[CellPayload]:
        """Hand out the cells that are over and have enough people; each is handed out once.

        The newest of them waits until the next one passes or the local day ends. May be called with each frame: it
        looks once a minute.

        Args:
            now_us: media time, UTC microseconds.
            alive: track numbers of those who are seen or may come back; everybody where None.
        """
        if now_us // _LOOK_US == self._looked:
            return []
        self._looked = now_us // _LOOK_US
        if alive is not None:
            self._gone(now_us, alive)
        out = [cell for line in self._lines.values() for cell in self._advance(line, now_us - GRACE_US)]
        pending = [b.start_us for line in self._lines.values() for b in line.bins()]
        keep_us = min([*pending, day_of(now_us - GRACE_US, self._tz)[0]])
        self._seen = [span for span in self._seen if span[1] > keep_us]
        self._open = [span for span in self._open if span[1] > keep_us]
        return out

    def finish(self, now_us: int) -> list[CellPayload]:
        """Hand out everything there is, the running bin too, because the camera stops; the end of a tally.

        Args:
            now_us: media time, UTC microseconds.
        """
        out = []
        self._gone(now_us, ())
        for line in self._lines.values():
            ends = [b.end_us for b in line.filling.values()]
            ends.append(self._grid(line, now_us - 1)[1])
            out += self._advance(line, max(ends))
            out += self._flush(line)
        return out

    def _grid(self, line: _Line, t_us: int) -> tuple[int, int, int]:
        length = self.plan.length(Audience.EVERYBODY, line.figure, self._camera, line.zone.name, t_us)
        return *bin_of(t_us, length, self._tz), length

    def _bin(self, line: _Line, t_us: int) -> OpenBin:
        start, end, length = self._grid(line, t_us if line.next_us is None else max(t_us, line.next_us))
        return line.filling.setdefault(start, OpenBin(start, end, length))

    def _advance(self, line: _Line, until_us: int) -> list[CellPayload]:
        out: list[CellPayload] = []
        if line.next_us is None:
            known = [*line.filling, *(start for start, _ in self._open[:1])]
            if not known:
                return out
            line.next_us = self._grid(line, min(known))[0]
        while True:
            start, end, length = self._grid(line, line.next_us)
            if end > until_us:
                break
            line.next_us = end
            done = line.filling.pop(start, None)
            if done is None and not _overlap(self._open, start, end):
                continue  # closed for the night
            out += self._take(line, done or OpenBin(start, end, length))
        last = line.held or line.waiting
        if last and day_of(last.start_us, self._tz)[1] <= until_us:
            out += self._flush(line)
        return out

    def _take(self, line: _Line, done: OpenBin) -> list[CellPayload]:
        out: list[CellPayload] = []
        last = line.held or line.waiting
        if last and day_of(last.start_us, self._tz)[1] <= done.start_us:
            out += self._flush(line)
        self._recheck(line)
        line.waiting = line.waiting.merge(done) if line.waiting else done
        if line.waiting.passes(Audience.EVERYBODY, line.figure):
            if line.held:
                out += self._cells(line, line.held)
            line.held, line.waiting = line.waiting, None
        return out

    def _recheck(self, line: _Line) -> None:
        """A held cell that somebody was taken out of may have too few people again."""
        if line.held and not line.held.passes(Audience.EVERYBODY, line.figure):
            line.waiting = line.held.merge(line.waiting) if line.waiting else line.held
            line.held = None

    def _flush(self, line: _Line) -> list[CellPayload]:
        held, waiting = line.held, line.waiting
        line.held = line.waiting = None
        last = held.merge(waiting) if held and waiting else held or waiting
        return self._cells(line, last) if last else []

    def _cells(self, line: _Line, done: OpenBin) -> list[CellPayload]:
        if line.figure is not Figure.TRANSITIONS or not done.passes(Audience.EVERYBODY, line.figure):
            return [self._cell(line, line.zone.name, done)]
        return [
            self._cell(line, f"{line.zone.name}{STEP}{self._walks.places[to[0]] if len(to) == 1 else OTHERS}", part)
            for to, part in done.apart(least(Audience.EVERYBODY, line.figure))
        ]

    def _cell(self, line: _Line, zone: str, done: OpenBin) -> CellPayload:
        enough = done.passes(Audience.EVERYBODY, line.figure)
        name = json.dumps([self._run, self._camera, zone, line.figure.value, done.start_us])
        return CellPayload(
            id=hashlib.sha256(name.encode()).hexdigest()[:32],
            audience=Audience.EVERYBODY,
            figure=line.figure,
            camera=self._camera,
            zone=zone,
            kind=line.zone.kind,
            tz=self._tz,
            start_us=done.start_us,
            end_us=done.end_us,
            bin_us=done.bin_us,
            people=len(done.people) if enough else 0,
            counts=done.counts(line.figure) if enough else (),
            observed_us=_overlap(self._seen, done.start_us, done.end_us),
            open_us=_overlap(self._open, done.start_us, done.end_us),
        )


def _extend(spans: list[tuple[int, int]], start_us: int, end_us: int) -> None:
    """Add a span after those before it; what was said already is not said twice."""
    if spans:
        start_us = max(start_us, spans[-1][1])
    if end_us <= start_us:
        return
    if spans and spans[-1][1] == start_us:
        spans[-1] = (spans[-1][0], end_us)
    else:
        spans.append((start_us, end_us))


def _overlap(spans: list[tuple[int, int]], start_us: int, end_us: int) -> int:
    return sum(max(0, min(b, end_us) - max(a, start_us)) for a, b in spans)
