"""A day before a real `CameraWatch`, with real faces: whose face the net that reads expressions ever gets.

People walk by the book of `tests.shoppers`, four times as large, and carry real faces of the test archive in the
picture. Ledger, pad, gate, face finder, DeepFace and keeper are the product's. The net is wrapped: each crop that
reaches it is held against every face in the picture, and so counted for whose it is.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.body import Box
from analytics.expression import MOST_HZ, Unread
from analytics.faces import Faces
from analytics.heads import Heads
from analytics.model import SECOND, Frame, Sighting
from analytics.pipeline import CameraWatch
from analytics.reading import FaceReader, FaceRules, face_of
from analytics.row import CLASSES
from analytics.state import State
from analytics.store import Visits
from analytics.tags import Tags, drawn
from analytics.training import expression_faces, expression_figures
from analytics.vision import Seen
from analytics.watch import LevelNow
from consent.events import DAY_US, Level, Purpose
from consent.keys import Role
from consent.ledger import Ledger
from consent.padwords import PadKind, PadOutcome
from retention.keeper import Keeper
from tests import shoppers
from tests.retention.keeping import NOON, Shop
from tests.shoppers import LANES, LEFT, ON_PAD, RIGHT, Shopper

pytestmark = pytest.mark.data

K = 4  # times as large as in `tests.shoppers`
WIDTH, HEIGHT = 384 * K, 300 * K
FACE = 56  # pixels of a face's frame
STAFF_DOOR = (345.0, 200.0)
BOTH = (Purpose.DWELL, Purpose.EMOTION)
EVERY_S = 26.0
TAG = 7

ZONES = f"""
[[camera]]
name = "entrance"
source = "clip.mp4"
fps = 5.0

[[camera.zone]]
name = "front"
kind = "product"
polygon = {[[x * K, y * K] for x, y in ((0, 150), (120, 150), (120, 240), (0, 240))]}

[[camera.zone]]
name = "staff"
kind = "staff"
polygon = {[[x * K, y * K] for x, y in ((320, 180), (384, 180), (384, 215), (320, 215))]}

