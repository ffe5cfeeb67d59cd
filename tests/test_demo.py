"""The demo: what its table says is measured, what it does with consents is the script, and it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import supervision as sv
from numpy.typing import NDArray

import analytics.watch
import cli
from analytics.detect import Detector
from analytics.model import SECOND, AnalyticsError
from analytics.shopfloor import demo, opening, record, weeks
from analytics.shopfloor.attend import Attendant, AttendError, free_port
from analytics.state import State
from analytics.store import NewVisit
from consent import reserve
from consent.desks import Desk
from consent.events import ConsentError, EventKind, Leaf, Purpose
from consent.keys import Role
from consent.ledger import Ledger
from consent.padwords import PadOutcome
from retention.keeper import Keeper
from tests.conftest import ROOT
from tests.test_privacy import COMMAND, watch

START = int(datetime(2026, 11, 16, 10, tzinfo=UTC).timestamp()) * SECOND

LINKED = frozenset({"s04", "s11", "s14", "s15"})  # who stands alone and says yes, by the script


class TrueBoxes:
    """Stands for a detector: finds every body of which a third can be seen; or a few people, through all others."""

    def __init__(self, only: frozenset[str] | None = None) -> None:
        self._frames: dict[int, list[tuple[float, float, float, float]]] = {}
        for box in record.read_boxes():
            if box.visible >= 0.3 if only is None else box.person in only:
                self._frames.setdefault(box.frame, []).append(box.box)
        with av.open(str(record.HERE / record.CLIP)) as clip:
            pictures = (f.to_ndarray(format="bgr24") for f in clip.decode(video=0))
            self._numbers = {zlib.crc32(picture.tobytes()): n for n, picture in enumerate(pictures)}

    def detect(self, image: NDArray[np.uint8]) -> sv.Detections:
        if not image.any():  # what `measure` warms a net up with is black, and none of the clip's
            return sv.Detections.empty()
        # by its pixels, for a still picture is not looked at again
        boxes = self._frames.get(self._numbers[zlib.crc32(image.tobytes())], [])
        if not boxes:
            return sv.Detections.empty()
        n = len(boxes)
        return sv.Detections(np.array(boxes, np.float32), confidence=np.full(n, 0.9), class_id=np.zeros(n, int))


def keep(state: State) -> list[NewVisit]:
    with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger) as keeper:
        report = keeper.run_once(START + 7200 * SECOND)
        assert (report.blocked, report.deferred, report.config) == (None, None, None)
        return list(keeper.visits.read(Purpose.DWELL))


def run(root: Path, only: frozenset[str] | None = None) -> tuple[demo.Outcome, list[str]]:
    """Run the demo under a perfect detector; return the codes that were handed out, too."""
    codes: list[str] = []
    grant = Ledger.grant

    def spy(self: Ledger, *words: Any, **named: Any) -> Any:
        said = grant(self, *words, **named)
        codes.append(said.secret)
        return said

    def eyes(_model: Path | None) -> Detector:
        return TrueBoxes(only)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(analytics.watch, "detector", eyes)
        patch.setattr(Ledger, "grant", spy)
        return demo.run(root / "clip", None, keep, start_us=START), codes


@pytest.fixture(scope="module")
def perfect(tmp_path_factory: pytest.TempPathFactory) -> tuple[demo.Outcome, list[str]]:
    """Everybody, seen perfectly."""
    return run(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> tuple[demo.Outcome, list[str]]:
    """Those alone who say yes: hardly anybody walks through another's picture, so links hold for a while."""
    return run(tmp_path_factory.mktemp("few"), LINKED)


def test_with_perfect_eyes_the_table_says_so(perfect: tuple[demo.Outcome, list[str]]) -> None:
    outcome, _ = perfect
    assert outcome.score.f1 > 0.85  # who is hidden for two thirds is not seen
    assert outcome.score.true == len(record.read().measured())
    for line in (*outcome.stays, *outcome.decisions):
        assert line.true
        assert line.error is not None
        assert line.error < 0.5
        assert len(line.pairs) >= 0.5 * len(line.true)  # a visit of half a second only grazes a zone
        assert line.counted <= len(line.measured)
    assert sum(line.counted for line in outcome.stays) < outcome.score.measured  # somebody objected


