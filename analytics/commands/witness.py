"""`openaisle witness`: the officer's own machine; only `ask` runs in the shop."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from analytics.commands.opened import opened
from consent.command import Commands, command, group, whole


def add(commands: Commands) -> Commands:
    """Add `openaisle witness`, and return where what the shop does with it is added."""
    witness = commands.add_parser(
        "witness",
        help="the officer's own machine: remember what was seen of a log, and cosign what only added to it",
        description="Remember what was seen of a log, and cosign what only added to it. Works by files, without a "
        "network: `ask` runs in the shop, the rest on the officer's own machine.",
    )
    parts = group(witness)

    init = parts.add_parser("init", help="make a witness of one log, and print its key")
    init.add_argument("dir", type=Path, metavar="DIR", help="new directory for its key and its memory")
    init.add_argument("--name", required=True, help="of the witness, such as officer.example/main-street")
    init.add_argument("--log", required=True, metavar="LINE", help="the log's key, as `consent export` prints it")
    init.set_defaults(run=_witness_init)

    ask = command(parts, "ask", "write what the witness needs to see, to standard output")
    ask.add_argument("--seen", type=whole, required=True, metavar="N", help="entries it has seen: `witness show`")
    ask.set_defaults(run=_witness_ask)

    cosign = parts.add_parser("cosign", help="read what `ask` wrote, print the checkpoint with a cosignature")
    cosign.add_argument("dir", type=Path, metavar="DIR", help="of the witness")
    cosign.set_defaults(run=_witness_cosign)

    show = parts.add_parser("show", help="say what was seen last, and the witness's key")
    show.add_argument("dir", type=Path, metavar="DIR", help="of the witness")
    show.add_argument("--checkpoint", action="store_true", help="print the checkpoint cosigned last, and nothing else")
    show.set_defaults(run=_witness_show)
    return parts


def _witness_init(arguments: argparse.Namespace) -> int:
    from consent.witness import Witness

    print(Witness.create(arguments.dir, arguments.name, arguments.log).verifier_key)
    return 0


def _witness_ask(arguments: argparse.Namespace) -> int:
    from consent.witness import request

    with opened(arguments, "dashboard") as (_, ledger):
        sys.stdout.write(request(ledger, arguments.seen))
    return 0


def _witness_cosign(arguments: argparse.Namespace) -> int:
    from consent.witness import LONGEST, Witness, read_request

    asked = b"" if sys.stdin is None else sys.stdin.buffer.read(LONGEST + 1)
    sys.stdout.write(Witness(arguments.dir).cosign(read_request(asked), now_s=int(time.time())))
    return 0


def _witness_show(arguments: argparse.Namespace) -> int:
    from consent.witness import Witness

    witness = Witness(arguments.dir)
    if arguments.checkpoint:
        sys.stdout.write(witness.newest() or "")
        return 0
    print(f"seen: {witness.size} entries")
    print(f"key: {witness.verifier_key}")
    return 0
