"""The shapes of one camera as outlines that can be drawn: zones, shelves, lines, masks, the floor in metres. Pure.

A shape has an id (``zone:coffee``, ``face:coffee``, ``edge:coffee``, ``mask:1``, ``metres:floor``) and corners in
pixels of the full picture. What comes back from a browser is held to the shapes that were sent: it moves corners, and
nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from analytics.config import CameraTable
from analytics.edits import Edit, camera_put, line_put, mask_dropped, mask_put, zone_dropped, zone_put
from analytics.tables import ConfigError
from analytics.zones import FARTHEST, Ground, Point, Shelf, Zone, ZoneKind

Points = tuple[Point, ...]
MOST = 64  # corners of a polygon, as `analytics.config` has it
SIZES = ((640, 360), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))  # of usual cameras, pixels


class What(StrEnum):
    """What a shape is."""

    ZONE = "zone"
    FACE = "face"  # of the shelf behind a product zone
    EDGE = "edge"  # its foot on the floor
    LINE = "line"  # across a door; it is kept as a zone as wide as somebody stands
    MASK = "mask"
    METRES = "metres"  # four points of the floor whose places are known


@dataclass(frozen=True, slots=True)
class Shape:
    """One outline.

    Attributes:
        what: see `What`.
        name: of the zone, or the number of the mask from 1.
        points: corners, pixels.
        kind: of a zone or a line.
        width: of a line, pixels.
        metres: places of the four points on the floor; empty where nobody said them yet.
        was: what a zone is called in `store.toml`, where it is renamed.
    """

    what: What
    name: str
    points: Points
    kind: ZoneKind | None = None
    width: float = 0.0
    metres: Points = ()
    was: str = ""

    @property
    def id(self) -> str:
        """What a page calls it."""
        return f"{self.what}:{self.name}"

    @property
    def label(self) -> str:
        """What people call it."""
        if self.what in (What.ZONE, What.LINE):
            return self.name if self.name == self.kind else f"{self.name} ({self.kind})"
        return {
            What.FACE: f"{self.name}: shelf",
            What.EDGE: f"{self.name}: shelf's foot",
            What.METRES: "floor in metres",
        }.get(self.what, f"mask {self.name}")

    @property
    def open(self) -> bool:
        """Whether it is two ends, and no polygon."""
        return self.what in (What.EDGE, What.LINE)

    @property
    def least(self) -> int:
        """Fewest corners."""
        return 2 if self.open else 4 if self.what is What.METRES else 3

    @property
    def most(self) -> int:
        """Most corners."""
        return self.least if self.open or self.what is What.METRES else MOST

    def drawn(self) -> dict[str, Any]:
        """Return what the drawing board is told."""
        tone = "pad" if self.kind is ZoneKind.PAD else "staff" if self.kind is ZoneKind.STAFF else self.what.value
        return {
            "id": self.id,
            "label": self.label,
            "short": {What.EDGE: "", What.METRES: "", What.MASK: self.label}.get(self.what, self.name),
            "tone": tone,
            "closed": not self.open,
            "least": self.least,
            "most": self.most,
            "points": [list(point) for point in self.points],
        }


def shapes_of(camera: CameraTable) -> tuple[Shape, ...]:
    """Return what is drawn of a camera, each shelf after its zone."""
    found: list[Shape] = []
    for zone in camera.zone:
        found.append(Shape(What.ZONE, zone.name, zone.polygon, zone.kind))
        if zone.shelf is not None:
            found += [Shape(What.FACE, zone.name, zone.shelf.face), Shape(What.EDGE, zone.name, zone.shelf.edge)]
    found += [Shape(What.MASK, str(i), mask) for i, mask in enumerate(camera.masks, 1)]
    if camera.ground is not None:
        found.append(floor_of(camera.ground.image, camera.ground.metres))
    return tuple(found)


def floor_of(points: Points, metres: Points = ()) -> Shape:
    """Return the shape of four points of the floor, in pixels and in metres."""
    return Shape(What.METRES, "floor", points, metres=metres)


def ground_of(shapes: Iterable[Shape]) -> Ground:
    """Return the calibration of the floor as it is drawn; one that knows no metres where none is.

    Raises:
        ConfigError: it makes none; one line that says what to do.
    """
    floor = next((shape for shape in shapes if shape.what is What.METRES), None)
    if floor is None:
        return Ground()
    if not floor.metres:
        raise ConfigError("nobody said yet where the four points of the floor are, in metres; say it, or remove them")
    try:
        return Ground(floor.points, floor.metres)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def moved(shapes: Iterable[Shape], told: object) -> tuple[Shape, ...]:
    """Return shapes with the corners that a browser tells; what it tells of others, or wrongly, is left out.

    Args:
        shapes: as they were sent.
        told: corners by id, as JSON gave them.
    """
    points = told if isinstance(told, Mapping) else {}
    return tuple(
        shape if (new := _points(points.get(shape.id), shape)) is None else replace(shape, points=new)
        for shape in shapes
    )


def _points(told: object, shape: Shape) -> Points | None:
    if not isinstance(told, list) or not shape.least <= len(told) <= shape.most:
        return None
    found: list[Point] = []
    for pair in told:
        if not isinstance(pair, list) or len(pair) != 2 or not all(_is_place(value) for value in pair):
            return None
        found.append((float(pair[0]), float(pair[1])))
    return tuple(found)


def _is_place(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and abs(value) <= FARTHEST  # type: ignore[arg-type]


def zone_of(shapes: Iterable[Shape], name: str) -> Zone:
    """Return a zone, with its shelf, as it is drawn.

    Raises:
        ConfigError: its corners make none; one line that says what to do.
    """
    by_id = {shape.id: shape for shape in shapes}
    zone = by_id[f"{What.ZONE}:{name}"]
    face, edge = by_id.get(f"{What.FACE}:{name}"), by_id.get(f"{What.EDGE}:{name}")
    try:
        shelf = None if face is None or edge is None else Shelf(face.points, (edge.points[0], edge.points[1]))
        return Zone(name, zone.kind or ZoneKind.PRODUCT, zone.points, shelf)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def edits(camera: str, before: Sequence[Shape], after: Sequence[Shape]) -> list[Edit]:
    """Return what turns the shapes of a camera into others.

    Args:
        camera: its name.
        before: as `store.toml` has them.
        after: as they are drawn.

    Raises:
        ConfigError: some of them make no zone.
    """
    made: list[Edit] = []
    known = {shape.name for shape in before if shape.what is What.ZONE}
    for shape in after:
        if shape.what is What.LINE:
            start, end = shape.points
            kind = shape.kind or ZoneKind.ENTRANCE
            made.append(line_put(camera, shape.name, start, end, width=shape.width, kind=kind))
        elif shape.what is What.ZONE and _of_zone(before, shape.name) != _of_zone(after, shape.name):
            made.append(zone_put(camera, zone_of(after, shape.name), instead=shape.was if shape.was in known else None))
    there = {one.was if one.was in known else one.name for one in after if one.what in (What.ZONE, What.LINE)}
    made += [zone_dropped(camera, one.name) for one in before if one.what is What.ZONE and one.name not in there]
    old, new = masks_of(before), masks_of(after)
    for i, mask in enumerate(new):
        if i >= len(old) or old[i] != mask:
            made.append(mask_put(camera, mask, index=i if i < len(old) else None))
    made += [mask_dropped(camera, i) for i in reversed(range(len(new), len(old)))]
    floors = [next((shape for shape in shapes if shape.what is What.METRES), None) for shapes in (before, after)]
    if floors[0] != floors[1]:
        ground = ground_of(after)
        table = {"image": ground.image, "metres": ground.metres} if ground.calibrated else None
        made.append(camera_put(camera, ground=table))
    return made


def renamed(shapes: Iterable[Shape], name: str, new: str) -> tuple[Shape, ...]:
    """Return shapes with a zone, and its shelf, under another name; it stays known by which name it is to be found."""
    return tuple(
        replace(shape, name=new, was="" if new == (was := shape.was or name) or shape.what is not What.ZONE else was)
        if shape.name == name and shape.what not in (What.MASK, What.METRES)
        else shape
        for shape in shapes
    )


def _of_zone(shapes: Iterable[Shape], name: str) -> list[Shape]:
    return [shape for shape in shapes if shape.name == name and shape.what not in (What.MASK, What.METRES)]


def masks_of(shapes: Iterable[Shape]) -> tuple[Points, ...]:
    """Return the masks that are drawn, in their order."""
    return tuple(shape.points for shape in shapes if shape.what is What.MASK)


def size_of(shapes: Iterable[Shape], *, upright: bool = False) -> tuple[int, int]:
    """Return the smallest usual size of a picture that holds what is drawn; for where no camera tells its own.

    A shelf's face, and points of the floor, may lie beyond the picture and tell nothing of it. `upright`: the camera
    hangs on its side, and its picture is higher than wide.
    """
    sizes = [(high, wide) if upright else (wide, high) for wide, high in SIZES]
    drawn = [point for shape in shapes if shape.what not in (What.FACE, What.METRES) for point in shape.points]
    points = [point for point in drawn if point[0] <= sizes[-1][0] and point[1] <= sizes[-1][1]]
    right, low = (max((point[axis] for point in points), default=0.0) for axis in (0, 1))
    if right <= 0 and low <= 0:
        return sizes[1]
    return next(size for size in sizes if right <= size[0] and low <= size[1])


def toml(shapes: Sequence[Shape], shape: Shape) -> str:
    """Return how a shape stands in `store.toml`, under its camera; for a shelf, how its zone does."""
    if shape.what is What.MASK:
        return f"masks = [{', '.join(_list(mask) for mask in masks_of(shapes))}]"
    if shape.what is What.LINE:
        return f"# {shape.width:g} pixels across\n{_list(shape.points)}"
    if shape.what is What.METRES:
        metres = f"metres = {_list(shape.metres)}" if shape.metres else "# metres: nobody said them yet"
        return f"[camera.ground]\nimage = {_list(shape.points)}\n{metres}"
    parts = {one.what: one for one in _of_zone(shapes, shape.name)}
    zone = parts[What.ZONE]
    lines = [f'[[camera.zone]]\nname = "{zone.name}"\nkind = "{zone.kind}"\npolygon = {_list(zone.points)}']
    if What.FACE in parts and What.EDGE in parts:
        face, edge = _list(parts[What.FACE].points), _list(parts[What.EDGE].points)
        lines.append(f"shelf = {{ face = {face}, edge = {edge} }}")
    return "\n".join(lines)


def _list(points: Points) -> str:
    return "[" + ", ".join(f"[{x:.10g}, {y:.10g}]" for x, y in points) + "]"
