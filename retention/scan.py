"""Searches every byte of every file under a directory for what must be gone. Run as a process of its own.

A file that a process has open as a database must not be opened by that process as a plain file: closing it would drop
the database's locks. So the keeper starts this file with the patterns on standard input, and reads from standard output
where one was found, and the size and SHA-256 of every file that was read.

Forms searched: the bytes as they are, as hexadecimal in both cases, as base64 in both alphabets at every alignment, and
text also as it stands inside JSON; of a pseudonym besides, its bytes in the other order, its decimal digits, and groups
of seven bits, lowest first, as DuckDB writes the least and the greatest value of a stretch of a column, and nothing
besides where they are the same. What is compressed or encrypted is not seen: files that hold pseudonyms keep them
uncompressed, and figures are written uncompressed.

A search that finds nothing proves something only if it can find: a control, something that is there rightly, is
searched for in the same go.

Nothing here imports the rest of the project, and nothing here writes a file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHUNK = 8 << 20  # bytes held at a time
_SMALL = 256 << 20  # bytes × needles up to which one search after the other is quicker than to load numpy
_LEAST = 4  # bytes of a needle


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search saw.

    Attributes:
        found: how often a pattern was found, by path below the directory; files without one are not in it.
        control: how often the control was found, in all files together.
        files: path, size and hex SHA-256 of every file, as read.
    """

    found: dict[str, int]
    control: int
    files: tuple[tuple[str, int, str], ...]


class SearchError(OSError):
    """The search could not be made, so that nothing is known."""


def forms(visitor: int) -> frozenset[bytes]:
    """Return every way of writing a pseudonym that is searched for."""
    little, big = visitor.to_bytes(8, "little"), visitor.to_bytes(8, "big")
    return frozenset({str(visitor).encode(), _groups_of_seven(visitor)}) | forms_of(little) | forms_of(big)


