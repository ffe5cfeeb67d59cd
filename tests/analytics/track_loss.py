"""Shoppers before one shelf whose tracks break, replayed through the real dwell and decision engine and the release.

What is simulated is where people are and which of them the tracker loses, and nothing later: who is out of sight is not
among the sightings of that instant, who is found again has another number, and in a hole of the feed there is no
instant at all. What the loss does to a length is the engine's business.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path

from analytics.bins import DAY, bin_of
from analytics.cells import Tally
from analytics.decision import deliberations
from analytics.dwell import DwellEngine
from analytics.figures import Audience, Figure
from analytics.model import SECOND, Sighting, Visit
from analytics.report import Dwell, Report
from analytics.zones import Ground, Zone, ZoneKind
from retention.release import Release

FPS = 5
OPEN_US = 1_789_376_400 * SECOND  # Monday 2026-09-14, 09:00 UTC
DAY_OF_IT = date(2026, 9, 14)
FRAME = (1000, 600)  # pixels, a hundred to the metre
GROUND = Ground(((0, 0), (1000, 0), (1000, 600), (0, 600)), ((0, 0), (10, 0), (10, 6), (0, 6)))
SHELF = Zone("coffee", ZoneKind.PRODUCT, ((250, 150), (750, 150), (750, 300), (250, 300)))

_PACE = 1.2  # metres a second
_SWAY = 0.015  # metres: how far a foot point jitters
_SHORTEST_S, _USUAL_S, _SIGMA = (
    3.5,
    9.0,
    0.85,
)  # of a decision: least, more than that, and how unlike


@dataclass(frozen=True, slots=True)
class Loss:
    """How tracks break.

    Attributes:
        every_s: mean time in sight until somebody is lost.
        for_good: share of losses after which nobody finds them again.
        long: share that lasts longer than any hold; the others are short, and are often stitched.
        blind_every_s: mean time between holes in the feed; 0 for none.
    """

    every_s: float = 30.0
    for_good: float = 0.4
    long: float = 0.3
    blind_every_s: float = 900.0


NONE = Loss(every_s=math.inf, blind_every_s=0.0)


@dataclass(frozen=True, slots=True)
class Shopper:
    """Somebody's way: (seconds, x, y) in metres, straight between two points, and how long they really decided."""

    way: tuple[tuple[float, float, float], ...]
    decided_s: float

    def at(self, t: float) -> tuple[float, float] | None:
        """Return where they are, None before they come and after they went."""
        for (t0, x0, y0), (t1, x1, y1) in pairwise(self.way):
            if t0 <= t < t1:
                part = (t - t0) / (t1 - t0)
                return x0 + part * (x1 - x0), y0 + part * (y1 - y0)
        return None


def shopper(rng: random.Random, start_s: float, longer: float = 1.0) -> Shopper:
    """Draw somebody who comes to the shelf, decides there, standing in one or two places, and goes."""
    spot = rng.uniform(3.0, 7.0)
    depth = rng.uniform(1.8, 2.7)
    decided = _SHORTEST_S + longer * _USUAL_S * math.exp(rng.gauss(0, _SIGMA))
    way = [(start_s, spot + rng.uniform(-1.0, 1.0), 5.5)]

    def walk(x: float, y: float) -> None:
        t, x0, y0 = way[-1]
        way.append((t + max(0.05, math.dist((x, y), (x0, y0)) / _PACE), x, y))

    walk(spot, depth)
    if decided > 12 and rng.random() < 0.3:  # steps aside to look at something else on the same shelf
        first = rng.uniform(4.0, decided - 7.0)
        aside = spot + math.copysign(rng.uniform(1.2, 2.0), 5.0 - spot)
        way.append((way[-1][0] + first, spot, depth))
        walk(aside, depth)
        way.append((way[1][0] + decided, aside, depth))
    else:
        way.append((way[-1][0] + decided, spot, depth))
    walk(way[-1][1] + rng.uniform(-1.0, 1.0), 5.5)
    return Shopper(tuple(way), decided)


@dataclass(slots=True)
class _Sight:
    """Whether the tracker has somebody, and under which number."""

    track: int
    until_s: float
    back_s: float


