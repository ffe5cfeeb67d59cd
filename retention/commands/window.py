"""`openaisle retention erase-window`: for somebody without their code."""

from __future__ import annotations

import argparse

from analytics.commands.opened import opened
from consent.command import Commands, command, now_us, whole


def add(commands: Commands) -> None:
    """Add `openaisle retention erase-window`."""
    window = command(commands, "erase-window", "erase every consent given in a window, for somebody without their code")
    window.add_argument("--from", dest="first", required=True, metavar="TIME", help="'2026-11-21 15:05', shop's clock")
    window.add_argument("--to", dest="last", required=True, metavar="TIME")
    window.add_argument("--yes", type=whole, metavar="N", help="do it; N repeats the number that is shown without it")
    window.add_argument("--officer", metavar="NAME", default="", help="who does it; the log keeps its SHA-256")
    window.set_defaults(run=_erase_window)


def _erase_window(arguments: argparse.Namespace) -> int:
    from retention import window

    with opened(arguments, "dashboard") as (state, ledger):
        zone = state.store.timezone
        chosen = window.Window(window.instant(arguments.first, zone), window.instant(arguments.last, zone, last=True))
        if arguments.yes is None:
            number = window.count(ledger, chosen)
            print(f"{number} people's consents were given in this window and would be erased, whoever they are")
            if number:
                print(f"to erase them: add --yes {number} --officer NAME")
            return 0
        entry = window.erase(ledger, chosen, arguments.yes, officer=arguments.officer, now_us=now_us())
    print(f"{arguments.yes} ended (log entry {entry}); the keeper erases them now")
    return 0
