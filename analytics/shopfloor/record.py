"""The truth of the demo clip as files, and back: small, plain, and equal on every run.

| file | what it holds |
|---|---|
| ``demo.mp4`` | the clip (`render`) |
| ``demo.zones.toml`` | zones and ground calibration, the zone file format |
| ``demo.visits.csv`` | zone visits of shoppers and passers in measured zones: ``zone,person,enter_s,leave_s`` |
| ``demo.decisions.csv`` | shoppers' deliberations: ``zone,person,start_s,leave_s,pose_s,outcome`` |
| ``demo.reaches.csv`` | everybody's reaches: ``zone,person,onset_s`` |
| ``demo.truth.json`` | `Truth`: people, all visits, stops, reaches, decisions, pad times, consent script, deeds |
| ``demo.boxes.csv.gz`` | one row per person and frame: box, visible share, key points |

Nothing is computed here and nothing is rendered.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from analytics.model import AnalyticsError
from analytics.shopfloor import cast, onpad, sight, truth
from analytics.shopfloor.script import Deed
from analytics.shopfloor.shop import CAMERA, FLOOR_ZONES, FPS, HEIGHT, WIDTH, Array, shelf_faces, zones

HERE = Path(__file__).parent
CLIP, ZONES, VISITS = "demo.mp4", "demo.zones.toml", "demo.visits.csv"
DECISIONS, REACHES = "demo.decisions.csv", "demo.reaches.csv"
TRUTH, BOXES = "demo.truth.json", "demo.boxes.csv.gz"
GROUND_METRES = ((2.3, 4.9), (7.0, 4.6), (7.0, -0.4), (2.2, -0.4))  # four floor points well apart in the picture


@dataclass(frozen=True, slots=True)
class Who:
    """One person of the clip.

    Attributes:
        name: as in all files.
        role: ``shopper``, ``staff`` or ``passer``.
        height_m: metres.
    """

    name: str
    role: str
    height_m: float


@dataclass(frozen=True, slots=True)
class Truth:
    """All that is true of the clip but its boxes. Times are seconds from the first frame.

    Attributes:
        seed: of looks and wanderers.
        fps: frames a second.
        frames: number of frames.
        size: width and height, pixels.
        people: everybody.
        visits: all zone visits of everybody, pad and staff zone too.
        stops: shoppers' stops in product zones.
        reaches: everybody's reaches.
        decisions: shoppers' deliberations.
        pad: who stood on the pad, alone or not.
        choices: the consent script.
        deeds: takes, put-backs, touches, payments and abandoned queues, as the script has them.
        shelves: each shelf's face in pixels, for the REACH rule.
    """

    seed: int
    fps: int
    frames: int
    size: tuple[int, int]
    people: tuple[Who, ...]
    visits: tuple[truth.TrueVisit, ...]
    stops: tuple[truth.TrueStop, ...]
    reaches: tuple[truth.Reach, ...]
    decisions: tuple[truth.Decision, ...]
    pad: tuple[onpad.PadTime, ...]
    choices: tuple[cast.Choice, ...]
    deeds: tuple[Deed, ...]
    shelves: dict[str, tuple[tuple[float, float], ...]]

    @property
    def duration_s(self) -> float:
        """Length of the clip, seconds."""
        return self.frames / self.fps

    def measured(self) -> list[truth.TrueVisit]:
        """Return the visits that an audit compares: of zones of the shop, and none of staff."""
        staff = {p.name for p in self.people if p.role == "staff"}
        kinds = {name: kind for name, (kind, _) in FLOOR_ZONES.items()}
        return [v for v in self.visits if v.person not in staff and kinds[v.zone].in_shop]


_ROWS: dict[str, type] = {
    "people": Who,
    "visits": truth.TrueVisit,
    "stops": truth.TrueStop,
    "reaches": truth.Reach,
    "decisions": truth.Decision,
    "pad": onpad.PadTime,
    "choices": cast.Choice,
    "deeds": Deed,
}


def observe(performance: sight.Stage, found: Sequence[sight.Box]) -> Truth:
    """Write down everything that is true of a performance whose boxes are `found`."""
    end = len(performance.instants) / FPS
    stays = truth.visits(found, end)
    touched = truth.reaches(performance)
    return Truth(
        seed=cast.SEED,
        fps=FPS,
        frames=len(performance.instants),
        size=(WIDTH, HEIGHT),
        people=tuple(Who(p.name, p.role, p.height) for p in performance.people),
        visits=tuple(stays),
        stops=tuple(truth.stops_in_zones(performance, stays)),
        reaches=tuple(touched),
        decisions=tuple(truth.decisions(performance, stays, touched, end)),
        pad=tuple(onpad.pad_times(performance.instants)),
        choices=tuple(onpad.choices(performance.instants)),
        deeds=tuple(replace(d, start_s=round(d.start_s, 2), end_s=round(d.end_s, 2)) for d in performance.deeds),
        shelves=shelf_faces(),
    )


def to_json(told: Truth) -> str:
    """Return the truth as JSON, one line for each row."""
    lines = []
    for name, value in asdict(told).items():
        if name in _ROWS:
            rows = ",\n  ".join(json.dumps(list(row.values())) for row in value)
            columns = json.dumps([f.name for f in fields(_ROWS[name])])
            lines.append(f'"{name}": {{"columns": {columns}, "rows": [\n  {rows}\n ]}}')
        else:
            lines.append(f'"{name}": {json.dumps(value)}')
    return "{\n " + ",\n ".join(lines) + "\n}\n"


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def from_json(text: str) -> Truth:
    """Read what `to_json` wrote.

    Raises:
        AnalyticsError: the text is no truth file of this version.
    """
    try:
        told = json.loads(text)
        for name, row in _ROWS.items():
            if told[name]["columns"] != [f.name for f in fields(row)]:
                raise AnalyticsError(f"the columns of {name} in the truth file are of another version; write it again")
            told[name] = tuple(row(*map(_tuples, values)) for values in told[name]["rows"])
        told["size"] = _tuples(told["size"])
        told["shelves"] = {name: _tuples(face) for name, face in told["shelves"].items()}
        return Truth(**told)
    except (ValueError, KeyError, TypeError) as error:
        raise AnalyticsError(f"this is no truth file of the demo shop ({error}); write it again") from error


def zones_toml() -> str:
    """Return the zone file of the clip."""
    image = CAMERA.project(np.array([(x, y, 0.0) for x, y in GROUND_METRES]))[:, :2].round(3).tolist()
    lines = ["# The demo shop's floor as its camera sees it; made from the plan in analytics/shopfloor/shop.py.", ""]
    for zone in zones():
        corners = ", ".join(f"[{x}, {y}]" for x, y in zone.polygon)
        lines += ["[[zone]]", f'name = "{zone.name}"', f'kind = "{zone.kind}"', f"polygon = [{corners}]"]
        if zone.shelf is not None:
            face, edge = ([list(p) for p in points] for points in (zone.shelf.face, zone.shelf.edge))
            lines += [f"shelf = {{ face = {face}, edge = {edge} }}"]
        lines += [""]
    lines += ["[ground]", f"image = {image}", f"metres = {[list(p) for p in GROUND_METRES]}", ""]
    return "\n".join(lines)


def _points(p: Array) -> list[str]:
    return [f"{v:.1f}" for v in p.ravel().tolist()]


def boxes_csv(found: Sequence[sight.Box]) -> str:
    """Return all boxes as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [f"{point}_{axis}" for point in sight.POINTS for axis in "xy"]
    writer.writerow(["frame", "person", "x1", "y1", "x2", "y2", "visible", *names])
    for b in found:
        writer.writerow([b.frame, b.person, *b.box, b.visible, *_points(b.points)])
    return out.getvalue()


