"""A receipt printer: reads ESC/POS strictly, prints on a roll that can be looked at, and has its bad days.

Any byte that is not part of a command with right lengths and values, or of text in the chosen code page, fails.
Sources: the ESC/POS command reference of Epson, sections of the commands named below.
"""

from __future__ import annotations

import os
import socket
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import segno
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

MONO = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"
WELL = {1: 0x12, 2: 0x12, 4: 0x12}  # DLE EOT n: paper is there, cover closed, online


class NotEscPosError(AssertionError):
    """A printer would print rubbish here."""


@dataclass
class Symbol:
    """A QR symbol as the commands made it."""

    text: bytes
    module: int
    level: int


@dataclass
class Printer:
    """What came out.

    Attributes:
        dots: printable width.
        rows: rows of text with (text, bold, centred, height).
        symbols: QR symbols.
        pictures: rows of dots, black is True.
        cuts: how often the paper was cut.
        strips: everything in order, for `roll`.
    """

    dots: int
    rows: list[tuple[str, bool, bool, int]] = field(default_factory=list)
    symbols: list[Symbol] = field(default_factory=list)
    pictures: list[NDArray[np.bool]] = field(default_factory=list)
    cuts: int = 0
    strips: list[tuple[str, object, int]] = field(default_factory=list)

    def take(self, data: bytes) -> Printer:
        """Obey everything; the stream must end at the end of a command."""
        self._data, self._at = data, 0
        self._page: str | None = None
        self._align, self._bold, self._size = 0, False, 0
        self._row = ""
        self._begun = False
        self._qr: dict[str, Any] = {}
        while self._at < len(data):
            self._step()
        if self._row:
            raise NotEscPosError("text without a line feed")
        return self

    def _bytes(self, count: int) -> bytes:
        if self._at + count > len(self._data):
            raise NotEscPosError("the stream ends within a command")
        self._at += count
        return self._data[self._at - count : self._at]

    def _one(self, *allowed: int) -> int:
        value = self._bytes(1)[0]
        if allowed and value not in allowed:
            raise NotEscPosError(f"value {value} at {self._at - 1}, not one of {allowed}")
        return value

    def _step(self) -> None:
        first = self._one()
        if first == 0x1B:
            self._escape(self._one())
        elif first == 0x1D:
            self._group(self._one())
        elif first == 0x0A:
            self.strips.append(("row", (self._row, self._bold, self._size), self._align))
            self.rows.append((self._row, self._bold, self._align == 1, 1 + (self._size & 7)))
            self._row = ""
        elif first >= 0x20:
            if self._page is None:
                raise NotEscPosError("text before a code page was chosen")
            self._row += bytes([first]).decode(self._page)
            if len(self._row) * 12 * (1 + (self._size >> 4)) > self.dots:
                raise NotEscPosError(f"a row runs over the paper: {self._row!r}")
        else:
            raise NotEscPosError(f"byte {first:02x} at {self._at - 1} is no command")

    def _escape(self, command: int) -> None:
        if self._row:
            raise NotEscPosError("a setting within a row")
        match chr(command):
            case "@":
                if self._begun:
                    raise NotEscPosError("begun twice")
                self._begun = True
            case "t":
                self._page = {19: "cp858"}[self._one(19)]
            case "a":
                self._align = self._one(0, 1, 2)
            case "E":
                self._bold = bool(self._one(0, 1))
            case "d":
                self.strips.append(("feed", self._one(), 0))
            case other:
                raise NotEscPosError(f"ESC {other!r} is not known")

    def _group(self, command: int) -> None:
        match chr(command):
            case "!":
                self._size = self._one(0x00, 0x01, 0x10, 0x11)
            case "V":
                self._one(0x42)
                self._one()
                self.cuts += 1
            case "v":
                self._one(ord("0"))
                self._one(0)
                width = int.from_bytes(self._bytes(2), "little")
                height = int.from_bytes(self._bytes(2), "little")
                if not 1 <= height <= 2303 or width * 8 > self.dots:
                    raise NotEscPosError(f"a picture of {width * 8} by {height} dots does not fit")
                raw = self._bytes(width * height)
                for order in (b"\x10\x04", b"\x10\x05", b"\x10\x14"):
                    if order in raw:
                        raise NotEscPosError("a picture that holds a real-time command")
                bits = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(height, width), axis=1).astype(bool)
                self.pictures.append(bits)
                self.strips.append(("picture", bits, self._align))
            case "(":
                self._one(ord("k"))
                self._two_d(self._bytes(int.from_bytes(self._bytes(2), "little")))
            case other:
                raise NotEscPosError(f"GS {other!r} is not known")

    def _two_d(self, body: bytes) -> None:
        if body[:1] != b"1":
            raise NotEscPosError("not a QR symbol")
        match chr(body[1]), body[2:]:
            case "A", model if model == b"2\x00":
                self._qr = {"model": 2}
            case "C", module if len(module) == 1 and 1 <= module[0] <= 16:
                self._qr["module"] = module[0]
            case "E", level if len(level) == 1 and level[0] in b"0123":
                self._qr["level"] = level[0] - 48
            case "P", stored if stored[:1] == b"0" and 1 <= len(stored) - 1 <= 7089:
                self._qr["data"] = stored[1:]
            case "Q", b"0":
                if set(self._qr) != {"model", "module", "level", "data"}:
                    raise NotEscPosError(f"a QR symbol is printed that has only {set(self._qr)}")
                symbol = Symbol(self._qr["data"], self._qr["module"], self._qr["level"])
                self.symbols.append(symbol)
                self.strips.append(("symbol", symbol, self._align))
            case other:
                raise NotEscPosError(f"QR function {other}")

    @property
    def text(self) -> str:
        """All rows, a blank between them: wrapped paragraphs read as they were."""
        return " ".join(row for row, *_ in self.rows if row)

    def roll(self) -> Image.Image:
        """Return the paper as it looks; what sticks out over its edge is cut off."""
        strips = [self._strip(*strip) for strip in self.strips]
        paper = Image.new("L", (self.dots, sum(s.height for s in strips)), 255)
        y = 0
        for strip in strips:
            paper.paste(strip, (0, y))
            y += strip.height
        return paper

    def _strip(self, kind: str, what: object, align: int) -> Image.Image:
        if kind == "feed":
            return Image.new("L", (self.dots, 30 * cast("int", what)), 255)
        if kind == "row":
            text, bold, size = cast("tuple[str, bool, int]", what)
            tall = 1 + (size & 7)
            row = Image.new("L", (self.dots, 28), 255)
            font = ImageFont.truetype(MONO, 20)
            for i, letter in enumerate(text):
                left = (self.dots - 12 * len(text)) // 2 if align == 1 else 0
                ImageDraw.Draw(row).text((left + 12 * i, 2), letter, font=font, fill=0, stroke_width=int(bold) // 2)
            return row.resize((self.dots, 28 * tall))
        if kind == "picture":
            return Image.fromarray(np.where(np.asarray(what), 0, 255).astype(np.uint8))
        symbol = cast("Symbol", what)
        drawn = segno.make(symbol.text, error="LMQH"[symbol.level], micro=False, boost_error=False)
        grid = np.array(list(drawn.matrix_iter(scale=symbol.module, border=4)), dtype=np.uint8)
        picture = Image.fromarray(np.where(grid == 1, 0, 255).astype(np.uint8))
        strip = Image.new("L", (self.dots, picture.height), 255)
        if picture.width > self.dots:
            raise NotEscPosError("a QR symbol is wider than the paper")
        strip.paste(picture, ((self.dots - picture.width) // 2, 0))
        return strip


class Machine:
    """A printer at the end of a line; it answers questions about its state and keeps the rest."""

    def __init__(
        self, states: dict[int, int] | None = None, *, silent: bool = False, stuck_after: int = 1 << 30
    ) -> None:
        self.states, self.silent, self.stuck_after = dict(WELL if states is None else states), silent, stuck_after
        self.got = b""

    def answer(self, data: bytes) -> bytes:
        """Take what came in one piece, and return what the printer says to it."""
        said = b""
        while data:
            if data[:2] == b"\x10\x04" and len(data) >= 3:
                said += b"" if self.silent else bytes([self.states[data[2]]])
                data = data[3:]
            else:
                end = data.find(b"\x10\x04", 1)
                self.got += data if end < 0 else data[:end]
                data = b"" if end < 0 else data[end:]
        return said


@contextmanager
def on_socket(path: Path, machine: Machine, *, hang_up_after: int | None = None) -> Iterator[Path]:
    """Put a printer behind a Unix socket."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(str(path))
    door.listen()
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                line, _ = door.accept()
            except OSError:
                return
            with line:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                while len(machine.got) < machine.stuck_after and (data := line.recv(4096)):
                    line.sendall(machine.answer(data))
                    if hang_up_after is not None and len(machine.got) >= hang_up_after:
                        break
                else:
                    if len(machine.got) >= machine.stuck_after:
                        stop.wait(30)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield path
    finally:
        stop.set()
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        thread.join(5)


@contextmanager
def on_device(machine: Machine) -> Iterator[Path]:
    """Put a printer behind a character device, as a cable would; the line begins in the mode that spoils bytes."""
    ours, theirs = os.openpty()
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                data = os.read(ours, 4096)
            except OSError:
                return
            if data == b"stop":
                return
            os.write(ours, machine.answer(data))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield Path(os.ttyname(theirs))
    finally:
        stop.set()
        tty.setraw(theirs)
        os.write(theirs, b"stop")
        thread.join(5)
        os.close(theirs)
        os.close(ours)
