"""What the log says of access: every denial, every read of personal data, every change of an account or of the set-up.

Rules:
- An entry names an account by its random number, an action, a reason, and how often. No name, address, host, path or
  typed text has a way in; a camera, a host that was called and a text are named by their SHA-256.
- Nobody can grow the log by knocking. The first of a kind is an entry at once; what follows of the same kind is summed
  into one more entry when its window is over. The window is a minute, doubles up to an hour while it goes on, and is a
  minute again after a quiet one. Whatever is refused without an account is one kind for each reason.
- A read is in the log before anything is shown: where the log cannot be written, nothing is shown. The same read by the
  same account within a minute is summed, too: a page draws itself anew at every click.
- What is summed and not written yet is in memory, and written when the process ends; one that is killed loses it.

It decides nothing: who may do what is said by `desks`.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from consent.desks import Action, Desk, Refusal
from consent.events import ConsentError, EventKind, Value
from consent.tree import Entry, Tree

WINDOW_S = 60.0
LONGEST_WINDOW_S = 3600.0
MOST_KINDS = 4096  # remembered at once, far above accounts × reasons of a shop
_log = logging.getLogger(__name__)

Kind = tuple[EventKind, str, str, str]  # kind, account, action, reason


@dataclass(slots=True)
class _Window:
    end_s: float
    length_s: float
    waiting: int = 0


class AccessLog:
    """Writes to the log who was refused and who read what.

    Args:
        ledger: opened by any role.
        now_us: UTC microseconds.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        ledger: Tree,
        *,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger, self._now_us, self._clock = ledger, now_us, clock
        self._windows: OrderedDict[Kind, _Window] = OrderedDict()
        self._unwritten: list[tuple[Kind, int]] = []
        self._lock = threading.Lock()

    def denied(self, reason: Refusal, *, account: str = "", action: Action | None = None) -> None:
        """Note a refusal; it is written by the next `flush`, and refuses nothing itself."""
        kind = (EventKind.ACCESS_DENIED, account, "" if action is None else action.value, reason.value)
        with self._lock:
            if self._due(kind):
                self._unwritten.append((kind, 1))

    def read(self, account: str, action: Action) -> None:
        """Note that somebody is shown something about shoppers; on return it is in the log, or summed up.

        Raises:
            ConsentError: the log cannot be written: show nothing.
        """
        kind = (EventKind.PERSONAL_READ, account, action.value, "")
        with self._lock:
            due = self._due(kind)
        if due:
            try:
                self._write([(kind, 1)])
            except ConsentError:
                with self._lock:
                    self._windows.pop(kind, None)
                raise

    def changed(self, account: str, what: str, *, desk: Desk | None = None, by: str = "") -> None:
        """Write down that an account was made, removed or changed.

        Args:
            account: number of the account.
            what: one word.
            desk: where it works now.
            by: number of the account that did it; empty on the command line.

        Raises:
            ConsentError: the log cannot be written.
        """
        details: dict[str, Value] = {"account": account, "what": what}
        details |= {} if desk is None else {"desk": desk.value}
        details |= {"by": by} if by else {}
        self._ledger.append_events([Entry(EventKind.ACCOUNT_CHANGED, self._now_us(), details)])

    def settings(self, account: str, *, was: str, now: str) -> None:
        """Write down that an account sets out to write `store.toml`; once it is in force, `config_changed` says so.

        Args:
            account: number of the account.
            was: SHA-256 of the file as it stands, hex.
            now: of what is to be written, hex.

        Raises:
            ConsentError: the log cannot be written: write nothing.
        """
        details: dict[str, Value] = {"account": account, "was": was, "now": now}
        self._ledger.append_events([Entry(EventKind.SETTINGS_WRITTEN, self._now_us(), details)])

    def opened(self, account: str, *, camera: str, session: str, until_us: int) -> int:
        """Write down that a camera may be looked at, and return the entry; `watch` shows nothing without one.

        Args:
            account: number of the account.
            camera: SHA-256 of its name, hex.
            session: SHA-256 of the secret that the looking page holds, hex.
            until_us: when it is over at the latest, UTC microseconds.

        Raises:
            ConsentError: the log cannot be written: there is no session.
        """
        details: dict[str, Value] = {"account": account, "camera": camera, "session": session, "until_us": until_us}
        return self._ledger.append_events([Entry(EventKind.SETUP_OPENED, self._now_us(), details)])[0]

    def closed(self, account: str, *, camera: str, session: str, looks: int) -> None:
        """Write down that such a session is over, and how many pictures it showed; the first to say so is believed.

        Raises:
            ConsentError: the log cannot be written; the session ends by itself.
        """
        details: dict[str, Value] = {"account": account, "camera": camera, "session": session}
        entry = Entry(EventKind.SETUP_CLOSED, self._now_us(), details, count=looks)
        self._ledger.append_once(entry, hashlib.sha256(f"closed {session}".encode()).digest())

    def tested(self, account: str, *, camera: str, host: str) -> None:
        """Write down that an account has an address called, to see whether a camera answers there.

        Args:
            account: number of the account.
            camera: SHA-256 of its name, hex.
            host: SHA-256 of the host that is called, hex; of nothing where it is a file or a camera of this machine.

        Raises:
            ConsentError: the log cannot be written: call nobody.
        """
        details: dict[str, Value] = {"account": account, "camera": camera, "host": host}
        self._ledger.append_events([Entry(EventKind.STREAM_TESTED, self._now_us(), details)])

    def flush(self, *, end: bool = False) -> None:
        """Write what is due; at the end, all there is. What cannot be written is tried again.

        Args:
            end: the process ends.
        """
        with self._lock:
            now_s = self._clock()
            for kind, window in list(self._windows.items()):
                if now_s < window.end_s and not end:
                    continue
                if window.waiting:
                    self._unwritten.append((kind, window.waiting))
                    length_s = min(LONGEST_WINDOW_S, 2 * window.length_s)
                    self._windows[kind] = _Window(now_s + length_s, length_s)
                else:
                    del self._windows[kind]
            due, self._unwritten = self._unwritten, []
        if not due:
            return
        try:
            self._write(due)
        except ConsentError as error:
            _log.warning("what was refused is not in the log yet: %s", error)
            with self._lock:
                self._unwritten = [*due, *self._unwritten][:MOST_KINDS]

    def _due(self, kind: Kind) -> bool:
        """Count one more of a kind and say whether it is an entry of its own."""
        window = self._windows.get(kind)
        if window is not None:
            window.waiting += 1
            return False
        if len(self._windows) >= MOST_KINDS:
            # more kinds than a shop can have: whoever they are, they share what is left
            kind = (kind[0], "", "", kind[3])
            if kind in self._windows:
                self._windows[kind].waiting += 1
                return False
        self._windows[kind] = _Window(self._clock() + WINDOW_S, WINDOW_S)
        return True

    def _write(self, due: list[tuple[Kind, int]]) -> None:
        entries = []
        for (kind, account, action, reason), count in due:
            words = {"account": account, "action": action, "reason": reason}
            details: dict[str, Value] = {name: word for name, word in words.items() if word}
            entries.append(Entry(kind, self._now_us(), details, count=count))
        self._ledger.append_events(entries)
