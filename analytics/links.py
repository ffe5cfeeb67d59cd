"""Who is linked: a track number on one side, a subject's opaque hash on the other, and every doubt that parts them.

Rules:
- A link is made by the pad, lives in memory only, is never written or logged, and ends with its track.
- It ends at once on a possible identity switch. What it then stands for ends at the last instant in which nobody
  else's box touched the person's: doubt is paid for with our own rows, never with somebody else's.
- An ended link never comes back; the person can stand on the pad again.
- What ended tracks leave behind is forgotten when their visits can no longer be open.

It looks at nobody: boxes and numbers only. It does not decide who may be linked (`analytics.gate` does), and it
knows nothing of the ledger: a live grant is checked again wherever a row is written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING

from analytics.model import SECOND, Sighting

if TYPE_CHECKING:
    from analytics.dwell import Stitch
    from analytics.zones import Ground
    from consent.events import Purpose

Box = tuple[float, float, float, float]  # (x1, y1, x2, y2), pixels
STRAY = -1  # the number of a box that has none


class Doubt(StrEnum):
    """Why a link ended."""

    SPEED = "speed"  # nobody in a shop is that fast
    HEIGHT = "height"  # the body grew or shrank too fast
    OVERLAP = "overlap"  # another's box covered too much of theirs
    MERGED = "merged"  # somebody who touched vanished or appeared, or they themselves were missed then
    UNSEEN = "unseen"  # the track is gone
    SPLIT = "split"  # the dwell engine's switch guard cut the track
    STITCH = "stitch"  # the next track may be somebody else's
    BLIND = "blind"  # nothing was seen for a while
    CONFLICT = "conflict"  # two codes for one track, or two tracks for one code
    OPT_OUT = "opt_out"  # no doubt at all: they said stop


@dataclass(frozen=True, slots=True)
class LinkRules:
    """When one track may stand for two people. Ours, not sourced; tuned on simulated crowds, then measured.

    Attributes:
        max_speed: metres a second, over at least `guard_s`.
        guard_s: shortest time base of a speed; one frame's jitter is no speed.
        height: relative change of body height against the median of the last second.
        iou: intersection over union with another's box that may swap two numbers.
        cover: the same as a share of the smaller box, for people of unlike size.
        touch: share of their width by which boxes may be apart and still touch.
        sight_s: unseen for longer, and the link is over.
        stitch: least confidence of a stitch that a link passes.
        blind_s: a longer gap between steps is a blind interval.
        keep_s: how long what ended is remembered; longer than any visit stays open unseen.
    """

    max_speed: float = 3.0
    guard_s: float = 0.5
    height: float = 0.2
    iou: float = 0.3
    cover: float = 0.5
    touch: float = 0.1
    sight_s: float = 0.5
    stitch: float = 0.8
    blind_s: float = 2.0
    keep_s: float = 40.0


def intersection(a: Box, b: Box) -> float:
    """Return the area common to two boxes, square pixels."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def area(box: Box) -> float:
    """Return the area of a box, square pixels."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def overlap(a: Box, b: Box) -> tuple[float, float]:
    """Return intersection over union, and over the smaller of the two."""
    common = intersection(a, b)
    if common == 0.0:
        return 0.0, 0.0
    first, second = area(a), area(b)
    return common / (first + second - common), common / min(first, second)


def touching(a: Box, b: Box, share: float) -> bool:
    """Say whether two boxes are nearer than this share of the first one's width, across and up."""
    margin = (a[2] - a[0]) * share
    return a[0] - margin < b[2] and b[0] < a[2] + margin and a[1] - margin < b[3] and b[1] < a[3] + margin


