"""Tags of staff on rendered pictures: who wears one is found, from how far, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.body import Box
from analytics.config import StoreFile
from analytics.model import SECOND, Sighting
from analytics.tags import NUMBERS, Tags, drawn
from tests.command import Place


def picture(
    marker_px: float, *, number: int = 7, turn: float = 0.0, body: int = 400, blur: float = 0.6
) -> tuple[NDArray[np.uint8], Box]:
    """Return somebody with a badge of so many pixels before the chest, turned by some degrees, in a noisy picture."""
    chance = np.random.default_rng(1)
    image = chance.normal(130, 20, (600, 600, 1)).clip(0, 255).repeat(3, axis=2).astype(np.uint8)
    left, top, wide = 200, 60, round(0.34 * body)
    image[top : top + body, left : left + wide] = (60, 50, 90)
    half = marker_px / 0.75 / 2  # with its white edge
    x, y, narrow = left + wide / 2, top + 0.32 * body, half * np.cos(np.radians(turn))
    corners = np.array([(x - narrow, y - half), (x + narrow, y - half), (x + narrow, y + half), (x - narrow, y + half)])
    large = cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    tag = drawn(number, 400)
    flat = np.array([(0, 0), (400, 0), (400, 400), (0, 400)], np.float32)
    way = cv2.getPerspectiveTransform(flat, (corners * 4).astype(np.float32))
    laid = cv2.warpPerspective(tag, way, (2400, 2400))
    where = cv2.warpPerspective(np.full_like(tag, 255), way, (2400, 2400)) > 0
    large[where] = laid[where][:, None]
    seen = cv2.GaussianBlur(cv2.resize(large, (600, 600), interpolation=cv2.INTER_AREA), (0, 0), blur)
    noisy = (seen + chance.normal(0, 4, seen.shape)).clip(0, 255).astype(np.uint8)
    return noisy, (left, top, left + wide, top + body)


def looks(image: NDArray[np.uint8], *boxes: Box, tags: Tags | None = None, t_us: int = 0) -> list[int]:
    sightings = [Sighting(i, 0, 0, b[3] - b[1], 0.9, b) for i, b in enumerate(boxes, start=1)]
    return (tags or Tags([7])).wearers(t_us, image, sightings, {s.track: s.track for s in sightings}, ())


@pytest.mark.parametrize("turn", [0.0, 30.0])
@pytest.mark.parametrize("marker_px", [18, 24, 40])
def test_a_tag_of_eighteen_pixels_is_found(marker_px: float, turn: float) -> None:
    image, box = picture(marker_px, turn=turn)
    assert looks(image, box) == [1]


def test_one_of_five_pixels_is_not() -> None:
    """How far it reaches: 12 cm on a body of 170 cm are 18 pixels where the body has 255."""
    image, box = picture(5)
    assert looks(image, box) == []


def test_another_number_or_none_is_nobodys_tag() -> None:
    image, box = picture(40, number=9)
    assert looks(image, box) == []
    assert looks(image, box, tags=Tags([9])) == [1]
    plain = np.random.default_rng(2).integers(0, 256, (600, 600, 3)).astype(np.uint8)
    assert looks(plain, (100.0, 50.0, 240.0, 450.0), tags=Tags(range(NUMBERS))) == []


def test_a_tag_where_two_bodies_overlap_is_nobodys() -> None:
    image, box = picture(40)
    shopper = (box[0] - 60, box[1], box[2] - 20, box[3])
    assert looks(image, shopper, box) == []
    assert looks(image, (10.0, 60.0, 150.0, 460.0), box) == [2]


def test_everybody_is_looked_at_twice_a_second_at_most_and_who_is_known_no_more() -> None:
    image, box = picture(40)
    tags, found = Tags([7]), []
    for i in range(20):
        found += looks(image, box, tags=tags, t_us=i * SECOND // 10)
    assert len(found) == 4
    sighting = Sighting(1, 0, 0, 400, 0.9, box)
    assert tags.wearers(9 * SECOND, image, [sighting], {1: 1}, {1}) == []


@pytest.mark.parametrize("tags", ["[50]", "[-1]", '["7"]', "7"])
def test_what_is_no_number_of_a_tag_is_refused(tags: str) -> None:
    import tomllib

    text = f'[store]\nname = "a"\nid = "a"\ntimezone = "UTC"\n[staff]\ntags = {tags}\n'
    with pytest.raises(ValueError, match="tags"):
        StoreFile.model_validate(tomllib.loads(text))


def test_the_command_draws_what_is_found(tmp_path: Path) -> None:
    place = Place(tmp_path)
    done = place.run("staff-tag", "7", "--out", "tag.png")
    assert done.returncode == 0, done.stderr
    tag = cv2.imread(str(place.here / "tag.png"), cv2.IMREAD_GRAYSCALE)
    assert tag is not None
    image = np.full((600, 600, 3), 90, np.uint8)
    image[150:250, 250:350] = cv2.resize(tag, (100, 100), interpolation=cv2.INTER_AREA)[..., None]
    assert looks(image, (200.0, 50.0, 400.0, 550.0)) == [1]
    refused = place.run("staff-tag", "50", "--out", "tag.png")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "Traceback" not in refused.stderr
