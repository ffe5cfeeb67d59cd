"""One reader for files, RTSP cameras and USB cameras: (media time, pixels), and nothing about people.

Rules:

* Time is media time. A file starts at `Source.start_us` and follows the container's presentation times; a live source
  is anchored to the clock when its first picture arrives and follows its presentation times from there. Frame numbers,
  the container's frame count and its frame rate are never used for time, except where a picture carries no time at all.
* Time only moves forward. A picture that would repeat an instant or step back is dropped.
* Where nothing was seen for over two seconds there is a `Blind`, handed on before the picture that ends it.
* A live source always hands on the newest picture. It reconnects by itself for as long as it is read.
* Privacy masks are filled black before a picture leaves this module. A damaged picture does not leave it at all.
* Camera credentials reach no message and no log line: an address is shown as `Source.name`.

What it does not do: find people, store pixels, read sound, fetch anything a file points to, undistort a lens.
"""

from __future__ import annotations

import logging
import math
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.logging
import cv2
import numpy as np

from analytics.model import SECOND, AnalyticsError, Blind, Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analytics.zones import Point

BLIND_AFTER_US = 2 * SECOND  # a feed gap longer than this is a blind interval
OPEN_TIMEOUT_S = 5.0  # a server that does not answer is given up after this
READ_TIMEOUT_S = 5.0  # a connection that brings nothing is closed after this
BACKOFF_S = (0.5, 30.0)  # first and longest pause before a new attempt
AHEAD_US, BEHIND_US = 2 * SECOND, 10 * SECOND  # a live time outside this window around the clock is not believed
BROKEN_READS = 100  # unreadable stretches in a row after which a file is taken to have ended
POLL_S = 0.1  # how soon `stop` is noticed while nothing arrives

_log = logging.getLogger(__name__)
av.logging.set_level(None)  # libav writes addresses, passwords included, into its own messages

_LIVE = ("rtsp://", "rtsps://")
_USB = re.compile(r"usb:(\d+)$")
_TURN = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


