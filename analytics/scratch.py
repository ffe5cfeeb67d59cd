"""Where a process of a shop puts what it needs for a moment: inside the state directory, and gone when it ends.

Rules:
- Every part that writes temporary files, caches or settings of its own accord is told to do it here.
- The folder goes when the process ends; what a killed process left goes when the next one starts.
- No process leaves a picture of its memory: a core dump would hold pixels and keys.

It is no store: nothing that is to be kept, and nothing about a person, is put here by us.
"""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = "tmp"
# who looks where: Python, libraries in C, matplotlib, ultralytics, and everything that follows the XDG rules
_VARIABLES = ("TMPDIR", "TMP", "TEMP", "MPLCONFIGDIR", "YOLO_CONFIG_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")


def no_core_dumps() -> None:
    """Let this process, and those it starts, leave no memory behind when it crashes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # a core that is piped to a program has no limit, but it can be made to hold nothing
        Path("/proc/self/coredump_filter").write_text("0")


@contextmanager
def scratch(root: Path) -> Iterator[Path]:
    """Make this process's own folder below a state directory, and let every part use it.

    Args:
        root: an existing state directory.

    Raises:
        OSError: nothing can be written there.
    """
    folder = root / FOLDER
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o770)  # each process may have a user of its own, and all share a group
    _clear(folder)
    mine = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=folder))
    lock = os.open(mine, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_SH)  # tells that we live; the kernel lets go when we are killed
    os.set_inheritable(lock, True)  # a page that takes this process's place lives on with it
    before = {name: os.environ.get(name) for name in _VARIABLES}
    known, tempfile.tempdir = tempfile.tempdir, None
    os.environ.update(dict.fromkeys(_VARIABLES, str(mine)))
    try:
        yield mine
    finally:
        tempfile.tempdir = known
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(mine, ignore_errors=True)
        os.close(lock)


def _clear(folder: Path) -> None:
    """Remove what processes that are no more have left."""
    for left in folder.iterdir():
        if not left.is_dir() or left.is_symlink():
            with suppress(OSError):
                left.unlink()
            continue
        with suppress(OSError):  # it lives, or belongs to another user, who will clear it
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)
