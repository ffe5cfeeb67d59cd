"""How an officer's page offers a file: by an address that answers this session alone, see `consent.signin.handout`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from html import escape

import streamlit as st

from analytics.dashboard import desk
from consent.access import Action
from consent.signin.gate import SESSION_HEADER
from consent.signin.handout import Handouts

_STYLE = (
    "display:inline-block;padding:.4rem .8rem;border:1px solid currentColor;border-radius:.5rem;color:inherit;"
    "text-decoration:none;font-weight:600"
)


@cache
def handouts() -> Handouts:
    """Return what this process hands out."""
    return Handouts(desk().access)


def hand_out(label: str, made: bytes | str | Callable[[], bytes], name: str, kind: str, action: Action) -> None:
    """Draw a link by which whoever looks fetches a file.

    Args:
        label: of the link.
        made: what is in the file, or makes it when it is fetched.
        name: of the file; one page offers one file of a name.
        kind: its media type.
        action: what they must be allowed.
    """
    data = made.encode() if isinstance(made, str) else made
    session = st.context.headers.get(SESSION_HEADER, "")
    address = handouts().offer(session, action, name, kind, data if callable(data) else lambda: data)
    st.html(f'<a href="{address}" download="{escape(name)}" target="_self" style="{_STYLE}">{escape(label)}</a>')
