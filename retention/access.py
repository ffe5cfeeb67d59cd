"""The answer to "what do you hold on me?": everything, in one archive that only the code opens (GDPR Art. 15 and 20).

    LIESMICH.txt, README.txt        what each file and field means, and how to check the proofs
    everything.json                 all of it in one file
    visits.csv, expression.csv, consents.csv, entries.csv
    statement.json, log-key.txt     the log entries with their proofs, and the key to check them with

Rules:
- Rows are found by the subject's own pseudonyms, made from its own key; no row of anybody else is read.
- What is due to be erased, or on hold, and not gone yet, is held, and so it is in the answer.
- The archive is sealed before it reaches the disk, and no erasure leaves one behind.

The subject's own key is not handed out: with it, whoever finds the archive could look for the same person in an old
backup. That a sealed key is held is said.
"""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import zipfile
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from analytics.row import CLASSES, EXPRESSION, ExpressionRow, RowError, VisitRow
from analytics.state import State
from analytics.store import KEPT, Visits
from consent import log
from consent.answers import REQUEST, seal
from consent.events import EventKind, Leaf, Purpose
from consent.ledger import Ledger, LedgerError, Request, RequestStatus
from consent.statement import statement_of
from consent.subjects import ALWAYS, visitor
from retention.archive import sync

_READ_ME = {"README.txt": "access.en.txt", "LIESMICH.txt": "access.de.txt"}


def answer(state: State, ledger: Ledger, visits: Visits, request: Request, now_us: int) -> bool:
    """Answer a request of kind `access` and say whether there was anything to answer.

    Args:
        state: the shop.
        ledger: opened for the keeper.
        visits: the open visits.
        request: as `consent.answers.ask` wrote it.
        now_us: UTC microseconds.

    Raises:
        OSError: the answer cannot be written; the request stays.
    """
    try:
        told = json.loads(request.args)
        subject = ledger.subject_of_number(int(told["number"]))
        lock = bytes.fromhex(told["lock"])
        files = collect(state, ledger, visits, subject, now_us)
        sealed = seal(lock, _zip(files, now_us))
    except (ValueError, KeyError, TypeError, LedgerError):
        ledger.settle_request(request.id, RequestStatus.REFUSED, now_us=now_us)  # erased by now, or no question
        return False
    state.exports.mkdir(exist_ok=True)
    state.exports.chmod(0o770)  # a page hands it out; its process shares the keeper's group
    name = f"{secrets.token_hex(16)}.sealed"
    with os.fdopen(os.open(state.exports / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o660), "wb") as file:
        os.fchmod(file.fileno(), 0o660)
        file.write(sealed)
        file.flush()
        os.fsync(file.fileno())
    os.utime(state.exports / name, ns=(now_us * 1000, now_us * 1000))  # its term is counted on the shop's clock
    sync(state.exports)
    ledger.append_event(EventKind.ANSWERED, now_us=now_us, details={"kind": REQUEST, "request": request.id})
    ledger.settle_request(
        request.id, RequestStatus.DONE, now_us=now_us, result=json.dumps({"file": name}).encode("ascii")
    )
    return True


def forget_answers(state: State, ledger: Ledger, numbers: Collection[int]) -> int:
    """Delete every sealed answer, and the questions of those who are erased; return how many answers went.

    Args:
        state: the shop.
        ledger: opened for the keeper.
        numbers: random numbers of the subjects that are erased.
    """
    gone = 0
    for path in state.exports.glob("*"):
        path.unlink(missing_ok=True)
        gone += 1
    asked = ledger.select("SELECT id, args FROM requests WHERE kind = ?", REQUEST)
    ledger.forget_requests(i for i, args in asked if _number(args) in numbers)
    return gone


def _number(args: bytes) -> int | None:
    try:
        return int(json.loads(args)["number"])
    except (ValueError, KeyError, TypeError):
        return None


# what there is


