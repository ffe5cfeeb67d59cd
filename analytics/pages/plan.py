"""The floor as `store.toml` has it, coloured by a figure: outlines of zones, and no picture of anybody.

A camera with a ground calibration is drawn in metres; another as it stands in its picture. Pads and staff zones are
outlines: nothing is measured there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import altair as alt

from analytics.colours import Colours
from analytics.config import CameraTable
from analytics.zones import Point, ZoneKind

_UNMEASURED = (ZoneKind.PAD, ZoneKind.STAFF)


@dataclass(frozen=True, slots=True)
class Heat:
    """What a zone is coloured by.

    Attributes:
        value: on the scale; None where there is no figure.
        words: as it is written into the zone.
    """

    value: float | None
    words: str


def plan(camera: CameraTable, heat: Mapping[str, Heat], title: str, colours: Colours) -> alt.LayerChart:
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
        measured = kind not in _UNMEASURED
        one = heat.get(name) if measured else None
        value = None if one is None else one.value
        told = "not measured" if not measured else "no figure" if one is None else one.words
        shapes.append(
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[*polygon, polygon[0]]]},
                "properties": {"zone": name, "kind": kind.value, "value": value, "words": told},
            }
        )
        x, y = (sum(corner[axis] for corner in polygon) / len(polygon) for axis in (0, 1))
        dark = value is not None and value > 0.55 * peak
        words.append({"x": x, "y": y, "zone": name, "words": told if measured else "", "dark": dark})
    tooltip = [
        alt.Tooltip("properties.zone:N", title="Zone"),
        alt.Tooltip("properties.kind:N", title="Kind"),
        alt.Tooltip("properties.words:N", title=title),
    ]
    scale = alt.Scale(domain=[0, peak], range=[colours.low, colours.accent])
    floor = alt.Chart(alt.InlineData(values=shapes))
    outlines = floor.mark_geoshape(fillOpacity=0, stroke=colours.ink, strokeWidth=1).encode(tooltip=tooltip)
    filled = (
        floor.transform_filter("isValid(datum.properties.value)")
        .mark_geoshape(stroke=colours.ink, strokeWidth=1)
        .encode(
            color=alt.Color("properties.value:Q", scale=scale, legend=None),
            tooltip=tooltip,
        )
    )
    ink = alt.condition("datum.dark", alt.value(colours.on_accent), alt.value(colours.ink))
    base = alt.Chart(alt.InlineData(values=words)).encode(longitude="x:Q", latitude="y:Q", color=ink)
    names = base.mark_text(fontSize=12, fontWeight="bold", dy=-7).encode(text="zone:N")
    told_words = base.mark_text(fontSize=12, dy=8).encode(text="words:N")
    chart = alt.layer(outlines, filled, names, told_words).project(type="identity", reflectY=_mirrored(camera))
    chart = chart.properties(height=380, width="container").configure_view(strokeWidth=0)
    return cast(alt.LayerChart, chart)


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
