"""The proof on a receipt: what a shopper can show to anybody, and what anybody can check without us.

    eyJhbGciOiJFZERTQSIsImtpZCI6…  .  eyJjb2RlIjoi…  .  4nX0…        (header, payload, signature: RFC 7515, compact)

    {"alg":"EdDSA","kid":"5f0c9ad1","typ":"openaisle-receipt"}
    {"code":"…","iss":"openaisle/main-street","leaf":17,"log":[16,"…","…"],"record":"…","v":1}

`code` is the SHA-256 of the secret. The secret has 100 random bits, so nobody finds it from its hash by trying, and
showing the proof gives nothing away: no time, no purpose, no answer is in it. A slip after a "no" has no `code`.
`record` is the RFC 9162 hash of the log entry, which fixes the full record through its commitment. `log` is the newest
checkpoint when the receipt was made: size, root, and key id with signature of the log's own line.

Rules:
- One proof has one spelling. The header is compared byte by byte with what `issue` writes, the payload must be RFC 8785
  canonical, base64url must be canonical; so no algorithm but EdDSA is ever tried, and no header is ever interpreted.
- The key id names store and key: a proof of another store or another key is refused before its signature is looked at.
- A proof has at most `LONGEST` characters and makes one QR symbol.

Nothing here writes to the ledger, and nothing here keeps a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rfc8785
import segno

from consent import log, merkle
from consent.events import ConsentError, Purpose
from consent.subjects import read_secret

if TYPE_CHECKING:
    from consent.ledger import Grant, Ledger

LONGEST = 1000  # characters of a proof
_JWS = re.compile(r"[A-Za-z0-9_-]{1,200}\.[A-Za-z0-9_-]{1,900}\.[A-Za-z0-9_-]{86}", re.ASCII)


class ReceiptError(ConsentError):
    """A receipt is not what it should be."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is handed over after a yes, or as a slip after a no.

    Attributes:
        proof: compact JWS, to show to anybody.
        leaf_index: where the entry stands in the log.
        secret: the code that withdraws; None on a slip. Hand it over and forget it.
        until: end of the term of each purpose, UTC microseconds; empty on a slip.
        issued_us: UTC microseconds; printed, and not in the proof.
    """

    proof: str
    leaf_index: int
    secret: str | None = field(repr=False)
    until: Mapping[Purpose, int]
    issued_us: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What a verified proof says.

    Attributes:
        origin: name of the log.
        leaf_index: where the entry stands in it.
        record: RFC 9162 hash of the entry, 32 bytes.
        code: SHA-256 of the secret; None on a slip.
        note: the signed checkpoint it carries, None where nothing was signed yet.
        checkpoint: what that says.
    """

    origin: str
    leaf_index: int
    record: bytes
    code: bytes | None
    note: str | None
    checkpoint: log.Checkpoint | None

    def belongs_to(self, secret: str) -> bool:
        """Say whether this is the proof of a code, as typed."""
        return self.code is not None and hmac.compare_digest(self.code, _code(read_secret(secret)))

    def check_export(self, leaves: Sequence[bytes]) -> None:
        """Check that a log which was verified against `note` holds this entry where the proof says.

        Raises:
            LogError: it ends before, or says something else there.
        """
        if self.leaf_index >= len(leaves):
            raise log.LogError(
                f"this log ends before entry {self.leaf_index} of the receipt: it was cut short, or is older than it"
            )
        self.check_entry(leaves[self.leaf_index])

    def check_entry(self, data: bytes) -> None:
        """Check that the leaf data, from an export or from the full record, is what the proof was made for.

        Raises:
            LogError: it is another entry.
        """
        if merkle.leaf_hash(data) != self.record:
            raise log.LogError(f"entry {self.leaf_index} of this log is not the one of the receipt: it was rewritten")

    def check_newer(self, newer: log.Checkpoint, proof: Sequence[bytes]) -> None:
        """Check that a newer checkpoint, of another receipt or of the witness, only added to the one in this proof.

        Args:
            newer: a checkpoint whose signature was checked.
            proof: RFC 9162 consistency proof between the two sizes.

        Raises:
            ConsentError: the log was cut short, rolled back or forked, or there is nothing to compare.
        """
        if self.checkpoint is None:
            raise ReceiptError("this receipt carries no checkpoint; ask for a newer one")
        if newer.origin != self.origin:
            raise log.LogError(f"this checkpoint is of the log {newer.origin}, not of {self.origin}")
        merkle.verify_consistency(self.checkpoint.size, newer.size, self.checkpoint.root, newer.root, proof)


def key_name(origin: str) -> str:
    """Return the name under which the receipt key of a log is known."""
    return f"{origin}/receipt"


