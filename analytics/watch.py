"""Runs the cameras of one shop: a thread each, one ledger, one detector a camera. Wires; the rules are elsewhere.

A file is watched from a given instant at full speed, media time being the only time there is; a camera is watched until
told to stop, and begun anew when `store.toml` changes what concerns it; see `analytics.following`. What is seen this
moment is told on a socket; see `analytics.live`. When `store.toml` stops fitting, nothing is recorded about anybody
until it fits again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path

from analytics.alerts import alerting
from analytics.bins import Plan
from analytics.config import CameraTable, ConfigError
from analytics.detect import detector
from analytics.expression import Reader
from analytics.figures import Figure
from analytics.following import Following
from analytics.live import Board, Live
from analytics.model import SECOND, AnalyticsError, Blind, Visit
from analytics.pad import PadRules
from analytics.peephole import Overlooked, Peephole
from analytics.pipeline import CameraWatch, LeftOut, Watched
from analytics.pose import Pose
from analytics.report import Report
from analytics.start import PLACEHOLDER
from analytics.state import State
from analytics.tags import Tags
from analytics.video import Source, frames, utc_us
from analytics.vision import MotionGate, Vision
from analytics.zones import ZoneKind
from consent.events import Level
from consent.ledger import Ledger
from consent.logs import plain

PAD_FPS = 4.0  # looks a second, so that two looks are nearer than what ends a link
ANSWER_S = 1.8  # how soon a pad must have answered, so that the screen says it within two seconds of the tap
LEVEL_S = 1.0  # how soon a level that was lowered in store.toml is noticed
FOLLOW_S = 1.0  # how soon other changes of it are

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LevelNow:
    """The privacy level in force; `counts` while `store.toml` does not fit.

    Read again at every change of the ledger, so that what was lowered there is lowered at once, and every second.
    """

    state: State
    ledger: Ledger
    _level: Level = Level.COUNTS
    _read_s: float = field(default=float("-inf"))
    _version: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> Level:
        """Return the level."""
        with self._lock:
            now_s, version = time.monotonic(), self.ledger.data_version()
            if version != self._version or now_s - self._read_s >= LEVEL_S:
                self._read_s, self._version = now_s, version
                try:
                    self.state = self.state.reread()
                    self._level = self.state.level(self.ledger)
                except ConfigError as error:
                    if self._level is not Level.COUNTS:
                        _log.warning("nothing is recorded until store.toml fits again: %s", error)
                    self._level = Level.COUNTS
            return self._level

    def shop(self) -> State:
        """Return the shop as its newest `store.toml` that fits says."""
        self()
        return self.state


def watch(
    state: State,
    ledger: Ledger,
    model: Path | None,
    *,
    start_us: int | None = None,
    stop: threading.Event | None = None,
    plan: Callable[[], Plan] = Plan,
    before: Callable[[str, int], None] | None = None,
    audit: Callable[[Visit, LeftOut | None], object] | None = None,
) -> dict[str, Watched]:
    """Watch every camera of the shop until its source ends or `stop` is set; see the module for changed settings.

    Args:
        state: the shop.
        ledger: opened as `watch`.
        model: what `analytics.detect.detector` opens; our own where None.
        start_us: instant of the first picture of files, UTC microseconds; needed where a source is a file.
        stop: ends the watching; what is open is closed first.
        plan: returns how long everybody's bins are, as far as is fixed.
        before: called with camera and instant before each frame; a file's scheduled consents are given here.
        audit: see `CameraWatch`; only for a clip whose truth is known.

    Returns:
        What each camera did.

    Raises:
        ConfigError: no camera, or a file without a start.
        VideoError: a source that cannot be read.
        ModelError: no usable model.
    """
    stop = stop or threading.Event()
    if not state.store.camera:
        raise ConfigError(f"{state.root}/store.toml has no [[camera]]; add one")
    check(state, start_us)
    level, peephole = LevelNow(state, ledger), Peephole(ledger)
    board = Board(peephole.answer)
    if level() > Level.COUNTS and not state.store.pads():
        _log.warning("no pad is drawn: nobody can say yes, so nobody is measured; draw a zone of kind pad")

    def fits(shop: State) -> None:
        check(shop)
        if shop.store.expression != state.store.expression:  # DeepFace holds one net as long as the process lives
            raise ConfigError("`model` under [expression] is taken at the start; start `openaisle watch` anew")

    follow = Following(level.shop, fits, board)
    ends_us: dict[str, int] = {}  # of each camera that was watched by former settings

    def run(shop: State, camera: CameraTable, holders: dict[str, str], ended: threading.Event) -> Watched:
        source = _source(shop, camera, start_us)
        answer_s = PadRules().after_s + source.delay_s
        if answer_s > ANSWER_S and any(zone.kind is ZoneKind.PAD for zone in camera.zone):
            _log.warning(
                "camera %s: the pad answers a yes after %.1f s, since its pictures may be %.1f s old; if they are "
                "newer, say so with latency_s (%.1f or less for an answer within two seconds)",
                plain(camera.name),
                answer_s,
                source.delay_s,
                ANSWER_S - PadRules().after_s,
            )
        # a file watched once more from the same instant is the same people: its cells keep their names
        run_name = "" if source.live else hashlib.sha256(f"{source.url}|{start_us}".encode()).hexdigest()[:16]
        vision = Overlooked(Vision(detector(model), gate=MotionGate()), camera.name, peephole)
        one: CameraWatch | None = None
        for item in frames(source, stop=lambda: stop.is_set() or ended.is_set()):
            if one is None:
                if isinstance(item, Blind):  # before the first picture there is nothing to close
                    continue
                height, width = item.image.shape[:2]
                one = CameraWatch(
                    shop.store,
                    camera,
                    vision,
                    (width, height),
                    ledger,
                    level=level,
                    plan=plan,
                    restart=source.live,
                    latency_s=source.delay_s,
                    board=board,
                    run=run_name,
                    holders=holders,
                    audit=audit,
                    net=Pose,
                    reader=lambda: _face_reader(shop.store.expression.file(shop.root)),
                    tags=Tags,
                )
                since_us = unwatched_since(shop, camera.name, item.t_us) if source.live else None
                if since_us is not None:
                    one.missed(max(since_us, min(ends_us.get(camera.name, since_us), item.t_us)), item.t_us)
            if before is not None:
                before(camera.name, item.end_us if isinstance(item, Blind) else item.t_us)
            one.step(item)
        if one is None:
            return Watched()
        one.finish()
        ends_us[camera.name] = utc_us()
        return one.watched

    def by(shop: State) -> State | None:
        """Watch by some settings, and return those to watch by next; None at the end."""
        ended, holders, newer = threading.Event(), dict[str, str](), None
        with (
            alerting(shop.store, board, shop.root),
            ThreadPoolExecutor(max_workers=len(shop.store.camera) or 1, thread_name_prefix="camera") as pool,
        ):
            futures = {camera.name: pool.submit(run, shop, camera, holders, ended) for camera in shop.store.camera}
            try:
                while newer is None and not stop.is_set():
                    over, going = wait(futures.values(), FOLLOW_S, FIRST_EXCEPTION)  # whichever camera it is that fails
                    if any(one.exception() for one in over) or (futures and not going):
                        break
                    if not futures:  # the last camera was taken away
                        stop.wait(FOLLOW_S)
                    if start_us is None:
                        newer = follow.newer()
            finally:
                ended.set()  # the other cameras end too; the pool waits for them
        for name, future in futures.items():
            done[name] = _sum(done.get(name, Watched()), future.result())
            peephole.hide(name)
        return newer

    done: dict[str, Watched] = {}
    with Live(state.live, board):
        shop: State | None = state
        try:
            while shop is not None:
                follow.begin(shop)
                try:
                    shop = by(shop)
                except AnalyticsError as error:
                    shop = follow.back(error)
        finally:
            stop.set()
            peephole.close()
    return done


def check(state: State, start_us: int | None = None) -> None:
    """Find that the cameras of a shop can be watched, as far as their settings tell.

    Args:
        state: the shop.
        start_us: instant of the first picture of files, UTC microseconds.

    Raises:
        ConfigError: they cannot; a line that says what to do.
        ModelError: the shop's own expression file is of another form.
    """
    for camera in state.store.camera:
        if camera.source == PLACEHOLDER:
            raise ConfigError(
                f"camera {camera.name!r} in {state.root}/store.toml still has the example's address, {PLACEHOLDER}; "
                "write your own camera's there"
            )
        pads = [zone.name for zone in camera.zone if zone.kind is ZoneKind.PAD]
        if len(pads) > 1:
            raise ConfigError(
                f"camera {camera.name!r} sees {len(pads)} pads; one camera watches one pad, drop the others"
            )
        if pads and camera.fps < PAD_FPS:
            raise ConfigError(
                f"camera {camera.name!r} sees a pad and needs fps = {PAD_FPS:g} or more to tell people apart"
            )
        if _source(state, camera, start_us).live:
            continue
        if start_us is None:
            raise ConfigError(
                f"camera {camera.name!r} is a video file, which has no time of its own; say when it began: "
                f"openaisle watch --state {state.root} --start 2026-11-20T10:00:00+01:00"
            )
        if start_us > utc_us():
            raise ConfigError("--start lies in the future; give the instant at which the file was recorded")
    own = state.store.expression.file(state.root)
    if own is not None and state.store.store.level >= Level.EMOTION:
        from analytics.reading import checked

        checked(own)


def _sum(one: Watched, other: Watched) -> Watched:
    return Watched(**{each.name: getattr(one, each.name) + getattr(other, each.name) for each in fields(Watched)})


def _source(state: State, camera: CameraTable, start_us: int | None) -> Source:
    return Source(
        camera.address(state.root),
        start_us=start_us or 0,
        fps=camera.fps,
        masks=camera.masks,
        latency_s=camera.latency_s,
        turn=camera.turn,
    )


def _face_reader(file: Path | None) -> Reader:
    """Load what reads expressions; not before it is needed, for DeepFace comes with it."""
    from analytics.reading import FaceReader

    return FaceReader(file)


def unwatched_since(state: State, camera: str, now_us: int) -> int | None:
    """Return since when today an open shop's camera has told nothing, None where it has or the shop is closed."""
    hours = state.store.opening(now_us)
    if hours is None or not hours[0] < now_us < hours[1]:
        return None
    today = datetime.fromtimestamp(now_us / SECOND, state.store.timezone).date()
    told = [hours[0]]
    with closing(Report(state.released)) as report:
        told += [cell.end_us for cell in report.cells(Figure.VISITS, today, today) if cell.camera == camera]
    return max(told) if max(told) < now_us else None
