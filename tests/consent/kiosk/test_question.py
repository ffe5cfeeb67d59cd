"""Saying yes, saying no, the receipt, and everything that must not become a second yes."""

from __future__ import annotations

import json
import re

import pytest

from consent import receipts
from consent.events import Level, Purpose
from consent.kiosk.messages import Messages
from consent.kiosk.notice import notice
from consent.ledger import Ledger
from consent.padwords import PadKind, PadOutcome
from tests.consent.kiosk.conftest import Front
from tests.consent.kiosk.front import Browser

EN = Messages.load("en")


def test_what_we_do_is_said_in_thirty_words_and_yes_and_no_have_one_size(person: Browser) -> None:
    text = EN("welcome.what")
    assert text in person.page.text
    assert len(text.split()) <= 30
    answers = re.findall(r'<(?:a|button) class="([^"]*answer[^"]*)"', person.page.text)
    assert len(answers) == 2
    assert {name.replace("button ", "") for name in answers} == {"answer"}


def test_four_separate_choices_and_none_is_set(front: Front, person: Browser) -> None:
    page = person.get("/choices").text
    assert re.findall(r'type="checkbox" name="purpose" value="(\w+)"', page) == ["dwell", "emotion", "repeat", "smile"]
    assert " checked" not in page


@pytest.mark.parametrize("level", list(Level))
def test_only_what_the_level_allows_can_be_ticked_and_the_rest_says_why(
    front: Front, person: Browser, level: Level
) -> None:
    front.level[0] = level
    page = person.get("/choices").text
    offered = set(re.findall(r'type="checkbox" name="purpose" value="(\w+)"', page))
    assert offered == {p.value for p in Purpose if level.allows(p)}
    faces = {"emotion", "smile"} - set(offered)
    assert page.count(EN("choices.not_offered_level")) == 4 - len(offered) - len(faces)
    for purpose in faces:  # below level `emotion` nobody is asked about faces at all
        assert EN(f"purpose.{purpose}") not in page
        assert EN(f"purpose.{purpose}_what") not in page


def test_a_yes_is_one_log_entry_with_the_notice_as_shown_and_a_receipt_that_verifies(
    front: Front, person: Browser
) -> None:
    page = person.yes("dwell", "repeat")
    assert page.url.path == "/done"
    assert front.kinds() == ["granted"]
    subject = front.ledger.find(person.code)
    assert {s.purpose for s in front.ledger.standing(subject)} == {Purpose.DWELL, Purpose.REPEAT}
    payload = front.ledger.records_of(subject)[0].payload.decode()
    shown = notice(front.shop, EN)
    leaf = next(iter(front.ledger.leaves(0, 1)))[1]
    assert shown.sha256.encode() in leaf
    assert f'"version":"{shown.version}"' in payload
    assert '"language":"en"' in payload
    assert '"jurisdiction":"DE"' in payload
    assert front.shop.controller.sha256().hex() in payload
    assert person.page.text.count("<svg role") == 2
    told = json.loads(payload)
    assert not any("age" in name.split("_") for name in told), "the stated age is not kept"
    assert not {16, "16"} & {value for value in told.values() if isinstance(value, int | str)}


def test_the_proof_on_the_screen_is_the_one_that_anybody_can_check(front: Front, person: Browser) -> None:
    person.yes("dwell")
    (session,) = front.app.state.kiosk.sessions.all()
    proof = session.receipt.proof
    keys = front.ledger.keys
    said = receipts.verify(proof, keys.public_keys("receipt"), keys.public_keys("log"), origin=front.ledger.origin)
    assert said.belongs_to(person.code)
    assert receipts.qr_svg(proof, title=EN("done.proof")) in person.text


def test_only_what_was_ticked_is_granted(front: Front, person: Browser) -> None:
    person.yes("repeat")
    assert [s.purpose for s in front.ledger.standing(front.ledger.find(person.code))] == [Purpose.REPEAT]


