"""Training pictures of shops that do not exist: random cameras, light, clothes and plans in the demo shop's rooms.

Path-traced stills with the exact box and the exact head, wrists and ankles of everybody in them, seen from the corners
of the room, or from above. Seeds, cameras and clothes are drawn here and are not those of the demo clip, which stays
out of all training. Needs Blender; pictures that exist are kept, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from analytics.model import AnalyticsError
from analytics.pose import POINTS
from analytics.shopfloor import render, sight
from analytics.shopfloor.cast import BOTTOMS, HAIR, SKIN
from analytics.shopfloor.crowd import wander
from analytics.shopfloor.figure import Look
from analytics.shopfloor.floor import play
from analytics.shopfloor.script import Browse, Person, Stand, Touch
from analytics.shopfloor.shop import SHELVES, STAFF_HEADING, STAFF_SPOT, Camera, Colour, dressing

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCENES, STILLS = 24, 6  # shops, and pictures of each
EVERY = 55  # frames of a tenth of a second from one picture to the next
FIRST = 160  # frame of the first: by then the shop has filled
SAMPLES = 16  # paths a pixel
NEAREST = 0.7  # metres before a camera in a corner; who is nearer, or behind it, is taken out of the shop
STEEPEST = 40.0  # degrees by which a camera that hangs above people looks past the vertical, at most
LEAST_SEEN = 0.25  # visible share of a body from which it is labelled; below it is nobody's label and nobody's miss


@dataclass(frozen=True, slots=True)
class Still:
    """One picture and who is in it.

    Attributes:
        path: the picture.
        boxes: (n, 4) x1, y1, x2, y2 in pixels, hidden parts too, cut at the frame's edge.
        visible: (n,) share of each body that can be seen.
        points: (n, 17, 3) x, y in pixels of `analytics.pose.POINTS`, and 1, or 0 where a turned head hides it.
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


Draw = Callable[[random.Random, float], list[Person]]  # people for a shop of so many seconds
Hang = Callable[[random.Random], tuple[Camera, float]]  # a camera, and how near to it people may be, metres


def shoppers(rng: random.Random, length_s: float) -> list[Person]:
    """Draw people who come in, walk about, stop here and there, and leave."""
    return [wander(rng, f"w{k}", rng.uniform(0, length_s - 6)) for k in range(26)]


def reachers(rng: random.Random, length_s: float) -> list[Person]:
    """Draw people who stand before the shelves, and half of the time have a hand in them."""
    found: list[Person] = []
    for shelf in SHELVES.values():
        apart = 0.8 / math.dist(shelf.low, shelf.high)
        along = rng.uniform(0.04, 0.04 + apart)
        while along < 0.96:
            at, touches = rng.uniform(0.2, 3.0), []
            while at < length_s:
                kind, side = rng.choice(("take", "put_back", "touch")), rng.choice(("left", "right"))
                touches.append(
                    Touch(at, kind, 0.0 if shelf.open_top else rng.choice((0.75, 0.95, 1.1, 1.45, 1.6)), side)
                )
                at += rng.uniform(2.3, 4.2)
            height = rng.uniform(1.5, 1.95)
            plan = (Browse(shelf.name, along, length_s + 9, tuple(touches)),)
            start = shelf.spot(along, height)
            found.append(Person(f"{shelf.name}{len(found)}", "shopper", height, 1.2, 0.0, plan, start=start))
            along += apart * rng.uniform(0.9, 1.8)
    return found


def stretching(rng: random.Random, length_s: float) -> list[Person]:
    """Draw people before the shelves whose hands go higher than their heads, too, and aside."""
    found = []
    for person in reachers(rng, length_s):
        (step,) = person.plan
        assert isinstance(step, Browse)  # noqa: S101 - `reachers` has them do nothing else
        touches = tuple(
            replace(
                touch,
                height=touch.height and rng.choice((0.75, 1.1, 1.45, 1.7, 1.9, 2.1)),
                highest=1.0,
                aside=rng.gauss(0, 0.12),
            )
            for touch in step.touches
        )
        found.append(replace(person, plan=(replace(step, touches=touches),)))
    return found


