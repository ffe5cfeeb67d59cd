"""The keys of a store, and which process may hold which.

Rules:
- Key files are 0600 in a 0700 directory that is neither the state directory nor below it.
- A process opens only the private keys its role may hold. The kiosk can seal a subject's key and not open it.
- A subject's own random key is sealed to the store's key-encryption key: X25519, HKDF-SHA256, AES-256-GCM. A letter
  from the mailbox outside the shop is sealed to the mailbox key in the same way, under another label.
- The page that phones reach holds the pepper alone, and not even the public half of the sealing key: without that no
  consent can be written, whatever the page is made to do.
- Vouchers are signed by a key that only the page at the entrance holds; a store that was made before there were any
  has none until it is made.
- Keys are numbered by generation: the newest is in use, older ones still open and verify until they are retired.

Nothing here decides what is signed, and no key is ever written to the ledger except sealed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
import struct
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consent.events import ConsentError


def subject_of(pepper: bytes, secret: str) -> bytes:
    """Return the 32-byte subject under which the ledger keeps what the holder of the secret said."""
    return hmac.new(pepper, secret.encode("ascii"), hashlib.sha256).digest()


class Role(StrEnum):
    """Which process opens the keys."""

    KIOSK = "kiosk"
    PHONE = "phone"
    WATCH = "watch"
    KEEPER = "keeper"
    DASHBOARD = "dashboard"
    ADMIN = "admin"  # `init` and rotation; no long-running process


_NAMES = ("pepper", "sealing", "log", "receipt", "certificate", "mailbox", "voucher")
_SECRETS = ("pepper", "voucher")  # 32 random bytes, without a public half
_LATER = frozenset({"voucher"})  # a store made before has none, and opens without it
_X25519 = ("sealing", "mailbox")
_HOLDS: dict[Role, frozenset[str]] = {  # private halves; every role may read the public ones, see `_may_read`
    Role.KIOSK: frozenset({"pepper", "receipt", "voucher"}),
    Role.PHONE: frozenset({"pepper"}),
    Role.WATCH: frozenset({"sealing"}),
    Role.KEEPER: frozenset({"pepper", "sealing", "log", "certificate", "mailbox"}),
    Role.DASHBOARD: frozenset(),
    Role.ADMIN: frozenset(_NAMES),
}
_FILE = re.compile(r"([a-z]+)-(\d{4})\.(key|pub)")


class KeyRing:
    """The keys one process may hold, numbered by generation; the newest generation is in use, older ones still open.

    Attributes:
        directory: where the files lie.
        role: what was asked for.
    """

    __slots__ = ("_private", "_public", "directory", "role")

    def __init__(
        self,
        directory: Path,
        role: Role,
        private: Mapping[tuple[str, int], bytes],
        public: Mapping[tuple[str, int], bytes],
    ) -> None:
        self.directory, self.role = directory, role
        self._private, self._public = dict(private), dict(public)

    def __repr__(self) -> str:
        return f"KeyRing({str(self.directory)!r}, role={self.role.value!r})"

    @classmethod
    def create(cls, directory: Path, *, state: Path | None = None) -> KeyRing:
        """Make a key directory with one generation of every key, and open it as `Role.ADMIN`.

        Args:
            directory: must not exist, or be empty.
            state: the state directory, which must not hold it.

        Raises:
            ConsentError: the place is not fit for keys.
        """
        _apart(directory, state)
        if directory.exists() and any(directory.iterdir()):
            raise ConsentError(f"{directory} is not empty; name a new directory for the keys")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        for name in _NAMES:
            _make(directory, name, 1)
        return cls.open(directory, Role.ADMIN, state=state)

    @classmethod
    def open(cls, directory: Path, role: str = Role.KIOSK, *, state: Path | None = None) -> KeyRing:
        """Load the keys that the role may hold, and no other.

        Raises:
            ConsentError: files are missing, readable by others, or lie in the state directory.
        """
        role = Role(role)
        _apart(directory, state)
        if not directory.is_dir():
            raise ConsentError(f"no key directory at {directory}; make one with `openaisle init`")
        _private_only(directory)
        private: dict[tuple[str, int], bytes] = {}
        public: dict[tuple[str, int], bytes] = {}
        for path in sorted(directory.iterdir()):
            match = _FILE.fullmatch(path.name)
            if match is None or match[1] not in _NAMES:
                continue
            _private_only(path)
            if match[3] == "pub":
                if _may_read(role, match[1]):
                    public[match[1], int(match[2])] = _read(path)
            elif match[1] in _HOLDS[role]:
                private[match[1], int(match[2])] = _read(path)
        missing = sorted(n for n in _HOLDS[role] - _LATER if not any(name == n for name, _ in private))
        halves = (n for n in _NAMES if n not in _SECRETS and _may_read(role, n))
        missing += sorted(n for n in halves if not any(name == n for name, _ in public))
        if missing:
            raise ConsentError(f"{directory} lacks the keys {', '.join(missing)} that {role} needs; deal them again")
        return cls(directory, role, private, public)

    def deal(self, directory: Path, role: str) -> None:
        """Write into a new directory only the files a role may hold, for a process under its own Unix user.

        Raises:
            ConsentError: the directory is not empty, or this ring does not hold what the role needs.
        """
        needed = _HOLDS[Role(role)]
        if not needed <= _HOLDS[self.role]:
            raise ConsentError(
                f"the keys of {self.role} do not cover those of {role}; deal from the admin's key directory"
            )
        if directory.exists() and any(directory.iterdir()):
            raise ConsentError(f"{directory} is not empty; name a new directory for the keys of {role}")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        for (name, generation), value in self._private.items():
            if name in needed:
                _write(directory / f"{name}-{generation:04d}.key", value)
        for (name, generation), value in self._public.items():
            if _may_read(Role(role), name):
                _write(directory / f"{name}-{generation:04d}.pub", value)

    def rotate(self, name: str) -> KeyRing:
        """Add a generation of one key and return the ring that uses it; older generations still open and verify."""
        self._need_admin()
        _make(self.directory, name, self._newest(name) + 1)
        return KeyRing.open(self.directory, self.role)

    def retire(self, name: str, generation: int) -> KeyRing:
        """Destroy an old private key; what was sealed to it, backups included, cannot be opened again.

        Raises:
            ConsentError: it is the one in use.
        """
        self._need_admin()
        if generation >= self._newest(name):
            raise ConsentError(f"generation {generation} of {name} is in use; rotate it first")
        path = self.directory / f"{name}-{generation:04d}.key"
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            os.fsync(file.fileno())
        path.unlink()
        return KeyRing.open(self.directory, self.role)

    def subjects_of(self, secret: str) -> tuple[bytes, ...]:
        """Return the subject of a secret under every pepper, the one in use first."""
        generations = sorted((g for name, g in self._private if name == "pepper"), reverse=True)
        if not generations:
            raise ConsentError(f"{self.role} cannot look up a code: it holds no pepper; ask the keeper")
        return tuple(subject_of(self._private["pepper", g], secret) for g in generations)

    def seal(self, subject: bytes, key: bytes) -> bytes:
        """Seal a subject's key to the store: 1 byte version, 4 generation, 32 ephemeral public key, 48 ciphertext.

        Raises:
            ConsentError: this role may not.
        """
        generation = self._newest("sealing")
        store = self._public.get(("sealing", generation))
        if store is None:
            raise ConsentError(f"{self.role} cannot write a consent down: it holds no sealing key; go to the kiosk")
        return seal_to(store, generation, key, SUBJECT_KEY, subject)

    def unseal(self, subject: bytes, sealed: bytes) -> bytes:
        """Open a subject's key.

        Raises:
            ConsentError: this role cannot, the generation is retired, or the bytes were changed.
        """
        if len(sealed) != 85 or sealed[0] != 1:
            raise ConsentError("this sealed key is damaged: restore the ledger from a backup")
        try:
            return self._open_sealed("sealing", sealed, SUBJECT_KEY, subject)
        except (InvalidTag, ValueError) as error:
            raise ConsentError(
                "this sealed key does not open: wrong key directory, or the ledger was changed"
            ) from error

    def open_letter(self, sealed: bytes) -> bytes:
        """Open a letter from the mailbox outside the shop; the keeper can.

        Raises:
            ConsentError: this role cannot, the generation is retired, or nobody with our public key sealed it.
        """
        if len(sealed) < 53 or sealed[0] != 1:
            raise ConsentError("this is no letter from a mailbox")
        try:
            return self._open_sealed("mailbox", sealed, LETTER, b"")
        except (InvalidTag, ValueError) as error:
            raise ConsentError(
                "this letter from the mailbox does not open; it was not sealed for this store"
            ) from error

    def _open_sealed(self, name: str, sealed: bytes, label: bytes, bound: bytes) -> bytes:
        (generation,) = struct.unpack(">I", sealed[1:5])
        private = self._private.get((name, generation))
        if private is None:
            raise ConsentError(f"{self.role} does not hold generation {generation} of the {name} key")
        secret = X25519PrivateKey.from_private_bytes(private)
        store = secret.public_key().public_bytes_raw()
        shared = secret.exchange(X25519PublicKey.from_public_bytes(sealed[5:37]))
        key = _derive(shared, sealed[5:37], store, label)
        return AESGCM(key).decrypt(bytes(12), sealed[37:], sealed[:5] + bound)

    def mailbox_tokens(self) -> tuple[bytes, ...]:
        """Return what opens the mailbox's door for the keeper, the newest first: derived, so that nobody keeps it."""
        held = sorted((g for name, g in self._private if name == "mailbox"), reverse=True)
        return tuple(HKDF(SHA256(), 32, salt=None, info=_DOOR).derive(self._private["mailbox", g]) for g in held)

    def newest(self, name: str) -> tuple[int, bytes]:
        """Return the generation in use of a key, and its public half."""
        generation = self._newest(name)
        return generation, self._public[name, generation]

    def generation_of(self, sealed: bytes) -> int:
        """Return the generation of the sealing key that a sealed key needs."""
        return int(struct.unpack(">I", sealed[1:5])[0])

    def signing_key(self, name: str) -> Ed25519PrivateKey:
        """Return the newest private key of `log`, `receipt` or `certificate`.

        Raises:
            ConsentError: this role does not hold it.
        """
        private = self._private.get((name, self._newest(name)))
        if private is None:
            raise ConsentError(f"{self.role} does not hold the {name} key; only the process that signs with it may")
        return Ed25519PrivateKey.from_private_bytes(private)

    def voucher_key(self, generation: int | None = None) -> tuple[int, bytes]:
        """Return the generation and the 32 bytes of the key that signs vouchers, the one in use by default.

        Raises:
            ConsentError: this role may not hold it, it was never made, or that generation is retired.
        """
        wanted = self._newest("voucher") if generation is None else generation
        key = self._private.get(("voucher", wanted))
        if key is None:
            raise ConsentError(
                f"{self.role} holds no key for vouchers; make one with `openaisle keys voucher`, deal it to the kiosk"
            )
        return wanted, key

    def generations(self, name: str) -> list[int]:
        """Return the generations of a key whose private half this ring has, oldest first."""
        return sorted(generation for held, generation in self._private if held == name)

    def holds(self, name: str) -> bool:
        """Say whether this ring has the private half in use."""
        return (name, self._newest(name)) in self._private

    def public_keys(self, name: str) -> tuple[bytes, ...]:
        """Return the public keys of a name, 32 bytes each, the newest first."""
        return tuple(self._public[key] for key in sorted(self._public, reverse=True) if key[0] == name)

    def _newest(self, name: str) -> int:
        return max((g for n, g in (*self._public, *self._private) if n == name), default=0)

    def _need_admin(self) -> None:
        if self.role is not Role.ADMIN:
            raise ConsentError("keys are rotated by the administrator: open the key directory with the role admin")


