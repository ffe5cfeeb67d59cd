"""The door of the dashboard, tried from outside: a real process, real HTTP, a real websocket."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import pty
import re
import select
import shutil
import sqlite3
import ssl
import subprocess
import sys
import time
from base64 import b32decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import streamlit
import websockets.exceptions
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.util import calc_hash
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

import analytics.pages
from analytics.dashboard import ADDRESS, STATE, command, environment, open_accounts
from analytics.shopfloor import weeks
from analytics.state import State
from consent import tls
from consent.access import BROKEN, Action, Desk, Refusal
from consent.accounts import digest
from consent.events import EventKind, Leaf
from consent.factors import RECOVERY, STEP_S, code_at
from consent.keys import Role
from consent.signin.gate import CLOSED, NOT_UNDERSTOOD, SESSION_HEADER
from consent.tokens import Scope, Tokens
from tests.apart import read_apart
from tests.command import Place
from tests.consent.provider import CLIENT, SECRET, Somewhere
from tests.consent.served import certificate, serve
from tests.signed_in import Board, a_shop, account, dashboard, free_port

PATIENCE_S = 60.0
HTML = {"Accept": "text/html"}
PASSWORD = "correct horse battery staple"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def cookies(self) -> dict[str, str]:
        found = (line.partition(";")[0].partition("=") for line in self.headers.get_all("Set-Cookie") or ())
        return {name: value for name, _, value in found}


def ask(
    board: Board, path: str = "/", method: str = "GET", body: bytes | None = None, /, **headers: str | None
) -> Answer:
    """Ask the door; a header's underscores are dashes, and None leaves it out."""
    caller = http.client.HTTPConnection(ADDRESS, board.port, timeout=30)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        caller.request(method, path, body=body, headers=sent)
        answer = caller.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode(errors="replace"))
    finally:
        caller.close()


def send(board: Board, path: str, form: Mapping[str, str], cookie: str, /, **headers: str | None) -> Answer:
    """Send a form as a page of ours does."""
    told: dict[str, str | None] = {"Origin": board.url, "Content_Type": "application/x-www-form-urlencoded"}
    return ask(board, path, "POST", urlencode(form).encode(), Cookie=cookie, **{**told, **headers})


def form(board: Board, path: str, cookie: str = "") -> tuple[str, str]:
    """Return the token of the form on a page, and the cookies with which it must come back."""
    page = ask(board, path, Cookie=cookie or None)
    assert page.status == 200, page.status
    token = re.search(r'name="token" value="([0-9a-f]{64})"', page.text)
    assert token is not None
    cookies = [cookie] if cookie else []
    return token[1], "; ".join([*cookies, *(f"{name}={value}" for name, value in page.cookies.items())])


@contextmanager
def line(board: Board, cookie: str, /, **headers: str) -> Iterator[ClientConnection]:
    """Open the websocket of the pages."""
    sent = {"Cookie": cookie, **{name.replace("_", "-"): value for name, value in headers.items()}}
    address = f"ws://{ADDRESS}:{board.port}/_stcore/stream"
    with connect(
        address,
        origin=Origin(board.url),
        additional_headers=sent,
        subprotocols=[Subprotocol("streamlit")],
        max_size=None,
        open_timeout=PATIENCE_S,
    ) as opened:
        yield opened


def drawn(opened: ClientConnection, page: str = "", url: str = "") -> list[ForwardMsg]:
    """Have a page drawn, by its address as Streamlit hashes it, and return what came."""
    message = BackMsg()
    message.rerun_script.page_script_hash = calc_hash(page) if page else ""
    message.rerun_script.context_info.url = url
    opened.send(message.SerializeToString())
    return until_drawn(opened)


def until_drawn(opened: ClientConnection) -> list[ForwardMsg]:
    """Return what comes until a page is drawn."""
    found: list[ForwardMsg] = []
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        data = opened.recv(timeout=PATIENCE_S)
        assert isinstance(data, bytes)
        found.append(ForwardMsg.FromString(data))
        if found[-1].WhichOneof("type") == "script_finished":
            return found
    raise AssertionError("the page was not drawn")


def hung_up(opened: ClientConnection) -> int | None:
    """Wait until the other side hangs up, and return with which code."""
    try:
        while True:
            opened.recv(timeout=PATIENCE_S)
    except websockets.exceptions.ConnectionClosed as closed:
        return None if closed.rcvd is None else closed.rcvd.code


def titles(messages: list[ForwardMsg]) -> list[str]:
    """Return the pages that the menu offers."""
    return [one.page_name for m in messages if m.WhichOneof("type") == "navigation" for one in m.navigation.app_pages]


def texts(messages: list[ForwardMsg]) -> str:
    return b"".join(message.SerializeToString() for message in messages).decode("latin-1")


def denials(state: State) -> list[dict[str, object]]:
    """Return what the log says of refusals, oldest first, each with how often."""
    found: list[dict[str, object]] = []
    with state.open_ledger(Role.DASHBOARD) as ledger:
        for index, data in ledger.leaves(0, ledger.size):
            leaf = Leaf.decode(data)
            if leaf.kind is EventKind.ACCESS_DENIED and (record := ledger.record(index)):
                found.append({**json.loads(record.payload), "count": leaf.count})
    return found


