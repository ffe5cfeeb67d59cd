"""What was seen, drawn on an empty floor: boxes, track numbers and zones, and no picture of anybody.

A copy of the camera's picture would still show whoever the detector missed; here nothing is shown but what was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
import supervision as sv

from analytics.model import AnalyticsError
from analytics.vision import Seen
from analytics.zones import Zone

_FLOOR = 24  # grey level of the empty canvas


class Canvas:
    """An H.264 file that gets one drawing for each frame seen; a context manager.

    Args:
        path: of the file to write, ending in .mp4 or .mkv.
        size: (width, height) of the camera's picture, pixels.
        zones: drawn under the boxes.

    Raises:
        AnalyticsError: the file cannot be written.
    """

    def __init__(self, path: Path, size: tuple[int, int], zones: Sequence[Zone]) -> None:
        width, height = (side - side % 2 for side in size)  # yuv420p knows no odd sides
        if path.suffix not in {".mp4", ".mkv"}:
            raise AnalyticsError(f"{path} is no video file name; let it end in .mp4 or .mkv")
        self._path = path
        self._file = av.open(str(path), "w")
        self._stream = self._file.add_stream("libx264", rate=25)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, 90_000)
        with self._writing():
            self._file.start_encoding()  # only now is the file opened
        self._empty = np.full((height, width, 3), _FLOOR, np.uint8)
        palette = sv.ColorPalette.DEFAULT
        for index, zone in enumerate(zones):
            corners = np.asarray(zone.polygon, dtype=np.int64)
            self._empty = sv.draw_filled_polygon(self._empty, corners, palette.by_idx(index), opacity=0.25)
            self._empty = sv.draw_polygon(self._empty, corners, palette.by_idx(index), thickness=1)
            x, y = corners.mean(axis=0)
            self._empty = sv.draw_text(self._empty, zone.name, sv.Point(float(x), float(y)), sv.Color.WHITE, 0.4)
        self._box = sv.BoxAnnotator(thickness=1, color_lookup=sv.ColorLookup.TRACK)
        self._label = sv.LabelAnnotator(text_scale=0.35, text_padding=2, color_lookup=sv.ColorLookup.TRACK)
        self._first_us: int | None = None

    def draw(self, t_us: int, seen: Seen) -> None:
        """Add the drawing of one frame at its own media time."""
        picture = self._empty.copy()
        if seen.sightings:
            people = sv.Detections(
                xyxy=np.asarray([s.box for s in seen.sightings], np.float32),
                tracker_id=np.asarray([s.track for s in seen.sightings]),
            )
            picture = self._label.annotate(
                self._box.annotate(picture, people), people, [str(s.track) for s in seen.sightings]
            )
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        if self._first_us is None:
            self._first_us = t_us
        frame.pts, frame.time_base = (t_us - self._first_us) * 9 // 100, Fraction(1, 90_000)
        with self._writing():
            self._file.mux(self._stream.encode(frame))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, av.error.FFmpegError) as error:  # the encoder's refusals, of a size say, are no OSError
            raise AnalyticsError(f"{self._path} cannot be written: {error.strerror}; choose another place") from error

    def __enter__(self) -> Canvas:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._writing(), self._file:
            self._file.mux(self._stream.encode())
