"""Attempts to get a receipt, or a word of one, past the door; and files as tills and people write them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import pos
from analytics.bins import HOUR, day_of, local
from analytics.figures import Figure
from analytics.payload import CellPayload
from analytics.pos import Receipt, ReceiptsError, Taken
from analytics.report import Report
from analytics.start import init
from analytics.state import State
from consent.keys import Role
from retention.keeper import Keeper
from tests.retention.busy_shop import TZ, instant

NOW = instant(date(2026, 11, 21), 15)
DAY_ONE = date(2026, 11, 16)
HEAD = "Invoice ID,Branch,City,Customer type,Gender,Quantity,Total,Date,Time,Payment"
Make = Callable[[Path], Path]


@pytest.fixture
def state(tmp_path: Path) -> State:
    return init(tmp_path / "shop", now_us=NOW, name="Main Street", timezone=TZ)


def lines(n: int, *, day: str = "2026-11-16", hour: int = 10, first: int = 0, till: str = "A") -> list[str]:
    return [
        f"750-{first + i:05d},{till},Yangon,Member,Female,{1 + i % 3},{10 + i}.50,{day},{hour}:{i % 60:02d},Ewallet"
        for i in range(n)
    ]


def file(*parts: list[str], head: str = HEAD) -> bytes:
    return "\n".join([head, *(line for part in parts for line in part)]).encode()


def nine_to_six(t_us: int) -> tuple[int, int]:
    return day_of(t_us, TZ)[0] + 9 * HOUR, day_of(t_us, TZ)[0] + 18 * HOUR


def take(state: State, data: bytes, **more: str) -> Taken:
    with state.open_ledger(Role.DASHBOARD) as ledger:
        return pos.take(state, ledger, data, now_us=NOW, **more)


def keep(state: State) -> None:
    with state.open_ledger(Role.KEEPER) as ledger, Keeper(state, ledger) as keeper:
        keeper.run_once(NOW).check()


def released(state: State) -> tuple[int, int, int]:
    report = Report(state.released)
    cells = report.cells(Figure.SALES, date(2019, 1, 1), date(2026, 12, 31))
    report.close()
    sums = [sum(column) for column in zip(*(cell.counts for cell in cells if not cell.suppressed), strict=True)]
    return tuple(sums) if sums else (0, 0, 0)


def test_receipts_become_sums_of_five_or_more(state: State) -> None:
    done = take(state, file(lines(7, hour=10), lines(3, hour=11, first=7), lines(4, hour=15, first=10, till="B")))
    assert (done.receipts, done.days) == (14, 1)
    keep(state)
    report = Report(state.released)
    cells = report.cells(Figure.SALES, DAY_ONE, DAY_ONE)
    assert {(cell.zone, cell.suppressed) for cell in cells} == {("A", False), ("B", True)}
    (mine,) = [cell for cell in cells if not cell.suppressed]
    assert (mine.unit, mine.k, mine.people, len(mine.counts)) == ("receipts", 5, 10, 3)
    assert abs(mine.counts[1] - (1 + 2 + 3 + 1 + 2 + 3 + 1 + 1 + 2 + 3)) < 5
    assert abs(mine.counts[2] - 10 * 10.5 - sum(range(7)) - 3) < 5


def test_the_same_file_twice_changes_nothing(state: State) -> None:
    data = file(lines(30), lines(20, hour=12, first=30))
    assert take(state, data).receipts == 50
    assert take(state, data) == Taken(known=50)  # before the keeper came
    keep(state)
    before = released(state)
    assert take(state, data) == Taken(known=50)  # and after
    keep(state)
    assert released(state) == before
    longer = file(lines(30), lines(9, first=90), lines(8, day="2026-11-17", first=60))
    assert take(state, longer) == Taken(receipts=8, cells=1, days=1, known=39)


def test_a_day_that_is_not_over_is_left_for_tomorrow(state: State) -> None:
    assert take(state, file(lines(9), lines(6, day="2026-11-21", first=9))) == Taken(9, 1, 1, unfinished=6)


def test_lines_of_one_number_are_one_receipt_and_a_line_that_stands_twice_counts_once() -> None:
    part = lines(1)[0]
    found, _ = pos.read(file([part, part, part.replace(",1,10.50,", ",4,2.25,")]), TZ)
    assert [(one.items, one.amount) for one in found] == [(5, Decimal("12.75"))]


def test_a_refund_is_no_sale() -> None:
    found, refunds = pos.read(file([*lines(2), lines(1, first=9)[0].replace(",10.50,", ",-10.50,")]), TZ)
    assert (len(found), refunds) == (2, 1)


def test_times_are_those_of_the_shop() -> None:
    (one,), _ = pos.read(file(lines(1, hour=13)), TZ)
    assert f"{local(one.at_us, TZ):%Y-%m-%d %H:%M}" == "2026-11-16 13:00"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no column for receipt; name it 'invoice id'"),
        (file(lines(1), head=HEAD.replace("Total", "Sum")), "no column for amount; name it 'total'"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b'Invoice ID,"Bra', "is not CSV"),
        (file(["1,A,,,,x,1,2026-11-16,10:00,"]), "line 2: items or amount cannot be read"),
        (file(["1,A,,,,NaN,1,2026-11-16,10:00,"]), "line 2: items cannot be read"),
        (file(["1,A,,,,1,1e99,2026-11-16,10:00,"]), "line 2: the amount cannot be read"),
        (file(lines(2), ["1,A,,,,1,1,2026-11-16,noon,"]), "line 4: the time cannot be read; write 15:04"),
        (file([",A,,,,1,1,2026-11-16,10:00,"]), "line 2: the receipt's number cannot be read"),
        (file(["1,A > B,,,,1,1,2026-11-16,10:00,"]), "line 2: the till cannot be read"),
        (file(["1,A"]), "line 2: items or amount cannot be read"),
        (file(["1,A,,,,1,1,16 Nov 2026,10:00,"]), "a date cannot be read; write 2026-11-21"),
        (file(lines(1), lines(1, day="11/16/2026", first=3)), "one way in the whole file"),
        (file(lines(1, day="11/12/2026")), "can be read as mdy or as dmy; say which with --dates"),
        (file(["1,A,,,,1,1,0016-11-16,10:00,"]), "a date cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_is_one_line_that_repeats_nothing_of_it(state: State, data: bytes, says: str) -> None:
    with pytest.raises(ReceiptsError) as found:
        take(state, data)
    message = str(found.value)
    assert says in message
    assert "\n" not in message
    assert not any(word in message for word in ("Yangon", "Female", "Member", "Ewallet", "750-"))
    keep(state)
    assert released(state) == (0, 0, 0)


def test_the_order_of_dates_can_be_said(state: State) -> None:
    data = file(lines(6, day="11/12/2026"))
    assert take(state, data, dates="dmy") == Taken(unfinished=6)  # the eleventh of December is to come
    assert take(state, data, dates="mdy").receipts == 6
    with pytest.raises(ReceiptsError, match="no order of dates; choose from iso, mdy"):
        take(state, data, dates="ymd")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 23), st.sampled_from("AB"), st.integers(0, 2)), max_size=80))
def test_every_receipt_is_in_one_sum_of_five_or_more_or_its_day_is_suppressed(made: list[tuple[int, str, int]]) -> None:
    receipts = [Receipt(instant(DAY_ONE + timedelta(days=day), hour), till, 1, Decimal(2)) for hour, till, day in made]
    found = pos.cells(receipts, TZ, nine_to_six)
    assert all(cell.people >= 5 for cell in found if not cell.suppressed)
    days: dict[tuple[str, int], list[CellPayload]] = {}
    for cell in found:
        days.setdefault((cell.zone, day_of(cell.start_us, TZ)[0]), []).append(cell)
    for mine in days.values():
        assert all(a.end_us == b.start_us for a, b in pairwise(mine))
        assert len(mine) == 1 or not any(cell.suppressed for cell in mine)
    told = sum(cell.people for cell in found)
    hidden = sum(cell.suppressed for cell in found)
    assert told <= len(receipts) <= told + 4 * hidden
    assert sum(cell.counts[2] for cell in found if not cell.suppressed) == 2 * told


def test_an_hour_without_receipts_cannot_be_told_from_one_with_four() -> None:
    def spans(hours: list[int]) -> list[tuple[int, int]]:
        made = [Receipt(instant(DAY_ONE, hour), "A", 1, Decimal(1)) for hour in hours]
        return [(c.start_us, c.end_us) for c in pos.cells(made, TZ, nine_to_six)]

    assert spans([12] * 5) == spans([12] * 5 + [9] * 4) == spans([12] * 5 + [17] * 4)


@pytest.mark.data
def test_real_receipts_leave_no_word_of_themselves(state: State, data: Path) -> None:
    path = data / "retail" / "supermarket_sales.csv"
    raw = path.read_bytes()
    done = take(state, raw)
    assert done.receipts == 1000
    keep(state)
    assert take(state, raw) == Taken(known=1000)
    receipts, items, amount = released(state)
    rows = list(csv.DictReader(io.StringIO(raw.decode())))
    assert receipts <= 1000
    assert items <= sum(int(row["Quantity"]) for row in rows)
    assert amount <= sum(float(row["Total"]) for row in rows)
    told = {row[name] for row in rows for name in ("Invoice ID", "City", "Customer type", "Gender", "Product line")}
    told |= {row["Total"] for row in rows if len(row["Total"]) > 6}
    for folder, _, names in os.walk(state.root.parent):
        for name in names:
            content = (Path(folder) / name).read_bytes()
            assert not [word for word in told if word.encode() in content], name
