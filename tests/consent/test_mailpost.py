"""The mailbox outside the shop and the keeper that empties it, over real TLS on this machine."""

from __future__ import annotations

import base64
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from consent import letters as letters_of
from consent import mailpost, tls
from consent.database import LedgerError
from consent.events import ConsentError, Purpose, State
from consent.keys import LETTER, KeyRing, Role, seal_to
from consent.kiosk.letterbox import letterbox
from consent.kiosk.messages import LANGUAGES, Messages
from consent.ledger import Grant, Ledger
from consent.letters import Letter, LetterError, Letters, Setup
from consent.mailpost import SKEW_US, Mailpost, PostError, Round
from consent.subjects import new_secret, show_secret
from tests.consent.served import NAME, Served, certificate, free_port, serve
from tests.consent.shop import NOON, SECOND, say_yes

DAY_US = 86_400 * SECOND


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tls.Made:
    return certificate(tmp_path_factory.mktemp("box") / "tls")


@dataclass
class Box:
    """A mailbox at work, and the way to it."""

    served: Served
    letters: Letters
    post: Mailpost
    directory: Path

    def drop_in(self, code: str) -> int:
        return self.served.ask("POST", "/post", {"code": code}).status

    def fetch(self, now_us: int = NOON + SECOND) -> Round:
        return self.post.fetch(lambda: now_us)


@contextmanager
def open_box(directory: Path, ledger: Ledger, made: tls.Made, port: int, now_us: int = NOON) -> Iterator[Box]:
    with ExitStack() as open_until:
        keeper = KeyRing.open(ledger.keys.directory, Role.KEEPER)
        theirs = open_until.enter_context(Ledger(ledger.path, keeper, store=ledger.store))
        letters = Letters(directory)
        open_until.callback(letters.close)
        setup = Setup.read(Setup.of(ledger.origin, keeper).line())
        app = letterbox(letters, setup, url=f"https://{NAME}:{port}", shop="Main Street", now_us=lambda: now_us)
        served = open_until.enter_context(serve(app, made, port))
        yield Box(served, letters, Mailpost(theirs, served.url, made.authority), directory)


@pytest.fixture
def box(ledger: Ledger, made: tls.Made, tmp_path: Path) -> Iterator[Box]:
    with open_box(tmp_path / "outside", ledger, made, free_port()) as opened:
        yield opened


@pytest.fixture
def given(ledger: Ledger) -> Grant:
    return say_yes(ledger, Purpose.DWELL, Purpose.REPEAT)


def states(ledger: Ledger, given: Grant) -> set[State]:
    return {s.state for s in ledger.standing(given.subject)}


# --- the way of a withdrawal ------------------------------------------------------------------------------------------


def test_a_withdrawal_posted_outside_is_carried_out_inside(box: Box, ledger: Ledger, given: Grant) -> None:
    say = Messages.load("en")
    assert say("letter.lead") in box.served.ask("GET", "/w").shown
    sure = box.served.ask("POST", "/sure", {"code": show_secret(given.secret)})
    assert say("letter.sure_text") in sure.shown
    done = box.served.ask("POST", "/post", {"code": show_secret(given.secret)})
    assert (done.status, say("letter.done_text") in done.shown, given.secret in done.text) == (200, True, False)
    assert states(ledger, given) == {State.GIVEN}
    assert box.fetch() == Round(withdrawn=1)
    assert states(ledger, given) == {State.WITHDRAWN}
    assert json.loads(ledger.records_of(given.subject)[-1].payload)["channel"] == "phone"
    assert len(box.letters) == 0
    assert box.fetch() == Round()


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_pages_speak_every_language(box: Box, language: str) -> None:
    say = Messages.load(language)
    for path in ("/w", "/sure"):
        page = box.served.ask("POST", path, {"code": new_secret(), "lang": language})
        assert f'<html lang="{language}" dir="{say.direction}">' in page.text
    assert say("letter.lead") in box.served.ask("GET", f"/?lang={language}").shown
    assert say("letter.done_text") in box.served.ask("POST", "/post", {"code": new_secret(), "lang": language}).shown


def test_what_is_no_code_is_said_at_once_and_posts_nothing(box: Box) -> None:
    for path in ("/sure", "/post"):
        wrong = box.served.ask("POST", path, {"code": "ABC"})
        assert (wrong.status, Messages.load("en")("code.wrong_form") in wrong.shown) == (422, True)
    assert len(box.letters) == 0


