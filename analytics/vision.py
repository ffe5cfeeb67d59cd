"""Pixels in, tracked people out; no pixel travels further than this module.

A `Vision` is one camera's eyes: a detector, a motion gate that skips looks at still pictures, a tracker that gives
numbers, and foot points. It keeps one grey thumbnail of 160 pixels' width in memory for the gate, and writes nothing.
Nobody is recognised: a track number says only "the same box a moment ago, in clothes of much the same colours".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import supervision as sv

from analytics.body import Bodies, Box
from analytics.detect import Detector
from analytics.model import SECOND, Frame, Sighting

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tracking:
    """OC-SORT's settings; docs/decisions/tracking.md says how they were chosen.

    Attributes:
        sure: detections from this confidence on start and carry tracks.
        overlap: least IoU between a track's prediction and a detection.
        confirm: consecutive frames before a track gets a number.
        lost_s: seconds an unmatched track waits for its person; the dwell engine stitches beyond.
        weak_overlap: a weaker detection is trusted where it overlaps by this IoU with where a track was last seen...
        taken: ... that no sure detection covers by this IoU.
        twice: of two boxes that overlap by more than this IoU the less sure one carries no track, as it is mostly the
            same person twice; it still counts as somebody where doubt does.
    """

    sure: float = 0.4
    overlap: float = 0.15
    confirm: int = 2
    lost_s: float = 1.0
    weak_overlap: float = 0.4
    taken: float = 0.3
    twice: float = 0.55


@dataclass(frozen=True, slots=True)
class GateRules:
    """When a picture is so like the last one that nobody can have moved.

    Attributes:
        width: of the thumbnails that are compared, pixels.
        level: a pixel has changed when it differs by more grey levels than this.
        pixels: so many changed pixels are motion.
        heartbeat_s: a look is taken at least this often, motion or not.
    """

    width: int = 160
    level: int = 12
    pixels: int = 3
    heartbeat_s: float = 1.0


class MotionGate:
    """Says whether a picture is worth a look. Keeps one grey thumbnail in memory."""

    def __init__(self, rules: GateRules | None = None) -> None:
        self._rules = rules or GateRules()
        self._last: NDArray[np.uint8] | None = None
        self._last_us = 0

    def opens(self, frame: Frame) -> bool:
        """Say whether to look at this frame, and if so remember it as the last one looked at."""
        height, width = frame.image.shape[:2]
        size = (self._rules.width, max(1, round(height * self._rules.width / width)))
        thumbnail = cv2.cvtColor(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        if self._last is not None and frame.t_us - self._last_us < self._rules.heartbeat_s * SECOND:
            changed = np.count_nonzero(cv2.absdiff(thumbnail, self._last) > self._rules.level)
            if changed < self._rules.pixels:
                return False
        self._last, self._last_us = cast("NDArray[np.uint8]", thumbnail), frame.t_us
        return True


@dataclass(frozen=True, slots=True)
class Seen:
    """What one frame showed.

    Attributes:
        sightings: people with a track number.
        untracked: boxes (x1, y1, x2, y2) in pixels of people without one; they count where doubt does.
    """

    sightings: tuple[Sighting, ...]
    untracked: tuple[Box, ...] = ()


class Vision:
    """One camera's eyes: detector, motion gate, tracker, foot points.

    Args:
        detector: see `Detector`.
        gate: skips looks at still pictures; None looks at every frame it is given.
        tracking: see `Tracking`.

    Attributes:
        inferences: how often the network ran.
    """

    def __init__(self, detector: Detector, *, gate: MotionGate | None = None, tracking: Tracking | None = None) -> None:
        self._detector = detector
        self._gate = gate
        self._tracking = tracking or Tracking()
        self._numbers = 0
        self.inferences = 0
        self._bodies: Bodies | None = None
        self.reset()

    def reset(self) -> None:
        """Forget every track; to be called after a blind interval. Track numbers are not used again."""
        from trackers import OCSORTTracker

        from analytics.clothing import Clothing

        self._clothing = Clothing(self._tracking.overlap)
        self._tracker = OCSORTTracker(
            lost_track_buffer=round(self._tracking.lost_s * 30),  # the library counts frames at 30 a second
            minimum_consecutive_frames=self._tracking.confirm,
            minimum_iou_threshold=self._tracking.overlap,
            high_conf_det_threshold=self._tracking.sure,
            iou=self._clothing,
        )
        self._renumber: dict[int, int] = {}
        self._last = sv.Detections.empty()
        self._places: dict[int, tuple[int, Box]] = {}  # where and when each track was last seen

    def see(self, frame: Frame) -> Seen:
        """Find and follow the people of one frame.

        Args:
            frame: later than the one before; the picture is not kept.
        """
        height, width = frame.image.shape[:2]
        if self._bodies is None:
            self._bodies = Bodies((width, height))
        if self._gate is None or self._gate.opens(frame):
            self._last = self._detector.detect(frame.image)
            self.inferences += 1
            for box, confidence in _rows(self._last):
                self._bodies.learn(box, confidence)
        offered = self._trust(self._last, frame.t_us)
        sure = offered.xyxy if offered.confidence is None else offered.xyxy[offered.confidence >= self._tracking.sure]
        self._clothing.look(frame.image, sure, self._tracker.tracks)
        tracked = self._tracker.update(offered, timestamp=frame.t_us / SECOND)
        self._clothing.learn(self._tracker.tracks)
        sightings, untracked = [], []
        numbers = np.full(len(tracked), -1) if tracked.tracker_id is None else tracked.tracker_id
        for number, (box, confidence) in zip(numbers.tolist(), _rows(tracked), strict=True):
            if number < 0:
                untracked.append(box)
                continue
            if number not in self._renumber:
                self._numbers += 1
                self._renumber[number] = self._numbers
            track = self._renumber[number]
            x, y, body = self._bodies.stand(track, box)
            sightings.append(Sighting(track=track, x=x, y=y, height=body, confidence=confidence, box=box))
            self._places[track] = frame.t_us, box
        alive = {int(t.tracker_id) for t in self._tracker.tracks}
        self._renumber = {old: new for old, new in self._renumber.items() if old in alive}
        self._bodies.forget(set(self._renumber.values()))
        return Seen(tuple(sightings), tuple(untracked))

    def _trust(self, found: sv.Detections, t_us: int) -> sv.Detections:
        """Raise weak detections that stand where a track just was to the confidence that carries it on.

        Somebody half hidden gives a weak box; a weak box in the middle of nowhere is nobody. OC-SORT looks at sure
        boxes only, so the two are told apart here.
        """
        rules = self._tracking
        oldest = t_us - int(rules.lost_s * SECOND)
        self._places = {track: place for track, place in self._places.items() if place[0] >= oldest}
        if not len(found) or found.confidence is None:
            return found
        among = sv.box_iou_batch(found.xyxy, found.xyxy)
        order = np.argsort(-found.confidence)
        single = np.zeros(len(found), bool)
        for index in order:
            single[index] = not (among[index, single] > rules.twice).any()
        carried = np.where(single, found.confidence, 0.0)
        sure = np.asarray(carried >= rules.sure)
        places = np.array([box for _, box in self._places.values()], dtype=np.float32).reshape(-1, 4)
        overlaps = sv.box_iou_batch(found.xyxy, places)  # (detections, tracks)
        free = np.asarray(~(overlaps[sure] >= rules.taken).any(axis=0))
        for index in order if len(places) else ():
            if sure[index] or (among[index, sure] >= 0.5).any():  # a second box of somebody surely seen
                continue
            track = int(np.argmax(np.where(free, overlaps[index], 0.0)))
            if free[track] and overlaps[index, track] >= rules.weak_overlap:
                free[track] = False
                carried[index] = rules.sure
        trusted = sv.Detections(xyxy=found.xyxy, confidence=carried, class_id=found.class_id)
        trusted.data["seen"] = found.confidence
        return trusted


def _rows(detections: sv.Detections) -> Iterator[tuple[Box, float]]:
    """Yield each box and the detector's confidence in it as plain numbers."""
    confidences = np.asarray(detections.data.get("seen", detections.confidence))
    yield from zip(map(tuple, detections.xyxy.tolist()), confidences.tolist(), strict=True)
