"""The floor as `store.toml` has it, coloured by a figure: outlines of zones, and no picture of anybody.

A camera with a ground calibration is drawn in metres; another as it stands in its picture. Pads, staff zones and what
is outside are outlines: no stay is measured there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analytics.colours import Colours
from analytics.config import CameraTable
from analytics.marks import Spec, channel, either, mark, over, plain, value
from analytics.zones import Point, ZoneKind


@dataclass(frozen=True, slots=True)
class Heat:
    """What a zone is coloured by.

    Attributes:
        value: on the scale; None where there is no figure.
        words: as it is written into the zone.
    """

    value: float | None
    words: str


def plan(camera: CameraTable, heat: Mapping[str, Heat], title: str, colours: Colours) -> Spec:
    """Draw the floor that one camera sees.

    Args:
        camera: of `store.toml`.
        heat: by name of the zone.
        title: of what the colours say.
        colours: of the page.
    """
    peak = max((one.value for one in heat.values() if one.value is not None), default=0.0) or 1.0
    shapes, words = [], []
    for name, kind, polygon in _floor(camera):
        measured = kind.in_shop
        one = heat.get(name) if measured else None
        at = None if one is None else one.value
        told = "not measured" if not measured else "no figure" if one is None else one.words
        shapes.append(
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[*polygon, polygon[0]]]},
                "properties": {"zone": name, "kind": kind.value, "value": at, "words": told},
            }
        )
        x, y = (sum(corner[axis] for corner in polygon) / len(polygon) for axis in (0, 1))
        dark = at is not None and at > 0.55 * peak
        words.append({"x": x, "y": y, "zone": name, "words": told if measured else "", "dark": dark})
    tooltip = [
        channel("properties.zone:N", title="Zone"),
        channel("properties.kind:N", title="Kind"),
        channel("properties.words:N", title=title),
    ]
    scale = {"domain": [0, peak], "range": [colours.low, colours.accent]}
    filled = {"color": channel("properties.value:Q", scale=scale, legend=None), "tooltip": tooltip}
    line: Spec = {"stroke": colours.ink, "strokeWidth": 1}
    floor = over(
        shapes,
        mark("geoshape", {"tooltip": tooltip}, fillOpacity=0, **line),
        mark("geoshape", filled, where="isValid(datum.properties.value)", **line),
    )
    ink = either("datum.dark", value(colours.on_accent), value(colours.ink))
    place = {"longitude": channel("x:Q"), "latitude": channel("y:Q"), "color": ink}
    names = over(
        words,
        mark("text", {**place, "text": channel("zone:N")}, fontSize=12, fontWeight="bold", dy=-7),
        mark("text", {**place, "text": channel("words:N")}, fontSize=12, dy=8),
    )
    turned = {"type": "identity", "reflectY": _mirrored(camera)}
    return plain([floor, names], 380, projection=turned)


def _floor(camera: CameraTable) -> list[tuple[str, ZoneKind, tuple[Point, ...]]]:
    """Return name, kind and polygon of each zone: all in metres, or all in pixels."""
    ground = camera.floor()
    metres = [(table.name, table.kind, ground.floor(table.polygon)) for table in camera.zone]
    if all(polygon for _, _, polygon in metres):
        return metres
    return [(table.name, table.kind, table.polygon) for table in camera.zone]


def _mirrored(camera: CameraTable) -> bool:
    """Say whether the plan must be turned over, so that left in the picture is left on the plan."""
    if not all(polygon for _, _, polygon in _floor(camera)) or camera.ground is None:
        return False
    return _turn(camera.ground.image) * _turn(camera.ground.metres) < 0


def _turn(corners: tuple[Point, ...]) -> float:
    """Return the signed area that corners go around."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, corners[1:] + corners[:1], strict=True))
