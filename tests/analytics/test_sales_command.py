"""`openaisle pos import` as a person runs it: what it prints, and what it says of a file that does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cli
from analytics.start import init

NOW = 1_790_000_000_000_000
LINES = ["receipt,till,items,total,date,time,gender"]
LINES += [f"{n},1,2,19.90,2026-03-0{1 + n % 3},1{n % 8}:30,Female" for n in range(60)]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return init(tmp_path / "shop", now_us=NOW, name="Main Street", timezone="Europe/Berlin").root


def run(shop: Path, file: Path, *more: str) -> int:
    return cli.main(["pos", "import", str(file), "--state", str(shop), *more])


def test_a_file_is_taken_once(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "receipts.csv"
    file.write_text("\n".join(LINES))
    assert run(shop, file) == 0
    assert capsys.readouterr().out.startswith("took 60 receipts of 3 days as ")
    assert run(shop, file, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["receipts"], told["known"]) == (0, 60)
    assert cli.main(["keeper", "--once", "--state", str(shop)]) == 0
    capsys.readouterr()
    assert run(shop, file) == 0
    assert "60 of days taken before left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"name,amount\nx,1\n", "the file has no column for receipt"),
        ("\n".join([LINES[0], "7,1,2,19.90,2026-03-01,late,Female"]).encode(), "line 2: the time cannot be read"),
        (b"\x00\xff", "not text in UTF-8"),
        (None, "No such file"),
    ],
)
def test_a_wrong_file_is_one_line_and_exit_code_2(
    shop: Path, tmp_path: Path, content: bytes | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "receipts.csv"
    if content is not None:
        file.write_bytes(content)
    assert run(shop, file) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert says in err
    assert "Female" not in err


def test_a_folder_and_a_pipe_are_one_line_too(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        assert run(shop, path) == 2
        assert capsys.readouterr().err.count("\n") == 1
