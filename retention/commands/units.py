"""`openaisle units`: systemd units for this shop, each process with no more of the machine than it needs."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from consent.command import Commands, command


def add(commands: Commands) -> None:
    """Add the command."""
    units = command(commands, "units", "write systemd units for this shop: own users, least rights, egress blocked")
    units.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder, such as /etc/systemd/system")
    units.add_argument("--program", type=Path, metavar="FILE", help="the openaisle command (default: this one)")
    units.set_defaults(run=_units, looks_only=True)


def _units(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from consent.events import ConsentError
    from retention.units import PROCESSES, TARGET, units

    state = State.read(arguments.state, arguments.keys)
    program = arguments.program or Path(sys.argv[0])
    found = shutil.which(program)
    if found is None:
        raise ConsentError(f"{program} is no command; name the installed one with --program")
    if not arguments.out.is_dir():
        raise ConsentError(f"{arguments.out} is no folder; make it first")
    dealt = {name: state.keys.with_name(f"{state.keys.name}-{name}") for name in PROCESSES}
    written = units(state, Path(found).absolute(), keys=dealt.__getitem__)
    for name, text in written.items():
        (arguments.out / name).write_text(text, encoding="utf-8")
        print(arguments.out / name)
    for name, keys in dealt.items():
        if not keys.is_dir():
            print(f"keys of {name} are not there yet: openaisle deal {name} {keys}", file=sys.stderr)
    print(f"then: systemctl daemon-reload && systemctl enable --now {TARGET}", file=sys.stderr)
    return 0
