"""Charts as Vega-Lite writes them, in plain dictionaries: a click draws a page anew, and must not wait for its charts.

A chart is data, marks over it, and which column each mark shows where (vega.github.io/vega-lite/docs). Nothing is
checked here and nothing names an address; that every chart of the pages is sound Vega-Lite is the tests' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Spec = dict[str, Any]  # of a chart, or of a part of one

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"  # the name of the format; nobody asks for it

# on a phone a row to each name, so that none is cut off
LEGEND: Spec = {"title": None, "orient": "top", "columns": {"expr": "width < 420 ? 1 : 4"}}
FEW: Spec = {"tickCount": {"expr": "ceil(width / 100)"}}  # marks along an axis, as many as can be read

_KINDS = {"T": "temporal", "Q": "quantitative", "N": "nominal", "O": "ordinal"}


def channel(column: str, **more: Any) -> Spec:
    """Return what a channel shows.

    Args:
        column: its name, and after a colon its kind: T time, Q quantity, N name, O order. An end (x2, y2) has no kind.
        more: what else Vega-Lite knows of a channel: axis, scale, legend, title, format, sort.
    """
    name, _, kind = column.partition(":")
    return {"field": name, **({"type": _KINDS[kind]} if kind else {}), **more}


def either(test: str, then: Spec, otherwise: Spec) -> Spec:
    """Return a channel that shows one thing where a test of the row holds, and another elsewhere."""
    return {"condition": {"test": test, **then}, **otherwise}


def value(constant: object) -> Spec:
    """Return a channel that shows the same everywhere."""
    return {"value": constant}


def mark(kind: str, encoding: Mapping[str, Any], *, where: str = "", **looks: Any) -> Spec:
    """Return a layer of marks.

    Args:
        kind: rect, bar, line, point, rule, text, area, circle or geoshape.
        encoding: which channel shows what.
        where: a test of the row; all rows by default.
        looks: of every mark.
    """
    only: Spec = {"transform": [{"filter": where}]} if where else {}
    return {**only, "mark": {"type": kind, **looks}, "encoding": dict(encoding)}


def over(rows: Sequence[Mapping[str, Any]], *layers: Spec) -> Spec:
    """Return layers over the same rows.

    Args:
        rows: a value a column: text, number, truth, None; a time as `datetime.isoformat` writes it, without a zone.
        layers: the last is drawn on top.
    """
    return {"data": {"values": list(rows)}, "layer": list(layers)}


def plain(layers: Sequence[Spec], height: int, **more: Any) -> Spec:
    """Return layers as one chart, as wide as its place."""
    view = {"view": {"strokeWidth": 0}}
    return {"$schema": SCHEMA, "height": height, "width": "container", "config": view, "layer": list(layers), **more}
