"""`openaisle user`: accounts of the staff. Whoever may run it on the shop's computer may do so; it asks no more.

A password comes from a prompt or a file, never from an argument: those stand in histories and process lists.
"""

from __future__ import annotations

import argparse
import json
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.commands.opened import opened
from consent.command import Commands, command, group, now_us

if TYPE_CHECKING:
    from analytics.state import State
    from consent.access import Access
    from consent.ledger import Ledger

_DESKS = ("manager", "compliance", "administrator")


def add(commands: Commands) -> None:
    """Say the words of `openaisle user`."""
    user = commands.add_parser("user", help="accounts of the staff: who may see which pages of the dashboard")
    parts = group(user)

    made = command(parts, "add", "make an account; the password is asked for, or read from a file")
    made.add_argument("--desk", required=True, choices=_DESKS, help="where they work, and so what they see")
    made.add_argument("--oidc", metavar="ADDRESS", help="they sign in at store.toml's provider, under this address")
    made.set_defaults(run=_add)

    listed = command(parts, "list", "list the accounts")
    listed.add_argument("--json", action="store_true", help="print one JSON object")
    listed.set_defaults(run=_list)

    passwd = command(parts, "passwd", "set a password; whoever is signed in with the account is signed out")
    passwd.set_defaults(run=_passwd)

    role = command(parts, "role", "move somebody to another desk; whoever is signed in is signed out")
    role.set_defaults(run=_role)

    out = command(parts, "sign-out", "end every session of an account")
    out.set_defaults(run=_sign_out)

    forget = command(parts, "forget-factor", "take a second factor away: the phone and its recovery codes are lost")
    forget.set_defaults(run=_forget_factor)

    remove = command(parts, "remove", "delete an account and its sessions; in the log it is a number that nobody knows")
    remove.set_defaults(run=_remove)

    for words in (made, passwd, role, out, forget, remove):
        words.add_argument("name", metavar="NAME")
    role.add_argument("desk", choices=_DESKS)
    for words in (made, passwd):
        add_password_file(words)


def add_password_file(words: argparse.ArgumentParser) -> None:
    """Let a command read a password from a file instead of asking."""
    words.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="first line: password; second: code of a second factor; chmod 600",
    )


def read_password(path: Path | None, *, new: bool, whose: str = "") -> str:
    """Return a password from a file, or from whoever sits at the terminal.

    Args:
        path: of the file.
        new: it is asked for twice.
        whose: for the prompt.

    Raises:
        AccountError: there is neither, others can read the file, or it was typed in two ways.
    """
    from analytics.tables import refuse_pipe
    from consent.accounts import AccountError

    if path is not None:
        refuse_pipe(path)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise AccountError(f"others can read {path}; run `chmod 600 {path}`")
        return path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    if sys.stdin is None or not sys.stdin.isatty():
        raise AccountError("there is no terminal to ask for the password; name a file with --password-file")
    from getpass import getpass

    password = getpass(f"{'new ' if new else ''}password{f' of {whose}' if whose else ''}: ")
    if new and getpass("again: ") != password:
        raise AccountError("the two passwords are not the same; try again")
    return password


def read_code(arguments: argparse.Namespace, access: Access) -> str:
    """Return the code of a second factor, empty where the account has none: typed, or the file's second line."""
    from consent.accounts import fold

    named = [one for one in access.accounts.accounts() if fold(one.name) == fold(arguments.user)]
    if not named or not access.factors.has(named[0].id):
        return ""
    path: Path | None = arguments.password_file
    if path is not None:
        return path.read_text(encoding="utf-8").partition("\n")[2].strip()
    from getpass import getpass

    return getpass("code: ")


@contextmanager
def opened_access(arguments: argparse.Namespace) -> Iterator[tuple[State, Ledger, Access]]:
    """Open accounts and log of the shop that the words of a command name."""
    from analytics.dashboard import open_accounts
    from consent.access import Access
    from consent.accesslog import AccessLog

    with opened(arguments, "dashboard") as (state, ledger), open_accounts(state) as accounts:
        access = Access(accounts, AccessLog(ledger))
        try:
            yield state, ledger, access
        finally:
            access.close()


def _add(arguments: argparse.Namespace) -> int:
    from consent.access import Desk
    from consent.accounts import AccountError
    from consent.oidc import invitation

    with opened_access(arguments) as (state, _, access):
        password = invited = None
        if arguments.oidc is None:
            password = read_password(arguments.password_file, new=True, whose=arguments.name)
        elif state.store.oidc.issuer is None:
            raise AccountError("store.toml names no provider: give issuer and client_id under [oidc] first")
        else:
            invited = invitation(state.store.oidc.issuer, arguments.oidc)
        desk = Desk(arguments.desk)
        made = access.accounts.add(arguments.name, desk, now_us=now_us(), password=password, invited=invited)
        access.log.changed(made.id, "made", desk=desk)
        access.accounts.forget_set_up()
    print(f"made {made.name} at the {made.desk} desk; the log knows the account as {made.id}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    with opened_access(arguments) as (_, _, access):
        found = access.accounts.accounts()
    if arguments.json:
        told = [{"name": a.name, "desk": a.desk, "id": a.id, "local": a.local, "made_us": a.made_us} for a in found]
        print(json.dumps({"accounts": told}))
        return 0
    for one in found:
        made = datetime.fromtimestamp(one.made_us // 1_000_000, UTC).date()
        how = "password" if one.local else "provider"
        print(f"{one.name}  {one.desk}  {how}  made {made}  in the log as {one.id}")
    if not found:
        print("no accounts")
    return 0


def _passwd(arguments: argparse.Namespace) -> int:
    with opened_access(arguments) as (_, _, access):
        access.accounts.find(arguments.name)
        password = read_password(arguments.password_file, new=True, whose=arguments.name)
        account = access.accounts.set_password(arguments.name, password)
        access.log.changed(account.id, "password")
    print(f"{account.name} has a new password and is signed out everywhere")
    return 0


def _role(arguments: argparse.Namespace) -> int:
    from consent.access import Desk

    with opened_access(arguments) as (_, _, access):
        account = access.accounts.set_desk(arguments.name, Desk(arguments.desk))
        access.log.changed(account.id, "desk", desk=account.desk)
    print(f"{account.name} works at the {account.desk} desk and is signed out everywhere")
    return 0


def _sign_out(arguments: argparse.Namespace) -> int:
    with opened_access(arguments) as (_, _, access):
        account = access.accounts.find(arguments.name)
        ended = access.accounts.end_all(account.id)
        access.log.changed(account.id, "signed_out")
    print(f"{account.name}: {ended} sessions ended")
    return 0


def _forget_factor(arguments: argparse.Namespace) -> int:
    from consent.accounts import AccountError

    with opened_access(arguments) as (_, _, access):
        account = access.accounts.find(arguments.name)
        if not access.factors.remove(account.id):
            raise AccountError(f"{account.name} has no second factor; nothing was changed")
        access.accounts.end_all(account.id)
        access.log.changed(account.id, "factor_removed")
    print(f"{account.name} has no second factor any more and is signed out everywhere")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    with opened_access(arguments) as (_, _, access):
        account = access.accounts.remove(arguments.name)
        access.log.changed(account.id, "removed")
    print(f"removed {account.name}")
    return 0
