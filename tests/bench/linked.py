"""What a link keeps and what it lets slip, on real pictures with true boxes: ``python -m tests.bench.linked``.

Every true person is linked in turn, at the end of the first second in which their track stood clear of everybody, as
the pad would have it. From there the real detector, tracker, dwell engine, links and gate run on. Told per sequence:

- linked: how many people there was such a second for; with ``--anyhow`` a second under one number is enough, alone
  or not, which the pad never allows: a harder trial for what ends a link;
- kept: the share of their true dwell after the grant that is in rows of theirs, in all and until they first leave
  the picture;
- foreign: seconds in rows, and linked at all, in which the track was on somebody else's true box.

It stores nothing and prints figures only.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analytics.config import read_zones
from analytics.detect import detector
from analytics.dwell import DwellEngine, Stitch
from analytics.gate import ConsentedRow, admit
from analytics.guard import Box, LinkRules, overlap, touching
from analytics.links import Links
from analytics.measure import DEFAULT_FPS
from analytics.model import SECOND, Frame, Sighting, Visit
from analytics.video import Source, frames, probe
from analytics.vision import Seen, Vision
from analytics.zones import Ground
from consent.events import Level, Purpose

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = Path(os.environ.get("OPENAISLE_TEST_DATA", ROOT.parent / "shared" / "data"))
SEQUENCES = ("PETS09-S2L1", "TUD-Stadtmitte")
MODEL = "models/detection/yolov8n_int8_openvino_model"
SAME = 0.5  # intersection over union from which a box is on a true box (MOTChallenge)
CLEAR_US = SECOND  # alone for this long before the link
CLEAR_M = 1.05  # half a pad and its ring


@dataclass(frozen=True, slots=True)
class Look:
    """One frame after detector, tracker and dwell engine."""

    t_us: int
    seen: Seen
    people: Mapping[int, int]
    stitches: tuple[Stitch, ...]
    closed: tuple[Visit, ...]
    true: Mapping[int, Box]  # person: true box


@dataclass(frozen=True, slots=True)
class Clip:
    """One sequence, seen once."""

    looks: tuple[Look, ...]
    rest: tuple[Visit, ...]  # closed by the end of the clip
    visits: tuple[tuple[str, int, int, int], ...]  # true (zone, person, enter, leave), microseconds
    ground: Ground


@dataclass(slots=True)
class Tally:
    """Seconds of one sequence, summed over the people linked."""

    people: int = 0
    linked: int = 0
    own_s: float = 0.0
    kept_s: float = 0.0
    own_stay_s: float = 0.0
    foreign_rows_s: float = 0.0
    foreign_link_s: float = 0.0
    unmatched_rows_s: float = 0.0
    rows: int = 0
    ends: Counter[str] = field(default_factory=Counter)

    def figures(self) -> dict[str, object]:
        """Return what is printed."""
        return {
            "people": self.people,
            "linked": self.linked,
            "rows": self.rows,
            "true_dwell_after_grant_s": round(self.own_s, 2),
            "kept_s": round(self.kept_s, 2),
            "kept_share": round(self.kept_s / self.own_s, 3) if self.own_s else None,
            "of_it_before_leaving_the_picture_s": round(self.own_stay_s, 2),
            "kept_share_before_leaving": round(self.kept_s / self.own_stay_s, 3) if self.own_stay_s else None,
            "foreign_in_rows_s": round(self.foreign_rows_s, 2),
            "foreign_linked_s": round(self.foreign_link_s, 2),
            "on_no_true_box_in_rows_s": round(self.unmatched_rows_s, 2),
            "link_ends": dict(self.ends.most_common()),
        }


def watch(folder: Path, model: Path, fps: float) -> Clip:
    """Run detector, tracker and dwell engine over a sequence once."""
    source = Source(str(folder / f"{folder.name}.mp4"), fps=fps)
    info = probe(source)
    zones = read_zones(folder / "zones.toml")
    ground = zones.floor()
    engine = DwellEngine(zones.zones(), ground=ground, frame_size=(info.width, info.height))
    vision = Vision(detector(model))
    true = _true_boxes(folder / "gt" / "gt.txt")
    rate = _rate(folder / "seqinfo.ini")
    looks: list[Look] = []
    for frame in frames(source):
        if not isinstance(frame, Frame):
            continue
        t_us = frame.t_us
        seen = vision.see(frame)
        closed = tuple(engine.step(t_us, seen.sightings))
        people = {s.track: engine.person(s.track) for s in seen.sightings}
        number = round((t_us - (looks[0].t_us if looks else t_us)) / SECOND * rate) + 1
        looks.append(Look(t_us, seen, people, tuple(engine.stitches), closed, true.get(number, {})))
    start_us = looks[0].t_us
    with (folder / "visits.csv").open(encoding="utf-8", newline="") as lines:
        visits = tuple(
            (
                row["zone"],
                int(row["person"]),
                start_us + round(float(row["enter_s"]) * SECOND),
                start_us + round(float(row["leave_s"]) * SECOND),
            )
            for row in csv.DictReader(lines)
        )
    return Clip(tuple(looks), tuple(engine.flush()), visits, ground)


def _rate(seqinfo: Path) -> float:
    lines = seqinfo.read_text(encoding="utf-8").splitlines()
    return next(float(line.partition("=")[2]) for line in lines if line.startswith("frameRate"))


def _true_boxes(path: Path) -> dict[int, dict[int, Box]]:
    boxes: dict[int, dict[int, Box]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        frame, person, x, y, w, h = (float(v) for v in line.split(",")[:6])
        boxes.setdefault(int(frame), {})[int(person)] = (x, y, x + w, y + h)
    return boxes


def on(box: Box, true: Mapping[int, Box]) -> int | None:
    """Return the true person a box is on, the best of those it overlaps enough."""
    best = max(((overlap(box, b)[0], n) for n, b in true.items()), default=(0.0, 0))
    return best[1] if best[0] >= SAME else None


def _clear(look: Look, mine: Sighting, person: int, ground: Ground, rules: LinkRules) -> bool:
    """Say whether a track stands clear of everybody, seen or only true, by box and on the floor."""
    others = [s.box for s in look.seen.sightings if s.track != mine.track] + list(look.seen.untracked)
    others += [box for n, box in look.true.items() if n != person]
    return not any(
        touching(mine.box, box, rules.touch)
        or ground.distance(mine.x, mine.y, (box[0] + box[2]) / 2, box[3], mine.height) < CLEAR_M
        for box in others
    )


def moment(clip: Clip, person: int, rules: LinkRules, anyhow: bool = False) -> tuple[int, int] | None:
    """Return (look, track) at the end of the person's first second alone (or not) under one number, or None."""
    track, since_us = None, 0
    for n, look in enumerate(clip.looks):
        mine = next((s for s in look.seen.sightings if on(s.box, look.true) == person), None)
        if mine is None or not (anyhow or _clear(look, mine, person, clip.ground, rules)):
            track = None
        elif mine.track != track:
            track, since_us = mine.track, look.t_us
        elif look.t_us - since_us >= CLEAR_US:
            return n, mine.track
    return None


