"""The pad: a floor polygon before the kiosk, what is asked there, who is on it or near, and who may be unseen.

Rules:
- Distances are metres from the pad's edge, by the ground plane or by body heights.
- People do not dissolve: a track that ends in the ring, or behind whoever stands on the pad, leaves its body there
  until the track is seen again, a new track near by takes its place, or half a minute is over.

It keeps the last sighting of each track of the last minute, in memory, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from analytics.guard import STRAY, Box, LinkRules, touching
from analytics.model import SECOND, Sighting
from analytics.zones import BODY_HEIGHT_M, Ground, Point, Zone, border_distance, contains
from consent.events import Purpose
from consent.padwords import PadKind, PadOutcome


@dataclass(frozen=True, slots=True)
class PadRequest:
    """One wish from the kiosk.

    Attributes:
        id: of the request; the same id gets the same answer.
        kind: see `PadKind`.
        subject: opaque hash for a grant or link, else None.
        purposes: what was said yes to; empty unless a grant or link.
        shown_us: when the screen that was answered appeared, UTC microseconds.
        tapped_us: when it was answered, None while it stands.
    """

    id: int
    kind: PadKind
    subject: str | None
    purposes: frozenset[Purpose]
    shown_us: int
    tapped_us: int | None = None

    def __post_init__(self) -> None:
        binds = self.kind in (PadKind.GRANT, PadKind.LINK)
        if binds != bool(self.subject) or binds != bool(self.purposes):
            raise ValueError(f"pad request {self.id}: a grant or link names a subject and purposes, nothing else does")
        if self.tapped_us is not None and self.tapped_us < self.shown_us:
            raise ValueError(f"pad request {self.id} was tapped before its screen appeared")


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request.

    Attributes:
        id: of the request.
        outcome: see `PadOutcome`.
        tracks: those linked, unlinked or suppressed.
        subjects: those whose link ended by it.
    """

    id: int
    outcome: PadOutcome
    tracks: tuple[int, ...] = ()
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PadRules:
    """Thresholds of the pad; seconds and metres on the floor. Ours, not sourced.

    The ring must reach every place from which a hand reaches the screen.

    Attributes:
        ring_m: width of the guard ring.
        band_m: how far feet may seem to stray over the pad's edge without leaving it.
        after_s: alone for this long after the tap.
        sight_s: unseen for longer breaks the standing.
        confirm_s: a track seen for less leaves nobody behind when it vanishes.
        vanish_m: whoever vanishes in the open nearer than this to the ring may be in it.
        hidden_m: the same for somebody who vanishes behind whoever stands on the pad ...
        hidden_speed: ... as soon as they can have walked there, metres a second.
        vanish_s: for how long.
        patience_s: a screen unanswered for longer binds nobody.
        late_s: a grant that reaches us later than this after its tap, and what its picture may be late, binds nobody.
        latency_s: how late a picture may be; 0 for files.
        before_s: an objection or withdrawal reaches back this far before its tap.
        restart_s: tracks first seen this soon after the start, or after blindness, stay uncounted; 0 for files.
        reborn_s: a track born this soon after an objector's vanished ...
        reborn_m: ... and this near is theirs.
        link: what ends a link.
    """

    ring_m: float = 0.6
    band_m: float = 0.15
    after_s: float = 1.0
    sight_s: float = 0.3
    confirm_s: float = 0.5
    vanish_m: float = 0.3
    hidden_m: float = 3.0
    hidden_speed: float = 1.5
    vanish_s: float = 30.0
    patience_s: float = 300.0
    late_s: float = 5.0
    latency_s: float = 0.0
    before_s: float = 0.5
    restart_s: float = 0.0
    reborn_s: float = 4.0
    reborn_m: float = 3.0
    link: LinkRules = field(default_factory=LinkRules)


@dataclass(slots=True)
class Trace:
    """What is remembered of one track.

    Attributes:
        person: number of the dwell engine.
        first_us: first sight.
        last_us: last sight.
        last: where.
        away_m: metres from the pad's edge at last sight, 0 on the pad.
        near_us: last instant on the pad or in the ring, seen or not.
        hidden: went out of sight behind somebody on the pad.
        ghost: out of sight, and may be in the ring.
        born: too young to count as a body, or its body goes by another track; leaves no ghost.
        objected: must not appear in any figure.
        hushed: may have changed places with somebody who must not.
    """

    person: int
    first_us: int
    last_us: int
    last: Sighting
    away_m: float  # from the pad's edge, 0 on it
    near_us: float = -inf  # last instant on the pad or in the ring
    hidden: bool = False  # vanished behind somebody on the pad
    ghost: bool = False  # out of sight, and may be in the ring
    born: bool = True  # not yet set against a ghost, and leaves none
    objected: bool = False
    hushed: bool = False  # may be somebody who objected


