"""Withdrawal and expiry become an erasure that reaches the bytes on disk, in a fixed order. `due` says what is due.

The order, each step safe to repeat, so that after a crash anywhere the next run finishes:
1. Rows that are due and on hold are set apart. The intent is written into the ledger: a request of kind `erasure` with
   the random numbers of the subjects and the log entries that ended their consents; and, before anything is deleted,
   into the journal outside the state directory.
2. The rows are deleted; their pseudonyms are remembered in the same transaction, until their bytes are gone.
3. The subjects are destroyed: keys, payloads, entry keys, inbox rows, and every sealed answer to anybody; the ledger's
   file is rewritten.
4. `visits.duckdb` is rewritten; every file of the state directory is searched for the pseudonyms, and for the keyed
   hashes, keys and payloads of who was destroyed in this run; what the search saw is written down; only then does the
   new file replace the old one.
5. `Erased` is logged once, with counts and the SHA-256 of what the search saw; the log is signed; the certificate is
   written; then the request is settled.

So an `Erased` entry never stands before what it says. Where a table or column is found that the policy does not name,
steps 1 to 3 are made and 4 waits: what is known is deleted, and nothing is claimed. After a crash between 3 and 4 the
keys and payloads are known to nobody any more and cannot be searched for; the certificate counts what was.

Backups and what is due are not here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785

from analytics.state import State
from analytics.store import Visits
from consent import accounts
from consent.events import PERMITTING, ConsentError, EventKind, Value
from consent.ledger import Ledger, Request, RequestStatus, Standing
from retention import certificate, policy
from retention.access import forget_answers
from retention.due import Due, Scope
from retention.journal import Journal
from retention.model import RetentionError
from retention.scan import SearchError, search_apart

REQUEST = "erasure"


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, in numbers.

    Attributes:
        subjects: destroyed with their keys.
        rows: deleted from the visits.
        leaf_index: of the `Erased` entry.
        certificate: name of its file.
    """

    subjects: int
    rows: int
    leaf_index: int
    certificate: str = ""


class UnnamedError(RetentionError):
    """Something is stored that no rule of the policy names."""


