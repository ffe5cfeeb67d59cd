"""Receipts on paper: the bytes an ESC/POS printer wants, and the way there.

    1B 40                     begin anew            1B 74 13        code page 858 (Western Europe)
    1B 61 n   1B 45 n         align, bold           1D 21 n         height and width of letters
    1D 76 30 00 xL xH yL yH … a line as dots        1D 28 6B …      a QR symbol: model, module, level, data, print
    1B 64 n                   feed n lines          1D 56 42 00     cut

Rules:
- What code page 858 has is sent as letters; any other line, Chinese and Arabic above all, is drawn with a font of this
  machine and sent as dots, because printers disagree on every other code page. The code is always sent as letters.
- Nothing is spooled: a receipt with a code goes from memory to a device or a socket, never to a file, and a path that
  is a file is refused.
- A printer that is gone, busy, open or out of paper is said within seconds; the receipt on the screen stays.

What a receipt says comes from the message files and the shop's own settings.
"""

from __future__ import annotations

import errno
import functools
import os
import select
import socket
import stat
import termios
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path

from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont, features

from consent import receipts
from consent.events import ConsentError
from consent.kiosk.messages import Messages
from consent.kiosk.settings import Shop
from consent.receipts import Receipt
from consent.subjects import show_secret

CODE_PAGE = "cp858"
_PAGE_NUMBER = 19  # of code page 858, in ESC t
_PLAIN = str.maketrans(
    {"–": "-", "—": "-", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "…": "...", "\u202f": " ", "\xa0": " "}
)
_FONT_DOTS = 22  # height of drawn letters; near that of the printer's own
_FONTS = (  # the first that has every letter of a line; Debian's fonts-dejavu-core and fonts-noto-cjk
    Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"),
)
_ISOLATES = {0x2066, 0x2067, 0x2068, 0x2069}  # say where a value begins and ends in a text from right to left
_SEND_S = 10.0  # a printer that takes nothing for so long is not there
_ANSWER_S = 1.0  # for its state; one that cannot answer prints all the same
_STATES = (  # DLE EOT n, the bits that mean it cannot print, and what to say
    (2, 0b0000_0100, "its cover is open"),
    (4, 0b0110_0000, "it is out of paper"),
    (1, 0b0000_1000, "it is offline"),
)
_REAL_TIME = (b"\x10\x04", b"\x10\x05", b"\x10\x14")  # DLE EOT, DLE ENQ, DLE DC4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_one_at_a_time = threading.Lock()


class PrintError(ConsentError):
    """A receipt could not be printed; the text says why."""


