"""What the holder of a code can see and prove: every entry about them, opened, with its place in the log.

A statement is plain data, ready for JSON. Whoever has it and the log's public key can check it offline with
`check_statement`: each entry stands in the log under the signed checkpoint, and says what the statement says.

The formatted record for the receipt is made from this elsewhere; nothing here writes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from consent import log, merkle
from consent.events import Leaf, commit
from consent.ledger import Ledger


def statement(ledger: Ledger, secret: str) -> dict[str, Any]:
    """Return everything the ledger tells about the holder of a code.

    Entries younger than the newest checkpoint have no proof yet (`inclusion` is None); ask again in a second.

    Raises:
        UnknownCodeError: nobody is known under the code.
    """
    return statement_of(ledger, ledger.find(secret))


def statement_of(ledger: Ledger, subject: bytes) -> dict[str, Any]:
    """Return everything the ledger tells about a subject; see `statement`."""
    newest = ledger.newest_checkpoint()
    size = 0 if newest is None else newest[1].size
    entries = []
    for record in ledger.records_of(subject):
        ((index, data),) = ledger.leaves(record.leaf_index, record.leaf_index + 1)
        proof = [_text(h) for h in ledger.inclusion_proof(index, size)] if index < size else None
        entries.append(
            {
                "index": index,
                "leaf": data.decode("ascii"),
                "payload": record.payload.decode("ascii"),
                "entry_key": record.entry_key.hex(),
                "inclusion": proof,
            }
        )
    purposes = [
        {
            "purpose": s.purpose.value,
            "state": s.state.value,
            "given_us": s.given_us,
            "until_us": s.until_us,
            "ended_us": s.ended_us,
        }
        for s in ledger.standing(subject)
    ]
    note = None if newest is None else newest[0]
    return {"origin": ledger.origin, "purposes": purposes, "entries": entries, "checkpoint": note}


def check_statement(told: dict[str, Any], public: bytes | Sequence[bytes]) -> int:
    """Check a statement against the log's public key, and return how many entries it proved.

    Raises:
        ConsentError: an entry is not in the log, or does not say what the statement says.
    """
    proved = 0
    try:
        checkpoint = None
        if told["checkpoint"] is not None:
            checkpoint = log.open_note(told["checkpoint"], public, origin=told["origin"])
        for entry in told["entries"]:
            data = entry["leaf"].encode("ascii")
            leaf = Leaf.decode(data)
            json.loads(entry["payload"])
            key = bytes.fromhex(entry["entry_key"])
            if key.hex() != entry["entry_key"]:  # one spelling, or a changed statement would pass for the same
                raise log.LogError("this statement is damaged")
            if commit(key, entry["payload"].encode("ascii")) != leaf.commitment:
                raise log.LogError(f"entry {entry['index']} does not say what the statement says")
            if entry["inclusion"] is None:
                continue
            if checkpoint is None:
                raise log.LogError("a proof without a checkpoint proves nothing")
            proof = [base64.b64decode(h, validate=True) for h in entry["inclusion"]]
            hashed = merkle.leaf_hash(data)
            merkle.verify_inclusion(entry["index"], checkpoint.size, hashed, proof, checkpoint.root)
            proved += 1
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise log.LogError("this statement is damaged") from error
    return proved


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