def test_the_table_shows_what_was_found(perfect: tuple[demo.Outcome, list[str]]) -> None:
    outcome, _ = perfect
    text, found = outcome.table(), outcome.as_dict()
    assert f"visit F1 {outcome.score.f1:.3f}" in text
    for line in outcome.stays:
        told = found["stays"][line.zone]
        shown = re.search(rf"^  {line.zone} +(\d+) +(\d+) +(\d+) ", text, re.MULTILINE)
        assert shown is not None
        assert tuple(map(int, shown.groups())) == (told["true"], told["found"], told["same"])
    assert max(map(len, text.splitlines())) <= 120


def test_nobody_is_linked_or_written_down_who_should_not(perfect: tuple[demo.Outcome, list[str]]) -> None:
    outcome, _ = perfect
    found = {one.choice.person: one for one in outcome.shoppers}
    linked = {who for who, one in found.items() if one.outcome is PadOutcome.LINKED}
    assert linked <= LINKED
    assert {who for who, one in found.items() if one.rows} <= linked - {"s15"}
    assert found["s09"].outcome is PadOutcome.SUPPRESSED


def test_where_links_hold_a_yes_brings_rows_and_a_withdrawal_takes_them(few: tuple[demo.Outcome, list[str]]) -> None:
    outcome, codes = few
    found = {one.choice.person: one for one in outcome.shoppers}
    assert {who for who, one in found.items() if one.outcome is PadOutcome.LINKED} == LINKED
    assert len(codes) == 5
    assert len(found["s04"].rows) >= 2
    assert {who for who, one in found.items() if one.rows} <= LINKED - {"s15"}
    assert found["s15"].withdrawn
    consenting = outcome.consenting()
    assert len(consenting.pairs) == len(consenting.measured) > 0
    assert consenting.error is not None
    assert consenting.error < 0.3
    with outcome.state.open_ledger(Role.KEEPER) as ledger:
        withdrawn = [
            leaf for _, data in ledger.leaves(0, ledger.size) if (leaf := Leaf.decode(data)).kind is EventKind.WITHDRAWN
        ]
    assert len(withdrawn) == 1


def test_no_code_is_anywhere(few: tuple[demo.Outcome, list[str]]) -> None:
    outcome, codes = few
    for path in (p for p in outcome.state.root.parent.rglob("*") if p.is_file()):
        held = path.read_bytes().upper()
        assert not [code for code in codes if code.replace("-", "").encode() in held], path


# --- the command ------------------------------------------------------------------------------------------------------

PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"ftypisom", b"ftypmp42", b"RIFF", b"GIF8")


