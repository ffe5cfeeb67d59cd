"""`openaisle backup`, `restore` and `keys`: what is kept elsewhere, and which of it can still be read."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from analytics.commands.opened import opened
from consent.command import Commands, command, group, now_us


def add(commands: Commands) -> None:
    """Add `openaisle backup`, `restore` and `keys`."""
    backup = command(commands, "backup", "write everything the shop needs to go on into one signed file, but no key")
    backup.add_argument("target", type=Path, metavar="DIR|FILE", help="file to make, or a folder to make it in")
    backup.set_defaults(run=_backup)

    restore = command(commands, "restore", "put a backup in the place of a state directory, without what was erased")
    restore.add_argument("source", type=Path, metavar="FROM", help="what `openaisle backup` wrote")
    restore.add_argument("--journal", type=Path, metavar="DIR", help="the journal (default: as store.toml says)")
    restore.add_argument("--replace", action="store_true", help="delete the shop that is there")
    restore.add_argument("--witness", metavar="LINE", help="a witness that must have cosigned the known checkpoints")
    restore.add_argument(
        "--known",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint from a witness or receipt; a journal that is older is refused",
    )
    restore.set_defaults(run=_restore)

    keys = commands.add_parser("keys", help="rotate the key that seals subjects' keys, and destroy old ones in time")
    parts = group(keys)
    for name, text, anew in (
        ("rotate", "make a new sealing key, seal everything anew, destroy what is past the backup term", True),
        ("retire", "destroy the sealing keys that are past the backup term, and make none", False),
    ):
        words = command(parts, name, text)
        words.set_defaults(run=_rotate, anew=anew)
    voucher = command(parts, "voucher", "make the key that signs vouchers, or a newer one; older vouchers stay good")
    voucher.set_defaults(run=_voucher_key)


def _backup(arguments: argparse.Namespace) -> int:
    from retention.backup import backup

    with opened(arguments, "keeper") as (state, ledger):
        made = backup(state, ledger, arguments.target, now_us())
    print(f"made {made} ({made.stat().st_size} bytes); keep it for {state.store.terms.backup} days at most")
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    from analytics.desk import read_notes
    from consent import log
    from retention.restore import restore

    done = restore(
        arguments.source,
        arguments.state,
        now_us(),
        keys=arguments.keys,
        journal=arguments.journal,
        known=read_notes(arguments.known),
        witness=None if arguments.witness is None else log.read_verifier_key(arguments.witness)[:2],
        replace_state=arguments.replace,
    )
    rows, people = sum(e.rows for e in done.erased), sum(e.subjects for e in done.erased)
    made = datetime.fromtimestamp(done.made_us // 1_000_000, UTC).isoformat()
    print(
        f"restored {arguments.state} as of {made}: {done.entries} log entries, {done.adopted} of them from the "
        f"journal; erased again: {people} people, {rows} rows; {done.ended} consents had ended since"
    )
    if done.unread is not None:
        print(
            f"openaisle: the ledger that was there could not be read ({done.unread}): a consent that ended after its "
            "keeper last looked may be in force again; the shopper's code still ends it",
            file=sys.stderr,
        )
    return 0


def _voucher_key(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import KeyRing, Role

    state = State.read(arguments.state, arguments.keys)
    made = KeyRing.open(state.keys, Role.ADMIN, state=state.root).rotate("voucher")
    print(
        f"voucher key: generation {made.generations('voucher')[-1]} in use; deal it to the kiosk, and start that anew"
    )
    return 0


def _rotate(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from retention.rotation import rotate

    state = State.read(arguments.state, arguments.keys)
    done = rotate(state, now_us(), anew=arguments.anew)
    print(f"sealing key: generation {done.generation} in use, {done.sealed} subjects' keys sealed anew")
    for generation in done.destroyed:
        print(f"generation {generation} is destroyed")
    for generation, end_us in done.waiting:
        end = datetime.fromtimestamp(end_us // 1_000_000, state.store.timezone).date()
        print(f"generation {generation} lives until {end}: run `openaisle keys retire` then")
    return 0
