"""The demo: the rendered clip goes through the whole product, and what comes out is held against its exact truth.

Everything is the product's own: `watch` on the clip, consents in the ledger at the instants that the clip's script
names, asked for at the pad as a kiosk asks, the keeper, the rows of those who agreed. Nothing in the table is copied
from the truth but the columns that say so. Codes live in memory, and end with the process.

What is served afterwards, and by which keeper the rows are loaded, is the caller's to wire.
"""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from analytics.accuracy import Score, Stay, match, score
from analytics.decision import Outcome as Came
from analytics.decision import deliberations
from analytics.model import SECOND, Visit
from analytics.pipeline import LeftOut, Watched
from analytics.shopfloor import opening, record
from analytics.shopfloor.cast import Choice
from analytics.shopfloor.truth import Decision
from analytics.state import State
from analytics.store import NewVisit
from analytics.watch import watch
from consent.events import Channel, Purpose
from consent.keys import Role
from consent.ledger import Ledger
from consent.padwords import PadKind, PadOutcome
from consent.subjects import period_of, visitor

NAME = "Demo shop (simulated)"
_NOTICE = hashlib.sha256(b"a notice that nobody was shown: the shop is simulated").digest()
_FOOTNOTES = (
    "true and found: how many; same: found where and when they were; error: mean difference of those; counted: in"
    " figures, as far as enough people are in them; outcome: how many came to what they truly came to;"
    " rows: stays written down, of those that there truly were after the yes.",
    "Who is hidden behind the counter or behind another is found late, or taken for two, or for the other.",
    "After an objection nobody is counted whose box met the objector's, for they may have changed numbers; a link ends"
    " in the same way. In a shop this small and full that takes in many. In doubt nobody is linked or written down.",
)
_SETTLED_S = 0.5  # a STOP sooner after the first picture was under way before it, and its length is not known


@dataclass(frozen=True, slots=True)
class Shopper:
    """Somebody who used the pad.

    Attributes:
        choice: what the script has them do.
        outcome: what the camera answered; None where it was not asked.
        rows: what the keeper holds of them in the end.
        true: their true visits from the yes on, as far as they can have rows.
        decided: their true deliberations from the yes on, whose end the clip shows.
        withdrawn: they took it back before the end.
        start_us: instant of the first picture.
    """

    choice: Choice
    outcome: PadOutcome | None
    rows: tuple[NewVisit, ...]
    true: tuple[Stay, ...]
    decided: tuple[Decision, ...]
    withdrawn: bool
    start_us: int

    @property
    def expected(self) -> str:
        """What the rules of the pad want."""
        if self.choice.act == "grant":
            return "linked" if self.choice.binds else "refused"
        return "suppressed" if self.choice.act == "object" else "nothing asked"

    def stays(self) -> list[Stay]:
        """Return the rows as the scorer wants them."""
        return [_stay(r.row.zone, r.row.enter_us, r.row.leave_us, self.start_us) for r in self.rows]

    def posed(self, decision: Decision) -> tuple[float, Came] | None:
        """Return `decision_pose` in seconds and what came of it, as the rows have them; None where they have none."""
        for stay, new in zip(self.stays(), self.rows, strict=True):
            here = stay.zone == decision.zone
            if here and stay.enter_s < decision.leave_s and decision.stop_s < stay.leave_s and new.row.posed:
                length, outcome = new.row.posed[0]
                return length / SECOND, outcome
        return None

    @property
    def as_expected(self) -> bool:
        """True where the camera answered what the rules of the pad want."""
        if self.choice.act == "grant":
            return (self.outcome is PadOutcome.LINKED) == self.choice.binds
        return self.choice.act != "object" or self.outcome is PadOutcome.SUPPRESSED


