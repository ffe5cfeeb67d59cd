"""Rotation of the key-encryption key: after the backup term an old backup does not tell what was destroyed either.

A backup holds subjects' keys, sealed. Who is erased afterwards is gone from the shop, and still readable for whoever
has the backup *and* the key directory. So the sealing key is rotated, every living subject's key is sealed anew, and
the old one is destroyed as soon as no backup that needs it may exist any more.

Rules:
- The old generation is destroyed `terms.backup` days after it was replaced, by the log's own entry, and only when
  nothing in the ledger is sealed to it. Subjects of backups sealed to it cannot be opened any more: they are too old.
- No process may have the shop open: one that runs still seals to the key it loaded.
- Rotation and destruction are log entries. Running it again after a crash finishes the work.

Role directories that were dealt from the key directory are dealt anew afterwards; that is the administrator's part.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from analytics.state import State
from consent.events import DAY_US, EventKind, Value
from consent.keys import KeyRing, Role
from consent.ledger import Ledger
from retention.restore import alone

NAME = "sealing"


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did.

    Attributes:
        generation: now in use.
        sealed: subjects' keys that were sealed anew.
        destroyed: generations that are gone for good.
        waiting: generations that wait for the backup term, each with the instant of its end, UTC microseconds.
    """

    generation: int
    sealed: int
    destroyed: tuple[int, ...]
    waiting: tuple[tuple[int, int], ...]


def rotate(state: State, now_us: int, *, anew: bool = True) -> Rotated:
    """Rotate the sealing key and destroy the generations whose time is over.

    Args:
        state: the shop; its key directory holds the administrator's keys.
        now_us: UTC microseconds.
        anew: make a new generation; otherwise only destroy what is over.

    Raises:
        BackupError: a process has the shop open.
        ConsentError: the keys are not the administrator's.
    """
    with alone(state.root):
        pass  # and from here on whoever starts loads the keys as they will be
    ring = KeyRing.open(state.keys, Role.ADMIN, state=state.root)
    if anew:
        ring = ring.rotate(NAME)
    with Ledger(state.ledger, ring, store=state.store.store.id) as ledger:
        sealed = ledger.rewrap()
        if sealed:
            ledger.compact()  # what was sealed to the old key is in no free page
        newest = ring.generation_of(ring.seal(bytes(32), bytes(32)))
        replaced = _replaced(ledger)
        if newest > 1 and newest not in replaced:
            ledger.append_event(EventKind.KEY_ROTATED, now_us=now_us, details={"key": NAME, "generation": newest})
            replaced[newest] = now_us
        destroyed, waiting = [], []
        term_us = state.store.terms.backup * DAY_US
        for generation in ring.generations(NAME):
            after = min((g for g in replaced if g > generation), default=None)
            if after is None:
                continue
            end_us = replaced[after] + term_us
            if end_us > now_us:
                waiting.append((generation, end_us))
                continue
            ring = ring.retire(NAME, generation)
            destroyed.append(generation)
            details: dict[str, Value] = {"key": NAME, "destroyed": generation}
            ledger.append_event(EventKind.KEY_ROTATED, now_us=now_us, details=details)
    return Rotated(newest, sealed, tuple(destroyed), tuple(waiting))


def _replaced(ledger: Ledger) -> dict[int, int]:
    """Return when each generation came into use, as the log says."""
    sql = "SELECT payload FROM records WHERE kind = ? ORDER BY leaf"
    told = [json.loads(payload) for (payload,) in ledger.select(sql, EventKind.KEY_ROTATED.value)]
    return {int(t["generation"]): int(t["at_us"]) for t in told if t.get("key") == NAME and "generation" in t}
