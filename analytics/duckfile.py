"""A DuckDB file with one owner, whose tables are declared, and which can be rewritten without its deleted bytes.

Rules:
- One process opens it, under a lock of its own beside the file; what a killed owner left behind is removed first.
- A table, column or index that is not declared stops what would lose it or add to it; deleting goes on.
- Deleted bytes stay in a DuckDB file, after DELETE, CHECKPOINT and VACUUM alike. `rewrite` copies what is left into a
  new file, reads it back from the disk, and puts it in the old one's place in one step.

What the tables mean is not known here.
"""

# ruff: noqa: S608 - table and column names are the owner's declaration; every value is a parameter
from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self

import duckdb

from analytics.model import AnalyticsError

STORAGE_VERSION = "v1.5.0"
_PAGE = 10_000  # rows read at a time


class StoreError(AnalyticsError):
    """The visits cannot be used as asked."""


class StoreBusyError(StoreError):
    """Another process owns the visits."""


class DuckFile:
    """The open file, attached as `visits`.

    Args:
        path: made when missing.
        declared: types of columns by table and column, as DuckDB names them.
        stays_behind: tables whose rows a rewrite does not carry over.
        uncompressed: columns that a scan of the bytes must be able to find.
        nullable: columns that may be NULL.
        later: tables that are made when they are needed, and left out of a copy while they are empty.
        first: statements that fill a new file; `{}` stands for its name.
        threads: that DuckDB may use.
        memory_limit: in DuckDB's words. What exceeds it would go encrypted into `spill/` beside the file; a DuckDB that
            cannot encrypt refuses, and nothing is written in the clear.

    Raises:
        StoreError: another owner runs, or a declared column is missing.
    """

    def __init__(
        self,
        path: Path,
        declared: Mapping[str, Mapping[str, str]],
        *,
        stays_behind: Collection[str] = (),
        uncompressed: Collection[str] = (),
        nullable: Collection[str] = (),
        later: Collection[str] = (),
        first: Sequence[str] = (),
        threads: int = 2,
        memory_limit: str = "512MB",
    ) -> None:
        self.path = path
        self._declared, self._kept = declared, [table for table in declared if table not in stays_behind]
        self._later = frozenset(later)
        self._here: frozenset[str] = frozenset()  # of those, which there are
        self._uncompressed, self._nullable, self._first = uncompressed, nullable, first
        self._spill = path.parent / "spill"
        self._next = path.with_name(path.name + ".next")
        self.spare = path.with_name(path.name + ".next.copy")  # for a backup
        self._lock = _lock(path.with_name(path.name + ".lock"))
        try:
            self._clean()
            # an in-memory database that attaches the file: a second `connect` to a path could see the old inode
            self._db = duckdb.connect(
                config={
                    "threads": threads,
                    "memory_limit": memory_limit,
                    "temp_directory": str(self._spill),
                    "temp_file_encryption": True,
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                    "allow_community_extensions": False,
                }
            )
            self._run("SET TimeZone = 'UTC'")
            if not path.exists():
                self._make(self._next, "next", self._wanted())
                for statement in self._first:
                    self._run(statement.format("next"))
                self._detach("next", self._next)
                self._swap()
            self._attach()
            self.check_schema()
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Close the file and let another keeper in."""
        self._db.close()
        shutil.rmtree(self._spill, ignore_errors=True)
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # the file

    def _clean(self) -> None:
        """Remove what a killed keeper left beside the file."""
        shutil.rmtree(self._spill, ignore_errors=True)
        shutil.rmtree(self.path.with_name(self.path.name + ".tmp"), ignore_errors=True)
        for orphan in self.path.parent.glob(self._next.name + "*"):
            orphan.unlink()

    def _attach(self) -> None:
        self._run(f"ATTACH '{_quoted(self.path)}' AS visits (STORAGE_VERSION '{STORAGE_VERSION}')")

    def _make(self, path: Path, alias: str, tables: Collection[str]) -> None:
        self._run(f"ATTACH '{_quoted(path)}' AS {alias} (STORAGE_VERSION '{STORAGE_VERSION}')")
        with self._transaction():
            for table in tables:
                self._create(alias, table)

    def _create(self, alias: str, table: str) -> None:
        columns = self._declared[table].items()
        lines = ", ".join(f'"{column}" {kind}{self._form(column)}' for column, kind in columns)
        self._run(f"CREATE TABLE IF NOT EXISTS {alias}.{table} ({lines})")

    def _wanted(self) -> list[str]:
        """Return the tables that a file needs which is filled from this one."""
        filled = {t for t in self._here if self._one(f"SELECT EXISTS (FROM visits.{t})")[0]}
        return [table for table in self._declared if table not in self._later or filled]

    def has(self, table: str) -> bool:
        """Say whether a table is there that is made later."""
        return table in self._here

    def _make_later(self) -> None:
        """Make what is made when it is needed."""
        with self._transaction():
            for table in sorted(self._later - self._here):
                self._create("visits", table)
        self._here = self._later

    def _form(self, column: str) -> str:
        null = "" if column in self._nullable else " NOT NULL"
        return f"{null} USING COMPRESSION uncompressed" if column in self._uncompressed else null

    def _detach(self, alias: str, path: Path) -> None:
        """Bring everything into the file itself and let go of it."""
        self._run(f"CHECKPOINT {alias}")
        self._run(f"DETACH {alias}")
        wal = path.with_name(path.name + ".wal")
        if wal.exists():
            raise StoreError(f"{wal.name} did not empty; stop the keeper and start it again")

    def _swap(self) -> None:
        with self._next.open("rb+") as file:
            os.fsync(file.fileno())
        self._next.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def columns(self) -> dict[str, dict[str, str]]:
        """Return what is in the file: types of columns by table and column; of another schema with its name before."""
        sql = (
            "SELECT CASE schema_name WHEN 'main' THEN '' ELSE schema_name || '.' END || table_name, column_name,"
            " data_type FROM duckdb_columns() WHERE database_name = 'visits' AND NOT internal"
            " ORDER BY table_name, column_index"
        )
        found: dict[str, dict[str, str]] = {}
        for table, column, kind in self._all(sql):
            found.setdefault(table, {})[column] = kind
        for table, index in self._all(
            "SELECT table_name, index_name FROM duckdb_indexes() WHERE database_name='visits'"
        ):
            found.setdefault(table, {})[f"index {index}"] = "index"
        return found

    def undeclared(self) -> list[str]:
        """Return the tables, views, columns and indexes that are there and not declared, as `table.column`."""
        return [
            f"{table}.{column}"
            for table, columns in self.columns().items()
            for column in columns
            if column not in self._declared.get(table, {})
        ]

    def check_schema(self) -> None:
        """Find everything that is declared. What is there besides stops whatever would lose it or add to it.

        Raises:
            StoreError: a column is missing, or is of another type.
        """
        found = self.columns()
        self._here = frozenset(table for table in self._later if table in found)
        for table, columns in self._declared.items():
            if table in self._later and table not in found:
                continue
            if any(found.get(table, {}).get(column) != kind for column, kind in columns.items()):
                raise StoreError(f"{self.path.name} lacks columns of {table}: it is of another version of openaisle")

    def _nothing_strange(self) -> None:
        if strange := self.undeclared():
            raise StoreError(f"{self.path.name} holds {strange[0]}, which no retention rule names; name or remove it")

    def rewrite(self, prove: Callable[[Path], None]) -> None:
        """Move everything into a new file, prove it, and put it in the old one's place.

        Args:
            prove: is given the new file, closed, before it replaces the old one; what it raises leaves the old one.

        Raises:
            StoreError: the new file does not hold what the old one did; the old one stays.
        """
        self._run("DETACH DATABASE IF EXISTS next")  # of a copy that failed
        self._clean()
        self.copy(self._next)
        prove(self._next)
        self._detach("visits", self.path)
        try:
            self._swap()
        finally:
            self._attach()
            self._here = frozenset(self.columns().keys() & self._later)

    def copy(self, path: Path) -> None:
        """Write a new file with everything that is in this one, and nothing that was deleted from it.

        Args:
            path: beside this file; one whose name begins like `spare` is removed with the next rewrite or start.

        Raises:
            StoreError: it does not hold what this file does, or this one holds what is not declared and would be lost.
        """
        self._nothing_strange()
        self._run("DETACH DATABASE IF EXISTS next")
        self._run("CHECKPOINT visits")
        if self.path.with_name(self.path.name + ".wal").exists():
            raise StoreError(f"{self.path.name}.wal did not empty; stop the keeper and start it again")
        path.unlink(missing_ok=True)
        try:
            tables = self._wanted()
            kept = [table for table in self._kept if table in tables]
            self._make(path, "next", tables)
            with self._transaction():
                for table in kept:
                    self._run(f"INSERT INTO next.{table} SELECT * FROM visits.{table}")
            self._detach("next", path)
            # read back from the disk: what cannot be decoded must be noticed while the old file is still there
            self._run(f"ATTACH '{_quoted(path)}' AS next (READ_ONLY)")
            broken = [t for t in kept if self._digest("visits", t) != self._digest("next", t)]
            self._run("DETACH next")
            if broken:
                raise StoreError(f"the copy of the visits differs in {broken[0]}; the old file stays, try again")
        except BaseException:
            with suppress(StoreError):  # of a full disk
                self._run("DETACH DATABASE IF EXISTS next")
            for piece in path.parent.glob(path.name + "*"):
                piece.unlink()
            raise

    def _digest(self, alias: str, table: str) -> tuple[Any, ...]:
        return self._one(f"SELECT count(*), bit_xor(hash(t)) FROM {alias}.{table} t")

    # words to DuckDB

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._run("BEGIN")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            self._run("ROLLBACK")
            raise

    def _run(self, sql: str, *args: object) -> duckdb.DuckDBPyConnection:
        try:
            return self._db.execute(sql, args)
        except duckdb.Error as error:
            # DuckDB's own words may repeat a value, and so a pseudonym
            what = type(error).__name__
            raise StoreError(f"{self.path} could not be read or written ({what}); see its disk and memory") from error

    def _stream(self, sql: str, *args: object) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a SELECT, some at a time; whoever stops early closes the iterator."""
        cursor = self._db.cursor()
        try:
            cursor.execute(sql, args)
            while rows := cursor.fetchmany(_PAGE):
                yield from rows
        except duckdb.Error as error:
            what = type(error).__name__
            raise StoreError(f"{self.path} could not be read or written ({what}); see its disk and memory") from error
        finally:
            cursor.close()

    def _all(self, sql: str, *args: object) -> list[Any]:
        return self._run(sql, *args).fetchall()

    def _one(self, sql: str, *args: object) -> tuple[Any, ...]:
        return self._all(sql, *args)[0]  # type: ignore[no-any-return]


def _lock(path: Path) -> IO[bytes]:
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise StoreBusyError(f"another keeper works in {path.parent}; one is enough") from error
    return file


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
