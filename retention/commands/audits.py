"""`openaisle audit`: the bundle for somebody outside, and its check."""

from __future__ import annotations

import argparse
from pathlib import Path

from analytics.commands.opened import opened
from consent.command import Commands, command, group, now_us


def add(commands: Commands) -> None:
    """Add `openaisle audit`."""
    audit = commands.add_parser(
        "audit", help="one signed archive by which somebody outside can judge a shop; its check"
    )
    parts = group(audit)

    bundle = command(parts, "bundle", "make the bundle: log, certificates, policy, record, settings, hours of cameras")
    bundle.add_argument("--out", type=Path, required=True, metavar="FILE", help="new file to make")
    bundle.set_defaults(run=_bundle)

    verify = parts.add_parser("verify", help="check a bundle offline, and all that is in it")
    verify.add_argument("file", type=Path, metavar="FILE")
    verify.add_argument(
        "--key", required=True, action="append", metavar="LINE", help="each line of `retention keys`, from elsewhere"
    )
    verify.set_defaults(run=_verify)


def _bundle(arguments: argparse.Namespace) -> int:
    from retention import bundle

    with opened(arguments, "keeper") as (state, ledger):
        data = bundle.make(state, ledger, now_us())
    bundle.write(arguments.out, data)
    print(f"made {arguments.out} ({len(data)} bytes); keys to check it with: openaisle retention keys")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from analytics.tables import refuse_pipe
    from retention import bundle

    refuse_pipe(arguments.file)
    held = bundle.verify(arguments.file.read_bytes(), arguments.key)
    seen = "no witness" if held.witness is None else f"a witness saw {held.witness} entries"
    print(f"holds: {held.store}, made {held.made}; {held.files} files, none changed")
    print(f"log: {held.entries} entries, intact; {seen}; {held.tallies} hours of cameras")
    print(f"certificates: {held.certificates}, each holds")
    return 0
