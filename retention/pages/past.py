"""What happened at a past instant: what was in force, what the cameras did in that hour, and what is left of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from analytics.dashboard import desk, require
from analytics.hourly import HIDDEN, HOUR_US, Hour, camera_of
from analytics.pages.style import begin
from analytics.state import State
from consent import chronicle
from consent.access import Action
from consent.chronicle import Line, Moment
from consent.events import EventKind, Level
from consent.ledger import Ledger
from retention import signage
from retention.pages.entries import clock, entries

_AROUND_US = 15 * 60 * 1_000_000
_MOST = 200


def past(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store.
    """
    begin("What happened")
    require(Action.READ_CONSENTS)
    state, ledger = desk().state.reread(), desk().ledger
    zone = state.store.timezone
    now = datetime.now(zone)
    st.markdown("“What happened on Tuesday at 15:10?” Choose a day and a time on the shop's clock.")
    one, two, _ = st.columns([1, 1, 2])
    day = one.date_input("Day", value=now.date(), max_value=now.date() + timedelta(days=1))
    at = two.time_input("Time", value=time(now.hour, now.minute), step=timedelta(minutes=5))
    at_us = _instant(day, at, zone)
    moment = chronicle.at(ledger, at_us)
    if moment.size == 0:
        first = chronicle.line(ledger, 0)
        begun = "nothing is in it yet" if first is None else f"its first entry is of {clock(first.at_us, zone)}"
        st.info(f"The log had not begun by then: {begun}. Choose a later instant.")
        return
    _force(state, ledger, moment)
    _hour(state, ledger, moment, zone)
    _entries(ledger, moment, zone)
    _remains(ledger, moment, zone)


def _instant(day: Any, at: time, zone: ZoneInfo) -> int:
    chosen = day if isinstance(day, date) else datetime.now(zone).date()
    return round(datetime.combine(chosen, at, zone).timestamp()) * 1_000_000


def _force(state: State, ledger: Ledger, moment: Moment) -> None:
    st.header("In force")
    settings = moment.settings
    told: Mapping[str, Any] = {} if settings is None or settings.details is None else settings.details
    notice: Mapping[str, str] = told.get("notice", {})
    level = told.get("level")
    same = settings is not None and settings.digest == state.sha256.hex()
    rows = {
        "Privacy level in force": f"**{level}**" if level else "not in the log: only what was approved is",
        "Privacy level approved": f"**{moment.approved}**"
        + ("" if moment.raised is None else f" (entry {moment.raised.entry})")
        + (", the default of a new shop" if moment.raised is None and moment.approved is Level.COUNTS else ""),
        "Notice": f"version **{notice['version']}**" if notice else _no_notice(told),
        **{
            f"Notice in {language}": f"SHA-256 `{digest}`"
            for language, digest in sorted(notice.items())
            if language != "version"
        },
        "Settings": "none yet"
        if settings is None
        else f"`store.toml` with SHA-256 `{settings.digest}` (entry {settings.entry})"
        + (", the same as now" if same else ", changed since"),
        "Retention policy": f"SHA-256 `{told['policy']}`" if "policy" in told else "not in the log yet by then",
        "Log": f"{moment.size:,} entries by then",
    }
    st.table(rows, border="horizontal")
    if notice and notice == signage.hashes(state, ledger):
        with st.expander("The notice as it was shown; its words are still in force"):
            shown = {one.language: one for one in signage.notices(state, ledger)}
            language = st.selectbox("Language", list(shown))
            st.code(shown[language or next(iter(shown))].text, language=None, wrap_lines=True)
    elif notice:
        st.caption(
            "The notice was changed since. Its words are those that this `store.toml` gave; a copy of the file with"
            " this SHA-256, such as in a backup or an audit bundle, gives them again: `openaisle notice`."
        )


def _no_notice(told: Mapping[str, Any]) -> str:
    if "notice" in told:
        return "none: the shop had not said who answers for the data, and so could ask nobody"
    return "not in the log: entries of yes carry its SHA-256, see below"


def _hour(state: State, ledger: Ledger, moment: Moment, zone: ZoneInfo) -> None:
    from_us = moment.at_us - moment.at_us % HOUR_US
    st.header("What the cameras did in that hour")
    st.caption(
        f"{clock(from_us, zone)} to {clock(from_us + HOUR_US, zone)[-8:]}. Bands, so that nobody can be told apart:"
        f" “{HIDDEN}” stands for what concerns fewer than five people, or nobody."
    )
    names = {camera_of(camera.name): camera.name for camera in state.store.camera}
    found = _tallies(ledger, from_us)
    if not found:
        st.info(
            "No hour of a camera is in the log here. One is written when it is over, by `openaisle watch`; an hour in"
            " which it did not run, or at whose end it was killed, has none."
        )
        return
    st.table(
        [
            {
                "Camera": names.get(hour.camera, f"{hour.camera[:12]}… (not in store.toml any more)"),
                "Pictures": f"{hour.frames:,}",
                "Tracks": hour.tracks,
                "Links": hour.links,
                "Rows": hour.rows,
                "Pose net": hour.looks,
                "Expression net": hour.expression,
                "Entry": str(line.entry),
                "Signed": "yes" if _signed(ledger, line.entry) else "within a second of a running keeper",
            }
            for line, hour in found
        ],
        border="horizontal",
    )


def _tallies(ledger: Ledger, from_us: int) -> Sequence[tuple[Line, Hour]]:
    ends = from_us, from_us + 3 * HOUR_US  # an hour is written with the first picture of the next, or at the end
    lines = chronicle.search(ledger, kinds=(EventKind.TALLIED,), since_us=ends[0], until_us=ends[1], limit=1000)
    found = [(line, Hour.of(line.details)) for line in reversed(lines) if line.details is not None]
    return [(line, hour) for line, hour in found if hour.from_us == from_us]


def _signed(ledger: Ledger, entry: int) -> bool:
    newest = ledger.newest_checkpoint()
    return newest is not None and entry < newest[1].size


def _entries(ledger: Ledger, moment: Moment, zone: ZoneInfo) -> None:
    st.header("Entries around it")
    lines = chronicle.around(ledger, moment.at_us - _AROUND_US, moment.at_us + _AROUND_US, _MOST)
    if not lines:
        st.info(
            "No entry within a quarter of an hour whose time still stands. Where a yes was erased, its time went with"
            " it: only its number is left."
        )
        return
    entries(lines, zone)
    if len(lines) >= _MOST:
        st.caption(f"The first {_MOST} are shown; the page “Log” has the others.")


def _remains(ledger: Ledger, moment: Moment, zone: ZoneInfo) -> None:
    st.header("What is left of it")
    lines = chronicle.around(ledger, moment.at_us - _AROUND_US, moment.at_us + _AROUND_US, _MOST)
    personal = [one for one in lines if one.kind.personal]
    gone = sum(one.erased for one in personal)
    later = sum(one.count or 0 for one in moment.erasures)
    st.markdown(
        f"- Of {len(personal)} entries about people within a quarter of an hour, the words of {gone} are erased: what"
        " is left of those is number, kind, and a commitment that says nothing without its key.\n"
        f"- Since then {len(moment.erasures)} erasures were carried out, of {later} people whose last yes had ended;"
        " nothing says whether they were here then.\n"
        "- No picture, crop or face template was ever kept, so none is left."
    )
    if moment.erasures:
        with st.expander("Erasures since"):
            entries(moment.erasures[:_MOST], zone)
