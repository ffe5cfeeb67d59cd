"""The state directory of one shop: where each file lies, what `store.toml` says, and which ledger belongs to it.

The keys lie elsewhere: beside the directory, or where `store.toml` or the caller says. Nothing here is made or
changed; `analytics.start` makes a new shop.

A ledger that does not hold the newest checkpoint the keeper signed is an older copy, put back by hand: people who said
no since would be measured again. No process opens it; `openaisle restore` brings it up to date. The checkpoint lies
beside the journal; where no keeper ever ran there is none, and nothing to hold the ledger against.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from analytics.config import ConfigError, StoreFile, read_store
from consent import log
from consent.events import Level
from consent.keys import KeyRing, Role
from consent.ledger import Ledger

STORE_TOML = "store.toml"
KEEPER_JSON = "keeper.json"  # what the keeper noted at its last pass
RESTORING = "restoring"  # a file that stands in a state directory until `openaisle restore` has finished
HEAD = "head"  # a file beside the journal: the newest checkpoint that the keeper signed


def keys_beside(root: Path) -> Path:
    """Return where the keys of a state directory lie unless somebody says otherwise: next to it, never in it."""
    root = root.resolve()
    return root.parent / f"{root.name}-keys"


def journal_beside(root: Path) -> Path:
    """Return where the erasure journal lies unless somebody says otherwise: next to the state directory."""
    root = root.resolve()
    return root.parent / f"{root.name}-journal"


@dataclass(frozen=True, slots=True)
class State:
    """One shop, as its files stand now.

    Attributes:
        root: the state directory.
        store: what `store.toml` said when it was read.
        sha256: of the bytes that were read; it goes into the log.
        keys: the key directory.
    """

    root: Path
    store: StoreFile
    sha256: bytes
    keys: Path

    @classmethod
    def read(cls, root: Path, keys: Path | None = None, *, unfinished: bool = False) -> State:
        """Read the state directory of a shop.

        Args:
            root: the state directory.
            keys: the key directory of this process, where it is not the one store.toml names.
            unfinished: read it though it is not wholly restored, as only the restore itself may.

        Raises:
            ConfigError: there is none, it is not wholly restored, or `store.toml` does not fit.
        """
        path = root / STORE_TOML
        if (root / RESTORING).exists() and not unfinished:
            raise ConfigError(f"{root} is not wholly restored; run the same `openaisle restore` again")
        if not path.is_file():
            raise ConfigError(
                f"{root} is no state directory: it has no {STORE_TOML}; name the shop's by --state or OPENAISLE_STATE,"
                " or make one with `openaisle init DIR`"
            )
        sha256 = digest(root)
        store = read_store(path)
        named = store.store.keys
        return cls(root, store, sha256, keys or (keys_beside(root) if named is None else root / named))

    def reread(self) -> State:
        """Return the shop as its `store.toml` stands now; itself where nothing changed.

        Raises:
            ConfigError: `store.toml` does not fit any more.
        """
        return self if digest(self.root) == self.sha256 else State.read(self.root, self.keys)

    @property
    def ledger(self) -> Path:
        """The promises."""
        return self.root / "ledger.sqlite"

    @property
    def visits(self) -> Path:
        """The rows of consenting shoppers; the keeper alone opens it."""
        return self.root / "visits.duckdb"

    @property
    def released(self) -> Path:
        """The figures, all that the dashboard reads about shoppers."""
        return self.root / "released"

    @property
    def journal(self) -> Path:
        """What was erased and withdrawn, for a restore; it lies outside, best on another disk."""
        named = self.store.store.journal
        return journal_beside(self.root) if named is None else self.root / named

    @property
    def live(self) -> Path:
        """The socket on which `watch` tells what is seen this moment; there while it runs."""
        return self.root / "live.sock"

    @property
    def certificates(self) -> Path:
        """What was erased, signed: one file an erasure."""
        return self.root / "certificates"

    @property
    def exports(self) -> Path:
        """Sealed answers to access requests."""
        return self.root / "exports"

    def open_ledger(self, role: Role) -> Ledger:
        """Open the ledger with the keys that a process of this role may hold.

        Raises:
            ConsentError: the keys are not there or not for this role, or the ledger belongs to another store.
            ConfigError: there is no ledger, the keys are those of another, or it is older than what its keeper signed.
        """
        if not self.ledger.is_file():
            raise ConfigError(f"{self.root} has no ledger.sqlite; restore it from a backup, or `openaisle init` anew")
        ledger = Ledger(self.ledger, KeyRing.open(self.keys, role, state=self.root), store=self.store.store.id)
        newest = ledger.newest_checkpoint()
        try:
            if newest is not None:
                log.open_note(newest[0], ledger.keys.public_keys("log"))
        except log.LogError as error:
            ledger.close()
            raise ConfigError(
                f"the keys in {self.keys} are not those of {self.ledger}; name the right directory with --keys"
            ) from error
        try:
            self.check_head(ledger)
        except ConfigError:
            ledger.close()
            raise
        return ledger

    def head(self) -> str | None:
        """Return the newest checkpoint that the keeper signed, None where none is known here.

        Raises:
            ConfigError: it is there and cannot be read.
        """
        path = self.journal / HEAD
        try:
            return path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise ConfigError(
                f"{path} cannot be read, so nobody knows whether the ledger is the newest: run the keeper once, and "
                f"let this user pass through {path.parent.parent}"
            ) from error
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"{path} cannot be read; remove it, and run `openaisle keeper --once`") from error

    def check_head(self, ledger: Ledger) -> None:
        """Find that a ledger holds everything its keeper signed.

        Raises:
            ConfigError: it is an older copy, or another's.
        """
        note = self.head()
        if note is None:
            return
        try:
            known = log.open_note(note, ledger.keys.public_keys("log"), origin=ledger.origin)
        except log.LogError as error:
            raise ConfigError(
                f"{self.journal / HEAD} is not of this shop ({error}); put its own journal back, or name it in "
                "store.toml"
            ) from error
        if known.size > ledger.size or ledger.root(known.size) != known.root:
            raise ConfigError(
                f"{self.ledger} was put back by hand: its keeper signed {known.size} log entries, and they are not in "
                f"its {ledger.size}; put a backup back with `openaisle restore`, so that nothing erased returns"
            )

    def level(self, ledger: Ledger) -> Level:
        """Return the privacy level in force: what `store.toml` asks for, and no more than was approved."""
        return min(self.store.store.level, ledger.approved_level(), key=lambda level: level.rank)


def digest(root: Path) -> bytes:
    """Return the SHA-256 of `store.toml` as it stands on the disk.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return hashlib.sha256((root / STORE_TOML).read_bytes()).digest()
    except OSError as error:
        raise ConfigError(f"{root / STORE_TOML} cannot be read: {error.strerror}") from error
