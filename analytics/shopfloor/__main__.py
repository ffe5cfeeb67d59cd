"""``python -m analytics.shopfloor {truth,render} --out DIR``: make the demo clip and its truth again from the code.

`truth` takes seconds. `render` needs Blender 3.4 and most of an hour on two cores; its pictures stay in the work
folder, so that it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from analytics.model import AnalyticsError
from analytics.shopfloor import record, render


def main(words: list[str] | None = None) -> int:
    """Run one command; return 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m analytics.shopfloor", description="Make the demo shop again.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("truth", "write the truth files"), ("render", "write the truth files and the clip")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--out", type=Path, required=True, help="folder for the files")
        if name == "render":
            folder = Path(tempfile.gettempdir()) / "openaisle-shopfloor"
            command.add_argument("--work", type=Path, default=folder, help=f"folder for pictures (default {folder})")
            command.add_argument("--workers", type=int, default=2, help="Blender processes at a time (default 2)")
    chosen = parser.parse_args(words)
    try:
        performance = record.write(chosen.out)
        if chosen.command == "render":
            render.trace(performance, chosen.work, chosen.workers)
            render.write_clip(len(performance.posed), chosen.work, chosen.out / record.CLIP)
    except AnalyticsError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