@dataclass(frozen=True, slots=True)
class Line:
    """One zone, measured against the truth; seconds.

    Attributes:
        zone: its name.
        true: true durations.
        measured: measured ones.
        pairs: (true, measured) durations of those that are the same.
        counted: how many of the measured are in figures.
    """

    zone: str
    true: tuple[float, ...]
    measured: tuple[float, ...]
    pairs: tuple[tuple[float, float], ...]
    counted: int

    @property
    def error(self) -> float | None:
        """Mean absolute error over the pairs, seconds; None without one."""
        return fmean(abs(a - b) for a, b in self.pairs) if self.pairs else None

    def as_dict(self) -> dict[str, float | int | None]:
        """Return the figures by name."""
        return {
            "true": len(self.true),
            "found": len(self.measured),
            "same": len(self.pairs),
            "counted": self.counted,
            "median_true_s": median(self.true) if self.true else None,
            "median_measured_s": median(self.measured) if self.measured else None,
            "error_s": self.error,
        }

    def __str__(self) -> str:
        """Return one line of the table."""
        middle = [f"{median(v):.1f} s" if v else "-" for v in (self.true, self.measured)]
        error = "-" if self.error is None else f"{self.error:.2f} s"
        counts = f"{len(self.true):>6}{len(self.measured):>7}{len(self.pairs):>6}"
        return f"  {self.zone:<18}{counts}{middle[0]:>10}{middle[1]:>10}{error:>9}{self.counted:>9}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the demo.

    Attributes:
        state: the shop.
        watched: what the camera did.
        stays: of everybody, a line a zone.
        decisions: of everybody, a line a product zone.
        score: of everybody's visits.
        shoppers: who used the pad.
        seconds: length of the clip.
    """

    state: State
    watched: Watched
    stays: tuple[Line, ...]
    decisions: tuple[Line, ...]
    score: Score
    shoppers: tuple[Shopper, ...]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints; names of people are those of the script."""
        return {
            "state": str(self.state.root),
            "seconds": self.seconds,
            "watched": asdict(self.watched),
            "score": self.score.as_dict(),
            "stays": {line.zone: line.as_dict() for line in self.stays},
            "decisions": {line.zone: line.as_dict() for line in self.decisions},
            "pad": [
                {
                    "person": one.choice.person,
                    "act": one.choice.act,
                    "expected": one.expected,
                    "outcome": one.outcome,
                    "as_expected": one.as_expected,
                    "withdrawn": one.withdrawn,
                    "rows": len(one.rows),
                    "rows_expected": len(one.true),
                }
                for one in self.shoppers
            ],
            "consenting": self.consenting().as_dict(),
            "poses": {line.zone: line.as_dict() for line in self.poses()},
        }

    def consenting(self) -> Line:
        """Return the stays of those who agreed, as the keeper's rows have them, against their true ones."""
        true: list[float] = []
        measured: list[float] = []
        pairs: list[tuple[float, float]] = []
        for one in self.shoppers:
            mine = one.stays()
            true += map(_length, one.true)
            measured += map(_length, mine)
            pairs += [(_length(one.true[i]), _length(mine[j])) for i, j in match(one.true, mine)]
        return Line("those who agreed", tuple(true), tuple(measured), tuple(pairs), len(measured))

    def poses(self) -> tuple[Line, ...]:
        """Return `decision_pose` of those who agreed, a line a zone; counted is how many outcomes are the true ones."""
        told = [(d, one.posed(d)) for one in self.shoppers for d in one.decided]
        lines = []
        for zone in sorted({d.zone for d, _ in told}):
            true = [d.decision_pose_s for d, _ in told if d.zone == zone and d.decision_pose_s is not None]
            found = [(d, p) for d, p in told if d.zone == zone and p is not None]
            pairs = [(d.decision_pose_s, p[0]) for d, p in found if d.decision_pose_s is not None]
            right = sum(p[1].value == d.outcome for d, p in found)
            lines.append(Line(zone, tuple(true), tuple(p[0] for _, p in found), tuple(pairs), right))
        return tuple(lines)

    def table(self) -> str:
        """Return everything as text; lengths in seconds."""
        head = f"{'true':>6}{'found':>7}{'same':>6}{'median':>10}{'measured':>10}{'error':>9}{'counted':>9}"
        lines = [f"{'visits of everybody':<20}{head}", *map(str, self.stays)]
        lines += [f"{'their decisions':<20}{head}", *map(str, self.decisions)]
        lines += [f"{'rows':<20}{head}", str(self.consenting())]
        lines += [f"{'their decision_pose':<20}{head.replace('counted', 'outcome')}", *map(str, self.poses())]
        lines += ["", f"{'at the pad':<12}{'says':<26}{'should be':<14}{'is':<18}{'rows':>5}"]
        for one in self.shoppers:
            says = " + ".join([one.choice.act, *one.choice.purposes]) + (", withdraws" if one.withdrawn else "")
            got = "-" if one.outcome is None else one.outcome.value
            mark = "" if one.as_expected else "  (!)"
            lines.append(
                f"{one.choice.person:<12}{says:<26}{one.expected:<14}{got:<18}{len(one.rows):>2}/{len(one.true)}{mark}"
            )
        should = [one for one in self.shoppers if one.choice.act == "grant" and one.choice.binds]
        linked = sum(one.as_expected for one in should)
        counted = sum(line.counted for line in self.stays)
        lines += [
            "",
            f"visit F1 {self.score.f1:.3f}, dwell error {self.score.dwell_error_s or 0:.2f} s; {counted} of"
            f" {self.score.measured} visits found are counted; linked {linked} of {len(should)} who should be, and"
            f" {sum(not o.as_expected for o in self.shoppers if not o.choice.binds)} who should not",
            *(line for note in _FOOTNOTES for line in textwrap.wrap(note, 110)),
        ]
        return "\n".join(lines)


