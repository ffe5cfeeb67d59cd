"""Who gets in, what every answer carries, and what hostile requests find."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from consent.kiosk import pairing
from consent.kiosk.app import TABLET, kiosk
from consent.kiosk.door import HEADERS, bare
from consent.kiosk.form import LONGEST
from consent.kiosk.messages import Messages
from consent.subjects import new_secret
from tests.consent.kiosk.conftest import HOST, Front
from tests.consent.kiosk.front import Browser

EN = Messages.load("en")
PAGES = ("/", "/choices", "/stop", "/returning", "/know", "/notice", "/no", "/done", "/mine", "/told", "/slip", "/pair")


@pytest.mark.parametrize("path", [*PAGES, "/static/kiosk.css", "/static/kiosk.js", "/nowhere", "/pad", "/answer"])
def test_every_answer_carries_every_header(front: Front, path: str) -> None:
    page = front.client().get(path)
    for name, value in HEADERS.items():
        assert page.headers[name] == value, path
    assert "server" not in page.headers
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_anything_inline_or_from_elsewhere(front: Front, path: str) -> None:
    person = front.browser()
    person.yes("dwell")
    text = person.get(path).text
    for needle in (
        "<script>",
        " style=",
        "<style",
        " onclick",
        "javascript:",
        "http://",
        "https://",
        "<iframe",
        "data:",
    ):
        assert needle not in text.replace('xmlns="http://www.w3.org/2000/svg"', ""), (path, needle)
    assert "http-equiv" not in text, "no refresh"


def test_the_one_cookie_is_the_session_and_says_nothing(front: Front) -> None:
    person = front.browser()
    person.yes("dwell")
    person.tap("/prefs", set="language:de", at="/done")
    assert list(person.client.cookies) == ["kiosk"]
    cookie = front.client().get("/").headers["set-cookie"]
    for part in ("HttpOnly", "Path=/", "SameSite=strict"):
        assert part in cookie
    assert "Max-Age" not in cookie
    assert "expires" not in cookie.lower()
    assert person.code not in person.client.cookies["kiosk"]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "", "127.0.0.1, evil.example", "[::1"]
)
def test_a_foreign_name_gets_no_page(front: Front, host: str) -> None:
    page = front.client().get("/", headers={"host": host})
    assert page.status_code == 421
    assert "csrf" not in page.text
    assert "set-cookie" not in page.headers
    assert EN("problem.foreign") in Browser.read(page)


def test_two_host_lines_are_refused(front: Front) -> None:
    page = front.client().get("/", headers=[("host", "127.0.0.1:8600"), ("host", "evil.example")])
    assert page.status_code == 421


@pytest.mark.parametrize(
    ("written", "read"),
    [("LocalHost:8600", "localhost"), ("[::1]:8600", "::1"), ("::1", "::1"), ("127.0.0.1", "127.0.0.1")],
)
def test_a_host_is_read_without_its_port(written: str, read: str) -> None:
    assert bare(written) == read


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"origin": "https://127.0.0.1:8600"},
        {"origin": "http://127.0.0.1:8601"},
        {"origin": "http://127.0.0.1:8600.evil.example"},
        {"origin": "http://localhost:8600"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.example", "sec-fetch-site": "same-origin"},
    ],
)
def test_a_form_of_somebody_else_changes_nothing(front: Front, person: Browser, headers: dict[str, str]) -> None:
    page = person.client.post("/answer", data={**person.hidden, "answer": "no"}, headers=headers)
    assert page.status_code == 403
    assert EN("problem.forged") in Browser.read(page)
    assert front.kinds() == []


def test_a_browser_that_says_same_origin_is_believed(front: Front, person: Browser) -> None:
    data = {**person.hidden, "answer": "no"}
    assert person.client.post("/answer", data=data, headers={"sec-fetch-site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("csrf", ["", "x", "💐", "a" * 3000, None])
def test_a_form_without_the_sessions_token_changes_nothing(front: Front, person: Browser, csrf: str | None) -> None:
    data = {"answer": "no", "attempt": person.hidden["attempt"]}
    if csrf is not None:
        data["csrf"] = csrf
    page = person.client.post("/answer", data=data, headers={"origin": HOST})
    assert page.status_code == 403
    assert front.kinds() == []


def test_the_token_of_another_session_does_not_help(front: Front, person: Browser) -> None:
    other = front.browser()
    data = {**person.hidden, "csrf": other.hidden["csrf"], "answer": "no"}
    assert person.client.post("/answer", data=data, headers={"origin": HOST}).status_code == 403


@pytest.mark.parametrize("cookie", ["", "x", "../../etc/passwd", "0" * 4000, "%00"])
def test_a_made_up_session_is_nobodys(front: Front, cookie: str) -> None:
    client = front.client()
    page = client.post("/stop/code", data={"csrf": ""}, headers={"origin": HOST, "cookie": f"kiosk={cookie}"})
    assert page.status_code == 410
    assert front.kinds() == []


def test_a_session_that_the_kiosk_did_not_make_is_never_taken_over(front: Front) -> None:
    client = front.client()
    client.cookies.set("kiosk", "chosen-by-somebody")
    client.get("/")
    assert front.app.state.kiosk.sessions.find("chosen-by-somebody") is None


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_get_a_page_that_says_so(front: Front, method: str) -> None:
    page = front.client().request(method, "/answer", headers={"origin": HOST})
    assert page.status_code == 405
    assert EN("problem.wrong_method") in Browser.read(page)


@pytest.mark.parametrize("path", ["/answer", "/link", "/renew", "/finish", "/stop/here", "/key", "/print", "/prefs"])
def test_no_change_comes_from_an_address(front: Front, path: str) -> None:
    page = front.client().get(f"{path}?csrf=x&answer=yes&purpose=dwell")
    assert page.status_code == 405
    assert front.kinds() == []


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/settings.py",
        "/static/....//app.py",
        "/static//etc/passwd",
        "/static/",
        "/%00",
        "/no such page",
        "/templates/base.html",
        "/messages/en.toml",
        "/" + "a" * 5000,
    ],
)
def test_tricks_with_paths_find_nothing(front: Front, path: str) -> None:
    page = front.client().get(path, follow_redirects=False)
    assert page.status_code in (404, 307), path
    assert "import" not in page.text
    if page.status_code == 307:
        assert page.headers["location"].startswith(HOST)


def test_a_large_body_is_refused_whether_it_says_so_or_not(front: Front, person: Browser) -> None:
    body = ("csrf=" + "a" * (LONGEST + 1)).encode()
    headers = {"origin": HOST, "content-type": "application/x-www-form-urlencoded"}
    assert person.client.post("/answer", content=body, headers=headers).status_code == 413
    assert person.client.post("/answer", content=iter([body[:3000], body[3000:]]), headers=headers).status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data; boundary=x", ""])
def test_a_body_that_is_no_form_is_refused(front: Front, person: Browser, kind: str) -> None:
    page = person.client.post("/answer", content=b"answer=no", headers={"origin": HOST, "content-type": kind})
    assert page.status_code == 415
    assert front.kinds() == []


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=%ff", b"&".join([b"a=1"] * 100)])
def test_a_form_that_cannot_be_read_is_refused(front: Front, person: Browser, body: bytes) -> None:
    headers = {"origin": HOST, "content-type": "application/x-www-form-urlencoded"}
    assert person.client.post("/answer", content=body, headers=headers).status_code == 400


def test_a_websocket_is_closed(front: Front) -> None:
    with pytest.raises(WebSocketDisconnect), front.client().websocket_connect("/"):
        pass


def test_nothing_personal_stands_in_an_address_a_title_or_a_log_line(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    person = front.browser()
    seen: list[str] = []
    person.client.event_hooks["response"].append(
        lambda page: seen.append(f"{page.request.url} {page.headers.get('location', '')}")
    )
    with caplog.at_level("DEBUG", logger="consent"):
        person.yes("dwell", "emotion")
        code = person.code
        titles = [person.page.text.partition("<title>")[2].partition("</title>")[0]]
        person.tap("/finish")
        for path, go in (("/stop", "/stop/code"), ("/know", "/know"), ("/returning", "/returning")):
            person.get(path)
            person.tap(go, code=code[:-1] + "Z")
            person.get(path)
            person.tap(go, code=code)
            titles.append(person.page.text.partition("<title>")[2].partition("</title>")[0])
    everything = " ".join([*seen, *titles, caplog.text]).replace("-", "")
    assert code not in everything
    for word in ("emotion", "age", "older", front.ledger.find(code).hex()):
        assert word not in " ".join(seen)


# --- tablets ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(front: Front, tmp_path: Path) -> Front:
    """The kiosk of a shop that lets paired tablets in."""
    front.open(paired=tmp_path / "kiosk.paired", allowed_hosts=("kiosk.shop", "127.0.0.1"))
    return front


TABLET_HOST = "https://kiosk.shop"


@pytest.mark.parametrize("path", ["/", "/choices", "/stop", "/pad"])
def test_whoever_is_not_paired_gets_no_page_from_elsewhere(elsewhere: Front, path: str) -> None:
    page = elsewhere.client(TABLET_HOST, "192.168.1.50").get(path)
    assert page.status_code == 403
    assert EN("problem.unpaired") in Browser.read(page)
    assert "csrf" not in page.text


@pytest.mark.parametrize("header", ["forwarded", "x-forwarded-for", "x-real-ip", "via", "x-forwarded-host"])
def test_what_is_forwarded_from_this_machine_counts_as_elsewhere(elsewhere: Front, header: str) -> None:
    page = elsewhere.client().get("/", headers={header: "for=10.0.0.9"})
    assert page.status_code == 403


def test_a_name_of_the_shop_on_this_machine_counts_as_elsewhere(elsewhere: Front) -> None:
    assert elsewhere.client("http://kiosk.shop").get("/").status_code == 403


def test_a_tablet_pairs_once_by_a_code_and_is_let_in_from_then_on(elsewhere: Front) -> None:
    file = elsewhere.shop.paired
    assert file is not None
    code = pairing.new_code(file, now_us=elsewhere.now_us())
    client = elsewhere.client(TABLET_HOST, "192.168.1.50")
    tablet = Browser(client, "/pair")
    tablet.tap("/pair", pairing=f"{code[:4]}-{code[4:].lower()}")
    assert EN("pair.done") in tablet.text
    cookie = next(line for line in tablet.page.headers.get_list("set-cookie") if line.startswith(TABLET))
    for part in ("HttpOnly", "SameSite=strict", "Secure", "Max-Age"):
        assert part in cookie
    assert tablet.get("/").status_code == 200
    tablet.yes("dwell")
    assert elsewhere.kinds() == ["granted"]
    assert client.cookies[TABLET] not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.glob("kiosk*")] == [file.name]
    other = Browser(elsewhere.client(TABLET_HOST, "192.168.1.51"), "/pair")
    other.tap("/pair", pairing=code)
    assert EN("pair.wrong") in other.text, "a code works once"
    assert pairing.unpair(file) == 1
    assert tablet.get("/").status_code == 403


def test_a_pairing_code_dies_after_five_wrong_tries_and_after_ten_minutes(elsewhere: Front) -> None:
    file = elsewhere.shop.paired
    assert file is not None
    now_us = elsewhere.now_us()
    code = pairing.new_code(file, now_us=now_us)
    for _ in range(5):
        assert pairing.pair(file, "22222222", now_us=now_us) is None
    assert pairing.pair(file, code, now_us=now_us) is None
    code = pairing.new_code(file, now_us=now_us)
    assert pairing.pair(file, code, now_us=now_us + pairing.CODE_US) is None
    code = pairing.new_code(file, now_us=now_us)
    assert pairing.pair(file, code, now_us=now_us + pairing.CODE_US - 1) is not None


def test_pairing_cannot_be_guessed_fast(elsewhere: Front) -> None:
    client = elsewhere.client(TABLET_HOST, "192.168.1.50")
    tablet = Browser(client, "/pair")
    answers = []
    for _ in range(10):
        tablet.get("/pair")
        answers.append(tablet.tap("/pair", pairing=new_secret()[:8]).status_code)
    assert 429 in answers


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"code": 1, "tablets": []}', '{"code": null, "tablets": 3}', "\xff", "[" * 90_000]
)
def test_a_damaged_file_of_tablets_lets_nobody_in(elsewhere: Front, text: str) -> None:
    file = elsewhere.shop.paired
    assert file is not None
    file.write_text(text, encoding="latin-1")
    client = elsewhere.client(TABLET_HOST, "192.168.1.50")
    client.cookies.set(TABLET, "x", domain="kiosk.shop")
    assert client.get("/").status_code == 403
    assert elsewhere.client().get("/").status_code == 200, "the shop's own screen goes on"
    with pytest.raises(pairing.PairingError, match="remove it"):
        pairing.is_paired(file, "x")


def test_without_a_file_of_tablets_nobody_is_let_in(front: Front) -> None:
    front.open(allowed_hosts=("kiosk.shop",))
    client = front.client(TABLET_HOST, "192.168.1.50")
    assert client.get("/").status_code == 403
    tablet = Browser(client, "/pair")
    tablet.tap("/pair", pairing="22222222")
    assert EN("pair.wrong") in tablet.text


def test_a_full_file_keeps_the_newest_tablets(tmp_path: Path) -> None:
    file = tmp_path / "kiosk.paired"
    keys = []
    for i in range(pairing.MOST_TABLETS + 2):
        key = pairing.pair(file, pairing.new_code(file, now_us=i), now_us=i)
        assert key is not None
        keys.append(key)
    assert len(json.loads(file.read_text())["tablets"]) == pairing.MOST_TABLETS
    assert not pairing.is_paired(file, keys[0])
    assert pairing.is_paired(file, keys[-1])


# --- what others hang beside it ---------------------------------------------------------------------------------------


def test_a_mounted_application_stands_behind_the_same_door(front: Front) -> None:
    other = Starlette(
        routes=[Route("/", lambda _: PlainTextResponse("smile", headers={"x-frame-options": "SAMEORIGIN"}))]
    )
    app = kiosk(front.shop, front.ledger, mounts=[lambda _: [Mount("/smile", other)]])
    client = TestClient(app, base_url=HOST, client=("127.0.0.1", 1))
    page = client.get("/smile/")
    assert page.text == "smile"
    assert page.headers["content-security-policy"] == HEADERS["content-security-policy"]
    assert page.headers["x-frame-options"] == "SAMEORIGIN", "what it says itself holds"
    assert client.get("/smile/", headers={"host": "evil.example"}).status_code == 421


def test_an_address_that_is_nearly_one_is_no_page_and_leads_nowhere(front: Front, person: Browser) -> None:
    for path in ("/done/", "/choices/", "/pair/"):
        page = person.client.get(path, follow_redirects=False)
        assert page.status_code == 404
        assert "location" not in page.headers
