"""How somebody moves: speed, stops, and jumps no walker can make. Pure: numbers in, numbers out.

Speed is the floor distance between the median foot points of the newer and the older half of the last second, over
the time between them. A single bad box moves neither median, and a jittering one moves both alike, so standing still
looks like standing still at any frame rate. What it says is true of the middle of the window, half a second ago;
`Gait` backdates by that much.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import fmean, median

from analytics.model import SECOND
from analytics.zones import Ground


@dataclass(frozen=True, slots=True)
class GaitRules:
    """Thresholds of the STOP and RESUME events; metres, seconds. Ours, not sourced.

    Attributes:
        window_s: length of the median filter.
        stop_speed: STOP below this, metres a second.
        stop_s: for at least this long.
        resume_speed: RESUME above this, metres a second.
        resume_s: for at least this long.
    """

    window_s: float = 1.0
    stop_speed: float = 0.35
    stop_s: float = 1.0
    resume_speed: float = 0.6
    resume_s: float = 1.0


@dataclass(slots=True)
class Gait:
    """The recent steps of one person. Holds one window of foot points and the stops not yet taken.

    Attributes:
        ground: turns pixels into metres.
        rules: see `GaitRules`.
        speed: metres a second by the last sighting, or None while less than half a window is known.
        stopped_since_us: start of the stop that is going on, or None.
    """

    ground: Ground
    rules: GaitRules
    speed: float | None = None
    stopped_since_us: int | None = None
    _points: deque[tuple[int, float, float, float]] = field(default_factory=deque)
    _turn_us: int | None = None  # since when the speed has asked for the other state
    _stops: list[tuple[int, int]] = field(default_factory=list)

    @property
    def standing(self) -> bool:
        """True where the last known speed is that of somebody who stands."""
        return self.speed is not None and self.speed < self.rules.stop_speed

    def see(self, t_us: int, x: float, y: float, height: float) -> None:
        """Take one more sighting; times must not go backwards."""
        window = int(self.rules.window_s * SECOND)
        points = self._points
        points.append((t_us, x, y, height))
        while points[0][0] < t_us - window:
            points.popleft()
        self.speed = self._measure(t_us, window)
        if self.speed is None:
            self._turn_us = None
            return
        stopped = self.stopped_since_us is not None
        turning = self.speed > self.rules.resume_speed if stopped else self.speed < self.rules.stop_speed
        if not turning:
            self._turn_us = None
            return
        if self._turn_us is None:
            self._turn_us = t_us
        if t_us - self._turn_us >= (self.rules.resume_s if stopped else self.rules.stop_s) * SECOND:
            since = max(self._turn_us - window // 2, self.stopped_since_us or 0)
            if stopped:
                self.end_stop(since)
            else:
                self.stopped_since_us = since
            self._turn_us = None

    def since(self, t_us: int) -> tuple[tuple[int, float, float, float], ...]:
        """Return (t_us, foot x, foot y, height) of the sightings later than an instant, a window back at most."""
        return tuple(point for point in self._points if point[0] > t_us)

    def end_stop(self, t_us: int) -> None:
        """End the stop that is going on, if any, at this time."""
        if self.stopped_since_us is not None:
            self._stops.append((self.stopped_since_us, max(t_us, self.stopped_since_us)))
            self.stopped_since_us = None

    def stops(self, start_us: int, end_us: int) -> tuple[tuple[int, int], ...]:
        """Return the parts of all known stops between two instants, the one going on included."""
        going_on = [] if self.stopped_since_us is None else [(self.stopped_since_us, end_us)]
        clipped = ((max(a, start_us), min(b, end_us)) for a, b in [*self._stops, *going_on])
        return tuple((a, b) for a, b in clipped if b > a)

    def forget_before(self, t_us: int) -> None:
        """Drop stops that ended before this instant; nobody will ask for them again."""
        self._stops = [stop for stop in self._stops if stop[1] > t_us]

    def _measure(self, t_us: int, window: int) -> float | None:
        middle = t_us - window // 2
        old = [p for p in self._points if p[0] < middle]
        new = [p for p in self._points if p[0] >= middle]
        if not old or t_us - old[0][0] < window // 2:
            return None
        elapsed = fmean(p[0] for p in new) - fmean(p[0] for p in old)
        ax, ay = median(p[1] for p in old), median(p[2] for p in old)
        bx, by = median(p[1] for p in new), median(p[2] for p in new)
        return self.ground.distance(ax, ay, bx, by, median(p[3] for p in self._points)) / (elapsed / SECOND)