class Erasure:
    """Erases what is due in one shop.

    Args:
        state: the state directory and what the shop decided.
        ledger: opened for the keeper.
        visits: the open visits.
        sign: signs the log as it stands; given an instant.
    """

    def __init__(
        self, state: State, ledger: Ledger, visits: Visits, sign: Callable[[int], object] | None = None
    ) -> None:
        self._ledger, self._visits = ledger, visits
        self._due = Due(state, ledger, visits)
        self._sign = sign or (lambda _: ledger.sign_checkpoint())
        self.journal = Journal(state.journal, ledger)
        self._gone: list[bytes] = []  # keyed hashes, keys and payloads of the destroyed, until they are searched for

    @property
    def state(self) -> State:
        """The shop."""
        return self._due.state

    @state.setter
    def state(self, state: State) -> None:
        self._due.state = state

    def run(self, now_us: int, subjects: Collection[bytes] | None = None) -> list[Erased]:
        """End what is over, and erase everything that is due, unfinished erasures too.

        Args:
            now_us: UTC microseconds.
            subjects: of whom something ended; everybody is looked at by default, and where an erasure is unfinished.

        Raises:
            LedgerError: another process was reading, so that bytes may remain: the next run goes on from here.
            RetentionError: a pattern was found in a file after its erasure, or something is stored that no rule names;
                nothing is logged as erased.
        """
        over = {done.subject for done in self._ledger.expire(now_us)}
        unfinished = self._unfinished()
        scope = self._due.scope(now_us, None if subjects is None or unfinished else {*subjects, *over})
        self._visits.set_apart(scope.covers, scope.oldest_us, scope.held, among=scope.among)
        for request in unfinished:
            if self._logged(request.id) is None:  # what became due since its entry belongs to another
                self._delete(request, scope, now_us)
        due = self._due.subjects(scope)
        if due or self._due.rows(scope):
            number = self._ledger.open_request(REQUEST, self._intent(due, scope), now_us=now_us)
            self._delete(self._request(number), scope, now_us)
        requests = self._unfinished()
        if not requests:
            return []
        self.check_named()
        return self._finish(requests, scope, now_us)

    def check_named(self) -> None:
        """Find everything that is stored named by the policy.

        Raises:
            UnnamedError: it is not.
        """
        if strange := unnamed(self.state, self._ledger, self._visits):
            raise UnnamedError(
                f"{strange[0]} is stored and no retention rule names it; name it in retention/policy.py or remove it: "
                "nothing is loaded, released or logged as erased meanwhile"
            )

    # the steps

    def _intent(self, due: Collection[bytes], scope: Scope) -> bytes:
        """Return who goes, and by which entries of the log their consents ended."""
        numbers = sorted(self._ledger.number_of(s) for s in due)
        size, since = self._ledger.size, self._through()
        ended = [
            (s.leaf_index, s.ended_us) for one in due for s in self._ledger.standing(one) if s.ended_us is not None
        ]
        for subject in self._ledger.ended_since(since) - set(due):
            kept = self._due.purposes_kept(subject, scope)
            ended += [
                (s.leaf_index, s.ended_us)
                for s in self._ledger.standing(subject)
                if s.ended_us is not None and s.leaf_index >= since and s.purpose not in kept
            ]
        told = {"subjects": numbers, "ended": sorted(set(ended)), "through": size}
        return json.dumps(told, separators=(",", ":")).encode()

    def _through(self) -> int:
        """Return up to which entry the log had grown when the last erasure was intended."""
        last = self._ledger.last_event(EventKind.ERASED)
        return 0 if last is None else int(json.loads(last[0].payload).get("through", 0))

    def _delete(self, request: Request, scope: Scope, now_us: int) -> None:
        numbers: list[int] = json.loads(request.args)["subjects"]
        level, terms = self.state.level(self._ledger), self.state.store.terms.days()
        self.journal.append(numbers, request.id, now_us, level=level, terms=terms)
        self._visits.delete(scope.covers, scope.oldest_us, request.id, among=scope.among, held=scope.held)
        due = {self._ledger.number_of(s): s for s in self._due.subjects(scope)}
        gone = [due[n] for n in numbers if n in due]
        self._gone += [pattern for subject in gone for pattern in self._patterns(subject)]
        forget_answers(self.state, self._ledger, numbers)
        self._ledger.destroy_subjects(gone, now_us=now_us, log=False)

    def _patterns(self, subject: bytes) -> list[bytes]:
        """Return what must not stand in any file once a subject is destroyed; each of it is random somewhere."""
        ((sealed,),) = self._ledger.select("SELECT wrapped FROM subjects WHERE subject = ?", subject)
        records = self._ledger.records_of(subject)
        found = [subject, sealed, *(record.entry_key for record in records)]
        found += [g for (g,) in self._ledger.select("SELECT grant_id FROM grants WHERE subject = ?", subject)]
        found += [record.payload for record in records if b'"grant":' in record.payload]
        with suppress(ConsentError):  # sealed to a key that is retired: nobody has it
            found.append(self._ledger.subject_key(subject))
        return found

    def _finish(self, requests: Sequence[Request], scope: Scope, now_us: int) -> list[Erased]:
        rows = {request.id: self._visits.deleted_by(request.id) for request in requests}
        fresh = [request for request in requests if self._logged(request.id) is None]
        if any(rows[request.id] for request in fresh) or self._visits.erasing():
            self._visits.rewrite(lambda _: self._prove(fresh, now_us, leave_out=[self.state.visits]))
        elif fresh:
            self._prove(fresh, now_us)
        self._gone.clear()
        entries = [(request.id, self._log(request.id, rows[request.id], now_us)) for request in requests]
        self._sign(now_us)
        return [self._certify(number, leaf, rows[number], scope, now_us) for number, leaf in entries]

    def _prove(self, requests: Sequence[Request], now_us: int, leave_out: Sequence[Path] = ()) -> None:
        """Find nothing that was erased in any file but the one that is about to be replaced, and write that down.

        Where this was done already, and a crash came before the end, there is nothing left to search for: what was
        seen then stands.
        """
        pseudonyms, control = self._visits.erasing(), self._visits.sample()
        if not pseudonyms and not self._gone and all(request.result for request in requests):
            return
        try:
            seen = search_apart(self.state.root, pseudonyms, leave_out, others=self._gone, control=control)
        except SearchError as error:
            raise RetentionError(str(error)) from error
        if seen.found:
            raise RetentionError(
                f"what was erased still stands in {', '.join(sorted(seen.found))}; remove what does not belong into "
                f"{self.state.root}, and run `openaisle retention run`"
            )
        if control and not seen.control:
            raise RetentionError("the search does not find what is there, so it proves nothing; nothing is logged")
        told = certificate.proof(
            seen, self.state.visits.name, pseudonyms=len(pseudonyms), others=len(self._gone), control=len(control)
        )
        for request in requests:
            result = rfc8785.dumps(told)
            self._ledger.settle_request(request.id, RequestStatus.RUNNING, now_us=now_us, result=result)

    def _log(self, number: int, rows: dict[str, int], now_us: int) -> int:
        logged = self._logged(number)
        if logged is not None:
            return logged
        request = self._request(number)
        asked = json.loads(request.args)
        # somebody who said yes again in between lives on
        destroyed = len(set(asked["subjects"]) - self._numbers())
        details: dict[str, Value] = {"rows": sum(rows.values()), "request": number, "through": asked.get("through", 0)}
        return self._ledger.append_event(
            EventKind.ERASED,
            now_us=now_us,
            count=destroyed,
            digest=hashlib.sha256(request.result or b"").digest(),
            details=details,
            operation=hashlib.sha256(f"erased:{self._ledger.store}:{number}".encode()).digest(),
        )

    def _certify(self, number: int, leaf: int, rows: dict[str, int], scope: Scope, now_us: int) -> Erased:
        request = self._request(number)
        ended: list[list[int]] = json.loads(request.args).get("ended", [])
        search: dict[str, Any] = json.loads(request.result or b"{}")
        ((_, data),) = self._ledger.leaves(leaf, leaf + 1)
        path = certificate.write(
            self.state.certificates,
            self._ledger,
            leaf,
            search=search,
            rows=rows,
            ended=[(entry, at_us) for entry, at_us in ended],
            held=scope.holds,
        )
        self._ledger.settle_request(number, RequestStatus.DONE, now_us=now_us)
        self._visits.settle(number)
        return Erased(int(json.loads(data)["count"]), sum(rows.values()), leaf, path.name)

    # what is known of it

    def _logged(self, number: int) -> int | None:
        """Return the entry that says an erasure is done, None where there is none yet."""
        sql = "SELECT leaf, payload FROM records WHERE kind = ? ORDER BY leaf DESC LIMIT 100"
        for leaf, payload in self._ledger.select(sql, EventKind.ERASED.value):
            if json.loads(payload).get("request") == number:
                return int(leaf)
        return None

    def _unfinished(self) -> list[Request]:
        return [r for r in self._ledger.pending_requests() if r.kind == REQUEST]

    def _request(self, number: int) -> Request:
        request = self._ledger.read_request(number)
        if request is None:
            raise RetentionError(f"erasure {number} is not in the ledger any more; restore it from a backup")
        return request

    def _numbers(self) -> set[int]:
        return {number for (number,) in self._ledger.select("SELECT number FROM subjects")}


def unnamed(state: State, ledger: Ledger, visits: Visits) -> list[str]:
    """Return the tables and columns of a shop that no rule of the policy names."""
    return [
        *policy.unnamed(policy.Place.LEDGER, tables(ledger)),
        *policy.unnamed(policy.Place.VISITS, visits.columns()),
        *policy.unnamed(policy.Place.ACCESS, accounts.columns(state.root / policy.Place.ACCESS)),
    ]


def tables(ledger: Ledger) -> dict[str, list[str]]:
    """Return the columns of the ledger by table."""
    sql = (
        "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_xinfo(m.name) p"
        " WHERE m.type IN ('table', 'view') ORDER BY m.name, p.cid"
    )
    found: dict[str, list[str]] = {}
    for table, column in ledger.select(sql):
        found.setdefault(table, []).append(column)
    return found


def live(standing: Collection[Standing], now_us: int | None = None) -> Sequence[Standing]:
    """Return the grants that are neither ended nor, at an instant, past their term.

    A grant that seems to lie in the future is live: it is the clock that was moved back.
    """
    return [s for s in standing if s.state in PERMITTING and (now_us is None or now_us < s.until_us)]
