"""The certificate of an erasure: one signed file that a shopper or an officer can check without us and offline.

    {
      "certificate": {
        "v": 1, "what": "erasure", "store": "openaisle/main-street", "software": "openaisle 0.1.0",
        "erased": {"at": "2026-11-21T10:00:08.120000Z", "subjects": 1, "rows": {"dwell": 14}},
        "ended": {"first": "…", "last": "…", "entries": [{"entry": 41, "leaf": "{…}", "inclusion": ["…"]}]},
        "held": [],
        "search": {"files": [{"path": "ledger.sqlite", "bytes": 200704, "sha256": "…"}], "forms": "…",
                   "patterns": {"pseudonyms": 1, "keys_and_payloads": 9}, "found": 0,
                   "control": {"patterns": 1, "found": 12}},
        "log": {"entry": 44, "leaf": "{…}", "payload": "{…}", "entry_key": "…", "inclusion": ["…"], "checkpoint": "…"}
      },
      "signature": {"key": "openaisle/main-street/erasure+…", "value": "…"}
    }

What hangs together: `erased` is the payload of the `Erased` entry, opened; the digest of that entry is the SHA-256 of
`search`; the entry stands in the log under the checkpoint; so do the entries that ended the consents; the store's
certificate key signed all of it (RFC 8785, Ed25519).

Rules:
- A certificate names no code, subject, key or pseudonym: numbers of log entries, counts, files and times.
- It is found by the number of the entry that ended a consent, which the shopper was told, or by that of the erasure.
- A file has one spelling. Whatever is not byte for byte what `write` wrote does not verify.
- Patterns are counted, never named.

What it cannot show: copies that somebody made outside the state directory before the erasure; see docs/retention.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import rfc8785

from consent import log, merkle
from consent.events import END_EVENTS, EventKind, Leaf, commit
from consent.ledger import Ledger
from retention.holds import Hold
from retention.model import RetentionError
from retention.scan import Searched

FORMS = "raw, both byte orders, hex, base64, decimal, groups of seven bits"
_CONTEXT = b"openaisle erasure certificate v1\x00"  # what is signed cannot be taken for anything else
_ENDS = frozenset(END_EVENTS.values())


class CertificateError(RetentionError):
    """A certificate does not hold, or is not there."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a certificate proved.

    Attributes:
        store: name of the log.
        entry: of the erasure.
        entries: that ended consents, each proven to stand in the log.
        erased_at: RFC 3339, as the log entry says.
        subjects: destroyed with their keys.
        rows: deleted, by class.
        files: how many were searched.
        patterns: how many were searched for.
        control: how often what is there rightly was found; None where nothing was left to look for.
        held: numbers of the holds under which something stays.
        log_signed: the checkpoint's own signature was checked, too.
    """

    store: str
    entry: int
    entries: tuple[int, ...]
    erased_at: str
    subjects: int
    rows: Mapping[str, int]
    files: int
    patterns: int
    control: int | None
    held: tuple[int, ...]
    log_signed: bool


def proof(searched: Searched, visits: str, *, pseudonyms: int, others: int, control: int) -> dict[str, Any]:
    """Return what a search that found nothing proves, as plain data.

    Args:
        searched: what was seen.
        visits: name of the file of visits; its new copy takes its place right after the search.
        pseudonyms: how many of them were searched for.
        others: how many keyed hashes, keys and payloads.
        control: how many patterns that are there rightly.
    """
    names = {f"{visits}.next": visits}
    files = [{"path": names.get(path, path), "bytes": size, "sha256": sha} for path, size, sha in searched.files]
    return {
        "files": files,
        "forms": FORMS,
        "patterns": {"pseudonyms": pseudonyms, "keys_and_payloads": others},
        "found": sum(searched.found.values()),
        "control": {"patterns": control, "found": searched.control},
    }


def digest(search: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of a proof, as it stands in the `Erased` entry."""
    return hashlib.sha256(rfc8785.dumps(dict(search))).digest()


def key_name(origin: str) -> str:
    """Return the name of a store's certificate key."""
    return f"{origin}/erasure"


