"""What an officer asks for in the name of somebody who shows their code: an end of it all, or a copy of it all.

Rules:
- The code is typed once and sealed in memory to the keeper's own key before it is written anywhere: no disk and no
  other process sees it. The sealed letter goes with its answer.
- The desk asks, the keeper acts: it alone can tell whether anybody is known under the code.
- A copy is sealed to the code again, so that it opens only where the code is typed a second time (`consent.answers`).

Nothing here decides who may ask; the page does, and the log has it first.
"""

from __future__ import annotations

import base64
import json
import secrets
from enum import StrEnum

from consent import answers
from consent.events import Channel, ConsentError
from consent.ledger import Ledger, Request, RequestStatus
from consent.letters import Letter
from consent.subjects import read_secret
from retention.model import RetentionError

REQUEST = "counter"  # kind of request


class What(StrEnum):
    """What is asked for."""

    ERASE = "erase"
    COPY = "copy"


def ask(ledger: Ledger, what: What, code: str, *, now_us: int) -> int:
    """Ask the keeper, and return the number of the request.

    Args:
        ledger: opened by any role.
        what: is asked for.
        code: as typed.
        now_us: UTC microseconds.

    Raises:
        ConsentError: what was typed can be no code, or the shop has no key to seal it to.
    """
    plain = read_secret(code)
    if not ledger.keys.public_keys("mailbox"):
        raise RetentionError("the shop has no mailbox key to seal a code to; make one: openaisle mailbox line")
    generation, public = ledger.keys.newest("mailbox")
    sealed = Letter(now_us, secrets.token_bytes(16), plain).seal(public, generation)
    told = {
        "what": what.value,
        "letter": base64.b64encode(sealed).decode("ascii"),
        "lock": answers.lock_of(plain).hex(),
    }
    return ledger.open_request(REQUEST, json.dumps(told).encode(), now_us=now_us)


def act(ledger: Ledger, request: Request, now_us: int) -> None:
    """Do what was asked for; the keeper can.

    The request that is left names the entry that ended the consents, or the question that the keeper answers next.
    """
    try:
        told = json.loads(request.args)
        code = Letter.open(base64.b64decode(told["letter"], validate=True), ledger.keys).code
        answers.look_up(ledger, code, now_us=now_us)
        if What(told["what"]) is What.COPY:
            result = {"question": answers.ask(ledger, code, now_us=now_us)}
        else:
            done = ledger.withdraw(code, now_us=now_us, channel=Channel.DESK)
            result = {"entry": -1 if done.leaf_index is None else done.leaf_index}
    except (ConsentError, ValueError, KeyError, TypeError):  # nobody is known under it, or it is no letter of ours
        ledger.settle_request(request.id, RequestStatus.REFUSED, now_us=now_us)
    else:
        ledger.settle_request(request.id, RequestStatus.DONE, now_us=now_us, result=json.dumps(result).encode("ascii"))
    ledger.blank_request(request.id)


def answer(ledger: Ledger, number: int) -> tuple[RequestStatus, dict[str, int]]:
    """Return how far a request has come, and what came of it.

    Raises:
        RetentionError: there is none, or not any more.
    """
    asked = ledger.read_request(number)
    if asked is None or asked.kind != REQUEST:
        raise RetentionError("this request is gone: it is kept for a day; ask again")
    return asked.status, json.loads(asked.result or b"{}")
