"""`up`: keeps the processes of one shop running, and ends them in order.

Rules:
- A process that ends is started again after a pause that doubles from `FIRST_PAUSE_S` to `LONGEST_PAUSE_S`, and is the
  first again once the process ran for `STEADY_S`.
- Bad settings (exit code 2) before anything stood do not get better by waiting: everything is ended, and that is said.
- Started in the order given, ended in the reverse: the keeper begins first and ends last, so that what the cameras'
  process hands over when it ends still finds somebody.
- A process ends with its supervisor, however that one ends: the kernel sees to it.
- What a process says is passed on line by line, under its name, and kept nowhere.

It reads nothing of the shop: no ledger, no key, no figure. Whether a process can be reached is asked at its own door.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
STEADY_S = 60.0  # whoever ran this long stood
TURN_S = 15.0  # whoever comes next waits no longer than this for those before it
PATIENCE_S = 30.0  # for an orderly end; an erasure of ten million rows takes ten seconds
BAD_SETTINGS = 2  # exit code of every command of ours that cannot work as it was told
LINES = 200  # of each process, in memory
_TICK_S = 0.2

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Health(StrEnum):
    """How a process is, as its supervisor sees it."""

    WAITING = "waiting"  # not started yet, or ended before and starts again
    STARTING = "starting"
    READY = "ready"  # it answers at its door
    DONE = "done"  # it had an end of its own, and came to it
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Part:
    """One process to keep running.

    Attributes:
        name: as people know it.
        words: that start it.
        ready: asks at its door whether it works; called often, never raises, takes 0.2 s at most.
        ends: it may come to an end of its own: whoever watches files has seen them.
        where: its address for people, empty where it has none.
    """

    name: str
    words: tuple[str, ...]
    ready: Callable[[], bool]
    ends: bool = False
    where: str = ""


@dataclass(slots=True)
class Running:
    """One process, and what became of it.

    Attributes:
        part: which.
        health: see `Health`.
        starts: how often it was started.
        code: with which it ended last; None where it never did.
        last: what it said last.
    """

    part: Part
    health: Health = Health.WAITING
    starts: int = 0
    code: int | None = None
    pause_s: float = FIRST_PAUSE_S
    due_s: float = 0.0  # monotonic: when it starts (again)
    since_s: float = 0.0
    process: subprocess.Popen[str] | None = None
    last: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    stood: bool = False

    @property
    def pid(self) -> int | None:
        """Its process number while it runs."""
        return None if self.process is None else self.process.pid


class Supervisor:
    """Keeps processes running until told to stop.

    Args:
        parts: in the order in which they start.
        environment: of the processes.
        say: gets (name of the process, line) as it is said; from several threads.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        environment: Mapping[str, str],
        say: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.running = tuple(Running(part) for part in parts)
        self._environment, self._say, self._clock = dict(environment), say, clock
        self._readers: list[threading.Thread] = []

    def run(self, stop: threading.Event, *, show: Callable[[], None] = lambda: None) -> int:
        """Keep everything running until `stop` is set, or until every process came to its own end.

        Args:
            stop: ends it.
            show: called several times a second.

        Returns:
            0, or `BAD_SETTINGS` where a process refused its settings before it ever stood.
        """
        code = 0
        try:
            while not stop.is_set():
                for one in self.running:
                    self._look_after(one)
                show()
                if any(one.code == BAD_SETTINGS and not one.stood for one in self.running):
                    code = BAD_SETTINGS
                    break
                if all(one.health is Health.DONE for one in self.running):
                    break
                stop.wait(_TICK_S)
        finally:
            self.end(show=show)
        return code

    def end(self, *, show: Callable[[], None] = lambda: None) -> None:
        """End every process, the last one first; whoever does not within `PATIENCE_S` is killed."""
        for one in reversed(self.running):
            process = one.process
            if process is not None:
                process.terminate()
                until = self._clock() + PATIENCE_S
                while process.poll() is None and self._clock() < until:
                    show()
                    time.sleep(_TICK_S / 4)
                if process.poll() is None:
                    self._say(one.part.name, f"did not end within {PATIENCE_S:.0f} s and was killed; nothing is lost")
                self._reap(one)
            one.health = Health.STOPPED if one.health is not Health.DONE else Health.DONE
        for reader in self._readers:
            reader.join(timeout=2)
        show()

    def _look_after(self, one: Running) -> None:
        now = self._clock()
        if one.process is None:
            if one.health is Health.WAITING and now >= one.due_s and self._turn(one, now):
                self._start(one, now)
        elif one.process.poll() is not None:
            self._ended(one, now)
        else:
            if one.health is Health.STARTING and one.part.ready():
                one.health, one.stood = Health.READY, True
            if now - one.since_s >= STEADY_S:
                one.pause_s = FIRST_PAUSE_S

    def _turn(self, one: Running, now: float) -> bool:
        """Say whether everybody before it answered once, failed once, or takes long."""
        return all(
            other.stood or other.code is not None or (other.starts > 0 and now - other.since_s > TURN_S)
            for other in self.running[: self.running.index(one)]
        )

    def _start(self, one: Running, now: float) -> None:
        one.process = subprocess.Popen(
            one.part.words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is the supervisor's to hear, and the order of the end its to keep
            preexec_fn=_end_with_parent,
        )
        one.health, one.starts, one.since_s = Health.STARTING, one.starts + 1, now
        reader = threading.Thread(target=self._read, args=(one, one.process), daemon=True)
        reader.start()
        self._readers = [*(r for r in self._readers if r.is_alive()), reader]

    def _read(self, one: Running, process: subprocess.Popen[str]) -> None:
        if process.stdout is None:
            raise AssertionError("its output is a pipe")
        with process.stdout as lines:
            for line in lines:
                one.last.append(line.rstrip("\n"))
                self._say(one.part.name, line.rstrip("\n"))

    def _ended(self, one: Running, now: float) -> None:
        self._reap(one)
        if one.code == 0 and one.part.ends:
            one.health = Health.DONE
            self._say(one.part.name, "has come to its end")
            return
        one.health, one.due_s = Health.WAITING, now + one.pause_s
        if one.code == BAD_SETTINGS and not one.stood:
            self._say(
                one.part.name, f"refused its settings; mend what it names, or leave it out: --without {one.part.name}"
            )
            return
        how = f"signal {-one.code}" if one.code is not None and one.code < 0 else f"code {one.code}"
        self._say(one.part.name, f"ended ({how}); it starts again in {one.pause_s:.0f} s")
        one.pause_s = min(2 * one.pause_s, LONGEST_PAUSE_S)

    def _reap(self, one: Running) -> None:
        """Leave nothing of a process behind: whatever it started is of its session, and goes with it."""
        if one.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(one.process.pid, signal.SIGKILL)
        one.code = one.process.wait()
        one.process = None


def _end_with_parent() -> None:
    """Ask the kernel to end this process when its parent goes; where there is no Linux, nobody does."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
