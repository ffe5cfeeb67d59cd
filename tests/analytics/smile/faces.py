"""Real faces of the test data as a tablet's camera would send them: in the middle of a plain picture."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE, FACE = 384, 160  # pixels of the picture, and of the face in it
SMILES, FER = "emotion/smiles_dev.zip", "emotion/fer2013_publictest.zip"


def faces(archive: Path, label: str) -> Iterator[NDArray[np.uint8]]:
    """Yield the grey faces of one label, in the order of their names."""
    with zipfile.ZipFile(archive) as pack:
        for name in sorted(pack.namelist()):
            if name.rsplit("/", 2)[-2:-1] == [label] and name.lower().endswith(".jpg"):
                picture = cv2.imdecode(np.frombuffer(pack.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
                assert picture is not None
                yield picture.astype(np.uint8)


def scene(
    *people: tuple[NDArray[np.uint8], float, float], width: int = SIDE, height: int = SIDE, face: int = FACE
) -> NDArray[np.uint8]:
    """Return a plain picture (BGR) with faces at the given places, centres as shares of width and height."""
    picture = np.full((height, width), 110, np.uint8)
    for grey, x, y in people:
        left, top = round(x * width - face / 2), round(y * height - face / 2)
        picture[top : top + face, left : left + face] = cv2.resize(grey, (face, face), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8)


def jpeg(picture: NDArray[np.uint8], quality: int = 85) -> bytes:
    """Return a picture as the page sends it."""
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())
