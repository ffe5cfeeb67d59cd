"""No consent, no second look: a shop at work with somebody of every kind in it, and every call of the pose net noted.

The net is a witness that stands for the real one: it knows whose box it was given. Who has said no, or nothing, whose
yes is over, who objects, works here or is touched by somebody else must never be among those it was given.
"""

from __future__ import annotations

import hashlib
import logging
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.body import Box
from analytics.decision import Outcome
from analytics.expression import Reader
from analytics.look import MOST_HZ, Joints, SecondLook
from analytics.model import SECOND, Frame, Sighting
from analytics.pipeline import CameraWatch
from analytics.pose import POINTS
from analytics.row import VISIT, VisitRow
from analytics.start import init
from analytics.state import STORE_TOML, State
from analytics.watch import LevelNow
from consent.events import Level, Purpose
from consent.keys import Role
from consent.ledger import Ledger
from consent.padwords import PadKind, PadOutcome
from tests.shoppers import HEIGHT, LEFT, NOTICE, ON_PAD, PAD, RIGHT, SIZE, Crowd, Shopper, ask

TEN = 1_794_823_200 * SECOND  # a Monday morning
DAY_US = 24 * 3600 * SECOND
SHELF, BACK = (60.0, 172.0), (130.0, 172.0)
ZONES = f"""
[[camera.zone]]
name = "front"
kind = "product"
polygon = [[30, 150], [100, 150], [100, 200], [30, 200]]
shelf = {{ face = [[20, 100], [100, 100], [100, 165], [20, 165]], edge = [[30, 150], [100, 150]] }}

[[camera.zone]]
name = "back"
kind = "staff"
polygon = [[120, 160], [140, 160], [140, 185], [120, 185]]

[[camera.zone]]
name = "pad"
kind = "pad"
polygon = {[list(corner) for corner in PAD]}
"""
PICTURE = np.random.default_rng(5).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
ODD = 0.640671  # of a pixel: so that the numbers of one arm can be searched for
# of a body that is seen from behind: pixels from its middle, and shares of its height, by the left joint of each pair
_STANDS = {5: (4, 0.8), 7: (5, 0.65), 9: (5, 0.5), 11: (2, 0.5), 13: (2, 0.3), 15: (2, 0)}


def open_shop(root: Path, level: Level) -> State:
    init(root, now_us=TEN - DAY_US, name="Main Street", timezone="Europe/Berlin")
    toml = root / STORE_TOML
    head, _, _ = toml.read_text().partition("[[camera]]")
    one = f'[[camera]]\nname = "corridor"\nsource = "corridor.mp4"\n{ZONES}'
    toml.write_text(head.replace('level = "counts"', f'level = "{level}"') + one)
    state = State.read(root)
    if level > Level.COUNTS:
        two = [hashlib.sha256(word).digest() for word in (b"one", b"two")]
        with state.open_ledger(Role.ADMIN) as ledger:
            ledger.set_level(level, now_us=TEN - DAY_US, approvals=two, dpia_sha256=hashlib.sha256(b"d").digest())
    return state


