"""`openaisle restore`: an older state comes back, and nothing that was erased or withdrawn since comes back with it.

Rules:
- Everything is checked before anything is touched: the backup's signature, every file in it, the journal, and the
  checkpoints that others hold.
- The state is put together in a folder beside its place. There the log goes on to where the journal knows it, consents
  that ended since are ended, whoever was erased since is destroyed, what no grant covers any more is deleted, and every
  byte is searched. Only then it takes its place, in one step. Until then it bears a mark, and no process opens it.
- A journal that begins after the backup, ends before it, or ends before a checkpoint that a witness or a receipt shows,
  cannot say what was erased: the restore is refused.
- A state that is there is not replaced unless told so, and not while a process has it open. Then it is deleted, not
  moved aside: two copies of personal data would be one too many, and the backup is still there.
- What a figure may say is drawn once: what was not released at the time of the backup is not released from it.

What remains lost: whatever was said and seen after the backup, but for the log itself. A withdrawal in the last moment
before a disk died, which no keeper had seen, is lost with it; the shopper's code then still ends that consent.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom

from analytics.config import ConfigError
from analytics.model import AnalyticsError
from analytics.state import RESTORING, STORE_TOML, State, journal_beside, keys_beside
from analytics.store import Visits
from consent import log
from consent.audit import audit
from consent.events import Channel, ConsentError, EventKind, Level, Purpose
from consent.keys import KeyRing, Role
from consent.ledger import Ledger
from retention.archive import BackupError, Manifest, opened, sync, unpack
from retention.erasure import Erased, Erasure
from retention.figures import FiguresError, Released
from retention.journal import Journal
from retention.journalled import NAME, JournalError, Kind, Line, read
from retention.release import Release

_SHARED = (510, 0x40000002)  # the bytes of a SQLite file that every open connection of a WAL database holds a lock on
# of a state that is replaced: staff accounts and paired tablets
_STAYS = ("access.sqlite", "access.sqlite-wal", "access.sqlite-shm", "kiosk.paired")


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did, in numbers.

    Attributes:
        made_us: when the backup was made, UTC microseconds.
        entries: entries in the restored log.
        adopted: of them, those that came from the journal.
        ended: consents that had ended since.
        erased: erasures that were carried out again.
        dropped: unreleased sums of everybody that were left out.
        unread: why the ledger that went away could not be asked what its keeper had not seen yet; None where it was.
    """

    made_us: int
    entries: int
    adopted: int
    ended: int
    erased: tuple[Erased, ...]
    dropped: int
    unread: str | None = None


def restore(
    source: Path,
    root: Path,
    now_us: int,
    *,
    keys: Path | None = None,
    journal: Path | None = None,
    known: Sequence[str] = (),
    witness: tuple[str, bytes] | None = None,
    replace_state: bool = False,
) -> Restored:
    """Put a backup in the place of a state directory.

    Args:
        source: the backup.
        root: the state directory.
        now_us: UTC microseconds.
        keys: the key directory, where neither the state that is there nor the default says so.
        journal: the journal, the same.
        known: checkpoints from the witness or from receipts; the restored log must hold them.
        witness: name and public key of the witness that must have cosigned them.
        replace_state: delete a state that is there.

    Raises:
        BackupError: the backup, the place or the keys do not fit; nothing was changed.
        JournalError: the journal cannot say what was erased since; nothing was changed.
        RetentionError: something erased is still in it; the state was not put in place.
    """
    root = root.absolute()
    keys, journal = _places(root, keys, journal)
    root = root.resolve() if root.is_symlink() else root  # the folder is replaced, and not the link to it
    try:
        ring = KeyRing.open(keys, Role.KEEPER, state=root)
    except ConsentError as error:
        why = error if keys.is_dir() else f"there is no folder {keys}"
        raise BackupError(f"the keys that open this backup are missing ({why}); name them with --keys") from error
    staging = root.parent / f".{root.name}.restoring"
    if not root.parent.is_dir():
        raise BackupError(f"there is no folder {root.parent}; make it first, or name another place")
    with _one(root.parent):
        return _restore(source, root, staging, ring, keys, journal, now_us, known, witness, replace_state=replace_state)


