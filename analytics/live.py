"""What is seen this moment, told over a socket in the state directory: the pads for the kiosk, the zones for the page.

Rules:
- Nothing is stored and nothing is counted over time: a newer look replaces the older one, and what is older than two
  seconds is not told.
- A pad is told as `consent.padview` says. A zone is told as a band, never as a number.
- A caller cannot hold anything up: one thread, few callers at a time, each gone after a fifth of a second, or a second
  where they take a picture, and cameras never wait for it.
- By which settings the cameras are watched is told by their SHA-256.
- A picture is told as `analytics.peephole` says: to whoever holds a session that the log says is open.
- One `watch` a state directory: two would count everybody twice.

A socket left behind by a killed process is replaced; a caller that finds nobody behind it is told nothing.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from analytics.model import AnalyticsError
from analytics.zones import ZoneKind
from consent.padview import WAIT_S, PadView, address, ask

TAKE_S = 1.0  # that somebody has to take what does not fit into a socket at once
STALE_S = 2.0  # older than this is no longer what is seen
MOST_CALLERS = 16
QUESTION = 512  # bytes, at most
BANDS = ((5, "0–4"), (10, "5–9"))  # below this many people, told as
QUEUE_BANDS = {"0–4": "short", "5–9": "medium"}
MANY, LONG = "10+", "long"

_log = logging.getLogger(__name__)


def band(people: int, kind: ZoneKind) -> str:
    """Return how many people in a zone are told: ``0–4``, ``5–9``, ``10+``; a queue as short, medium, long."""
    told = next((name for below, name in BANDS if people < below), MANY)
    return QUEUE_BANDS.get(told, LONG) if kind is ZoneKind.QUEUE else told


@dataclass(frozen=True, slots=True)
class InForce:
    """By which settings `watch` watches.

    Attributes:
        digest: SHA-256 of the `store.toml` that it goes by, hex.
        refused: why it does not go by the one that stands there now, a line; empty where it does, or will in a moment.
    """

    digest: str
    refused: str = ""


class Board:
    """The newest look of each camera, in memory; written by the cameras' threads, read by the one that answers.

    Args:
        look: returns the line for a session's secret, empty where there is none; nobody looks where None.
    """

    def __init__(self, look: Callable[[str], bytes] | None = None) -> None:
        self._look = look
        self._pads: dict[str, tuple[float, PadView]] = {}
        self._zones: dict[str, tuple[float, Mapping[str, str]]] = {}
        self._seen: dict[str, float] = {}
        self._alerts = {True: 0, False: 0}
        self._counting = threading.Lock()  # alerts are said by several threads
        self._in_force = InForce("")

    def go_by(self, settings: InForce, cameras: Collection[str]) -> None:
        """Put up by which settings the cameras are watched; how others did is forgotten."""
        self._in_force = settings
        for gone in set(self._seen) - set(cameras):
            self._seen.pop(gone, None)

    def show_pad(self, pad: str, view: PadView | None) -> None:
        """Put up what is seen at a pad; None where nothing is seen."""
        if view is None:
            self._pads.pop(pad, None)
        else:
            self._pads[pad] = (time.monotonic(), view)

    def show_zones(self, camera: str, bands: Mapping[str, str]) -> None:
        """Put up the bands of a camera's zones; empty where nothing is seen."""
        self._zones[camera] = (time.monotonic(), bands)

    def saw(self, camera: str) -> None:
        """Note that a camera brought a picture."""
        self._seen[camera] = time.monotonic()

    def alert(self, taken: bool) -> None:
        """Note that an alert was sent, and whether somebody took it."""
        with self._counting:
            self._alerts[taken] += 1

    def health(self) -> dict[str, dict[str, float]]:
        """Return how cameras and alerts do: age of the last picture by camera, seconds; alerts sent and failed."""
        now_s = time.monotonic()
        ages = {camera: round(now_s - at_s, 1) for camera, at_s in list(self._seen.items())}
        return {"cameras": ages, "alerts": {"sent": self._alerts[True], "failed": self._alerts[False]}}

    def pad(self, pad: str) -> PadView | None:
        """Return what is seen at a pad now."""
        at_s, view = self._pads.get(pad, (float("-inf"), None))
        return view if time.monotonic() - at_s <= STALE_S else None

    def zones(self) -> dict[str, dict[str, str]]:
        """Return band by zone by camera, of the cameras that see something now."""
        now_s = time.monotonic()
        return {name: dict(bands) for name, (at_s, bands) in list(self._zones.items()) if now_s - at_s <= STALE_S}

    def answer(self, question: str) -> bytes:
        """Return one line for one question, empty where there is nothing to say."""
        if question.startswith("pad "):
            view = self.pad(question[4:])
            return b"" if view is None else view.encode()
        if question == "zones":
            return json.dumps(self.zones()).encode() + b"\n"
        if question == "settings":
            return json.dumps(asdict(self._in_force)).encode() + b"\n"
        if question == "health":
            return json.dumps(self.health()).encode() + b"\n"
        if question.startswith("look ") and self._look is not None:
            return self._look(question[5:])
        return b""


