"""How long a zone's bins will be, from what was released of it before, and from nothing else. Pure arithmetic.

What is chosen is written down before the week begins in which it holds; that is `retention.release`'s part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from analytics.bins import FIXED, LONGEST, Choice, choose, day_of
from analytics.figures import Audience, Figure, least
from retention.figures import Row

Opening = Callable[[int], tuple[int, int] | None]


def choose_lengths(past: Iterable[Row], from_us: int, tz: str, opening: Opening | None) -> list[Choice]:
    """Return the choice for each figure of each zone of which a cell was released.

    Args:
        past: released cells; a suppressed one counts as nobody.
        from_us: the Monday midnight from which the choices hold, UTC microseconds.
        tz: IANA name of the store's time zone.
        opening: gives opening and closing of the local day of an instant; None: a day is open throughout.
    """
    spans: dict[tuple[Audience, Figure, str, str], list[tuple[int, int, float]]] = defaultdict(list)
    for row in past:
        if Figure(row["figure"]) in FIXED:
            continue
        line = Audience(row["audience"]), Figure(row["figure"]), row["camera"], row["zone"]
        spans[line] += _open_parts(row["start_us"], row["end_us"], row["people"] or 0, tz, opening)
    return [
        Choice(*line, from_us, choose(parts, least(*line[:2]), longest_us=LONGEST[line[0]], tz=tz))
        for line, parts in sorted(spans.items())
    ]


def _open_parts(
    start_us: int, end_us: int, people: int, tz: str, opening: Opening | None
) -> list[tuple[int, int, float]]:
    """Cut a cell into the stretches in which the shop was open, with its people spread over them."""
    parts, at = [], start_us
    while opening and at < end_us:
        hours = opening(at) or (at, at)
        part = max(start_us, hours[0]), min(end_us, hours[1])
        parts += [part] if part[0] < part[1] else []
        at = day_of(at, tz)[1]
    parts = parts or [(start_us, end_us)]
    length = sum(b - a for a, b in parts)
    return [(a, b, people * (b - a) / length) for a, b in parts]
