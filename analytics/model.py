"""The nouns that travel between the rooms of analytics.

Time is always an argument: microseconds since the Unix epoch, UTC, as ``int``, taken from the media, never from the
wall clock at inference. Space is pixels of the full frame, origin top left, x right, y down. Nothing here holds a
pixel except `Frame`, and no `Frame` travels further than `analytics.vision`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SECOND = 1_000_000  # microseconds


class AnalyticsError(Exception):
    """Base of every error this package raises on purpose; its text tells the reader what to do."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture at one instant.

    Attributes:
        t_us: presentation time, UTC microseconds.
        image: (height, width, 3) uint8, BGR, privacy masks already blacked out.
        taken_us: earliest and latest instant at which it can have been taken; None where that is `t_us` itself.
    """

    t_us: int
    image: NDArray[np.uint8]
    taken_us: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Blind:
    """An interval in which the camera saw nothing: a stall, a reconnect, a hole in the timestamps.

    Attributes:
        start_us: last instant seen before the gap.
        end_us: first instant seen after it, or the instant the source ended.
        reason: ``gap`` (timestamps jump), ``stalled`` (no frame arrived), ``reconnect`` (the stream died).
    """

    start_us: int
    end_us: int
    reason: str

    def __post_init__(self) -> None:
        if self.end_us < self.start_us:
            raise ValueError(f"a blind interval ends before it starts: {self.start_us} > {self.end_us}")


@dataclass(frozen=True, slots=True)
class Sighting:
    """One tracked person in one frame, pixels left behind.

    Attributes:
        track: the tracker's number, unique within one run of one camera.
        x: foot point, pixels.
        y: foot point, pixels.
        height: body height as seen, pixels (the unit BH of the metric definitions).
        confidence: of the detection, 0 to 1.
        box: (x1, y1, x2, y2) pixels; for links, pads and drawing, never stored.
    """

    track: int
    x: float
    y: float
    height: float
    confidence: float
    box: tuple[float, float, float, float]


class StartReason(StrEnum):
    """Why a visit begins when it does."""

    CROSSED = "crossed"  # was seen outside before
    APPEARED = "appeared"  # first sight of the track was inside
    CONSENT = "consent"  # the grant came while inside
    SPLIT = "split"  # the switch guard cut the track


class EndReason(StrEnum):
    """Why a visit ends when it does."""

    CROSSED = "crossed"
    LOST = "lost"
    BLIND = "blind"
    OPT_OUT = "opt_out"


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay of one track in one zone, closed.

    Attributes:
        track: person number of the dwell engine (tracks that were stitched share one).
        zone: name of the zone.
        enter_us: first instant inside.
        leave_us: first instant outside, or the last sight for a censored visit.
        start_reason: see `StartReason`.
        end_reason: see `EndReason`.
        stops: (start_us, end_us) of each stop inside, by the STOP/RESUME rule of the metric definitions.
    """

    track: int
    zone: str
    enter_us: int
    leave_us: int
    start_reason: StartReason
    end_reason: EndReason
    stops: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.leave_us < self.enter_us:
            raise ValueError(f"a visit ends before it starts: {self.enter_us} > {self.leave_us}")

    @property
    def censored(self) -> bool:
        """True where the end was not seen: the true stay is at least this long."""
        return self.end_reason in (EndReason.LOST, EndReason.BLIND)

    @property
    def dwell_us(self) -> int:
        """Length of the stay in microseconds."""
        return self.leave_us - self.enter_us
