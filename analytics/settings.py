"""`store.toml` changed by a page: checked as a whole, kept in versions, and logged. Comments and order stay.

Rules:
- A page changes cameras, what is drawn in their pictures, the ring around the pad and the kiosk's pad. Levels, terms,
  hosts, keys and approvers are edited by hand, or have a desk of their own.
- What does not fit is refused in one line, and nothing is written. Whoever comes second is told, and loses nothing.
- The order of a change: the former text is kept, the log says who sets out to write what, the file is replaced in one
  piece, the new text is kept with its note. A kill in between leaves one of the two files whole, and a log entry that
  says what somebody set out to do; what is in force is said by the keeper's entry `config_changed`, as ever.
- A kept text that is not what its digest says is damaged, and is offered to nobody.
- Who wrote a version stands in the log alone, under the account's number, and is forgotten there.

Versions are lines of `versions/store.jsonl` in the state directory. The edits themselves are in `analytics.edits`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from pydantic import ValidationError
from tomlkit.exceptions import TOMLKitError

from analytics import lines
from analytics.addressees import refuse_others
from analytics.config import ConfigError, StoreFile
from analytics.document import put
from analytics.edits import (
    Edit,
    camera_dropped,
    camera_put,
    kiosk_pad,
    line_dropped,
    line_put,
    mask_dropped,
    mask_put,
    pad_ring,
    zone_dropped,
    zone_put,
)
from analytics.state import STORE_TOML
from analytics.tables import LONGEST, explain, parsed
from consent.access import Access, Action, Who
from consent.events import EventKind

if TYPE_CHECKING:
    from consent.ledger import Ledger

__all__ = [
    "Edit",
    "Settings",
    "Version",
    "camera_dropped",
    "camera_put",
    "current",
    "edited",
    "kiosk_pad",
    "line_dropped",
    "line_put",
    "mask_dropped",
    "mask_put",
    "pad_ring",
    "restored",
    "text_of",
    "versions",
    "write",
    "zone_dropped",
    "zone_put",
]

FOLDER = "versions"
FILE = "store.jsonl"
MOST_VERSIONS = 100  # ours: years of a shop's changes
LONGEST_NOTE = 200
_ROOM = 6 << 20  # of all versions, bytes; below what `lines` reads
_PART = ".store.toml."
_OWN = frozenset({"camera", "pad"})  # tables that a page may change


@dataclass(frozen=True, slots=True)
class Settings:
    """One text of `store.toml`, read and checked.

    Attributes:
        text: as it stands, or is to stand, in the file.
        digest: SHA-256 of its bytes, hex; the log names it by that.
        store: what it says.
    """

    text: str
    digest: str
    store: StoreFile


@dataclass(frozen=True, slots=True)
class Version:
    """One text that stood in `store.toml`.

    Attributes:
        digest: SHA-256, hex.
        at_us: when it was written, UTC microseconds.
        by: number of the account that wrote it on a page; empty where a person edited the file, where no ledger was
            given, or where the log has forgotten it.
        note: what whoever wrote it said of it.
    """

    digest: str
    at_us: int
    by: str
    note: str


def current(root: Path) -> Settings:
    """Return `store.toml` as it stands.

    Args:
        root: the state directory.

    Raises:
        ConfigError: it cannot be read, or does not fit.
    """
    path = root / STORE_TOML
    try:
        whole = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    return _checked(whole, str(path))


def edited(settings: Settings, *edits: Edit) -> Settings:
    """Return settings with some edits, one after another; nothing is written.

    Args:
        settings: as they stand.
        edits: see `analytics.edits`.

    Raises:
        ConfigError: the result does not fit, or changes what a page may not change.
    """
    try:
        document = tomlkit.parse(settings.text)
        for edit in edits:
            edit(document)
        text = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise ConfigError(f"store.toml cannot be changed here: {error}; edit it by hand") from error
    new = _checked(text.encode(), "store.toml")
    _only_own(settings.store, new.store)
    return new


def write(root: Path, new: Settings, *, was: str, by: Who, access: Access, note: str = "") -> None:
    """Write new settings; `watch` takes them up within seconds, other processes when they are started anew.

    Args:
        root: the state directory.
        new: what `edited` or `restored` returned.
        was: digest of the settings that it was made from.
        by: who does it, as their account stands now.
        access: the door of the dashboard, which knows what they may do and writes the log.
        note: what changed and why, a line; it stands in the version and not in the log.

    Raises:
        DeniedError: they may not.
        ConfigError: somebody else changed the file meanwhile, the note does not fit, it cannot be written, or a
            password would go where it is not meant to (`analytics.addressees`).
        ConsentError: the log cannot be written; the file is as it was.
    """
    access.require(by, Action.SET_UP)
    note = note.strip()
    if len(note) > LONGEST_NOTE or (note and not note.isprintable()):
        raise ConfigError(f"a note says in up to {LONGEST_NOTE} letters, on one line, what changed")
    new = _checked(new.text.encode(), "store.toml")  # what is written is what was checked
    with _alone(root):
        now = current(root)
        if now.digest != was:
            raise ConfigError("somebody changed store.toml meanwhile; look at it again, and make your change anew")
        if new.digest == was:
            return
        _only_own(now.store, new.store)
        refuse_others(root, now.store, new.store)
        _keep(root, now, at_us=_written_us(root), note="")
        access.log.settings(by.account, was=was, now=new.digest)
        _replace(root, new, was=was)
        _keep(root, new, at_us=_now_us(), note=note)


def versions(root: Path, ledger: Ledger | None = None) -> tuple[Version, ...]:
    """Return what stood in `store.toml`, the newest first; the first is what stands there now.

    Args:
        root: the state directory.
        ledger: says who wrote each, as far as the log still knows.

    Raises:
        ConfigError: `store.toml` does not fit.
        AnalyticsError: the file of versions is damaged.
    """
    by, now, kept = _writer(ledger), current(root), lines.read(root / FOLDER / FILE)
    if not kept or kept[-1]["digest"] != now.digest:  # edited by hand since, or killed in the midst of a change
        was = kept[-1]["digest"] if kept else ""
        kept.append({"digest": now.digest, "was": was, "at_us": _written_us(root) + 1, "note": ""})
    return tuple(
        Version(one["digest"], one["at_us"], by(one["was"], one["digest"], one["at_us"]), one["note"])
        for one in reversed(kept)
    )


def text_of(root: Path, digest: str) -> str:
    """Return the text of a version, as it was written.

    Raises:
        ConfigError: there is none of that digest, or its text is another by now.
        AnalyticsError: the file of versions is damaged.
    """
    now = current(root)
    if digest == now.digest:
        return now.text
    kept = [str(line["text"]) for line in lines.read(root / FOLDER / FILE) if line["digest"] == digest]
    for text in reversed(kept):
        # an editor's mark at the head of the file is no part of the text
        if digest in (hashlib.sha256(text.encode(code, "replace")).hexdigest() for code in ("utf-8", "utf-8-sig")):
            return text
    if kept:
        raise ConfigError("this version is damaged: its text is not what was written then; choose another")
    raise ConfigError("this version is not kept any more; choose another")


def restored(root: Path, digest: str) -> Settings:
    """Return the settings as they stand now, with what a page may change as it stood in a version; write it to use it.

    Raises:
        ConfigError: there is no such version, or what it says does not fit the rest of the file any more.
        AnalyticsError: the file of versions is damaged.
    """
    former = tomlkit.parse(text_of(root, digest))

    def edit(document: tomlkit.TOMLDocument) -> None:
        for name in _OWN:
            put(document, name, former.get(name))
        pad = former.get("kiosk", {}).get("pad")
        if pad != document.get("kiosk", {}).get("pad"):
            kiosk_pad(pad)(document)

    return edited(current(root), edit)


# --- the file ---------------------------------------------------------------------------------------------------------


def _checked(whole: bytes, where: str) -> Settings:
    if len(whole) > LONGEST:
        raise ConfigError(f"{where} would be over {LONGEST} bytes; draw with fewer corners")
    told: dict[str, Any] = {}
    try:
        text = whole.decode("utf-8-sig")
        told = parsed(text)
        store = StoreFile.model_validate(told)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error, StoreFile, told)}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
    return Settings(text, hashlib.sha256(whole).hexdigest(), store)


def _only_own(was: StoreFile, now: StoreFile) -> None:
    """Refuse a change of what pages may not change."""
    for name in StoreFile.model_fields:
        before, after = getattr(was, name), getattr(now, name)
        if name == "kiosk":
            before, after = before.model_copy(update={"pad": None}), after.model_copy(update={"pad": None})
        if name not in _OWN and before != after:
            raise ConfigError(f"[{name}] is not changed on a page; edit store.toml by hand")


def _replace(root: Path, new: Settings, *, was: str) -> None:
    path = root / STORE_TOML
    for orphan in root.glob(f"{_PART}*"):  # of a writer that was killed; we are alone
        with suppress(OSError):
            orphan.unlink()
    try:
        before = path.stat()
        handle, name = tempfile.mkstemp(prefix=_PART, dir=root)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(new.text.encode())
                os.fchmod(file.fileno(), before.st_mode & 0o777)
                with suppress(PermissionError):  # whoever is not in that group cannot give it to it
                    os.fchown(file.fileno(), -1, before.st_gid)
                file.flush()
                os.fsync(file.fileno())
            if current(root).digest != was:
                raise ConfigError("somebody changed store.toml meanwhile; look at it again, and make your change anew")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}; the former settings hold") from error


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One writer at a time; the lock goes with the process."""
    folder = root / FOLDER
    try:
        folder.mkdir(mode=0o770, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be used: {error.strerror}; check its owner") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _keep(root: Path, settings: Settings, *, at_us: int, note: str) -> None:
    """Keep a text as the newest version, unless it is that already; the oldest go where there are too many."""
    path = root / FOLDER / FILE
    kept = lines.read(path)
    if kept and kept[-1]["digest"] == settings.digest:
        return
    was = str(kept[-1]["digest"]) if kept else ""
    line = {"digest": settings.digest, "was": was, "at_us": at_us, "note": note, "text": settings.text}
    room, stay = _ROOM - len(json.dumps(line)), 0
    for one in reversed(kept):
        room -= len(json.dumps(one))
        if room < 0 or stay >= MOST_VERSIONS - 1:
            break
        stay += 1
    if stay < len(kept):
        gone = {json.dumps(one) for one in kept[: len(kept) - stay]}
        lines.rewrite(path, lambda one: json.dumps(one) not in gone)
    lines.append(path, lambda _: line)


def _writer(ledger: Ledger | None) -> Callable[[str, str, int], str]:
    """Return what tells who wrote a text in place of another by an instant."""
    rows = (
        []
        if ledger is None
        else ledger.select("SELECT payload FROM records WHERE kind = ?", EventKind.SETTINGS_WRITTEN.value)
    )
    told = [json.loads(payload) for (payload,) in rows]

    def by(was: str, now: str, at_us: int) -> str:
        fit = [one for one in told if (one["was"], one["now"]) == (was, now) and one["at_us"] <= at_us]
        return str(max(fit, key=lambda one: int(one["at_us"]))["account"]) if fit else ""

    return by


def _written_us(root: Path) -> int:
    return (root / STORE_TOML).stat().st_mtime_ns // 1000


def _now_us() -> int:
    return time.time_ns() // 1000
