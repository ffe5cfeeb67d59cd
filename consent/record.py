"""The full record of a consent, for its holder: DPV as JSON-LD in the structure of ISO/IEC TS 27560:2023.

    {"@type": "dpv:ConsentRecord", "dct:identifier": "urn:uuid:…", "dpv:hasProcess": [{"dpv:hasPurpose": […],
     "dpv:hasLegalBasis": […], "dpv:hasStorageCondition": […], "dpv:hasConsentStatus": [{"@type": ["dpv:ConsentGiven"],
     "dpv:isIndicatedAtTime": "2026-11-21T10:00:00.000000Z", "dpv:hasNotice": {…}}, …]}, …],
     "dpv:hasEntity": {"openaisle:controller": {…}, …}, "openaisle:statement": {…}}

Rules:
- One process for each purpose, because each can be taken back alone; its states are replayed from the log entries.
- Nothing is claimed that does not follow from the opened log entries in `openaisle:statement`, but the facts about the
  controller in `dpv:hasEntity` and the addresses of its pages: `check_record` makes the document anew and compares.
- Each event carries the hashes that were fixed when it happened: of the notice as shown, and of the controller.

The prefixes stand in the document, so reading it as linked data needs no network. Sources: W3C DPV 2, its guide for
implementing ISO/IEC TS 27560:2023, and its extensions for personal data and the GDPR. Nothing here writes.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json import loads
from typing import Any

from consent.events import (
    DAY_US,
    END_EVENTS,
    Channel,
    ConsentError,
    EventKind,
    IllegalMoveError,
    Leaf,
    Move,
    Purpose,
    State,
    move,
)
from consent.kiosk.settings import Controller, Shop
from consent.ledger import Ledger
from consent.statement import check_statement, statement

SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#record"
VERSION = "openaisle-1"
CONTEXT = {
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "loc": "https://w3id.org/dpv/loc#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "schema": "https://schema.org/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "openaisle": "urn:openaisle:",
}

# what each purpose is in the words of the vocabulary: its broader purpose, the data, whether they may be special, label
_PURPOSES: dict[Purpose, tuple[str, tuple[str, ...], bool, str]] = {
    Purpose.DWELL: (
        "dpv:ServiceUsageAnalytics",
        ("pd:Behavioral", "pd:Location"),
        False,
        "How long a shopper stays in a zone of the shop and takes to decide, within one day",
    ),
    Purpose.REPEAT: (
        "dpv:ServiceUsageAnalytics",
        ("pd:Behavioral", "pd:Location"),
        False,
        "Later visits of a shopper who shows the code again are put together",
    ),
    Purpose.EMOTION: (
        "dpv:ServiceUsageAnalytics",
        ("pd:Demeanor",),
        True,
        "Whether the shopper's own expression looks pleased, per visit of a zone",
    ),
    Purpose.SMILE: (
        "dpv:PersonalisedBenefits",
        ("pd:Demeanor",),
        True,
        "A voucher for a smile; nothing but the voucher is kept",
    ),
}
KIOSK = "openaisle:kiosk"
_RIGHTS = ("A7-3", "A15", "A16", "A17", "A18", "A20", "A77")
_MOVES: dict[EventKind, tuple[Move, ...]] = {
    EventKind.GRANTED: (Move.REQUEST, Move.GIVE),
    EventKind.RENEWED: (Move.RENEW,),
    **{kind: (step,) for step, kind in END_EVENTS.items()},
}
_BY_SHOPPER = (EventKind.GRANTED, EventKind.RENEWED, EventKind.WITHDRAWN, EventKind.OBJECTED)


class RecordError(ConsentError):
    """A record does not say what the log says."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a record proved.

    Attributes:
        origin: name of the log.
        entries: how many events it tells.
        proved: how many of them the signed checkpoint covers.
        leaves: the hash of each entry in the log, by index; a receipt's proof names one of them.
        controller_fixed: name, address, contact and officer are those that the newest yes fixed; False where they were
            changed since, or where it fixed none.
    """

    origin: str
    entries: int
    proved: int
    leaves: Mapping[int, str] = field(repr=False)
    controller_fixed: bool


def record(ledger: Ledger, secret: str, shop: Shop) -> dict[str, Any]:
    """Return the record of the holder of a code, ready for JSON.

    Entries younger than the newest checkpoint have no proof yet; ask again in a second.

    Raises:
        UnknownCodeError: nobody is known under the code.
    """
    pages = [f"{url}/w" for url in (shop.public_url, shop.mailbox_url) if url is not None]
    rights = [f"{shop.public_url}/w"] if shop.public_url is not None else []
    return _compose(statement(ledger, secret), _entities(shop), [KIOSK, *rights], [KIOSK, *pages])


def check_record(told: Mapping[str, Any], public: bytes | Sequence[bytes]) -> Checked:
    """Check a record offline against the log's public key, 32 bytes, or all of them where it was rotated.

    Raises:
        ConsentError: it says something that does not follow from the log.
    """
    try:
        inner = told["openaisle:statement"]
        proved = check_statement(inner, public)
        entities, where = told["dpv:hasEntity"], "dpv:isExercisedAt"
        rights, withdrawal = told["dpv:hasRight"][0][where], told["dpv:hasConsentControl"][0][where]
        if _compose(inner, entities, rights, withdrawal) != told or not rights[0] == withdrawal[0] == KIOSK:
            raise RecordError("this record says something that does not follow from its log entries")
        leaves = {entry["index"]: entry["leaf"] for entry in inner["entries"]}
        fixed = [e.payload["controller"] for e in map(_event, inner["entries"]) if "controller" in e.payload]
        same = fixed[-1:] == [_controller(entities).sha256().hex()]
    except IllegalMoveError as error:
        raise RecordError("the events in this record cannot follow each other") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise RecordError("this record is damaged") from error
    return Checked(inner["origin"], len(inner["entries"]), proved, leaves, same)


# --- the one form of a record -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Event:
    kind: EventKind
    purposes: frozenset[Purpose]
    notice: bytes | None
    payload: dict[str, Any]
    index: int


def _event(entry: Mapping[str, Any]) -> _Event:
    leaf = Leaf.decode(entry["leaf"].encode("ascii"))
    return _Event(leaf.kind, leaf.purposes, leaf.digest, loads(entry["payload"]), entry["index"])


def _compose(
    told: dict[str, Any], entities: Mapping[str, Any], rights: Sequence[str], withdrawal: Sequence[str]
) -> dict[str, Any]:
    """Return the whole record as it follows from a statement, the facts about the controller, and where to go."""
    events = [_event(entry) for entry in told["entries"]]
    asked = [e for e in events if "grant" in e.payload]
    place = next((e.payload["jurisdiction"] for e in reversed(asked) if "jurisdiction" in e.payload), None)
    processes = [_process(p, events, entities, place) for p in Purpose if any(p in e.purposes for e in events)]
    if told["purposes"] != sorted((now for _, now in processes), key=lambda now: str(now["purpose"])):
        raise RecordError("the states in this record do not follow from its log entries")
    return {
        "@context": CONTEXT,
        "@id": _identifier(asked),
        "@type": ["dpv:ConsentRecord"],
        "dct:identifier": _identifier(asked),
        "dct:conformsTo": [SCHEMA],
        "schema:schemaVersion": VERSION,
        "dct:isPartOf": told["origin"],
        "dpv:hasDataSubject": {"@type": ["dpv:Consumer"]},
        "dpv:hasJurisdiction": [] if place is None else [f"loc:{place}"],
        "dpv:hasProcess": [process for process, _ in processes],
        "dpv:hasRight": [
            {"@type": ["dpv:DataSubjectRight"], "skos:broader": f"eu-gdpr:{right}", "dpv:isExercisedAt": rights}
            for right in _RIGHTS
        ],
        "dpv:hasConsentControl": [{"@type": ["dpv:WithdrawConsent"], "dpv:isExercisedAt": withdrawal}],
        "dpv:hasEntity": entities,
        "openaisle:statement": told,
    }


def _identifier(asked: Sequence[_Event]) -> str:
    """Return the number of the first grant, 16 random bytes, as a URN."""
    return uuid.UUID(hex=asked[0].payload["grant"]).urn


def _process(
    purpose: Purpose, events: Sequence[_Event], entities: Mapping[str, Any], place: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the process of one purpose, and how it stands in the words of the statement."""
    broader, data, special, label = _PURPOSES[purpose]
    state, statuses, days = State.UNKNOWN, [], 0
    now: dict[str, Any] = {"purpose": purpose.value}
    for event in events:
        if purpose not in event.purposes:
            continue
        state, at_us = move(state, *_MOVES[event.kind]), event.payload["at_us"]
        if state.permits:
            until_us = event.payload["until_us"][purpose.value]
            days = (until_us - at_us) // DAY_US
            given_us = now["given_us"] if event.kind is EventKind.RENEWED else at_us
            now.update(state=state.value, given_us=given_us, until_us=until_us, ended_us=None)
        else:
            now.update(state=state.value, ended_us=at_us)
        statuses.append(_status(event, state, purpose))
    process = {
        "@type": ["dpv:Process"],
        "dct:identifier": f"openaisle:{purpose.value}",
        "dpv:hasPurpose": [
            {
                "@id": f"openaisle:purpose-{purpose.value}",
                "@type": ["dpv:Purpose"],
                "skos:broader": [broader],
                "skos:prefLabel": label,
            }
        ],
        "dpv:hasPersonalData": [
            {
                "@type": ["dpv:SensitivePersonalData" if special else "dpv:PersonalData"],
                "skos:broader": list(data),
            }
        ],
        "dpv:hasProcessing": ["dpv:Collect", "dpv:Store", "dpv:Analyse", "dpv:Pseudonymise", "dpv:Erase"],
        "dpv:hasDataController": ["openaisle:controller"],
        "dpv:hasDataSource": ["dpv:DataSubjectDataSource"],
        "dpv:hasLegalBasis": [
            "dpv:ExplicitlyExpressedConsent",
            "eu-gdpr:A6-1-a",
            *(["eu-gdpr:A9-2-a"] if special else []),
        ],
        "dpv:hasStorageCondition": [
            {
                "@type": ["dpv:StorageLocation"],
                "dpv:hasLocation": "dpv:LocalLocation" if place is None else f"loc:{place}",
            },
            {
                "@type": ["dpv:StorageDuration", "dpv:StorageDeletion"],
                "dpv:hasDuration": {"@type": ["dpv:TemporalDuration"], "rdf:value": f"P{days}D"},
            },
        ],
        "dpv:hasRecipient": ["openaisle:controller", *(name for name in entities if name.startswith(_RECIPIENT))],
        "dpv:hasConsentStatus": statuses,
    }
    return process, now


