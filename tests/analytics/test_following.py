"""`watch` goes by a changed `store.toml` at once where it fits, and by the former one where it does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analytics import watch as watching
from analytics.following import TRIAL_S, Following
from analytics.live import Board, InForce, read_settings
from analytics.model import Blind, Frame
from analytics.reading import OWN
from analytics.settings import current
from analytics.start import PLACEHOLDER
from analytics.state import STORE_TOML, State
from analytics.video import Source, VideoError
from consent.keys import Role
from tests.signed_in import a_shop

WAIT_S = 30.0


@pytest.fixture
def shop(tmp_path: Path) -> State:
    state = a_shop(tmp_path / "shop")
    change(state, 'source = "none"', 'source = "rtsp://192.0.2.1/door"')
    return State.read(state.root)


def change(state: State, was: str, now: str) -> str:
    """Change the file as somebody does by hand, and return its digest."""
    path = state.root / STORE_TOML
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, now, 1))
    return current(state.root).digest


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


class Cameras:
    """Cameras that show nothing until told to stop; one at a host called `wrong` refuses its login."""

    def __init__(self) -> None:
        self.begun: list[Source] = []
        self.going: list[Source] = []

    def frames(self, source: Source, *, stop: Callable[[], bool], **_: Any) -> Iterator[Frame | Blind]:
        self.begun.append(source)
        self.going.append(source)
        try:
            if "wrong" in source.url:
                raise VideoError("camera wrong refuses its login")
            while not stop():
                time.sleep(0.01)
            yield from ()
        finally:
            self.going.remove(source)


def test_what_is_saved_is_watched_by_and_what_cannot_be_is_refused(
    shop: State, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cameras, stop = Cameras(), threading.Event()
    monkeypatch.setattr(watching, "frames", cameras.frames)
    monkeypatch.setattr(watching, "detector", lambda _: None)
    monkeypatch.setattr(watching, "FOLLOW_S", 0.05)
    monkeypatch.setattr(watching, "LEVEL_S", 0.05)

    def in_force() -> InForce:
        return read_settings(shop.live) or InForce("")

    with shop.open_ledger(Role.WATCH) as ledger:
        thread = threading.Thread(target=watching.watch, args=(shop, ledger, None), kwargs={"stop": stop})
        thread.start()
        try:
            until(lambda: in_force() == InForce(shop.sha256.hex()) and cameras.going)
            # what concerns no camera begins none anew
            digest = change(shop, "[controller]", "[terms]\ndwell = 17\n\n[controller]")
            until(lambda: in_force() == InForce(digest))
            assert len(cameras.begun) == 1
            # what does, does, with masks as they are drawn now
            digest = change(shop, "[[camera.zone]]", "masks = [[[0, 0], [9, 0], [9, 9]]]\n\n[[camera.zone]]")
            until(lambda: in_force() == InForce(digest) and len(cameras.going) == 1 and len(cameras.begun) == 2)
            assert cameras.going[0].masks == (((0, 0), (9, 0), (9, 9)),)
            # an address that nobody wrote, and a login that is wrong: the former settings hold, and that is told
            for address, why in ((PLACEHOLDER, "the example's address"), ("rtsp://wrong/x", "refuses its login")):
                change(shop, "rtsp://192.0.2.1/door", address)
                until(lambda why=why: why in in_force().refused)  # type: ignore[misc]
                until(lambda: len(cameras.going) == 1)
                assert in_force().digest == digest
                assert cameras.going[0].url.endswith("192.0.2.1/door")
                assert change(shop, address, "rtsp://192.0.2.1/door") == digest
                until(lambda: in_force() == InForce(digest))
            # the net that reads faces is held as long as the process lives
            change(shop, "[controller]", f'[expression]\nmodel = "{OWN}"\n\n[controller]')
            until(lambda: "start `openaisle watch` anew" in in_force().refused)
            assert in_force().digest == digest
            assert change(shop, f'[expression]\nmodel = "{OWN}"\n\n', "") == digest
            until(lambda: in_force() == InForce(digest))
            # a text that is none changes nothing either
            whole = (shop.root / STORE_TOML).read_text()
            (shop.root / STORE_TOML).write_text("[")
            until(lambda: "fits again" in caplog.text)
            assert in_force() == InForce(digest)
            # a camera that is taken away is not watched any more
            (shop.root / STORE_TOML).write_text(whole.partition("[[camera]]")[0])
            until(lambda: not cameras.going)
            assert thread.is_alive()
        finally:
            stop.set()
            thread.join(WAIT_S)
    assert not thread.is_alive()
    assert read_settings(shop.live) is None
    assert [record.levelname for record in caplog.records if "not followed" in record.message] == ["WARNING"] * 3


def test_a_failure_long_after_a_change_is_not_the_change(shop: State) -> None:
    now_s, newest = [100.0], [shop]
    follow = Following(lambda: newest[0], lambda _: None, Board(), clock=lambda: now_s[0])
    follow.begin(shop)
    with pytest.raises(VideoError, match="gone"):  # nothing was changed at all
        follow.back(VideoError("gone"))
    change(shop, 'source = "rtsp://192.0.2.1/door"', 'source = "rtsp://192.0.2.2/door"')
    newest[0] = shop.reread()
    newer = follow.newer()
    assert newer is newest[0]
    follow.begin(newer)
    now_s[0] += TRIAL_S + 1
    with pytest.raises(VideoError, match="gone"):
        follow.back(VideoError("gone"))


def test_what_was_missing_is_followed_once_it_is_there_and_said_once(
    shop: State, caplog: pytest.LogCaptureFixture
) -> None:
    change(
        shop, 'source = "rtsp://192.0.2.1/door"', 'source = "rtsp://me@192.0.2.1/door"\npassword_file = "d.password"'
    )
    newest, board = shop.reread(), Board()
    follow = Following(lambda: newest, watching.check, board)
    follow.begin(shop)
    assert [follow.newer(), follow.newer()] == [None, None]
    assert b"password" in board.answer("settings")
    assert len(caplog.records) == 1
    secret = shop.root / "d.password"
    secret.write_text("k7-Zx_hidden-41")
    secret.chmod(0o600)
    assert follow.newer() is newest
    assert "hidden-41" not in caplog.text + board.answer("settings").decode()
