"""A look through a camera: real sockets and ledgers, and everybody who tries to see what is not theirs."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from analytics import peek, peephole
from analytics.body import Box
from analytics.live import Board, Live
from analytics.model import SECOND, Frame, Sighting
from analytics.peek import Look, PeekError, Session, begin, end, look
from analytics.peephole import Overlooked, Peephole, named
from analytics.start import init
from analytics.state import STORE_TOML, State
from analytics.vision import Seen
from consent import chronicle
from consent.access import DeniedError, Desk, Who
from consent.accesslog import AccessLog
from consent.events import ConsentError, EventKind, Level
from consent.keys import Role
from consent.ledger import Ledger
from consent.padview import PadMark, PadView, ask, read

ADA = Who("Ada", Desk.ADMINISTRATOR, "a1" * 8)
SIZE = (640, 360)
SKIN = (40, 90, 230)  # BGR, nothing else in the picture is so red
LOOKING = (EventKind.SETUP_OPENED, EventKind.SETUP_CLOSED)


class Eyes:
    """Sees the boxes it is told of, and draws nothing."""

    boxes: Sequence[Box] = ()
    unsure: Sequence[Box] = ()

    def see(self, frame: Frame) -> Seen:
        sightings = [Sighting(100 + i, box[0], box[3], 100.0, 0.9, box) for i, box in enumerate(self.boxes)]
        return Seen(tuple(sightings), tuple(self.unsure))

    def reset(self) -> None:
        """Nothing to forget."""


@dataclass
class Shop:
    """A shop whose `watch` is the test: it hands the frames on, and holds the clocks."""

    state: State
    watch: Ledger
    desk: Ledger
    now_us: int
    now_s: float = 0.0
    eyes: dict[str, Eyes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.peephole = Peephole(self.watch, now_us=lambda: self.now_us, clock=lambda: self.now_s)
        self.board = Board(self.peephole.answer)
        self.eyes = {name: Eyes() for name in ("entrance", "till")}

    def later(self, seconds: float) -> None:
        self.now_us, self.now_s = self.now_us + int(seconds * SECOND), self.now_s + seconds

    def frame(self, camera: str = "entrance", image: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Let a camera see one frame, with somebody red in each box, and return its pixels."""
        eyes = self.eyes[camera]
        pixels = np.full((SIZE[1], SIZE[0], 3), 200, np.uint8) if image is None else image
        for x1, y1, x2, y2 in (*eyes.boxes, *eyes.unsure):
            cv2.rectangle(pixels, (int(x1), int(y1)), (int(x2), int(y2)), SKIN, cv2.FILLED)
        self.board.show_zones(camera, {"floor": "0–4"})
        Overlooked(eyes, camera, self.peephole).see(Frame(self.now_us, pixels))
        return pixels

    def picture(self, session: Session, camera: str = "entrance") -> bytes:
        """Ask, let a second pass, and return what the socket then says."""
        self.ask(session.secret)
        self.later(1.0)
        self.frame(camera)
        return self.ask(session.secret)

    def ask(self, secret: str) -> bytes:
        return ask(self.state.live, f"look {secret}", 1.0, longest=peek.LONGEST)

    def begin(self, camera: str = "entrance", by: Who = ADA) -> Session:
        session = begin(self.state, self.desk, camera, by, now_us=self.now_us)
        self.frame(camera)  # the entry is noticed with the next picture
        return session

    def said(self) -> list[tuple[EventKind, dict[str, object], int | None]]:
        found = chronicle.search(self.desk, kinds=LOOKING)
        return [(one.kind, dict(one.details or {}), one.count) for one in reversed(found)]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    root = tmp_path / "shop"
    init(root, now_us=1, timezone="UTC")
    text = (root / STORE_TOML).read_text()
    zone = '[[camera.zone]]\nname = "z"\nkind = "queue"\npolygon = [[0, 0], [9, 0], [9, 9]]\n'
    (root / STORE_TOML).write_text(f'{text}\n[[camera]]\nname = "till"\nsource = "usb:0"\n{zone}')
    state = State.read(root)
    with (
        state.open_ledger(Role.WATCH) as watch,
        state.open_ledger(Role.DASHBOARD) as desk,
    ):
        found = Shop(state, watch, desk, time.time_ns() // 1000)
        with Live(state.live, found.board):
            yield found


def seen(answer: bytes) -> tuple[NDArray[np.uint8], Look]:
    told = peek._decoded(answer)
    assert told is not None
    pixels = cv2.imdecode(np.frombuffer(told.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels.astype(np.uint8), told


def red(pixels: NDArray[np.uint8]) -> int:
    """Return how many pixels are somebody's."""
    blue, _, most = (pixels[..., i].astype(int) for i in range(3))
    return int(np.count_nonzero(most - blue > 60))


# --- what a session shows ---------------------------------------------------------------------------------------------


def test_an_administrator_sees_a_still_and_boxes_and_the_log_knows_from_when_to_when(shop: Shop) -> None:
    shop.eyes["entrance"].boxes = [(300, 100, 360, 300)]
    session = shop.begin()
    picture, told = seen(shop.picture(session))
    assert (told.width, told.height, told.boxes) == (*SIZE, ((300, 100, 360, 300),))
    assert picture.shape == (360, 640, 3)
    assert abs(int(picture[10, 10, 0]) - 200) < 8  # the shop itself
    end(shop.desk, session)
    words = {"account": ADA.account, "camera": named("entrance")}
    (opened, first, _), (closed, last, looks) = shop.said()
    assert (opened, closed, looks) == (*LOOKING, 0)  # the test asked the socket, the session itself showed nothing
    assert first == {**words, "until_us": first["until_us"]}
    assert last == words
    assert session.secret not in (shop.state.root / "ledger.sqlite").read_bytes().decode("latin-1")


def test_the_page_gets_what_the_socket_says_and_counts_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    session = shop.begin()

    def wait(seconds: float) -> None:
        shop.later(seconds)
        shop.frame()

    monkeypatch.setattr("analytics.peek.time.sleep", wait)
    first = look(shop.state.root, session)
    assert first is not None
    assert look(shop.state.root, session) is first  # not twice a second
    shop.later(1.1)
    shop.frame()
    second = look(shop.state.root, session)
    assert second is not None
    assert second.taken > first.taken
    assert session.looks == 2
    end(shop.desk, session)
    assert session.last is None
    assert shop.said()[-1][2] == 2
    with pytest.raises(PeekError, match="over"):
        look(shop.state.root, session)


def test_nobody_is_seen_not_even_at_the_edge_of_a_box_or_where_a_look_missed_them(shop: Shop) -> None:
    eyes = shop.eyes["entrance"]
    eyes.boxes, eyes.unsure = [(300, 100, 360, 300)], [(100, 50, 150, 200)]
    session = shop.begin()
    frame = shop.frame()
    frame[95:100, 300:360] = SKIN  # a head above the box
    shop.ask(session.secret)
    shop.later(1.0)
    shop.frame(image=frame)
    picture, told = seen(shop.ask(session.secret))
    assert red(picture) == 0
    assert len(told.boxes) == 2
    # the next look misses both, and they stand where they stood
    there, (eyes.boxes, eyes.unsure) = frame, ([], [])
    shop.ask(session.secret)
    shop.later(1.0)
    shop.frame(image=there.copy())
    picture, told = seen(shop.ask(session.secret))
    assert (red(picture), told.boxes) == (0, ())


def test_the_test_itself_would_see_somebody() -> None:
    assert red(np.full((9, 9, 3), SKIN, np.uint8)) == 81
    assert red(np.full((9, 9, 3), 128, np.uint8)) == 0


def test_boxes_say_nothing_about_who_it_is(shop: Shop) -> None:
    session = shop.begin()
    one, other = (300.4, 100.0, 360.0, 300.0), (100.0, 100.0, 160.0, 300.0)
    told = []
    for order in ([one, other], [other, one]):  # as a tracker numbers them
        shop.eyes["entrance"].boxes = order
        told.append(json.loads(shop.picture(session)))
    assert told[0]["boxes"] == told[1]["boxes"] == [[100, 100, 160, 300], [300, 100, 360, 300]]
    assert set(told[0]) == {"width", "height", "t_us", "boxes", "jpeg"}


@pytest.mark.parametrize("level", list(Level))
def test_no_level_shows_more(shop: Shop, level: Level) -> None:
    with State.read(shop.state.root).open_ledger(Role.ADMIN) as ledger:
        ledger.set_level(level, now_us=1, approvals=[b"1" * 32, b"2" * 32], dpia_sha256=b"3" * 32)
    path = shop.state.root / STORE_TOML
    path.write_text(path.read_text().replace('level = "counts"', f'level = "{level}"'))
    shop.eyes["entrance"].boxes = [(300, 100, 360, 300)]
    session = shop.begin()
    picture, told = seen(shop.picture(session))
    assert (red(picture), told.boxes) == (0, ((300, 100, 360, 300),))


def test_a_large_picture_is_told_small_and_the_frame_is_left_alone(shop: Shop) -> None:
    session = shop.begin()
    noise = np.random.default_rng(1).integers(0, 255, (2160, 3840, 3), np.uint8)
    shop.eyes["entrance"].boxes = [(3000, 1000, 3200, 2000)]
    before = shop.frame(image=noise.copy()).copy()
    shop.ask(session.secret)
    shop.later(1.0)
    assert np.array_equal(shop.frame(image=before.copy()), before)
    picture, told = seen(shop.ask(session.secret))  # larger than what fits into a socket at once
    assert picture.shape == (720, 1280, 3)
    assert len(told.jpeg) > 200_000
    assert (told.width, told.height, told.boxes) == (3840, 2160, ((3000, 1000, 3200, 2000),))
    assert red(picture[300:700, 980:1080]) < 50  # noise of others, blurred; nobody's red


# --- who gets nothing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("desk", [Desk.MANAGER, Desk.COMPLIANCE])
def test_nobody_but_an_administrator_begins_and_the_refusal_is_in_the_log(shop: Shop, desk: Desk) -> None:
    with pytest.raises(DeniedError):
        shop.begin(by=Who("Grace", desk, "b2" * 8))
    assert shop.said() == []
    (refused,) = chronicle.search(shop.desk, kinds=(EventKind.ACCESS_DENIED,))
    assert (refused.details or {}) == {"account": "b2" * 8, "action": "look_live", "reason": "action"}


def test_no_session_without_the_log(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise ConsentError("the disk is full")

    monkeypatch.setattr(Ledger, "append_events", full)
    with pytest.raises(ConsentError):
        shop.begin()


def test_no_session_for_a_camera_that_is_not_there(shop: Shop) -> None:
    with pytest.raises(PeekError, match="no camera 'roof'"):
        shop.begin("roof")
    assert shop.said() == []


def test_whoever_only_asks_gets_nothing_while_somebody_else_looks(shop: Shop) -> None:
    session = shop.begin()
    shop.frame()
    in_the_log = named(session.secret)
    for guess in ("", "0" * 64, in_the_log, session.secret[:-1], session.secret.upper(), f"{session.secret} ", "\n"):
        assert shop.picture(Session("entrance", "", 0, guess)) == b""
    for question in ("look", f"look  {session.secret}", f"LOOK {session.secret}", f"pad {session.secret}"):
        assert ask(shop.state.live, question) == b""
    assert shop.picture(session) != b""  # and they took nothing from who may


def test_a_session_that_nobody_logged_shows_nothing(shop: Shop) -> None:
    """What is written into the table of payloads beside the log, by whoever can write the file, opens nothing."""
    secret, at_us = "f" * 64, shop.now_us
    real = AccessLog(shop.desk).opened(ADA.account, camera=named("till"), session="0" * 64, until_us=at_us + SECOND)
    payload = {
        "account": ADA.account,
        "at_us": at_us,
        "camera": named("entrance"),
        "session": named(secret),
        "until_us": at_us + 600 * SECOND,
    }
    with shop.desk._write() as db:
        words = json.dumps(payload, separators=(",", ":")).encode()
        db.execute("UPDATE records SET payload = ? WHERE leaf = ?", (words, real))
    shop.frame()
    assert shop.picture(Session("entrance", "", 0, secret)) == b""


def test_a_session_of_another_kind_of_entry_shows_nothing(shop: Shop) -> None:
    """The kind that counts is that of the leaf, which stays; not that of the payload's row."""
    secret = "e" * 64
    log = AccessLog(shop.desk, now_us=lambda: shop.now_us)
    log.closed(ADA.account, camera=named("entrance"), session=named(secret), looks=0)
    with shop.desk._write() as db:
        db.execute("UPDATE records SET kind = 'setup_opened' WHERE kind = 'setup_closed'")
    shop.frame()
    assert shop.picture(Session("entrance", "", 0, secret)) == b""


def test_a_session_is_for_one_camera(shop: Shop) -> None:
    session = shop.begin("till")
    shop.ask(session.secret)
    for _ in range(3):
        shop.later(1.0)
        shop.frame("entrance")
        assert shop.ask(session.secret) == b""
    assert shop.picture(session, "till") != b""


@pytest.mark.parametrize("clock", ["both", "wall", "steady"])
def test_after_ten_minutes_it_is_over_whichever_clock_goes_and_the_log_says_so(shop: Shop, clock: str) -> None:
    session = shop.begin()
    assert shop.picture(session) != b""
    shop.ask(session.secret)
    if clock != "steady":
        shop.now_us = session.until_us
    if clock != "wall":
        shop.now_s += 600
    assert shop.ask(session.secret) == b""
    shop.frame()
    assert shop.picture(session) == b""
    kind, told, looks = shop.said()[-1]
    assert (kind, told["account"], looks) == (EventKind.SETUP_CLOSED, ADA.account, 1)
    end(shop.desk, session)  # a page that comes later says nothing new
    assert len(shop.said()) == 2


def test_a_clock_set_back_neither_lengthens_nor_opens(shop: Shop) -> None:
    session = shop.begin()
    shop.now_us -= 3600 * SECOND
    assert shop.picture(session) == b""


def test_an_entry_that_claims_a_longer_session_gets_ten_minutes(shop: Shop) -> None:
    secret = "d" * 64
    AccessLog(shop.desk, now_us=lambda: shop.now_us).opened(
        ADA.account, camera=named("entrance"), session=named(secret), until_us=shop.now_us + 86_400 * SECOND
    )
    shop.frame()
    assert shop.picture(Session("entrance", "", 0, secret)) != b""
    shop.now_us += 599 * SECOND
    assert shop.picture(Session("entrance", "", 0, secret)) == b""


def test_a_closed_session_shows_nothing_from_the_next_frame_on(shop: Shop) -> None:
    session = shop.begin()
    shop.ask(session.secret)
    shop.later(1.0)
    shop.frame()  # a picture is ready
    end(shop.desk, session)
    shop.frame()
    assert shop.ask(session.secret) == b""
    assert shop.picture(session) == b""


@pytest.mark.parametrize("what", ["desk", "removed", "signed_out", "password"])
def test_whoever_loses_the_desk_loses_the_picture(shop: Shop, what: str) -> None:
    session, other = shop.begin(), shop.begin(by=Who("Bo", Desk.ADMINISTRATOR, "c3" * 8))
    AccessLog(shop.desk).changed(ADA.account, what)
    shop.frame()
    assert shop.picture(session) == b""
    assert shop.picture(other) != b""
    assert shop.said()[-1][0] is EventKind.SETUP_CLOSED


def test_one_picture_a_second_and_each_once_however_often_somebody_asks(shop: Shop) -> None:
    session = shop.begin()
    got = 0
    for _ in range(50):  # five seconds at ten frames a second, asked three times a frame
        shop.later(0.1)
        shop.frame()
        got += sum(bool(shop.ask(session.secret)) for _ in range(3))
    assert 3 <= got <= 5


def test_nothing_is_made_or_kept_where_nobody_asks(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = peephole._picture

    def counted(*args: Any) -> bytes:
        made.append(1)
        return real(*args)

    monkeypatch.setattr(peephole, "_picture", counted)
    shop.frame()
    session = shop.begin()
    for _ in range(30):
        shop.later(0.1)
        shop.frame()
    assert made == []
    assert shop.picture(session) != b""
    assert made == [1]
    held = [one.picture for one in shop.peephole._open.values()]
    assert held == [b""]


def test_what_is_old_or_dark_is_not_told(shop: Shop) -> None:
    session = shop.begin()
    shop.ask(session.secret)
    shop.later(1.0)
    shop.frame()
    shop.later(peephole.FRESH_S + 0.1)
    assert shop.ask(session.secret) == b""
    shop.frame()
    Overlooked(shop.eyes["entrance"], "entrance", shop.peephole).reset()
    assert shop.ask(session.secret) == b""


def test_when_watch_ends_its_sessions_end_and_a_new_watch_goes_on_only_with_open_ones(shop: Shop) -> None:
    first, second = shop.begin(), shop.begin("till")
    end(shop.desk, first)
    again = Shop(shop.state, shop.watch, shop.desk, shop.now_us)
    again.frame("till")
    again.peephole.answer(second.secret)
    again.later(1.0)
    again.frame("till")
    assert again.peephole.answer(second.secret) != b""
    assert again.peephole.answer(first.secret) == b""
    again.peephole.close()
    assert again.peephole.answer(second.secret) == b""
    assert [kind for kind, _, _ in shop.said()].count(EventKind.SETUP_CLOSED) == 2


@pytest.mark.parametrize("first", ["page", "watch", "time"])
def test_the_end_of_a_session_is_said_once_whoever_says_it_first(shop: Shop, first: str) -> None:
    session = shop.begin()
    assert shop.picture(session) != b""  # `watch` knows it
    if first == "page":
        end(shop.desk, session)
        shop.peephole.close()
    elif first == "watch":
        shop.peephole.close()
        end(shop.desk, session)
    else:
        shop.now_us = session.until_us
        end(shop.desk, session)
        shop.frame()
        shop.peephole.close()
    end(shop.desk, session)
    assert [kind for kind, _, _ in shop.said()] == list(LOOKING)


def test_where_the_log_cannot_be_read_nothing_is_shown(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    session = shop.begin()

    def broken(*_: object) -> None:
        raise ConsentError("the ledger cannot be read")

    monkeypatch.setattr(shop.watch, "select", broken)
    monkeypatch.setattr(shop.watch, "data_version", lambda: -1)
    shop.frame()
    assert shop.picture(session) == b""


def test_spam_holds_up_neither_the_page_nor_the_pad(shop: Shop) -> None:
    view = PadView(0, False, None, PadMark.NONE, 5)
    session = shop.begin()
    callers = []
    for i in range(200):
        caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        caller.connect(str(shop.state.live))
        callers.append(caller)
        try:
            caller.sendall((f"look {i:064x}\n", f"look {session.secret}\n", "look " + "x" * 600)[i % 3].encode())
        except OSError:  # had to go for a later one
            continue
    shop.board.show_pad("pad", view)
    begun = time.monotonic()
    assert any(read(shop.state.live, "pad") == view for _ in range(5))
    assert time.monotonic() - begun < 2
    for caller in callers:
        caller.close()
    assert any(shop.picture(session) for _ in range(3))


def test_a_caller_who_never_takes_the_picture_is_left_after_a_second(shop: Shop) -> None:
    session = shop.begin()
    noise = np.random.default_rng(1).integers(0, 255, (2160, 3840, 3), np.uint8)
    shop.ask(session.secret)
    shop.later(1.0)
    shop.frame(image=noise)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.connect(str(shop.state.live))
        caller.sendall(f"look {session.secret}\n".encode())
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and read(shop.state.live, "pad") is None:
            shop.board.show_pad("pad", PadView(0, False, None, PadMark.NONE, 5))
        time.sleep(1.3)
        caller.settimeout(2)
        parts = []
        try:
            while part := caller.recv(1 << 20):
                parts.append(part)
        except ConnectionResetError:
            pass
    assert not b"".join(parts).endswith(b"\n")  # it was hung up on in the midst


def test_nothing_is_written_and_no_secret_or_picture_gets_into_a_log(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    before = {path for path in shop.state.root.parent.rglob("*") if path.is_file()}
    session = shop.begin()
    assert shop.picture(session) != b""
    end(shop.desk, session)
    shop.frame()
    assert {path for path in shop.state.root.parent.rglob("*") if path.is_file()} == before
    assert caplog.text == ""
    assert session.secret not in repr(session)
    whole = b"".join(path.read_bytes() for path in before if path.exists())
    assert session.secret.encode() not in whole
    assert b"\xff\xd8\xff" not in whole  # a JPEG begins so


def test_without_watch_the_page_says_what_to_do(shop: Shop) -> None:
    session = shop.begin()
    other = Session("entrance", ADA.account, session.until_us, session.secret)
    with pytest.raises(PeekError, match="does not run"):
        look(shop.state.root / "elsewhere", other)
    shop.board.show_zones("entrance", {})
    shop.board._zones.clear()
    with pytest.raises(PeekError, match="not seen now"):
        look(shop.state.root, session)


@pytest.mark.parametrize("said", [b"[]", b"{}", b'{"boxes": [[1]], "jpeg": "", "width": 1}', b"x" * 99, b"[" * 9999])
def test_nonsense_from_a_socket_is_no_picture(said: bytes) -> None:
    assert peek._decoded(said) is None
