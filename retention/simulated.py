"""A simulated past for the officers' pages of the demo: five weeks of a shop's promises, kept by the product itself.

Made up is who comes to the kiosk, when, and what they say; then everybody's part is the real one: consents in the
ledger as the kiosk writes them, the keeper that loads, erases, certifies and signs, holds, requests, four eyes, an
outside witness. The last to come are the people of the rendered clip, who do what its script says.

Rules:
- Only a shop that says it is simulated gets such a past.
- Codes, and the witness's key, are in memory or in a folder that goes at the end; none is kept.
- So few visits are written that no figure comes of them: the figures of the demo are those of `shopfloor.weeks`.
- It ends at the present, and every instant in it is before that.
"""

from __future__ import annotations

import heapq
import random
import tempfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

from analytics.config import ConfigError
from analytics.dashboard import open_accounts
from analytics.desk import log_keys, shop
from analytics.hourly import HIDDEN, HOUR_US, LEAST, Hour, band, camera_of
from analytics.model import SECOND, EndReason, StartReason
from analytics.row import VISIT, VisitRow
from analytics.shopfloor import opening, record, weeks
from analytics.state import STORE_TOML, State
from consent import answers, approval
from consent.access import Access, Action, Desk, Refusal
from consent.accesslog import AccessLog
from consent.events import DAY_US, Channel, EventKind, Level, Purpose
from consent.keys import Role
from consent.kiosk.messages import Messages
from consent.kiosk.notice import notice
from consent.witness import Witness, request
from retention import holds, window, witnessed
from retention.keeper import Keeper

DAYS = 35
RAISED = 15  # days ago, from `dwell` to `emotion`
_MINUTE_US = 60 * SECOND
_OPEN, _SHUT = 9, 20  # hours on the shop's clock
_ASKED = 13  # questions on a day of weight 1, answered or not
_WEEKDAY = (0.85, 0.8, 0.9, 1.0, 1.25, 1.4, 0.0)  # Monday to Sunday
_SAYS = {"grant": 62, "refuse": 20, "object": 5, "": 13}
_LANGUAGES = {"en": 55, "de": 40, "fr": 5}
_WITHDRAW, _AGAIN = 0.05, 0.05  # shares of those who agreed: take it back; come again and say it again
_VISITS = 32  # in all, no more than 8 a shelf: a figure needs ten
_SHELVES = ("tea", "coffee", "sweets", "fruit")
_FRAMES_S = 5


def open_shop(root: Path, *, now_us: int) -> State:
    """Make the shop of the four simulated weeks as it was when this past begins.

    Args:
        root: the directory to make.
        now_us: the present, UTC microseconds.

    Raises:
        ConfigError: something is there already.
    """
    return opening.open_shop(
        root, name=weeks.NAME, source="simulated", now_us=now_us - DAYS * DAY_US, level=Level.DWELL, hours=True
    )


