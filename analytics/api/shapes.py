"""What is answered: the one description from which answers and their OpenAPI are made.

Instants are UTC, days and hours are on the store's clock, lengths are seconds. What is not known is null and never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from analytics.api.definitions import Metric


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone.

    Attributes:
        camera: name of its camera.
        name: as in the cells.
        kind: what it is for.
    """

    camera: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Store:
    """One shop.

    Attributes:
        id: as `store.toml` has it.
        name: as `store.toml` has it.
        timezone: IANA name of its clock.
        level: privacy level in force; figures above it do not exist.
        simulated: it does not exist, and a program made its figures up.
        first: oldest local day with figures.
        last: newest local day with figures.
        software: version of openaisle.
    """

    id: str
    name: str
    timezone: str
    level: str
    simulated: bool
    first: date | None
    last: date | None
    software: str


@dataclass(frozen=True, slots=True)
class Stores:
    """The shops that this address tells of: one."""

    stores: tuple[Store, ...]


@dataclass(frozen=True, slots=True)
class Zones:
    """The zones of the shop as they are drawn now; names that figures had before a change stand in the cells."""

    store: str
    simulated: bool
    zones: tuple[Zone, ...]


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics that exist at the privacy level in force."""

    store: str
    simulated: bool
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One released cell: everybody, or every consenting shopper, of a zone from an instant to another.

    Attributes:
        camera: name of the camera.
        zone: name of the zone; of a step where it begins.
        to: of a step, the zone it leads to, or /lost or /others; otherwise null.
        kind: of the zone.
        start: first instant.
        end: the first instant after it.
        day: local day on which it begins.
        hour: local hour in which it begins.
        planned_s: how long it was planned; it is longer where too few people came, never shorter.
        rule: version of the counting rules.
        least: people it needed.
        unit: of people.
        suppressed: too few people; its numbers are null for good.
        why: why it is suppressed.
        n: what the metric counts, rounded.
        people: rounded.
        counts: one number a slot of the metric; they add up to n.
        observed_s: how long the cameras saw.
        open_s: how long they were meant to see.
        coverage: observed ÷ open; under 0.9 something is missing, and nothing is made up for it.
    """

    camera: str
    zone: str
    to: str | None
    kind: str
    start: datetime
    end: datetime
    day: date
    hour: int
    planned_s: int
    rule: str
    least: int
    unit: str
    suppressed: bool
    why: str | None
    n: int | None
    people: int | None
    counts: tuple[int, ...] | None
    observed_s: float
    open_s: float
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: a metric of a shop, over some days.

    Attributes:
        store: id of the shop.
        simulated: a program made them up.
        metric: its id; `/api/v1/metrics` says what it is.
        timezone: of days and hours.
        first: first local day asked for.
        last: last local day asked for.
        left_out: cells of the whole period that reach beyond the hours asked for; a cell is never cut.
    """

    store: str
    simulated: bool
    metric: str
    timezone: str
    first: date | None
    last: date | None
    left_out: int


@dataclass(frozen=True, slots=True)
class Cells(Asked):
    """Released cells of one metric, by start, camera and zone; `next` is the next page's address, null on the last.

    `left_out` counts cells of the whole period that reach beyond the hours asked for; a cell is never cut.
    """

    cells: tuple[Cell, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a distribution of times.

    Attributes:
        at_s: Kaplan–Meier estimate; null where fewer than that share were seen to end.
        low_s: lower end of its 95 % interval, null where it cannot be told.
        high_s: upper end.
    """

    at_s: float | None
    low_s: float | None
    high_s: float | None


@dataclass(frozen=True, slots=True)
class Total:
    """The released cells of a zone added up; what is suppressed is missing from it and never counted as zero.

    Attributes:
        camera: name of the camera.
        zone: name of the zone; of a step where it begins.
        to: of a step, where it leads; otherwise null.
        day: local day on which the cells begin; null for a total over all days.
        start: where the oldest cell begins, null where all are suppressed.
        end: where the newest ends.
        cells: how many are in it.
        suppressed: how many more are missing from it.
        why: why they are missing.
        rule: version of the counting rules.
        units: of people, as the cells say.
        n: what the metric counts; null where all cells are suppressed.
        counts: one number a slot of the metric.
        coverage: observed ÷ open time.
        median: of a metric of times over all days.
        p90: the same.
        censored: share of times whose end was not seen.
    """

    camera: str
    zone: str
    to: str | None
    day: date | None
    start: datetime | None
    end: datetime | None
    cells: int
    suppressed: int
    why: str | None
    rule: str
    units: tuple[str, ...]
    n: int | None
    counts: tuple[int, ...] | None
    coverage: float | None
    median: Point | None
    p90: Point | None
    censored: float | None


@dataclass(frozen=True, slots=True)
class Totals(Asked):
    """Totals of one metric, by day, camera and zone; `left_out` counts cells that reach beyond the hours asked for."""

    totals: tuple[Total, ...]


@dataclass(frozen=True, slots=True)
class Awaited:
    """A figure that is not there yet.

    Attributes:
        metric: its id.
        camera: name of the camera.
        zone: name of the zone.
        least: people that it needs.
        unit: of people.
        since: where the newest cell ends; null where nothing was shown in the last four weeks.
        expected: when it can be expected at the rate of the last four weeks; null where there is no rate.
    """

    metric: str
    camera: str
    zone: str
    least: int
    unit: str
    since: datetime | None
    expected: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is waited for, until enough people are in it."""

    store: str
    simulated: bool
    waiting: tuple[Awaited, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no answer, as RFC 9457 has it.

    Attributes:
        type: always about:blank.
        title: of the status.
        status: of HTTP.
        detail: what to do.
    """

    type: str
    title: str
    status: int
    detail: str
