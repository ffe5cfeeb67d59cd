"""How often a second head beside a face is noticed, so that neither is read: ``python -m tests.bench.heads``.

The first heads are those of previews of Intel's sample videos that the reader would read; what is around each of them
is blurred away, so that they are alone. The second heads are cut out of other clips, without shoulders and with them,
and laid beside, below or above: half as large to as large, their middles a number of face widths apart. *Facing* is
one of which the pose net sees nose and both eyes, *side* one of which it sees the nose, *away* any other.

*Goods* is no head but a piece of a shelf, cut out in the same way: how often the reading stops for something else.

Told: how many first faces are read without the head finder and refused by it; for each kind and distance, in which
share the first face is not read without the head finder, by the head finder alone, and by the rule as it is; and where
that is remembered for the visit: in which share a second face is surely seen, and in which one a second head is perhaps
there. Nothing is written.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from analytics.body import Box
from analytics.detect import Detector, Thresholds, detector
from analytics.expression import Unread
from analytics.faces import Faces
from analytics.guard import overlap
from analytics.heads import Heads
from analytics.model import Frame
from analytics.pose import Pose
from analytics.reading import FaceRules, face_of
from analytics.video import Source, frames
from tests.bench.clips import DATA

if TYPE_CHECKING:
    from numpy.typing import NDArray

READ = (  # clips with faces that can be read, and every how many pictures
    ("video/intel/face-demographics-walking-and-pause.gif", 2),
    ("video/intel/head-pose-face-detection-female-and-male.gif", 4),
)
LAID = (
    ("tracking/TUD-Stadtmitte/TUD-Stadtmitte.mp4", 30),
    ("video/towncentre_10s.mp4", 100),
    ("video/intel/store-aisle-detection.gif", 15),
)
FAR = (0.8, 1.2, 1.8, 2.5)  # face widths between the middles
FACE = 0.09  # width of a face, of the body's height
TALL = 110  # pixels, of a body whose head is cut out
SURE = 0.5  # of a point


@dataclass(frozen=True, slots=True)
class Head:
    """A piece of a picture with a head in it: where its middle is, and how wide its face, pixels."""

    image: NDArray[np.uint8]
    middle: tuple[float, float]
    wide: float


def pictures(data: Path, name: str, step: int) -> Iterator[NDArray[np.uint8]]:
    """Yield every `step`-th picture of a clip."""
    seen = (f.image for f in frames(Source(str(data / name))) if isinstance(f, Frame))
    yield from (image for n, image in enumerate(seen) if n % step == 0)


def boxes_of(eyes: Detector, image: NDArray[np.uint8]) -> list[Box]:
    """Return everybody whom the detector sees."""
    return [tuple(box) for box in eyes.detect(image).xyxy.tolist()]


def alone(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Blur all that lies outside a person's box."""
    mask = np.zeros(image.shape[:2], np.float32)
    tall = box[3] - box[1]
    cv2.rectangle(mask, (round(box[0]), round(box[1] - 0.05 * tall)), (round(box[2]), round(box[3])), (1,), -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 2)[..., None]  # type: ignore[assignment]
    return np.asarray(image * mask + cv2.GaussianBlur(image, (0, 0), 40) * (1 - mask), np.uint8)


def heads(data: Path, net: Pose) -> dict[str, list[Head]]:
    """Cut out heads by kind."""
    found: dict[str, list[Head]] = defaultdict(list)
    for name, step in LAID:
        eyes = detector(None, thresholds=Thresholds(floor=0.5))
        for image in pictures(data, name, step):
            for box in boxes_of(eyes, image):
                points = net.points(image, box)
                if box[3] - box[1] < TALL or points is None or points[5:7, 2].min() < SURE:
                    continue
                face = points[:5, 2] >= SURE
                if not face.any():
                    continue
                x, y = points[:5, :2][face].mean(axis=0).tolist()
                wide = FACE * (box[3] - box[1])
                left, top, right, bottom = (
                    int(v) for v in (x - 1.8 * wide, y - 1.3 * wide, x + 1.8 * wide, y + 3.6 * wide)
                )
                if left >= 0 and top >= 0 and right < image.shape[1] and bottom < image.shape[0]:
                    kind = "facing" if face[:3].all() else "side" if face[0] else "away"
                    found[kind].append(Head(image[top:bottom, left:right].copy(), (x - left, y - top), wide))
                    if name == LAID[-1][0]:  # the shelves at the left of that clip, where nobody is
                        goods = image[: bottom - top, : right - left].copy()
                        found["goods"].append(Head(goods, (x - left, y - top), wide))
    return found


