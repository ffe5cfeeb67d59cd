"""The demo clip as pictures: hands the shop to Blender, joins the layers, writes H.264. Resumable, frame by frame.

Three kinds of pictures are path-traced: the empty shop once with many samples; every third frame at half size with
few samples and always the same noise seed, for the shadows that people cast; and each frame's people alone, at full
size and with exact edges, lit by the whole shop. A frame of the clip is the empty shop, plus what people change on it
(few samples against the empty shop with the same few: the noise cancels out), with the people laid over. Only work
files and the clip are written.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from analytics.model import AnalyticsError
from analytics.shopfloor.figure import GOODS
from analytics.shopfloor.shop import CAMERA, FPS, GOODS_COLOURS, HEIGHT, WIDTH, Block, Camera, dressing
from analytics.shopfloor.sight import Stage

SHADOW_SAMPLES, PEOPLE_SAMPLES, EMPTY_SAMPLES = 5, 9, 160  # paths a pixel
SHADOW_STEP = 3  # the shadows of the frames between lie between their neighbours'
EMPTY = -1  # frame number of the empty shop
GRAIN, STRAY = 0.3, 0.15  # of full scale: differences smoothed away in the people layer, and taken for a stray pixel
SOFT = 2.0  # smoothing of the shadows, pixels of their half-size picture
CRF = 23  # quality of the H.264 stream

LIGHTS = (
    {"place": (1.6, 4.0, 4.7), "size": (0.9, 0.9), "watts": 185},
    {"place": (5.6, 4.0, 4.7), "size": (0.9, 0.9), "watts": 185},
    {"place": (1.8, 0.4, 4.7), "size": (1.8, 0.4), "watts": 170},
    {"place": (5.6, 0.4, 4.7), "size": (1.8, 0.4), "watts": 170},
)
OUTDOORS = {"place": (10.5, 3.5, 4.0), "size": (2.0, 6.0), "watts": 350}


def write_scene(
    performance: Stage, work: Path, camera: Camera = CAMERA, furniture: tuple[Block, ...] | None = None
) -> None:
    """Write `scene.json` (what exists) and `frames.jsonl` (where every bone is) for `scene`."""
    people = []
    for k, (name, parts) in enumerate(performance.parts.items()):
        shapes = [(p.bone, p.vertices, p.faces, p.colour, True) for p in parts]
        shapes.append(("goods", GOODS[0], GOODS[1], GOODS_COLOURS[k % len(GOODS_COLOURS)], False))
        people.append(
            {
                "name": name,
                "parts": [
                    {"bone": b, "vertices": v.round(5).tolist(), "faces": f, "colour": c, "smooth": s}
                    for b, v, f, c, s in shapes
                ],
            }
        )
    spec: dict[str, Any] = {
        "camera": {
            "width": WIDTH,
            "height": HEIGHT,
            "focal": camera.focal,
            "place": camera.place,
            "axes": camera.axes().tolist(),
        },
        "blocks": [{"low": b.low, "high": b.high, "colour": b.colour} for b in furniture or dressing()],
        "lights": [*LIGHTS, OUTDOORS],
        "people": people,
    }
    (work / "scene.json").write_text(json.dumps(spec))
    with (work / "frames.jsonl").open("w") as out:
        for posed in performance.posed:
            frame = {
                name: {bone: m[:3].ravel().round(5).tolist() for bone, m in p.bones.items()}
                for name, p in posed.items()
            }
            out.write(json.dumps(frame) + "\n")


def _blender(work: Path, folder: str, layer: str, samples: int, frames: range) -> subprocess.Popen[bytes]:
    program = shutil.which("blender")
    if program is None:
        raise AnalyticsError("rendering needs Blender 3.4 or later on the PATH (Debian: apt install blender)")
    (work / folder).mkdir(parents=True, exist_ok=True)
    numbers = map(str, (samples, frames.start, frames.stop - 1, frames.step))
    words = [str(work / "scene.json"), str(work / "frames.jsonl"), str(work / folder), layer, *numbers]
    script = str(Path(__file__).with_name("scene.py"))
    return subprocess.Popen(
        ["nice", "-n", "19", program, "-b", "-P", script, "--", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def trace(performance: Stage, work: Path, workers: int = 2, frames: int | None = None) -> None:
    """Path-trace all layers into `work`; pictures that exist are kept.

    Args:
        performance: the posed cast.
        work: folder of work files.
        workers: Blender processes at a time, one thread each.
        frames: how many from the first; all when None.

    Raises:
        AnalyticsError: Blender is missing, or ended without a picture.
    """
    work.mkdir(parents=True, exist_ok=True)
    write_scene(performance, work)
    wanted = range(len(performance.posed) if frames is None else frames)
    empty = range(EMPTY, EMPTY + 1)
    shaded = wanted[::SHADOW_STEP]
    rounds = [
        [(layer, layer, samples, numbers[k::workers]) for k in range(workers)]
        for layer, samples, numbers in (("people", PEOPLE_SAMPLES, wanted), ("shadows", SHADOW_SAMPLES, shaded))
    ]
    rounds.append([("empty", "whole", EMPTY_SAMPLES, empty), ("shadows", "shadows", SHADOW_SAMPLES, empty)])
    for jobs in rounds:
        for job in [_blender(work, *job) for job in jobs]:
            job.wait()
    for folder, numbers in (("people", wanted), ("shadows", shaded)):
        for n in numbers:
            if not (work / folder / f"{n:05d}.png").exists():
                raise AnalyticsError(f"Blender gave no picture {folder}/{n:05d}.png; run `scene.py` by hand to see why")


def _picture(path: Path) -> NDArray[np.float32]:
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise AnalyticsError(f"{path} is no picture; delete it and render again")
    return np.asarray(found, dtype=np.float32) / np.float32(65535)


def _calm(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the grain of few samples off the people layer: single stray pixels inside a body first, then the rest."""
    picture = np.ascontiguousarray(picture)
    inside = cv2.erode((picture.max(axis=2) > 0).astype(np.uint8), np.ones((3, 3), np.uint8))[..., None] > 0
    middle = cv2.medianBlur(picture, 3)
    stray = inside & (np.abs(picture - middle).max(axis=2, keepdims=True) > STRAY)
    calm = cv2.bilateralFilter(np.where(stray, middle, picture).astype(np.float32), 5, GRAIN, 1.2)
    return np.asarray(calm, dtype=np.float32)


