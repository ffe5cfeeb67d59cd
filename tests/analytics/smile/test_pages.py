"""The smile page by HTTP, without a script: who may come to the camera, what it takes, and what the button gives."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

import pytest
from httpx import Response

from analytics.smile import pages
from analytics.smile.reader import AT_ONCE, MOST_BYTES, Look, Reader, Seen, unpack
from analytics.smile.score import NONE, WHOLE
from consent.events import Level, Purpose
from consent.kiosk.door import HEADERS
from consent.kiosk.messages import LANGUAGES, Messages
from consent.vouchers import Answer, read
from tests.analytics.smile.conftest import HOST, Shopper, Tablet
from tests.analytics.smile.faces import jpeg, scene
from tests.consent.kiosk.front import Browser

EN = Messages.load("en")
SMILING, HALF, NEUTRAL = (Look(Seen.FACE, one) for one in (1.0, (NONE + WHOLE) / 2, 0.0))
PICTURE = jpeg(scene())


def by_code(tablet: Tablet, code: str) -> Shopper:
    """Come to the camera with a receipt's code."""
    shopper = tablet.shopper()
    shopper.tap("/smile/start")
    assert shopper.at == "/smile/code"
    shopper.tap("/smile/code", code=code)
    return shopper


def shows(tablet: Tablet, look: Look) -> None:
    tablet.reader.shows = lambda _: look


def voucher_on(shopper: Shopper) -> str:
    code = read(shopper.code)
    assert code is not None
    return code


# --- the way of the button --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_button_gives_the_whole_discount_to_anybody_and_looks_at_nobody(tablet: Tablet, language: str) -> None:
    shopper = tablet.shopper()
    shopper.tap("/prefs", set=f"language:{language}", at="/smile")
    say = Messages.load(language)
    assert say("smile.same") in shopper.text
    shopper.tap("/smile/button")
    assert shopper.at == "/smile/voucher"
    assert say("smile.voucher_nobody") in shopper.text
    assert tablet.vouchers.redeem(voucher_on(shopper), now_us=tablet.now_us()) == (
        tablet.vouchers.redeem("", now_us=0).__class__(Answer.GOOD, 50)
    )
    assert (tablet.reader.loads, tablet.reader.looks) == (0, 0)


def test_a_reload_a_double_tap_and_another_try_give_the_same_voucher(tablet: Tablet) -> None:
    shopper = tablet.shopper()
    codes = set()
    for path in ("/smile/button", "/smile/button", "/smile/start", "/smile/take"):
        shopper.tap(path)
        assert shopper.at == "/smile/voucher"
        codes.add(voucher_on(shopper))
        shopper.get("/smile")
    assert len(codes) == 1
    assert tablet.vouchers.left(400, now_us=tablet.now_us()) == 350


def test_who_is_done_leaves_no_voucher_behind(tablet: Tablet) -> None:
    shopper = tablet.shopper()
    shopper.tap("/smile/button")
    code = voucher_on(shopper)
    shopper.tap("/finish")
    shopper.get("/smile/voucher")
    assert code not in shopper.text.replace("-", "")
    assert shopper.at == "/smile"


def test_the_budget_of_the_day_ends_it_for_both_ways(tablet: Tablet) -> None:
    tablet.open(budget=100)
    for _ in range(2):
        tablet.shopper().tap("/smile/button")
    late = tablet.shopper()
    late.tap("/smile/button")
    assert (late.page.status_code, EN("smile.spent") in late.text) == (409, True)
    shows(tablet, SMILING)
    smiling = by_code(tablet, tablet.yes())
    for _ in range(2):
        smiling.show(PICTURE)
    smiling.tap("/smile/take")
    assert EN("smile.spent") in smiling.text
    tablet.ahead_s += 86_400
    tomorrow = tablet.shopper()
    tomorrow.tap("/smile/button")
    assert tomorrow.at == "/smile/voucher"


