"""A still and boxes of a running camera while an administrator sets it up: in a session that the log knows, in memory.

    session = begin(state, ledger, "entrance", who)      # in the log before it begins; ten minutes at most
    picture = look(state.root, session)                  # one a second at most
    end(ledger, session)

Rules:
- Whoever may not look is refused here, whatever page asks, and the refusal is in the log.
- The session's secret lies in the memory of the page's process; the log has its SHA-256, and the camera's.
- Pictures are held in memory, the last one alone, and no longer than the session.

What is shown, and that nothing is shown without such an entry, is the matter of `analytics.peephole` in `watch`.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.live import read_zones
from analytics.model import SECOND, AnalyticsError
from analytics.peephole import FRESH_S, SESSION_S, named, utc_us
from consent.access import Action, DeniedError, Refusal, Who
from consent.accesslog import AccessLog
from consent.padview import ask

if TYPE_CHECKING:
    from analytics.state import State
    from consent.ledger import Ledger

LONGEST = 4 << 20  # of an answer, bytes
_TRIES, _TRY_S, _ANSWER_S = 5, 0.15, 1.0


class PeekError(AnalyticsError):
    """Nothing can be seen, and why."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a camera shows at one instant.

    Attributes:
        jpeg: the still, people filled; as large as the picture or smaller. It is held in memory alone.
        width: of the camera's picture, pixels.
        height: of the camera's picture, pixels.
        boxes: (x1, y1, x2, y2) of the people seen, pixels of the camera's picture, from left to right.
        taken: when.
    """

    jpeg: bytes = field(repr=False)
    width: int
    height: int
    boxes: tuple[tuple[int, int, int, int], ...]
    taken: datetime


@dataclass(slots=True)
class Session:
    """What lets one page look through one camera; it is kept in the memory of that page's process.

    Attributes:
        camera: its name.
        account: number of the account that opened it.
        until_us: when it is over at the latest, UTC microseconds.
        looks: how many pictures it showed.
    """

    camera: str
    account: str
    until_us: int
    secret: str = field(repr=False)
    looks: int = 0
    last: Look | None = field(default=None, repr=False)
    last_s: float = 0.0  # monotonic: when that came


def begin(state: State, ledger: Ledger, camera: str, by: Who, *, now_us: int | None = None) -> Session:
    """Open a session; when this returns, it is in the log.

    Args:
        state: the shop.
        ledger: opened by any role.
        camera: name of one in `store.toml`.
        by: who wants to look, as their account stands now.
        now_us: UTC microseconds; now by default.

    Raises:
        DeniedError: they may not; that is in the log.
        PeekError: there is no such camera.
        ConsentError: the log cannot be written: nobody looks.
    """
    log = AccessLog(ledger) if now_us is None else AccessLog(ledger, now_us=lambda: now_us)
    if not by.may(Action.LOOK_LIVE):
        log.denied(Refusal.ACTION, account=by.account, action=Action.LOOK_LIVE)
        log.flush(end=True)
        raise DeniedError(Refusal.ACTION, f"this is not for the {by.desk} desk; the refusal is in the log")
    if camera not in {one.name for one in state.reread().store.camera}:
        raise PeekError(f"store.toml has no camera {camera!r}; add it first")
    until_us = (utc_us() if now_us is None else now_us) + SESSION_S * SECOND
    secret = secrets.token_hex(32)
    log.opened(by.account, camera=named(camera), session=named(secret), until_us=until_us)
    return Session(camera, by.account, until_us, secret)


def end(ledger: Ledger, session: Session) -> None:
    """Close a session, and write that down; one that is closed already stays so.

    Raises:
        ConsentError: the log cannot be written; the session ends by its time.
    """
    session.last, session.until_us = None, 0
    AccessLog(ledger).closed(
        session.account, camera=named(session.camera), session=named(session.secret), looks=session.looks
    )


def look(root: Path, session: Session) -> Look | None:
    """Return what the camera shows; the last picture again while none is newer, None where nothing is told just now.

    Args:
        root: the state directory.
        session: that is open.

    Raises:
        PeekError: the session is over, `watch` does not run, or the camera is not seen.
    """
    if session.until_us <= utc_us():
        session.last = None
        raise PeekError("this session is over; open another one, and the log says so")
    path = root / "live.sock"
    for attempt in range(_TRIES):
        answer = ask(path, f"look {session.secret}", _ANSWER_S, longest=LONGEST)
        if answer:
            session.last, session.last_s = _decoded(answer), time.monotonic()
            session.looks += 1
            return session.last
        if session.last is not None and time.monotonic() - session.last_s < FRESH_S:
            return session.last
        if attempt < _TRIES - 1:
            time.sleep(_TRY_S)
    session.last = None
    seen = read_zones(path)
    if seen is None:
        raise PeekError("`openaisle watch` does not run, so there is no picture; start it with `openaisle up`")
    if session.camera not in seen:
        raise PeekError(f"camera {session.camera!r} is not seen now; wait a moment, or test its stream")
    return None


def _decoded(answer: bytes) -> Look | None:
    try:
        told = json.loads(answer)
        boxes = tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in told["boxes"])
        taken = datetime.fromtimestamp(int(told["t_us"]) / SECOND, UTC)
        return Look(base64.b64decode(told["jpeg"]), int(told["width"]), int(told["height"]), boxes, taken)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