def _status(event: _Event, state: State, purpose: Purpose) -> dict[str, Any]:
    known = state is not State.OBJECTED  # the one state that is ours
    said: dict[str, Any] = {
        "@type": [f"{'dpv' if known else 'openaisle'}:{state.value}", "dpv:ExplicitlyExpressedConsent"],
        "dpv:isIndicatedAtTime": _instant(event.payload["at_us"]),
        "dpv:isIndicatedBy": "dpv:DataSubject" if event.kind in _BY_SHOPPER else "openaisle:controller",
        "dpv:isExercisedAt": f"openaisle:{Channel(event.payload['channel']).value}",
        "openaisle:entry": event.index,
    }
    if state.permits and event.notice is not None:
        until = {"@type": ["dpv:UntilTimeDuration"], "rdf:value": _instant(event.payload["until_us"][purpose.value])}
        said["dpv:hasDuration"] = until
        said["dpv:hasNotice"] = {
            "@type": ["dpv:ConsentNotice"],
            "dpv:hasIdentifier": f"urn:sha256:{event.notice.hex()}",
            "dct:language": event.payload["language"],
            "schema:version": event.payload["version"],
        }
        if "controller" in event.payload:
            said["openaisle:controllerSha256"] = event.payload["controller"]
    return said


_RECIPIENT = "openaisle:recipient-"


def _entities(shop: Shop) -> dict[str, Any]:
    who = shop.controller
    entities: dict[str, Any] = {
        "openaisle:controller": {
            "@type": ["dpv:DataController"],
            "dpv:hasName": who.name,
            "dpv:hasAddress": who.address,
            "dpv:hasContact": who.contact,
        }
    }
    if who.officer:
        entities["openaisle:officer"] = {"@type": ["dpv:DataProtectionOfficer"], "dpv:hasName": who.officer}
    if who.authority:
        entities["openaisle:authority"] = {"@type": ["dpv:DataProtectionAuthority"], "dpv:hasName": who.authority}
    for number, name in enumerate(who.recipients, start=1):
        entities[f"{_RECIPIENT}{number}"] = {"@type": ["dpv:Recipient"], "dpv:hasName": name}
    return entities


def _controller(entities: Mapping[str, Any]) -> Controller:
    who = entities["openaisle:controller"]
    officer = entities.get("openaisle:officer", {}).get("dpv:hasName", "")
    return Controller(who["dpv:hasName"], who["dpv:hasAddress"], who["dpv:hasContact"], officer)


def _instant(t_us: int) -> str:
    seconds, rest = divmod(t_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"