def _restore(
    source: Path,
    root: Path,
    staging: Path,
    ring: KeyRing,
    keys: Path,
    journal: Path,
    now_us: int,
    known: Sequence[str],
    witness: tuple[str, bytes] | None,
    *,
    replace_state: bool,
) -> Restored:
    shutil.rmtree(staging, ignore_errors=True)  # of a restore that was killed
    try:
        with opened(source, ring.public_keys("log")) as (tar, manifest), ExitStack() as stack:
            live = _live(root)
            if live and not replace_state:
                raise BackupError(f"{root} is a shop already; add --replace to delete it, and all that is only in it")
            if not live and root.exists() and any(root.iterdir()) and not (root / RESTORING).exists():
                raise BackupError(f"{root} is not empty and no shop; name another place")
            _not_anothers(journal, root, keys)
            unread = None
            if live:
                unread = _follow(root, ring, journal, manifest.store, now_us)
                stack.enter_context(alone(root))
            origin = f"openaisle/{manifest.store}"
            lines = _since(read(journal, ring.public_keys("log"), origin), manifest)
            checkpoints = _known(known, ring, origin, lines[-1], witness)
            _prepare(staging, root)
            unpack(tar, manifest, staging)
            state = _staged(staging, root, keys, journal)
            if state.store.store.id != manifest.store:
                raise BackupError(f"the backup's store.toml is of another shop than {manifest.store}")
            kept = live and _keep_figures(root, staging)
            done = _replay(state, ring, manifest, lines, checkpoints, now_us, figures_are_new=kept)
            _swap(staging, root)
            return replace(done, unread=unread)
    except OSError as error:
        raise BackupError(f"{error.filename or staging} cannot be written: {error.strerror}; make room") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


# places


def _places(root: Path, keys: Path | None, journal: Path | None) -> tuple[Path, Path]:
    """Return where keys and journal are: as told, as the state that is there says, or beside it."""
    named = None
    with contextlib.suppress(AnalyticsError):
        named = State.read(root, keys)
    if named is not None:
        return named.keys, journal or named.journal
    return keys or keys_beside(root), journal or journal_beside(root)


def _not_anothers(journal: Path, root: Path, keys: Path) -> None:
    """Refuse the journal of a shop that is there, for another place: its keeper would stop at what is written.

    Shops are looked for beside the place, the keys and the journal.
    """
    journal, root = journal.resolve(), root.resolve()
    for folder in {journal.parent, root.parent, keys.resolve().parent}:
        for shop in folder.iterdir() if os.access(folder, os.R_OK | os.X_OK) else ():
            with contextlib.suppress(OSError):  # somebody else's
                if shop.resolve() != root and _live(shop) and _journal_of(shop) == journal:
                    raise BackupError(
                        f"{journal} is the journal of {shop}, which is there, and whose keeper would stop: restore that"
                        f" shop by `--state {shop} --replace`; to rehearse, copy the journal and name the copy with"
                        " --journal"
                    )


def _journal_of(shop: Path) -> Path:
    """Return the journal of a shop, by its `store.toml` where that can be read."""
    with contextlib.suppress(AnalyticsError):
        return State.read(shop).journal.resolve()
    return journal_beside(shop).resolve()


@contextmanager
def _one(folder: Path) -> Iterator[None]:
    """Let one restore work in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise BackupError(f"another restore works in {folder}; wait for it") from error
    finally:
        os.close(handle)


def _live(root: Path) -> bool:
    """Say whether a shop is there that is not itself half restored."""
    return (root / STORE_TOML).exists() and not (root / RESTORING).exists()


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Keep every other process out of a state, or refuse where one is in.

    Every connection to a SQLite database in WAL mode holds a shared lock for as long as it is open; this takes the same
    bytes exclusively, which needs no readable database.
    """
    with ExitStack() as stack:
        for name, lock in (
            ("ledger.sqlite", lambda f: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, *_SHARED)),
            ("visits.duckdb.lock", lambda f: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)),
        ):
            with contextlib.suppress(FileNotFoundError):
                file = stack.enter_context((root / name).open("r+b"))
                try:
                    lock(file)
                except BlockingIOError as error:
                    raise BackupError(f"a process has {root} open; stop watch, kiosk, keeper and dashboard") from error
        yield