def left_us(clip: Clip, first: int, person: int) -> int:
    """Return the last instant before the person is first out of the picture for over two seconds."""
    last_us = clip.looks[first].t_us
    for look in clip.looks[first:]:
        if person in look.true:
            last_us = look.t_us
        elif look.t_us - last_us > 2 * SECOND:
            break
    return last_us


def follow(clip: Clip, person: int, rules: LinkRules, tally: Tally, anyhow: bool = False) -> None:
    """Link one true person and sum up what is kept of them and of others."""
    tally.people += 1
    found = moment(clip, person, rules, anyhow)
    if found is None:
        return
    first, track = found
    tally.linked += 1
    links = Links(clip.ground, rules)
    at = clip.looks[first]
    grant_us = at.t_us
    mine = next(s for s in at.seen.sightings if s.track == track)
    links.bind(
        grant_us,
        mine,
        subject="linked",
        purposes=frozenset({Purpose.DWELL}),
        start_us=grant_us,
        person=at.people[track],
    )
    rows: list[ConsentedRow] = []
    last_us, why, until_us = grant_us, "to the end", grant_us
    gone_us = left_us(clip, first, person)

    def take(visits: Sequence[Visit], now_us: int) -> None:
        for visit in visits:
            row = admit(visit, links.permit(visit.track), level=Level.DWELL, now_us=now_us)
            if isinstance(row, ConsentedRow):
                rows.append(row)

    held: dict[int, int] = {}  # instant: the track then linked
    held[grant_us] = track
    for look in clip.looks[first + 1 :]:
        ended = links.step(
            look.t_us,
            look.seen.sightings,
            look.seen.untracked,
            people=look.people,
            stitches=look.stitches,
        )
        why = next((str(doubt) for doubt in ended.values()), why)
        take(look.closed, look.t_us)
        now = links.holder("linked")
        if now is not None:
            held[look.t_us] = now
        last_us = look.t_us
        if (permit := links.permit(at.people[track])) is not None:
            until_us = permit.until_us
    take(clip.rest, last_us)
    tally.ends[why] += 1
    tally.rows += len(rows)
    for zone, who, enter_us, leave_us in clip.visits:
        if who == person:
            tally.own_s += max(0, leave_us - max(enter_us, grant_us)) / SECOND
            tally.own_stay_s += max(0, min(leave_us, gone_us) - max(enter_us, grant_us)) / SECOND
            tally.kept_s += sum(
                max(0, min(leave_us, r.visit.leave_us) - max(enter_us, r.visit.enter_us)) / SECOND
                for r in rows
                if r.visit.zone == zone
            )
    for look, after in zip(clip.looks[first:], clip.looks[first + 1 :], strict=False):
        mine_now = next((s for s in look.seen.sightings if s.track == held.get(look.t_us)), None)
        if mine_now is None:
            continue
        span_s = (after.t_us - look.t_us) / SECOND
        who_now = on(mine_now.box, look.true)
        in_rows = sum(r.visit.enter_us <= look.t_us < r.visit.leave_us for r in rows)
        if who_now is None:
            tally.unmatched_rows_s += span_s * in_rows
        elif who_now != person:
            tally.foreign_rows_s += span_s * in_rows
            tally.foreign_link_s += span_s * (look.t_us <= until_us)


def run(clip: Clip, rules: LinkRules | None = None, anyhow: bool = False) -> Tally:
    """Link every true person of a sequence in turn."""
    tally = Tally()
    for person in sorted({n for look in clip.looks for n in look.true}):
        follow(clip, person, rules or LinkRules(), tally, anyhow)
    return tally


def main() -> int:
    """Print the figures of both sequences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the test data")
    parser.add_argument("--fps", type=float, default=DEFAULT_FPS, help="looks a second at most")
    parser.add_argument("--anyhow", action="store_true", help="link people who are not alone, too")
    options = parser.parse_args()
    figures = {}
    for name in SEQUENCES:
        clip = watch(options.data / "tracking" / name, options.data / MODEL, options.fps)
        figures[name] = run(clip, anyhow=options.anyhow).figures()
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