def corner(rng: random.Random) -> tuple[Camera, float]:
    """Hang a camera in a corner of the room, or at a wall."""
    place = rng.choice(((-0.7, -0.7), (7.3, 0.2), (3.5, -1.6), (0.3, 5.9), (-1.2, 2.5), (7.2, 5.8)))
    camera = Camera(
        place=(place[0] + rng.uniform(-0.4, 0.4), place[1] + rng.uniform(-0.4, 0.4), rng.uniform(2.3, 3.1)),
        target=(rng.uniform(3.2, 5.2), rng.uniform(2.6, 4.2), rng.uniform(0.3, 1.0)),
        focal=rng.uniform(300, 520),
    )
    return camera, NEAREST


def beside(rng: random.Random) -> tuple[Camera, float]:
    """Hang a camera under the ceiling, a few steps from those before a tall shelf, anywhere around them."""
    shelf = rng.choice([shelf for shelf in SHELVES.values() if not shelf.open_top])
    x, y = shelf.spot(rng.uniform(0.2, 0.8))
    angle, away = rng.uniform(math.radians(12), math.radians(168)), rng.uniform(1.8, 3.6)
    camera = Camera(
        place=(
            min(7.6, max(-1.6, x + away * math.cos(angle))),
            y + shelf.facing[1] * away * math.sin(angle),
            rng.uniform(2.2, 3.2),
        ),
        target=(x + rng.uniform(-0.5, 0.5), y, rng.uniform(0.9, 1.4)),
        focal=rng.uniform(280, 420),
    )
    return camera, NEAREST


def above(rng: random.Random) -> tuple[Camera, float]:
    """Hang a camera with a wide lens above those before a shelf, turned so that most stand upright in the picture."""
    shelf = rng.choice(list(SHELVES.values()))
    while True:
        (x, y), along, out = shelf.spot(rng.uniform(0.1, 0.9)), rng.uniform(-1.2, 1.2), rng.uniform(-0.4, 1.3)
        place = (x + along, y + out * shelf.facing[1], rng.uniform(2.4, 3.2))
        target = (x + rng.gauss(0, 0.3), y + rng.gauss(0, 0.3), 0.9)
        away = math.dist(place[:2], target[:2])
        if away > 0.01 and math.degrees(math.atan2(away, place[2] - target[2])) <= STEEPEST:
            break
    flat = Camera(place, target, rng.uniform(190, 330))
    head, feet = flat.project(np.array([(x, y, 1.5), (x, y, 0.0)]))[:, :2]
    upright = math.atan2(head[0] - feet[0], feet[1] - head[1])
    return replace(flat, roll=upright + rng.gauss(0, math.radians(35))), 0.3


def _shop(seed: int, draw: Draw = shoppers, hang: Hang = corner) -> tuple[sight.Stage, Camera, float]:
    """Draw a shop: its people posed at every frame that is wanted, its camera, and how bright it is."""
    rng = random.Random(seed)  # noqa: S311 - a reproducible shop, no secret
    length = (FIRST + EVERY * STILLS) / 10
    people = draw(rng, length)
    till = Person(
        "till", "staff", rng.uniform(1.55, 1.9), 1.1, 0.0, (Stand(STAFF_SPOT, STAFF_HEADING, 9e9),), start=STAFF_SPOT
    )
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
    camera, nearest = hang(rng)
    shown = []
    for instant in wanted:
        bodies = performance.posed[round(instant.t_s * 10)]
        depths = {n: camera.project(np.stack(list(b.points.values())))[:, 2].min() for n, b in bodies.items()}
        shown.append({n: b for n, b in bodies.items() if depths[n] > nearest})
    stage = sight.Stage(cast, looks, performance.parts, wanted, deeds, tuple(shown))
    return stage, camera, rng.uniform(0.6, 1.5)


