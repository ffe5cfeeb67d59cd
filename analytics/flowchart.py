"""Who goes where after what, as ribbons from one column of zones to another: a Sankey diagram.

Vega-Lite has no such mark, so the ribbons are computed here and drawn as plain areas by what is bundled; nothing is
fetched. Left stand the zones that people leave, right those that they come to; a zone that is both stands in both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analytics.colours import LIGHT, Colours
from analytics.figures import LOST, OTHERS
from analytics.marks import Spec, channel, mark, over, plain
from analytics.report import Flow

WORDS = {LOST: "out of sight", OTHERS: "other zones"}
_GAP: Final = 0.045  # between two zones of a column, of the height
_BAR: Final = 0.018  # width of a zone's bar, of the width
_EDGE: Final = 0.2  # left and right of the ribbons, for the names
_STEPS: Final = 24  # points of a ribbon
_HUES = ("#0f766e", "#b45309", "#4338ca", "#be185d", "#15803d", "#0369a1", "#a16207", "#7e22ce")


@dataclass(frozen=True, slots=True)
class Ribbon:
    """One flow in the picture, in shares of its height.

    Attributes:
        flow: how many went from where to where.
        left: (lower, upper) end at the zone that they left.
        right: (lower, upper) end at the zone that they came to.
    """

    flow: Flow
    left: tuple[float, float]
    right: tuple[float, float]


def named(zone: str) -> str:
    """Return what people read for an end of a flow."""
    return WORDS.get(zone, zone)


def ribbons(
    flows: Sequence[Flow],
) -> tuple[list[Ribbon], dict[str, tuple[float, float]], dict[str, tuple[float, float]]]:
    """Lay the flows out.

    Returns:
        The ribbons, and the (lower, upper) ends of each zone's bar on the left and on the right; the largest on top.
    """
    whole = sum(flow.n for flow in flows)
    left, right = (_bars(flows, side, whole) for side in ("start", "end"))
    order = {zone: number for number, zone in enumerate(right)}
    at_left, at_right = ({zone: top for zone, (_, top) in bars.items()} for bars in (left, right))
    scale = {side: (1 - _GAP * (len(bars) - 1)) / whole for side, bars in (("l", left), ("r", right))}
    found = []
    for start in left:
        for flow in sorted((f for f in flows if f.start == start), key=lambda f: order[f.end]):
            low_l, low_r = at_left[start] - flow.n * scale["l"], at_right[flow.end] - flow.n * scale["r"]
            found.append(Ribbon(flow, (low_l, at_left[start]), (low_r, at_right[flow.end])))
            at_left[start], at_right[flow.end] = low_l, low_r
    return found, left, right


def _bars(flows: Sequence[Flow], side: str, whole: int) -> dict[str, tuple[float, float]]:
    sums: dict[str, int] = {}
    for flow in flows:
        sums[getattr(flow, side)] = sums.get(getattr(flow, side), 0) + flow.n
    scale, top, bars = (1 - _GAP * (len(sums) - 1)) / whole, 1.0, {}
    for zone, n in sorted(sums.items(), key=lambda one: (one[0] in WORDS, -one[1], one[0])):
        bars[zone] = (top - n * scale, top)
        top -= n * scale + _GAP
    return bars


def sankey(flows: Sequence[Flow], colours: Colours = LIGHT) -> Spec:
    """Draw the flows of one camera; there is one or more."""
    found, left, right = ribbons(flows)
    hues = {zone: _HUES[i % len(_HUES)] for i, zone in enumerate(left)}
    begin, end = _EDGE + _BAR, 1 - _EDGE - _BAR
    rows = []
    for number, ribbon in enumerate(found):
        for step in range(_STEPS + 1):
            share = step / _STEPS
            ease = (1 - math.cos(math.pi * share)) / 2
            (low_l, top_l), (low_r, top_r) = ribbon.left, ribbon.right
            rows.append(
                {
                    "ribbon": number,
                    "x": begin + (end - begin) * share,
                    "low": low_l + (low_r - low_l) * ease,
                    "top": top_l + (top_r - top_l) * ease,
                    "from": named(ribbon.flow.start),
                    "to": named(ribbon.flow.end),
                    "n": ribbon.flow.n,
                }
            )
    bars, words = [], []
    for x, zones, align, text_x in ((_EDGE, left, "right", _EDGE - 0.01), (end, right, "left", end + _BAR + 0.01)):
        side = "start" if x == _EDGE else "end"
        for zone, (low, top) in zones.items():
            n = sum(flow.n for flow in flows if getattr(flow, side) == zone)
            bars.append({"x": x, "x2": x + _BAR, "low": low, "top": top, "hue": hues.get(zone, colours.ink)})
            words.append({"x": text_x, "y": (low + top) / 2, "text": f"{named(zone)}\n{n:,}", "align": align})
    across = channel("x:Q", scale={"domain": [0, 1]}, axis=None)
    y_scale = {"domain": [-0.01, 1.01]}
    tall = {"x": across, "y": channel("low:Q", scale=y_scale, axis=None), "y2": channel("top")}
    tones = {"domain": [named(zone) for zone in hues], "range": list(hues.values())}
    areas = {
        **tall,
        "detail": channel("ribbon:N"),
        "color": channel("from:N", scale=tones, legend=None),
        "tooltip": [
            channel("from:N", title="From"),
            channel("to:N", title="To"),
            channel("n:Q", title="Steps (rounded)"),
        ],
    }
    blocks = {**tall, "x2": channel("x2"), "color": channel("hue:N", scale=None)}
    texts = {"x": across, "y": channel("y:Q", scale=y_scale, axis=None), "text": channel("text:N")}
    looks: Spec = {"baseline": "middle", "fontSize": 12, "lineBreak": "\n", "color": colours.ink}
    layers = [
        over(rows, mark("area", areas, opacity=0.45)),
        over(bars, mark("rect", blocks)),
        *(
            over([word for word in words if word["align"] == align], mark("text", texts, align=align, **looks))
            for align in ("right", "left")
        ),
    ]
    return plain(layers, 60 + 46 * max(len(left), len(right)))