def issue(ledger: Ledger, said: Grant | int, *, now_us: int) -> Receipt:
    """Return the receipt of a yes or, by its leaf index, the slip of a refusal or an objection.

    Args:
        ledger: opened with `Role.KIOSK`.
        said: what `grant` or `renew` returned, or what `refuse` or `object` returned.
        now_us: UTC microseconds.

    Raises:
        ConsentError: there is no such entry, or this process does not hold the receipt key.
    """
    leaf_index = said if isinstance(said, int) else said.leaf_index
    found = list(ledger.leaves(leaf_index, leaf_index + 1))
    if not found:
        raise ReceiptError(f"the log has no entry {leaf_index}, so there is nothing to prove")
    payload: dict[str, Any] = {
        "v": 1,
        "iss": ledger.origin,
        "leaf": leaf_index,
        "record": _encode(merkle.leaf_hash(found[0][1])),
    }
    if not isinstance(said, int):
        payload["code"] = _encode(_code(said.secret))
    newest = ledger.newest_checkpoint()
    if newest is not None:
        payload["log"] = _shorten(newest[0])
    key = ledger.keys.signing_key("receipt")
    head = _header(ledger.origin, key.public_key().public_bytes_raw()) + "." + _encode(rfc8785.dumps(payload))
    proof = f"{head}.{_encode(key.sign(head.encode('ascii')))}"
    if len(proof) > LONGEST:
        raise ReceiptError(f"the proof has {len(proof)} characters, {LONGEST} are allowed; shorten the store's id")
    if isinstance(said, int):
        return Receipt(proof, leaf_index, None, {}, now_us)
    return Receipt(proof, leaf_index, said.secret, dict(said.until), now_us)


def verify(
    proof: str | bytes,
    receipt_keys: bytes | Sequence[bytes],
    log_keys: bytes | Sequence[bytes],
    *,
    origin: str | None = None,
    secret: str | None = None,
    leaf_index: int | None = None,
) -> Proof:
    """Check a proof offline.

    Args:
        proof: the text of the QR symbol.
        receipt_keys: the store's Ed25519 receipt key, 32 bytes, or all of them where it was rotated.
        log_keys: the log's, likewise.
        origin: the log it must be of, where the caller knows it.
        secret: the code it must belong to, as typed.
        leaf_index: the entry it must be of.

    Raises:
        ConsentError: it was not made by this store, or was changed.
    """
    try:
        text = proof.decode("ascii") if isinstance(proof, bytes) else proof
    except UnicodeDecodeError as error:
        raise ReceiptError("this is not the proof of a receipt: scan it again") from error
    if len(text) > LONGEST or not _JWS.fullmatch(text):
        raise ReceiptError("this is not the proof of a receipt: scan it again")
    head, body, signed = text.split(".")
    payload, signature = _decode(body), _decode(signed)
    found = _read(payload)
    known = (receipt_keys,) if isinstance(receipt_keys, bytes) else tuple(receipt_keys)
    by_header = {_header(found.origin, key): key for key in known}
    if head not in by_header:
        raise ReceiptError("this receipt is not signed with a receipt key of this store")
    if not log.is_signed(by_header[head], signature, f"{head}.{body}".encode("ascii")):
        raise ReceiptError("the signature of this receipt does not verify: it was changed")
    if origin is not None and found.origin != origin:
        raise ReceiptError(f"this receipt is of {found.origin}, not of {origin}")
    if leaf_index is not None and found.leaf_index != leaf_index:
        raise ReceiptError(f"this receipt is of entry {found.leaf_index}, not of {leaf_index}")
    if secret is not None and not found.belongs_to(secret):
        raise ReceiptError("this receipt does not belong to that code")
    if found.note is not None:
        log.open_note(found.note, log_keys, origin=found.origin)
    return found


def check_export(proof: Proof, directory: Path, log_keys: bytes | Sequence[bytes]) -> log.Verified:
    """Check an exported log, and that it contains the checkpoint and the entry of a verified proof.

    Raises:
        ConsentError: it does not: the export was changed, cut short or rolled back, or is older than the receipt.
    """
    verified = log.verify(directory, log_keys, known=() if proof.note is None else (proof.note,))
    if verified.checkpoint.origin != proof.origin:
        raise log.LogError(f"this log is {verified.checkpoint.origin}, the receipt is of {proof.origin}")
    proof.check_export((directory / "leaves.jsonl").read_bytes().split(b"\n")[:-1])
    return verified


