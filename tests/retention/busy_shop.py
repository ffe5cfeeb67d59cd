"""A shop's days, made up: visits through the tally and the release, as `watch` and the keeper would bring them."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from analytics.bins import HOUR
from analytics.cells import CellPayload, Tally
from analytics.figures import LOOK_US, Audience
from analytics.model import SECOND, EndReason, StartReason, Visit
from analytics.row import VisitRow
from analytics.store import NewExpression, NewVisit
from analytics.zones import Zone, ZoneKind
from consent.events import Purpose
from retention.release import Release

TZ = "Europe/Berlin"
CAMERA = "ceiling"
_SQUARE = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
ZONES = (
    Zone("door", ZoneKind.ENTRANCE, _SQUARE),
    Zone("coffee", ZoneKind.PRODUCT, _SQUARE),
    Zone("wine", ZoneKind.PRODUCT, _SQUARE),
    Zone("bread", ZoneKind.PRODUCT, _SQUARE),
    Zone("magazines", ZoneKind.PRODUCT, _SQUARE),
    Zone("pad", ZoneKind.PAD, _SQUARE),
)
KINDS = {(CAMERA, zone.name): zone.kind for zone in ZONES if zone.kind is not ZoneKind.PAD}
_PULL = {"coffee": (0.5, 9.0), "wine": (0.25, 22.0), "bread": (0.65, 6.0), "magazines": (0.012, 40.0)}
_HOURLY = {8: 20, 9: 28, 10: 34, 11: 42, 12: 60, 13: 48, 14: 32, 15: 30, 16: 44, 17: 66, 18: 58, 19: 26}


def instant(day: date, hour: float) -> int:
    """Return UTC microseconds of an hour on the shop's clock."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(TZ)).timestamp() + hour * 3600) * SECOND


def visit(track: int, zone: str, enter_us: int, seconds: float, *, stopped: bool = True, end: str = "crossed") -> Visit:
    """Return a closed visit."""
    leave = enter_us + int(seconds * SECOND)
    stops = ((enter_us, leave),) if stopped else ()
    return Visit(track, zone, enter_us, leave, StartReason.CROSSED, EndReason(end), stops)


def day_of_visits(day: date, rng: random.Random, *, scale: float = 1.0) -> list[Visit]:
    """Return what a day's shoppers do, in the order in which it ends."""
    out, track = [], 0
    for hour, people in _HOURLY.items():
        for _ in range(round(people * scale * rng.uniform(0.8, 1.2))):
            track += 1
            at = instant(day, hour) + rng.randrange(HOUR - 600 * SECOND)
            out.append(visit(track, "door", at, rng.uniform(1, 4), stopped=False))
            for zone, (pull, typical) in _PULL.items():
                if rng.random() < pull:
                    at += rng.randrange(20, 90) * SECOND
                    seconds = min(900.0, typical * math.exp(rng.gauss(0, 0.9)))
                    end = "lost" if rng.random() < 0.08 else "crossed"
                    out.append(visit(track, zone, at, seconds, stopped=rng.random() < 0.8, end=end))
    return sorted(out, key=lambda v: v.leave_us)


def payloads(
    day: date, visits: list[Visit], run: str, *, blind_h: tuple[float, float] | None = None
) -> list[CellPayload]:
    """Return what the tally hands out over a day."""
    tally = Tally(CAMERA, ZONES, run=run, tz=TZ)
    start, end = instant(day, 8), instant(day, 20)
    gap = (instant(day, blind_h[0]), instant(day, blind_h[1])) if blind_h else (end, end)
    tally.add_observed(start, gap[0])
    tally.add_blind(*gap)
    tally.add_observed(gap[1], end)
    inside: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))  # whom each look finds where
    for one in visits:
        for at in range(-(-one.enter_us // LOOK_US) * LOOK_US, one.leave_us, LOOK_US):
            if one.zone != "pad" and not gap[0] <= at < gap[1]:
                inside[at][one.zone].append(one.track)
    looks = sorted(inside)
    out = []
    for one in (v for v in visits if not gap[0] <= v.leave_us < gap[1]):
        while looks and looks[0] < one.leave_us:
            tally.count(looks[0], inside[looks.pop(0)])
        out += tally.close(one.leave_us)
        tally.add_visit(one)
    return out + tally.finish(end)


@dataclass
class Rows:
    """Stands for the keeper's store: the rows that are in it now."""

    rows: list[NewVisit] = field(default_factory=list)
    faces: list[NewExpression] = field(default_factory=list)

    def read(self, purpose: Purpose, *, since_us: int = 0, zone: tuple[str, str] | None = None) -> Iterator[NewVisit]:
        """Yield rows as `analytics.store.Visits` does."""
        for one in self.rows:
            if (
                one.purpose is purpose
                and one.row.enter_us >= since_us
                and zone in (None, (one.row.camera, one.row.zone))
            ):
                yield one

    def read_expression(self, *, since_us: int = 0, zone: tuple[str, str] | None = None) -> Iterator[NewExpression]:
        """Yield rows of expression as `analytics.store.Visits` does."""
        for one in self.faces:
            if one.row.enter_us >= since_us and zone in (None, (one.row.camera, one.row.zone)):
                yield one

    def add(self, visitor: int, one: Visit) -> None:
        """Add a consented visit."""
        day = datetime.fromtimestamp(one.enter_us / SECOND, ZoneInfo(TZ)).date()
        self.rows.append(NewVisit(Purpose.DWELL, visitor, day, VisitRow.of(CAMERA, one, KINDS[CAMERA, one.zone])))


def fill(state_dir: Path, last: date, days: int, *, seed: int = 7, consent: float = 0.3) -> None:
    """Fill a state directory with the figures of some days."""
    rng = random.Random(seed)
    release, rows = Release(state_dir, rng, tz=TZ), Rows()
    for back in range(days - 1, -1, -1):
        day = last - timedelta(days=back)
        if day.weekday() == 6:
            continue
        visits = day_of_visits(day, rng, scale=1.3 if day.weekday() == 5 else 1.0)
        release.release_everybody(payloads(day, visits, day.isoformat(), blind_h=(13.5, 15.2) if back == 0 else None))
        for one in visits:
            if one.zone != "magazines" and random.Random(f"{day}{one.track}").random() < consent:
                rows.add(day.toordinal() * 10_000 + one.track, one)
        now = instant(day, 21)
        release.release_consenting(rows, KINDS, now)
        release.choose_bins(now)
        release.announce(KINDS, now, tuple(Audience))
