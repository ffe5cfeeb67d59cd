"""What is seen at the pad right now, for the page at the entrance: how many, somebody near, and one shopper's own box.

Rules:
- A box is told only of the one who is alone on the pad, as shares of the picture and without pixels. Of anybody else
  the page learns at most that they are there. No track number, no subject.
- It is asked for and forgotten: nothing here is stored, and what is not from this moment is not told at all.
- Only processes of this machine that share the state directory can ask: the socket in it is as open as the ledger
  beside it, to one group and to nobody else, since each process may run as a user of its own.

The other end is `analytics.live`. It answers a line with a line of JSON and hangs up.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

WAIT_S = 0.2  # a page does not wait longer for a picture that is only a help
LONGEST = 64 * 1024  # of an answer, bytes
_ADDRESS = 107  # bytes of a path that the kernel takes as a socket's name
_RETRY_S = 0.01


class PadMark(StrEnum):
    """How the box of the one on the pad is drawn."""

    NONE = "none"
    LINKED = "linked"  # filled: visits are written down
    SUPPRESSED = "suppressed"  # hollow: in no figure


@dataclass(frozen=True, slots=True)
class PadView:
    """One look at the pad.

    Attributes:
        people: how many are on the pad: 0, 1, or 2 for several.
        near: somebody else is in the ring around it, or may be there out of sight.
        box: (left, top, right, bottom) as shares of the picture, of the one who is alone on the pad, else None.
        mark: how their box is drawn; `none` where there is no box.
        t_us: instant of the picture, UTC microseconds.
    """

    people: int
    near: bool
    box: tuple[float, float, float, float] | None
    mark: PadMark
    t_us: int

    def __post_init__(self) -> None:
        if self.people not in (0, 1, 2):
            raise ValueError(f"{self.people} people: say 0, 1, or 2 for several")
        if self.box is None and self.mark is not PadMark.NONE:
            raise ValueError("a mark belongs to a box")
        if self.box is not None and self.people != 1:
            raise ValueError("a box is told only of one who is alone on the pad")
        if self.box is not None and not all(0.0 <= share <= 1.0 for share in self.box):
            raise ValueError(f"{self.box} are no shares of a picture")

    def encode(self) -> bytes:
        """Return it as one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> PadView:
        """Read what `encode` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            told = json.loads(line)
            box = None if told["box"] is None else tuple(map(float, told["box"]))
            if box is not None and len(box) != 4:
                raise ValueError("a box has four sides")
            return cls(int(told["people"]), bool(told["near"]), box, PadMark(told["mark"]), int(told["t_us"]))
        except (TypeError, KeyError, OverflowError, RecursionError) as error:
            raise ValueError("this is no view of a pad") from error


def read(socket_path: Path, pad: str) -> PadView | None:
    """Ask what is seen at a pad.

    Args:
        socket_path: of `watch`, in the state directory.
        pad: name of the pad's zone.

    Returns:
        None where `watch` does not run, sees nothing at present, or knows no such pad; after `WAIT_S` at the latest.
    """
    answer = ask(socket_path, f"pad {pad}")
    if not answer:
        return None
    try:
        return PadView.decode(answer)
    except ValueError:
        return None


def ask(socket_path: Path, question: str, wait_s: float = WAIT_S, *, longest: int = LONGEST) -> bytes:
    """Put one line to `watch` and return its answer, empty where there is none in time, or a longer one."""
    until = time.monotonic() + wait_s
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(wait_s)
            with address(socket_path) as name:
                _knock(door, name, until)
            door.sendall(question.encode() + b"\n")
            while not answer.endswith(b"\n") and len(answer) < longest:
                door.settimeout(max(until - time.monotonic(), 0.001))
                part = door.recv(64 * 1024)
                if not part:
                    return b""
                answer += part
    except OSError:  # nobody there, or nobody answers
        return b""
    return answer if answer.endswith(b"\n") else b""


def _knock(door: socket.socket, name: str, until: float) -> None:
    while True:
        try:
            door.connect(name)
        except BlockingIOError:  # many are waiting to be let in
            if time.monotonic() >= until:
                raise
            time.sleep(_RETRY_S)
        else:
            return


@contextmanager
def address(path: Path) -> Iterator[str]:
    """Yield a name for a socket that the kernel takes, however deep the state directory lies."""
    if len(os.fsencode(path)) <= _ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
