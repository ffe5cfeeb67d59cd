"""`openaisle doctor`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from consent.command import Commands, command, now_us


def add(commands: Commands) -> None:
    """Add the command."""
    doctor = command(commands, "doctor", "look the shop over and say what to do about whatever is wrong")
    doctor.add_argument("--json", action="store_true", help="print one JSON object instead")
    doctor.set_defaults(run=_doctor, looks_only=True)


def _doctor(arguments: argparse.Namespace) -> int:
    from analytics.state import State
    from retention import doctor
    from retention.model import RetentionError

    findings = list(doctor.examine(State.read(arguments.state, arguments.keys), now_us()))
    if arguments.json:
        print(json.dumps({"findings": [asdict(one) for one in findings]}))
    else:
        print(doctor.told(findings))
    if wrong := doctor.verdict(findings):
        raise RetentionError(wrong)
    return 0
