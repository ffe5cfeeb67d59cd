"""Reading the log as an officer does: entries by kind, day and number, and what was in force at a past instant.

Rules:
- An entry is found by kind, time or number, and never by anything about a person.
- Of an entry about a person nothing is told but how, where and in which language it was said; of one about staff, the
  random number of the account. What was erased has no time and no words any more, and says so.
- What was in force is what the log says, and nothing is guessed: what was not written down then is not known now.

Nothing here writes. Who may read it is decided by `access`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from consent.events import EventKind, Leaf, Level, Purpose
from consent.ledger import Ledger
from consent.tree import Tree

LEVELS = (EventKind.LEVEL_RAISED, EventKind.LEVEL_LOWERED)
# of a personal payload
_TOLD = (
    *("language", "version", "channel", "account", "action", "reason", "what", "desk", "by"),
    *("was", "now", "camera", "host"),
)
_TOLD_OF_A_LOOK = (*_TOLD, "until_us")  # a shopper's yes has an end, too, and that is theirs alone
_COLUMNS = "SELECT l.idx, l.data, r.at_us, r.payload FROM leaves l LEFT JOIN records r ON r.leaf = l.idx"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of the log, as an officer sees it.

    Attributes:
        entry: its number.
        kind: what happened.
        purposes: the purposes it is about.
        level: the privacy level it set.
        count: how many things it is about.
        digest: SHA-256 of the text it is about, hex.
        at_us: when, UTC microseconds; None where its payload is erased.
        details: what may be told of its payload; None where that is erased.
    """

    entry: int
    kind: EventKind
    purposes: frozenset[Purpose]
    level: Level | None
    count: int | None
    digest: str | None
    at_us: int | None
    details: Mapping[str, Any] | None

    @property
    def erased(self) -> bool:
        """True where nothing is left of it but kind, number and commitment."""
        return self.at_us is None


@dataclass(frozen=True, slots=True)
class Moment:
    """What the log says was in force at an instant.

    Attributes:
        at_us: the instant, UTC microseconds.
        size: entries in the log by then, as far as their times still stand.
        settings: entry that said which settings were in force, None before the first.
        approved: the privacy level that was approved.
        raised: entry that approved it, None where nobody ever raised one.
        erasures: entries that say `erased` and came after the instant.
    """

    at_us: int
    size: int
    settings: Line | None
    approved: Level
    raised: Line | None
    erasures: tuple[Line, ...]


def search(
    ledger: Tree,
    *,
    kinds: Collection[EventKind] = (),
    since_us: int | None = None,
    until_us: int | None = None,
    first: int = 0,
    below: int | None = None,
    limit: int = 50,
) -> list[Line]:
    """Return entries, the newest first.

    Args:
        ledger: opened by any role.
        kinds: only these, all by default.
        since_us: only those whose time still stands and is not before this, UTC microseconds.
        until_us: and is before this.
        first: no number below this.
        below: only numbers below this.
        limit: so many at most.
    """
    where, args = ["l.idx >= ?"], [first]
    words: list[bytes | str | int] = [*args]
    if below is not None:
        where.append("l.idx < ?")
        words.append(below)
    if kinds:
        where.append("(" + " OR ".join(["CAST(l.data AS TEXT) LIKE ?"] * len(kinds)) + ")")
        words += [f'%"kind":"{kind.value}"%' for kind in kinds]
    if since_us is not None:
        where.append("r.at_us >= ?")
        words.append(since_us)
    if until_us is not None:
        where.append("r.at_us < ?")
        words.append(until_us)
    rows = ledger.select(f"{_COLUMNS} WHERE {' AND '.join(where)} ORDER BY l.idx DESC LIMIT ?", *words, limit)
    return [_line(*row) for row in rows]


def line(ledger: Tree, entry: int) -> Line | None:
    """Return one entry, None where the log has none of that number."""
    found = ledger.select(f"{_COLUMNS} WHERE l.idx = ?", entry)
    return _line(*found[0]) if found else None