def test_the_keeper_was_away_for_a_day(ledger: Ledger, given: Grant, made: tls.Made, tmp_path: Path) -> None:
    """The mailbox keeps its letters through a restart; what was given in between on another code stays."""
    port = free_port()
    with open_box(tmp_path / "outside", ledger, made, port) as box:
        assert box.drop_in(given.secret) == 200
    other = say_yes(ledger, now_us=NOON + DAY_US)
    with open_box(tmp_path / "outside", ledger, made, port, now_us=NOON + DAY_US) as box:
        assert box.fetch(NOON + DAY_US) == Round(withdrawn=1)
    assert states(ledger, given) == {State.WITHDRAWN}
    assert states(ledger, other) == {State.GIVEN}


# --- what the mailbox cannot do ---------------------------------------------------------------------------------------


def test_nothing_that_it_keeps_tells_a_code(
    box: Box, given: Grant, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    codes = [given.secret, *(new_secret() for _ in range(9))]
    with caplog.at_level(logging.DEBUG):
        for code in codes:
            assert box.drop_in(code) == 200
        box.fetch()
    for code in codes:
        assert box.drop_in(code) in (200, 429)
    kept = b"".join(path.read_bytes() for path in box.directory.iterdir())
    assert len(box.letters) > 0
    for code in codes:
        for form in (code, show_secret(code), code.lower()):
            assert form.encode() not in kept
            assert form not in caplog.text
    stolen = [sealed for _, sealed in box.letters.page()]
    assert len({len(sealed) for sealed in stolen}) == 1  # nor does their length
    for role in (Role.KIOSK, Role.PHONE, Role.WATCH, Role.DASHBOARD):
        with pytest.raises(ConsentError):
            Letter.open(stolen[0], KeyRing.open(ledger.keys.directory, role))


def test_letters_that_were_fetched_are_gone_from_the_disk(box: Box) -> None:
    for _ in range(20):
        box.drop_in(new_secret())
    sealed = [value for _, value in box.letters.page()]
    box.fetch()
    box.letters._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = b"".join(path.read_bytes() for path in box.directory.iterdir())
    assert sum(value in kept for value in sealed) == 0


def test_only_the_keeper_can_fetch_or_drop(box: Box, ledger: Ledger, tmp_path: Path) -> None:
    box.drop_in(new_secret())
    token = KeyRing.open(ledger.keys.directory, Role.KEEPER).mailbox_tokens()[0]
    foreign = KeyRing.create(tmp_path / "foreign").mailbox_tokens()[0]
    for wrong in (
        "",
        "Bearer",
        "Bearer zz",
        f"Bearer {foreign.hex()}",
        f"Basic {token.hex()}",
        f"Bearer {token[:-1].hex()}",
    ):
        assert box.served.ask("GET", "/letters", headers={"authorization": wrong}).status == 401
        assert box.served.ask("POST", "/letters", {"ids": "[1]"}, {"authorization": wrong}).status == 401
    assert len(box.letters) == 1
    right = {"authorization": f"Bearer {token.hex()}"}
    assert len(json.loads(box.served.ask("GET", "/letters", headers=right).text)) == 1
    for ids in ("", "[x]", "7", '{"a":1}', '["a"]'):
        assert box.served.ask("POST", "/letters", {"ids": ids}, right).status == 400
    assert len(box.letters) == 1


def test_it_has_no_page_but_to_post(box: Box, given: Grant) -> None:
    for path in ("/show", "/record", "/grant", "/stop", "/notice"):
        for method in ("GET", "POST"):
            form = {"code": given.secret} if method == "POST" else None
            assert box.served.ask(method, path, form).status == 404
    answer = box.served.ask("POST", "/post", {"code": given.secret}, {"origin": "https://evil.example"})
    assert answer.status == 403
    assert answer.headers["set-cookie"] is None
    assert "default-src 'none'" in answer.headers["content-security-policy"]


# --- the same letter twice, and worse ---------------------------------------------------------------------------------


def test_a_duplicate_and_a_replay_change_nothing(box: Box, ledger: Ledger, given: Grant) -> None:
    box.drop_in(given.secret)
    box.drop_in(given.secret)  # two taps
    ((_, stolen), _) = box.letters.page()
    assert box.fetch() == Round(withdrawn=1, idle=1)
    size = ledger.size
    again = say_yes(ledger, now_us=NOON + 600 * SECOND, secret=given.secret)  # back at the kiosk with the same code
    for late in (601 * SECOND, 3 * SKEW_US, DAY_US - SECOND):
        box.letters.put(stolen)
        box.fetch(NOON + late)
        assert State.GIVEN in states(ledger, again)
    assert ledger.size == size + 1
    # after a day the number is forgotten; a yes given long after the letter was posted stands all the same
    ledger.withdraw(given.secret, now_us=NOON + DAY_US)
    ledger.forget(NOON + 3 * DAY_US)
    say_yes(ledger, now_us=NOON + 2 * DAY_US, secret=given.secret)
    box.letters.put(stolen)
    assert box.fetch(NOON + 3 * DAY_US) == Round(idle=1)
    assert State.GIVEN in states(ledger, again)


def test_a_mailbox_whose_clock_is_wrong_by_less_than_an_hour_still_withdraws(
    ledger: Ledger, made: tls.Made, tmp_path: Path
) -> None:
    given = say_yes(ledger, now_us=NOON)
    with open_box(tmp_path / "slow", ledger, made, free_port(), now_us=NOON - SKEW_US + SECOND) as box:
        box.drop_in(given.secret)
        assert box.fetch() == Round(withdrawn=1)


def test_junk_and_codes_of_nobody_are_thrown_away_and_hold_nothing_up(box: Box, ledger: Ledger, given: Grant) -> None:
    generation, public = ledger.keys.newest("mailbox")
    stranger = Letter(NOON, os.urandom(16), new_secret()).seal(public, generation)
    for junk in (b"", b"x", os.urandom(98), stranger[:-1], stranger[:1] + bytes(4) + stranger[5:]):
        box.letters.put(junk)
    box.letters.put(stranger)
    box.letters.put(seal_to(public, generation, b"\x02" + bytes(44), LETTER))
    box.letters.put(seal_to(public, generation, b"short", LETTER))
    box.drop_in(given.secret)
    assert box.fetch() == Round(withdrawn=1, unknown=1, junk=7)
    assert len(box.letters) == 0
    assert states(ledger, given) == {State.WITHDRAWN}


def test_a_flood_is_bounded_and_a_withdrawal_behind_it_comes_through(
    box: Box, ledger: Ledger, given: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = [box.drop_in(new_secret()) for _ in range(30)]
    assert statuses.count(200) == 20  # one address is slowed down
    assert set(statuses[20:]) == {429}
    monkeypatch.setattr(letters_of, "MOST_LETTERS", 500)
    generation, public = ledger.keys.newest("mailbox")
    while box.letters.put(Letter(NOON, os.urandom(16), new_secret()).seal(public, generation)):
        pass
    assert len(box.letters) == 500
    assert sum(path.stat().st_size for path in box.directory.iterdir()) < 5_000_000
    assert not box.letters.put(b"one more")
    assert box.fetch() == Round(unknown=500)
    assert box.letters.put(Letter(NOON, os.urandom(16), given.secret).seal(public, generation))
    assert box.fetch() == Round(withdrawn=1)


def test_a_full_mailbox_says_so(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters_of, "MOST_LETTERS", 0)
    full = box.served.ask("POST", "/post", {"code": new_secret()})
    assert (full.status, Messages.load("en")("letter.full") in full.shown) == (503, True)


def test_one_round_does_not_last_for_ever(box: Box, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailpost, "MOST_AT_ONCE", 200)
    generation, public = ledger.keys.newest("mailbox")
    for _ in range(350):
        box.letters.put(Letter(NOON, os.urandom(16), new_secret()).seal(public, generation))
    assert [box.fetch().letters for _ in range(3)] == [200, 150, 0]


# --- what can go wrong on the way -------------------------------------------------------------------------------------


def test_a_letter_is_acknowledged_only_after_its_withdrawal(box: Box, ledger: Ledger, given: Grant) -> None:
    box.drop_in(given.secret)
    box.post._ledger.wait_at_most(0.2)
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="could not be written"):
        box.fetch()
    other.execute("ROLLBACK")
    other.close()
    assert len(box.letters) == 1
    assert box.fetch() == Round(withdrawn=1)


def test_a_crash_between_withdrawal_and_acknowledgement_repeats_nothing(
    box: Box, ledger: Ledger, given: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.drop_in(given.secret)
    ask = box.post._ask

    def crash(method: str, form: dict[str, str] | None = None) -> bytes:
        if method == "POST":
            raise PostError("the power went")
        return ask(method, form)

    with monkeypatch.context() as patch:
        patch.setattr(box.post, "_ask", crash)
        with pytest.raises(PostError, match="power"):
            box.fetch()
    size = ledger.size
    assert states(ledger, given) == {State.WITHDRAWN}
    assert len(box.letters) == 1
    assert box.fetch() == Round(idle=1)
    assert (ledger.size, len(box.letters)) == (size, 0)


def test_a_lost_mailbox_is_said_once_and_served_again_when_it_is_back(
    ledger: Ledger, given: Grant, made: tls.Made, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    keeper = KeyRing.open(ledger.keys.directory, Role.KEEPER)
    with Ledger(ledger.path, keeper, store=ledger.store) as theirs, caplog.at_level(logging.INFO):
        post = Mailpost(theirs, f"https://{NAME}:{port}", made.authority)
        with pytest.raises(PostError, match="cannot be reached"):
            post.fetch(lambda: NOON)
        with post.fetching(0.1, lambda: NOON + SECOND):
            time.sleep(0.6)
            with open_box(tmp_path / "outside", ledger, made, port) as box:
                box.drop_in(given.secret)
                deadline = time.monotonic() + 30
                while "withdrawn=1" not in caplog.text and time.monotonic() < deadline:
                    time.sleep(0.05)
                said = caplog.text
    assert states(ledger, given) == {State.WITHDRAWN}
    assert said.count("cannot be reached") == 1
    assert said.count("the mailbox answers again") == 1
    assert given.secret not in caplog.text


@contextmanager
def post_to(app: ASGIApp, made: tls.Made, ledger: Ledger, authority: Path | None) -> Iterator[Mailpost]:
    with serve(app, made) as served:
        keeper = KeyRing.open(ledger.keys.directory, Role.KEEPER)
        with Ledger(ledger.path, keeper, store=ledger.store) as theirs:
            yield Mailpost(theirs, served.url, authority)


def test_the_keeper_believes_no_certificate_but_the_right_one(ledger: Ledger, made: tls.Made, tmp_path: Path) -> None:
    asked: list[str] = []

    async def thief(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(str(scope["headers"]))
        await Response("[]")(scope, receive, send)

    other = certificate(tmp_path / "thief")
    for authority in (made.authority, None):
        with post_to(thief, other, ledger, authority) as post, pytest.raises(PostError, match="nobody here trusts"):
            post.fetch(lambda: NOON)
    assert asked == []  # so the token was shown to nobody


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (RedirectResponse("https://evil.example/letters"), "status 307"),
        (Response("no", 500), "status 500"),
        (Response("hello"), "not answer as a mailbox"),
        (Response('{"a": 1}'), "not answer as a mailbox"),
        (Response('[[1, "!"]]'), "not answer as a mailbox"),
        (Response("[" + "0," * 200_000 + "0]"), "status 200"),
        (Response(status_code=401), "does not know this store's key"),
    ],
)
def test_what_is_no_mailbox_is_said_in_one_line(
    ledger: Ledger, made: tls.Made, answer: ASGIApp, complaint: str
) -> None:
    with post_to(answer, made, ledger, made.authority) as post, pytest.raises(PostError, match=complaint) as caught:
        post.fetch(lambda: NOON)
    assert "\n" not in str(caught.value)


def test_a_rotated_key_opens_old_letters_and_the_mailbox_set_up_with_it_still_answers(
    made: tls.Made, tmp_path: Path
) -> None:
    keys = KeyRing.create(tmp_path / "keys")
    (tmp_path / "state").mkdir()
    path = tmp_path / "state" / "ledger.sqlite"
    port = free_port()
    with Ledger(path, keys, store="main-street") as ledger, open_box(tmp_path / "o", ledger, made, port) as box:
        given = say_yes(ledger)
        box.drop_in(given.secret)
        rotated = keys.rotate("mailbox")
        with Ledger(path, KeyRing.open(rotated.directory, Role.KEEPER), store="main-street") as later:
            assert Mailpost(later, box.served.url, made.authority).fetch(lambda: NOON + SECOND) == Round(withdrawn=1)


def test_http_is_refused_everywhere(ledger: Ledger, tmp_path: Path) -> None:
    setup = Setup.of(ledger.origin, KeyRing.open(ledger.keys.directory, Role.KEEPER))
    for url in ("http://box.example", "", "box.example", "https://"):
        with pytest.raises(ConsentError, match="https only"):
            letterbox(Letters(tmp_path / "letters"), setup, url=url, shop="x")
        with pytest.raises(ConsentError, match="https only"):
            Mailpost(ledger, url)


def test_the_line_for_the_mailbox_is_public_and_checked(ledger: Ledger) -> None:
    keeper = KeyRing.open(ledger.keys.directory, Role.KEEPER)
    setup = Setup.of(ledger.origin, keeper)
    line = setup.line()
    assert Setup.read(f" {line}\n") == setup
    raw = base64.b64decode(line.split("+", 2)[2].rsplit("+", 1)[0])
    for path in keeper.directory.glob("*.key"):
        assert path.read_bytes() not in raw
    assert keeper.mailbox_tokens()[0] not in raw
    for i in range(len(line)):
        for other in (line[:i] + line[i + 1 :], line[:i] + ("A" if line[i] != "A" else "B") + line[i + 1 :]):
            with pytest.raises(LetterError):
                Setup.read(other)


def test_letters_cannot_be_kept_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LetterError, match="cannot be kept"):
        Letters(tmp_path / "file")
    letters = Letters(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    letters.close()