def test_a_yes_to_nothing_is_asked_again_and_nothing_is_written(front: Front, person: Browser) -> None:
    page = person.yes()
    assert EN("choices.nothing_ticked") in person.text
    assert page.text.count('role="alert"') == 1
    assert front.kinds() == []


def test_an_age_that_was_not_said_is_asked_for_and_the_ticks_stay(front: Front, person: Browser) -> None:
    page = person.yes("dwell", age="")
    assert EN("choices.age_unanswered", age=16) in person.text
    assert re.findall(r'value="(\w+)"[^>]* checked', page.text) == ["dwell"]
    assert front.kinds() == []


def test_whoever_is_too_young_can_only_refuse_however_often_they_go_back(front: Front, person: Browser) -> None:
    page = person.yes("dwell", age="younger")
    assert page.url.path == "/young"
    assert 'value="yes"' not in page.text
    assert person.get("/choices").url.path == "/young"
    person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older")
    assert person.page.url.path == "/young"
    person.tap("/answer", answer="no")
    assert front.kinds() == ["refused"]


def test_a_shop_without_a_minimum_age_asks_nobody(front: Front) -> None:
    front.open(minimum_age=0)
    person = front.browser()
    assert "age.question" not in person.get("/choices").text
    person.tap("/answer", answer="yes", ticking="1", purpose="dwell")
    assert front.kinds() == ["granted"]


def test_no_is_one_tap_and_not_being_counted_one_more(front: Front, person: Browser) -> None:
    page = person.tap("/answer", answer="no")
    assert page.url.path == "/no"
    assert EN("no.still") in person.text
    page = person.tap("/object")
    assert EN("pad.suppressed") in person.text
    assert front.kinds() == ["refused", "objected"]
    assert [kind for kind, _, _ in front.camera.asked] == [PadKind.OBJECT]


def test_a_refusal_says_nothing_about_anybody_and_its_slip_verifies(front: Front, person: Browser) -> None:
    person.tap("/answer", answer="no")
    person.get("/slip")
    assert EN("slip.refused") in person.text
    keys = front.ledger.keys
    made = receipts.issue(front.ledger, 0, now_us=front.now_us())
    said = receipts.verify(made.proof, keys.public_keys("receipt"), keys.public_keys("log"))
    assert said.code is None
    assert receipts.qr_svg(made.proof, title=EN("slip.proof")) in person.text
    assert EN("slip.no_checkpoint") in person.text
    front.ledger.sign_checkpoint()
    assert front.ledger.origin in person.get("/slip").text


def test_at_level_counts_nobody_is_asked_and_everybody_can_be_left_out(front: Front) -> None:
    front.level[0] = Level.COUNTS
    person = front.browser()
    assert EN("welcome.what_counts") in person.text
    assert 'href="/choices"' not in person.page.text
    person.tap("/object")
    assert EN("pad.suppressed") in person.text


# --- never twice ------------------------------------------------------------------------------------------------------


def test_a_double_tap_grants_once(front: Front, person: Browser) -> None:
    person.get("/choices")
    form = {**person.hidden, "answer": "yes", "ticking": "1", "purpose": "dwell", "age": "older"}
    first = person.client.post("/answer", data=form, headers={"origin": str(person.client.base_url)})
    second = person.client.post("/answer", data=form, headers={"origin": str(person.client.base_url)})
    assert first.url.path == second.url.path == "/done"
    assert front.kinds() == ["granted"]
    assert len(front.camera.asked) == 1
    shown = [re.findall(r'<p class="code".*?</p>', page.text, re.DOTALL) for page in (first, second)]
    assert shown[0] == shown[1] != []


def test_reload_and_back_keep_the_receipt_and_grant_nothing(front: Front, person: Browser) -> None:
    person.yes("dwell")
    code = person.code
    for path in ("/done", "/choices", "/done"):
        person.get(path)
        assert person.page.url.path == "/done"
        assert person.code == code
    assert front.kinds() == ["granted"]


