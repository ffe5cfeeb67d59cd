"""Video is read with the times it carries, and what must not be seen is not."""

from __future__ import annotations

import itertools
import logging
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics import feed, source, video
from analytics.model import SECOND, Blind, Frame
from analytics.video import Source, VideoError, frames, probe, utc_us
from analytics.zones import Point, contains
from tests.analytics import rtsp_server
from tests.analytics.rtsp_server import Camera
from tests.analytics.test_probe import moved, server

CLIP = "video/caviar/EnterExitCrossingPaths1cor"
NOON = 1_790_000_000 * SECOND


def grey(i: int) -> int:
    return 8 + 12 * i % 240


def write(
    path: Path, times_ms: list[int], size: tuple[int, int] = (64, 48), codec: str = "mpeg4", **options: str
) -> Path:
    """Write a clip whose picture i is shown at times_ms[i] and has the grey level `grey(i)`."""
    with av.open(str(path), "w", container_options=options) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for i, ms in enumerate(times_ms):
            picture = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), grey(i), np.uint8), format="bgr24")
            picture.pts, picture.time_base = ms, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def times(items: list[Frame | Blind]) -> list[int]:
    return [item.t_us for item in items if isinstance(item, Frame)]


def blinds(items: list[Frame | Blind]) -> list[Blind]:
    return [item for item in items if isinstance(item, Blind)]


def rising(values: list[int]) -> bool:
    return all(a < b for a, b in itertools.pairwise(values))


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_container_that_claims_4_frames_yields_its_383(data: Path) -> None:
    mpg, mp4 = (list(frames(Source(str(data / f"{CLIP}.{ext}")))) for ext in ("mpg", "mp4"))
    assert len(times(mpg)) == len(times(mp4)) == 383
    assert times(mp4) == [i * 40_000 for i in range(383)]
    assert rising(times(mpg))
    assert abs(times(mpg)[-1] - times(mp4)[-1]) <= 40_000  # the first picture of the .mpg is shown for two ticks
    # the same pictures: two codecs apart, yet nearer to each other than neighbours are to a black one
    middle = [next(x for x in clip[200:] if isinstance(x, Frame)).image.astype(int) for clip in (mpg, mp4)]
    assert np.abs(middle[0] - middle[1]).mean() < 8


def test_pictures_are_bgr_bytes_in_one_piece(data: Path) -> None:
    for name in (f"{CLIP}.mp4", "video/intel/classroom.gif"):
        first = next(frames(Source(str(data / name))))
        assert isinstance(first, Frame)
        assert first.image.dtype == np.uint8
        assert first.image.ndim == 3
        assert first.image.shape[2] == 3
        assert first.image.flags.c_contiguous
        assert first.image.flags.writeable


def test_colours_come_in_the_order_blue_green_red(tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:] = (0, 0, 255)
    path = tmp_path / "red.gif"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb8"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="rgb8")))
        container.mux(stream.encode(None))
    first = next(frames(Source(str(path))))
    assert isinstance(first, Frame)
    blue, green, red = first.image[24, 32].tolist()
    assert blue == green == 0
    assert red > 240


def test_a_gif_keeps_its_own_uneven_times(data: Path) -> None:
    seen = times(list(frames(Source(str(data / "video/intel/classroom.gif"), start_us=NOON))))
    assert len(seen) == 45
    assert seen[0] == NOON
    assert {b - a for a, b in itertools.pairwise(seen)} == {60_000, 70_000}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.integers(5, 1900), min_size=2, max_size=40),
    first=st.integers(0, 5000),
    fps=st.one_of(st.none(), st.floats(0.3, 60)),
)
def test_times_are_the_presentation_times_at_any_rate(
    tmp_path: Path, steps: list[int], first: int, fps: float | None
) -> None:
    true_ms = [first, *itertools.accumulate(steps, initial=first)][1:]
    path = write(tmp_path / "vfr.mkv", true_ms, codec="ffv1")
    items = list(frames(Source(str(path), start_us=NOON, fps=fps)))
    seen = times(items)
    true = [NOON + (ms - true_ms[0]) * 1000 for ms in true_ms]
    assert len(seen) == len(items)  # no gap over two seconds was written
    assert rising(seen)
    # each is the time of the very picture that carries it, told by its grey level
    for item in items:
        assert isinstance(item, Frame)
        index = min(range(len(true)), key=lambda i: abs(true[i] - item.t_us))
        assert abs(true[index] - item.t_us) <= 1000
        assert abs(int(item.image[24, 32, 0]) - grey(index)) <= 5
    if fps is None:
        assert len(seen) == len(true)
        return
    assert seen[0] == true[0]
    period = SECOND / fps
    assert len(seen) <= (true[-1] - true[0]) / period + 1.5  # never more than asked for
    # never later than one picture after its point of the grid
    for a, b in itertools.pairwise(seen):
        skipped = [t for t in true if a + 1000 < t < b - 1000]
        assert not any(t >= a + 1.5 * period for t in skipped)