class Script:
    """Gives and takes back consents as the clip's script says, in the clip's own time.

    Args:
        kiosk: the ledger, opened as the kiosk.
        choices: the script.
        start_us: instant of the first picture, UTC microseconds.
        terms: days per purpose.
    """

    def __init__(self, kiosk: Ledger, choices: Iterable[Choice], start_us: int, terms: Mapping[Purpose, int]) -> None:
        self._kiosk, self._start_us, self._terms = kiosk, start_us, terms
        self._due = sorted(choices, key=lambda c: c.t_s)
        self._codes: dict[str, str] = {}
        self.subjects: dict[str, bytes] = {}
        self.asked: dict[str, int] = {}

    def __call__(self, _camera: str, t_us: int) -> None:
        """Do what is due at an instant of media time."""
        while self._due and self._start_us + round(self._due[0].t_s * SECOND) <= t_us:
            self._do(self._due.pop(0))

    def _do(self, choice: Choice) -> None:
        kiosk, who = self._kiosk, choice.person
        tap_us, screen_us = (self._start_us + round(t * SECOND) for t in (choice.t_s, choice.screen_s))
        purposes = [Purpose(purpose) for purpose in choice.purposes]
        if choice.act == "grant":
            said = kiosk.grant(
                purposes, now_us=tap_us, notice_sha256=_NOTICE, language="en", version="demo", terms=self._terms
            )
            self._codes[who], self.subjects[who] = said.secret, said.subject
            self.asked[who] = kiosk.open_pad_request(
                opening.PAD, PadKind.GRANT, said.subject, now_us=tap_us, screen_us=screen_us, tap_us=tap_us
            )
        elif choice.act == "refuse":
            kiosk.refuse(now_us=tap_us, notice_sha256=_NOTICE, language="en", version="demo")
        elif choice.act == "object":
            kiosk.object(now_us=tap_us)
            self.asked[who] = kiosk.open_pad_request(
                opening.PAD, PadKind.OBJECT, now_us=tap_us, screen_us=screen_us, tap_us=tap_us
            )
        else:
            kiosk.withdraw(self._codes.pop(who), now_us=tap_us, purposes=purposes, channel=Channel.PHONE)


def run(
    root: Path,
    model: Path | None,
    keep: Callable[[State], list[NewVisit]],
    *,
    start_us: int,
    progress: Callable[[float], object] | None = None,
) -> Outcome:
    """Open the demo shop in a new directory, watch the clip there, have it kept, and compare.

    Args:
        root: the state directory to make.
        model: of the detector; our own where None.
        keep: has the keeper load, erase and release, and returns the rows that it then holds.
        start_us: when the clip is said to have been filmed, UTC microseconds; all of it in the past.
        progress: called with the seconds of the clip that are done.
    """
    told = record.read()
    state = opening.open_shop(root, name=NAME, source=str(record.HERE / record.CLIP), now_us=start_us - SECOND)
    seen: list[tuple[Visit, LeftOut | None]] = []
    with state.open_ledger(Role.WATCH) as ledger, state.open_ledger(Role.KIOSK) as kiosk:
        script = Script(kiosk, told.choices, start_us, state.store.terms.days())

        def before(camera: str, t_us: int) -> None:
            script(camera, t_us)
            if progress is not None:
                progress((t_us - start_us) / SECOND)

        (watched,) = watch(
            state, ledger, model, start_us=start_us, before=before, audit=lambda v, why: seen.append((v, why))
        ).values()
        asked = {who: kiosk.read_pad_request(number) for who, number in script.asked.items()}
        answers = {who: None if request is None else request.outcome for who, request in asked.items()}
    rows = keep(state)
    staff = {visit.track for visit, why in seen if why is LeftOut.STAFF}
    visits = [(v, why is None) for v, why in seen if v.track not in staff]
    stays, verdict = _stays(told, visits, start_us)
    return Outcome(
        state,
        watched,
        stays,
        _decisions(told, visits, start_us),
        verdict,
        tuple(_shoppers(state, told, script, answers, rows, start_us)),
        told.duration_s,
    )