def test_a_form_of_an_earlier_visit_does_nothing(front: Front, person: Browser) -> None:
    person.get("/choices")
    old = dict(person.hidden)
    person.yes("dwell")
    person.tap("/finish")
    page = person.tap("/answer", **{**old, "csrf": person.hidden["csrf"]}, answer="yes", ticking="1", purpose="dwell")
    assert page.status_code == 409
    assert front.kinds() == ["granted"]


def test_a_no_after_a_yes_by_an_old_page_does_nothing(front: Front, person: Browser) -> None:
    person.tap("/answer", answer="no")
    hidden = person.hidden
    page = person.tap("/answer", **hidden, answer="yes", ticking="1", purpose="dwell", age="older")
    assert page.status_code == 409
    assert front.kinds() == ["refused"]


def test_the_code_is_gone_once_the_receipt_is_left(front: Front, person: Browser) -> None:
    person.yes("dwell")
    code = person.code
    person.get("/stop")
    (session,) = front.app.state.kiosk.sessions.all()
    assert code not in repr([getattr(session, name) for name in session.__slots__ if name != "attempt"])
    page = person.get("/done")
    assert EN("done.again_text") in person.text
    assert code not in page.text.replace("-", "")
    person.tap("/finish")
    assert person.page.history[0].headers["clear-site-data"] == '"cache"', "for the back button"
    assert all(code not in str(s.attempt.secret) for s in front.app.state.kiosk.sessions.all())


def test_two_people_one_after_the_other_get_two_codes_and_nothing_of_each_other(front: Front, person: Browser) -> None:
    person.tap("/prefs", set="language:ar", at="/")
    person.yes("dwell", "emotion")
    first = person.code
    person.tap("/finish")
    assert 'lang="en"' in person.page.text
    page = person.get("/choices")
    assert " checked" not in page.text
    person.yes("repeat")
    assert person.code != first
    assert front.kinds() == ["granted", "granted"]


# --- a second language half-way ---------------------------------------------------------------------------------------


def test_another_language_half_way_keeps_what_was_ticked(front: Front, person: Browser) -> None:
    person.get("/choices")
    page = person.tap("/prefs", set="language:ar", at="/choices", ticking="1", purpose=["dwell", "smile"], age="older")
    assert page.url.path == "/choices"
    assert '<html lang="ar" dir="rtl"' in page.text
    assert re.findall(r'value="(\w+)"[^>]* checked', page.text) == ["dwell", "smile", "older"]
    person.tap("/answer", answer="yes", ticking="1", purpose=["dwell", "smile"], age="older")
    subject = front.ledger.find(person.code)
    payload = front.ledger.records_of(subject)[0].payload.decode()
    assert '"language":"ar"' in payload
    arabic = notice(front.shop, Messages.load("ar"))
    assert arabic.sha256.encode() in next(iter(front.ledger.leaves(0, 1)))[1]


def test_contrast_and_large_text_stay_until_the_person_leaves(person: Browser) -> None:
    person.tap("/prefs", set="contrast:on", at="/")
    person.tap("/prefs", set="large:on", at="/")
    assert 'class="contrast large"' in person.get("/stop").text
    person.tap("/finish")
    assert 'class=""' in person.page.text


def test_the_notice_can_be_read_half_way(front: Front, person: Browser) -> None:
    person.get("/choices")
    page = person.tap("/prefs", set="notice:", at="/choices", ticking="1", purpose="dwell")
    shown = notice(front.shop, EN)
    assert page.url.path == "/notice"
    for part in shown.sections:
        assert part.heading in person.text
    assert shown.sha256 in page.text
    assert 'href="/choices"' in page.text
    assert re.findall(r'value="(\w+)"[^>]* checked', person.get("/choices").text) == ["dwell"]


@pytest.mark.parametrize("wild", ["language:xx", "language:", "contrast:", "x", "", "language:../../etc"])
def test_wild_preferences_change_nothing(person: Browser, wild: str) -> None:
    page = person.tap("/prefs", set=wild, at="//evil.example/")
    assert page.url.path == "/"
    assert '<html lang="en" dir="ltr" class="">' in page.text


# --- the printer ------------------------------------------------------------------------------------------------------