def stills(
    work: Path, scenes: int = SCENES, *, first_seed: int = 4100, draw: Draw = shoppers, hang: Hang = corner
) -> list[Still]:
    """Return all stills with their truth; what is missing in `work` is rendered first.

    Args:
        work: folder of the pictures; of other people another one.
        scenes: how many shops.
        first_seed: of the first.
        draw: who is in them.
        hang: where their cameras are.

    Raises:
        AnalyticsError: Blender is missing, or gave no picture.
    """
    found = []
    for seed in range(first_seed, first_seed + scenes):
        folder = work / f"shop{seed}"
        truth = folder / "truth.npz"
        if not truth.is_file():
            _render(seed, folder, truth, draw, hang)
        with np.load(truth) as kept:
            count = sum(name.startswith("boxes") for name in kept.files)
            found += [
                Still(folder / f"{n:05d}.png", kept[f"boxes{n}"], kept[f"visible{n}"], kept[f"points{n}"])
                for n in range(count)
            ]
    return found


def _render(seed: int, folder: Path, truth: Path, draw: Draw, hang: Hang) -> None:
    """Render the pictures of one shop, and write its truth last: where it lies, all is there."""
    program = shutil.which("blender")
    if program is None:
        raise AnalyticsError("rendering needs Blender 3.4 or later on the PATH (Debian: apt install blender)")
    stage, camera, light = _shop(seed, draw, hang)
    folder.mkdir(parents=True, exist_ok=True)
    render.write_scene(stage, folder, camera, dressing(seed))
    spec = json.loads((folder / "scene.json").read_text())
    for lamp in spec["lights"]:
        lamp["watts"] *= light
    (folder / "scene.json").write_text(json.dumps(spec))
    script = str(Path(render.__file__).with_name("scene.py"))
    words = [str(folder / "scene.json"), str(folder / "frames.jsonl"), str(folder), "whole", str(SAMPLES)]
    subprocess.run(
        [program, "-b", "-P", script, "--", *words, "0", str(len(stage.posed) - 1), "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    rows: dict[str, NDArray[np.float32]] = {}
    seen = sight.boxes(stage, camera=camera)
    for n in range(len(stage.posed)):
        if not (folder / f"{n:05d}.png").exists():
            raise AnalyticsError(f"Blender gave no picture {folder}/{n:05d}.png; run `scene.py` by hand to see why")
        mine = [b for b in seen if b.frame == n]
        rows[f"boxes{n}"] = np.array([b.box for b in mine], np.float32).reshape(-1, 4)
        rows[f"visible{n}"] = np.array([b.visible for b in mine], np.float32)
        joints = [_joints(stage, camera, n, b.person) for b in mine]
        rows[f"points{n}"] = np.array(joints, np.float32).reshape(-1, len(POINTS), 3)
    np.savez_compressed(truth, **cast("Any", rows))


def _joints(stage: sight.Stage, camera: Camera, frame: int, person: str) -> NDArray[np.float64]:
    """Return (17, 3): where each of `analytics.pose.POINTS` is in pixels, and 1, or 0 for a face turned away."""
    body, height = stage.posed[frame][person].bones, stage.looks[person].height
    head = [
        (0.07, 0.0, -0.008),
        (0.056, 0.018, 0.008),
        (0.056, -0.018, 0.008),
        (-0.002, 0.05, 0.0),
        (-0.002, -0.05, 0.0),
    ]
    world = [body["head"][:3, :3] @ (np.array(at) * height) + body["head"][:3, 3] for at in head]
    for bone in ("arm", "fore", "hand", "thigh", "shin", "foot"):
        for side in ("l", "r"):
            if bone == "hand":
                world.append(stage.posed[frame][person].points[f"wrist_{side}"])
            elif bone == "foot":
                world.append(stage.posed[frame][person].points[f"ankle_{side}"])
            else:
                world.append(body[f"{bone}_{side}"][:3, 3])
    pixels = camera.project(np.array(world))[:, :2]
    axes = body["head"][:3, :3]
    to_camera = np.asarray(camera.place) - body["head"][:3, 3]
    to_camera = to_camera / np.linalg.norm(to_camera)
    ahead, left = float(axes[:, 0] @ to_camera), float(axes[:, 1] @ to_camera)
    face = [ahead > 0.1, ahead + 0.4 * left > 0.2, ahead - 0.4 * left > 0.2, left > -0.5, left < 0.5]
    known = np.array([*face, *[True] * 12], np.float64)
    return np.concatenate([pixels, known[:, None]], axis=1)
