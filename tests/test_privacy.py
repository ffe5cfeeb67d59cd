"""Nothing leaves and nothing stays: no part calls anybody, and measuring a clip leaves no file behind.

The command runs under a watch of the interpreter's own audit events, which see sockets, files and programs whoever
opens them: every name looked up and every connection tried is written down and refused. Where the system lets us, the
process has no network at all besides.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.command import INT8, Place
from tests.conftest import ROOT

pytestmark = pytest.mark.data

WATCH = """
import json, os, sys, threading
record, program = sys.argv[1], sys.argv[2]
seen = {"calls": [], "written": [], "programs": []}

def audit(event, values):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"):
        target = values[1] if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else values[0]
        seen["calls"].append(f"{event} {target}")
        raise ConnectionRefusedError("no network in this test")
    if event == "open":
        path, mode, flags = values
        if isinstance(path, (str, bytes)) and path != record and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            seen["written"].append(os.fsdecode(path))
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
        seen["programs"].append(str(values[0]))

sys.addaudithook(audit)
sys.argv = sys.argv[2:]
code = 0
try:
    exec(compile(program, "watched", "exec"), {"__name__": "__main__"})
except SystemExit as end:
    code = end.code
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(timeout=2)
seen["modules"] = sorted({name.partition(".")[0] for name, module in sys.modules.items() if module is not None})
with open(record, "w") as file:
    json.dump(seen, file)
sys.exit(code)
"""
COMMAND = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import cli; sys.exit(cli.main(sys.argv[1:]))"


@dataclass(frozen=True, slots=True)
class Watched:
    """What a program did."""

    status: int
    said: str
    calls: list[str]
    written: list[str]
    programs: list[str]
    modules: set[str]
    left: set[str]


def watch(program: str, *words: str | Path, root: Path) -> Watched:
    """Run a Python program under the watch, in a bare environment and a home of its own."""
    place, record = Place(root / "place"), root / "record.json"
    done = subprocess.run(
        [*_without_network(), sys.executable, "-c", WATCH, str(record), program, *map(str, words)],
        env=place.environment(),
        cwd=place.here,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert record.is_file(), done.stderr
    seen = json.loads(record.read_text())
    return Watched(
        done.returncode,
        done.stderr,
        seen["calls"],
        seen["written"],
        seen["programs"],
        set(seen["modules"]),
        place.files(),
    )


@cache
def _without_network() -> tuple[str, ...]:
    """Return the words that take a process off every network, where this user may do that."""
    words = ("unshare", "--map-root-user", "--net")
    if shutil.which("unshare") and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
        return words
    return ()


def measure(model: Path, data: Path, root: Path, *more: str | Path) -> Watched:
    """Measure a short clip under the watch."""
    folder = data / "tracking/TUD-Stadtmitte"
    return watch(
        COMMAND,
        *("measure", folder / "TUD-Stadtmitte.mp4", "--zones", folder / "zones.toml", "--fps", "5"),
        *("--truth", folder / "visits.csv", "--model", model, *more),
        root=root,
    )


@pytest.fixture(scope="module")
def usual(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Measure as most will: an OpenVINO export, and a drawing."""
    root = tmp_path_factory.mktemp("usual")
    return measure(data / INT8, data, root, "--video-out", root / "out.mp4")


def test_measuring_a_clip_calls_nobody(usual: Watched) -> None:
    assert (usual.status, usual.said) == (0, "")
    assert usual.calls == []


def test_measuring_a_clip_leaves_no_file_but_the_one_asked_for(usual: Watched) -> None:
    assert usual.left == set()
    # Python tries $TMPDIR out; and the kernel is told to write no core, which is no file
    elsewhere = [p for p in usual.written if "/place/scratch/" not in p and p != "/proc/self/coredump_filter"]
    assert elsewhere == []


def test_measuring_a_clip_starts_no_other_program(usual: Watched) -> None:
    assert usual.programs == []


def test_the_usual_way_loads_no_torch_and_nothing_that_reports_home(usual: Watched) -> None:
    assert usual.modules >= {"cli", "analytics", "openvino", "cv2", "av"}
    assert usual.modules & {"torch", "torchvision", "ultralytics", "tensorflow", "openvino_telemetry"} == set()


@pytest.mark.yolo
def test_measuring_with_a_checkpoint_calls_nobody_either(data: Path, tmp_path: Path) -> None:
    done = measure(data / "models/detection/yolov8n_dequantised.pt", data, tmp_path)
    assert done.status == 0, done.said
    assert {"torch", "ultralytics"} <= done.modules
    assert done.calls == []
    assert done.left == set()


def test_onnxruntime_is_told_to_keep_quiet_before_it_is_loaded(tmp_path: Path) -> None:
    """It reports below Python, where no audit event shows it; what shows is the number it gives the device."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from analytics.quiet import quiet_parts\nquiet_parts()\nimport onnxruntime"
    )
    done = watch(program, root=tmp_path)
    assert "onnxruntime" in done.modules
    assert done.left == set()


# --- the watch itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program",
    [
        "import socket\ntry: socket.create_connection(('192.0.2.1', 80), 1)\nexcept OSError: pass",
        "import urllib.request as u\ntry: u.urlopen('http://example.invalid/')\nexcept OSError: pass",
        "import _socket\ns = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)\n"
        "try: s.sendto(b'x', ('192.0.2.1', 9))\nexcept OSError: pass",
        "import socket, threading\ndef call():\n try: socket.getaddrinfo('example.invalid', 80)\n"
        " except OSError: pass\nthreading.Thread(target=call).start()",
    ],
)
def test_the_watch_sees_who_calls(program: str, tmp_path: Path) -> None:
    assert len(watch(program, root=tmp_path).calls) == 1


def test_the_watch_sees_files_and_programs(tmp_path: Path) -> None:
    program = "import os, subprocess\nopen(os.path.expanduser('~/trace'), 'w').close()\nsubprocess.run(['true'])"
    done = watch(program, root=tmp_path)
    assert [Path(path).name for path in done.written if not path.startswith("/dev")] == ["trace"]
    assert done.left == {"home/trace"}
    assert done.programs == ["true"]


@pytest.mark.yolo
def test_ultralytics_would_call_if_it_were_let(tmp_path: Path) -> None:
    """Without our switches it looks for the network as soon as it is imported; so the silence above is ours."""
    assert watch("import ultralytics", root=tmp_path).calls


def test_the_training_tools_switch_off_reports_before_they_import_the_runtime() -> None:
    code = (
        "import analytics.training, os, sys; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    )
    clean = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", code], env=clean, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]
