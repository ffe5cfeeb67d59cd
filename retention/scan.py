"""Searches every byte of every file under a directory for pseudonyms. Run as a process of its own.

A file that a process has open as a database must not be opened by that process as a plain file: closing it would drop
the database's locks. So the keeper starts this file with the pseudonyms on standard input, and reads from standard
output where one was found.

Forms searched: the 8 bytes in both orders, each also as hexadecimal in both cases and as base64 in both alphabets at
every alignment; the number in decimal digits; and in groups of seven bits, lowest first, as DuckDB writes the least and
the greatest value of a stretch of a column, and nothing besides where they are the same. What is compressed or
encrypted is not seen: files that hold pseudonyms keep them uncompressed.

Nothing here imports the rest of the project, and nothing here writes a file.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

_CHUNK = 8 << 20  # bytes held at a time
_SMALL = 64 << 20  # bytes × needles up to which one search after the other is quicker than to load numpy
_OVERLAP = 32  # longer than any form


def forms(visitor: int) -> frozenset[bytes]:
    """Return every way of writing a pseudonym that is searched for."""
    found = {str(visitor).encode(), _groups_of_seven(visitor)}
    for order in ("little", "big"):
        raw = visitor.to_bytes(8, order)
        found |= {raw, raw.hex().encode(), raw.hex().upper().encode()}
        for shift in range(3):  # where a base64 stream began before it: only whole characters of ours are searched
            first, last = -(-shift * 8 // 6), (shift + 8) * 8 // 6
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                found.add(encode(bytes(shift) + raw)[first:last])
    return frozenset(found)


def _groups_of_seven(number: int) -> bytes:
    """Return a number as unsigned LEB128."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def count(path: Path, needles: Iterable[bytes]) -> int:
    """Return how often any of the needles (each of 4 bytes or more) stands in a file, 0 where it is gone."""
    needles = frozenset(needles)
    try:
        if path.stat().st_size * len(needles) <= _SMALL:
            data = path.read_bytes()
            return sum(data.count(needle) for needle in needles)
        return _count_many(path, needles)
    except FileNotFoundError:
        return 0


def _count_many(path: Path, needles: Iterable[bytes]) -> int:
    """Return the same as `count`, at a cost that hardly depends on the number of needles."""
    import numpy as np  # only here: most shops' files are small, and loading it takes longer than searching them

    wanted: dict[bytes, list[bytes]] = {}
    for needle in needles:
        wanted.setdefault(needle[:4], []).append(needle)
    starts = np.array(sorted(int.from_bytes(head, "little") for head in wanted), dtype=np.uint32)
    seen = np.zeros(1 << 16, dtype=bool)  # by the first two bytes: sorts out nearly everything at little cost
    seen[starts & 0xFFFF] = True
    hits = 0
    for data, fresh in _chunks(path):
        window = np.frombuffer(data, dtype=np.uint8)
        pairs = window[:-1].astype(np.uint16) | (window[1:].astype(np.uint16) << 8)
        (at,) = np.nonzero(seen[pairs])
        at = at[at + 4 <= len(window)]
        fours = pairs[at].astype(np.uint32) | (pairs[at + 2].astype(np.uint32) << 16)
        for i in at[np.isin(fours, starts)].tolist():
            hits += sum(i + len(n) > fresh and data.startswith(n, i) for n in wanted[data[i : i + 4]])
    return hits


def _chunks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield (bytes, how many of them were seen before)."""
    tail = b""
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            data = tail + part
            if len(data) > 3:
                yield data, len(tail)
            tail = data[-_OVERLAP:]


def search(root: Path, visitors: Sequence[int], leave_out: Iterable[Path] = ()) -> dict[str, int]:
    """Return how often a pseudonym was found, by path below the directory; files without one are not in it.

    Args:
        root: the directory; links are not followed.
        visitors: pseudonyms.
        leave_out: files that are not read.
    """
    needles = frozenset().union(*map(forms, visitors))
    out = {path.resolve() for path in leave_out}
    found = {}
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = Path(folder) / name
            if path.is_symlink() or not path.is_file() or path.resolve() in out:
                continue
            if hits := count(path, needles):
                found[str(path.relative_to(root))] = hits
    return found


def search_apart(root: Path, visitors: Sequence[int], leave_out: Iterable[Path] = ()) -> dict[str, int]:
    """Do what `search` does in a process of its own.

    Raises:
        OSError: the process failed, so that nothing is known.
    """
    task = json.dumps({"root": str(root), "visitors": list(visitors), "leave_out": [str(p) for p in leave_out]})
    done = subprocess.run(
        [sys.executable, "-I", str(Path(__file__).resolve())], input=task.encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise OSError(f"the search of {root} for erased bytes failed: {done.stderr.decode(errors='replace')[-200:]}")
    return {str(path): int(hits) for path, hits in json.loads(done.stdout).items()}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(search(Path(asked["root"]), asked["visitors"], map(Path, asked["leave_out"])), sys.stdout)
