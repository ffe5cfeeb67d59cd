"""Does a stream answer? One look at a source that somebody just typed, in a process of its own with a time limit.

Rules:
- Whatever the stream does, the page goes on: the child is ended `LIMIT_S` after it is ready, and its CPU time and
  memory have an end before that. It writes no file and leaves no core. What cannot be an address starts no child.
- The address comes to the child through a pipe: it stands in no command line and no environment, and no error or log
  holds its password.
- The one host of the address is all that is called; see `analytics.relay`. Nobody is followed elsewhere.
- Of a file it says that it is a video, or one and the same sentence: whoever asks learns of no file of this machine
  whether it is there, empty, or may be read.
- The picture is decoded, measured and forgotten; not a pixel of it leaves the child.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analytics.source import Source

LIMIT_S = 12.0  # opening may take 5 s, the first picture 3 s
START_S = 60.0  # until the child is ready to open anything, on a small computer that is busy
_CPU_S, _MEMORY = 20, 4 << 30
_NONE = "this is no address; write rtsp://user@host/path"
_LONGEST = 2000  # of an address, as `analytics.config` has it


@dataclass(frozen=True, slots=True)
class Probe:
    """What a source said of itself.

    Attributes:
        width: of a picture, pixels; 0 where there was none.
        height: of a picture, pixels.
        fps: nominal rate, pictures a second; None where it does not say.
        codec: of the pictures.
        delay_s: from the call to the first picture, seconds. How old a picture is when it arrives is another matter:
            `latency_s`, see docs/deployment.md.
        error: why there is no picture and what to do, one line without a password; None where there is one.
    """

    width: int = 0
    height: int = 0
    fps: float | None = None
    codec: str = ""
    delay_s: float = 0.0
    error: str | None = None


def probe(source: str, *, limit_s: float = LIMIT_S) -> Probe:
    """Open a source, decode one picture and close it again, in another process.

    Args:
        source: as `analytics.config.CameraTable.address` returns it, password included.
        limit_s: after which the other process is ended, counted from when it is ready.
    """
    if (error := _unreadable(source)) is not None:
        return Probe(error=error)
    environment = {
        name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "OPENAISLE_LOG") if name in os.environ
    }
    child = subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", _PROGRAM, str(Path(__file__).resolve().parent.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        if child.stdout is None or not select.select([child.stdout], [], [], START_S)[0]:
            return Probe(error=f"this computer is too busy to open it: nothing began within {START_S:g} s; try again")
        os.read(child.stdout.fileno(), len(_READY))
        said, _ = child.communicate(source.encode(), timeout=limit_s)
        found = Probe(**json.loads(said))
        return Probe(error=_no_video(source)) if found.error and not _camera(source) else found
    except subprocess.TimeoutExpired:
        return Probe(error=f"it brought no picture within {limit_s:g} s; check that it is on and its address is right")
    except (ValueError, TypeError):
        if not _camera(source):
            return Probe(error=_no_video(source))
        return Probe(error="what it sends ends the program that reads it; set the camera to H.264 and try again")
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()


def _camera(source: str) -> bool:
    from analytics.source import Source

    return Source(source).live


def _no_video(source: str) -> str:
    from analytics.source import Source

    return f"{Source(source).name} is no video that can be read here; check its path, its owner, and whether it plays"


def _unreadable(source: str) -> str | None:
    """Say why something cannot be an address; None where it may be one."""
    from analytics.relay import host_of  # here: the page needs neither until somebody tests a stream
    from analytics.source import Source, VideoError

    if len(source) > 2 * _LONGEST or not source.isprintable():
        return _NONE
    try:
        if "://" in Source(source).url:
            host_of(source)
    except VideoError as error:
        return str(error)
    except ValueError:
        return _NONE
    return None


_READY = b"\n"
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from analytics.probe import main; main()"


def main() -> None:
    """Say that it is ready, read an address from standard input, print what it says of itself: what the child does."""
    for what, most in (
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, _MEMORY),
    ):
        resource.setrlimit(what, (most, most))
    from analytics.source import Source, VideoError

    os.write(sys.stdout.fileno(), _READY)
    address = sys.stdin.buffer.read().decode()
    begun_s = time.monotonic()
    try:
        found = _ask(Source(address), begun_s)
    except VideoError as error:
        found = Probe(error=str(error))
    print(json.dumps(asdict(found)))


def _ask(source: Source, begun_s: float) -> Probe:
    from analytics.source import probe as look

    info = look(source)
    return Probe(info.width, info.height, info.fps, info.codec, time.monotonic() - begun_s)
