"""A line that stays long: said to one address that `store.toml` names, and to nobody else.

Rules:
- Off unless `[alerts]` names a webhook. It is called at that address alone: no redirect is followed, no proxy of the
  environment is used, and its answer is not read beyond its status.
- What is said is the camera, the zone, how long the line is in the words of `analytics.live` (medium, long) and for how
  many minutes: no number of people, no person, no picture.
- A line that is long for the minutes asked for is said once; when it has been shorter for a minute, that is said once,
  too, and it may be said anew. Not seeing the queue is neither: the minutes begin again.
- An address that does not answer costs a line in the log and is tried again while what it says is still true. Cameras
  never wait for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import requests

from analytics.config import AlertsTable, StoreFile
from analytics.live import LONG, QUEUE_BANDS, Board
from analytics.zones import ZoneKind

LOOK_S: Final = 5.0  # how often the board is looked at
SHORT_S: Final = 60.0  # a line that is shorter for this long is over
AGAIN_S: Final = 30.0  # after an address that did not answer
TIMEOUT_S: Final = 5.0
_ORDER = (*QUEUE_BANDS.values(), LONG)  # shortest first

_log = logging.getLogger(__name__)


class Word(StrEnum):
    """What an alert says."""

    BEGAN = "queue_long"
    OVER = "queue_over"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to say.

    Attributes:
        word: that it began, or is over.
        camera: name of the camera.
        zone: name of the queue.
        length: `medium` or `long`; what it was at the beginning.
        minutes: for how long it had been so when it was said.
    """

    word: Word
    camera: str
    zone: str
    length: str
    minutes: int

    def body(self, store: str) -> dict[str, str | int]:
        """Return what is sent.

        Args:
            store: name of the shop.
        """
        return {
            "event": self.word.value,
            "store": store,
            "camera": self.camera,
            "zone": self.zone,
            "length": self.length,
            "minutes": self.minutes,
        }


@dataclass(slots=True)
class _Line:
    since_s: float | None = None  # it is long
    short_s: float | None = None  # it is shorter again, since it was said
    said: Alert | None = None


@dataclass(slots=True)
class QueueRule:
    """Decides when something is to be said. Pure: time is an argument.

    Attributes:
        queues: (camera, zone) of each.
        least: the length from which on it counts.
        minutes: for how long.
    """

    queues: Collection[tuple[str, str]]
    least: str
    minutes: int
    _lines: dict[tuple[str, str], _Line] = field(default_factory=dict)

    def look(self, now_s: float, bands: Mapping[str, Mapping[str, str]]) -> list[Alert]:
        """Take one look at the board.

        Args:
            now_s: seconds that only grow.
            bands: of zones, by camera; one that is not seen is left out.
        """
        told = []
        for camera, zone in self.queues:
            line = self._lines.setdefault((camera, zone), _Line())
            band = bands.get(camera, {}).get(zone)
            if band is None:
                line.since_s = line.short_s = None
                continue
            long = _ORDER.index(band) >= _ORDER.index(self.least)
            if long:
                line.short_s = None
                line.since_s = now_s if line.since_s is None else line.since_s
                if line.said is None and now_s - line.since_s >= 60 * self.minutes:
                    line.said = Alert(Word.BEGAN, camera, zone, band, self.minutes)
                    told.append(line.said)
                continue
            line.since_s = None
            if line.said is None:
                continue
            line.short_s = now_s if line.short_s is None else line.short_s
            if now_s - line.short_s >= SHORT_S:
                told.append(Alert(Word.OVER, camera, zone, line.said.length, round(SHORT_S / 60)))
                line.said = None
        return told


class Webhook:
    """Says alerts to one address.

    Args:
        url: of the webhook.
        store: name of the shop.
    """

    def __init__(self, url: str, store: str) -> None:
        self._url, self._store = url, store
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no .netrc: nobody but the address itself

    def say(self, alert: Alert) -> bool:
        """Send one; False where nobody took it."""
        try:
            answer = self._session.post(
                self._url, json=alert.body(self._store), timeout=TIMEOUT_S, allow_redirects=False, stream=True
            )
            answer.close()
        except requests.RequestException as error:
            _log.warning("an alert could not be sent (%s); check webhook under [alerts]", error)
            return False
        if not answer.ok or answer.is_redirect:
            _log.warning("an alert was not taken (HTTP %d); check webhook under [alerts]", answer.status_code)
            return False
        return True


def rule(store: StoreFile) -> QueueRule:
    """Return the rule that `store.toml` asks for."""
    queues = [place for place, kind in store.kinds().items() if kind is ZoneKind.QUEUE]
    return QueueRule(queues, store.alerts.queue, store.alerts.minutes)


@contextmanager
def alerting(
    store: StoreFile, board: Board, *, clock: Callable[[], float] = time.monotonic, look_s: float = LOOK_S
) -> Iterator[None]:
    """Say alerts while the block runs; does nothing where no webhook is named.

    Args:
        store: what `store.toml` says.
        board: what is seen now.
        clock: seconds that only grow.
        look_s: how often the board is looked at.
    """
    if store.alerts.webhook is None:
        yield
        return
    stop = threading.Event()
    words = (store.alerts, rule(store), store.store.name)
    thread = threading.Thread(target=_watch, args=(*words, board, clock, look_s, stop), name="alerts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _watch(
    table: AlertsTable,
    decides: QueueRule,
    name: str,
    board: Board,
    clock: Callable[[], float],
    look_s: float,
    stop: threading.Event,
) -> None:
    webhook = Webhook(str(table.webhook), name)
    waiting: dict[tuple[str, str], Alert] = {}  # not taken yet: the newest of each queue
    again_s = 0.0
    while not stop.wait(look_s):
        now_s = clock()
        fresh = decides.look(now_s, board.zones())
        waiting.update({(alert.camera, alert.zone): alert for alert in fresh})
        if not fresh and now_s < again_s:
            continue
        for place, alert in list(waiting.items()):
            if stop.is_set():
                return
            if webhook.say(alert):
                del waiting[place]
            else:
                again_s = now_s + AGAIN_S
