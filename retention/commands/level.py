"""`openaisle level`: the privacy level, approved by two people."""

from __future__ import annotations

import argparse
import hashlib

from analytics.commands.opened import opened
from consent.command import Commands, command, now_us


def add(commands: Commands) -> None:
    """Add `openaisle level`."""
    level = command(commands, "level", "show the privacy level, or approve another one")
    level.add_argument("level", nargs="?", choices=["counts", "dwell", "repeat", "emotion"], help="level to approve")
    level.add_argument("--approved-by", action="append", default=[], metavar="NAME", help="twice, two people")
    level.add_argument("--dpia", metavar="REF", help="reference of the data protection impact assessment")
    level.set_defaults(run=_level)


def _level(arguments: argparse.Namespace) -> int:
    from analytics.state import STORE_TOML
    from consent.events import Level
    from retention.holds import person

    with opened(arguments, "admin") as (state, ledger):
        if arguments.level is not None:
            people = {person(name) for name in arguments.approved_by if name.strip()}
            approvals = [bytes.fromhex(one) for one in sorted(people)]
            reference = (arguments.dpia or "").strip()
            dpia = hashlib.sha256(reference.encode()).digest() if reference else None
            ledger.set_level(Level(arguments.level), now_us=now_us(), approvals=approvals, dpia_sha256=dpia)
        print(
            f"approved: {ledger.approved_level()}; store.toml asks for: {state.store.store.level}; "
            f"in force: {state.level(ledger)}"
        )
        if ledger.approved_level() > state.store.store.level:
            print(f'to use it, write level = "{ledger.approved_level()}" under [store] in {state.root / STORE_TOML}')
    return 0
