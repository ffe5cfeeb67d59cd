"""The one door to the real test data, and switches that every test process needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # onnxruntime reads it when it is first imported

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("OPENAISLE_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real videos and vectors; its absence fails in CI and skips elsewhere."""
    if (DATA / "README.md").is_file():
        return DATA
    reason = f"no test data at {DATA}; set OPENAISLE_TEST_DATA to the folder"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
