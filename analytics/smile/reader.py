"""One picture in, one answer out: who is in the oval, and how much of a smile. Nothing is kept.

Rules:
- A picture is a JPEG in memory, of `MOST_BYTES` and `MOST_SIDE` pixels at most; anything else is refused before it is
  unpacked. It is never written anywhere, named in a log, or handed on.
- It is a baseline JPEG, which is what a browser's canvas makes, with `MOST_SCANS` scans at most: a progressive one may
  repeat a scan of the whole picture in ten bytes, and half a megabyte of those is a minute of work.
- Exactly one face, in the middle and upright, or no answer: nobody, several and away are said as such, and then the
  expression net is not asked.
- The nets are loaded when somebody starts, not before. `AT_ONCE` pictures are in work in a process, and of these one
  is before the nets; a further one is refused at once, so that no other page waits for a thread.

Whoever calls it holds a live consent for a smile. No face is recognised and nothing is computed but the one score.
"""

from __future__ import annotations

import io
import math
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.guard import overlap
from analytics.model import AnalyticsError
from analytics.smile import score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analytics.faces import Face, Faces

MOST_BYTES = 500_000
MOST_SIDE = 1280  # pixels; ours, the page sends 384
MOST_SCANS = 4  # a colour each at most; a browser sends all of them in one
AT_ONCE = 2  # pictures in work in this process: two tablets at the same pace do not refuse one another for ever
NET = Path(__file__).parents[1] / "weights" / "facial_expression_model_weights.onnx"
_SIZE = 48  # pixels, the net's input
LEAST, OTHERS = 0.35, 0.12  # score from which something is the face in the oval, and from which somebody else is there
_NEAR = 0.09  # distance between the eyes, of the picture's width, under which a face is too far away to be read
_MIDDLE = 0.22  # of the picture's width and height, how far from its middle the eyes may be
_TILT = math.radians(25)
_TURN = 0.30  # how far the nose may be from between the eyes, of their distance
_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_places = threading.BoundedSemaphore(AT_ONCE)


class Seen(StrEnum):
    """What is to be seen in a picture."""

    FACE = "face"  # one, in the oval
    NOBODY = "nobody"
    SEVERAL = "several"
    AWAY = "away"  # one, not in the oval, too far off or turned away


class PictureError(AnalyticsError):
    """This is no picture that is looked at."""


class BusyError(AnalyticsError):
    """As many pictures as this process takes at once are in work; this one was not unpacked."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen; the score of the smile where it is one face."""

    seen: Seen
    score: float | None = None

    @property
    def degree(self) -> float:
        """How much of the discount it is worth, 0 to 1."""
        return 0.0 if self.score is None else score.degree(self.score)


class Reader:
    """Looks at pictures; see `load`. Safe to share between threads.

    Args:
        file: ONNX with an output called `smile`.
    """

    def __init__(self, file: Path = NET) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._loaded: tuple[Faces, Any] | None = None

    def load(self) -> None:
        """Load both nets, unless they are loaded already."""
        with self._lock:
            self._load()

    def _load(self) -> tuple[Faces, Any]:
        if self._loaded is None:
            from analytics.faces import Faces
            from analytics.quiet import quiet_parts

            quiet_parts()
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            net = onnxruntime.InferenceSession(str(self._file), options, providers=["CPUExecutionProvider"])
            self._loaded = Faces(), net
        return self._loaded

    def look(self, jpeg: bytes) -> Look:
        """Look at one picture.

        Raises:
            PictureError: it is none, or larger than is taken.
            BusyError: others are in work.
        """
        if not _places.acquire(blocking=False):
            raise BusyError("as many pictures as are taken at once are in work; send the next one")
        try:
            return self._look(unpack(jpeg))
        finally:
            _places.release()

    def _look(self, image: NDArray[np.uint8]) -> Look:
        with self._lock:
            height, width = image.shape[:2]
            faces, net = self._load()
            found = faces.find(image, (0, 0, width, height), least=OTHERS)
            if not found or found[0].score < LEAST:
                # a face that fills the oval is found better in the middle alone
                x, y = width // 8, height // 8
                nearer = faces.find(image, (x, y, width - x, height - y), least=OTHERS)
                found = nearer + [one for one in found if nearer and overlap(one.box, nearer[0].box)[0] == 0]
            seen = judge(found, width, height)
            if seen is not Seen.FACE:
                return Look(seen)
            piece = crop(image, found[0]).astype("float32")[None, :, :, None] / 255
            (smile,) = net.run(["smile"], {net.get_inputs()[0].name: piece})
            return Look(seen, float(smile[0, 0]))


def unpack(jpeg: bytes) -> NDArray[np.uint8]:
    """Return a picture as (height, width, 3) uint8, BGR.

    Raises:
        PictureError: it is none, or larger than is taken.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    if len(jpeg) > MOST_BYTES:
        raise PictureError(f"a picture has {MOST_BYTES:,} bytes at most")
    end = jpeg.find(_END, max(0, jpeg.find(_SCAN)))
    jpeg = jpeg[: end + 2] if end >= 0 else jpeg  # what follows the picture is not handed to whoever unpacks it
    if jpeg.count(_SCAN) > MOST_SCANS:  # counted as bytes, wherever they stand: never fewer than a decoder finds
        raise PictureError(f"a picture has {MOST_SCANS} scans at most")
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as picture:
            if max(picture.size) > MOST_SIDE or min(picture.size) < _SIZE:  # before it is unpacked
                raise PictureError(f"a picture is {_SIZE} to {MOST_SIDE} pixels wide and high")
            if picture.info.get("progressive"):
                raise PictureError("a picture is a baseline JPEG; this one is progressive")
            return np.ascontiguousarray(np.asarray(picture.convert("RGB"), np.uint8)[:, :, ::-1])
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError("this is no JPEG picture") from error


def judge(found: list[Face], width: int, height: int) -> Seen:
    """Say what is to be seen, from the faces of a picture, the surest first."""
    if not found or found[0].score < LEAST:
        return Seen.NOBODY
    if any(_somebody(one, found[0]) for one in found[1:]):  # in doubt, too: nobody is read who did not ask for it
        return Seen.SEVERAL
    (x1, y1), (x2, y2) = found[0].eyes
    apart = math.dist(*found[0].eyes)
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    if (
        apart < _NEAR * width
        or abs(middle_x - width / 2) > _MIDDLE * width
        or abs(middle_y - height / 2) > _MIDDLE * height
        or abs(math.atan2(y2 - y1, x2 - x1)) > _TILT
        or abs(found[0].nose[0] - middle_x) > _TURN * apart
    ):
        return Seen.AWAY
    return Seen.FACE


def _somebody(one: Face, first: Face) -> bool:
    """Say whether a further answer is a further person: sure of itself, or not much smaller than the first."""
    return one.score >= LEAST or one.box[2] - one.box[0] > (first.box[2] - first.box[0]) / 3


def crop(image: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
    """Return the face as the net learned faces: (48, 48) uint8 grey; what lies over the edge repeats the edge."""
    import cv2
    import numpy as np

    left, top, side = score.square(face.eyes)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    height, width = grey.shape
    x1, y1, x2, y2 = round(left), round(top), round(left + side), round(top + side)
    more = max(0, -x1, -y1, x2 - width, y2 - height)
    grey = cv2.copyMakeBorder(grey, more, more, more, more, cv2.BORDER_REPLICATE)
    piece = grey[y1 + more : y2 + more, x1 + more : x2 + more]
    return np.asarray(cv2.resize(piece, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA), np.uint8)