def key_lines(ledger: Ledger) -> list[str]:
    """Return the lines that `verify` needs, the newest first."""
    return [log.verifier_key(key_name(ledger.origin), public) for public in ledger.keys.public_keys("certificate")]


# --- making -----------------------------------------------------------------------------------------------------------


def write(
    folder: Path,
    ledger: Ledger,
    leaf_index: int,
    *,
    search: Mapping[str, Any],
    rows: Mapping[str, int],
    ended: Sequence[tuple[int, int]],
    held: Collection[Hold],
) -> Path:
    """Write the certificate of an erasure that is logged and under a signed checkpoint, and return its path.

    Args:
        folder: of certificates; made when missing.
        ledger: opened by the keeper.
        leaf_index: of the `Erased` entry.
        search: the proof whose digest stands in the entry.
        rows: deleted, by class.
        ended: entry and instant (UTC microseconds) of each end of a consent that led to it.
        held: holds under which something stays.

    Raises:
        ConsentError: the checkpoint does not reach the entry yet, or this process does not hold the certificate key.
    """
    record, newest = ledger.record(leaf_index), ledger.newest_checkpoint()
    if record is None or newest is None or newest[1].size <= leaf_index:
        raise CertificateError(f"entry {leaf_index} is not under a signed checkpoint yet; try again")
    note, checkpoint = newest
    ((_, data),) = ledger.leaves(leaf_index, leaf_index + 1)
    instants = [at_us for _, at_us in ended]
    told: dict[str, Any] = {
        "v": 1,
        "what": "erasure",
        "store": ledger.origin,
        "software": f"openaisle {metadata.version('openaisle')}",
        "erased": {"at": _instant(record.at_us), "subjects": Leaf.decode(data).count, "rows": dict(rows)},
        "ended": {
            "first": _instant(min(instants)) if instants else None,
            "last": _instant(max(instants)) if instants else None,
            "entries": [_proven(ledger, entry, checkpoint.size) for entry in sorted({e for e, _ in ended})],
        },
        "held": [
            {"hold": h.entry, "classes": list(h.classes), "first": h.first.isoformat(), "last": h.last.isoformat()}
            for h in held
        ],
        "search": dict(search),
        "log": {
            **_proven(ledger, leaf_index, checkpoint.size),
            "payload": record.payload.decode("ascii"),
            "entry_key": record.entry_key.hex(),
            "checkpoint": note,
        },
    }
    key = ledger.keys.signing_key("certificate")
    line = log.verifier_key(key_name(ledger.origin), key.public_key().public_bytes_raw())
    signature = {"key": line, "value": _text(key.sign(_signed(told)))}
    folder.mkdir(exist_ok=True)
    folder.chmod(0o750)  # the pages hand it out; they share the keeper's group
    path = folder / f"{leaf_index:012d}.json"
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("wb") as file:
        beside.chmod(0o640)
        file.write(_spelled({"certificate": told, "signature": signature}))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync(folder)
    return path


def find(folder: Path, entry: int) -> Path:
    """Return the newest certificate of an erasure, by its own entry or by one that ended a consent.

    Raises:
        CertificateError: there is none.
    """
    own = folder / f"{entry:012d}.json"
    if own.is_file():
        return own
    for path in sorted(folder.glob("[0-9]*.json"), reverse=True):
        told = json.loads(path.read_bytes())["certificate"]
        if any(one["entry"] == entry for one in told["ended"]["entries"]):
            return path
    raise CertificateError(
        f"no certificate names log entry {entry}: nothing was held under it, or it is not erased yet (see `openaisle "
        "retention status`), or the certificate is past its term"
    )


# --- checking ---------------------------------------------------------------------------------------------------------


