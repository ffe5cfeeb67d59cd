"""Between which instants a live picture was taken: the camera tells none, so its delay is bounded and never guessed.

Rules:
- A picture was taken before it arrived.
- The quickest picture of the last minute was no longer on its way than the camera's declared `latency_s`. Its stamp
  tells how far stamps and arrivals lie apart, and with that the earliest instant of every other picture: one that
  waited in a queue, however long, is not taken for a new one.
- While pictures come faster or slower than time passes, a queue empties or fills: nothing is said of when one was
  taken, and nobody is linked by it, until they have come at the pace of life for three seconds on end.
- A camera's clock and ours drift apart. What they drifted in a minute is set right, slowly; a greater change is the
  network's and is left alone.

A camera whose pictures carry no time is believed to be no later than it declares.
"""

from __future__ import annotations

from math import inf

from analytics.model import SECOND

NEVER = 0  # earlier than any tap: a picture of which nothing is known
MINUTE_US = 60 * SECOND
LOOK_US = SECOND
CALM = 2  # looks in a row at the pace of life, after the first
RUSH_US = SECOND // 20  # what the quickest of two looks may differ by; more is a queue that fills or empties
DRIFT_US = 30_000  # a minute; 500 parts in a million, more than quartz clocks do
NETWORK_US = SECOND // 4


class Latency:
    """What is known of one camera's delay. A lag is an arrival less its stamp; only differences of lags mean something.

    Args:
        most_us: declared upper bound, microseconds.
    """

    def __init__(self, most_us: int) -> None:
        self._most_us = most_us
        self.anchor(0)

    def anchor(self, arrived_us: int) -> None:
        """Begin anew: a connection, or a jump of the camera's clock, at this arrival."""
        self._minute_us = self._look_us = arrived_us
        self._last_minute = self._this_minute = inf  # least lags
        self._last_look = self._this_look = inf
        self._calm = 0
        self._proven = False  # that the quickest picture came straight from the camera

    def taken(self, stamp_us: int, arrived_us: int) -> tuple[int, int]:
        """Return the earliest and the latest instant at which a picture can have been taken.

        Args:
            stamp_us: its time.
            arrived_us: when it reached us, by the clock that times the taps.
        """
        if arrived_us < self._look_us:  # our clock was set back
            self.anchor(arrived_us)
        lag = arrived_us - stamp_us
        least = min(self._last_minute, self._this_minute)
        if lag < least - RUSH_US:
            self._proven, self._calm = False, 0
        if arrived_us - self._look_us >= LOOK_US:
            self._calm = self._calm + 1 if abs(self._this_look - self._last_look) <= RUSH_US else 0
            self._proven = self._proven or self._calm >= CALM
            self._look_us, self._last_look, self._this_look = arrived_us, self._this_look, inf
        self._this_look, self._this_minute = min(self._this_look, lag), min(self._this_minute, lag)
        if not self._proven:
            return NEVER, arrived_us
        return round(min(stamp_us + min(least, lag, 0), arrived_us)) - self._most_us, arrived_us

    def drift(self, arrived_us: int) -> int:
        """Return by how much stamps are to be moved from now on, microseconds; once a minute, else 0."""
        if arrived_us - self._minute_us < MINUTE_US:
            return 0
        least = self._this_minute
        step = round(max(-DRIFT_US, min(least, DRIFT_US))) if least < NETWORK_US else 0
        self._minute_us, self._last_minute, self._this_minute = arrived_us, least - step, inf
        self._last_look, self._this_look = self._last_look - step, self._this_look - step
        return step
