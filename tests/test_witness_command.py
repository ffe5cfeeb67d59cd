"""The officer's own machine: a witness by files, and what it will not cosign."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from analytics.state import State
from consent import log
from consent.keys import Role
from tests.command import Place
from tests.consent.shop import say_yes


def shop(place: Place) -> State:
    """Make a shop with a signed log of some entries."""
    assert place.run("init", place.here / "shop", "--timezone", "Europe/Berlin").returncode == 0
    state = State.read(place.here / "shop")
    grow(state, 3)
    return state


def grow(state: State, more: int) -> None:
    with state.open_ledger(Role.KIOSK) as kiosk:
        for _ in range(more):
            say_yes(kiosk)
    with state.open_ledger(Role.KEEPER) as keeper:
        keeper.sign_checkpoint()


def log_key(state: State) -> str:
    with state.open_ledger(Role.DASHBOARD) as ledger:
        return log.verifier_key(ledger.origin, ledger.keys.public_keys("log")[0])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_witness_by_files_alone_and_a_log_held_against_it(place: Place) -> None:
    state = shop(place)
    key = log_key(state)
    made = place.run("witness", "init", "officer", "--name", "officer.example/main-street", "--log", key)
    assert made.returncode == 0, made.stderr
    witness_key = made.stdout.strip()
    assert log.read_verifier_key(witness_key)[0] == "officer.example/main-street"

    for _ in range(2):
        grow(state, 2)
        asked = place.run("witness", "ask", "--state", state.root, "--seen", seen(place))
        cosigned = place.run("witness", "cosign", "officer", said=asked.stdout)
        assert cosigned.returncode == 0, cosigned.stderr
        (place.here / "cosigned").write_text(cosigned.stdout)
        shown = place.run("witness", "show", "officer")
        assert shown.stdout == f"seen: {state_size(state)} entries\nkey: {witness_key}\n"
        assert place.run("witness", "show", "officer", "--checkpoint").stdout == cosigned.stdout

    grow(state, 2)
    assert place.run("consent", "export", "--state", state.root, "out").returncode == 0
    words = ["consent", "verify", "out", "--key", key, "--known", "cosigned", "--witness", witness_key]
    assert place.run(*words).stdout == f"intact: {state_size(state)} entries, held against 1 other checkpoint\n"

    # who holds every key, and goes back: the newest checkpoint of the witness is not in the log
    older = place.here / "older"
    shutil.copytree(place.here / "shop", older)
    shutil.copytree(place.here / "shop-keys", place.here / "older-keys")
    grow(state, 1)
    asked = place.run("witness", "ask", "--state", state.root, "--seen", seen(place))
    newest = place.run("witness", "cosign", "officer", said=asked.stdout).stdout
    (place.here / "cosigned").write_text(newest)
    back = place.run(*words)
    assert back.returncode == 2
    assert "it was cut short" in back.stderr
    grow(State.read(older), 4)  # a fork: longer than what the witness saw
    asked = place.run("witness", "ask", "--state", older, "--seen", seen(place))
    refused = place.run("witness", "cosign", "officer", said=asked.stdout)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.fullmatch(r"openaisle: [^\n]+\n", refused.stderr)
    assert place.run("witness", "show", "officer", "--checkpoint").stdout == newest


def seen(place: Place) -> str:
    """Return what the officer reads out to the shop."""
    return place.run("witness", "show", "officer").stdout.split()[1]


def state_size(state: State) -> int:
    with state.open_ledger(Role.DASHBOARD) as ledger:
        return ledger.size


def test_bad_input_is_one_line_and_changes_nothing(place: Place) -> None:
    state = shop(place)
    key = log_key(state)
    assert place.run("witness", "init", "officer", "--name", "officer.example", "--log", key).returncode == 0
    own = place.run("witness", "show", "officer").stdout.split("key: ")[1].strip()
    before = {path: path.read_bytes() for path in (place.here / "officer").iterdir()}
    asked = place.run("witness", "ask", "--state", state.root, "--seen", "0").stdout
    for words, said, line in (
        (["init", "officer", "--name", "x", "--log", key], "", "is not empty"),
        (["init", "new", "--name", "an officer", "--log", key], "", "is no name of a witness"),
        (["init", "new", "--name", "x", "--log", key[:-3]], "", "base64|damaged"),
        (["init", "new", "--name", "x", "--log", own], "", "key of a witness"),
        (["ask", "--state", state.root, "--seen", "99"], "", "99|size|entries"),
        (["ask", "--state", state.root, "--seen", "-1"], "", "-1|size|entries|expected one argument"),
        (["ask", "--state", "nowhere", "--seen", "0"], "", "no state directory"),
        (["cosign", "nowhere"], asked, "no witness in nowhere"),
        (["show", "nowhere"], "", "no witness in nowhere"),
        (["cosign", "officer"], "", "not a request"),
        (["cosign", "officer"], "old 0\n\n", "checkpoint|note"),
        (["cosign", "officer"], asked.replace("old 0", "old 2"), "seen 0 entries"),
        (["cosign", "officer"], asked[:-30], "signature|note|checkpoint"),
        (["cosign", "officer"], asked.replace("old 0\n", "old 0\nnothing\n"), "hash"),
        (["cosign", "officer"], "x" * 100_000, "too long"),
    ):
        done = place.run("witness", *words, said=said)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert re.fullmatch(r"openaisle[^\n]*\n", done.stderr), done.stderr
        assert re.search(line, done.stderr), (words, done.stderr)
        assert not (place.here / "new").exists()
    assert {path: path.read_bytes() for path in (place.here / "officer").iterdir()} == before
    with (place.here / "odd").open("wb") as file:
        file.write(b"\xff\xfe")
    with (place.here / "odd").open("rb") as file:
        odd = subprocess.run(
            place.command("witness", "cosign", "officer"),
            stdin=file,
            env=place.environment(),
            cwd=place.here,
            capture_output=True,
            check=False,
        )
    assert (odd.returncode, odd.stdout) == (2, b"")
    assert b"this is not text" in odd.stderr
