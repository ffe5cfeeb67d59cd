"""When a face may be read, how often, and that nothing of it is loaded or written where it is not allowed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.body import Box
from analytics.detect import ModelError
from analytics.expression import Expression, Unread
from analytics.faces import Face
from analytics.model import SECOND, Frame, Sighting
from analytics.reading import OWN, SIDE, DeepFaceReader, FaceReader, FaceRules, checked, face_of, sharpness
from analytics.row import CLASSES
from analytics.training import expression_faces, expression_figures
from analytics.video import Source, frames
from analytics.zones import Zone, ZoneKind
from consent.events import Level
from tests.conftest import ROOT
from tests.retention.keeping import NOON, Shop
from tests.test_privacy import COMMAND, watch

HAPPY, NEUTRAL, UNKNOWN = (CLASSES.index(name) for name in ("happy", "neutral", "unknown"))
SHELF = Zone("shelf", ZoneKind.PRODUCT, ((0, 0), (100, 0), (100, 100), (0, 100)))
PICTURE = np.zeros((8, 8, 3), np.uint8)
JOINTS = np.zeros((17, 3), np.float32)


def sighting(x: float = 50.0) -> Sighting:
    return Sighting(1, x, 50.0, 80.0, 0.9, (x - 10, 0, x + 10, 50))


class Says:
    """Reads what it was told to."""

    def __init__(self, *said: int) -> None:
        self._said = list(said)

    def read(self, image: NDArray[np.uint8], keypoints: NDArray[np.float32], others: Sequence[Box]) -> int:
        return self._said.pop(0) if self._said else NEUTRAL


def looking(*said: int, allowed: bool = True) -> Expression:
    one = Expression([SHELF], lambda: Says(*said), allowed=lambda: allowed)
    one.load()
    return one


def walk(one: Expression, seconds: float, person: int = 1, x: float = 50.0, fps: int = 10) -> int:
    looks = 0
    for i in range(round(seconds * fps)):
        t_us = NOON + i * SECOND // fps
        if one.wants(t_us, person, sighting(x)):
            looks += 1
            one.look(t_us, person, PICTURE, JOINTS, (0, 0, 1, 1), ())
    return looks


# --- how often, where, and what becomes of it -------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [2, 5, 10, 25])
def test_a_face_is_looked_at_twice_a_second_at_most(fps: int) -> None:
    assert 15 <= walk(looking(), 10.0, fps=fps) <= 21  # both ends of ten seconds


def test_nobody_is_looked_at_outside_a_measured_zone() -> None:
    assert walk(looking(), 10.0, x=150.0) == 0


def test_a_visit_is_what_was_seen_between_its_ends() -> None:
    one = looking(HAPPY, HAPPY, UNKNOWN)
    walk(one, 3.0)
    assert one.take(1, NOON, NOON + SECOND) == (0, 0, 0, 2, 0, 0, 0, 1)
    assert one.take(1, NOON + 1_500_000, NOON + 3 * SECOND) == (0, 0, 0, 0, 0, 0, 3, 0)
    assert one.take(1, NOON + 4 * SECOND, NOON + 5 * SECOND) is None
    assert one.take(2, NOON, NOON + SECOND) is None


def test_what_is_forgotten_is_in_no_visit() -> None:
    one = looking()
    walk(one, 2.0, person=1)
    walk(one, 2.0, person=2)
    one.forget({2})
    assert one.take(1, NOON, NOON + 2 * SECOND) is None
    assert one.take(2, NOON, NOON + 2 * SECOND) is not None


def test_below_its_level_nothing_is_loaded_and_nobody_is_looked_at() -> None:
    made = []
    allowed = False
    one = Expression([SHELF], lambda: made.append(1) or Says(), allowed=lambda: allowed)  # type: ignore[func-returns-value]
    one.load()
    assert walk(one, 5.0) == 0
    assert made == []
    allowed = True
    one.load()
    assert walk(one, 5.0) > 0
    allowed = False
    assert walk(one, 5.0) == 0
    assert one._reader is None


def test_no_picture_waits_for_the_model() -> None:
    go = threading.Event()

    def make() -> Says:
        go.wait(60)
        return Says()

    one = Expression([SHELF], make, allowed=lambda: True)
    assert walk(one, 5.0) == 0  # it loads beside
    loading = one._loading
    assert loading is not None
    go.set()
    loading.join(60)
    assert walk(one, 5.0) > 0


# --- which face may be read -------------------------------------------------------------------------------------------

RULES = FaceRules()
FACE = Face((100, 100, 160, 160), 0.9, ((118, 122), (142, 122)), (130, 136))


class Finds:
    """Finds what it was told to, as far as it is in the area."""

    def __init__(self, *faces: Face) -> None:
        self.faces, self.asked = list(faces), 0

    def find(self, image: NDArray[np.uint8], area: tuple[int, int, int, int], *, least: float) -> list[Face]:
        self.asked += 1
        x1, y1, x2, y2 = area
        inside = [f for f in self.faces if x1 < f.nose[0] < x2 and y1 < f.nose[1] < y2]
        return sorted((face for face in inside if face.score >= least), key=lambda face: -face.score)


class Beside:
    """Is so sure of a second head, whatever the picture."""

    def __init__(self, sure: float = 0.0) -> None:
        self.sure, self.asked = sure, 0

    def beside(self, image: NDArray[np.uint8], nose: tuple[float, float], apart: float) -> float:
        self.asked += 1
        return self.sure


ALONE = Beside()


def joints(face: Face = FACE, confidence: float = 0.9) -> NDArray[np.float32]:
    found = np.zeros((17, 3), np.float32)
    found[:3, :2] = (face.nose, face.eyes[1], face.eyes[0])
    found[:3, 2] = confidence
    return found


def sharp_picture() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (300, 300, 3)).astype(np.uint8)


def moved(face: Face, dx: float, dy: float, score: float = 0.9) -> Face:
    x1, y1, x2, y2 = face.box
    nose = (face.nose[0] + dx, face.nose[1] + dy)
    return replace(face, box=(x1 + dx, y1 + dy, x2 + dx, y2 + dy), score=score, nose=nose)


def test_the_one_face_is_read() -> None:
    crop = face_of(sharp_picture(), joints(), [], Finds(FACE), ALONE, RULES)
    assert not isinstance(crop, Unread)
    assert crop.shape == (68, 68, 3)


@pytest.mark.parametrize(
    "second",
    [moved(FACE, 70, 0), moved(FACE, -80, 40), moved(FACE, 0, 80, 0.11), moved(FACE, 0, -70, 0.2), moved(FACE, 20, 60)],
)
def test_a_second_face_in_or_beside_the_crop_means_that_neither_is_read(second: Face) -> None:
    for order in ((FACE, second), (second, FACE)):
        why = Unread.BESIDE if second.score >= RULES.sure else Unread.PERHAPS
        assert face_of(sharp_picture(), joints(), [], Finds(*order), ALONE, RULES) is why


@pytest.mark.parametrize(
    ("box", "read"),
    [
        ((120.0, 90.0, 180.0, 260.0), False),  # over the face
        ((165.0, 20.0, 260.0, 280.0), False),  # beside it
        ((100.0, 190.0, 160.0, 290.0), False),  # a child before the chest
        ((230.0, 20.0, 290.0, 280.0), True),  # a step away
        ((100.0, 225.0, 160.0, 290.0), True),
    ],
)
def test_another_body_near_the_face_means_that_nobody_is_read(box: Box, read: bool) -> None:
    assert (face_of(sharp_picture(), joints(), [box], Finds(FACE), ALONE, RULES) is not Unread.PERHAPS) is read


@pytest.mark.parametrize(
    "face",
    [
        replace(FACE, score=0.4),
        replace(FACE, nose=(140.0, 136.0)),  # turned away
        replace(FACE, eyes=((118.0, 115.0), (140.0, 132.0))),  # tilted
        moved(FACE, 0, 70),  # somebody else's: the joints say that the head is elsewhere
    ],
)
def test_a_face_that_is_not_surely_theirs_or_looks_elsewhere_is_not_read(face: Face) -> None:
    assert face_of(sharp_picture(), joints(), [], Finds(face), ALONE, RULES) is Unread.OTHER


def test_nothing_is_searched_where_the_joints_show_no_face() -> None:
    finder = Finds(FACE)
    for said in (joints(confidence=0.4), joints(replace(FACE, nose=(140.0, 136.0)))):
        assert face_of(sharp_picture(), said, [], finder, ALONE, RULES) is Unread.OTHER
    assert finder.asked == 0


def test_a_small_cut_or_blurred_face_is_not_read() -> None:
    tiny = Face((100, 100, 120, 120), 0.9, ((106, 108), (114, 108)), (110, 113))
    assert face_of(sharp_picture(), joints(tiny), [], Finds(tiny), ALONE, RULES) is Unread.OTHER
    edge = moved(FACE, -100, 0)
    edge = replace(edge, eyes=((18.0, 122.0), (42.0, 122.0)), nose=(30.0, 136.0))
    assert face_of(sharp_picture(), joints(edge), [], Finds(edge), ALONE, RULES) is Unread.OTHER
    coarse = np.random.default_rng(2).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    smooth = np.asarray(cv2.resize(coarse, (300, 300), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert face_of(smooth, joints(), [], Finds(FACE), ALONE, RULES) is Unread.OTHER


# --- on real pictures -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader() -> FaceReader:
    return FaceReader()


@pytest.mark.data
def test_thresholds_are_as_the_page_says_on_held_out_faces(data: Path, reader: FaceReader) -> None:
    """A face of 24 pixels passes by size; the blur that costs ten points of accuracy does not pass by sharpness."""
    pictures, _ = expression_faces.read(data / expression_figures.TEST)
    some = pictures[::60]

    def passes(blurred: list[NDArray[np.uint8]]) -> float:
        coloured = [np.asarray(cv2.cvtColor(one, cv2.COLOR_GRAY2BGR), np.uint8) for one in blurred]
        return float(np.mean([sharpness(one) >= RULES.sharp for one in coloured]))

    assert passes(list(some)) > 0.95
    assert passes([np.asarray(cv2.GaussianBlur(one, (0, 0), 2.0), np.uint8) for one in some]) < 0.05
    assert passes([np.asarray(cv2.blur(one, (11, 1)), np.uint8) for one in some]) < 0.1


@pytest.mark.data
def test_the_reader_says_what_the_net_says(data: Path, reader: FaceReader) -> None:
    net = DeepFaceReader()
    pictures, classes = expression_faces.read(data / expression_figures.TEST)
    said = [net.read(cv2.cvtColor(one, cv2.COLOR_GRAY2BGR)) for one in pictures[::60]]
    answered = [(a, b) for a, b in zip(said, classes[::60].tolist(), strict=True) if a != UNKNOWN]
    assert 0.5 < len(answered) / len(said) < 0.95
    assert np.mean([a == b for a, b in answered]) > 0.6
    assert net.read(np.zeros((SIDE, SIDE, 3), np.uint8)) == UNKNOWN


@pytest.mark.data
def test_of_three_who_stand_close_together_nobody_is_read(data: Path, reader: FaceReader) -> None:
    """A real picture: everybody else's box is known, and would be enough; here it is withheld for the nearest two."""
    clip = data / "video/intel/face-demographics-walking-and-pause.gif"
    image = [f.image for f in frames(Source(str(clip))) if isinstance(f, Frame)][20]
    faces = reader._finder.find(image, (0, 0, image.shape[1], image.shape[0]), least=0.5)
    assert len(faces) == 3
    boxes: list[Box] = [(f.box[0] - 30, f.box[1] - 10, f.box[2] + 30, 270.0) for f in faces]
    for i, face in enumerate(faces):
        others = [box for j, box in enumerate(boxes) if j != i]
        assert face_of(image, joints(face), others, reader._finder, reader._heads, RULES) in (
            Unread.PERHAPS,
            Unread.BESIDE,
        )