def read_zones(socket_path: Path) -> dict[str, dict[str, str]] | None:
    """Ask `watch` how full the zones are: band by zone by camera.

    Returns:
        None where it does not run; a camera that sees nothing at present is left out.
    """
    answer = ask(socket_path, "zones")
    try:
        return dict(json.loads(answer)) if answer else None
    except (ValueError, TypeError, RecursionError):
        return None


def read_health(socket_path: Path) -> dict[str, dict[str, float]] | None:
    """Ask `watch` how its cameras and alerts do, see `Board.health`; None where it does not run."""
    answer = ask(socket_path, "health")
    try:
        told = json.loads(answer) if answer else None
        return told and {what: {str(k): float(v) for k, v in told[what].items()} for what in ("cameras", "alerts")}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def read_settings(socket_path: Path) -> InForce | None:
    """Ask `watch` by which settings it watches; None where it does not run."""
    answer = ask(socket_path, "settings", longest=1 << 14)
    try:
        told = json.loads(answer) if answer else None
        return told and InForce(str(told["digest"]), str(told["refused"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


@dataclass(slots=True)
class _Caller:
    until_s: float  # monotonic
    rest: bytes = b""  # of the answer


class Live:
    """The socket of a running `watch`; enter it to serve, leave it to stop.

    Args:
        path: of the socket, in the state directory.
        board: what is told.

    Raises:
        AnalyticsError: on entering, another `watch` runs on this directory.
    """

    def __init__(self, path: Path, board: Board) -> None:
        self._path, self._board = path, board
        self._stop = threading.Event()
        self._door: socket.socket | None = None
        self._folder = -1
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Live:
        self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go when we are killed
        except BlockingIOError as error:
            os.close(self._folder)
            where = self._path.parent
            raise AnalyticsError(f"another `openaisle watch` runs on {where}; stop it first") from error
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._path.unlink(missing_ok=True)  # ours by the lock, so whoever made it is dead
            with address(self._path) as name:
                os.fchmod(door.fileno(), 0o660)  # before it has a name: nobody finds it more open
                door.bind(name)
            self._path.chmod(0o660)
            door.listen(128)
        except OSError as error:  # a file system without sockets: the pad works, its picture does not
            _log.warning("the kiosk shows no picture of the pad: %s cannot be made (%s)", self._path, error)
            door.close()
            return self
        door.setblocking(False)
        self._door = door
        self._thread = threading.Thread(target=self._serve, args=(door,), name="live", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._door is not None and self._thread is not None:
            self._thread.join()
            self._door.close()
            self._path.unlink(missing_ok=True)
        os.close(self._folder)

    def _serve(self, door: socket.socket) -> None:
        callers: dict[socket.socket, _Caller] = {}  # oldest first
        with selectors.DefaultSelector() as events:
            events.register(door, selectors.EVENT_READ)

            def hang_up(caller: socket.socket) -> None:
                events.unregister(caller)
                del callers[caller]
                caller.close()

            while not self._stop.is_set():
                ready = [key.fileobj for key, _ in events.select(WAIT_S / 4 if callers else WAIT_S)]
                for caller, told in [(caller, told) for caller, told in callers.items() if caller in ready]:
                    if self._reply(caller, told):
                        events.modify(caller, selectors.EVENT_WRITE)
                    else:
                        hang_up(caller)
                now_s = time.monotonic()
                for caller in [caller for caller, told in callers.items() if told.until_s < now_s]:
                    hang_up(caller)
                if door not in ready:
                    continue
                if len(callers) >= MOST_CALLERS:
                    hang_up(next(iter(callers)))
                try:
                    caller, _ = door.accept()
                except OSError:  # gone again, or the process has no file left
                    self._stop.wait(WAIT_S / 4)
                    continue
                caller.setblocking(False)
                events.register(caller, selectors.EVENT_READ)
                callers[caller] = _Caller(time.monotonic() + WAIT_S)
            for caller in list(callers):
                hang_up(caller)

    def _reply(self, caller: socket.socket, told: _Caller) -> bool:
        """Answer a caller, or go on with it; say whether something is left to be sent."""
        with suppress(OSError, UnicodeDecodeError):
            if not told.rest:
                question = caller.recv(QUESTION)
                if question.endswith(b"\n"):
                    told.rest = self._board.answer(question[:-1].decode())
                told.until_s = time.monotonic() + TAKE_S
            if told.rest:
                told.rest = told.rest[caller.send(told.rest) :]
            return bool(told.rest)
        return False
