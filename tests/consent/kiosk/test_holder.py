"""Stopping in two taps, coming back, renewing, looking everything up, and codes that are typed wrong."""

from __future__ import annotations

import re
import unicodedata

import pytest

from consent.events import Level, Purpose, State
from consent.kiosk.messages import Messages
from consent.padwords import PadKind, PadOutcome
from consent.subjects import new_secret, show_secret
from tests.consent.kiosk.conftest import Front
from tests.consent.kiosk.front import Browser

EN = Messages.load("en")


@pytest.fixture
def code(front: Front) -> str:
    """The code of somebody who said yes and went away."""
    somebody = front.browser()
    somebody.yes("dwell", "repeat")
    code = somebody.code
    somebody.tap("/finish")
    return code


def permitted(front: Front, code: str) -> set[Purpose]:
    return set(front.ledger.permits(front.ledger.find(code), front.now_us()))


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_stopping_on_the_pad_takes_two_taps_and_no_code(front: Front, code: str) -> None:
    person = front.browser()
    assert 'href="/stop"' in person.page.text  # the first tap
    person.get("/stop")
    person.tap("/stop/here")  # the second
    assert EN("pad.unlinked") in person.text
    assert [kind for kind, _, _ in front.camera.asked][-1] is PadKind.WITHDRAW


def test_stopping_by_the_code_takes_two_taps_and_the_code(front: Front, code: str) -> None:
    person = front.browser()
    person.get("/stop")
    person.tap("/stop/code", code=code)
    assert person.heading == EN("stopped.title")
    assert EN("purpose.dwell") in person.text
    assert EN("purpose.repeat") in person.text
    assert permitted(front, code) == set()
    assert front.kinds() == ["granted", "withdrawn"]


def test_stopping_twice_says_that_it_is_done(front: Front, code: str) -> None:
    person = front.browser()
    person.get("/stop")
    form = {**person.hidden, "code": code}
    origin = {"origin": str(person.client.base_url)}
    pages = [person.client.post("/stop/code", data=form, headers=origin) for _ in range(2)]
    assert all(EN("purpose.dwell") in page.text for page in pages), "a double tap still says what was ended"
    other = front.browser()
    other.get("/stop")
    other.tap("/stop/code", code=code)
    assert EN("stopped.nothing") in other.text
    assert front.kinds() == ["granted", "withdrawn"]


def test_two_codes_one_after_the_other_are_both_stopped(front: Front, code: str) -> None:
    second = front.browser()
    second.yes("dwell")
    other = second.code
    second.tap("/finish")
    person = front.browser()
    for each in (code, other):
        person.get("/stop")
        person.tap("/stop/code", code=each)
        assert permitted(front, each) == set()


@pytest.mark.parametrize(
    "write",
    [
        str.lower,
        show_secret,
        lambda c: " ".join(c),
        lambda c: f"https://shop.example/w#{c}",
        lambda c: c.replace("0", "O").replace("1", "l"),
        lambda c: "".join(chr(ord(x) + 0xFEE0) for x in c),  # full width
        lambda c: show_secret(c).replace("-", "–"),
    ],
)
def test_a_code_is_read_as_people_and_readers_write_it(front: Front, code: str, write: object) -> None:
    person = front.browser()
    person.get("/stop")
    person.tap("/stop/code", code=write(code))  # type: ignore[operator]
    assert permitted(front, code) == set()


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "ABC",
        "0" * 21,
        "💐" * 20,
        "\u202e" + "A" * 20,
        "<script>alert(1)</script>",
        "' OR 1=1 --",
        unicodedata.normalize("NFD", "é") * 10,
        "A" * 300,
        "\x00" * 20,
        "٠١٢٣٤٥٦٧٨٩٠١٢٣٤٥٦٧٨٩",
    ],
)
def test_a_code_typed_wrong_is_told_kindly_and_kept_to_be_mended(front: Front, person: Browser, wrong: str) -> None:
    person.get("/returning")
    page = person.tap("/returning", code=wrong)
    assert page.status_code == 200
    assert EN("code.wrong_form") in person.text
    assert 'aria-invalid="true"' in page.text
    assert "<script>alert" not in page.text
    assert wrong[:80] in person.text


