"""What zones are worth as they are drawn: good, fair or poor, why, and what to do. The rules are `suitability`'s."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

import streamlit as st

from analytics.config import ConfigError
from analytics.setup.shapes import Shape, What, ground_of, masks_of, zone_of
from analytics.suitability import Box, Grade, Suitability, View, judge
from analytics.zones import Ground, Zone

_BOX = {Grade.GOOD: st.success, Grade.FAIR: st.warning, Grade.POOR: st.error}
_ICON = {
    Grade.GOOD: ":material/check_circle:",
    Grade.FAIR: ":material/warning:",
    Grade.POOR: ":material/error:",
}


def view(shapes: Sequence[Shape], size: tuple[int, int], ring_m: float, people: Iterable[Box]) -> View:
    """Return what a camera sees of its floor, as it is drawn now."""
    try:
        ground = ground_of(shapes)
    except ConfigError:  # said where it is drawn
        ground = Ground()
    return View(size, ground, tuple(_zones(shapes)), masks_of(shapes), ring_m, tuple(people))


def told(name: str, seen: View) -> None:
    """Draw what one zone is worth."""
    zone = next((one for one in seen.zones if one.name == name), None)
    if zone is None:
        return
    said(judge(zone, seen), f"for what {zone.name} is to measure")


def said(worth: Suitability, what: str) -> None:
    """Draw a grade, why, and what to do."""
    lines = [f"- {_sentence(why)} **{_sentence(do)}**" for why, do in zip(worth.reasons, worth.advice, strict=True)]
    _BOX[worth.grade](
        "\n".join([f"**{worth.grade.capitalize()}** {what}.", "", *lines]),
        icon=_ICON[worth.grade],
    )
    for hint in worth.hints:
        st.caption(hint)


def all_told(seen: View) -> None:
    """Draw a table of what every zone is worth, where somebody asks for it."""
    if not st.toggle(
        f"What {'the zone is' if len(seen.zones) == 1 else f'all {len(seen.zones)} zones are'} worth", key="all-zones"
    ):
        return
    found = [(zone, judge(zone, seen)) for zone in seen.zones]
    st.table(
        [
            {
                "Zone": zone.name,
                "Worth": worth.grade.value,
                "Why": _sentence(worth.reasons[0]) if worth.reasons else "–",
            }
            for zone, worth in found
        ],
        border="horizontal",
    )


def _zones(shapes: Sequence[Shape]) -> Iterable[Zone]:
    for shape in shapes:
        if shape.what is What.ZONE:
            with suppress(ConfigError):  # said where it is drawn
                yield zone_of(shapes, shape.name)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
