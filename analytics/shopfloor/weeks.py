"""Four simulated weeks of the demo shop: made by the product's own parts, shipped as the figures that came of them.

Made up is who comes, when, and what they do; `floor` walks them, and what a good detector would see of them goes
through the same dwell and decision engine, pad, gate, ledger, keeper and release as a real camera's pictures; what they
tap is counted as the kiosk counts it, and what they pay as receipts of a till are. Two weeks
in the layout changes: coffee draws more people, and they find sooner what they want; sweets draw fewer. Those who agree
stay a little longer than others, so that the pages have a consent bias to show.

What ships is `weeks.zip`, the folder of released cells and nothing else: no row, no ledger, no key. `make` makes it
again (``openaisle demo --remake-weeks FILE``); `unpack` puts it into a shop that says it is simulated, into no other.
"""

from __future__ import annotations

import hashlib
import math
import random
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from analytics import pos
from analytics.config import ConfigError
from analytics.funnel import Funnel, to_keeper
from analytics.model import SECOND, Frame, Sighting
from analytics.notes import Notes
from analytics.pipeline import CameraWatch, Watched
from analytics.report import read_plan
from analytics.row import CLASSES
from analytics.shopfloor import opening, record
from analytics.shopfloor.floor import Floor
from analytics.shopfloor.joints import SimulatedJoints
from analytics.shopfloor.script import ENTER, LEAVE, Browse, Checkout, Go, Person, PersonState, StepOf, Touch, pad
from analytics.shopfloor.shop import AFTER_PAYING, CAMERA, HEIGHT, WIDTH
from analytics.shopfloor.street import Street, following, through_the_door
from analytics.state import State
from analytics.vision import Seen
from analytics.watch import LevelNow
from consent.events import Level, Purpose
from consent.keys import Role
from consent.kiosk import outcome
from consent.ledger import Ledger
from consent.padwords import PadKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analytics.body import Box

BUNDLE = Path(__file__).parent / "weeks.zip"
NAME = "Simulated shop, four weeks"
SEED = 20260914
FIRST = date(2026, 9, 14)  # a Monday
DAYS = 28
CHANGE = FIRST + timedelta(days=14)  # of the layout

FPS = 5
_PIXEL = np.zeros((1, 1, 3), np.uint8)  # the simulated eyes look at no picture
_OPEN, _SHUT = 9, 20  # hours on the shop's clock
_HOURLY = (14, 20, 26, 34, 30, 22, 20, 26, 38, 34, 18)  # shoppers, on a day of weight 1
_WEEKDAY = (0.85, 0.8, 0.9, 1.0, 1.25, 1.4, 0.0)  # Monday to Sunday
# of each shelf: how much it draws, and how long people stand before it, seconds (median)
_TASTE = {"tea": (1.0, 9.0), "coffee": (0.7, 16.0), "sweets": (1.3, 8.0), "fruit": (1.1, 11.0)}
_LATER = {"tea": (1.0, 9.0), "coffee": (1.3, 11.0), "sweets": (0.8, 8.0), "fruit": (1.1, 11.0)}
_CHOICES = ("grant", "refuse", "object", "")  # of those who stop at the pad
_CHOICE_WEIGHTS = (62, 20, 5, 13)
_AT_PAD = 0.5  # share of shoppers who stop there
_LONGER = 1.12  # how much longer those who agree stand before a shelf
_WITHDRAW = 0.03  # share of those who agreed
_SCREEN_S, _TAP_S = 1.0, 4.5  # after stepping onto the pad
_PUT_BACK = 0.6  # share of those who have taken something and have the time for it
_LOST_EVERY_S, _LOST_S = 150.0, (1.0, 9.0)  # a detector loses somebody so often, for so long
_JITTER = 0.7  # pixels
_FACES = 0.6  # share of those who agreed who agree to expression, too
# what a look at a face shows, by its class: most show nothing that can be read, as in a real shop
_SHOWN = {"unknown": 60, "neutral": 22, "happy": 9, "sad": 3, "angry": 2, "surprise": 3, "fear": 1}
_NOTICE = hashlib.sha256(b"a notice that nobody was shown: the shop is simulated").digest()
KIOSK, TILL = "simulated kiosk", "simulated till"  # these names stand in every cell of theirs
_PRICES = (1.2, 1.9, 2.5, 3.4, 4.9, 7.5, 12.0)
# people who pass by outside an hour, on a day of weight 1, and the weights of Monday to Sunday
_PASSING = (90, 75, 80, 95, 115, 110, 80, 85, 115, 130, 95)
_STREET = (1.0, 1.0, 1.0, 1.05, 1.15, 1.3, 0.0)


