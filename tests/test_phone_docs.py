"""What docs/phone.md tells people to write and to type is what the program takes."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from analytics.config import StoreFile
from cli import parser
from consent import tls
from consent.kiosk import letterbox, phone
from consent.letters import MOST_LETTERS
from consent.listener import MOST_CALLERS, PATIENCE_S

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "phone.md").read_text(encoding="utf-8")
STORE = {"store": {"name": "x", "id": "x", "timezone": "UTC"}}


def fenced(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("text", fenced("toml"))
def test_every_table_fits_store_toml(text: str) -> None:
    StoreFile.model_validate({**STORE, **tomllib.loads(text)})


@pytest.mark.parametrize("line", [line for text in fenced("console") for line in text.splitlines()])
def test_every_command_is_understood(line: str) -> None:
    assert line.startswith("$ openaisle ")
    parser().parse_args(shlex.split(line.removeprefix("$ openaisle ")))


def test_every_figure_is_the_programs_own() -> None:
    assert (MOST_CALLERS, PATIENCE_S, tls.LASTS.days, tls.RENEW_BEFORE.days) == (256, 30.0, 397, 30)
    assert f"{MOST_LETTERS:,} letters in all" in TEXT
    for word in ("256 connections at once", "30 seconds at most", "397 days", "less than 30 days"):
        assert word in " ".join(TEXT.split())
    assert (phone.MISSES, phone.MISSES_PER_S, letterbox.POSTS, letterbox.POSTS_PER_S) == (10, 1 / 6, 20, 1 / 3)
