"""Entries of the log as a table, with times on the shop's clock, and with what is erased shown as erased."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

import streamlit as st

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


def entries(lines: Sequence[Line], zone: tzinfo) -> None:
    """Draw entries as a table."""
    st.table(
        [
            {
                "Entry": str(one.entry),
                "When": clock(one.at_us, zone),
                "What": f"{WORDS.get(one.kind, one.kind.value)} (`{one.kind.value}`)",
                "Purposes or level": ", ".join(sorted(one.purposes)) or (one.level or ""),
                "How many": "" if one.count is None else str(one.count),
                "Words": said(one),
            }
            for one in lines
        ],
        border="horizontal",
    )


def said(one: Line) -> str:
    """Return what an entry says besides, in one line."""
    if one.details is None:
        return "payload erased: only kind, number and commitment are left"
    parts = [f"SHA-256 {one.digest[:_LONGEST]}…"] if one.digest else []
    return ", ".join(parts + [f"{name} {_short(value)}" for name, value in sorted(one.details.items())])


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_short(inner)}" for name, inner in sorted(value.items()))
    if isinstance(value, list):
        return " ".join(_short(inner) for inner in value)
    text = str(value)
    return text if len(text) <= 2 * _LONGEST else f"{text[:_LONGEST]}…"
