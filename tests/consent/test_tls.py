"""An authority for one shop, certificates that renew, and a listener that speaks nothing but TLS."""

from __future__ import annotations

import socket
import ssl
import stat
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.responses import PlainTextResponse

from consent import listener, tls
from consent.listener import Listener, ListenError
from consent.tls import TlsError
from tests.consent.served import NAME, certificate, serve

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PAGE = PlainTextResponse("hello")


def test_openssl_accepts_what_was_made_for_the_host_and_for_no_other(tmp_path: Path) -> None:
    made = tls.make(tmp_path / "tls", ["kiosk.shop.example", "192.168.1.10"], now=datetime.now(UTC))
    for word, host, good in (
        ("-verify_hostname", "kiosk.shop.example", True),
        ("-verify_hostname", "other.shop.example", False),
        ("-verify_ip", "192.168.1.10", True),
        ("-verify_ip", "192.168.1.11", False),
    ):
        words = ["openssl", "verify", "-x509_strict", "-CAfile", str(made.authority), word, host, str(made.certificate)]
        assert (subprocess.run(words, capture_output=True, check=False).returncode == 0) is good, host
    shown = subprocess.run(
        ["openssl", "x509", "-in", str(made.authority), "-noout", "-fingerprint", "-sha256"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip().endswith(made.fingerprint)


def test_a_stolen_authority_can_pretend_to_be_nobody_else(tmp_path: Path) -> None:
    made = tls.make(tmp_path / "tls", ["kiosk.shop.example"], now=datetime.now(UTC))
    authority, signer = tls._load(made.authority, tmp_path / "tls" / "authority.key")
    forged, key = tmp_path / "forged.pem", tmp_path / "forged.key"
    for host, good in (("kiosk.shop.example", True), ("bank.example", False)):
        tls._make_server(forged, key, authority, signer, [x509.DNSName(host)], datetime.now(UTC))
        words = ["openssl", "verify", "-CAfile", str(made.authority), "-verify_hostname", host, str(forged)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is good
        assert good or "permitted subtree violation" in done.stderr + done.stdout


def test_keys_are_for_their_owner_alone_and_not_in_the_state_directory(tmp_path: Path) -> None:
    made = tls.make(tmp_path / "tls", ["a.example"], now=NOW)
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700
    for name in ("authority.key", "server.key"):
        assert stat.S_IMODE((tmp_path / "tls" / name).stat().st_mode) == 0o600
    assert made.key.name == "server.key"
    with pytest.raises(TlsError, match="must not lie in the state directory"):
        tls.make(tmp_path / "state" / "tls", ["a.example"], now=NOW, state=tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_it_is_left_alone_while_it_holds_and_renewed_before_it_ends(tmp_path: Path) -> None:
    def make(now: datetime, *, renew: bool = False) -> tls.Made:
        return tls.make(tmp_path / "tls", ["a.example"], now=now, renew=renew)

    first = make(NOW)
    assert (first.renewed, first.until) == (True, NOW + tls.LASTS)
    same = make(NOW + timedelta(days=300))
    assert (same.renewed, same.until, same.fingerprint) == (False, first.until, first.fingerprint)
    later = make(first.until - timedelta(days=30))
    assert (later.renewed, later.until, later.fingerprint) == (
        True,
        first.until + timedelta(days=367),
        first.fingerprint,
    )
    assert make(NOW + timedelta(days=368), renew=True).renewed
    (tmp_path / "tls" / "server.key").write_text("damaged")
    assert make(NOW + timedelta(days=368)).renewed
    # signed by another authority of the same name
    other = tls.make(tmp_path / "other", ["a.example"], now=NOW)
    for name in ("server.pem", "server.key"):
        (tmp_path / "tls" / name).write_bytes((other.key.parent / name).read_bytes())
    assert make(NOW + timedelta(days=1)).renewed


def test_an_authority_is_never_quietly_replaced(tmp_path: Path) -> None:
    made = tls.make(tmp_path / "tls", ["a.example"], now=NOW)
    with pytest.raises(TlsError, match="may not sign for b"):
        tls.make(tmp_path / "tls", ["a.example", "b.example"], now=NOW)
    before = made.authority.read_bytes()
    (tmp_path / "tls" / "authority.key").unlink()
    with pytest.raises(TlsError, match="half an authority"):
        tls.make(tmp_path / "tls", ["a.example"], now=NOW)
    tls._write(tmp_path / "tls" / "authority.key", tls._private_pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(TlsError, match="is not the key of"):
        tls.make(tmp_path / "tls", ["a.example"], now=NOW)
    assert made.authority.read_bytes() == before


@pytest.mark.parametrize(
    "host", ["", "a b", "*.example", "https://a.example", "a.example/", "-a", "300.1.2.3", "a" * 300]
)
def test_what_is_no_host_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(TlsError):
        tls.make(tmp_path / "tls", [host], now=NOW)


def test_it_speaks_tls_and_nothing_else(tmp_path: Path) -> None:
    with serve(PAGE, certificate(tmp_path / "tls")) as served:
        assert served.ask("GET", "/").text == "hello"
        with socket.create_connection(("127.0.0.1", served.port), 5) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"hello" not in plain.recv(4096)
        with pytest.raises(ssl.SSLError), socket.create_connection((NAME, served.port), 5) as raw:  # nobody's authority
            ssl.create_default_context().wrap_socket(raw, server_hostname=NAME)
        old = ssl.create_default_context(cafile=str(served.made.authority))
        old.minimum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection((NAME, served.port), 5) as raw, old.wrap_socket(raw, server_hostname=NAME) as up:
            assert up.version() in ("TLSv1.2", "TLSv1.3")


def test_a_renewed_certificate_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    made = certificate(tmp_path / "tls")
    with serve(PAGE, made) as served:

        def serial() -> int:
            seen = ssl.get_server_certificate((NAME, served.port))
            return x509.load_pem_x509_certificate(seen.encode()).serial_number

        before = serial()
        served.listener.follow()
        assert serial() == before
        tls.make(tmp_path / "tls", [NAME, "127.0.0.1"], now=datetime.now(UTC), renew=True)
        served.listener.follow()
        after = serial()
        assert after != before
        key = made.key.read_bytes()
        made.key.write_bytes(b"half written")
        served.listener.follow()
        assert serial() == after
        made.key.write_bytes(key)
        served.listener.follow()
        assert served.ask("GET", "/").status == 200


def test_slow_and_silent_callers_keep_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "PATIENCE_S", 1.0)
    monkeypatch.setattr(listener, "MOST_CALLERS", 8)
    with serve(PAGE, certificate(tmp_path / "tls")) as served:
        silent = [served.connect() for _ in range(8)]
        for caller in silent:
            caller.connect()
            caller.send(b"GET / HTTP/1.1\r\n")  # and never another line
        assert served.ask("GET", "/").status == 503
        time.sleep(1.3)
        assert served.ask("GET", "/").status == 200
        for caller in silent:
            caller.close()


def test_what_cannot_be_served_is_said_at_the_start(tmp_path: Path) -> None:
    made = certificate(tmp_path / "tls")

    def start(key: Path, port: int = 0) -> None:
        Listener(
            PAGE, address="127.0.0.1", port=port, certificate=made.certificate, key=key, stop=threading.Event()
        ).serve_here()

    for key in (tmp_path / "none", made.authority, tmp_path / "tls" / "authority.key"):
        with pytest.raises(ListenError, match="openaisle tls"):
            start(key)
    with serve(PAGE, made) as served, pytest.raises(ListenError, match="does another one run already"):
        start(made.key, served.port)


def test_the_authority_for_a_caller_is_read_or_refused(tmp_path: Path) -> None:
    made = certificate(tmp_path / "tls")
    assert len(tls.context(made.authority).get_ca_certs()) == 1
    for path in (tmp_path / "none", made.key):
        with pytest.raises(TlsError, match="no certificate of an authority"):
            tls.context(path)
    assert tls.context().verify_mode is ssl.CERT_REQUIRED
    assert len(list((tmp_path / "tls").iterdir())) == 4  # and no draft of any
