"""`openaisle demo`: everything, on a simulated shop."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from consent.command import Commands, now_us, until_told

if TYPE_CHECKING:
    from analytics.state import State
    from analytics.store import NewVisit


def add(commands: Commands, program: Sequence[str]) -> None:
    """Add `openaisle demo`; program is what starts `openaisle`."""
    demo = commands.add_parser(
        "demo",
        help="show everything on a simulated shop: measured against the truth, then the pages",
        description="Run the simulated shop's clip through everything, print measured against true figures, then serve "
        "the dashboard (four simulated weeks) and the kiosk on this machine until stopped.",
    )
    demo.add_argument(
        "--state", type=Path, metavar="DIR", help="new directory to keep it in (default: gone at the end)"
    )
    demo.add_argument("--headless", action="store_true", help="end after the table, serve nothing")
    demo.add_argument("--model", type=Path, metavar="PATH", help="another detector than our own")
    demo.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    demo.add_argument("--remake-weeks", type=Path, metavar="FILE", help="make the four simulated weeks again, and end")
    demo.set_defaults(run=_demo, program=program)


def _demo(arguments: argparse.Namespace) -> int:
    if arguments.remake_weeks is not None:
        return _remake_weeks(arguments.remake_weeks)
    import tempfile

    from tqdm import tqdm

    from analytics.model import AnalyticsError
    from analytics.shopfloor import demo, weeks
    from consent.events import Purpose
    from consent.keys import Role
    from retention import simulated
    from retention.keeper import Keeper

    def keep(state: State) -> list[NewVisit]:
        with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger) as keeper:
            keeper.run_once(now_us())
            return list(keeper.visits.read(Purpose.DWELL))

    stop = threading.Event()
    with ExitStack() as stack:
        if arguments.state is None:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what lies below is removed on the way out
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="openaisle-demo-")))
        else:
            root = arguments.state
            if root.exists() and (not root.is_dir() or any(root.iterdir())):
                raise AnalyticsError(f"{root} is there already, and nothing is overwritten; name a new directory")
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        hour = 3_600_000_000
        _part(arguments, 1, "watching the clip of the simulated shop")
        with tqdm(total=92.0, unit="s", disable=None, leave=False) as bar:
            outcome = demo.run(
                root / "clip",
                arguments.model,
                keep,
                start_us=(now_us() // hour - 2) * hour,
                progress=lambda done: bar.update(round(done - bar.n, 3)),
            )
        _part(arguments, 2, "opening the four simulated weeks")
        present = now_us()
        year = simulated.open_shop(root / "weeks", now_us=present)
        files = weeks.unpack(year)
        print(json.dumps(outcome.as_dict()) if arguments.json else outcome.table(), flush=True)
        if not arguments.json:
            until = "" if arguments.state is not None else " (gone when this ends; --state DIR keeps it)"
            print(f"\nfigures of the clip: {outcome.state.released}{until}")
            print(f"four simulated weeks: {year.released}, {files} files, made up by a program", flush=True)
        if not arguments.headless:
            _part(arguments, 3, "living through those weeks, for the officers' pages")
            with tqdm(total=100.0, unit="%", desc="a past for officers", disable=None, leave=False) as bar:
                simulated.Past(year, now_us=present).live(lambda done: bar.update(round(100 * done - bar.n, 1)))
            attend(arguments.program, root, outcome.state.root, year.root, stop)
    return 0


def _part(arguments: argparse.Namespace, number: int, what: str) -> None:
    """Say what begins, where no bar shows it and no JSON object is wanted."""
    if not sys.stderr.isatty() and not arguments.json:
        print(f"part {number} of {2 if arguments.headless else 3}: {what}", flush=True)


def attend(program: Sequence[str], root: Path, clip: Path, year: Path, stop: threading.Event) -> None:
    """Serve the pages of the demo until told to stop."""
    from analytics.shopfloor.attend import Attendant, free_port

    until_told(stop, "demo")
    (root / "logs").mkdir()
    with Attendant(program, root / "logs") as pages:
        dashboard, kiosk = free_port(), free_port()
        for shop in (clip, year):
            pages.start(f"keeper-{shop.name}", ["keeper", "--state", shop])
        pages.start("dashboard", ["dashboard", "--state", year, "--port", str(dashboard)])
        pages.start("kiosk", ["kiosk", "--state", clip, "--port", str(kiosk)])
        if all(pages.answers(port, stop) for port in (dashboard, kiosk)):
            print("\ndashboard (the four simulated weeks); each link signs one desk in, once:")
            for desk, link in demo_links(year):
                print(f"  {desk:<14} http://127.0.0.1:{dashboard}/enter/{link}")
            print(f"kiosk:     http://127.0.0.1:{kiosk}  (the shop of the clip)\nCtrl-C ends both", flush=True)
        while not stop.wait(0.5):
            pages.check()


def demo_links(year: Path) -> list[tuple[str, str]]:
    """Return a one-time way in for every desk of the demo; whose account is missing gets one, without a password."""
    from analytics.dashboard import open_accounts
    from analytics.state import State
    from consent.access import Desk

    with open_accounts(State.read(year)) as accounts:
        there = {one.desk: one for one in accounts.accounts()}
        made = [there.get(desk) or accounts.add(f"demo {desk}", desk, now_us=now_us()) for desk in Desk]
        return [(one.desk.value, accounts.link(one, now_us=now_us())) for one in made]


def _remake_weeks(bundle: Path) -> int:
    import random
    import tempfile

    from tqdm import tqdm

    from analytics.model import AnalyticsError
    from analytics.shopfloor import weeks
    from analytics.state import State
    from consent.keys import Role
    from retention.keeper import Keeper

    if not bundle.parent.is_dir() or bundle.is_dir():  # before minutes of work
        raise AnalyticsError(f"{bundle} cannot be made: name a file in a folder that is there")
    chance = random.Random(weeks.SEED)  # noqa: S311 - the same weeks again, of nobody

    def keep(state: State, now_us: int) -> None:
        with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger, chance) as keeper:
            keeper.run_once(now_us)

    with tempfile.TemporaryDirectory(prefix="openaisle-weeks-") as name:
        root = Path(name) / "weeks"
        for day, _ in tqdm(weeks.make(root, keep), total=24, unit="day", disable=None, leave=False):
            last = day
        weeks.pack(State.read(root).released, bundle)
    print(f"{bundle}: {weeks.FIRST} to {last}, {bundle.stat().st_size:,} bytes")
    return 0