def _stays(told: record.Truth, visits: Sequence[tuple[Visit, bool]], start_us: int) -> tuple[tuple[Line, ...], Score]:
    true = [Stay(v.zone, v.enter_s, v.leave_s) for v in told.measured()]
    zones = {s.zone for s in true}
    chosen = [(v, counted) for v, counted in visits if v.zone in zones]
    measured = [_stay(v.zone, v.enter_us, v.leave_us, start_us) for v, _ in chosen]
    return _lines(true, measured, [counted for _, counted in chosen]), score(true, measured)


def _decisions(told: record.Truth, visits: Sequence[tuple[Visit, bool]], start_us: int) -> tuple[Line, ...]:
    true = [Stay(d.zone, d.stop_s, d.leave_s) for d in told.decisions if d.stop_s >= _SETTLED_S]
    shelves = {d.zone for d in told.decisions}
    made = [(v.zone, d, counted) for v, counted in visits if v.zone in shelves for d in deliberations(v)]
    measured = [_stay(zone, d.start_us, d.leave_us, start_us) for zone, d, _ in made]
    return _lines(true, measured, [counted for _, _, counted in made])


def _lines(true: Sequence[Stay], measured: Sequence[Stay], counted: Sequence[bool]) -> tuple[Line, ...]:
    pairs = match(true, measured)
    return tuple(
        Line(
            zone,
            tuple(_length(s) for s in true if s.zone == zone),
            tuple(_length(s) for s in measured if s.zone == zone),
            tuple((_length(true[i]), _length(measured[j])) for i, j in pairs if true[i].zone == zone),
            sum(yes for s, yes in zip(measured, counted, strict=True) if s.zone == zone),
        )
        for zone in sorted({s.zone for s in true})
    )


def _shoppers(
    state: State,
    told: record.Truth,
    script: Script,
    outcomes: Mapping[str, PadOutcome | None],
    rows: Sequence[NewVisit],
    start_us: int,
) -> Iterable[Shopper]:
    """Say of everybody at the pad what came of it; whose key is destroyed has no row that could be theirs."""
    ended = {c.person for c in told.choices if c.act == "withdraw"}
    kinds = {zone: kind for (_, zone), kind in state.store.kinds().items()}
    with state.open_ledger(Role.KEEPER) as ledger:
        for choice in told.choices:
            if choice.place != "pad":
                continue
            who, mine = choice.person, -1
            if who in script.subjects and who not in ended:
                key = ledger.subject_key(script.subjects[who])
                mine = visitor(
                    key, Purpose.DWELL, period_of(Purpose.DWELL, start_us, state.store.timezone), ledger.store
                )
            true: tuple[Stay, ...] = ()
            if choice.act == "grant" and choice.binds and who not in ended:
                true = tuple(
                    Stay(v.zone, max(v.enter_s, choice.t_s), v.leave_s)
                    for v in told.visits
                    if v.person == who and v.zone in kinds and v.leave_s > choice.t_s
                )
            own = tuple(r for r in rows if r.visitor == mine)
            decided = tuple(
                d for d in told.decisions if true and d.person == who and d.stop_s >= choice.t_s and not d.censored
            )
            yield Shopper(choice, outcomes.get(who), own, true, decided, who in ended, start_us)


def _stay(zone: str, start_us: int, end_us: int, zero_us: int) -> Stay:
    return Stay(zone, max(0.0, (start_us - zero_us) / SECOND), (end_us - zero_us) / SECOND)


def _length(stay: Stay) -> float:
    return stay.leave_s - stay.enter_s
