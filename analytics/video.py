"""One reader for files, RTSP cameras and USB cameras: (media time, pixels), and nothing about people.

Rules:

* Time is media time. A file starts at `Source.start_us` and follows the container's presentation times; a live source
  is anchored to the clock when its first picture arrives and follows its presentation times from there. Frame numbers,
  the container's frame count and its frame rate are never used for time, except where a picture carries no time at all.
* Time only moves forward. A picture that would repeat an instant or step back is dropped.
* Where nothing was seen for over two seconds there is a `Blind`, handed on before the picture that ends it. A live
  camera that stays dark is told as several, one after the other, so that nobody is remembered while it is away.
* A live source always hands on the newest picture. It reconnects by itself for as long as it is read.
* A picture is turned as its file and its camera's settings say; then privacy masks are filled black, both before it
  leaves this module.

What it does not do: find people, store pixels, undistort a lens. Opening and decoding is `analytics.source`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from analytics.feed import BLIND_AFTER_US, Feed
from analytics.model import SECOND, Blind, Frame
from analytics.source import Grid, Source, VideoError, media_us, open_source, pictures, probe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analytics.zones import Point

POLL_S = 0.1  # how soon `stop` is noticed while nothing arrives

__all__ = ["Source", "VideoError", "frames", "probe", "utc_us"]

_TURN = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def utc_us() -> int:
    """Return the wall clock, UTC microseconds: the anchor of live sources."""
    return time.time_ns() // 1000


def frames(
    source: Source, *, stop: Callable[[], bool] | None = None, clock: Callable[[], int] = utc_us
) -> Iterator[Frame | Blind]:
    """Read a source: pictures in order of time, and a `Blind` for each hole between them.

    With `Source.fps`, the first picture at or after each point of a regular grid of media time is handed on; the
    others are decoded but not converted. A file that is damaged or cut yields what decodes and then ends. A live
    source ends only by ``stop``.

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
    last: int | None = None
    with open_source(source) as container:
        develop, grid = _Darkroom(source), Grid(source.fps)
        rate = container.streams.video[0].guessed_rate
        period = round(SECOND / rate) if rate else SECOND // 25  # only for pictures without a time
        shift: int | None = None  # media time + shift = UTC
        for picture in pictures(container, live=False):
            if stop():
                return
            media = media_us(picture)
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
    if last is None:
        raise VideoError(f"no picture in {source.name} can be decoded; export it again from the recorder")


def _live(source: Source, stop: Callable[[], bool], clock: Callable[[], int]) -> Iterator[Frame | Blind]:
    develop = _Darkroom(source)
    last = clock()
    patience = BLIND_AFTER_US + (SECOND / source.fps if source.fps else 0)
    feed = Feed(source, clock, last)
    feed.start()
    try:
        ending = False
        while not ending:
            ending = stop()
            if (taken := feed.take(0 if ending else POLL_S)) is None:
                if (hole := feed.dark()) is not None:
                    yield hole
                    last = hole.end_us
                continue
            t, between, picture, dark_from, reason = taken
            if dark_from is None and t - last > patience:  # pictures came, but were overtaken before anyone looked
                dark_from = last
            if dark_from is not None:
                yield Blind(dark_from, t, reason)
            yield Frame(t, develop(picture), between)
            last = t
        if (now := clock()) - feed.seen_us > BLIND_AFTER_US:
            yield Blind(feed.seen_us, now, "reconnect" if feed.down else "stalled")
    finally:
        feed.close()


class _Darkroom:
    """Turns a decoded picture into BGR pixels: upright, masks black, always the same size."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._convert = VideoReformatter()
        self._size: tuple[int, int] | None = None
        self._masks: list[NDArray[np.int32]] = []

    def __call__(self, picture: Any) -> NDArray[np.uint8]:
        # one converter, one thread: a new one for each picture costs twice the CPU
        image: Any = self._convert.reformat(picture, format="bgr24", threads=1).to_ndarray()
        turn = (picture.rotation - self._source.turn) % 360  # counter-clockwise, as containers count
        if turn in _TURN:
            image = cv2.rotate(image, _TURN[turn])
        elif picture.format.name == "bgr24":
            image = image.copy()  # the decoder still needs its own
        image = np.ascontiguousarray(image)
        size = (image.shape[0], image.shape[1])
        if self._size is None:
            for mask in self._source.masks:
                if not _outlines((mask,), size):  # drawn for a picture that was turned otherwise, or of another size
                    raise VideoError(
                        f"a mask of {self._source.name} covers nothing of its picture of {size[1]}x{size[0]}; "
                        "draw it again or take it out"
                    )
            self._size, self._masks = size, _outlines(self._source.masks, size)
        elif size != self._size:
            was, now = (f"{s[1]}x{s[0]}" for s in (self._size, size))
            raise VideoError(
                f"the picture of {self._source.name} changed from {was} to {now}, so masks and zones no longer fit; "
                "set the camera back or draw them again"
            )
        cv2.drawContours(image, self._masks, -1, (0, 0, 0), cv2.FILLED)
        pixels: NDArray[np.uint8] = image
        return pixels


def _outlines(masks: tuple[tuple[Point, ...], ...], size: tuple[int, int]) -> list[NDArray[np.int32]]:
    """Outline the union of the masks: polygons filled in one call would cancel out where they overlap."""
    union = np.zeros(size, np.uint8)
    for mask in masks:
        cv2.fillPoly(union, [np.rint(np.array(mask)).astype(np.int32)], (255,))
    # one pixel wider than drawn, since corners were rounded to whole pixels
    union = cv2.dilate(union, np.ones((3, 3), np.uint8))  # type: ignore[assignment]
    return list(cv2.findContours(union, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0])  # type: ignore[arg-type]
