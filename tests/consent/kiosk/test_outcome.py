"""What a question at the kiosk comes to: told once, when it is over, in words that name nobody."""

from __future__ import annotations

import pytest

from consent.padwords import PadKind, PadOutcome
from tests.consent.kiosk.conftest import Front
from tests.consent.kiosk.front import Browser


def test_a_yes_that_was_linked_is_told_when_it_is_left_and_once(front: Front, person: Browser) -> None:
    person.yes("dwell")
    assert front.told == []
    person.get("/")
    person.get("/")
    assert front.told == [("opened", "yes", "linked")]


@pytest.mark.parametrize("why", [PadOutcome.NOBODY_ON_PAD, PadOutcome.SOMEBODY_NEAR, PadOutcome.BLIND])
def test_a_link_that_failed_says_why(front: Front, person: Browser, why: PadOutcome) -> None:
    front.camera.says[PadKind.GRANT] = why
    person.yes("dwell")
    person.get("/")
    assert front.told == [("opened", "yes", f"link_{why.value}")]


def test_a_second_try_that_worked_is_a_link(front: Front, person: Browser) -> None:
    front.camera.says[PadKind.GRANT] = PadOutcome.MOVED_AWAY
    person.yes("dwell")
    front.ahead_s += 10
    person.tap("/link")
    person.get("/")
    assert front.told == [("opened", "yes", "linked")]


def test_a_camera_that_never_answers_and_a_kiosk_without_pad(front: Front) -> None:
    front.camera.says[PadKind.GRANT], front.camera.sees = None, None
    one = front.browser()
    one.yes("dwell")
    one.get("/")
    front.open(pad=None)
    other = front.browser()
    other.yes("dwell")
    other.get("/")
    assert front.told == [("opened", "yes", "link_no_answer"), ("opened", "abandoned")], "there no yes can be said"


def test_no_and_do_not_count_me(front: Front, person: Browser) -> None:
    person.tap("/answer", answer="no")
    person.tap("/object")
    person.get("/")
    assert front.told == [("opened", "refused", "objected")]


def test_whoever_goes_away_is_told_of_when_the_kiosk_lets_go(front: Front, person: Browser) -> None:
    person.get("/choices")
    front.ahead_s += 1000
    front.app.state.kiosk.sessions.sweep()
    assert front.told == [("opened", "abandoned")]


def test_somebody_too_young_can_only_be_that(front: Front, person: Browser) -> None:
    person.yes("dwell", age="younger")
    person.get("/")
    assert front.told == [("opened", "too_young")]


def test_a_look_at_the_first_page_is_no_question(front: Front, person: Browser) -> None:
    person.get("/notice")
    person.get("/")
    front.ahead_s += 1000
    front.app.state.kiosk.sessions.sweep()
    assert front.told == []


def test_nothing_of_a_person_is_in_the_words(front: Front, person: Browser) -> None:
    person.yes("dwell", "repeat")
    code = person.code
    person.get("/")
    assert code not in repr(front.told)
    assert all(word.isidentifier() for words in front.told for word in words)
