"""The pack for a data protection impact assessment (GDPR Art. 35), filled from the settings in force.

Rules:
- What the software knows is filled in: what is done, on what ground, for how long, and what it does against each risk.
- What only people can judge is a blank, and marked as one: whether it is needed, how grave a risk is for these
  shoppers, what is left of it, and whether it is taken. No blank is filled by a default.
- A measure is named only where the settings in force make it true.

It is a beginning, and no assessment: we are engineers, not lawyers. Nothing here reads a file.
"""

from __future__ import annotations

from dataclasses import dataclass

from analytics.config import StoreFile
from analytics.zones import ZoneKind
from consent.events import Level, Purpose
from retention import record

BLANK = "[BLANK, for people to fill in]"


@dataclass(frozen=True, slots=True)
class Risk:
    """One risk for shoppers.

    Attributes:
        what: could happen.
        measures: against it, as the settings in force have them.
        left: what no measure of ours takes away.
    """

    what: str
    measures: tuple[str, ...]
    left: str


def risks(store: StoreFile, level: Level) -> list[Risk]:
    """Return the risks that processing at this level brings, and what is done against each."""
    recorded = level is not Level.COUNTS
    witness = "a witness outside the shop can hold the log to what it saw"
    found = [
        Risk(
            "Somebody is watched who did not agree",
            (
                "without a yes nothing about a person is written; counts are of five tracks or more",
                "who objects at the pad is not even counted"
                if store.kiosk_pad()
                else "the shop has no pad: who objects says so to the staff",
            ),
            "cameras see everybody; pictures, and the colours of clothes by which people who cross are told apart, pass"
            " through memory, and whoever controls the machine could change that",
        ),
        Risk(
            "Figures tell something about one person",
            ("figures begin at ten consenting shoppers or five tracks, rounded, and are never recomputed",),
            "somebody who knows nine of ten shoppers may guess about the tenth",
        ),
        Risk(
            "Who runs the shop changes what was promised without anybody noticing",
            ("every change is an entry of a signed log", witness),
            "without a witness, a log that is put back to an older state goes unnoticed",
        ),
    ]
    outside = [camera for camera in store.camera if any(zone.kind is ZoneKind.OUTSIDE for zone in camera.zone)]
    if outside:
        found.append(
            Risk(
                "People are seen in the street who never came in",
                (
                    "outside people are only counted, five or more in a cell: no length of stay, no way, no row, not"
                    " even about who said yes",
                    *(
                        ("parts of the picture are black before anything looks",)
                        if all(camera.masks for camera in outside)
                        else ()
                    ),
                ),
                "a pavement is a public place, whoever passes sees no kiosk at which to object, and whether a camera"
                " may see it at all is not for the software to say",
            )
        )
    if recorded:
        terms = ", ".join(f"{p.value} {days} days" for p, days in store.terms.days().items() if level.allows(p))
        found += [
            Risk(
                "Rows are linked to a person, or from day to day",
                (
                    "pseudonyms are keyed hashes that change every day"
                    + ("" if not level.allows(Purpose.REPEAT) else "; for `repeat` they stay the same, by its own yes"),
                    "each shopper has a key of their own; its destruction makes the hash uncomputable",
                    "keys lie outside the state directory and its backups",
                ),
                "until then a copy of ledger and keys together reads everything",
            ),
            Risk(
                "Rows are kept for longer than needed",
                (f"terms: {terms}", "erasure rewrites the files, searches every byte, and writes a certificate"),
                f"backups live for {store.terms.backup} days; within them a row lives on, and is erased at a restore",
            ),
            Risk(
                "Consent is not free, or not understood",
                (
                    "four switches, none pre-set; a no costs nothing; taking it back is one tap or one code",
                    f"who states an age below {store.kiosk.minimum_age} can only refuse"
                    if store.kiosk.minimum_age
                    else "no age is asked for",
                    f"the notice is shown in {len(store.kiosk.languages)} languages, and its hash is in the log",
                ),
                "whether the shop gives an advantage for a yes is not known to the software",
            ),
        ]
    if level.allows(Purpose.EMOTION):
        found.append(
            Risk(
                "Expressions are read that mean nothing, or are used against somebody",
                (
                    "only on the own face of who said yes to it, never of staff; shares of looks, no series",
                    "no face template is computed; cells need ten people and two expressions",
                ),
                "authorities hold emotion analysis in shops to be doubtful; expression is not feeling",
            )
        )
    return found


def assessment(store: StoreFile, level: Level, sha256: bytes) -> str:
    """Return the pack as Markdown.

    Args:
        store: what `store.toml` says.
        level: the privacy level in force.
        sha256: of `store.toml`.
    """
    told = record.record(store, level, sha256)
    who = told["controller"]
    lines = [
        "# Data protection impact assessment: pack",
        "",
        f"Store: {told['store']['name']}. Privacy level in force: {level}. Settings SHA-256 {sha256.hex()}.",
        "",
        f"What stands as {BLANK} is for people: the software does not know it. It is no legal advice.",
        "",
        "## 1 What is done (Art. 35(7)(a))",
        "",
        f"- controller: {who['name'] or BLANK}",
        f"- data protection officer: {who['officer'] or BLANK}",
        f"- cameras: {len(store.camera)}",
        f"- whom it is about: {told['subjects']}",
        f"- recipients: {', '.join(told['recipients']) or 'none named in store.toml'}",
        f"- transfers: {told['transfers']}",
        *(f"- {one['purpose']}: {one['allows']}; {one['days']} days; {one['basis']}" for one in told["purposes"]),
        *([] if told["purposes"] else ["- nobody is recorded at this level: counts of five tracks or more"]),
        "- classes of data and what ends each: see the record of processing, made from the same settings",
        "",
        "## 2 Necessity and proportion (Art. 35(7)(b))",
        "",
        f"- Which question of the shop needs this? {BLANK}",
        f"- Why is counting by hand, a till or a light barrier not enough? {BLANK}",
        f"- Why is no lower privacy level enough than {level}? {BLANK}",
        f"- Interests weighed for counting everybody (Art. 6(1)(f)): {BLANK}",
        f"- Views of shoppers or those who speak for them (Art. 35(9)): {BLANK}",
        f"- Views of the works council about cameras: {BLANK}",
        "",
        "## 3 Risks, measures, and what is left (Art. 35(7)(c), (d))",
        "",
    ]
    for number, risk in enumerate(risks(store, level), 1):
        lines += [f"### 3.{number} {risk.what}", "", "Measures in force:", ""]
        lines += [f"- {measure}" for measure in risk.measures]
        lines += ["", f"What no measure of the software takes away: {risk.left}.", ""]
        lines += [f"- Likelihood here: {BLANK}", f"- Severity for shoppers here: {BLANK}"]
        lines += [f"- Further measures of the shop: {BLANK}", f"- Residual risk, and is it taken? {BLANK}", ""]
    lines += [
        "## 4 Decision",
        "",
        f"- Advice of the data protection officer (Art. 35(2)): {BLANK}",
        f"- Prior consultation of the authority needed (Art. 36)? {BLANK}",
        f"- Decided by, on: {BLANK}",
        f"- To be looked at again when settings or level change, at the latest on: {BLANK}",
        "",
    ]
    return "\n".join(lines)
