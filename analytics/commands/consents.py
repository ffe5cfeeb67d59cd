"""`openaisle consent`: give, take back and show a consent, by its code; export and verify the log."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.commands.opened import opened
from consent.command import Commands, command, group, now_us

if TYPE_CHECKING:
    from consent.ledger import Ledger

PAD_ANSWER_S = 20.0  # a second after the tap, as much later as its picture may be late, and patience
ANSWER_S = 60.0  # for an answer to an access request
NOT_LINKED = 3  # exit code: the yes is written down, and nobody is linked


def add(commands: Commands) -> None:
    """Add `openaisle consent`: give, take back and show a consent."""
    consent = commands.add_parser("consent", help="give, take back and show a consent; export and verify the log")
    parts = group(consent)

    grant = command(parts, "grant", "write a consent down and print its code, which is kept nowhere else")
    grant.add_argument("purpose", nargs="+", choices=["dwell", "emotion", "repeat", "smile"])
    grant.add_argument("--notice", type=Path, required=True, metavar="FILE", help="the text the shopper was shown")
    grant.add_argument("--language", default="en", help="of the notice (default: en)")
    grant.add_argument("--version", default="1", help="of the notice (default: 1)")
    grant.add_argument("--pad", metavar="NAME", help="link whoever stands on this pad alone; code 3 where nobody is")
    grant.set_defaults(run=_grant)

    withdraw = command(parts, "withdraw", "take a consent back; the code is read from standard input")
    withdraw.add_argument("--purpose", action="append", choices=["dwell", "emotion", "repeat", "smile"], default=None)
    withdraw.set_defaults(run=_withdraw)

    show = command(parts, "show", "show how a consent stands; the code is read from standard input")
    show.set_defaults(run=_show)

    access = command(parts, "access", "hand out all that is held under a code, as a ZIP; the code is read from stdin")
    access.add_argument("--out", type=Path, metavar="FILE", help="file to make (default: standard output)")
    access.set_defaults(run=_access)

    export = command(parts, "export", "write the log up to its newest checkpoint into a new directory")
    export.add_argument("out", type=Path, metavar="OUT")
    export.set_defaults(run=_export)

    record = command(parts, "record", "print the full consent record; the code is read from standard input")
    record.set_defaults(run=_record)

    verify = parts.add_parser(
        "verify", help="check an exported log, a receipt, a consent record or a statement offline"
    )
    verify.add_argument("out", type=Path, nargs="?", metavar="OUT", help="what `consent export` wrote")
    verify.add_argument("--receipt", type=Path, metavar="FILE", help="the text of a receipt's proof")
    verify.add_argument("--record", type=Path, metavar="FILE", help="a consent record, as the holder of a code gets it")
    verify.add_argument("--entry", type=Path, metavar="FILE", help="the proof of one entry, as the dashboard makes it")
    verify.add_argument("--statement", type=Path, metavar="FILE", help="`statement.json` of a copy that was handed out")
    verify.add_argument(
        "--key", required=True, action="append", metavar="LINE", help="each key that `export` printed, from elsewhere"
    )
    verify.add_argument("--witness", metavar="LINE", help="a witness that must have cosigned the known checkpoints")
    verify.add_argument(
        "--known",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint from a receipt or witness; the log must contain it",
    )
    verify.set_defaults(run=_verify)


def _code() -> str:
    """Read a code without leaving it in a history, a process list or on the screen."""
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass("code: ")
    return sys.stdin.readline().strip()


def _known_code(ledger: Ledger) -> str:
    """Read a code that somebody is known under; those that fail are noted, and too many of them wait."""
    from consent import answers

    code = _code()
    answers.look_up(ledger, code, now_us=now_us())
    return code


def _grant(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from consent.events import Purpose
    from consent.padwords import PadOutcome
    from consent.subjects import show_secret

    with opened(arguments, "kiosk") as (state, ledger):
        said = desk.grant(
            state,
            ledger,
            [Purpose(purpose) for purpose in arguments.purpose],
            notice=arguments.notice,
            language=arguments.language,
            version=arguments.version,
            now_us=now_us(),
            pad=arguments.pad,
        )
        print(f"code: {show_secret(said.grant.secret)}  (log entry {said.grant.leaf_index}; it is shown only now)")
        print(f"proof: {desk.proof(ledger, said.grant, now_us=now_us())}")
        if said.pad_request is None:
            return 0
        print("let them stand on the pad alone, until this says what came of it", file=sys.stderr)
        until_s = time.monotonic() + PAD_ANSWER_S
        while time.monotonic() < until_s:
            time.sleep(0.1)
            answer = ledger.read_pad_request(said.pad_request)
            if answer is not None and answer.outcome is not None:
                print(f"pad: {answer.outcome}")
                if answer.outcome in (PadOutcome.LINKED, PadOutcome.ALREADY_LINKED):
                    return 0
                return _say_not_linked(f"the camera answered {answer.outcome}")
        return _say_not_linked("the pad did not answer; is `openaisle watch` running, and does it see?")


def _say_not_linked(why: str) -> int:
    print(
        f"openaisle: the yes is written down and its code holds, but nobody is linked, so no visit is recorded: {why}",
        file=sys.stderr,
    )
    return NOT_LINKED


def _withdraw(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from consent.events import Purpose

    purposes = None if arguments.purpose is None else [Purpose(purpose) for purpose in arguments.purpose]
    with opened(arguments, "kiosk") as (_, ledger):
        done = desk.withdraw(ledger, _known_code(ledger), now_us=now_us(), purposes=purposes)
    ended = ", ".join(sorted(done.purposes))
    print(f"withdrawn: {ended} (log entry {done.leaf_index})" if ended else "nothing was in force any more")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from analytics import desk

    with opened(arguments, "kiosk") as (_, ledger):
        print(json.dumps(desk.show(ledger, _known_code(ledger)), indent=2))
    return 0


def _access(arguments: argparse.Namespace) -> int:
    from consent import answers
    from consent.events import ConsentError

    if arguments.out is None and sys.stdout.isatty():
        raise ConsentError("this is an archive, not a text: name a file with --out")
    with opened(arguments, "kiosk") as (state, ledger):
        code = _code()
        request = answers.ask(ledger, code, now_us=now_us())
        until = time.monotonic() + ANSWER_S
        while (told := answers.fetch(ledger, state.exports, request, code)) is None:
            if time.monotonic() > until:
                raise ConsentError(f"no answer within {ANSWER_S:.0f} s; is `openaisle keeper` running?")
            time.sleep(0.1)
    if arguments.out is None:
        sys.stdout.buffer.write(told)
    else:
        with os.fdopen(os.open(arguments.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(told)
        print(f"made {arguments.out} ({len(told)} bytes); hand it over and delete it")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from analytics import desk

    with opened(arguments, "dashboard") as (_, ledger):
        checkpoint = desk.export(ledger, arguments.out)
        print(f"{checkpoint.size} entries in {arguments.out}; the log's key, to be kept elsewhere:")
        print("\n".join(desk.log_keys(ledger)))
        print("and the key of its receipts:", *desk.receipt_keys(ledger), sep="\n")
    return 0


def _record(arguments: argparse.Namespace) -> int:
    from analytics import desk

    with opened(arguments, "kiosk") as (state, ledger):
        print(json.dumps(desk.record(state, ledger, _known_code(ledger)), indent=2, ensure_ascii=False))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from analytics.config import ConfigError

    if not (arguments.out or arguments.receipt or arguments.record or arguments.entry or arguments.statement):
        raise ConfigError("nothing to verify: name an export, a --receipt, a --record, an --entry or a --statement")
    if arguments.statement is not None:
        origin, proved, entries = desk.verify_statement(arguments.statement, arguments.key)
        younger = "" if proved == entries else "; the others were younger than its checkpoint: ask for a newer copy"
        print(f"statement: true, {proved} of {entries} entries proved in the log of {origin}{younger}")
    if arguments.entry is not None:
        proven = desk.verify_entry(arguments.entry, arguments.key)
        opened_as = "" if proven.payload is None else f" and says {json.dumps(proven.payload, sort_keys=True)}"
        print(
            f"entry {proven.entry} ({proven.leaf.kind}) stands in the log of {proven.checkpoint.origin} under its "
            f"checkpoint of {proven.checkpoint.size} entries{opened_as}"
        )
    proof = None
    if arguments.out is not None:
        verified = desk.verify(arguments.out, arguments.key, known=arguments.known, witness=arguments.witness)
        others = f"{verified.known} other checkpoint{'s' * (verified.known != 1)}"
        beside = others if verified.known else "no other checkpoint (--known adds some)"
        print(f"intact: {verified.checkpoint.size} entries, held against {beside}")
    if arguments.receipt is not None:
        proof = desk.verify_receipt(arguments.receipt, arguments.key, export=arguments.out)
        seen = "no checkpoint" if proof.checkpoint is None else f"a checkpoint of {proof.checkpoint.size} entries"
        where = ", both in this log" if arguments.out and proof.checkpoint else ""
        print(f"receipt: true, entry {proof.leaf_index} of {proof.origin}, with {seen}{where}")
    if arguments.record is not None:
        checked = desk.verify_record(arguments.record, arguments.key, proof=proof)
        same = "as fixed at the yes" if checked.controller_fixed else "not as fixed at the yes: changed since"
        print(f"record: true, {checked.proved} of {checked.entries} entries in the signed log, controller {same}")
    return 0