class Pad:
    """One pad and everybody around it.

    Args:
        zone: the floor polygon, pixels.
        ground: metres where calibrated, body heights where not.
        rules: see `PadRules`.
        frame_size: (width, height) in pixels; with it, a track that ends at the frame's edge has gone.

    Attributes:
        traces: by track number.
    """

    def __init__(self, zone: Zone, ground: Ground, rules: PadRules, frame_size: tuple[int, int] | None = None) -> None:
        self._zone, self._ground, self._rules, self._frame_size = zone, ground, rules, frame_size
        self._floor: tuple[Point, ...] = tuple(ground.locate(*c) for c in zone.polygon) if ground.calibrated else ()
        self.traces: dict[int, Trace] = {}
        self._t_us = -1

    def away(self, x: float, y: float, height: float) -> float:
        """Return metres from a foot point in pixels to the pad's edge, 0 on the pad."""
        if self._zone.contains(x, y):
            return 0.0
        if not self._floor:
            return self._zone.border_distance(x, y) / max(height, 1.0) * BODY_HEIGHT_M
        try:
            point = self._ground.locate(x, y)
        except ValueError:  # on the horizon
            return inf
        return 0.0 if contains(self._floor, *point) else border_distance(self._floor, *point)

    def metres(self, a: Sighting, b: Sighting) -> float:
        """Return metres between the feet of two sightings."""
        return self._ground.distance(a.x, a.y, b.x, b.y, (a.height + b.height) / 2)

    def ghosts(self) -> Iterator[int]:
        """Yield the tracks of those who may be in the ring out of sight."""
        return (track for track, trace in self.traces.items() if trace.ghost)

    def blind(self) -> None:
        """Nothing was seen for a while: whoever was out of sight before may be anywhere."""
        for trace in self.traces.values():
            trace.born, trace.ghost = True, False

    def step(self, t_us: int, sightings: Sequence[Sighting], people: Mapping[int, int]) -> None:
        """Bring every track up to date, and keep count of those who vanished near the pad."""
        rules, traces = self._rules, self.traces
        for sighting in sightings:
            away_m = self.away(sighting.x, sighting.y, sighting.height)
            trace = traces.get(sighting.track)
            person = people.get(sighting.track, sighting.track)
            if trace is None:
                trace = traces[sighting.track] = Trace(person, t_us, t_us, sighting, away_m)
            else:
                trace.person, trace.last_us, trace.last, trace.away_m = person, t_us, sighting, away_m
                trace.ghost = False
            if away_m <= rules.ring_m:
                trace.near_us = t_us
            if trace.born and t_us - trace.first_us >= rules.confirm_s * SECOND:
                trace.born = False
                self._lay_ghost(trace)
        on_pad = [k.last.box for k in traces.values() if k.away_m == 0.0]
        for track, trace in list(traces.items()):
            if trace.last_us == t_us:
                continue
            unseen_s = (t_us - trace.last_us) / SECOND
            if trace.last_us == self._t_us:
                trace.hidden = any(touching(trace.last.box, box, rules.link.touch) for box in on_pad)
            trace.ghost = not trace.born and unseen_s <= rules.vanish_s and self._may_be_near(trace, unseen_s)
            if trace.ghost:
                trace.near_us = t_us
            if unseen_s > rules.link.keep_s:
                del traces[track]
        self._t_us = t_us

    def _may_be_near(self, trace: Trace, unseen_s: float) -> bool:
        """Say whether somebody out of sight may be in the ring: they vanished there, or behind the one on the pad."""
        rules = self._rules
        if self._at_edge(trace.last.box):
            return False
        if trace.away_m <= rules.ring_m + rules.vanish_m:
            return True
        return trace.hidden and trace.away_m <= rules.ring_m + min(rules.hidden_speed * unseen_s, rules.hidden_m)

    def _lay_ghost(self, trace: Trace) -> None:
        """Set a new track against the nearest person who vanished before: one body, one track."""
        gone = [(self.metres(k.last, trace.last), n) for n, k in self.traces.items() if k.ghost]
        distance, track = min(gone, default=(inf, STRAY))
        if distance <= self._rules.reborn_m:
            self.traces[track].ghost, self.traces[track].born = False, True

    def _at_edge(self, box: Box) -> bool:
        if self._frame_size is None:
            return False
        width, height = self._frame_size
        margin = 2.0  # pixels
        return box[0] <= margin or box[1] <= margin or box[2] >= width - margin or box[3] >= height - margin
