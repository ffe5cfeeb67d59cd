"""Withdrawal and expiry become an erasure that reaches the bytes on disk, by one rule and in a fixed order.

The rule: a row is due when no live grant covers it or its term is over. A grant that the store's level does not allow
covers nothing. A subject is due when none of their grants is live.

The order, each step safe to repeat, so that after a crash anywhere the next run finishes:
1. The intent is written into the ledger: a request of kind `erasure` with the random numbers of the subjects; and,
   before anything is deleted, into the journal outside the state directory.
2. The rows are deleted; their pseudonyms are remembered in the same transaction, until their bytes are gone.
3. The subjects are destroyed: keys, payloads, entry keys, inbox rows; the ledger's file is rewritten.
4. `visits.duckdb` is rewritten; every file of the state directory is searched for the pseudonyms; only then does the
   new file replace the old one.
5. `Erased` is logged with counts, once; then the request is settled.

So an `Erased` entry never stands before what it says. Holds, certificates and backups are not here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from analytics.state import State
from analytics.store import PURPOSES, Cover, Visits
from consent.events import DAY_US, PERMITTING, EventKind, Purpose
from consent.ledger import Ledger, Request, RequestStatus, Standing
from consent.subjects import ALWAYS, visitor
from retention.journal import Journal
from retention.model import RetentionError
from retention.scan import search_apart

REQUEST = "erasure"


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, in numbers.

    Attributes:
        subjects: destroyed with their keys.
        rows: deleted from the visits.
        leaf_index: of the `Erased` entry.
    """

    subjects: int
    rows: int
    leaf_index: int


class Erasure:
    """Erases what is due in one shop.

    Args:
        state: the state directory and what the shop decided.
        ledger: opened for the keeper.
        visits: the open visits.
    """

    def __init__(self, state: State, ledger: Ledger, visits: Visits) -> None:
        self.state, self._ledger, self._visits = state, ledger, visits
        self.journal = Journal(state.journal, ledger)

    def run(self, now_us: int) -> list[Erased]:
        """End what is over, and erase everything that is due, unfinished erasures first.

        Raises:
            LedgerError: another process was reading, so that bytes may remain: the next run goes on from here.
            RetentionError: a pseudonym was found in a file after its erasure; nothing is logged as erased.
        """
        self._ledger.expire(now_us)
        # once is enough: what is said from here on concerns rows that are not loaded yet, or the next run
        covers = self._covers(now_us)
        done = [self._carry_out(request, covers, now_us) for request in self._unfinished()]
        subjects = self._idle()
        if subjects or self._visits.due(covers, self._oldest(now_us)):
            numbers = sorted(self._ledger.number_of(s) for s in subjects)
            args = json.dumps({"subjects": numbers}, separators=(",", ":")).encode()
            self._ledger.open_request(REQUEST, args, now_us=now_us)
            done += [self._carry_out(request, covers, now_us) for request in self._unfinished()]
        return done

    def _carry_out(self, request: Request, covers: Sequence[Cover], now_us: int) -> Erased:
        numbers: list[int] = json.loads(request.args)["subjects"]
        level, terms = self.state.level(self._ledger), self.state.store.terms.days()
        self.journal.append(numbers, request.id, now_us, level=level, terms=terms)
        self._visits.delete(covers, self._oldest(now_us), request.id)
        idle = {self._ledger.number_of(s): s for s in self._idle()}
        self._ledger.destroy_subjects([idle[n] for n in numbers if n in idle], now_us=now_us, log=False)
        rows = self._visits.deleted(request.id)
        if rows:
            self._visits.rewrite(self._prove)
        # somebody who said yes again in between lives on
        destroyed = len(set(numbers) - {self._ledger.number_of(s) for s in self._ledger.subjects()})
        operation = hashlib.sha256(f"erased:{self._ledger.store}:{request.id}".encode()).digest()
        details = {"rows": rows, "request": request.id}
        leaf = self._ledger.append_event(
            EventKind.ERASED, now_us=now_us, count=destroyed, details=details, operation=operation
        )
        self._ledger.settle_request(request.id, RequestStatus.DONE, now_us=now_us)
        self._visits.settle(request.id)
        return Erased(destroyed, rows, leaf)

    def _prove(self, copy: Path) -> None:
        """Find no erased pseudonym in any file but the one that is about to be replaced."""
        found = search_apart(self.state.root, self._visits.erasing(), leave_out=[self.state.visits])
        if found:
            raise RetentionError(
                f"erased pseudonyms still stand in {', '.join(sorted(found))}; remove what does not belong into "
                f"{self.state.root}, and run `openaisle keeper --once`"
            )

    # what is due

    def _unfinished(self) -> list[Request]:
        return [r for r in self._ledger.pending_requests() if r.kind == REQUEST]

    def _idle(self) -> list[bytes]:
        """Return the subjects that have nothing live."""
        return [s for s in self._ledger.subjects() if not live(self._ledger.standing(s))]

    def _oldest(self, now_us: int) -> dict[Purpose, int]:
        """Return, for each purpose, the instant at which rows that ended then are past their term."""
        days = self.state.store.terms.days()
        return {p: max(0, now_us - days[p] * DAY_US) for p in PURPOSES}

    def _covers(self, now_us: int) -> list[Cover]:
        """Return everything that live grants cover, as the pseudonyms that stand in the rows."""
        level = self.state.level(self._ledger)
        periods = {p: [day.isoformat() for day in self._visits.days(p)] for p in PURPOSES}
        periods[Purpose.REPEAT] = [ALWAYS] if periods[Purpose.REPEAT] else []
        found = []
        for subject in self._ledger.subjects():
            grants = [
                s
                for s in live(self._ledger.standing(subject), now_us)
                if s.purpose in PURPOSES and level.allows(s.purpose) and periods[s.purpose]
            ]
            if not grants:
                continue
            key = self._ledger.subject_key(subject)
            for s in grants:
                for period in periods[s.purpose]:
                    pseudonym = visitor(key, s.purpose, period, self._ledger.store)
                    found.append(Cover(s.purpose, pseudonym, s.given_us, s.until_us))
        return found


def live(standing: Collection[Standing], now_us: int | None = None) -> Sequence[Standing]:
    """Return the grants that are neither ended nor, at an instant, past their term.

    A grant that seems to lie in the future is live: it is the clock that was moved back.
    """
    return [s for s in standing if s.state in PERMITTING and (now_us is None or now_us < s.until_us)]
