"""Opens the simulated shop: a state directory of its own, which says of itself that nothing in it is real.

What `openaisle init` makes, with the floor of the demo shop, a level approved by two who do not exist, and
`simulated = true`, by which every page labels its figures. It fills no figure and watches nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from analytics.shopfloor import record
from analytics.start import init
from analytics.state import STORE_TOML, State
from consent.events import Level
from consent.keys import Role

TIMEZONE = "Europe/Berlin"
CAMERA = "simulated"  # its name stands in every cell
PAD = "pad"  # as the zone file of the demo shop calls it

_HOURS = """
[hours]
mon = ["09:00", "20:00"]
tue = ["09:00", "20:00"]
wed = ["09:00", "20:00"]
thu = ["09:00", "20:00"]
fri = ["09:00", "20:00"]
sat = ["09:00", "20:00"]
"""
_CONTROLLER = """
[controller]
name = "Nobody (this shop is simulated)"
address = "Nowhere"
contact = "nobody@example.com"
jurisdiction = "DE"
"""


def open_shop(
    root: Path, *, name: str, source: str, now_us: int, level: Level = Level.DWELL, hours: bool = False
) -> State:
    """Make the state directory of a simulated shop, and its keys beside it.

    Args:
        root: the directory to make.
        name: of the shop; it must say that it is simulated.
        source: of its camera: a clip, or a word where nothing will be opened.
        now_us: when it is made, UTC microseconds; no consent may be older.
        level: that is in force.
        hours: open from nine to eight on working days; otherwise always.

    Raises:
        ConfigError: something is there already.
        ValueError: the name does not say it.
    """
    if "simulated" not in name.lower():
        raise ValueError(f"{name!r} does not say that the shop is simulated")
    init(root, now_us=now_us, name=name, timezone=TIMEZONE)
    path = root / STORE_TOML
    head, _, _ = path.read_text(encoding="utf-8").partition("[[camera]]")
    head = head.replace('level = "counts"', f'level = "{level}"\nsimulated = true')
    zones = (record.HERE / record.ZONES).read_text(encoding="utf-8")
    zones = zones.replace("[[zone]]", "[[camera.zone]]").replace("[ground]", "[camera.ground]")
    camera = f'[[camera]]\nname = "{CAMERA}"\nsource = "{source}"\n\n{zones}'
    path.write_text(head + camera + (_HOURS if hours else "") + _CONTROLLER, encoding="utf-8")
    state = State.read(root)
    with state.open_ledger(Role.ADMIN) as ledger:
        two = [hashlib.sha256(word).digest() for word in (b"simulated approval 1", b"simulated approval 2")]
        ledger.set_level(level, now_us=now_us, approvals=two, dpia_sha256=hashlib.sha256(b"simulated").digest())
    return state
