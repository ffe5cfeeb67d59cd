"""The guard of one track: is it still the same person?

A tracker's number says "the same box a moment ago". Where two bodies meet, numbers are swapped or taken over, and the
tracker never says so. The guard looks for every occasion on which that can happen, not for signs that it has:

- another's box covers too much of theirs, or touched it when either went missing;
- they moved or grew as no body does;
- they were out of sight.

Boxes and numbers only. It does not follow anybody's looks, and it cannot say who somebody is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING

from analytics.model import SECOND, Sighting

if TYPE_CHECKING:
    from analytics.zones import Ground

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
        flicker_s: a box without a number over somebody's own box is a second look at them if it lasts no longer.
        touch: share of their width by which boxes may be apart and still touch.
        sight_s: unseen for longer, and the link is over.
        stitch: least confidence of a stitch that a link passes.
        blind_s: pictures further apart than this show nobody who walked where; as long as `sight_s`.
        keep_s: how long what ended is remembered; longer than any visit stays open unseen.
    """

    max_speed: float = 3.0
    guard_s: float = 0.5
    height: float = 0.2
    iou: float = 0.3
    cover: float = 0.5
    flicker_s: float = 0.3
    touch: float = 0.1
    sight_s: float = 0.5
    stitch: float = 0.8
    blind_s: float = 0.5
    keep_s: float = 40.0

    def covers(self, a: Box, b: Box) -> bool:
        """Say whether two boxes overlap so much that their numbers may be swapped."""
        iou, cover = overlap(a, b)
        return iou > self.iou or cover > self.cover


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
    _shadow_us: int | None = None  # since when a stray has covered them
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
        covering = {number for number, box in bodies if number in near and rules.covers(mine.box, box)}
        if STRAY not in covering:
            self._shadow_us = None
        elif self._shadow_us is None:
            self._shadow_us = t_us
        if covering - {STRAY} or (self._shadow_us is not None and t_us - self._shadow_us > rules.flicker_s * SECOND):
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
