"""People in one picture: a small protocol and the two that keep it.

`OpenVinoDetector` runs an exported YOLO without torch and is the default; `UltralyticsDetector` runs whatever
ultralytics loads. Both give boxes of people and nothing else: no embedding, no class but person. They keep no picture
and write nothing. supervision's `Detections` is the currency.
"""

from __future__ import annotations

import ast
import atexit
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

import cv2
import numpy as np
import supervision as sv

from analytics.model import AnalyticsError
from analytics.quiet import quiet_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERSON = 0  # class number of a person in COCO and in every one-class export
OWN = Path(__file__).parent / "weights" / "person"  # the project's own detector; weights/person.md is its card
_STRIDES = (8, 16, 32)  # of the three detection heads of the YOLO v8 and v11 families


class ModelError(AnalyticsError):
    """A model that cannot be used, with what to do about it."""


class Detector(Protocol):
    """Finds people in one picture."""

    def detect(self, image: NDArray[np.uint8]) -> sv.Detections:
        """Return people as boxes in pixels of the given picture, with confidence; class ids are all `PERSON`.

        Args:
            image: (height, width, 3) uint8, BGR.
        """
        ...


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What counts as a detection.

    Attributes:
        floor: least confidence handed to the tracker; weak boxes keep known tracks alive through occlusions.
        overlap: boxes of one picture that overlap by more than this IoU are one person (ultralytics' default).
    """

    floor: float = 0.1
    overlap: float = 0.7


def detector(model: Path | None, *, thresholds: Thresholds | None = None, fit_aspect: bool = True) -> Detector:
    """Open a model: a folder with an OpenVINO export runs without torch, anything else goes to ultralytics.

    Args:
        model: an exported ``*_openvino_model`` folder, or any file ultralytics loads; our own where None.
        thresholds: see `Thresholds`.
        fit_aspect: let the network's input follow the shape of the picture instead of padding it to a square.

    Raises:
        ModelError: nothing usable lies there.
    """
    thresholds = thresholds or Thresholds()
    model = OWN if model is None else model
    if not model.exists():
        raise ModelError(f"no model at {model}; give an exported YOLO folder or a .pt file with --model")
    if model.is_dir():
        return OpenVinoDetector(model, thresholds=thresholds, fit_aspect=fit_aspect)
    return UltralyticsDetector(model, thresholds=thresholds)


# --- OpenVINO ---------------------------------------------------------------------------------------------------------


def _anchors(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the (1, 2, A) cell centres and (1, 1, A) strides of a YOLO head for an input of this size."""
    points, strides = [], []
    for stride in _STRIDES:
        rows, columns = height // stride, width // stride
        y, x = np.meshgrid(np.arange(rows) + 0.5, np.arange(columns) + 0.5, indexing="ij")
        points.append(np.stack([x.ravel(), y.ravel()]))
        strides.append(np.full(rows * columns, stride))
    return (
        np.concatenate(points, axis=1)[None].astype(np.float32),
        np.concatenate(strides)[None, None].astype(np.float32),
    )


def _reshape(model: Any, height: int, width: int) -> None:
    """Give an exported YOLO another input size, in place.

    An export bakes the grid of one size into constants. They are found by comparing with the grid computed for the
    old size, so a model of another make is refused instead of silently giving wrong boxes.

    Raises:
        ModelError: the model has no such grid.
    """
    import openvino as ov
    from openvino import opset13 as ops

    old_height, old_width = (int(n) for n in model.input(0).shape[2:])
    if (old_height, old_width) == (height, width):
        return
    old_points, old_strides = _anchors(old_height, old_width)
    new_points, new_strides = _anchors(height, width)
    count = old_points.shape[2]
    found = {"points": 0, "strides": 0}
    for node in model.get_ops():
        if node.get_type_name() != "Constant":
            continue
        value = node.data
        replacement = None
        if value.size == old_points.size and np.array_equal(value.reshape(old_points.shape), old_points):
            found["points"] += 1
            replacement = new_points.reshape(*value.shape[:-1], -1)
        elif value.size == old_strides.size and np.array_equal(value.reshape(old_strides.shape), old_strides):
            found["strides"] += 1
            replacement = new_strides.reshape(*value.shape[:-1], -1)
        elif value.dtype == np.int64 and value.ndim == 1 and value.size and value[-1] == count:
            replacement = np.append(value[:-1], -1)  # a target shape: let it follow
        if replacement is not None:
            constant = ops.constant(replacement.astype(value.dtype))
            for target in node.output(0).get_target_inputs():
                target.replace_source_output(constant.output(0))
    if not found["points"] or not found["strides"]:
        raise ModelError("this export has no YOLO grid that could follow another input size; use its own size")
    # not model.reshape(): its passes check the new grid against the old input first, and refuse
    model.get_parameters()[0].set_partial_shape(ov.PartialShape([1, 3, height, width]))
    model.validate_nodes_and_infer_types()


def compiled(file: Path, shapes: Sequence[str], what: str) -> Any:
    """Compile a net of one fixed form on the CPU, one thread.

    Args:
        file: any format that OpenVINO reads.
        shapes: of its inputs and then its outputs, as OpenVINO writes them: ``[1,3,224,224]``.
        what: the net is, for the message.

    Raises:
        ModelError: the file cannot be read, or is of another form.
    """
    quiet_parts()
    import openvino as ov

    core = ov.Core()
    try:
        model = core.read_model(file)
        found = [part.partial_shape.to_string() for part in (*model.inputs, *model.outputs)]
        net = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"})
    except (RuntimeError, ValueError) as error:  # a damaged name is no text
        raise ModelError(f"{file} is not a readable model; put the shipped one back") from error
    if found != list(shapes):
        raise ModelError(f"{file} is no {what} of the form that is needed; put the shipped one back")
    return net


_FIRST = threading.Lock()


class OpenVinoDetector:
    """An exported YOLO v8 or v11 on the CPU, one thread, no torch.

    Attributes:
        input_size: (width, height) in pixels the network runs at; set by the first picture.
    """

    def __init__(self, folder: Path, *, thresholds: Thresholds | None = None, fit_aspect: bool = True) -> None:
        quiet_parts()
        import openvino as ov

        files = sorted(folder.glob("*.xml"))
        if len(files) != 1:
            raise ModelError(f"{folder} holds {len(files)} OpenVINO models (*.xml); it must hold exactly one")
        self._core = ov.Core()
        try:
            self._model = self._core.read_model(files[0])
        except RuntimeError as error:
            raise ModelError(f"{files[0]} is not a readable OpenVINO model; export it again") from error
        shape, output = self._model.input(0).partial_shape, self._model.output(0).partial_shape
        if len(shape) != 4 or shape.is_dynamic or output.rank.get_length() != 3 or output.is_dynamic:
            raise ModelError(f"{files[0]} is not a YOLO detector of fixed input size; export it with dynamic=False")
        self._names = _class_names(folder / "metadata.yaml")
        channels = int(output[1].get_length())
        if channels != 4 + len(self._names) or self._names.get(PERSON) != "person":
            raise ModelError(f"{files[0]} does not detect people as class {PERSON}; use a COCO or one-class model")
        self._thresholds = thresholds or Thresholds()
        self._native = (int(shape[3].get_length()), int(shape[2].get_length()))
        self._fit_aspect = fit_aspect
        self._compiled: Any = None
        self.input_size = self._native

    def _compile(self, width: int, height: int) -> None:
        """Compile for pictures of this shape, and run once: the long side stays, the short shrinks to whole cells.

        One camera's thread at a time: OpenVINO's bindings set themselves up at their first call with an array, and two
        threads that come to it together wait for each other for ever (one holds the interpreter, one the set-up).
        """
        if self._fit_aspect:
            scale = min(self._native[0] / width, self._native[1] / height)
            cell = _STRIDES[-1]
            fitted = tuple(
                min(native, max(cell, int(-(-round(side * scale) // cell)) * cell))
                for native, side in zip(self._native, (width, height), strict=True)
            )
            _reshape(self._model, fitted[1], fitted[0])
            self.input_size = (fitted[0], fitted[1])
        # one thread: a second one only adds waiting to the CPU time of such a small net
        self._compiled = self._core.compile_model(
            self._model, "CPU", {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
        )
        self._compiled(np.zeros((1, 3, self.input_size[1], self.input_size[0]), np.float32))
        self._picture = (width, height)

    def detect(self, image: NDArray[np.uint8]) -> sv.Detections:
        """See `Detector.detect`."""
        height, width = image.shape[:2]
        if self._compiled is None:
            with _FIRST:
                self._compile(width, height)
        elif self._picture != (width, height):
            raise ModelError(f"the picture changed from {self._picture} to {(width, height)}; open a detector for each")
        blob, scale, left, top = _letterbox(image, self.input_size)
        raw = self._compiled(blob)[0][0]  # (4 + classes, A): centre x, centre y, width, height, scores
        keep = np.flatnonzero(raw[4 + PERSON] >= self._thresholds.floor)
        raw = raw[:, keep]
        if len(self._names) > 1:
            raw = raw[:, raw[4:].argmax(axis=0) == PERSON]
        if raw.shape[1] == 0:
            return sv.Detections.empty()
        cx, cy, w, h = raw[:4]
        boxes = np.stack([cx - w / 2 - left, cy - h / 2 - top, cx + w / 2 - left, cy + h / 2 - top], axis=1) / scale
        found = sv.Detections(
            xyxy=boxes.astype(np.float32),
            confidence=raw[4 + PERSON].astype(np.float32),
            class_id=np.full(len(boxes), PERSON),
        ).with_nms(threshold=self._thresholds.overlap)
        found.xyxy = np.clip(found.xyxy, 0, [width, height, width, height]).astype(np.float32)
        return found


def _letterbox(image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.float32], float, int, int]:
    """Scale a picture into the network's input and pad with grey, as YOLO was trained.

    Returns:
        The (1, 3, height, width) float32 RGB input in 0..1, the scale, and the left and top padding in pixels.
    """
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    new = (max(1, round(width * scale)), max(1, round(height * scale)))  # a sliver keeps a pixel
    left, top = round((size[0] - new[0]) / 2 - 0.1), round((size[1] - new[1]) / 2 - 0.1)
    resized = image if new == (width, height) else cv2.resize(image, new, interpolation=cv2.INTER_LINEAR)
    padded = cv2.copyMakeBorder(
        resized, top, size[1] - new[1] - top, left, size[0] - new[0] - left, cv2.BORDER_CONSTANT, value=(114, 114, 114)
    )
    return cast("NDArray[np.float32]", cv2.dnn.blobFromImage(padded, 1 / 255, swapRB=True)), scale, left, top


def _class_names(metadata: Path) -> dict[int, str]:
    """Read the class names an export carries; without the file there is one class, a person.

    Raises:
        ModelError: the file is there and is not what ultralytics writes.
    """
    if not metadata.is_file():
        return {PERSON: "person"}
    import yaml

    try:
        names = yaml.safe_load(metadata.read_text(encoding="utf-8"))["names"]
        return {int(k): str(v) for k, v in (ast.literal_eval(names) if isinstance(names, str) else names).items()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(f"{metadata} is not the metadata of an export; export the model again") from error


# --- ultralytics ------------------------------------------------------------------------------------------------------


def _no_settings() -> None:
    """Let ultralytics write its settings, as it insists, where they are gone with this process."""
    if "YOLO_CONFIG_DIR" not in os.environ:
        os.environ["YOLO_CONFIG_DIR"] = tempfile.mkdtemp(prefix="openaisle-")
        atexit.register(shutil.rmtree, os.environ["YOLO_CONFIG_DIR"], ignore_errors=True)


def onnx_errors() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises over a file that it cannot run; its own kinds share no base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as onnx

    builtin = (OSError, RuntimeError, ValueError)
    return builtin + tuple(e for e in vars(onnx).values() if isinstance(e, type) and issubclass(e, Exception))


class UltralyticsDetector:
    """Any model ultralytics loads: ``.pt``, ``.onnx``, an engine, on CPU or GPU. Needs the `yolo` set."""

    def __init__(self, model: Path, *, thresholds: Thresholds | None = None) -> None:
        quiet_parts()
        _no_settings()
        try:
            stand_in_for_torchvision()
            from ultralytics import YOLO
        except ImportError as error:
            raise ModelError(f"{model} needs ultralytics: install the yolo set, or use an OpenVINO export") from error
        builtin = (TypeError, AttributeError, LookupError, ImportError)
        self._thresholds = thresholds or Thresholds()
        try:
            self._model = YOLO(str(model), task="detect")
            self.detect(np.zeros((64, 64, 3), np.uint8))  # most kinds of file are opened at the first look only
        except builtin + onnx_errors() as error:
            raise ModelError(f"ultralytics cannot load {model}; check that the file is a YOLO detector") from error
        if self._model.names.get(PERSON) != "person":
            raise ModelError(f"{model} does not detect people as class {PERSON}; use a COCO or one-class model")

    def detect(self, image: NDArray[np.uint8]) -> sv.Detections:
        """See `Detector.detect`."""
        (result,) = self._model.predict(
            image,
            conf=self._thresholds.floor,
            iou=self._thresholds.overlap,
            classes=[PERSON],
            verbose=False,
            save=False,
        )
        found = sv.Detections.from_ultralytics(result)
        found.data = {}
        return found


def stand_in_for_torchvision() -> None:
    """Let ultralytics run where torchvision's compiled part does not fit torch.

    A CPU build of torch beside the registry's torchvision cannot load ``torchvision::nms``. Ultralytics only needs
    that one function and has its own in plain torch, so it gets a module holding just that.

    Raises:
        ImportError: torch or ultralytics is not installed.
    """
    import torch  # noqa: F401  (fails first and clearly where the set is missing)

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        module, ops = cast("Any", ModuleType("torchvision")), cast("Any", ModuleType("torchvision.ops"))
        module.ops, module.__version__ = ops, "0"
        sys.modules["torchvision"], sys.modules["torchvision.ops"] = module, ops
        from ultralytics.utils.nms import TorchNMS

        ops.nms = TorchNMS.nms
