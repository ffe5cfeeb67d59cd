"""The keeper's file `visits.duckdb`: zone visits of consenting shoppers, one table a purpose, and their expression.

Rules:
- One process opens it, the keeper, under a lock of its own beside the file.
- The tables are made from `DECLARED`; while a table or column is there that is not declared, nothing is loaded and
  nothing rewritten, and only deleting goes on.
- The tables of expression are made with the first row of it, and go with the first rewriting that finds them empty: a
  shop below level `emotion` has none.
- A row that is due and on hold is set apart in a table of its own: nothing reads it there but what erases it.
- Rows and the inbox number they came with are one transaction, so that loading again loads nothing twice.
- Deleted bytes stay in a DuckDB file; `rewrite` moves what is left into a new file and replaces the old one.
- Reasons are numbers and a pseudonym is stored uncompressed, so that a scan of the bytes can find what is there.

Who may be in it, and until when, is decided in `retention`; nothing here knows a subject, a key or a consent.
"""

# ruff: noqa: S608 - table and column names come from DECLARED and PURPOSES; every value is a parameter
from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from analytics.decision import Outcome
from analytics.duckfile import STORAGE_VERSION, DuckFile, StoreError
from analytics.model import EndReason, StartReason
from analytics.row import ExpressionRow, VisitRow
from analytics.zones import ZoneKind
from consent.events import Purpose

__all__ = [
    "DECLARED",
    "KEPT",
    "LATER",
    "PURPOSES",
    "STORAGE_VERSION",
    "Cover",
    "Held",
    "NewExpression",
    "NewVisit",
    "StoreError",
    "Visits",
    "day_of",
]

PURPOSES = (Purpose.DWELL, Purpose.REPEAT)  # of visits; each has a table of its own name
KEPT = (*PURPOSES, Purpose.EMOTION)  # whatever has a table of its own name

# what a number in the columns start_reason, end_reason and outcomes means; numbers are never used again
START_CODES = {StartReason.CROSSED: 0, StartReason.APPEARED: 1, StartReason.CONSENT: 2, StartReason.SPLIT: 3}
END_CODES = {EndReason.CROSSED: 0, EndReason.LOST: 1, EndReason.BLIND: 2, EndReason.OPT_OUT: 3}
OUTCOME_CODES = {Outcome.TAKE: 0, Outcome.PUT_BACK: 1, Outcome.NO_TOUCH: 2, Outcome.LOST: 3}
_STARTS = {code: reason for reason, code in START_CODES.items()}
_ENDS = {code: reason for reason, code in END_CODES.items()}
_OUTCOMES = {code: outcome for outcome, code in OUTCOME_CODES.items()}
# in the order in which `_row` takes them
_READ = (
    'camera, name, epoch_us(enter), epoch_us("leave"), start_reason, end_reason, stopped_us, decisions, undecided,'
    " poses, outcomes"
)

_VISIT = {
    "visitor": "UBIGINT",  # 64 bits of a keyed hash: of the day, or constant in `repeat`
    "zone": "SMALLINT",  # see `zones`
    "enter": "TIMESTAMP",  # UTC
    "leave": "TIMESTAMP",  # UTC
    "censored": "BOOLEAN",  # the end was not seen
    "start_reason": "UTINYINT",  # see START_CODES
    "end_reason": "UTINYINT",  # see END_CODES
    "stopped_us": "BIGINT",  # length of all stops inside
    "decisions": "BIGINT[]",  # decision_box of each deliberation inside, microseconds
    "undecided": "BOOLEAN",  # the end of the last of them was not seen
    "poses": "BIGINT[]",  # decision_pose of those deliberations that have one, microseconds
    "outcomes": "UTINYINT[]",  # what came of each of these, see OUTCOME_CODES
    "day": "DATE",  # of `enter`, in the store's time zone
}
_EXPRESSION = {
    **{column: _VISIT[column] for column in ("visitor", "zone", "enter", "leave")},
    "samples": "BIGINT",  # looks
    "shares": "USMALLINT[]",  # of them, in thousandths, as `analytics.row.CLASSES` numbers them
    "day": _VISIT["day"],
}
DECLARED: dict[str, dict[str, str]] = {
    **{purpose.value: _VISIT for purpose in PURPOSES},
    Purpose.EMOTION.value: _EXPRESSION,
    "zones": {"id": "SMALLINT", "camera": "VARCHAR", "name": "VARCHAR", "kind": "VARCHAR"},
    "loaded": {"inbox": "BIGINT"},  # number of the newest inbox row that was dealt with
    "erasing": {"visitor": "UBIGINT"},  # deleted, and its bytes not yet gone
    # rows deleted under an erasure that is not yet logged
    "erasures": {"request": "BIGINT", "purpose": "VARCHAR", "deleted": "BIGINT"},
    "held": {"purpose": "VARCHAR", **_VISIT},  # due, and kept by an officer's hold
    "held_emotion": {"purpose": "VARCHAR", **_EXPRESSION},
}
LATER = frozenset({Purpose.EMOTION.value, "held_emotion"})  # made when they are needed
_APART = {**dict.fromkeys(PURPOSES, "held"), Purpose.EMOTION: "held_emotion"}  # where a purpose's held rows are
_STAYS_BEHIND = frozenset({"erasing"})  # a rewrite does not carry it over

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NewVisit:
    """One row to load: a visit under a pseudonym, for one purpose, with its store-local day."""

    purpose: Purpose
    visitor: int
    day: date
    row: VisitRow


