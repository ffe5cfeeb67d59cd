"""Zones: how many people stop where, for how long, and what of the floor that makes warm or cold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from analytics.answers import Answers
from analytics.bins import HOUR
from analytics.charts import duration
from analytics.config import ConfigError, StoreFile, read_store
from analytics.figures import TIERS, Audience, Figure
from analytics.pages.choice import ALL_DAY, Choice, choose
from analytics.pages.happened import notes_button
from analytics.pages.lines import TIER_WORDS, no_stay, parts
from analytics.pages.missing import not_shown, nothing_here
from analytics.pages.picture import beside, show
from analytics.pages.plan import Heat, plan
from analytics.pages.source import ROUNDED, Counted, ends, interval, quantile, summed
from analytics.pages.stays import one_zone
from analytics.pages.style import begin, figures
from analytics.released import Cell
from analytics.report import Dwell, dwell_of
from analytics.state import STORE_TOML
from analytics.zones import ZoneKind

_HEATS = ("Visits an hour", "Median stay", "Engaged", "End not seen")
Where = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Zone:
    tiers: tuple[int, ...]  # visits by tier, in the order of `TIERS`
    seen_us: int  # by the camera, of the time they came in
    dwell: Dwell | None
    kind: str

    @classmethod
    def of(cls, visits: Sequence[Cell], dwell: Dwell | None, kind: str) -> _Zone:
        shown = [cell for cell in visits if not cell.suppressed]
        sums = tuple(map(sum, zip(*(cell.counts for cell in shown), strict=True))) or (0,) * len(TIERS)
        return cls(sums, sum(cell.observed_us for cell in shown), dwell, kind)

    @property
    def n(self) -> int:
        return sum(self.tiers)

    def tier(self, name: str) -> int:
        return self.tiers[TIERS.index(name)]

    @property
    def engaged(self) -> float | None:
        return (self.tier("engaged") + self.tier("deliberating")) / self.n if self.n else None

    @property
    def no_stay(self) -> str:
        """Why there is no length of stay."""
        return no_stay(self.n, self.tier("pass_by"))

    @property
    def an_hour(self) -> float | None:
        """Visits an hour of what the cameras saw."""
        return self.n * HOUR / self.seen_us if self.seen_us and self.n else None


def zones(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store; its folder of released cells, its notes and the floor in its `store.toml` are read.
    """
    begin("Zones")
    report = figures(state_dir, "Zones")
    if report is None:
        return
    tz, days = report.tz, report.days()
    known = report.zones()
    choice = choose(days, known)
    if choice is None:
        return
    with st.container(horizontal=True):
        words = {"Everybody": Audience.EVERYBODY, "Consenting shoppers": Audience.CONSENTING}
        of = st.segmented_control("Of", list(words), default="Everybody", required=True, key="of", bind="query-params")
        notes_button(state_dir, choice.last, known, tz)
    audience = words[of or "Everybody"]
    found, visits, stays = _found(report, choice, audience)
    if not found:
        nothing_here(report, Figure.VISITS, Figure.DWELL, audience=audience, what="a zone")
    else:
        names = _names(found)
        by = _counted(visits, stays, audience, tz)
        _table(found, names, by)
        _floor(state_dir, found, by)
        _tiers(found, names, by[:1])
        one_zone(
            state_dir,
            report,
            choice,
            audience,
            {names[where]: (where, one.dwell) for where, one in found.items() if one.dwell is not None},
        )
    not_shown(report, choice.first, choice.last, (Figure.VISITS, Figure.DWELL))


Kept = tuple[list[Cell], int]


def _found(report: Answers, choice: Choice, audience: Audience) -> tuple[dict[Where, _Zone], Kept, Kept]:
    tz = report.tz
    visits, stays = (
        choice.keep(report.cells(figure, choice.first, choice.last, audience=audience), tz)
        for figure in (Figure.VISITS, Figure.DWELL)
    )
    by: dict[Where, tuple[list[Cell], list[Cell]]] = {}
    for side, (cells, _) in enumerate((visits, stays)):
        for cell in cells:
            by.setdefault((cell.camera, cell.zone), ([], []))[side].append(cell)
    whole = report.dwells(choice.first, choice.last, audience=audience) if choice.hours == ALL_DAY else None
    out = {}
    for where, (of_visits, of_stays) in sorted(by.items()):
        if whole is not None:
            dwell = whole.get(where)  # remembered
        elif any(not cell.suppressed for cell in of_stays):
            dwell = dwell_of(f"{audience}.{Figure.DWELL}", of_stays)
        else:
            dwell = None
        if dwell is not None or any(not cell.suppressed for cell in of_visits):
            out[where] = _Zone.of(of_visits, dwell, (of_visits or of_stays)[0].kind)
    return out, visits, stays


def _names(found: Mapping[Where, _Zone]) -> dict[Where, str]:
    names = [zone for _, zone in found]
    return {(camera, zone): zone if names.count(zone) == 1 else f"{zone} ({camera})" for camera, zone in found}


