"""Reaches on real clips of shoppers at shelves, against what is seen frame by frame: ``python -m tests.bench.reaches``.

The shelves are drawn by eye, without calibration. When a hand goes in was noted twice from the frames alone, by eyes
that did not know of each other or of any net's answer; the mean is taken, and the two are 0.34 s apart at most
(take_b, whose bags on pegs have no edge). One further touch of the table in store-aisle, at 3.3 s, was sure to
neither and is not counted. A clip lasts five seconds, so there is one reach of each person, and no deliberation to
speak of. A box is needed first, and a person detector wants heads up: clips from straight above are turned as their
cameras would be, by `turn` of their settings. Told for each clip: how many of the true reaches were found (right),
how many were made up (wrong), how many were missed, and how often a person was looked at.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analytics.config import read_zones
from analytics.decided import Reached, match_reaches
from analytics.detect import detector
from analytics.measure import measure
from analytics.pose import OWN, Pose
from tests.bench.clips import DATA

_AISLE = """
[[zone]]
name = "table"
kind = "product"
polygon = [[240, 150], [310, 150], [430, 269], [240, 269]]
shelf = { face = [[190, 55], [263, 51], [329, 269], [124, 269]], edge = [[268, 155], [320, 265]] }

[[zone]]
name = "shelf"
kind = "product"
polygon = [[240, 150], [310, 150], [430, 269], [240, 269]]
shelf = { face = [[278, 56], [344, 0], [479, 0], [479, 269], [424, 269], [285, 110]], edge = [[300, 161], [424, 269]] }
"""
_TAKE = """
[[zone]]
name = "shelf"
kind = "product"
polygon = {polygon}
shelf = {{ face = {face}, edge = {edge} }}
"""


@dataclass(frozen=True, slots=True)
class Filmed:
    """One clip: where it lies, its zone file, the true reaches in it, and its turn, degrees clockwise."""

    path: str
    zones: str
    reaches: tuple[Reached, ...]
    turn: int = 0


CLIPS = (
    # a man's hand is over the table when the clip begins, until 1.7 s; a woman's goes up to the shelf and stays there
    Filmed("intel/store-aisle-detection.gif", _AISLE, (Reached("table", 0.0), Reached("shelf", 0.8))),
    # from above, through a cooler's door
    Filmed(
        "shelf/retailaction_take_a.mp4",
        _TAKE.format(
            polygon=[[468, 468], [171, 468], [204, 270], [402, 254]],
            face=[[287, 320], [171, 303], [105, 138], [204, 56], [353, 89]],
            edge=[[320, 244], [188, 287]],
        ),
        (Reached("shelf", 3.25),),
        turn=180,
    ),
    # from above, to bags on pegs; head and arm hide all of the hand but its fingers
    Filmed(
        "shelf/retailaction_take_b.mp4",
        _TAKE.format(
            polygon=[[402, 501], [105, 501], [105, 237], [369, 237]],
            face=[[369, 105], [254, 254], [56, 188], [89, 6], [386, 6]],
            edge=[[353, 188], [105, 221]],
        ),
        (Reached("shelf", 2.0),),
        turn=180,
    ),
    # from above, deep into an open cooler
    Filmed(
        "shelf/retailaction_take_c.mp4",
        _TAKE.format(
            polygon=[[132, 534], [132, 237], [363, 204], [396, 402]],
            face=[[445, 386], [198, 204], [132, 1], [429, 1], [495, 303]],
            edge=[[445, 386], [231, 220]],
        ),
        (Reached("shelf", 2.33),),
        turn=270,
    ),
)


def main(words: Sequence[str] | None = None) -> int:
    """Measure each clip and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reaches", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--model", type=Path, default=OWN, help="the pose net (default: our own)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the test data")
    given = parser.parse_args(words)
    for clip in CLIPS:
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(clip.zones)
            file.flush()
            zones = read_zones(Path(file.name))
        found = measure(
            given.data / "video" / clip.path,
            zones,
            detector(None),
            fps=None,
            motion_gate=False,
            net=lambda: Pose(given.model),
            turn=clip.turn,
        )
        right = len(match_reaches(clip.reaches, found.reaches))
        times = ", ".join(f"{one.zone} {one.onset_s:.2f} s" for one in found.reaches) or "none"
        sys.stdout.write(
            f"{clip.path}: {right} right, {len(found.reaches) - right} wrong, {len(clip.reaches) - right} missed"
            f" ({times}); {len(found.visits)} visits, {found.looks} looks\n"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
