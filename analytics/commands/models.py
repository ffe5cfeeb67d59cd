"""`openaisle models`: which models lie here, and the only command that calls anybody."""

from __future__ import annotations

import argparse
import json

from consent.command import Commands, group


def add(commands: Commands) -> None:
    """Add `openaisle models`."""
    models = commands.add_parser("models", help="show which models lie here; fetch a larger one")
    parts = group(models)
    shown = parts.add_parser("list", help="what lies here, whence, under which licence, and whether it is unchanged")
    shown.add_argument("--json", action="store_true", help="print one JSON object instead")
    shown.set_defaults(run=_models_list)
    fetch = parts.add_parser("fetch", help="get a larger model over the network; the only command that calls anybody")
    fetch.add_argument("name", metavar="NAME", help="see `openaisle models list`")
    fetch.set_defaults(run=_models_fetch)


def _models_list(arguments: argparse.Namespace) -> int:
    from analytics import models

    found = models.models(models.read_catalogue(), models.folder())
    if arguments.json:
        print(json.dumps({"models": [one.as_dict() for one in found]}))
    else:
        print("\n".join(map(str, found)))
    if broken := [one.name for one in found if one.sound is False]:
        raise models.ModelsError(f"{', '.join(broken)}: not as it should be; restore it before anything uses it")
    return 0


def _models_fetch(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from analytics import models

    with tqdm(unit="B", unit_scale=True, disable=None, leave=False) as bar:
        one = models.fetch(arguments.name, models.read_catalogue(), models.folder(), progress=bar.update)
    print(one)
    print(f"use it: openaisle watch --model {one.path}")
    return 0