class Past:
    """The past of one shop that `open_shop` made, until the present.

    Args:
        state: of the shop.
        now_us: the present, UTC microseconds.
        seed: of everything that is made up.

    Raises:
        ConfigError: the shop does not say that it is simulated.
    """

    def __init__(self, state: State, *, now_us: int, seed: int = weeks.SEED) -> None:
        if not state.store.store.simulated:
            raise ConfigError(f"{state.root} is no simulated shop; a simulated past never goes where a real one may be")
        self._state, self._end_us = state, now_us
        self._rng = random.Random(seed)  # noqa: S311 - made up, no secret
        self._due: list[tuple[int, int, Callable[[int], object]]] = []
        self._codes: dict[str, str] = {}  # by who they are; in memory only
        self._visits = 0
        self._at_us = now_us - DAYS * DAY_US

    def live(self, progress: Callable[[float], object] | None = None) -> State:
        """Let it happen, and return the shop as it is then.

        Args:
            progress: called with the share that is done.
        """
        state = self._state
        with (
            tempfile.TemporaryDirectory(prefix="openaisle-past-") as scratch,
            state.open_ledger(Role.KIOSK) as self._kiosk,
            state.open_ledger(Role.WATCH) as self._watch,
            state.open_ledger(Role.DASHBOARD) as self._desk,
            state.open_ledger(Role.KEEPER) as own,
            Keeper(state, own) as self._keeper,
            open_accounts(state) as accounts,
        ):
            clock = AccessLog(self._desk, now_us=lambda: self._at_us, clock=lambda: self._at_us / SECOND)
            self._access = Access(accounts, clock, now_us=lambda: self._at_us)
            self._plan(Path(scratch))
            began = self._at_us
            while self._due:
                self._at_us, _, act = heapq.heappop(self._due)
                act(self._at_us)
                if progress is not None:
                    progress((self._at_us - began) / (self._end_us - began))
            self._access.close()
            self._keeper.run_once(self._end_us - 2 * SECOND).check()
            self._answer(self._end_us - SECOND)
        return self._state

    # --- what happens, and when ---------------------------------------------------------------------------------------

    def _later(self, at_us: int, act: Callable[[int], object]) -> None:
        if self._at_us <= at_us < self._end_us - _MINUTE_US:
            heapq.heappush(self._due, (at_us, len(self._due) + self._rng.getrandbits(40), act))

    def _ago(self, days: float) -> int:
        return self._end_us - round(days * DAY_US)

    def _plan(self, scratch: Path) -> None:
        self._later(self._at_us + _MINUTE_US, lambda _: self._hire())
        first = datetime.fromtimestamp(self._at_us / SECOND, self._state.store.timezone).date()
        for number in range(DAYS + 1):
            self._day(first + timedelta(days=number))
        self._later(self._ago(RAISED + 0.2), lambda _: self._ask_for_more())
        self._later(self._ago(RAISED), self._raise)
        for days, kind, then in (
            (34, "access", (28, "answered")),
            (24, "erasure", (23, "erased")),
            (20, "complaint", (None, "complexity")),
            (12, "access", (9, "unknown")),
            (6, "objection", (5, "answered")),
            (2, "access", None),
        ):
            self._later(self._ago(days), partial(self._request, kind, then))
        self._later(self._ago(25.3), lambda at: self._hold(at, 26, 25, released=18.1))
        self._later(self._ago(10.2), lambda at: self._hold(at, 12, 10))
        self._later(self._ago(6.1), self._erase_window)
        self._later(self._ago(1.1), self._deny)
        for ago in (21.0, 7.0, 0.9):
            self._later(self._ago(ago), lambda at: self._witness(at, scratch))
        for choice in record.read().choices:
            at_us = self._end_us - HOUR_US + round(choice.t_s * SECOND)
            self._later(at_us, partial(self._say, choice.act, choice.person, [Purpose(p) for p in choice.purposes]))

    def _day(self, day: date) -> None:
        """Plan a day: the keeper's sweep before opening, who comes to the kiosk, and what the camera writes down."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=self._state.store.timezone)
        at = [round((midnight + timedelta(hours=hour)).timestamp()) * SECOND for hour in range(25)]
        weight = _WEEKDAY[day.weekday()]
        if weight:
            self._later(at[_OPEN] - 10 * _MINUTE_US, lambda us: self._keeper.run_once(us).check())
        for hour in range(_OPEN, _SHUT if weight else _OPEN):
            answers = 0
            for i in range(self._rng.randrange(round(2 * weight * _ASKED / (_SHUT - _OPEN)) + 1)):
                (says,) = self._rng.choices(list(_SAYS), list(_SAYS.values()))
                if says:
                    who = f"{day} {hour} {i}"
                    self._later(
                        at[hour] + self._rng.randrange(HOUR_US - _MINUTE_US), partial(self._say, says, who, None)
                    )
                    answers += says == "grant"
            self._later(at[hour + 1], partial(self._hour, at[hour], round(weight * self._rng.uniform(18, 46)), answers))

    # --- who does it --------------------------------------------------------------------------------------------------

    def _say(self, says: str, who: str, purposes: list[Purpose] | None, at_us: int) -> None:
        """Let somebody answer at the kiosk as the page does, or take it back on their phone."""
        self._state = self._state.reread()
        if says == "object":
            self._kiosk.object(now_us=at_us)
            return
        if says == "withdraw":
            self._kiosk.withdraw(self._codes.pop(who), now_us=at_us, purposes=purposes, channel=Channel.PHONE)
            self._keeper.run_once(at_us + SECOND, sweep=False).check()
            return
        about = shop(self._state, self._kiosk)
        language = self._rng.choices(list(_LANGUAGES), list(_LANGUAGES.values()))[0]
        shown = notice(about, Messages.load(language if language in about.languages else about.languages[0]))
        if says == "refuse":
            self._kiosk.refuse(now_us=at_us, notice_sha256=shown.sha256, language=shown.language, version=shown.version)
            return
        level = about.level()
        said = self._kiosk.grant(
            [one for one in purposes or self._ticks() if level.allows(one)],
            now_us=at_us,
            notice_sha256=shown.sha256,
            language=shown.language,
            version=shown.version,
            terms=about.terms,
            controller_sha256=about.controller.sha256(),
            jurisdiction=about.controller.jurisdiction,
            level=level,
            secret=self._codes.get(who),
        )
        again, self._codes[who] = who in self._codes, said.secret
        chance = self._rng.random()
        if chance < _WITHDRAW and purposes is None:
            wait_us = self._rng.choice((3, 9, 40, 300, 3000)) * _MINUTE_US
            self._visit(said.subject, at_us + _MINUTE_US)
            self._later(at_us + wait_us, partial(self._say, "withdraw", who, None))
        elif chance < _WITHDRAW + _AGAIN and not again:
            # after the term, since what is live is not asked for again
            self._later(at_us + (about.terms[Purpose.DWELL] + 1) * DAY_US, partial(self._say, "grant", who, None))
        elif self._visits < _VISITS:
            self._visit(said.subject, at_us + _MINUTE_US)

    def _ticks(self) -> list[Purpose]:
        chance = self._rng.random
        more = [one for one, share in ((Purpose.REPEAT, 0.3), (Purpose.EMOTION, 0.4)) if chance() < share]
        return [Purpose.DWELL, *more]

    def _visit(self, subject: bytes, at_us: int) -> None:
        self._visits += 1
        stay_us = round(self._rng.uniform(6, 70) * SECOND)
        row = VisitRow(
            opening.CAMERA,
            _SHELVES[self._visits % len(_SHELVES)],
            at_us,
            at_us + stay_us,
            StartReason.CROSSED,
            EndReason.CROSSED,
            stay_us // 2,
        )
        self._watch.write_inbox(
            VISIT,
            subject,
            row.encode(),
            now_us=row.leave_us,
            visit_start_us=row.enter_us,
            visit_end_us=row.leave_us,
            requires={Purpose.DWELL},
            level=self._state.level(self._watch),
        )

    def _hour(self, from_us: int, people: int, linked: int, at_us: int) -> None:
        """Write down what the camera did in an hour, as `watch` does."""
        level = self._state.level(self._watch)
        written = band(2 * linked) if linked >= LEAST else HIDDEN
        told = Hour(
            camera=camera_of(opening.CAMERA),
            from_us=from_us,
            frames=_FRAMES_S * 3600 - self._rng.randrange(40),
            tracks=band(people),
            links=band(linked),
            rows=written,
            looks=written,
            expression=written if level is Level.EMOTION else "0",
        )
        self._watch.append_event(EventKind.TALLIED, now_us=at_us, details=told.details())

    def _hire(self) -> None:
        for desk in Desk:
            made = self._access.accounts.add(f"demo {desk}", desk, now_us=self._at_us)
            self._access.log.changed(made.id, "made", desk=desk)

    def _ask_for_more(self) -> None:
        who = self._access.accounts.find(f"demo {Desk.ADMINISTRATOR}").who()
        approval.ask(self._desk, self._access, who, Level.EMOTION, "DPIA of the simulated shop")

    def _raise(self, at_us: int) -> None:
        who = self._access.accounts.find(f"demo {Desk.COMPLIANCE}").who()
        approval.approve(self._desk, self._access, who, Level.EMOTION, "DPIA of the simulated shop")
        path = self._state.root / STORE_TOML
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(f'level = "{Level.DWELL}"', f'level = "{Level.EMOTION}"'), encoding="utf-8")
        self._keeper.run_once(at_us + SECOND).check()

    def _request(self, kind: str, then: tuple[float | None, str] | None, at_us: int) -> None:
        self._access.log.read(self._officer, Action.CHANGE_REQUESTS)
        case = self._desk.open_case(kind, self._date(at_us))
        if then is None:
            return
        ago, word = then
        if ago is None:
            self._desk.extend_case(case.number, word, self._date(at_us))
            return
        self._later(self._ago(ago), lambda at: self._desk.close_case(case.number, word, self._date(at), now_us=at))

    def _hold(self, at_us: int, first: int, last: int, released: float | None = None) -> None:
        days = (self._date(self._ago(first)), self._date(self._ago(last)))
        placed = holds.place(
            self._desk, ["dwell"], *days, officer=self._officer, reference=f"file {first}", now_us=at_us
        )
        if released is not None:
            self._later(
                self._ago(released),
                lambda at: holds.release(self._desk, placed.entry, officer=self._officer, now_us=at),
            )

    def _erase_window(self, at_us: int) -> None:
        """Erase whoever said yes around one instant of the day before: somebody lost their code."""
        for hours in range(20, 60):
            chosen = window.Window(at_us - hours * HOUR_US, at_us - hours * HOUR_US + 30 * _MINUTE_US)
            if found := window.count(self._desk, chosen):
                self._access.log.read(self._officer, Action.ERASE)
                window.erase(self._desk, chosen, found, officer=self._officer, now_us=at_us)
                self._keeper.run_once(at_us + SECOND, sweep=False).check()
                return

    def _deny(self, _at_us: int) -> None:
        manager = self._access.accounts.find(f"demo {Desk.MANAGER}").id
        self._access.log.denied(Refusal.PAGE, account=manager, action=Action.SEE_COMPLIANCE)
        self._access.log.read(self._officer, Action.READ_CONSENTS)
        self._access.log.flush()

    def _witness(self, at_us: int, scratch: Path) -> None:
        """Have the log seen from outside; the witness's key ends with this process."""
        folder = scratch / "witness"
        if folder.exists():
            witness = Witness(folder)
        else:
            witness = Witness.create(folder, "witness.example/simulated", log_keys(self._desk)[0])
        seen = witnessed.read(self._state.root, self._desk)
        note = witness.cosign(request(self._desk, 0 if seen is None else seen.checkpoint.size), now_s=at_us // SECOND)
        witnessed.keep(self._state.root, self._desk, note, witness.verifier_key)

    def _answer(self, at_us: int) -> None:
        """Have everything handed out that is held under the code of whoever said yes last."""
        answers.ask(self._kiosk, next(reversed(self._codes.values())), now_us=at_us)
        self._keeper.run_once(at_us, sweep=False).check()

    @property
    def _officer(self) -> str:
        return self._access.accounts.find(f"demo {Desk.COMPLIANCE}").id

    def _date(self, at_us: int) -> date:
        return datetime.fromtimestamp(at_us / SECOND, self._state.store.timezone).date()
