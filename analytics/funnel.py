"""What people do at the kiosk, counted by day: opened, yes, no, left alone, linked or why not. RAM only.

Rules:
- A question counts on the store's day on which it was over; nothing of who asked, when or in which language is kept.
- A day leaves memory once, as a cell of five questions or more, or as one that says that there were fewer. A day
  without any says the same.
- What the words mean is said in `consent.kiosk.outcome`; a word that is not known here is not counted.

A kiosk that is stopped hands over what there is of the day; one that is killed loses it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Collection
from typing import Final

from analytics.bins import DAY, day_of
from analytics.figures import FUNNEL, Audience, Figure
from analytics.payload import CellPayload, OpenBin
from analytics.zones import ZoneKind
from consent.events import ConsentError
from consent.ledger import Ledger

_log = logging.getLogger(__name__)
PLACE: Final = "kiosk"


class Funnel:
    """The questions of one kiosk; may be told from several threads.

    Args:
        put: takes a cell and the instant, UTC microseconds, and hands it to the keeper.
        run: a random word, new with each start, that keeps the names of cells apart.
        tz: IANA name of the store's time zone.
        now_us: when it starts, UTC microseconds.
        place: stands where camera and zone do in the cells of the cameras.
    """

    def __init__(
        self, put: Callable[[CellPayload, int], object], *, run: str, tz: str, now_us: int, place: str = PLACE
    ) -> None:
        self._put, self._run, self._tz, self._place = put, run, tz, place
        self._lock, self._number = threading.Lock(), 0
        self._day = self._open(now_us)

    def add(self, words: Collection[str], now_us: int) -> None:
        """Count one question.

        Args:
            words: what it came to.
            now_us: when it was over, UTC microseconds.
        """
        with self._lock:
            self._pass(now_us)
            self._number += 1
            for word in words:
                if word in FUNNEL:
                    self._day.add(self._number, FUNNEL.index(word))

    def finish(self, now_us: int) -> None:
        """Hand over what there is, because the kiosk stops; the end of a funnel."""
        with self._lock:
            self._pass(now_us)
            self._hand_over(now_us)

    def _pass(self, now_us: int) -> None:
        """Let the days end that are over; a clock that was set back ends none."""
        while now_us >= self._day.end_us:
            self._hand_over(now_us)
            self._day = self._open(self._day.end_us)

    def _open(self, t_us: int) -> OpenBin:
        return OpenBin(*day_of(t_us, self._tz), DAY)

    def _hand_over(self, now_us: int) -> None:
        day, figure = self._day, Figure.FUNNEL
        enough = day.passes(Audience.EVERYBODY, figure)
        name = json.dumps([self._run, self._place, figure.value, day.start_us])
        cell = CellPayload(
            id=hashlib.sha256(name.encode()).hexdigest()[:32],
            audience=Audience.EVERYBODY,
            figure=figure,
            camera=self._place,
            zone=self._place,
            kind=ZoneKind.PAD,
            tz=self._tz,
            start_us=day.start_us,
            end_us=day.end_us,
            bin_us=DAY,
            people=len(day.people) if enough else 0,
            counts=day.counts(figure) if enough else (),
            observed_us=0,
            open_us=0,
        )
        self._put(cell, now_us)


def to_keeper(ledger: Ledger) -> Callable[[CellPayload, int], None]:
    """Return what hands a cell to the keeper; a ledger that takes none costs a day of counts, and nobody their page."""

    def put(cell: CellPayload, now_us: int) -> None:
        try:
            ledger.write_inbox("cells", None, cell.to_bytes(), now_us=now_us, visit_end_us=min(now_us, cell.end_us))
        except (ConsentError, sqlite3.Error) as error:
            _log.warning("the kiosk's counts of a day are lost: %s", error)

    return put