@dataclass(slots=True)
class Replay:
    """One stretch of a shop's day and what the engine and the release made of it.

    Attributes:
        seed: of everything random.
        people: how many come.
        loss: see `Loss`.
        longer: how much longer than usual they decide.
        hours: in which they come.
    """

    seed: int
    people: int = 150
    loss: Loss = field(default_factory=Loss)
    longer: float = 1.0
    hours: float = 4.0

    def shoppers(self) -> list[Shopper]:
        """Return who comes, in order."""
        rng = random.Random(self.seed)
        starts = sorted(rng.uniform(0, self.hours * 3600) for _ in range(self.people))
        return [shopper(rng, start, self.longer) for start in starts]

    def instants(self) -> Iterator[tuple[int, list[Sighting]]]:
        """Yield each instant and who is seen in it."""
        rng = random.Random(f"tracks of {self.seed}")
        coming = self.shoppers()[::-1]
        here: list[Shopper] = []
        sights: dict[int, _Sight] = {}
        numbers, t, blind_s = 0, 0.0, self._next_blind(rng, 0.0)
        while coming or here:
            if t >= blind_s:
                t += rng.uniform(2.5, 20.0)
                blind_s = self._next_blind(rng, t)
            while coming and coming[-1].way[0][0] <= t:
                here.append(coming.pop())
            seen = []
            for one in here:
                place = one.at(t)
                if place is None:
                    continue
                sight = sights.get(id(one))
                if sight is None or t >= sight.back_s:
                    numbers += 1
                    sight = sights[id(one)] = self._sight(rng, numbers, t)
                if t < sight.until_s:
                    x, y = (100 * (v + rng.gauss(0, _SWAY)) for v in place)
                    seen.append(Sighting(sight.track, x, y, 170.0, 0.9, (x - 30, y - 170, x + 30, y)))
            gone = [one for one in here if one.way[-1][0] <= t]
            here = [one for one in here if one.way[-1][0] > t]
            for one in gone:
                sights.pop(id(one), None)
            yield OPEN_US + round(t * SECOND), seen
            empty = not here and (not coming or coming[-1].way[0][0] > t + 1)
            t = round(t + (1.0 if empty else 1 / FPS), 3)
        yield OPEN_US + round((t + 200.0) * SECOND), []  # nothing is open any more

    def visits(self) -> list[Visit]:
        """Return the stays that the dwell engine makes of it."""
        engine = DwellEngine([SHELF], ground=GROUND, frame_size=FRAME)
        return [visit for t_us, seen in self.instants() for visit in engine.step(t_us, seen)] + engine.flush()

    def released(self, visits: list[Visit], folder: Path) -> Dwell | None:
        """Return the figure that the pages show of these stays: counted, merged, rounded, written, read."""
        tally = Tally("ceiling", [SHELF], run=f"replay {self.seed}")
        opened, end = OPEN_US, OPEN_US + round((self.hours + 1) * 3600 * SECOND)
        tally.add_observed(opened, end)
        cells = []
        for visit in sorted(visits, key=lambda v: v.leave_us):
            tally.add_visit(visit)
            cells += tally.close(visit.leave_us)
        night = bin_of(OPEN_US, DAY, "UTC")[1] + 3600 * SECOND
        cells += tally.close(night) + tally.finish(night)
        Release(folder, random.Random(self.seed)).release_everybody(cells)
        report = Report(folder / "released")
        try:
            found = report.dwells(DAY_OF_IT, DAY_OF_IT, audience=Audience.EVERYBODY, figure=Figure.DECISION)
        finally:
            report.close()
        return found.get(("ceiling", SHELF.name))

    def _sight(self, rng: random.Random, number: int, t: float) -> _Sight:
        if math.isinf(self.loss.every_s):
            return _Sight(number, math.inf, math.inf)
        until = t + rng.expovariate(1 / self.loss.every_s)
        kind = rng.random()
        if kind < self.loss.for_good:
            return _Sight(number, until, math.inf)
        gap = rng.uniform(35, 120) if kind < self.loss.for_good + self.loss.long else rng.uniform(0.5, 9.0)
        return _Sight(number, until, until + gap)

    def _next_blind(self, rng: random.Random, t: float) -> float:
        return t + rng.expovariate(1 / self.loss.blind_every_s) if self.loss.blind_every_s else math.inf


def decisions(visits: list[Visit]) -> list[tuple[float, bool]]:
    """Return (seconds, whether its end was seen) of what was deliberated."""
    return [(d.box_us / SECOND, not d.censored) for visit in visits for d in deliberations(visit)]


def truth(draws: int = 200_000, longer: float = 1.0) -> tuple[float, float]:
    """Return (median, mean) of how long people really decide, seconds."""
    rng = random.Random(1)
    found = sorted(shopper(rng, 0.0, longer).decided_s for _ in range(draws))
    return found[draws // 2], sum(found) / draws
