"""`openaisle requests`: the register of people's requests, with deadlines, and letters."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import date, datetime, tzinfo

from analytics.commands.opened import opened
from consent.command import Commands, command, day, group, now_us, whole


def add(commands: Commands) -> None:
    """Add `openaisle requests`."""
    requests = commands.add_parser("requests", help="the register of people's requests, with deadlines, and letters")
    parts = group(requests)

    add = command(parts, "add", "write a request down; never who asked")
    add.add_argument("kind", choices=["access", "erasure", "objection", "complaint"])
    add.add_argument("--received", type=day, metavar="DAY", help="when it came (default: today)")
    add.set_defaults(run=_add_case)

    listed = command(parts, "list", "list the requests, the most urgent first")
    listed.add_argument("--open", action="store_true", help="those that are not closed only")
    listed.add_argument("--json", action="store_true", help="print one JSON object")
    listed.set_defaults(run=_list_cases)

    extend = command(
        parts, "extend", "take two further months; whoever asked must be told: `requests letter extension`"
    )
    extend.add_argument("--because", required=True, choices=["complexity", "number"], help="Art. 12(3)")
    extend.set_defaults(run=_extend_case)

    close = command(parts, "close", "close a request")
    close.add_argument(
        "--outcome", required=True, choices=["answered", "erased", "nothing", "unknown", "refused", "taken_back"]
    )
    close.set_defaults(run=_close_case)
    for words in (extend, close):
        words.add_argument("number", type=whole, metavar="N", help="number of the request")

    letter = command(parts, "letter", "print a letter as Markdown, filled from store.toml")
    letter.add_argument("kind", choices=["secret", "no_secret", "never", "complaint", "extension"])
    letter.add_argument("--language", default="en", help="en, de, fr, es, zh or ar (default: en)")
    letter.add_argument("--case", type=whole, metavar="N", help="the request that it answers")
    letter.set_defaults(run=_letter)


def _today(zone: tzinfo) -> date:
    return datetime.now(zone).date()


def _add_case(arguments: argparse.Namespace) -> int:
    from consent.events import ConsentError

    with opened(arguments, "dashboard") as (state, ledger):
        today = _today(state.store.timezone)
        received = arguments.received or today
        if not date(2018, 5, 25) <= received <= today:
            raise ConsentError(f"a request is received by today, {today}, and not before 2018-05-25; not on {received}")
        case = ledger.open_case(arguments.kind, received)
    print(f"case {case.number}: {case.kind}, received {case.received}, to be answered by {case.due}")
    return 0


def _list_cases(arguments: argparse.Namespace) -> int:
    with opened(arguments, "dashboard") as (state, ledger):
        today = _today(state.store.timezone)
        cases = [case for case in ledger.cases() if case.closed is None or not arguments.open]
    if arguments.json:
        told = [{**asdict(case), "overdue": case.overdue(today)} for case in cases]
        print(json.dumps({"today": today, "cases": told}, default=str))
        return 0
    for case in cases:
        late = " OVERDUE" if case.overdue(today) and case.closed is None else " late" if case.overdue(today) else ""
        ended = f"closed {case.closed}: {case.outcome}" if case.closed else f"due {case.due}"
        longer = f" (extended: {case.extended})" if case.extended else ""
        print(f"{case.number}  {case.kind}  received {case.received}  {ended}{longer}{late}")
    if not cases:
        print("no requests")
    return 0


def _extend_case(arguments: argparse.Namespace) -> int:
    with opened(arguments, "dashboard") as (state, ledger):
        case = ledger.extend_case(arguments.number, arguments.because, _today(state.store.timezone))
    print(f"case {case.number}: to be answered by {case.due}")
    print(f"tell them now: openaisle requests letter extension --case {case.number}")
    return 0


def _close_case(arguments: argparse.Namespace) -> int:
    with opened(arguments, "dashboard") as (state, ledger):
        case = ledger.close_case(arguments.number, arguments.outcome, _today(state.store.timezone), now_us=now_us())
    print(f"case {case.number}: closed {case.closed}, {case.outcome}")
    return 0


def _letter(arguments: argparse.Namespace) -> int:
    from retention import letter

    with opened(arguments, "dashboard") as (state, ledger):
        case = None if arguments.case is None else ledger.case(arguments.case)
    print(letter.write(state, arguments.kind, arguments.language, _today(state.store.timezone), case), end="")
    return 0