class Paper(IntEnum):
    """Width of the paper in millimetres; at eight dots a millimetre 48 and 72 of it are printed on."""

    NARROW = 58
    WIDE = 80

    @property
    def dots(self) -> int:
        """How many dots a line has."""
        return 384 if self is Paper.NARROW else 576

    @property
    def columns(self) -> int:
        """How many letters a line has, twelve dots each."""
        return self.dots // 12


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph: its text, and how it stands there."""

    text: str
    bold: bool = False
    centred: bool = False
    tall: bool = False


@dataclass(frozen=True, slots=True)
class Symbol:
    """A QR symbol."""

    text: str


def print_receipt(receipt: Receipt, language: str, *, shop: Shop, paper: Paper) -> None:
    """Print a receipt or a slip on the shop's printer.

    Raises:
        PrintError: it could not; part of it may be on the paper.
    """
    if shop.printer is None:
        raise PrintError("this shop has no printer; name it as printer under [kiosk]")
    send(escpos(receipt, shop, Messages.load(language), paper=paper), shop.printer)


def escpos(receipt: Receipt, shop: Shop, say: Messages, *, paper: Paper) -> bytes:
    """Return the bytes that print a receipt, or the slip of a "no", which has no code.

    Raises:
        PrintError: this machine has no font for a line that must be drawn.
    """
    out = b"\x1b@" + b"\x1bt" + bytes([_PAGE_NUMBER])
    secret = receipt.secret
    parts = _slip(receipt, shop, say) if secret is None else _receipt(receipt, secret, shop, say)
    for part in parts:
        out += _symbol(part.text, paper) if isinstance(part, Symbol) else _line(part, paper, rtl=say.direction == "rtl")
    return out + b"\x1bd\x03" + b"\x1dVB\x00"


def _receipt(receipt: Receipt, secret: str, shop: Shop, say: Messages) -> Iterator[Line | Symbol]:
    def moment(t_us: int) -> str:
        return say.moment((_EPOCH + timedelta(microseconds=t_us)).astimezone(shop.timezone))

    yield from _head(receipt, shop, say, "done.receipt")
    yield Line(say("done.allowed"), bold=True)
    for purpose, until_us in receipt.until.items():
        yield Line(f"- {say(f'purpose.{purpose}')}, {say('done.until', until=moment(until_us))}")
    yield Line(say("done.entry", entry=receipt.leaf_index))
    yield Line("")
    yield Line(say("done.code"), bold=True)
    yield Line(show_secret(secret), bold=True, centred=True, tall=True)
    yield Line(say("done.code_hint"))
    # without an address for phones it is for the code reader at the kiosk
    yield Symbol(show_secret(secret) if shop.withdraw_at is None else receipts.withdraw_url(shop.withdraw_at, secret))
    yield Line(say("paper.stop_kiosk" if shop.withdraw_at is None else "paper.stop_phone"))
    yield Line("")
    yield Line(say("done.proof"), bold=True)
    yield Symbol(receipt.proof)
    yield Line(say("done.proof_hint"))
    yield from _foot(shop, say)


def _slip(receipt: Receipt, shop: Shop, say: Messages) -> Iterator[Line | Symbol]:
    yield from _head(receipt, shop, say, "slip.title")
    yield Line(say("slip.text"))
    yield Line(say("done.entry", entry=receipt.leaf_index))
    yield Symbol(receipt.proof)
    yield from _foot(shop, say)


def _head(receipt: Receipt, shop: Shop, say: Messages, title: str) -> Iterator[Line]:
    yield Line(shop.name, bold=True, centred=True)
    yield Line(say(title), centred=True)
    yield Line(say.moment((_EPOCH + timedelta(microseconds=receipt.issued_us)).astimezone(shop.timezone)), centred=True)
    yield Line("")


def _foot(shop: Shop, say: Messages) -> Iterator[Line]:
    who = shop.controller
    if who.name:
        yield Line("")
        yield Line(say("paper.controller"), bold=True)
        yield Line(", ".join(fact for fact in (who.name, who.address, who.contact) if fact))


# --- bytes ------------------------------------------------------------------------------------------------------------


def _line(line: Line, paper: Paper, *, rtl: bool) -> bytes:
    """Return one paragraph, wrapped, in the printer's letters where it has them and drawn where not."""
    clean = "".join(c for c in line.text.translate(_PLAIN) if c.isprintable() or ord(c) in _ISOLATES)
    try:
        clean.encode(CODE_PAGE)
    except UnicodeEncodeError:
        return _drawn(line, paper, rtl=rtl)
    align, weight, size = 1 if line.centred else 0, int(line.bold), 0x01 if line.tall else 0
    out = b"\x1ba" + bytes([align]) + b"\x1bE" + bytes([weight]) + b"\x1d!" + bytes([size])
    for row in textwrap.wrap(clean, paper.columns, break_on_hyphens=False) or [""]:
        out += row.encode(CODE_PAGE) + b"\n"
    return out


