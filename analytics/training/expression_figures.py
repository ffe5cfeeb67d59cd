"""Measure a finished expression file: ``python -m analytics.training.expression_figures --model FILE --data DIR``.

Rules
- The file is run as DeepFace runs it (`as_deepface`), on onnxruntime; torch is not needed.
- The threshold below which an answer is withheld is chosen on held-out training faces and held-out non-faces, by
  `threshold`, and then only measured on everything else.
- ``--test`` opens the test archive. It is for the last run of all, once per file, and chooses nothing.

Pictures are read into RAM and forgotten; what is printed are figures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import onnxruntime

from analytics.training.expression_faces import (
    LABELS,
    NONFACES,
    PRODUCTS,
    SEED,
    SIZE,
    TRAINING,
    clutter,
    hold_out,
    numbers,
    pattern,
    read,
    signatures,
    square,
    twins,
)
from analytics.training.expression_smile import concordance, grades

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEST = "emotion/fer2013_publictest.zip"
SMILES = "emotion/smiles_dev.zip"
HAPPY = LABELS.index("happy")
SIDES = (48, 32, 24, 16)  # pixels to which held-out faces are made smaller, for the least size that is read
THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
EMPTY_VIDEOS = (  # seen from so far or so high that no face fills a square of 24 pixels
    "video/caviar/EnterExitCrossingPaths1cor.mp4",
    "video/caviar/EnterExitCrossingPaths1front.mp4",
    "video/caviar/ShopAssistant1cor.mp4",
    "video/mall/plaza_highangle.mp4",
    "video/shelf/retailaction_take_a.mp4",
    "video/shelf/retailaction_take_b.mp4",
    "video/shelf/retailaction_take_c.mp4",
)
BODIES = ("tracking/TUD-Stadtmitte", "tracking/PETS09-S2L1")  # with true boxes: the lower half of each holds no face


def as_deepface(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bring (n, side, side) uint8 crops to the (n, 48, 48, 1) input exactly as DeepFace does: by way of 224 pixels."""
    wide = (cv2.resize(picture.astype(np.float32) / 255, (224, 224)) for picture in grey)
    return np.stack([cv2.resize(picture, (SIZE, SIZE)) for picture in wide]).astype(np.float32)[..., None]


def answers(session: onnxruntime.InferenceSession, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities (n, 7) for square grey crops (n, side, side) uint8."""
    return _output(session, grey, "expression")


def smile_of(session: onnxruntime.InferenceSession, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How much of a smile each crop shows, (n,), 0 to 1."""
    return _output(session, grey, "smile")[:, 0]


def _output(session: onnxruntime.InferenceSession, grey: NDArray[np.uint8], which: str) -> NDArray[np.float32]:
    name = session.get_inputs()[0].name
    parts = [session.run([which], {name: as_deepface(grey[i : i + 256])})[0] for i in range(0, len(grey), 256)]
    return np.concatenate(parts).astype(np.float32)


def calibration_error(answer: NDArray[np.float32], classes: NDArray[np.int64], bins: int = 15) -> float:
    """Expected calibration error of the largest probability, equal-width bins (Guo et al. 2017)."""
    sure, right = answer.max(axis=1), answer.argmax(axis=1) == classes
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(right[place == b].mean() - sure[place == b].mean()) * (place == b).mean() for b in np.unique(place)]
    return float(np.sum(gaps))


def area_under_curve(score: NDArray[np.float32], positive: NDArray[np.bool_]) -> float:
    """Chance that a positive scores above a negative, ties half (Mann-Whitney)."""
    ordered = np.sort(score[~positive])
    below = np.searchsorted(ordered, score[positive], "left") + np.searchsorted(ordered, score[positive], "right")
    return float(below.mean() / 2 / len(ordered))


def threshold(nonfaces: NDArray[np.float32], passing: float = 0.05) -> float:
    """The largest probability from which on an answer is given.

    At least one half: one expression is then held likelier than all others together. More where more than ``passing``
    of the non-faces (n, 7) would be answered; in hundredths.
    """
    sure = nonfaces.max(axis=1)
    return next(t / 100 for t in range(50, 102) if (sure >= t / 100).mean() <= passing)


def curve(answer: NDArray[np.float32], classes: NDArray[np.int64]) -> list[dict[str, float]]:
    """Coverage and accuracy of what is answered at each of `THRESHOLDS`."""
    sure, right = answer.max(axis=1), answer.argmax(axis=1) == classes
    return [
        {"at_least": t, "coverage": float((sure >= t).mean()), "accuracy": float(right[sure >= t].mean())}
        for t in THRESHOLDS
        if (sure >= t).any()
    ]


def faces_figures(answer: NDArray[np.float32], classes: NDArray[np.int64], least: float) -> dict[str, Any]:
    """What is said of a labelled set of faces."""
    best, sure = answer.argmax(axis=1), answer.max(axis=1) >= least
    return {
        "faces": len(classes),
        "accuracy": float((best == classes).mean()),
        "recall": {name: float((best[classes == i] == i).mean()) for i, name in enumerate(LABELS)},
        "calibration_error": calibration_error(answer, classes),
        "log_loss": float(-np.log(answer[np.arange(len(classes)), classes] + 1e-9).mean()),
        "answered": float(sure.mean()),
        "accuracy_of_answered": float((best == classes)[sure].mean()),
        "curve": curve(answer, classes),
    }