def test_a_regular_clip_is_sampled_at_the_first_picture_of_each_step(tmp_path: Path) -> None:
    path = write(tmp_path / "c.mkv", [40 * i for i in range(100)])
    for fps in (5.0, 7.0, 10.0, 12.5, 25.0, 30.0):
        seen = times(list(frames(Source(str(path), fps=fps))))
        period = SECOND / min(fps, 25)
        assert len(seen) == pytest.approx(4 * min(fps, 25), abs=1)
        for k, t in enumerate(seen):
            assert -period / 20 <= t - k * period < 40_000


def test_a_hole_over_two_seconds_is_blind_and_a_shorter_one_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "gap.mkv", [0, 40, 80, 2080, 2120, 7120, 7160])
    for fps in (None, 25.0):
        items = list(frames(Source(str(path), start_us=NOON, fps=fps)))
        assert blinds(items) == [Blind(NOON + 2_120_000, NOON + 7_120_000, "gap")]
        where = items.index(blinds(items)[0])
        after = items[where + 1]
        assert isinstance(after, Frame)
        assert after.t_us == NOON + 7_120_000
        assert len(times(items)) == 7


def test_dropped_pictures_move_no_time(tmp_path: Path) -> None:
    kept = [40 * i for i in range(100) if i % 3 and i not in range(30, 50)]
    items = list(frames(Source(str(write(tmp_path / "drops.mkv", kept)))))
    assert [t - times(items)[0] for t in times(items)] == [(ms - kept[0]) * 1000 for ms in kept]
    assert not blinds(items)


def test_pictures_without_any_time_get_the_nominal_rate(tmp_path: Path) -> None:
    path = write(tmp_path / "raw.h264", [40 * i for i in range(50)], codec="libx264")
    with av.open(str(path)) as container:  # the elementary stream carries no times: else this test shows nothing
        assert all(packet.pts is None for packet in container.demux(video=0))
    seen = times(list(frames(Source(str(path), start_us=NOON))))
    assert seen == [NOON + i * 40_000 for i in range(50)]


def test_a_file_with_two_recordings_goes_on_in_time(tmp_path: Path) -> None:
    first = write(tmp_path / "one.ts", [40 * i for i in range(100)]).read_bytes()
    path = tmp_path / "two.ts"
    path.write_bytes(first + write(tmp_path / "again.ts", [40 * i for i in range(100)]).read_bytes())
    seen = times(list(frames(Source(str(path)))))
    assert 198 <= len(seen) <= 200  # a picture may be lost at the seam
    assert max(np.diff(seen)) <= 80_000
    assert min(np.diff(seen)) == 40_000


def test_a_small_step_back_in_time_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "overlap.ts"
    first = write(tmp_path / "one.ts", [40 * i for i in range(100)]).read_bytes()
    path.write_bytes(first + write(tmp_path / "more.ts", [3600 + 40 * i for i in range(100)]).read_bytes())
    seen = times(list(frames(Source(str(path)))))
    assert rising(seen)
    assert seen[-1] == (3600 + 40 * 99) * 1000
    assert 187 <= len(seen) <= 190  # ten are told twice


def test_a_picture_that_libav_calls_damaged_is_not_handed_on(tmp_path: Path) -> None:
    raw = write(tmp_path / "whole.ts", [40 * i for i in range(100)], size=(640, 480)).read_bytes()
    packets = [raw[i : i + 188] for i in range(0, len(raw), 188)]
    path = tmp_path / "holes.ts"
    path.write_bytes(b"".join(p for i, p in enumerate(packets) if i < 60 or i % 50))
    with av.open(str(path)) as container:
        marks = [picture.is_corrupt for picture in container.decode(video=0)]
    assert any(marks)  # else this shows nothing
    assert len(times(list(frames(Source(str(path)))))) == marks.count(False)


@pytest.mark.parametrize("ext", ["mpg", "mp4"])
def test_a_file_cut_in_half_yields_what_decodes(data: Path, tmp_path: Path, ext: str) -> None:
    whole = data / f"{CLIP}.{ext}"
    cut = tmp_path / f"cut.{ext}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    all_times, seen = times(list(frames(Source(str(whole))))), times(list(frames(Source(str(cut)))))
    assert 100 < len(seen) < 300
    assert seen[:-3] == all_times[: len(seen) - 3]  # of the last pictures some lean on what was cut away
    assert rising(seen)
    assert set(seen) <= set(all_times)