class VideoError(AnalyticsError):
    """A source that cannot be read; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where pictures come from, and what must never be seen in them.

    Attributes:
        url: path of a file, ``rtsp://…``, ``rtsps://…``, ``/dev/videoN`` or ``usb:N``. Not shown in ``repr``: it may
            hold a password.
        start_us: instant of the first picture of a file, UTC microseconds; ignored for live sources.
        fps: pictures wanted per second of media time; None hands on every picture.
        masks: polygons in pixels of the full picture, filled black; parts outside the picture are cut off.
    """

    url: str = field(repr=False)
    start_us: int = 0
    fps: float | None = None
    masks: tuple[tuple[Point, ...], ...] = ()

    def __post_init__(self) -> None:
        if not self.url:
            raise VideoError("no video source given; name a file, an rtsp:// address or usb:0")
        if "://" in self.url and not self.url.lower().startswith(_LIVE):
            raise VideoError(f"{self.name} is not a kind of address this reads; use a file, rtsp:// or usb:0")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise VideoError(f"fps must be a number above 0, not {self.fps}; leave it out for every frame")
        for mask in self.masks:
            if len(mask) < 3 or not all(abs(v) < 1e5 for point in mask for v in point):
                raise VideoError(f"a privacy mask needs 3 or more points in pixels, not {mask}; draw it again")

    @property
    def usb(self) -> bool:
        """True for a camera on a USB port of this machine (Linux, V4L2)."""
        return self.url.startswith("/dev/video") or _USB.match(self.url) is not None

    @property
    def live(self) -> bool:
        """True for a camera, False for a file."""
        return self.usb or self.url.lower().startswith(_LIVE)

    @property
    def name(self) -> str:
        """The address without user, password and parameters, fit for messages and logs."""
        if "://" not in self.url:
            return self.url
        scheme, rest = self.url.split("://", 1)
        host = rest.rsplit("@", 1)[-1]  # a password may hold any sign, the last @ ends it
        return f"{scheme}://" + re.split(r"[?=&;#]", host)[0] + ("…" if re.search(r"[?=&;#]", host) else "")


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a source says about itself.

    Attributes:
        width: of a picture as handed on, pixels.
        height: of a picture as handed on, pixels.
        fps: nominal rate, a hint.
        duration_s: seconds by the container, a hint for a progress bar; None where it does not say.
        live: True for a camera.
    """

    width: int
    height: int
    fps: float | None
    duration_s: float | None
    live: bool


def probe(source: Source) -> VideoInfo:
    """Open a source, decode one picture, and close it again.

    Raises:
        VideoError: nothing can be read from it.
    """
    container = _open(source)
    try:
        stream = container.streams.video[0]
        picture = next(_pictures(container, source.live), None)
        if picture is None:
            raise VideoError(f"no picture in {source.name} can be decoded; export it again from the recorder")
        turned = picture.rotation % 180 != 0
        rate = stream.guessed_rate or stream.average_rate
        duration = None if source.live else container.duration
        return VideoInfo(
            width=picture.height if turned else picture.width,
            height=picture.width if turned else picture.height,
            fps=float(rate) if rate else None,
            duration_s=duration / av.time_base if duration else None,
            live=source.live,
        )
    except av.error.FFmpegError as error:
        reason = _reason(source, error)
    finally:
        container.close()
    raise VideoError(reason)


def utc_us() -> int:
    """Return the wall clock, UTC microseconds: the anchor of live sources."""
    return time.time_ns() // 1000


def frames(
    source: Source, *, stop: Callable[[], bool] | None = None, clock: Callable[[], int] = utc_us
) -> Iterator[Frame | Blind]:
    """Read a source: pictures in order of time, and a `Blind` for each hole between them.

    With `Source.fps`, pictures nearest to a regular grid of media time are handed on; the others are decoded but not
    converted. A file that is damaged or cut yields what decodes and then ends. A live source ends only by ``stop``.

    Args:
        source: what to read.
        stop: asked between pictures, and ten times a second while a live source is silent; True ends the reading.
        clock: UTC microseconds now; for live sources only.

    Yields:
        Frames with strictly increasing times, and blind intervals between them.

    Raises:
        VideoError: a file of which nothing can be decoded, a device or login that was wrong from the start, or a
            picture size that changes (zones and masks are pixels of the first size).
    """
    stop = stop or (lambda: False)
    if source.live:
        yield from _live(source, stop, clock)
    else:
        yield from _file(source, stop)


def _file(source: Source, stop: Callable[[], bool]) -> Iterator[Frame | Blind]:
    container = _open(source)
    try:
        develop, grid = _Darkroom(source), _Grid(source.fps)
        rate = container.streams.video[0].guessed_rate
        period = round(SECOND / rate) if rate else SECOND // 25  # only for pictures without a time
        last: int | None = None
        shift: int | None = None  # media time + shift = UTC
        for picture in _pictures(container, live=False):
            if stop():
                return
            media = _media_us(picture)
            if last is None:
                t = source.start_us
                shift = None if media is None else t - media
            elif media is None:
                t = last + period
            else:
                if shift is None or media + shift < last - SECOND:  # times begin anew: a second recording in the file
                    shift = last + period - media
                t = media + shift
                if t <= last:
                    continue
                if t - last > BLIND_AFTER_US:
                    yield Blind(last, t, "gap")
                    grid.restart()
            last = t
            if grid.due(t):
                yield Frame(t, develop(picture))
    finally:
        container.close()
    if last is None:
        raise VideoError(f"no picture in {source.name} can be decoded; export it again from the recorder")


def _live(source: Source, stop: Callable[[], bool], clock: Callable[[], int]) -> Iterator[Frame | Blind]:
    develop = _Darkroom(source)
    last = clock()
    patience = BLIND_AFTER_US + (SECOND / source.fps if source.fps else 0)
    feed = _Feed(source, clock, last)
    feed.start()
    try:
        while not stop():
            if (taken := feed.take(POLL_S)) is None:
                continue
            t, picture, dark_from, reason = taken
            if dark_from is None and t - last > patience:  # pictures came, but were overtaken before anyone looked
                dark_from = last
            if dark_from is not None:
                yield Blind(dark_from, t, reason)
            yield Frame(t, develop(picture))
            last = t
        if (now := clock()) - feed.seen_us > BLIND_AFTER_US:
            yield Blind(feed.seen_us, now, "reconnect" if feed.down else "stalled")
    finally:
        feed.close()


class _Feed(threading.Thread):
    """The newest picture of a camera, held by a thread that reads without pause and reconnects.

    A thread, because a camera does not wait: unread pictures pile up and every one read later would be old. It is a
    daemon, because a USB driver may hold a read for ever.
    """

    def __init__(self, source: Source, clock: Callable[[], int], now_us: int) -> None:
        super().__init__(name="video", daemon=True)
        self.seen_us = now_us  # time of the last picture that arrived; before the first, the start
        self.down = False
        self._source, self._clock = source, clock
        self._grid = _Grid(source.fps)
        self._arrived_us = now_us
        self._shift: int | None = None  # media time + shift = UTC
        self._media_us = 0
        self._begun = False
        self._closed = threading.Event()
        self._change = threading.Condition()
        self._newest: tuple[int, Any] | None = None
        self._dark_from: int | None = None
        self._reason = "gap"
        self._fault: str | None = None

    def take(self, timeout_s: float) -> tuple[int, Any, int | None, str] | None:
        """Hand over the newest picture: (time, picture, start of a hole before it or None, reason of the hole).

        Raises:
            VideoError: the source was wrong from the start, and waiting will not mend it.
        """
        with self._change:
            self._change.wait_for(lambda: self._newest or self._fault, timeout_s)
            if self._fault:
                raise VideoError(self._fault)
            if self._newest is None:
                return None
            taken = (*self._newest, self._dark_from, self._reason)
            self._newest, self._dark_from, self._reason = None, None, "gap"
            return taken

    def close(self) -> None:
        """Ask the thread to end; it does so at its next picture or timeout."""
        self._closed.set()
        if self.is_alive():
            self.join(timeout=1.0)

    def run(self) -> None:
        """Read, and when the feed dies connect again, until closed."""
        first, longest = BACKOFF_S
        pause = first
        while not self._closed.is_set():
            connected = False
            try:
                container = _connect(self._source)
                try:
                    self._shift = None
                    for picture in _pictures(container, live=True):
                        if self._closed.is_set():
                            return
                        connected = self._begun = True
                        self._offer(picture)
                finally:
                    container.close()
                what = f"the stream of {self._source.name} ended"
            except (av.error.FFmpegError, VideoError) as error:
                what = _reason(self._source, error)
                if not self._begun and isinstance(error, _HOPELESS):
                    with self._change:
                        self._fault = what
                        self._change.notify()
                    return
            pause = first if connected else min(2 * pause, longest)
            if not self.down:
                _log.warning("%s; trying again until it is back", what)
            self.down = True
            self._closed.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 (spreads load, guards nothing)

    def _offer(self, picture: Any) -> None:
        arrived = self._clock()
        media = _media_us(picture)
        t = self._time(media, arrived)
        silent = arrived - self._arrived_us > BLIND_AFTER_US
        self._arrived_us = arrived
        if t <= self.seen_us:
            return
        with self._change:
            if self.down or silent:
                self._reason = "reconnect" if self.down else "stalled"
            if t - self.seen_us > BLIND_AFTER_US:
                self._dark_from = self.seen_us if self._dark_from is None else self._dark_from
                self._grid.restart()
            if self.down:
                _log.warning("%s is back", self._source.name)
            self.seen_us, self.down = t, False
            if self._grid.due(t):
                self._newest = (t, picture)
                self._change.notify()

    def _time(self, media: int | None, arrived: int) -> int:
        """Map media time to UTC: by the anchor, or by a new one where the camera's own clock jumped."""
        if media is None:
            return arrived
        t = media + (self._shift or 0)
        jumped = media < self._media_us or not arrived - BEHIND_US <= t <= arrived + AHEAD_US
        if self._shift is None or (jumped and arrived > self.seen_us):
            t = max(arrived, self.seen_us + 1)
            self._shift = t - media
        self._media_us = media
        return t


