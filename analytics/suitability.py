"""What a zone is worth before anybody is measured in it: good, fair or poor, why, and what to do. Pure geometry.

Rules:
- A reason is poor where the metric definitions say that the zone cannot work, or where people are too small in it; fair
  where it works with a loss that can be named. Each says what to do.
- The heights of people come from boxes seen by this camera, else from its calibration, else they are not known; what
  follows from them is not guessed then, and that is said.
- Nothing is stored, and nothing about a person goes in: boxes of this moment, and out comes a line about the floor.

Thresholds without a source are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

from analytics.zones import BODY_HEIGHT_M, Ground, Point, Zone, ZoneKind, border_distance, contains, nearest_border

# ours: shares of the longer side of the picture, which the detector sees at 512 pixels, so about 36 and 18 of those
SMALL, TOO_SMALL = 0.070, 0.035
JITTER = 8.0  # pixels by which a standing person's box moves (docs/metrics.md, "implied speed")
BAND_M = 0.1  # within it of the border the earlier state holds
ROOM_M = 0.3  # ours: a foot point may be off by so much, and the zone still has a middle
EDGE_M = 0.5  # from the picture's left, right and lower edge: who ends there is taken to have gone
PAD_M = (2 * ROOM_M, 3.0)  # ours: a pad's middle holds one person; on a wider one people do not stand alone
HAND = 0.16  # body heights from where an arm hangs, for a hand to count as in the shelf
FAR_M = 1.0  # ours: people stand nearer than this to the shelf that they choose from
SHARED, HIDDEN = 0.1, 0.3  # ours: shares of a zone
CUT = 0.15  # ours: share of a body
_GRID = 24

Box = tuple[float, float, float, float]


class Grade(StrEnum):
    """What a zone is worth."""

    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


@dataclass(frozen=True, slots=True)
class Suitability:
    """What a zone is worth, and why.

    Attributes:
        grade: the worst of its reasons.
        reasons: what is wrong, a sentence each, the worst first.
        advice: what to do about each, in the same order.
        hints: what would tell more, and is no fault.
    """

    grade: Grade
    reasons: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """What a camera sees of its floor.

    Attributes:
        size: (width, height) of its picture, pixels.
        ground: its calibration.
        zones: all that are drawn, the judged one among them or not.
        masks: what is black.
        ring_m: width of the guard ring around a pad, metres.
        people: boxes (x1, y1, x2, y2) of people seen lately, whole bodies, pixels.
    """

    size: tuple[int, int]
    ground: Ground = field(default_factory=Ground)
    zones: tuple[Zone, ...] = ()
    masks: tuple[tuple[Point, ...], ...] = ()
    ring_m: float = 0.6
    people: tuple[Box, ...] = ()

    def height(self, foot: Point) -> float | None:
        """Return how tall a person is whose feet are at a point, pixels; None where nothing tells."""
        width, rows = self.size
        whole = [box for box in self.people if box[0] > 3 and box[1] > 3 and box[2] < width - 3 and box[3] < rows - 3]
        if len(whole) >= 5:
            return _line([(box[3], box[3] - box[1]) for box in whole], foot[1])
        if not self.ground.calibrated:
            return None
        try:
            (ax, ay), (bx, by) = self.ground.locate(foot[0] - 1, foot[1]), self.ground.locate(foot[0] + 1, foot[1])
        except ValueError:
            return None
        metres = math.dist((ax, ay), (bx, by))  # two pixels across: as far from the camera as the person is
        return 2 * BODY_HEIGHT_M / metres if metres else None

    def metres(self, a: Point, b: Point) -> float | None:
        """Return metres between two points of the floor; None where nothing tells."""
        height = self.height(a)
        if not height and not self.ground.calibrated:
            return None
        try:
            return self.ground.distance(*a, *b, height or 1.0)
        except ValueError:  # on the horizon
            return None

    def room(self, zone: Zone, points: Sequence[Point]) -> float | None:
        """Return metres from a zone's middle to its border, among points in it; None where nothing tells."""
        if floor := self.ground.floor(zone.polygon):
            return max(border_distance(floor, *self.ground.locate(*point)) for point in points)
        middle = max(points, key=lambda point: zone.border_distance(*point))
        return self.metres(middle, nearest_border(zone.polygon, *middle))


def judge(zone: Zone, view: View) -> Suitability:
    """Return what a zone is worth.

    Args:
        zone: as it is drawn.
        view: of its camera.
    """
    points = list(_inside(zone.polygon))
    found = list(_faults(zone, view, points)) if points else []
    if not points:
        found = [(Grade.POOR, "it is so narrow that nobody can stand in it", "draw it as wide as somebody stands")]
    worst = sorted(found, key=lambda one: one[0] is not Grade.POOR)
    return Suitability(
        worst[0][0] if worst else Grade.GOOD,
        tuple(reason for _, reason, _ in worst),
        tuple(advice for _, _, advice in worst),
        tuple(_hints(zone, view)),
    )


