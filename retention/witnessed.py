"""What the witness cosigned, as the shop keeps it: `witness.json` in the state directory.

The witness works on its own machine, by files. What it hands back is kept here once it was checked, so that pages and
bundles can say how much of the log somebody outside has seen. It is public, and about nobody.

Rules:
- Only a checkpoint of this log goes in, cosigned by the key that was named, and never one of fewer entries.
- A log that does not contain it any more was rolled back or rewritten; that is said, and nothing is replaced.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from consent import log
from consent.ledger import Ledger
from retention.model import RetentionError

NAME = "witness.json"


class WitnessedError(RetentionError):
    """A cosigned checkpoint that cannot be kept, or that is damaged."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest cosigned checkpoint.

    Attributes:
        key: the witness's line.
        note: the signed note with the cosignature.
        name: of the witness.
        public: its key.
        checkpoint: what it saw.
        at_s: when, POSIX seconds, by its own clock.
    """

    key: str
    note: str
    name: str
    public: bytes
    checkpoint: log.Checkpoint
    at_s: int


def read(root: Path, ledger: Ledger) -> Witnessed | None:
    """Return what was kept, checked anew; None where nothing was.

    Raises:
        WitnessedError: it is damaged.
        LogError: it is not of this log, or the log does not contain it.
    """
    try:
        told = json.loads((root / NAME).read_text(encoding="utf-8"))
        key, note = str(told["key"]), str(told["note"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WitnessedError(f"{root / NAME} is damaged: have the witness cosign again, and keep that") from error
    return _checked(ledger, note, key)


def keep(root: Path, ledger: Ledger, note: str, key: str) -> Witnessed:
    """Keep a cosigned checkpoint.

    Args:
        root: the state directory.
        ledger: opened by any role.
        note: what `openaisle witness cosign` printed.
        key: the witness's line, as `openaisle witness show` prints it.

    Raises:
        LogError: it is not of this log, not cosigned by this key, or the log does not contain it.
        WitnessedError: the one that is kept is of more entries.
    """
    fresh, kept = _checked(ledger, note, key), read(root, ledger)
    if kept is not None and kept.checkpoint.size > fresh.checkpoint.size:
        raise WitnessedError(
            f"a checkpoint of {kept.checkpoint.size} entries is kept already; this one has {fresh.checkpoint.size}"
        )
    beside = root / f".{NAME}.tmp"
    with beside.open("w", encoding="utf-8") as file:
        beside.chmod(0o640)
        json.dump({"key": key.strip(), "note": note}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(root / NAME)
    return fresh


def _checked(ledger: Ledger, note: str, key: str) -> Witnessed:
    name, public, kind = log.read_verifier_key(key)
    if kind != log.COSIGNATURE:
        raise WitnessedError("this is not the key of a witness; `openaisle witness show` prints it")
    checkpoint = log.open_note(note, ledger.keys.public_keys("log"), origin=ledger.origin)
    at_s = log.cosigned_at(note, name, public)
    if checkpoint.size > ledger.size or ledger.root(checkpoint.size) != checkpoint.root:
        raise log.LogError(
            f"the log does not contain what {name} cosigned at {checkpoint.size} entries: it was rolled back or "
            "rewritten; find out by whom before anything else, and restore a backup"
        )
    return Witnessed(key.strip(), note, name, public, checkpoint, at_s)
