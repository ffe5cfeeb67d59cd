"""A file of JSON lines that only grows: one line a fact, the newest last.

Rules:
- A line is written in one piece under a lock and is on the disk when `append` returns. What a crash left of a line that
  was never finished is cut off by the next writer and read by nobody.
- A line that is damaged is named, with its number; it is never left out in silence.
- `rewrite` takes lines out for good, under the same lock; a crash in the midst of it may lose lines, never mix them.

It knows nothing of what stands in a line.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from analytics.model import AnalyticsError

MOST_BYTES = 8 << 20  # far more than a person writes; a larger file is not ours

Line = dict[str, Any]


class LinesError(AnalyticsError):
    """Such a file cannot be used."""


def read(path: Path) -> list[Line]:
    """Return the lines of a file, oldest first; none where there is no file.

    Raises:
        LinesError: it cannot be read, or a line of it is damaged.
    """
    try:
        if not path.is_file():
            return []
        if path.stat().st_size > MOST_BYTES:
            raise LinesError(f"{path} is larger than any that was written here; move it away")
        return _parse(path, path.read_bytes())
    except OSError as error:
        raise LinesError(f"{path} cannot be read: {error.strerror}; check its owner") from error


def append(path: Path, make: Callable[[list[Line]], Mapping[str, Any]]) -> Line:
    """Write one more line, made from those that are there, and return it.

    Args:
        path: of the file; it and its folder are made where they are missing.
        make: gets the lines so far, oldest first; what it raises leaves the file as it was.

    Raises:
        LinesError: the file cannot be read or written, or a line of it is damaged.
    """
    with _alone(path) as file:
        whole = file.read()
        lines = _parse(path, whole)
        line = dict(make(lines))
        file.truncate(whole.rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)
        file.write(_bytes(line))
        file.flush()
        os.fsync(file.fileno())
        return line


def rewrite(path: Path, keep: Callable[[Line], bool]) -> int:
    """Write the file anew with the lines that are kept, and return how many are gone.

    Raises:
        LinesError: the file cannot be read or written, or a line of it is damaged.
    """
    with _alone(path) as file:
        lines = _parse(path, file.read())
        kept = [line for line in lines if keep(line)]
        # in place, under the lock: another writer waits on this very file, and would write into a replaced one unseen
        file.seek(0)
        file.write(b"".join(map(_bytes, kept)))
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
        return len(lines) - len(kept)


def _bytes(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _parse(path: Path, whole: bytes) -> list[Line]:
    out = []
    for number, raw in enumerate(_finished(whole), start=1):
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise LinesError(f"{path}, line {number} is damaged; mend it or take it out") from error
        if not isinstance(line, dict):
            raise LinesError(f"{path}, line {number} is damaged; mend it or take it out")
        out.append(line)
    return out


def _finished(whole: bytes) -> Iterable[bytes]:
    return whole[: whole.rfind(b"\n") + 1].splitlines()


@contextmanager
def _alone(path: Path) -> Iterator[BinaryIO]:
    try:
        path.parent.mkdir(mode=0o770, exist_ok=True)
        path.touch(mode=0o660)
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
    except OSError as error:
        raise LinesError(f"{path} cannot be written: {error.strerror}; check its owner") from error
