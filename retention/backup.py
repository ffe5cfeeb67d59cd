"""`openaisle backup`: everything a shop needs to go on, as it stands at one moment, while it goes on.

What is in it: the ledger, the visits, the released figures, the certificates, the notes, `store.toml`. What never is:
keys, the journal, sealed answers, staff accounts, temporary files. Keys and backup together read everything; apart,
neither does.

Rules:
- The ledger is copied first and the visits after: a row on its way is in one of them or in both, and the number of the
  newest inbox row in the visits says which; so no acknowledged row is missing, and none is loaded twice.
- Only the keeper opens the visits. While one runs, it is asked for a copy; otherwise this takes the keeper's place.
- The journal knows every entry of the log that is in the backup before the backup exists.

What comes back from it, and what must not, is decided in `retention.restore`.
"""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from analytics.duckfile import StoreBusyError
from analytics.state import STORE_TOML, State
from analytics.store import Visits
from consent.ledger import Ledger, LedgerError, RequestStatus
from retention.archive import FOLDERS, BackupError, Manifest, digest, has_place, write
from retention.journal import Journal

REQUEST = "backup"  # kind of request: a copy of the visits
_PART = ".openaisle-part-"
_PATIENCE_S = 300.0  # for the keeper's copy: an erasure of many rows may be at work


def backup(state: State, ledger: Ledger, target: Path, now_us: int, *, patience_s: float = _PATIENCE_S) -> Path:
    """Make a backup and return where it is.

    Args:
        state: the shop.
        ledger: opened with a role that holds the log's key.
        target: the file to make, or a folder in which to make one.
        now_us: UTC microseconds.
        patience_s: how long to wait for the keeper.

    Raises:
        BackupError: the target does not fit, or something cannot be copied; nothing is left of it.
        ConsentError: the ledger cannot be read.
    """
    target = _target(state, target, now_us)
    try:
        with _part(target.parent) as part:
            return _backup(state, ledger, target, part, now_us, patience_s)
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror}; choose another place") from error


def _backup(state: State, ledger: Ledger, target: Path, part: Path, now_us: int, patience_s: float) -> Path:
    sources = {STORE_TOML: part / STORE_TOML, state.ledger.name: part / state.ledger.name}
    shutil.copyfile(state.root / STORE_TOML, sources[STORE_TOML])
    entries, note = _copy_ledger(state.ledger, sources[state.ledger.name])
    Journal(state.journal, ledger).follow(now_us)
    if _copy_visits(state, ledger, part / state.visits.name, now_us, patience_s):
        sources[state.visits.name] = part / state.visits.name
    for folder in FOLDERS:
        (part / folder).mkdir()
        for path in sorted((state.root / folder).glob("[!.]*")):
            with suppress(FileNotFoundError):  # past its term meanwhile
                if not (stat.S_ISREG(path.lstat().st_mode) and has_place(f"{folder}/{path.name}")):
                    raise BackupError(f"{str(path)!r} is no file of a shop and would not come back; move it elsewhere")
                shutil.copyfile(path, part / folder / path.name)  # small, and replaced as a whole
                sources[f"{folder}/{path.name}"] = part / folder / path.name
    files = {name: digest(source) for name, source in sources.items()}
    manifest = Manifest(ledger.store, now_us, entries, ledger.root(entries).hex(), note, files)
    write(target, manifest, sources, ledger.keys.signing_key("log"))
    return target


def _target(state: State, target: Path, now_us: int) -> Path:
    if target.is_dir():
        instant = datetime.fromtimestamp(now_us / 1e6, UTC)
        target = target / f"openaisle-{state.store.store.id}-{instant:%Y%m%dT%H%M%SZ}.tar"
    place = target.resolve()
    for folder, what in ((state.root, "the state directory"), (state.keys, "the keys"), (state.journal, "the journal")):
        if place.is_relative_to(folder.resolve()):
            raise BackupError(f"a backup must not lie with {what}, {folder}; name another disk")
    if target.exists() or target.is_symlink():
        raise BackupError(f"{target} is there already, and nothing is overwritten; name another file")
    if not target.parent.is_dir():
        raise BackupError(f"there is no folder {target.parent}; make it first, or name another")
    return target


@contextmanager
def _part(folder: Path) -> Iterator[Path]:
    """Make a folder for copies and remove it afterwards, with those of killed backups."""
    for orphan in folder.glob(f"{_PART}*"):
        with suppress(OSError), _held(orphan):  # a running one holds its own
            shutil.rmtree(orphan)
    part = Path(tempfile.mkdtemp(prefix=_PART, dir=folder))
    try:
        with _held(part):
            yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _copy_ledger(source: Path, target: Path) -> tuple[int, str | None]:
    """Copy the ledger as it stands at one moment; return entries and newest note of the copy's log."""
    try:
        with closing(sqlite3.connect(target)) as copy:
            with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=20)) as db:
                db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # the file alone is the whole copy
            if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise BackupError(f"{source} is damaged: restore an older backup")
            (entries,) = copy.execute("SELECT coalesce(max(idx) + 1, 0) FROM leaves").fetchone()
            row = copy.execute("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"{source} cannot be copied to {target.parent.parent} ({error}); look at its disk") from error
    return int(entries), None if row is None else str(row[0])


def _copy_visits(state: State, ledger: Ledger, target: Path, now_us: int, patience_s: float) -> bool:
    """Copy the visits, by the keeper where one runs; return whether there are any."""
    if not state.visits.exists():
        return False
    try:
        with Visits(state.visits) as visits:
            visits.copy(visits.spare)
            shutil.move(visits.spare, target)
        return True
    except StoreBusyError:
        pass  # a keeper runs
    request = ledger.open_request(REQUEST, now_us=now_us)
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        asked = ledger.read_request(request)
        if asked is not None and asked.status is RequestStatus.DONE and asked.result is not None:
            spare = state.root / asked.result.decode()
            try:
                shutil.move(spare, target)
            except FileNotFoundError as error:
                raise BackupError("an erasure came between; try again") from error
            return True
        if asked is None or asked.status in (RequestStatus.FAILED, RequestStatus.REFUSED):
            break
        time.sleep(0.1)
    with suppress(LedgerError):
        ledger.settle_request(request, RequestStatus.REFUSED, now_us=now_us)
    raise BackupError("the keeper holds the visits and did not copy them; see its messages, or stop it and try again")
