"""`openaisle witness keep`: what the witness cosigned comes back into the shop."""

from __future__ import annotations

import argparse
from pathlib import Path

from analytics.commands.opened import opened
from consent.command import Commands, command


def add(commands: Commands) -> None:
    """Add `openaisle witness keep`."""
    keep = command(commands, "keep", "keep what the witness cosigned, for pages and bundles; runs in the shop")
    keep.add_argument("file", type=Path, metavar="FILE", help="what `cosign` printed")
    keep.add_argument("--key", required=True, metavar="LINE", help="of the witness, as `witness show` prints it")
    keep.set_defaults(run=_keep)


def _keep(arguments: argparse.Namespace) -> int:
    from analytics.tables import refuse_pipe
    from retention import witnessed

    refuse_pipe(arguments.file)
    with opened(arguments, "dashboard") as (state, ledger):
        kept = witnessed.keep(state.root, ledger, arguments.file.read_text(encoding="utf-8"), arguments.key)
    print(f"kept: {kept.name} saw {kept.checkpoint.size} entries")
    return 0
