"""`openaisle notice`: the exact text that is hashed, or a page to hang up; nothing without a controller."""

from __future__ import annotations

import hashlib
import html
import re
from pathlib import Path

import pytest

import cli
from analytics.state import STORE_TOML
from consent.kiosk.messages import LANGUAGES, Messages
from tests import four_eyes

CONTROLLER = """
[controller]
name = "Müller & Söhne <GmbH>"
address = "Marktgasse 1, 10115 Berlin"
contact = "privacy@example.com"
jurisdiction = "DE"
"""
PAD = """
[[camera.zone]]
name = "pad"
kind = "pad"
polygon = [[560, 600], [720, 600], [720, 690], [560, 690]]
"""


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Return a new shop, as `init` leaves it: nobody answers for the data yet."""
    assert cli.main(["init", str(tmp_path / "shop"), "--name", "Marktgasse 1", "--timezone", "Europe/Berlin"]) == 0
    return tmp_path / "shop"


@pytest.fixture
def shop(bare: Path) -> Path:
    file = bare / STORE_TOML
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"(?m)^\[controller\]", text)
    file.write_text(text + CONTROLLER, encoding="utf-8")
    return bare


def test_a_shop_without_a_controller_has_neither_notice_nor_kiosk(
    bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["notice"], ["notice", "--sign"], ["kiosk"]):
        capsys.readouterr()
        assert cli.main([*words, "--state", str(bare)]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert "fill in name, address, contact under [controller]" in said.err


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_printed_and_what_is_written_are_the_bytes_that_are_hashed(
    shop: Path, language: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    words = ["notice", "--state", str(shop), "--language", language]
    capsysbinary.readouterr()
    assert cli.main(words) == 0
    printed = capsysbinary.readouterr().out
    assert cli.main([*words, "--out", str(tmp_path / "notice.txt")]) == 0
    said = capsysbinary.readouterr().err.decode()
    assert (tmp_path / "notice.txt").read_bytes() == printed
    assert hashlib.sha256(printed).hexdigest() in said


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("sign", [False, True])
def test_the_page_to_hang_up_has_the_words_of_the_text_and_asks_nobody(
    shop: Path, language: str, sign: bool, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    words = ["notice", "--state", str(shop), "--language", language, *(["--sign"] if sign else [])]
    capsysbinary.readouterr()
    assert cli.main(words) == 0
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert cli.main([*words, "--out", str(tmp_path / "notice.html")]) == 0
    page = (tmp_path / "notice.html").read_text(encoding="utf-8")
    shown = [html.unescape(text) for text in re.findall(r"<(?:h1|h2|p)>(.*?)</(?:h1|h2|p)>", page)]
    wanted = [line for line in lines if line]
    assert shown[: len(wanted)] == wanted
    assert len(shown) == len(wanted) + (0 if sign else 1)  # the fingerprint stands below the full text
    messages = Messages.load(language)
    assert f'<html lang="{language}" dir="{messages.direction}">' in page
    assert not re.search(r"<(script|link|img|iframe)|src=|url\(", page)
    assert "<GmbH>" not in page


def test_nothing_is_overwritten_and_bad_words_are_one_line(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there.html"
    there.write_text("mine")
    for words, line in (
        (["--out", str(there)], "is there already, and nothing is overwritten; name a new file"),
        (["--out", str(tmp_path / "nowhere" / "notice.txt")], "No such file or directory"),
        (["--language", "xx"], "there are no texts in 'xx'; choose from en, de, fr, es, zh, ar"),
    ):
        capsys.readouterr()
        assert cli.main(["notice", "--state", str(shop), *words]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert line in said.err
    assert there.read_text() == "mine"


def test_the_notice_follows_the_level_in_force_and_not_the_wish(
    shop: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    # store.toml asks for more; nobody has approved it
    file = shop / STORE_TOML
    text = file.read_text(encoding="utf-8").replace('level = "counts"', 'level = "emotion"')
    file.write_text(text.replace(CONTROLLER, PAD + CONTROLLER), encoding="utf-8")
    capsysbinary.readouterr()
    assert cli.main(["notice", "--state", str(shop)]) == 0
    before = capsysbinary.readouterr().out.decode()
    assert Messages.load("en")("notice.short.no_consent") in before
    for words in four_eyes.words(shop, "emotion", shop.parent):
        assert cli.main(words) == 0
    capsysbinary.readouterr()
    assert cli.main(["notice", "--state", str(shop)]) == 0
    assert Messages.load("en")("notice.short.emotion") in capsysbinary.readouterr().out.decode()