def around(ledger: Tree, start_us: int, end_us: int, limit: int = 500) -> list[Line]:
    """Return the entries of a stretch of time, oldest first, with those between them whose time is erased.

    Args:
        ledger: opened by any role.
        start_us: UTC microseconds.
        end_us: UTC microseconds, not in it.
        limit: so many at most.
    """
    ((first, last),) = ledger.select(
        "SELECT min(leaf), max(leaf) FROM records WHERE at_us >= ? AND at_us < ?", start_us, end_us
    )
    if first is None:
        return []
    rows = ledger.select(f"{_COLUMNS} WHERE l.idx BETWEEN ? AND ? ORDER BY l.idx LIMIT ?", first, last, limit)
    return [one for one in (_line(*row) for row in rows) if one.at_us is None or start_us <= one.at_us < end_us]


@dataclass(slots=True)
class Asked:
    """What people said to one text of the notice, as the entries count it for ever.

    Attributes:
        digest: SHA-256 of the text, hex.
        yes: by purpose, first answers that said yes to it.
        people: first answers that said yes to anything.
        no: answers that said no.
    """

    digest: str
    yes: Counter[Purpose]
    people: int = 0
    no: int = 0


def answers(ledger: Tree) -> list[Asked]:
    """Return what people said, by the text that they were shown, in the order in which the texts came up."""
    found: dict[str, Asked] = {}
    for _, data in ledger.leaves(0, ledger.size):
        leaf = Leaf.decode(data)
        if leaf.kind not in (EventKind.GRANTED, EventKind.REFUSED) or leaf.digest is None:
            continue
        one = found.setdefault(leaf.digest.hex(), Asked(leaf.digest.hex(), Counter()))
        if leaf.kind is EventKind.REFUSED:
            one.no += 1
        else:
            one.people += 1
            one.yes.update(leaf.purposes)
    return list(found.values())


def versions(ledger: Tree) -> dict[str, tuple[str, str]]:
    """Return version and language of each text of the notice that was ever in force, by its SHA-256, hex."""
    found: dict[str, tuple[str, str]] = {}
    for one in search(ledger, kinds=(EventKind.CONFIG_CHANGED,), limit=100_000):
        notice = dict((one.details or {}).get("notice", {}))
        version = notice.pop("version", "")
        found |= {digest: (version, language) for language, digest in notice.items()}
    return found


def at(ledger: Ledger, at_us: int) -> Moment:
    """Return what was in force at an instant."""
    ((size,),) = ledger.select("SELECT coalesce(max(leaf) + 1, 0) FROM records WHERE at_us <= ?", at_us)
    settings = _last(ledger, (EventKind.CONFIG_CHANGED,), at_us)
    raised = _last(ledger, LEVELS, at_us)
    level = Level.COUNTS if raised is None or raised.level is None else raised.level
    erasures = search(ledger, kinds=(EventKind.ERASED,), since_us=at_us, limit=1000)
    return Moment(at_us, int(size), settings, level, raised, tuple(reversed(erasures)))


def _last(ledger: Tree, kinds: Collection[EventKind], at_us: int) -> Line | None:
    marks = ", ".join("?" * len(kinds))
    found = ledger.select(
        f"{_COLUMNS} WHERE r.kind IN ({marks}) AND r.at_us <= ? ORDER BY l.idx DESC LIMIT 1",
        *(kind.value for kind in kinds),
        at_us,
    )
    return _line(*found[0]) if found else None


def _line(entry: int, data: bytes, at_us: int | None, payload: bytes | None) -> Line:
    leaf = Leaf.decode(data)
    details: Mapping[str, Any] | None = None
    if payload is not None:
        told = {name: value for name, value in json.loads(payload).items() if name != "at_us"}
        names = _TOLD_OF_A_LOOK if leaf.kind is EventKind.SETUP_OPENED else _TOLD
        details = {name: told[name] for name in names if name in told} if leaf.kind.personal else told
    digest = None if leaf.digest is None else leaf.digest.hex()
    return Line(entry, leaf.kind, leaf.purposes, leaf.level, leaf.count, digest, at_us, details)