def shopper(
    rng: random.Random, name: str, start_s: float, taste: Mapping[str, tuple[float, float]]
) -> tuple[Person, str]:
    """Draw somebody, and what they will tap at the pad; empty where they do not."""
    plan: list[StepOf] = list(ENTER)
    choice = ""
    if rng.random() < _AT_PAD:
        (choice,) = rng.choices(_CHOICES, _CHOICE_WEIGHTS)
        plan.append(pad(rng.uniform(6.5, 11)))
    buys = False
    for shelf in rng.choices(list(taste), [pull for pull, _ in taste.values()], k=rng.choice((0, 1, 1, 2, 2, 3))):
        seconds = min(150.0, 2.0 + taste[shelf][1] * math.exp(rng.gauss(0, 0.7)))
        seconds *= _LONGER if choice == "grant" else 1.0
        touches = tuple(_touches(rng, seconds)) if seconds > 6 and rng.random() < 0.55 else ()
        buys = buys or (bool(touches) and touches[-1].kind == "take")
        plan.append(Browse(shelf, round(rng.uniform(0.08, 0.92), 3), seconds, touches))
    if buys:
        plan += [
            Checkout(rng.uniform(35, 120), patience=rng.choice((60.0, 150.0, math.inf, math.inf))),
            Go(AFTER_PAYING),
        ]
    plan += LEAVE
    height, pace = min(2.0, max(1.45, rng.gauss(1.7, 0.09))), min(1.6, max(0.8, rng.gauss(1.2, 0.15)))
    return Person(name, "shopper", height, pace, start_s, tuple(plan)), choice


def _touches(rng: random.Random, seconds: float) -> Iterator[Touch]:
    """Draw what somebody does who reaches into a shelf: take something, or put it back and perhaps take another."""
    at = rng.uniform(1.5, seconds - 4)
    yield Touch(at)
    if seconds - at > 9 and rng.random() < _PUT_BACK:
        at += rng.uniform(3.5, 5.5)
        yield Touch(at, "put_back")
        if seconds - at > 9 and rng.random() < 0.5:
            yield Touch(at + rng.uniform(3.5, 5.5))


class Day:
    """The people of one simulated day, from opening until the last has left.

    Args:
        rng: of who comes and what they do.
        taste: see `shopper`.
        rates: shoppers an hour, from opening on.
        street: who passes by outside; nobody where None.

    Attributes:
        states: who is on the floor now.
        choices: what those on the floor tap at the pad.
    """

    def __init__(
        self,
        rng: random.Random,
        taste: Mapping[str, tuple[float, float]],
        rates: tuple[float, ...],
        street: Street | None = None,
    ) -> None:
        self._rng, self._taste, self._rates, self._street = rng, taste, rates, street
        self._floor = Floor(1.0 / FPS)
        self.states: tuple[PersonState, ...] = ()
        self.choices: dict[str, str] = {}

    def instants(self) -> Iterator[float]:
        """Yield the seconds since opening at which a picture is looked at; once a second where nobody is there."""
        number, t, due = 0, 0.0, following(self._rng, self._rates, 0.0)
        while due is not None or self.states:
            while due is not None and due <= t:
                number += 1
                person, choice = shopper(self._rng, f"w{number}", due, self._taste)
                self.choices[person.name] = choice
                self._floor.admit(person)
                due = following(self._rng, self._rates, due)
            passing = self._street.at(t) if self._street else ()
            self.states = (*self._floor.step(t), *passing)
            yield t
            soon = [at for at in (due, self._street.next_s if self._street else None) if at is not None]
            moving = self.states or min(soon, default=math.inf) - t < 1.0
            t = round(t + (1.0 / FPS if moving else 1.0), 3)

    def joints(self) -> SimulatedJoints:
        """Return what stands for the pose net: it sees whoever is on the floor."""
        return SimulatedJoints(lambda: self.states, random.Random(self._rng.random()))  # noqa: S311 - reproducible


def street_of(day: date) -> Street:
    """Return who passes by outside on one of the days."""
    rng = random.Random(f"{SEED} {day} street")  # noqa: S311 - reproducible
    return Street(rng, partial(following, rng, tuple(_STREET[day.weekday()] * n for n in _PASSING)))


@dataclass(slots=True)
class _Track:
    number: int
    until_s: float  # sight of them is lost then
    back_s: float  # and found again under another number