def lay(
    image: NDArray[np.uint8], head: Head, at: tuple[float, float], wide: float, *, shoulders: bool
) -> NDArray[np.uint8]:
    """Return a picture with a head laid in, its middle at a place and its face so many pixels wide."""
    (x, y), w = head.middle, head.wide
    mask = np.zeros(head.image.shape[:2], np.float32)
    cv2.ellipse(mask, (round(x), round(y)), (round(0.62 * w), round(0.85 * w)), 0, 0, 360, (1,), -1)
    if shoulders:
        side = [(0.4, 0.6), (1.25, 1.3), (1.3, 3.6)]
        outline = [(x + a * w, y + b * w) for a, b in side] + [(x - a * w, y + b * w) for a, b in side[::-1]]
        cv2.fillPoly(mask, [np.array(outline, np.int32)], (1,))
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.6, 0.06 * w))  # type: ignore[assignment]
    scale = wide / w
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    piece = cv2.resize(head.image, None, fx=scale, fy=scale, interpolation=how)
    weight = cv2.resize(mask, piece.shape[1::-1])[..., None]
    left, top = round(at[0] - x * scale), round(at[1] - y * scale)
    x1, y1 = max(0, left), max(0, top)
    x2, y2 = min(image.shape[1], left + piece.shape[1]), min(image.shape[0], top + piece.shape[0])
    part = (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
    out = image.copy()
    under = image[y1:y2, x1:x2]
    out[y1:y2, x1:x2] = np.asarray(under * (1 - weight[part]) + piece[part] * weight[part], np.uint8)
    return out


def _beside(finds: Heads, image: NDArray[np.uint8], points: NDArray[np.float32]) -> float:
    """Ask the head finder alone."""
    nose, *eyes = points[:3, :2].tolist()
    return finds.beside(image, (nose[0], nose[1]), max(1.0, math.dist(*eyes)))


def _how(shoulders: bool) -> str:
    return "with shoulders" if shoulders else "head alone"


def _shares(row: Sequence[int]) -> str:
    n, before, net, now, sure, perhaps = row
    return (
        f"{now} of {n} noticed ({now / n:.0%}); without the head finder {before / n:.0%}, by it alone {net / n:.0%};"
        f" remembered: sure {sure / n:.0%}, perhaps {perhaps / n:.0%}"
    )


def main(words: Sequence[str] | None = None) -> int:
    """Lay heads beside heads and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.heads", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the test data")
    parser.add_argument("--times", type=int, default=4, help="heads laid beside each, a kind and distance (default: 4)")
    given = parser.parse_args(words)
    net, finder, finds, rules = Pose(), Faces(), Heads(), FaceRules()
    without = replace(rules, head=math.inf)
    heads_by, goods_by = random.Random(5), random.Random(6)
    laid = heads(given.data, net)
    tally: dict[tuple[str, bool, float], list[int]] = defaultdict(lambda: [0] * 6)
    first = refused = 0
    for name, step in READ:
        eyes = detector(None)
        for picture in pictures(given.data, name, step):
            for box in boxes_of(eyes, picture):
                image = alone(picture, box)
                points = net.points(image, box)
                before = boxes_of(eyes, image)
                beside = [b for b in before if overlap(b, box)[0] < 0.6]
                if points is None or isinstance(face_of(image, points, beside, finder, finds, without), Unread):
                    continue
                x, y = points[:3, :2].mean(axis=0).tolist()
                wide = 2.0 * math.dist(points[1, :2], points[2, :2])  # a face is two eye distances wide, about
                first += 1
                alone_read = face_of(image, points, beside, finder, finds, rules)
                if isinstance(alone_read, Unread):
                    refused += 1
                    continue
                for kind, shoulders, far in ((k, s, f) for k in sorted(laid) for s in (False, True) for f in FAR):
                    chance = goods_by if kind == "goods" else heads_by
                    for _ in range(given.times):
                        turn = chance.uniform(-0.2, 1.2) * math.pi  # beside or below, seldom above
                        at = (x + far * wide * math.cos(turn), y + far * wide * math.sin(turn))
                        large = wide * chance.uniform(0.5, 1.0)
                        one = chance.choice(laid[kind])
                        if not (0 < at[0] < image.shape[1] and 0 < at[1] < image.shape[0]):
                            continue
                        both = lay(image, one, at, large, shoulders=shoulders)
                        seen = boxes_of(eyes, both)
                        others = [b for b in seen if all(overlap(b, c)[0] < 0.6 for c in (box, *before))]
                        said = net.points(both, box)
                        before_said, now_said = (
                            Unread.OTHER if said is None else face_of(both, said, others, finder, finds, how)
                            for how in (without, rules)
                        )
                        row = tally[kind, shoulders, far]
                        row[0] += 1
                        row[1] += isinstance(before_said, Unread)
                        row[2] += said is not None and _beside(finds, both, said) >= rules.head
                        row[3] += isinstance(now_said, Unread)
                        row[4] += now_said is Unread.BESIDE
                        row[5] += now_said is Unread.PERHAPS
    sys.stdout.write(f"{first} single faces that are read without the head finder; it refuses {refused} of them\n")
    for (kind, shoulders, far), row in sorted(tally.items()):
        sys.stdout.write(f"{kind}, {_how(shoulders)}, {far} face widths: {_shares(row)}\n")
    for kind in sorted(laid):
        for shoulders in (False, True):
            rows = [row for (k, s, _), row in tally.items() if (k, s) == (kind, shoulders)]
            sys.stdout.write(f"{kind}, {_how(shoulders)}: {_shares(np.sum(rows, axis=0).tolist())}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
