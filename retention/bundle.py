"""The audit bundle: everything by which somebody outside can judge a shop, as one signed archive.

    README.txt             what each file is, and how to check them
    manifest.json          what the bundle is, and size and SHA-256 of every other file
    signature              Ed25519 of the shop's key over the manifest, and the key's line
    keys.txt               lines of the log's and the certificates' keys
    log/…                  checkpoint, leaves.jsonl, openings.jsonl: `openaisle consent verify`
    witness.txt            what the witness cosigned, and its line, where there is one
    certificates/….json    of erasures: `openaisle retention verify-certificate`
    policy.json            the retention policy; its SHA-256 stands in the log
    record.md, assessment.md, notices/….txt
    settings.json          store.toml without addresses, accounts, and files of keys and secrets
    tallies.csv            what each camera did in each hour, as the log has it, with names as the settings have them

Rules:
- Nothing about a shopper is in it: no ledger, no visits, no figure, no payload of an entry about a person.
- Every byte counts: a file that was changed, removed, added, renamed or repeated does not verify, and nor does anything
  before, between or after the files of the archive.
- `verify` needs the bundle and a key from elsewhere. It checks the signature, then the log, the witness, each
  certificate, the policy, and that the hours of the cameras are those of the log.

It is made by whoever holds the certificate key (the keeper's user); the dashboard asks for it.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import logging
import os
import re
import secrets
import tomllib
import zipfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from analytics.desk import log_keys
from analytics.hourly import Hour, camera_of
from analytics.state import STORE_TOML, State
from consent import log
from consent.events import ConsentError, EventKind
from consent.kiosk.notice import NoticeError
from consent.ledger import Ledger, Request, RequestStatus
from consent.logs import plain
from retention import assessment, certificate, policy, record, signage, witnessed
from retention.model import RetentionError

_CONTEXT = b"openaisle audit bundle v1\x00"
_VERSION = 2  # of what is in it
_MANIFEST, _SIGNATURE = "manifest.json", "signature"
_LOG = ("checkpoint", "leaves.jsonl", "openings.jsonl")
_DATE = (1980, 1, 1, 0, 0, 0)
_SECRET = re.compile(
    r"source|hosts?|allowed_hosts|user|username|client_id|keys|journal|printer|issuer|webhooks?|broker|topic"
    r"|[a-z_]*(url|password|secret|token|certificate|key|authority|file|path|env)"
)
REQUEST = "bundle"  # kind of request
_log = logging.getLogger(__name__)
_MOST = 1 << 30  # bytes in all; ours


class BundleError(RetentionError):
    """A bundle cannot be made, or does not hold."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a bundle proved.

    Attributes:
        store: name of the log.
        made: when, RFC 3339, as its maker says.
        entries: in the log.
        files: in the bundle, manifest and signature among them.
        certificates: that hold.
        witness: entries that a witness saw, None without one.
        tallies: hours of cameras.
    """

    store: str
    made: str
    entries: int
    files: int
    certificates: int
    witness: int | None
    tallies: int


def make(state: State, ledger: Ledger, now_us: int) -> bytes:
    """Return the bundle of a shop.

    Args:
        state: the shop.
        ledger: opened with a role that holds the certificate key.
        now_us: UTC microseconds.

    Raises:
        ConsentError: nothing is signed yet, or this process does not hold the key.
        RetentionError: a certificate or the witness's checkpoint is damaged.
    """
    checkpoint, exported = log.contents(ledger)
    seen = witnessed.read(state.root, ledger)
    files = {f"log/{name}": data for name, data in exported.items()}
    files["README.txt"] = resources.files("retention").joinpath("letters/bundle.en.txt").read_bytes()
    files["keys.txt"] = "".join(f"{line}\n" for line in (*log_keys(ledger), *certificate.key_lines(ledger))).encode()
    if seen is not None and seen.checkpoint.size <= checkpoint.size:
        files["witness.txt"] = f"{seen.key}\n{seen.note}".encode()
    for path in sorted(state.certificates.glob("[0-9]*.json")):
        files[f"certificates/{path.name}"] = path.read_bytes()
    level = state.level(ledger)
    files["policy.json"] = policy.canonical()
    files["record.md"] = record.markdown(record.record(state.store, level, state.sha256)).encode()
    files["assessment.md"] = assessment.assessment(state.store, level, state.sha256).encode()
    with suppress(NoticeError):  # a shop that may not ask anybody yet has none
        files |= {f"notices/{one.language}.txt": one.text.encode() for one in signage.notices(state, ledger)}
    files["settings.json"] = without_secrets((state.root / STORE_TOML).read_text(encoding="utf-8-sig"))
    files["tallies.csv"] = _tallies(exported["leaves.jsonl"], exported["openings.jsonl"], files["settings.json"])
    manifest = {
        "what": "openaisle audit bundle",
        "v": _VERSION,
        "store": ledger.origin,
        "made": _utc(now_us),
        "entries": checkpoint.size,
        "root": checkpoint.root.hex(),
        "settings_sha256": state.sha256.hex(),
        "policy_sha256": policy.digest().hex(),
        "files": {name: [len(data), hashlib.sha256(data).hexdigest()] for name, data in sorted(files.items())},
    }
    told = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    key = ledger.keys.signing_key("certificate")
    line = log.verifier_key(certificate.key_name(ledger.origin), key.public_key().public_bytes_raw())
    value = base64.b64encode(key.sign(_CONTEXT + told)).decode("ascii")
    return _zip({_MANIFEST: told, _SIGNATURE: f"{line}\n{value}\n".encode(), **dict(sorted(files.items()))})


def write(path: Path, data: bytes) -> None:
    """Write a bundle into a new file.

    Raises:
        BundleError: something is there already.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    except FileExistsError as error:
        raise BundleError(f"{path} is there already; name a new file") from error