def test_the_receipt_is_printed_once(front: Front) -> None:
    front.printer = lambda receipt, language: front.printed.append((receipt, language))
    front.open()
    person = front.browser()
    person.yes("dwell")
    code = person.code
    person.tap("/print", back="/done")
    assert EN("done.printed") in person.text
    person.tap("/print", back="/done")
    assert [(r.secret, language) for r, language in front.printed] == [(code, "en")]


def test_a_printer_that_does_not_answer_is_said_and_the_code_stays(front: Front) -> None:
    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    front.printer = broken
    front.open()
    person = front.browser()
    person.yes("dwell")
    code = person.code
    person.tap("/print", back="/done")
    assert EN("done.print_failed") in person.text
    assert person.code == code


def test_a_slip_is_printed_without_any_code(front: Front) -> None:
    front.printer = lambda receipt, language: front.printed.append((receipt, language))
    front.open()
    person = front.browser()
    person.tap("/answer", answer="no")
    person.get("/slip")
    person.tap("/print", back="/slip")
    assert EN("done.printed") in person.text
    assert [r.secret for r, _ in front.printed] == [None]


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_prankster_cannot_fill_the_log_and_stops_nobodys_no(front: Front, person: Browser) -> None:
    for _ in range(30):
        person.get("/")
        assert person.tap("/answer", answer="no").status_code == 200
        assert EN("no.text") in person.text
    assert EN("no.slip") not in person.text  # nothing was written, so there is nothing to take away
    assert len(front.kinds()) == 20
    person.get("/")
    assert person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older").status_code == 429
    person.get("/stop")
    assert person.tap("/stop/here").status_code == 200
    person.get("/no")
    assert person.tap("/object").status_code == 200
    front.ahead_s += 4
    person.get("/")
    assert person.tap("/answer", answer="no").status_code == 200


def test_the_screen_that_was_answered_is_the_one_the_camera_is_told_of(front: Front, person: Browser) -> None:
    person.get("/choices")
    before_us = front.now_us()
    front.ahead_s += 30
    person.tap("/answer", answer="yes", ticking="1", purpose="dwell", age="older")
    ((kind, screen_us, tap_us),) = front.camera.asked
    assert kind is PadKind.GRANT
    assert abs(screen_us - before_us) < 1_000_000
    assert 29_000_000 < tap_us - screen_us < 32_000_000


def test_a_second_try_names_a_new_screen_and_the_same_person(front: Front, person: Browser) -> None:
    front.camera.says[PadKind.GRANT] = PadOutcome.SOMEBODY_NEAR
    person.yes("dwell")
    assert EN("pad.somebody_near") in person.text
    code = person.code
    front.ahead_s += 10
    person.tap("/link")
    assert EN("pad.linked") in person.text
    assert person.code == code
    assert [kind for kind, _, _ in front.camera.asked] == [PadKind.GRANT, PadKind.LINK]
    assert front.kinds() == ["granted"]


def test_a_changed_mind_is_one_tap_from_the_receipt(front: Front, person: Browser) -> None:
    person.yes("dwell", "repeat")
    code = person.code
    page = person.tap("/stop/code")
    assert page.url.path == "/stopped"
    assert EN("purpose.dwell") in person.text
    assert EN("purpose.repeat") in person.text
    assert not live(front.ledger, code, front.now_us())


def live(ledger: Ledger, code: str, now_us: int) -> frozenset[Purpose]:
    return ledger.permits(ledger.find(code), now_us)


def test_nobody_is_asked_for_what_nothing_follows(front: Front) -> None:
    front.open(without=frozenset({Purpose.SMILE}))
    person = front.browser()
    page = Browser.read(person.get("/choices"))
    assert re.findall(r'type="checkbox" name="purpose" value="(\w+)"', page) == ["dwell", "emotion", "repeat"]
    before = front.kinds()
    person.tap("/answer", answer="yes", ticking="1", purpose=["smile", "dwell"], age="older")
    assert EN("choices.level_lowered") in person.text
    assert front.kinds() == before
