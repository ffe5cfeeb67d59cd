"""The check of a whole ledger from inside: for `openaisle doctor`, after a restore, and for the tests.

It holds every table against the log: each consent against the replay of its events through the state table, each
record against the commitment in its leaf, each stored hash against the leaves, each checkpoint against the tree.

It repairs nothing. What stands outside the file (receipts, witness, export) is the business of `log.verify`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from consent import log, merkle
from consent.database import LedgerError
from consent.events import END_EVENTS, EventKind, Leaf, Level, Move, Purpose, State, commit, move
from consent.ledger import Ledger

_MOVES = {
    EventKind.GRANTED: (Move.REQUEST, Move.GIVE),
    EventKind.RENEWED: (Move.RENEW,),
    **{kind: (step,) for step, kind in END_EVENTS.items()},
}


@dataclass(frozen=True, slots=True)
class Audit:
    """How much was checked: entries, payloads that still stand, consents, checkpoints."""

    leaves: int
    records: int
    consents: int
    checkpoints: int


def audit(ledger: Ledger) -> Audit:
    """Check that the ledger is whole.

    Raises:
        ConsentError: the first thing that does not fit.
    """
    with ledger.snapshot():
        leaves = _check_tree(ledger)
        records = _check_records(ledger, leaves)
        consents = _check_consents(ledger, leaves)
        _check_levels(ledger, leaves)
        return Audit(len(leaves), records, consents, _check_checkpoints(ledger))


def _check_tree(ledger: Ledger) -> list[Leaf]:
    leaves, lines = [], []
    for expected, (index, stored, data) in enumerate(ledger.select("SELECT idx, hash, data FROM leaves ORDER BY idx")):
        if index != expected or merkle.leaf_hash(data) != stored:
            raise LedgerError(f"entry {expected} of the log is missing or changed")
        leaves.append(Leaf.decode(data))
        lines.append(data)
    levels = log.subtrees(lines)
    expected_nodes = {(level, i): h for level, row in enumerate(levels) if level for i, h in enumerate(row)}
    if {(level, i): h for level, i, h in ledger.select("SELECT level, idx, hash FROM nodes")} != expected_nodes:
        raise LedgerError("the stored hashes of the log do not follow from its entries")
    return leaves


def _check_records(ledger: Ledger, leaves: list[Leaf]) -> int:
    rows = ledger.select("SELECT leaf, kind, entry_key, payload, at_us FROM records ORDER BY leaf")
    for index, kind, entry_key, payload, at_us in rows:
        leaf = leaves[index]
        if leaf.kind != kind or commit(entry_key, payload) != leaf.commitment or json.loads(payload)["at_us"] != at_us:
            raise LedgerError(f"the payload of entry {index} does not match the log")
    kept = {row[0] for row in rows}
    if gone := [i for i, leaf in enumerate(leaves) if not leaf.kind.personal and i not in kept]:
        raise LedgerError(f"entry {gone[0]} is about no person, but its payload is gone")
    return len(rows)


@dataclass(frozen=True, slots=True)
class _Stand:
    """One row of the consents, as the replay of its events gives it."""

    state: State = State.UNKNOWN
    given_us: int = 0
    until_us: int = 0
    ended_us: int | None = None
    leaf: int = -1

    def after(self, kind: EventKind, purpose: Purpose, payload: dict[str, Any], leaf: int) -> _Stand:
        state, at_us = move(self.state, *_MOVES[kind]), payload["at_us"]
        if not state.permits:
            return replace(self, state=state, ended_us=at_us, leaf=leaf)
        given_us = self.given_us if kind is EventKind.RENEWED else at_us
        return _Stand(state, given_us, payload["until_us"][purpose], None, leaf)


def _check_consents(ledger: Ledger, leaves: list[Leaf]) -> int:
    replayed: dict[tuple[bytes, Purpose], _Stand] = {}
    sql = "SELECT leaf, subject, payload FROM records WHERE subject IS NOT NULL ORDER BY leaf"
    for index, subject, payload in ledger.select(sql):
        for purpose in leaves[index].purposes:
            before = replayed.get((subject, purpose), _Stand())
            replayed[subject, purpose] = before.after(leaves[index].kind, purpose, json.loads(payload), index)
    sql = "SELECT subject, purpose, state, given_us, until_us, ended_us, leaf FROM grants"
    stored = {
        (subject, Purpose(purpose)): _Stand(State(state), given, until, ended, leaf)
        for subject, purpose, state, given, until, ended, leaf in ledger.select(sql)
    }
    if stored != replayed:
        raise LedgerError("the consents do not follow from the log: one stands without its entry, or the reverse")
    keys = {row[0] for row in ledger.select("SELECT subject FROM subjects")}
    if keys != {subject for subject, _ in stored}:
        raise LedgerError("a subject stands without a consent, or the reverse")
    return len(stored)


def _check_levels(ledger: Ledger, leaves: list[Leaf]) -> None:
    kinds = (EventKind.LEVEL_RAISED, EventKind.LEVEL_LOWERED)
    said = [(i, leaf.level) for i, leaf in enumerate(leaves) if leaf.kind in kinds]
    if said != [(i, Level(name)) for name, i in ledger.select("SELECT level, leaf FROM levels ORDER BY id")]:
        raise LedgerError("the approved privacy levels do not follow from the log")


def _check_checkpoints(ledger: Ledger) -> int:
    notes = [row[0] for row in ledger.select("SELECT note FROM checkpoints ORDER BY size")]
    for note in notes:
        checkpoint = log.open_note(note, ledger.keys.public_keys("log"), origin=ledger.origin)
        if checkpoint.size > ledger.size or ledger.root(checkpoint.size) != checkpoint.root:
            raise LedgerError(f"the log does not contain its own checkpoint at {checkpoint.size} entries")
    return len(notes)
