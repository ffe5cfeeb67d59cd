"""Parts that would call home are told not to. It imports none of them: every command runs it first."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import cast


def quiet_parts() -> None:
    """Switch off what our parts would tell others; must run before any of them is imported."""
    for name, value in {
        "YOLO_OFFLINE": "true",
        "YOLO_AUTOINSTALL": "false",
        "ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS": "true",
        "YOLO_VERBOSE": "false",
        "DEEPFACE_BACKEND_ENGINE": "onnx",
        "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime reports from 1.29 on, below Python, and keeps a device number
    }.items():
        os.environ[name] = value
    sys.modules.setdefault("openvino_telemetry", cast("ModuleType", None))  # openvino posts on import where it exists
