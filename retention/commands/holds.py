"""`openaisle retention hold`: stop the deletion of named classes on named days (Art. 18)."""

from __future__ import annotations

import argparse
import json

from analytics.commands.opened import opened
from consent.command import Commands, command, day, group, now_us, whole


def add(commands: Commands) -> None:
    """Add `openaisle retention hold`."""
    hold = commands.add_parser("hold", help="stop the deletion of named classes on named days (Art. 18)")
    holding = group(hold)
    place = command(holding, "place", "place a hold; consent that ended stays ended")
    place.add_argument("name", nargs="+", metavar="CLASS", help="dwell, repeat, consent")
    place.add_argument("--from", dest="first", type=day, required=True, metavar="DAY", help="2026-11-01")
    place.add_argument("--to", dest="last", type=day, required=True, metavar="DAY")
    place.add_argument("--reference", default="", metavar="REF", help="of the file; the log keeps its SHA-256")
    release = command(holding, "release", "release a hold; what is due by then is erased at once")
    release.add_argument("entry", type=whole, metavar="ENTRY", help="number that `place` printed")
    for words in (place, release):
        words.add_argument("--officer", required=True, metavar="NAME", help="who does it; the log keeps its SHA-256")
    place.set_defaults(run=_place_hold)
    release.set_defaults(run=_release_hold)
    listed = command(holding, "list", "list the holds in force")
    listed.add_argument("--json", action="store_true", help="print one JSON object")
    listed.set_defaults(run=_list_holds)


def _place_hold(arguments: argparse.Namespace) -> int:
    from retention import holds

    with opened(arguments, "dashboard") as (_, ledger):
        placed = holds.place(
            ledger,
            arguments.name,
            arguments.first,
            arguments.last,
            officer=arguments.officer,
            reference=arguments.reference,
            now_us=now_us(),
        )
    print(f"hold {placed.entry}: {', '.join(placed.classes)} from {placed.first} to {placed.last} stay until released")
    return 0


def _release_hold(arguments: argparse.Namespace) -> int:
    from retention import holds

    with opened(arguments, "dashboard") as (_, ledger):
        entry = holds.release(ledger, arguments.entry, officer=arguments.officer, now_us=now_us())
    print(f"released (log entry {entry}); the keeper erases what is due, or `openaisle retention run` where none runs")
    return 0


def _list_holds(arguments: argparse.Namespace) -> int:
    from retention import holds, plan

    with opened(arguments, "dashboard") as (_, ledger):
        told = [plan.told_of(hold) for hold in holds.holds(ledger)]
    if arguments.json:
        print(json.dumps({"holds": told}))
    else:
        print("\n".join(plan.hold_line(one) for one in told) or "no hold is in force")
    return 0
