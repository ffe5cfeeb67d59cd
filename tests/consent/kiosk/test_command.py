"""`openaisle kiosk` as a user starts it: what it refuses in one line, and what it serves."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from analytics.start import init
from tests.analytics.rtsp_server import free_port
from tests.command import Place
from tests.consent.kiosk.front import ZONES, make_shop, served


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def test_a_shop_that_does_not_say_who_answers_for_the_data_has_no_kiosk(place: Place, tmp_path: Path) -> None:
    init(tmp_path / "shop", now_us=time.time_ns() // 1000, timezone="Europe/Berlin")
    line = refused(place.run("kiosk", "--state", tmp_path / "shop"))
    assert "name, address, contact under [controller]" in line


def test_a_kiosk_started_twice_says_so_and_the_first_goes_on(place: Place, tmp_path: Path) -> None:
    state = make_shop(tmp_path / "shop")
    with served(state, place) as url:
        port = url.rpartition(":")[2]
        assert f"port {port} is taken" in refused(place.run("kiosk", "--state", state.root, "--port", port))
        (state.root / "store.toml").write_text(
            (state.root / "store.toml").read_text().replace("\n[kiosk]\n", f"\n[kiosk]\nport = {port}\n")
        )
        assert "does another one run already?" in refused(place.run("kiosk", "--state", state.root))
        assert httpx.get(url).status_code == 200
    assert place.files() - {"kiosk.log"} == set(), "it writes nothing anywhere else"


def test_what_was_asked_stands_in_no_log_and_no_header_names_the_software(place: Place, tmp_path: Path) -> None:
    state = make_shop(tmp_path / "shop")
    with served(state, place) as url:
        page = httpx.get(f"{url}/know?code=0123456789ABCDEFGHJK", headers={"user-agent": "a certain phone"})
        assert "server" not in page.headers
        httpx.get(f"{url}/", headers={"host": "evil.example"})
    log = (place.root / "kiosk.log").read_text()
    for needle in ("GET", "0123456789", "certain phone", "evil"):
        assert needle not in log


def test_two_pads_need_a_name(place: Place, tmp_path: Path) -> None:
    state = make_shop(tmp_path / "shop")
    path = state.root / "store.toml"
    second = ZONES.partition("[controller]")[0].replace('"pad"\nkind', '"other"\nkind')
    path.write_text(path.read_text().replace("\n[controller]\n", second + "\n[controller]\n"))
    assert "pad = one of pad, other" in refused(place.run("kiosk", "--state", state.root))
    path.write_text(path.read_text().replace("\n[kiosk]\n", '\n[kiosk]\npad = "third"\n'))
    assert "'third' is not drawn" in refused(place.run("kiosk", "--state", state.root))


@pytest.mark.parametrize(
    ("table", "remedy"),
    [
        ('address = "192.168.1.10"', "certificate and certificate_key"),
        ('address = "shop.example"', "IP address"),
        ('certificate = "a.pem"', "go together"),
        ('languages = ["en", "xx"]', "choose from en, de"),
        ('languages = ["en", "en"]', "each once"),
        ("languages = []", "languages"),
        ("idle_s = 5", "idle_s"),
        ('allowed_hosts = ["*"]', "no wildcard"),
        ('adress = "127.0.0.1"', "did you mean 'address'"),
    ],
)
def test_a_wrong_setting_is_one_line_with_a_remedy(place: Place, tmp_path: Path, table: str, remedy: str) -> None:
    state = make_shop(tmp_path / "shop")
    path = state.root / "store.toml"
    path.write_text(path.read_text() + table + "\n")
    assert remedy in refused(place.run("kiosk", "--state", state.root))


def test_a_code_for_a_tablet_is_printed_and_only_its_hash_is_kept(place: Place, tmp_path: Path) -> None:
    state = make_shop(tmp_path / "shop")
    done = place.run("kiosk", "--state", state.root, "--pair")
    assert done.returncode == 0, done.stderr
    code = done.stdout.split()[2].replace("-", "")
    assert len(code) == 8
    text = (state.root / "kiosk.paired").read_text()
    assert code not in text
    assert json.loads(text)["tablets"] == []
    done = place.run("kiosk", "--state", state.root, "--unpair")
    assert done.stdout == "forgot 0 paired tablets\n"
    assert json.loads((state.root / "kiosk.paired").read_text())["code"] is None


def test_over_https_the_cookie_is_for_https_alone(place: Place, tmp_path: Path) -> None:
    state = make_shop(tmp_path / "shop")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    path = state.root / "store.toml"
    path.write_text(path.read_text() + f'certificate = "{certificate}"\ncertificate_key = "{key}"\n')
    port = free_port()
    words = place.command("kiosk", "--state", state.root, "--port", str(port))
    process = subprocess.Popen(words, env=place.environment(), cwd=place.here, stderr=subprocess.DEVNULL)
    try:
        trusted = ssl.create_default_context(cafile=str(certificate))
        for _ in range(100):
            try:
                page = httpx.get(f"https://127.0.0.1:{port}/", verify=trusted)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        assert page.status_code == 200
        assert "Secure" in page.headers["set-cookie"]
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/")
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0
    key.write_text("not a key")
    assert "certificate" in refused(place.run("kiosk", "--state", state.root, "--port", str(port)))


def test_a_pipe_in_place_of_the_paired_tablets_is_one_line(place: Place, tmp_path: Path) -> None:
    state = make_shop(tmp_path / "shop")
    os.mkfifo(state.root / "kiosk.paired")
    for word in ("--pair", "--unpair"):
        line = refused(place.run("kiosk", "--state", state.root, word))
        assert "kiosk.paired is no regular file; remove it" in line