def test_somebody_who_plays_with_the_button_does_not_empty_the_day(tablet: Tablet) -> None:
    tablet.open(budget=100_000)
    told = [tablet.shopper().tap("/smile/button").status_code for _ in range(pages.BUTTONS + 3)]
    assert told == [200] * pages.BUTTONS + [429] * 3
    tablet.ahead_s += 1.01 / pages.BUTTONS_PER_S
    assert tablet.shopper().tap("/smile/button").status_code == 200


# --- who may come to the camera ---------------------------------------------------------------------------------------


def test_nobody_comes_to_the_camera_without_a_yes_to_a_smile(tablet: Tablet) -> None:
    for code in (tablet.yes(Purpose.EMOTION, Purpose.DWELL, Purpose.REPEAT), tablet.yes()):
        if tablet.ledger.permits(tablet.ledger.find(code), tablet.now_us()) == {Purpose.SMILE}:
            tablet.ledger.withdraw(code, now_us=tablet.now_us())
        shopper = by_code(tablet, code)
        assert (shopper.page.status_code, EN("smile.no_grant") in shopper.text) == (403, True)
        assert EN("smile.by_button") in shopper.text
        shopper.get("/smile/camera")
        assert shopper.at == "/smile"
        assert shopper.show(PICTURE).status_code == 403
        shopper.tap("/smile/take")
        assert shopper.page.status_code == 403
        shopper.tap("/smile/button")
        assert shopper.at == "/smile/voucher", "the discount is theirs all the same"
    assert (tablet.reader.loads, tablet.reader.looks) == (0, 0)


def test_a_yes_that_is_over_lets_nobody_to_the_camera(tablet: Tablet) -> None:
    code = tablet.yes(days=1)
    tablet.ahead_s += 86_401
    assert by_code(tablet, code).page.status_code == 403


def test_an_unknown_code_is_told_in_a_friendly_way(tablet: Tablet) -> None:
    shopper = by_code(tablet, "0" * 20)
    assert EN("code.unknown") in shopper.text
    shopper.tap("/smile/code", code="12")
    assert EN("code.wrong_form") in shopper.text
    shopper.tap("/smile/key", code="AB", key="7")
    assert 'value="AB7"' in shopper.text


def test_who_has_just_said_yes_at_this_screen_needs_no_code(tablet: Tablet) -> None:
    shopper = tablet.shopper("/")
    shopper.yes("smile")
    assert shopper.at == "/done"
    receipt = shopper.code
    assert 'href="/smile"' in shopper.text
    shopper.get("/smile")
    shopper.tap("/smile/start")
    assert shopper.at == "/smile/camera"
    shopper.get("/done")
    assert shopper.code == receipt, "the receipt is still there"
    shopper.tap("/finish")
    shopper.get("/smile/camera")
    assert shopper.at == "/smile"