class Witness:
    """Stands for the pose net, and notes when it was given whom. They face the shelf; a hand goes in and out."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self.loaded = 0
        self.now_us = 0
        self.given: list[tuple[int, Shopper]] = []
        self.raised: NDArray[np.float32] | None = None  # the joints of an arm that was up

    def __call__(self) -> Joints:
        self.loaded += 1
        return self

    def points(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
        assert image is PICTURE
        x, y = (box[0] + box[2]) / 2, box[3]
        ((mine),) = (s for s in self._crowd.shoppers if self.now_us < s.gone_us and s.at(self.now_us) == (x, y))
        self.given.append((self.now_us, mine))
        found = np.zeros((len(POINTS), 3), np.float32)
        found[5:, 2] = 0.9
        for side, sign in ((0, -1.0), (1, 1.0)):
            for joint, (dx, up) in _STANDS.items():
                found[joint + side, :2] = x + sign * dx, y - up * HEIGHT
        before_shelf_s = (self.now_us - self._came_us(mine)) / SECOND
        if 3.0 < before_shelf_s < 5.0:
            found[8, :2], found[10, :2] = (x + 7, y - 0.9 * HEIGHT), (x + 10 + ODD, y - HEIGHT)  # up to the shelf
            self.raised = found
        return found

    def _came_us(self, mine: Shopper) -> int:
        return next(t_us for t_us, who in self.given if who is mine)


@pytest.fixture
def shop(tmp_path: Path) -> State:
    return open_shop(tmp_path / "shop", Level.DWELL)


@dataclass
class Passed:
    """What came of a while in the shop."""

    one: CameraWatch
    witness: Witness
    outcomes: list[PadOutcome | None]
    crowd: Crowd


def pass_by(
    state: State,
    coming: list[Shopper],
    seconds: float,
    hands: type[Crowd] = Crowd,
    each: Callable[[int, CameraWatch, Witness, Ledger], object] = lambda *_: None,
    reader: Callable[[], Reader] | None = None,
) -> Passed:
    """Let time pass, five pictures a second; `each` is called after every picture."""
    with state.open_ledger(Role.WATCH) as ledger, state.open_ledger(Role.KIOSK) as kiosk:
        crowd = hands(coming, kiosk)
        witness = Witness(crowd)
        level = LevelNow(state, ledger)
        camera = state.store.camera[0]
        one = CameraWatch(
            state.store, camera, crowd, SIZE, ledger, level=level, restart=False, net=witness, reader=reader
        )
        for t_us in range(TEN, TEN + round(seconds * SECOND), SECOND // 5):
            witness.now_us = t_us
            crowd.tap(t_us)
            one.step(Frame(t_us, PICTURE))
            each(t_us, one, witness, kiosk)
        one.finish()
        return Passed(one, witness, crowd.outcomes(), crowd)


def someone(came_s: float, taps: PadKind | None = PadKind.GRANT, *more: tuple[tuple[float, float], float]) -> Shopper:
    return Shopper(TEN + round(came_s * SECOND), [(RIGHT, 0), (ON_PAD, 2.2), *more, (SHELF, 9.0), (LEFT, 0)], taps)


def test_only_whoever_agreed_is_looked_at_and_what_they_did_becomes_their_row(shop: State) -> None:
    agreed, refused, objected = someone(0), someone(40, None), someone(80, PadKind.OBJECT)
    works_here = someone(120, PadKind.GRANT, (BACK, 1.0))
    done = pass_by(shop, [agreed, refused, objected, works_here], 180)
    assert done.outcomes == [PadOutcome.LINKED, PadOutcome.SUPPRESSED, PadOutcome.LINKED]
    given = done.witness.given
    assert done.witness.loaded == 1
    assert {id(s) for _, s in given} == {id(agreed)}
    assert len(given) == done.one.watched.looks > 30
    assert done.one.watched.looks_cpu_s > 0
    assert all(t_us > agreed.tap_us for t_us, _ in given)
    assert all(agreed.at(t_us)[0] <= 110 for t_us, _ in given)  # before the shelf and nowhere else
    with shop.open_ledger(Role.KEEPER) as ledger:
        made = [VisitRow.decode(row.payload) for row in ledger.read_inbox() if row.kind == VISIT]
    (row,) = (row for row in made if row.zone == "front")
    ((length_us, outcome),) = row.posed
    assert outcome is Outcome.TAKE
    assert 0 < length_us < row.decisions[0]


def test_a_withdrawal_ends_the_looks_at_once_and_what_was_seen_is_forgotten(shop: State) -> None:
    mine = someone(0)
    gone: list[int] = []

    def each(t_us: int, one: CameraWatch, witness: Witness, kiosk: Ledger) -> None:
        if gone:
            assert one._reaches._stances == {}
        elif len(witness.given) == 20:
            assert one._reaches._stances
            assert mine.granted is not None
            kiosk.withdraw(mine.granted.secret, now_us=t_us)
            gone.append(t_us)

    done = pass_by(shop, [mine], 40, each=each)
    assert gone
    assert len(done.witness.given) == 20


class LateHands(Crowd):
    """Whoever taps gave their yes almost a day ago, for a day; it is over while they stand before the shelf."""

    until_us = 0

    def tap(self, t_us: int) -> None:
        for shopper in self._here.values():
            if shopper.taps is not None and shopper.request is None and shopper.tap_us <= t_us:
                # soon after a whole second, at which links are looked up: until the next, only the ledger knows
                given_us = shopper.tap_us // SECOND * SECOND + 12 * SECOND + SECOND // 10 - DAY_US
                shopper.granted = self._kiosk.grant(
                    [Purpose.DWELL],
                    now_us=given_us,
                    notice_sha256=NOTICE,
                    language="en",
                    version="1",
                    terms={Purpose.DWELL: 1},
                )
                self.until_us = given_us + DAY_US
                shopper.request = ask(self._kiosk, "pad", PadKind.LINK, shopper.granted.subject, shopper.tap_us)


def test_a_yes_that_runs_out_ends_the_looks_at_its_instant(shop: State) -> None:
    mine = someone(0)
    done = pass_by(shop, [mine], 40, LateHands)
    assert done.outcomes == [PadOutcome.LINKED]
    assert isinstance(done.crowd, LateHands)
    assert done.witness.given
    assert max(t_us for t_us, _ in done.witness.given) < done.crowd.until_us < mine.gone_us - 3 * SECOND


def test_whoever_is_touched_is_not_looked_at(shop: State) -> None:
    mine = someone(0)
    beside = Shopper(TEN, [((SHELF[0] + 12, SHELF[1]), 60.0)])  # their boxes overlap before the shelf
    done = pass_by(shop, [mine, beside], 40)
    assert done.outcomes == [PadOutcome.LINKED]
    for t_us, given in done.witness.given:
        assert given is mine
        assert abs(mine.at(t_us)[0] - beside.at(t_us)[0]) > 2 * HEIGHT / 5


class Returning(Crowd):
    """Whoever taps says yes to being counted when they come back, and to nothing else."""

    def tap(self, t_us: int) -> None:
        for shopper in self._here.values():
            if shopper.taps is not None and shopper.request is None and shopper.tap_us <= t_us:
                given = self._kiosk.grant(
                    [Purpose.REPEAT], now_us=t_us, notice_sha256=NOTICE, language="en", version="1"
                )
                shopper.request = ask(self._kiosk, "pad", PadKind.GRANT, given.subject, shopper.tap_us)


def test_a_yes_to_coming_back_is_no_yes_to_a_second_look(tmp_path: Path) -> None:
    done = pass_by(open_shop(tmp_path / "shop", Level.REPEAT), [someone(0)], 40, Returning)
    assert done.outcomes == [PadOutcome.LINKED]
    assert done.one.watched.rows > 0
    assert done.witness.given == []


def test_where_the_level_allows_a_second_look_no_picture_waits_for_the_net(shop: State) -> None:
    loaded: list[int] = []
    pass_by(shop, [someone(0)], 3, each=lambda _t, _one, witness, _kiosk: loaded.append(witness.loaded))
    assert set(loaded) == {1}


def test_below_its_level_the_net_is_not_even_loaded(tmp_path: Path) -> None:
    done = pass_by(open_shop(tmp_path / "shop", Level.COUNTS), [someone(0)], 40)
    assert done.witness.loaded == len(done.witness.given) == done.one.watched.looks == 0
    assert done.one.watched.visits > 0


def test_a_shop_whose_level_is_lowered_looks_no_more(shop: State) -> None:
    lowered: list[int] = []

    def each(t_us: int, one: CameraWatch, witness: Witness, kiosk: Ledger) -> None:
        if len(witness.given) == 15 and not lowered:
            toml = shop.root / STORE_TOML
            toml.write_text(toml.read_text().replace('level = "dwell"', 'level = "counts"'))
            kiosk.refuse(now_us=t_us, notice_sha256=NOTICE, language="en", version="1")  # a change is noticed at once
            lowered.append(t_us)

    done = pass_by(shop, [someone(0)], 40, each=each)
    assert lowered
    assert len(done.witness.given) == 15


def test_no_pixel_and_no_joint_is_on_a_disk_or_in_a_log(shop: State, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    done = pass_by(shop, [someone(0)], 40)
    joints = done.witness.raised
    assert joints is not None
    x, y = float(joints[10, 0]), float(joints[10, 1])
    needles = [PICTURE[100, 40:60].tobytes(), PICTURE[100, 40:60, ::-1].tobytes(), joints[10].tobytes()]
    needles += [struct.pack(form, x) for form in ("<d", ">d", "<f")]
    needles += [f"{x:.3f}".encode(), f"{x:.2f},".encode()]
    files = [p for p in shop.root.parent.rglob("*") if p.is_file()]
    assert len(files) > 3
    for path in files:
        held = path.read_bytes()
        assert [n for n in needles if n in held] == [], path
    assert f"{x:.2f}" not in caplog.text
    assert f"{y:.2f}" not in caplog.text


class Faces(Crowd):
    """Whoever taps says yes to their expression being read, too."""

    def tap(self, t_us: int) -> None:
        for shopper in self._here.values():
            if shopper.taps is not None and shopper.request is None and shopper.tap_us <= t_us:
                given = self._kiosk.grant(
                    [Purpose.DWELL, Purpose.EMOTION], now_us=t_us, notice_sha256=NOTICE, language="en", version="1"
                )
                shopper.request = ask(self._kiosk, self._pad, shopper.taps, given.subject, shopper.tap_us)


class CountingReader:
    """Stands for what reads expressions, and notes how often it was asked."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self, image: NDArray[np.uint8], keypoints: NDArray[np.float32], others: Sequence[Box]) -> int:
        self.reads += 1
        return 0


