"""Which models lie here, whether they are what they should be, and how a larger one comes.

Rules:
- A model that ships is held to the SHA-256 on its card, one that was fetched to the first one seen, or to the one that
  the catalogue names. What does not match is not used and not replaced.
- Fetching is a command of its own. No running process of a shop fetches anything.
- Only https, only from the hosts that the catalogue names for that model, redirects too; no proxy, no stored password.
- Nothing is kept of a download that broke off, grew too large or is another file than before.

No model is opened or run here, and ``--model PATH`` takes any path without asking this module.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urljoin, urlsplit

from pydantic import Field, field_validator

from analytics.model import AnalyticsError
from analytics.tables import Strict, read_toml

CATALOGUE = Path(__file__).parent / "models.toml"
WEIGHTS = Path(__file__).parent / "weights"
SEEN = "seen.json"  # in the folder of fetched models: what each was at first

_SUFFIXES = (".onnx", ".xml", ".bin", ".pt", ".tflite")
_TIMEOUT_S = (10.0, 30.0)  # to connect, and between two bytes
_REDIRECTS = 5
_CHUNK = 1 << 16


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class ModelsError(AnalyticsError):
    """A model that cannot be fetched or is not what it should be, with what to do about it."""


class ShippedTable(Strict):
    """``[shipped.NAME]``: what is known of a model that comes with the project."""

    licence: str
    origin: str


class FetchTable(Strict):
    """``[fetch.NAME]``: where a larger model comes from."""

    url: str
    hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    most_bytes: int = Field(gt=0, strict=True)
    licence: str
    origin: str
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @field_validator("url")
    @classmethod
    def _https(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or not Path(parts.path).suffix or parts.username:
            raise ValueError("give the https address of one file")
        return url


class Catalogue(Strict):
    """`models.toml`."""

    shipped: dict[str, ShippedTable] = Field(default_factory=dict)
    fetch: dict[Name, FetchTable] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """One model that lies here, or could be fetched.

    Attributes:
        name: of the model.
        path: the file, or the folder of its files; None where it is not here.
        origin: whence it comes.
        licence: of the weights.
        bytes: size of its files.
        sha256: of each file, computed now, by name.
        card: its card, where it has one.
        sound: it is what it should be; None where it is not here.
    """

    name: str
    path: Path | None
    origin: str
    licence: str
    bytes: int
    sha256: dict[str, str]
    card: Path | None
    sound: bool | None

    def as_dict(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints."""
        return {
            "name": self.name,
            "path": None if self.path is None else str(self.path),
            "origin": self.origin,
            "licence": self.licence,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "card": None if self.card is None else str(self.card),
            "sound": self.sound,
        }

    def __str__(self) -> str:
        """Return a few lines for people."""
        if self.path is None:
            return f"{self.name}: not here; openaisle models fetch {self.name}\n  {self.origin}; {self.licence}"
        verdict = "as it should be" if self.sound else "NOT what it should be: restore it"
        lines = [f"{self.name}: {self.bytes:,} bytes, {verdict}", f"  {self.path}", f"  {self.origin}; {self.licence}"]
        lines += [f"  sha256 {digest}  {name}" for name, digest in self.sha256.items()]
        lines += [f"  card {self.card}"] if self.card else []
        return "\n".join(lines)


def folder() -> Path:
    """Return where fetched models lie: $OPENAISLE_MODELS, else the user's own data folder."""
    named = os.environ.get("OPENAISLE_MODELS")
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(named) if named else Path(data) / "openaisle" / "models"


def read_catalogue(path: Path = CATALOGUE) -> Catalogue:
    """Read a catalogue.

    Raises:
        ConfigError: it does not fit.
    """
    return read_toml(path, Catalogue)


def models(catalogue: Catalogue, where: Path, weights: Path = WEIGHTS) -> list[Model]:
    """Return what ships, what was fetched, and what could be, with every hash computed now.

    Args:
        catalogue: see `read_catalogue`.
        where: the folder of fetched models.
        weights: the folder of those that ship.
    """
    return [*_shipped(catalogue, weights), *(_fetched(name, table, where) for name, table in catalogue.fetch.items())]


def fetch(
    name: str,
    catalogue: Catalogue,
    where: Path,
    *,
    ca: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> Model:
    """Get a larger model, unless it is here already.

    Args:
        name: in the catalogue.
        catalogue: see `read_catalogue`.
        where: folder to put it into; made when missing.
        ca: certificates to trust instead of the usual ones.
        progress: called with the bytes of each part that came.

    Raises:
        ModelsError: no such model, no way to it, or not what it should be; the folder is as it was.
    """
    table = catalogue.fetch.get(name)
    if table is None:
        raise ModelsError(f"no model is called {name!r}; there are {', '.join(catalogue.fetch) or 'none'}")
    known = _fetched(name, table, where)
    if known.sound:
        return known
    path = _place(name, table, where)
    if known.sound is False:
        raise ModelsError(f"{path} is not what was fetched first; move it away, and look who changed it")
    try:
        where.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=f".{name}.", dir=where)
    except OSError as error:
        raise ModelsError(
            f"{where} cannot be written: {error.strerror}; name another with $OPENAISLE_MODELS"
        ) from error
    try:
        with os.fdopen(handle, "wb") as out:
            digest = _download(name, table, out.write, ca, progress)
            out.flush()
            os.fsync(out.fileno())
        wanted = table.sha256 or _first_seen(where).get(name)
        if wanted is not None and digest != wanted:
            raise ModelsError(
                f"{name} came with SHA-256 {digest}, not {wanted}; it was not kept: ask whoever serves it why"
            )
        _note(where, name, digest)
        Path(beside).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(beside).unlink()
    return _fetched(name, table, where)