def _follow(root: Path, ring: KeyRing, journal: Path, store: str, now_us: int) -> str | None:
    """Write down what the state that goes away knows and its keeper had not seen yet; return why it cannot be read.

    It asks no `store.toml`: a slip of the pen in it may be why the state goes away, and the ledger is whole.
    """
    ledger_file = root / "ledger.sqlite"
    if not (journal / NAME).exists():
        return None
    if not ledger_file.is_file():
        return "it is not there"
    try:
        with Ledger(ledger_file, ring, store=store) as ledger:
            Journal(journal, ledger).follow(now_us)
    except (ConsentError, JournalError, sqlite3.Error) as error:
        return str(error)  # it is being replaced because of that; the journal is read next
    return None


# checks


def _since(lines: Sequence[Line], manifest: Manifest) -> list[Line]:
    """Return the journal from its last beginning on, where that reaches back to the backup.

    Raises:
        JournalError: it does not.
    """
    starts = [i for i, line in enumerate(lines) if line.kind is Kind.START]
    if not starts:
        raise JournalError("the journal is empty: it cannot say what was erased since the backup")
    lines = list(lines[starts[-1] :])
    if lines[0].size > manifest.entries:
        raise JournalError(
            f"the journal begins at entry {lines[0].size} and the backup ends at {manifest.entries}: what was erased "
            "between them is not known; destroy this backup and take a younger one"
        )
    if lines[-1].size < manifest.entries:
        raise JournalError(
            f"the journal ends at entry {lines[-1].size} and the backup at {manifest.entries}: it is an old copy; find "
            "the newest one and name it with --journal"
        )
    return lines


def _known(
    notes: Sequence[str], ring: KeyRing, origin: str, head: Line, witness: tuple[str, bytes] | None
) -> list[log.Checkpoint]:
    found = []
    for note in notes:
        checkpoint = log.open_note(note, ring.public_keys("log"), origin=origin)
        if witness is not None:
            log.cosigned_at(note, *witness)
        if checkpoint.size > head.size:
            raise JournalError(
                f"a checkpoint knows {checkpoint.size} log entries and the journal only {head.size}: it is an old "
                "copy; find the newest one and name it with --journal"
            )
        found.append(checkpoint)
    return found


# putting together


def _prepare(staging: Path, root: Path) -> None:
    """Make the folder, see to it that no process takes it for a shop, and carry over what no backup holds."""
    staging.mkdir(mode=0o770)
    (staging / RESTORING).write_text("openaisle restore has not finished\n", encoding="utf-8")
    sync(staging)
    for name in _STAYS:
        if (root / name).is_file():
            shutil.copy2(root / name, staging / name)


def _staged(staging: Path, root: Path, keys: Path, journal: Path) -> State:
    """Return the shop in the folder, with the journal of the shop that it will be."""
    try:
        state = State.read(staging, keys, unfinished=True)
    except ConfigError as error:
        raise BackupError(f"the backup's store.toml does not fit: {error}") from error
    if state.store.store.journal is not None:  # which it would use from then on, whatever was named here
        _not_anothers(root / state.store.store.journal, root, keys)
    table = state.store.store.model_copy(update={"journal": journal.absolute()})
    return replace(state, store=state.store.model_copy(update={"store": table}))


def _keep_figures(root: Path, staging: Path) -> bool:
    """Take over what the state that goes away has released, where every file of it is whole; it is newer."""
    folder = root / "released"
    if not folder.is_dir():
        return False
    try:
        Released(folder).cells()
    except FiguresError:
        return False
    shutil.copytree(folder, staging / "released", dirs_exist_ok=True)
    return True