def test_the_code_is_not_kept_and_stands_in_no_page(tablet: Tablet, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    code = tablet.yes()
    shows(tablet, SMILING)
    shopper = by_code(tablet, code)
    assert shopper.at == "/smile/camera"
    (session,) = tablet.app.state.kiosk.sessions.all()
    assert session.code is None
    for _ in range(2):
        shopper.show(PICTURE)
    shopper.tap("/smile/take")
    assert code not in shopper.text
    assert voucher_on(shopper) not in caplog.text
    assert code not in caplog.text


def test_once_a_day_under_one_code_by_the_camera_and_by_the_button(tablet: Tablet) -> None:
    code = tablet.yes(days=3)
    shows(tablet, SMILING)
    first = by_code(tablet, code)
    for _ in range(2):
        first.show(PICTURE)
    first.tap("/smile/take")
    assert first.at == "/smile/voucher"
    assert EN("smile.had_one") in by_code(tablet, code).text
    tablet.ahead_s += 86_400
    assert by_code(tablet, code).at == "/smile/camera"


# --- the camera -------------------------------------------------------------------------------------------------------


def test_the_price_falls_for_a_smile_that_two_pictures_show_and_never_rises(tablet: Tablet) -> None:
    shopper = by_code(tablet, tablet.yes())
    prices = []
    for look in (NEUTRAL, SMILING, NEUTRAL, HALF, HALF, NEUTRAL, Look(Seen.NOBODY), SMILING, SMILING, NEUTRAL):
        shows(tablet, look)
        tablet.ahead_s += 1
        prices.append(shopper.show(PICTURE).json()["price"])
    assert prices == ["2.50 EUR"] * 4 + ["2.25 EUR"] * 4 + ["2.00 EUR"] * 2
    shopper.tap("/smile/take")
    assert "2.00 EUR" in shopper.text
    assert tablet.vouchers.redeem(voucher_on(shopper), now_us=tablet.now_us()).worth == 50


def test_a_half_smile_can_be_taken_or_changed_for_the_whole_by_the_button(tablet: Tablet) -> None:
    shows(tablet, HALF)
    for path, worth in (("/smile/take", 25), ("/smile/button", 50)):
        shopper = by_code(tablet, tablet.yes())
        for _ in range(2):
            shopper.show(PICTURE)
        shopper.tap(path)
        assert tablet.vouchers.redeem(voucher_on(shopper), now_us=tablet.now_us()).worth == worth


def test_no_smile_takes_nothing_off(tablet: Tablet) -> None:
    shows(tablet, NEUTRAL)
    shopper = by_code(tablet, tablet.yes())
    for _ in range(4):
        assert shopper.show(PICTURE).json()["worth"] == 0
    shopper.tap("/smile/take")
    assert shopper.at == "/smile/camera"
    assert not (tablet.root / "vouchers").exists() or tablet.vouchers.left(400, now_us=tablet.now_us()) == 400


@pytest.mark.parametrize("seen", [Seen.NOBODY, Seen.SEVERAL, Seen.AWAY])
def test_what_cannot_be_read_is_said(tablet: Tablet, seen: Seen) -> None:
    shows(tablet, Look(seen))
    told = by_code(tablet, tablet.yes()).show(PICTURE).json()
    assert (told["seen"], told["text"], told["worth"]) == (seen.value, EN(f"smile.{seen}"), 0)


@pytest.mark.parametrize("how", ["withdrawn", "that purpose", "expired", "lowered", "finished"])
def test_an_end_stops_the_camera_within_a_second(tablet: Tablet, how: str) -> None:
    shows(tablet, SMILING)
    code = tablet.yes(Purpose.SMILE, Purpose.DWELL)
    shopper = by_code(tablet, code)
    csrf = shopper.csrf
    assert shopper.show(PICTURE).status_code == 200
    began = time.monotonic()
    if how in ("withdrawn", "that purpose"):
        with_other = tablet.ledger.withdraw(
            code, now_us=tablet.now_us(), purposes=None if how == "withdrawn" else [Purpose.SMILE]
        )
        assert Purpose.SMILE in with_other.purposes
    elif how == "expired":
        tablet.ahead_s += 86_401  # the session is over with it
    elif how == "lowered":
        tablet.level = Level.REPEAT
    else:
        shopper.tap("/finish")
    looks = tablet.reader.looks
    sent = {"origin": HOST, "content-type": "image/jpeg", "x-csrf": csrf}
    answer = shopper.client.post("/smile/picture", content=PICTURE, headers=sent)
    assert answer.status_code in (403, 404)
    assert time.monotonic() - began < 1.0
    assert tablet.reader.looks == looks, "no further look at a face"
    if how in ("withdrawn", "that purpose"):
        assert answer.json() == {"stop": True, "text": EN("smile.no_grant")}
        shopper.page = shopper.client.get("/smile")
        shopper.tap("/smile/take")
        assert shopper.page.status_code == 403, "what was smiled before is not taken either"


@pytest.mark.parametrize("how", ["withdrawn", "lowered"])
def test_a_yes_taken_back_while_a_picture_is_looked_at_moves_no_price(tablet: Tablet, how: str) -> None:
    shows(tablet, SMILING)
    code = tablet.yes()
    shopper = by_code(tablet, code)
    assert shopper.show(PICTURE).status_code == 200

    def meanwhile(_: bytes) -> Look:
        if how == "withdrawn":
            tablet.ledger.withdraw(code, now_us=tablet.now_us())
        else:
            tablet.level = Level.REPEAT
        return SMILING

    tablet.reader.shows = meanwhile
    answer = shopper.show(PICTURE)
    assert (answer.status_code, answer.json()) == (403, {"stop": True, "text": EN("smile.no_grant")})
    tablet.level = Level.EMOTION
    shopper.page = shopper.client.get("/smile")
    shopper.tap("/smile/take")
    assert shopper.page.status_code == 403
    assert not (tablet.root / "vouchers").exists()


def test_pictures_in_work_hold_up_no_other_page_and_no_further_picture(
    tablet: Tablet, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, go_on = threading.Semaphore(0), threading.Event()

    def slow(jpeg: bytes) -> object:
        going.release()
        assert go_on.wait(60)
        return unpack(jpeg)

    monkeypatch.setattr("analytics.smile.reader.unpack", slow)
    shoppers = [by_code(tablet, tablet.yes()) for _ in range(AT_ONCE + 1)]
    told: list[int] = []
    threads = [
        threading.Thread(target=lambda one=one: told.append(one.show(PICTURE).status_code)) for one in shoppers[1:]
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert going.acquire(timeout=60)
    try:
        answer = shoppers[0].show(PICTURE)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        stops = tablet.shopper("/")
        stops.get("/stop")
        assert (stops.at, stops.page.status_code) == ("/stop", 200)
        assert by_code(tablet, tablet.yes()).at == "/smile/camera", "somebody else comes to the camera, too"
        assert told == []
    finally:
        go_on.set()
        for thread in threads:
            thread.join()
    assert told == [200] * AT_ONCE
    monkeypatch.undo()
    assert shoppers[0].show(PICTURE).status_code == 200


def test_the_camera_is_looked_through_for_a_minute_at_a_time(tablet: Tablet) -> None:
    shows(tablet, NEUTRAL)
    shopper = by_code(tablet, tablet.yes())
    tablet.ahead_s += 20  # reads first
    assert shopper.show(PICTURE).status_code == 200
    tablet.ahead_s += pages.TURN_S
    assert shopper.show(PICTURE).json() == {"stop": True, "text": EN("smile.paused")}
    shopper.get("/smile/camera")
    assert shopper.show(PICTURE).status_code == 200


def test_pictures_are_taken_four_a_second_and_one_at_a_time(tablet: Tablet) -> None:
    shopper = by_code(tablet, tablet.yes())
    going, go_on = threading.Event(), threading.Event()

    def slow(_: bytes) -> Look:
        going.set()
        assert go_on.wait(20)
        return NEUTRAL

    tablet.reader.shows = slow
    first: list[Response] = []
    thread = threading.Thread(target=lambda: first.append(shopper.show(PICTURE)))
    thread.start()
    assert going.wait(20)
    assert shopper.show(PICTURE).status_code == 429, "one is being looked at"
    go_on.set()
    thread.join()
    assert first[0].status_code == 200
    shows(tablet, NEUTRAL)
    tablet.clock = lambda: 1000.0  # type: ignore[method-assign]  # time stands still
    tablet.open()
    other = by_code(tablet, tablet.yes())
    told = [other.show(PICTURE).status_code for _ in range(pages.PICTURES + 2)]
    assert told == [200] * pages.PICTURES + [429] * 2


@pytest.mark.parametrize(
    ("what", "headers", "status"),
    [
        (PICTURE, {"content-type": "multipart/form-data; boundary=x"}, 415),
        (PICTURE, {"content-type": "image/png"}, 415),
        (PICTURE, {"x-csrf": "forged"}, 403),
        (PICTURE, {"origin": "https://evil.example"}, 403),
        (b"\xff" * (MOST_BYTES + 1), {}, 413),
        (b"no picture", {}, 422),
        (b"", {}, 422),
    ],
)
def test_what_is_not_a_picture_of_this_page_is_refused(
    tablet: Tablet, what: bytes, headers: dict[str, str], status: int
) -> None:
    shopper = by_code(tablet, tablet.yes())
    looked = tablet.reader.looks
    assert shopper.show(what, **headers).status_code == status
    assert tablet.reader.looks == looked + (status == 422)
    assert shopper.show(PICTURE).status_code == 200, "and the next one is looked at"


# --- where it does not exist ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [Level.COUNTS, Level.DWELL, Level.REPEAT])
def test_under_a_lower_level_there_is_no_such_page(tablet: Tablet, level: Level) -> None:
    here = tablet.shopper()
    tablet.level = level
    for path in ("/smile", "/smile/code", "/smile/camera", "/smile/voucher"):
        assert here.client.get(path).status_code == 404
    assert here.tap("/smile/button").status_code == 404
    assert here.show(PICTURE, **{"x-csrf": "x"}).status_code == 404
    assert 'href="/smile"' not in here.get("/").text
    tablet.level = Level.EMOTION
    assert 'href="/smile"' in here.get("/").text


def test_the_camera_is_allowed_on_its_own_page_only(tablet: Tablet) -> None:
    shopper = by_code(tablet, tablet.yes())
    here = shopper.page.headers
    assert here["permissions-policy"].startswith("camera=(self),")
    assert {name: here[name] for name in HEADERS if name != "permissions-policy"} == {
        name: value for name, value in HEADERS.items() if name != "permissions-policy"
    }
    for path in ("/smile", "/smile/code", "/", "/till"):
        assert shopper.client.get(path).headers["permissions-policy"] == HEADERS["permissions-policy"]


# --- nothing stays ----------------------------------------------------------------------------------------------------


def test_no_picture_is_spooled_written_or_kept(tablet: Tablet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a megabyte at a time through the real reader, with every way to a file watched."""
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setenv("TMPDIR", str(spool))
    monkeypatch.setattr("tempfile.tempdir", None)
    shopper = by_code(tablet, tablet.yes())
    tablet.reader.load()
    opened: list[str] = []
    watching = threading.Event()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if watching.is_set() and (writes or event.startswith("tempfile.")):
            opened.append(f"{event} {arguments[0]}")

    import sys

    sys.addaudithook(hook)
    noise = os.urandom(60_000)
    secret = b"a face nobody may keep"
    picture = PICTURE[:2] + b"\xff\xfe" + (len(secret) + 2).to_bytes(2, "big") + secret + PICTURE[2:]
    padded = picture + noise * 7
    assert 400_000 < len(padded) < MOST_BYTES
    before = handles()
    watching.set()
    for i in range(12):
        tablet.ahead_s += 1
        answer = shopper.show(padded if i % 2 else picture)
        assert answer.status_code == 200
    watching.clear()
    assert opened == []
    assert handles() <= before
    assert list(spool.iterdir()) == []
    for path in tablet.root.rglob("*"):
        assert not path.is_file() or (secret not in path.read_bytes() and noise[:64] not in path.read_bytes())


def handles() -> int:
    """How many files of the disk this process has open."""
    count = 0
    for one in Path("/proc/self/fd").iterdir():
        try:
            count += one.readlink().is_absolute() and not str(one.readlink()).startswith(("/dev", "/proc"))
        except FileNotFoundError:
            continue
    return count


def test_the_reader_of_a_real_kiosk_is_the_real_one(tablet: Tablet) -> None:
    assert isinstance(tablet.reader, Reader)
    shopper = by_code(tablet, tablet.yes())
    assert tablet.reader.loads == 1
    assert shopper.show(PICTURE).json()["seen"] == "nobody"


def test_a_page_of_another_browser_is_not_this_one(tablet: Tablet) -> None:
    shopper = by_code(tablet, tablet.yes())
    thief = Browser(tablet.client(), "/smile")
    sent = {"origin": HOST, "content-type": "image/jpeg", "x-csrf": shopper.csrf}
    assert thief.client.post("/smile/picture", content=PICTURE, headers=sent).status_code == 403