def _drawn(line: Line, paper: Paper, *, rtl: bool) -> bytes:
    font = _font(line.text)
    above, below = font.getmetrics()
    out = b"\x1ba\x00"
    for row in _wrapped(line.text, font, paper.dots):
        image = Image.new("1", (paper.dots, above + below + 12), 1)
        x, anchor = (paper.dots // 2, "ms") if line.centred else (paper.dots, "rs") if rtl else (0, "ls")
        ImageDraw.Draw(image).text(
            (x, above + 6),
            row,
            font=font,
            fill=0,
            anchor=anchor,
            direction="rtl" if rtl else "ltr",
            stroke_width=1 if line.bold else 0,
        )
        width, height = paper.dots // 8, image.height
        dots = bytes(b ^ 0xFF for b in image.tobytes())  # a printer's 1 is black
        for order in _REAL_TIME:  # obeyed even within a picture; one dot more makes it another
            dots = dots.replace(order, bytes([order[0] | 0x20, order[1]]))
        out += b"\x1dv0\x00" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + dots
    return out


def _wrapped(text: str, font: ImageFont.FreeTypeFont, dots: int) -> list[str]:
    """Break a paragraph into rows: at blanks where there are some, else between letters, as Chinese does."""
    rows, row = [], ""
    for piece in _pieces(text):
        if row and font.getlength(row + piece.rstrip()) > dots:
            rows.append(row.rstrip())
            row = ""
        row += piece
    return [*rows, row.rstrip()]


def _pieces(text: str) -> Iterator[str]:
    piece = ""
    for letter in text:
        piece += letter
        if letter == " " or ord(letter) >= 0x2E80:  # where the scripts begin that break between any two letters
            yield piece
            piece = ""
    yield piece


def _font(text: str) -> ImageFont.FreeTypeFont:
    if not features.check("raqm"):
        raise PrintError("this machine cannot draw this language; install libfribidi0")
    needed = {ord(letter) for letter in text} - _ISOLATES
    for path in _FONTS:
        if path.is_file() and needed <= _letters(path):
            return ImageFont.truetype(path, _FONT_DOTS, layout_engine=ImageFont.Layout.RAQM)
    raise PrintError("this machine has no font for this language; install fonts-dejavu-core and fonts-noto-cjk")


@functools.cache
def _letters(path: Path) -> frozenset[int]:
    with TTFont(path, fontNumber=0, lazy=True) as font:
        return frozenset(font.getBestCmap())


def _symbol(text: str, paper: Paper) -> bytes:
    """Return a QR symbol, as large as the paper and a hand allow: three to eight dots a module."""
    drawn = receipts.qr_symbol(text)
    data, level = text.encode("ascii"), {"L": 48, "M": 49, "Q": 50, "H": 51}[str(drawn.error)]
    module = min(8, paper.dots // int(drawn.symbol_size(border=4)[0]))
    size = len(data) + 3
    return (
        b"\x1ba\x01"
        + b"\x1d(k\x04\x001A2\x00"
        + b"\x1d(k\x03\x001C"
        + bytes([module])
        + b"\x1d(k\x03\x001E"
        + bytes([level])
        + b"\x1d(k"
        + size.to_bytes(2, "little")
        + b"1P0"
        + data
        + b"\x1d(k\x03\x001Q0"
        + b"\n"
    )


# --- the way there ----------------------------------------------------------------------------------------------------


def send(data: bytes, printer: Path) -> None:
    """Send bytes to a printer: a device file, or a Unix socket that leads to one.

    Raises:
        PrintError: it is not there, cannot print, or stopped taking anything.
    """
    with _one_at_a_time:
        try:
            link = _open(printer)
            try:
                _check_state(link)
                _write(link, data)
                _check_state(link)
            finally:
                os.close(link)
        except OSError as error:
            why = "is not there" if error.errno in _GONE else f"does not take it ({error.strerror})"
            raise PrintError(f"the printer {printer} {why}; check its cable and switch") from error


_GONE = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ECONNREFUSED, errno.EPIPE, errno.EIO, errno.ECONNRESET)


def _open(printer: Path) -> int:
    kind = printer.stat().st_mode
    if stat.S_ISSOCK(kind):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_ANSWER_S)
            line.connect(str(printer))
            line.setblocking(False)
            return line.detach()
    if not stat.S_ISCHR(kind):
        raise PrintError(f"{printer} is no printer: name its device, such as /dev/usb/lp0; a file would keep the code")
    link = os.open(printer, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if os.isatty(link):  # a serial line must not translate bytes
        mode = termios.tcgetattr(link)
        mode[0] = mode[1] = mode[3] = 0
        mode[2] |= termios.CS8
        termios.tcsetattr(link, termios.TCSANOW, mode)
    return link


def _write(link: int, data: bytes) -> None:
    left, patience = memoryview(data), time.monotonic() + _SEND_S
    while left:
        if not select.select([], [link], [], max(0.0, patience - time.monotonic()))[1]:
            raise PrintError("the printer takes nothing any more; look at its lamps, and print again")
        taken = os.write(link, left[:4096])
        left = left[taken:]
        patience = time.monotonic() + _SEND_S


def _check_state(link: int) -> None:
    """Ask the printer how it is; one that does not answer is believed to be well."""
    for number, bad, why in _STATES:
        _write(link, bytes([0x10, 0x04, number]))
        if not select.select([link], [], [], _ANSWER_S)[0]:
            return
        answer = os.read(link, 64)
        if not answer:
            raise OSError(errno.EPIPE, "it hung up")
        if answer[-1] & 0b1001_0011 == 0b0001_0010 and answer[-1] & bad:  # the bits that every such answer has
            raise PrintError(f"the printer cannot print: {why}")
