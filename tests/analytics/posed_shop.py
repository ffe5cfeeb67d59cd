"""A shop's days with what came of decisions: the rows a second look would have brought, through the real release."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from analytics.decision import Outcome
from analytics.model import SECOND
from retention.release import Release
from tests.retention.busy_shop import KINDS, TZ, Rows, day_of_visits, fill, instant

# how often who decided there took something, put it back, left without a touch
HANDS = {"coffee": (0.6, 0.15, 0.25), "wine": (0.2, 0.2, 0.6), "bread": (0.65, 0.1, 0.25)}


def fill_posed(state_dir: Path, last: date, days: int) -> None:
    """Fill a state directory with the figures of some days, `decision_pose` among them."""
    fill(state_dir, last, days)
    rng, rows = random.Random(11), Rows()
    for back in range(days):
        day = last - timedelta(days=back)
        for one in day_of_visits(day, rng, scale=0.5) if day.weekday() != 6 else ():
            if one.zone not in HANDS or one.dwell_us < 5 * SECOND or not one.stops:
                continue
            rows.add(day.toordinal() * 10_000 + one.track, one)
            row = rows.rows[-1].row
            if not row.decisions:
                continue
            outcome = rng.choices(list(Outcome)[:3], HANDS[one.zone])[0] if not one.censored else Outcome.LOST
            length = int(row.decisions[0] * rng.uniform(0.4, 0.9))
            rows.rows[-1] = replace(rows.rows[-1], row=replace(row, poses=(length,), outcomes=(outcome,)))
    release = Release(state_dir, rng, tz=TZ)
    assert release.release_consenting(rows, KINDS, instant(last, 21))