def read_boxes(file: Path = HERE / BOXES) -> list[sight.Box]:
    """Read the boxes file."""
    with gzip.open(file, "rt", newline="") as lines:
        rows = list(csv.reader(lines))[1:]
    return [
        sight.Box(
            int(r[0]), r[1], (float(r[2]), float(r[3]), float(r[4]), float(r[5])), float(r[6]),
            np.array(r[7:], dtype=np.float64).reshape(-1, 2),
        )
        for r in rows
    ]  # fmt: skip


def read(file: Path = HERE / TRUTH) -> Truth:
    """Read the truth file."""
    return from_json(file.read_text())


def write(out: Path) -> sight.Stage:
    """Write every file but the clip into `out`, and return the performance."""
    performance = sight.stage()
    found = sight.boxes(performance)
    told = observe(performance, found)
    out.mkdir(parents=True, exist_ok=True)
    (out / ZONES).write_text(zones_toml())
    (out / TRUTH).write_text(to_json(told))
    with (out / VISITS).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["zone", "person", "enter_s", "leave_s"])
        writer.writerows([v.zone, v.person, v.enter_s, v.leave_s] for v in told.measured())
    with (out / DECISIONS).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["zone", "person", "start_s", "leave_s", "pose_s", "outcome"])
        for d in told.decisions:
            outcome = "lost" if d.censored else d.outcome
            posed = ("", "") if d.decision_pose_s is None else (d.decision_pose_s, outcome)
            writer.writerow([d.zone, d.person, d.stop_s, d.leave_s, *posed])
    with (out / REACHES).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["zone", "person", "onset_s"])
        writer.writerows([r.shelf, r.person, r.onset_s] for r in told.reaches)
    # no name and no time in the header: the same truth gives the same file
    (out / BOXES).write_bytes(gzip.compress(boxes_csv(found).encode(), 9, mtime=0))
    return performance
