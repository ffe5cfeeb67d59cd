"""What the kiosk tells of a day: sums of five questions or more, and never that there were one to four."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from analytics.bins import HOUR
from analytics.figures import FUNNEL
from analytics.funnel import Funnel
from analytics.payload import CellPayload
from consent.padwords import PadOutcome
from tests.retention.busy_shop import TZ, instant

DAY_ONE = date(2026, 11, 17)
START = instant(DAY_ONE, 8)


def funnel() -> tuple[Funnel, list[CellPayload]]:
    told: list[CellPayload] = []
    return Funnel(lambda cell, _now_us: told.append(cell), run="run", tz=TZ, now_us=START), told


def test_five_questions_make_a_day_and_four_do_not() -> None:
    for n in (4, 5):
        one, told = funnel()
        for i in range(n):
            one.add(("opened", "yes", "linked") if i else ("opened", "refused"), START + i)
        one.finish(START + HOUR)
        (cell,) = told
        assert cell.suppressed == (n < 5)
        if n == 5:
            found = dict(zip(FUNNEL, cell.counts, strict=True))
            assert {word: count for word, count in found.items() if count} == {
                "opened": 5, "yes": 4, "refused": 1, "linked": 4,
            }  # fmt: skip


def test_nobody_and_four_cannot_be_told_apart() -> None:
    said = []
    for n in (0, 1, 4):
        one, told = funnel()
        for i in range(n):
            one.add(("opened",), START + i)
        one.add(("opened",), START + 3 * 24 * HOUR)
        said.append([cell.to_bytes() for cell in told])
    assert said[0] == said[1] == said[2]
    assert len(said[0]) == 3


def test_every_reason_of_the_pad_has_a_count() -> None:
    never = {PadOutcome.UNLINKED, PadOutcome.SUPPRESSED, PadOutcome.NOT_LINKED}  # not said of a yes
    linked = {PadOutcome.LINKED, PadOutcome.ALREADY_LINKED}
    assert {f"link_{one.value}" for one in set(PadOutcome) - never - linked} <= set(FUNNEL)


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from([*FUNNEL, "something else"])), max_size=60))
def test_each_day_leaves_once_and_as_enough(questions: list[tuple[int, str]]) -> None:
    one, told = funnel()
    for hour, word in sorted(questions):
        one.add((word,), START + hour * HOUR)
    one.finish(START + 61 * HOUR)
    starts = [cell.start_us for cell in told]
    assert starts == [instant(DAY_ONE + timedelta(days=day), 0) for day in range(len(told))]
    assert all(cell.people >= 5 for cell in told if not cell.suppressed)
    assert sum(cell.people for cell in told) <= sum(word in FUNNEL for _, word in questions)
