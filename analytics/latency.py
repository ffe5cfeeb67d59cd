"""Between which instants a live picture was taken: the camera tells none, so its delay is bounded and never guessed.

Rules:
- A picture was taken before it arrived.
- The quickest picture of the last minute was no longer on its way than the camera's declared `latency_s`. Its stamp
  tells how far stamps and arrivals lie apart, and with that the earliest instant of every other picture: one that
  waited in a queue, however long, is not taken for a new one.
- While a camera sends faster than time passes, it empties a store: until a second after that nothing is said of when a
  picture was taken, and nobody is linked by it.
- A camera's clock and ours drift apart. What they drifted in a minute is set right, slowly; a greater change is the
  network's and is left alone.

A camera whose pictures carry no time is believed to be no later than it declares.
"""

from __future__ import annotations

from math import inf

from analytics.model import SECOND

NEVER = 0  # earlier than any tap: a picture of which nothing is known
WINDOW_US = 60 * SECOND
SETTLE_US = SECOND
RUSH_US = SECOND // 10  # stamps that gain this much on the clock come from a store
DRIFT_US = 30_000  # a minute; 500 parts in a million, more than quartz clocks do
NETWORK_US = SECOND // 4


class Latency:
    """What is known of one camera's delay.

    Args:
        most_us: declared upper bound, microseconds.
    """

    def __init__(self, most_us: int) -> None:
        self._most_us = most_us
        self.anchor(0)

    def anchor(self, arrived_us: int) -> None:
        """Begin anew: a connection, or a jump of the camera's clock, at this arrival."""
        self._least: tuple[float, float] = (inf, inf)  # arrival less stamp, in the last whole minute and in this one
        self._window_us = arrived_us
        self._unsure_until_us = arrived_us + SETTLE_US

    def taken(self, stamp_us: int, arrived_us: int) -> tuple[int, int]:
        """Return the earliest and the latest instant at which a picture can have been taken.

        Args:
            stamp_us: its time.
            arrived_us: when it reached us, by the clock that times the taps.
        """
        if arrived_us < self._window_us:  # our clock was set back
            self.anchor(arrived_us)
        lag = arrived_us - stamp_us
        known = min(self._least)
        if known - lag > RUSH_US and known != inf:
            self._unsure_until_us = arrived_us + SETTLE_US
        self._least = (self._least[0], min(self._least[1], lag))
        if arrived_us < self._unsure_until_us:
            return NEVER, arrived_us
        return min(stamp_us + round(min(*self._least, 0)), arrived_us) - self._most_us, arrived_us

    def drift(self, arrived_us: int) -> int:
        """Return by how much stamps are to be moved, microseconds; once a minute, else 0."""
        if arrived_us - self._window_us < WINDOW_US:
            return 0
        least = self._least[1]
        step = round(max(-DRIFT_US, min(least, DRIFT_US))) if least < NETWORK_US else 0
        self._least, self._window_us = (least - step, inf), arrived_us
        return step