def _change(work: Path, number: int) -> NDArray[np.float32]:
    """Return what people change on the empty shop, half size, linear between the frames that were rendered."""
    low = number - number % SHADOW_STEP
    sides = [work / "shadows" / f"{n:05d}.png" for n in (low, low + SHADOW_STEP)]
    share = (number - low) / SHADOW_STEP if sides[1].exists() else 0.0
    lit = _picture(sides[0]) if share == 0 else (1 - share) * _picture(sides[0]) + share * _picture(sides[1])
    return np.asarray(lit - _picture(work / "shadows" / f"{EMPTY:05d}.png"), dtype=np.float32)


def joined(work: Path, number: int) -> NDArray[np.uint8]:
    """Return one frame of the clip, (height, width, 3) BGR, from its layers in `work`."""
    empty = _picture(work / "empty" / f"{EMPTY:05d}.png")
    change = _change(work, number)
    people = _picture(work / "people" / f"{number:05d}.png")
    alpha = people[..., 3:]
    # What changes on the floor is smooth; under a body it is unknown, so only pixels without one have a say.
    covered = cv2.resize(
        cv2.dilate(alpha, np.ones((3, 3), np.uint8)), change.shape[1::-1], interpolation=cv2.INTER_AREA
    )
    clear = (covered < 1e-3).astype(np.float32)[..., None]
    blurred = cv2.GaussianBlur(cv2.medianBlur(change, 5) * clear, (0, 0), SOFT)
    weight = np.maximum(cv2.GaussianBlur(clear, (0, 0), SOFT)[..., None], 1e-3)
    floor = empty + cv2.resize(blurred / weight, empty.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    mixed = alpha * _calm(people[..., :3]) + (1 - alpha) * floor
    return np.clip(np.round(mixed * 255), 0, 255).astype(np.uint8)


def write_clip(frames: int, work: Path, target: Path) -> None:
    """Join the first `frames` frames and write them as H.264, yuv420p, `FPS` frames a second from 0."""
    part = target.with_suffix(".part.mp4")
    with av.open(str(part), "w", format="mp4") as box:
        stream = box.add_stream("libx264", rate=FPS, options={"crf": str(CRF), "preset": "veryslow", "g": "50"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for n in range(frames):
            picture = av.VideoFrame.from_ndarray(joined(work, n), format="bgr24")
            picture.pts, picture.time_base = n, Fraction(1, FPS)
            box.mux(stream.encode(picture))
        box.mux(stream.encode(None))
    part.replace(target)
