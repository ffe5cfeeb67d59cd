"""Expression: what the face of a shopper who said yes to it resembles, as shares of looks, one sum a zone visit.

Rules:
- A face is looked at only where `analytics.look` found a live grant for it at this very picture, only in a measured
  zone, and at most twice a second. Whether it can be read is `analytics.reading`'s to say; where not, it is `unknown`.
- A child is carried for all of a visit and noticed in some looks only. So nothing is told of a visit in which a second
  face was surely seen once, or that begins within a minute of it, nor of one with no more answers than second heads.
- Numbers of classes stay in memory until their visit is closed; then they are shares and a count. No picture, crop,
  face template or series is kept.
- What reads, DeepFace with it, is loaded only where the level in force is `emotion`. No picture waits for that.

What it does not do: find out who somebody is or what they feel; estimate an age. docs/expression.md says what it means,
and how the thresholds were chosen.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from analytics.model import SECOND, AnalyticsError, Sighting
from analytics.row import CLASSES
from consent.events import Purpose

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analytics.body import Box
    from analytics.zones import Zone

MOST_HZ = 2.0  # looks a second at one face
HOLD_US = 60 * SECOND  # nothing is told of a visit that begins so soon after a second face was surely seen
_UNKNOWN = CLASSES.index("unknown")
_EARLY_US = SECOND // 50  # pictures of 10 a second come up to so much early
_KEEP = 4 * 3600  # looks remembered of one person: two hours of them

_log = logging.getLogger(__name__)


class Unread(Enum):
    """Why a face is not read.

    Attributes:
        BESIDE: there surely is a second face: in the whole surroundings, of a score with which it could be read itself.
        PERHAPS: there is a less sure one, or another's box: a child that is turned away, a passer-by, or nothing.
        OTHER: anything else.
    """

    BESIDE = auto()
    PERHAPS = auto()
    OTHER = auto()


class Reader(Protocol):
    """Reads a face; `analytics.reading.FaceReader`, or the simulated shop."""

    def read(self, image: NDArray[np.uint8], keypoints: NDArray[np.float32], others: Sequence[Box]) -> int | Unread:
        """Return what a face shows, as `CLASSES` numbers it, or why it is not read.

        Args:
            image: (height, width, 3) uint8, BGR, the whole picture; not to be kept.
            keypoints: (17, 3) of the person, see `analytics.pose.POINTS`.
            others: boxes of everybody else in the picture.
        """


class Expression:
    """The looks at faces of one camera.

    Args:
        zones: the measured ones; nobody is looked at outside them.
        make: loads what reads.
        allowed: says whether the level in force allows expression; asked before every look.

    Attributes:
        purpose: see `analytics.look.Looker`.
        looks: how many samples were taken.
        cpu_s: CPU time of all that, seconds.
    """

    purpose = Purpose.EMOTION

    def __init__(
        self,
        zones: Sequence[Zone],
        make: Callable[[], Reader],
        *,
        allowed: Callable[[], bool],
    ) -> None:
        self._zones, self._make, self._allowed = tuple(zones), make, allowed
        self._reader: Reader | None = None
        self._loading: threading.Thread | None = None
        self._seen: dict[int, deque[tuple[int, int | Unread]]] = {}  # by person: instant, what the reader said
        self.looks = 0
        self.cpu_s = 0.0

    def load(self) -> None:
        """Load now, if the level allows expression; otherwise in a thread beside, once it does.

        Raises:
            AnalyticsError: a file is missing or not what it should be.
        """
        if self._reader is None and self._allowed():
            self._reader = self._make()

    def wants(self, t_us: int, person: int, sighting: Sighting) -> bool:
        """Say whether a look at this person is of use now."""
        if not self._allowed():
            self._reader = None
            return False
        if self._reader is None:
            self._load_beside()
            return False
        seen = self._seen.get(person)
        due = not seen or t_us - seen[-1][0] >= SECOND / MOST_HZ - _EARLY_US
        return due and any(zone.contains(sighting.x, sighting.y) for zone in self._zones)

    def look(
        self,
        t_us: int,
        person: int,
        image: NDArray[np.uint8],
        keypoints: NDArray[np.float32],
        box: Box,
        others: Sequence[Box],
    ) -> None:
        """Take one look; see `analytics.look.Looker`."""
        if self._reader is None:
            return
        started = time.thread_time()
        found = self._reader.read(image, keypoints, others)
        self.looks += 1
        self._seen.setdefault(person, deque(maxlen=_KEEP)).append((t_us, found))
        self.cpu_s += time.thread_time() - started

    def take(self, person: int, enter_us: int, leave_us: int) -> tuple[int, ...] | None:
        """Return how many looks of a visit showed each of `CLASSES`; None where there was none.

        All of them are `unknown` where a second face was surely seen in the visit or less than `HOLD_US` before it,
        and where a second head was perhaps there in as many looks of the visit as showed an expression.

        Args:
            person: number of the dwell engine.
            enter_us: first instant of the visit, as the gate admitted it.
            leave_us: its last.
        """
        seen, looks = self._seen.get(person, ()), [0] * len(CLASSES)
        beside = any(found is Unread.BESIDE and enter_us - HOLD_US <= t_us <= leave_us for t_us, found in seen)
        perhaps = 0
        for t_us, found in seen:
            if enter_us <= t_us <= leave_us:
                looks[_UNKNOWN if isinstance(found, Unread) else found] += 1
                perhaps += found is Unread.PERHAPS
        total = sum(looks)
        if beside or perhaps >= total - looks[_UNKNOWN]:
            looks = [total if i == _UNKNOWN else 0 for i in range(len(CLASSES))]
        return tuple(looks) if any(looks) else None

    def forget(self, keep: Collection[int]) -> None:
        """Drop what is known of everybody else."""
        if self._seen:
            self._seen = {person: seen for person, seen in self._seen.items() if person in keep}

    def _load_beside(self) -> None:
        """Load in a thread of its own: a picture that waited for it would end every link."""
        if self._loading is None:
            self._loading = threading.Thread(target=self._load, name="expression", daemon=True)
            self._loading.start()

    def _load(self) -> None:
        try:
            self._reader = self._make()
        except (AnalyticsError, ImportError) as error:
            _log.warning("no expression is read: %s", error)
            return  # once: a file does not come back by asking
        self._loading = None
