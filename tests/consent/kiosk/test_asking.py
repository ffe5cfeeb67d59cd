"""What the screen says of the camera: every answer in words, none, and the real pad with several people before it."""

from __future__ import annotations

import html
import re
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from analytics import desk
from analytics.state import State
from consent import padview
from consent.events import Purpose
from consent.keys import Role
from consent.kiosk.app import kiosk
from consent.kiosk.messages import LANGUAGES, Messages
from consent.ledger import Ledger
from consent.padview import PadMark, PadView
from consent.padwords import PadKind, PadOutcome
from tests.consent.kiosk.conftest import HOST, Front
from tests.consent.kiosk.front import AWAY, BESIDE, ON_PAD, Browser, Floor, make_shop, watching

EN = Messages.load("en")
GOOD = {PadOutcome.LINKED, PadOutcome.ALREADY_LINKED, PadOutcome.UNLINKED, PadOutcome.SUPPRESSED}


def ask(front: Front, kind: PadKind) -> Browser:
    person = front.browser()
    if kind is PadKind.GRANT:
        person.yes("dwell")
    elif kind is PadKind.LINK:
        front.camera.says[PadKind.GRANT] = PadOutcome.NOBODY_ON_PAD
        person.yes("dwell")
        person.tap("/link")
    elif kind is PadKind.WITHDRAW:
        person.get("/stop")
        person.tap("/stop/here")
    else:
        person.tap("/answer", answer="no")
        person.tap("/object")
    return person


def outcome_of(person: Browser) -> str:
    found = re.search(r'<section class="outcome (\w+)".*?<p role="status">(.*?)</p>', person.text, re.DOTALL)
    assert found is not None, person.text
    return found[2]


@pytest.mark.parametrize("kind", list(PadKind))
@pytest.mark.parametrize("outcome", list(PadOutcome))
def test_every_answer_is_said_in_words_with_what_to_do(front: Front, kind: PadKind, outcome: PadOutcome) -> None:
    front.camera.says[kind] = outcome
    person = ask(front, kind)
    text = outcome_of(person)
    texts = {EN(key) for key in EN.texts if key.startswith(f"pad.{outcome}")}
    assert text in texts
    if outcome in GOOD:
        assert '<section class="outcome good"' in person.page.text
    else:
        assert '<section class="outcome bad"' in person.page.text
        assert EN("pad.try_again") in person.text, "whoever was not linked can try again"


def test_the_same_answer_asks_for_another_thing_to_do_where_another_thing_was_asked(front: Front) -> None:
    said = {}
    for kind in (PadKind.GRANT, PadKind.WITHDRAW, PadKind.OBJECT):
        front.camera.says[kind] = PadOutcome.NOBODY_ON_PAD
        said[kind] = outcome_of(ask(front, kind))
    assert len(set(said.values())) == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_answer_has_its_own_words_in_every_language(language: str) -> None:
    say = Messages.load(language)
    texts = [say(f"pad.{outcome}") for outcome in PadOutcome]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("kind", list(PadKind))
def test_a_camera_that_does_not_run_is_said_within_two_seconds(front: Front, kind: PadKind) -> None:
    front.camera.says = dict.fromkeys(PadKind)
    front.camera.sees = None
    person = front.browser()
    if kind in (PadKind.GRANT, PadKind.LINK):
        person.get("/choices")
        tap = partial(person.tap, "/answer", answer="yes", ticking="1", purpose="dwell", age="older")
    elif kind is PadKind.WITHDRAW:
        person.get("/stop")
        tap = partial(person.tap, "/stop/here")
    else:
        tap = partial(person.tap, "/object")
    began = time.monotonic()
    tap()
    assert time.monotonic() - began < 2.0
    assert outcome_of(person) in {EN(key) for key in EN.texts if key.startswith("pad.no_answer")}
    if kind in (PadKind.GRANT, PadKind.LINK):
        assert person.code, "the receipt is there all the same"


