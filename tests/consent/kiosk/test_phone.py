"""The page for phones, over real TLS: it withdraws, shows and exports by the code, and can do nothing else."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from consent.events import ConsentError, Purpose, State
from consent.keys import KeyRing, Role
from consent.kiosk.messages import LANGUAGES, Messages
from consent.kiosk.pace import MOST_ADDRESSES, Pace
from consent.kiosk.phone import phone
from consent.kiosk.settings import Shop
from consent.ledger import Grant, Ledger
from consent.record import check_record
from consent.subjects import new_secret, show_secret
from tests.consent.served import NAME, Served, certificate, free_port, serve
from tests.consent.shop import NOON, SECOND, say_yes
from tests.consent.test_record import SHOP


@pytest.fixture(scope="session")
def tls_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("phone") / "tls"


@pytest.fixture
def shop() -> Shop:
    return replace(SHOP, languages=LANGUAGES, public_url=f"https://{NAME}:{free_port()}")


@pytest.fixture
def phone_ledger(ledger: Ledger) -> Iterator[Ledger]:
    """The ledger as the phone page's process opens it."""
    with Ledger(ledger.path, KeyRing.open(ledger.keys.directory, Role.PHONE), store=ledger.store) as opened:
        yield opened


@pytest.fixture
def served(shop: Shop, phone_ledger: Ledger, tls_directory: Path) -> Iterator[Served]:
    assert shop.public_url is not None
    port = int(shop.public_url.rpartition(":")[2])
    with serve(phone(shop, phone_ledger, now_us=lambda: NOON + SECOND), certificate(tls_directory), port) as opened:
        yield opened


@pytest.fixture
def given(ledger: Ledger) -> Grant:
    given = say_yes(ledger, Purpose.DWELL, Purpose.REPEAT)
    ledger.sign_checkpoint()
    return given


def states(ledger: Ledger, given: Grant) -> set[State]:
    return {s.state for s in ledger.standing(given.subject)}


# --- what it does -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_taps_end_everything_in_every_language(served: Served, ledger: Ledger, given: Grant, language: str) -> None:
    say = Messages.load(language)
    start = served.ask("GET", "/w", headers={"accept-language": f"{language}-XX"})
    assert (start.status, f'<html lang="{language}" dir="{say.direction}">' in start.shown) == (200, True)
    form = {"code": show_secret(given.secret).lower(), "lang": language}
    sure = served.ask("POST", "/sure", form)
    assert (sure.status, say("phone.yes_stop") in sure.shown, say("purpose.dwell") in sure.shown) == (200, True, True)
    assert states(ledger, given) == {State.GIVEN}  # nothing yet
    done = served.ask("POST", "/stop", form)
    assert (done.status, say("stopped.ended") in done.shown, say("purpose.repeat") in done.shown) == (200, True, True)
    assert states(ledger, given) == {State.WITHDRAWN}
    assert given.secret not in done.text
    again = served.ask("POST", "/stop", form)  # a reload
    assert (again.status, say("stopped.nothing") in again.shown) == (200, True)
    assert [json.loads(r.payload)["channel"] for r in ledger.records_of(given.subject)] == ["kiosk", "phone"]


def test_the_gate_is_shut_by_the_commit_of_the_second_tap(served: Served, ledger: Ledger, given: Grant) -> None:
    assert ledger.permits(given.subject, NOON + SECOND) == {Purpose.DWELL, Purpose.REPEAT}
    served.ask("POST", "/stop", {"code": given.secret})
    assert ledger.permits(given.subject, NOON + SECOND) == frozenset()


def test_it_shows_what_the_ledger_knows_and_nothing_of_anybody_else(
    served: Served, ledger: Ledger, given: Grant
) -> None:
    say = Messages.load("en")
    say_yes(ledger, Purpose.EMOTION)
    shown = served.ask("POST", "/show", {"code": given.secret}).shown
    for text in (say("purpose.dwell"), say("purpose.repeat"), say("event.granted"), say("know.proved_yes")):
        assert text in shown
    assert say("purpose.emotion") not in shown
    assert "21 September 2026, 16:13" in shown  # the shop's own clock
    served.ask("POST", "/stop", {"code": given.secret})
    after = served.ask("POST", "/show", {"code": given.secret}).shown
    assert say("event.withdrawn") in after
    assert say("know.proved_no") in after
    assert after.count(say("state.withdrawn", ended="21 September 2026, 16:13")) == 2


