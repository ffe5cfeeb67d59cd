"""Sessions: how long they last, what is forgotten, and how fast one may go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from consent.kiosk.messages import Messages
from consent.kiosk.session import GRACE_S, MOST, Attempt, Bucket, Session, Sessions
from tests.consent.kiosk.conftest import HOST, Front
from tests.consent.kiosk.front import Browser

EN = Messages.load("en")


class Time:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_session_that_nobody_touches_is_over_and_says_so_in_its_own_language(front: Front, person: Browser) -> None:
    person.tap("/prefs", set="language:de", at="/")
    person.get("/choices")
    front.ahead_s += front.shop.idle_s + GRACE_S + 1
    page = person.get("/choices")
    assert page.status_code == 410
    assert Messages.load("de")("problem.lapsed") in person.text
    assert person.get("/choices").status_code == 200
    assert " checked" not in person.page.text


def test_an_answer_that_comes_too_late_writes_nothing(front: Front, person: Browser) -> None:
    person.get("/choices")
    front.ahead_s += front.shop.idle_s + GRACE_S + 1
    page = person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older")
    assert page.status_code == 410
    assert EN("problem.lapsed") in person.text
    assert front.kinds() == []


def test_the_first_page_never_says_that_something_is_over(front: Front, person: Browser) -> None:
    front.ahead_s += 10_000
    assert person.get("/").status_code == 200
    assert EN("welcome.what") in person.text


def test_whoever_says_that_they_are_there_has_their_time_anew(front: Front, person: Browser) -> None:
    person.get("/choices")
    for _ in range(12):
        front.ahead_s += front.shop.idle_s
        data = {"csrf": person.hidden["csrf"]}
        assert person.client.post("/stay", data=data, headers={"origin": HOST}).status_code == 204
    page = person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older")
    assert page.url.path == "/done"


def test_the_code_is_forgotten_without_any_tap(front: Front) -> None:
    with TestClient(front.app, base_url=HOST, client=("127.0.0.1", 1)) as client:  # with its background task
        person = Browser(client)
        person.yes("dwell")
        (session,) = front.app.state.kiosk.sessions.all()
        front.ahead_s += front.shop.idle_s + GRACE_S + 1
        front.app.state.kiosk.sessions.sweep()
        assert session.code is None
        assert session.receipt is None
        assert front.app.state.kiosk.sessions.all() == []
    assert front.kinds() == ["granted"], "what was confirmed holds"


def test_a_session_shows_no_code_where_it_is_printed() -> None:
    session = Session("en", code="SECRET", typed="SECRET")
    session.attempt = Attempt("id", "SECRET")
    assert "SECRET" not in repr(session)


def test_a_crowd_of_tabs_pushes_out_the_oldest() -> None:
    clock = Time()
    sessions = Sessions(90, clock, lambda _: True)
    first = sessions.begin("en")
    for _ in range(MOST):
        clock.now_s += 0.001
        sessions.begin("en")
    assert len(sessions.all()) == MOST
    assert sessions.find(first.id) is None


def test_sessions_made_from_elsewhere_do_not_push_out_a_person_in_the_middle_of_the_form() -> None:
    clock = Time()
    sessions = Sessions(90, clock, lambda _: True)
    person = sessions.begin("en")
    assert sessions.find(person.id) is person, "their browser came back with the cookie"
    for _ in range(3 * MOST):
        clock.now_s += 0.001
        sessions.begin("en")
    assert len(sessions.all()) == MOST
    assert sessions.find(person.id) is person


def test_a_page_from_elsewhere_begins_no_session(front: Front, person: Browser) -> None:
    person.get("/choices")
    with TestClient(front.app, base_url=HOST, client=("127.0.0.1", 9)) as other:
        for _ in range(MOST + 1):
            page = other.get("/", headers={"sec-fetch-site": "cross-site"})
            assert page.status_code == 403
            assert "set-cookie" not in page.headers
            assert 'href="/"' in page.text, "a tap on it is one of this page's own"
        assert other.get("/", headers={"sec-fetch-site": "same-origin"}).status_code == 200
        assert other.get("/", headers={"sec-fetch-site": "none"}).status_code == 200
    page = person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older")
    assert page.url.path == "/done"


def test_an_unconfirmed_yes_is_taken_back_until_that_works_and_then_forgotten() -> None:
    clock, tried, works = Time(), [], [False, False, True]

    def undo(code: str) -> bool:
        tried.append(code)
        return works[len(tried) - 1]

    sessions = Sessions(90, clock, undo)
    session = sessions.begin("en")
    code = session.attempt.secret
    session.attempt.unsure = True
    clock.now_s += 90 + GRACE_S + 1
    for _ in range(5):
        sessions.sweep()
    assert tried == [code] * 3


def test_operations_of_an_attempt_differ_and_repeat() -> None:
    attempt, other = Attempt(), Attempt()
    assert attempt.operation("grant") == attempt.operation("grant")
    assert len({attempt.operation("grant"), attempt.operation("refuse"), other.operation("grant")}) == 3
    assert len(attempt.operation("grant")) >= 16


@given(st.integers(1, 20), st.floats(0.05, 5), st.lists(st.floats(0, 30), min_size=1, max_size=60))
def test_a_bucket_lets_through_no_more_than_it_says(most: int, per_s: float, waits: list[float]) -> None:
    bucket, now_s, passed = Bucket(most, per_s), 0.0, 0
    for wait_s in waits:
        now_s += wait_s
        passed += bucket.take(now_s)
        assert passed <= most + now_s * per_s + 1e-6
    bucket = Bucket(most, per_s)
    assert all(bucket.take(5.0) for _ in range(most))
    assert not bucket.take(5.0)
    assert bucket.take(5.0 + bucket.wait_s(5.0) + 1e-6)


def test_a_clock_that_stands_still_gives_nothing_back() -> None:
    bucket = Bucket(1, 1)
    assert bucket.take(10.0)
    assert not bucket.take(10.0)
    assert not bucket.take(9.0)


@pytest.mark.parametrize("path", ["/choices", "/stop", "/notice", "/returning"])
def test_a_page_asked_for_first_of_all_is_simply_shown(front: Front, path: str) -> None:
    assert front.client().get(path).status_code == 200
