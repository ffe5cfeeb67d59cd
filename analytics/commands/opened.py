"""The shop that a command works on, opened: its state directory and its ledger."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from analytics.state import State
    from consent.ledger import Ledger

As = Literal["kiosk", "phone", "watch", "keeper", "dashboard", "admin"]


@contextmanager
def opened(arguments: argparse.Namespace, role: As) -> Iterator[tuple[State, Ledger]]:
    """Open the shop that the words of a command name.

    Args:
        arguments: what `consent.command.command` reads: `--state` and `--keys`.
        role: whose keys the command may hold, see `consent.keys.Role`.

    Raises:
        ConfigError: there is no such shop, or its `store.toml` does not fit.
        ConsentError: its keys or its ledger cannot be used.
    """
    from analytics.state import State
    from consent.keys import Role

    state = State.read(arguments.state, arguments.keys)
    with state.open_ledger(Role(role)) as ledger:
        yield state, ledger