SUBJECT_KEY = b"openaisle subject key v1"  # labels, so that what was sealed for one use opens for no other
LETTER = b"openaisle mailbox letter v1"
_DOOR = b"openaisle mailbox door v1"


def seal_to(store: bytes, generation: int, message: bytes, label: bytes, bound: bytes = b"") -> bytes:
    """Seal a message to a public key, so that only its holder opens it: see `KeyRing.seal` for the form.

    Args:
        store: X25519 public key, 32 bytes.
        generation: its number.
        message: what is sealed.
        label: what it is for.
        bound: what the message must be opened with, such as the subject it belongs to.
    """
    ephemeral = X25519PrivateKey.generate()
    public = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(store))
    head = struct.pack(">BI", 1, generation)
    # the derived key serves one message only, so the nonce may be constant
    return head + public + AESGCM(_derive(shared, public, store, label)).encrypt(bytes(12), message, head + bound)


def _derive(shared: bytes, ephemeral: bytes, store: bytes, label: bytes) -> bytes:
    """Return the AES-256 key of one sealing; the public keys are bound in as the salt."""
    return HKDF(SHA256(), 32, salt=ephemeral + store, info=label).derive(shared)


def _may_read(role: Role, name: str) -> bool:
    """Say whether a role may read the public half of a key: all may read all, but see the rules for the phone page."""
    return role is not Role.PHONE or name == "log"


def _make(directory: Path, name: str, generation: int) -> None:
    stem = f"{name}-{generation:04d}"
    if name in _SECRETS:
        _write(directory / f"{stem}.key", secrets.token_bytes(32))
        return
    key = X25519PrivateKey.generate() if name in _X25519 else Ed25519PrivateKey.generate()
    _write(directory / f"{stem}.key", key.private_bytes_raw())
    _write(directory / f"{stem}.pub", key.public_key().public_bytes_raw())


def _write(path: Path, value: bytes) -> None:
    path.touch(mode=0o600, exist_ok=False)
    with path.open("r+b") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    value = path.read_bytes()
    if len(value) != 32:
        raise ConsentError(f"{path.name} is damaged: a key has 32 bytes; restore it from its own backup")
    return value


def _private_only(path: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        mode = "700" if path.is_dir() else "600"
        raise ConsentError(f"others can read {path}; run `chmod {mode} {path}`, and think about rotating the keys")


def _apart(directory: Path, state: Path | None) -> None:
    if state is not None and directory.resolve().is_relative_to(state.resolve()):
        raise ConsentError(
            f"keys must not lie in the state directory {state}: a stolen copy or a backup would hold both"
        )