def read_keys(lines: Iterable[str]) -> tuple[list[bytes], list[bytes], str]:
    """Return (receipt keys, log keys, the log's name) of the lines that `consent export` printed.

    Raises:
        LogError: a line is damaged, or they are of different logs.
    """
    receipt: list[bytes] = []
    plain: list[bytes] = []
    names = set()
    for line in lines:
        name, public, kind = log.read_verifier_key(line)
        if kind != log.ED25519:
            raise log.LogError(f"{name} is the key of a witness; give the lines of the log and its receipts here")
        origin = name.removesuffix("/receipt")
        (plain if name == origin else receipt).append(public)
        names.add(origin)
    if len(names) != 1:
        raise log.LogError("these keys are of different stores; give the lines of one")
    return receipt, plain, names.pop()


def key_lines(ledger: Ledger) -> list[str]:
    """Return the store's receipt keys as lines of text, the newest first."""
    return [log.verifier_key(key_name(ledger.origin), public) for public in ledger.keys.public_keys("receipt")]


def withdraw_url(public_url: str, secret: str) -> str:
    """Return the address in the small QR symbol; the code stands in the fragment, which no browser sends."""
    return f"{public_url.rstrip('/')}/w#{secret}"


def qr_symbol(text: str) -> segno.QRCode:
    """Return the QR symbol of a proof or an address: the least version that fits, corrected as far as that allows."""
    return segno.make(text, error="l" if len(text) > 100 else "m", micro=False, boost_error=True)


def qr_svg(text: str, *, title: str) -> str:
    """Return a QR symbol as inline SVG with a quiet zone of four modules; no style, no script, no size of its own.

    Args:
        text: what it says.
        title: what it is, for a screen reader; never what it says.
    """
    drawn = qr_symbol(text).svg_inline(
        border=4, dark="#000", light="#fff", title=title, svgclass=None, lineclass=None, omitsize=True
    )
    return drawn.replace("<svg ", '<svg role="img" shape-rendering="crispEdges" ', 1)


# --- the one spelling of a proof --------------------------------------------------------------------------------------


def _header(origin: str, public: bytes) -> str:
    kid = log.key_id(key_name(origin), public).hex()
    return _encode(rfc8785.dumps({"alg": "EdDSA", "kid": kid, "typ": "openaisle-receipt"}))


def _read(payload: bytes) -> Proof:
    """Return what a payload says, unverified; one that `issue` would have written otherwise is refused."""
    try:
        fields = json.loads(payload)
        canonical = isinstance(fields, dict) and rfc8785.dumps(fields) == payload
        if not canonical or not {"v", "iss", "leaf", "record"} <= fields.keys() <= _FIELDS or fields["v"] != 1:
            raise ReceiptError("this receipt is not of the form that openaisle writes")
        origin, leaf = fields["iss"], fields["leaf"]
        if type(origin) is not str or type(leaf) is not int or not 0 <= leaf < 2**53:
            raise ReceiptError("this receipt is not of the form that openaisle writes")
        code = _hash(fields["code"]) if "code" in fields else None
        note = _lengthen(origin, fields["log"]) if "log" in fields else None
        checkpoint = None if note is None else log.Checkpoint.parse(log.split(note)[0])
        return Proof(origin, leaf, _hash(fields["record"]), code, note, checkpoint)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, rfc8785.CanonicalizationError) as error:
        raise ReceiptError("this receipt is not of the form that openaisle writes") from error


_FIELDS = {"v", "iss", "leaf", "record", "code", "log"}


def _shorten(note: str) -> list[Any]:
    """Return size, root, and key id with signature of the log's own line: the rest of the note follows from `iss`."""
    text, signatures = log.split(note)
    checkpoint = log.Checkpoint.parse(text)
    (own,) = [s for s in signatures if s.name == checkpoint.origin][:1]
    return [checkpoint.size, _encode(checkpoint.root), _encode(own.key_id + own.value)]


def _lengthen(origin: str, short: list[Any]) -> str:
    size, root, signed = short
    if type(size) is not int:
        raise ReceiptError("this receipt is not of the form that openaisle writes")
    line = _decode(signed)
    if len(line) != 68:
        raise ReceiptError("the checkpoint in this receipt is damaged")
    checkpoint = log.Checkpoint(origin, size, _hash(root))
    return checkpoint.text() + "\n" + log.Signature(origin, line[:4], line[4:]).line()


def _code(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


def _hash(text: str) -> bytes:
    value = _decode(text)
    if len(value) != 32:
        raise ReceiptError("a hash in this receipt has not 32 bytes")
    return value


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    """Return the bytes of unpadded base64url in its one form; spare bits would let a changed receipt verify."""
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ReceiptError("this receipt is damaged: scan it again") from error
    if _encode(value) != text:
        raise ReceiptError("this receipt is damaged: scan it again")
    return value
