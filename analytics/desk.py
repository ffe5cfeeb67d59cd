"""What the person at the counter can do for a shopper from the command line: say yes, end, show, and hand out the log.

Rules:
- The store's terms, level and controller come from the state directory; nothing is typed twice.
- A code is handed over once and shown nowhere else; what is shown by a code names states and dates only.
- With a pad, the yes also asks the camera to link whoever stands on it; without one it links nobody.
- The page at the entrance gets the same settings from `shop`, and asks for the level at every question.

The rules of consent are the ledger's. The pages themselves are not here.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analytics.config import ConfigError
from analytics.state import State
from analytics.tables import refuse_pipe
from consent import log, receipts
from consent.events import Channel, Level, Purpose
from consent.kiosk.settings import Shop
from consent.ledger import Grant, Ledger, PadKind, Withdrawal
from consent.log import Checkpoint, Verified
from consent.proof import Proven
from consent.proof import check as check_entry
from consent.receipts import Proof
from consent.record import Checked, check_record
from consent.record import record as make_record
from consent.statement import check_statement

_log = logging.getLogger(__name__)
PAIRED = "kiosk.paired"  # in the state directory: hashes of the tablets that may use the page from elsewhere


@dataclass(frozen=True, slots=True)
class Said:
    """A yes, and the question to the pad that came with it, None where nobody is to be linked."""

    grant: Grant
    pad_request: int | None


def shop(state: State, ledger: Ledger) -> Shop:
    """Return what the page at the entrance has to know.

    Raises:
        ConfigError: there are several pads, and `store.toml` does not say before which the kiosk stands.
    """
    kiosk, now = state.store.kiosk, state

    def level() -> Level:
        nonlocal now
        try:
            now = now.reread()
        except ConfigError as error:
            _log.warning("nobody can say yes until store.toml fits again: %s", error)
            return Level.COUNTS
        return now.level(ledger)

    return Shop(
        name=state.store.store.name,
        store=state.store.store.id,
        timezone=state.store.timezone,
        level=level,
        terms=state.store.terms.days(),
        controller=state.store.controller.controller(),
        minimum_age=kiosk.minimum_age,
        pad=state.store.kiosk_pad(),
        languages=kiosk.languages,
        allowed_hosts=kiosk.allowed_hosts,
        port=kiosk.port,
        public_url=state.store.phone.public_url,
        mailbox_url=state.store.mailbox.url,
        printer=None if kiosk.printer is None else state.root / kiosk.printer,
        backup_days=state.store.terms.backup,
        idle_s=kiosk.idle_s,
        without=frozenset() if state.store.smile is not None else frozenset({Purpose.SMILE}),
        paired=state.root / PAIRED,
    )


def grant(
    state: State,
    ledger: Ledger,
    purposes: Collection[Purpose],
    *,
    notice: Path,
    language: str,
    version: str,
    now_us: int,
    pad: str | None = None,
    screen_us: int | None = None,
    stated_age: int | None = None,
    secret: str | None = None,
) -> Said:
    """Write a yes down.

    Args:
        state: the shop.
        ledger: opened with `Role.KIOSK`.
        purposes: what the shopper said yes to.
        notice: file with the notice exactly as the shopper read it.
        language: of the notice, BCP 47.
        version: of the notice.
        now_us: when they said it, UTC microseconds.
        pad: name of the pad on which they stand, to link them there.
        screen_us: since when they have stood there with the question before them, `now_us` by default.
        stated_age: if they were asked.
        secret: the code of a returning shopper.

    Raises:
        ConfigError: no such pad, or the notice cannot be read.
        ConsentError: the level does not allow it, or the ledger refuses; nothing was written.
    """
    if pad is not None:
        state.store.camera_of_pad(pad)
    said = ledger.grant(
        purposes,
        now_us=now_us,
        notice_sha256=_notice(notice),
        language=language,
        version=version,
        terms=state.store.terms.days(),
        channel=Channel.CLI,
        controller_sha256=state.store.controller.controller().sha256(),
        jurisdiction=state.store.controller.jurisdiction,
        level=state.level(ledger),
        stated_age=stated_age,
        minimum_age=state.store.kiosk.minimum_age,
        secret=secret,
    )
    if pad is None:
        return Said(said, None)
    request = ledger.open_pad_request(
        pad, PadKind.GRANT, subject=said.subject, now_us=now_us, screen_us=screen_us, tap_us=now_us
    )
    return Said(said, request)


def withdraw(ledger: Ledger, code: str, *, now_us: int, purposes: Collection[Purpose] | None = None) -> Withdrawal:
    """Take a yes back by its code; the keeper erases.

    Raises:
        ConsentError: nobody is known under the code.
    """
    return ledger.withdraw(code, now_us=now_us, purposes=purposes, channel=Channel.CLI)


def show(ledger: Ledger, code: str) -> dict[str, list[dict[str, str | int | None]]]:
    """Return how every purpose of a code stands, for people and for `--json`.

    Raises:
        ConsentError: nobody is known under the code.
    """
    return {
        "purposes": [
            {
                "purpose": s.purpose.value,
                "state": s.state.value,
                "given": _instant(s.given_us),
                "until": _instant(s.until_us),
                "ended": None if s.ended_us is None else _instant(s.ended_us),
                "entry": s.leaf_index,
            }
            for s in ledger.standing(ledger.find(code))
        ]
    }


def export(ledger: Ledger, directory: Path) -> Checkpoint:
    """Write the log into a new directory, for anybody to keep and to check.

    Raises:
        ConsentError: the directory is not empty, or nothing is signed yet.
    """
    return log.export(ledger, directory)


def log_keys(ledger: Ledger) -> list[str]:
    """Return the lines that `verify` needs, the newest first: the log's name and public key, one a generation."""
    return [log.verifier_key(ledger.origin, public) for public in ledger.keys.public_keys("log")]