def smaller(faces: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Faces (n, SIZE, SIZE) as a camera farther off would give them: (n, side, side)."""
    return np.stack([cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA) for face in faces]).astype(np.uint8)


def frames(video: Path, every: int) -> list[NDArray[np.uint8]]:
    """Every so many frames of a video, grey."""
    with av.open(str(video)) as source:
        shown = (frame for i, frame in enumerate(source.decode(video=0)) if i % every == 0)
        return [np.asarray(frame.to_ndarray(format="gray"), np.uint8) for frame in shown]


def empty_squares(data: Path, count: int, seed: int) -> NDArray[np.uint8]:
    """Random squares of `EMPTY_VIDEOS`, the same number from each."""
    chance = np.random.default_rng(seed)
    cut = []
    for name in EMPTY_VIDEOS:
        shown = frames(data / name, 8)
        cut += [square(shown[int(chance.integers(len(shown)))], chance) for _ in range(count // len(EMPTY_VIDEOS))]
    return np.stack(cut)


def lower_bodies(data: Path, count: int, seed: int) -> NDArray[np.uint8]:
    """Squares inside the lower halves of true person boxes, at least 24 pixels wide."""
    chance = np.random.default_rng(seed)
    cut = []
    for name in BODIES:
        folder = data / name
        shown = frames(folder / f"{folder.name}.mp4", 1)
        rows = np.loadtxt(folder / "gt" / "gt.txt", delimiter=",", usecols=(0, 2, 3, 4, 5))
        legs = []
        for row in rows[chance.permutation(len(rows))]:
            number, left, top, wide, high = (int(v) for v in row)
            legs_top, side = top + high // 2, min(wide, high // 2)
            picture = shown[number - 1][max(legs_top, 0) : legs_top + side, max(left, 0) : left + side]
            if min(picture.shape) >= 24:
                legs.append(cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.uint8))
        cut += legs[: count // len(BODIES)]
    return np.stack(cut)


def measure(model: Path, data: Path, *, test: bool) -> dict[str, Any]:
    """All figures of a file.

    Args:
        model: ONNX file.
        data: folder of the real data.
        test: open the test archive too.

    Returns:
        Figures by set.
    """
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    faces, classes = read(data / TRAINING)
    held = hold_out(twins(faces), last=True)
    cuts = answers(session, clutter(data / PRODUCTS, NONFACES)[1])
    least = threshold(cuts)
    said: dict[str, Any] = {
        "threshold": least,
        "held_out": faces_figures(answers(session, faces[held]), classes[held], least),
    }
    said["held_out_by_size"] = {
        str(side): {"answered": sized["answered"], "accuracy_of_answered": sized["accuracy_of_answered"]}
        for side in SIDES
        for sized in [faces_figures(answers(session, smaller(faces[held], side)), classes[held], least)]
    }
    smiles, kinds = read(data / SMILES, ("nosmile", "smile"))
    smiling = answers(session, smiles)
    said["smiles"] = {
        "faces": len(kinds),
        "auc": area_under_curve(smile_of(session, smiles), kinds == 1),
        "auc_of_happy": area_under_curve(smiling[:, HAPPY], kinds == 1),
        "answered": float((smiling.max(axis=1) >= least).mean()),
    }
    grade = grades(numbers(data / TRAINING))
    sure = held & ~np.isnan(grade)
    by = {"smile": smile_of(session, faces[sure]), "happy": answers(session, faces[sure])[:, HAPPY]}
    said["held_out_smiles"] = {"faces": int(sure.sum())} | {
        name: {"auc": area_under_curve(one, grade[sure] > 0), "concordance": concordance(one, grade[sure])}
        for name, one in by.items()
    }
    chance = np.random.default_rng(SEED + 1)
    others = {
        "product and shelf pictures (chosen on)": cuts,
        "drawn patterns": answers(session, np.stack([pattern(chance) for _ in range(1000)])),
        "squares of shop and plaza video": answers(session, empty_squares(data, 2100, SEED)),
        "lower halves of people": answers(session, lower_bodies(data, 1000, SEED)),
        "held-out faces upside down": answers(session, faces[held][:, ::-1]),
    }
    said["no_face"] = {
        name: {"crops": len(answer), "answered": float((answer.max(axis=1) >= least).mean())}
        for name, answer in others.items()
    }
    if test:
        last, truth = read(data / TEST)
        answer = answers(session, last)
        said["test"] = faces_figures(answer, truth, least)
        alike = np.concatenate(
            [(signatures(last[i : i + 500]) @ signatures(faces).T).max(axis=1) for i in range(0, len(last), 500)]
        )
        alone = alike <= 0.98
        said["test_without_twins_in_training"] = faces_figures(answer[alone], truth[alone], least)
    return said


def main(words: list[str] | None = None) -> None:
    """Print the figures of a file as JSON."""
    parser = argparse.ArgumentParser(description="Measure a finished expression file.")
    parser.add_argument("--model", type=Path, required=True, help="ONNX file in DeepFace's form")
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--test", action="store_true", help="open the test archive too: once, at the end")
    given = parser.parse_args(words)
    print(json.dumps(measure(given.model, given.data, test=given.test), indent=1))


if __name__ == "__main__":
    main()
