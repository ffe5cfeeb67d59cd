"""The clips the bench runs on, and where somebody may stand in them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from analytics.accuracy import Stay
from analytics.config import ZoneFile, ZoneTable, read_zones
from analytics.measure import read_truth
from analytics.video import Source, probe
from analytics.zones import ZoneKind

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = Path(os.environ.get("OPENAISLE_TEST_DATA", ROOT.parent / "shared" / "data"))
MODEL = DATA / "models" / "detection" / "yolov8n_int8_openvino_model"


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip to run on.

    Attributes:
        path: below the data folder, without ``.mp4``.
        seconds: of it are run, from the start; None runs all.
        scored: true where zones and true visits lie beside it. Elsewhere the middle of the picture is the zone, so
            that the work is the same, and only CPU is told.
        sparse: nobody is in most of its pictures; run to see what the motion gate gives.
    """

    path: str
    seconds: float | None = None
    scored: bool = False
    sparse: bool = False

    @property
    def name(self) -> str:
        """Short, for the command line and the table."""
        return Path(self.path).stem

    @property
    def video(self) -> Path:
        """The file."""
        return DATA / f"{self.path}.mp4"

    def zones(self) -> ZoneFile:
        """Return the zones drawn for the clip, or the middle of its picture."""
        if self.scored:
            return read_zones(self.video.with_name("zones.toml"))
        info = probe(Source(str(self.video)))
        x, y = info.width / 4, info.height / 4
        corners = ((x, y), (3 * x, y), (3 * x, 3 * y), (x, 3 * y))
        return ZoneFile(zone=(ZoneTable(name="middle", kind=ZoneKind.PRODUCT, polygon=corners),))

    def truth(self) -> list[Stay] | None:
        """Return the true visits, or None where nobody wrote them down."""
        return read_truth(self.video.with_name("visits.csv"), self.zones()) if self.scored else None


CLIPS = {
    clip.name: clip
    for clip in (
        Clip("tracking/PETS09-S2L1/PETS09-S2L1", scored=True),
        Clip("tracking/TUD-Stadtmitte/TUD-Stadtmitte", scored=True),
        Clip("video/caviar/ShopAssistant1cor", seconds=20),
        Clip("video/towncentre_10s"),
        Clip("video/intel/one-by-one-person-detection", seconds=40, sparse=True),
    )
}
