"""What a page is: its name, its address, its section, and how it is drawn. No rule lives here.

Who may see which section is decided where people sign in, not by the page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from consent.events import Level

SHOP = "shop"  # the section of managers


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the dashboard.

    Attributes:
        title: as the menu shows it.
        path: its part of the address, letters only.
        draw: draws it from a state directory.
        icon: a Material symbol, as Streamlit writes them.
        section: who may see it: `shop`, `compliance`, `level` or `set-up`.
        least: privacy level below which there is no such page.
    """

    title: str
    path: str
    draw: Callable[[Path], None]
    icon: str
    section: str = SHOP
    least: Level = Level.COUNTS
