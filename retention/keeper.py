"""The keeper: loads the inbox into the visits, erases what is due, has figures released, signs the log.

Rules:
- It alone opens `visits.duckdb`, and it alone deletes.
- Rows are loaded by the rules of `loading`. Erasure does not wait for a row that cannot be.
- A change of the ledger is under a signed checkpoint within a second, whatever else is being done.
- No erasure waits for a figure: a released file that is broken stops the release and nothing else.
- Where something is stored that the policy does not name, the sweep fails: nothing is loaded, released or logged as
  erased. What is named is deleted all the same.
- Large files are not rewritten for each withdrawal of a busy minute: the second one waits for those behind it.

One pass is `Keeper.run_once`; the loop decides only when. The clock is an argument, and one that was moved back
erases nobody early and nothing twice.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Self

from analytics.config import ConfigError
from analytics.figures import Audience, Figure
from analytics.payload import CellError, CellPayload
from analytics.state import State
from analytics.store import StoreError, Visits
from consent.answers import REQUEST as ACCESS
from consent.approval import approver
from consent.events import DAY_US, END_EVENTS, ConsentError, EventKind, Leaf, Level, Purpose
from consent.ledger import Ledger, LedgerError, RequestStatus
from consent.logs import plain
from retention import access, bundle, counter, policy, signage
from retention.backup import REQUEST as BACKUP
from retention.clock import Clock
from retention.erasure import Erased, Erasure
from retention.holdings import holdings
from retention.journal import Journal
from retention.loading import BATCH, Loading
from retention.model import RetentionError
from retention.release import Release, Rng
from retention.status import last_sweep, note_sweep

SWEEP_S = float(policy.SWEEP_S)  # at least this often everything is looked at
POLL_S = 0.2  # how often the ledger is asked whether it changed
_RETRY_S = 1.0  # after a sweep that could not finish, at first; then twice as long each time
_SPARE_US = 3_600_000_000  # how long a copy for a backup may wait to be taken
_SHORT_S = 0.5  # an erasure that takes no longer is made for each withdrawal
_GATHER_S = 31.0  # for others to come, where one takes longer and the last is less than a minute ago
_DONE_S = 44.0  # after its withdrawal, an erasure is to be done
_BUSY_S = 60.0
_ENDS = frozenset(END_EVENTS.values())

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PassReport:
    """What one pass did, in numbers.

    Attributes:
        signed: a checkpoint was signed.
        loaded: rows written into the visits.
        refused: inbox rows whose grant did not hold any more; they are gone.
        cells: cells of figures that were released.
        erased: erasures that were carried out and logged.
        blocked: number of an inbox row that this version cannot read, None where there is none.
        deferred: why an erasure is not finished, None where it is.
        config: why `store.toml` is not followed, None where it is.
        figures: why figures are not released, None where they are.
        unnamed: what is stored and not named by the policy, so that the sweep failed; None where there is nothing.
        journal: why the journal is not kept, None where it is; nothing is erased meanwhile.
    """

    signed: bool = False
    loaded: int = 0
    refused: int = 0
    cells: int = 0
    erased: tuple[Erased, ...] = ()
    blocked: int | None = None
    deferred: str | None = None
    config: str | None = None
    journal: str | None = None
    figures: str | None = None
    unnamed: str | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, each once, a line each."""
        said = (self.deferred, self.config, self.journal, self.figures, self.unnamed)
        return tuple(dict.fromkeys(problem for problem in said if problem is not None))

    def check(self) -> None:
        """Find that nothing is wrong.

        Raises:
            RetentionError: the first thing that is.
        """
        if self.problems:
            raise RetentionError(self.problems[0])


