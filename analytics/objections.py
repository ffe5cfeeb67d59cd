"""Objections: whose tracks must not appear in any figure.

Rules:
- An objection takes in every track on the pad and in the ring, also those that come into sight there within a second
  of the tap, and as much later as a picture may be late: for as long as they live, and whatever continues them: any
  stitch, however doubtful, and any track born near by soon after. A track that may have changed places with an
  objector's goes too, but passes it no further.
- Whoever was in view before we looked (after a start, and after blindness while objectors were about) is not counted:
  they may have objected, and we cannot know.

It knows track and person numbers only, and forgets them when no visit of theirs can be open any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from analytics.model import SECOND, Sighting, Visit

if TYPE_CHECKING:
    from analytics.dwell import Stitch
    from analytics.pad import Pad, PadRules, Trace


@dataclass(slots=True)
class Objection:
    """One tap on "don't count me either", still taking effect.

    Attributes:
        from_us: whoever was near since then is meant.
        until_us: whoever comes into sight until then is meant, too.
        tracks: those found so far.
    """

    from_us: int
    until_us: int
    tracks: set[int] = field(default_factory=set)


class Objections:
    """The suppressed tracks of one camera.

    Args:
        pad: where objections are made; its traces carry the marks.
        rules: see `PadRules`.
    """

    def __init__(self, pad: Pad, rules: PadRules) -> None:
        self._pad, self._rules = pad, rules
        self._open: dict[int, Objection] = {}  # by request
        self._hushed: dict[int, tuple[float, int]] = {}  # person: (visits entered before are out, last seen)
        self._quiet_until_us = -1

    def start(self, t_us: int) -> None:
        """Take the first frame's time."""
        if self._rules.restart_s:
            self._quiet_until_us = t_us + int(self._rules.restart_s * SECOND)

    def blind(self, t_us: int) -> None:
        """Sight came back at this instant; objectors may come back under any number."""
        if any(trace.objected or trace.hushed for trace in self._pad.traces.values()):
            self._quiet_until_us = t_us + int(max(self._rules.restart_s, 1.0) * SECOND)

    def object(self, t_us: int, request: int, tapped_us: int) -> Objection:
        """Take an objection, or return what it has come to so far."""
        from_us = tapped_us - int(self._rules.before_s * SECOND)
        until_us = max(t_us, tapped_us + int((self._rules.after_s + self._rules.latency_s) * SECOND))
        return self._open.setdefault(request, Objection(from_us, until_us))

    def lift(self, trace: Trace, t_us: int, grant_us: int) -> None:
        """Let an earlier no end with a yes; the visit it falls into stays out."""
        if trace.objected or trace.hushed:
            trace.objected = trace.hushed = False
            self._hushed[trace.person] = (grant_us, t_us)

    def suppressed(self, visit: Visit) -> bool:
        """Say whether a visit belongs to somebody who must not appear in any figure."""
        return visit.enter_us < self._hushed.get(visit.track, (-inf, 0))[0]

    def step(self, t_us: int, sightings: Sequence[Sighting], stitches: Sequence[Stitch]) -> set[int]:
        """Take one frame, after the pad has; return the tracks that objections took in."""
        traces, taken = self._pad.traces, set()
        for objection in self._open.values():
            near = {track for track, trace in traces.items() if trace.near_us >= objection.from_us}
            taken |= near - objection.tracks
            objection.tracks |= near
        self._open = {n: objection for n, objection in self._open.items() if t_us < objection.until_us}
        for track in taken:
            traces[track].objected = True
        for stitch in stitches:
            if stitch.track in traces and self._hushed.get(stitch.person, (0.0, 0))[0] == inf:
                traces[stitch.track].objected = True
        self._spread(t_us, [traces[sighting.track] for sighting in sightings])
        for trace in traces.values():
            if trace.objected or trace.hushed:
                self._hushed[trace.person] = (inf, trace.last_us)
            elif trace.person in self._hushed:
                self._hushed[trace.person] = (self._hushed[trace.person][0], trace.last_us)
        keep = t_us - int(self._rules.link.keep_s * SECOND)
        self._hushed = {person: known for person, known in self._hushed.items() if known[1] >= keep}
        return taken

    def _spread(self, t_us: int, seen: Sequence[Trace]) -> None:
        """Mark the tracks that continue an objector's, or may have changed places with one."""
        objectors = [trace for trace in self._pad.traces.values() if trace.objected]
        for trace in seen:
            if not trace.objected and trace.first_us == t_us:
                trace.objected = t_us <= self._quiet_until_us or any(self._continues(k, trace) for k in objectors)
            if not trace.objected and not trace.hushed:
                trace.hushed = any(
                    k.last_us == t_us and self._rules.link.covers(k.last.box, trace.last.box) for k in objectors
                )

    def _continues(self, gone: Trace, born: Trace) -> bool:
        unseen_us = born.first_us - gone.last_us
        if not 0 < unseen_us <= self._rules.reborn_s * SECOND:
            return False
        return self._pad.metres(gone.last, born.last) <= self._rules.reborn_m
