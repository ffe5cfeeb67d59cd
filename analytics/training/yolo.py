"""The parts of ultralytics that the recipes use, imported after it has been told to be quiet."""

from __future__ import annotations

from analytics.detect import _no_settings, stand_in_for_torchvision

_no_settings()
stand_in_for_torchvision()

from ultralytics import YOLO  # noqa: E402
from ultralytics.nn.modules import Conv  # noqa: E402
from ultralytics.utils import IterableSimpleNamespace  # noqa: E402
from ultralytics.utils.loss import v8DetectionLoss, v8PoseLoss  # noqa: E402

__all__ = ["YOLO", "Conv", "IterableSimpleNamespace", "v8DetectionLoss", "v8PoseLoss"]
