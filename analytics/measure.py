"""`openaisle measure`: zone visits of one clip, scored against a truth where there is one. Stores nothing.

The parts are those that `watch` runs; only the end differs: visits go to the caller instead of through the gate. Times
in the result are seconds from the first picture. With a pose net everybody in the clip is looked at as `watch` looks at
shoppers who said yes, and at nobody else: it is for clips whose people all agreed to that, or do not exist.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from analytics.accuracy import Score, Stay
from analytics.config import ConfigError, ZoneFile
from analytics.decided import Decided, DecisionScore, Reached
from analytics.decision import Deliberation, Outcome, deliberations
from analytics.detect import Detector
from analytics.doors import Doors
from analytics.dwell import DwellEngine
from analytics.look import Joints, SecondLook
from analytics.model import SECOND, Blind, Visit
from analytics.reach import Reaches
from analytics.tables import refuse_pipe
from analytics.video import Source, frames, probe
from analytics.vision import MotionGate, Vision
from analytics.zones import ZoneKind, out_of_picture
from consent.events import Purpose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analytics.canvas import Canvas

DEFAULT_FPS = 10.0  # looks a second; docs/decisions/tracking.md has what more and fewer give
_LARGEST = 2**53  # whole numbers up to here are exact as floats, and fit where the figures are counted


@dataclass(slots=True)
class Measurement:
    """What one run over one clip gave.

    Attributes:
        visits: in order of entering; times in microseconds of media time from the first picture.
        frames: pictures looked at, the gate's skipped ones included.
        inferences: how often the network ran.
        seconds: of media, first to last picture.
        blind_s: seconds of it in which nothing was seen.
        cpu_seconds: of this process for reading, seeing and measuring; loading the model is not in it.
        decisions: zone and deliberation, of product zones.
        reaches: of everybody who was looked at in a product zone.
        looks: how often the pose net ran.
        looks_cpu_s: CPU time of that, seconds.
        entries: people who were seen to come in, or None where no entrance is drawn.
        passers_by: people who were seen outside and nowhere else, or None where either is not drawn.
        decided: against true decisions, or None.
        score: against true visits, or None.
        tracking: HOTA and IDF1 against true boxes, or None.
    """

    visits: list[Visit] = field(default_factory=list)
    frames: int = 0
    inferences: int = 0
    seconds: float = 0.0
    blind_s: float = 0.0
    cpu_seconds: float = 0.0
    score: Score | None = None
    tracking: dict[str, float] | None = None
    decisions: list[tuple[str, Deliberation]] = field(default_factory=list)
    reaches: list[Reached] = field(default_factory=list)
    looks: int = 0
    looks_cpu_s: float = 0.0
    entries: int | None = None
    passers_by: int | None = None
    decided: DecisionScore | None = None

    def decisions_made(self) -> list[Decided]:
        """Return the deliberations as the scorer wants them."""
        return [
            Decided(
                Stay(zone, d.start_us / SECOND, d.leave_us / SECOND),
                None if d.pose_us is None else d.pose_us / SECOND,
                None if d.pose_us is None else d.outcome,
            )
            for zone, d in self.decisions
        ]

    def stays(self) -> list[Stay]:
        """Return the visits as the scorer wants them."""
        return [Stay(v.zone, v.enter_us / SECOND, v.leave_us / SECOND) for v in self.visits]

    def as_dict(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints."""
        return {
            "visits": [
                {
                    "zone": visit.zone,
                    "track": visit.track,
                    "enter_s": round(visit.enter_us / SECOND, 3),
                    "leave_s": round(visit.leave_us / SECOND, 3),
                    "end_reason": str(visit.end_reason),
                }
                for visit in self.visits
            ],
            "decisions": [
                {
                    "zone": one.stay.zone,
                    "start_s": round(one.stay.enter_s, 3),
                    "leave_s": round(one.stay.leave_s, 3),
                    "pose_s": None if one.pose_s is None else round(one.pose_s, 3),
                    "outcome": one.outcome,
                }
                for one in self.decisions_made()
            ],
            "reaches": [{"zone": one.zone, "onset_s": round(one.onset_s, 3)} for one in self.reaches],
            "entries": self.entries,
            "passers_by": self.passers_by,
            "looks": self.looks,
            "looks_cpu_seconds": round(self.looks_cpu_s, 3),
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "blind_s": round(self.blind_s, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "inferences": self.inferences,
            "score": {**(self.score.as_dict() if self.score else {}), **(self.tracking or {})} or None,
            "decision_score": self.decided.as_dict() if self.decided else None,
        }

    def table(self) -> str:
        """Return the figures per zone as text; lengths in seconds."""
        lines = [f"{'zone':<20}{'visits':>8}{'median':>10}{'p90':>10}{'longest':>10}{'censored':>10}"]
        for zone in sorted({visit.zone for visit in self.visits}):
            dwells = sorted(visit.dwell_us / SECOND for visit in self.visits if visit.zone == zone)
            censored = sum(visit.censored for visit in self.visits if visit.zone == zone) / len(dwells)
            median, p90 = (float(np.quantile(dwells, q)) for q in (0.5, 0.9))
            lines.append(
                f"{zone:<20}{len(dwells):>8}{median:>8.1f} s{p90:>8.1f} s{dwells[-1]:>8.1f} s{censored:>10.0%}"
            )
        if self.looks:
            lines += self._decision_lines()
        if self.entries is not None:
            outside = "" if self.passers_by is None else f", {self.passers_by} passers-by{self._capture()}"
            lines.append(f"{self.entries} entries{outside}")
        seen = 1 - self.blind_s / self.seconds if self.seconds else 0.0
        lines.append(
            f"{self.seconds:.1f} s of video, coverage {seen:.0%}{' (low: read with care)' if seen < 0.9 else ''}, "
            f"{self.frames} looks, {self.inferences} inferences, {self.cpu_seconds:.1f} s of CPU"
        )
        if self.score is not None:
            s = self.score
            dwell = "no visit matched" if s.dwell_error_s is None else f"dwell error {s.dwell_error_s:.2f} s"
            total = "" if s.total_dwell_error is None else f", total dwell {s.total_dwell_error:+.1%}"
            visits = f"{s.matched} of {s.true} true, {s.measured} measured"
            lines.append(f"against the truth: visit F1 {s.f1:.3f} ({visits}), {dwell}{total}")
        if self.tracking is not None:
            lines.append(f"against true boxes: HOTA {self.tracking['hota']:.3f}, IDF1 {self.tracking['idf1']:.3f}")
        if self.decided is not None:
            lines.append(f"against the truth: {self.decided}")
        return "\n".join(lines)

    def _capture(self) -> str:
        both = (self.entries or 0) + (self.passers_by or 0)
        return f": capture {(self.entries or 0) / both:.0%}" if both else ""

    def _decision_lines(self) -> list[str]:
        """Return how long people took to decide, by zone, from boxes and from joints, and what came of it."""
        names = ("take", "put back", "no touch", "lost")
        head = f"{'decisions':<20}{'box':>8}{'median':>10}{'pose':>8}{'median':>10}" + "".join(
            f"{n:>10}" for n in names
        )
        lines = [head]
        made = self.decisions_made()
        for zone in sorted({one.stay.zone for one in made}):
            mine = [one for one in made if one.stay.zone == zone]
            box = float(np.median([one.stay.leave_s - one.stay.enter_s for one in mine]))
            posed = [one.pose_s for one in mine if one.pose_s is not None]
            pose = f"{float(np.median(posed)):.1f} s" if posed else "-"
            outcomes = "".join(f"{sum(one.outcome is o for one in mine):>10}" for o in Outcome)
            lines.append(f"{zone:<20}{len(mine):>8}{f'{box:.1f} s':>10}{len(posed):>8}{pose:>10}{outcomes}")
        share = self.looks_cpu_s / self.seconds if self.seconds else 0.0
        lines.append(
            f"{len(self.reaches)} reaches; {self.looks} second looks, {self.looks_cpu_s:.1f} s of CPU"
            f" ({1000 * self.looks_cpu_s / self.looks:.1f} ms each, {share:.1%} of a core over the clip)"
        )
        return lines


def measure(
    video: Path,
    zones: ZoneFile,
    detector: Detector,
    *,
    fps: float | None = DEFAULT_FPS,
    motion_gate: bool = True,
    until_s: float | None = None,
    canvas: Canvas | None = None,
    progress: Callable[[float], object] | None = None,
    audit: TrackAudit | None = None,
    net: Callable[[], Joints] | None = None,
    turn: int = 0,
) -> Measurement:
    """Measure the zone visits of a clip; pads, staff zones and what is outside are no zones of a shop: no visits there.

    Args:
        video: any file PyAV reads.
        zones: see `analytics.config.read_zones`.
        detector: see `analytics.detect.detector`.
        fps: looks a second of media time; None looks at every picture.
        motion_gate: skip the network on pictures in which nothing moved.
        until_s: seconds of media after which to stop; None measures the whole clip.
        canvas: gets what was seen, to draw it; no picture.
        progress: called with the seconds of media done.
        audit: compares people with true boxes, frame by frame.
        net: makes the pose net; with it, everybody before a drawn shelf is looked at.
        turn: see `analytics.source.Source`; zones are drawn on the turned picture.

    Raises:
        VideoError: the file gives no picture.
        ConfigError: a zone lies outside its pictures.
    """
    source = Source(str(video), fps=fps, masks=zones.masks, turn=turn)
    info = probe(source)
    for zone in zones.zones():
        if out_of_picture(zone.polygon, info.width, info.height):
            raise ConfigError(
                f"zone {zone.name} lies outside the picture of {info.width}x{info.height}; draw it on a picture of this"
                " size, turned as this one is"
            )
    detector.detect(np.zeros((info.height, info.width, 3), np.uint8))  # loads and compiles before the clock starts
    vision = Vision(detector, gate=MotionGate() if motion_gate else None)
    measured = [zone for zone in zones.zones() if zone.kind.in_shop]
    outside = [zone for zone in zones.zones() if zone.kind is ZoneKind.OUTSIDE]
    doors, entered = Doors([*measured, *outside]), 0
    engine = DwellEngine([*measured, *outside], ground=zones.floor(), frame_size=(info.width, info.height))
    reaches = Reaches(measured, zones.floor())
    look = None if net is None else SecondLook([reaches], net)
    inside = {zone.name for zone in measured}
    products = {zone.name for zone in measured if zone.kind is ZoneKind.PRODUCT}
    result = Measurement()

    def close(visits: Sequence[Visit]) -> None:
        nonlocal entered
        entered += sum([doors.add(visit) for visit in visits])
        visits = [visit for visit in visits if visit.zone in inside]
        result.visits += visits
        for visit in visits:
            if visit.zone in products:
                handling = reaches.take(visit.track, visit.zone, visit.enter_us, visit.leave_us)
                result.decisions += [(visit.zone, d) for d in deliberations(visit, handling)]
                result.reaches += [Reached(visit.zone, start / SECOND) for start, _ in handling.reaches]

    started, last_us = time.process_time(), 0
    for item in frames(source):
        if isinstance(item, Blind):
            close(engine.blind(item.start_us, item.end_us))
            result.blind_s += (item.end_us - item.start_us) / SECOND
            vision.reset()
            continue
        seen = vision.see(item)
        close(engine.step(item.t_us, seen.sightings))
        for person in engine.came_out:
            doors.came_out(person)
        if look is not None:
            people = {s.track: engine.person(s.track) for s in seen.sightings}
            everybody = dict.fromkeys(people, frozenset({Purpose.DWELL}))
            look.step(item.t_us, item.image, seen.sightings, people, everybody, seen.untracked)
            look.forget(dict.fromkeys(engine.alive(), frozenset({Purpose.DWELL})))
        result.frames += 1
        last_us = item.t_us
        if canvas is not None:
            canvas.draw(item.t_us, seen)
        if audit is not None:
            audit.see(item.t_us, [(engine.person(s.track), s.box) for s in seen.sightings])
        if progress is not None:
            progress(last_us / SECOND)
        if until_s is not None and last_us >= until_s * SECOND:
            break
    close(engine.flush())
    if any(zone.kind is ZoneKind.ENTRANCE for zone in measured):
        result.entries = entered
        if outside:
            result.passers_by = sum(len(doors.gone(person)) for person in doors.people())
    if look is not None:
        result.looks, result.looks_cpu_s = look.looks, look.cpu_s
    result.decisions.sort(key=lambda made: (made[1].start_us, made[0]))
    result.reaches.sort(key=lambda one: (one.onset_s, one.zone))
    result.cpu_seconds = time.process_time() - started
    result.visits.sort(key=lambda visit: (visit.enter_us, visit.zone, visit.track))
    result.inferences = vision.inferences
    result.seconds = last_us / SECOND
    return result


class TrackAudit:
    """Compares people with true boxes: HOTA and IDF1 over the frames that were looked at.

    Args:
        path: MOTChallenge ``gt.txt``: frame (from 1), id, left, top, width, height, flag (0 is left out).
        fps: of the clip; the truth knows frame numbers only.

    Raises:
        ConfigError: the file is missing or malformed.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._fps = fps
        self._true: dict[int, list[tuple[int, tuple[float, float, float, float]]]] = {}
        self._true_ids: list[NDArray[np.int64]] = []
        self._ids: list[NDArray[np.int64]] = []
        self._overlaps: list[NDArray[np.float64]] = []
        try:
            refuse_pipe(path)
            with path.open(newline="", encoding="utf-8") as file:
                for number, row in enumerate(csv.reader(file), start=1):
                    try:
                        frame, person = int(row[0]), int(row[1])
                        left, top, width, height, flag = map(float, row[2:7])
                        if abs(person) > _LARGEST or not all(abs(v) <= _LARGEST for v in (left, top, width, height)):
                            raise ValueError
                    except (ValueError, IndexError) as error:
                        raise ConfigError(
                            f"{path}, row {number}: not frame, id, left, top, width, height, flag"
                        ) from error
                    if flag:
                        self._true.setdefault(frame, []).append((person, (left, top, left + width, top + height)))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ConfigError(f"{path} cannot be read as true boxes: {error}") from error

    def see(self, t_us: int, people: Sequence[tuple[int, tuple[float, float, float, float]]]) -> None:
        """Take one frame: person numbers and boxes in pixels."""
        from trackers.eval import box_iou

        true = self._true.get(round(t_us / SECOND * self._fps) + 1, [])
        self._true_ids.append(np.array([n for n, _ in true], dtype=np.int64))
        self._ids.append(np.array([n for n, _ in people], dtype=np.int64))
        boxes = [np.array([b for _, b in side], dtype=np.float64).reshape(-1, 4) for side in (true, people)]
        self._overlaps.append(box_iou(boxes[0], boxes[1]))

    def figures(self) -> dict[str, float]:
        """Return HOTA and IDF1, 0 to 1."""
        from trackers.eval import compute_hota_metrics, compute_identity_metrics

        sides = (self._true_ids, self._ids, self._overlaps)
        return {
            "hota": float(compute_hota_metrics(*sides)["HOTA"]),
            "idf1": float(compute_identity_metrics(*sides)["IDF1"]),
        }


def read_truth(path: Path, zones: ZoneFile) -> list[Stay]:
    """Read true visits and check that their zones exist.

    Raises:
        ConfigError: the truth file is missing, malformed, or names a zone the zone file does not have.
    """
    true = read_stays(path)
    known = {zone.name for zone in zones.zone}
    for stay in true:
        if stay.zone not in known:
            raise ConfigError(f"{path}: zone {stay.zone!r} is not in the zone file; it has {', '.join(sorted(known))}")
    return true


def read_decisions(path: Path) -> list[Decided]:
    """Read decisions from a CSV with the columns zone, person, start_s, leave_s, pose_s, outcome.

    `pose_s` and `outcome` may be empty where somebody never faced the shelf.

    Raises:
        ConfigError: one line with the file, the row and what is wrong.
    """

    def one(row: Mapping[str, str]) -> Decided:
        stay = Stay(row["zone"], float(row["start_s"]), float(row["leave_s"]))
        if not row["pose_s"] and not row["outcome"]:
            return Decided(stay, None, None)
        return Decided(stay, float(row["pose_s"]), Outcome(row["outcome"]))

    return _rows(path, ("zone", "start_s", "leave_s", "pose_s", "outcome"), one)


def read_reaches(path: Path) -> list[Reached]:
    """Read reaches from a CSV with the columns zone, person, onset_s.

    Raises:
        ConfigError: one line with the file, the row and what is wrong.
    """
    return _rows(path, ("zone", "onset_s"), lambda row: Reached(row["zone"], float(row["onset_s"])))


def read_stays(path: Path) -> list[Stay]:
    """Read visits from a CSV with the columns zone, person, enter_s, leave_s.

    Raises:
        ConfigError: one line with the file, the row and what is wrong.
    """
    wanted = ("zone", "enter_s", "leave_s")
    return _rows(path, wanted, lambda row: Stay(row["zone"], float(row["enter_s"]), float(row["leave_s"])))


Row = TypeVar("Row")


def _rows(path: Path, wanted: Sequence[str], one: Callable[[Mapping[str, str]], Row]) -> list[Row]:
    """Read a truth file row by row; a column that is not wanted does no harm."""
    try:
        refuse_pipe(path)
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark before the first word
            rows = csv.DictReader(file)
            if rows.fieldnames is None or not set(wanted) <= set(rows.fieldnames):
                columns = ", ".join((wanted[0], "person", *wanted[1:]))
                raise ConfigError(f"{path} needs the columns {columns} in its first row")
            found = []
            for row in rows:
                try:
                    found.append(one({name: row[name] or "" for name in wanted}))
                except (TypeError, ValueError) as error:
                    raise ConfigError(f"{path}, row {rows.line_num}: {error}") from error
            return found
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no CSV in UTF-8"
        raise ConfigError(f"{path} cannot be read as a truth file: {why}; check the path") from error
