"""Models: what ships is what its card says, and what is fetched comes whole, from whom it should, or not at all."""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import cli
from analytics import models
from analytics.models import Catalogue, Model, ModelsError, fetch, read_catalogue
from analytics.tables import ConfigError

WEIGHTS = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@dataclass
class Answer:
    """What the server says."""

    body: bytes = WEIGHTS
    status: int = 200
    location: str = ""
    promised: int | None = None  # content-length, where it is a lie


@dataclass
class Server:
    port: int
    ca: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            answer = told.answers.get(self.path, Answer(b"", 404))
            self.send_response(answer.status)
            if answer.location:
                self.send_header("Location", answer.location)
            self.send_header("Content-Length", str(len(answer.body) if answer.promised is None else answer.promised))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    told = Server(http.server_address[1], certificate)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield told
    http.shutdown()
    http.server_close()
    thread.join()


def catalogue(server: Server, path: str = "/big.pt", **more: object) -> Catalogue:
    table = {"url": server.url(path), "hosts": ["localhost"], "most_bytes": 10**6, "licence": "L", "origin": "O"}
    return Catalogue.model_validate({"fetch": {"big": table | more}})


def get(server: Server, where: Path, **more: object) -> Model:
    return fetch("big", catalogue(server, **more), where, ca=server.ca)  # type: ignore[arg-type]


# --- what ships -------------------------------------------------------------------------------------------------------


def test_every_model_that_ships_is_what_its_card_says() -> None:
    found = [m for m in models.models(read_catalogue(), Path("/nowhere")) if m.path is not None]
    assert {m.name for m in found} >= {"person", "facial_expression_model_weights", "heads"}
    for one in found:
        assert one.sound, f"the card of {one.name} names another SHA-256"
        assert one.card is not None
        assert one.bytes <= 8_000_000


def test_a_shipped_file_that_was_changed_is_named(tmp_path: Path) -> None:
    shutil.copytree(models.WEIGHTS, tmp_path / "weights")
    (tmp_path / "weights/person/person.bin").open("ab").write(b"\0")
    (tmp_path / "weights/stray.onnx").write_bytes(b"who put this here")
    found = {m.name: m.sound for m in models.models(read_catalogue(), tmp_path, tmp_path / "weights")}
    assert found["person"] is False
    assert found["stray"] is False
    assert found["facial_expression_model_weights"] is True


# --- fetching ---------------------------------------------------------------------------------------------------------


def test_the_first_one_seen_is_kept_and_held_to(server: Server, tmp_path: Path) -> None:
    server.answers["/big.pt"] = Answer()
    one = get(server, tmp_path / "models")
    assert one.path is not None
    assert one.path.read_bytes() == WEIGHTS
    assert (one.sound, one.sha256) == (True, {"big.pt": SHA256})
    assert get(server, tmp_path / "models") == one
    assert server.asked == ["/big.pt"]  # what is here is not asked for again
    assert {p.name for p in (tmp_path / "models").iterdir()} == {"big.pt", models.SEEN}

    one.path.unlink()
    server.answers["/big.pt"] = Answer(WEIGHTS[:-1] + b"\1")
    with pytest.raises(ModelsError, match=f"not {SHA256}"):
        get(server, tmp_path / "models")
    assert {p.name for p in (tmp_path / "models").iterdir()} == {models.SEEN}
    server.answers["/big.pt"] = Answer()
    assert get(server, tmp_path / "models") == one


def test_a_pinned_hash_holds_for_the_first_time_too(server: Server, tmp_path: Path) -> None:
    server.answers["/big.pt"] = Answer(b"something else")
    with pytest.raises(ModelsError, match=SHA256):
        get(server, tmp_path, sha256=SHA256)
    assert list(tmp_path.iterdir()) == []
    server.answers["/big.pt"] = Answer()
    assert get(server, tmp_path, sha256=SHA256).sound


