"""The kinds of file that the dashboard takes: a table of receipts, an outsider's signed approval; each from who may.

Rules:
- Everything else is refused before a byte of it is kept: another desk, another kind of name, no length or a long one, a
  body that is no form with one file.
- The name decides nothing else; what is in the file is read as text by whoever asked for it, and never run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Message, Receive

from consent.desks import Action, Who

PLACE = "/_stcore/upload_file/"  # where Streamlit takes files
_NAME = re.compile(rb'\r\ncontent-disposition: form-data;[^\r\n]*; filename="([^"\r\n]*)"', re.IGNORECASE)
_HEAD = 4096  # bytes in which the name stands


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file.

    Attributes:
        action: what somebody must be allowed.
        suffix: how the file's name ends.
        most: bytes.
    """

    action: Action
    suffix: str
    most: int


@dataclass(frozen=True, slots=True)
class Files:
    """What is taken.

    Attributes:
        kinds: of files.
    """

    kinds: tuple[Kind, ...]

    async def look(self, request: Request, who: Who) -> Receive | None:
        """Return how the rest of a request is read, None where it is refused."""
        theirs = [kind for kind in self.kinds if who.may(kind.action)]
        if not theirs or not request.headers.get("origin"):
            return None
        if request.method == "DELETE":
            return request.receive
        length = request.headers.get("content-length", "")
        form = request.headers.get("content-type", "").lower()
        if request.method != "PUT" or not form.startswith("multipart/form-data"):
            return None
        if not re.fullmatch(r"[0-9]{1,9}", length) or int(length) > max(kind.most for kind in theirs):
            return None
        read: list[Message] = []
        head = b""
        while len(head) < _HEAD and (not read or read[-1].get("more_body")):
            read.append(await request.receive())
            if read[-1]["type"] != "http.request":
                return None
            head += read[-1].get("body", b"")
        names = [name.decode("utf-8", "replace").lower() for name in _NAME.findall(head[:_HEAD])]
        if len(names) != 1:
            return None
        if not any(names[0].endswith(kind.suffix) and int(length) <= kind.most for kind in theirs):
            return None

        async def again() -> Message:
            return read.pop(0) if read else await request.receive()

        return again