class Eyes:
    """What a good detector and tracker see of a day: boxes that jitter, and somebody lost now and then.

    Args:
        day: whose people.
        rng: of jitter and losses.
        open_us: instant of opening, UTC microseconds.
    """

    def __init__(self, day: Day, rng: random.Random, open_us: int) -> None:
        self._day, self._rng, self._open_us = day, rng, open_us
        self._tracks: dict[str, _Track] = {}
        self._numbers = 0

    def reset(self) -> None:
        """Give everybody a new number."""
        self._tracks.clear()

    def see(self, frame: Frame) -> Seen:
        """Return who is in sight at the day's present instant."""
        t, people = (frame.t_us - self._open_us) / SECOND, self._day.states
        here = {s.name for s in people}
        self._tracks = {name: track for name, track in self._tracks.items() if name in here}
        if not people:
            return Seen(())
        ends = CAMERA.project(np.array([(s.x, s.y, z) for s in people for z in (0.0, s.height)])).tolist()
        found = []
        for s, (x, y, _), (_, top, _) in zip(people, ends[0::2], ends[1::2], strict=True):
            tall = y - top
            box = (x - 0.17 * tall, top, x + 0.17 * tall, y)
            if not through_the_door(s.x, s.y) or box[0] < 0 or box[1] < 0 or box[2] > WIDTH or box[3] > HEIGHT:
                continue
            track = self._tracks.get(s.name)
            if track is None or t >= track.back_s:
                self._numbers += 1
                until = t + self._rng.expovariate(1 / _LOST_EVERY_S)
                track = self._tracks[s.name] = _Track(self._numbers, until, until + self._rng.uniform(*_LOST_S))
            if t < track.until_s:
                dx, dy = self._rng.gauss(0, _JITTER), self._rng.gauss(0, _JITTER)
                box = (box[0] + dx, box[1], box[2] + dx, box[3] + dy)
                found.append(Sighting(track.number, x + dx, y + dy, tall, 0.9, box))
        return Seen(tuple(found))


class Pad:
    """The hands at the kiosk: whoever stands on the pad taps what they chose, in the shop's own time.

    Args:
        kiosk: the ledger, opened as the kiosk.
        day: whose people.
    """

    def __init__(self, kiosk: Ledger, day: Day) -> None:
        self._kiosk, self._day = kiosk, day
        self._since: dict[str, int] = {}
        self._done: set[str] = set()
        self.codes: list[str] = []  # of those who agreed, in memory only
        self._came_to: list[tuple[tuple[str, ...], int | None]] = []  # words of each question, its request to the pad

    def tap(self, t_us: int) -> None:
        """Carry out every tap that is due."""
        here = [s.name for s in self._day.states if s.activity == "pad" and s.speed < 0.1]
        self._since = {name: self._since.get(name, t_us) for name in here}
        for name, since_us in self._since.items():
            choice = self._day.choices[name]
            if name in self._done or t_us - since_us < _TAP_S * SECOND:
                continue
            self._done.add(name)
            screen_us = since_us + round(_SCREEN_S * SECOND)
            asked = None
            if not choice:
                words: tuple[str, ...] = (outcome.ABANDONED,)
            elif choice == "refuse":
                words = (outcome.REFUSED,)
                self._kiosk.refuse(now_us=t_us, notice_sha256=_NOTICE, language="en", version="simulated")
            elif choice == "object":
                words = (outcome.REFUSED, outcome.OBJECTED)
                self._kiosk.object(now_us=t_us)
                self._kiosk.open_pad_request(opening.PAD, PadKind.OBJECT, now_us=t_us, screen_us=screen_us, tap_us=t_us)
            else:
                words = (outcome.YES,)
                purposes = [Purpose.DWELL]
                if random.Random(f"{SEED} {t_us} {name}").random() < _FACES:  # noqa: S311 - reproducible
                    purposes.append(Purpose.EMOTION)
                said = self._kiosk.grant(
                    purposes, now_us=t_us, notice_sha256=_NOTICE, language="en", version="simulated"
                )
                self.codes.append(said.secret)
                asked = self._kiosk.open_pad_request(
                    opening.PAD, PadKind.GRANT, said.subject, now_us=t_us, screen_us=screen_us, tap_us=t_us
                )
            self._came_to.append((words, asked))

    def tell(self, funnel: Funnel, now_us: int) -> None:
        """Say what each question came to, as the kiosk does when it is over."""
        for words, asked in self._came_to:
            link = () if asked is None else (outcome.link(asked, self._kiosk),)
            funnel.add((outcome.OPENED, *words, *link), now_us)
        funnel.finish(now_us)


class Moods:
    """Stands for what reads expressions: made up, look by look.

    Args:
        rng: of what a look shows.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def read(self, image: NDArray[np.uint8], keypoints: NDArray[np.float32], others: Sequence[Box]) -> int:
        """Return a class, as `analytics.row.CLASSES` numbers it."""
        (shown,) = self._rng.choices(list(_SHOWN), list(_SHOWN.values()))
        return CLASSES.index(shown)


class Till:
    """What a till writes down of whoever pays: receipts, in memory, until the day is summed up.

    Args:
        rng: of what they buy.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng, self._served = rng, set[str]()
        self.receipts: list[pos.Receipt] = []

    def see(self, t_us: int, states: Sequence[PersonState]) -> None:
        """Ring up everybody who has come to pay."""
        for state in states:
            if state.activity == "pay" and state.name not in self._served:
                self._served.add(state.name)
                bought = self._rng.choices(_PRICES, k=self._rng.choice((1, 1, 2, 2, 3, 4, 6)))
                self.receipts.append(pos.Receipt(t_us, TILL, len(bought), Decimal(str(round(sum(bought), 2)))))