def test_a_camera_that_runs_and_is_late_is_not_said_to_be_down(front: Front) -> None:
    front.camera.says[PadKind.GRANT] = None
    person = front.browser()
    began = time.monotonic()
    person.yes("dwell")
    assert time.monotonic() - began < 2.2
    assert outcome_of(person) == EN("pad.waiting_long")
    assert "data-asked" in person.page.text
    assert person.client.get("/asked").json() == {"final": False}
    front.camera.says[PadKind.GRANT] = PadOutcome.MOVED_AWAY
    time.sleep(0.1)
    assert person.client.get("/asked").json() == {"final": True}
    assert 'href="/done"' in person.page.text, "without any script one looks again by a tap"
    person.get("/done")
    assert outcome_of(person) == EN("pad.moved_away")


def test_a_second_tap_while_the_camera_thinks_asks_it_once(front: Front) -> None:
    front.camera.says[PadKind.OBJECT] = None
    person = front.browser()
    for _ in range(3):
        person.tap("/object")
    assert [kind for kind, _, _ in front.camera.asked] == [PadKind.OBJECT]


def test_a_kiosk_without_a_pad_asks_for_no_yes_that_could_never_take_effect(front: Front) -> None:
    front.open(pad=None, without=frozenset({Purpose.SMILE}))
    person = front.browser()
    assert "camera-text" not in person.page.text
    assert EN("welcome.what_counts") in html.unescape(person.page.text)
    assert 'href="/choices"' not in person.page.text
    person.yes("dwell")
    assert person.page.url.path != "/done"
    assert EN("choices.level_lowered") in html.unescape(person.page.text)
    person.get("/")
    person.tap("/object")
    assert outcome_of(person) == EN("pad.no_pad_object")
    assert 'action="/stop/here"' not in person.get("/stop").text
    assert front.camera.asked == []


# --- the shopper's own frame ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "mark", "text"),
    [
        (None, "off", "box.off"),
        (PadView(0, False, None, PadMark.NONE, 1), "none", "box.none"),
        (PadView(0, True, None, PadMark.NONE, 1), "none", "box.near"),
        (PadView(2, True, None, PadMark.NONE, 1), "none", "box.several"),
        (PadView(1, False, (0.25, 0.1, 0.5, 0.9), PadMark.NONE, 1), "counted", "box.counted"),
        (PadView(1, True, (0.25, 0.1, 0.5, 0.9), PadMark.NONE, 1), "counted", "box.near"),
        (PadView(1, True, (0.25, 0.1, 0.5, 0.9), PadMark.LINKED, 1), "linked", "box.linked"),
        (PadView(1, False, (0.25, 0.1, 0.5, 0.9), PadMark.LINKED, 1), "linked", "box.linked"),
        (PadView(1, False, (0.25, 0.1, 0.5, 0.9), PadMark.SUPPRESSED, 1), "suppressed", "box.suppressed"),
    ],
)
def test_the_own_frame_is_drawn_and_nobody_elses(front: Front, view: PadView | None, mark: str, text: str) -> None:
    front.camera.sees = view
    person = front.browser()
    assert f'class="me {mark}"' in person.page.text
    assert EN(text) in person.text
    told = person.client.get("/pad").json()
    assert told["mark"] == mark
    assert told["text"] == EN(text)
    assert set(told) == {"mark", "text", "x", "y", "width", "height"}
    if view is None or view.box is None:
        assert {told[name] for name in ("x", "y", "width", "height")} == {0.0}
    else:
        assert [told[name] for name in ("x", "y", "width", "height")] == [40.0, 9.0, 40.0, 72.0]
    assert "<image" not in person.page.text
    assert "<img" not in person.page.text


