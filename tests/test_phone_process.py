"""The page for phones and the mailbox as processes of their own, as a shop runs them."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from analytics.state import State
from consent.events import State as Consent
from consent.keys import Role
from consent.ledger import Grant
from tests.command import Place
from tests.consent.shop import say_yes
from tests.test_privacy import COMMAND, watch


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SETTINGS = """
[controller]
name = "Main Street Ltd"
address = "1 Main Street"
contact = "privacy@example.com"

[kiosk]
port = {kiosk}

[phone]
address = "127.0.0.1"
port = {phone}
public_url = "https://localhost:{phone}"
certificate = "{certificate}"
certificate_key = "{certificate_key}"

[mailbox]
url = "https://localhost:{box}"
authority = "{authority}"
every_s = 5
"""


class Shop:
    """A shop whose pages have a certificate of its own authority."""

    def __init__(self, root: Path) -> None:
        self.place = Place(root)
        self.state = self.place.here / "shop"
        self.phone, self.kiosk, self.box = free_port(), free_port(), free_port()
        self.run("init", self.state, "--name", "Main Street")
        self.run("tls", "--host", "localhost", "--state", self.state)
        tls = self.place.here / "shop-tls"
        self.files = {"certificate": tls / "server.pem", "certificate_key": tls / "server.key"}
        self.context = ssl.create_default_context(cafile=str(tls / "authority.pem"))
        with (self.state / "store.toml").open("a") as file:
            file.write(
                SETTINGS.format(
                    kiosk=self.kiosk, phone=self.phone, box=self.box, authority=tls / "authority.pem", **self.files
                )
            )

    def run(self, *words: str | Path) -> str:
        done = self.place.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def give(self) -> Grant:
        with State.read(self.state).open_ledger(Role.KIOSK) as ledger:
            return say_yes(ledger, now_us=time.time_ns() // 1000)

    def states(self, given: Grant) -> set[Consent]:
        with State.read(self.state).open_ledger(Role.KIOSK) as ledger:
            return {s.state for s in ledger.standing(given.subject)}

    def ask(self, port: int, path: str, **form: str) -> int:
        """Return the status of a page, 0 where nobody answers."""
        caller = http.client.HTTPSConnection("localhost", port, timeout=5, context=self.context)
        headers = {"Origin": f"https://localhost:{port}", "Content-Type": "application/x-www-form-urlencoded"}
        try:
            caller.request("POST" if form else "GET", path, urlencode(form) or None, headers if form else {})
            return caller.getresponse().status
        except OSError:
            return 0
        finally:
            caller.close()

    @contextmanager
    def started(self, *words: str | Path) -> Iterator[subprocess.Popen[bytes]]:
        with subprocess.Popen(
            self.place.command(*words), env=self.place.environment(), cwd=self.place.here, stderr=subprocess.PIPE
        ) as process:
            try:
                yield process
            finally:
                process.terminate()
                process.wait(20)


def soon(true: Callable[[], bool], seconds: float = 90) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


def test_the_kiosk_runs_the_page_for_phones_beside_it_and_takes_it_along(shop: Shop) -> None:
    given = shop.give()
    with shop.started("kiosk", "--state", shop.state) as kiosk:
        assert soon(lambda: shop.ask(shop.phone, "/w") == 200)
        assert shop.ask(shop.phone, "/stop", code=given.secret) == 200
        assert shop.states(given) == {Consent.WITHDRAWN}
        kiosk.send_signal(signal.SIGTERM)
        assert kiosk.wait(20) == 0
        assert soon(lambda: shop.ask(shop.phone, "/w") == 0)
    with shop.started("kiosk", "--state", shop.state) as kiosk:
        assert soon(lambda: shop.ask(shop.phone, "/w") == 200)
        kiosk.send_signal(signal.SIGKILL)  # no chance to say goodbye
        kiosk.wait(20)
        assert soon(lambda: shop.ask(shop.phone, "/w") == 0)


def test_it_runs_alone_with_keys_that_cannot_say_yes(shop: Shop) -> None:
    shop.run("deal", "phone", shop.place.here / "phone-keys", "--state", shop.state)
    assert sorted(p.name for p in (shop.place.here / "phone-keys").iterdir()) == ["log-0001.pub", "pepper-0001.key"]
    given = shop.give()
    with shop.started("phone", "--state", shop.state, "--keys", shop.place.here / "phone-keys"):
        assert soon(lambda: shop.ask(shop.phone, "/w") == 200)
        assert shop.ask(shop.phone, "/show", code=given.secret) == 200
        assert shop.ask(shop.phone, "/stop", code=given.secret) == 200
    assert shop.states(given) == {Consent.WITHDRAWN}


def test_a_withdrawal_goes_from_the_box_to_the_keeper_while_both_run(shop: Shop) -> None:
    line = shop.run("mailbox", "line", "--state", shop.state).strip()
    given = shop.give()
    serve = (
        *("mailbox", "serve", shop.place.here / "box", "--line", line, "--name", "Main Street"),
        *("--url", f"https://localhost:{shop.box}", "--address", "127.0.0.1", "--port", str(shop.box)),
        *("--certificate", shop.files["certificate"], "--certificate-key", shop.files["certificate_key"]),
    )
    with shop.started(*serve):
        assert soon(lambda: shop.ask(shop.box, "/w") == 200)
        assert shop.ask(shop.box, "/post", code=given.secret) == 200
        with shop.started("keeper", "--state", shop.state):
            assert soon(lambda: shop.states(given) != {Consent.GIVEN})
    kept = b"".join(path.read_bytes() for path in (shop.place.here / "box").iterdir())
    assert given.secret.encode() not in kept


def test_a_lost_box_does_not_stop_the_keeper(shop: Shop) -> None:
    done = shop.place.run("keeper", "--once", "--state", shop.state)
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "cannot be reached" in done.stderr
    assert "signed" in json.loads(done.stdout)


def test_the_keeper_calls_the_mailbox_and_nobody_else_and_without_one_nobody(shop: Shop, tmp_path: Path) -> None:
    done = watch(COMMAND, "keeper", "--once", "--state", shop.state, root=tmp_path / "with")
    assert done.status == 0, done.said
    assert done.calls
    assert all("localhost" in call for call in done.calls), done.calls
    path = shop.state / "store.toml"
    text = path.read_text()
    path.write_text(text[: text.index("[mailbox]")])
    try:
        done = watch(COMMAND, "keeper", "--once", "--state", shop.state, root=tmp_path / "without")
    finally:
        path.write_text(text)
    assert (done.status, done.calls) == (0, [])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('public_url = "https', 'public_url = "http'), "is no address for phones"),
        (("certificate_key = ", "# "), "certificate and certificate_key"),
        (("/server.key", "/none.key"), "openaisle tls"),
        (("public_url = ", "# "), "public_url"),
    ],
)
def test_without_https_it_does_not_start_and_says_what_to_do(
    shop: Shop, change: tuple[str, str], complaint: str
) -> None:
    path = shop.state / "store.toml"
    text = path.read_text()
    path.write_text(text.replace(*change))
    try:
        done = shop.place.run("phone", "--state", shop.state)
    finally:
        path.write_text(text)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert complaint in done.stderr


def test_a_port_that_is_taken_is_said(shop: Shop) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", shop.phone))
        taken.listen()
        done = shop.place.run("phone", "--state", shop.state)
    assert (done.returncode, "does another one run already" in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