def open_shop(root: Path, *, now_us: int) -> State:
    """Make the state directory of the shop of these weeks: at level `emotion`, so that every page has figures.

    Args:
        root: the directory to make.
        now_us: when it is made, UTC microseconds.

    Raises:
        ConfigError: something is there already.
    """
    return opening.open_shop(
        root, name=NAME, source=str(record.HERE / record.CLIP), now_us=now_us, level=Level.EMOTION, hours=True
    )


def make(root: Path, keep: Callable[[State, int], None], *, days: int = DAYS) -> Iterator[tuple[date, Watched]]:
    """Let the weeks pass in a new state directory, and yield what was watched of each open day.

    Args:
        root: the directory to make; memory is a good place.
        keep: what the keeper does after closing time, at an instant in UTC microseconds.
        days: how many.
    """
    rng = random.Random(SEED)  # noqa: S311 - a reproducible crowd, no secret
    state = open_shop(root, now_us=_instant(FIRST, 8))
    for number in range(days):
        day = FIRST + timedelta(days=number)
        if not _WEEKDAY[day.weekday()]:
            continue
        open_us = _instant(day, _OPEN)
        taste = _TASTE if day < CHANGE else _LATER
        people = Day(rng, taste, tuple(_WEEKDAY[day.weekday()] * n for n in _HOURLY), street_of(day))
        with state.open_ledger(Role.WATCH) as ledger, state.open_ledger(Role.KIOSK) as kiosk:
            hands, till = Pad(kiosk, people), Till(random.Random(f"{SEED} {day}"))  # noqa: S311 - no secret either
            funnel = Funnel(to_keeper(kiosk), run=f"{NAME} {day}", tz=opening.TIMEZONE, now_us=open_us, place=KIOSK)
            one = CameraWatch(
                state.store,
                state.store.camera[0],
                Eyes(people, rng, open_us),
                (WIDTH, HEIGHT),
                ledger,
                level=LevelNow(state, ledger),
                plan=lambda: read_plan(state.released),
                restart=False,
                run=f"{NAME} {day}",
                net=people.joints,
                reader=lambda: Moods(random.Random(f"{SEED} {day} faces")),  # noqa: B023, S311 - asked for at once
            )
            for t in people.instants():
                t_us = open_us + round(t * SECOND)
                hands.tap(t_us)
                till.see(t_us, people.states)
                one.step(Frame(t_us, _PIXEL))
            one.finish()
            hands.tell(funnel, _instant(day, _SHUT + 1))
            pos.hand_over(
                kiosk,
                pos.cells(till.receipts, opening.TIMEZONE, state.store.opening),
                _instant(day, _SHUT + 1),
            )
            for code in hands.codes:
                if rng.random() < _WITHDRAW:
                    kiosk.withdraw(code, now_us=_instant(day, _SHUT + 1))
        keep(state, _instant(day, _SHUT + 2))
        yield day, one.watched
    keep(state, _instant(FIRST + timedelta(days=days), 1))  # the last day is over, and with it the last week


def pack(released: Path, bundle: Path) -> None:
    """Write a folder of released cells as one file; the same cells give the same bytes."""
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for path in sorted(released.glob("*.parquet")):
            out.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def unpack(state: State, bundle: Path = BUNDLE) -> int:
    """Put the shipped figures into a simulated shop that has none yet; return how many files.

    Raises:
        ConfigError: the shop does not say that it is simulated, or has figures already.
    """
    if not state.store.store.simulated:
        raise ConfigError(f"{state.root} is no simulated shop; simulated figures never go where real ones may be")
    if state.released.exists() and any(state.released.iterdir()):
        raise ConfigError(f"{state.released} holds figures already; name a new directory")
    state.released.mkdir(exist_ok=True)
    with zipfile.ZipFile(bundle) as figures:
        names = [name for name in figures.namelist() if Path(name).name == name and name.endswith(".parquet")]
        for name in names:
            (state.released / name).write_bytes(figures.read(name))
    Notes(state.root).write(CHANGE, "Layout changed: coffee and sweets changed places", now_us=_instant(CHANGE, _OPEN))
    return len(names)


def _instant(day: date, hour: float) -> int:
    """Return UTC microseconds of an hour on the shop's clock."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(opening.TIMEZONE))
    return round((midnight.timestamp() + 3600 * hour) * SECOND)
