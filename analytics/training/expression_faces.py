"""What the expression net learns from, in RAM only: labelled faces, and pictures of anything that is no face.

Faces come from an archive with one folder per label. Near-identical pictures of one face (web collections hold many)
stay on the same side of the split, so that the held-out side says something. Non-faces are cut from product and shelf
pictures and from patterns drawn here; the pictures cut for training and those cut for choosing are different ones.
Nothing here writes a pixel to disk, names a file in a message, or needs torch.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from analytics.model import AnalyticsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # DeepFace's order of the seven outputs
SIZE = 48  # pixels, side of the square grey input
SEED = 20  # of the split and of the cuts; recipe and figures must agree on who was held out
NONFACES = 6000  # cut for training
TRAINING = "emotion/fer2013_train.zip"  # below the data folder
PRODUCTS = "products/grocery_store_small.zip"
ALIKE = 0.98  # correlation of two tiny copies above which pictures are one; ours: exact copies miss re-encoded ones
HELD_OUT = 0.1  # share of the training faces that only chooses and calibrates
LAST = 5  # one in so many of them is kept from the last net, too, and calibrates it


def _names(pack: zipfile.ZipFile) -> list[str]:
    """Return the pictures of an archive in sorted order, so that a seed and a number mean the same everywhere."""
    return sorted(name for name in pack.namelist() if name.lower().endswith((".jpg", ".jpeg", ".png")))


def _pictures(archive: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield (path inside the archive, grey picture) in the order of `_names`."""
    if not archive.is_file():
        raise AnalyticsError(f"no archive at {archive}; pass the folder that holds it with --data")
    with zipfile.ZipFile(archive) as pack:
        for name in _names(pack):
            picture = cv2.imdecode(np.frombuffer(pack.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
            if picture is None:
                raise AnalyticsError(f"{archive} holds a picture that cannot be decoded; fetch the archive again")
            yield name, picture.astype(np.uint8, copy=False)


def read(archive: Path, labels: tuple[str, ...] = LABELS) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read an archive whose folders are labels.

    Args:
        archive: zip file, entries ``label/anything.jpg``; pictures of any size are brought to `SIZE` by area.
        labels: folder names; the index in this tuple is the class.

    Returns:
        Grey pictures (n, SIZE, SIZE) uint8 and their classes (n,) int64.

    Raises:
        AnalyticsError: the archive is missing or holds another folder or a broken picture.
    """
    pictures, classes = [], []
    for name, picture in _pictures(archive):
        label = name.rsplit("/", 2)[-2]
        if label not in labels:
            raise AnalyticsError(f"{archive} has a folder that is no label; it should hold only {', '.join(labels)}")
        pictures.append(picture if picture.shape == (SIZE, SIZE) else shrink(picture))
        classes.append(labels.index(label))
    return np.stack(pictures), np.array(classes, np.int64)


def numbers(archive: Path) -> NDArray[np.int64]:
    """Return the number in the name of each picture of an archive, in the order of `read`; (n,) int64."""
    with zipfile.ZipFile(archive) as pack:
        names = _names(pack)
    return np.array([int("".join(filter(str.isdigit, name.rsplit("/", 1)[-1])) or -1) for name in names], np.int64)


def shrink(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring one grey picture to (SIZE, SIZE) by area, so that nothing aliases."""
    return cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def signatures(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Tiny standardised copies (n, 144) whose dot product is a correlation, 1.0 for the same picture."""
    tiny = np.stack([cv2.resize(f, (12, 12), interpolation=cv2.INTER_AREA) for f in faces]).reshape(len(faces), -1)
    centred = tiny.astype(np.float32) - tiny.mean(axis=1, keepdims=True, dtype=np.float32)
    signs: NDArray[np.float32] = centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-6)
    return signs


def twins(faces: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number the groups of near-identical pictures.

    Args:
        faces: (n, SIZE, SIZE) uint8.

    Returns:
        (n,) group number of each picture.
    """
    sign = signatures(faces)
    rows, columns = [], []
    for start in range(0, len(sign), 2000):  # blocks keep the correlation matrix out of RAM
        row, column = np.nonzero(sign[start : start + 2000] @ sign.T > ALIKE)
        rows.append(row + start)
        columns.append(column)
    row, column = np.concatenate(rows), np.concatenate(columns)
    links = coo_matrix((np.ones(len(row), np.int8), (row, column)), shape=(len(sign), len(sign)))
    groups: NDArray[np.int64] = connected_components(links, directed=False)[1]
    return groups


def hold_out(groups: NDArray[np.int64], *, last: bool = False) -> NDArray[np.bool_]:
    """Mark about `HELD_OUT` of the pictures, whole groups at a time; true for the held-out ones.

    Args:
        groups: (n,) see `twins`.
        last: what is held out of the last net: one in `LAST` of those groups.
    """
    chosen = np.random.default_rng(SEED).random(int(groups.max()) + 1) < HELD_OUT
    held: NDArray[np.bool_] = chosen[groups]
    if last:
        names = np.random.default_rng(SEED + 2).permutation(np.unique(groups[held]))
        held &= np.isin(groups, names[: len(names) // LAST])
    return held


def clutter(archive: Path, count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut non-faces: squares of product and shelf pictures, and drawn patterns.

    Args:
        archive: zip file of pictures without faces.
        count: how many to make for training; a quarter as many are made for choosing.

    Returns:
        (count, SIZE, SIZE) for training, and those for choosing, cut from every fifth picture, which training lacks.
    """
    chance = np.random.default_rng(SEED)
    pictures = [picture for _, picture in _pictures(archive)]
    sides = ([p for i, p in enumerate(pictures) if i % 5], pictures[::5])
    made = []
    for side, number in zip(sides, (count, count // 4), strict=True):
        cuts = [square(side[int(chance.integers(len(side)))], chance) for _ in range(number - number // 4)]
        made.append(np.stack(cuts + [pattern(chance) for _ in range(number // 4)]))
    return made[0], made[1]


def square(picture: NDArray[np.uint8], chance: np.random.Generator) -> NDArray[np.uint8]:
    """One random square of a grey picture, between 24 pixels and its shorter side, brought to SIZE."""
    most = min(picture.shape)
    side = int(np.exp(chance.uniform(np.log(min(24, most)), np.log(most))))
    top, left = (int(chance.integers(edge - side + 1)) for edge in picture.shape)
    return shrink(picture[top : top + side, left : left + side])


def pattern(chance: np.random.Generator) -> NDArray[np.uint8]:
    """One drawn non-face: noise of a random grain, a ramp, or stripes, with random strength down to flat."""
    kind = int(chance.integers(3))
    across, down = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE))
    turn = chance.uniform(0, 2 * np.pi)
    along = across * np.cos(turn) + down * np.sin(turn)
    drawn: NDArray[Any]
    if kind == 0:
        grain = int(chance.integers(2, SIZE + 1))
        drawn = cv2.resize(chance.normal(size=(grain, grain)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    elif kind == 1:
        drawn = along
    else:
        drawn = np.sin(along * chance.uniform(2, 40))
    grey = 127.5 + chance.uniform(-80, 80) + chance.uniform(0, 80) * drawn
    return np.clip(grey + chance.normal(size=grey.shape) * chance.uniform(0, 6), 0, 255).astype(np.uint8)
