"""How many say yes, to what and to which words; who took it back, and how soon it was erased, with certificates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import streamlit as st

from analytics.dashboard import desk, require
from analytics.desk import log_keys
from analytics.pages.style import begin
from analytics.state import State
from consent import chronicle
from consent.access import Action
from consent.events import ConsentError, Purpose
from consent.ledger import Ledger
from retention import certificate, holds
from retention.model import RetentionError
from retention.pages.asking import at_once, now_us
from retention.pages.entries import clock
from retention.pages.handout import hand_out

LEAST = 10  # people behind a share; fewer are not told
_ROUND = 5


def consents(state_dir: Path) -> None:
    """Draw the page.

    Args:
        state_dir: of the store.
    """
    begin("Consents")
    require(Action.READ_CONSENTS)
    state, ledger = desk().state.reread(), desk().ledger
    _rates(ledger)
    _erasures(state, ledger)


def _rates(ledger: Ledger) -> None:
    st.header("Yes and no, by notice")
    st.caption(
        f"First answers at the kiosk, from entries that stay for ever; numbers to the nearest {_ROUND}, and none of"
        f" fewer than {LEAST} people on either side. Nobody has to answer: who walked away is in neither."
    )
    found, names = chronicle.answers(ledger), chronicle.versions(ledger)
    if not found:
        st.info("Nobody was asked yet. Answers show here once `openaisle kiosk` has asked ten people or more.")
        return
    st.table([_rate(one, names) for one in reversed(found)], border="horizontal")


def _rate(one: chronicle.Asked, names: dict[str, tuple[str, str]]) -> dict[str, str]:
    version, language = names.get(one.digest, ("", ""))
    asked = one.people + one.no
    row = {
        "Notice": f"{version} ({language})" if version else f"SHA-256 {one.digest[:12]}…",
        "Answered": told(asked),
        "Yes to anything": share(one.people, asked),
    }
    return row | {purpose.value: share(one.yes[purpose], asked) for purpose in Purpose}


def told(count: int) -> str:
    """Return a number of people as it may be told."""
    return f"fewer than {LEAST}" if count < LEAST else str(_ROUND * round(count / _ROUND))


def share(part: int, whole: int) -> str:
    """Return a share as it may be told: nothing of fewer than `LEAST` people on either side."""
    if part < LEAST or whole - part < LEAST:
        return "too few to tell"
    part, whole = _ROUND * round(part / _ROUND), _ROUND * round(whole / _ROUND)
    return f"{part / whole:.0%} ({part})"


@dataclass(frozen=True, slots=True)
class Certified:
    """One certificate, as it is listed.

    Attributes:
        path: of the file.
        entry: of the erasure.
        ended: entries that ended consents.
        subjects: destroyed with their keys.
        rows: deleted.
        erased: when, UTC.
        seconds: from the first end to the erasure; None where terms ended.
        held: holds under which something stays.
    """

    path: Path
    entry: int
    ended: tuple[int, ...]
    subjects: int
    rows: int
    erased: datetime
    seconds: float | None
    held: int


def _erasures(state: State, ledger: Ledger) -> None:
    st.header("Ended and erased")
    zone = state.store.timezone
    found = certificates(state.certificates)
    with st.container(key="cards"):
        one, two, three = st.columns(3)
        one.metric("Certificates kept, 90 days", f"{len(found):,}")
        times = sorted(each.seconds for each in found if each.seconds is not None)
        two.metric("From the end to the erasure", "–" if not times else _length(times[len(times) // 2]), help="median")
        three.metric("The longest", "–" if not times else _length(times[-1]))
    if times:
        st.caption(
            "From the first end that a certificate names. Who ends one consent and keeps another is certified twice: at"
            " once for its rows, and for the person when the last consent ended, perhaps days later, counted from the"
            " first. A hold, or a keeper that did not run, makes it longer, too."
        )
    if why := still_known(ledger, now_us()):
        st.info("\n".join(("Some who ended a consent are still known:", "", *(f"- {reason}" for reason in why))))
        if late := at_once():
            st.warning(late)
    if not found:
        st.info("No certificate: nothing was erased within 90 days. One is written by the keeper at every erasure.")
        return
    st.table(
        [
            {
                "Entry": str(each.entry),
                "Erased": clock(round(each.erased.timestamp()) * 1_000_000, zone),
                "Ended by entries": ", ".join(map(str, each.ended)) or "their term",
                "People": str(each.subjects),
                "Rows": str(each.rows),
                "Time to erasure": "–" if each.seconds is None else _length(each.seconds),
                "On hold": str(each.held) if each.held else "",
            }
            for each in found[:50]
        ],
        border="horizontal",
    )
    _one(ledger, found)


def still_known(ledger: Ledger, at_us: int) -> list[str]:
    """Say of those who ended a consent and are known still how many there are for which reason; empty for none."""
    ended = ledger.ended_since(0)
    live = len(ended.intersection(ledger.live_subjects(at_us)))
    placed = holds.holds(ledger)
    reasons = {
        "said yes to something else, or again, and that yes is in force": live,
        (
            f"have no yes in force: a hold may cover them (entry {', '.join(str(hold.entry) for hold in placed)}, see"
            " the page “Holds”); where none does, the keeper erases them at its next sweep"
            if placed
            else "have no yes in force, and no hold is: the keeper erases them at its next sweep, within four minutes"
        ): len(ended) - live,
    }
    return [f"**{count}** {reason}" for reason, count in reasons.items() if count]


def _one(ledger: Ledger, found: Sequence[Certified]) -> None:
    st.subheader("A certificate")
    numbers = {number: each for each in reversed(found) for number in (*each.ended, each.entry)}
    number = st.number_input(
        "Entry that ended the consent, or of the erasure", min_value=0, value=None, step=1, placeholder="number"
    )
    if number is None:
        st.caption("A shopper finds the number of the entry on the receipt or slip of the withdrawal.")
        return
    if int(number) not in numbers:
        st.warning(f"No certificate names entry {int(number)}: nothing was held under it, or it is past its 90 days.")
        return
    require(Action.HAND_OUT)
    each = numbers[int(number)]
    data, keys = each.path.read_bytes(), certificate.key_lines(ledger)
    try:
        checked = certificate.verify(data, keys, log_keys(ledger))
    except (ConsentError, RetentionError) as error:
        st.error(f"**It does not hold.** {error}")
        return
    st.success(
        f"It holds: {checked.subjects} people and {sum(checked.rows.values())} rows erased; {checked.patterns} patterns"
        f" searched for in {checked.files} files, none found; under the log's signed checkpoint."
    )
    hand_out("Download the certificate", data, f"erasure-{each.entry}.json", "application/json", Action.HAND_OUT)
    st.code(
        f"openaisle retention verify-certificate erasure-{each.entry}.json --key '{keys[0]}'",
        language=None,
        wrap_lines=True,
    )


def certificates(folder: Path) -> list[Certified]:
    """Return the certificates of a folder, the newest first."""
    return [_certified(path) for path in sorted(folder.glob("[0-9]*.json"), reverse=True)]


def _certified(path: Path) -> Certified:
    try:
        said: dict[str, Any] = json.loads(path.read_bytes())["certificate"]
        erased = datetime.fromisoformat(said["erased"]["at"])
        first = said["ended"]["first"]
        return Certified(
            path,
            int(said["log"]["entry"]),
            tuple(int(one["entry"]) for one in said["ended"]["entries"]),
            int(said["erased"]["subjects"]),
            sum(said["erased"]["rows"].values()),
            erased,
            None if first is None else (erased - datetime.fromisoformat(first)).total_seconds(),
            len(said["held"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RetentionError(
            f"{path} is not as the keeper wrote it; restore it from a backup, or move it away"
        ) from error


def _length(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )
