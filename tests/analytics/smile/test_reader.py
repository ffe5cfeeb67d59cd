"""One picture in, one answer out: who is there, how much of a smile, and what is refused before it is unpacked."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
import tracemalloc
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analytics.smile import score
from analytics.smile.reader import AT_ONCE, MOST_BYTES, MOST_SIDE, BusyError, PictureError, Reader, Seen, unpack
from analytics.training.expression_figures import area_under_curve
from tests.analytics.smile.faces import FER, SMILES, faces, jpeg, scene
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def reader() -> Reader:
    made = Reader()
    made.load()
    return made


def test_an_empty_picture_holds_nobody(reader: Reader) -> None:
    assert reader.look(jpeg(scene())).seen is Seen.NOBODY
    noise = np.random.default_rng(0).integers(0, 255, (384, 384, 3), np.uint8)
    assert reader.look(jpeg(noise)).seen is Seen.NOBODY


@pytest.mark.parametrize(
    "what",
    [b"", b"\xff\xd8\xff", b"GIF89a" + b"0" * 500, b"x" * (MOST_BYTES + 1), "png", "wide", "small", "cut"],
)
def test_what_is_no_picture_of_ours_is_refused(reader: Reader, what: bytes | str) -> None:
    if isinstance(what, str):
        size = {"wide": (MOST_SIDE + 1, 100), "small": (40, 40)}.get(what, (100, 100))
        out = io.BytesIO()
        Image.new("RGB", size).save(out, "PNG" if what == "png" else "JPEG")
        what = out.getvalue()[: 300 if what == "cut" else None]
    with pytest.raises(PictureError):
        reader.look(what)


def test_a_picture_that_unpacks_to_more_than_is_taken_is_not_unpacked() -> None:
    for size, why in (((9_000, 9_000), "pixels"), ((60_000, 20_000), "no JPEG")):
        out = io.BytesIO()
        Image.new("L", size).save(out, "JPEG", quality=1)
        header = out.getvalue()[:2000]  # its size stands there
        tracemalloc.start()
        with pytest.raises(PictureError, match=why):
            unpack(header)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
        tracemalloc.stop()


def made(**how: bool) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "JPEG", quality=85, **how)
    return out.getvalue()


def repeated(picture: bytes) -> bytes:
    """The picture with its last scan's header as often as is taken; each is one more pass over the whole of it."""
    last = picture.rfind(b"\xff\xda")
    head = picture[last : last + 2 + int.from_bytes(picture[last + 2 : last + 4])]
    return picture[:last] + head * ((MOST_BYTES - len(picture)) // len(head)) + picture[last:]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_picture_that_repeats_its_scans_is_refused_before_it_is_unpacked(progressive: bool) -> None:
    bomb = repeated(made(progressive=progressive))
    assert MOST_BYTES - 20 < len(bomb) <= MOST_BYTES
    began = time.process_time()
    with pytest.raises(PictureError, match="scans"):
        unpack(bomb)
    assert time.process_time() - began < 1.0


def test_a_progressive_picture_is_refused_with_few_scans_too() -> None:
    picture = made(progressive=True)
    at = [i for i in range(len(picture)) if picture.startswith(b"\xff\xda", i)]
    few = picture[: at[1]] + b"\xff\xd9"  # cut off after its first scan, which a decoder takes
    with Image.open(io.BytesIO(few)) as whole:
        whole.load()
    with pytest.raises(PictureError, match="progressive"):
        unpack(few)


def test_what_follows_a_picture_is_not_looked_at() -> None:
    picture = made()
    assert np.array_equal(unpack(picture + b"\xff\xda" * 500), unpack(picture))


def test_pictures_beyond_those_in_work_are_refused_at_once(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are held in the unpacking, of two readers: the bound is the process's."""
    going, go_on = threading.Semaphore(0), threading.Event()

    def slow(jpeg: bytes) -> np.ndarray:
        going.release()
        assert go_on.wait(60)
        return unpack(jpeg)

    monkeypatch.setattr("analytics.smile.reader.unpack", slow)
    picture = jpeg(scene())
    other = Reader()
    threads = [threading.Thread(target=(reader, other)[i % 2].look, args=(picture,)) for i in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert going.acquire(timeout=60)
    try:
        for one in (reader, Reader()):
            with pytest.raises(BusyError):
                one.look(picture)
    finally:
        go_on.set()
        for thread in threads:
            thread.join()
    monkeypatch.undo()
    for _ in range(AT_ONCE + 1):  # a place is given back, after a refusal too
        with pytest.raises(PictureError):
            reader.look(b"")
    assert reader.look(picture).seen is Seen.NOBODY


def test_the_nets_are_loaded_by_the_first_start_and_not_before() -> None:
    words = (
        "import sys; import analytics.smile.pages; from analytics.smile.reader import Reader; r = Reader();"
        "assert not {'onnxruntime', 'openvino', 'cv2', 'deepface'} & set(sys.modules), sys.modules.keys();"
        "r.load(); assert {'onnxruntime', 'openvino'} <= set(sys.modules); assert 'deepface' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- real faces -------------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_one_face_is_read_and_more_than_one_is_not(reader: Reader, data: Path) -> None:
    seen: dict[str, list[Seen]] = {"one": [], "two": [], "beside": [], "far": []}
    people = list(islice(faces(data / SMILES, "smile"), 0, None, 8))
    for one, other in zip(people[::2], people[1::2], strict=True):
        seen["one"].append(reader.look(jpeg(scene((one, 0.5, 0.5)))).seen)
        seen["two"].append(reader.look(jpeg(scene((one, 0.35, 0.5), (other, 0.77, 0.5)))).seen)
        seen["beside"].append(reader.look(jpeg(scene((one, 0.22, 0.5)))).seen)
        seen["far"].append(reader.look(jpeg(scene((one, 0.5, 0.5), face=60))).seen)
    counts = {name: {s.value: found.count(s) for s in set(found)} for name, found in seen.items()}
    print(counts)
    assert seen["one"].count(Seen.FACE) >= 0.9 * len(seen["one"])
    assert seen["two"].count(Seen.SEVERAL) >= 0.9 * len(seen["two"]), "with two people nobody is read"
    assert seen["two"].count(Seen.FACE) <= 2
    assert Seen.FACE not in seen["beside"]
    assert seen["far"].count(Seen.FACE) <= 2


@pytest.mark.data
def test_the_way_through_the_page_keeps_smiles_apart(reader: Reader, data: Path) -> None:
    """Every fourth smile picture, and FER2013 faces that chose nothing here, as JPEG, found, cut and scored."""
    took_s = []
    for archive, names, every in ((SMILES, ("smile", "nosmile"), 4), (FER, ("happy", "neutral"), 4)):
        scores: dict[str, list[float]] = {}
        for name in names:
            tried = 0
            for face in islice(faces(data / archive, name), 0, None, every):
                picture = jpeg(scene((face, 0.5, 0.5)))
                began = time.process_time()
                look = reader.look(picture)
                took_s.append(time.process_time() - began)
                tried += 1
                if look.score is not None:
                    scores.setdefault(name, []).append(look.score)
            falls = np.mean([score.degree(s) > 0 for s in scores[name]])
            print(f"{archive} {name}: {len(scores[name])} of {tried} read, price falls for {falls:.3f} of these")
            assert len(scores[name]) >= 0.7 * tried
        good, bad = names
        both = np.array(scores[good] + scores[bad], np.float32)
        auc = area_under_curve(both, np.arange(len(both)) < len(scores[good]))
        print(f"{archive}: AUC {auc:.4f}; a picture takes {1000 * np.median(took_s):.1f} ms of CPU in the middle")
        assert auc >= 0.95
        assert np.mean([score.degree(s) > 0 for s in scores[bad]]) <= 0.1
        assert np.mean([score.degree(s) > 0 for s in scores[good]]) >= 0.8
