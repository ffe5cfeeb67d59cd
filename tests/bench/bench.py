"""Ours against what a user would pick instead, in one run: ``make bench``.

Same clips, weights and zones for all; each contender is a process of its own, one after the other. Printed per clip:
visit F1 and mean dwell error against the true visits, CPU seconds per second of video (user and system, all threads,
from the first picture on, without loading the model), and that as a share of what ``YOLO.track`` takes. Each saver of
ours is switched off or set alone. Nothing is written but the table.

The promise that is checked: on video of 25 to 30 frames a second ours at its defaults takes at most 0.4 times the CPU
of ``YOLO.track``, at no lower F1. The exit status is 1 where it is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analytics.accuracy import Stay, score
from tests.bench.clips import CLIPS, ROOT, Clip
from tests.bench.contenders import BASELINE, CONTENDERS, OURS, entered

MOST_CPU = 0.4  # of the baseline's, on video of FAST frames a second and more
FAST = 24.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    cpu: float
    looks: int
    inferences: int
    media_s: float
    f1: float | None = None
    dwell_error_s: float | None = None
    total: float | None = None

    @property
    def rate(self) -> float:
        """Pictures looked at, a second."""
        return self.looks / self.media_s


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench, or one contender of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=list(CLIPS), metavar="CLIP")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="CONTENDER")
    parser.add_argument("--run", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    clips = [CLIPS[name] for name in arguments.clips]
    if arguments.run:
        for clip in clips:
            print(json.dumps(asdict(CONTENDERS[arguments.run](clip))), flush=True)
        return 0
    rows: dict[str, dict[str, Row]] = {clip.name: {} for clip in clips}
    for name in arguments.only:
        mine = [clip for clip in clips if name in entered(clip)]
        for clip, row in zip(mine, _run(name, mine), strict=True):
            rows[clip.name][name] = row
    for clip in clips:
        print(_table(clip, rows[clip.name]))
    return _verdict(clips, rows)


def _run(name: str, clips: Sequence[Clip]) -> list[Row]:
    if not clips:
        return []
    print(f"running: {name}", file=sys.stderr)
    command = [sys.executable, "-m", "tests.bench.bench", "--run", name, "--clips", *(clip.name for clip in clips)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"stays"')]  # parts may chatter
    return [_row(clip, json.loads(line)) for clip, line in zip(clips, lines, strict=True)]


def _row(clip: Clip, run: dict[str, Any]) -> Row:
    plain = Row(run["cpu_s"] / run["media_s"], run["looks"], run["inferences"], run["media_s"])
    true = clip.truth()
    if true is None:
        return plain
    against = score(true, [Stay(**stay) for stay in run["stays"]])
    return Row(
        plain.cpu,
        plain.looks,
        plain.inferences,
        plain.media_s,
        against.f1,
        against.dwell_error_s,
        against.total_dwell_error,
    )


def _table(clip: Clip, rows: dict[str, Row]) -> str:
    base = rows.get(BASELINE)
    part = "" if clip.seconds is None else f", first {clip.seconds:g} s"
    lines = [
        f"\n{clip.name}{part}",
        f"{'':<24}{'F1':>7}{'dwell error':>13}{'total':>9}{'looks/s':>9}{'inferences':>12}{'CPU s/s':>9}{'ratio':>7}",
    ]
    for name, row in rows.items():
        f1 = "–" if row.f1 is None else f"{row.f1:.3f}"
        dwell = "–" if row.dwell_error_s is None else f"{row.dwell_error_s:.2f} s"
        total = "–" if row.total is None else f"{row.total:+.1%}"
        ratio = "–" if base is None else f"{row.cpu / base.cpu:.2f}"
        lines.append(
            f"{name:<24}{f1:>7}{dwell:>13}{total:>9}{row.rate:>9.1f}{row.inferences:>12}{row.cpu:>9.3f}{ratio:>7}"
        )
    return "\n".join(lines)


def _verdict(clips: Sequence[Clip], rows: dict[str, dict[str, Row]]) -> int:
    broken = 0
    print(f"\nmachine: {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f} over five minutes")
    for clip in clips:
        mine, base = rows[clip.name].get(OURS), rows[clip.name].get(BASELINE)
        if mine is None or base is None:
            continue
        faults = []
        if base.rate >= FAST and mine.cpu > MOST_CPU * base.cpu:
            faults.append(f"CPU ratio {mine.cpu / base.cpu:.2f} is over {MOST_CPU}")
        if mine.f1 is not None and base.f1 is not None and mine.f1 < base.f1:
            faults.append(f"F1 {mine.f1:.3f} is under {base.f1:.3f}")
        broken += len(faults)
        kept = "held" if base.rate >= FAST else "F1 held (CPU is promised from 25 frames a second)"
        print(f"{clip.name}: {'; '.join(faults) or kept}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