[[camera.zone]]
name = "pad"
kind = "pad"
polygon = {[[x * K, y * K] for x, y in shoppers.PAD]}
"""


@dataclass
class Actor(Shopper):
    """Somebody with a face, and what they do about consent.

    Attributes:
        name: what the run is asked about.
        purposes: said yes to; empty where they say no, or nothing.
        given_us: before today, where they come back with a code.
        then: seconds after they reached the shelf, and what happens then.
        child: carried, its head beside theirs.
        tag: they wear a tag of the staff.
        face: as it stands in the picture, (FACE, FACE) grey.
        points: nose and eyes in it, pixels.
    """

    name: str = ""
    purposes: tuple[Purpose, ...] = ()
    given_us: int | None = None
    then: tuple[float, Callable[[], object]] | None = None
    child: bool = False
    tag: bool = False
    face: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((FACE, FACE), np.uint8), repr=False)
    points: NDArray[np.float64] = field(default_factory=lambda: np.zeros((3, 2)), repr=False)
    done: bool = False
    secret: str = ""

    def corner(self, t_us: int) -> tuple[int, int]:
        """Return where their face begins in the picture."""
        x, y = self.at(t_us)
        return round(x * K - FACE / 2), round((y - shoppers.HEIGHT) * K)


class Scene:
    """The picture, who is in it, and whose joints are where; stands for camera, detector and pose net."""

    def __init__(self, people: Sequence[Actor], small: NDArray[np.uint8]) -> None:
        self.people, self._small, self.t_us = people, small, 0
        self._tag = np.asarray(cv2.resize(drawn(TAG), (36, 36), interpolation=cv2.INTER_AREA), np.uint8)

    def here(self) -> list[tuple[int, Actor]]:
        return [(i, a) for i, a in enumerate(self.people, start=1) if a.came_us <= self.t_us < a.gone_us]

    def picture(self, t_us: int) -> Frame:
        self.t_us = t_us
        grey = np.full((HEIGHT, WIDTH), 120, np.uint8)
        for _, actor in self.here():
            left, top = actor.corner(t_us)
            paste(grey, actor.face, left, top)
            if actor.tag:
                paste(grey, self._tag, left + 10, top + FACE + 8)
            if actor.child:
                paste(grey, self._small, left + FACE + 4, top + 12)
        return Frame(t_us, np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8))

    def box(self, actor: Actor) -> Box:
        x, y = actor.at(self.t_us)
        wide = shoppers.HEIGHT / 5
        return ((x - wide) * K, (y - shoppers.HEIGHT) * K, (x + wide) * K, y * K)

    def see(self, frame: Frame) -> Seen:
        found = []
        for track, actor in self.here():
            x, y = actor.at(frame.t_us)
            found.append(Sighting(track, x * K, y * K, shoppers.HEIGHT * K, 0.9, self.box(actor)))
        return Seen(tuple(found))

    def reset(self) -> None:
        raise AssertionError("nothing is blind here")

    def points(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.float32] | None:
        (actor,) = [a for _, a in self.here() if self.box(a) == box]
        found = np.zeros((17, 3), np.float32)
        found[:3, :2] = actor.points + actor.corner(self.t_us)
        found[:, 2] = 0.9
        return found


def paste(grey: NDArray[np.uint8], face: NDArray[np.uint8], left: int, top: int) -> None:
    """Lay a face into the picture, where all of it is in."""
    high, wide = face.shape
    if left >= 0 and top >= 0 and left + wide <= WIDTH and top + high <= HEIGHT:
        grey[top : top + high, left : left + wide] = face


class CountingNet:
    """DeepFace, and whose face each crop that it got shows."""

    def __init__(self, net: object, scene: Scene) -> None:
        self._net, self._scene = net, scene
        self.calls: list[tuple[int, str]] = []
        self.said: Counter[str] = Counter()

    def read(self, crop: NDArray[np.uint8]) -> int:
        middle = len(crop) // 2
        piece = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)[middle - 10 : middle + 10, middle - 10 : middle + 10]
        faces = {a.name: a.face for _, a in self._scene.here()} | {"child": self._scene._small}
        alike = {
            name: float(cv2.matchTemplate(face, piece, cv2.TM_CCOEFF_NORMED).max()) for name, face in faces.items()
        }
        best = max(alike, key=alike.__getitem__)
        assert alike[best] > 0.99, alike  # a crop is a piece of the picture
        self.calls.append((self._scene.t_us, best))
        found: int = self._net.read(crop)  # type: ignore[attr-defined]
        self.said[CLASSES[found]] += 1
        return found


@pytest.fixture(scope="module")
def readable(data: Path) -> list[tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    """Faces of the archive that the finder finds in this picture, each with its nose and eyes; all different."""
    pictures, classes = expression_faces.read(data / expression_figures.TEST)
    finder, heads, rules, found = Faces(), Heads(), FaceRules(), []
    for small in pictures[classes == expression_figures.HAPPY]:  # most of these are answered
        face = np.asarray(cv2.resize(small, (FACE, FACE), interpolation=cv2.INTER_CUBIC), np.uint8)
        good = 0
        for left, top in ((201, 202), (214, 531), (212, 530), (213, 755), (334, 477)):  # wherever they may stand
            grey = np.full((1000, 600), 120, np.uint8)
            grey[top : top + FACE, left : left + FACE] = face
            image = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
            if not good:
                seen = finder.find(image, (left - 90, top - 90, left + 146, top + 146), least=rules.second)
                if len(seen) != 1:
                    break
                spots = np.array([seen[0].nose, *seen[0].eyes]) - np.array((left, top))
            points = np.full((17, 3), 0.9, np.float32)
            points[:3, :2] = spots + np.array((left, top))
            good += not isinstance(face_of(image, points, [], finder, heads, rules), Unread)
        if good == 5:
            found.append((face, spots))
        if len(found) == 14:
            return found
    raise AssertionError("too few faces that can be read")


@dataclass
class Run:
    """What came of a run."""

    shop: Shop
    scene: Scene
    one: CameraWatch
    net: CountingNet
    looks: list[int]

    def calls(self, name: str) -> list[int]:
        return [t_us for t_us, whose in self.net.calls if whose == name]

    def actor(self, name: str) -> Actor:
        return next(a for a in self.scene.people if a.name == name)


def stand(number: int, name: str, *, via: tuple[tuple[float, float], ...] = (), **more: object) -> Actor:
    """Return somebody who comes in turn, stands on the pad and then nine seconds before the shelf."""
    lane = LANES[number % 2]
    came = NOON + round(number * EVERY_S * SECOND)
    stands = [(RIGHT, 0.0), *((place, 2.0) for place in via), (ON_PAD, 2.4), (lane, 9.0), ((LEFT[0], lane[1]), 0.0)]
    return Actor(came, stands, name=name, **more)  # type: ignore[arg-type]


def at_shelf_us(actor: Actor) -> int:
    """Return when somebody has reached the shelf."""
    return actor._legs[-4][0]


@pytest.fixture(scope="module")
def run(
    readable: list[tuple[NDArray[np.uint8], NDArray[np.float64]]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Run]:
    shop = Shop.make(tmp_path_factory.mktemp("run") / "shop", Level.EMOTION)
    toml = shop.state.root / "store.toml"
    toml.write_text(toml.read_text().partition("[[camera]]")[0] + f"[staff]\ntags = [{TAG}]\n" + ZONES)
    state = State.read(shop.state.root)
    kiosk = shop.ledger

    def end(name: str, *purposes: Purpose) -> Callable[[], object]:
        def now() -> object:
            actor = next(a for a in people if a.name == name)
            return kiosk.withdraw(actor.secret, now_us=scene.t_us, purposes=set(purposes) or None)

        return now

    people = [
        stand(0, "yes", purposes=BOTH),
        stand(1, "dwell", purposes=(Purpose.DWELL,)),
        stand(2, "nobody"),
        stand(3, "refuses"),
        stand(4, "withdraws", purposes=BOTH, then=(4.0, end("withdraws", Purpose.EMOTION))),
        stand(5, "leaves", purposes=BOTH, then=(4.0, end("leaves"))),
        stand(6, "expires", purposes=BOTH, given_us=0),
        stand(7, "staff", purposes=BOTH, via=(STAFF_DOOR,)),
        stand(8, "carer", purposes=BOTH, child=True),
        stand(9, "objects"),
        stand(10, "expression", purposes=(Purpose.EMOTION,)),
        stand(11, "badge", purposes=BOTH, tag=True),
    ]
    expires = people[6]
    expires.given_us = at_shelf_us(expires) + 4 * SECOND - 7 * DAY_US  # its seven days are over then
    for actor, (face, points) in zip(people, readable, strict=False):
        actor.face, actor.points = face, points
    small = np.asarray(cv2.resize(readable[-1][0], (40, 40), interpolation=cv2.INTER_AREA), np.uint8)
    scene = Scene(people, small)
    reader = FaceReader()
    net = CountingNet(reader._net, scene)
    reader._net = net  # type: ignore[assignment]
    looks: list[int] = []

    class Telling:
        def read(self, image: NDArray[np.uint8], keypoints: NDArray[np.float32], others: Sequence[Box]) -> int | Unread:
            looks.append(scene.t_us)
            return reader.read(image, keypoints, others)

    with kiosk, state.open_ledger(Role.WATCH) as ledger:
        one = CameraWatch(
            state.store,
            state.store.camera[0],
            scene,
            (WIDTH, HEIGHT),
            ledger,
            level=LevelNow(state, ledger),
            restart=False,
            net=lambda: scene,
            reader=Telling,
            tags=Tags,
        )
        for t_us in range(NOON, people[-1].gone_us + 5 * SECOND, shoppers.STEP_US):
            tap(kiosk, people, t_us)
            one.step(scene.picture(t_us))
        one.finish()
        yield Run(shop, scene, one, net, looks)


def tap(kiosk: Ledger, people: Sequence[Actor], t_us: int) -> None:
    """Do what is due: taps at the pad, and what happens later."""
    for actor in people:
        if actor.request is None and not actor.done and actor.came_us < actor.tap_us <= t_us:
            actor.done = True
            how = {"notice_sha256": shoppers.NOTICE, "language": "en", "version": "1"}
            if actor.purposes:
                given = actor.tap_us if actor.given_us is None else actor.given_us
                said = kiosk.grant(actor.purposes, now_us=given, **how)  # type: ignore[arg-type]
                actor.secret = said.secret
                actor.request = shoppers.ask(kiosk, "pad", PadKind.GRANT, said.subject, actor.tap_us)
            elif actor.name == "refuses":
                kiosk.refuse(now_us=actor.tap_us, **how)  # type: ignore[arg-type]
            elif actor.name == "objects":
                kiosk.object(now_us=actor.tap_us)
                actor.request = shoppers.ask(kiosk, "pad", PadKind.OBJECT, None, actor.tap_us)
        if actor.then is not None and t_us >= at_shelf_us(actor) + actor.then[0] * SECOND:
            actor.then = (float("inf"), actor.then[1]) if actor.then[1]() is None else None


def outcome(run: Run, name: str) -> PadOutcome | None:
    request = run.actor(name).request
    told = None if request is None else run.shop.ledger.read_pad_request(request)
    return None if told is None else told.outcome


def test_the_net_reads_the_face_of_who_said_yes_and_at_most_twice_a_second(run: Run) -> None:
    for name in ("yes", "expression"):
        assert outcome(run, name) is PadOutcome.LINKED
        calls = run.calls(name)
        assert len(calls) >= 14
        assert min(b - a for a, b in itertools.pairwise(calls)) >= SECOND / MOST_HZ - SECOND // 50
        assert at_shelf_us(run.actor(name)) - 4 * SECOND < calls[0]  # not on the pad, where nothing is measured


@pytest.mark.parametrize("name", ["dwell", "nobody", "refuses", "objects", "staff", "badge"])
def test_the_net_gets_no_picture_of_who_did_not_say_yes_to_it_or_works_here(run: Run, name: str) -> None:
    actor = run.actor(name)
    frames = (actor.gone_us - actor.came_us) // shoppers.STEP_US
    assert frames > 60
    assert run.calls(name) == []
    assert [t for t in run.looks if actor.came_us <= t < actor.gone_us] == []  # nor does anything else look at them


def test_what_did_not_happen_was_not_for_want_of_a_link(run: Run) -> None:
    assert outcome(run, "dwell") is PadOutcome.LINKED
    assert outcome(run, "objects") is PadOutcome.SUPPRESSED
    assert outcome(run, "carer") is PadOutcome.LINKED


@pytest.mark.parametrize("name", ["withdraws", "leaves", "expires"])
def test_the_net_gets_no_picture_after_the_consent_ended(run: Run, name: str) -> None:
    actor = run.actor(name)
    assert outcome(run, name) is PadOutcome.LINKED
    ended = at_shelf_us(actor) + 4 * SECOND
    calls = run.calls(name)
    assert len(calls) >= 5
    assert max(calls) <= ended
    assert (actor.gone_us - ended) // shoppers.STEP_US > 20  # frames in which it could have


def test_a_carer_with_a_child_is_looked_at_and_neither_is_read(run: Run) -> None:
    actor = run.actor("carer")
    looks = [t for t in run.looks if actor.came_us <= t < actor.gone_us]
    assert len(looks) >= 14
    assert run.calls("carer") == run.calls("child") == []


def test_what_is_stored_is_shares_and_a_count_of_those_whose_consent_held(run: Run) -> None:
    with run.shop.state.open_ledger(Role.KEEPER) as ledger, Keeper(State.read(run.shop.state.root), ledger) as keeper:
        report = keeper.run_once(run.scene.t_us)
        assert report.blocked is None
    with Visits(run.shop.state.visits) as visits:
        rows = {new.visitor: new.row for new in visits.read_expression()}
        stays = {new.visitor for new in visits.read(Purpose.DWELL)}
    ledger = run.shop.ledger

    def of(name: str, purpose: Purpose) -> int:
        subject = ledger.find(run.actor(name).secret)
        return run.shop.hash_of(subject, run.actor(name).came_us, purpose)

    assert set(rows) == {of(name, Purpose.EMOTION) for name in ("yes", "carer", "expression")}
    assert {of(name, Purpose.DWELL) for name in ("yes", "dwell", "withdraws", "carer")} <= stays
    assert of("expression", Purpose.DWELL) not in stays  # who says yes to expression alone leaves no other row
    assert rows[of("carer", Purpose.EMOTION)].shares == (*[0] * 7, 1000)
    mine = rows[of("yes", Purpose.EMOTION)]
    assert mine.samples <= (mine.leave_us - mine.enter_us) / SECOND * MOST_HZ + 1
    assert mine.shares[-1] < 1000
    assert run.one.watched.expressions == len(rows)
    for name in ("staff", "badge"):
        assert {of(name, Purpose.DWELL), of(name, Purpose.EMOTION)} & {*rows, *stays} == set()
    assert run.one.watched.left_out >= 3  # of the two who work here and of who objected


def test_no_picture_reached_the_disk(run: Run) -> None:
    row = run.actor("yes").face[FACE // 2].tobytes()
    for path in run.shop.state.root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert row not in data
            assert not any(mark in data for mark in (b"\x89PNG\r\n", b"\xff\xd8\xff\xe0", b"\x93NUMPY"))