def _replay(
    state: State,
    ring: KeyRing,
    manifest: Manifest,
    lines: Sequence[Line],
    checkpoints: Sequence[log.Checkpoint],
    now_us: int,
    *,
    figures_are_new: bool,
) -> Restored:
    with Ledger(state.ledger, ring, store=manifest.store) as ledger, Visits(state.visits) as visits:
        if (ledger.size, ledger.root().hex()) != (manifest.entries, manifest.root):
            raise BackupError("the log in the backup is not what its manifest says; take another one")
        audit(ledger)
        adopted = _adopt(ledger, lines, checkpoints)
        ledger.never_again("inbox", visits.mark)
        ledger.never_again("requests", max((line.request or 0 for line in lines), default=0))
        dropped = 0 if figures_are_new else _drop_sums(ledger)
        ended = _end(ledger, lines, manifest.entries, now_us)
        level, days = _strictest(state, ledger, lines, manifest.entries)
        erased = Erasure(_under(state, level, days), ledger, visits).run(now_us)
        if not figures_are_new:
            release = Release(state.root, SystemRandom(), tz=state.store.store.timezone, opening=state.store.opening)
            release.close(visits, state.store.kinds(), manifest.made_us, now_us)
        ledger.compact()
        details = {"made_us": manifest.made_us, "entries": manifest.entries, "adopted": adopted}
        ledger.append_event(EventKind.RESTORED, now_us=now_us, count=ended, details=details)
        ledger.sign_checkpoint()
        Journal(state.journal, ledger).follow(now_us)
        audit(ledger)
        size = ledger.size
    for path in sorted(state.root.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    return Restored(manifest.made_us, size, adopted, ended, tuple(erased), dropped)


def _adopt(ledger: Ledger, lines: Sequence[Line], checkpoints: Sequence[log.Checkpoint]) -> int:
    """Let the log go on to where the journal knows it, and hold it against every hash that is known."""
    size = first = ledger.size
    for line in lines:
        begin = line.size - len(line.leaves)
        if line.leaves and line.size > size:
            if begin > size:
                raise JournalError("entries of the log are missing in the journal: it is not whole")
            ledger.adopt(
                [
                    (data.encode("ascii"), None if o is None else (bytes.fromhex(o[0]), o[1].encode("ascii")))
                    for data, o in line.leaves[size - begin :]
                ]
            )
            size = line.size
    for line in lines:
        if line.size > size or ledger.root(line.size).hex() != line.root:
            raise JournalError("the journal and the backup tell of two different logs: one of them is not this shop's")
    for checkpoint in checkpoints:
        if ledger.root(checkpoint.size) != checkpoint.root:
            raise BackupError("a known checkpoint is not of this log: it was forked, or this is another shop's backup")
    return size - first


def _drop_sums(ledger: Ledger) -> int:
    """Forget sums of everybody that wait: they may be released already, and a second draw would tell more."""
    sums: list[int] = []
    after = 0
    while page := ledger.read_inbox(after):
        sums += [row.id for row in page if row.subject is None]
        after = page[-1].id
    return ledger.delete_inbox(sums)


def _end(ledger: Ledger, lines: Sequence[Line], entries: int, now_us: int) -> int:
    """End the consents that ended since the backup; return how many purposes that were."""
    subjects = {ledger.number_of(subject): subject for subject in ledger.subjects()}
    ended = 0
    for line in lines:
        since = [(number, words) for leaf, number, words in line.ended if leaf >= entries]
        if line.kind is Kind.ERASURE and line.size >= entries:
            since += [(number, tuple(Purpose)) for number in line.numbers]
        for number, words in since:
            if number in subjects:
                purposes = [Purpose(word) for word in words]
                done = ledger.withdraw_subject(
                    subjects[number], now_us=now_us, purposes=purposes, channel=Channel.SYSTEM
                )
                ended += len(done.purposes)
    return ended


def _strictest(state: State, ledger: Ledger, lines: Sequence[Line], entries: int) -> tuple[Level, dict[Purpose, int]]:
    """Return the lowest level and the shortest terms that any erasure since the backup followed."""
    level, days = state.level(ledger), state.store.terms.days()
    for line in lines:
        if line.kind is Kind.ERASURE and line.size >= entries:
            level = level if line.level is None else min(level, line.level, key=lambda each: each.rank)
            days = {p: min(d, (line.terms or {}).get(p.value, d)) for p, d in days.items()}
    return level, days


def _under(state: State, level: Level, days: dict[Purpose, int]) -> State:
    table = state.store.store.model_copy(update={"level": level})
    terms = state.store.terms.model_copy(update={purpose.value: d for purpose, d in days.items()})
    return replace(state, store=state.store.model_copy(update={"store": table, "terms": terms}))


# taking its place


def _swap(staging: Path, root: Path) -> None:
    """Put the folder in its place; what was there is gone before, and its mark goes last."""
    if root.exists():
        (root / RESTORING).write_text("openaisle restore has not finished\n", encoding="utf-8")
        sync(root)
        for path in sorted(root.iterdir()):
            if path.name == RESTORING:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        shutil.rmtree(root)
    staging.replace(root)
    sync(root.parent)
    (root / RESTORING).unlink()
    sync(root)
