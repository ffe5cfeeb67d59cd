"""`openaisle up`: every process of a shop at once, and how they are on one page of the terminal."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from consent.command import Commands, command, until_told

if TYPE_CHECKING:
    from rich.console import Group

    from analytics.state import State
    from retention.supervise import Part, Running

NAMES = ("keeper", "watch", "kiosk", "dashboard")  # in the order in which they start
NOBODY = "nobody has an account yet"  # as the dashboard says it at its start
_LAST = 10  # lines shown beneath the table
_KNOCK_S = 0.2


def add(commands: Commands, program: Sequence[str]) -> None:
    """Add the command; `program` is how a process of a shop is started."""
    up = command(commands, "up", "run every process of the shop: keeper, watch, kiosk, dashboard")
    up.add_argument("--without", action="append", default=[], choices=NAMES, help="leave one out; may be said again")
    up.set_defaults(
        run=partial(_up, tuple(program)), looks_only=True
    )  # the processes have scratch folders of their own


def _up(program: tuple[str, ...], arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from retention.supervise import Supervisor

    state = State.read(arguments.state, arguments.keys)
    stop, said = threading.Event(), deque[str](maxlen=_LAST)
    until_told(stop, "up")
    terminal = sys.stdout.isatty()

    def say(name: str, line: str) -> None:
        if line.strip():
            said.append(f"{name}: {line}")
        if not terminal:
            print(line if line.startswith('{"time"') else f"{name}: {line}", flush=True)  # JSON names who speaks

    parts = _parts(program, state, arguments.keys, [n for n in NAMES if n not in arguments.without])
    supervisor = Supervisor(parts, environment=os.environ, say=say)
    if not terminal:
        code = supervisor.run(stop)
    else:
        from rich.live import Live

        def show() -> None:
            settle(state, said)
            page.update(_drawn(state, supervisor.running, list(said)), refresh=True)

        with Live(auto_refresh=False) as page:
            code = supervisor.run(stop, show=show)
    for one in supervisor.running if code else ():
        if one.code == code and not one.stood:
            why = one.last[-1] if one.last else f"openaisle: {one.part.name} refused its settings"
            left_out = "".join(f" --without {name}" for name in [*arguments.without, one.part.name])
            print(f"{why}; or go on without it: openaisle up --state {state.root}{left_out}", file=sys.stderr)
    return code


def _parts(program: tuple[str, ...], state: State, keys: Path | None, names: Iterable[str]) -> list[Part]:
    from consent.padview import ask
    from retention.supervise import Part

    store, began_us = state.store, time.time_ns() // 1000
    where = ["--state", str(state.root), *(["--keys", str(keys)] if keys else [])]
    doors = {name: (str(t.address), t.port) for name, t in (("kiosk", store.kiosk), ("dashboard", store.dashboard))}
    ready: dict[str, Callable[[], bool]] = {
        "keeper": partial(_swept, state.root, began_us),
        "watch": lambda: bool(ask(state.live, "zones", _KNOCK_S)),
        **{name: partial(_open, *door) for name, door in doors.items()},
    }
    scheme = {"kiosk": store.kiosk.certificate, "dashboard": store.dashboard.certificate}
    return [
        Part(
            name,
            (*program, name, *where),
            ready[name],
            ends=name == "watch",
            where="" if name not in doors else address(*doors[name], tls=scheme[name] is not None),
        )
        for name in names
    ]


def _swept(root: Path, since_us: int) -> bool:
    from retention.status import last_sweep

    told = last_sweep(root)
    return told is not None and told["swept_us"] >= since_us


def _open(address: str, port: int) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104  to knock, not to listen
    try:
        socket.create_connection((host, port), timeout=_KNOCK_S).close()
    except OSError:
        return False
    return True


def address(host: str, port: int, *, tls: bool) -> str:
    """Return where a page is opened, as somebody types it."""
    return f"{'https' if tls else 'http'}://{'localhost' if host == '127.0.0.1' else host}:{port}"


def settle(state: State, said: deque[str]) -> None:
    """Take away what a process said at its start and what is not so any more: that nobody has an account."""
    from analytics.dashboard import open_accounts

    for line in [line for line in list(said) if NOBODY in line]:
        with open_accounts(state) as accounts:
            if accounts.accounts():
                said.remove(line)


_COLOURS = {"ready": "green", "starting": "yellow", "waiting": "red", "done": "cyan", "stopped": "dim"}


def _drawn(state: State, running: Sequence[Running], said: Sequence[str]) -> Group:
    """Return the page: a row a process, and what was said last."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{state.store.store.name} · level {state.store.store.level} · Ctrl-C ends everything")
    for head in ("process", "state", "for", "again", "ended", "open at"):
        table.add_column(head, no_wrap=True)
    now_s = time.monotonic()
    for one in running:
        colour = _COLOURS[one.health]
        table.add_row(
            one.part.name,
            Text(one.health, style=colour),
            _span(one, now_s),
            str(max(one.starts - 1, 0)),
            "" if one.code is None else f"signal {-one.code}" if one.code < 0 else f"code {one.code}",
            one.part.where,
        )
    return Group(table, *(Text(line, style="dim", overflow="fold") for line in said))


def _span(one: Running, now_s: float) -> str:
    """Say how long it runs, or when it starts."""
    if one.pid is None:
        return f"in {one.due_s - now_s:.0f} s" if one.health == "waiting" and one.due_s > now_s else ""
    seconds = now_s - one.since_s
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"
