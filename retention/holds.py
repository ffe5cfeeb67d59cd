"""Holds: an officer stops the deletion of named classes on named days, until an officer releases them (GDPR Art. 18).

Rules:
- A hold is an entry of the log, and so is its release; who is on hold follows from the log and stands nowhere else.
- A hold keeps no gate open. What is due and held is set apart the moment it is due: nothing is computed from it, and no
  figure counts it. Consent that ended stays ended.
- Release erases at once what is due by then.
- The officer's name and the file number stand in the log as SHA-256, as everywhere: no free text.

Which rows a hold covers is decided by their class and the store-local day on which they began; of the class `consent`,
by the day on which the consent was given.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from consent.events import EventKind, Value
from consent.ledger import Ledger
from retention import policy
from retention.model import RetentionError

CONSENT = "consent"  # the class of subjects, grants and their records


class HoldError(RetentionError):
    """A hold that cannot be placed or released."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold in force.

    Attributes:
        entry: number of the log entry that placed it; by it it is released.
        classes: names from the policy.
        first: first store-local day it covers.
        last: last day it covers.
        placed_us: when, UTC microseconds.
        officer: SHA-256 of the officer's name, hex.
    """

    entry: int
    classes: tuple[str, ...]
    first: date
    last: date
    placed_us: int
    officer: str

    def covers(self, name: str, day: date) -> bool:
        """Say whether a class is held on a day."""
        return name in self.classes and self.first <= day <= self.last


def place(
    ledger: Ledger,
    classes: Collection[str],
    first: date,
    last: date,
    *,
    officer: str,
    reference: str = "",
    now_us: int,
) -> Hold:
    """Place a hold and return it.

    Args:
        ledger: opened by any role.
        classes: names of classes that can be held.
        first: first store-local day.
        last: last store-local day.
        officer: who places it.
        reference: the file it belongs to.
        now_us: UTC microseconds.

    Raises:
        HoldError: no such class, days the wrong way round, or nobody is named.
    """
    names = tuple(sorted(set(classes)))
    if strange := [name for name in names if name not in policy.holdable()]:
        raise HoldError(f"{strange[0]!r} cannot be held; choose from {', '.join(policy.holdable())}")
    if not names:
        raise HoldError(f"name one class or more: {', '.join(policy.holdable())}")
    if last < first:
        raise HoldError(f"a hold ends on {last}, before it begins on {first}; swap the days")
    details: dict[str, Value] = {
        "classes": list(names),
        "first": first.isoformat(),
        "last": last.isoformat(),
        "officer": person(officer),
    }
    if reference.strip():
        details["reference"] = hashlib.sha256(reference.strip().encode()).hexdigest()
    entry = ledger.append_event(EventKind.HOLD_PLACED, now_us=now_us, details=details)
    return Hold(entry, names, first, last, now_us, str(details["officer"]))


def release(ledger: Ledger, entry: int, *, officer: str, now_us: int) -> int:
    """Release a hold and return the number of the entry that says so; the keeper then erases what is due.

    Args:
        ledger: opened by any role.
        entry: number of the entry that placed it.
        officer: who releases it.
        now_us: UTC microseconds.

    Raises:
        HoldError: no such hold is in force, or nobody is named.
    """
    details: dict[str, Value] = {"hold": entry, "officer": person(officer)}
    if entry not in {hold.entry for hold in holds(ledger)}:
        raise HoldError(f"no hold stands under entry {entry}; `openaisle retention hold list` shows those in force")
    return ledger.append_event(EventKind.HOLD_RELEASED, now_us=now_us, details=details)


def holds(ledger: Ledger) -> list[Hold]:
    """Return the holds in force, oldest first, as the log says."""
    sql = "SELECT leaf, kind, at_us, payload FROM records WHERE kind IN (?, ?) ORDER BY leaf"
    found: dict[int, Hold] = {}
    for leaf, kind, at_us, payload in ledger.select(sql, EventKind.HOLD_PLACED.value, EventKind.HOLD_RELEASED.value):
        told = json.loads(payload)
        if kind == EventKind.HOLD_RELEASED:
            found.pop(told["hold"], None)
            continue
        first, last = date.fromisoformat(told["first"]), date.fromisoformat(told["last"])
        found[leaf] = Hold(leaf, tuple(told["classes"]), first, last, at_us, told["officer"])
    return list(found.values())


def is_held(held: Sequence[Hold], name: str, day: date) -> bool:
    """Say whether any hold keeps a class on a day."""
    return any(hold.covers(name, day) for hold in held)


def person(name: str) -> str:
    """Return under what the log names somebody: the SHA-256 of their name, hex; one name typed in two ways is one.

    Raises:
        HoldError: nobody is named.
    """
    if not name.strip():
        raise HoldError("say who: an officer's name (the log keeps its SHA-256)")
    plain = unicodedata.normalize("NFKC", " ".join(name.split()).casefold())
    return hashlib.sha256(unicodedata.normalize("NFKC", plain.casefold()).encode()).hexdigest()
