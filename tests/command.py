"""The `openaisle` command as a user has it: a process with a home, a place and an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

INT8 = "models/detection/yolov8n_int8_openvino_model"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command runs: everything it could write to without being told lies below one folder."""

    root: Path

    def __post_init__(self) -> None:
        for folder in (self.home, self.here, self.scratch):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def home(self) -> Path:
        """$HOME."""
        return self.root / "home"

    @property
    def here(self) -> Path:
        """The working directory."""
        return self.root / "here"

    @property
    def scratch(self) -> Path:
        """$TMPDIR."""
        return self.root / "scratch"

    def environment(self) -> dict[str, str]:
        """Return a bare environment; nothing of the test process but the path."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.scratch),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def files(self) -> set[str]:
        """Return every file and folder below the place that was not there at first."""
        made = {str(path.relative_to(self.root)) for path in self.root.rglob("*")}
        return made - {"home", "here", "scratch"}

    def run(self, *words: str | Path, timeout: float = 240, said: str = "") -> subprocess.CompletedProcess[str]:
        """Run ``openaisle`` with these words, in a pipe, and say something to it."""
        return subprocess.run(
            self.command(*words),
            input=said,
            env=self.environment(),
            cwd=self.here,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def command(self, *words: str | Path) -> list[str]:
        """Return the words that start ``openaisle``, installed or not."""
        return [sys.executable, str(ROOT / "cli.py"), *map(str, words)]