def receipt_keys(ledger: Ledger) -> list[str]:
    """Return the lines that `verify_receipt` needs besides, the newest first."""
    return receipts.key_lines(ledger)


def proof(ledger: Ledger, said: Grant, *, now_us: int) -> str:
    """Return the proof of a yes, to show to anybody.

    Raises:
        ConsentError: this process does not hold the receipt key.
    """
    return receipts.issue(ledger, said, now_us=now_us).proof


def record(state: State, ledger: Ledger, code: str) -> dict[str, Any]:
    """Return the full consent record of a code, with its proofs.

    Raises:
        ConsentError: nobody is known under the code.
    """
    return make_record(ledger, code, shop(state, ledger))


def verify(
    directory: Path, key_lines: Collection[str], *, known: Collection[Path] = (), witness: str | None = None
) -> Verified:
    """Check an exported log offline.

    Args:
        directory: what `export` wrote.
        key_lines: what `log_keys` said, one for every generation of the key.
        known: files with checkpoints from receipts or from the witness.
        witness: the line of a witness that must have cosigned those.

    Raises:
        ConsentError: the log was changed, cut or rewritten, or the key is not its own.
        ConfigError: a file cannot be read.
    """
    public = receipts.read_keys(key_lines)[1]
    notes = read_notes(known)
    checked_by = None if witness is None else log.read_verifier_key(witness)[:2]
    return log.verify(directory, public, known=notes, witness=checked_by)


def verify_statement(path: Path, key_lines: Collection[str]) -> tuple[str, int, int]:
    """Check offline what somebody was handed of the log: `statement.json` of an answer to an access request.

    Args:
        path: of the file.
        key_lines: what `log_keys` said, one for every generation of the key.

    Returns:
        name of the log, entries that are proved to stand in it, and entries in all.

    Raises:
        ConsentError: it was changed, or is not of this log.
        ConfigError: the file cannot be read.
    """
    _, public, origin = receipts.read_keys(key_lines)
    try:
        told = json.loads(_text(path))
        named, entries = told["origin"], len(told["entries"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path} is no statement: it is `statement.json` of a copy that a shop handed out") from error
    if named != origin:
        raise ConfigError(f"this statement is of {named}, the key of {origin}")
    return origin, check_statement(told, public), entries


def verify_entry(path: Path, key_lines: Collection[str]) -> Proven:
    """Check the proof of one entry offline.

    Args:
        path: file with the proof.
        key_lines: what `log_keys` said, one for every generation of the key.

    Raises:
        ConsentError: it was changed, or is not of this log.
        ConfigError: the file cannot be read.
    """
    _, public, origin = receipts.read_keys(key_lines)
    proven = check_entry(_text(path).encode(), public)
    if proven.checkpoint.origin != origin:
        raise ConfigError(f"this proof is of {proven.checkpoint.origin}, the key of {origin}")
    return proven


def verify_receipt(path: Path, key_lines: Collection[str], *, export: Path | None = None) -> Proof:
    """Check a receipt's proof offline, and a log against it where there is one.

    Args:
        path: file with the text of the proof.
        key_lines: what `receipt_keys` and `log_keys` said.
        export: what `export` wrote; it must contain the receipt's checkpoint and entry.

    Raises:
        ConsentError: the receipt was changed or is of another store, or the log is not the one it was made for.
        ConfigError: the file cannot be read.
    """
    receipt_public, log_public, origin = receipts.read_keys(key_lines)
    if not receipt_public:
        raise ConfigError("a receipt is checked with the store's receipt key, too; give its line by another --key")
    found = receipts.verify(_text(path).strip(), receipt_public, log_public, origin=origin)
    if export is not None:
        receipts.check_export(found, export, log_public)
    return found


def verify_record(path: Path, key_lines: Collection[str], *, proof: Proof | None = None) -> Checked:
    """Check a full consent record offline.

    Args:
        path: the JSON file.
        key_lines: what `log_keys` said.
        proof: of a verified receipt, whose entry the record must tell.

    Raises:
        ConsentError: it says something that does not follow from the log, or is not the receipt's.
        ConfigError: the file cannot be read.
    """
    _, log_public, origin = receipts.read_keys(key_lines)
    try:
        told = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is no consent record: it is not JSON") from error
    if not isinstance(told, dict):
        raise ConfigError(f"{path} is no consent record")
    checked = check_record(told, log_public)
    if checked.origin != origin:
        raise ConfigError(f"this record is of {checked.origin}, the key of {origin}")
    if proof is not None:
        if proof.leaf_index not in checked.leaves:
            raise ConfigError(f"the receipt is of entry {proof.leaf_index}, which this record does not tell")
        proof.check_entry(checked.leaves[proof.leaf_index].encode("ascii"))
    return checked


def read_notes(paths: Collection[Path]) -> list[str]:
    """Return what stands in files with checkpoints.

    Raises:
        ConfigError: a file cannot be read.
    """
    return [_text(path) for path in paths]


def _notice(path: Path) -> bytes:
    """Return the SHA-256 of a notice; nobody can have read one that is no text."""
    text = _text(path)
    if not text.strip() or "\0" in text:
        raise ConfigError(f"the notice {path} has no text; `openaisle notice --out FILE.txt` writes one")
    return hashlib.sha256(path.read_bytes()).digest()


def _text(path: Path) -> str:
    try:
        refuse_pipe(path)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as text; check the path") from error


def _instant(t_us: int) -> str:
    return datetime.fromtimestamp(t_us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")