def forms_of(raw: bytes) -> frozenset[bytes]:
    """Return every way of writing some bytes that is searched for."""
    found = {raw, raw.hex().encode(), raw.hex().upper().encode()}
    for shift in range(3):  # where a base64 stream began before it: only whole characters of ours are searched
        first, last = -(-shift * 8 // 6), (shift + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(bytes(shift) + raw)[first:last])
    if raw.isascii():
        found.add(json.dumps(raw.decode("ascii"))[1:-1].encode())
    return frozenset(found)


def _groups_of_seven(number: int) -> bytes:
    """Return a number as unsigned LEB128."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def needles(visitors: Iterable[int], others: Iterable[bytes] = ()) -> frozenset[bytes]:
    """Return the forms of pseudonyms and of other bytes (each of 4 bytes or more)."""
    return frozenset().union(*map(forms, visitors), *map(forms_of, others))


# --- one file ---------------------------------------------------------------------------------------------------------


def look(path: Path, sets: Sequence[Collection[bytes]]) -> tuple[list[int], int, str] | None:
    """Return how often each set of needles stands in a file, its size and its SHA-256; None where it is gone."""
    try:
        if path.stat().st_size > _CHUNK:
            return _look_at_much(path, sets)
        data = path.read_bytes()
        if not data.strip(b"\0"):  # the ledger's reserve: in zeros stand zeros and nothing else
            sets = [[needle for needle in wanted if not needle.strip(b"\0")] for wanted in sets]
        elif len(data) * sum(map(len, sets)) > _SMALL:
            return _look_at_much(path, sets)
        hits = [sum(data.count(needle) for needle in wanted) for wanted in sets]
        return hits, len(data), hashlib.sha256(data).hexdigest()
    except FileNotFoundError:
        return None


def _look_at_much(path: Path, sets: Sequence[Collection[bytes]]) -> tuple[list[int], int, str]:
    """Do what `look` does, at a cost that hardly depends on the number of needles."""
    import numpy as np  # only here: most shops' files are small, and loading it takes longer than searching them

    wanted: dict[bytes, list[tuple[bytes, int]]] = {}
    for which, chosen in enumerate(sets):
        for needle in chosen:
            wanted.setdefault(needle[:_LEAST], []).append((needle, which))
    starts = np.array(sorted(int.from_bytes(head, "little") for head in wanted), dtype=np.uint32)
    seen = np.zeros(1 << 16, dtype=bool)  # by the first two bytes: sorts out nearly everything at little cost
    seen[starts & 0xFFFF] = True
    longest = max((len(needle) for chosen in sets for needle in chosen), default=_LEAST)
    hits, size, digest = [0] * len(sets), 0, hashlib.sha256()
    for data, fresh in _chunks(path, longest - 1):
        digest.update(memoryview(data)[fresh:])
        size += len(data) - fresh
        for odd in (0, 1):
            pairs = np.frombuffer(data, dtype="<u2", offset=odd, count=(len(data) - odd) // 2)
            (at,) = np.nonzero(seen[pairs])
            at = at[at + 1 < len(pairs)]
            fours = pairs[at].astype(np.uint32) | (pairs[at + 1].astype(np.uint32) << 16)
            for i in (2 * at[np.isin(fours, starts)] + odd).tolist():
                for needle, which in wanted[data[i : i + _LEAST]]:
                    hits[which] += i + len(needle) > fresh and data.startswith(needle, i)
    return hits, size, digest.hexdigest()


def _chunks(path: Path, overlap: int) -> Iterator[tuple[bytes, int]]:
    """Yield (bytes, how many of them were seen before)."""
    tail = b""
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            data = tail + part
            yield data, len(tail)
            tail = data[-overlap:]


# --- all files --------------------------------------------------------------------------------------------------------


def search(
    root: Path,
    visitors: Iterable[int],
    leave_out: Iterable[Path] = (),
    *,
    others: Iterable[bytes] = (),
    control: Iterable[int] = (),
) -> Searched:
    """Search every file.

    Args:
        root: the directory; links are not followed, sockets and pipes not opened.
        visitors: pseudonyms.
        leave_out: files that are not read.
        others: other bytes, each 4 or more.
        control: pseudonyms that are there rightly.
    """
    sets = [needles(visitors, others), needles(control)]
    out = {path.resolve() for path in leave_out}
    found, files, seen = {}, [], 0
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_symlink() or not path.is_file() or path.resolve() in out:
                continue
            looked = look(path, sets)
            if looked is None:
                continue
            (hits, rightly), size, sha256 = looked
            below = os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")  # a name may be no text
            files.append((below, size, sha256))
            seen += rightly
            if hits:
                found[below] = hits
    return Searched(found, seen, tuple(files))


def search_apart(
    root: Path,
    visitors: Iterable[int],
    leave_out: Iterable[Path] = (),
    *,
    others: Iterable[bytes] = (),
    control: Iterable[int] = (),
) -> Searched:
    """Do what `search` does in a process of its own.

    Raises:
        SearchError: the process failed, so that nothing is known.
    """
    task: dict[str, Any] = {
        "root": str(root),
        "visitors": list(visitors),
        "leave_out": [str(path) for path in leave_out],
        "others": [value.hex() for value in others],
        "control": list(control),
    }
    done = subprocess.run(
        [sys.executable, "-I", str(Path(__file__).resolve())],
        input=json.dumps(task).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise SearchError(
            f"the search of {root} for erased bytes failed ({' '.join(words)[-200:]}); see who may read it"
        )
    told = json.loads(done.stdout)
    return Searched(told["found"], told["control"], tuple((path, size, sha) for path, size, sha in told["files"]))


def _main() -> None:
    asked = json.load(sys.stdin)
    seen = search(
        Path(asked["root"]),
        asked["visitors"],
        map(Path, asked["leave_out"]),
        others=map(bytes.fromhex, asked["others"]),
        control=asked["control"],
    )
    json.dump({"found": seen.found, "control": seen.control, "files": seen.files}, sys.stdout)


if __name__ == "__main__":
    _main()
