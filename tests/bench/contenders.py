"""What a user could run over a clip to get zone visits: ours and two others. Each bench process runs exactly one.

All get the same file, weights and zones, on the same machine; one line of ours has the project's own weights. CPU is
user and system time of the whole process, all threads, from the first picture to the last visit: reading the file is in
it, importing and loading the model is not (one look at a black picture comes before the clock starts). The others are
used as their own documentation shows, at their own defaults; nothing of theirs is tuned, for or against.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.accuracy import Stay
from analytics.detect import OWN, PERSON, detector, stand_in_for_torchvision
from analytics.measure import DEFAULT_FPS, measure
from analytics.quiet import quiet_parts
from tests.bench.clips import MODEL, Clip

if TYPE_CHECKING:
    import supervision as sv

EXIT_S = 1.5  # away for longer, and a visit has ended: the exit rule of the truth
SHORT_S = 0.5  # a stay shorter than this is no visit, in the truth as well


@dataclass(frozen=True, slots=True)
class Run:
    """What one contender gave on one clip; seconds."""

    stays: list[Stay]
    cpu_s: float
    media_s: float
    looks: int
    inferences: int


def ours(
    clip: Clip,
    *,
    fps: float | None = DEFAULT_FPS,
    gate: bool = True,
    fit_aspect: bool = True,
    model: Path = MODEL,
) -> Run:
    """Run openaisle, as `openaisle measure` does."""
    result = measure(
        clip.video,
        clip.zones(),
        detector(model, fit_aspect=fit_aspect),
        fps=fps,
        motion_gate=gate,
        until_s=clip.seconds,
    )
    return Run(result.stays(), result.cpu_seconds, result.seconds, result.frames, result.inferences)


def supervision_recipe(clip: Clip, *, anchor: str) -> Run:
    """Run supervision's time-in-zone example: every frame, ByteTrack, and a timer from the first sight in the zone.

    The example is ``examples/time_in_zone/ultralytics_file_example.py`` of roboflow/supervision, at its default
    confidence and overlap. It took its tracker from supervision, which has handed it over to `trackers`.

    Args:
        clip: see `Clip`.
        anchor: which point of a box must lie in the zone; the example says CENTER, the library BOTTOM_CENTER.
    """
    import supervision as sv
    from trackers import ByteTrackTracker

    model, zones, rate = _yolo(clip), clip.zones(), sv.VideoInfo.from_video_path(str(clip.video)).fps
    polygons = {
        zone.name: sv.PolygonZone(np.array(zone.polygon, np.int64), triggering_anchors=[sv.Position[anchor]])
        for zone in zones.zone
    }
    tracker = ByteTrackTracker()
    inside: dict[tuple[str, int], list[float]] = {}
    started, index = time.process_time(), -1
    for index, frame in enumerate(sv.get_video_frames_generator(str(clip.video))):
        t = index / rate
        if clip.seconds is not None and t > clip.seconds:
            break
        found = sv.Detections.from_ultralytics(model(frame, verbose=False, conf=0.3)[0])
        people: sv.Detections = found[found.class_id == PERSON]  # type: ignore[assignment]
        tracked = tracker.update(people.with_nms(threshold=0.7))
        for name, zone in polygons.items():
            within: sv.Detections = tracked[zone.trigger(tracked)]  # type: ignore[assignment]
            for person in () if within.tracker_id is None else within.tracker_id.tolist():
                if person >= 0:
                    inside.setdefault((name, person), [t, t])[1] = t
    # the timer of a number starts once and runs on: one visit, from the first to the last sight inside
    stays = [Stay(zone, first, last) for (zone, _), (first, last) in inside.items()]
    return Run(stays, time.process_time() - started, index / rate, index + 1, index + 1)


def yolo_track(clip: Clip, *, tracker: str) -> Run:
    """Run ``YOLO.track`` on the file, every frame, with the foot point and the exit rule of the truth on top."""
    model, zones = _yolo(clip), clip.zones()
    import cv2

    capture = cv2.VideoCapture(str(clip.video))
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    places = {zone.name: zone for zone in zones.zones()}
    inside: dict[tuple[str, int], list[float]] = {}
    started, index = time.process_time(), -1
    results = model.track(source=str(clip.video), stream=True, tracker=tracker, classes=[PERSON], verbose=False)
    for index, result in enumerate(results):
        t = index / rate
        if clip.seconds is not None and t > clip.seconds:
            break
        if result.boxes.id is None:
            continue
        for (x1, _, x2, y2), person in zip(result.boxes.xyxy.tolist(), result.boxes.id.int().tolist(), strict=True):
            for name, zone in places.items():
                if zone.contains((x1 + x2) / 2, y2):
                    inside.setdefault((name, person), []).append(t)
    stays = [stay for (zone, _), times in inside.items() for stay in _by_exit_rule(zone, times)]
    return Run(stays, time.process_time() - started, index / rate, index + 1, index + 1)


def _by_exit_rule(zone: str, times: list[float]) -> Iterator[Stay]:
    first = last = times[0]
    for t in [*times[1:], float("inf")]:
        if t - last > EXIT_S:
            if last - first >= SHORT_S:
                yield Stay(zone, first, last)
            first = t
        last = t


def _yolo(clip: Clip) -> Any:
    """Load the weights into ultralytics and look once at a black picture of the clip's size."""
    from analytics.video import Source, probe

    quiet_parts()
    stand_in_for_torchvision()
    from ultralytics import YOLO

    model, info = YOLO(str(MODEL), task="detect"), probe(Source(str(clip.video)))
    model.predict(np.zeros((info.height, info.width, 3), np.uint8), verbose=False)
    return model


OURS = "ours, defaults"
BASELINE = "YOLO.track, bytetrack"

CONTENDERS: dict[str, Callable[[Clip], Run]] = {
    OURS: ours,
    "ours, own weights": partial(ours, model=OWN),
    "ours, every frame": partial(ours, fps=None),
    "ours, 12.5 fps": partial(ours, fps=12.5),
    "ours, 5 fps": partial(ours, fps=5.0),
    "ours, no motion gate": partial(ours, gate=False),
    "ours, square input": partial(ours, fit_aspect=False),
    "ours, no saver at all": partial(ours, fps=None, gate=False, fit_aspect=False),
    BASELINE: partial(yolo_track, tracker="bytetrack.yaml"),
    "YOLO.track, botsort": partial(yolo_track, tracker="botsort.yaml"),
    "time in zone, centre": partial(supervision_recipe, anchor="CENTER"),
    "time in zone, foot": partial(supervision_recipe, anchor="BOTTOM_CENTER"),
}
ON_SPARSE = (OURS, "ours, own weights", "ours, no motion gate", "ours, no saver at all", BASELINE)


def entered(clip: Clip) -> list[str]:
    """Return the contenders that run on a clip."""
    return [name for name in CONTENDERS if name in ON_SPARSE or not clip.sparse]
