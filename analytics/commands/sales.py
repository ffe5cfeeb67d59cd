"""`openaisle pos`: what the tills took, beside what the cameras saw."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from analytics.commands.opened import opened
from consent.command import Commands, command, group, now_us


def add(commands: Commands) -> None:
    """Add `openaisle pos`."""
    pos = commands.add_parser("pos", help="bring in the receipts of the tills, as sums that name nobody")
    parts = group(pos)
    taken = command(parts, "import", "sum up the receipts of a CSV file by hour and till; of a receipt nothing is kept")
    taken.add_argument("file", type=Path, metavar="FILE", help="CSV with a line an item or receipt, in UTF-8")
    taken.add_argument("--dates", metavar="ORDER", help="iso, mdy, dmy or dotted, where dates can be read in two ways")
    taken.add_argument("--json", action="store_true", help="print one JSON object instead")
    taken.set_defaults(run=_import)


def _import(arguments: argparse.Namespace) -> int:
    from analytics import pos
    from analytics.tables import refuse_pipe

    refuse_pipe(arguments.file)
    if arguments.file.is_file() and arguments.file.stat().st_size > pos.LONGEST:
        raise pos.ReceiptsError(f"the file is larger than {pos.LONGEST // 1_000_000} MB; import it month by month")
    data = arguments.file.read_bytes()
    with opened(arguments, "dashboard") as (state, ledger):
        done = pos.take(state, ledger, data, now_us=now_us(), dates=arguments.dates)
    print(json.dumps(asdict(done)) if arguments.json else done)
    return 0
