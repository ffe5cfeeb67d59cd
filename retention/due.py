"""What is due now, by the one rule that serves withdrawal and expiry alike. It decides; it deletes nothing.

The rule: a row is due when no live grant covers it or its term is over. A grant that the store's level does not allow
covers nothing. A subject is due when none of their grants is live. What an officer holds waits, whatever it is due to:
rows by their class and day, a subject for as long as one of their rows or their consent is on hold.

Looking at a few subjects gives the same answer about them as looking at all: a pseudonym belongs to one subject.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from analytics.state import State
from analytics.store import KEPT, Cover, Held, Visits, day_of
from consent.events import DAY_US, ConsentError, Purpose
from consent.ledger import Ledger
from consent.subjects import ALWAYS, visitor
from retention import policy
from retention.holds import CONSENT, Hold, holds, is_held


@dataclass(frozen=True, slots=True)
class Scope:
    """What the visits need to know to find what is due in them.

    Attributes:
        covers: everything that live grants cover, of the subjects looked at.
        oldest_us: of each purpose, the instant at which rows that ended then are too old.
        among: pseudonyms of the subjects looked at; None for all rows.
        held: rows that must stay.
        holds: as the officer placed them.
    """

    covers: list[Cover]
    oldest_us: dict[Purpose, int]
    among: dict[Purpose, list[int]] | None = None
    held: list[Held] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)


class Due:
    """What is due in one shop.

    Args:
        state: what the shop decided.
        ledger: opened by a role that can open subjects' keys.
        visits: the open visits.
    """

    def __init__(self, state: State, ledger: Ledger, visits: Visits) -> None:
        self.state, self._ledger, self._visits = state, ledger, visits

    def scope(self, now_us: int, subjects: Collection[bytes] | None = None) -> Scope:
        """Return what holds at an instant.

        Args:
            now_us: UTC microseconds.
            subjects: whom to look at; everybody, and rows of nobody known, by default.
        """
        placed = holds(self._ledger)
        return Scope(
            list(self._covers(now_us, subjects)),
            self._oldest(now_us),
            None if subjects is None else self._pseudonyms(subjects),
            [Held(p, h.first, h.last) for h in placed for p in KEPT if p.value in h.classes],
            placed,
        )

    def rows(self, scope: Scope) -> int:
        """Return how many rows are due and not on hold."""
        return self._visits.due(scope.covers, scope.oldest_us, among=scope.among, held=scope.held)

    def subjects(self, scope: Scope) -> list[bytes]:
        """Return the subjects that are due and not on hold; rows on hold are set apart before."""
        kept = self.kept(scope)
        return [s for s in self._ledger.idle_subjects() if s not in kept]

    def kept(self, scope: Scope) -> set[bytes]:
        """Return the subjects with nothing live that wait for a hold."""
        apart: dict[tuple[Purpose, str], set[int]] = {}
        for purpose, pseudonym, day in self._visits.held():
            if is_held(scope.holds, purpose.value, day):
                apart.setdefault((purpose, _period(purpose, day)), set()).add(pseudonym)
        if not apart and not any(CONSENT in hold.classes for hold in scope.holds):
            return set()
        return {s for s in self._ledger.idle_subjects() if self._consent_held(s, scope.holds) or self._among(s, apart)}

    def purposes_kept(self, subject: bytes, scope: Scope) -> set[Purpose]:
        """Return the purposes of which rows of a subject were set apart and are on hold."""
        key = self._key(subject)
        return {
            purpose
            for purpose, pseudonym, day in self._visits.held()
            if is_held(scope.holds, purpose.value, day)
            and key is not None
            and visitor(key, purpose, _period(purpose, day), self._ledger.store) == pseudonym
        }

    # parts of the rule

    def _covers(self, now_us: int, subjects: Collection[bytes] | None) -> Iterator[Cover]:
        level, zone = self.state.level(self._ledger), self.state.store.timezone
        days = {p: self._visits.days(p) for p in KEPT}
        for subject, grants in self._ledger.live_grants(now_us).items():
            if subjects is not None and subject not in subjects:
                continue
            wanted = [s for s in grants if s.purpose in KEPT and level.allows(s.purpose) and days[s.purpose]]
            if not wanted:
                continue
            key = self._ledger.subject_key(subject)
            for s in wanted:
                first, last = day_of(s.given_us, zone), day_of(s.until_us, zone)
                periods = {_period(s.purpose, day) for day in days[s.purpose] if first <= day <= last}
                for period in periods:
                    yield Cover(s.purpose, visitor(key, s.purpose, period, self._ledger.store), s.given_us, s.until_us)

    def _oldest(self, now_us: int) -> dict[Purpose, int]:
        """Return, for each purpose, the instant at which rows that ended then are past their term."""
        days = policy.sweep(self.state.store.terms.days()).rows
        return {p: max(0, now_us - days[p] * DAY_US) for p in KEPT}

    def _pseudonyms(self, subjects: Iterable[bytes]) -> dict[Purpose, list[int]]:
        periods = {p: {_period(p, day) for day in self._visits.days(p)} for p in KEPT}
        found: dict[Purpose, list[int]] = {p: [] for p in KEPT}
        for subject in subjects:
            key = self._key(subject)
            if key is not None:
                for p in KEPT:
                    found[p] += [visitor(key, p, period, self._ledger.store) for period in periods[p]]
        return found

    def _consent_held(self, subject: bytes, placed: Collection[Hold]) -> bool:
        zone = self.state.store.timezone
        days = {day_of(s.given_us, zone) for s in self._ledger.standing(subject)}
        return any(hold.covers(CONSENT, day) for hold in placed for day in days)

    def _among(self, subject: bytes, apart: dict[tuple[Purpose, str], set[int]]) -> bool:
        key = self._key(subject)
        store = self._ledger.store
        return key is not None and any(visitor(key, p, period, store) in of for (p, period), of in apart.items())

    def _key(self, subject: bytes) -> bytes | None:
        try:
            return self._ledger.subject_key(subject)
        except ConsentError:  # destroyed, or sealed to a key that is retired: nobody can compute their pseudonyms
            return None


def _period(purpose: Purpose, day: date) -> str:
    """Return the period of a pseudonym that stands in a row of a store-local day."""
    return ALWAYS if purpose is Purpose.REPEAT else day.isoformat()
