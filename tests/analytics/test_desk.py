"""The counter: a yes with the shop's own terms, its end, and a log that anybody can check."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import cli
from analytics import desk
from analytics.commands.consents import NOT_LINKED
from analytics.config import ConfigError
from analytics.start import init
from analytics.state import State
from consent.events import DAY_US, ConsentError, Level, Purpose
from consent.keys import Role
from consent.ledger import Ledger, PadKind
from consent.padwords import PadOutcome

NOON = 1_790_000_000_000_000
SECOND = 1_000_000


@pytest.fixture
def state(tmp_path: Path) -> State:
    init(tmp_path / "shop", now_us=NOON)
    toml = tmp_path / "shop" / "store.toml"
    pad = '[[camera.zone]]\nname = "pad"\nkind = "pad"\npolygon = [[0, 0], [9, 0], [9, 9]]\n'
    toml.write_text(toml.read_text().replace('level = "counts"', 'level = "dwell"') + pad + "[terms]\ndwell = 20\n")
    (tmp_path / "notice.txt").write_text("We measure how long you stay.")
    return State.read(tmp_path / "shop")


@pytest.fixture
def ledger(state: State) -> Iterator[Ledger]:
    with state.open_ledger(Role.ADMIN) as opened:
        opened.set_level(Level.DWELL, now_us=NOON, approvals=(b"a" * 32, b"b" * 32), dpia_sha256=b"d" * 32)
        yield opened


def say_yes(state: State, ledger: Ledger, tmp_path: Path, pad: str | None = None) -> desk.Said:
    notice = tmp_path / "notice.txt"
    return desk.grant(state, ledger, [Purpose.DWELL], notice=notice, language="en", version="1", now_us=NOON, pad=pad)


def test_a_yes_has_the_terms_of_the_shop_and_asks_the_pad_only_where_one_is_named(
    state: State, ledger: Ledger, tmp_path: Path
) -> None:
    said = say_yes(state, ledger, tmp_path)
    assert said.grant.until == {Purpose.DWELL: NOON + 20 * DAY_US}
    assert said.pad_request is None
    assert ledger.pending_pad_requests() == []
    on_pad = say_yes(state, ledger, tmp_path, pad="pad")
    (asked,) = ledger.pending_pad_requests("pad")
    assert (asked.id, asked.kind, asked.subject) == (on_pad.pad_request, PadKind.GRANT, on_pad.grant.subject)


def test_a_yes_that_cannot_be_is_refused_and_nothing_is_written(state: State, ledger: Ledger, tmp_path: Path) -> None:
    size = ledger.size
    with pytest.raises(ConfigError, match="no pad is called"):
        say_yes(state, ledger, tmp_path, pad="door")
    with pytest.raises(ConfigError, match="cannot be read"):
        say_yes(state, ledger, tmp_path / "elsewhere")
    (tmp_path / "pipes").mkdir()
    os.mkfifo(tmp_path / "pipes" / "notice.txt")  # nobody writes into it: to read it would be to wait for ever
    with pytest.raises(ConfigError, match="name a regular file"):
        say_yes(state, ledger, tmp_path / "pipes")
    ledger.set_level(Level.COUNTS, now_us=NOON)
    with pytest.raises(ConsentError, match="level"):
        say_yes(state, ledger, tmp_path)
    assert (ledger.size, ledger.subjects()) == (size + 1, [])


def test_what_stands_under_a_code_is_shown_without_the_code(state: State, ledger: Ledger, tmp_path: Path) -> None:
    secret = say_yes(state, ledger, tmp_path).grant.secret
    shown = desk.show(ledger, secret)
    assert secret not in json.dumps(shown)
    assert desk.withdraw(ledger, secret, now_us=NOON + SECOND).purposes == {Purpose.DWELL}
    (purpose,) = desk.show(ledger, secret)["purposes"]
    assert (purpose["purpose"], purpose["state"]) == ("dwell", "ConsentWithdrawn")
    assert (purpose["given"], purpose["ended"]) == ("2026-09-21T14:13:20Z", "2026-09-21T14:13:21Z")
    with pytest.raises(ConsentError):
        desk.show(ledger, "0000-0000-0000-0000-0000")


def test_the_log_is_handed_out_and_checked_with_one_line(state: State, ledger: Ledger, tmp_path: Path) -> None:
    say_yes(state, ledger, tmp_path)
    ledger.sign_checkpoint()
    newest = ledger.newest_checkpoint()
    assert newest is not None
    (tmp_path / "receipt").write_text(newest[0])
    assert desk.export(ledger, tmp_path / "out").size == ledger.size
    lines = desk.log_keys(ledger)
    verified = desk.verify(tmp_path / "out", lines, known=[tmp_path / "receipt"])
    assert (verified.checkpoint.size, verified.known) == (ledger.size, 1)
    leaves = tmp_path / "out" / "leaves.jsonl"
    leaves.write_bytes(leaves.read_bytes().replace(b"granted", b"refused"))
    with pytest.raises(ConsentError):
        desk.verify(tmp_path / "out", lines)
    with pytest.raises(ConfigError, match="cannot be read"):
        desk.verify(tmp_path / "out", lines, known=[tmp_path / "nothing"])


@pytest.mark.parametrize(
    ("outcome", "code", "says"),
    [
        (PadOutcome.LINKED, 0, ""),
        (PadOutcome.SEVERAL_PEOPLE, NOT_LINKED, "the camera answered several_people"),
        (None, NOT_LINKED, "the pad did not answer"),
    ],
)
def test_a_yes_without_a_link_is_told_from_one_with_it_and_stands_all_the_same(
    state: State,
    ledger: Ledger,
    tmp_path: Path,
    outcome: PadOutcome | None,
    code: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("analytics.commands.consents.PAD_ANSWER_S", 5.0 if outcome else 0.05)
    done = threading.Event()

    def camera() -> None:
        while not done.is_set():
            for asked in ledger.pending_pad_requests("pad") if outcome else ():
                ledger.answer_pad_request(asked.id, str(outcome), now_us=NOON)
            done.wait(0.02)

    watching = threading.Thread(target=camera)
    watching.start()
    words = ["consent", "grant", "dwell", "--pad", "pad", "--notice", tmp_path / "notice.txt", "--state", state.root]
    try:
        assert cli.main([str(word) for word in words]) == code
    finally:
        done.set()
        watching.join()
    out, err = capsys.readouterr()
    assert out.startswith("code: ")  # the yes stands, and whoever said it gets their code
    assert len(ledger.subjects()) == 1
    assert [line for line in err.splitlines() if line.startswith("openaisle: ")] == (
        [err.splitlines()[-1]] if code else []
    )
    assert says in err