def answer(state: State, ledger: Ledger, request: Request, now_us: int) -> None:
    """Make the bundle that the dashboard asked for, and leave it in `exports`; the keeper can."""
    try:
        data = make(state, ledger, now_us)
    except (ConsentError, RetentionError) as error:
        _log.warning("the audit bundle could not be made: %s", plain(str(error)))
        ledger.settle_request(request.id, RequestStatus.FAILED, now_us=now_us)
        return
    state.exports.mkdir(mode=0o770, exist_ok=True)
    name = f"{secrets.token_hex(16)}.bundle"
    with os.fdopen(os.open(state.exports / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o660), "wb") as file:
        file.write(data)
    os.utime(state.exports / name, ns=(now_us * 1000, now_us * 1000))  # its term is counted on the shop's clock
    result = json.dumps({"file": name}).encode("ascii")
    ledger.settle_request(request.id, RequestStatus.DONE, now_us=now_us, result=result)


def fetch(state: State, ledger: Ledger, number: int) -> bytes | None:
    """Return the bundle that was asked for; None while the keeper is at it.

    Raises:
        BundleError: it could not be made, or is gone.
    """
    asked = ledger.read_request(number)
    if asked is not None and asked.status in (RequestStatus.PENDING, RequestStatus.RUNNING):
        return None
    if asked is None or asked.kind != REQUEST or asked.status is not RequestStatus.DONE or asked.result is None:
        raise BundleError("the keeper could not make the bundle; its log says why. Ask again once that is mended")
    try:
        return (state.exports / str(json.loads(asked.result)["file"])).read_bytes()
    except FileNotFoundError as error:
        raise BundleError(
            "this bundle is gone: it is kept for a day, and until anybody is erased; ask again"
        ) from error


def verify(data: bytes, keys: Collection[str]) -> Held:
    """Check a bundle offline.

    Args:
        data: the archive.
        keys: lines of the shop's certificate key and of its log, from somewhere else than the bundle.

    Raises:
        BundleError: any bit was changed, or a part does not fit the others.
        ConsentError: a proof in it does not hold.
    """
    try:
        return _checked(data, [line.strip() for line in keys])
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise BundleError("this is no audit bundle, or it is damaged") from error
    except (OSError, EOFError, NotImplementedError, RecursionError, RuntimeError) as error:
        raise BundleError("this is no audit bundle, or it is damaged") from error


