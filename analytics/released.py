"""A released cell as the pages know it, and sums of such cells. Pure: nothing here reads a file.

A sum is of released cells only; what is suppressed is counted as missing and never as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analytics.figures import TIERS

FLAGGED = 0.9  # coverage below this is flagged


@dataclass(frozen=True, slots=True)
class Cell:
    """One released cell. Instants are UTC microseconds; numbers are rounded, and None where suppressed."""

    rule: str
    camera: str
    zone: str
    kind: str
    start_us: int
    end_us: int
    bin_us: int
    k: int
    unit: str
    suppressed: bool
    n: int | None
    people: int | None
    counts: tuple[int, ...]
    observed_us: int
    open_us: int

    @property
    def tiers(self) -> dict[str, int]:
        """Visits by tier, of a cell of `zone_visits`."""
        return dict(zip(TIERS, self.counts, strict=True))


@dataclass(frozen=True, slots=True)
class Sum:
    """Released cells of one figure added up.

    Attributes:
        metric: audience.figure.
        rule: version of the counting rules; empty where there is no cell.
        n: visits, rounded in each cell.
        cells: how many cells.
        suppressed: how many more are suppressed and missing from n.
        start_us: where the oldest begins, None without one.
        end_us: where the newest ends.
        observed_us: how long the cameras saw.
        open_us: how long they were meant to see.
        units: of people, as the cells say: tracks, visitors, visitor_days.
    """

    metric: str
    rule: str
    n: int
    cells: int
    suppressed: int
    start_us: int | None
    end_us: int | None
    observed_us: int
    open_us: int
    units: tuple[str, ...]

    @classmethod
    def of(cls, metric: str, cells: Sequence[Cell]) -> Sum:
        """Add cells up."""
        n = suppressed = observed_us = open_us = 0
        start_us: int | None = None
        end_us: int | None = None
        units = set()
        for cell in cells:  # once over a year of them, and not once for each number
            observed_us += cell.observed_us
            open_us += cell.open_us
            if cell.suppressed:
                suppressed += 1
                continue
            n += cell.n or 0
            units.add(cell.unit)
            if start_us is None or cell.start_us < start_us:
                start_us = cell.start_us
            if end_us is None or cell.end_us > end_us:
                end_us = cell.end_us
        rule = cells[-1].rule if cells else ""
        shown = len(cells) - suppressed
        return cls(metric, rule, n, shown, suppressed, start_us, end_us, observed_us, open_us, tuple(sorted(units)))

    @property
    def coverage(self) -> float | None:
        """Observed ÷ open time, None where nothing is known of it."""
        return self.observed_us / self.open_us if self.open_us else None


def joined(cells: Sequence[Cell], *, zones_apart: bool) -> list[Cell]:
    """Add up cells that overlap in time, so that each instant stands in one of what is returned.

    They overlap where a camera was started anew within a bin, and where several entrances are taken together.

    Args:
        cells: of one figure.
        zones_apart: add up within a zone only.
    """
    lines: dict[tuple[str, str], list[Cell]] = {}
    for cell in sorted(cells, key=lambda c: c.start_us):
        line = lines.setdefault((cell.camera, cell.zone) if zones_apart else ("", ""), [])
        if line and cell.start_us < line[-1].end_us:
            line[-1] = _both(line[-1], cell)
        else:
            line.append(cell)
    return [cell for line in lines.values() for cell in line]


def _both(a: Cell, b: Cell) -> Cell:
    shown = [cell for cell in (a, b) if not cell.suppressed]
    return replace(
        a,
        zone=a.zone if b.zone in a.zone.split(", ") else f"{a.zone}, {b.zone}",
        end_us=max(a.end_us, b.end_us),
        suppressed=not shown,
        n=sum(cell.n or 0 for cell in shown) if shown else None,
        people=sum(cell.people or 0 for cell in shown) if shown else None,
        counts=tuple(sum(column) for column in zip(*(cell.counts for cell in shown), strict=True)),
        observed_us=a.observed_us + b.observed_us,
        open_us=a.open_us + b.open_us,
    )
