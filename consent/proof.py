r"""The proof that one entry stands in the log: a small file that anybody can check offline with the log's public key.

    {
     "checkpoint": "openaisle/main-street\n3\n…",
     "entry": 1,
     "inclusion": ["…"],
     "leaf": "{…}",
     "opening": {"key": "…", "payload": "{…}"},
     "origin": "openaisle/main-street",
     "what": "log entry"
    }

An entry about no person is opened in it; one about a person is not, and its file says only that such an entry stands
there. Whatever is not byte for byte what `write` wrote does not verify.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from consent import log, merkle
from consent.events import Leaf, commit
from consent.tree import Tree

_WHAT = "log entry"
_PARTS = {"what", "origin", "entry", "leaf", "opening", "inclusion", "checkpoint"}


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof showed.

    Attributes:
        entry: number of the entry.
        leaf: what stands there.
        checkpoint: under which it stands.
        payload: what is behind it, where it was opened.
    """

    entry: int
    leaf: Leaf
    checkpoint: log.Checkpoint
    payload: dict[str, Any] | None


def write(ledger: Tree, entry: int) -> bytes:
    """Return the proof of an entry.

    Raises:
        LogError: there is no such entry, or no checkpoint over it yet.
    """
    newest = ledger.newest_checkpoint()
    if not 0 <= entry < ledger.size:
        raise log.LogError(f"the log has {ledger.size} entries, from 0 on; there is no entry {entry}")
    if newest is None or entry >= newest[1].size:
        raise log.LogError(f"entry {entry} is not under a signed checkpoint yet; the keeper signs within a second")
    note, checkpoint = newest
    ((_, data),) = ledger.leaves(entry, entry + 1)
    record, opening = ledger.record(entry), None
    if record is not None and not record.kind.personal:
        opening = {"key": record.entry_key.hex(), "payload": record.payload.decode("ascii")}
    told = {
        "what": _WHAT,
        "origin": ledger.origin,
        "entry": entry,
        "leaf": data.decode("ascii"),
        "opening": opening,
        "inclusion": [_text(one) for one in ledger.inclusion_proof(entry, checkpoint.size)],
        "checkpoint": note,
    }
    return _spelled(told)


def check(data: bytes, public: bytes | Sequence[bytes]) -> Proven:
    """Check a proof offline.

    Args:
        data: the file.
        public: the log's public key, or all of them, from somewhere else than the file.

    Raises:
        LogError: any bit was changed, or it is not of this log.
    """
    try:
        told = json.loads(data)
        if _spelled(told) != data or set(told) != _PARTS or told["what"] != _WHAT or type(told["entry"]) is not int:
            raise log.LogError("this file is not as a proof is written: it was changed")
        checkpoint = log.open_note(told["checkpoint"], public, origin=told["origin"])
        line = told["leaf"].encode("ascii")
        path = [base64.b64decode(one, validate=True) for one in told["inclusion"]]
        if [_text(one) for one in path] != told["inclusion"]:
            raise log.LogError("this file is not as a proof is written: it was changed")
        merkle.verify_inclusion(told["entry"], checkpoint.size, merkle.leaf_hash(line), path, checkpoint.root)
        leaf, payload = Leaf.decode(line), None
        if told["opening"] is not None:
            key, words = bytes.fromhex(told["opening"]["key"]), told["opening"]["payload"].encode("ascii")
            spelled = key.hex() == told["opening"]["key"] and set(told["opening"]) == {"key", "payload"}
            if not spelled or commit(key, words) != leaf.commitment:
                raise log.LogError("what this proof opens is not what stands in the log")
            payload = dict(json.loads(words))
    except merkle.ProofError as error:
        raise log.LogError("the entry does not stand in the log as this proof says") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise log.LogError("this is no proof of a log entry, or it is damaged") from error
    return Proven(told["entry"], leaf, checkpoint, payload)


def _spelled(told: dict[str, Any]) -> bytes:
    return json.dumps(told, indent=1, sort_keys=True).encode() + b"\n"


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