def _table(found: Mapping[Where, _Zone], names: Mapping[Where, str], by: Sequence[Counted]) -> None:
    shelves = {where: one for where, one in found.items() if one.kind == ZoneKind.PRODUCT}
    said = []
    held = {where: one.dwell.median.at for where, one in shelves.items() if one.dwell and one.dwell.median.at}
    if held:
        where = max(held, key=lambda one: held[one])
        half = f"half of them for {duration(held[where])} or more"
        said.append(f"Of the shelves, people stay longest at **{names[where]}**: {half}.")
    stop = {where: one.engaged for where, one in shelves.items() if one.engaged is not None}
    if stop:
        where = max(stop, key=lambda one: stop[one])
        said.append(f"Most of those who come stop at **{names[where]}**: {stop[where]:.0%}.")
    st.markdown(" ".join(said))
    rows = [
        {
            "Zone": names[where],
            "Visits": one.n or None,
            "An hour": None if one.an_hour is None else round(one.an_hour, 1),
            "Engaged": "–" if one.engaged is None else f"{one.engaged:.0%}",
            "Median stay": one.no_stay if one.dwell is None else quantile(one.dwell.median),
            "95 % interval": "–" if one.dwell is None else interval(one.dwell.median),
            "90 % stay under": "–" if one.dwell is None else quantile(one.dwell.p90),
            "Its interval": "–" if one.dwell is None else interval(one.dwell.p90),
            "End not seen": "–" if one.dwell is None else f"{one.dwell.censored:.0%}",
        }
        for where, one in found.items()
    ]
    st.dataframe(
        rows,
        hide_index=True,
        height="content",
        column_config={
            "Visits": st.column_config.NumberColumn(format="localized"),
            **dict.fromkeys(("95 % interval", "Its interval"), st.column_config.TextColumn(width=165)),
        },
    )
    numbers = [
        {
            "zone": names[where],
            "visits": one.n or None,
            "visits an hour": one.an_hour,
            "engaged": one.engaged,
            **ends("median stay", None if one.dwell is None else one.dwell.median),
            **ends("90 % stay under", None if one.dwell is None else one.dwell.p90),
            "end not seen": None if one.dwell is None else one.dwell.censored,
        }
        for where, one in found.items()
    ]
    beside(rows, name="zones", by=by, numbers=numbers)


def _counted(visits: Kept, stays: Kept, audience: Audience, tz: str) -> list[Counted]:
    """Return how visits and stays were counted."""
    return [
        Counted.of(
            summed(Figure.VISITS, visits[0], audience),
            tz,
            f"A visit of an entrance is of whoever is seen there; page Today counts those who come in. {ROUNDED}",
            left_out=visits[1],
        ),
        Counted.of(
            summed(Figure.DWELL, stays[0], audience),
            tz,
            "Stays are those of 2 s or more with a stop; those lost from sight count for as long as they were seen"
            " (Kaplan–Meier). Where all walk through, as at doors, there is no stay to show.",
            left_out=stays[1],
        ),
    ]


def _floor(state_dir: Path, found: Mapping[Where, _Zone], by: Sequence[Counted]) -> None:
    st.header("On the floor")
    path = state_dir / STORE_TOML
    try:
        store = read_store(path) if path.is_file() else None
    except ConfigError as error:
        st.warning(str(error))
        return
    if store is None or not store.camera:
        st.info("There is no floor to draw: `store.toml` has no camera with zones.", icon=":material/map:")
        return
    measure = (
        st.segmented_control("Coloured by", _HEATS, default=_HEATS[0], required=True, key="heat", bind="query-params")
        or _HEATS[0]
    )
    st.markdown("Stronger is more; a zone without a figure is empty. Pads and staff zones are never measured.")
    _plans(store, found, measure, by)


def _plans(store: StoreFile, found: Mapping[Where, _Zone], measure: str, by: Sequence[Counted]) -> None:
    for camera in store.camera:
        heat = {zone: _heat(one, measure) for (name, zone), one in found.items() if name == camera.name}
        if not heat:
            st.caption(f"Camera {camera.name!r} has no figure in this period.")
            continue
        if len(store.camera) > 1:
            st.markdown(f"**{camera.name}**")
        show(
            lambda colours, camera=camera, heat=heat: plan(camera, heat, measure, colours),  # type: ignore[misc]
            [{"zone": zone, measure: one.value, "as told": one.words} for zone, one in heat.items()],
            name=f"Floor {camera.name}",
            told=f"The zones of camera {camera.name} on the floor, coloured by {measure.lower()}: "
            + ", ".join(f"{zone} {one.words}" for zone, one in heat.items())
            + ".",
            by=by,
        )


def _heat(one: _Zone, measure: str) -> Heat:
    none = Heat(None, one.no_stay)
    if measure == "Visits an hour":
        return none if one.an_hour is None else Heat(one.an_hour, f"{one.an_hour:.0f}")
    if measure == "Engaged":
        return none if one.engaged is None else Heat(one.engaged, f"{one.engaged:.0%}")
    if one.dwell is None:
        return none
    if measure == "Median stay":
        at = one.dwell.median.at
        return Heat(None, "not reached") if at is None else Heat(at, duration(at))
    return Heat(one.dwell.censored, f"{one.dwell.censored:.0%}")


def _tiers(found: Mapping[Where, _Zone], names: Mapping[Where, str], by: Sequence[Counted]) -> None:
    st.header("What people do there")
    rows = [
        {"zone": names[where], "part": TIER_WORDS[tier], "share": one.tier(tier) / one.n, "n": one.tier(tier)}
        for where, one in found.items()
        if one.n
        for tier in TIERS
    ]
    if not rows:
        st.info("No zone has a count of visits in what you chose.", icon=":material/hourglass_empty:")
        return
    engaged = ", ".join(f"{names[w]} {one.engaged:.0%}" for w, one in found.items() if one.engaged is not None)
    show(
        lambda colours: parts(rows, list(TIER_WORDS.values()), colours),
        rows,
        name="Engagement by zone",
        told=f"Share of visits by how long people stop. Engaged or deliberating: {engaged}.",
        by=by,
    )