def _checked(data: bytes, keys: list[str]) -> Held:
    files = _unzip(data)
    line, value, end = files[_SIGNATURE].decode("ascii").split("\n")
    if line not in keys or end:
        raise BundleError("this bundle is not signed by a key you gave: ask the shop for `openaisle retention keys`")
    manifest: dict[str, Any] = json.loads(files[_MANIFEST])
    name, public, _ = log.read_verifier_key(line)
    raw = base64.b64decode(value, validate=True)
    signed = log.is_signed(public, raw, _CONTEXT + files[_MANIFEST])
    if base64.b64encode(raw).decode("ascii") != value or not signed or name != certificate.key_name(manifest["store"]):
        raise BundleError("the signature of this bundle does not hold: it was changed")
    listed = {path: (size, sha) for path, (size, sha) in manifest["files"].items()}
    there = {path: (len(part), hashlib.sha256(part).hexdigest()) for path, part in files.items()}
    del there[_MANIFEST], there[_SIGNATURE]
    if there != listed:
        strange = sorted(set(there.items()) ^ set(listed.items()))[0][0]
        raise BundleError(f"{strange} is not in this bundle as its manifest says: it was changed")
    if _zip(files) != data:
        raise BundleError("this archive is not as a bundle is written: something was added between its files")
    return _fits(manifest, files, keys)


def _fits(manifest: Mapping[str, Any], files: Mapping[str, bytes], keys: list[str]) -> Held:
    """Hold the parts against each other."""
    origin = manifest["store"]
    logs = [one for one in keys if log.read_verifier_key(one)[0] == origin]
    if not logs:
        raise BundleError("give the line of the log's key, too: `openaisle retention keys` prints both")
    publics = [log.read_verifier_key(one)[1] for one in logs]
    witness, known = None, []
    if "witness.txt" in files:
        line, _, note = files["witness.txt"].decode().partition("\n")
        witness, known = log.read_verifier_key(line)[:2], [note]
    checkpoint, leaves, openings = (files[f"log/{name}"] for name in _LOG)
    verified = log.check(checkpoint, leaves, openings, publics, known=known, witness=witness)
    head = verified.checkpoint
    if (head.origin, head.size, head.root.hex()) != (origin, manifest["entries"], manifest["root"]):
        raise BundleError("the log in this bundle is not the one its manifest speaks of")
    if hashlib.sha256(files["policy.json"]).hexdigest() != manifest["policy_sha256"]:
        raise BundleError("the policy in this bundle is not the one its manifest speaks of")
    if manifest["v"] != _VERSION:
        raise BundleError(f"this bundle is of version {manifest['v']}: check it with the openaisle that made it")
    if files["tallies.csv"] != _tallies(leaves, openings, files["settings.json"]):
        raise BundleError("the hours of the cameras in this bundle are not those of the log")
    found = [name for name in files if name.startswith("certificates/")]
    for name in found:
        certificate.verify(files[name], keys, logs)
    seen = None if not known else log.Checkpoint.parse(log.split(known[0])[0]).size
    hours = files["tallies.csv"].count(b"\r\n") - 1
    return Held(origin, manifest["made"], head.size, len(files), len(found), seen, hours)


def without_secrets(text: str) -> bytes:
    """Return `store.toml` as JSON without what opens something or says where it lies: addresses, accounts, files."""
    return json.dumps(_bare(tomllib.loads(text)), indent=1, sort_keys=True, default=str).encode() + b"\n"


def _bare(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _bare(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_bare(inner, name) for inner in value]
    secret = _SECRET.fullmatch(name) or (isinstance(value, str) and "://" in value)
    return "(left out)" if secret else value


def _tallies(leaves: bytes, openings: bytes, settings: bytes) -> bytes:
    """Return the hours that the log tells, as CSV."""
    kinds = [json.loads(line)["kind"] for line in leaves.splitlines()]
    names = {camera_of(camera["name"]): camera["name"] for camera in json.loads(settings).get("camera", ())}
    text = io.StringIO(newline="")
    told = [name for name in Hour.__dataclass_fields__ if name not in ("camera", "from_us")]
    table = csv.DictWriter(text, ("entry", "from_utc", "camera", "camera_sha256", *told))
    table.writeheader()
    for line in openings.splitlines():
        one = json.loads(line)
        if kinds[one["index"]] == EventKind.TALLIED:
            hour = asdict(Hour.of(json.loads(one["payload"])))
            camera, from_us = hour.pop("camera"), hour.pop("from_us")
            where = {"camera": names.get(camera, ""), "camera_sha256": camera}
            table.writerow({"entry": one["index"], "from_utc": _utc(from_us), **where, **hour})
    return text.getvalue().encode()


def _utc(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")


def _zip(files: Mapping[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)
    return held.getvalue()


def _unzip(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        if len({part.filename for part in parts}) != len(parts) or sum(part.file_size for part in parts) > _MOST:
            raise BundleError("this archive names a file twice, or is too large for a bundle")
        return {part.filename: archive.read(part) for part in parts}
