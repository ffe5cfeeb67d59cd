"""What a page was sent: a small form, and nothing else.

A body that is longer, of another kind or not to be read ends the request with the status that says so, before it is
held in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

LONGEST = 4096  # bytes; ours, the largest form has under 500


async def read_fields(request: Request, most: int = 16) -> dict[str, tuple[str, ...]]:
    """Return the fields of a form, every value of each in the order sent.

    Args:
        request: the request.
        most: fields it may have.

    Raises:
        HTTPException: 415 for another kind of body, 413 for a longer one, 400 for one that cannot be read.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST:
                raise HTTPException(413)
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most)
    except (UnicodeDecodeError, ValueError, ClientDisconnect) as error:
        raise HTTPException(400) from error
    form: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        form[name] = (*form.get(name, ()), value)
    return form


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form, the last value of each; see `read_fields`."""
    return {name: values[-1] for name, values in (await read_fields(request)).items()}