def verify(data: bytes, keys: Collection[str], log_keys: Collection[str] = ()) -> Checked:
    """Check a certificate offline.

    Args:
        data: the file.
        keys: lines of the store's certificate key, from somewhere else than the file.
        log_keys: lines of the log's key; with them the checkpoint's own signature is checked, too.

    Raises:
        CertificateError: any bit was changed, or a part does not fit the others.
        ConsentError: a key line is damaged, or a proof does not hold.
    """
    try:
        whole = json.loads(data)
        told, signature = whole["certificate"], whole["signature"]
        if _spelled(whole) != data or set(whole) != {"certificate", "signature"}:
            raise CertificateError("this file is not as a certificate is written: it was changed")
        known = [line.strip() for line in keys]
        if signature["key"] not in known:
            raise CertificateError("this certificate is not signed by the key you gave: ask the store for its line")
        name, public, _ = log.read_verifier_key(signature["key"])
        if set(signature) != {"key", "value"} or name != key_name(told["store"]):
            raise CertificateError("this certificate is of another store than its key")
        value = base64.b64decode(signature["value"], validate=True)
        if _text(value) != signature["value"] or not log.is_signed(public, value, _signed(told)):
            raise CertificateError("the signature does not hold: the certificate was changed")
        return _checked(told, log_keys)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CertificateError("this is no certificate of an erasure, or it is damaged") from error


def _checked(told: Mapping[str, Any], log_keys: Collection[str]) -> Checked:
    search, said = told["search"], told["log"]
    note = said["checkpoint"]
    publics = [log.read_verifier_key(line)[1] for line in log_keys]
    checkpoint = (
        log.open_note(note, publics, origin=told["store"]) if publics else log.Checkpoint.parse(log.split(note)[0])
    )
    if checkpoint.origin != told["store"]:
        raise CertificateError("the checkpoint in this certificate is of another store")
    leaf = _stands(said, checkpoint)
    payload = said["payload"].encode("ascii")
    opened = json.loads(payload)
    if leaf.kind is not EventKind.ERASED or commit(bytes.fromhex(said["entry_key"]), payload) != leaf.commitment:
        raise CertificateError("the log entry in this certificate does not say what the certificate says")
    rows = told["erased"]["rows"]
    same = (leaf.count, opened["rows"], _instant(opened["at_us"]), leaf.digest)
    if same != (told["erased"]["subjects"], sum(rows.values()), told["erased"]["at"], digest(search)):
        raise CertificateError("the counts, the time or the search are not those of the log entry")
    if search["found"] != 0 or (search["control"]["patterns"] and not search["control"]["found"]):
        raise CertificateError("this certificate does not show that the bytes are gone")
    for one in told["ended"]["entries"]:
        if _stands(one, checkpoint).kind not in _ENDS:
            raise CertificateError(f"entry {one['entry']} ended no consent")
    control = search["control"]
    return Checked(
        told["store"],
        said["entry"],
        tuple(one["entry"] for one in told["ended"]["entries"]),
        told["erased"]["at"],
        told["erased"]["subjects"],
        rows,
        len(search["files"]),
        sum(search["patterns"].values()),
        control["found"] if control["patterns"] else None,
        tuple(hold["hold"] for hold in told["held"]),
        bool(publics),
    )


def _stands(one: Mapping[str, Any], checkpoint: log.Checkpoint) -> Leaf:
    """Return the leaf of an entry that is proven to stand under the checkpoint."""
    data = one["leaf"].encode("ascii")
    path = [base64.b64decode(hashed, validate=True) for hashed in one["inclusion"]]
    try:
        merkle.verify_inclusion(one["entry"], checkpoint.size, merkle.leaf_hash(data), path, checkpoint.root)
    except merkle.ProofError as error:
        raise CertificateError(f"entry {one['entry']} does not stand in the log as this certificate says") from error
    return Leaf.decode(data)


# --- words ------------------------------------------------------------------------------------------------------------


def _proven(ledger: Ledger, entry: int, size: int) -> dict[str, Any]:
    ((_, data),) = ledger.leaves(entry, entry + 1)
    path = [_text(hashed) for hashed in ledger.inclusion_proof(entry, size)]
    return {"entry": entry, "leaf": data.decode("ascii"), "inclusion": path}


def _signed(told: Mapping[str, Any]) -> bytes:
    return _CONTEXT + rfc8785.dumps(dict(told))


def _spelled(whole: Mapping[str, Any]) -> bytes:
    return json.dumps(whole, indent=1, sort_keys=True).encode() + b"\n"


def _instant(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{at_us % 1_000_000:06d}Z"


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
