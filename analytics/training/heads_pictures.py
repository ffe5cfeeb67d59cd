"""Pictures as the net that finds heads will see them: a face in the middle, and beside it heads, or what is none.

Heads, pieces of bodies and pieces of shelves are cut out and laid in alike, so that no edge tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from analytics.training.heads_sources import Material, Scene
from analytics.training.pictures import vary

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE, WIDE = 224, 32.0  # pixels of what the net sees, and of the width of the face in its middle
LEAST_WIDE, READABLE = 5.0, 14.0  # pixels of the source: width of a face whose head is cut out; of one that is read


def piece(image: NDArray[np.uint8], x: float, y: float, wide: float, to: float) -> NDArray[np.uint8] | None:
    """Return what is around a place, 4 face widths wide and 5.2 high, a face `to` pixels wide; None over the edge."""
    left, top, right, bottom = (int(v) for v in (x - 2 * wide, y - 1.5 * wide, x + 2 * wide, y + 3.7 * wide))
    if left < 0 or top < 0 or right > image.shape[1] or bottom > image.shape[0] or to < 4:
        return None
    size = (max(4, round(4 * to)), max(5, round(5.2 * to)))
    how = cv2.INTER_AREA if to < wide else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image[top:bottom, left:right], size, interpolation=how), np.uint8)


def lay(
    canvas: NDArray[np.uint8], part: NDArray[np.uint8], at: tuple[float, float], shape: Sequence[float], *, body: bool
) -> NDArray[np.bool_]:
    """Lay a piece into a canvas, its head at a place; returns what it covers.

    Args:
        canvas: changed in place.
        part: see `piece`.
        at: x, y of the head's middle.
        shape: half width and half height of the head, face widths, and how soft its edge is, face widths.
        body: shoulders and chest are laid in, too.
    """
    w = part.shape[1] / 4
    x, y = 2 * w, 1.5 * w
    mask = np.zeros(part.shape[:2], np.float32)
    cv2.ellipse(
        mask, (round(x), round(y)), (max(1, round(shape[0] * w)), max(1, round(shape[1] * w))), 0, 0, 360, 1, -1
    )
    if body:
        side = [(0.4, 0.6), (1.25, 1.3), (1.3, 3.7)]
        outline = [(x + a * w, y + b * w) for a, b in side] + [(x - a * w, y + b * w) for a, b in side[::-1]]
        cv2.fillPoly(mask, [np.array(outline, np.int32)], (1,))
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.5, shape[2] * w)), np.float32)
    left, top = round(at[0] - x), round(at[1] - y)
    x1, y1 = max(0, left), max(0, top)
    x2, y2 = min(canvas.shape[1], left + part.shape[1]), min(canvas.shape[0], top + part.shape[0])
    covered = np.zeros(canvas.shape[:2], bool)
    if x1 < x2 and y1 < y2:
        weight = mask[y1 - top : y2 - top, x1 - left : x2 - left, None]
        under = canvas[y1:y2, x1:x2]
        canvas[y1:y2, x1:x2] = under * (1 - weight) + part[y1 - top : y2 - top, x1 - left : x2 - left] * weight
        covered[y1:y2, x1:x2] = weight[..., 0] > 0.5
    return covered


def coarse(image: NDArray[np.uint8], chance: np.random.Generator, most: float = 3.5) -> NDArray[np.uint8]:
    """Take detail away, as a far or poor camera does."""
    less = float(np.exp(chance.uniform(0, np.log(most))))
    size = image.shape[1::-1]
    small = cv2.resize(
        image, (max(3, round(size[0] / less)), max(3, round(size[1] / less))), interpolation=cv2.INTER_AREA
    )
    how = cv2.INTER_LINEAR if chance.random() < 0.6 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(small, size, interpolation=how), np.uint8)


def _inside(one: Scene, x: float, y: float, wide: float) -> bool:
    """Say whether a whole head is in its picture."""
    return bool(wide / 2 < x < one.image.shape[1] - wide / 2 and wide / 2 < y < one.image.shape[0] - wide / 2)


class Maker:
    """Makes pictures as the net will see them: somebody's face in the middle, other heads and other things beside.

    Args:
        material: what they are made of.
        chance: every choice.
    """

    def __init__(self, material: Material, chance: np.random.Generator) -> None:
        self.goods, self.chance, self.scenes = material.goods, chance, [s for s in material.scenes if len(s.heads)]
        self.empty = [s.image for s in material.scenes if not len(s.heads)]
        self.heads = [(s, *h.tolist()) for s in self.scenes for h in s.heads if h[2] >= LEAST_WIDE and _inside(s, *h)]
        self.readable = [one for one in self.heads if not one[0].drawn and one[3] >= READABLE]
        self.limbs = [
            (s, *one.tolist())
            for s in self.scenes
            for one in s.limbs
            if one[2] >= LEAST_WIDE
            and (np.hypot(s.heads[:, 0] - one[0], s.heads[:, 1] - one[1]) > 1.3 * s.heads[:, 2]).all()
        ]

    def single(self, *, readable: bool = False) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return one head in the middle, (SIDE, SIDE, 3), and (n, 3) of all heads in its pixels, that one the first.

        Args:
            readable: one that is filmed and about as large as those that are read.
        """
        chance, pool = self.chance, self.readable if readable else self.heads
        found, x, y, wide = pool[chance.integers(len(pool))]
        scale = WIDE / wide * chance.uniform(0.8, 1.25)
        image, heads = found.image, found.heads
        if chance.random() < 0.5:  # everybody else blurred, as where somebody is alone
            mine = int(np.hypot(heads[:, 0] - x, heads[:, 1] - y).argmin())
            x1, y1, x2, y2 = found.boxes[mine]
            mask = np.zeros(image.shape[:2], np.float32)
            cv2.rectangle(mask, (round(x1), round(y1 - 0.05 * (y2 - y1))), (round(x2), round(y2)), (1,), -1)
            mask = cv2.GaussianBlur(mask, (0, 0), 2)[..., None]
            image = np.asarray(image * mask + cv2.GaussianBlur(image, (0, 0), 20) * (1 - mask), np.uint8)
            others = [h for k, h in enumerate(heads) if k != mine and x1 < h[0] < x2 and y1 < h[1] < y2]
            heads = np.array([heads[mine], *others], np.float32)
        else:
            heads = heads[np.argsort(np.hypot(heads[:, 0] - x, heads[:, 1] - y))]
        mirror = -1 if chance.random() < 0.5 else 1
        turn = np.radians(chance.uniform(-8, 8))
        linear = scale * np.array([[mirror * np.cos(turn), -np.sin(turn)], [mirror * np.sin(turn), np.cos(turn)]])
        middle = np.array([SIDE / 2, SIDE / 2]) + chance.uniform(-4, 4, 2)
        matrix = np.hstack([linear, (middle - linear @ (x, y))[:, None]])
        soft = image if scale > 1 else cv2.GaussianBlur(image, (0, 0), 0.4 / scale)
        shown = cv2.warpAffine(soft, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        places = heads[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        return np.asarray(shown, np.uint8), np.column_stack([places, heads[:, 2] * scale]).astype(np.float32)

    def window(self) -> NDArray[np.uint8]:
        """Return a piece of shelves or of an empty room, (SIDE, SIDE, 3)."""
        chance = self.chance
        pool = self.goods if chance.random() < 0.7 or not self.empty else self.empty
        image = pool[chance.integers(len(pool))]
        side = round(min(image.shape[:2]) * chance.uniform(0.25, 1))
        x, y = chance.integers(image.shape[1] - side + 1), chance.integers(image.shape[0] - side + 1)
        return np.asarray(cv2.resize(image[y : y + side, x : x + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA))

    def part(self, kind: str, to: float) -> NDArray[np.uint8] | None:
        """Return a piece with a head (``head``), a piece of a body without (``limb``) or of shelves (``goods``)."""
        chance = self.chance
        if kind == "goods":
            image = self.goods[chance.integers(len(self.goods))]
            wide = min(image.shape[0] / 5.3, image.shape[1] / 4.1) * chance.uniform(0.12, 1)
            x = chance.uniform(2 * wide, image.shape[1] - 2 * wide)
            found = piece(image, x, chance.uniform(1.5 * wide, image.shape[0] - 3.7 * wide), wide, to)
        else:
            pool = self.heads if kind == "head" else self.limbs
            seen, x, y, wide = pool[chance.integers(len(pool))]
            found = piece(seen.image, x, y, wide, to)
        if found is None:
            return None
        if chance.random() < 0.5:
            found = np.ascontiguousarray(found[:, ::-1])
        return vary(coarse(found, chance), chance)

    def made(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return one picture, (SIDE, SIDE, 3) uint8 BGR, and (n, 3) of the heads in it."""
        chance = self.chance
        if chance.random() < 0.75:
            canvas, heads = self.single()
            canvas = canvas.copy()
        else:
            canvas, heads = self.window().copy(), np.zeros((0, 3), np.float32)
        for _ in range(chance.choice(5, p=(0.2, 0.3, 0.25, 0.15, 0.1))):
            kind = chance.choice(("head", "goods", "limb"), p=(0.5, 0.35, 0.15))
            to = WIDE * float(np.exp(chance.uniform(np.log(0.42), np.log(1.2))))
            part = self.part(kind, to)
            if part is None:
                continue
            at = (float(chance.uniform(8, SIDE - 8)), float(chance.uniform(8, SIDE - 8)))
            shape = (chance.uniform(0.5, 0.85), chance.uniform(0.75, 1.1), chance.uniform(0.02, 0.12))
            covered = lay(canvas, part, at, shape, body=chance.random() < 0.35 and kind != "limb")
            spots = np.clip(heads[:, :2].round().astype(int), 0, SIDE - 1)
            heads = heads[~covered[spots[:, 1], spots[:, 0]]]
            if kind == "head":
                heads = np.vstack([heads, np.array([[*at, to]], np.float32)])
        if chance.random() < 0.3:
            canvas = coarse(canvas, chance, 2.0)
        return vary(canvas, chance), heads
