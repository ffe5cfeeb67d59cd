"""The newest picture of a live camera, read by a thread that reconnects until it is closed.

Rules:

* The first picture that arrives at the pace of life anchors the camera's time to the clock; from there its own
  presentation times count. What a server had stored and sends in a rush before it is thrown away.
* After a reconnect, or where the camera's own clock jumps, the anchor is set anew. Time never steps back.
* Whoever falls ten seconds behind the camera hangs up and dials again: what waits in the queue is old.
* Every picture carries the instants between which it can have been taken; see `analytics.latency`.
* Only the newest picture is kept. What was missed is told with it: since when, and why.
* Of a camera that stays dark it can be asked before a picture comes. How long it is dark is counted without the clock,
  as that may be set meanwhile, and time goes on from what was told.
* Pauses between attempts grow from 0.5 s to 30 s, each shortened by up to a half at random, so that a shop's cameras
  do not all come back in one instant.

What this does not do: convert pixels; that is left to the reader, so that pictures overtaken cost no conversion.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import av

from analytics.latency import Latency
from analytics.model import SECOND, Blind
from analytics.source import HOPELESS, Grid, Source, VideoError, connect, media_us, pictures, reason_of
from consent.logs import plain

BLIND_AFTER_US = 2 * SECOND  # a feed gap longer than this is a blind interval
BACKOFF_S = (0.5, 30.0)  # first and longest pause before a new attempt
AHEAD_US = 2 * SECOND  # a time further ahead of the clock is not believed
BEHIND_US = 10 * SECOND  # a picture that comes later than this waited in a queue
LEAP_US = SECOND  # between two pictures of a camera that watches a pad there is never as much
TIMELESS = 25  # pictures in a row without a time after which a camera is taken to send none; some begin with one
CLOSE_S = 1.0  # how long `close` waits; a thread that is held in a read ends later, at its timeout

_log = logging.getLogger(__name__)


class Feed(threading.Thread):
    """Reads a camera in the background.

    A thread, because a camera does not wait: unread pictures pile up and every one read later would be old. It is a
    daemon, because a USB driver may hold a read for ever.
    """

    def __init__(self, source: Source, clock: Callable[[], int], now_us: int) -> None:
        super().__init__(name="video", daemon=True)
        self.seen_us = now_us  # time of the last picture that arrived; before the first, the start
        self.down = False
        self._source, self._clock = source, clock
        self._grid = Grid(source.fps)
        self._arrived_us = now_us
        self._counted = now_us, time.monotonic()  # the last picture: its time, and when it came
        self._shift: int | None = None  # media time + shift = UTC
        self._media_us: int | None = None
        self._timeless = 0  # pictures without a time, in a row
        self._latency = Latency(round(source.delay_s * SECOND))
        self._begun = False
        self._closed = threading.Event()
        self._change = threading.Condition()
        self._newest: tuple[int, tuple[int, int], Any] | None = None
        self._dark_from: int | None = None
        self._reason = "gap"
        self._fault: str | None = None

    def take(self, timeout_s: float) -> tuple[int, tuple[int, int], Any, int | None, str] | None:
        """Hand over the newest picture: (time, taken between, picture, start of a hole before it or None, its reason).

        Raises:
            VideoError: the source was wrong from the start, and waiting will not mend it; or the thread is dead.
        """
        with self._change:
            self._change.wait_for(lambda: self._newest or self._fault, timeout_s)
            if self._fault:
                raise VideoError(self._fault)
            if self._newest is None:
                if not (self.is_alive() or self._closed.is_set()):
                    raise VideoError(f"reading {self._source.name} broke off; start again and report what was printed")
                return None
            taken = (*self._newest, self._dark_from, self._reason)
            self._newest, self._dark_from, self._reason = None, None, "gap"
            return taken

    def dark(self) -> Blind | None:
        """Tell a hole that no picture can fill any more, once it is longer than a silence may be; each part once."""
        with self._change:
            last_us, came_s = self._counted
            until = last_us + round((time.monotonic() - came_s) * SECOND) - BEHIND_US
            if self._newest is not None or until - self.seen_us <= BLIND_AFTER_US:
                return None
            hole = Blind(self.seen_us, until, "reconnect" if self.down else "stalled")
            self.seen_us = until
            return hole

    def close(self) -> None:
        """Ask the thread to end; it does so at its next picture or timeout."""
        self._closed.set()
        if self.is_alive():
            self.join(timeout=CLOSE_S)

    def run(self) -> None:
        """Read, and when the feed dies connect again, until closed."""
        first, longest = BACKOFF_S
        pause = first
        while not self._closed.is_set():
            connected = False
            try:
                with connect(self._source) as container:
                    self._shift = self._media_us = None
                    for picture in pictures(container, live=True):
                        if self._closed.is_set():
                            return
                        connected = self._begun = True
                        if not self._offer(picture):
                            what = f"this machine reads {self._source.name} too slowly"
                            break
                    else:
                        what = f"the stream of {self._source.name} ended"
            except (av.error.FFmpegError, VideoError) as error:
                what = reason_of(self._source, error)
                if not self._begun and isinstance(error, HOPELESS):
                    with self._change:
                        self._fault = what
                        self._change.notify()
                    return
            pause = first if connected else pause
            if not self.down:
                _log.warning("%s; trying again until it is back", plain(what))
            self.down = True
            self._closed.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 (spreads load, guards nothing)
            pause = min(2 * pause, longest)

    def _offer(self, picture: Any) -> bool:
        """Take the next picture; False where those that wait behind it are too old to be worth reading."""
        arrived, media = self._clock(), media_us(picture)
        waited, self._arrived_us = arrived - self._arrived_us, arrived
        if self._behind(media, arrived):
            return False
        t = self._time(media, arrived, waited)
        if t is None or t <= self.seen_us:
            return True
        taken = self._latency.taken(t, arrived)
        if self._shift is not None:
            self._shift += self._latency.drift(arrived)
        with self._change:
            if t <= self.seen_us:  # told as dark in this very moment
                return True
            if self.down:
                self._reason = "reconnect"
            elif arrived - self.seen_us > BLIND_AFTER_US:
                self._reason = "stalled"
            if t - self.seen_us > BLIND_AFTER_US:
                self._dark_from = self.seen_us if self._dark_from is None else self._dark_from
                self._grid.restart()
            if self.down:
                _log.warning("%s is back", plain(self._source.name))
            self.seen_us, self.down = t, False
            self._counted = t, time.monotonic()
            if self._grid.due(t):
                self._newest = (t, taken, picture)
                self._change.notify()
        return True

    def _behind(self, media: int | None, arrived: int) -> bool:
        if media is None or self._shift is None or self._media_us is None or media < self._media_us:
            return False
        return media + self._shift < arrived - BEHIND_US

    def _time(self, media: int | None, arrived: int, waited: int) -> int | None:
        """Map media time to UTC; None for a picture out of the server's store, which came too soon to tell."""
        self._timeless = self._timeless + 1 if media is None else 0
        if media is None:
            return arrived if self._timeless > TIMELESS else None
        step = None if self._media_us is None else media - self._media_us
        self._media_us = media
        if step is not None and not 0 <= step <= LEAP_US:  # a hole, or the camera's clock was set
            self._latency.anchor(arrived)
        if self._shift is None:
            if step is None or 2 * waited < step:
                return None
        elif step is not None and step >= 0:
            t = media + self._shift
            if t <= arrived + AHEAD_US or arrived <= self.seen_us:
                return t
        t = max(arrived, self.seen_us + 1)
        self._shift = t - media
        self._latency.anchor(arrived)
        return t
