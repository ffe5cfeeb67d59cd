"""`openaisle staff-tag`: a marker to print on the badges of staff."""

from __future__ import annotations

import argparse
from pathlib import Path

from consent.command import Commands, whole


def add(commands: Commands) -> None:
    """Add `openaisle staff-tag`."""
    tag = commands.add_parser(
        "staff-tag",
        help="draw a marker for the badges of staff, who are then left out of everything",
        description="Draw a marker as a picture. Print it 8 cm wide or more, wear it before the chest, and write its"
        " number into store.toml: [staff] tags = [0].",
    )
    tag.add_argument("number", type=whole, metavar="NUMBER", help="0 to 49; one for everybody will do")
    tag.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="picture to write")
    tag.set_defaults(run=_draw)


def _draw(arguments: argparse.Namespace) -> int:
    import cv2

    from analytics.config import ConfigError
    from analytics.tags import drawn

    try:
        picture = cv2.imencode(".png", drawn(arguments.number))[1].tobytes()
    except ValueError as error:
        raise ConfigError(str(error)) from error
    try:
        arguments.out.write_bytes(picture)
    except OSError as error:
        raise ConfigError(f"{arguments.out} cannot be written: {error.strerror}") from error
    print(f"{arguments.out}: print it 8 cm wide or more; store.toml needs [staff] tags = [{arguments.number}]")
    return 0