@dataclass(slots=True)
class Guard:
    """Watches one track for a possible identity switch.

    Attributes:
        ground: turns pixels into metres.
        rules: see `LinkRules`.
        track: the number watched; follows a stitch.
        last: last sighting.
        last_us: its instant.
        sure_us: last instant at which the track was seen and nobody touched it.
    """

    ground: Ground
    rules: LinkRules
    track: int
    last: Sighting
    last_us: int
    sure_us: int
    _near: frozenset[int] = frozenset()
    _missed: bool = False
    _past: deque[tuple[int, Sighting]] = field(default_factory=deque)

    def step(self, t_us: int, mine: Sighting | None, bodies: Collection[tuple[int, Box]]) -> Doubt | None:
        """Take one frame.

        Args:
            t_us: its instant, UTC microseconds, later than the one before.
            mine: the track's own sighting, None where it is not in this frame.
            bodies: (track, box) of everybody in the frame, strays as `STRAY`, the track itself included.

        Returns:
            Why the track may no longer be the same person, or None.
        """
        rules = self.rules
        here = self.last.box if mine is None else mine.box
        near = frozenset(n for n, box in bodies if n != self.track and touching(here, box, rules.touch))
        if mine is None:
            if near or self._near:
                return Doubt.MERGED
            self._missed = True
            return Doubt.UNSEEN if t_us - self.last_us > rules.sight_s * SECOND else None
        if self._missed and near:
            return Doubt.MERGED
        if self._near and not self._near - {STRAY} <= {n for n, _ in bodies}:
            return Doubt.MERGED  # whoever touched must still be somewhere in the picture, or this box may be theirs
        for number, box in bodies:
            if number in near:
                iou, cover = overlap(mine.box, box)
                if iou > rules.iou or cover > rules.cover:
                    return Doubt.OVERLAP
        doubt = self._moved_oddly(t_us, mine)
        if doubt is None:
            self.last, self.last_us, self._near, self._missed = mine, t_us, near, False
            if not near:
                self.sure_us = t_us
        return doubt

    def _moved_oddly(self, t_us: int, mine: Sighting) -> Doubt | None:
        rules, past = self.rules, self._past
        if not past:
            past.append((self.last_us, self.last))
        while past[0][0] < t_us - SECOND and len(past) > 1:
            past.popleft()
        if abs(mine.height / max(median(s.height for _, s in past), 1.0) - 1) > rules.height:
            return Doubt.HEIGHT
        base_s = max((t_us - self.last_us) / SECOND, rules.guard_s)
        height = (mine.height + self.last.height) / 2
        if self.ground.distance(self.last.x, self.last.y, mine.x, mine.y, height) / base_s > rules.max_speed:
            return Doubt.SPEED
        past.append((t_us, mine))
        return None


@dataclass(frozen=True, slots=True)
class Permit:
    """What one person said yes to, and between which instants we are sure that it is they.

    Attributes:
        subject: opaque hash; never a name, never a code.
        start_us: the grant; no visit begins earlier.
        until_us: last sure instant.
        purposes: what was granted; the store's level still caps it.
        ended: why the link is over, None while it lives.
    """

    subject: str
    start_us: int
    until_us: int
    purposes: frozenset[Purpose]
    ended: Doubt | None = None


@dataclass(slots=True)
class _Link:
    subject: str
    start_us: int
    purposes: frozenset[Purpose]
    person: int
    guard: Guard
    seen_us: int  # last sight of the person, linked or not
    ended: Doubt | None = None

    def permit(self) -> Permit:
        until_us = max(self.guard.sure_us, self.start_us)
        return Permit(self.subject, self.start_us, until_us, self.purposes, self.ended)


