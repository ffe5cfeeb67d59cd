"""What the keeper last did, as a small file that says nothing about anybody: `keeper.json` in the state directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analytics.state import KEEPER_JSON
from retention.clock import Clock

NAME = KEEPER_JSON
PROBLEMS = ("blocked", "deferred", "config", "journal", "figures", "unnamed")  # of a report: what is wrong, if anything


def note_sweep(
    root: Path,
    report: Mapping[str, Any],
    now_us: int,
    clock: Clock | None = None,
    holdings: Mapping[str, Any] | None = None,
) -> None:
    """Write down that everything was looked at, and what was wrong.

    Args:
        root: the state directory.
        report: of the pass.
        now_us: UTC microseconds.
        clock: what is thought of the clock, where somebody thought of it.
        holdings: what exists and goes next, in days and bands.
    """
    told: dict[str, Any] = {
        "swept_us": now_us,
        **{name: report[name] for name in PROBLEMS},
        "clock": clock and clock.as_dict(),
    }
    if holdings is not None:
        told["holdings"] = dict(holdings)
    beside = root / f".{NAME}.tmp"
    beside.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    beside.chmod(0o640)
    beside.replace(root / NAME)


def last_sweep(root: Path) -> dict[str, Any] | None:
    """Return what was written down last; None before the first sweep, or where the file is not readable as one."""
    try:
        told = json.loads((root / NAME).read_bytes())
        problems = {name: told.get(name) for name in PROBLEMS}
        return {"swept_us": int(told["swept_us"]), **problems, "clock": Clock.of(told.get("clock"))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def last_holdings(root: Path) -> dict[str, Any] | None:
    """Return what existed at the last sweep, None where nothing was noted."""
    try:
        told = json.loads((root / NAME).read_bytes())["holdings"]
        return {"oldest": dict(told["oldest"]), "next": [dict(one) for one in told["next"]]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