Fault = tuple[Grade, str, str]


def _faults(zone: Zone, view: View, points: list[Point]) -> Iterator[Fault]:
    yield from _place(zone, view, points)
    yield from _room(zone, view, points)
    yield from _people(zone, view)
    yield from _others(zone, view, points)
    if zone.kind is ZoneKind.PAD:
        yield from _pad(zone, view, points)
    if zone.kind is ZoneKind.OUTSIDE and not any(other.kind is ZoneKind.ENTRANCE for other in view.zones):
        yield (
            Grade.POOR,
            "no entrance is drawn before this camera: nothing tells who comes in from who passes by",
            "draw the entrance across the whole door, on the shop's side of it",
        )
    if zone.shelf is not None:
        yield from _shelf(zone, view)


def _place(zone: Zone, view: View, points: list[Point]) -> Iterator[Fault]:
    width, height = view.size
    seen = sum(0 <= x < width and 0 <= y < height for x, y in points) / len(points)
    across = [x for x, _ in zone.polygon]
    down = [y for _, y in zone.polygon]
    if min(across) <= 0 and min(down) <= 0 and max(across) >= width - 1 and max(down) >= height - 1:
        yield (
            Grade.POOR,
            "it is as large as the picture, so whoever leaves it leaves the picture and no stay has an end",
            "draw it on the floor, well inside the picture",
        )
    elif seen < 0.5:
        yield Grade.POOR, "most of it lies outside the picture: it sees nobody", "draw it on a picture of this size"
    elif seen < 1:
        yield (
            Grade.FAIR,
            "it reaches beyond the picture: who leaves it there is lost, not gone",
            "draw it well inside the picture",
        )
    elif zone.kind not in (ZoneKind.ENTRANCE, ZoneKind.EXIT, ZoneKind.OUTSIDE):
        near = [
            (x, y)
            for x, y in zone.polygon
            for edge in ((0, y), (width - 1, y), (x, height - 1))
            if (metres := view.metres((x, y), edge)) is not None and metres < EDGE_M
        ]
        if near:
            yield (
                Grade.FAIR,
                f"it comes within {EDGE_M:g} m of the picture's edge, where whoever is lost is taken to have gone",
                "keep half a metre of floor between it and the left, right and lower edge, or turn the camera",
            )


def _room(zone: Zone, view: View, points: list[Point]) -> Iterator[Fault]:
    pixels = max(zone.border_distance(*point) for point in points)
    metres = view.room(zone, points)
    if pixels < JITTER:
        yield (
            Grade.POOR,
            f"its middle is {pixels:.0f} pixels from its border; the box of somebody who stands moves by {JITTER:g}",
            "draw it larger, or bring the camera nearer",
        )
    elif metres is not None and metres < BAND_M:
        yield (
            Grade.POOR,
            f"it is nowhere further than {BAND_M:g} m from its border, where nobody is told to have come or gone",
            "draw it as wide as people stand there",
        )
    elif metres is not None and metres < ROOM_M and zone.kind is not ZoneKind.PAD:  # of a pad, `_pad` says more
        yield (
            Grade.FAIR,
            f"its middle is {metres:.2f} m from its border; a foot point may be off by that much",
            f"draw it {2 * ROOM_M:g} m wide or more",
        )


def _people(zone: Zone, view: View) -> Iterator[Fault]:
    heights = [height for point in zone.polygon if (height := view.height(point))]
    if len(heights) < len(zone.polygon):
        return
    told = f"people are {min(heights):.0f} pixels tall at its far end, {max(heights):.0f} at its near one"
    share = min(heights) / max(view.size)
    if share < TOO_SMALL:
        yield (
            Grade.POOR,
            f"{told}: too small for the detector to be relied on",
            "bring the camera nearer, or end it earlier",
        )
    elif share < SMALL:
        yield Grade.FAIR, f"{told}: small for the detector", "bring the camera nearer, or end it earlier"
    over, height = max((height - point[1], height) for height, point in zip(heights, zone.polygon, strict=True))
    if over > CUT * height:
        yield (
            Grade.FAIR,
            f"heads are cut off by {over:.0f} pixels at the picture's upper edge",
            "tilt the camera up, or end the zone nearer to it",
        )


def _others(zone: Zone, view: View, points: list[Point]) -> Iterator[Fault]:
    for other in view.zones:
        if other.name == zone.name or ZoneKind.STAFF in (zone.kind, other.kind):
            continue
        shared = _share(points, other.polygon)
        if shared > SHARED:
            yield (
                Grade.POOR if shared > 0.5 and ZoneKind.PAD not in (zone.kind, other.kind) else Grade.FAIR,
                f"about {shared:.0%} of it lies in {other.name!r} too: who stands there visits both at once",
                f"draw the border between it and {other.name!r}",
            )
    hidden = sum(any(contains(mask, *point) for mask in view.masks) for point in points) / len(points)
    if hidden > 0.01:
        yield (
            Grade.POOR if hidden > HIDDEN else Grade.FAIR,
            f"about {hidden:.0%} of it is under a mask: nobody is seen there",
            "draw the zone beside the mask, or the mask smaller",
        )


