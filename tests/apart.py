"""Reads the files of a shop in a process of their own.

Closing a plain file drops every lock its process holds on it, SQLite's and DuckDB's too; the next process then takes
itself for the first one and truncates what this one has mapped.
"""

from __future__ import annotations

import subprocess
from pathlib import Path


def read_apart(path: Path) -> bytes:
    """Return the bytes of a file; nothing for one that has just gone."""
    return subprocess.run(["cat", str(path)], capture_output=True, check=False).stdout