@pytest.fixture(scope="module")
def headless(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """`openaisle demo --headless` with our own detector, without a network, every file and socket watched."""
    root = tmp_path_factory.mktemp("headless")
    return watch(COMMAND, "demo", "--headless", "--json", "--state", root / "kept", root=root), root / "kept"


def test_it_needs_no_network_and_starts_no_other_program(headless: tuple[Any, Path]) -> None:
    seen, _ = headless
    assert (seen.status, seen.said) == (0, "")
    assert seen.calls == []
    assert set(seen.programs) <= {sys.executable}  # the keeper looks for erased bytes from a process of its own
    assert not seen.modules & {"torch", "ultralytics", "deepface", "tensorflow"}


def test_it_writes_where_it_was_told_and_no_picture(headless: tuple[Any, Path]) -> None:
    seen, kept = headless
    elsewhere = [path for path in seen.written if not Path(path).is_relative_to(kept)]
    scratch = kept.parent / "place" / "scratch"
    assert [p for p in elsewhere if not p.startswith((f"{scratch}/", "/proc/self/", os.devnull))] == []
    assert seen.left == set()  # what was in the scratch folder for a moment is gone
    files = [p for p in kept.rglob("*") if p.is_file()]
    assert {p.parent.name for p in files} >= {"clip", "weeks", "released"}
    for path in files:
        held = path.read_bytes()
        assert not [magic for magic in PICTURES if magic in held[:64]], path
        if path.name == reserve.NAME:
            assert not any(held), "room for a no, and nothing else"
        elif path.suffix != ".parquet":  # figures: checked cell by cell elsewhere
            assert len(held) < 2_000_000, path


def test_no_word_in_any_file_is_a_code(headless: tuple[Any, Path]) -> None:
    _, kept = headless
    state = State.read(kept / "clip")
    words: set[str] = set()
    for path in (p for p in kept.rglob("*") if p.is_file()):
        text = path.read_bytes().decode("latin-1").upper()
        words |= set(re.findall(r"(?=([0-9A-HJKMNP-TV-Z]{20}))", text))
        words |= {found.replace("-", "") for found in re.findall(r"(?:[0-9A-Z]{4}-){4}[0-9A-Z]{4}", text)}
    with state.open_ledger(Role.KIOSK) as ledger:
        assert ledger.size > 5
        known = []
        for word in words:
            with suppress(ConsentError):  # no code, or nobody's
                known.append(ledger.find(word))
        assert known == []


@pytest.mark.parametrize(
    "words",
    [
        ("--state", "."),
        ("--model", "/nowhere", "--headless"),
        ("--remake-weeks", "nowhere/weeks.zip"),
        ("--remake-weeks", "."),
    ],
)
def test_bad_words_are_one_line(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something").write_text("of somebody's")
    assert cli.main(["demo", *words]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == {"something"}


# --- the pages --------------------------------------------------------------------------------------------------------

SERVE = f"""
import sys, threading; sys.path.insert(0, {str(ROOT)!r})
import cli
from pathlib import Path
from retention.commands import demo
root = Path(sys.argv[1])
demo.attend(cli.PROGRAM, root, root / "clip", root / "weeks", threading.Event())
"""


def alive(where: Path) -> list[str]:
    """Return the command lines of processes that work on a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = path.with_name("environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(where) in words or f"OPENAISLE_STATE={where}" in environment:
            found.append(words)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_pages_answer_until_told_to_stop_and_leave_no_process(number: signal.Signals, tmp_path: Path) -> None:
    now = time.time_ns() // 1000
    opening.open_shop(tmp_path / "clip", name=demo.NAME, source="clip.mp4", now_us=now)
    weeks.unpack(opening.open_shop(tmp_path / "weeks", name=weeks.NAME, source="simulated", now_us=now, hours=True))
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = ""
    while "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        said += line
    for url in re.findall(r"http://127\.0\.0\.1:\d+", said):
        request = urllib.request.Request(url, headers={"Accept": "text/html"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            assert answer.status == 200
            assert b'id="root"' not in answer.read()  # whoever has no link signs in, or chooses at the kiosk
    links = re.findall(r"^  (\w+) +(http://127\.0\.0\.1:\d+/enter/\S+)$", said, re.MULTILINE)
    assert [desk for desk, _ in links] == [desk.value for desk in Desk]
    for _, link in links:
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(link, timeout=60) as answer:
            assert b'id="root"' in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.build_opener().open(link, timeout=60)  # once
    assert len(alive(tmp_path)) >= 4
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == (-number if number is signal.SIGKILL else 0)
    until = time.monotonic() + 15
    while alive(tmp_path) and time.monotonic() < until:
        time.sleep(0.2)
    assert alive(tmp_path) == []


def test_a_page_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Attendant([sys.executable, "-c"], tmp_path) as pages:
        pages.start("page", ["print('first'); raise SystemExit('the port is taken')"])
        pages._pages[0].process.wait(10)
        with pytest.raises(AttendError, match="the page ended with 1: the port is taken"):
            pages.check()


def test_a_process_that_does_not_listen_to_reason_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.shopfloor.attend._PATIENCE_S", 0.5)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(60)"
    )
    with Attendant([sys.executable, "-c"], tmp_path) as pages:
        pages.start("page", [stubborn])
        while b"here" not in (tmp_path / "page.log").read_bytes():
            time.sleep(0.05)
        process = pages._pages[0].process
    assert process.returncode == -signal.SIGKILL


def test_a_free_port_is_free() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free_port()))


def test_a_simulated_shop_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="simulated"):
        opening.open_shop(tmp_path / "shop", name="Main Street", source="x", now_us=START)
    assert not (tmp_path / "shop").exists()
    state = opening.open_shop(tmp_path / "shop", name=demo.NAME, source="x", now_us=START)
    assert state.store.store.simulated
    with pytest.raises(AnalyticsError):
        opening.open_shop(tmp_path / "shop", name=demo.NAME, source="x", now_us=START)