def collect(state: State, ledger: Ledger, visits: Visits, subject: bytes, now_us: int) -> dict[str, bytes]:
    """Return everything that is held on a subject, as files by name.

    Raises:
        LedgerError: the subject is not in the ledger.
    """
    with ledger.snapshot():
        told = _of_ledger(ledger, subject)
        statement = statement_of(ledger, subject)
        pseudonyms = _pseudonyms(ledger, visits, subject)
    rows = [
        _visit(new.purpose, new.row, new.day.isoformat(), held=held, pseudonym=new.visitor)
        for new, held in visits.of(pseudonyms)
    ]
    expressions = [
        _expression(new.row, new.day.isoformat(), held=held, pseudonym=new.visitor)
        for new, held in visits.expression_of(pseudonyms[Purpose.EMOTION])
    ]
    everything: dict[str, Any] = {
        "made": _instant(now_us),
        "shop": {"name": state.store.store.name, "id": ledger.store, "timezone": str(state.store.timezone)},
        "controller": state.store.controller.model_dump(mode="json"),
        **told,
        "visits": rows,
        "expressions": expressions,
    }
    keys = [log.verifier_key(ledger.origin, public) for public in ledger.keys.public_keys("log")]
    return {
        **{name: _text(source) for name, source in _READ_ME.items()},
        "everything.json": json.dumps(everything, indent=1, ensure_ascii=False).encode(),
        "visits.csv": _csv(_VISIT, [*rows, *(way for way in told["visits_on_their_way"] if "shares" not in way)]),
        "expression.csv": _csv(
            _EXPRESSION, [*expressions, *(way for way in told["visits_on_their_way"] if "shares" in way)]
        ),
        "consents.csv": _csv(_CONSENT, told["consents"]),
        "entries.csv": _csv(_ENTRY, told["entries"]),
        "statement.json": json.dumps(statement, indent=1).encode(),
        "log-key.txt": "".join(line + "\n" for line in keys).encode(),
    }


def _pseudonyms(ledger: Ledger, visits: Visits, subject: bytes) -> dict[Purpose, list[int]]:
    """Return every pseudonym under which a row of the subject may stand."""
    key = ledger.subject_key(subject)
    days = {p: {day.isoformat() for day in visits.days(p)} for p in KEPT}
    for purpose, _, day in visits.held():
        days[purpose].add(day.isoformat())
    days[Purpose.REPEAT] = {ALWAYS}
    return {p: [visitor(key, p, period, ledger.store) for period in sorted(days[p])] for p in KEPT}


def _of_ledger(ledger: Ledger, subject: bytes) -> dict[str, Any]:
    ((number, created_us, sealed),) = ledger.select(
        "SELECT number, created_us, wrapped FROM subjects WHERE subject = ?", subject
    )
    inbox = ledger.select("SELECT kind, written_us, payload FROM inbox WHERE subject = ? ORDER BY id", subject)
    taps = ledger.select(
        "SELECT pad, kind, screen_us, tap_us, opened_us FROM pad_requests WHERE subject = ? ORDER BY id", subject
    )
    done = ledger.select("SELECT what, at_us FROM operations WHERE subject = ? ORDER BY at_us", subject)
    asked = ledger.select("SELECT args, opened_us FROM requests WHERE kind = ? ORDER BY id", REQUEST)
    grants = dict(ledger.select("SELECT purpose, grant_id FROM grants WHERE subject = ?", subject))
    return {
        "subject": {
            "keyed_hash_of_your_code": subject.hex(),
            "random_number": number,
            "since": _instant(created_us),
            "sealed_key_bytes": len(sealed),
        },
        "consents": [
            {
                "purpose": s.purpose.value,
                "state": s.state.value,
                "given": _instant(s.given_us),
                "until": _instant(s.until_us),
                "ended": None if s.ended_us is None else _instant(s.ended_us),
                "grant": grants[s.purpose.value].hex(),
                "entry": s.leaf_index,
            }
            for s in ledger.standing(subject)
        ],
        "entries": [
            {
                "entry": record.leaf_index,
                "kind": record.kind.value,
                "at": _instant(record.at_us),
                "leaf": data.decode("ascii"),
                "payload": record.payload.decode("ascii"),
                "purposes": " ".join(sorted(p.value for p in Leaf.decode(data).purposes)),
            }
            for record in ledger.records_of(subject)
            for _, data in ledger.leaves(record.leaf_index, record.leaf_index + 1)
        ],
        "visits_on_their_way": [
            {"kind": kind, "written": _instant(written_us), **_on_its_way(kind, payload)}
            for kind, written_us, payload in inbox
        ],
        "taps_at_the_pad_without_an_answer": [
            {"pad": pad, "kind": kind, "screen": _instant(a), "tap": _instant(b), "asked": _instant(c)}
            for pad, kind, a, b, c in taps
        ],
        "operations": [{"what": what, "at": _instant(at_us)} for what, at_us in done],
        "questions": [{"asked": _instant(opened_us)} for args, opened_us in asked if _number(args) == number],
    }


