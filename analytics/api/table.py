"""Rows as CSV (RFC 4180): which shop and metric stands before each, a column for each slot after it.

A text that a spreadsheet would take for a formula is led by an apostrophe: names come from a file, not from us.
"""

from __future__ import annotations

import csv
import io
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter

from analytics.api.definitions import Metric
from analytics.api.shapes import Cell, Cells, Point, Total, Totals

_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {kind: TypeAdapter(kind) for kind in (Cell, Total)}
_POINTS = tuple(field.name.removesuffix("_s") for field in fields(Point))  # at, low, high
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table(found: Cells | Totals, metric: Metric) -> bytes:
    """Return an answer as CSV, in UTF-8.

    Args:
        found: the answer.
        metric: what it is of.
    """
    kind, rows = (Cell, found.cells) if isinstance(found, Cells) else (Total, found.totals)
    points = ("median", "p90") if kind is Total else ()
    names = [field.name for field in fields(kind) if field.name not in (*points, "counts")]
    heads = ["store", "simulated", "metric", "timezone", *names]
    heads += [f"{point}_{end}_s" for point in points for end in _POINTS]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([*heads, *metric.slots])
    for row in rows:
        told = _ADAPTERS[kind].dump_python(row, mode="json")
        line = [found.store, found.simulated, found.metric, found.timezone, *(told[name] for name in names)]
        line += [(told[point] or {}).get(f"{end}_s") for point in points for end in _POINTS]
        writer.writerow([_cell(value) for value in (*line, *(told["counts"] or [None] * len(metric.slots)))])
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
