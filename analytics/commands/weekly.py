"""`openaisle report`: the week on paper."""

from __future__ import annotations

import argparse
from pathlib import Path

from consent.command import Commands, command


def add(commands: Commands) -> None:
    """Add `openaisle report`."""
    report = command(commands, "report", "write the released figures of one week as PDF")
    report.add_argument("--week", metavar="WEEK", help="such as 2026-W41 (default: the newest)")
    report.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="where it goes; an older report is replaced"
    )
    report.set_defaults(run=_report)


def _report(arguments: argparse.Namespace) -> int:
    from analytics.answers import answers
    from analytics.pages.pdf import Week, WeekError, weekly
    from analytics.state import State

    state = State.read(arguments.state, arguments.keys)
    if arguments.week is not None:
        week = Week.read(arguments.week)
    else:
        days = answers(state.root).days()
        if not days:
            raise WeekError("there are no figures yet; run `openaisle up`, and let it see people for some hours")
        week = Week.of(days[-1])
    if arguments.out.exists() and not arguments.out.read_bytes().startswith(b"%PDF"):
        raise WeekError(f"{arguments.out} is there and is no PDF; name another file")
    paper = weekly(state.root, week)
    arguments.out.write_bytes(paper)
    print(f"wrote {arguments.out}: {week}, {week.monday} to {week.sunday}")
    return 0
