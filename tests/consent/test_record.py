"""The full record: in the structure of ISO/IEC TS 27560, and nothing in it that the log does not bear out."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from jsonschema import Draft202012Validator

from consent import receipts
from consent.events import ConsentError, Level, Move, Purpose
from consent.kiosk.settings import Controller, Shop
from consent.ledger import Grant, Ledger
from consent.record import CONTEXT, check_record, record
from consent.subjects import new_secret
from tests.consent.shop import NOON, NOTICE, SECOND

WHO = Controller(
    "Main Street Groceries Ltd",
    "1 Main Street",
    "privacy@example.com",
    officer="Dr. Ada Officer",
    jurisdiction="DE",
    recipients=("Cloud-free Hosting GmbH",),
    authority="Data Protection Authority, Capital Square 1",
)
SHOP = Shop(
    name="Main Street",
    store="main-street",
    timezone=ZoneInfo("Europe/Berlin"),
    level=lambda: Level.EMOTION,
    terms={Purpose.DWELL: 30, Purpose.REPEAT: 90, Purpose.EMOTION: 7, Purpose.SMILE: 1},
    controller=WHO,
    public_url="https://shop.example:8643",
)

TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"}
TERMS = {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^(dpv|pd|loc|eu-gdpr|openaisle):"}}


def fields(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of an object that has these fields and no other."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


# The fields that the DPV guide for ISO/IEC TS 27560:2023 makes mandatory, in its structure, and ours.
STATUS = fields(
    {
        "@type": TERMS,
        "dpv:isIndicatedAtTime": TIME,
        "dpv:isIndicatedBy": {"enum": ["dpv:DataSubject", "openaisle:controller"]},
        "dpv:isExercisedAt": {"type": "string", "pattern": "^openaisle:(kiosk|pad|phone|desk|cli|system)$"},
        "openaisle:entry": {"type": "integer", "minimum": 0},
    },
    {
        "dpv:hasDuration": fields({"@type": {"const": ["dpv:UntilTimeDuration"]}, "rdf:value": TIME}),
        "dpv:hasNotice": fields(
            {
                "@type": {"const": ["dpv:ConsentNotice"]},
                "dpv:hasIdentifier": {"type": "string", "pattern": "^urn:sha256:[0-9a-f]{64}$"},
                "dct:language": {"type": "string", "minLength": 2},
                "schema:version": {"type": "string", "minLength": 1},
            }
        ),
        "openaisle:controllerSha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
)
PROCESS = fields(
    {
        "@type": {"const": ["dpv:Process"]},
        "dct:identifier": {"enum": [f"openaisle:{p.value}" for p in Purpose]},
        "dpv:hasPurpose": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": fields(
                {
                    "@id": {"type": "string"},
                    "@type": {"const": ["dpv:Purpose"]},
                    "skos:broader": TERMS,
                    "skos:prefLabel": {"type": "string", "minLength": 10},
                }
            ),
        },
        "dpv:hasPersonalData": {
            "type": "array",
            "minItems": 1,
            "items": fields(
                {
                    "@type": {"enum": [["dpv:PersonalData"], ["dpv:SensitivePersonalData"]]},
                    "skos:broader": TERMS,
                }
            ),
        },
        "dpv:hasProcessing": TERMS,
        "dpv:hasDataController": {"const": ["openaisle:controller"]},
        "dpv:hasDataSource": {"const": ["dpv:DataSubjectDataSource"]},
        "dpv:hasLegalBasis": {**TERMS, "contains": {"const": "eu-gdpr:A6-1-a"}},
        "dpv:hasStorageCondition": {
            "type": "array",
            "prefixItems": [
                fields({"@type": {"const": ["dpv:StorageLocation"]}, "dpv:hasLocation": {"type": "string"}}),
                fields(
                    {
                        "@type": {"const": ["dpv:StorageDuration", "dpv:StorageDeletion"]},
                        "dpv:hasDuration": fields(
                            {
                                "@type": {"const": ["dpv:TemporalDuration"]},
                                "rdf:value": {"type": "string", "pattern": r"^P[1-9]\d*D$"},
                            }
                        ),
                    }
                ),
            ],
            "minItems": 2,
            "maxItems": 2,
        },
        "dpv:hasRecipient": TERMS,
        "dpv:hasConsentStatus": {"type": "array", "minItems": 1, "items": STATUS},
    }
)
CONTROL = {"type": "array", "minItems": 1}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **fields(
        {
            "@context": {"type": "object", "additionalProperties": {"type": "string", "format": "uri"}},
            "@id": {"type": "string", "pattern": "^urn:uuid:[0-9a-f-]{36}$"},
            "@type": {"const": ["dpv:ConsentRecord"]},
            "dct:identifier": {"type": "string", "pattern": "^urn:uuid:[0-9a-f-]{36}$"},
            "dct:conformsTo": {"const": ["https://w3id.org/dpv/schema/dpv-27560#record"]},
            "schema:schemaVersion": {"const": "openaisle-1"},
            "dct:isPartOf": {"type": "string", "pattern": "^openaisle/"},
            "dpv:hasDataSubject": fields({"@type": {"const": ["dpv:Consumer"]}}),
            "dpv:hasJurisdiction": {"type": "array", "items": {"type": "string", "pattern": "^loc:[A-Z]{2}"}},
            "dpv:hasProcess": {"type": "array", "minItems": 1, "items": PROCESS},
            "dpv:hasRight": {**CONTROL, "contains": {"properties": {"skos:broader": {"const": "eu-gdpr:A7-3"}}}},
            "dpv:hasConsentControl": {
                **CONTROL,
                "items": fields({"@type": {"const": ["dpv:WithdrawConsent"]}, "dpv:isExercisedAt": {"type": "array"}}),
            },
            "dpv:hasEntity": {
                "type": "object",
                "required": ["openaisle:controller"],
                "properties": {
                    "openaisle:controller": {
                        "required": ["@type", "dpv:hasName", "dpv:hasAddress", "dpv:hasContact"],
                    }
                },
            },
            "openaisle:statement": {"type": "object", "required": ["origin", "purposes", "entries", "checkpoint"]},
        }
    ),
}


def give(ledger: Ledger, *purposes: Purpose, now_us: int = NOON, secret: str | None = None) -> Grant:
    return ledger.grant(
        purposes,
        now_us=now_us,
        notice_sha256=NOTICE,
        language="de",
        version="3",
        terms=SHOP.terms,
        controller_sha256=WHO.sha256(),
        jurisdiction="DE",
        secret=secret,
    )


@pytest.fixture
def given(ledger: Ledger) -> Grant:
    give(ledger, Purpose.DWELL)
    given = give(ledger, Purpose.DWELL, Purpose.EMOTION)
    ledger.renew(
        given.secret,
        now_us=NOON + SECOND,
        notice_sha256="cd" * 32,
        language="en",
        version="4",
        purposes=[Purpose.DWELL],
        terms=SHOP.terms,
    )
    ledger.withdraw(given.secret, now_us=NOON + 2 * SECOND, purposes=[Purpose.EMOTION])
    ledger.sign_checkpoint()
    return given


@pytest.fixture
def told(ledger: Ledger, given: Grant) -> dict[str, Any]:
    return record(ledger, given.secret, SHOP)


def test_it_has_every_field_of_the_structure(told: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(told)


def test_every_word_has_a_known_prefix_so_that_it_reads_as_linked_data_offline(told: dict[str, Any]) -> None:
    def words(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for name, inner in value.items():
                if name not in ("openaisle:statement", "@context"):
                    yield name
                    yield from words(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from words(inner)

    assert told["@context"] == CONTEXT
    for word in words(told):
        assert word.startswith("@") or word.partition(":")[0] in CONTEXT, word


def test_it_tells_what_happened_when_and_under_which_notice(told: dict[str, Any], given: Grant) -> None:
    dwell, emotion = told["dpv:hasProcess"]
    assert told["dct:identifier"].removeprefix("urn:uuid:").replace("-", "") == given.grant_id.hex()
    assert told["dpv:hasJurisdiction"] == ["loc:DE"]
    assert [s["@type"][0] for s in dwell["dpv:hasConsentStatus"]] == ["dpv:ConsentGiven", "dpv:RenewedConsentGiven"]
    assert [s["@type"][0] for s in emotion["dpv:hasConsentStatus"]] == ["dpv:ConsentGiven", "dpv:ConsentWithdrawn"]
    first, second = dwell["dpv:hasConsentStatus"]
    assert first["dpv:isIndicatedAtTime"] == "2026-09-21T14:13:20.000000Z"  # NOON of these tests
    assert first["dpv:hasDuration"]["rdf:value"] == "2026-10-21T14:13:20.000000Z"
    assert first["dpv:hasNotice"]["dpv:hasIdentifier"] == "urn:sha256:" + NOTICE
    assert (first["dpv:hasNotice"]["dct:language"], second["dpv:hasNotice"]["schema:version"]) == ("de", "4")
    assert first["openaisle:controllerSha256"] == WHO.sha256().hex()
    assert dwell["dpv:hasStorageCondition"][1]["dpv:hasDuration"]["rdf:value"] == "P30D"
    assert emotion["dpv:hasLegalBasis"][-1] == "eu-gdpr:A9-2-a"
    assert "eu-gdpr:A9-2-a" not in dwell["dpv:hasLegalBasis"]
    assert dwell["dpv:hasRecipient"] == ["openaisle:controller", "openaisle:recipient-1"]
    assert told["dpv:hasEntity"]["openaisle:recipient-1"]["dpv:hasName"] == "Cloud-free Hosting GmbH"
    assert told["dpv:hasConsentControl"][0]["dpv:isExercisedAt"] == ["openaisle:kiosk", "https://shop.example:8643/w"]
    assert told["schema:schemaVersion"] == "openaisle-1"


def test_it_holds_no_code_no_subject_and_nothing_of_anybody_else(
    ledger: Ledger, given: Grant, told: dict[str, Any]
) -> None:
    text = json.dumps(told)
    assert given.secret not in text
    for subject in ledger.subjects():
        assert subject.hex() not in text
    assert [entry["index"] for entry in told["openaisle:statement"]["entries"]] == [1, 2, 3]
    with pytest.raises(ConsentError, match="nobody is known"):
        record(ledger, new_secret(), SHOP)


def test_it_proves_itself_offline_after_a_journey_through_json(ledger: Ledger, told: dict[str, Any]) -> None:
    checked = check_record(json.loads(json.dumps(told)), ledger.keys.public_keys("log"))
    assert (checked.origin, checked.entries, checked.proved) == ("openaisle/main-street", 3, 3)
    assert checked.controller_fixed


def test_what_is_not_signed_yet_is_said_and_proved_a_second_later(ledger: Ledger, given: Grant) -> None:
    ledger.withdraw(given.secret, now_us=NOON + 3 * SECOND)
    public = ledger.keys.public_keys("log")
    assert check_record(record(ledger, given.secret, SHOP), public).proved == 3
    ledger.sign_checkpoint()
    checked = check_record(record(ledger, given.secret, SHOP), public)
    assert (checked.entries, checked.proved) == (4, 4)


def test_the_receipt_names_an_entry_of_the_record(ledger: Ledger, given: Grant, told: dict[str, Any]) -> None:
    proof = receipts.verify(
        receipts.issue(ledger, given, now_us=NOON).proof,
        ledger.keys.public_keys("receipt"),
        ledger.keys.public_keys("log"),
    )
    leaves = check_record(told, ledger.keys.public_keys("log")).leaves
    proof.check_entry(leaves[proof.leaf_index].encode())
    with pytest.raises(ConsentError, match="is not the one of the receipt"):
        proof.check_entry(leaves[2].encode())


@pytest.mark.parametrize("how", [Move.REVOKE, Move.INVALIDATE, Move.OBJECT])
def test_every_end_of_a_consent_fits_the_structure(ledger: Ledger, given: Grant, how: Move) -> None:
    ledger.end(given.subject, how, now_us=NOON + 3 * SECOND)
    again = give(ledger, Purpose.DWELL, Purpose.SMILE, now_us=NOON + 4 * SECOND, secret=given.secret)
    ledger.expire(NOON + 400 * 86_400 * SECOND)
    told = record(ledger, again.secret, SHOP)
    Draft202012Validator(SCHEMA).validate(told)
    check_record(told, ledger.keys.public_keys("log"))
    states = [s["@type"][0].partition(":")[2] for s in told["dpv:hasProcess"][0]["dpv:hasConsentStatus"]]
    assert states[-1] == "ConsentExpired"
    assert (
        states[2]
        == {
            Move.REVOKE: "ConsentRevoked",
            Move.INVALIDATE: "ConsentInvalidated",
            Move.OBJECT: "Objected",
        }[how]
    )


def test_a_shop_that_says_little_still_gives_a_whole_record(ledger: Ledger) -> None:
    bare = Shop(
        name="x", store="main-street", timezone=ZoneInfo("UTC"), level=lambda: Level.DWELL, terms={Purpose.DWELL: 30}
    )
    given = ledger.grant([Purpose.DWELL], now_us=NOON, notice_sha256=NOTICE, language="en", version="1")
    ledger.sign_checkpoint()
    told = record(ledger, given.secret, bare)
    Draft202012Validator(SCHEMA).validate(told)
    assert told["dpv:hasProcess"][0]["dpv:hasStorageCondition"][0]["dpv:hasLocation"] == "dpv:LocalLocation"
    assert not check_record(told, ledger.keys.public_keys("log")).controller_fixed


def test_it_says_where_to_withdraw_and_where_the_other_rights_are_kept(ledger: Ledger, given: Grant) -> None:
    shop = replace(SHOP, public_url=None, mailbox_url="https://box.example")
    told = record(ledger, given.secret, shop)
    assert told["dpv:hasConsentControl"][0]["dpv:isExercisedAt"] == ["openaisle:kiosk", "https://box.example/w"]
    assert told["dpv:hasRight"][1]["dpv:isExercisedAt"] == ["openaisle:kiosk"]  # the mailbox can only withdraw
    check_record(told, ledger.keys.public_keys("log"))


def test_another_controller_than_at_the_yes_is_noticed(ledger: Ledger, told: dict[str, Any]) -> None:
    told["dpv:hasEntity"]["openaisle:controller"]["dpv:hasName"] = "Somebody Else Ltd"
    assert not check_record(told, ledger.keys.public_keys("log")).controller_fixed


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every leaf of a document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from spots(inner, (*path, name))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from spots(inner, (*path, i))
    else:
        yield path


def put(document: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> None:
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = change(document[path[-1]])


def other(value: Any) -> Any:
    if isinstance(value, str):
        return value[:-1] + ("B" if value[-1:] != "B" else "A")
    return 7 if value is None else value + 1


def test_every_single_value_that_is_changed_is_found(ledger: Ledger, told: dict[str, Any]) -> None:
    """All but the facts about the controller, which the log holds as one hash: those are `controller_fixed`."""
    public = ledger.keys.public_keys("log")
    told = json.loads(json.dumps(told))  # as it travels: no part is shared
    tried = 0
    for path in spots(told):
        changed = copy.deepcopy(told)
        put(changed, path, other)
        if "dpv:isExercisedAt" in path and path[0] == "dpv:hasConsentControl" and path[-1] == 1:
            continue  # the address of a page is what the shop says today
        if path[0] == "dpv:hasEntity":
            who = path[1] in ("openaisle:controller", "openaisle:officer") and path[2] != "@type"
            assert check_record(changed, public).controller_fixed is not who
            continue
        with pytest.raises(ConsentError):
            check_record(changed, public)
        tried += 1
    assert tried > 150


def test_nothing_can_be_left_out_added_or_moved(ledger: Ledger, told: dict[str, Any]) -> None:
    public = ledger.keys.public_keys("log")
    for name in told:
        changed = copy.deepcopy(told)
        del changed[name]
        with pytest.raises(ConsentError):
            check_record(changed, public)
    changed = copy.deepcopy(told)
    changed["more"] = 1
    with pytest.raises(ConsentError, match="does not follow"):
        check_record(changed, public)
    for cut in (slice(1, None), slice(None, -1), slice(None, None, -1)):
        changed = copy.deepcopy(told)
        inner = changed["openaisle:statement"]
        inner["entries"] = inner["entries"][cut]
        with pytest.raises(ConsentError):
            check_record(changed, public)
    nonsenses: list[dict[str, Any]] = [{}, {"openaisle:statement": 7}, {"openaisle:statement": {}}]
    for nonsense in nonsenses:
        with pytest.raises(ConsentError):
            check_record(nonsense, public)
