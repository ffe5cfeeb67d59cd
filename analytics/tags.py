"""Finds printed markers on the badges of staff, so that who wears one is left out of everything.

A badge or lanyard with an ArUco marker (`[staff] tags` in store.toml, numbers 0 to 49 of OpenCV's 4×4 set; `openaisle
staff-tag` prints one). It is looked for in the picture of everybody in view, for nothing else is known of them then;
what is found is a number or nothing. No picture is kept, nobody is recognised, and the number of a tag is neither
written nor told: one tag for all will do.

What it does not do: say who somebody is, follow them, or look at anybody when no tag is configured.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from analytics.model import SECOND, Sighting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analytics.body import Box

NUMBERS = 50  # of the set
MOST_HZ = 2.0  # looks a second at one person
_BODY = 0.75  # of a box, from its top: a badge hangs there
_EVERY_US = int(SECOND / MOST_HZ) - SECOND // 50
_MOST = 3.0  # a small body is enlarged by so much at most...
_WANTED = 500  # ...until it is so many pixels high


def _dictionary() -> cv2.aruco.Dictionary:
    return cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)


class Tags:
    """Looks for the tags of one shop's staff.

    Args:
        numbers: those that staff wear.
    """

    def __init__(self, numbers: Collection[int]) -> None:
        self._numbers = frozenset(numbers)
        settings = cv2.aruco.DetectorParameters()
        settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        settings.minMarkerPerimeterRate = 0.02
        self._detector = cv2.aruco.ArucoDetector(_dictionary(), settings)
        self._last_us: dict[int, int] = {}  # by person

    def wearers(
        self,
        t_us: int,
        image: NDArray[np.uint8],
        sightings: Sequence[Sighting],
        people: Mapping[int, int],
        known: Container[int],
    ) -> list[int]:
        """Return who of those in view wears a tag, by person number.

        Args:
            t_us: instant of the picture, UTC microseconds.
            image: (height, width, 3) uint8, BGR; not kept.
            sightings: everybody with a track number.
            people: person number of each track.
            known: persons who need no look: it is known that they work here.
        """
        self._last_us = {person: at for person, at in self._last_us.items() if t_us - at < SECOND}
        found = []
        for sighting in sightings:
            person = people[sighting.track]
            if person in known or t_us - self._last_us.get(person, -SECOND) < _EVERY_US:
                continue
            self._last_us[person] = t_us
            others = [s.box for s in sightings if s.track != sighting.track]
            if self._worn(image, sighting.box, others):
                found.append(person)
        return found

    def _worn(self, image: NDArray[np.uint8], box: Box, others: Sequence[Box]) -> bool:
        height, width = image.shape[:2]
        x1, y1 = max(0, round(box[0])), max(0, round(box[1]))
        x2, y2 = min(width, round(box[2])), min(height, round(box[1] + _BODY * (box[3] - box[1])))
        if x2 - x1 < 8 or y2 - y1 < 8:
            return False
        grey = cv2.cvtColor(image[y1:y2, x1:x2], cv2.COLOR_BGR2GRAY)
        scale = min(_MOST, max(1.0, _WANTED / (y2 - y1)))
        if scale > 1:
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        corners, numbers, _ = self._detector.detectMarkers(grey)
        if numbers is None:
            return False
        for place, number in zip(corners, np.ravel(numbers).tolist(), strict=True):
            x, y = np.mean(np.reshape(place, (4, 2)), axis=0) / scale + (x1, y1)
            # where two bodies overlap it may be the other's, who then has it in their own box, too
            alone = not any(o[0] < x < o[2] and o[1] < y < o[3] for o in others)
            if number in self._numbers and alone:
                return True
        return False


def drawn(number: int, side: int = 600) -> NDArray[np.uint8]:
    """Return a tag to print, (side, side) grey with the white edge that it needs.

    Raises:
        ValueError: there is no such number.
    """
    if not 0 <= number < NUMBERS:
        raise ValueError(f"tags are numbered 0 to {NUMBERS - 1}")
    edge = side // 8
    marker = cv2.aruco.generateImageMarker(_dictionary(), number, side - 2 * edge)
    return np.asarray(np.pad(marker, edge, constant_values=255), np.uint8)