def test_only_wrong_codes_are_limited_and_nobody_can_block_another(front: Front, code: str) -> None:
    prankster = front.browser()
    for _ in range(12):
        prankster.get("/stop")
        prankster.tap("/stop/code", code=new_secret())
    assert prankster.page.status_code == 429
    assert int(prankster.page.headers["retry-after"]) <= 10
    assert EN("code.too_many", seconds=10)[:40] in prankster.text
    person = front.browser()
    person.get("/stop")
    page = person.tap("/stop/code", code=code)
    assert page.status_code == 200
    assert permitted(front, code) == set()


def test_the_limit_passes(front: Front) -> None:
    person = front.browser()
    for _ in range(8):
        person.get("/know")
        person.tap("/know", code=new_secret())
    assert person.page.status_code == 429
    front.ahead_s += 11
    person.get("/know")
    person.tap("/know", code=new_secret())
    assert person.page.status_code == 200
    assert EN("code.unknown") in person.text


def test_every_character_can_be_tapped_without_any_script(front: Front, code: str) -> None:
    person = front.browser()
    person.get("/stop")
    for key in code[:-1]:
        typed = re.search(r'id="code" name="code" value="([^"]*)"', person.page.text)
        assert typed is not None
        person.tap("/key", at="/stop", code=typed[1], key=key)
    person.tap("/key", at="/stop", code=code[:-1] + "Z", key="delete")
    assert f'value="{code[:-1]}"' in person.page.text
    assert EN("code.count", n=19) in person.text
    person.tap("/key", at="/stop", code=code[:-1], key=code[-1])
    assert f'value="{code}"' in person.page.text
    assert re.search(rf'value="{code[-1]}" autofocus', person.page.text), "the key that was pressed keeps the focus"
    person.tap("/key", at="/stop", code=code, key="clear")
    assert 'id="code" name="code" value=""' in person.page.text
    (session,) = [s for s in front.app.state.kiosk.sessions.all() if s.id == person.client.cookies["kiosk"]]
    assert session.typed == "", "what is typed stands in the form and nowhere else"


def test_another_language_half_way_keeps_what_was_typed(front: Front, person: Browser) -> None:
    person.get("/know")
    page = person.tap("/prefs", set="language:de", at="/know", code="AB12")
    assert 'id="code" name="code" value="AB12"' in page.text
    assert 'value="AB12"' not in person.get("/know").text


# --- coming back ------------------------------------------------------------------------------------------------------


def test_a_code_links_again_without_questions(front: Front, code: str) -> None:
    person = front.browser()
    person.get("/returning")
    page = person.tap("/returning", code=code)
    assert page.url.path == "/mine"
    assert EN("pad.linked") in person.text
    assert front.kinds() == ["granted"]
    assert [kind for kind, _, _ in front.camera.asked] == [PadKind.GRANT, PadKind.LINK]


def test_a_code_under_which_nothing_holds_links_nobody_and_can_choose_anew(front: Front, code: str) -> None:
    front.ledger.withdraw(code, now_us=front.now_us())
    person = front.browser()
    person.get("/returning")
    person.tap("/returning", code=code)
    assert EN("returning.nothing_live") in person.text
    assert len(front.camera.asked) == 1
    person.get("/choices")
    person.tap("/answer", answer="yes", ticking="1", purpose="emotion", age="older")
    assert person.code == code, "the shopper keeps their code"
    assert permitted(front, code) == {Purpose.EMOTION}


