"""The second look: joints of shoppers who said yes, a few times a second, handed to whoever makes sense of them.

Rules:
- No consent, no second look: the net gets the crop of a track only where the caller says which purposes it is
  permitted for at this very picture, and somebody who works for one of those purposes wants it.
- A shop whose level allows no second look never loads the net. Where it allows one, the net is loaded before the first
  picture: one that waited for it could end every link. After a raise it is loaded at the first such look.
- A track is looked at 5 times a second at most. Who cannot be looked at in one picture is not looked at later for it.
- Nothing is kept here but when it is each track's turn; picture and joints go to the lookers, and end there.

It does not find, follow or link anybody, and it does not know what a stance or a face means.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from analytics.model import SECOND, Sighting
from consent.events import Level, Purpose

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analytics.body import Box

MOST_HZ = 5.0  # looks a second at one track
PURPOSES = frozenset({Purpose.DWELL, Purpose.EMOTION})  # for which pixels of a linked track may be looked at at all
_APART_US = round(SECOND / MOST_HZ)
_EARLY_US = SECOND // 50  # a picture may come so much before its turn; the next turn is not earlier for that


class Joints(Protocol):
    """Finds the joints of one person; `analytics.pose.Pose`, or the simulated shop."""

    def points(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.float32] | None:
        """Return (17, 3) x, y in pixels of the picture and confidence, or None where nobody is seen in the box."""


class Looker(Protocol):
    """Makes sense of the joints of linked shoppers, for one purpose.

    Attributes:
        purpose: without a live permit for it, it is asked nothing and told nothing.
    """

    purpose: Purpose

    def wants(self, t_us: int, person: int, sighting: Sighting) -> bool:
        """Say whether a look at this person is of use now; the net runs only where somebody says yes."""

    def look(
        self,
        t_us: int,
        person: int,
        image: NDArray[np.uint8],
        keypoints: NDArray[np.float32],
        box: Box,
        others: Sequence[Box],
    ) -> None:
        """Take one look.

        Args:
            t_us: instant of the picture, UTC microseconds.
            person: number of the dwell engine, as visits have it.
            image: (height, width, 3) uint8, BGR, the whole picture; not to be kept.
            keypoints: (17, 3), see `analytics.pose.POINTS`; not to be kept for longer than what is made of them.
            box: of the person, pixels.
            others: boxes of everybody else in the picture.
        """

    def forget(self, keep: Collection[int]) -> None:
        """Drop what is known of everybody else: they are out of sight for good, or took their yes back."""


class SecondLook:
    """Runs the pose net on crops of permitted tracks.

    Args:
        lookers: who makes sense of what is seen.
        make: loads the net, once.

    Attributes:
        looks: how often the net ran.
        cpu_s: CPU time of all that, lookers included, seconds; loading the net is not in it.
    """

    def __init__(self, lookers: Sequence[Looker], make: Callable[[], Joints]) -> None:
        self._lookers, self._make = tuple(lookers), make
        self._net: Joints | None = None
        self._next_us: dict[int, int] = {}  # by person
        self.looks = 0
        self.cpu_s = 0.0

    def load(self, level: Level) -> None:
        """Load the net now where the level allows what somebody would look for; otherwise do nothing.

        Raises:
            AnalyticsError: a file is missing or not what it should be.
        """
        if self._net is None and any(level.allows(one.purpose) for one in self._lookers):
            self._net = self._make()

    def wanted(self, t_us: int, sightings: Sequence[Sighting], people: Mapping[int, int]) -> frozenset[int]:
        """Return the tracks at which a look would be of use now, permitted or not: whose consent must be looked up."""
        return frozenset(
            s.track
            for s in sightings
            if self._due(t_us, people[s.track]) and any(one.wants(t_us, people[s.track], s) for one in self._lookers)
        )

    def step(
        self,
        t_us: int,
        image: NDArray[np.uint8],
        sightings: Sequence[Sighting],
        people: Mapping[int, int],
        permitted: Mapping[int, frozenset[Purpose]],
        others: Sequence[Box] = (),
    ) -> None:
        """Look at whoever may and should be looked at in one picture.

        Args:
            t_us: its instant, UTC microseconds.
            image: (height, width, 3) uint8, BGR; not kept.
            sightings: everybody with a track number.
            people: person number of each track.
            permitted: by track, the purposes that a live grant allows now; who is not in it is not looked at.
            others: boxes of people without a track number.
        """
        for mine in sightings:
            purposes = permitted.get(mine.track, frozenset()) & PURPOSES
            person = people[mine.track]
            if not purposes or not self._due(t_us, person):
                continue
            lookers = [one for one in self._lookers if one.purpose in purposes and one.wants(t_us, person, mine)]
            if not lookers:
                continue
            if self._net is None:
                self._net = self._make()
            started = time.thread_time()  # the net runs in this thread
            self._next_us[person] = max(self._next_us.get(person, 0), t_us - _EARLY_US) + _APART_US
            self.looks += 1
            keypoints = self._net.points(image, mine.box)
            if keypoints is not None:
                around = (*(s.box for s in sightings if s.track != mine.track), *others)
                for one in lookers:
                    one.look(t_us, person, image, keypoints, mine.box, around)
            self.cpu_s += time.thread_time() - started

    def forget(self, keep: Mapping[int, frozenset[Purpose]]) -> None:
        """Drop everybody else, and what is of another purpose.

        Args:
            keep: by person, the purposes for which something may still be kept.
        """
        self._next_us = {person: t_us for person, t_us in self._next_us.items() if person in keep}
        for one in self._lookers:
            one.forget({person for person, purposes in keep.items() if one.purpose in purposes})

    def _due(self, t_us: int, person: int) -> bool:
        return t_us >= self._next_us.get(person, t_us) - _EARLY_US
