"""`openaisle measure`: an audit of a clip; it stores nothing, but its few figures where somebody asks for it."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path

from consent.command import Commands


def add(commands: Commands) -> None:
    """Add `openaisle measure`."""
    measure = commands.add_parser(
        "measure",
        help="measure zone visits in a clip and score them against a truth; stores nothing",
        description="Measure zone visits in a clip; with --truth, say how far off they are. Stores nothing.",
    )
    measure.add_argument("video", type=Path, metavar="VIDEO", help="any video file")
    measure.add_argument("--zones", type=Path, required=True, metavar="FILE", help="zone file (TOML)")
    measure.add_argument(
        "--model", type=Path, metavar="PATH", help="OpenVINO export, or .pt with yolo (default: our own)"
    )
    measure.add_argument("--truth", type=Path, metavar="CSV", help="true visits: zone,person,enter_s,leave_s")
    measure.add_argument(
        "--boxes", type=Path, metavar="TXT", help="true boxes (MOTChallenge gt.txt), for HOTA and IDF1"
    )
    measure.add_argument(
        "--pose",
        action="store_true",
        help="also tell when people face and reach into drawn shelves: only where everybody in the clip agreed to it",
    )
    measure.add_argument(
        "--decisions", type=Path, metavar="CSV", help="true decisions; docs/metrics.md names the columns"
    )
    measure.add_argument("--reaches", type=Path, metavar="CSV", help="true reaches: zone,person,onset_s")
    measure.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    measure.add_argument("--fps", type=_rate, default=10.0, metavar="N", help="looks a second, or 'all' (default: 10)")
    measure.add_argument(
        "--turn",
        type=int,
        choices=(0, 90, 180, 270),
        default=0,
        metavar="DEGREES",
        help="turn pictures first, 90, 180 or 270 degrees clockwise; zones are drawn on the turned picture",
    )
    measure.add_argument("--no-gate", action="store_true", help="run the network on still pictures too")
    measure.add_argument("--square-input", action="store_true", help="pad pictures to the network's own shape")
    measure.add_argument("--video-out", type=Path, metavar="FILE", help="draw boxes, tracks, zones on an empty canvas")
    measure.add_argument("--keep", type=Path, metavar="DIR", help="write the score into the notes of this shop's state")
    measure.add_argument("--camera", default="", metavar="NAME", help="with --keep: whose clip it is")
    measure.set_defaults(run=_measure)


def _rate(text: str) -> float | None:
    if text == "all":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate; give looks a second, or 'all'")
    return rate


def _measure(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from analytics import accuracy, decided, measure
    from analytics.canvas import Canvas
    from analytics.config import read_zones
    from analytics.detect import detector
    from analytics.model import AnalyticsError
    from analytics.pose import Pose
    from analytics.video import Source, probe

    zones = read_zones(arguments.zones)
    # read first: a typing slip must not cost a whole run
    shop = None if arguments.keep is None else _shop(arguments)
    true = None if arguments.truth is None else measure.read_truth(arguments.truth, zones)
    true_decisions = [] if arguments.decisions is None else measure.read_decisions(arguments.decisions)
    true_reaches = [] if arguments.reaches is None else measure.read_reaches(arguments.reaches)
    if arguments.pose and not any(zone.shelf for zone in zones.zone):
        raise AnalyticsError(f"--pose finds no shelf in {arguments.zones}; give a product zone its shelf")
    if arguments.reaches is not None and not arguments.pose:
        raise AnalyticsError("--reaches needs --pose: without it no reach is looked for")
    info = probe(Source(str(arguments.video), turn=arguments.turn))
    audit = None if arguments.boxes is None else measure.TrackAudit(arguments.boxes, info.fps or 25.0)
    model = detector(arguments.model, fit_aspect=not arguments.square_input)
    with ExitStack() as stack:
        canvas = None
        if arguments.video_out is not None:
            if arguments.video_out.resolve() == arguments.video.resolve():
                raise AnalyticsError(f"--video-out {arguments.video_out} is the clip itself; name another file")
            canvas = stack.enter_context(Canvas(arguments.video_out, (info.width, info.height), zones.zones()))
        total = info.duration_s and round(info.duration_s, 1)
        bar = stack.enter_context(tqdm(total=total, unit="s", disable=None, leave=False))
        result = measure.measure(
            arguments.video,
            zones,
            model,
            fps=arguments.fps,
            motion_gate=not arguments.no_gate,
            canvas=canvas,
            progress=lambda done: bar.update(round(done - bar.n, 3)),
            audit=audit,
            net=Pose if arguments.pose else None,
            turn=arguments.turn,
        )
    if true is not None:
        result.score = accuracy.score(true, result.stays())
    if arguments.decisions is not None or arguments.reaches is not None:
        result.decided = decided.score(true_decisions, result.decisions_made(), true_reaches, result.reaches)
    if audit is not None:
        result.tracking = audit.figures()
    if shop is not None:
        from analytics.audits import audit_of, keep
        from consent.command import now_us

        keep(shop, audit_of(result, arguments.camera, now_us()))
    print(json.dumps(result.as_dict()) if arguments.json else result.table())
    return 0


def _shop(arguments: argparse.Namespace) -> Path:
    """Return the state directory whose notes take the score."""
    from analytics.config import ConfigError
    from analytics.state import State

    state = State.read(arguments.keep)
    cameras = [camera.name for camera in state.store.camera]
    if arguments.truth is None:
        raise ConfigError("--keep needs --truth: without a truth there is no score")
    if arguments.camera not in cameras:
        raise ConfigError(f"say whose clip it is: --camera, one of {', '.join(cameras) or 'none in store.toml'}")
    return state.root
