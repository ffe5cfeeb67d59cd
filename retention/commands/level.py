"""`openaisle level`: the privacy level of a shop. Up with four eyes, down at once; `consent.approval` has the rule."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from analytics.commands.accounts import add_password_file, opened_access, read_code, read_password
from analytics.commands.opened import opened
from consent.command import Commands, command, group, now_us

if TYPE_CHECKING:
    from analytics.state import State
    from consent.access import Access, Who
    from consent.ledger import Ledger

_LEVELS = ("counts", "dwell", "repeat", "emotion")


def add(commands: Commands) -> None:
    """Say the words of `openaisle level`."""
    level = commands.add_parser("level", help="the privacy level: show it, lower it, or raise it with four eyes")
    parts = group(level)

    show = command(parts, "show", "show which level is approved, which is asked for, and which is in force")
    show.set_defaults(run=_show)

    lower = command(parts, "lower", "lower it at once; rows that the lower level does not allow are deleted")
    lower.add_argument("level", choices=_LEVELS)
    lower.set_defaults(run=_lower)

    request = command(parts, "request", "ask for a higher level; somebody else must approve it within a week")
    request.add_argument("level", choices=_LEVELS[1:])
    request.add_argument("--dpia", metavar="REF", required=True, help="reference of the impact assessment")
    request.add_argument("--out", type=Path, metavar="FILE", help="write what an outsider signs into a new file")
    request.set_defaults(run=_request)

    approve = command(parts, "approve", "approve what somebody else asked for, and raise the level")
    approve.add_argument("level", choices=_LEVELS[1:], nargs="?", help="what you approve; goes with --user")
    approve.add_argument("--dpia", metavar="REF", help="reference of the impact assessment that you read")
    approve.add_argument("--signed", type=Path, metavar="FILE", help="by the file that an outsider signed")
    approve.set_defaults(run=_approve)

    for words, needed in ((request, True), (approve, False)):
        words.add_argument("--user", required=needed, metavar="NAME", help="account of whoever does it")
        add_password_file(words)

    key = parts.add_parser("key", help="an outsider's own machine: make the key with which they approve")
    key.add_argument("file", type=Path, metavar="FILE", help="new file for the private key")
    key.add_argument("--name", required=True, help="of the outsider, such as officer.example")
    key.set_defaults(run=_key)

    sign = parts.add_parser("sign", help="an outsider's own machine: show a request and sign it, to standard output")
    sign.add_argument("request", type=Path, metavar="FILE", help="what `level request --out` wrote")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="what `level key` made")
    sign.set_defaults(run=_sign)


def _show(arguments: argparse.Namespace) -> int:
    from consent.approval import pending, standing

    with opened(arguments, "dashboard") as (state, ledger):
        print(
            f"approved: {ledger.approved_level()}; store.toml asks for: {state.store.store.level}; "
            f"in force: {state.level(ledger)}"
        )
        if (key := state.store.dashboard.approver) is not None:
            print(standing(ledger, key, now_us=now_us()))
    if (arguments.state / "access.sqlite").is_file():
        with opened_access(arguments) as (_, ledger, access):
            if proposal := pending(ledger, access):
                print(
                    f"asked for by account {proposal.account}, to be approved by somebody else: {proposal.level}, on "
                    f"the assessment with SHA-256 {proposal.dpia.hex()}"
                )
    return 0


def _lower(arguments: argparse.Namespace) -> int:
    from consent.approval import ApprovalError
    from consent.events import Level

    with opened(arguments, "dashboard") as (_, ledger):
        wanted, before = Level(arguments.level), ledger.approved_level()
        if wanted > before:
            raise ApprovalError(f"{wanted} is higher than {before}: ask for it with `openaisle level request`")
        ledger.set_level(wanted, now_us=now_us())
    return _show(arguments)


def _request(arguments: argparse.Namespace) -> int:
    from consent.approval import ask, pending
    from consent.events import Level

    with ExitStack() as stack:
        state, ledger, access = stack.enter_context(opened_access(arguments))
        file = None if arguments.out is None else stack.enter_context(_new(arguments.out))
        who = _who(arguments, access)
        _note_approver(state, ledger)
        before = pending(ledger, access)
        proposal = ask(ledger, access, who, Level(arguments.level), arguments.dpia)
        if file is not None:
            file.write(proposal.text())
    if before is not None:
        print(f"this takes the place of what was asked for before: {before.level}")
    approving = shlex.join(["openaisle", "level", "approve", proposal.level, "--dpia", arguments.dpia.strip()])
    print(f"asked for {proposal.level}; within a week somebody else approves it: {approving} --user NAME")
    if arguments.out is not None:
        print(f"or an outsider signs {arguments.out}: openaisle level sign {arguments.out} --key THEIR-KEY")
    return 0


@contextmanager
def _new(path: Path) -> Iterator[TextIO]:
    """Make a new file before anything is asked for, and take it away again where nothing was."""
    with path.open("x", encoding="utf-8") as file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise


def _note_approver(state: State, ledger: Ledger) -> None:
    """Have the log say whom store.toml names, as the keeper does at its next sweep."""
    from consent.approval import note_approver

    note_approver(ledger, state.sha256, state.store.dashboard.approver, now_us=now_us())


def _approve(arguments: argparse.Namespace) -> int:
    from analytics.state import STORE_TOML
    from analytics.tables import refuse_pipe
    from consent.approval import ApprovalError, approve, approve_signed
    from consent.events import Level

    if (arguments.signed is None) == (arguments.user is None):
        raise ApprovalError("say who approves: --user NAME, or an outsider's file with --signed FILE")
    named = (arguments.level, arguments.dpia)
    if arguments.signed is None and None in named:
        raise ApprovalError("name what you approve: openaisle level approve LEVEL --dpia REF --user NAME")
    if arguments.signed is not None and named != (None, None):
        raise ApprovalError("a signed file says itself what is approved; leave level and --dpia out")
    with opened_access(arguments) as (state, ledger, access):
        if arguments.signed is None:
            entry = approve(ledger, access, _who(arguments, access), Level(arguments.level), arguments.dpia)
        else:
            refuse_pipe(arguments.signed)
            note = arguments.signed.read_text(encoding="utf-8")
            _note_approver(state, ledger)
            entry = approve_signed(ledger, access, note, state.store.dashboard.approver)
        level = ledger.approved_level()
        print(f"approved: {level} (log entry {entry}); in force: {state.level(ledger)}")
        if level > state.store.store.level:
            print(f'to use it, write level = "{level}" under [store] in {state.root / STORE_TOML}')
    return 0


def _who(arguments: argparse.Namespace, access: Access) -> Who:
    password = read_password(arguments.password_file, new=False, whose=arguments.user)
    return access.check(arguments.user, password, "terminal", read_code(arguments, access))


def _key(arguments: argparse.Namespace) -> int:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from consent import log

    if not log.KEY_NAME.fullmatch(arguments.name):
        raise log.LogError("the name of a key has no blank and no plus sign")
    key = Ed25519PrivateKey.generate()
    with os.fdopen(os.open(arguments.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{arguments.name}\n{key.private_bytes_raw().hex()}\n")
    print("the shop writes this line into its store.toml, as approver under [dashboard]:", file=sys.stderr)
    print(log.verifier_key(arguments.name, key.public_key().public_bytes_raw()))
    return 0


def _sign(arguments: argparse.Namespace) -> int:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from analytics.tables import refuse_pipe
    from consent.approval import ApprovalError, signed

    for path in (arguments.request, arguments.key):
        refuse_pipe(path)
    try:
        name, secret = arguments.key.read_text(encoding="utf-8").split()
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    except ValueError as error:
        raise ApprovalError(f"{arguments.key} is no key that `openaisle level key` made") from error
    note = signed(arguments.request.read_text(encoding="utf-8"), name, key)
    print(f"you approve this:\n{note}", end="", file=sys.stderr)
    sys.stdout.write(note)
    return 0