# --- what lies here ---------------------------------------------------------------------------------------------------


def _shipped(catalogue: Catalogue, weights: Path) -> Iterator[Model]:
    cards = {card: card.read_text(encoding="utf-8") for card in sorted(weights.glob("*.md"))}
    files: dict[str, list[Path]] = {}
    for path in sorted(p for p in weights.rglob("*") if p.suffix in _SUFFIXES):
        files.setdefault(path.stem if path.parent == weights else path.parent.name, []).append(path)
    for name, parts in files.items():
        digests = {part.name: _sha256(part) for part in parts}
        card = next((card for card, text in cards.items() if all(part.name in text for part in parts)), None)
        promised = set() if card is None else set(re.findall(r"\b[0-9a-f]{64}\b", cards[card]))
        known = catalogue.shipped.get(name)
        yield Model(
            name,
            parts[0] if parts[0].parent == weights else parts[0].parent,
            known.origin if known else "ships with this project; its card says more",
            known.licence if known else "see its card",
            sum(part.stat().st_size for part in parts),
            digests,
            card,
            set(digests.values()) <= promised,
        )


def _fetched(name: str, table: FetchTable, where: Path) -> Model:
    path = _place(name, table, where)
    if not path.is_file():
        return Model(name, None, table.origin, table.licence, 0, {}, None, None)
    digest = _sha256(path)
    wanted = table.sha256 or _first_seen(where).get(name)
    return Model(
        name,
        path,
        f"{table.origin}; {table.url}",
        table.licence,
        path.stat().st_size,
        {path.name: digest},
        None,
        digest == wanted,
    )


def _place(name: str, table: FetchTable, where: Path) -> Path:
    return where / f"{name}{Path(urlsplit(table.url).path).suffix}"


def _first_seen(where: Path) -> dict[str, str]:
    path = where / SEEN
    try:
        seen = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise ModelsError(f"{path} cannot be read; restore it, or move it and the models beside it away") from error
    if not isinstance(seen, dict) or not all(isinstance(v, str) for v in seen.values()):
        raise ModelsError(f"{path} is not as it was written; restore it, or move it and the models beside it away")
    return seen


def _note(where: Path, name: str, digest: str) -> None:
    beside = where / f".{SEEN}.tmp"
    beside.write_text(json.dumps({**_first_seen(where), name: digest}, indent=1, sort_keys=True) + "\n")
    beside.replace(where / SEEN)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- the way to it ----------------------------------------------------------------------------------------------------


def _download(
    name: str,
    table: FetchTable,
    write: Callable[[bytes], object],
    ca: Path | None,
    progress: Callable[[int], object] | None,
) -> str:
    """Write the file and return its SHA-256."""
    import requests

    digest, size, url = hashlib.sha256(), 0, table.url
    host = urlsplit(url).hostname
    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxy, no password, no certificates from the environment
            for _ in range(_REDIRECTS + 1):
                host = urlsplit(url).hostname
                if urlsplit(url).scheme != "https" or host not in table.hosts:
                    raise ModelsError(
                        f"{name} was sent on to {host or url}, which the catalogue does not name; not fetched"
                    )
                with session.get(
                    url, stream=True, timeout=_TIMEOUT_S, allow_redirects=False, verify=True if ca is None else str(ca)
                ) as answer:
                    if answer.is_redirect:
                        url = urljoin(url, answer.headers["location"])
                        continue
                    if answer.status_code != 200:
                        raise ModelsError(
                            f"{host} answers {answer.status_code} to {name}; try later, or copy the file here"
                        )
                    promised = answer.headers.get("content-length", "")
                    for chunk in answer.iter_content(_CHUNK):
                        size += len(chunk)
                        if size > table.most_bytes:
                            raise ModelsError(f"{name} is larger than {table.most_bytes:,} bytes; not fetched")
                        digest.update(chunk)
                        write(chunk)
                        if progress is not None:
                            progress(len(chunk))
                    if not size or (promised.isdecimal() and size != int(promised)):
                        raise ModelsError(f"{host} broke off after {size:,} bytes of {name}; try again")
                    return digest.hexdigest()
            raise ModelsError(f"{name} was sent on more than {_REDIRECTS} times; not fetched")
    except requests.exceptions.SSLError as error:
        raise ModelsError(f"{host} could not prove who it is; {name} was not fetched") from error
    except requests.exceptions.RequestException as error:
        raise ModelsError(
            f"{host} cannot be reached; without a network copy the file here yourself and name it with --model"
        ) from error
