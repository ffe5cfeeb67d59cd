"""What the keeper last did, as a small file that says nothing about anybody: `keeper.json` in the state directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "keeper.json"
_KEPT = ("blocked", "deferred", "config", "journal", "figures", "unnamed")  # of a report: what is wrong, if anything


def note_sweep(root: Path, report: Mapping[str, Any], now_us: int) -> None:
    """Write down that everything was looked at, and what was wrong.

    Args:
        root: the state directory.
        report: of the pass.
        now_us: UTC microseconds.
    """
    told = {"swept_us": now_us, **{name: report[name] for name in _KEPT}}
    beside = root / f".{NAME}.tmp"
    beside.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    beside.chmod(0o640)
    beside.replace(root / NAME)


def last_sweep(root: Path) -> dict[str, Any] | None:
    """Return what was written down last; None before the first sweep, or where the file is not readable as one."""
    try:
        told = json.loads((root / NAME).read_bytes())
        return {"swept_us": int(told["swept_us"]), **{name: told.get(name) for name in _KEPT}}
    except (OSError, ValueError, KeyError, TypeError):
        return None