def _pad(zone: Zone, view: View, points: list[Point]) -> Iterator[Fault]:
    width, height = view.size
    for x, y in zone.polygon:
        edges = ((0, y), (width - 1, y), (x, 0), (x, height - 1))
        if any((metres := view.metres((x, y), edge)) is not None and metres < view.ring_m for edge in edges):
            yield (
                Grade.POOR,
                f"the {view.ring_m:g} m around it, where nobody else may stand, are not all in the picture",
                "turn the camera, or move the kiosk; a smaller ring_m lets others stand nearer",
            )
            break
    metres = view.room(zone, points)
    if metres is None:
        return
    if 2 * metres < PAD_M[0]:
        yield Grade.FAIR, f"it is {2 * metres:.1f} m wide: people step off it while they read", "draw it 1 m wide or so"
    elif 2 * metres > PAD_M[1]:
        yield Grade.FAIR, f"it is {2 * metres:.1f} m wide: few stand on it alone", "draw it 1 m wide or so"


def _shelf(zone: Zone, view: View) -> Iterator[Fault]:
    shelf = zone.shelf
    if shelf is None:
        return
    ends = shelf.edge
    middle = ((ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2)
    height = view.height(middle)
    face = max((border_distance(shelf.face, *point) for point in _inside(shelf.face)), default=0.0)
    if face < JITTER / 2 or (height is not None and 2 * face < HAND * height):
        yield (
            Grade.POOR,
            "the shelf's face is a sliver in the picture: no hand can be told to be in it",
            "draw its front from knee to eye height, or choose a camera that sees it from the side",
        )
    width, rows = view.size
    if not any(0 <= x < width and 0 <= y < rows for x, y in shelf.face):
        yield Grade.POOR, "the shelf's face lies outside the picture", "draw it on a picture of this size"
    centre = (sum(x for x, _ in zone.polygon) / len(zone.polygon), sum(y for _, y in zone.polygon) / len(zone.polygon))
    if centre[1] - middle[1] > abs(centre[0] - middle[0]):  # further behind it than beside it
        yield (
            Grade.FAIR,
            "the shelf stands behind the zone: people choose with their back to the camera, which hides their hands",
            "measure reaches with a camera from the side of the shelf; stays are not concerned",
        )
    metres = view.metres(middle, nearest_border(zone.polygon, *middle))
    if not zone.contains(*middle) and metres is not None and metres > FAR_M:
        yield (
            Grade.FAIR,
            f"the shelf's foot is {metres:.1f} m from the zone: who stands in it hardly reaches the shelf",
            "draw the zone up to the foot of the shelf",
        )


def _hints(zone: Zone, view: View) -> Iterator[str]:
    if zone.kind is ZoneKind.OUTSIDE:
        yield (
            "A pavement is a public place: draw no more of it than lies before the shop, mask the rest, and ask whoever"
            " answers for data protection whether the camera may see it at all."
        )
    if view.height(zone.polygon[0]) is None:
        yield (
            "How tall people are here is not known: calibrate the floor ([camera.ground]), or look through the camera"
            " while some walk by, and more can be said."
        )
    if zone.kind is ZoneKind.PRODUCT and zone.shelf is None:
        yield "Without its shelf, decisions are told as an upper bound (decision_box); stays are complete."


def _inside(polygon: Sequence[Point]) -> Iterator[Point]:
    """Yield points of a grid over a polygon that lie in it."""
    left, right = min(x for x, _ in polygon), max(x for x, _ in polygon)
    top, low = min(y for _, y in polygon), max(y for _, y in polygon)
    for i in range(_GRID):
        for j in range(_GRID):
            point = (left + (i + 0.5) * (right - left) / _GRID, top + (j + 0.5) * (low - top) / _GRID)
            if contains(tuple(polygon), *point):
                yield point


def _share(points: Iterable[Point], polygon: tuple[Point, ...]) -> float:
    inside = [contains(polygon, *point) for point in points]
    return sum(inside) / len(inside)


def _line(pairs: list[tuple[float, float]], row: float) -> float:
    """Return the height at a row of the picture, by the line through (foot row, height) that most boxes agree on."""
    slopes = [
        (h2 - h1) / (r2 - r1) for i, (r1, h1) in enumerate(pairs) for r2, h2 in pairs[i + 1 :] if abs(r2 - r1) > 20
    ]
    slope = median(slopes) if slopes else 0.0
    return max(0.0, median(height - slope * foot for foot, height in pairs) + slope * row)