class Links:
    """The links of one camera, in memory.

    Args:
        ground: metres where calibrated, body heights where not.
        rules: see `LinkRules`.
    """

    def __init__(self, ground: Ground, rules: LinkRules | None = None) -> None:
        self._ground = ground
        self._rules = rules or LinkRules()
        self._live: dict[int, _Link] = {}  # by track
        self._people: dict[int, _Link] = {}  # by person, live or ended
        self._t_us: int | None = None

    def __len__(self) -> int:
        """Number of live links."""
        return len(self._live)

    def bind(
        self,
        t_us: int,
        sighting: Sighting,
        *,
        subject: str,
        purposes: frozenset[Purpose],
        start_us: int,
        person: int | None = None,
    ) -> None:
        """Link a track seen at this instant; the caller has made sure whose it is.

        Args:
            t_us: instant of the sighting, UTC microseconds.
            sighting: where the track is now.
            subject: opaque hash.
            purposes: what was granted.
            start_us: instant of the grant, not after `t_us`.
            person: number under which the dwell engine reports this track's visits; the track's own if None.

        Raises:
            ValueError: the grant lies in the future.
        """
        if start_us > t_us:
            raise ValueError(f"a grant of {start_us} cannot be linked at {t_us}, before it was given")
        number = sighting.track if person is None else person
        guard = Guard(self._ground, self._rules, sighting.track, sighting, t_us, t_us)
        link = _Link(subject, start_us, purposes, number, guard, t_us)
        self._live[sighting.track] = self._people[number] = link

    def step(
        self,
        t_us: int,
        sightings: Sequence[Sighting],
        others: Sequence[Box] = (),
        *,
        people: Mapping[int, int] | None = None,
        stitches: Sequence[Stitch] = (),
    ) -> dict[int, Doubt]:
        """Take one frame and end every link that is in doubt.

        Args:
            t_us: its instant, UTC microseconds, later than the one before.
            sightings: each track at most once.
            others: boxes of people without a track number.
            people: person number of each track, where it differs.
            stitches: those the dwell engine made in this step.

        Returns:
            The tracks whose link ended now, with the reason.
        """
        was_blind = self._t_us is not None and t_us - self._t_us > self._rules.blind_s * SECOND
        ended = self.blind() if was_blind else {}
        self._t_us = t_us
        people = people or {}
        if not self._people:
            return ended
        seen = {s.track: s for s in sightings}
        bodies = [(s.track, s.box) for s in sightings] + [(STRAY, box) for box in others]
        for stitch in stitches:
            self._pass(stitch, ended)
        for track, link in list(self._live.items()):
            mine = seen.get(track)
            if mine is not None and people.get(track, track) != link.person:
                doubt: Doubt | None = Doubt.SPLIT
            else:
                doubt = link.guard.step(t_us, mine, bodies)
            if doubt is not None:
                self.end(track, doubt)
                ended[track] = doubt
        for track in seen:
            known = self._people.get(people.get(track, track))
            if known is not None:
                known.seen_us = t_us
        keep = t_us - int(self._rules.keep_s * SECOND)
        self._people = {n: k for n, k in self._people.items() if k.seen_us >= keep}
        return ended

    def _pass(self, stitch: Stitch, ended: dict[int, Doubt]) -> None:
        """Let a link follow its person to a new track, or end it there."""
        link = self._people.get(stitch.person)
        if link is None or link.ended is not None or link.guard.track == stitch.track:
            return
        old = link.guard.track
        if stitch.confidence < self._rules.stitch:
            self.end(old, Doubt.STITCH)
            ended[old] = Doubt.STITCH
            return
        del self._live[old]
        link.guard.track = stitch.track
        self._live[stitch.track] = link

    def blind(self) -> dict[int, Doubt]:
        """End every link: nobody knows who moved where while nothing was seen."""
        ended = dict.fromkeys(self._live, Doubt.BLIND)
        for track in ended:
            self.end(track, Doubt.BLIND)
        return ended

    def end(self, track: int, why: Doubt) -> None:
        """End the link of a track; none is no error."""
        link = self._live.pop(track, None)
        if link is not None:
            link.ended = why

    def withdraw(self, subject: str, purposes: Collection[Purpose] | None = None) -> None:
        """Take purposes, or all, from whatever is held for a subject, the open visit included."""
        for link in self._people.values():
            if link.subject == subject:
                link.purposes = frozenset() if purposes is None else link.purposes - frozenset(purposes)
        for track, link in list(self._live.items()):
            if link.subject == subject and not link.purposes:
                self.end(track, Doubt.OPT_OUT)

    def linked(self, track: int) -> Permit | None:
        """Return the live link of a track."""
        link = self._live.get(track)
        return None if link is None else link.permit()

    def look(self, track: int) -> Permit | None:
        """Return the live link of a track that nobody touches now: only there may a second look at pixels go."""
        link = self._live.get(track)
        return None if link is None or link.guard.sure_us != self._t_us else link.permit()

    def holder(self, subject: str) -> int | None:
        """Return the track a subject is linked to now."""
        return next((track for track, link in self._live.items() if link.subject == subject), None)

    def permit(self, person: int) -> Permit | None:
        """Return what is known of a person's consent, also shortly after their link ended."""
        link = self._people.get(person)
        return None if link is None else link.permit()
