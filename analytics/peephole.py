"""What `watch` shows of its cameras while an administrator sets them up: to whoever holds a session that the log knows.

Rules:
- Nothing is shown without a session that stands in the log and is not over: the log is read here, and each entry held
  to its commitment. Whoever asks shows the session's secret, of which the log has the SHA-256. A session is for one
  camera, and ends after ten minutes, with its closing entry, or with any change of the account.
- Nobody is shown. People in the picture are filled with grey, with a margin and for two seconds after; a mask is black
  as ever. Whoever the detector does not find is not filled: hence the session, and the log.
- A box has no number and no mark: who is linked, who objected and who works here looks the same.
- A picture is made only when somebody asks, at most once a second, and handed out once. No pixel but those of the
  newest such picture is kept, in memory; nothing here writes to a disk or a log but that somebody looked.

The socket is `analytics.live`, the page's side `analytics.peek`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from analytics.body import Box
from analytics.model import SECOND, Frame
from consent.accesslog import AccessLog
from consent.events import ConsentError, EventKind, Leaf, commit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analytics.vision import Seen
    from consent.ledger import Ledger

SESSION_S = 600
PACE_S = 1.0  # between two pictures of one session
FRESH_S = 3.0  # an older picture is not shown
FILL_S = 2.0  # how long a place stays filled after somebody was there: a look may miss them
MARGIN = 0.15  # of a box's width and height, filled around it
WIDEST = 1280  # pixels of the still's longer side
MOST_SESSIONS = 16
_QUALITY = 75
_GREY = (128, 128, 128)
_SKEW_US = SECOND  # the clocks of two processes of one machine
_KINDS = (EventKind.SETUP_OPENED, EventKind.SETUP_CLOSED, EventKind.ACCOUNT_CHANGED)

_log = logging.getLogger(__name__)


def named(text: str) -> str:
    """Return the SHA-256 by which the log names a camera or a session, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def utc_us() -> int:
    """Return the wall clock, UTC microseconds."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class _Open:
    """A session as the log tells it, and what it was shown."""

    session: str
    account: str
    camera: str
    from_us: int
    until_us: int
    since_s: float  # monotonic: when it was first read
    asked: bool = False
    made_s: float = float("-inf")
    picture: bytes = b""
    looks: int = 0


class Peephole:
    """What `watch` shows of its cameras, to whoever holds a session that is open.

    Args:
        ledger: opened as `watch`.
        now_us: UTC microseconds.
        clock: seconds that only grow.
    """

    def __init__(
        self, ledger: Ledger, *, now_us: Callable[[], int] = utc_us, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger, self._now_us, self._clock = ledger, now_us, clock
        self._open: dict[str, _Open] = {}
        self._boxes: dict[str, deque[tuple[float, tuple[Box, ...]]]] = {}
        self._version: int | None = None
        self._read = 0  # entries of the log
        self._lock, self._reading = threading.Lock(), threading.Lock()

    def show(self, camera: str, t_us: int, image: NDArray[np.uint8], boxes: Iterable[Box]) -> None:
        """Take one frame of a camera; it is looked at only where somebody asked, and not kept.

        Args:
            camera: its name.
            t_us: instant of the frame, UTC microseconds.
            image: BGR pixels, masks black.
            boxes: of the people in it, pixels.
        """
        now_s = self._clock()
        lately = self._boxes.setdefault(camera, deque())
        lately.append((now_s, tuple(boxes)))
        while lately[0][0] < now_s - FILL_S:
            lately.popleft()
        self._follow()
        with self._lock:
            due = [
                one
                for one in self._open.values()
                if one.camera == named(camera) and one.asked and now_s - one.made_s >= PACE_S
            ]
        if not due:
            return
        told = _picture(t_us, image, lately[-1][1], [box for _, boxes in lately for box in boxes])
        with self._lock:
            for one in due:
                one.picture, one.made_s, one.asked = told, now_s, False

    def hide(self, camera: str) -> None:
        """Forget what a camera showed: it sees nothing at present."""
        self._follow()
        with self._lock:
            for one in self._open.values():
                if one.camera == named(camera):
                    one.picture = b""

    def answer(self, secret: str) -> bytes:
        """Return the newest picture of a session as one line, once; empty where there is none, or no such session."""
        with self._lock:
            one = self._open.get(named(secret))
            if one is None or not self._goes_on(one):
                return b""
            one.asked = True
            told, one.picture = one.picture, b""
            if not told or self._clock() - one.made_s > FRESH_S:
                return b""
            one.looks += 1
            return told

    def _goes_on(self, one: _Open) -> bool:
        """Say whether a session is not over by its time; a clock that is set back does not lengthen it."""
        return one.from_us - _SKEW_US <= self._now_us() < one.until_us and self._clock() - one.since_s < SESSION_S

    def close(self) -> None:
        """End every session: `watch` ends."""
        with self._lock:
            over, self._open = list(self._open.values()), {}
        self._say_closed(over)

    def _follow(self) -> None:
        """Read what the log says of sessions since the last look, and close those that are over."""
        if not self._reading.acquire(blocking=False):
            return  # another camera does
        try:
            version = self._ledger.data_version()
            entries = [] if version == self._version else self._entries()
            self._version = version
        except (ConsentError, sqlite3.Error) as error:  # what the log does not say is not shown
            _log.warning("nobody can look through a camera while the log cannot be read: %s", error)
            with self._lock:
                self._open.clear()
            return
        finally:
            self._reading.release()
        with self._lock:
            for kind, told in entries:
                self._take(kind, told)
            over = [one for one in self._open.values() if not self._goes_on(one)]
            for one in over:
                del self._open[one.session]
        self._say_closed(over)

    def _say_closed(self, over: Iterable[_Open]) -> None:
        for one in over:
            try:
                AccessLog(self._ledger, now_us=self._now_us).closed(
                    one.account, camera=one.camera, session=one.session, looks=one.looks
                )
            except ConsentError as error:
                _log.warning("the end of a session is not in the log: %s", error)

    def _entries(self) -> list[tuple[EventKind, dict[str, Any]]]:
        rows = self._ledger.select(
            "SELECT l.idx, l.data, r.entry_key, r.payload FROM records r JOIN leaves l ON l.idx = r.leaf"
            " WHERE r.kind IN (?, ?, ?) AND r.leaf >= ? ORDER BY r.leaf",
            *(kind.value for kind in _KINDS),
            self._read,
        )
        found = []
        for index, data, key, payload in rows:
            self._read = index + 1
            leaf = Leaf.decode(data)
            if commit(key, payload) == leaf.commitment:  # else somebody wrote into the file beside the log
                found.append((leaf.kind, json.loads(payload)))
        return found

    def _take(self, kind: EventKind, told: Mapping[str, Any]) -> None:
        if kind is EventKind.SETUP_CLOSED:
            self._open.pop(told["session"], None)
        elif kind is EventKind.ACCOUNT_CHANGED:
            for one in self._open.values():
                if one.account == told["account"]:
                    one.until_us = 0
        elif kind is EventKind.SETUP_OPENED and len(self._open) < MOST_SESSIONS:
            until_us = min(told["until_us"], told["at_us"] + SESSION_S * SECOND)
            if self._now_us() < until_us:
                session = told["session"]
                self._open[session] = _Open(
                    session, told["account"], told["camera"], told["at_us"], until_us, self._clock()
                )


class _Eyes(Protocol):
    def see(self, frame: Frame) -> Seen: ...

    def reset(self) -> None: ...


class Overlooked:
    """The eyes of one camera, with the peephole behind them."""

    def __init__(self, eyes: _Eyes, camera: str, peephole: Peephole) -> None:
        self._eyes, self._camera, self._peephole = eyes, camera, peephole

    def see(self, frame: Frame) -> Seen:
        """Return the people of one frame."""
        seen = self._eyes.see(frame)
        boxes = (*(sighting.box for sighting in seen.sightings), *seen.untracked)
        self._peephole.show(self._camera, frame.t_us, frame.image, boxes)
        return seen

    def reset(self) -> None:
        """Forget every track: nothing was seen for a while."""
        self._eyes.reset()
        self._peephole.hide(self._camera)


def _picture(t_us: int, image: NDArray[np.uint8], boxes: Iterable[Box], filled: Iterable[Box]) -> bytes:
    """Return a frame as one line: smaller, people filled, and boxes in an order that tells nothing."""
    import cv2

    height, width = image.shape[:2]
    share = min(1.0, WIDEST / max(width, height))
    still = cv2.resize(image, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA)
    for x1, y1, x2, y2 in filled:
        dx, dy = (x2 - x1) * MARGIN, (y2 - y1) * MARGIN
        corners = [round(v * share) for v in (x1 - dx, y1 - dy, x2 + dx, y2 + dy)]
        cv2.rectangle(still, (corners[0], corners[1]), (corners[2], corners[3]), _GREY, cv2.FILLED)
    done, jpeg = cv2.imencode(".jpg", still, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        return b""
    places = sorted(
        (max(0, round(x1)), max(0, round(y1)), min(width, round(x2)), min(height, round(y2)))
        for x1, y1, x2, y2 in boxes
    )
    told = {"width": width, "height": height, "t_us": t_us, "boxes": places}
    return json.dumps({**told, "jpeg": base64.b64encode(jpeg.tobytes()).decode()}).encode() + b"\n"
