"""The files in `released/`: daily Parquet of cells, the plan of bin lengths, and what is still waited for.

Rules:
- A row, once written, is never changed; a file is replaced as a whole, with old rows copied as they are.
- A file is written beside its place, flushed, and moved: a crash leaves the old one or the new one.
- One process writes here, the keeper; anybody may read.
- A file that is not what was written stops the release before anything is written over it.

    released/everybody-footfall-2026-11-20.parquet      cells that start on that local day
    released/plan.parquet                               how long each zone's bins are, from when
    released/waiting.parquet                            what has no figure yet, and what it takes

Whether a cell may be written is decided in `retention.release`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics.bins import LENGTHS, LONGEST, local
from analytics.figures import Audience, Figure
from retention.model import RetentionError

CELLS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),  # audience.figure
        pa.field("rule", pa.string(), nullable=False),  # version of the counting rules
        pa.field("audience", pa.string(), nullable=False),
        pa.field("figure", pa.string(), nullable=False),
        pa.field("camera", pa.string(), nullable=False),
        pa.field("zone", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("tz", pa.string(), nullable=False),
        pa.field("start_us", pa.int64(), nullable=False),
        pa.field("end_us", pa.int64(), nullable=False),
        pa.field("bin_us", pa.int64(), nullable=False),  # as planned, before merging
        pa.field("k", pa.int32(), nullable=False),  # how many people the cell needed
        pa.field("unit", pa.string(), nullable=False),  # of people: tracks, visitors or visitor_days
        pa.field("suppressed", pa.bool_(), nullable=False),
        pa.field("n", pa.int32()),  # visits, rounded; null where suppressed
        pa.field("people", pa.int32()),  # rounded
        pa.field("counts", pa.list_(pa.int32())),  # rounded; they add up to n
        pa.field("observed_us", pa.int64(), nullable=False),
        pa.field("open_us", pa.int64(), nullable=False),
    ]
)
_LINE = [
    pa.field("audience", pa.string(), nullable=False),
    pa.field("figure", pa.string(), nullable=False),
    pa.field("camera", pa.string(), nullable=False),
    pa.field("zone", pa.string(), nullable=False),
]
PLAN = pa.schema(
    [*_LINE, pa.field("from_us", pa.int64(), nullable=False), pa.field("bin_us", pa.int64(), nullable=False)]
)
WAITING = pa.schema(
    [
        *_LINE,
        pa.field("kind", pa.string(), nullable=False),
        pa.field("tz", pa.string(), nullable=False),
        pa.field("since_us", pa.int64()),  # end of the newest cell; null where there is none
        pa.field("bin_us", pa.int64(), nullable=False),
        pa.field("k", pa.int32(), nullable=False),
        pa.field("now_us", pa.int64(), nullable=False),  # when this was written
    ]
)

Row = dict[str, Any]


class FiguresError(RetentionError):
    """A released file cannot be used."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is not as the keeper wrote it; move it away or restore it from a backup")


class Released:
    """The folder.

    Args:
        folder: `released/` of the state directory; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o750)  # the pages read what is in it; they share the keeper's group
        for orphan in folder.glob(".*.tmp"):
            orphan.unlink()

    def cells(self, columns: Sequence[str] | None = None) -> list[Row]:
        """Return every cell there is, oldest file first.

        Args:
            columns: those wanted, `audience` and `figure` among them; all by default.

        Raises:
            FiguresError: a file is not as it was written; `between`, `append` and `plan` raise it too.
        """
        rows: list[Row] = []
        for path in sorted(self.folder.glob("*-*-????-??-??.parquet")):
            rows += _table(path, CELLS, columns).to_pylist()
        return rows

    def between(self, audience: str, figure: str, start_us: int, end_us: int, tz: str) -> list[Row]:
        """Return the cells of one figure that start on the local days that a stretch of time touches."""
        rows: list[Row] = []
        day, last = local(start_us, tz).date(), local(end_us, tz).date()
        while day <= last:
            path = self.folder / f"{audience}-{figure}-{day.isoformat()}.parquet"
            rows += _table(path, CELLS).to_pylist() if path.exists() else []
            day += timedelta(days=1)
        return rows

    def append(self, name: str, rows: Sequence[Row]) -> list[Row]:
        """Add cells to a daily file, and return those that were not in it yet.

        Args:
            name: `AUDIENCE-FIGURE-DAY`.
            rows: in the form of `CELLS`; one whose id is there already is left as it is.
        """
        path = self.folder / f"{name}.parquet"
        old = _table(path, CELLS) if path.exists() else CELLS.empty_table()
        known = set(old.column("id").to_pylist())
        new = [row for row in rows if row["id"] not in known]
        if new:
            self._write(path, pa.concat_tables([old, pa.Table.from_pylist(new, schema=CELLS)]))
        return new

    def plan(self) -> list[Row]:
        """Return the chosen bin lengths."""
        path = self.folder / "plan.parquet"
        rows: list[Row] = _table(path, PLAN).to_pylist() if path.exists() else []
        if any(row["bin_us"] not in LENGTHS or row["bin_us"] > LONGEST[Audience(row["audience"])] for row in rows):
            raise FiguresError(path)
        return rows

    def write_plan(self, rows: Sequence[Row]) -> None:
        """Write the chosen bin lengths, old ones too."""
        self._write(self.folder / "plan.parquet", pa.Table.from_pylist(list(rows), schema=PLAN))

    def write_waiting(self, rows: Sequence[Row]) -> None:
        """Write what is waited for now."""
        self._write(self.folder / "waiting.parquet", pa.Table.from_pylist(list(rows), schema=WAITING))

    def _write(self, path: Path, table: Any) -> None:
        beside = path.with_name(f".{path.name}.tmp")
        with beside.open("wb") as file:
            beside.chmod(0o640)
            pq.write_table(table, file, compression="none")  # so that a search of the bytes sees what is in it
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _table(path: Path, schema: Any, columns: Sequence[str] | None = None) -> Any:
    """Return what a file holds, of the form it was written in.

    Raises:
        FiguresError: it is broken, or somebody else's.
    """
    data = path.read_bytes() if path.is_file() else b""
    with suppress(pa.ArrowException, ValueError, OSError):  # Arrow says OSError of bytes that make no sense
        parquet = pq.ParquetFile(pa.BufferReader(data))
        if parquet.schema_arrow.equals(schema):
            table = parquet.read(columns and list(columns))
            for name, known in (("audience", Audience), ("figure", Figure)):
                for value in pc.unique(table.column(name)).to_pylist():
                    known(value)
            return table
    raise FiguresError(path)