def test_a_page_that_asks_by_itself_keeps_no_session_alive(front: Front) -> None:
    person = front.browser()
    person.yes("dwell")
    for _ in range(12):
        front.ahead_s += 10
        person.client.get("/pad")
        person.client.get("/asked")
    assert front.app.state.kiosk.sessions.all() == []
    assert person.client.get("/pad").status_code == 204
    assert person.client.get("/asked").status_code == 204


# --- the real pad -----------------------------------------------------------------------------------------------------


class Stand:
    """A kiosk on a shop whose camera looks at a floor with people on it."""

    def __init__(self, state: State, floor: Floor, ledger: Ledger) -> None:
        self.floor, self.ledger = floor, ledger
        shop = desk.shop(state, ledger)
        assert shop.pad is not None
        self.app = kiosk(shop, ledger, view=partial(padview.read, state.live, shop.pad))

    def browser(self) -> Browser:
        return Browser(TestClient(self.app, base_url=HOST, client=("127.0.0.1", 1)))

    def wait(self, mark: str) -> None:
        client = self.browser().client
        for _ in range(60):
            if client.get("/pad").json()["mark"] == mark:
                return
            time.sleep(0.05)
        raise AssertionError(f"the pad does not say {mark}")


@pytest.fixture(scope="module")
def stands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    state, floor = make_shop(tmp_path_factory.mktemp("front") / "shop"), Floor()
    with watching(state, floor), state.open_ledger(Role.KIOSK) as ledger:
        yield Stand(state, floor, ledger)


@pytest.fixture
def stand(stands: Stand) -> Iterator[Stand]:
    stands.floor.clear()
    yield stands
    stands.floor.clear()


def walk_up(stand: Stand) -> None:
    """One person comes to the pad and stands there alone."""
    stand.floor.come(ON_PAD)
    stand.wait("counted")