def test_a_damaged_stretch_is_skipped_and_libav_keeps_silent(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    raw = bytearray((data / f"{CLIP}.mp4").read_bytes())
    dice = random.Random(1)
    for i in range(len(raw) // 3, len(raw) // 3 + 4000):
        raw[i] = dice.randrange(256)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(raw)
    seen = times(list(frames(Source(str(path)))))
    assert 340 <= len(seen) < 383
    assert seen[-1] == 382 * 40_000
    assert rising(seen)
    assert capfd.readouterr().err == ""


def test_a_turned_phone_clip_is_handed_on_upright(tmp_path: Path) -> None:
    path = half_white(tmp_path / "phone.mp4")
    raw = path.read_bytes()
    at = raw.index(b"tkhd") + 44  # the display matrix; here: turn by 90 degrees clockwise
    path.write_bytes(raw[:at] + struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30) + raw[at + 36 :])
    first = next(frames(Source(str(path), masks=(((0, 60), (32, 60), (32, 64), (0, 64)),))))
    assert isinstance(first, Frame)
    assert first.image.shape == (64, 32, 3)
    assert first.image[:28].min() > 200
    assert first.image[36:].max() < 50
    info = probe(Source(str(path)))
    assert (info.width, info.height) == (32, 64)
    assert white_side(Source(str(path), turn=180)) == "bottom"  # the camera's turn comes after the file's


def half_white(path: Path) -> Path:
    """Write a clip of one picture, 64 by 32 pixels, whose left half is white."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        picture = np.zeros((32, 64, 3), np.uint8)
        picture[:, :32] = 255
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def white_side(source: Source) -> str:
    first = next(frames(source))
    assert isinstance(first, Frame)
    image = first.image.mean(axis=2)
    height, width = image.shape
    info = probe(source)
    assert (info.width, info.height) == (width, height)
    sides = {
        "left": image[:, : width // 2 - 4],
        "right": image[:, width // 2 + 4 :],
        "top": image[: height // 2 - 4],
        "bottom": image[height // 2 + 4 :],
    }
    return next(side for side, part in sides.items() if part.min() > 200)


@pytest.mark.parametrize(("turn", "side"), [(0, "left"), (90, "top"), (180, "right"), (270, "bottom")])
def test_a_camera_that_hangs_askew_is_turned_clockwise(tmp_path: Path, turn: int, side: str) -> None:
    assert white_side(Source(str(half_white(tmp_path / "hung.mp4")), turn=turn)) == side


def test_a_mask_that_hides_nothing_of_the_turned_picture_stops_the_camera(tmp_path: Path) -> None:
    path = half_white(tmp_path / "hung.mp4")
    at_the_right: tuple[tuple[float, float], ...] = ((52, 0), (63, 0), (63, 47), (52, 47))
    assert isinstance(next(frames(Source(str(path), masks=(at_the_right,)))), Frame)
    with pytest.raises(VideoError, match="covers nothing of its picture of 32x64; draw it again"):
        next(frames(Source(str(path), turn=90, masks=(at_the_right,))))


def test_masks_lie_on_the_turned_picture(tmp_path: Path) -> None:
    path = half_white(tmp_path / "hung.mp4")
    first = next(frames(Source(str(path), turn=90, masks=(((0, 0), (31, 0), (31, 10), (0, 10)),))))
    assert isinstance(first, Frame)
    assert not first.image[:11].any()
    assert first.image[16:28].min() > 200


def test_a_picture_that_changes_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sizes.mjpeg"
    jpegs = [cv2.imencode(".jpg", np.full((h, 64, 3), 99, np.uint8))[1].tobytes() for h in (48, 48, 48, 64, 64)]
    path.write_bytes(b"".join(jpegs))
    with pytest.raises(VideoError, match="changed from 64x48 to 64x64"):
        list(frames(Source(str(path))))


def test_stop_ends_a_file(data: Path) -> None:
    count = itertools.count()
    assert len(list(frames(Source(str(data / f"{CLIP}.mp4")), stop=lambda: next(count) >= 10))) == 10


def test_probe_tells_size_and_hints(data: Path) -> None:
    info = probe(Source(str(data / f"{CLIP}.mp4")))
    assert (info.width, info.height, info.fps, info.live) == (384, 288, 25.0, False)
    assert info.duration_s == pytest.approx(15.32)


def _bad(kind: str, folder: Path) -> Path:
    path = folder / kind
    if kind == "directory":
        path.mkdir()
    elif kind == "text":
        path.write_text("this is not a video\n" * 100)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "index lost":
        write(path.with_suffix(".mp4"), [40 * i for i in range(20)])
        path.write_bytes(path.with_suffix(".mp4").read_bytes()[:-600])
    elif kind == "no picture left":
        write(path.with_suffix(".mp4"), [40 * i for i in range(20)], movflags="faststart")
        raw = path.with_suffix(".mp4").read_bytes()
        path.write_bytes(raw[: raw.index(b"mdat") + 4])
    elif kind == "sound only":
        with av.open(str(path), "w", format="wav") as container:
            stream = container.add_stream("pcm_s16le", rate=8000)
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            sound.sample_rate = 8000
            container.mux(stream.encode(sound))
    return path


@pytest.mark.parametrize(
    "kind", ["missing", "directory", "text", "empty", "index lost", "no picture left", "sound only"]
)
def test_unreadable_input_is_one_line_that_says_what_to_do(tmp_path: Path, kind: str) -> None:
    path = str(_bad(kind, tmp_path))
    for attempt in (lambda: probe(Source(path)), lambda: list(frames(Source(path)))):
        with pytest.raises(VideoError) as caught:
            attempt()
        text = str(caught.value)
        assert "\n" not in text
        assert path in text
        assert "; " in text  # what is wrong; what to do


@pytest.mark.parametrize(
    "make",
    [
        lambda: Source(""),
        lambda: Source("x.mp4", fps=0),
        lambda: Source("x.mp4", turn=45),
        lambda: Source("x.mp4", fps=float("nan")),
        lambda: Source("http://u:secret@host/x"),
        lambda: Source("x.mp4", masks=(((0, 0), (1, 1)),)),
        lambda: Source("x.mp4", masks=(((0, 0), (1, 1), (float("inf"), 0)),)),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(make: Callable[[], Source]) -> None:
    with pytest.raises(VideoError) as caught:
        make()
    assert "secret" not in str(caught.value)


def test_a_playlist_leads_nowhere(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        path = tmp_path / "list.m3u8"
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/x.ts"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{address}\n#EXT-X-ENDLIST\n")
        with pytest.raises(VideoError):
            list(frames(Source(str(path))))
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("kind", ["m3u8", "ffconcat", "numbered pictures"])
def test_nothing_leads_from_one_file_to_another(tmp_path: Path, kind: str) -> None:
    other = write(tmp_path / "other.ts", [40 * i for i in range(50)])
    path = tmp_path / f"list.{kind}"
    if kind == "m3u8":
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n")
    elif kind == "ffconcat":
        path.write_text("ffconcat version 1.0\nfile other.ts\n")
    else:
        path = tmp_path / "s%03d.jpg"
        for i in range(3):
            cv2.imwrite(str(tmp_path / f"s{i:03}.jpg"), np.full((48, 64, 3), grey(i), np.uint8))
    for attempt in (lambda: probe(Source(str(path))), lambda: list(frames(Source(str(path))))):
        with pytest.raises(VideoError, match="; ") as caught:
            attempt()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ext", ["mp4", "mov", "mkv", "webm", "avi", "mpg", "ts", "flv", "h264", "mjpeg", "gif"])
def test_what_recorders_and_phones_write_is_read(tmp_path: Path, ext: str) -> None:
    codec, form = {
        "webm": ("libvpx", "yuv420p"),
        "mpg": ("mpeg2video", "yuv420p"),
        "avi": ("mpeg4", "yuv420p"),
        "gif": ("gif", "rgb8"),
        "mjpeg": ("mjpeg", "yuvj420p"),
    }.get(ext, ("libx264", "yuv420p"))
    path = tmp_path / f"clip.{ext}"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, form
        for i in range(10):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey(i), np.uint8), format="bgr24")
            container.mux(stream.encode(picture.reformat(format=form)))
        container.mux(stream.encode(None))
    assert len(times(list(frames(Source(str(path)))))) == 10


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "clip.mp4")
    with pytest.raises(VideoError, match="name a video file"):
        probe(Source(str(tmp_path / "clip.mp4")))


def test_an_address_with_a_slash_too_few_is_shown_without_its_password() -> None:
    assert "hunter2" not in Source("rtsp:/admin:hunter2@127.0.0.1/s").name


# --- privacy masks ----------------------------------------------------------------------------------------------------

polygons = st.lists(st.tuples(st.floats(-40, 110), st.floats(-40, 90)), min_size=3, max_size=7).map(tuple)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(masks=st.lists(polygons, min_size=1, max_size=3).map(tuple))
def test_no_pixel_inside_a_mask_is_ever_seen(tmp_path: Path, masks: tuple[tuple[Point, ...], ...]) -> None:
    path = tmp_path / "bright.mkv"
    if not path.exists():
        write(path, [40 * i for i in range(60, 63)])
    plain = [x.image for x in frames(Source(str(path))) if isinstance(x, Frame)]
    refused, masked = "", []
    try:
        masked = [x.image for x in frames(Source(str(path), masks=masks)) if isinstance(x, Frame)]
    except VideoError as error:
        refused = str(error)
    if refused:  # a mask that hides nothing was drawn for another picture: none is shown at all
        assert "covers nothing" in refused
        assert any(not any(contains(m, x, y) for x in range(64) for y in range(48)) for m in masks)
        return
    inside = np.array([[any(contains(m, x, y) for m in masks) for x in range(64)] for y in range(48)])
    assert len(plain) == len(masked) == 3
    for before, after in zip(plain, masked, strict=True):
        assert not after[inside].any()
        # and nothing is invented: a pixel is either black or as it was
        changed = (before != after).any(axis=2)
        assert not after[changed].any()


def test_masks_that_overlap_or_leave_the_picture_hide_all_they_cover(data: Path) -> None:
    left: tuple[Point, ...] = ((-500.0, -500.0), (200.0, -500.0), (200.0, 900.0), (-500.0, 900.0))
    right: tuple[Point, ...] = ((100.0, 0.0), (384.0, 0.0), (384.0, 150.0), (100.0, 150.0))
    count = 0
    for item in frames(Source(str(data / f"{CLIP}.mp4"), fps=5, masks=(left, right))):
        assert isinstance(item, Frame)
        assert not item.image[:, :201].any()
        assert not item.image[:151].any()
        assert item.image[153:, 203:].any()
        count += 1
    assert count == 77


def test_masks_that_lie_apart_hide_each_its_own(data: Path) -> None:
    near: tuple[Point, ...] = ((10, 10), (60, 10), (60, 60), (10, 60))
    far: tuple[Point, ...] = ((200, 200), (260, 200), (260, 240), (200, 240))
    for item in frames(Source(str(data / f"{CLIP}.mp4"), fps=2, masks=(near, far))):
        assert isinstance(item, Frame)
        assert not item.image[10:61, 10:61].any()
        assert not item.image[200:241, 200:261].any()
        assert item.image[100:150, 100:150].any()


# --- cameras ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def rtsp() -> None:
    """A real RTSP server can run here; without its Debian packages, fail in CI and skip elsewhere."""
    if reason := rtsp_server.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"RTSP server packages: {reason}")
        pytest.skip(f"RTSP server packages: {reason}")


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less than in a shop, so that the tests do not take minutes."""
    monkeypatch.setattr(feed, "BACKOFF_S", (0.1, 0.4))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call a feed blind after 0.8 s."""
    monkeypatch.setattr(feed, "BLIND_AFTER_US", 800_000)
    monkeypatch.setattr(video, "BLIND_AFTER_US", 800_000)


def after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


class Seen(NamedTuple):
    items: list[Frame | Blind]
    at_us: list[int]  # when the events happened


class Script(threading.Thread):
    """Does things at given seconds from its start, beside the test, and notes when it did."""

    def __init__(self, *events: tuple[float, Callable[[], None]]) -> None:
        super().__init__()
        self.at_us: list[int] = []
        self._events = events

    def run(self) -> None:
        begun = time.monotonic()
        for at, act in self._events:
            time.sleep(max(0.0, begun + at - time.monotonic()))
            self.at_us.append(utc_us())
            act()


def watch(url: str, seconds: float, *events: tuple[float, Callable[[], None]], pause: float = 0.0) -> Seen:
    """Read a camera until some seconds after its first picture; events are counted from there too."""
    script = Script(*events)
    items: list[Frame | Blind] = []
    end = [float("inf")]
    for item in frames(Source(url), stop=lambda: time.monotonic() > end[0]):
        if not items:
            if isinstance(item, Blind):
                continue  # it took long to connect
            end[0] = time.monotonic() + seconds
            script.start()
        items.append(item)
        time.sleep(pause)
    script.join()
    return Seen(items, script.at_us)


def hung(thread_name: str = "video") -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == thread_name]


@pytest.mark.usefixtures("rtsp")
def test_a_camera_gives_pictures_at_the_pace_of_life_and_ends_when_told() -> None:
    mask = ((0.0, 0.0), (319.0, 0.0), (319.0, 119.0), (0.0, 119.0))
    with Camera() as camera:
        info = probe(Source(camera.url))
        assert (info.width, info.height, info.live, info.duration_s) == (320, 240, True, None)
        late: list[int] = []
        seen: list[int] = []
        for item in frames(Source(camera.url, masks=(mask,)), stop=lambda: len(seen) >= 30):
            if isinstance(item, Frame):
                late.append(utc_us() - item.t_us)
                seen.append(item.t_us)
                assert not item.image[:120].any()
        assert rising(seen)
        assert np.median(np.diff(seen)) == pytest.approx(40_000, abs=2000)
        assert -200_000 < np.median(late) < 300_000
        assert not hung()


@pytest.mark.usefixtures("rtsp")
def test_a_slow_reader_gets_the_newest_picture_and_its_true_time() -> None:
    late: list[int] = []
    with Camera() as camera:
        for item in frames(Source(camera.url), stop=lambda: len(late) >= 7):
            if isinstance(item, Frame):
                late.append(utc_us() - item.t_us)
                time.sleep(0.2)
    assert max(late) < 500_000  # had pictures queued up, the last would be over a second old


@pytest.mark.usefixtures("rtsp", "hasty")
def test_a_reader_that_looked_away_was_blind() -> None:
    with Camera() as camera:
        feed_of = frames(Source(camera.url), stop=after(8))
        before = next(x for x in feed_of if isinstance(x, Frame))
        time.sleep(1.2)
        blind = next(x for x in feed_of if isinstance(x, Blind) or x.t_us - before.t_us > SECOND)
        assert isinstance(blind, Blind)
        assert blind.reason == "gap"
        assert 0.8 * SECOND < blind.end_us - blind.start_us < 2 * SECOND
        feed_of.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("rtsp")
def test_a_camera_that_dies_and_comes_back_leaves_one_blind_interval(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Camera(login="admin:s3cr3t") as camera:
        url = camera.url.replace("//", "//admin:s3cr3t@")
        items, at_us = watch(url, 4.0, (0.5, camera.kill), (2.4, camera.start))
    assert rising(times(items))
    (blind,) = blinds(items)
    assert blind.reason == "reconnect"
    assert abs(blind.start_us - at_us[0]) < 0.3 * SECOND
    assert 2 * SECOND < blind.end_us - blind.start_us < 3.7 * SECOND
    where = items.index(blind)
    assert where >= 5
    assert items[where + 1 :]  # and life goes on
    assert isinstance(items[where + 1], Frame)
    assert times(items[where + 1 : where + 2]) == [blind.end_us]
    assert "trying again" in caplog.text
    assert "is back" in caplog.text
    assert "s3cr3t" not in caplog.text
    assert "admin" not in caplog.text


@pytest.mark.usefixtures("rtsp", "hasty")
def test_a_camera_that_stalls_is_blind_meanwhile() -> None:
    with Camera() as camera:
        # the pause is longer than the rush in which this server makes up for a stall
        items, at_us = watch(camera.url, 2.4, (0.5, camera.stall), (1.7, camera.resume), pause=0.2)
    assert rising(times(items))
    (blind,) = blinds(items)
    assert blind.reason == "stalled"
    assert abs(blind.start_us - at_us[0]) < 0.4 * SECOND
    assert 0.8 * SECOND < blind.end_us - blind.start_us < 1.8 * SECOND


@pytest.mark.usefixtures("rtsp", "hasty")
def test_a_camera_that_stays_dark_is_told_while_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "BEHIND_US", SECOND // 2)
    told_at: list[int] = []
    items: list[Frame | Blind] = []
    with Camera() as camera:
        script = Script((0.5, camera.stall), (4.0, camera.resume))
        script.start()
        for item in frames(Source(camera.url), stop=after(5.5)):
            items.append(item)
            if isinstance(item, Blind):
                told_at.append(utc_us())
        script.join()
    dark = blinds(items)
    assert len(dark) >= 3
    assert told_at[0] - dark[0].start_us < 1.8 * SECOND  # 0.8 s of patience, 0.5 s for what comes late
    assert all(one.end_us == other.start_us for one, other in itertools.pairwise(dark))
    assert sum(b.end_us - b.start_us for b in dark) > 2 * SECOND
    assert rising(times(items))
    assert min(t for t in times(items) if t > dark[0].start_us) >= dark[-1].end_us


@pytest.mark.usefixtures("rtsp", "hasty")
def test_a_camera_that_stalls_for_good_is_given_up_and_dialled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "READ_TIMEOUT_S", 0.3)
    monkeypatch.setattr(source, "OPEN_TIMEOUT_S", 0.5)
    with Camera() as camera:
        items, _ = watch(camera.url, 2.9, (0.3, camera.stall), (1.5, camera.kill), (1.5, camera.start))
    (blind,) = blinds(items)
    assert blind.reason == "reconnect"
    assert times(items)[-1] > blind.end_us


@pytest.mark.usefixtures("rtsp", "hasty")
def test_a_camera_still_booting_is_waited_for_as_blind_time() -> None:
    camera = Camera()
    begun = utc_us()
    script = Script((1.0, camera.start))
    script.start()
    try:
        items = list(itertools.islice(frames(Source(camera.url), stop=after(10)), 5))
    finally:
        script.join()
        camera.kill()
    first = items[0]
    assert isinstance(first, Blind)
    assert first.reason == "reconnect"
    assert abs(first.start_us - begun) < 0.3 * SECOND
    assert len(times(items)) == 4


@pytest.mark.usefixtures("rtsp")
def test_a_wrong_password_is_said_at_once_and_not_repeated() -> None:
    with Camera(login="admin:s3cr3t") as camera:
        url = camera.url.replace("//", "//admin:wr0ng@")
        for attempt in (lambda: probe(Source(url)), lambda: list(frames(Source(url), stop=after(5)))):
            with pytest.raises(VideoError, match="user or password") as caught:
                attempt()
            assert "wr0ng" not in str(caught.value)
            assert caught.value.__context__ is None  # libav's own error would print the address


@pytest.mark.parametrize("status", [b"RTSP/1.0 302 Moved", b"R\rTSP/1.0 \v003\r02 Moved"])
def test_a_camera_cannot_send_whoever_watches_to_another_host(status: bytes) -> None:
    gone = b"RTSP/1.0 404 Not Found\r\nCSeq: 1\r\n\r\n"
    with server(lambda _: gone, "127.0.0.2") as (other, called), server(moved(other, status)) as (port, asked):
        url = f"rtsp://ada:s3cr3t@127.0.0.1:{port}/shop"
        for attempt in (lambda: probe(Source(url)), lambda: list(frames(Source(url), stop=after(5)))):
            with pytest.raises(VideoError, match="sends whoever calls elsewhere; write that address") as caught:
                attempt()
            assert "s3cr3t" not in str(caught.value)
            assert caught.value.__context__ is None
        assert asked
        assert called == []
        with suppress(av.error.FFmpegError):
            av.open(url, timeout=(5, 5)).close()
        assert called  # libav alone goes where it is sent


@pytest.mark.usefixtures("hasty")
def test_the_end_of_reading_tells_blind_time_of_a_dead_camera() -> None:
    begun = utc_us()
    items = list(frames(Source(f"rtsp://127.0.0.1:{rtsp_server.free_port()}/x"), stop=after(1.1)))
    (blind,) = blinds(items)
    assert len(items) == 1
    assert blind.reason == "reconnect"
    assert abs(blind.start_us - begun) < 0.3 * SECOND
    assert abs(blind.end_us - utc_us()) < 0.3 * SECOND


def test_attempts_grow_rarer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "BACKOFF_S", (0.05, 0.4))
    calls: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.02)
        done = after(1.4)

        def answer() -> None:
            while not done():
                try:
                    caller = listener.accept()[0]
                except TimeoutError:
                    continue
                calls.append(time.monotonic())
                caller.close()

        script = Script((0.0, answer))
        script.start()
        list(frames(Source(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/x"), stop=done))
        script.join()
    # 0.05 + 0.1 + 0.2 + 0.4 + 0.4 + …, each shortened by up to a half
    assert 4 <= len(calls) <= 9
    assert calls[-1] - calls[-2] > 2 * (calls[1] - calls[0])
    assert max(np.diff(calls)) < 0.7


def test_a_server_that_never_answers_hangs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "OPEN_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"rtsp://eve:s3cr3t@127.0.0.1:{listener.getsockname()[1]}/x"
        begun = time.monotonic()
        with pytest.raises(VideoError, match="does not answer"):
            probe(Source(url))
        assert list(frames(Source(url), stop=after(0.3))) == []
        assert time.monotonic() - begun < 3


@pytest.mark.parametrize("url", ["usb:63", "/dev/video63"])
def test_a_usb_camera_that_is_not_there_is_said_so(url: str) -> None:
    for attempt in (lambda: probe(Source(url)), lambda: list(frames(Source(url), stop=after(5)))):
        with pytest.raises(VideoError, match="plug the camera in"):
            attempt()


def test_credentials_reach_neither_messages_nor_output() -> None:
    urls = [
        "rtsp://user:s3cr3t@127.0.0.1:9/live?password=s3cr3t",
        "rtsp://user:s3cr3t@@:/s3cr3t@127.0.0.1:9/live",
        "rtsp://127.0.0.1:9/user=admin&password=s3cr3t&channel=1",
    ]
    script = """
import logging, sys, time, traceback
from analytics.video import Source, VideoError, frames, probe
logging.basicConfig(level=logging.DEBUG)
for url in sys.argv[1:]:
    end = time.monotonic() + 0.3
    print(list(frames(Source(url), stop=lambda: time.monotonic() > end)), Source(url))
    try:
        probe(Source(url))
    except VideoError:
        traceback.print_exc()
"""
    done = subprocess.run([sys.executable, "-c", script, *urls], capture_output=True, text=True, check=True)
    assert done.stderr.count("VideoError: rtsp://127.0.0.1:9/") >= 2
    assert done.stderr.count("VideoError: ") == 3
    assert "trying again" in done.stderr
    assert "s3cr3t" not in done.stderr + done.stdout


@pytest.mark.usefixtures("rtsp")
def test_a_real_clip_is_read_from_a_camera(data: Path) -> None:
    launch = f"filesrc location={data / CLIP}.mp4 ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96"
    with Camera(launch=launch) as camera:
        live = frames(Source(camera.url, fps=5), stop=after(20))
        items = list(itertools.islice((x for x in live if isinstance(x, Frame)), 8))
        live.close()  # type: ignore[attr-defined]
    assert all(x.image.shape == (288, 384, 3) and x.image.any() for x in items)
    assert np.median(np.diff([x.t_us for x in items])) == pytest.approx(200_000, abs=45_000)


# --- the clock of a camera, by hand -----------------------------------------------------------------------------------


def mapped(script: Sequence[tuple[int, int | None]]) -> Iterator[int | None]:
    """Feed (arrival, media time) pairs, milliseconds, to a feed that is not running; give back what they became."""
    now = [0]
    reader = feed.Feed(Source("rtsp://127.0.0.1:9/x"), lambda: now[0], 0)

    class Picture:
        time_base = Fraction(1, 1000)

        def __init__(self, pts: int | None) -> None:
            self.pts = pts

    for arrival, media in script:
        now[0] = arrival * 1000
        before = reader.seen_us
        reader._offer(Picture(media))
        yield reader.seen_us // 1000 if reader.seen_us != before else None


def test_a_rush_of_stored_pictures_does_not_put_time_ahead_of_the_clock() -> None:
    rush = [(1000 + i, 40 * i) for i in range(50)]
    steady = [(1050 + 40 * i, 2000 + 40 * i) for i in range(50)]
    got = [t for t in mapped(rush + steady) if t is not None]
    assert got[0] <= 1130
    assert got[-1] == pytest.approx(1050 + 40 * 49, abs=45)


def test_a_camera_clock_that_jumps_is_anchored_anew_and_never_goes_back() -> None:
    for jump in (3_800_000, -3_000, -3_800_000):
        before = [(1000 + 40 * i, 10_000_000 + 40 * i) for i in range(25)]
        behind = [(2000 + 40 * i, 10_001_000 + jump + 40 * i) for i in range(25)]
        got = list(mapped(before + behind))
        assert rising([t for t in got if t is not None])
        assert got[-1] == pytest.approx(2000 + 40 * 24, abs=45)


def test_arrival_jitter_does_not_enter_the_times() -> None:
    dice = random.Random(3)
    got = [t for t in mapped([(1000 + 40 * i + dice.randrange(30), 40 * i) for i in range(200)]) if t is not None]
    assert set(np.diff(got)) == {40}


def test_a_wall_clock_set_back_does_not_stop_or_turn_time() -> None:
    got = list(mapped([(100_000 + 40 * i - (50_000 if i > 50 else 0), 40 * i) for i in range(100)]))
    seen = [t for t in got if t is not None]
    assert set(np.diff(seen)) == {40}
    assert len(seen) >= 98


def test_a_camera_without_times_is_timed_by_arrival() -> None:
    got = list(mapped([(1000 + 40 * i, None) for i in range(60)]))
    assert got[-1] == 1000 + 40 * 59
    assert rising([t for t in got if t is not None])


def test_a_stall_that_lost_nothing_leaves_no_hole_and_one_that_did_does() -> None:
    late = [(1000 + 40 * i, 40 * i) for i in range(25)] + [(5000 + i, 1000 + 40 * i) for i in range(100)]
    got = [t for t in mapped(late) if t is not None]
    assert set(np.diff(got)) == {40}
    lost = [(1000 + 40 * i, 40 * i) for i in range(25)] + [(5000 + 40 * i, 4000 + 40 * i) for i in range(100)]
    got = [t for t in mapped(lost) if t is not None]
    assert sorted(set(np.diff(got))) == [40, 3040]


@pytest.mark.parametrize("set_by_s", [0, -1800, 1800])
@pytest.mark.parametrize("redialled", [False, True])
def test_a_clock_set_while_a_camera_is_dark_makes_no_hole_longer_and_nobody_deaf(
    monkeypatch: pytest.MonkeyPatch, set_by_s: int, redialled: bool
) -> None:
    now_ms, counted_ms = [0], [0]
    monkeypatch.setattr(feed, "time", SimpleNamespace(monotonic=lambda: counted_ms[0] / 1000))
    reader = feed.Feed(Source("rtsp://127.0.0.1:9/x"), lambda: now_ms[0] * 1000, 0)
    reader.close()  # it is fed by hand

    def pass_time(ms: int) -> None:
        now_ms[0] += ms
        counted_ms[0] += ms

    def look(times: int) -> list[int]:
        """Return when pictures were, every 40 ms, as far as they were taken."""
        seen = []
        for _ in range(times):
            pass_time(40)
            if not reader._offer(SimpleNamespace(pts=counted_ms[0], time_base=Fraction(1, 1000))):
                reader._shift = reader._media_us = None  # it hangs up and dials again
            if taken := reader.take(0):
                seen.append(taken[0])
        return seen

    last = look(25)[-1]
    assert reader.dark() is None
    pass_time(60_000)
    now_ms[0] += set_by_s * 1000
    assert reader.dark() == Blind(last, last + 50 * SECOND, "stalled")
    assert reader.dark() is None
    pass_time(5_000)
    assert reader.dark() == Blind(last + 50 * SECOND, last + 55 * SECOND, "stalled")
    if redialled:
        reader._shift = reader._media_us = None
    after = look(50)
    assert len(after) >= 47
    assert after[0] > last + 55 * SECOND
    assert rising(after)
    if set_by_s <= 0:
        assert after[-1] - last < 68 * SECOND
