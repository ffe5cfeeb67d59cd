"""A full disk refuses a yes and takes a no: the room for it is kept, given back, and made anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.audit import audit
from consent.database import DiskFullError
from consent.events import Purpose
from consent.keys import KeyRing
from consent.ledger import Ledger
from consent.padwords import PadKind
from consent.reserve import NAME, PIECE, SIZE, Reserve
from tests.consent.shop import NOON, say_yes

PAGE = 4096


class Disk(sqlite3.Connection):
    """A connection to a file on a disk that has as much room as the reserve gave back."""

    reserve: Path | None = None
    pages = 0

    def execute(self, *args: object) -> sqlite3.Cursor:
        if Disk.reserve is not None and args[0] != "COMMIT":
            held = Disk.reserve.stat().st_size if Disk.reserve.exists() else 0
            super().execute(f"PRAGMA max_page_count = {Disk.pages + (SIZE - held) // PAGE}")
        return super().execute(*args)  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    (tmp_path / "state").mkdir()
    ring = KeyRing.create(tmp_path / "keys", state=tmp_path / "state")
    with Ledger(tmp_path / "state" / "ledger.sqlite", ring, store="s", factory=Disk) as made:
        yield made
    Disk.reserve = None


def fill(ledger: Ledger, folder: Path) -> list[str]:
    """Let people say yes until the disk is full; return their codes."""
    codes = [say_yes(ledger).secret for _ in range(3)]
    ((pages,),) = ledger.select("PRAGMA page_count")
    Disk.reserve, Disk.pages = folder / NAME, pages + 8
    with pytest.raises(DiskFullError, match="the disk is full"):
        crowd(ledger, codes)
    return codes


def crowd(ledger: Ledger, codes: list[str]) -> None:
    while True:
        codes.append(say_yes(ledger).secret)


def object_until(ledger: Ledger, size: int) -> None:
    while ledger.size < size:
        ledger.object(now_us=NOON)


def test_a_full_disk_refuses_a_yes_and_writes_every_no(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.reserve.fill()
    codes = fill(ledger, tmp_path / "state")
    assert (tmp_path / "state" / NAME).stat().st_size == SIZE, "a yes takes nothing from it"
    before = ledger.size
    for code in codes:
        assert ledger.withdraw(code, now_us=NOON + 1).purposes == {Purpose.DWELL}
    for i in range(200):
        ledger.object(now_us=NOON + 2 + i)
        ledger.open_pad_request("pad", PadKind.OBJECT, now_us=NOON + 2 + i)
    assert ledger.size == before + len(codes) + 200
    assert 0 <= (tmp_path / "state" / NAME).stat().st_size < SIZE
    audit(ledger)


def test_without_a_reserve_a_no_says_that_the_disk_is_full_and_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "state" / NAME).write_bytes(b"")
    Disk.reserve = tmp_path / "state" / NAME
    yes = say_yes(ledger)
    ((pages,),) = ledger.select("PRAGMA page_count")
    Disk.pages = pages - SIZE // PAGE
    with pytest.raises(DiskFullError):
        crowd(ledger, [])
    with pytest.raises(DiskFullError, match="make room"):
        object_until(ledger, ledger.size + 10_000)
    before = ledger.size
    for no in (lambda: ledger.object(now_us=NOON), lambda: ledger.withdraw(yes.secret, now_us=NOON)):
        with pytest.raises(DiskFullError):
            no()
    assert ledger.size == before
    assert ledger.standing(yes.subject)[0].state.permits
    audit(ledger)


def test_the_reserve_goes_in_pieces_and_comes_back_where_there_is_room(tmp_path: Path) -> None:
    reserve, file = Reserve(tmp_path), tmp_path / NAME
    assert not reserve.give()
    assert reserve.fill()
    assert file.stat().st_blocks * 512 >= SIZE, "room that is only promised is none"
    assert file.stat().st_mode & 0o777 == 0o660
    for left in (3, 2, 1, 0):
        assert reserve.give()
        assert file.stat().st_size == left * PIECE
    assert not reserve.give()
    assert reserve.fill()
    assert file.stat().st_size == SIZE


def test_the_reserve_follows_no_link(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"x" * (SIZE + 1))
    (tmp_path / NAME).symlink_to(other)
    reserve = Reserve(tmp_path)
    while reserve.give():
        pass
    reserve.fill()
    assert other.stat().st_size == SIZE + 1
