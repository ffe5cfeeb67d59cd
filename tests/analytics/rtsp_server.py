"""A real RTSP camera on loopback: GStreamer's RTSP server from Debian's packages, in a process that can be killed.

Packages: python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
gstreamer1.0-plugins-ugly. They belong to the system's Python, so this file runs itself with /usr/bin/python3.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys

SYSTEM_PYTHON = "/usr/bin/python3"
START_S = 20.0  # a slow machine needs some seconds to load GStreamer
# a moving ball, 25 pictures a second, H.264 with a key picture each 0.4 s, times from a running clock as in a camera
TEST_PICTURE = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=25/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 threads=1 ! rtph264pay name=pay0 pt=96"
)


def missing() -> str | None:
    """Say what keeps the server from running here; None where nothing does."""
    elements = ("x264enc", "rtph264pay", "videotestsrc", "h264parse", "qtdemux")
    test = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; "
        f"Gst.init(None); lost = [e for e in {elements} if not Gst.ElementFactory.find(e)]; assert not lost, lost"
    )
    with contextlib.suppress(OSError):
        done = subprocess.run([SYSTEM_PYTHON, "-c", test], capture_output=True, text=True, check=False)
        return done.stderr.strip().rsplit("\n", 1)[-1] if done.returncode else None
    return f"no {SYSTEM_PYTHON}"


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Camera:
    """An RTSP server as a context; it may be killed, stalled and started again on its port."""

    def __init__(self, port: int | None = None, launch: str = TEST_PICTURE, login: str = "") -> None:
        self.port = port or free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/shop"
        self._command = [SYSTEM_PYTHON, __file__, str(self.port), launch, login]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the server and wait until it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_S)
        if not ready or self._process.stdout.readline() != "ready\n":
            self.kill()
            raise RuntimeError("the RTSP server did not start")

    def kill(self) -> None:
        """Take the power away: SIGKILL, no goodbye on the wire."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def stall(self) -> None:
        """Stop the server with its connections open (SIGSTOP)."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a stalled server go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> Camera:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def serve(port: str, launch: str, login: str) -> None:
    """Serve the pipeline at /shop until killed; with ``user:password``, to nobody else."""
    import gi

    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {launch} )")
    if login:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*login.split(":", 1)), token)
        server.set_auth(auth)
        structure = Gst.Structure.new_empty("viewer")
        structure.set_value("media.factory.access", True)
        structure.set_value("media.factory.construct", True)
        factory.add_role_from_structure(structure)
    server.get_mount_points().add_factory("/shop", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    serve(*sys.argv[1:])
