"""Receipts on paper, against a printer that knows its commands and has its bad days."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from consent import printing, receipts
from consent.events import Purpose
from consent.kiosk.messages import LANGUAGES, Messages
from consent.ledger import Grant, Ledger
from consent.printing import Paper, PrintError, escpos, print_receipt, send
from consent.receipts import Receipt
from consent.subjects import show_secret
from tests.consent.printer import WELL, Machine, NotEscPosError, Printer, on_device, on_socket
from tests.consent.shop import NOON, NOTICE, say_yes
from tests.consent.test_record import SHOP

LATIN = ("en", "de", "fr", "es")
ISSUED = datetime.fromtimestamp(NOON / 1_000_000, UTC).astimezone(SHOP.timezone)


@pytest.fixture
def given(ledger: Ledger) -> Grant:
    say_yes(ledger)
    ledger.sign_checkpoint()
    return say_yes(ledger, Purpose.DWELL, Purpose.REPEAT)


@pytest.fixture
def receipt(ledger: Ledger, given: Grant) -> Receipt:
    return receipts.issue(ledger, given, now_us=NOON)


@pytest.fixture
def slip(ledger: Ledger, given: Grant) -> Receipt:
    leaf = ledger.refuse(now_us=NOON, notice_sha256=NOTICE, language="en", version="1")
    return receipts.issue(ledger, leaf, now_us=NOON)


def printed(receipt: Receipt, language: str, paper: Paper = Paper.WIDE) -> Printer:
    return Printer(paper.dots).take(escpos(receipt, SHOP, Messages.load(language), paper=paper))


# --- what comes out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paper", Paper)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_prints_both_symbols_and_the_code(receipt: Receipt, language: str, paper: Paper) -> None:
    assert receipt.secret is not None
    out = printed(receipt, language, paper)
    address = receipts.withdraw_url("https://shop.example:8643", receipt.secret)
    assert [s.text.decode() for s in out.symbols] == [address, receipt.proof]
    assert (show_secret(receipt.secret), True, True, 2) in out.rows
    assert out.cuts == 1
    # read back from the paper as a phone would, so module size, margin and width are right
    for symbol, strip in zip(out.symbols, [s for s in out.strips if s[0] == "symbol"], strict=True):
        found, _ = cv2.wechat_qrcode.WeChatQRCode().detectAndDecode(np.asarray(out._strip(*strip)))
        assert list(found) == [symbol.text.decode()]
        assert symbol.module >= 4


@pytest.mark.parametrize("language", LATIN)
def test_latin_languages_are_sent_as_letters(receipt: Receipt, language: str) -> None:
    say, out = Messages.load(language), printed(receipt, language)
    assert out.pictures == []
    for key in ("done.receipt", "done.allowed", "purpose.dwell", "purpose.repeat", "done.code_hint", "done.proof_hint"):
        assert say(key).translate(printing._PLAIN) in out.text
    assert SHOP.controller.name in out.text
    assert say("done.entry", entry=1) in out.text
    assert say.moment(ISSUED) in out.text


@pytest.mark.parametrize("language", ["zh", "ar"])
def test_chinese_and_arabic_are_sent_as_dots(receipt: Receipt, language: str) -> None:
    out = printed(receipt, language, Paper.NARROW)
    assert len(out.pictures) >= 10
    for picture in out.pictures:
        assert 50 < picture.sum() < picture.size / 2  # there is ink, and paper
        assert not picture[[0, -1]].any()  # nothing is cut off above or below
    columns = [np.flatnonzero(p.any(axis=0)) for p in out.pictures]
    edges = [(int(c[0]), Paper.NARROW.dots - 1 - int(c[-1])) for c in columns]
    if language == "ar":  # paragraphs begin at the right edge
        assert sum(right <= 3 for _, right in edges) > len(edges) / 2
    else:
        assert sum(left <= 3 for left, _ in edges) > len(edges) / 2


def test_what_is_drawn_is_the_text_in_its_own_direction_and_joined(receipt: Receipt) -> None:
    """Arabic letters take other shapes within a word: a word is narrower than its letters apart."""
    font = printing._font("مرحبا")
    assert font.getlength("مرحبا", direction="rtl") < sum(font.getlength(letter) for letter in "مرحبا")
    one, two = (printing._drawn(printing.Line(t), Paper.NARROW, rtl=True) for t in ("مرحبا", "ابحرم"))
    assert one != two
    assert printing._drawn(printing.Line("\u2068مرحبا\u2069"), Paper.NARROW, rtl=True) == one  # isolates are not drawn


def test_a_slip_has_no_code_and_one_symbol(slip: Receipt) -> None:
    for language in LANGUAGES:
        out = printed(slip, language, Paper.NARROW)
        assert [s.text.decode() for s in out.symbols] == [slip.proof]
    assert Messages.load("en")("slip.text") in printed(slip, "en").text


def test_without_an_address_for_phones_the_paper_says_how_to_stop_at_the_kiosk(receipt: Receipt) -> None:
    shop, say = replace(SHOP, public_url=None), Messages.load("en")
    out = Printer(576).take(escpos(receipt, shop, say, paper=Paper.WIDE))
    assert [s.text.decode() for s in out.symbols] == [show_secret(receipt.secret or ""), receipt.proof]
    assert say("paper.stop_kiosk") in out.text
    box = replace(SHOP, public_url=None, mailbox_url="https://box.example")
    out = Printer(576).take(escpos(receipt, box, say, paper=Paper.WIDE))
    assert out.symbols[0].text.startswith(b"https://box.example/w#")


@pytest.mark.parametrize(
    "name", ["Café ‚Müller‘ — l’été", "超市", "Обувь", "a\x1b@\x1dV\x00b", "x" * 200, "a\nb", "\u202edrahcir"]
)
def test_a_shop_may_be_called_anything(receipt: Receipt, name: str) -> None:
    for paper in Paper:
        out = Printer(paper.dots).take(escpos(receipt, replace(SHOP, name=name), Messages.load("en"), paper=paper))
        assert out.cuts == 1


def test_a_script_that_no_font_here_has_is_refused_in_one_line(
    receipt: Receipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(printing, "_FONTS", ())
    with pytest.raises(PrintError, match="install fonts-dejavu-core"):
        escpos(receipt, SHOP, Messages.load("zh"), paper=Paper.WIDE)
    escpos(receipt, SHOP, Messages.load("de"), paper=Paper.WIDE)  # needs none


def test_the_emulator_is_strict(receipt: Receipt) -> None:
    good = escpos(receipt, SHOP, Messages.load("ar"), paper=Paper.WIDE)
    refused = 0
    for cut in range(1, len(good), 97):
        try:
            Printer(576).take(good[:cut])
        except NotEscPosError:
            refused += 1
    assert refused > 0.8 * len(range(1, len(good), 97))
    for junk in (b"\x00", b"\x1bZ", b"\x1d(k\x03\x001Z0", b"\x1d(k\x03\x001Q0", b"text", b"\x1dv0\x00\xff\x00\x01\x00"):
        with pytest.raises(NotEscPosError):
            Printer(576).take(junk)


# --- the way to the printer -------------------------------------------------------------------------------------------


def on(kind: str, tmp_path: Path, machine: Machine) -> AbstractContextManager[Path]:
    return on_device(machine) if kind == "device" else on_socket(tmp_path / "printer", machine)


@pytest.mark.parametrize("kind", ["socket", "device"])
@pytest.mark.parametrize("silent", [False, True])
def test_a_receipt_arrives_byte_for_byte(receipt: Receipt, tmp_path: Path, kind: str, silent: bool) -> None:
    machine = Machine(silent=silent)
    with on(kind, tmp_path, machine) as path:
        shop = replace(SHOP, printer=path)
        print_receipt(receipt, "ar", shop=shop, paper=Paper.NARROW)
        print_receipt(receipt, "de", shop=shop, paper=Paper.NARROW)
        expected = b"".join(escpos(receipt, SHOP, Messages.load(x), paper=Paper.NARROW) for x in ("ar", "de"))
        deadline = time.monotonic() + 5
        while len(machine.got) < len(expected) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert machine.got == expected


@pytest.mark.parametrize(
    ("states", "why"),
    [({4: 0x72}, "out of paper"), ({2: 0x16}, "cover is open"), ({1: 0x1A}, "offline"), ({4: 0x1E}, None)],
)
def test_a_printer_that_cannot_print_says_why_and_gets_nothing(
    receipt: Receipt, tmp_path: Path, states: dict[int, int], why: str | None
) -> None:
    machine = Machine({**WELL, **states})
    with on_socket(tmp_path / "printer", machine) as path:
        if why is None:  # paper is low, and still there
            send(b"\x1b@", path)
            return
        with pytest.raises(PrintError, match=why):
            send(b"\x1b@", path)
    assert machine.got == b""


def test_paper_that_runs_out_on_the_way_is_said(tmp_path: Path) -> None:
    machine = Machine()
    answer = machine.answer

    def runs_out(data: bytes) -> bytes:
        said = answer(data)
        if machine.got:
            machine.states[4] = 0x72
        return said

    machine.answer = runs_out  # type: ignore[method-assign]
    with on_socket(tmp_path / "printer", machine) as path, pytest.raises(PrintError, match="out of paper"):
        send(b"\x1b@" * 1000, path)


def test_a_printer_that_is_gone_is_said(tmp_path: Path) -> None:
    path = tmp_path / "printer"
    with pytest.raises(PrintError, match="is not there"):
        send(b"\x1b@", path)
    with on_socket(path, Machine()):
        pass
    with pytest.raises(PrintError, match="is not there"):  # the socket's file is left, and nobody behind it
        send(b"\x1b@", path)
    path.unlink()
    with on_socket(path, Machine(), hang_up_after=1000) as again, pytest.raises(PrintError, match="is not there"):
        send(b"x" * 2_000_000, again)


def test_a_printer_that_takes_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "_SEND_S", 0.5)
    with on_socket(tmp_path / "printer", Machine(stuck_after=10_000)) as path:
        began = time.monotonic()
        with pytest.raises(PrintError, match="takes nothing any more"):
            send(b"x" * 2_000_000, path)
        assert time.monotonic() - began < 5


def test_no_file_ever_gets_a_code(receipt: Receipt, tmp_path: Path) -> None:
    file = tmp_path / "printer"
    file.write_bytes(b"")
    (tmp_path / "link").symlink_to(file)
    for path in (file, tmp_path / "link", tmp_path):
        with pytest.raises(PrintError, match="is no printer"):
            print_receipt(receipt, "en", shop=replace(SHOP, printer=path), paper=Paper.WIDE)
    assert file.read_bytes() == b""
    with pytest.raises(PrintError, match="has no printer"):
        print_receipt(receipt, "en", shop=SHOP, paper=Paper.WIDE)


def test_no_code_gets_into_an_error_or_a_log(
    receipt: Receipt, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert receipt.secret is not None
    said: list[str] = []
    ways: list[Callable[[], object]] = [
        lambda: print_receipt(receipt, "en", shop=replace(SHOP, printer=tmp_path / "none"), paper=Paper.WIDE),
        lambda: escpos(replace(receipt, until={Purpose.DWELL: 10**18}), SHOP, Messages.load("en"), paper=Paper.WIDE),
    ]
    with caplog.at_level(logging.DEBUG):
        for way in ways:
            with pytest.raises((PrintError, OverflowError, ValueError)) as caught:
                way()
            said.append(repr(caught.value))
    for text in (*said, caplog.text):
        assert receipt.secret not in text
        assert show_secret(receipt.secret) not in text
