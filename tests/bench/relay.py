"""What calling a camera through the relay costs: pictures lost, lag, and CPU, against libav alone on the same stream.

    python -m tests.bench.relay

A GStreamer camera on loopback sends snow, 640×360 at 15 a second, for which x264 is told 4 Mbit/s. Lag is arrival less
media time, over the least of the run: what waits on the way, and not the camera's own delay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from typing import Any

import av
import numpy as np

from analytics.model import SECOND
from analytics.source import Source, connect, media_us, pictures
from tests.analytics.rtsp_server import Camera

FPS, PICTURES, SETTLED = 15, 180, 30
SNOW = (
    f"videotestsrc is-live=true pattern=snow ! video/x-raw,width=640,height=360,framerate={FPS}/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast bitrate=4000 key-int-max=30 threads=1 "
    "! rtph264pay name=pay0 pt=96"
)


@contextmanager
def alone(source: Source) -> Iterator[Any]:
    """Open a camera as libav does, without the relay."""
    options = {"rtsp_transport": "tcp", "allowed_media_types": "video", "analyzeduration": "100000"}
    container: Any = av.open(source.url, container_options=options, timeout=(5, 3))
    container.streams.video[0].codec_context.thread_count = 1
    try:
        yield container
    finally:
        container.close()


def run(name: str, how: Callable[[Source], AbstractContextManager[Any]], source: Source) -> None:
    """Read one stretch and print what came of it."""
    cpu_s, began_s = time.process_time(), time.monotonic()
    media: list[float] = []
    arrived: list[float] = []
    with how(source) as container:
        opened_s = time.monotonic() - began_s
        for picture in pictures(container, live=True):
            at = media_us(picture)
            if at is not None:
                media.append(at / SECOND)
                arrived.append(time.monotonic())
            if len(media) == PICTURES:
                break
    cpu_s = time.process_time() - cpu_s
    lost = sum(round((b - a) * FPS) - 1 for a, b in pairwise(media))
    lag = (np.array(arrived) - np.array(media))[SETTLED:] * 1000
    lag -= lag.min()
    print(
        f"{name:<6} opened in {opened_s:.2f} s; {lost} of {PICTURES} lost; lag median {np.median(lag):.1f} ms, p95"
        f" {np.quantile(lag, 0.95):.1f} ms; {cpu_s:.2f} s of CPU over {media[-1] - media[0]:.0f} s"
    )


def main() -> None:
    """Take turns, twice."""
    with Camera(launch=SNOW) as camera:
        for _ in range(2):
            run("alone", alone, Source(camera.url))
            run("relay", connect, Source(camera.url))


if __name__ == "__main__":
    main()