def soon(true: Callable[[], object], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.1)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    root = tmp_path_factory.mktemp("door")
    state = a_shop(root / "shop")
    weeks.unpack(state)
    with open_accounts(state) as accounts:
        accounts.add("Ada Manager", Desk.MANAGER, now_us=time.time_ns() // 1000, password=PASSWORD)
    with dashboard(state, root / "log") as served:
        yield served
    said = (root / "log").read_text()
    assert "Traceback" not in said
    assert "openaisle-" not in said
    assert PASSWORD not in said


# --- nobody -----------------------------------------------------------------------------------------------------------

STATIC = Path(streamlit.__file__).parent / "static"
PATHS = (
    *("/", "/floor", "/retention", "/index.html", "/app.py", "/nowhere", "/favicon.png", "/manifest.json"),
    *("/_stcore/health", "/_stcore/host-config", "/_stcore/metrics", "/_stcore/script-health-check", "/healthz"),
    *("/_stcore/allowed-message-origins", "/_stcore/stream", "/_stcore/upload_file/a/b", "/_stcore/agent/v1"),
    *("/media/0.png", "/component/x/index.html", "/_stcore/bidi-components/x/y.js", "/auth/login", "/oauth2callback"),
    *("/sign-in/../floor", "/sign-in/../_stcore/health", "/%2e%2e/app.py", "//floor", "/desk.css/../floor"),
    *("/SIGN-IN", "/sign-inn", "/static/", "/app/static/x"),
    *("/api/openapi.json", "/api/v1/stores", "/api/v1/nowhere", "/metrics", "//metrics", "/api/../floor"),
)


def static_files() -> list[str]:
    every = sorted(path for path in STATIC.rglob("*") if path.is_file() and path.suffix in (".js", ".css", ".html"))
    assert len(every) > 20
    return [f"/{path.relative_to(STATIC)}" for path in every[:: len(every) // 20]]


@pytest.mark.parametrize("path", [*PATHS, *static_files()])
def test_a_stranger_gets_nothing_under_any_path_and_by_no_method(board: Board, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        for cookie in (None, f"openaisle-{board.port}=x", f"openaisle-{board.port}=", "openaisle=x; _streamlit_user=x"):
            answer = ask(board, path, method, Cookie=cookie)
            assert answer.status in (401, 404, 405), (method, answer.status)
            assert "root" not in answer.text
            assert "streamlit" not in answer.text.lower()
            assert "_streamlit_xsrf" not in answer.headers.get("Set-Cookie", "")
    answer = ask(board, path, **HTML)
    assert answer.status in (303, 401, 404)
    assert answer.headers.get("Location") in (None, "/sign-in")


def test_a_stranger_gets_no_websocket(board: Board) -> None:
    for cookie in ("", f"openaisle-{board.port}=x", f"openaisle-{board.port}={'0' * 43}"):
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused, line(board, cookie):
            pass
        assert refused.value.response.status_code == 403
    good = board.cookie()
    for path in ("/", "/stream", "/_stcore/stream/", "/x/_stcore/stream", "/sign-in"):
        with (
            pytest.raises(websockets.exceptions.InvalidStatus),
            connect(
                f"ws://{ADDRESS}:{board.port}{path}",
                origin=Origin(board.url),
                additional_headers={"Cookie": good},
            ),
        ):
            pass


def test_programs_come_in_by_a_token_of_their_own_and_by_nothing_else(board: Board) -> None:
    now_us = time.time_ns() // 1000
    with open_accounts(board.state) as accounts:
        tokens = Tokens(accounts)
        figures, metrics = (tokens.add(f"door {scope}", scope, 1, now_us=now_us)[1] for scope in Scope)
        over = tokens.add("door over", Scope.FIGURES, 1, now_us=now_us - 2 * 86_400_000_000)[1]
        gone = tokens.add("door gone", Scope.FIGURES, 1, now_us=now_us)[1]
    cookie = board.cookie(Desk.ADMINISTRATOR)
    places = {"/api/v1/stores": figures, "/api/openapi.json": figures, "/metrics": metrics}
    for path, right in places.items():
        assert ask(board, path, Authorization=f"Bearer {right}").status == 200
        assert ask(board, path, Authorization=f"Bearer {figures if right == metrics else metrics}").status == 403
        for wrong in (over, "openaisle_" + "A" * 43, right[:-1], digest(right).hex()):
            assert ask(board, path, Authorization=f"Bearer {wrong}").status in (401, 429)
        for header in (f"Basic {right}", right, "Bearer", "Bearer ", ""):
            assert ask(board, path, Authorization=header).status == 401
        for words in (f"token={right}", f"access_token={right}", right, right.replace("_", "%5F")):
            assert ask(board, f"{path}?{words}").status == 401
            assert ask(board, f"{path}?{words}", Authorization=f"Bearer {right}").status == 401
        for sent in ({"Cookie": cookie}, {"Cookie": f"token={right}"}, {"X_Api_Key": right}, {SESSION_HEADER: right}):
            assert ask(board, path, **sent).status == 401
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            refused = ask(board, path, method, Authorization=f"Bearer {right}")
            assert refused.status == 405
            assert refused.headers["Allow"] == "GET, HEAD"
        for origin in ("http://evil.example", "null"):
            refused = ask(board, path, Authorization=f"Bearer {right}", Origin=origin)
            assert refused.status == 403
            assert not [name for name in refused.headers if name.lower().startswith("access-control")]
        assert ask(board, path, Authorization=f"Bearer {right}", Host="evil.example").status == 421
        assert ask(board, path, Authorization=f"Bearer {right}", X_Forwarded_For="127.0.0.1").status == 403
    for token in (figures, metrics):  # it opens no page, no script and no websocket
        for path in ("/", "/floor", "/index.html", "/_stcore/health", "/account"):
            assert ask(board, path, Authorization=f"Bearer {token}").status in (303, 401)
        with pytest.raises(websockets.exceptions.InvalidStatus), line(board, "", Authorization=f"Bearer {token}"):
            pass
    assert ask(board, "/api/v1/stores", Authorization=f"Bearer {gone}").status == 200
    with open_accounts(board.state) as accounts:
        Tokens(accounts).revoke("door gone")
    assert ask(board, "/api/v1/stores", Authorization=f"Bearer {gone}").status in (401, 429)
    said = board.log.read_text()
    assert not [token for token in (figures, metrics, over, gone) if token in said]
    soon(lambda: {"token", "scope"} <= {str(one["reason"]) for one in denials(board.state)}, "it is not in the log")


# --- somebody else ----------------------------------------------------------------------------------------------------

FORWARDED = {
    "X_Forwarded_For": ADDRESS,
    "X_Forwarded_Host": "shop.example",
    "X_Forwarded_Proto": "https",
    "X_Forwarded_User": "test administrator",
    "X_Real_IP": ADDRESS,
    "Forwarded": f"for={ADDRESS}",
    "X_Client_IP": ADDRESS,
}


@pytest.mark.parametrize("name", FORWARDED)
def test_nobody_speaks_for_somebody_else(board: Board, name: str) -> None:
    cookie = board.cookie()
    assert ask(board, "/", Cookie=cookie).status == 200
    assert ask(board, "/", Cookie=cookie, **{name: FORWARDED[name]}).status == 403
    assert ask(board, "/sign-in", **{name: FORWARDED[name]}).status == 403
    with pytest.raises(websockets.exceptions.InvalidStatus), line(board, cookie, **{name: FORWARDED[name]}):
        pass


def test_a_header_that_names_a_session_is_not_believed(board: Board) -> None:
    mine, hers = board.cookie(Desk.MANAGER), board.cookie(Desk.COMPLIANCE)
    forged = {SESSION_HEADER: hashlib.sha256(hers.partition("=")[2].encode()).hexdigest()}
    assert ask(board, "/", **forged).status == 401
    with line(board, mine, **forged) as opened:
        assert "Retention" not in titles(drawn(opened))
    with line(board, hers) as opened:
        assert "Retention" in titles(drawn(opened))


def test_foreign_origins_and_hosts_are_refused(board: Board) -> None:
    cookie, port = board.cookie(), board.port
    for origin in (
        *("http://evil.example", f"http://evil.example:{port}", "null", "", f"http://{ADDRESS}:{port + 1}"),
        *(f"http://{ADDRESS}", f"https://{ADDRESS}:{port}", f"{board.url}.evil.example", f"http://localhost:{port}"),
    ):
        assert ask(board, "/", Cookie=cookie, Origin=origin).status == 403, origin
        with (
            pytest.raises(websockets.exceptions.InvalidStatus),
            connect(
                f"ws://{ADDRESS}:{port}/_stcore/stream",
                origin=Origin(origin),
                additional_headers={"Cookie": cookie},
            ),
        ):
            pass
    with (
        pytest.raises(websockets.exceptions.InvalidStatus),
        connect(f"ws://{ADDRESS}:{port}/_stcore/stream", additional_headers={"Cookie": cookie}),  # no origin at all
    ):
        pass
    for host in ("shop.example", f"shop.example:{port}", "", "127.0.0.1.evil.example", "[::1]", "10.0.0.1"):
        for path in ("/", "/sign-in", "/_stcore/health", "/desk.css"):
            answer = ask(board, path, Cookie=cookie, Host=host)
            assert answer.status in (400, 421), (host, answer.status)
            assert "root" not in answer.text


def test_it_listens_on_this_machine_only(board: Board) -> None:
    listening = [
        words.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for words in Path(table).read_text().splitlines()[1:]
        if words.split()[3] == "0A" and int(words.split()[1].split(":")[1], 16) == board.port
    ]
    assert listening == [f"0100007F:{board.port:04X}"]


# --- another desk -----------------------------------------------------------------------------------------------------

# the first page lies at the root
SHOP, SECOND, *_ = (page.path for page in analytics.pages.PAGES if page.section == "shop")
ONLY = {Desk.MANAGER: SECOND, Desk.COMPLIANCE: "retention", Desk.ADMINISTRATOR: SECOND}
OTHERS = {Desk.MANAGER: "retention", Desk.COMPLIANCE: SHOP, Desk.ADMINISTRATOR: "retention"}


@pytest.mark.parametrize("desk", list(Desk))
def test_a_page_of_another_desk_is_refused_by_address_and_by_websocket(board: Board, desk: Desk) -> None:
    cookie, theirs, me = board.cookie(desk), OTHERS[desk], board.account(desk).id
    assert ask(board, "/", Cookie=cookie, **HTML).status == 200
    assert ask(board, f"/{ONLY[desk]}", Cookie=cookie, **HTML).status == 200
    encoded = f"%{ord(theirs[0]):x}{theirs[1:]}"
    for path in (f"/{theirs}", f"/{theirs}/", f"//{theirs}", f"/{theirs}/x", f"/{theirs}?a=1", f"/{encoded}"):
        answer = ask(board, path, Cookie=cookie, **HTML)
        assert answer.status == 403, path
        assert "another desk" in answer.text
    with line(board, cookie) as opened:
        own = titles(drawn(opened))
        assert own
        assert ("Retention" in own) is (desk is Desk.COMPLIANCE)
        got = drawn(opened, theirs, f"{board.url}/{theirs}")
        assert titles(got) == own
        foreign = "everybody." if desk is Desk.COMPLIANCE else "Every class of data"  # what only their page says
        assert foreign not in texts(got)
    wanted = {"account": me, "reason": Refusal.PAGE.value}
    soon(lambda: any(wanted.items() <= told.items() for told in denials(board.state)), "no entry of the log says so")


def asked_by_hash(message: BackMsg, page: str, url: str) -> None:
    message.rerun_script.page_script_hash = calc_hash(page)


def asked_by_name(message: BackMsg, page: str, url: str) -> None:
    message.rerun_script.page_name = page


def asked_by_address(message: BackMsg, page: str, url: str) -> None:
    message.rerun_script.context_info.url = f"{url}/{page}"


@pytest.mark.parametrize("how", [asked_by_hash, asked_by_name, asked_by_address])
def test_a_forged_request_for_a_page_of_another_desk_is_a_denial(
    board: Board, how: Callable[[BackMsg, str, str], None]
) -> None:
    with open_accounts(board.state) as accounts:
        eve = accounts.add(f"Eve {how.__name__}", Desk.MANAGER, now_us=time.time_ns() // 1000)
        cookie = f"openaisle-{board.port}={accounts.begin(eve, now_us=time.time_ns() // 1000)}"
    message = BackMsg()
    message.rerun_script.context_info.url = board.url
    how(message, "holds", board.url)
    with line(board, cookie) as opened:
        opened.send(message.SerializeToString())
        got = until_drawn(opened)
    assert "A hold stops deletion" not in texts(got)
    wanted = {"account": eve.id, "reason": Refusal.PAGE.value, "action": Action.SEE_COMPLIANCE.value}
    soon(lambda: any(wanted.items() <= told.items() for told in denials(board.state)), "no entry of the log says so")


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xffsecret-of-somebody", "secret-of-somebody", b"\x0a\xff"])
def test_what_no_page_sends_goes_no_further_and_ends_the_session_of_who_sends_it_often(
    board: Board, data: bytes | str
) -> None:
    with open_accounts(board.state) as accounts:
        eve = accounts.add(f"Eve {data!r}"[:60], Desk.MANAGER, now_us=time.time_ns() // 1000)
        cookie = f"openaisle-{board.port}={accounts.begin(eve, now_us=time.time_ns() // 1000)}"
    for _ in range(BROKEN):
        with line(board, cookie) as opened:
            opened.send(data)
            assert hung_up(opened) == NOT_UNDERSTOOD
        assert ask(board, "/", Cookie=cookie).status == 200
    with line(board, cookie) as opened:
        opened.send(data)
        hung_up(opened)
    soon(lambda: ask(board, "/", Cookie=cookie).status == 401, "the session goes on")
    wanted = {"account": eve.id, "reason": Refusal.MESSAGE.value}
    soon(lambda: any(wanted.items() <= told.items() for told in denials(board.state)), "no entry of the log says so")
    said = board.log.read_text()
    assert "secret-of-somebody" not in said
    assert "Traceback" not in said


# --- an end -----------------------------------------------------------------------------------------------------------


def gone(opened: ClientConnection) -> tuple[float, ForwardMsg]:
    """Wait for an open websocket to be closed; return how long it took, and what the page was told last."""
    began, last = time.monotonic(), ForwardMsg()
    try:
        while True:
            data = opened.recv(timeout=PATIENCE_S)
            assert isinstance(data, bytes)
            last = ForwardMsg.FromString(data)
    except websockets.exceptions.ConnectionClosed as closed:
        code = None if closed.rcvd is None else closed.rcvd.code
    assert code == CLOSED
    return time.monotonic() - began, last


def end_session(board: Board, cookie: str) -> None:
    with open_accounts(board.state) as accounts:
        accounts.end(digest(cookie.partition("=")[2]))


def end_all(board: Board, cookie: str) -> None:
    with open_accounts(board.state) as accounts:
        accounts.end_all(account(board.state, Desk.MANAGER).id)


def move(board: Board, cookie: str) -> None:
    with open_accounts(board.state) as accounts:
        accounts.set_desk("test manager", Desk.COMPLIANCE)
        accounts.set_desk("test manager", Desk.MANAGER)


def be_idle(board: Board, cookie: str) -> None:
    change(board, "UPDATE sessions SET seen_us = seen_us - 31 * 60000000 WHERE token = ?", cookie)


def be_old(board: Board, cookie: str) -> None:
    change(board, "UPDATE sessions SET begun_us = begun_us - 13 * 3600000000 WHERE token = ?", cookie)


def change(board: Board, sql: str, cookie: str) -> None:
    db = sqlite3.connect(board.state.root / "access.sqlite", isolation_level=None, timeout=20)
    assert db.execute(sql, (digest(cookie.partition("=")[2]),)).rowcount == 1
    db.close()


@pytest.mark.parametrize("how", [end_session, end_all, move, be_idle, be_old])
def test_when_a_session_ends_its_open_page_is_closed_within_seconds(
    board: Board, how: Callable[[Board, str], None]
) -> None:
    cookie = board.cookie()
    with line(board, cookie) as opened, line(board, board.cookie(Desk.COMPLIANCE)) as other:
        drawn(opened)
        drawn(other)
        how(board, cookie)
        took_s, last = gone(opened)
        assert took_s < 10
        assert last.auth_redirect.url == "/sign-in"  # nothing stays on the screen
        drawn(other)  # and nobody else is sent away
    assert ask(board, "/", Cookie=cookie).status == 401
    assert ask(board, "/_stcore/health", Cookie=cookie).status == 401
    with pytest.raises(websockets.exceptions.InvalidStatus), line(board, cookie):
        pass


def test_a_page_that_refreshes_itself_does_not_keep_a_session(board: Board) -> None:
    cookie = board.cookie()
    change(board, "UPDATE sessions SET seen_us = seen_us - 20 * 60000000 WHERE token = ?", cookie)

    def idle_us() -> int:
        db = sqlite3.connect(board.state.root / "access.sqlite", timeout=20)
        (seen_us,) = db.execute(
            "SELECT seen_us FROM sessions WHERE token = ?", (digest(cookie.partition("=")[2]),)
        ).fetchone()
        db.close()
        return time.time_ns() // 1000 - int(seen_us)

    with line(board, cookie) as opened:
        message = BackMsg()
        message.rerun_script.is_auto_rerun = True
        opened.send(message.SerializeToString())
        kind = None
        while kind != "script_finished":
            data = opened.recv(timeout=PATIENCE_S)
            assert isinstance(data, bytes)
            kind = ForwardMsg.FromString(data).WhichOneof("type")
        assert ask(board, "/_stcore/health", Cookie=cookie).status == 200
        assert idle_us() > 19 * 60_000_000
        drawn(opened)
        assert idle_us() < 60_000_000


# --- files ------------------------------------------------------------------------------------------------------------

SCRIPT = b"import os; open('/tmp/owned', 'w')"


def many(name: str, content: bytes) -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="x"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
    return head.encode() + content + b"\r\n--b--\r\n"


@contextmanager
def uploading(board: Board, desk: Desk) -> Iterator[Callable[..., int]]:
    """Open one page, and give what uploads a file into it as a browser does and returns the status."""
    cookie = board.cookie(desk)
    xsrf = ask(board, "/_stcore/health", Cookie=cookie).cookies["_streamlit_xsrf"]
    with line(board, cookie) as opened:
        session = next(
            m.new_session.initialize.session_id for m in drawn(opened) if m.WhichOneof("type") == "new_session"
        )
        told = {
            "Cookie": f"{cookie}; _streamlit_xsrf={xsrf}",
            "X_Xsrftoken": xsrf,
            "Origin": board.url,
            "Content_Type": "multipart/form-data; boundary=b",
        }
        path = f"/_stcore/upload_file/{session}/f"

        def upload(name: str, content: bytes, **headers: str | None) -> int:
            return ask(board, path, "PUT", many(name, content), **{**told, **headers}).status

        yield upload


def test_an_uploaded_script_is_refused(board: Board) -> None:
    for desk in Desk:
        with uploading(board, desk) as upload:
            for name in (
                "x.py",
                "app.py",
                "x.csv.py",
                "x",
                "",
                ".csv/../x.py",
                'x.csv"; filename="x.py',
                "x.csv\x00.py",
            ):
                assert upload(name, SCRIPT) in (400, 403), (desk, name)
    with uploading(board, Desk.COMPLIANCE) as upload:
        assert upload("x.csv", b"a,b") == 403  # not what this desk brings
    table = b"invoice id,date,time,quantity,total\n"
    with uploading(board, Desk.MANAGER) as upload:
        assert upload("x.csv", table) == 204  # as Streamlit answers: the rule is not "nobody, ever"
        for broken in (
            {"Origin": None},
            {"Origin": "http://evil.example"},
            {"X_Xsrftoken": "x"},
            {"Content_Type": "application/octet-stream"},
            {"Content_Length": "30000000"},
            {"Cookie": "openaisle=x"},
        ):
            assert upload("x.csv", table, **broken) in (400, 401, 403), broken
    cookie = board.cookie(Desk.MANAGER)
    for method in ("PUT", "POST", "DELETE", "PATCH", "OPTIONS"):
        for path in ("/", "/app.py", f"/{SHOP}", "/media/x.py", "/static/x.js", "/_stcore/upload_filex/a/b"):
            told = {"Origin": board.url, "Content_Type": "multipart/form-data; boundary=b"}
            assert ask(board, path, method, many("x.csv", table), Cookie=cookie, **told).status == 403, (method, path)
    assert ask(board, "/_stcore/upload_file/s/f", Cookie=cookie).status == 403
    form_type = {"Content_Type": "multipart/form-data; boundary=b", "Origin": board.url}
    assert ask(board, "/sign-in", "POST", many("x.py", SCRIPT), Cookie=cookie, **form_type).status in (400, 415)
    assert not any(SCRIPT in read_apart(path) for path in board.state.root.rglob("*") if path.is_file())


# --- signing in -------------------------------------------------------------------------------------------------------


def test_signing_in_and_out(board: Board) -> None:
    token, cookie = form(board, "/sign-in")
    wrong = send(board, "/sign-in", {"token": token, "name": "Ada Manager", "password": "not hers at all"}, cookie)
    nobody = send(board, "/sign-in", {"token": token, "name": "Nobody", "password": "not hers at all"}, cookie)
    assert (wrong.status, nobody.status) == (403, 403)
    assert wrong.text.replace("Ada Manager", "") == nobody.text.replace("Nobody", "")
    good = {"token": token, "name": " ada  MANAGER", "password": PASSWORD}
    for broken, kept, origin in (
        ({**good, "token": "0" * 64}, cookie, board.url),
        ({**good, "token": ""}, cookie, board.url),
        (good, cookie, "http://evil.example"),
        (good, cookie, None),
        (good, "", board.url),
    ):
        answer = send(board, "/sign-in", broken, kept, Origin=origin)
        assert answer.status == 403
        assert f"openaisle-{board.port}" not in answer.cookies
    tokens = set()
    for _ in range(2):
        answer = send(board, "/sign-in", good, cookie)
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        kept = next(one for one in answer.headers.get_all("Set-Cookie") or () if one.startswith("openaisle-"))
        for word in ("HttpOnly", "SameSite=strict", "Path=/"):
            assert word in kept
        assert not {"expires", "max-age"} & {part.strip().partition("=")[0].lower() for part in kept.split(";")}
        tokens.add(answer.cookies[f"openaisle-{board.port}"])
    assert len(tokens) == 2
    held = read_apart(board.state.root / "access.sqlite") + read_apart(board.state.root / "access.sqlite-wal")
    for secret in (*tokens, PASSWORD):
        assert secret.encode() not in held
    session = f"openaisle-{board.port}={tokens.pop()}"
    assert ask(board, "/", Cookie=session, **HTML).status == 200
    out, cookies = form(board, "/account", session)
    assert send(board, "/sign-out", {"token": "0" * 64}, cookies).status == 403
    assert ask(board, "/", Cookie=session, **HTML).status == 200
    assert send(board, "/sign-out", {"token": out}, cookies).status == 303
    assert ask(board, "/", Cookie=session).status == 401


def test_a_second_factor_is_made_on_the_account_page_and_asked_for_from_then_on(board: Board) -> None:
    with open_accounts(board.state) as accounts:
        her = accounts.add("Dora", Desk.COMPLIANCE, now_us=time.time_ns() // 1000, password=PASSWORD)
        session = f"openaisle-{board.port}={accounts.begin(her, now_us=time.time_ns() // 1000)}"
    token, cookies = form(board, "/account", session)
    assert send(board, "/account/factor", {"token": "0" * 64}, cookies).status == 403
    page = send(board, "/account/factor", {"token": token}, cookies)
    assert "<svg" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    handle = re.search(r'name="handle" value="([^"]+)"', page.text)
    key = re.search(r"Key: <code>([A-Z2-7 ]+)</code>", page.text)
    assert handle is not None
    assert key is not None
    seed = b32decode(key[1].replace(" ", ""))
    told = {"token": token, "handle": handle[1], "password": PASSWORD}
    assert send(board, "/factor", {**told, "code": "000000"}, cookies).status == 403
    done = send(board, "/factor", {**told, "code": code_at(seed, int(time.time()) // STEP_S)}, cookies)
    assert done.status == 200
    codes = re.findall(r"<li><code>([2-9A-Z-]{11})</code></li>", done.text)
    assert len(codes) == RECOVERY
    assert ask(board, "/", Cookie=session).status == 401  # signed out everywhere
    token, cookie = form(board, "/sign-in")
    with_it = {"token": token, "name": "Dora", "password": PASSWORD}
    without = send(board, "/sign-in", with_it, cookie)
    wrong = send(board, "/sign-in", {**with_it, "password": "not hers at all"}, cookie)
    assert (without.status, wrong.status) == (403, 403)
    assert without.text == wrong.text  # it does not say that the password was right
    inside = send(board, "/sign-in", {**with_it, "code": codes[0]}, cookie)
    assert inside.status == 303
    session = f"openaisle-{board.port}={inside.cookies[f'openaisle-{board.port}']}"
    token, cookies = form(board, "/account", session)
    assert "On. 7 recovery codes are left" in ask(board, "/account", Cookie=cookies).text
    away = {"token": token, "remove": "yes", "password": PASSWORD, "code": codes[0]}
    assert send(board, "/account/factor", away, cookies).status == 403  # used
    assert send(board, "/account/factor", {**away, "code": codes[1]}, cookies).status == 200
    assert send(board, "/sign-in", with_it, cookie).status == 303
    said = board.log.read_text()
    assert not [word for word in (key[1], key[1].replace(" ", ""), *codes) if word in said]


def test_the_pages_for_signing_in_carry_what_keeps_others_out(board: Board) -> None:
    for path in ("/sign-in", "/nowhere"):
        headers = ask(board, path, **HTML).headers
        assert "no-store" in headers["Cache-Control"]
    headers = ask(board, "/sign-in").headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    inside = ask(board, "/", Cookie=board.cookie(), **HTML).headers
    assert "frame-ancestors 'none'" in inside["Content-Security-Policy"]
    assert inside["Cache-Control"] == "no-store"


@pytest.mark.parametrize("token", ["ä" * 64, "\u20ac", "0" * 64])
def test_a_forged_token_of_any_letters_is_refused(board: Board, token: str) -> None:
    _, cookie = form(board, "/sign-in")
    told = {"Origin": board.url, "Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
    body = urlencode({"token": token, "name": "x", "password": "y"}).encode()
    assert ask(board, "/sign-in", "POST", body, **told).status == 403
    soon(lambda: counted(board, Refusal.FORM), "the refusal is not in the log")


def counted(board: Board, reason: Refusal) -> int:
    return sum(int(str(one["count"])) for one in denials(board.state) if one["reason"] == reason)


def test_another_sites_page_uses_up_no_try(tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    with open_accounts(state) as accounts:
        accounts.add("Ada Manager", Desk.MANAGER, now_us=time.time_ns() // 1000, password=PASSWORD)
    with dashboard(state, tmp_path / "log") as board:
        link = board.link(Desk.MANAGER).removeprefix(board.url)
        for i in range(12):
            for site in ("cross-site", "same-site"):
                assert ask(board, f"/enter/{i}", Sec_Fetch_Site=site).status == 403
            assert ask(board, "/sign-in/back", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors").status in (
                403,
                404,
            )
        assert ask(board, link, Sec_Fetch_Site="cross-site").status == 403
        assert ask(board, link, Sec_Fetch_Site="none").status == 303  # and it was not used up
        for i in range(12):
            ask(board, f"/enter/{i}")  # by somebody at this machine
        token, cookie = form(board, "/sign-in")
        right = {"token": token, "name": "Ada Manager", "password": PASSWORD}
        assert send(board, "/sign-in", right, cookie).status == 303


def test_a_link_signs_in_once(board: Board) -> None:
    path = board.link(Desk.MANAGER).removeprefix(board.url)
    assert ask(board, path, "HEAD").status == 204  # a preview of the link does not use it up
    first, second = ask(board, path), ask(board, path)
    assert (first.status, second.status) == (303, 403)
    session = f"openaisle-{board.port}={first.cookies[f'openaisle-{board.port}']}"
    assert ask(board, "/", Cookie=session).status == 200
    again = ask(board, path, Cookie=session)  # by whoever it signed in
    assert (again.status, again.headers["location"]) == (303, "/")
    assert "set-cookie" not in {name.lower() for name in again.headers}
    assert ask(board, "/enter/").status in (401, 404)


def test_a_new_password_signs_everybody_else_out(board: Board) -> None:
    with open_accounts(board.state) as accounts:
        her = accounts.add("Bea", Desk.MANAGER, now_us=time.time_ns() // 1000, password=PASSWORD)
        sessions = [f"openaisle-{board.port}={accounts.begin(her, now_us=time.time_ns() // 1000)}" for _ in range(2)]
    token, cookies = form(board, "/account", sessions[0])
    told = {"token": token, "old": PASSWORD, "new": "another four good words", "again": "another four good words"}
    assert send(board, "/account", {**told, "old": "not the one I have"}, cookies).status == 403
    assert send(board, "/account", {**told, "again": "something else there"}, cookies).status == 422
    assert send(board, "/account", {**told, "new": "short", "again": "short"}, cookies).status == 422
    changed = send(board, "/account", told, cookies)
    assert changed.status == 303
    assert [ask(board, "/", Cookie=one).status for one in sessions] == [401, 401]
    fresh = f"openaisle-{board.port}={changed.cookies[f'openaisle-{board.port}']}"
    assert ask(board, "/", Cookie=fresh).status == 200


def test_somebody_signs_in_by_a_providers_word(tmp_path: Path) -> None:
    state, somewhere = a_shop(tmp_path / "shop"), Somewhere()
    with serve(somewhere.app(), certificate(tmp_path / "certs")) as there:
        somewhere.issuer = there.url
        secret = tmp_path / "client"
        secret.touch(mode=0o600)
        secret.write_text(f"{SECRET}\n")
        toml = state.root / "store.toml"
        toml.write_text(
            f'{toml.read_text()}\n[oidc]\nissuer = "{there.url}"\nclient_id = "{CLIENT}"\n'
            f'client_secret_file = "{secret}"\nauthority = "{there.made.authority}"\nlabel = "Main Street"\n'
        )
        place = Place(tmp_path / "place")
        words = ("user", "add", "Ada", "--desk", "manager", "--state", state.root)
        assert place.run(*words, "--oidc", "ada@shop.example").returncode == 0
        state = State.read(state.root)
        with dashboard(state, tmp_path / "log") as board:
            page = ask(board, "/sign-in")
            assert "Sign in with Main Street" in page.text

            def away() -> tuple[str, dict[str, str]]:
                assert ask(board, "/sign-in/provider", Sec_Fetch_Site="cross-site").status == 403
                left = ask(board, "/sign-in/provider", Sec_Fetch_Site="same-origin")
                assert left.status == 303
                asked = parse_qs(urlsplit(left.headers["Location"]).query)
                somewhere.asked = {name: values[0] for name, values in asked.items()}
                return "; ".join(f"{name}={value}" for name, value in left.cookies.items()), somewhere.asked

            cookie, asked = away()
            assert asked["redirect_uri"] == f"{board.url}/sign-in/back"
            good = f"/sign-in/back?code=the-code&state={asked['state']}"
            assert ask(board, good).status == 403  # another browser
            assert ask(board, good.replace("state=", "state=x"), Cookie=cookie).status == 403
            assert ask(board, good, Cookie=cookie).status == 403  # one answer, and it was wrong
            cookie, asked = away()
            from_there = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}  # as browsers say it
            came = ask(board, f"/sign-in/back?code=the-code&state={asked['state']}", Cookie=cookie, **from_there)
            assert came.status == 200
            session = f"openaisle-{board.port}={came.cookies[f'openaisle-{board.port}']}"
            with line(board, session) as opened:
                assert "Signed in as Ada, manager desk" in texts(drawn(opened))
            somewhere.claims = lambda told: {**told, "sub": "somebody else", "email": "eve@shop.example"}
            cookie, asked = away()
            strange = ask(board, f"/sign-in/back?code=the-code&state={asked['state']}", Cookie=cookie)
            assert strange.status == 403
            assert f"openaisle-{board.port}" not in strange.cookies
            soon(
                lambda: any(told["reason"] == Refusal.PROVIDER for told in denials(state)),
                "no entry of the log says so",
            )
        for path in (path for path in state.root.rglob("*") if path.is_file()):
            assert b"shop.example" not in read_apart(path).lower().replace(b"privacy@example", b"")
    assert "Traceback" not in (tmp_path / "log").read_text()


# --- the log ----------------------------------------------------------------------------------------------------------


def test_refusals_are_in_the_log_and_nobody_can_grow_it_by_knocking(tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    cookie_of = ("Cookie", "openaisle=secret-of-somebody")
    with dashboard(state, tmp_path / "log") as board:
        for i in range(300):
            assert ask(board, f"/knock-{i}", **dict([cookie_of])).status == 401
            assert ask(board, f"/knock-{i}", Host=f"evil-{i}.example").status == 421
        soon(lambda: len(denials(state)) >= 2, "no refusal is in the log")
        assert len(denials(state)) <= 4
        board.process.terminate()
        board.process.wait(30)
    told = denials(state)
    assert {one["reason"] for one in told} == {Refusal.ANONYMOUS, Refusal.HOST}
    counted = {
        reason: sum(int(str(one["count"])) for one in told if one["reason"] == reason)
        for reason in (Refusal.ANONYMOUS, Refusal.HOST)
    }
    assert counted == {Refusal.ANONYMOUS: 300, Refusal.HOST: 300}  # each is counted, in a handful of entries
    assert len(told) <= 4
    for path in (state.root / "ledger.sqlite", state.root / "ledger.sqlite-wal", state.root / "access.sqlite"):
        held = read_apart(path)
        assert not [word for word in (b"knock", b"evil", b"127.0.0.1", b"secret-of") if word in held], path


def test_a_guesser_is_slowed_down_and_the_log_names_the_account_by_its_number(tmp_path: Path) -> None:
    state = a_shop(tmp_path / "shop")
    with open_accounts(state) as accounts:
        her = accounts.add("Ada Manager", Desk.MANAGER, now_us=time.time_ns() // 1000, password=PASSWORD)
    with dashboard(state, tmp_path / "log") as board:
        token, cookie = form(board, "/sign-in")
        seen = []
        for i in range(14):
            guess = {"token": token, "name": "Ada Manager", "password": f"my guess number {i}"}
            seen.append(send(board, "/sign-in", guess, cookie).status)
        assert seen[:10] == [403] * 10
        assert seen.count(429) >= 3
        board.process.terminate()
        board.process.wait(30)
    told = denials(state)
    wrong = [one for one in told if one["reason"] == Refusal.PASSWORD]
    assert {one["account"] for one in wrong} == {her.id}
    assert sum(int(str(one["count"])) for one in wrong) == seen.count(403)
    assert any(one["reason"] == Refusal.PACE for one in told)
    assert b"Ada Manager" not in read_apart(state.ledger) + read_apart(Path(f"{state.ledger}-wal"))


# --- the first day ----------------------------------------------------------------------------------------------------


def test_the_first_administrator_needs_the_code_on_the_terminal(tmp_path: Path) -> None:
    state, place, port = a_shop(tmp_path / "shop"), Place(tmp_path / "place"), free_port()
    ours, theirs = pty.openpty()
    words = place.command("dashboard", "--state", state.root, "--port", str(port))
    process = subprocess.Popen(words, stdout=theirs, stderr=theirs, stdin=theirs, env=place.environment())
    try:
        said = ""
        until = time.monotonic() + PATIENCE_S
        while "set-up code: " not in said or "\n" not in said.partition("set-up code: ")[2]:
            assert time.monotonic() < until, said
            if select.select([ours], [], [], 1)[0]:
                said += os.read(ours, 4096).decode()
        code = said.partition("set-up code: ")[2].split()[0]
        board = Board(f"http://{ADDRESS}:{port}", state, process, tmp_path / "none")
        soon(lambda: process.poll() is None and reaches(board), "it does not answer")
        assert ask(board, "/", **HTML).headers["Location"] == "/sign-in"
        assert ask(board, "/sign-in").headers["Location"] == "/first"
        token, cookie = form(board, "/first")
        good = {"token": token, "code": code, "name": "Ada", "password": PASSWORD, "again": PASSWORD}
        assert send(board, "/first", {**good, "code": "AAAA-BBBB-CCCC"}, cookie).status == 403
        assert send(board, "/first", {**good, "password": "short", "again": "short"}, cookie).status == 422
        made = send(board, "/first", good, cookie)
        assert made.status == 303
        session = f"openaisle-{port}={made.cookies[f'openaisle-{port}']}"
        assert ask(board, "/", Cookie=session).status == 200
        assert ask(board, "/first").headers["Location"] == "/sign-in"
        assert send(board, "/first", {**good, "name": "Eve"}, cookie).status in (303, 403, 422)
        with open_accounts(state) as accounts:
            assert [(one.name, one.desk) for one in accounts.accounts()] == [("Ada", Desk.ADMINISTRATOR)]
        for path in (path for path in tmp_path.rglob("*") if path.is_file()):
            held = read_apart(path)
            assert code.encode() not in held
            assert code.replace("-", "").encode() not in held
    finally:
        process.terminate()
        while process.poll() is None:
            if select.select([ours], [], [], 0.2)[0]:
                os.read(ours, 65536)
        os.close(ours)
        os.close(theirs)


def reaches(board: Board) -> bool:
    try:
        return ask(board, "/sign-in").status in (200, 303)
    except OSError:
        return False


def test_in_a_pipe_no_code_is_printed(tmp_path: Path) -> None:
    state, place = a_shop(tmp_path / "shop"), Place(tmp_path / "place")
    words = place.command("dashboard", "--state", state.root, "--port", str(free_port()))
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=place.environment()
    )
    try:
        board = Board(f"http://{ADDRESS}:{words[-1]}", state, process, tmp_path / "none")
        soon(lambda: process.poll() is not None or reaches(board), "it does not answer")
    finally:
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert b"set-up code" not in out + err
    assert b"openaisle user add" in err


# --- elsewhere in the shop --------------------------------------------------------------------------------------------


def test_from_elsewhere_only_over_tls(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    state = a_shop(tmp_path / "shop")
    toml = state.root / "store.toml"
    plain = toml.read_text()
    toml.write_text(f'{plain}\n[dashboard]\naddress = "0.0.0.0"\n')
    place = Place(tmp_path / "place")
    refused = place.run("dashboard", "--state", state.root, "--port", str(free_port()))
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "certificate" in refused.stderr

    made = tls.make(tmp_path / "certs", ["localhost", "127.0.0.1"], now=datetime.now(UTC))
    files = f'certificate = "{made.certificate}"\ncertificate_key = "{made.key}"\n'
    toml.write_text(f'{plain}\n[dashboard]\naddress = "127.0.0.1"\n{files}')
    state = State.read(state.root)
    with open_accounts(state) as accounts:
        her = accounts.add("Ada", Desk.MANAGER, now_us=time.time_ns() // 1000)
        link = accounts.link(her, now_us=time.time_ns() // 1000)
    port = free_port()
    with (tmp_path / "log").open("wb") as out:
        process = subprocess.Popen(command(port, state), env=environment(state.root), stdout=out, stderr=out)
    trust = ssl.create_default_context(cafile=str(made.authority))

    def answer(path: str, **headers: str) -> http.client.HTTPResponse | None:
        caller = http.client.HTTPSConnection("localhost", port, timeout=20, context=trust)
        try:
            caller.request("GET", path, headers=headers)
            found = caller.getresponse()
            found.read()
            return found
        except OSError:
            return None
        finally:
            caller.close()

    try:
        soon(lambda: answer("/sign-in"), "it does not answer over TLS")
        entered = answer(f"/enter/{link}")
        assert entered is not None
        kept = next(one for one in entered.headers.get_all("Set-Cookie") or () if one.startswith("__Host-openaisle-"))
        for word in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"):
            assert word in kept
        assert "Domain" not in kept
        inside = answer("/", Cookie=kept.partition(";")[0])
        assert inside is not None
        assert inside.status == 200
        with pytest.raises((http.client.BadStatusLine, OSError)):
            ask(Board(f"http://localhost:{port}", state, process, tmp_path / "none"), "/sign-in")
    finally:
        process.terminate()
        process.wait(120)  # TLS parts politely


@pytest.mark.parametrize(
    ("drop", "more"),
    [
        ("--server.address", []),
        ("--server.address", ["--server.address=0.0.0.0"]),
        ("--browser.gatherUsageStats", []),
        ("", []),
    ],
)
def test_it_does_not_start_open_to_others_or_talking_home_or_without_a_state(
    drop: str, more: list[str], tmp_path: Path
) -> None:
    state = a_shop(tmp_path / "shop")
    words = [w for w in command(free_port(), state) if not (drop and w.startswith(drop))] + more
    env = environment(state.root, {k: v for k, v in os.environ.items() if not k.startswith("STREAMLIT_")})
    if not drop:
        del env[STATE]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "openaisle dashboard --state DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_shop_without_keys_or_ledger_is_one_line(tmp_path: Path) -> None:
    state, place = a_shop(tmp_path / "shop"), Place(tmp_path / "place")
    shutil.rmtree(state.keys)
    done = place.run("dashboard", "--state", state.root, "--port", str(free_port()))
    assert done.returncode != 0
    assert "openaisle: " in done.stderr
    assert "Traceback" not in done.stderr


# --- nothing leaves ---------------------------------------------------------------------------------------------------

LISTENS = """
import os, sys

def hook(event, arguments):
    if event == "socket.connect" and isinstance(arguments[-1], (str, bytes)):
        return  # a file of this machine
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["OUTWARD"], "a") as file:
            file.write(f"{event} {arguments[-1] if event == 'socket.connect' else arguments}\\n")

sys.addaudithook(hook)
"""


def test_the_network_is_not_asked_about_whoever_comes(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(LISTENS)
    outward = tmp_path / "outward"
    outward.touch()
    told = {**os.environ, "PYTHONPATH": str(tmp_path), "OUTWARD": str(outward)}
    with dashboard(a_shop(tmp_path / "shop"), tmp_path / "log", told) as board:
        before, cookie = outward.read_text(), board.cookie()
        for origin in ("http://evil.example", "null", f"https://{ADDRESS}:{board.port}"):
            assert ask(board, "/", Cookie=cookie, Origin=origin).status == 403
            with pytest.raises(websockets.exceptions.InvalidStatus), line(board, cookie, Origin=origin):
                pass
        assert ask(board, "/", Cookie=cookie, Host="evil.example").status == 421
        with line(board, cookie) as opened:
            drawn(opened)
        assert outward.read_text() == before
    asks = [sys.executable, "-c", "import socket; socket.getaddrinfo('127.0.0.1', 1)"]
    subprocess.run(asks, env=told, check=True)
    assert outward.read_text() != before, "the listener is deaf"


def test_the_table_of_desks_is_what_the_sections_follow() -> None:
    from analytics.dashboard import SECTIONS

    seen = {desk: {name for name, action in SECTIONS.items() if Action(action) in _may(desk)} for desk in Desk}
    assert seen == {
        Desk.MANAGER: {"shop"},
        Desk.COMPLIANCE: {"compliance", "level"},
        Desk.ADMINISTRATOR: {"shop", "level", "set-up"},
    }


def _may(desk: Desk) -> frozenset[Action]:
    from consent.access import MATRIX

    return MATRIX[desk]
