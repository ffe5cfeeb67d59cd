"""`openaisle init`, `deal`, `tls`, `notice`: what makes a shop ready."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from analytics.commands.opened import opened
from consent.command import Commands, command, now_us


def add(commands: Commands) -> None:
    """Add the commands that make a shop ready."""
    init = commands.add_parser("init", help="make a state directory with a commented store.toml, keys and a ledger")
    init.add_argument("dir", type=Path, metavar="DIR", help="state directory to make")
    init.add_argument("--keys", type=Path, metavar="DIR", help="key directory to make (default: next to it)")
    init.add_argument("--name", default="", help="name of the shop")
    init.add_argument("--timezone", default="", help="IANA name, such as Europe/Berlin (default: this machine's)")
    init.set_defaults(run=_init)

    deal = command(commands, "deal", "write the keys that one process may hold, for its own Unix user")
    deal.add_argument("role", choices=["kiosk", "phone", "watch", "keeper", "dashboard"], metavar="ROLE")
    deal.add_argument("out", type=Path, metavar="OUT", help="new directory; that process then runs with --keys OUT")
    deal.set_defaults(run=_deal)

    tls = command(commands, "tls", "make or renew a certificate for pages within the shop, and the authority for it")
    tls.add_argument("--host", action="append", required=True, metavar="NAME", help="name or address, as browsers ask")
    tls.add_argument("--out", type=Path, metavar="DIR", help="where the files lie (default: next to the state)")
    tls.add_argument("--renew", action="store_true", help="make a new certificate though the present one still holds")
    tls.set_defaults(run=_tls)

    notice = command(commands, "notice", "print the privacy notice, or the sign at the door, to hang up")
    notice.add_argument("--language", metavar="CODE", help="en, de, fr, es, zh or ar (default: the store's first)")
    notice.add_argument("--sign", action="store_true", help="the short text for the door")
    notice.add_argument("--out", type=Path, metavar="FILE", help="a new file: .html to print, or .txt")
    notice.set_defaults(run=_notice)


def _init(arguments: argparse.Namespace) -> int:
    from analytics.start import init

    state = init(arguments.dir, arguments.keys, now_us=now_us(), name=arguments.name, timezone=arguments.timezone)
    print(f"made {state.root} (level counts: nobody is recorded) and its keys in {state.keys}")
    print(
        f"next: write your camera into {state.root / 'store.toml'}, then run `openaisle up --state {state.root}`;"
        " `--without kiosk` until [controller] says who you are"
    )
    return 0


def _deal(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.keys import KeyRing, Role

    state = State.read(arguments.state, arguments.keys)
    KeyRing.open(state.keys, Role.ADMIN, state=state.root).deal(arguments.out, arguments.role)
    print(f"keys of {arguments.role} in {arguments.out}; give the directory to its user, and run it with --keys")
    return 0


def _tls(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent import tls

    state = State.read(arguments.state, arguments.keys)
    out = arguments.out or state.root.resolve().with_name(state.root.resolve().name + "-tls")
    made = tls.make(out, arguments.host, now=datetime.now(UTC), state=state.root, renew=arguments.renew)
    print(f"{'made' if made.renewed else 'still good:'} a certificate until {made.until:%Y-%m-%d}; in store.toml:")
    # store.toml reads a path from its own directory, not from here
    print(f'certificate = "{made.certificate.resolve()}"\ncertificate_key = "{made.key.resolve()}"')
    print(f"each device trusts {made.authority}, once, after comparing its SHA-256:\n{made.fingerprint}")
    return 0


def _notice(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from consent.kiosk.messages import Messages
    from consent.kiosk.notice import NoticeError, notice
    from consent.kiosk.poster import poster

    with opened(arguments, "dashboard") as (state, ledger):
        shop = desk.shop(state, ledger)
        told = notice(shop, Messages.load(arguments.language or shop.languages[0]))
    text = told.sign if arguments.sign else told.text
    if arguments.out is None:
        sys.stdout.buffer.write(text.encode())  # its exact bytes, whatever the terminal's encoding: they are hashed
        return 0
    if arguments.out.suffix.lower() in (".html", ".htm"):
        text = poster(told, sign=arguments.sign)
    try:
        with arguments.out.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError as error:
        raise NoticeError(f"{arguments.out} is there already, and nothing is overwritten; name a new file") from error
    print(f"wrote {arguments.out} (version {told.version}, SHA-256 of the full notice {told.sha256})", file=sys.stderr)
    return 0