def test_the_record_is_taken_along_as_a_file_that_proves_itself(served: Served, ledger: Ledger, given: Grant) -> None:
    answer = served.ask("POST", "/record", {"code": given.secret})
    assert answer.headers["content-disposition"] == 'attachment; filename="consent-record.json"'
    assert answer.headers["content-type"] == "application/ld+json"
    checked = check_record(json.loads(answer.text), ledger.keys.public_keys("log"))
    assert (checked.entries, checked.proved) == (1, 1)
    assert given.secret not in answer.text


def test_the_language_can_be_changed_half_way_and_the_code_stays(served: Served, given: Grant) -> None:
    form = {"code": given.secret, "lang": "de"}
    for path in ("/w", "/sure", "/show"):
        german = served.ask("POST", path, form).text
        assert 'lang="de" dir="ltr"' in german
        assert f'value="{given.secret}"' in german
        arabic = served.ask("POST", path, {**form, "lang": "ar"}).text
        assert 'lang="ar" dir="rtl"' in arabic
        assert f'value="{given.secret}"' in arabic
    assert 'lang="en"' in served.ask("GET", "/w", headers={"accept-language": "xx, *;q=0.1"}).text


def test_the_privacy_notice_is_there(served: Served) -> None:
    told = served.ask("GET", "/notice?lang=fr")
    assert (told.status, SHOP.controller.name in told.shown, 'lang="fr"' in told.shown) == (200, True, True)


# --- a code that is not right -----------------------------------------------------------------------------------------


def test_a_code_typed_wrong_is_said_and_stays_in_the_field(served: Served) -> None:
    say = Messages.load("en")
    for path in ("/sure", "/stop", "/show", "/record"):
        half = served.ask("POST", path, {"code": "ABC"})
        assert (half.status, say("code.wrong_form") in half.shown, 'value="ABC"' in half.shown) == (422, True, True)
        assert 'aria-invalid="true"' in half.text
        unknown = served.ask("POST", path, {"code": "7" * 20})
        assert (unknown.status, say("code.unknown") in unknown.shown) == (422, True)


def test_only_failed_look_ups_are_limited_and_nobody_blocks_another(
    served: Served, ledger: Ledger, given: Grant
) -> None:
    statuses = [served.ask("POST", "/show", {"code": new_secret()}).status for _ in range(14)]
    assert statuses == [422] * 10 + [429] * 4
    assert int(served.ask("POST", "/stop", {"code": new_secret()}).headers["retry-after"]) > 0
    for _ in range(20):
        assert served.ask("POST", "/show", {"code": given.secret}).status == 200  # a right code always works
    assert served.ask("POST", "/stop", {"code": given.secret}).status == 200
    assert states(ledger, given) == {State.WITHDRAWN}


def test_each_address_is_limited_apart_and_memory_is_bounded() -> None:
    misses = Pace(2, 1 / 6)
    assert [misses.wait_s("192.0.2.1", 0.0) for _ in range(4)] == [0, 0, 6, 6]
    assert misses.wait_s("192.0.2.2", 0.0) == 0
    assert [misses.wait_s(f"2001:db8::{i:x}", 0.0) for i in range(1, 4)] == [0, 0, 6]  # one network, many addresses
    assert misses.wait_s("2001:db8:0:1::1", 0.0) == 0
    assert misses.wait_s("192.0.2.1", 13.0) == 0
    for i in range(2 * MOST_ADDRESSES):
        misses.wait_s(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", 20.0)
    assert len(misses._known) == MOST_ADDRESSES


# --- what it cannot do ------------------------------------------------------------------------------------------------


def test_no_page_can_say_yes(shop: Shop, phone_ledger: Ledger, served: Served, ledger: Ledger, given: Grant) -> None:
    routes = {route.path: route.methods for route in phone(shop, phone_ledger).routes if isinstance(route, Route)}
    assert set(routes) == {
        *("/", "/w", "/sure", "/stop", "/show", "/record", "/notice"),
        *("/static/phone.css", "/static/phone.js"),
    }
    before = ledger.size
    for path in ("/grant", "/yes", "/choices", "/renew", "/link", "/kiosk", "/pair", "/w/grant", "//grant"):
        for method in ("GET", "POST", "PUT", "DELETE"):
            form = {"code": given.secret, "purpose": "emotion"} if method == "POST" else None
            assert served.ask(method, path, form).status in (403, 404)
    for path in routes:
        served.ask("POST", path, {"code": new_secret(), "purpose": "emotion", "grant": "1", "renew": "1"})
    assert ledger.size == before


def test_the_process_could_not_even_if_it_were_made_to(phone_ledger: Ledger, ledger: Ledger, given: Grant) -> None:
    """Whoever runs code in the phone page's process, with its keys and the ledger's file."""
    before = ledger.size
    with pytest.raises(ConsentError, match="holds no sealing key"):
        say_yes(phone_ledger, Purpose.EMOTION)
    with pytest.raises(ConsentError, match="holds no sealing key"):
        say_yes(phone_ledger, Purpose.EMOTION, secret=given.secret)
    for name in ("log", "receipt", "certificate"):
        with pytest.raises(ConsentError, match="does not hold"):
            phone_ledger.keys.signing_key(name)
    with pytest.raises(ConsentError, match="does not hold"):
        phone_ledger.subject_key(given.subject)
    assert ledger.size == before


def test_a_foreign_page_can_make_a_phone_do_nothing(served: Served, ledger: Ledger, given: Grant) -> None:
    form = {"code": given.secret}
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": served.url.replace("https", "http")},
        {"origin": served.url, "host": "evil.example"},
    ):
        answer = served.ask("POST", "/stop", form, headers)
        assert answer.status in (403, 421)
    assert served.ask("GET", "/w", headers={"host": "evil.example"}).status == 421
    assert served.ask("GET", f"/stop?code={given.secret}").status == 405
    assert states(ledger, given) == {State.GIVEN}


