"""The audits of a shop's cameras that `openaisle measure --keep` wrote down: how far off it was, and on how much.

An audit is a handful of numbers about the program: no visit of it, no time of anybody's, no name of the clip is kept.
The file is `notes/audits.jsonl` of the state directory, a line an audit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analytics import lines
from analytics.model import AnalyticsError
from analytics.notes import FOLDER

if TYPE_CHECKING:
    from analytics.measure import Measurement

FILE = "audits.jsonl"


class AuditError(AnalyticsError):
    """There is nothing to keep, or what was kept is damaged."""


@dataclass(frozen=True, slots=True)
class Audit:
    """One audit.

    Attributes:
        at_us: when it was made, UTC microseconds.
        camera: whose clip it was, as the auditor says.
        seconds: of video.
        coverage: share of it that was seen, 0 to 1.
        true: visits of the truth.
        measured: visits measured.
        matched: of them, matched one to one.
        f1: of visits, at temporal IoU 0.5.
        dwell_error_s: mean absolute error of matched visits, seconds; None where none matched.
        hota: against true boxes; None where there were none.
        idf1: against true boxes; None where there were none.
    """

    at_us: int
    camera: str
    seconds: float
    coverage: float
    true: int
    measured: int
    matched: int
    f1: float
    dwell_error_s: float | None
    hota: float | None
    idf1: float | None


def audit_of(result: Measurement, camera: str, at_us: int) -> Audit:
    """Return what is kept of one measurement.

    Raises:
        AuditError: it was not held against a truth.
    """
    score, tracking = result.score, result.tracking or {}
    if score is None:
        raise AuditError("there is nothing to keep without a truth; add --truth FILE")
    return Audit(
        at_us=at_us,
        camera=camera,
        seconds=round(result.seconds, 1),
        coverage=1 - result.blind_s / result.seconds if result.seconds else 0.0,
        true=score.true,
        measured=score.measured,
        matched=score.matched,
        f1=score.f1,
        dwell_error_s=score.dwell_error_s,
        hota=tracking.get("hota"),
        idf1=tracking.get("idf1"),
    )


def keep(state_dir: Path, audit: Audit) -> None:
    """Write an audit down.

    Raises:
        AnalyticsError: the file cannot be written.
    """
    lines.append(state_dir / FOLDER / FILE, lambda _: asdict(audit))


def audits(state_dir: Path) -> list[Audit]:
    """Return the audits of a shop, newest first.

    Raises:
        AnalyticsError: the file cannot be read, or a line of it is damaged.
    """
    path = state_dir / FOLDER / FILE
    try:
        return [Audit(**line) for line in reversed(lines.read(path))]
    except TypeError as error:
        raise AuditError(f"{path} holds a line that is no audit; mend it or take it out") from error
