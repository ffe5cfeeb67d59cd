"""What happened in the shop, beside the charts: managers write it down, mend it, and take it off again."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import streamlit as st

from analytics.bins import local
from analytics.model import AnalyticsError
from analytics.notes import LONGEST, Note, NoteError, Notes

_WHOLE = "Whole shop"


def notes_button(state_dir: Path, day: date, zones: list[str], tz: str) -> None:
    """Draw the button behind which notes are written.

    Args:
        state_dir: of the store.
        day: local day proposed for a new note.
        zones: names there are.
        tz: IANA name of the store's time zone.

    Raises:
        AnalyticsError: the notes cannot be read.
    """
    notes = Notes(state_dir)
    shown = notes.shown()
    with st.popover(f"What happened ({len(shown)})", icon=":material/edit_note:", key="happened"):
        st.caption(
            "A note stands on every chart over time. Write what happened to the shop, such as “new shelf”; never"
            " anything about a person."
        )
        choices = [None, *reversed(shown)]
        note = st.selectbox("Note", choices, format_func=_label, key="note-chosen")
        _form(notes, note, day, zones)
        if note is not None:
            _versions(notes, note, tz)


def _label(note: Note | None) -> str:
    return "New note" if note is None else f"{note.day}: {note.text}"


def _form(notes: Notes, note: Note | None, day: date, zones: list[str]) -> None:
    key = "new" if note is None else f"{note.number}-{note.version}"
    places = [_WHOLE, *zones]
    if note is not None and note.zone and note.zone not in places:
        places.append(note.zone)
    with st.form(f"note-{key}", border=False):
        text = st.text_input("What happened", "" if note is None else note.text, max_chars=LONGEST)
        when = st.date_input("Day of it", day if note is None else note.day, format="YYYY-MM-DD")
        at = places.index(note.zone) if note is not None and note.zone else 0
        where = st.selectbox("About", places, index=at)
        with st.container(horizontal=True):
            write = st.form_submit_button("Write" if note is None else "Change")
            off = note is not None and st.form_submit_button("Take off the charts")
    if not (write or off):
        return
    zone = "" if where == _WHOLE else where
    now_us = time.time_ns() // 1000
    try:
        if note is None:
            notes.write(when, text, zone=zone, now_us=now_us)
        else:
            notes.change(note, day=when, text=text, zone=zone, now_us=now_us, gone=off)
    except NoteError as error:
        st.error(str(error))
        return
    st.rerun()


def _versions(notes: Notes, note: Note, tz: str) -> None:
    versions = [one for one in notes.versions() if one.number == note.number]
    for one in versions[:-1]:
        st.caption(f"Version {one.version} ({local(one.written_us, tz):%Y-%m-%d %H:%M}): {one.day}, {one.text}")
    if st.button("Forget every version", key=f"forget-{note.number}", help="For a note that should never have been."):
        notes.forget(note.number)
        st.rerun()


def drawn(state_dir: Path, first: date, last: date, zones: tuple[str, ...] = ()) -> list[Note]:
    """Return the notes to draw on a chart; none, and a warning on the page, where they cannot be read."""
    try:
        return Notes(state_dir).shown(first, last, zones)
    except AnalyticsError as error:
        st.warning(str(error))
        return []