@pytest.mark.parametrize("url", [None, "http://shop.example", "ftp://shop.example", "https://", ""])
def test_without_an_https_address_it_does_not_start(shop: Shop, phone_ledger: Ledger, url: str | None) -> None:
    with pytest.raises(ConsentError, match="https only"):
        phone(replace(shop, public_url=url), phone_ledger)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"code=" + b"A" * 5000, "application/x-www-form-urlencoded", 413),
        (b"code=\xff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a%d=1" % i for i in range(40)), "application/x-www-form-urlencoded", 400),
        (b'{"code": "x"}', "application/json", 415),
        (b"code=x", "multipart/form-data; boundary=x", 415),
    ],
)
def test_what_is_no_small_form_is_refused_with_a_page(served: Served, body: bytes, kind: str, status: int) -> None:
    answer = served.ask("POST", "/stop", headers={"content-type": kind, "origin": served.url}, body=body)
    assert (answer.status, "<h1>" in answer.shown) == (status, True)
    assert "kiosk" not in answer.shown.partition("<h1>")[2], "they hold a phone"


def test_no_answer_is_kept_framed_or_scripted_and_no_cookie_is_set(served: Served, given: Grant) -> None:
    for method, path in (("GET", "/w"), ("POST", "/sure"), ("POST", "/record"), ("GET", "/none"), ("POST", "/stop")):
        answer = served.ask(method, path, {"code": given.secret} if method == "POST" else None)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["set-cookie"] is None
        assert answer.headers["server"] is None
        for word in ("style=", "onclick", "<script>"):
            assert word not in answer.text
        # nowhere but in a hidden field
        for place in (str(answer.headers), *re.findall(r"<title>.*?</title>|href=\S+|action=\S+", answer.text)):
            assert given.secret not in place


def test_no_code_gets_into_a_log(served: Served, given: Grant, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for form in ({"code": given.secret}, {"code": "B" * 20}, {"code": "?"}):
            for path in ("/sure", "/show", "/record", "/stop", "/none"):
                served.ask("POST", path, form)
        served.ask("GET", f"/w?code={given.secret}")  # nobody is sent here; somebody may write it
    for shown in (given.secret, show_secret(given.secret), "B" * 20):
        assert shown not in caplog.text


def test_nothing_is_lost_while_the_ledger_is_held_and_the_page_says_so(
    served: Served, ledger: Ledger, phone_ledger: Ledger, given: Grant
) -> None:
    phone_ledger.wait_at_most(0.2)
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    held = served.ask("POST", "/stop", {"code": given.secret})
    assert (held.status, Messages.load("en")("phone.busy") in held.shown) == (503, True)
    assert '<form method="post" action="/stop"' in held.text  # one tap tries again
    assert f'value="{given.secret}"' in held.text
    other.execute("ROLLBACK")
    other.close()
    assert states(ledger, given) == {State.GIVEN}
    assert served.ask("POST", "/stop", {"code": given.secret}).status == 200
    assert states(ledger, given) == {State.WITHDRAWN}


def test_many_phones_at_once(served: Served, ledger: Ledger) -> None:
    given = [say_yes(ledger) for _ in range(24)]
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda g=g: found.append(served.ask("POST", "/stop", {"code": g.secret}).status))
        for g in given
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 24
    assert all(states(ledger, g) == {State.WITHDRAWN} for g in given)
