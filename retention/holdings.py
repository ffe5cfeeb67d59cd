"""What exists, how old it is, and what goes next, as the keeper notes it at each sweep for the officers' page.

Days and bands only: the note lies in a file of the state directory, and says nothing about one person. The exact plan,
by row and reason, is `openaisle retention plan`, for whoever holds the keeper's keys.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from analytics.hourly import band
from analytics.state import State
from analytics.store import Visits
from consent.ledger import Ledger
from retention.due import Due

_MOST_DAYS = 14


def holdings(state: State, ledger: Ledger, visits: Visits, now_us: int) -> dict[str, Any]:
    """Return the oldest day of each class, and by day what goes next, in bands.

    Args:
        state: the shop.
        ledger: opened for the keeper.
        visits: open.
        now_us: UTC microseconds.
    """
    oldest = {name: _day(at_us) for name, at_us in visits.oldest().items()}
    oldest |= {name: _day(at_us) for name, at_us in ledger.oldest().items()}
    scope = Due(state, ledger, visits).scope(now_us)
    going: Counter[tuple[str, str]] = Counter()
    for purpose, day, _, count in visits.due_later(scope.covers, state.store.terms.days()):
        going[day.isoformat(), purpose.value] += count
    nearest = sorted(going.items())[:_MOST_DAYS]
    return {
        "oldest": oldest,
        "next": [{"day": day, "class": name, "rows": band(count)} for (day, name), count in nearest],
    }


def _day(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).date().isoformat()
