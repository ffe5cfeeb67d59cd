"""Room on the disk that is kept for a no: a file that holds nothing, given back piece by piece when it is needed.

Rules:
- A full disk refuses whatever is new; a withdrawal or an objection takes a piece of the reserve and is written down.
- The keeper fills it up at a sweep, once there is room again for twice as much.

Nothing is ever written into it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NAME = "ledger.reserve"
SIZE = 4 << 20  # bytes; a withdrawal writes under 100,000
PIECE = 1 << 20


class Reserve:
    """The reserve of one ledger.

    Args:
        folder: the state directory.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def fill(self) -> bool:
        """Take the room, where the disk has enough of it; say whether it is there."""
        try:
            if self._size() >= SIZE:
                return True
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < 2 * SIZE:
                return False
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o660)
            try:
                os.fchmod(file, 0o660)  # whichever process writes a no gives a piece back
                os.posix_fallocate(file, 0, SIZE)
            finally:
                os.close(file)
        except OSError:
            return False  # another's file, or the room went meanwhile: everything else works without it
        return True

    def give(self) -> bool:
        """Give a piece back to the disk; False where there is none left."""
        size = self._size()
        if size == 0:
            return False
        with suppress(OSError):
            file = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                os.ftruncate(file, max(0, size - PIECE))
            finally:
                os.close(file)
        return self._size() < size

    def _size(self) -> int:
        try:
            return self._path.stat(follow_symlinks=False).st_size
        except OSError:
            return 0
