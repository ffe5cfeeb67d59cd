"""What a calibration of the floor is worth: good, fair or poor, why, and what to do; and the grid that shows it. Pure.

Four points fit any four others, so nothing is left over by which they could be checked. What can be told is how far a
slip of the hand moves the floor, whether it lies on one side of its horizon, and how tall people would be on it.

Thresholds are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from statistics import median

from analytics.suitability import Box, Grade, Suitability, View
from analytics.zones import BODY_HEIGHT_M, Ground, Point

SLIP = 0.003  # of the picture's longer side, by which a point is set wrong: 2 pixels of 640
FAIR_M, POOR_M = 0.25, 0.5  # that such a slip moves the floor: half a person, and a whole one
USUAL_M, ODD_M = (1.4, 2.1), (1.1, 2.6)  # how tall people of a shop are, in the middle, and how tall they cannot be
TALLEST, SMALLEST = 1.5, 0.01  # people at a point, in picture's heights and longer sides
FEWEST = 5  # boxes of people by which heights are told
MOST_LINES = 12  # of the grid in each direction, about
_STEPS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_SAMPLES = 24

Line = tuple[Point, Point]
Fault = tuple[Grade, str, str]


def judge(view: View) -> Suitability:
    """Return what the calibration of a camera is worth.

    Args:
        view: with that calibration; its zones say which floor it is for.
    """
    found = sorted(_faults(view), key=lambda one: one[0] is not Grade.POOR)
    hints = (
        ()
        if len(_whole(view)) >= FEWEST
        else ("Look through the camera while some people stand in view: by their heights more can be told.",)
    )
    return Suitability(
        found[0][0] if found else Grade.GOOD,
        tuple(reason for _, reason, _ in found),
        tuple(advice for _, _, advice in found),
        hints,
    )


def grid(ground: Ground, size: tuple[int, int], floor: Iterable[Point] = ()) -> tuple[float, tuple[Line, ...]]:
    """Return how far apart the lines of a grid on the floor are, metres, and the lines as the camera sees them, pixels.

    Args:
        ground: a calibration.
        size: (width, height) of the picture.
        floor: more places of the floor that it is to reach, pixels.
    """
    places = [*ground.metres, *(place for one in floor for place in ground.floor((ground.image[0], one))[1:])]
    (left, right), (near, far) = ((min(axis), max(axis)) for axis in zip(*places, strict=True))
    longest = max(right - left, far - near)
    step = next((one for one in _STEPS if longest / one <= MOST_LINES - 2), _STEPS[-1])
    xs, ys = _ticks(left, right, step), _ticks(near, far, step)
    ends = [((x, ys[0]), (x, ys[-1])) for x in xs] + [((xs[0], y), (xs[-1], y)) for y in ys]
    try:
        seen = Ground(ground.metres, ground.image)  # from metres to pixels
    except ValueError:
        return step, ()
    return step, tuple(line for start, end in ends if (line := _line(ground, seen, size, start, end)) is not None)


def _ticks(low: float, high: float, step: float) -> list[float]:
    first = math.floor(low / step)
    return [step * n for n in range(first, min(math.ceil(high / step), first + 4 * MOST_LINES) + 1)]


def _line(ground: Ground, seen: Ground, size: tuple[int, int], start: Point, end: Point) -> Line | None:
    """Return the part of a line of the floor that lies before its horizon, in or near the picture; None for no part."""
    reach = 2 * max(size)
    shown = []
    for n in range(_SAMPLES + 1):
        share = n / _SAMPLES
        try:
            x, y = seen.locate(*(a + share * (b - a) for a, b in zip(start, end, strict=True)))
        except ValueError:
            continue
        if max(abs(x), abs(y)) <= reach and ground.floor(((x, y), ground.image[0])):
            shown.append((round(x, 1), round(y, 1)))
    return (shown[0], shown[-1]) if len(shown) > 1 else None


def _faults(view: View) -> Iterator[Fault]:
    ground = view.ground
    if not ground.floor(ground.image):
        yield (
            Grade.POOR,
            "the floor's horizon runs between the four points: their order in metres is not their order in the picture",
            "give the metres in the order of the numbers, around the floor",
        )
        return
    if beyond := [zone.name for zone in view.zones if not ground.floor((ground.image[0], *zone.polygon))]:
        yield (
            Grade.POOR,
            f"{_listed(beyond)} would lie beyond the horizon of this floor",
            "look at the grid: move the points until it lies on the floor as tiles do",
        )
    yield from _slips(view)
    yield from _heights(view)


def _slips(view: View) -> Iterator[Fault]:
    zones = [(point, zone.name) for zone in view.zones for point in zone.polygon]
    width, height = view.size
    seen = [(point, name) for point, name in zones if 0 <= point[0] < width and 0 <= point[1] < height]
    places = seen or [(point, f"point {n}") for n, point in enumerate(view.ground.image, 1)]
    moved, where = max(((_moved(view, point), name) for point, name in places), key=lambda one: one[0])
    if moved <= FAIR_M:
        return
    told = f"{moved:.1f} m" if moved < 10 else "more than 10 m"
    yield (
        Grade.POOR if moved > POOR_M else Grade.FAIR,
        f"a point set wrong by {SLIP * max(view.size):.0f} pixels moves the floor at {where} by {told}",
        "take four points far apart, around the zones; zoom in to set them",
    )


def _moved(view: View, place: Point) -> float:
    """Return metres by which a place moves at most, where one of the four points is set wrong."""
    slip, ground = SLIP * max(view.size), view.ground
    found = 0.0
    for n, (x, y) in enumerate(ground.image):
        for dx, dy in ((slip, 0), (-slip, 0), (0, slip), (0, -slip)):
            image = (*ground.image[:n], (x + dx, y + dy), *ground.image[n + 1 :])
            try:
                found = max(found, math.dist(Ground(image, ground.metres).locate(*place), ground.locate(*place)))
            except ValueError:
                return math.inf
    return found


def _heights(view: View) -> Iterator[Fault]:
    alone = View(view.size, view.ground)  # what the calibration says, whoever was seen
    there = [(n, height) for n, point in enumerate(view.ground.image, 1) if (height := alone.height(point))]
    shown = [n for n, height in there if not SMALLEST * max(view.size) <= height <= TALLEST * view.size[1]]
    if shown:
        height = dict(there)[shown[0]]
        yield (
            Grade.POOR,
            f"by these metres a person at point {shown[0]} would be {height:.0f} pixels tall",
            "measure the metres once more",
        )
        return
    whole = [(box[3] - box[1], alone.height(((box[0] + box[2]) / 2, box[3]))) for box in _whole(view)]
    tall = [BODY_HEIGHT_M * seen / expected for seen, expected in whole if expected]
    if len(tall) < FEWEST:
        return
    middle = median(tall)
    if not USUAL_M[0] <= middle <= USUAL_M[1]:
        yield (
            Grade.FAIR if ODD_M[0] <= middle <= ODD_M[1] else Grade.POOR,
            f"by these metres the people who were seen would be {middle:.1f} m tall",
            "measure the metres once more, and look whether each belongs to its point",
        )


def _whole(view: View) -> list[Box]:
    width, height = view.size
    return [box for box in view.people if box[0] > 3 and box[1] > 3 and box[2] < width - 3 and box[3] < height - 3]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
