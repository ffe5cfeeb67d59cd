"""A real dashboard for tests, and a way in for each desk, by one-time link.

with dashboard(state, tmp_path / "log") as board, chromium() as browser:
    page = browser.new_page()
    page.goto(board.link(Desk.MANAGER))       # signed in; lands on the first page of that desk
    page.goto(f"{board.url}/retention")       # and on from there
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from analytics.dashboard import ADDRESS, command, environment, open_accounts
from analytics.shopfloor import opening
from analytics.state import State
from consent.access import Desk
from consent.accounts import Account, AccountError

START_S = 90.0


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard at work."""

    url: str
    state: State
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def account(self, desk: Desk) -> Account:
        """Return the account of a desk; it is made when missing."""
        return account(self.state, desk)

    def link(self, desk: Desk = Desk.MANAGER) -> str:
        """Return an address that signs somebody of a desk in, once."""
        with open_accounts(self.state) as accounts:
            code = accounts.link(self.account(desk), now_us=time.time_ns() // 1000)
        return f"{self.url}/enter/{code}"

    def cookie(self, desk: Desk = Desk.MANAGER) -> str:
        """Return the `Cookie` header of a new session."""
        with open_accounts(self.state) as accounts:
            token = accounts.begin(self.account(desk), now_us=time.time_ns() // 1000)
        return f"openaisle-{self.port}={token}"


def account(state: State, desk: Desk) -> Account:
    """Return the account `test DESK` of a shop; it has no password."""
    with open_accounts(state) as accounts:
        try:
            return accounts.find(f"test {desk}")
        except AccountError:
            return accounts.add(f"test {desk}", desk, now_us=time.time_ns() // 1000)


def a_shop(root: Path) -> State:
    """Make a simulated shop without figures, and its keys beside it."""
    return opening.open_shop(root, name="A simulated shop", source="none", now_us=time.time_ns() // 1000)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        return int(taken.getsockname()[1])


@contextmanager
def dashboard(state: State, log: Path, inherited: Mapping[str, str] | None = None) -> Iterator[Board]:
    """Serve the dashboard of a shop until the block ends.

    Args:
        state: of the shop, see `a_shop`.
        log: file for what the process says.
        inherited: environment, that of this process by default.
    """
    port = free_port()
    with log.open("wb") as out:
        words, told = command(port, state), environment(state.root, inherited)
        process = subprocess.Popen(words, env=told, stdout=out, stderr=out)
        try:
            until = time.monotonic() + START_S
            while not answers(port):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.2)
            yield Board(f"http://{ADDRESS}:{port}", state, process, log)
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def answers(port: int) -> bool:
    """Say whether the door answers on a port; a stranger gets nothing else of it."""
    caller = http.client.HTTPConnection(ADDRESS, port, timeout=5)
    try:
        caller.request("GET", "/sign-in")
        return caller.getresponse().status in (200, 303)
    except OSError:
        return False
    finally:
        caller.close()


if __name__ == "__main__":  # python -m tests.signed_in DIR: look at a shop by hand
    with dashboard(State.read(Path(sys.argv[1])), Path("/tmp/dashboard.log")) as served:
        for each in Desk:
            print(f"{each}: {served.link(each)}", flush=True)
        served.process.wait()
