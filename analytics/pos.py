"""Receipts of the tills, from a CSV file: sums an hour and till, and of a receipt nothing stays.

Rules:
- Of each line five cells are read: which receipt, when, which till, how many items, how much. Whatever else stands
  there (gender, customer type, names, cards, ratings) is dropped with the line, and no message repeats a cell of it.
- A receipt's number serves to put its lines together, in memory. It is neither written nor hashed onto a disk.
- Sums leave as cells of five receipts or more: hours of fewer are put together, and a day of fewer is suppressed.
- A day of a till is taken once and whole: only days that are over, and none that was taken before. So the same file
  twice changes nothing, and nobody needs to remember a receipt for that.
- A file that does not fit is refused as a whole, in one line that says where; nothing of it is taken.

The cells go through the inbox to the keeper, which rounds and releases them as it does those of the cameras.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Final
from zoneinfo import ZoneInfo

from analytics.bins import DAY, HOUR, bin_of, day_of, local
from analytics.figures import Audience, Figure, least
from analytics.model import SECOND, AnalyticsError
from analytics.payload import CellError, CellPayload
from analytics.report import Report
from analytics.state import State
from analytics.zones import ZoneKind
from consent.ledger import Ledger

CAMERA: Final = "tills"  # stands where a camera's name does in the cells of the cameras
LONGEST: Final = 64_000_000  # bytes of a file
MOST: Final = 2_000_000  # lines of it
_KNOWN = {  # names a column may have, in small letters
    "receipt": ("invoice id", "receipt id", "receipt", "invoice", "transaction id", "id"),
    "till": ("till", "register", "pos", "terminal", "branch"),
    "items": ("quantity", "items", "qty"),
    "amount": ("total", "amount"),
    "date": ("date", "day"),
    "time": ("time",),
}
DATES = {"iso": "%Y-%m-%d", "mdy": "%m/%d/%Y", "dmy": "%d/%m/%Y", "dotted": "%d.%m.%Y"}
_TIMES = ("%H:%M:%S", "%H:%M")
_YEARS = range(2000, 2100)
_MOST_ITEMS, _MOST_AMOUNT = 100_000, Decimal(10_000_000)  # of one line; beyond it a column was taken for another
_LONGEST_TILL = 64


class ReceiptsError(AnalyticsError):
    """A file of receipts that cannot be taken, with where and what to do."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One receipt, in memory, without its number.

    Attributes:
        at_us: when, UTC microseconds.
        till: at which.
        items: how many.
        amount: how much, in the shop's money.
    """

    at_us: int
    till: str
    items: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Taken:
    """What an import did, in numbers.

    Attributes:
        receipts: that were taken.
        cells: of sums handed to the keeper, suppressed ones among them.
        days: of which.
        refunds: receipts of no or negative amount, which are no sale.
        known: receipts of days that were taken before.
        unfinished: receipts of days that are not over.
    """

    receipts: int = 0
    cells: int = 0
    days: int = 0
    refunds: int = 0
    known: int = 0
    unfinished: int = 0

    def __str__(self) -> str:
        rest = [
            f"{n:,} {why}"
            for n, why in (
                (self.refunds, "refunds left out"),
                (self.known, "of days taken before left out"),
                (self.unfinished, "of days that are not over left out"),
            )
            if n
        ]
        return "; ".join([f"took {self.receipts:,} receipts of {self.days} days as {self.cells} sums", *rest])


def take(state: State, ledger: Ledger, data: bytes, *, now_us: int, dates: str | None = None) -> Taken:
    """Read a file and hand its sums to the keeper.

    Args:
        state: the shop.
        ledger: open, as anybody who may write into the inbox.
        data: the CSV.
        now_us: UTC microseconds.
        dates: a key of `DATES`, where they can be read in two ways.

    Raises:
        ReceiptsError: the file does not fit; nothing is taken.
    """
    tz = state.store.store.timezone
    found, refunds = read(data, tz, dates=dates)
    before = _taken(state, ledger, {local(one.at_us, tz).date() for one in found})
    today = day_of(now_us, tz)[0]
    fresh = [one for one in found if one.at_us < today]
    new = [one for one in fresh if (one.till, local(one.at_us, tz).date()) not in before]
    made = cells(new, tz, state.store.opening)
    hand_over(ledger, made, now_us)
    days = {local(one.at_us, tz).date() for one in new}
    return Taken(len(new), len(made), len(days), refunds, len(fresh) - len(new), len(found) - len(fresh))


def hand_over(ledger: Ledger, made: Iterable[CellPayload], now_us: int) -> None:
    """Give sums to the keeper."""
    for cell in made:
        ledger.write_inbox("cells", None, cell.to_bytes(), now_us=now_us, visit_end_us=cell.end_us)


def _taken(state: State, ledger: Ledger, days: Collection[date]) -> set[tuple[str, date]]:
    """Return the tills and days of which there are sums, released or on their way."""
    if not days:
        return set()
    tz, found = state.store.store.timezone, set()
    with closing(Report(state.released)) as report:
        for cell in report.cells(Figure.SALES, min(days), max(days)):
            found.add((cell.zone, local(cell.start_us, tz).date()))
    after = 0
    while page := ledger.read_inbox(after):
        after = page[-1].id
        for row in page:
            try:
                waiting = CellPayload.from_bytes(row.payload) if row.subject is None else None
            except CellError:
                continue  # the keeper says so
            if waiting is not None and waiting.figure is Figure.SALES:
                found.add((waiting.zone, local(waiting.start_us, tz).date()))
    return found


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    receipt: str
    till: str
    items: int
    amount: Decimal
    day: str
    clock: time


def read(data: bytes, tz: str, *, dates: str | None = None) -> tuple[list[Receipt], int]:
    """Return the receipts of a file, and how many were refunds.

    Lines of one number are one receipt; a line that stands in the file twice counts once.

    Args:
        data: the CSV, in UTF-8.
        tz: IANA name of the zone in which its times are meant.
        dates: a key of `DATES`; without it the file must leave no doubt.

    Raises:
        ReceiptsError: it is no such file.
    """
    if len(data) > LONGEST:
        raise ReceiptsError(f"the file is larger than {LONGEST // 1_000_000} MB; import it month by month")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReceiptsError("the file is not text in UTF-8; export it as CSV in UTF-8") from error
    lines = list(dict.fromkeys(_lines(text)))
    form = _form({line.day for line in lines}, dates)
    receipts: dict[tuple[str, str], list[_Line]] = {}
    for line in lines:
        receipts.setdefault((line.receipt, line.till), []).append(line)
    zone, found, refunds = ZoneInfo(tz), [], 0
    for parts in receipts.values():
        amount = sum((part.amount for part in parts), Decimal())
        if amount <= 0:
            refunds += 1
            continue
        first = parts[0]
        when = datetime.combine(datetime.strptime(first.day, form).date(), first.clock, tzinfo=zone)
        found.append(Receipt(round(when.timestamp()) * SECOND, first.till, sum(p.items for p in parts), amount))
    return found, refunds


def _lines(text: str) -> Iterator[_Line]:
    """Yield what is wanted of each line; the rest of it is dropped here."""
    try:
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        head = [name.strip().lower() for name in next(rows, [])]
        place = {what: next((head.index(n) for n in names if n in head), None) for what, names in _KNOWN.items()}
        for what, at in place.items():
            if at is None and what != "till":  # a shop of one till need not name it
                raise ReceiptsError(f"the file has no column for {what}; name it {_KNOWN[what][0]!r} in the first line")
        for count, row in enumerate(rows):
            if not any(row):
                continue
            if count >= MOST:
                raise ReceiptsError(f"the file has more than {MOST:,} lines; import it month by month")
            cell = {what: row[at].strip() if at < len(row) else "" for what, at in place.items() if at is not None}
            yield _line(cell, rows.line_num)
    except csv.Error as error:
        raise ReceiptsError(f"the file is not CSV ({error}); export it again") from error


def _line(cell: dict[str, str], number: int) -> _Line:
    def wrong(what: str, wanted: str) -> ReceiptsError:
        return ReceiptsError(f"line {number}: {what} cannot be read; {wanted}")

    till = cell.get("till", "till")
    if not cell["receipt"]:
        raise wrong("the receipt's number", "every line names its receipt")
    if not 0 < len(till) <= _LONGEST_TILL or set("<>") & set(till) or not till.isprintable():
        raise wrong("the till", f"give it a name of 1 to {_LONGEST_TILL} letters, without < and >")
    try:
        items, amount = Decimal(cell["items"]), Decimal(cell["amount"])
    except InvalidOperation as error:
        raise wrong("items or amount", "write numbers like 3 and 19.90") from error
    if not items.is_finite() or abs(items) > _MOST_ITEMS:
        raise wrong("items", f"give a number up to {_MOST_ITEMS:,}")
    if not amount.is_finite() or abs(amount) > _MOST_AMOUNT:
        raise wrong("the amount", f"give a number up to {_MOST_AMOUNT:,}")
    for form in _TIMES:
        try:
            clock = datetime.strptime(cell["time"], form).time()
        except ValueError:
            continue
        return _Line(cell["receipt"], till, max(0, math.ceil(items)), amount, cell["date"], clock)
    raise wrong("the time", "write 15:04 or 15:04:30")


def _form(days: Collection[str], dates: str | None) -> str:
    """Return the one form in which every date of a file can be read."""
    if dates is not None and dates not in DATES:
        raise ReceiptsError(f"{dates!r} is no order of dates; choose from {', '.join(DATES)}")
    fits = [name for name, form in DATES.items() if dates in (None, name) and all(_is(day, form) for day in days)]
    if not fits:
        raise ReceiptsError(
            "a date cannot be read; write 2026-11-21 (iso), 11/21/2026 (mdy), 21/11/2026 (dmy) or 21.11.2026 (dotted), "
            "one way in the whole file"
        )
    if days and len(fits) > 1:
        raise ReceiptsError(f"the dates can be read as {' or as '.join(fits)}; say which with --dates")
    return DATES[fits[0]]


def _is(day: str, form: str) -> bool:
    try:
        return datetime.strptime(day, form).year in _YEARS
    except ValueError:
        return False


# --- summing ----------------------------------------------------------------------------------------------------------


def cells(receipts: Iterable[Receipt], tz: str, opening: Callable[[int], tuple[int, int] | None]) -> list[CellPayload]:
    """Return the sums of whole days, an hour and till, each of enough receipts; the rest of a day goes back into them.

    A day of a till begins with the hour in which the shop opens, or in which there is a receipt, if that is earlier.

    Args:
        receipts: of whole days.
        tz: IANA name of the store's time zone.
        opening: gives opening and closing (UTC microseconds) of the local day of an instant.
    """
    days: dict[tuple[int, str], list[Receipt]] = {}
    for one in receipts:
        days.setdefault((day_of(one.at_us, tz)[0], one.till), []).append(one)
    return [
        cell
        for (day_us, till), mine in sorted(days.items())
        for cell in _of_day(till, mine, tz, opening(day_us + DAY // 2))
    ]


def _of_day(till: str, mine: Sequence[Receipt], tz: str, hours: tuple[int, int] | None) -> list[CellPayload]:
    at, last = (f(one.at_us for one in mine) for f in (min, max))
    if hours is not None:
        at, last = min(at, hours[0]), max(last, hours[1] - 1)
    k = least(Audience.EVERYBODY, Figure.SALES)
    full: list[tuple[int, int, list[Receipt]]] = []
    at = begin = bin_of(at, HOUR, tz)[0]
    waiting: list[Receipt] = []
    while at <= last:
        end = bin_of(at, HOUR, tz)[1]
        waiting += [one for one in mine if at <= one.at_us < end]
        if len(waiting) >= k:
            full.append((begin, end, waiting))
            begin, waiting = end, []
        at = end
    if begin < at:
        start, _, before = full.pop() if full else (begin, at, [])
        full.append((start, at, [*before, *waiting]))
    return [_cell(till, start, end, part, tz) for start, end, part in full]


def _cell(till: str, start_us: int, end_us: int, part: Sequence[Receipt], tz: str) -> CellPayload:
    enough = len(part) >= least(Audience.EVERYBODY, Figure.SALES)
    sums = (len(part), sum(one.items for one in part), round(sum((one.amount for one in part), Decimal())))
    name = json.dumps([CAMERA, till, Figure.SALES.value, start_us])
    return CellPayload(
        id=hashlib.sha256(name.encode()).hexdigest()[:32],
        audience=Audience.EVERYBODY,
        figure=Figure.SALES,
        camera=CAMERA,
        zone=till,
        kind=ZoneKind.SERVICE,
        tz=tz,
        start_us=start_us,
        end_us=end_us,
        bin_us=HOUR,
        people=len(part) if enough else 0,
        counts=sums if enough else (),
        observed_us=0,
        open_us=0,
    )
