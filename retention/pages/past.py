"""What happened at a past instant: what was in force, what the cameras did in that hour, and what is left of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from analytics.config import StoreFile
from analytics.dashboard import desk, require
from analytics.hourly import HIDDEN, HOUR_US, Hour
from analytics.pages.style import begin
from analytics.state import State
from consent import chronicle
from consent.access import Action
from consent.chronicle import Line, Moment
from consent.events import EventKind, Level
from consent.ledger import Ledger
from retention import paper, signage
from retention.pages.asking import now_us
from retention.pages.entries import WORDS, camera_name, clock, entries
from retention.pages.handout import hand_out

_AROUND_US = 15 * 60 * 1_000_000
_MOST = 200


@dataclass(frozen=True, slots=True)
class Told:
    """What the page says of one instant.

    Attributes:
        moment: as the log has it.
        words: what was in force.
        hashes: of what was in force.
        from_us: begin of the hour, UTC microseconds.
        hours: what each camera did in it.
        lines: entries within a quarter of an hour.
        remains: what is left of it, a sentence each.
    """

    moment: Moment
    words: Mapping[str, str]
    hashes: Mapping[str, str]
    from_us: int
    hours: list[dict[str, str]]
    lines: Sequence[Line]
    remains: list[str]


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
    words, hashes = _force(state, ledger, moment)
    from_us = at_us - at_us % HOUR_US
    lines = chronicle.around(ledger, at_us - _AROUND_US, at_us + _AROUND_US, _MOST)
    told = Told(moment, words, hashes, from_us, _hours(state, ledger, from_us), lines, _remains(lines, moment))
    _take_along(state, _sheet(state, ledger, told), f"{day}-{at:%H%M}")
    _draw_force(state, ledger, words, hashes)
    _draw_hours(told.hours, from_us, zone)
    _draw_entries(lines, state.store)
    _draw_remains(told.remains, moment, state.store)


def _take_along(state: State, text: str, name: str) -> None:
    store = state.store.store
    with st.container(horizontal=True):
        hand_out("All of it as Markdown", text, f"{name}.md", "text/markdown", Action.READ_CONSENTS)
        hand_out(
            "As PDF",
            lambda: paper.pdf(
                "What happened", text.replace("**", "").replace("`", ""), store.name, simulated=store.simulated
            ),
            f"{name}.pdf",
            "application/pdf",
            Action.READ_CONSENTS,
        )


def _instant(day: Any, at: time, zone: ZoneInfo) -> int:
    chosen = day if isinstance(day, date) else datetime.now(zone).date()
    return round(datetime.combine(chosen, at, zone).timestamp()) * 1_000_000


def _force(state: State, ledger: Ledger, moment: Moment) -> tuple[dict[str, str], dict[str, str]]:
    """Return what was in force, in words, and the hashes that prove it."""
    settings = moment.settings
    told: Mapping[str, Any] = {} if settings is None or settings.details is None else settings.details
    notice: Mapping[str, str] = told.get("notice", {})
    level = told.get("level")
    same = settings is not None and settings.digest == state.sha256.hex()
    words = {
        "Privacy level in force": f"**{level}**" if level else "not in the log: only what was approved is",
        "Privacy level approved": f"**{moment.approved}**"
        + ("" if moment.raised is None else f" (entry {moment.raised.entry})")
        + (", the default of a new shop" if moment.raised is None and moment.approved is Level.COUNTS else ""),
        "Notice": f"version **{notice['version']}**" if notice else _no_notice(told),
        "Settings": "none yet"
        if settings is None
        else f"`store.toml` as of entry {settings.entry}, " + ("the same as now" if same else "changed since"),
        "Log": f"{moment.size:,} entries by then",
    }
    hashes = {f"Notice in {name}": value for name, value in sorted(notice.items()) if name != "version"}
    if settings is not None:
        hashes["store.toml"] = str(settings.digest)
    hashes["Retention policy"] = str(told.get("policy", "not in the log yet by then"))
    return words, hashes


def _draw_force(state: State, ledger: Ledger, words: Mapping[str, str], hashes: Mapping[str, str]) -> None:
    st.header("In force")
    st.table(dict(words), border="horizontal")
    with st.expander("SHA-256 of what was in force, to hold a copy against"):
        st.table({name: f"`{value}`" for name, value in hashes.items()}, border="horizontal")
    then = {name: value for name, value in hashes.items() if name.startswith("Notice in ")}
    now = signage.hashes(state, ledger)
    if then and then == {f"Notice in {name}": value for name, value in now.items() if name != "version"}:
        with st.expander("The notice as it was shown; its words are still in force"):
            shown = {one.language: one for one in signage.notices(state, ledger)}
            language = st.selectbox("Language", list(shown))
            st.code(shown[language or next(iter(shown))].text, language=None, wrap_lines=True)
    elif then:
        st.caption(
            "The notice was changed since. Its words are those that this `store.toml` gave; a copy of the file with"
            " this SHA-256, such as in a backup or an audit bundle, gives them again: `openaisle notice`."
        )


def _no_notice(told: Mapping[str, Any]) -> str:
    if "notice" in told:
        return "none: the shop had not said who answers for the data, and so could ask nobody"
    return "not in the log: entries of yes carry its SHA-256, see below"


def _hours(state: State, ledger: Ledger, from_us: int) -> list[dict[str, str]]:
    """Return what each camera did in an hour, as the log has it."""
    return [
        {
            "Camera": camera_name(hour.camera, state.store),
            "Pictures": f"{hour.frames:,}",
            "People followed": hour.tracks,
            "Linked to a yes": hour.links,
            "Rows about them": hour.rows,
            "Looks at posture": hour.looks,
            "Looks at faces": hour.expression,
            "Entry": str(line.entry),
            "Signed": "yes" if _signed(ledger, line.entry) else "within a second of a running keeper",
        }
        for line, hour in _tallies(ledger, from_us)
    ]


def _draw_hours(hours: list[dict[str, str]], from_us: int, zone: ZoneInfo) -> None:
    st.header("What the cameras did in that hour")
    st.caption(
        f"{clock(from_us, zone)} to {clock(from_us + HOUR_US, zone)[-8:]}. Bands, so that nobody can be told apart:"
        f" “{HIDDEN}” stands for what concerns fewer than five people, or nobody."
    )
    if hours:
        st.table(hours, border="horizontal")
        return
    st.info(
        "No hour of a camera is in the log here. One is written when it is over, by `openaisle watch`; an hour in"
        " which it did not run, or at whose end it was killed, has none."
    )


def _tallies(ledger: Ledger, from_us: int) -> Sequence[tuple[Line, Hour]]:
    ends = from_us, from_us + 3 * HOUR_US  # an hour is written with the first picture of the next, or at the end
    lines = chronicle.search(ledger, kinds=(EventKind.TALLIED,), since_us=ends[0], until_us=ends[1], limit=1000)
    found = [(line, Hour.of(line.details)) for line in reversed(lines) if line.details is not None]
    return [(line, hour) for line, hour in found if hour.from_us == from_us]


def _signed(ledger: Ledger, entry: int) -> bool:
    newest = ledger.newest_checkpoint()
    return newest is not None and entry < newest[1].size


def _draw_entries(lines: Sequence[Line], store: StoreFile) -> None:
    st.header("Entries around it")
    if not lines:
        st.info(
            "No entry within a quarter of an hour whose time still stands. Where a yes was erased, its time went with"
            " it: only its number is left."
        )
        return
    entries(lines, store)
    if len(lines) >= _MOST:
        st.caption(f"The first {_MOST} are shown; the page “Log” has the others.")


def _remains(lines: Sequence[Line], moment: Moment) -> list[str]:
    """Say what is left of it, a sentence each."""
    personal = [one for one in lines if one.kind.personal]
    gone = sum(one.erased for one in personal)
    later = sum(one.count or 0 for one in moment.erasures)
    return [
        f"Of {len(personal)} entries that name somebody, a shopper or a desk, within a quarter of an hour, the words of"
        f" {gone} are erased: what is left of those is number, kind, and a commitment that says nothing without its"
        " key.",
        f"Since then {len(moment.erasures)} erasures were carried out, of {later} people whose last yes had ended;"
        " nothing says whether they were here then.",
        "No picture, crop or face template was ever kept, so none is left.",
    ]


def _sheet(state: State, ledger: Ledger, told: Told) -> str:
    """Return all of the page as a document to take along."""
    zone, newest = state.store.timezone, ledger.newest_checkpoint()
    signed = "nothing is signed yet"
    if newest is not None:
        signed = f"{newest[1].size:,} entries signed, root {newest[1].root.hex()}"
    return "\n\n".join(
        (
            f"# What happened on {clock(told.moment.at_us, zone)}",
            f"{state.store.store.name}, on the shop's clock ({zone.key}). Made on {clock(now_us(), zone)} from the"
            f" log {ledger.origin}: {signed}. Each entry below can be proven by its number, offline.",
            "## In force",
            _as_table([{"What": name, "Then": value} for name, value in told.words.items()]),
            _as_table([{"Of": name, "SHA-256": value} for name, value in told.hashes.items()]),
            f"## What the cameras did in the hour from {clock(told.from_us, zone)}",
            _as_table(told.hours) if told.hours else "No hour of a camera is in the log.",
            "## Entries within a quarter of an hour",
            _as_table(
                [
                    {"Entry": str(one.entry), "When": clock(one.at_us, zone), "What": WORDS.get(one.kind, one.kind)}
                    for one in told.lines
                ]
            )
            if told.lines
            else "None whose time still stands.",
            "## What is left of it",
            "\n".join(f"- {sentence}" for sentence in told.remains),
        )
    )


def _as_table(rows: Sequence[Mapping[str, str]]) -> str:
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([row[head] for head in heads] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _draw_remains(remains: Sequence[str], moment: Moment, store: StoreFile) -> None:
    st.header("What is left of it")
    st.markdown("\n".join(f"- {sentence}" for sentence in remains))
    if moment.erasures:
        with st.expander("Erasures since"):
            entries(moment.erasures[:_MOST], store)
