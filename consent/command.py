"""What every command of `openaisle` is made of: its parser, its state directory, and the words it may be given.

Rules:
- A command lies beside what it commands, in the highest room that it needs: `analytics/commands`, `retention/commands`,
  and `cli.py` for the processes. A module there has `add`, which says the words, and one function for each command.
- Bad usage is one clear line and exit code 2.
- Parts are imported inside the commands, so that `--help` is instant and a command loads only what it needs.

No rule of the shop lives in a command: it reads words, wires parts and prints.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import threading
import time
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn, TypeAlias

from consent import logs


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # argparse's own
        """Refuse an unknown word here, where the command's own help is named, and not in the parser above."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest


@cache
def software() -> str:
    """Return the version of openaisle, or `unknown` where it is not installed."""
    try:
        return version("openaisle")
    except PackageNotFoundError:
        return "unknown"


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # to which a module adds its own


def group(parser: Parser) -> Commands:
    """Let a command be followed by one of its own: `openaisle retention plan`."""
    return parser.add_subparsers(metavar="WHAT", required=True, parser_class=Parser)


def command(commands: Commands, name: str, text: str) -> Parser:
    """Add a command that works on a state directory; its help is the text, a sentence of it the description."""
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument(
        "--state",
        type=Path,
        default=Path(os.environ.get("OPENAISLE_STATE", ".")),
        metavar="DIR",
        help="state directory (default: $OPENAISLE_STATE, else here)",
    )
    command.add_argument("--keys", type=Path, metavar="DIR", help="key directory, where store.toml names another")
    return command


def now_us() -> int:
    """Return this moment, in µs since 1970."""
    return time.time_ns() // 1000


def until_told(stop: threading.Event, process: str) -> None:
    """Let SIGTERM and Ctrl-C end a long-running command after what it is doing; what it logs is told under its name."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logs.begin(process)


def port(text: str) -> int:
    """Read a port that is free here.

    Raises:
        argparse.ArgumentTypeError: it is none, or somebody listens there.
    """
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 1 to 65535")
    if is_taken("127.0.0.1", int(text)):
        raise argparse.ArgumentTypeError(f"port {text} is taken; choose another with --port")
    return int(text)


def is_taken(address: str, number: int) -> bool:
    """Say whether a port of an address of this machine cannot be listened on."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, number))
        except OSError:
            return True
    return False


def whole(text: str) -> int:
    """Read a whole number.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no whole number; write one, such as 7") from error


def instant(text: str) -> int:
    """Read an instant with its time zone, in µs since 1970.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no instant; write 2026-11-20T10:00:00+01:00") from error
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} names no time zone; add +01:00 or Z")
    if not datetime(1971, 1, 1, tzinfo=UTC) <= instant < datetime(2101, 1, 1, tzinfo=UTC):
        raise argparse.ArgumentTypeError(f"{text!r} is no year of this shop; give an instant from 1971 to 2100")
    return round((instant - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)


def day(text: str) -> date:
    """Read a day.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write 2026-11-01") from error
