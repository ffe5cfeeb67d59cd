"""The record of processing activities (GDPR Art. 30), made from the declaration and from what the store decided.

It is as true as `retention.policy` and `store.toml`: nothing is written in here by hand but the headings. What a store
does besides with this data (printing, sending on) it has to add itself. Nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analytics.config import StoreFile
from consent.events import Level
from retention import policy

_ALLOWS = {
    "dwell": "how long shoppers who said yes stay in a zone and decide",
    "repeat": "whether shoppers who said yes come back",
    "emotion": "expression on the own face of shoppers who said yes",
    "smile": "smile for a discount; nothing is stored but the voucher, and for the day that one was given",
}
_MEASURES = (
    "default is no: without a live consent no row about a person is written",
    "pictures, crops and templates of faces are never stored",
    "boxes and six average colours of clothes tell people in view apart; they are in memory while somebody is in view",
    "pseudonyms change daily; each shopper has a key of their own, sealed to the store, destroyed at erasure",
    "keys lie outside the state directory and its backups",
    "a withdrawal shuts the gate in the transaction that writes it; erasure rewrites the files and searches every byte",
    "figures are released from ten consenting shoppers or five tracks on, rounded, and never recomputed",
    "every change is an entry of a signed log that a witness can hold the store to",
)


def record(store: StoreFile, level: Level, sha256: bytes) -> dict[str, Any]:
    """Return the record as plain data.

    Args:
        store: what `store.toml` says.
        level: the privacy level in force.
        sha256: of `store.toml`; the log holds it, too.
    """
    terms = store.terms.days()
    allowed = [purpose for purpose in terms if level.allows(purpose)]
    who = store.controller
    return {
        "what": "record of processing activities, GDPR Art. 30(1)",
        "store": {"name": store.store.name, "id": store.store.id, "level": level.value},
        "controller": {
            "name": who.name,
            "address": who.address,
            "contact": who.contact,
            "officer": who.officer,
            "jurisdiction": who.jurisdiction,
            "authority": who.authority,
        },
        "missing": [name for name in ("name", "address", "contact", "jurisdiction") if not getattr(who, name)],
        "purposes": [
            {"purpose": p.value, "allows": _ALLOWS[p.value], "days": terms[p], "basis": "6(1)(a) consent"}
            for p in allowed
        ],
        "subjects": "shoppers; staff only as accounts and as people who are never measured",
        "recipients": list(who.recipients),
        "transfers": "none by this software: it sends nothing anywhere",
        "classes": policy.rows(terms, store.terms.backup),
        "measures": list(_MEASURES),
        "backup_days": store.terms.backup,
        "settings_sha256": sha256.hex(),
        "policy_sha256": policy.digest().hex(),
    }


def markdown(told: Mapping[str, Any]) -> str:
    """Return the record for people."""
    who = told["controller"]
    lines = ["# Record of processing activities", "", f"{told['what']}; store {told['store']['name']!r}"]
    lines[-1] += f", privacy level in force: {told['store']['level']}."
    if told["missing"]:
        lines += ["", f"**Not filled in yet** in `[controller]` of store.toml: {', '.join(told['missing'])}."]
    lines += ["", "## Controller", ""]
    lines += [f"- {name}: {value or '–'}" for name, value in who.items()]
    lines += ["", "## Purposes", ""]
    lines += _table(("purpose", "allows", "term", "ground"), [_purpose(p) for p in told["purposes"]])
    if not told["purposes"]:
        lines += ["None about a person: at this level nobody is recorded."]
    lines += ["", "## Whom it is about, and who receives it", "", f"- about: {told['subjects']}"]
    lines += [f"- recipients: {', '.join(told['recipients']) or 'none'}", f"- transfers: {told['transfers']}"]
    lines += ["", "## Classes of data, and when they end", ""]
    heads = ("class", "where", "what", "for", "ground (GDPR)", "term starts with", "term", "what ends it", "backups")
    lines += _table(heads, [_class(one) for one in told["classes"]])
    lines += ["", "## Tables and columns", ""]
    lines += [f"- **{one['class']}**: {', '.join(one['columns'])}" for one in told["classes"] if one["columns"]]
    lines += ["", "## Measures (Art. 32)", "", *(f"- {measure}" for measure in told["measures"])]
    lines += [
        "",
        f"Settings SHA-256 {told['settings_sha256']}, policy SHA-256 {told['policy_sha256']}; both stand in the",
    ]
    lines += ["store's log. We are engineers, not lawyers: have it read by somebody who is.", ""]
    return "\n".join(lines)


def _purpose(one: Mapping[str, Any]) -> tuple[str, ...]:
    return one["purpose"], one["allows"], f"{one['days']} days", one["basis"]


def _class(one: Mapping[str, Any]) -> tuple[str, ...]:
    days = "" if one["days"] is None else f" ({one['days']:g} days)"
    backups = f"{one['backup_days']} days" if one["backup_days"] else "not in them"
    return (
        *(one["class"], one["place"], one["about"], one["purpose"], one["basis"], one["trigger"]),
        *(one["term"] + days, one["action"], backups),
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
