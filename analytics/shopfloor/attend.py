"""Keeps the pages of the demo running until told to stop, and leaves no process behind.

Each page is the product's own command in a process of its own. Should this process be killed outright, the system ends
them too (Linux). It decides nothing and reads no page.
"""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from analytics.model import AnalyticsError

START_S = 60.0  # a page must answer by then
_PATIENCE_S = 10.0  # a process that was told to end gets this long
_PR_SET_PDEATHSIG = 1


class AttendError(AnalyticsError):
    """A page that does not come up, or that ended by itself."""


@dataclass(frozen=True, slots=True)
class _Page:
    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Attendant:
    """The processes of the demo; leaving the context ends them all.

    Args:
        command: words that start `openaisle`.
        logs: folder for what they say.
    """

    def __init__(self, command: Sequence[str], logs: Path) -> None:
        self._command, self._logs = command, logs
        self._pages: list[_Page] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for page in self._pages:
            page.process.terminate()
        until = time.monotonic() + _PATIENCE_S
        for page in self._pages:
            try:
                page.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                page.process.kill()
                page.process.wait()

    def start(self, name: str, words: Sequence[str | Path]) -> None:
        """Start one command of `openaisle`."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*self._command, *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is ours to pass on, once
                preexec_fn=_end_with_parent,  # nothing but one system call
            )
        self._pages.append(_Page(name, process, log))

    def answers(self, port: int, stop: threading.Event) -> bool:
        """Wait until somebody listens on a port of this machine; False when told to stop before.

        Raises:
            AttendError: nobody does in time, or a process ended.
        """
        until = time.monotonic() + START_S
        while not stop.is_set():
            self.check()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return True
            if time.monotonic() > until:
                raise AttendError(
                    f"nothing answers on port {port} after {START_S:.0f} s; read the logs in {self._logs}"
                )
            stop.wait(0.2)
        return False

    def check(self) -> None:
        """Raise when a process ended by itself.

        Raises:
            AttendError: with the last line it said.
        """
        for page in self._pages:
            if page.process.poll() is not None:
                said = page.log.read_text(errors="replace").strip().splitlines()
                last = f": {said[-1]}" if said else ""
                raise AttendError(f"the {page.name} ended with {page.process.returncode}{last}")


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