def _on_its_way(kind: str, payload: bytes) -> dict[str, Any]:
    try:
        if kind == EXPRESSION:
            return _expression(ExpressionRow.decode(payload), "")
        return _visit(None, VisitRow.decode(payload), "")
    except RowError:  # of another version: handed out as it is
        return {"payload": payload.decode("utf-8", errors="replace")}


def _visit(
    purpose: Purpose | None, row: VisitRow, day: str, *, held: bool = False, pseudonym: int | None = None
) -> dict[str, Any]:
    return {
        "purpose": "" if purpose is None else purpose.value,
        "pseudonym": "" if pseudonym is None else str(pseudonym),  # 64 bits: too long for a number in JSON
        "day": day,
        "camera": row.camera,
        "zone": row.zone,
        "enter": _instant(row.enter_us),
        "leave": _instant(row.leave_us),
        "seconds": (row.leave_us - row.enter_us) / 1e6,
        "start": row.start.value,
        "end": row.end.value,
        "stopped_seconds": row.stopped_us / 1e6,
        "decisions_seconds": [d / 1e6 for d in row.decisions],
        "undecided": row.undecided,
        "poses_seconds": [d / 1e6 for d in row.poses],
        "outcomes": [outcome.value for outcome in row.outcomes],
        "on_hold": held,
    }


def _expression(row: ExpressionRow, day: str, *, held: bool = False, pseudonym: int | None = None) -> dict[str, Any]:
    return {
        "purpose": Purpose.EMOTION.value,
        "pseudonym": "" if pseudonym is None else str(pseudonym),
        "day": day,
        "camera": row.camera,
        "zone": row.zone,
        "enter": _instant(row.enter_us),
        "leave": _instant(row.leave_us),
        "looks": row.samples,
        "shares": {name: share / 1000 for name, share in zip(CLASSES, row.shares, strict=True)},
        "on_hold": held,
    }


# its form

_EXPRESSION = ("purpose", "pseudonym", "day", "camera", "zone", "enter", "leave", "looks", "shares", "on_hold")
_VISIT = (
    *("purpose", "pseudonym", "day", "camera", "zone", "enter", "leave", "seconds", "start", "end", "stopped_seconds"),
    *("decisions_seconds", "undecided", "poses_seconds", "outcomes", "on_hold"),
)
_CONSENT = ("purpose", "state", "given", "until", "ended", "grant", "entry")
_ENTRY = ("entry", "kind", "at", "purposes", "payload", "leaf")


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _zip(files: Mapping[str, bytes], now_us: int) -> bytes:
    held = io.BytesIO()
    made = datetime.fromtimestamp(now_us // 1_000_000, UTC)
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (max(1980, made.year), *made.timetuple()[1:6])), data)
    return held.getvalue()


def _text(name: str) -> bytes:
    return (resources.files("retention") / "letters" / name).read_bytes()


def _instant(t_us: int) -> str:
    return datetime.fromtimestamp(t_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
