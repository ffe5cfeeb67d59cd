"""A cell while its counts are still exact: open in RAM, and closed on its way to the release.

A closed cell of too few people cannot be made, read or written. An open one knows its people by opaque keys and
never leaves the process. Rounding is the release's.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from analytics.figures import RULE, SLOTS, Audience, Figure, diverse, least
from analytics.model import AnalyticsError
from analytics.zones import ZoneKind


class CellError(AnalyticsError):
    """A cell that cannot be used, with what to do about it."""


@dataclass(frozen=True, slots=True)
class CellPayload:
    """One cell whose counts are still exact, on its way to the release.

    Attributes:
        id: names this cell for ever; a second one of the same name is the same cell.
        audience: see `Audience`.
        figure: see `Figure`.
        camera: name of the camera.
        zone: name of the zone.
        kind: of the zone.
        tz: IANA name of the store's time zone.
        start_us: start of its first bin, UTC microseconds.
        end_us: end of its last bin.
        bin_us: planned length of a bin; the cell is longer where bins were merged.
        people: tracks, visitors, or visitor-days where a cell of visitors is longer than a day; 0 where suppressed.
        counts: as `slot` numbers them; empty where the cell is suppressed.
        observed_us: how long the camera saw.
        open_us: how long it was meant to see; observed ÷ open is the coverage.
        rule: version of the counting rules.

    Raises:
        ValueError: too few people, or counts that do not fit.
    """

    id: str
    audience: Audience
    figure: Figure
    camera: str
    zone: str
    kind: ZoneKind
    tz: str
    start_us: int
    end_us: int
    bin_us: int
    people: int
    counts: tuple[int, ...]
    observed_us: int
    open_us: int
    rule: str = RULE

    def __post_init__(self) -> None:
        if not self.id or self.start_us >= self.end_us or not 0 <= self.observed_us <= self.open_us:
            raise ValueError("a cell has a name, an end after its start, and sees no longer than it is open")
        if self.suppressed:
            if self.people:
                raise ValueError("a suppressed cell says nothing about how many people it held")
            return
        if len(self.counts) != SLOTS[self.figure] or min(self.counts) < 0 or sum(self.counts) < self.people:
            raise ValueError(f"{self.figure} has {SLOTS[self.figure]} counts, no fewer in all than people")
        if self.people < least(self.audience, self.figure):
            raise ValueError(f"a cell of {self.people} people must not exist; merge it with its neighbour")
        if not diverse(self.figure, self.counts):
            raise ValueError(
                "a cell of one expression, or of one of too few, must not exist; merge it with its neighbour"
            )

    @property
    def suppressed(self) -> bool:
        """True where the cell had too few people and only says so."""
        return not self.counts

    def to_bytes(self) -> bytes:
        """Return canonical JSON: keys sorted, no blanks, whole numbers only."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> CellPayload:
        """Read what `to_bytes` wrote.

        Raises:
            CellError: it is not that, or not of enough people.
        """
        try:
            row = json.loads(data)
            row |= {"audience": Audience(row["audience"]), "figure": Figure(row["figure"])}
            row |= {"kind": ZoneKind(row["kind"]), "counts": tuple(row["counts"])}
            cell = cls(**row)
        except (ValueError, KeyError, TypeError) as error:
            raise CellError(f"this is no cell of figures: {error}; drop the row and look at who wrote it") from error
        if cell.to_bytes() != data:
            raise CellError("a cell of figures is not in canonical form; drop the row and look at who wrote it")
        return cell


@dataclass(slots=True)
class OpenBin:
    """A bin that still fills, or merged bins that wait. `people` maps whoever is in it to where they count."""

    start_us: int
    end_us: int
    bin_us: int
    people: dict[object, list[int]] = field(default_factory=dict)

    def add(self, person: object, at: int) -> None:
        """Count one visit."""
        self.people.setdefault(person, []).append(at)

    def passes(self, audience: Audience, figure: Figure) -> bool:
        """Say whether there are enough people in it, and different enough ones."""
        enough = len(self.people) >= least(audience, figure)
        return enough and (figure is not Figure.EXPRESSION or diverse(figure, self.counts(figure)))

    def merge(self, later: OpenBin) -> OpenBin:
        """Return both as one, from the start of this to the end of the later one."""
        both = OpenBin(self.start_us, later.end_us, self.bin_us, {p: list(s) for p, s in self.people.items()})
        for person, slots in later.people.items():
            for at in slots:
                both.add(person, at)
        return both

    def apart(self, k: int) -> list[tuple[tuple[int, ...], OpenBin]]:
        """Return the people by where they count, all of them, with `k` people or more in each part.

        Those of too few are put together; and with them the next smallest, until they are enough. So nobody is left
        over whom the difference between all and the parts could tell of.

        Returns:
            What was put together (one number, or several) and its people, each counting in 0; one part with everybody
            where nothing else is possible.
        """
        parts: dict[int, OpenBin] = {}
        for person, slots in self.people.items():
            for at in slots:
                parts.setdefault(at, OpenBin(self.start_us, self.end_us, self.bin_us)).add(person, 0)
        smallest_first = sorted(parts, key=lambda at: (len(parts[at].people), at))
        pooled: list[int] = []
        pool = OpenBin(self.start_us, self.end_us, self.bin_us)
        for at in smallest_first:
            if len(parts[at].people) >= k and (not pooled or len(pool.people) >= k):
                break
            pooled.append(at)
            pool = pool.merge(parts[at])
        together: list[tuple[tuple[int, ...], OpenBin]] = [(tuple(pooled), pool)] if pooled else []
        return [*(((at,), parts[at]) for at in smallest_first[len(pooled) :]), *together]

    def counts(self, figure: Figure) -> tuple[int, ...]:
        """Return the sums, as `slot` numbers them.

        Of expression, the parts of a class that fewer visitors show than a cell needs count in the last place, beside
        `unknown`; and with them those of the next smallest, until that place is of enough visitors or of nobody. So
        neither a count nor the rest that the other counts leave of n is of fewer.
        """
        sums = [0] * SLOTS[figure]
        for slots in self.people.values():
            for at in slots:
                sums[at] += 1
        if figure is Figure.EXPRESSION:
            for at in self._rare():
                sums[-1] += sums[at]
                sums[at] = 0
        return tuple(sums)

    def _rare(self) -> list[int]:
        """Return the expressions that are put together with `unknown`."""
        k, last = least(Audience.CONSENTING, Figure.EXPRESSION), SLOTS[Figure.EXPRESSION] - 1
        seen = {at: {p for p, slots in self.people.items() if at in slots} for at in range(last)}
        rest = {p for p, slots in self.people.items() if last in slots}
        rare: list[int] = []
        for at in sorted(seen, key=lambda at: (len(seen[at]), at)):
            if len(seen[at]) >= k and (not rest or len(rest) >= k):
                break
            rare.append(at)
            rest |= seen[at]
        return rare