def test_a_fetched_file_that_was_changed_is_neither_used_nor_replaced(server: Server, tmp_path: Path) -> None:
    server.answers["/big.pt"] = Answer()
    path = get(server, tmp_path).path
    assert path is not None
    path.write_bytes(b"changed")
    assert [m.sound for m in models.models(catalogue(server), tmp_path, tmp_path)][-1] is False
    with pytest.raises(ModelsError, match="move it away"):
        get(server, tmp_path)
    assert path.read_bytes() == b"changed"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(status=404), "answers 404"),
        (Answer(status=500), "answers 500"),
        (Answer(b""), "broke off"),
        (Answer(WEIGHTS[:1000], promised=len(WEIGHTS)), "broke off|cannot be reached"),
        (Answer(WEIGHTS * 4), "larger than 1,000,000"),
        (Answer(b"", 302, "https://example.com/big.pt"), "example.com, which the catalogue does not name"),
        (Answer(b"", 302, "http://localhost/big.pt"), "which the catalogue does not name"),
        (Answer(b"", 302, "file:///etc/passwd"), "which the catalogue does not name"),
        (Answer(b"", 302, "/big.pt"), "sent on more than 5 times"),
    ],
    ids=repr,
)
def test_what_comes_wrong_is_refused_and_leaves_nothing(
    server: Server, answer: Answer, why: str, tmp_path: Path
) -> None:
    server.answers["/big.pt"] = answer
    with pytest.raises(ModelsError, match=why) as refused:
        get(server, tmp_path)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_among_the_named_hosts_is_followed(server: Server, tmp_path: Path) -> None:
    server.answers |= {"/big.pt": Answer(b"", 302, server.url("/there.pt")), "/there.pt": Answer()}
    assert get(server, tmp_path).sound
    assert server.asked == ["/big.pt", "/there.pt"]


def test_a_server_that_cannot_prove_who_it_is_gets_no_request(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelsError, match="could not prove"):
        fetch("big", catalogue(server), tmp_path)
    assert server.asked == []
    assert list(tmp_path.iterdir()) == []


def test_neither_proxy_nor_password_of_the_environment_is_used(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    server.answers["/big.pt"] = Answer()
    assert get(server, tmp_path).sound


def test_no_network_is_one_line_that_says_what_to_do(server: Server, tmp_path: Path) -> None:
    gone = Server(1, server.ca)
    with pytest.raises(ModelsError, match="name it with --model"):
        get(gone, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("written", [b"{", b"[]", b'{"big": 3}', b"\xff"])
def test_a_broken_record_of_what_was_seen_stops_everything(server: Server, written: bytes, tmp_path: Path) -> None:
    server.answers["/big.pt"] = Answer()
    get(server, tmp_path)
    (tmp_path / models.SEEN).write_bytes(written)
    with pytest.raises(ModelsError, match=models.SEEN):
        get(server, tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        {"url": "http://localhost/big.pt"},
        {"url": "https://me:secret@localhost/big.pt"},
        {"url": "https://localhost/"},
        {"hosts": []},
        {"most_bytes": 0},
        {"sha256": "ab"},
        {"pin": SHA256},
    ],
    ids=repr,
)
def test_a_catalogue_that_leaves_a_door_open_is_refused(more: dict[str, object], tmp_path: Path) -> None:
    table = {"url": "https://localhost/big.pt", "hosts": ["localhost"], "most_bytes": 1, "licence": "", "origin": ""}
    path = tmp_path / "models.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in (table | more).items()]
    path.write_text("[fetch.big]\n" + "\n".join(lines))
    with pytest.raises(ConfigError):
        read_catalogue(path)


def test_the_command_shows_everything_and_refuses_what_it_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAISLE_MODELS", str(tmp_path))
    assert cli.main(["models", "list", "--json"]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["models"]}
    assert found["person"]["sound"]
    assert found["yolov8s"]["path"] is None
    (tmp_path / "yolov8s.pt").write_bytes(b"put here by somebody")
    assert cli.main(["models", "list"]) == 2
    said = capsys.readouterr()
    assert said.err == "openaisle: yolov8s: not as it should be; restore it before anything uses it\n"
    assert "yolov8s: 20 bytes, NOT what it should be" in said.out
    assert cli.main(["models", "fetch", "yolov9000"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
