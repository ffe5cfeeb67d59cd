"""`openaisle retention`: what is kept and why; erase what is due, certify it, write the record of it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from analytics.commands.opened import opened
from consent.command import Commands, command, group, now_us, whole
from retention.commands import holds, window


def add(commands: Commands) -> None:
    """Add `openaisle retention`."""
    retention = commands.add_parser("retention", help="what is kept and why; erase, prove, hold, certify")
    parts = group(retention)

    for name, text in (
        ("plan", "show what would go, when and why; touches nothing, and works beside a running keeper"),
        ("status", "show the last sweep, the backlog, the oldest of each class, holds, and what is due next"),
    ):
        look = command(parts, name, text)
        look.add_argument("--json", action="store_true", help="print one JSON object")
        look.set_defaults(run=_look, what=name, looks_only=True)

    run = command(parts, "run", "erase what is due now, once; a running keeper does it by itself")
    run.add_argument("--prove", action="store_true", help="print what the search of every byte saw")
    run.add_argument("--json", action="store_true", help="print one JSON object")
    run.set_defaults(run=_sweep)

    record = command(parts, "record", "print the record of processing activities (Art. 30), as Markdown")
    record.add_argument("--json", action="store_true", help="print one JSON object")
    record.set_defaults(run=_processing)

    certificate = command(parts, "certificate", "print the certificate of an erasure, by a log entry it names")
    certificate.add_argument("entry", type=whole, metavar="ENTRY", help="that ended the consent, or says erased")
    certificate.set_defaults(run=_certificate)

    keys = command(parts, "keys", "print the keys that check certificates and the log, to be kept elsewhere")
    keys.set_defaults(run=_certificate_keys)

    verify = parts.add_parser("verify-certificate", help="check the certificate of an erasure offline")
    verify.add_argument("file", type=Path, metavar="FILE")
    verify.add_argument("--key", required=True, action="append", metavar="LINE", help="the store's, from elsewhere")
    verify.add_argument("--log-key", action="append", default=[], metavar="LINE", help="check the checkpoint's, too")
    verify.set_defaults(run=_verify_certificate)

    holds.add(parts)
    window.add(parts)


def _look(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from retention import plan

    state = State.read(arguments.state, arguments.keys)
    told = (plan.plan if arguments.what == "plan" else plan.status)(state, now_us())
    print(json.dumps(told) if arguments.json else plan.text(told))
    return 0


def _sweep(arguments: argparse.Namespace) -> int:
    from retention.keeper import Keeper

    with opened(arguments, "keeper") as (state, ledger), Keeper(state, ledger) as keeper:
        report = keeper.run_once(now_us())
    paths = [state.certificates / one.certificate for one in report.erased]
    if arguments.json:
        told = asdict(report)
        if arguments.prove:
            told["certificates"] = [json.loads(path.read_bytes()) for path in paths]
        print(json.dumps(told))
    else:
        for one, path in zip(report.erased, paths, strict=True):
            print(f"erased: {one.subjects} subjects, {one.rows} rows (log entry {one.leaf_index}; certificate {path})")
            search = json.loads(path.read_bytes())["certificate"]["search"]
            for file in search["files"] if arguments.prove else ():
                print(f"  {file['sha256']}  {file['bytes']:>12}  {file['path']}")
            if arguments.prove:
                print(
                    f"  searched for {sum(search['patterns'].values())} patterns as {search['forms']}: found "
                    f"{search['found']}; what is there rightly was found {search['control']['found']} times"
                )
        if not report.erased and not report.problems:
            print("nothing was due, so there was nothing to erase or to search for")
    report.check()
    return 0


def _processing(arguments: argparse.Namespace) -> int:
    from retention import record

    with opened(arguments, "dashboard") as (state, ledger):
        told = record.record(state.store, state.level(ledger), state.sha256)
    print(json.dumps(told) if arguments.json else record.markdown(told))
    return 0


def _certificate(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from retention import certificate

    state = State.read(arguments.state, arguments.keys)
    sys.stdout.write(certificate.find(state.certificates, arguments.entry).read_text(encoding="utf-8"))
    return 0


def _certificate_keys(arguments: argparse.Namespace) -> int:
    from analytics import desk
    from retention import certificate

    with opened(arguments, "dashboard") as (_, ledger):
        print("\n".join([*certificate.key_lines(ledger), *desk.log_keys(ledger)]))
    return 0


def _verify_certificate(arguments: argparse.Namespace) -> int:
    from analytics.tables import refuse_pipe
    from retention import certificate

    refuse_pipe(arguments.file)
    told = certificate.verify(arguments.file.read_bytes(), arguments.key, arguments.log_key)
    rows = ", ".join(f"{n} rows of {name}" for name, n in told.rows.items()) or "no rows"
    signed = "its signature checked" if told.log_signed else "its signature not checked: give --log-key"
    print(f"holds: {told.store} erased {told.subjects} subjects and {rows} at {told.erased_at}")
    ended = ", ".join(map(str, told.entries)) or "their term"
    print(f"log: entry {told.entry}, ended by {ended}; checkpoint: {signed}")
    control = "nothing left to find" if told.control is None else f"what is there rightly found {told.control} times"
    print(f"search: {told.patterns} patterns in {told.files} files, none found; {control}")
    if told.held:
        print(f"holds in force meanwhile: {', '.join(map(str, told.held))}")
    return 0