class _Grid:
    """Picks the picture nearest to each point of a regular grid of media time, without looking ahead."""

    def __init__(self, fps: float | None) -> None:
        self._period = SECOND / fps if fps else 0.0
        self.restart()

    def restart(self) -> None:
        """Begin a new grid at the next picture."""
        self._origin: int | None = None
        self._seen = self._next = 0

    def due(self, t_us: int) -> bool:
        """Say whether the picture at ``t_us`` is wanted; times must increase."""
        if self._origin is None:
            self._origin = self._seen = t_us
            self._next = 1
            return True
        # the next picture will be about one step later, so within half a step of the point none will be nearer
        near = min(t_us - self._seen, self._period) / 2
        self._seen = t_us
        if t_us - self._origin + near < self._next * self._period:
            return False
        self._next = int((t_us - self._origin + near) // self._period) + 1 if self._period else 0
        return True


class _Darkroom:
    """Turns a decoded picture into BGR pixels: upright, masks black, always the same size."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._size: tuple[int, int] | None = None
        self._masks: list[NDArray[np.int32]] = []

    def __call__(self, picture: Any) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = picture.to_ndarray(format="bgr24")
        if picture.rotation % 360 in _TURN:
            image = cv2.rotate(image, _TURN[picture.rotation % 360])  # type: ignore[assignment]
        elif picture.format.name == "bgr24":
            image = image.copy()  # the decoder still needs its own
        image = np.ascontiguousarray(image)
        size = (image.shape[0], image.shape[1])
        if self._size is None:
            self._size, self._masks = size, _outlines(self._source.masks, size)
        elif size != self._size:
            was, now = (f"{s[1]}x{s[0]}" for s in (self._size, size))
            raise VideoError(
                f"the picture of {self._source.name} changed from {was} to {now}, so masks and zones no longer fit; "
                "set the camera back or draw them again"
            )
        cv2.drawContours(image, self._masks, -1, (0, 0, 0), cv2.FILLED)
        return image


def _outlines(masks: tuple[tuple[Point, ...], ...], size: tuple[int, int]) -> list[NDArray[np.int32]]:
    """Outline the union of the masks: polygons filled in one call would cancel out where they overlap."""
    union = np.zeros(size, np.uint8)
    for mask in masks:
        cv2.fillPoly(union, [np.rint(np.array(mask)).astype(np.int32)], (255,))
    # one pixel wider than drawn, since corners were rounded to whole pixels
    union = cv2.dilate(union, np.ones((3, 3), np.uint8))  # type: ignore[assignment]
    return list(cv2.findContours(union, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0])  # type: ignore[arg-type]


def _open(source: Source) -> Any:
    """Open a source; the caller closes it.

    Raises:
        VideoError: it cannot be opened.
    """
    try:
        return _connect(source)
    except av.error.FFmpegError as error:
        reason = _reason(source, error)
    raise VideoError(reason)  # outside the except block: libav's own message holds the whole address


def _connect(source: Source) -> Any:
    if source.usb:
        match = _USB.match(source.url)
        container = av.open(f"/dev/video{match[1]}" if match else source.url, format="video4linux2,v4l2")
    elif source.live:
        container = av.open(
            source.url,
            # TCP: over UDP a lost packet is a damaged picture
            container_options={"rtsp_transport": "tcp", "allowed_media_types": "video"},
            timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S),
        )
    else:
        if Path(source.url).is_file() and Path(source.url).stat().st_size == 0:
            raise VideoError(f"{source.name} is empty; copy it again from the recorder")
        # an absolute path cannot be taken for a protocol, and the whitelist keeps playlists off the network
        container = av.open(str(Path(source.url).absolute()), container_options={"protocol_whitelist": "file"})
    if not container.streams.video:
        container.close()
        raise VideoError(f"{source.name} has no pictures in it; name a video")
    # one thread: on 2 cores frame threads decode sooner but cost 8 to 15 % more CPU, and we pay in CPU
    container.streams.video[0].codec_context.thread_count = 1
    return container


def _pictures(container: Any, live: bool) -> Iterator[Any]:
    """Decode, skipping what is damaged; the end of a file is the end, however it comes."""
    stream = container.streams.video[0]
    broken = 0
    while broken < BROKEN_READS:
        try:
            for packet in container.demux(stream):
                broken = 0
                try:
                    pictures = packet.decode()
                except av.error.InvalidDataError:
                    continue
                yield from (picture for picture in pictures if not picture.is_corrupt)
        except av.error.FFmpegError as error:
            if live:
                raise
            broken += 1
            _log.debug("unreadable stretch: %s", type(error).__name__)
        else:
            return


def _media_us(picture: Any) -> int | None:
    """Return the presentation time, microseconds of the container's own clock."""
    if picture.pts is None or picture.time_base is None:
        return None
    return int(round(picture.pts * picture.time_base * SECOND))


_LOGIN = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)
_HOPELESS = (VideoError, *_LOGIN, av.error.FileNotFoundError, av.error.PermissionError)


def _reason(source: Source, error: Exception) -> str:
    """Put an error into one line that says what to do and holds no credentials."""
    name = source.name
    if isinstance(error, VideoError):
        return str(error)
    if isinstance(error, _LOGIN):
        return f"{name} refuses the user or password; correct them in its address"
    if isinstance(error, av.error.FileNotFoundError):
        return f"there is no {name}; " + ("plug the camera in or check its number" if source.live else "check the path")
    if isinstance(error, av.error.IsADirectoryError):
        return f"{name} is a directory; name one video file"
    if isinstance(error, av.error.PermissionError):
        return f"{name} may not be read by this user; change its permissions"
    if source.live:
        why = re.sub(r"\W+", " ", getattr(error, "strerror", "") or type(error).__name__).strip().lower()
        return f"{name} does not answer as a camera should ({why}); check that it is on and its address is right"
    return f"{name} is not a video, or lost its index when it was cut off; export it again from the recorder"
