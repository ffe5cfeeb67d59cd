"""What a log line may hold: each way in which something personal could get into one is tried."""

from __future__ import annotations

import io
import json
import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import logs
from consent.events import ConsentError, Purpose
from consent.logs import HIDDEN, Line, plain

Said = Callable[[], str]
OURS, UVICORN, OTHERS = (logging.getLogger(name) for name in ("consent.kiosk.tap", "uvicorn.error", "streamlit.web"))
LOGGERS = (OURS, UVICORN, OTHERS)
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@pytest.fixture(params=[False, True], ids=["text", "json"])
def said(request: pytest.FixtureRequest) -> Iterator[Said]:
    """Everything that loggers say, as a process of a shop would print it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Line("kiosk", as_json=request.param))
    for logger in LOGGERS:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield stream.getvalue
    for logger in LOGGERS:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def test_what_a_visitor_sent_is_hidden(said: Said) -> None:
    OURS.warning("refused: %s", "Maria Musterfrau")
    assert "Musterfrau" not in said()
    assert HIDDEN in said()


def test_what_we_let_through_is_there(said: Said) -> None:
    OURS.info(
        "%s has %d of %s at %s (%s)", plain("entrance"), 3, Purpose.DWELL, Path("/srv/shop"), ConsentError("too old")
    )
    for word in ("entrance", "3", "dwell", "/srv/shop", "too old"):
        assert word in said()


@given(text=st.text(min_size=3).filter(lambda t: t.strip() and t not in HIDDEN))
def test_no_text_that_was_not_marked_gets_through(text: str) -> None:
    record = logging.LogRecord("analytics.watch", logging.INFO, "f", 1, "a %s b", (text,), None)
    assert Line("watch", as_json=False).format(record).endswith(f" watch info a {HIDDEN} b")
    assert json.loads(Line("watch", as_json=True).format(record))["values"] == [HIDDEN]


def test_a_code_is_struck_out_even_of_what_was_let_through(said: Said) -> None:
    for _ in range(200):
        code = "".join(secrets.choice(ALPHABET) for _ in range(20))
        groups = [code[i : i + 4] for i in range(0, 20, 4)]
        for form in (code, code.lower(), "-".join(groups), " ".join(groups)):
            OURS.warning("%s", ConsentError(f"nobody is known under {form}; look again"))
            OURS.warning("%s", plain(f"code {form}"))
            assert form not in said()
    assert "nobody is known under" in said()


@pytest.mark.parametrize(
    "secret",
    [
        secrets.token_hex(32),
        secrets.token_urlsafe(32),
        "eyJhbGciOiJFZERTQSJ9.eyJzIjoiMTIzNDU2Nzg5MCJ9.c2lnbmF0dXJlMTIzNDU2Nzg5MA",
        "warden:hunter2@",
    ],
    ids=["hex", "base64url", "jwt", "login"],
)
def test_keys_tokens_and_passwords_are_struck_out(said: Said, secret: str) -> None:
    OURS.error("%s", plain(f"rtsp://{secret}camera.example" if "@" in secret else f"with {secret} in it"))
    assert secret not in said()


def test_an_error_of_others_shows_its_kind_and_place_only(said: Said) -> None:
    try:
        int("Maria Musterfrau")
    except ValueError:
        OURS.exception("a page broke")
        OTHERS.exception("Task of %s failed", "Maria Musterfrau")
    assert "Musterfrau" not in said()
    assert "ValueError at test_logs.py" in said()
    assert "a page broke" in said()


def test_what_the_database_says_of_itself_is_told(said: Said) -> None:
    OURS.warning("the ledger does not answer: %s", sqlite3.OperationalError("database is locked"))
    OURS.warning("no: %s", OSError(28, "No space left on device", "/home/maria/secret"))
    assert "database is locked" in said()
    assert "No space left" in said()
    assert "maria" not in said()


def test_others_are_cut_down_to_who_spoke(said: Said) -> None:
    UVICORN.info("Started server process [%d]", 41)
    UVICORN.warning("Invalid HTTP request received: GET /maria")
    OTHERS.error("maria@example.com did not load")
    assert "41" in said()
    assert "maria" not in said()
    assert "uvicorn.error said something" in said()


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("two\nlines %s", (plain("and\nmore"),)),
        ("%d people", ("Maria",)),
        ("%(name)s", ({"name": "Maria"},)),
        ("too %s few %s", (1,)),
        ("too many", (1, "Maria")),
        (ConsentError("no"), ()),
    ],
)
def test_a_line_is_a_line_and_never_fails(words: object, arguments: tuple[object, ...], as_json: bool) -> None:
    line = Line("kiosk", as_json=as_json).format(logging.LogRecord(OURS.name, 30, "f", 1, words, arguments, None))
    assert "\n" not in line
    assert "Maria" not in line


def test_a_process_says_json_where_it_is_told_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    monkeypatch.setenv(logs.VARIABLE, "json")
    try:
        for handler in before:
            root.removeHandler(handler)
        logs.begin("keeper")
        logging.getLogger("retention.keeper").warning("the clock %s", plain("went back"))
        told = json.loads(capsys.readouterr().err)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(False)
    assert told["process"] == "keeper"
    assert told["event"] == "the clock %s"
    assert told["values"] == ["went back"]
    assert set(told) == {"time", "process", "level", "logger", "event", "values"}
