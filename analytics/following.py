"""When `watch` goes by a changed `store.toml`: at once where it fits, and never by half of it. It opens no camera.

Rules:
- A text that does not fit, or whose cameras cannot be watched, is not followed; `watch` goes on by the former one, and
  says so on its socket and once in its log. What was missing is followed as soon as it is there.
- Where the cameras fail within `TRIAL_S` by new settings, it goes back to the former ones; later it ends, as ever.
- What concerns no camera begins none anew. The level is looked up by itself; see `analytics.watch`.

To begin anew is to end and start `watch`: open visits end there, and pads wait until whoever was in view is gone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from analytics.config import StoreFile
from analytics.live import Board, InForce
from analytics.model import AnalyticsError
from analytics.state import State

TRIAL_S = 30.0  # ours: a wrong login or a picture of another size shows within seconds
_OTHERS = frozenset({"terms", "controller", "kiosk", "phone", "mailbox", "dashboard", "oidc", "smile"})

_log = logging.getLogger(__name__)


class Following:
    """What `watch` goes by, and what next.

    Args:
        now: returns the shop as its newest `store.toml` that fits says.
        check: raises where cameras cannot be watched as settings say.
        board: is told.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        now: Callable[[], State],
        check: Callable[[State], None],
        board: Board,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now, self._check, self._board, self._clock = now, check, board, clock
        self._shop: State | None = None
        self._former: State | None = None
        self._in_force = InForce("")
        self._failed = b""  # SHA-256 of a text by which the cameras were watched in vain
        self._began_s = 0.0

    def begin(self, shop: State) -> None:
        """Note that the cameras are watched by some settings from now."""
        self._shop, self._began_s = shop, self._clock()
        self._tell(shop.sha256, self._in_force.refused)

    def newer(self) -> State | None:
        """Return the shop as it is to be watched by next, None where all goes on as it does."""
        shop, now = self._shop, self._now()
        if shop is None or now.sha256 == self._failed or self._in_force == InForce(now.sha256.hex()):
            return None
        self._failed = b""
        if _watched(now.store) == _watched(shop.store):  # nothing changed that concerns a camera, or no more
            self._tell(now.sha256)
            return None
        try:
            self._check(now)
        except AnalyticsError as error:
            self._refuse(error)
            return None
        _log.info("store.toml was changed: the cameras are watched anew, by what it says now")
        self._in_force = InForce(now.sha256.hex())
        self._former = shop
        return now

    def back(self, error: AnalyticsError) -> State:
        """Return the former settings, where the cameras failed just after they were watched by new ones.

        Raises:
            AnalyticsError: there are none, or it is too late: the failure itself.
        """
        former, self._former = self._former, None
        if former is None or self._shop is None or self._clock() - self._began_s > TRIAL_S:
            raise error
        self._failed = self._shop.sha256
        self._refuse(error)
        return former

    def _refuse(self, error: AnalyticsError) -> None:
        if str(error) != self._in_force.refused:
            _log.warning("store.toml was changed and is not followed: %s", error)
        self._tell(bytes.fromhex(self._in_force.digest), str(error))

    def _tell(self, digest: bytes, refused: str = "") -> None:
        self._in_force = InForce(digest.hex(), refused)
        self._board.go_by(self._in_force, [camera.name for camera in self._shop.store.camera] if self._shop else [])


def _watched(store: StoreFile) -> dict[str, Any]:
    """Return what cameras are watched by."""
    return store.model_dump(exclude={"store": {"level"}, **dict.fromkeys(_OTHERS, True)})
