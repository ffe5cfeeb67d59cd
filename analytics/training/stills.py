"""Training pictures of shops that do not exist: random cameras, light, clothes and plans in the demo shop's rooms.

Path-traced stills with the exact box and the exact head, wrists and ankles of everybody in them. Seeds, cameras and
clothes are drawn here and are not those of the demo clip, which stays out of all training. Needs Blender; pictures that
exist are kept, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from analytics.model import AnalyticsError
from analytics.shopfloor import render, sight
from analytics.shopfloor.cast import BOTTOMS, HAIR, SKIN
from analytics.shopfloor.crowd import wander
from analytics.shopfloor.figure import Look
from analytics.shopfloor.floor import play
from analytics.shopfloor.script import Person, Stand
from analytics.shopfloor.shop import STAFF_SPOT, Camera, Colour, dressing

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCENES, STILLS = 24, 6  # shops, and pictures of each
EVERY = 55  # frames of a tenth of a second from one picture to the next
FIRST = 160  # frame of the first: by then the shop has filled
SAMPLES = 16  # paths a pixel
NEAREST = 0.7  # metres before the camera; who is nearer, or behind it, is taken out of the shop
LEAST_SEEN = 0.35  # visible share of a body from which it is labelled; below it is nobody's label and nobody's miss


@dataclass(frozen=True, slots=True)
class Still:
    """One picture and who is in it.

    Attributes:
        path: the picture.
        boxes: (n, 4) x1, y1, x2, y2 in pixels, hidden parts too, cut at the frame's edge.
        visible: (n,) share of each body that can be seen.
        points: (n, 5, 2) pixels of `analytics.shopfloor.sight.POINTS`.
    """

    path: Path
    boxes: NDArray[np.float32]
    visible: NDArray[np.float32]
    points: NDArray[np.float32]

    def image(self) -> NDArray[np.uint8]:
        """Read the picture: (height, width, 3) uint8, BGR, the grain of few samples smoothed a little."""
        found = cv2.imread(str(self.path))
        if found is None:
            raise AnalyticsError(f"{self.path} is no picture; delete it and render again")
        return np.asarray(cv2.bilateralFilter(cv2.medianBlur(found, 3), 5, 25, 2), np.uint8)


def _shop(seed: int) -> tuple[sight.Stage, Camera, float]:
    """Draw a shop: its people posed at every frame that is wanted, its camera, and how bright it is."""
    rng = random.Random(seed)  # noqa: S311 - a reproducible shop, no secret
    length = (FIRST + EVERY * STILLS) / 10
    people = [wander(rng, f"w{k}", rng.uniform(0, length - 6)) for k in range(26)]
    till = Person("till", "staff", rng.uniform(1.55, 1.9), 1.1, 0.0, (Stand(STAFF_SPOT, 0.0, 9e9),), start=STAFF_SPOT)
    cast = (till, *people)

    def colour() -> Colour:
        return rng.uniform(0.02, 0.6) ** 1.3, rng.uniform(0.02, 0.6) ** 1.3, rng.uniform(0.02, 0.6) ** 1.3

    looks = {
        p.name: Look(
            height=p.height,
            build=round(rng.uniform(0.85, 1.25), 3),
            top=colour(),
            bottom=colour() if rng.random() < 0.4 else rng.choice(BOTTOMS),
            skin=rng.choice(SKIN),
            hair=rng.choice(HAIR),
            shoes=rng.choice(((0.03, 0.03, 0.03), (0.25, 0.23, 0.2), (0.12, 0.06, 0.03))),
            cut=rng.choice(("short", "long", "bald", "cap")),
            wear=rng.choice(("shirt", "tee", "coat", "skirt")),
            bag=rng.choice(("none", "none", "basket", "backpack", "handbag")),
        )
        for p in cast
    }
    instants, deeds = play(cast, length, 10)
    wanted = instants[FIRST::EVERY][:STILLS]
    performance = sight.posed(cast, looks, instants, deeds)
    corner = rng.choice(((-0.7, -0.7), (7.3, 0.2), (3.5, -1.6), (0.3, 5.9), (-1.2, 2.5), (7.2, 5.8)))
    camera = Camera(
        place=(corner[0] + rng.uniform(-0.4, 0.4), corner[1] + rng.uniform(-0.4, 0.4), rng.uniform(2.3, 3.1)),
        target=(rng.uniform(3.2, 5.2), rng.uniform(2.6, 4.2), rng.uniform(0.3, 1.0)),
        focal=rng.uniform(300, 520),
    )
    shown = []
    for instant in wanted:
        bodies = performance.posed[round(instant.t_s * 10)]
        depths = {n: camera.project(np.stack(list(b.points.values())))[:, 2].min() for n, b in bodies.items()}
        shown.append({n: b for n, b in bodies.items() if depths[n] > NEAREST})
    stage = sight.Stage(cast, looks, performance.parts, wanted, deeds, tuple(shown))
    return stage, camera, rng.uniform(0.6, 1.5)


def stills(work: Path, scenes: int = SCENES, *, first_seed: int = 4100) -> list[Still]:
    """Render the stills into `work`, and return all of them with their truth.

    Raises:
        AnalyticsError: Blender is missing, or gave no picture.
    """
    program = shutil.which("blender")
    found = []
    for seed in range(first_seed, first_seed + scenes):
        stage, camera, light = _shop(seed)
        folder = work / f"shop{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{n:05d}.png" for n in range(len(stage.posed))]
        if not all(path.exists() for path in paths):
            if program is None:
                raise AnalyticsError("rendering needs Blender 3.4 or later on the PATH (Debian: apt install blender)")
            render.write_scene(stage, folder, camera, dressing(seed))
            spec = json.loads((folder / "scene.json").read_text())
            for lamp in spec["lights"]:
                lamp["watts"] *= light
            (folder / "scene.json").write_text(json.dumps(spec))
            script = str(Path(render.__file__).with_name("scene.py"))
            words = [str(folder / "scene.json"), str(folder / "frames.jsonl"), str(folder), "whole", str(SAMPLES)]
            subprocess.run(
                [program, "-b", "-P", script, "--", *words, "0", str(len(paths) - 1), "1"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        seen = sight.boxes(stage, camera=camera)
        for n, path in enumerate(paths):
            if not path.exists():
                raise AnalyticsError(f"Blender gave no picture {path}; run `scene.py` by hand to see why")
            mine = [b for b in seen if b.frame == n]
            found.append(
                Still(
                    path,
                    np.array([b.box for b in mine], np.float32).reshape(-1, 4),
                    np.array([b.visible for b in mine], np.float32),
                    np.array([b.points for b in mine], np.float32).reshape(-1, len(sight.POINTS), 2),
                )
            )
    return found