def test_what_holds_already_is_not_asked_again(front: Front, code: str) -> None:
    person = front.browser()
    person.get("/returning")
    person.tap("/returning", code=code)
    page = person.get("/choices")
    assert re.findall(r'type="checkbox" name="purpose" value="(\w+)"', page.text) == ["emotion", "smile"]
    person.tap("/answer", answer="yes", ticking="1", purpose="smile", age="older")
    assert permitted(front, code) == {Purpose.DWELL, Purpose.REPEAT, Purpose.SMILE}


def test_one_purpose_can_be_taken_back_alone(front: Front, code: str) -> None:
    person = front.browser()
    person.get("/returning")
    person.tap("/returning", code=code)
    page = person.tap("/stop/code", purpose="repeat")
    assert page.url.path == "/mine"
    assert permitted(front, code) == {Purpose.DWELL}


def test_a_consent_that_runs_low_is_offered_to_be_renewed_and_only_then(front: Front, code: str) -> None:
    person = front.browser()
    person.get("/returning")
    person.tap("/returning", code=code)
    assert 'action="/renew"' not in person.page.text
    front.ahead_s += 26 * 86_400  # of the 30 days of `dwell`, and the 90 of `repeat`
    person = front.browser()
    person.get("/returning")
    person.tap("/returning", code=code)
    assert EN("returning.renew_hint") in person.text
    page = person.tap("/renew")
    assert page.url.path == "/done"
    assert person.heading == EN("done.title_renewed")
    standing = {s.purpose: s for s in front.ledger.standing(front.ledger.find(code))}
    assert standing[Purpose.DWELL].state is State.RENEWED
    assert standing[Purpose.REPEAT].state is State.GIVEN
    assert person.code == code
    person.tap("/renew")
    assert front.kinds() == ["granted", "renewed"]


def test_a_renewal_does_not_bring_back_what_the_level_has_ended(front: Front, code: str) -> None:
    front.ahead_s += 28 * 86_400
    front.level[0] = Level.COUNTS
    person = front.browser()
    person.get("/returning")
    person.tap("/returning", code=code)
    assert 'action="/renew"' not in person.page.text
    person.tap("/renew")
    assert front.kinds() == ["granted"]


def test_a_code_shown_while_somebody_is_near_says_so_and_can_try_again(front: Front, code: str) -> None:
    front.camera.says[PadKind.LINK] = PadOutcome.SEVERAL_PEOPLE
    person = front.browser()
    person.get("/returning")
    person.tap("/returning", code=code)
    assert EN("pad.several_people") in person.text
    front.camera.says[PadKind.LINK] = PadOutcome.LINKED
    front.ahead_s += 7
    page = person.tap("/link")
    assert page.url.path == "/mine"
    assert EN("pad.linked") in person.text


# --- what is known ----------------------------------------------------------------------------------------------------


def test_everything_the_log_tells_is_shown_to_the_holder_alone(front: Front, code: str) -> None:
    front.ledger.withdraw(code, now_us=front.now_us(), purposes=[Purpose.REPEAT])
    front.ledger.sign_checkpoint()
    person = front.browser()
    person.get("/know")
    page = person.tap("/know", code=code)
    assert page.url.path == "/told"
    for text in (EN("event.granted"), EN("event.withdrawn"), EN("purpose.dwell"), EN("know.proved_yes")):
        assert text in person.text
    assert EN("purpose.emotion") not in person.text
    person.get("/")
    assert person.get("/told").url.path == "/know", "the page is left, and the code with it"


def test_a_page_that_needs_the_code_is_closed_to_whoever_comes_later(front: Front, code: str) -> None:
    person = front.browser()
    person.get("/returning")
    person.tap("/returning", code=code)
    person.tap("/finish")
    for path in ("/mine", "/told", "/done"):
        assert code not in person.get(path).text.replace("-", "")
        assert person.page.url.path in ("/returning", "/know", "/")
    person.get("/")
    person.tap("/stop/code", purpose="dwell")
    assert permitted(front, code) == {Purpose.DWELL, Purpose.REPEAT}, "without a code nothing is ended"
