"""How the head finder is taught: labels stay on heads, measured clips stay out, and the file says what the net says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytestmark = pytest.mark.yolo

RED, GREEN = (0, 0, 255), (0, 200, 0)


def drawn() -> Any:
    """Somebody with a red head and a green body in a grey room, and shelves without any red."""
    from analytics.training.heads_sources import Material, Scene

    image = np.full((300, 400, 3), 150, np.uint8)
    cv2.rectangle(image, (175, 130), (225, 260), GREEN, -1)
    cv2.ellipse(image, (200, 100), (15, 20), 0, 0, 360, RED, -1)
    one = Scene(
        image,
        np.array([[200, 100, 24]], np.float32),
        np.array([[170, 75, 230, 265]], np.float32),
        np.array([[180, 200, 24]], np.float32),
        drawn=True,
    )
    shelves = np.repeat(np.random.default_rng(1).integers(0, 90, (400, 300, 1)), 3, axis=2).astype(np.uint8)
    return Material([one], [shelves])


def red(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(image[..., 2] > image[..., :2].max(axis=2) + 15.0, np.bool_)


def test_labels_are_on_heads_and_a_middle_that_was_covered_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from analytics.training import heads_pictures as laid

    monkeypatch.setattr(laid, "vary", lambda image, chance: image)
    monkeypatch.setattr(laid, "coarse", lambda image, chance, most=1.0: image)
    maker, labels = laid.Maker(drawn(), np.random.default_rng(2)), 0
    for _ in range(150):
        image, heads = maker.made()
        for x, y, _ in heads:
            if 3 < x < laid.SIDE - 3 and 3 < y < laid.SIDE - 3:
                assert red(image)[round(float(y)), round(float(x))]
                labels += 1
    assert labels > 150


def test_cells_in_a_head_say_so_and_those_at_its_rim_count_for_nothing() -> None:
    from analytics.training.heads import AROUND, CELL, INSIDE, target

    wanted, counts = target(np.array([[100, 60, 32], [180, 180, 14]], np.float32))
    y, x = (np.mgrid[0 : len(wanted), 0 : len(wanted)] + 0.5) * CELL
    far = np.hypot(x - 100, y - 60) / 32
    near = np.hypot(x - 180, y - 180) / 14
    np.testing.assert_array_equal(wanted[far < 2] == 1, far[far < 2] < INSIDE)
    assert wanted[near < 1].sum() >= 1  # the smallest has a cell, too
    np.testing.assert_array_equal(counts == 0, (np.minimum(far, near) < AROUND) & (wanted == 0))


def test_no_clip_that_is_for_measuring_is_trained_on() -> None:
    from analytics.training.heads_sources import CLIPS
    from tests.bench.heads import LAID, READ

    assert all(name.startswith(("video/intel/", "video/caviar/")) for name in CLIPS)
    assert not any("EnterExitCrossingPaths1cor" in name for name in CLIPS)
    assert not set(CLIPS) & {name for name, _ in (*READ, *LAID)}


@pytest.mark.data
def test_a_few_steps_teach_something_and_the_file_says_what_the_net_says(data: Path, tmp_path: Path) -> None:
    import torch

    from analytics.heads import Heads
    from analytics.training import heads
    from analytics.training.heads_pictures import SIDE
    from analytics.training.heads_sources import CHECKPOINT
    from analytics.training.yolo import YOLO

    torch.set_num_threads(1)
    torch.manual_seed(1)
    net = heads.HeadNet(YOLO(str(data / CHECKPOINT)).model.float().model)
    images, wanted, _ = next(heads.batches(drawn(), (7,), 12))

    def told() -> float:
        with torch.inference_mode():
            said = net.eval()(images).sigmoid()
        return float(said[wanted == 1].mean() - said[wanted == 0].mean())

    before = told()
    heads.fit(net, heads.batches(drawn(), (8,), 8), 30)
    assert told() > before + 0.2
    file = tmp_path / "heads.onnx"
    file.write_bytes(heads.export(net).SerializeToString())
    picture = np.random.default_rng(4).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    with torch.inference_mode():
        direct = net(torch.from_numpy(heads.blob(picture))[None]).sigmoid()[0].numpy()
    finds = Heads(file)
    middle = SIDE / 2
    assert finds.beside(picture, (middle, middle), 16.0) == pytest.approx(direct[finds._beside].max(), abs=0.02)
