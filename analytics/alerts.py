"""A line that stays long: said to a webhook and a broker that `store.toml` names, and to nobody else.

Rules:
- Off unless `[alerts]` names a webhook or a broker (see `mqtt`). A webhook is called at its address alone: no redirect
  is followed, no proxy of the environment is used, and its answer is not read beyond its status.
- What is said is the camera, the zone, how long the line is in the words of `analytics.live` (medium, long) and for how
  many minutes: no number of people, no person, no picture.
- A line that is long for the minutes asked for is said once; when it has been shorter for a minute, that is said once,
  too, and it may be said anew. Not seeing the queue is neither: the minutes begin again.
- Whoever does not answer costs a line in the log and is tried again, later each time; of what was not taken, the newest
  of each queue is said. Each has a thread of its own: neither waits for the other, and cameras for none.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

import requests

from analytics.config import StoreFile
from analytics.live import LONG, QUEUE_BANDS, Board
from analytics.zones import ZoneKind

LOOK_S: Final = 5.0  # how often the board is looked at
SHORT_S: Final = 60.0  # a line that is shorter for this long is over
AGAIN_S, LONGEST_AGAIN_S = 30.0, 600.0  # after somebody who did not answer; doubled each time
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


class Sender(Protocol):
    """Somebody who can be told."""

    def say(self, alert: Alert) -> bool:
        """Send one; False where nobody took it."""


def senders(store: StoreFile, root: Path) -> list[Sender]:
    """Return whom `store.toml` wants told.

    Args:
        store: what `store.toml` says.
        root: the state directory.

    Raises:
        ConfigError: a password or certificate that it names cannot be read.
    """
    table, found = store.alerts, list[Sender]()
    if table.webhook is not None:
        found.append(Webhook(table.webhook, store.store.name))
    if table.mqtt is not None:
        from analytics.mqtt import Broker  # only where there is one

        found.append(Broker(table.mqtt, root, store.store.name, store.store.id))
    return found


@contextmanager
def alerting(
    store: StoreFile, board: Board, root: Path, *, clock: Callable[[], float] = time.monotonic, look_s: float = LOOK_S
) -> Iterator[None]:
    """Say alerts while the block runs; does nothing where nobody is named.

    Args:
        store: what `store.toml` says.
        board: what is seen now; it is told what came of each alert.
        root: the state directory.
        clock: seconds that only grow.
        look_s: how often the board is looked at.

    Raises:
        ConfigError: see `senders`.
    """
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=_watch, args=(sender, rule(store), board, clock, look_s, stop), name="alerts", daemon=True
        )
        for sender in senders(store, root)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _watch(
    sender: Sender,
    decides: QueueRule,
    board: Board,
    clock: Callable[[], float],
    look_s: float,
    stop: threading.Event,
) -> None:
    waiting: dict[tuple[str, str], Alert] = {}  # not taken yet: the newest of each queue
    again_s, pause_s = 0.0, AGAIN_S
    while not stop.wait(look_s):
        now_s = clock()
        fresh = decides.look(now_s, board.zones())
        waiting.update({(alert.camera, alert.zone): alert for alert in fresh})
        if not fresh and now_s < again_s:
            continue
        for place, alert in list(waiting.items()):
            if stop.is_set():
                return
            taken = sender.say(alert)
            board.alert(taken)
            if not taken:
                again_s, pause_s = now_s + pause_s, min(2 * pause_s, LONGEST_AGAIN_S)
                break  # nor would they take the next one
            pause_s = AGAIN_S
            del waiting[place]
