"""What somebody wants to see: days, hours and zones, kept in the page's address: a link shows the same to others.

A cell is never cut: one that reaches beyond the hours chosen is left out, and the source line says how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

import streamlit as st

from analytics.answers import Answers
from analytics.bins import local
from analytics.pages.style import begin, figures
from analytics.released import Cell

ALL_DAY = (0, 24)


@dataclass(frozen=True, slots=True)
class Choice:
    """Days, hours and zones.

    Attributes:
        first: local day.
        last: local day.
        hours: from and until, on the store's clock.
        zones: names; empty for all.
    """

    first: date
    last: date
    hours: tuple[int, int] = ALL_DAY
    zones: tuple[str, ...] = ()

    def keep(self, cells: Iterable[Cell], tz: str) -> tuple[list[Cell], int]:
        """Return the cells of the zones and hours chosen, and how many were left out because they are longer.

        Args:
            cells: of the days chosen.
            tz: IANA name of the store's time zone.
        """
        zones, hours = frozenset(self.zones), self.hours
        if zones:
            cells = [cell for cell in cells if cell.zone in zones]
        if hours == ALL_DAY:
            return list(cells), 0
        kept, left_out = [], 0
        for cell in cells:
            within = _within(cell.start_us, cell.end_us, hours, tz)
            if within:
                kept.append(cell)
            elif within is None:
                left_out += 1
        return kept, left_out


@lru_cache(maxsize=1 << 15)  # the hours of a year, for some choices; zones and figures share theirs
def _within(start_us: int, end_us: int, hours: tuple[int, int], tz: str) -> bool | None:
    """Say whether a stretch of time lies within hours of the day; None where it only touches them."""
    start, end = local(start_us, tz), local(end_us, tz)
    begins = start.hour + start.minute / 60
    ends = end.hour + end.minute / 60 + 24 * (end.date() - start.date()).days
    if hours[0] <= begins and ends <= hours[1]:
        return True
    return None if ends - begins >= 24 or (begins < hours[1] and hours[0] < ends) else False


def choose(days: Sequence[date], zones: Sequence[str], *, length: int = 7, hours: bool = True) -> Choice | None:
    """Draw the filters and return what was chosen; None while a period is half chosen.

    Args:
        days: on which there are figures, oldest first; not empty.
        zones: names there are.
        length: days shown at first, up to the newest.
        hours: whether figures of this page can be told by hour.
    """
    when, *clock, where = st.columns([2, 2, 3] if hours else [2, 3])
    chosen = period(when, "Days", "days", days, max(days[0], days[-1] - timedelta(days=length - 1)), days[-1])
    within = ALL_DAY
    for place in clock:
        within = place.slider("Hours", 0, 24, ALL_DAY, format="%d:00", key="hours", bind="query-params")
    named = where.multiselect("Zones", list(zones), key="zones", bind="query-params", placeholder="All zones")
    return None if chosen is None else Choice(*chosen, within, tuple(named))


def period(
    place: st.delta_generator.DeltaGenerator, label: str, key: str, days: Sequence[date], first: date, last: date
) -> tuple[date, date] | None:
    """Draw a choice of a period, which always stands in the address, and return it; None while it is half chosen.

    Args:
        place: where it is drawn.
        label: what is written over it.
        key: its name in the address.
        days: on which there are figures, oldest first; not empty.
        first: local day shown at first.
        last: local day shown at first.
    """
    asked = _asked(key, days)
    shown = (asked[0], asked[1]) if len(asked) == 2 and asked[0] <= asked[1] else (first, last)
    picked = place.date_input(
        label, shown, min_value=days[0], max_value=days[-1], format="YYYY-MM-DD", key=key, persist_state="session"
    )
    if isinstance(picked, tuple) and len(picked) == 2:
        st.query_params[key] = [day.isoformat() for day in picked]
        return picked[0], picked[1]
    place.caption("Choose the last day, too.")
    return None


def day(place: st.delta_generator.DeltaGenerator, days: Sequence[date]) -> date:
    """Draw the choice of one day, which always stands in the address, and return it.

    Args:
        place: where it is drawn.
        days: on which there are figures, oldest first; not empty.
    """
    asked = _asked("day", days)
    picked = place.date_input(
        "Day",
        asked[0] if asked else days[-1],
        min_value=days[0],
        max_value=days[-1],
        format="YYYY-MM-DD",
        key="day",
        persist_state="session",
    )
    st.query_params["day"] = picked.isoformat()
    return picked


def _asked(key: str, days: Sequence[date]) -> list[date]:
    """Return the days that the address names; none where it names anything else.

    A link without days would show other ones tomorrow, so they are written into the address even where nobody chose
    them; Streamlit's own binding leaves out what is as it was at first.
    """
    try:
        asked = [date.fromisoformat(text) for text in st.query_params.get_all(key)]
    except ValueError:
        return []
    return asked if all(days[0] <= one <= days[-1] for one in asked) else []


def by_days(title: str, state_dir: Path, *, warning: str = "") -> tuple[Answers, date, date] | None:
    """Begin a page that is told by days alone: its name, the figures of the shop, and the first and last day chosen.

    Args:
        title: of the page.
        state_dir: of the store.
        warning: to be read before any figure.

    Returns:
        None where there is no figure yet, which the page then says, or while a period is half chosen.

    Raises:
        ReportError: a released file is not as the keeper wrote it.
    """
    begin(title)
    if warning:
        st.warning(warning)
    report = figures(state_dir, title)
    if report is None:
        return None
    place, _ = st.columns([2, 3])
    days = report.days()
    chosen = period(place, "Days", "days", days, max(days[0], days[-1] - timedelta(days=27)), days[-1])
    return None if chosen is None else (report, *chosen)