@pytest.mark.data
def test_a_childs_head_beside_a_real_one_stops_the_reading_and_is_never_read_itself(
    data: Path, reader: FaceReader
) -> None:
    pictures, classes = expression_faces.read(data / expression_figures.TEST)
    happy, chance = pictures[classes == HAPPY], np.random.default_rng(4)
    tried = missed = alone_read = 0
    for big, small in zip(happy[:48], happy[100:148], strict=True):
        side = 64
        picture = np.full((400, 400), 120, np.uint8)
        picture[168 : 168 + side, 168 : 168 + side] = cv2.resize(big, (side, side), interpolation=cv2.INTER_CUBIC)
        alone = np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8)
        wide = round(side * chance.uniform(0.55, 1.0))
        turn, far = chance.uniform(0, 2 * np.pi), side * chance.uniform(1.0, 1.4)
        x, y = (round(200 + far * d - wide / 2) for d in (np.cos(turn), np.sin(turn)))
        picture[y : y + wide, x : x + wide] = cv2.resize(small, (wide, wide), interpolation=cv2.INTER_AREA)
        both = np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8)
        found = reader._finder.find(alone, (60, 60, 340, 340), least=0.6)
        area = (x + wide // 2 - 40, y + wide // 2 - 40, x + wide // 2 + 40, y + wide // 2 + 40)
        if len(found) != 1 or not reader._finder.find(both, area, least=0.6):
            continue  # one of the two is no face that anything would take for one
        tried += 1
        alone_read += not isinstance(face_of(alone, joints(found[0]), [], reader._finder, ALONE, RULES), Unread)
        crop = face_of(both, joints(found[0]), [], reader._finder, ALONE, RULES)
        missed += not isinstance(crop, Unread)
        if not isinstance(crop, Unread):
            at = (crop.ctypes.data - both.ctypes.data) // 3
            left, top = at % 400, at // 400
            assert not (left <= x + wide // 2 < left + len(crop) and top <= y + wide // 2 < top + len(crop))
    assert tried >= 20
    assert alone_read >= tried // 3
    assert missed <= tried // 10


# --- what is loaded, called and written -------------------------------------------------------------------------------


def clip_shop(root: Path, data: Path, level: Level) -> Path:
    """Return the state directory of a shop with a short clip and a zone."""
    shop = Shop.make(root / "shop", level)
    shop.ledger.close()
    toml = shop.state.root / "store.toml"
    clip = data / "tracking/TUD-Stadtmitte/TUD-Stadtmitte.mp4"
    toml.write_text(
        toml.read_text().partition("[[camera]]")[0] + f'[[camera]]\nname = "street"\nsource = "{clip}"\nfps = 2.0\n'
        'zone = [{name = "street", kind = "product", polygon = [[0, 200], [640, 200], [640, 480], [0, 480]]}]\n'
    )
    return shop.state.root


@pytest.mark.data
@pytest.mark.timeout(600)
@pytest.mark.parametrize("level", [Level.REPEAT, Level.EMOTION])
def test_watch_loads_deepface_at_its_level_alone_and_calls_nobody(data: Path, tmp_path: Path, level: Level) -> None:
    root = clip_shop(tmp_path, data, level)
    done = watch(COMMAND, "watch", "--state", root, "--start", "2026-11-01T10:00:00+00:00", root=tmp_path / "away")
    assert done.status == 0, done.said
    loaded = {"deepface", "onnxruntime"} & done.modules
    assert loaded == ({"deepface", "onnxruntime"} if level is Level.EMOTION else set())
    assert ("analytics.reading" in done.said) is False
    assert not {"tensorflow", "torch", "keras"} & done.modules
    assert done.calls == []
    assert done.left == set()
    outside = [p for p in done.written if not p.startswith((str(root), "/dev/", "/proc/")) and "-journal" not in p]
    assert [p for p in outside if "/place/scratch/" not in p and "-keys/" not in p] == []
    assert not list((root / "tmp").iterdir())  # DeepFace's home went with the process


def test_without_its_file_nothing_is_fetched(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\n"
        "from analytics.detect import ModelError\nfrom analytics.reading import DeepFaceReader\n"
        "try: DeepFaceReader(Path('gone.onnx'))\nexcept ModelError as error: print(error)\n"
        "assert 'deepface' not in sys.modules"
    )
    done = watch(program, root=tmp_path)
    assert done.status == 0, done.said
    assert done.calls == []


def test_a_shop_gives_a_file_of_its_own_and_one_of_another_form_is_refused(tmp_path: Path) -> None:
    own, text = OWN.read_bytes(), tmp_path / "text.onnx"
    text.write_text("no net")
    assert checked(OWN, smile=True) == OWN
    for name, was, now in (
        ("mute", b"smile", b"smirk"),
        ("unsure", b"answer_at_least", b"answer_as_least"),
        ("percent", b"\x040.50", b"\x0450.0"),
        ("mixed", b"angry,disgust", b"disgust,angry"),
    ):
        assert was in own
        (tmp_path / f"{name}.onnx").write_bytes(own.replace(was, now))
    mute = tmp_path / "mute.onnx"
    assert checked(mute) == mute
    with pytest.raises(ModelError, match="reads no smile"):
        checked(mute, smile=True)
    for name, why in (("unsure", "answer_at_least"), ("percent", "answer_at_least"), ("mixed", "labels")):
        with pytest.raises(ModelError, match=why) as told:
            checked(tmp_path / f"{name}.onnx")
        assert "[expression] in store.toml" in str(told.value)
    for file in (text, OWN.parent / "heads.onnx", tmp_path):
        with pytest.raises(ModelError, match=r"expression"):
            checked(file)


def test_importing_the_parts_of_watch_loads_nothing_of_it() -> None:
    code = (
        "import sys, analytics.watch;"
        " print(sorted({'deepface', 'onnxruntime', 'analytics.reading', 'analytics.heads'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
