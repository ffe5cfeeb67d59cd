"""Reads one face: finds the one head that may be read, judges its crop, and asks DeepFace what it resembles.

Rules:
- One head, or none: another's box near the face, a second face or head in or beside the crop, or no face that surely is
  the one the joints belong to, and nothing is read. A carried child is a second head, one that is turned away, too.
- A face that is turned away or tilted, too small, cut off by the picture's edge or blurred is not read.
- An answer that is not sure is none. The net's file says from which probability on it is.
- DeepFace finds our own net where it looks for its own, fetches nothing, finds no faces, and makes no embedding.

Pictures and crops end here. Who may be looked at is not known here: `analytics.look` asks, with a live grant in hand.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from analytics.detect import ModelError, onnx_errors
from analytics.expression import Unread
from analytics.faces import Face, Faces
from analytics.guard import intersection
from analytics.heads import Heads
from analytics.pose import POINTS
from analytics.quiet import quiet_parts
from analytics.row import CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analytics.body import Box

OWN = Path(__file__).parent / "weights" / "facial_expression_model_weights.onnx"  # weights/expression.md is its card
SIDE = 48  # pixels, of what the net sees
_UNKNOWN = CLASSES.index("unknown")
_NOSE, _EYES = POINTS.index("nose"), (POINTS.index("eye_l"), POINTS.index("eye_r"))
_SECOND_DIFFERENCES = tuple(
    np.array(kernel, np.float32)
    for kernel in (
        ((1, -2, 1),),
        ((1,), (-2,), (1,)),
        ((1, 0, 0), (0, -2, 0), (0, 0, 1)),
        ((0, 0, 1), (0, -2, 0), (1, 0, 0)),
    )
)


@dataclass(frozen=True, slots=True)
class FaceRules:
    """When a face may be read. Lengths are in eye distances or face widths, so that they hold near and far.

    Attributes:
        point: least confidence of nose and eyes in the joints.
        areas: sides of the squares around the nose that are searched for faces, eye distances; a smaller one shows
            smaller faces.
        sure: least score of the one face.
        second: score from which something else is a second face.
        close: side of four smaller squares around it, which show smaller faces...
        off: ... how far their middles are to the left or right and up or down...
        close_second: ... and the score from which something else in them is a second face.
        head: how sure a second head, turned anywhere, must be; 5 % of single faces of FER2013 are above it.
        beside: how near another's box may come to the face, face widths.
        side: of the crop, face widths; the faces the net learned from are framed so.
        up: by how much the crop's middle lies above the face's, face widths.
        size: least side of the crop, pixels.
        sharp: least `sharpness`.
        turned: how far the nose may be from the middle between the eyes, eye distances.
        roll: how far the head may be tilted, degrees.
    """

    point: float = 0.5
    areas: tuple[float, ...] = (14.0, 8.0)
    sure: float = 0.5
    second: float = 0.1
    close: float = 5.5
    off: float = 2.2
    close_second: float = 0.3
    head: float = 0.37
    beside: float = 1.0
    side: float = 1.13
    up: float = 0.05
    size: float = 24.0
    sharp: float = 0.02
    turned: float = 0.3
    roll: float = 30.0


class Finder(Protocol):
    """Finds faces; `analytics.faces.Faces`."""

    def find(self, image: NDArray[np.uint8], area: tuple[int, int, int, int], *, least: float) -> list[Face]:
        """Return the faces of one area of a picture, the surest first."""


class HeadFinder(Protocol):
    """Finds second heads; `analytics.heads.Heads`."""

    def beside(self, image: NDArray[np.uint8], nose: tuple[float, float], apart: float) -> float:
        """Return how sure it is that another head lies beside a face."""


class FaceReader:
    """What `analytics.expression` looks with: the finders of faces and heads, the rules and DeepFace.

    Args:
        file: see `DeepFaceReader`.
        rules: see `FaceRules`.

    Attributes:
        reads: how often the net that reads expressions ran.

    Raises:
        ModelError: a file is missing or not what it should be.
    """

    def __init__(self, file: Path | None = None, rules: FaceRules | None = None) -> None:
        self._finder, self._heads, self._rules = Faces(), Heads(), rules or FaceRules()
        self._net = DeepFaceReader(file)
        self.reads = 0

    def read(self, image: NDArray[np.uint8], keypoints: NDArray[np.float32], others: Sequence[Box]) -> int | Unread:
        """Return what a face shows, or why it is not read; see `analytics.expression.Reader`."""
        crop = face_of(image, keypoints, others, self._finder, self._heads, self._rules)
        if isinstance(crop, Unread):
            return crop
        self.reads += 1
        return self._net.read(crop)


def checked(file: Path, *, smile: bool = False) -> Path:
    """Return a shop's own file, once it is found to be of the form of the one that came along.

    Args:
        file: ONNX: (n, 48, 48, 1) in, first (n, 7) out; of itself it says its `labels` and `answer_at_least`.
        smile: whether it must have an output called `smile`, (n, 1), too.

    Raises:
        ModelError: it is not.
    """
    own = "correct `model` under [expression] in store.toml"
    if not file.is_file():
        raise ModelError(f"no expression model at {file}; {own}")
    quiet_parts()
    import onnxruntime

    try:
        net = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        face = {net.get_inputs()[0].name: np.zeros((2, SIDE, SIDE, 1), np.float32)}
        said = dict(zip((one.name for one in net.get_outputs()), net.run(None, face), strict=True))
    except onnx_errors() as error:
        raise ModelError(f"{file} cannot be run on a face of {SIDE} x {SIDE} pixels; {own}") from error
    if next(iter(said.values())).shape != (2, len(CLASSES) - 1):
        raise ModelError(f"{file} does not give seven probabilities first; {own}")
    if _least(net) is None:
        raise ModelError(f"{file} must say `answer_at_least`, above 0 and below 1, in its metadata; {own}")
    if net.get_modelmeta().custom_metadata_map.get("labels", "").split(",") != list(CLASSES[:-1]):
        raise ModelError(f"{file} must say `labels` in its metadata, {','.join(CLASSES[:-1])} in this order; {own}")
    if smile and ("smile" not in said or said["smile"].shape != (2, 1)):
        raise ModelError(f"{file} reads no smile, which the page /smile needs; give one that does, or remove [smile]")
    return file


def _least(net: Any) -> float | None:
    """Return from which probability on a net answers, as its file says; None where it says none that can be."""
    try:
        said = float(net.get_modelmeta().custom_metadata_map["answer_at_least"])
    except (KeyError, ValueError):
        return None
    return said if 0 < said < 1 else None


class DeepFaceReader:
    """DeepFace with our own net, on onnxruntime. It finds its file here, fetches nothing, and writes nothing.

    Args:
        file: ONNX file in DeepFace's form that says `answer_at_least`; our own where None.

    Raises:
        ModelError: there is no such file, or DeepFace is already loaded from elsewhere.
    """

    _lock = threading.Lock()
    _home: Path | None = None  # DeepFace knows one place a process

    def __init__(self, file: Path | None = None) -> None:
        file = OWN if file is None else file
        if not file.is_file():  # it would be fetched
            raise ModelError(f"no expression model at {file}; put the shipped one back")
        quiet_parts()
        with self._lock:
            if DeepFaceReader._home is None:
                # `analytics.scratch` keeps temporary files in the state directory, and clears them
                home = Path(tempfile.mkdtemp(prefix="deepface-"))
                (home / ".deepface" / "weights").mkdir(parents=True)
                DeepFaceReader._home = home
            link = DeepFaceReader._home / ".deepface" / "weights" / OWN.name
            if not link.exists():
                link.symlink_to(file.resolve())
            elif link.resolve() != file.resolve():
                raise ModelError(f"one process reads expressions with one model; it is {link.resolve()}")
            os.environ["DEEPFACE_HOME"] = str(DeepFaceReader._home)
            os.environ["DEEPFACE_LOG_LEVEL"] = str(logging.ERROR)
            os.environ["DEEPFACE_ONNX_PROVIDERS"] = "cpu"
            from deepface import DeepFace

            self._deepface: Any = DeepFace
            session = DeepFace.build_model("Emotion", task="facial_attribute").model
        least = _least(session)
        if least is None:
            raise ModelError(f"{file} does not say from which probability on it answers (answer_at_least)")
        self.least = least
        self.read(np.zeros((SIDE, SIDE, 3), np.uint8))  # the first one takes longest

    def read(self, crop: NDArray[np.uint8]) -> int:
        """Return the class of a face, as `CLASSES` numbers them, from a square (n, n, 3) uint8 BGR crop."""
        small = crop if len(crop) <= SIDE else cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        said = self._deepface.analyze(
            small, actions=["emotion"], detector_backend="skip", enforce_detection=False, silent=True
        )[0]
        best = str(said["dominant_emotion"])
        return CLASSES.index(best) if said["emotion"][best] >= 100 * self.least else _UNKNOWN


def face_of(
    image: NDArray[np.uint8],
    keypoints: NDArray[np.float32],
    others: Sequence[Box],
    finder: Finder,
    heads: HeadFinder,
    rules: FaceRules,
) -> NDArray[np.uint8] | Unread:
    """Return the crop of the one face that may be read, a view of the picture; why not, where none may.

    Args:
        image: (height, width, 3) uint8, BGR, the whole picture.
        keypoints: (17, 3) of the person, see `analytics.pose.POINTS`.
        others: boxes of everybody else in the picture.
        finder: of faces; it is asked only about a head that faces the camera.
        heads: of second heads; asked last, about a face that could be read.
        rules: see `FaceRules`.
    """
    head = keypoints[[_NOSE, *_EYES]].astype(float)
    if head[:, 2].min() < rules.point:
        return Unread.OTHER
    nose, eyes = (float(head[0, 0]), float(head[0, 1])), sorted(map(tuple, head[1:, :2].tolist()))
    apart = math.dist(*eyes)
    if apart < 1 or not _frontal(nose, eyes[0], eyes[1], rules):
        return Unread.OTHER
    height, width = image.shape[:2]

    def search(middle: tuple[float, float], side: float, least: float) -> list[Face]:
        half = side * apart / 2
        area = (
            max(0, round(middle[0] - half)),
            max(0, round(middle[1] - half)),
            min(width, round(middle[0] + half)),
            min(height, round(middle[1] + half)),
        )
        return finder.find(image, area, least=least)

    found: list[Face] = []
    second, sure = 0.0, True  # score of the surest face but the first; whether that is sure wherever it was looked for
    for side in rules.areas:
        found = search(nose, side, rules.second)
        second = max([second, *(one.score for one in found[1:])])
        sure = sure and bool(found) and found[0].score >= rules.sure
    if second:
        return Unread.BESIDE if second >= rules.sure else Unread.PERHAPS
    if not sure:
        return Unread.OTHER
    (face,) = found
    x1, y1, x2, y2 = face.box
    if not (x1 < nose[0] < x2 and y1 < nose[1] < y2 and _frontal(face.nose, *face.eyes, rules)):
        return Unread.OTHER
    wide = x2 - x1
    near = rules.beside * wide
    if any(intersection((x1 - near, y1 - near, x2 + near, y2 + near), other) > 0 for other in others):
        return Unread.PERHAPS
    side = rules.side * wide
    left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2 - rules.up * wide)
    pixels = round(side)
    if side < rules.size or left < 0 or top < 0 or left + pixels > width or top + pixels > height:
        return Unread.OTHER
    crop = image[top : top + pixels, left : left + pixels]
    if sharpness(crop) < rules.sharp:
        return Unread.OTHER
    off = rules.off * apart
    for dx, dy in ((-off, -off), (off, -off), (-off, off), (off, off)):
        for one in search((nose[0] + dx, nose[1] + dy), rules.close, rules.close_second):
            x, y = (one.box[0] + one.box[2]) / 2, (one.box[1] + one.box[3]) / 2
            if not (x1 < x < x2 and y1 < y < y2):
                return Unread.PERHAPS  # so near, hair and shoulders reach 0.6, too
    return crop if heads.beside(image, nose, apart) < rules.head else Unread.PERHAPS  # what is no number reads nobody


def _frontal(nose: tuple[float, float], left: tuple[float, ...], right: tuple[float, ...], rules: FaceRules) -> bool:
    """Say whether a face looks at the camera, from the places of its nose and eyes."""
    dx, dy = right[0] - left[0], right[1] - left[1]
    apart = math.hypot(dx, dy)
    if apart < 1 or abs(math.degrees(math.atan2(dy, dx))) > rules.roll:
        return False
    along = ((nose[0] - (left[0] + right[0]) / 2) * dx + (nose[1] - (left[1] + right[1]) / 2) * dy) / apart
    return abs(along) <= rules.turned * apart


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Return how sharp a crop is in the direction in which it is least so, against its contrast, at the net's size.

    Motion blurs in one direction only, so that a measure without direction misses it.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    how = cv2.INTER_AREA if len(grey) > SIDE else cv2.INTER_LINEAR
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=how).astype(np.float32)
    least = min(float(cv2.filter2D(small, -1, kernel).var()) for kernel in _SECOND_DIFFERENCES)
    return least / (float(small.var()) + 25.0)
