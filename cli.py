"""The `openaisle` command: reads words, wires the processes of a shop. No rules live here.

Every command returns 0 on success and 2 on bad usage or input, with one clear line on stderr and never a traceback.
What is no process lies beside what it commands: `analytics/commands`, `retention/commands`.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.commands import (
    accounts,
    consents,
    mailbox,
    measuring,
    models,
    sales,
    shop,
    staff,
    tokens,
    weekly,
    witness,
)
from analytics.commands.opened import opened
from consent.command import Commands, Parser, command, instant, is_taken, now_us, port, software, until_told
from retention.commands import audits, backups, cases, demo, doctor, level, retention, units, up, witnessed

if TYPE_CHECKING:
    from analytics.state import State
    from consent.kiosk.app import Mount
    from consent.ledger import Ledger

PROGRAM = (sys.executable, str(Path(__file__).resolve()))  # how a process of a shop starts another


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after `openaisle`; those of the process where None.

    Returns:
        0 on success, 2 on bad usage or input, 130 when interrupted.
    """
    arguments = parser().parse_args(argv)
    from analytics.quiet import quiet_parts
    from analytics.scratch import no_core_dumps

    quiet_parts()
    no_core_dumps()
    from analytics.model import AnalyticsError
    from consent.events import ConsentError
    from retention.model import RetentionError

    try:
        with _scratch(arguments):
            return int(arguments.run(arguments))
    except (AnalyticsError, ConsentError, RetentionError) as error:
        print(f"openaisle: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has gone; nothing to say and nobody to say it to
        return 0
    except sqlite3.Error as error:
        print(f"openaisle: the ledger cannot be used ({error}); restore it from a backup", file=sys.stderr)
        return 2
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"openaisle: {where}{error.strerror or error}; check the path and who may use it", file=sys.stderr)
        return 2
    except UnicodeError:
        print("openaisle: what was given is not text in UTF-8; check its letters", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if not str(error).startswith("Symlink loop"):  # pathlib's, up to Python 3.12
            raise
        print(f"openaisle: {error}; check the path", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("openaisle: stopped", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """Return what understands the words of every command."""
    whole = Parser(prog="openaisle", description="In-store dwell analytics with enforced consent.")
    whole.add_argument("--version", action="version", version=f"openaisle {software()}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    shop.add(commands)
    _add_processes(commands)
    for noun in (accounts, tokens, level, mailbox, consents, measuring, models, sales, staff, weekly, backups, cases):
        noun.add(commands)
    witnessed.add(witness.add(commands))
    retention.add(commands)
    audits.add(commands)
    demo.add(commands, PROGRAM)
    up.add(commands, PROGRAM)
    doctor.add(commands)
    units.add(commands)
    return whole


def _scratch(arguments: argparse.Namespace) -> AbstractContextManager[object]:
    """Return where the temporary files of a command go: into its state directory, where it has one."""
    from analytics.scratch import scratch
    from analytics.state import STORE_TOML

    root: Path | None = getattr(arguments, "state", None)
    touches = root is not None and (root / STORE_TOML).is_file() and not getattr(arguments, "looks_only", False)
    return scratch(root) if root is not None and touches else nullcontext()


def _add_processes(commands: Commands) -> None:
    watch = command(commands, "watch", "watch the cameras: people to visits to consented rows and plain counts")
    watch.add_argument(
        "--model", type=Path, metavar="PATH", help="OpenVINO export, or .pt with yolo (default: our own)"
    )
    watch.add_argument("--start", type=instant, metavar="TIME", help="when a file began: 2026-11-20T10:00:00+01:00")
    watch.set_defaults(run=_watch)

    kiosk = command(commands, "kiosk", "serve the page at the entrance: opt in, opt out, receipt")
    kiosk.add_argument("--port", type=port, metavar="N", help="where store.toml says another (default: 8600)")
    kiosk.add_argument("--pair", action="store_true", help="make a code that lets one tablet in, and print it")
    kiosk.add_argument("--pair-till", action="store_true", help="make a code for a till, which may redeem vouchers")
    kiosk.add_argument("--unpair", action="store_true", help="forget every paired tablet")
    kiosk.set_defaults(run=_kiosk)

    phone = command(commands, "phone", "serve the page for shoppers' phones: withdraw, look, take the record along")
    phone.add_argument("--beside", action="store_true", help=argparse.SUPPRESS)  # ends with whoever started it
    phone.set_defaults(run=_phone)

    keeper = command(commands, "keeper", "load visits, erase what is due, release figures, sign the log")
    keeper.add_argument("--once", action="store_true", help="one pass, and print what it did as JSON")
    keeper.set_defaults(run=_keeper)

    dashboard = command(commands, "dashboard", "serve the pages of the staff: shop floor, compliance, set-up")
    dashboard.add_argument("--port", type=port, metavar="N", help="where store.toml says another (default: 8501)")
    dashboard.set_defaults(run=_dashboard)


def _watch(arguments: argparse.Namespace) -> int:
    from analytics.report import read_plan
    from analytics.watch import watch

    stop = threading.Event()
    until_told(stop, "watch")
    with opened(arguments, "watch") as (state, ledger):
        done = watch(
            state,
            ledger,
            arguments.model,
            start_us=arguments.start,
            stop=stop,
            plan=lambda: read_plan(state.released),
        )
    print(json.dumps({camera: asdict(numbers) for camera, numbers in done.items()}))
    return 0


def _kiosk(arguments: argparse.Namespace) -> int:
    from functools import partial

    from analytics import desk
    from analytics.funnel import Funnel, to_keeper
    from analytics.state import State
    from consent import padview
    from consent.kiosk import pairing
    from consent.kiosk.app import kiosk
    from consent.kiosk.messages import Messages
    from consent.kiosk.notice import notice
    from consent.listener import Listener
    from consent.printing import Paper, print_receipt

    if arguments.pair or arguments.pair_till or arguments.unpair:
        paired = State.read(arguments.state, arguments.keys).root / desk.PAIRED
        if arguments.pair or arguments.pair_till:
            code = pairing.new_code(paired, now_us=now_us(), till=arguments.pair_till)
            what = "till" if arguments.pair_till else "tablet"
            print(f"pairing code: {code[:4]}-{code[4:]}  (works once, for ten minutes; open /pair on the {what})")
        else:
            print(f"forgot {pairing.unpair(paired)} paired tablets")
        return 0
    with opened(arguments, "kiosk") as (state, ledger):
        about = desk.shop(state, ledger)
        notice(about, Messages.load(about.languages[0]))  # a shop that may ask nobody is told so before it serves
        table = state.store.kiosk
        view = None if about.pad is None else partial(padview.read, state.live, about.pad)
        paper = None if about.printer is None else partial(print_receipt, shop=about, paper=Paper(table.paper_mm))
        funnel = Funnel(to_keeper(ledger), run=secrets.token_hex(8), tz=state.store.store.timezone, now_us=now_us())
        mounts = [] if state.store.smile is None else _smile(state, ledger)
        stop = threading.Event()
        until_told(stop, "kiosk")
        address, port = str(table.address), about.port if arguments.port is None else arguments.port
        certificate, key = (
            None if path is None else state.root / path for path in (table.certificate, table.certificate_key)
        )
        page = kiosk(about, ledger, view=view, print_receipt=paper, told=funnel.add, mounts=mounts)
        with ExitStack() as beside:

            def ready() -> None:
                if state.store.phone.public_url:
                    beside.enter_context(_phone_beside(arguments))
                print(f"kiosk: http{'s' if certificate else ''}://{address}:{port}", file=sys.stderr, flush=True)

            Listener(
                page, address=address, port=port, certificate=certificate, key=key, stop=stop, strangers=False
            ).serve_here(on_ready=ready)
        funnel.finish(now_us())
    return 0


def _smile(state: State, ledger: Ledger) -> list[Mount]:
    """Return what hangs the smile page into the kiosk; nothing of it is loaded where store.toml has none."""
    from analytics.smile.pages import mounted

    return [mounted(state, ledger)]


@contextmanager
def _phone_beside(arguments: argparse.Namespace) -> Iterator[None]:
    """Run the page for phones in a process of its own, which ends with this one however that ends."""
    words = [*PROGRAM, "phone", "--beside", "--state", str(arguments.state)]
    words += ["--keys", str(arguments.keys)] if arguments.keys else []
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:  # the pipe ends with us
        try:
            yield
        finally:
            process.terminate()


def _phone(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from consent.events import ConsentError
    from consent.kiosk.phone import phone
    from consent.listener import Listener

    stop = threading.Event()
    until_told(stop, "phone")
    if arguments.beside:
        threading.Thread(target=_when_left, args=(stop,), daemon=True).start()
    with opened(arguments, "phone") as (state, ledger):
        table = state.store.phone
        if table.public_url is None or table.certificate is None or table.certificate_key is None:
            raise ConsentError("phones come by https only: give public_url, certificate, certificate_key under [phone]")
        listener = Listener(
            phone(desk.shop(state, ledger), ledger),
            address=str(table.address),
            port=table.port,
            certificate=state.root / table.certificate,
            key=state.root / table.certificate_key,
            stop=stop,
        )
        listener.serve_here(on_ready=lambda: print(f"phone: {table.public_url}", file=sys.stderr))
    return 0


def _when_left(stop: threading.Event) -> None:
    """Stop when whoever started this process is gone: then the pipe from it ends."""
    sys.stdin.buffer.read()
    stop.set()


def _keeper(arguments: argparse.Namespace) -> int:
    from consent.mailpost import Mailpost, PostError
    from retention.keeper import Keeper

    stop, post = threading.Event(), None
    os.umask(0o077)  # the visits, and what DuckDB writes beside them, are for no other user
    until_told(stop, "keeper")
    with opened(arguments, "keeper") as (state, ledger), Keeper(state, ledger) as keeper:
        box = state.store.mailbox
        if box.url is not None:
            post = Mailpost(ledger, box.url, None if box.authority is None else state.root / box.authority)
        if arguments.once:
            try:
                if post is not None:
                    post.fetch(now_us)
            except PostError as error:
                print(f"openaisle: {error}", file=sys.stderr)  # and everything else is done all the same
            report = keeper.run_once(now_us())
            print(json.dumps(asdict(report), default=str))
            report.check()
        else:
            with nullcontext() if post is None else post.fetching(box.every_s, now_us):
                keeper.run(stop, now_us)
    return 0


def _dashboard(arguments: argparse.Namespace) -> int:
    from analytics import dashboard
    from analytics.config import ConfigError
    from analytics.state import State

    state = State.read(arguments.state, arguments.keys)
    table = state.store.dashboard
    number = table.port if arguments.port is None else arguments.port
    if is_taken(table.address, number):  # Streamlit says so in its own words, and ends with another code
        raise ConfigError(f"port {number} is taken; choose another with --port, or under [dashboard] in store.toml")
    with dashboard.open_accounts(state) as accounts:
        if not accounts.accounts():
            _tell_how_to_begin(accounts.set_up_code(now_us=now_us()), state, number)
    words = dashboard.command(number, state)
    print(f"the pages are at {up.address(str(table.address), number, tls=table.certificate is not None)}")
    sys.stdout.flush()
    os.execve(words[0], words, dashboard.environment(state.root, keys=arguments.keys))  # noqa: S606  our own words


def _tell_how_to_begin(code: str | None, state: State, number: int) -> None:
    """Say how the first account is made; a code stands on a terminal only, never in a file that somebody keeps."""
    if sys.stdout.isatty():
        here = up.address("127.0.0.1", number, tls=state.store.dashboard.certificate is not None)
        print(f"set-up code: {code}  (works once, for an hour)")
        print(f"{up.NOBODY}: open {here}/first on this machine and type the code")
    else:
        print(f"{up.NOBODY}: openaisle user add NAME --desk administrator", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