@pytest.mark.parametrize("works_here", [False, True])
def test_whoever_is_longer_in_view_than_anybody_shops_is_staff_and_nobody_reads_their_face(
    works_here: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_s = 15.0  # they stand before the shelf then; two hours would only take longer
    if works_here:
        monkeypatch.setattr("analytics.pipeline.STAFF_AFTER_S", limit_s)
    reader, read_at = CountingReader(), list[float]()

    def each(t_us: int, *_: object) -> None:
        read_at.extend([(t_us - TEN) / SECOND] * (reader.reads - len(read_at)))

    done = pass_by(open_shop(tmp_path / "shop", Level.EMOTION), [someone(0)], 30, Faces, each, lambda: reader)
    assert done.outcomes == [PadOutcome.LINKED]
    assert min(read_at) < limit_s - 1  # they were read, before
    assert (max(read_at) > limit_s + 1) != works_here
    if works_here:
        assert max(read_at) <= limit_s
        assert done.one.watched.rows == done.one.watched.expressions == 0


# --- how often --------------------------------------------------------------------------------------------------------


class Greedy:
    """Wants every picture."""

    purpose = Purpose.DWELL

    def __init__(self) -> None:
        self.looks: dict[int, list[int]] = {}
        self.kept: set[int] = set()

    def wants(self, t_us: int, person: int, sighting: Sighting) -> bool:
        return True

    def look(self, t_us: int, person: int, *seen: object) -> None:
        self.looks.setdefault(person, []).append(t_us)

    def forget(self, keep: object) -> None:
        self.kept = set(keep)  # type: ignore[call-overload]


class Nothing:
    def points(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
        return np.zeros((17, 3), np.float32)


@pytest.mark.parametrize("step_us", [20_000, 33_333, 40_000, 66_667, 100_000, 180_000, 300_000])
def test_nobody_is_looked_at_more_than_five_times_a_second(step_us: int) -> None:
    greedy = Greedy()
    look = SecondLook([greedy], Nothing)
    people = [Sighting(n, 5, 5, 9, 0.9, (0, 0, 9, 9)) for n in (1, 2)]
    permitted = {1: frozenset({Purpose.DWELL}), 2: frozenset({Purpose.EMOTION, Purpose.REPEAT})}
    for n in range(10 * SECOND // step_us):
        look.step(n * step_us, PICTURE, people, {1: 7, 2: 8}, permitted)
    assert set(greedy.looks) == {7}  # the other said yes to something else
    taken = greedy.looks[7]
    for since_us in taken:
        assert sum(since_us <= t_us < since_us + SECOND for t_us in taken) <= MOST_HZ + 1  # each picture in its turn
    assert len(taken) <= 10 * MOST_HZ + 1
    assert len(taken) >= min(10 * SECOND // step_us, 10 * MOST_HZ) * 0.8
    assert look.looks == len(taken)
    look.forget({7: frozenset({Purpose.DWELL}), 8: frozenset({Purpose.REPEAT})})
    assert greedy.kept == {7}
    assert set(look._next_us) == {7}
