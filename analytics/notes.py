"""What happened in the shop ("new shelf"), written down by its managers and drawn on every chart over time.

Rules:
- A note says what happened to the shop, never to a person; it is short, and pages say so where it is written.
- Nothing is overwritten: a change is a new version of the note, and taking it off the charts is one, too. Only `forget`
  takes every version out of the file, for a note that should never have been written.
- Two who change the same note do not overwrite each other: who comes second is told.

The file is `notes/events.jsonl` of the state directory: a line a version, no author, no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from analytics import lines
from analytics.model import AnalyticsError

FOLDER = "notes"
FILE = "events.jsonl"
LONGEST = 80  # characters
MOST = 500  # notes


class NoteError(AnalyticsError):
    """A note does not fit, or somebody else changed it meanwhile."""


@dataclass(frozen=True, slots=True)
class Note:
    """One note as it stands in one version.

    Attributes:
        number: of the note, from 1.
        version: of this note, from 1.
        day: local day on which it happened.
        zone: what it is about; empty for the whole shop.
        text: what happened.
        written_us: when this version was written, UTC microseconds.
        gone: it is not drawn any more.
    """

    number: int
    version: int
    day: date
    zone: str
    text: str
    written_us: int
    gone: bool = False

    def __post_init__(self) -> None:
        text = self.text.strip()
        if not text or len(text) > LONGEST or not text.isprintable() or not self.zone.isprintable():
            raise NoteError(f"a note says what happened in 1 to {LONGEST} letters, on one line")


class Notes:
    """The notes of a shop.

    Args:
        state_dir: of the store.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FOLDER / FILE

    def versions(self) -> list[Note]:
        """Return every version of every note, oldest first.

        Raises:
            AnalyticsError: the file cannot be read, or a line of it is damaged.
        """
        return [self._note(line) for line in lines.read(self._path)]

    def shown(self, first: date | None = None, last: date | None = None, zones: Sequence[str] = ()) -> list[Note]:
        """Return the notes as they stand now, by day.

        Args:
            first: local day; None for no limit.
            last: local day; None for no limit.
            zones: those looked at; empty for all. A note about the whole shop is always among them.
        """
        newest = {note.number: note for note in self.versions()}
        return sorted(
            (
                note
                for note in newest.values()
                if not note.gone
                and (first is None or first <= note.day)
                and (last is None or note.day <= last)
                and (not note.zone or not zones or note.zone in zones)
            ),
            key=lambda note: (note.day, note.number),
        )

    def write(self, day: date, text: str, *, now_us: int, zone: str = "") -> Note:
        """Write a new note.

        Raises:
            AnalyticsError: it does not fit, there are too many, or the file cannot be written.
        """

        def make(known: list[lines.Line]) -> dict[str, object]:
            number = max((self._note(line).number for line in known), default=0) + 1
            if number > MOST:
                raise NoteError(f"there are {MOST} notes; forget some of the old ones first")
            return self._line(Note(number, 1, day, zone.strip(), text.strip(), now_us))

        return self._note(lines.append(self._path, make))

    def change(self, note: Note, *, day: date, text: str, zone: str, now_us: int, gone: bool = False) -> Note:
        """Write a new version of a note.

        Args:
            note: as whoever changes it saw it.
            day: local day.
            text: what happened.
            zone: what it is about; empty for the whole shop.
            now_us: UTC microseconds.
            gone: take it off the charts.

        Raises:
            AnalyticsError: it does not fit, somebody else changed it meanwhile, or the file cannot be written.
        """

        def make(known: list[lines.Line]) -> dict[str, object]:
            newest = {n.number: n for n in map(self._note, known)}.get(note.number)
            if newest is None or newest.version != note.version:
                raise NoteError("somebody changed this note meanwhile; look at it again")
            return self._line(Note(note.number, note.version + 1, day, zone.strip(), text.strip(), now_us, gone))

        return self._note(lines.append(self._path, make))

    def forget(self, number: int) -> int:
        """Take every version of a note out of the file, and return how many there were."""
        return lines.rewrite(self._path, lambda line: self._note(line).number != number)

    def _line(self, note: Note) -> dict[str, object]:
        return {**asdict(note), "day": note.day.isoformat()}

    def _note(self, line: lines.Line) -> Note:
        try:
            return Note(
                int(line["number"]),
                int(line["version"]),
                date.fromisoformat(line["day"]),
                str(line["zone"]),
                str(line["text"]),
                int(line["written_us"]),
                bool(line["gone"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise NoteError(f"{self._path} holds a line that is no note; mend it or take it out") from error
