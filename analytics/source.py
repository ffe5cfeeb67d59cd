"""Where pictures come from: a file, an RTSP camera or a USB camera, opened and decoded with PyAV.

Rules:

* Camera credentials reach no message and no log line: an address is shown as `Source.name`, and libav, which writes
  whole addresses, is kept silent.
* A camera is called through `analytics.relay`: its host and no other, wherever it sends its callers.
* A file is read and nothing else: only containers that hold their pictures themselves are opened, so that no playlist
  and no numbered name leads to another file or to the network.
* What is damaged is skipped; a picture that the decoder calls damaged is not handed on.

What this does not do: time, masks, reconnecting (`analytics.video` does), sound.
"""

from __future__ import annotations

import errno
import logging
import math
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.logging

from analytics.model import SECOND, AnalyticsError
from analytics.relay import Relay

if TYPE_CHECKING:
    from analytics.zones import Point

OPEN_TIMEOUT_S = 5.0  # a server that does not answer is given up after this
READ_TIMEOUT_S = 3.0  # a connection that brings nothing is closed after this; libav waits for it up to twice
USB_DELAY_S, RTSP_DELAY_S = (
    0.5,
    2.0,
)  # ours: at most, where nobody measured it; a camera's encoder may hold pictures back
TURNS = (0, 90, 180, 270)  # degrees clockwise
BROKEN_READS = 100  # unreadable stretches in a row after which a file is taken to have ended

av.logging.set_level(None)

_log = logging.getLogger(__name__)
_LIVE = ("rtsp://", "rtsps://")
# Containers of libav that hold their pictures themselves; not on it are hls, concat, dash, image2 and all that read on.
_CONTAINERS = (
    "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,h264,hevc,m4v,h263,vc1,av1,obu,ivf,mjpeg,mpjpeg,gif,apng,flv,asf,"
    "ogg,mxf,nut,dv,dhav,wtv,yuv4mpegpipe,wav"
)
_USB = re.compile(r"usb:(\d+)$")


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
        masks: polygons in pixels of the full picture as it is handed on, filled black; parts outside it are cut off.
        latency_s: how old a picture of a live source is at most when it reaches us; None for what is usual.
        turn: by how much pictures are turned before anything else, degrees clockwise: 0, 90, 180 or 270.
    """

    url: str = field(repr=False)
    start_us: int = 0
    fps: float | None = None
    masks: tuple[tuple[Point, ...], ...] = ()
    latency_s: float | None = None
    turn: int = 0

    def __post_init__(self) -> None:
        if not self.url:
            raise VideoError("no video source given; name a file, an rtsp:// address or usb:0")
        if "://" in self.url and not self.url.lower().startswith(_LIVE):
            raise VideoError(f"{self.name} is not a kind of address this reads; use a file, rtsp:// or usb:0")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise VideoError(f"fps must be a number above 0, not {self.fps}; leave it out for every frame")
        if self.turn not in TURNS:
            raise VideoError(f"pictures are turned by 0, 90, 180 or 270 degrees clockwise, not by {self.turn}")
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
    def delay_s(self) -> float:
        """How old a picture is at most when it reaches us; 0 for a file, which has no time but its own."""
        if not self.live:
            return 0.0
        usual = USB_DELAY_S if self.usb else RTSP_DELAY_S
        return usual if self.latency_s is None else self.latency_s

    @property
    def name(self) -> str:
        """The address without user, password and parameters, fit for messages and logs."""
        if "://" not in self.url:
            return re.sub(r"^(\w+:/?).*@", r"\1…@", self.url)  # an address with a slash too few
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
        codec: of its pictures, as libav calls it.
    """

    width: int
    height: int
    fps: float | None
    duration_s: float | None
    live: bool
    codec: str