class Keeper:
    """The keeper of one shop; open, it keeps every other keeper out.

    Args:
        state: the shop.
        ledger: opened with `Role.KEEPER`.
        rng: where the draws for rounding released counts come from.

    Raises:
        StoreError: another keeper works here, or the visits lack what is declared.
        JournalError: the ledger is older than its journal: it was put back by hand.
    """

    def __init__(self, state: State, ledger: Ledger, rng: Rng | None = None) -> None:
        self.state = state
        self._ledger, self._rng = ledger, rng or random.SystemRandom()
        Journal(state.journal, ledger).check()
        self._visits = Visits(state.visits)
        self._loading = Loading(ledger, self._visits)
        self._erasure = Erasure(state, ledger, self._visits, self._sign)
        self._release: Release | None = None  # made when it is needed: no erasure waits for a figure
        self._signing = threading.Lock()
        self._read = 0  # log entries looked at for what makes something due
        self._level: Level | None = None  # at the last pass
        self._ended: set[bytes] = set()  # subjects of whom a consent ended since the last erasure
        self._everything = False  # the level fell, a hold was released, or an erasure is unfinished
        self._waiting_s: float | None = None  # since when something is due, by the clock of elapsed time
        self._last: tuple[float, float] = (-math.inf, 0.0)  # when the last erasure was done, and how long it took
        self._unkept: str | None = None  # why the journal is not kept
        self._clock: Clock | None = (last_sweep(state.root) or {}).get("clock")  # the first one is believed
        self._headless = True  # the newest checkpoint is not beside it yet
        self._told_by: tuple[bytes, Level] | None = None  # what the notice below was made from
        self._told: dict[str, str] = {}

    def close(self) -> None:
        """Close the visits; the ledger is the caller's."""
        self._visits.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def visits(self) -> Visits:
        """The open visits."""
        return self._visits

    # one pass

    def run_once(self, now_us: int, *, sweep: bool = True, gather: bool = False) -> PassReport:
        """Do everything there is to do now.

        Args:
            now_us: UTC microseconds.
            sweep: look for everything that is due, and release; otherwise only sign, load and hand on sums, and erase
                where a consent ended, the level fell or a hold was released.
            gather: what ended may wait for more, where a large file was rewritten a moment ago.

        Raises:
            ConsentError: the keys do not fit the ledger, or the log was changed.
            AnalyticsError: the visits cannot be used.
        """
        config = self._follow_config(now_us)
        self._look_at_clock(now_us)
        signed = self._sign(now_us)
        self._answer(now_us)
        self._look_for_ends()
        unnamed = self._unnamed()
        loaded, refused, blocked = (0, 0, None) if unnamed else self._loading.load(self.state, now_us)
        cells, unread, figures = (0, None, None) if unnamed else self._release_sums()
        blocked = unread if blocked is None else blocked
        erased: list[Erased] = []
        deferred = None
        if sweep or (self._waiting_s is not None and not (gather and self._gathers())):
            erased, deferred = self._erase(now_us, everybody=sweep)
            self._forget(now_us)
            if sweep and deferred is None and unnamed is None:
                released, broken = self._release_figures(now_us)
                cells, figures = cells + released, broken or figures
            self._prune_journal(now_us)
            self._ledger.reserve.fill()
            self._drop_spare(now_us)
        signed = self._sign(now_us) or signed
        report = PassReport(
            signed,
            loaded,
            refused,
            cells,
            tuple(erased),
            blocked,
            deferred,
            config,
            self._unkept,
            figures,
            unnamed,
        )
        if sweep:
            there = holdings(self.state, self._ledger, self._visits, now_us) if deferred is None else None
            note_sweep(self.state.root, asdict(report), now_us, self._clock or Clock(now_us), there)
        return report

    def _erase(self, now_us: int, *, everybody: bool) -> tuple[list[Erased], str | None]:
        """Erase what is due; return what was erased, or why it is not finished."""
        began = _elapsed()
        whom = None if everybody or self._everything else frozenset(self._ended)
        try:
            erased = self._erasure.run(now_us, whom)
        except (LedgerError, StoreError, RetentionError) as error:
            # a reader held the ledger, or the bytes are still somewhere; the intent is written down
            self._everything = True
            return [], str(error)
        self._ended.clear()
        self._everything, self._waiting_s = False, None
        if erased:
            self._last = _elapsed(), _elapsed() - began
        return erased, None

    def _forget(self, now_us: int) -> None:
        """Delete what is past a term that does not hang on a consent: as the policy says."""
        sweep = policy.sweep(self.state.store.terms.days())
        self._ledger.forget({table: now_us - age_us for table, age_us in sweep.forget.items()})
        for folder, age_us in sweep.files.items():
            if folder == self.state.certificates.name and not self._believed:
                continue
            for path in (self.state.root / folder).glob("*"):
                if path.is_file() and path.stat().st_mtime_ns // 1000 < now_us - age_us:
                    path.unlink(missing_ok=True)

    @property
    def _believed(self) -> bool:
        return self._clock is not None and self._clock.believed

    def _look_at_clock(self, now_us: int) -> None:
        before = self._clock or Clock(now_us)
        self._clock = before.look(now_us)
        if before.believed and (complaint := self._clock.complaint()):
            _log.warning("the clock %s", plain(complaint))

    def _unnamed(self) -> str | None:
        try:
            self._erasure.check_named()
        except RetentionError as error:
            return str(error)
        return None

    def _sign(self, now_us: int) -> bool:
        """Sign the log; what it says is in the journal first, and what came in between right after."""
        with self._signing:
            self._follow(now_us)
            note = self._ledger.sign_checkpoint()
            if note is not None:
                self._follow(now_us)
            self._note_head(note)
            return note is not None

    def _note_head(self, note: str | None) -> None:
        """Let every process know the newest checkpoint, once the journal holds all that it speaks of."""
        if note is None and not self._headless:
            return
        newest = self._ledger.newest_checkpoint()
        if newest is None or self._unkept is not None:
            self._headless = True
            return
        try:
            self._erasure.journal.note_head(newest[0])
            self._headless = False
        except RetentionError as error:
            self._unkept, self._headless = str(error), True

    def _follow(self, now_us: int) -> None:
        try:
            self._erasure.journal.follow(now_us)
            self._unkept = None
        except RetentionError as error:
            self._unkept = str(error)

    def _prune_journal(self, now_us: int) -> None:
        """Forget in the journal what no backup can hold any more."""
        if self._unkept is None and self._believed:
            self._erasure.journal.prune(now_us - self.state.store.terms.backup * DAY_US)

    def _follow_config(self, now_us: int) -> str | None:
        """Log a changed `store.toml` and follow it; one that does not fit is not followed."""
        before = self.state
        try:
            self.state = self._erasure.state = before.reread()
        except ConfigError as error:
            return str(error)
        if self.state.store.store.timezone != before.store.store.timezone:
            self._release = None
        level = self.state.level(self._ledger)
        self._ledger.note_config(
            self.state.sha256,
            now_us=now_us,
            policy=policy.digest(),
            level=level,
            notice=self._notice(level),
            approver=approver(self.state.store.dashboard.approver),
        )
        return None

    def _notice(self, level: Level) -> dict[str, str]:
        """Return version and hashes of the notice in force; made anew only where settings or level changed."""
        wanted = (self.state.sha256, level)
        if self._told_by != wanted:
            self._told_by, self._told = wanted, signage.hashes(self.state, self._ledger)
        return self._told

    def _look_for_ends(self) -> None:
        """Note whose consent ended, whether the level fell, and whether a hold was released, since the last look."""
        size, level = self._ledger.size, self.state.level(self._ledger)
        kinds = {Leaf.decode(data).kind for _, data in self._ledger.leaves(self._read, size)}
        if kinds & _ENDS:
            self._ended |= self._ledger.ended_since(self._read)
        if EventKind.HOLD_RELEASED in kinds or (self._level is not None and level < self._level):
            self._everything = True
        if self._waiting_s is None and (self._ended or self._everything):
            self._waiting_s = _elapsed()
        self._read, self._level = size, level

    def _gathers(self) -> bool:
        """Say whether what ended waits for more: a large file was rewritten a moment ago, and there is time."""
        done_s, took_s = self._last
        now_s = _elapsed()
        if self._waiting_s is None or took_s <= _SHORT_S or now_s - done_s > _BUSY_S:
            return False
        return now_s - self._waiting_s < min(_GATHER_S, _DONE_S - 1.1 * took_s)

    # requests

    def _answer(self, now_us: int) -> None:
        """Do what others asked for, but for erasures, which have their own order."""
        for request in self._ledger.pending_requests():
            if request.kind == counter.REQUEST:
                counter.act(self._ledger, request, now_us)  # a copy that is asked for by it is among the next
        for request in self._ledger.pending_requests():
            if request.kind == BACKUP:
                try:
                    self._visits.copy(self._visits.spare)
                except StoreError as error:
                    _log.warning("%s", error)
                    self._ledger.settle_request(request.id, RequestStatus.FAILED, now_us=now_us)
                else:
                    result = self._visits.spare.name.encode()
                    self._ledger.settle_request(request.id, RequestStatus.DONE, now_us=now_us, result=result)
            elif request.kind == bundle.REQUEST:
                bundle.answer(self.state, self._ledger, request, now_us)
            elif request.kind == ACCESS:
                try:
                    access.answer(self.state, self._ledger, self._visits, request, now_us)
                except OSError as error:
                    _log.warning("an answer could not be written: %s", error)

    def _drop_spare(self, now_us: int) -> None:
        """Remove the copy that a killed backup did not take."""
        sql = "SELECT 1 FROM requests WHERE kind = ? AND (settled_us IS NULL OR settled_us > ?)"
        if self._visits.spare.exists() and not self._ledger.select(sql, BACKUP, now_us - _SPARE_US):
            self._visits.spare.unlink(missing_ok=True)

    # figures

    def _release_sums(self) -> tuple[int, int | None, str | None]:
        """Release everybody's sums; return how many cells were new, which inbox row is unreadable, what is broken."""
        new, after, unread = 0, 0, None
        while page := self._ledger.read_inbox(after, BATCH):
            after = page[-1].id
            cells: dict[int, CellPayload] = {}
            for item in page:
                if item.subject is None:
                    try:
                        cells[item.id] = CellPayload.from_bytes(item.payload)
                    except CellError:
                        unread = item.id
            if cells:
                try:
                    new += self._releasing().release_everybody(cells.values())
                except RetentionError as error:
                    self._release = None
                    return new, unread, str(error)
                self._ledger.delete_inbox(cells)  # released and on disk; one released before is passed over
        return new, unread, None

    def _release_figures(self, now_us: int) -> tuple[int, str | None]:
        """Release what is full of consenting shoppers, and say what is still waited for; return how many cells."""
        kinds, level = self.state.store.kinds(), self.state.level(self._ledger)
        try:
            release = self._releasing()
            release.choose_bins(now_us)
            released = release.release_consenting(self._visits, kinds, now_us)
            spoken_of = [a for a in Audience if a is Audience.EVERYBODY or level.allows(Purpose.DWELL)]
            without = () if level.allows(Purpose.EMOTION) else (Figure.EXPRESSION,)
            release.announce(kinds, now_us, spoken_of, without=without, shelves=self.state.store.shelves())
        except (RetentionError, StoreError) as error:
            self._release = None
            return 0, str(error)
        return released, None

    def _releasing(self) -> Release:
        """Return the release, opened anew after it failed.

        Raises:
            RetentionError: a released file is not as it was written.
        """
        if self._release is None:
            store = self.state.store
            self._release = Release(self.state.root, self._rng, tz=store.store.timezone, opening=store.opening)
        return self._release

    # the loop

    def run(
        self,
        stop: threading.Event,
        clock: Callable[[], int],
        *,
        on_pass: Callable[[PassReport], None] | None = None,
    ) -> None:
        """Keep the shop until told to stop: at every change of the ledger, and at least every `SWEEP_S` seconds.

        The first pass looks at everything, so that what became due while no keeper ran goes at once.

        Args:
            stop: ends the loop after the pass at work.
            clock: returns UTC microseconds; when it jumps, the sweeps do not: they are counted in elapsed time.
            on_pass: is given the report of every pass.

        Raises:
            ConsentError: see `run_once`; also what stopped the signing.
            AnalyticsError: see `run_once`.
        """
        trouble: list[ConsentError] = []
        signer = threading.Thread(target=self._keep_signing, args=(stop, clock, trouble), name="signer", daemon=True)
        signer.start()
        seen: int | None = None
        due, patience = 0.0, _RETRY_S  # elapsed time of the next sweep, and how long to wait after one that failed
        try:
            while not stop.is_set() and not trouble:
                version, elapsed = self._ledger.data_version(), _elapsed()
                sweep = elapsed >= due
                if sweep or version != seen or (self._waiting_s is not None and not self._gathers()):
                    seen = version
                    report = self.run_once(clock(), sweep=sweep, gather=True)
                    if report.deferred is not None:
                        due, patience = elapsed + patience, min(2 * patience, SWEEP_S)
                    elif sweep:
                        due, patience = elapsed + SWEEP_S, _RETRY_S
                    _note(report)
                    if on_pass is not None:
                        on_pass(report)
                stop.wait(POLL_S)
        finally:
            stop.set()
            signer.join()
        if trouble:
            raise trouble[0]

    def _keep_signing(self, stop: threading.Event, clock: Callable[[], int], trouble: list[ConsentError]) -> None:
        """Sign while a long erasure is at work elsewhere."""
        size = 0
        while not stop.wait(POLL_S):
            try:
                if self._ledger.size != size:
                    size = self._ledger.size
                    self._sign(clock())
            except ConsentError as error:
                trouble.append(error)
                return


def _elapsed() -> float:
    """Return seconds that no clock change moves, and that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _note(report: PassReport) -> None:
    for problem in report.problems:
        _log.warning("%s", plain(problem))
    if report.blocked is not None:
        _log.warning("inbox row %d is not of this version; upgrade the keeper, rows behind it wait", report.blocked)
