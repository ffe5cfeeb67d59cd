"""A keeper as a process of its own, to be killed at any moment."""

from __future__ import annotations

import threading
from pathlib import Path

from analytics.state import State
from consent.keys import Role
from retention.keeper import Keeper


def keep(root: str, now_us: int) -> None:
    """Keep the shop until somebody kills the process."""
    state = State.read(Path(root))
    with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger) as keeper:
        keeper.run(threading.Event(), lambda: now_us)
