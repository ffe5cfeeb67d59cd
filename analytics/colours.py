"""Colours of the marks of charts, in light and dark. Pure: whoever draws says which.

Words have a contrast of 4.5 or more to their ground, marks of 3 or more; nothing is told by colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colours:
    """Of the marks of a chart.

    Attributes:
        accent: of what is measured.
        pale: of what is measured in part.
        other: of a second thing beside the first.
        grey: of what is suppressed.
        ink: of words and lines.
        amber: of a warning.
        ground: of the page.
        low: lower end of a scale.
        on_accent: of words on the accent.
        deep: beyond the accent, of the most of something.
        soft: of the least of something; darker than the ground.
    """

    accent: str
    pale: str
    other: str
    grey: str
    ink: str
    amber: str
    ground: str
    low: str
    on_accent: str
    deep: str
    soft: str


LIGHT = Colours(
    accent="#0f766e",
    pale="#99d5cf",
    other="#9a3412",
    grey="#e7e5e4",
    ink="#44403c",
    amber="#b45309",
    ground="#ffffff",
    low="#ecfdf5",
    on_accent="#ffffff",
    deep="#134e4a",
    soft="#c7c3bf",
)
DARK = Colours(
    accent="#2dd4bf",
    pale="#11655d",
    other="#fdba74",
    grey="#44403c",
    ink="#e7e5e4",
    amber="#fbbf24",
    ground="#14171a",
    low="#12302d",
    on_accent="#0c1a18",
    deep="#ccfbf1",
    soft="#57534e",
)
