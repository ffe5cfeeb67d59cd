"""Notes: nothing is overwritten, nothing torn is believed, and what should never have been written goes for good."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from analytics import lines
from analytics.lines import LinesError
from analytics.model import AnalyticsError
from analytics.notes import FILE, FOLDER, LONGEST, Note, NoteError, Notes

DAY = date(2026, 9, 28)


def test_a_note_is_drawn_from_its_day_on_until_it_is_taken_off(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    assert notes.shown() == []
    first = notes.write(DAY, "  new shelf ", zone="tea", now_us=1)
    other = notes.write(date(2026, 9, 1), "closed early", now_us=2)
    assert [note.text for note in notes.shown()] == ["closed early", "new shelf"]
    assert notes.shown(first=DAY) == [first]
    assert notes.shown(last=date(2026, 9, 2)) == [other]
    assert notes.shown(zones=("coffee",)) == [other]  # of the whole shop
    changed = notes.change(first, day=DAY, text="new shelf by the door", zone="", now_us=3)
    assert (changed.number, changed.version) == (first.number, 2)
    gone = notes.change(changed, day=DAY, text=changed.text, zone="", now_us=4, gone=True)
    assert notes.shown() == [other]
    assert [note for note in notes.versions() if note.number == first.number] == [first, changed, gone]


def test_who_comes_second_is_told(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    seen = notes.write(DAY, "new shelf", now_us=1)
    notes.change(seen, day=DAY, text="new shelf, left", zone="", now_us=2)
    with pytest.raises(NoteError, match="meanwhile"):
        notes.change(seen, day=DAY, text="new shelf, right", zone="", now_us=3)
    assert [note.text for note in notes.shown()] == ["new shelf, left"]


def test_what_is_forgotten_is_in_no_byte_of_the_file(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    bad = notes.write(DAY, "Erika Mustermann fell", now_us=1)
    notes.change(bad, day=DAY, text="Erika M. fell", zone="", now_us=2)
    kept = notes.write(DAY, "new shelf", now_us=3)
    assert notes.forget(bad.number) == 2
    assert notes.versions() == [kept]
    assert b"Erika" not in (tmp_path / FOLDER / FILE).read_bytes()
    assert notes.write(DAY, "another", now_us=4).number == kept.number + 1


@pytest.mark.parametrize("text", ["", "   ", "x" * (LONGEST + 1), "two\nlines", "a\x00b"])
def test_what_is_no_note_leaves_no_trace(text: str, tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    with pytest.raises(NoteError, match="one line"):
        notes.write(DAY, text, now_us=1)
    assert notes.versions() == []


def test_a_line_that_a_crash_tore_is_read_by_nobody_and_cut_off_by_the_next(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    first = notes.write(DAY, "new shelf", now_us=1)
    path = tmp_path / FOLDER / FILE
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"number":2,"vers')
    assert notes.versions() == [first]
    second = notes.write(DAY, "and a lamp", now_us=2)
    assert notes.versions() == [first, second]
    assert path.read_bytes().startswith(whole)


@pytest.mark.parametrize(
    "line", [b"not json", b"[]", b"{}", b'{"number":1,"version":1,"day":"soon","zone":"","text":"x","written_us":1}']
)
def test_a_damaged_line_is_named_and_nothing_is_written_over_it(line: bytes, tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    notes.write(DAY, "new shelf", now_us=1)
    path = tmp_path / FOLDER / FILE
    damaged = path.read_bytes() + line + b"\n"
    path.write_bytes(damaged)
    for act in (notes.versions, lambda: notes.write(DAY, "more", now_us=2), lambda: notes.forget(1)):
        with pytest.raises(AnalyticsError, match=str(path)):
            act()
    assert path.read_bytes() == damaged


def test_a_folder_in_its_place_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / FOLDER / FILE).mkdir(parents=True)
    with pytest.raises(LinesError, match="cannot be written"):
        Notes(tmp_path).write(DAY, "new shelf", now_us=1)


def test_many_writers_lose_no_note_and_share_no_number(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom datetime import date\nfrom pathlib import Path\nfrom analytics.notes import Notes\n"
        "for i in range(15):\n    Notes(Path(sys.argv[1])).write(date(2026, 9, 28), f'{sys.argv[2]} {i}', now_us=i)\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path)]
    writers = [subprocess.Popen([*words, name], cwd=Path.cwd()) for name in ("a", "b", "c")]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    found = Notes(tmp_path).versions()
    assert sorted(note.number for note in found) == list(range(1, 46))
    assert {note.text for note in found} == {f"{name} {i}" for name in "abc" for i in range(15)}


def test_a_file_that_nobody_here_wrote_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / FOLDER / FILE
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(lines.MOST_BYTES + 1)
    with pytest.raises(LinesError, match="larger"):
        Notes(tmp_path).shown()


def test_a_line_holds_no_author(tmp_path: Path) -> None:
    Notes(tmp_path).write(DAY, "new shelf", now_us=1)
    line = json.loads((tmp_path / FOLDER / FILE).read_text())
    assert set(line) == set(Note.__slots__) == {"number", "version", "day", "zone", "text", "written_us", "gone"}
