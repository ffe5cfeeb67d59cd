"""`openaisle mailbox`: a box outside the shop that takes withdrawals only."""

from __future__ import annotations

import argparse
import sys
import threading
from contextlib import closing
from pathlib import Path

from analytics.commands.opened import opened
from consent.command import Commands, command, group, until_told, whole


def add(commands: Commands) -> None:
    """Add `openaisle mailbox`."""
    mailbox = commands.add_parser("mailbox", help="a box outside the shop that takes withdrawals only")
    boxes = group(mailbox)
    line = command(boxes, "line", "print the line with which a mailbox is set up for this store; it is public")
    line.set_defaults(run=_mailbox_line)
    serve = boxes.add_parser("serve", help="run the mailbox; needs no state directory and no key of the shop")
    serve.add_argument("letters", type=Path, metavar="DIR", help="where the sealed letters lie")
    serve.add_argument("--line", required=True, metavar="LINE", help="what `mailbox line` printed")
    serve.add_argument("--url", required=True, help="https address under which shoppers and the keeper reach it")
    serve.add_argument("--name", required=True, help="name of the shop, as people know it")
    serve.add_argument("--certificate", type=Path, required=True, metavar="FILE", help="PEM, with its chain")
    serve.add_argument("--certificate-key", type=Path, required=True, metavar="FILE", help="PEM")
    serve.add_argument("--address", default="0.0.0.0", help="of this machine (default: all)")  # noqa: S104  it is public
    serve.add_argument("--port", type=whole, default=443, metavar="N", help="default: 443")
    serve.set_defaults(run=_mailbox_serve)


def _mailbox_line(arguments: argparse.Namespace) -> int:
    from consent.letters import Setup

    with opened(arguments, "keeper") as (_, ledger):
        print(Setup.of(ledger.origin, ledger.keys).line())
    return 0


def _mailbox_serve(arguments: argparse.Namespace) -> int:
    from consent.kiosk.letterbox import letterbox
    from consent.letters import Letters, Setup
    from consent.listener import Listener

    stop, letters = threading.Event(), Letters(arguments.letters)
    until_told(stop, "mailbox")
    with closing(letters):
        Listener(
            letterbox(letters, Setup.read(arguments.line), url=arguments.url, shop=arguments.name),
            address=arguments.address,
            port=arguments.port,
            certificate=arguments.certificate,
            key=arguments.certificate_key,
            stop=stop,
        ).serve_here(on_ready=lambda: print(f"mailbox: {arguments.url}", file=sys.stderr))
    return 0