class Grid:
    """Picks the first picture at or after each point of a regular grid of media time."""

    def __init__(self, fps: float | None) -> None:
        self._period = SECOND / fps if fps else 0.0
        self.restart()

    def restart(self) -> None:
        """Begin a new grid at the next picture."""
        self._origin: int | None = None
        self._next = 0

    def due(self, t_us: int) -> bool:
        """Say whether the picture at ``t_us`` is wanted; times must increase."""
        if self._origin is None:
            self._origin = t_us
        since = t_us - self._origin + self._period / 20  # containers round their times, by up to a tick
        if since < self._next * self._period:
            return False
        self._next = int(since // self._period) + 1 if self._period else 0
        return True


@contextmanager
def open_source(source: Source) -> Iterator[Any]:
    """Open a source for as long as the context lasts.

    Raises:
        VideoError: it cannot be opened.
    """
    with ExitStack() as stack:
        try:
            container = stack.enter_context(connect(source))
        except av.error.FFmpegError as error:
            reason = reason_of(source, error)
        else:
            yield container
            return
    raise VideoError(reason)  # outside the except block: libav's own message holds the whole address


@contextmanager
def connect(source: Source) -> Iterator[Any]:
    """Open a source as libav does, for as long as the context lasts, with its own errors, which may hold credentials.

    Raises:
        VideoError: it was opened and is of no use.
        av.error.FFmpegError: it cannot be opened now.
    """
    with ExitStack() as stack:
        container = _open(source, stack)
        stack.callback(container.close)
        if not container.streams.video:
            raise VideoError(f"{source.name} has no pictures in it; name a video")
        context = container.streams.video[0].codec_context
        if context is None:
            raise VideoError(
                f"{source.name} holds pictures in a form unknown here; export it again, as H.264 if you can"
            )
        # one thread: on 2 cores frame threads decode sooner but cost 8 to 15 % more CPU, and we pay in CPU
        context.thread_count = 1
        yield container


def _open(source: Source, stack: ExitStack) -> Any:
    if source.usb:
        match = _USB.match(source.url)
        return av.open(f"/dev/video{match[1]}" if match else source.url, format="video4linux2,v4l2")
    if source.live:
        return _call(source, stack)
    path = Path(source.url)
    if path.is_file() and path.stat().st_size == 0:
        raise VideoError(f"{source.name} is empty; copy it again from the recorder")
    if path.exists() and not path.is_file() and not path.is_dir():  # to open a pipe is to wait for its writer
        raise VideoError(f"{source.name} is a pipe or a device; name a video file")
    # an absolute path cannot be taken for a protocol; the lists keep what is in it off other files and the network
    return av.open(
        str(path.absolute()), container_options={"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    )


def _call(source: Source, stack: ExitStack) -> Any:
    """Open a network camera through a door of our own; the stack closes the door."""
    try:
        relay = stack.enter_context(Relay(source.url))
    except ValueError:
        raise av.error.FFmpegError(errno.EINVAL, "no host in it") from None
    try:
        return av.open(
            relay.url,
            # TCP: over UDP a lost packet is a damaged picture
            # analysis stores pictures up to guess the frame rate, and we need none
            container_options={
                "rtsp_transport": "tcp",
                "allowed_media_types": "video",
                "analyzeduration": "100000",
            },
            timeout=(OPEN_TIMEOUT_S, READ_TIMEOUT_S),
        )
    except av.error.FFmpegError:
        if relay.failure is None and not relay.elsewhere:
            raise
    if relay.failure is not None:
        raise av.error.FFmpegError(errno.ECONNREFUSED, relay.failure.strerror or "no answer")
    raise VideoError(f"{source.name} sends whoever calls elsewhere; write that address instead")


def probe(source: Source) -> VideoInfo:
    """Open a source, decode one picture, and close it again.

    Raises:
        VideoError: nothing can be read from it.
    """
    try:
        with open_source(source) as container:
            stream = container.streams.video[0]
            picture = next(pictures(container, source.live), None)
            if picture is None:
                raise VideoError(f"no picture in {source.name} can be decoded; export it again from the recorder")
            turned = (picture.rotation + source.turn) % 180 != 0
            rate = stream.guessed_rate or stream.average_rate
            duration = None if source.live else container.duration
            return VideoInfo(
                width=picture.height if turned else picture.width,
                height=picture.width if turned else picture.height,
                fps=float(rate) if rate else None,
                duration_s=duration / av.time_base if duration else None,
                live=source.live,
                codec=str(stream.codec_context.name),
            )
    except av.error.FFmpegError as error:
        reason = reason_of(source, error)
    raise VideoError(reason)


def pictures(container: Any, live: bool) -> Iterator[Any]:
    """Decode, skipping what is damaged; the end of a file is the end, however it comes."""
    stream = container.streams.video[0]
    broken = 0
    while broken < BROKEN_READS:
        try:
            for packet in container.demux(stream):
                broken = 0
                try:
                    decoded = packet.decode()
                except av.error.InvalidDataError:
                    continue
                yield from (picture for picture in decoded if not picture.is_corrupt)
        except av.error.FFmpegError as error:
            if live:
                raise
            broken += 1
            _log.debug("unreadable stretch: %s", error)
        else:
            return


def media_us(picture: Any) -> int | None:
    """Return the presentation time, microseconds of the container's own clock."""
    if picture.pts is None or picture.time_base is None:
        return None
    microseconds: int = round(picture.pts * picture.time_base * SECOND)
    return microseconds


_LOGIN = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)
HOPELESS = (VideoError, *_LOGIN, av.error.FileNotFoundError, av.error.PermissionError)


def reason_of(source: Source, error: Exception) -> str:
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
        if isinstance(error, av.error.ExitError):
            return f"{name} does not answer; check that it is on and its address is right"
        why = re.sub(r"\W+", " ", getattr(error, "strerror", "") or type(error).__name__).strip().lower()
        return f"{name} does not answer as a camera should ({why}); check that it is on and its address is right"
    if isinstance(error, av.error.ArgumentError):  # what libav says of a container that is not listed
        return f"{name} is a playlist, a picture or a rare kind of file; give one video file, MP4 if you can"
    return f"{name} is not a video, or lost its index when it was cut off; export it again from the recorder"
