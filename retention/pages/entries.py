"""Entries of the log as a table, with times on the shop's clock, and with what is erased shown as erased."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

import streamlit as st

from analytics.config import StoreFile
from analytics.hourly import HIDDEN, Hour, camera_of
from consent.chronicle import Line
from consent.events import EventKind

WORDS: dict[EventKind, str] = {
    EventKind.GRANTED: "said yes",
    EventKind.RENEWED: "said yes again",
    EventKind.REFUSED: "said no",
    EventKind.OBJECTED: "objected to being counted",
    EventKind.WITHDRAWN: "took a yes back",
    EventKind.EXPIRED: "term of a yes was over",
    EventKind.REVOKED: "a yes was ended by the shop",
    EventKind.INVALIDATED: "a yes was found void",
    EventKind.ACCESS_DENIED: "access was refused",
    EventKind.PERSONAL_READ: "personal data was read",
    EventKind.ACCOUNT_CHANGED: "an account was changed",
    EventKind.SETTINGS_WRITTEN: "an administrator wrote the settings on a page",
    EventKind.SETUP_OPENED: "session opened: an administrator may look at a camera",
    EventKind.SETUP_CLOSED: "session closed: an administrator has looked at a camera",
    EventKind.STREAM_TESTED: "an administrator tested a stream",
    EventKind.LEVEL_RAISED: "privacy level raised",
    EventKind.LEVEL_LOWERED: "privacy level lowered",
    EventKind.CONFIG_CHANGED: "settings, notice or policy changed",
    EventKind.KEY_ROTATED: "a key was rotated",
    EventKind.ERASED: "erased",
    EventKind.RELEASED: "figures released",
    EventKind.HOLD_PLACED: "hold placed",
    EventKind.HOLD_RELEASED: "hold released",
    EventKind.ANSWERED: "a request was answered",
    EventKind.RESTORED: "restored from a backup",
    EventKind.TALLIED: "what a camera did in an hour",
}
_LONGEST = 20  # letters of a hash that are shown


def clock(at_us: int | None, zone: tzinfo) -> str:
    """Return an instant (UTC microseconds) on the shop's clock."""
    return "erased" if at_us is None else f"{datetime.fromtimestamp(at_us / 1e6, zone):%Y-%m-%d %H:%M:%S}"


def entries(lines: Sequence[Line], store: StoreFile) -> None:
    """Draw entries as a table, with times on the shop's clock and cameras by the names they have now."""
    st.table(
        [
            {
                "Entry": str(one.entry),
                "When": clock(one.at_us, store.timezone),
                "What": f"{WORDS.get(one.kind, one.kind.value)} (`{one.kind.value}`)",
                "Purposes or level": ", ".join(sorted(one.purposes)) or (one.level or ""),
                "How many": "" if one.count is None else str(one.count),
                "Words": said(one, store),
            }
            for one in lines
        ],
        border="horizontal",
    )


def said(one: Line, store: StoreFile) -> str:
    """Return what an entry says besides, in one line."""
    if one.details is None:
        return "payload erased: only kind, number and commitment are left"
    if one.kind is EventKind.TALLIED:
        return _hour(Hour.of(one.details), store)
    parts = [f"SHA-256 {one.digest[:_LONGEST]}…"] if one.digest else []
    return ", ".join(parts + [_named(name, value, store) for name, value in sorted(one.details.items())])


def camera_name(camera: str, store: StoreFile) -> str:
    """Return the name of a camera that the log knows by its hash."""
    names = {camera_of(one.name): one.name for one in store.camera}
    return names.get(camera, f"{camera[:12]}… (not in store.toml any more)")


def _hour(hour: Hour, store: StoreFile) -> str:
    rows, looks, faces = (
        "not told (fewer than five people, or nobody)" if count == HIDDEN else count
        for count in (hour.rows, hour.looks, hour.expression)
    )
    return (
        f"camera {camera_name(hour.camera, store)}, hour from {clock(hour.from_us, store.timezone)[:-3]}:"
        f" {hour.frames:,} pictures looked at, {hour.tracks} people followed and counted,"
        f" {hour.links} of them linked to their yes at the pad; rows written about those: {rows};"
        f" looks at their posture: {looks}; at their face: {faces}"
    )


def _named(name: str, value: Any, store: StoreFile) -> str:
    if name == "camera":
        return f"camera {camera_name(str(value), store)}"
    if name.endswith("_us") and isinstance(value, int):
        return f"{name.removesuffix('_us')} {clock(value, store.timezone)}"
    return f"{name} {_short(value)}"


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_short(inner)}" for name, inner in sorted(value.items()))
    if isinstance(value, list):
        return " ".join(_short(inner) for inner in value)
    text = str(value)
    return text if len(text) <= 2 * _LONGEST else f"{text[:_LONGEST]}…"
