"""The check of the log on the spot: as an outsider would check an export, and the whole ledger from inside.

It proves what `consent export` and `consent verify` prove, on this machine and by this program. Whoever does not trust
the machine takes the export elsewhere, and holds it against a receipt or a witness: a log that was rewritten with its
own key looks whole from inside.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from consent import log
from consent.audit import audit
from consent.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a check found whole.

    Attributes:
        origin: name of the log.
        size: entries under the newest checkpoint.
        root: their root hash, hex.
        newer: entries after that checkpoint, signed within a second by a running keeper.
        now_root: root hash over all entries, hex.
        records: payloads that still stand, each held against its entry.
        consents: each held against the replay of its entries.
        checkpoints: signatures and roots that were checked.
        witnessed: checkpoints of a witness that the log was held against.
        seconds: how long it took.
    """

    origin: str
    size: int
    root: str
    newer: int
    now_root: str
    records: int
    consents: int
    checkpoints: int
    witnessed: int
    seconds: float


def inspect(ledger: Ledger, known: Sequence[str] = (), witness: tuple[str, bytes] | None = None) -> Inspected:
    """Check the log and the ledger, and say what was found whole.

    Args:
        ledger: of a connection that nobody else needs meanwhile.
        known: cosigned checkpoints that the log must contain.
        witness: name and key of the witness that must have cosigned them.

    Raises:
        ConsentError: the first thing that does not fit.
    """
    began = time.monotonic()
    checkpoint, files = log.contents(ledger)
    public = ledger.keys.public_keys("log")
    note, leaves, openings = (files[name] for name in ("checkpoint", "leaves.jsonl", "openings.jsonl"))
    verified = log.check(note, leaves, openings, public, known=known, witness=witness)
    found = audit(ledger)
    return Inspected(
        checkpoint.origin,
        checkpoint.size,
        checkpoint.root.hex(),
        found.leaves - checkpoint.size,
        ledger.root(found.leaves).hex(),
        found.records,
        found.consents,
        found.checkpoints,
        verified.known,
        time.monotonic() - began,
    )