def test_a_person_alone_on_the_pad_is_linked_within_two_seconds_and_stops_there(stand: Stand) -> None:
    walk_up(stand)
    person = stand.browser()
    person.get("/choices")
    time.sleep(0.3)
    began = time.monotonic()
    person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older")
    took_s = time.monotonic() - began
    assert outcome_of(person) == EN("pad.linked")
    assert took_s < 2.0
    stand.wait("linked")
    code = person.code
    person.tap("/finish")
    person.get("/stop")
    began = time.monotonic()
    person.tap("/stop/here")
    assert outcome_of(person) == EN("pad.unlinked")
    assert time.monotonic() - began < 2.0
    assert stand.ledger.permits(stand.ledger.find(code), time.time_ns() // 1000) == frozenset()
    stand.wait("counted")


def test_whoever_says_no_and_is_not_to_be_counted_sees_their_frame_turn_hollow(stand: Stand) -> None:
    walk_up(stand)
    person = stand.browser()
    person.tap("/answer", answer="no")
    began = time.monotonic()
    person.tap("/object")
    assert outcome_of(person) == EN("pad.suppressed")
    assert time.monotonic() - began < 2.0
    stand.wait("suppressed")


def test_of_two_on_the_pad_nobody_is_linked_and_the_screen_says_one_at_a_time(stand: Stand) -> None:
    walk_up(stand)
    stand.floor.come((180.0, 255.0))
    time.sleep(0.4)
    person = stand.browser()
    person.yes("dwell")
    assert outcome_of(person) == EN("pad.several_people")
    assert EN("box.several") in person.text
    assert stand.ledger.permits(stand.ledger.find(person.code), time.time_ns() // 1000) == {Purpose.DWELL}


def test_somebody_in_the_ring_is_said_and_a_second_try_works_when_they_have_gone(stand: Stand) -> None:
    walk_up(stand)
    near = stand.floor.come(BESIDE)
    time.sleep(0.4)
    person = stand.browser()
    person.yes("dwell")
    assert outcome_of(person) == EN("pad.somebody_near")
    stand.floor.walk(near, AWAY)
    stand.wait("counted")
    person.get("/done")
    time.sleep(0.3)
    person.tap("/link")
    assert outcome_of(person) == EN("pad.linked")


def test_a_child_by_the_hand_keeps_anybody_from_being_linked_and_is_left_out_with_the_parent(stand: Stand) -> None:
    walk_up(stand)
    stand.floor.come((240.0, 252.0), height=20.0)
    time.sleep(0.4)
    person = stand.browser()
    person.get("/choices")
    assert EN("choices.child") in person.text
    person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older")
    assert outcome_of(person) == EN("pad.several_people")
    person.tap("/finish")
    person.tap("/answer", answer="no")
    person.tap("/object")
    assert outcome_of(person) == EN("pad.suppressed")


def test_a_child_on_the_arm_is_one_body_with_the_parent_who_alone_is_linked(stand: Stand) -> None:
    walk_up(stand)  # the camera has one track for both: a carried child has no feet on the floor
    person = stand.browser()
    person.get("/choices")
    assert EN("choices.child") in person.text
    time.sleep(0.3)
    person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older")
    assert outcome_of(person) == EN("pad.linked")


def test_nobody_on_the_pad_is_said(stand: Stand) -> None:
    person = stand.browser()
    person.yes("dwell")
    # the pad remembers that the last one walked off
    assert outcome_of(person) in {EN("pad.nobody_on_pad"), EN("pad.moved_away")}
    person.tap("/finish")
    person.get("/stop")
    person.tap("/stop/here")
    assert outcome_of(person) in {EN("pad.nobody_on_pad_stop"), EN("pad.not_linked")}


def test_whoever_comes_after_the_screen_was_shown_is_not_linked(stand: Stand) -> None:
    person = stand.browser()
    person.get("/choices")
    time.sleep(0.2)
    walk_up(stand)
    person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older")
    assert outcome_of(person) != EN("pad.linked")
    time.sleep(0.3)
    person.tap("/link")
    assert outcome_of(person) == EN("pad.linked"), "their own screen stood before them now"


def test_many_people_at_many_kiosks_never_see_each_others_answers(front: Front) -> None:
    """Eight people tap at the same instant, each in a session of their own."""
    front.camera.says[PadKind.GRANT] = PadOutcome.LINKED
    codes: list[str] = []
    start = threading.Barrier(8)

    def one() -> None:
        person = front.browser()
        person.get("/choices")
        start.wait()
        person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older")
        codes.append(person.code)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(codes)) == 8
    assert front.kinds() == ["granted"] * 8


def test_taps_at_the_same_instant_in_one_session_grant_once(front: Front) -> None:
    person = front.browser()
    person.get("/choices")
    form = {**person.hidden, "answer": "yes", "ticking": "1", "purpose": "dwell", "age": "older"}
    start, pages = threading.Barrier(6), []

    def tap() -> None:
        client = front.client()
        client.cookies.set("kiosk", person.client.cookies["kiosk"])
        start.wait()
        pages.append(client.post("/answer", data=form, headers={"origin": HOST}))

    threads = [threading.Thread(target=tap) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {page.url.path for page in pages} == {"/done"}
    assert front.kinds() == ["granted"]
    assert len(front.camera.asked) == 1


def test_the_shop_of_a_state_directory_is_what_its_file_says(tmp_path: Path) -> None:
    state = make_shop(tmp_path / "shop", kiosk='minimum_age = 18\nlanguages = ["de", "en"]\nidle_s = 60')
    with state.open_ledger(Role.KIOSK) as ledger:
        shop = desk.shop(state, ledger)
        assert (shop.minimum_age, shop.languages, shop.idle_s, shop.pad) == (18, ("de", "en"), 60, "pad")
        assert shop.controller.authority.startswith("Berliner Beauftragte")
        person = Browser(TestClient(kiosk(shop, ledger), base_url=HOST, client=("127.0.0.1", 1)))
        assert '<html lang="de"' in person.page.text
        assert Messages.load("de")("age.older", age=18) in person.client.get("/choices").text