@dataclass(frozen=True, slots=True)
class NewExpression:
    """One row to load: the shares of expressions of a visit, under a pseudonym of its own, with its store-local day."""

    visitor: int
    day: date
    row: ExpressionRow


@dataclass(frozen=True, slots=True)
class Cover:
    """What one live grant covers: rows of a pseudonym that lie between two instants (UTC microseconds)."""

    purpose: Purpose
    visitor: int
    since_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class Held:
    """What a hold keeps: rows of a purpose that began on store-local days from first to last."""

    purpose: Purpose
    first: date
    last: date


class Visits(DuckFile):
    """The open visits.

    Args:
        path: `visits.duckdb`; made when missing.
        threads: that DuckDB may use.
        memory_limit: see `DuckFile`.

    Raises:
        StoreError: another keeper runs, or a declared column is missing.
    """

    def __init__(self, path: Path, *, threads: int = 2, memory_limit: str = "512MB") -> None:
        super().__init__(
            path,
            DECLARED,
            stays_behind=_STAYS_BEHIND,
            uncompressed=frozenset({"visitor"}),
            nullable=frozenset({"kind"}),  # unknown where store.toml no longer names the zone
            later=LATER,
            first=("INSERT INTO {}.loaded VALUES (0)",),
            threads=threads,
            memory_limit=memory_limit,
        )

    # loading

    @property
    def mark(self) -> int:
        """Number of the newest inbox row that was dealt with."""
        return int(self._one("SELECT inbox FROM visits.loaded")[0])

    def load(
        self,
        rows: Sequence[NewVisit],
        mark: int,
        kinds: Mapping[tuple[str, str], ZoneKind] | None = None,
        expressions: Sequence[NewExpression] = (),
    ) -> None:
        """Insert rows and move the mark, in one transaction.

        Args:
            rows: of inbox rows above the present mark.
            mark: number of the newest inbox row they came from.
            kinds: what kind of zone (camera, name) is, as store.toml has it.
            expressions: rows of expression among those inbox rows.

        Raises:
            StoreError: the mark would move back, or the file holds what is not declared.
        """
        self._nothing_strange()
        if expressions:
            self._make_later()
        with self._transaction():
            if mark < self.mark:
                raise StoreError("inbox rows that were loaded already cannot be loaded again")
            named = {(n.row.camera, n.row.zone) for n in rows} | {(n.row.camera, n.row.zone) for n in expressions}
            zones = self._zones(named, kinds or {})
            for purpose in PURPOSES:
                chosen = [n for n in rows if n.purpose is purpose]
                if not chosen:
                    continue
                columns: dict[str, list[Any]] = {
                    "visitor": [n.visitor for n in chosen],
                    "zone": [zones[n.row.camera, n.row.zone] for n in chosen],
                    "enter": [n.row.enter_us for n in chosen],
                    "leave": [n.row.leave_us for n in chosen],
                    "censored": [n.row.censored for n in chosen],
                    "start_reason": [START_CODES[n.row.start] for n in chosen],
                    "end_reason": [END_CODES[n.row.end] for n in chosen],
                    "stopped_us": [n.row.stopped_us for n in chosen],
                    "decisions": [list(n.row.decisions) for n in chosen],
                    "undecided": [n.row.undecided for n in chosen],
                    "poses": [list(n.row.poses) for n in chosen],
                    "outcomes": [[OUTCOME_CODES[o] for o in n.row.outcomes] for n in chosen],
                    "day": [n.day for n in chosen],
                }
                self._insert(f"visits.{purpose.value}", _VISIT, columns)
            if expressions:
                self._insert(
                    f"visits.{Purpose.EMOTION.value}",
                    _EXPRESSION,
                    {
                        "visitor": [n.visitor for n in expressions],
                        "zone": [zones[n.row.camera, n.row.zone] for n in expressions],
                        "enter": [n.row.enter_us for n in expressions],
                        "leave": [n.row.leave_us for n in expressions],
                        "samples": [n.row.samples for n in expressions],
                        "shares": [list(n.row.shares) for n in expressions],
                        "day": [n.day for n in expressions],
                    },
                )
            self._run("UPDATE visits.loaded SET inbox = ?", mark)

    def _zones(
        self, wanted: set[tuple[str, str]], kinds: Mapping[tuple[str, str], ZoneKind]
    ) -> dict[tuple[str, str], int]:
        known = {(camera, name): int(i) for i, camera, name in self._all("SELECT id, camera, name FROM visits.zones")}
        for camera, name in sorted(wanted - set(known)):
            known[camera, name] = max(known.values(), default=0) + 1
            kind = kinds.get((camera, name))
            row = (known[camera, name], camera, name, None if kind is None else kind.value)
            self._run("INSERT INTO visits.zones VALUES (?, ?, ?, ?)", *row)
        return known

    def _insert(self, table: str, types: Mapping[str, str], columns: Mapping[str, list[Any]]) -> None:
        parts = [
            "make_timestamp(unnest(?::BIGINT[]))" if t == "TIMESTAMP" else f"unnest(?::{t}[])" for t in types.values()
        ]
        self._run(f"INSERT INTO {table} SELECT {', '.join(parts)}", *(columns[c] for c in types))

    # reading

    def count(self, purpose: Purpose) -> int:
        """Return the number of rows held for a purpose."""
        if purpose not in self._kept_now():
            return 0
        return int(self._one(f"SELECT count(*) FROM visits.{purpose.value}")[0])

    def _kept_now(self) -> tuple[Purpose, ...]:
        """Return the purposes whose tables are there."""
        return tuple(p for p in KEPT if p.value not in LATER or self.has(p.value))

    def _held_now(self) -> dict[str, tuple[Purpose, ...]]:
        """Return the tables of rows that were set apart, with the purposes of what is in them."""
        here = self._kept_now()
        return {table: tuple(p for p in here if _APART[p] == table) for table in sorted({_APART[p] for p in here})}

    def days(self, purpose: Purpose) -> list[date]:
        """Return the store-local days on which there are rows for a purpose."""
        if purpose not in self._kept_now():
            return []
        return [day for (day,) in self._all(f"SELECT DISTINCT day FROM visits.{purpose.value} ORDER BY day")]

    def read(
        self,
        purpose: Purpose,
        *,
        since_us: int = 0,
        until_us: int = 2**53 - 1,
        zone: tuple[str, str] | None = None,
    ) -> Iterator[NewVisit]:
        """Yield the rows of a purpose that were entered in a stretch; inside this process only.

        Args:
            purpose: whose table.
            since_us: first instant of the stretch.
            until_us: first instant after it.
            zone: of this camera and name, in any order; of every zone and oldest first by default.
        """
        narrowed = " AND camera = ? AND name = ?" if zone else " ORDER BY enter, visitor"  # many are not sorted
        more: tuple[str, ...] = zone or ()
        sql = (
            f"SELECT visitor, day, {_READ} FROM visits.{purpose.value} JOIN visits.zones ON zone = id"
            f" WHERE enter >= make_timestamp(?) AND enter < make_timestamp(?){narrowed}"
        )
        for visitor, day, *columns in self._stream(sql, since_us, until_us, *more):
            yield NewVisit(purpose, visitor, day, _row(columns))

    def read_expression(self, *, since_us: int = 0, zone: tuple[str, str] | None = None) -> Iterator[NewExpression]:
        """Yield the rows of expression that were entered from an instant on, of one zone or of all; see `read`."""
        if Purpose.EMOTION not in self._kept_now():
            return
        narrowed = " AND camera = ? AND name = ?" if zone else " ORDER BY enter, visitor"
        more: tuple[str, ...] = zone or ()
        sql = (
            'SELECT visitor, camera, name, epoch_us(enter), epoch_us("leave"), samples, shares, day'
            f" FROM visits.emotion JOIN visits.zones ON zone = id WHERE enter >= make_timestamp(?){narrowed}"
        )
        for visitor, camera, name, enter, leave, samples, shares, day in self._stream(sql, since_us, *more):
            yield NewExpression(visitor, day, ExpressionRow(camera, name, enter, leave, samples, tuple(shares)))

    def first_ends(self, purpose: Purpose) -> dict[tuple[str, str], int]:
        """Return when the oldest row of each zone (camera, name) ended, UTC microseconds."""
        if purpose not in self._kept_now():
            return {}
        sql = (
            f'SELECT camera, name, epoch_us(min("leave")) FROM visits.{purpose.value} JOIN visits.zones ON zone = id'
            " GROUP BY camera, name"
        )
        return {(camera, name): int(end) for camera, name, end in self._all(sql)}

    def of(self, pseudonyms: Mapping[Purpose, Collection[int]]) -> list[tuple[NewVisit, bool]]:
        """Return every row under the pseudonyms, each with whether it is held; inside this process only."""
        found = []
        for purpose, visitors in pseudonyms.items():
            if purpose not in PURPOSES:
                continue
            for table, mine in ((purpose.value, ""), ("held", f" AND purpose = '{purpose.value}'")):
                sql = (
                    f"SELECT visitor, day, {_READ} FROM visits.{table} JOIN visits.zones ON zone = id"
                    f" WHERE visitor IN (SELECT unnest(?::UBIGINT[])){mine} ORDER BY enter"
                )
                for visitor, day, *columns in self._all(sql, list(visitors)):
                    found.append((NewVisit(purpose, visitor, day, _row(columns)), table == "held"))
        return found

    def expression_of(self, visitors: Collection[int]) -> list[tuple[NewExpression, bool]]:
        """Return every row of expression under the pseudonyms, each with whether it is held; see `of`."""
        if Purpose.EMOTION not in self._kept_now():
            return []
        found = []
        for table in (Purpose.EMOTION.value, _APART[Purpose.EMOTION]):
            sql = (
                'SELECT visitor, camera, name, epoch_us(enter), epoch_us("leave"), samples, shares, day'
                f" FROM visits.{table} JOIN visits.zones ON zone = id"
                " WHERE visitor IN (SELECT unnest(?::UBIGINT[])) ORDER BY enter"
            )
            for visitor, camera, zone, enter, leave, samples, shares, day in self._all(sql, list(visitors)):
                row = ExpressionRow(camera, zone, enter, leave, samples, tuple(shares))
                found.append((NewExpression(visitor, day, row), table != Purpose.EMOTION.value))
        return found

    # erasing

    def due(
        self,
        covers: Sequence[Cover],
        oldest_us: Mapping[Purpose, int],
        *,
        among: Mapping[Purpose, Sequence[int]] | None = None,
        held: Sequence[Held] = (),
    ) -> int:
        """Return how many rows no cover holds or are older than their purpose allows, and no hold keeps.

        Args:
            covers: everything that live grants cover.
            oldest_us: of each purpose, the instant at which rows that ended then are too old.
            among: look at the rows of these pseudonyms only, each with all its covers; at all of them by default.
            held: what must stay.
        """
        self._doom(covers, oldest_us, among, held)
        return int(self._one("SELECT count(*) FROM doomed WHERE NOT held")[0])

    def set_apart(
        self,
        covers: Sequence[Cover],
        oldest_us: Mapping[Purpose, int],
        held: Sequence[Held],
        *,
        among: Mapping[Purpose, Sequence[int]] | None = None,
    ) -> int:
        """Move rows that are due and on hold where nothing reads them, and return how many; see `due`."""
        if not held:
            return 0
        self._doom(covers, oldest_us, among, held)
        with self._transaction():
            for p in self._kept_now():
                columns = ", ".join(f'"{column}"' for column in DECLARED[p.value])
                places = f"(SELECT place FROM doomed WHERE source = '{p.value}' AND held)"
                self._run(
                    f"INSERT INTO visits.{_APART[p]} (purpose, {columns}) SELECT '{p.value}', {columns}"
                    f" FROM visits.{p.value} WHERE rowid IN {places}"
                )
                self._run(f"DELETE FROM visits.{p.value} WHERE rowid IN {places}")
        return int(self._one("SELECT count(*) FROM doomed WHERE held AND NOT starts_with(source, 'held')")[0])

    def delete(
        self,
        covers: Sequence[Cover],
        oldest_us: Mapping[Purpose, int],
        request: int,
        *,
        among: Mapping[Purpose, Sequence[int]] | None = None,
        held: Sequence[Held] = (),
    ) -> int:
        """Delete what `due` counts, and remember in the same transaction whose bytes must still go, and how many rows.

        Args:
            covers: see `due`.
            oldest_us: see `due`.
            request: number of the erasure, for `deleted`.
            among: see `due`.
            held: see `due`.
        """
        self._doom(covers, oldest_us, among, held)
        with self._transaction():
            for source in (*(p.value for p in self._kept_now()), *self._held_now()):
                places = f"(SELECT place FROM doomed WHERE source = '{source}' AND NOT held)"
                self._run(f"DELETE FROM visits.{source} WHERE rowid IN {places}")
            self._run("INSERT INTO visits.erasing SELECT DISTINCT visitor FROM doomed WHERE NOT held")
            for source in (*(p.value for p in self._kept_now()), *self._held_now()):
                # a pseudonym with other rows stays there rightly
                stays = f"SELECT DISTINCT v.visitor FROM visits.{source} v SEMI JOIN visits.erasing e USING (visitor)"
                self._run(f"DELETE FROM visits.erasing WHERE visitor IN ({stays})")
            self._run(
                "INSERT INTO visits.erasures SELECT ?, purpose, count(*) FROM doomed WHERE NOT held GROUP BY purpose",
                request,
            )
        return int(self._one("SELECT count(*) FROM doomed WHERE NOT held")[0])

    def _doom(
        self,
        covers: Sequence[Cover],
        oldest_us: Mapping[Purpose, int],
        among: Mapping[Purpose, Sequence[int]] | None,
        held: Sequence[Held],
    ) -> None:
        """Find what is due: by the one rule, when no live grant covers a row or its term is over."""
        types = {"purpose": "VARCHAR", "visitor": "UBIGINT", "since": "TIMESTAMP", "until": "TIMESTAMP"}
        types["oldest"] = "TIMESTAMP"
        columns = ", ".join(f"{c} {t}" for c, t in types.items())
        self._run(f"CREATE OR REPLACE TEMP TABLE covered ({columns})")
        values: dict[str, list[Any]] = {
            "purpose": [c.purpose.value for c in covers],
            "visitor": [c.visitor for c in covers],
            "since": [c.since_us for c in covers],
            "until": [c.until_us for c in covers],
            "oldest": [oldest_us[c.purpose] for c in covers],
        }
        self._insert("covered", types, values)
        self._run(
            "CREATE OR REPLACE TEMP TABLE doomed"
            " (source VARCHAR, purpose VARCHAR, place BIGINT, visitor UBIGINT, held BOOLEAN)"
        )
        for p in self._kept_now():
            kept, days = _kept(p, held)
            chosen = "" if among is None else " AND v.visitor IN (SELECT unnest(?::UBIGINT[]))"
            wanted = [] if among is None else [list(among.get(p, ()))]
            # an anti join keeps the few covers in memory; NOT EXISTS would keep the many rows
            self._run(
                f"INSERT INTO doomed SELECT '{p.value}', '{p.value}', v.rowid, v.visitor, {kept}"
                f" FROM visits.{p.value} v"
                f" ANTI JOIN (SELECT * FROM covered WHERE purpose = '{p.value}') c ON v.visitor = c.visitor"
                ' AND v.enter >= c.since AND v."leave" <= c.until AND v."leave" > c.oldest'
                f" WHERE true{chosen}",
                *(*days, *wanted),
            )
            self._run(
                f"INSERT INTO doomed SELECT '{_APART[p]}', v.purpose, v.rowid, v.visitor, {kept}"
                f" FROM visits.{_APART[p]} v"
                f" WHERE v.purpose = '{p.value}'",
                *days,
            )

    def due_by_day(
        self, covers: Sequence[Cover], oldest_us: Mapping[Purpose, int], *, held: Sequence[Held] = ()
    ) -> list[tuple[Purpose, date, bool, bool, int]]:
        """Return purpose, store-local day, on hold, past its term, and number of rows, of what is due or set apart."""
        self._doom(covers, oldest_us, None, held)
        found: list[tuple[Purpose, date, bool, bool, int]] = []
        here = self._kept_now()
        for source, purpose in [*((p.value, p) for p in here), *((_APART[p], p) for p in here)]:
            sql = (
                f'SELECT v.day, d.held, v."leave" <= make_timestamp(?) AS late, count(*) FROM visits.{source} v'
                f" JOIN doomed d ON d.place = v.rowid AND d.source = '{source}' AND d.purpose = '{purpose.value}'"
                " GROUP BY ALL ORDER BY ALL"
            )
            found += [(purpose, day, kept, over, n) for day, kept, over, n in self._all(sql, oldest_us[purpose])]
        return found

    def due_later(self, covers: Sequence[Cover], days: Mapping[Purpose, int]) -> list[tuple[Purpose, date, bool, int]]:
        """Return purpose, UTC day on which rows become due, whether by their own term, and how many.

        Args:
            covers: everything that live grants cover.
            days: terms.
        """
        self._doom(covers, dict.fromkeys(KEPT, 0), None, ())
        found: list[tuple[Purpose, date, bool, int]] = []
        for p in self._kept_now():
            term = f'v."leave" + INTERVAL {int(days[p])} DAY'
            sql = (
                f"SELECT least({term}, c.until)::DATE AS d, {term} < c.until AS own, count(*) FROM visits.{p.value} v"
                f" JOIN covered c ON c.purpose = '{p.value}' AND v.visitor = c.visitor AND v.enter >= c.since"
                ' AND v."leave" <= c.until GROUP BY ALL ORDER BY ALL'
            )
            found += [(p, day, own, n) for day, own, n in self._all(sql)]
        return found

    def oldest(self) -> dict[str, int]:
        """Return the first instant of the oldest row by table, UTC microseconds; tables without one are not in it."""
        found = {}
        for table in (*(p.value for p in self._kept_now()), *self._held_now()):
            ((instant,),) = self._all(f"SELECT epoch_us(min(enter)) FROM visits.{table}")
            if instant is not None:
                found[table] = int(instant)
        return found

    def held(self) -> set[tuple[Purpose, int, date]]:
        """Return purpose, pseudonym and day of the rows that were set apart."""
        return {
            (Purpose(p), v, day)
            for table in self._held_now()
            for p, v, day in self._all(f"SELECT DISTINCT purpose, visitor, day FROM visits.{table}")
        }

    def sample(self) -> list[int]:
        """Return one pseudonym that is in the file rightly, none where it is empty."""
        tables = [p.value for p in self._kept_now()]
        parts = " UNION ALL ".join(f"(SELECT visitor FROM visits.{table} LIMIT 1)" for table in tables)  # of one block
        return [visitor for (visitor,) in self._all(f"SELECT visitor FROM ({parts}) LIMIT 1")]

    def erasing(self) -> list[int]:
        """Return the pseudonyms that were deleted and whose bytes are still in the file."""
        return [visitor for (visitor,) in self._all("SELECT DISTINCT visitor FROM visits.erasing")]

    def deleted(self, request: int) -> int:
        """Return how many rows were deleted under an erasure that is not settled."""
        return sum(self.deleted_by(request).values())

    def deleted_by(self, request: int) -> dict[str, int]:
        """Return the same by purpose."""
        sql = "SELECT purpose, sum(deleted) FROM visits.erasures WHERE request = ? GROUP BY purpose ORDER BY purpose"
        return {purpose: int(rows) for purpose, rows in self._all(sql, request)}

    def settle(self, request: int) -> None:
        """Forget the count of an erasure, once it is logged."""
        self._run("DELETE FROM visits.erasures WHERE request = ?", request)


def _kept(purpose: Purpose, held: Sequence[Held]) -> tuple[str, list[date]]:
    """Return the words that say whether a row `v` is on hold, and their values."""
    mine = [h for h in held if h.purpose is purpose]
    words = " OR ".join("v.day BETWEEN ? AND ?" for _ in mine) or "false"
    return f"({words})", [day for h in mine for day in (h.first, h.last)]


def day_of(t_us: int, zone: Any) -> date:
    """Return the store-local day of an instant (UTC microseconds)."""
    return (_EPOCH + timedelta(microseconds=t_us)).astimezone(zone).date()


def _row(columns: Sequence[Any]) -> VisitRow:
    camera, zone, enter, leave, start, end, stopped, decisions, undecided, poses, outcomes = columns
    return VisitRow(
        camera,
        zone,
        enter,
        leave,
        _STARTS[start],
        _ENDS[end],
        stopped,
        tuple(decisions),
        undecided,
        tuple(poses),
        tuple(_OUTCOMES[code] for code in outcomes),
    )
