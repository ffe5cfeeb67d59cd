"""Sign-in by a provider's word, against a small provider of our own behind real TLS."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from starlette.responses import JSONResponse, RedirectResponse

from consent.accounts import Accounts
from consent.desks import Desk
from consent.oidc import AWAY_S, MOST_AWAY, Provider, ProviderError, Settings, invitation
from tests.consent.provider import CLIENT, SECRET, Somewhere
from tests.consent.served import Served, certificate, serve
from tests.consent.shop import NOON

BACK = "http://127.0.0.1:8501/sign-in/back"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Somewhere, Served]]:
    somewhere = Somewhere()
    with serve(somewhere.app(), certificate(tmp_path_factory.mktemp("certs"))) as served:
        somewhere.issuer = served.url
        yield somewhere, served


@pytest.fixture
def somewhere(there: tuple[Somewhere, Served]) -> Somewhere:
    fresh = Somewhere(key=there[0].key)
    for name in ("claims", "sign", "settings", "answer"):
        setattr(there[0], name, getattr(fresh, name))
    there[0].calls.clear()
    return there[0]


@pytest.fixture
def provider(there: tuple[Somewhere, Served], somewhere: Somewhere) -> Provider:
    return Provider(settings(there[1]))


def settings(served: Served, **more: Any) -> Settings:
    told = {"issuer": served.url, "client_id": CLIENT, "secret": SECRET, "authority": served.made.authority, **more}
    return Settings(**told)


def away(provider: Provider, somewhere: Somewhere) -> str:
    """Let a browser go there, and return what its cookie keeps."""
    address, kept = provider.begin(BACK)
    somewhere.asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    return kept


def back(somewhere: Somewhere) -> dict[str, str]:
    return {"code": "the-code", "state": somewhere.asked["state"]}


def test_somebody_signs_in_there(provider: Provider, somewhere: Somewhere) -> None:
    kept = away(provider, somewhere)
    asked = somewhere.asked
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == BACK
    assert set(asked["scope"].split()) == {"openid", "email"}
    assert min(len(asked["state"]), len(asked["nonce"]), len(asked["code_challenge"])) >= 43
    said = provider.finish(kept, back(somewhere), BACK)
    assert said.invited == invitation(somewhere.issuer, " ada@SHOP.example")
    other = away(provider, somewhere)
    assert somewhere.asked["nonce"] != asked["nonce"]
    assert provider.finish(other, back(somewhere), BACK).number == said.number


def test_an_answer_counts_once_and_in_the_browser_that_asked(provider: Provider, somewhere: Somewhere) -> None:
    kept = away(provider, somewhere)
    with pytest.raises(ProviderError, match="from this browser"):
        provider.finish("another browser's", back(somewhere), BACK)
    provider.finish(kept, back(somewhere), BACK)
    with pytest.raises(ProviderError, match="from this browser"):
        provider.finish(kept, back(somewhere), BACK)


@pytest.mark.parametrize(
    "answer",
    [
        {"state": "x"},
        {"state": ""},
        {"iss": "https://evil.example"},
        {"code": ""},
        {"code": "another"},
    ],
)
def test_another_state_issuer_or_code_is_refused(
    provider: Provider, somewhere: Somewhere, answer: dict[str, str]
) -> None:
    kept = away(provider, somewhere)
    with pytest.raises(ProviderError):
        provider.finish(kept, {**back(somewhere), **answer}, BACK)


def test_an_answer_without_a_code_or_to_another_address_is_refused(provider: Provider, somewhere: Somewhere) -> None:
    kept = away(provider, somewhere)
    with pytest.raises(ProviderError, match="nobody in"):
        provider.finish(kept, {"state": somewhere.asked["state"], "error": "access_denied"}, BACK)
    kept = away(provider, somewhere)
    with pytest.raises(ProviderError, match="from this browser"):
        provider.finish(kept, back(somewhere), "http://localhost:8501/sign-in/back")
    assert "token" not in somewhere.calls


def test_another_verifier_gets_no_token(provider: Provider, somewhere: Somewhere) -> None:
    kept = away(provider, somewhere)
    somewhere.asked["code_challenge"] = "x" * 43
    with pytest.raises(ProviderError, match="gave no token"):
        provider.finish(kept, back(somewhere), BACK)


NOW = int(time.time())


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another client"},
        {"aud": ["another client"]},
        {"aud": []},
        {"aud": None},
        {"aud": [CLIENT, "another client"]},  # for several, and nobody says for whom
        {"aud": [CLIENT, "another client"], "azp": "another client"},
        {"azp": "another client"},
        {"exp": NOW - 3600},
        {"exp": None},
        {"exp": "soon"},
        {"iat": NOW + 3600},
        {"iat": None},
        {"nbf": NOW + 3600},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
        {"sub": 7},
    ],
    ids="-".join,
)
def test_a_token_that_says_something_else_is_refused(
    provider: Provider, somewhere: Somewhere, change: dict[str, Any]
) -> None:
    def changed(told: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in {**told, **change}.items() if value is not None}

    kept = away(provider, somewhere)
    somewhere.claims = changed
    with pytest.raises(ProviderError):
        provider.finish(kept, back(somewhere), BACK)


def unsigned(told: dict[str, Any]) -> str:
    parts = [json.dumps(one).encode() for one in ({"alg": "none"}, told)]
    return ".".join(base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in parts) + "."


def strange(told: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "k1"}, told, RSAKey.generate_key(2048, {"kid": "k1"}))


@pytest.mark.parametrize("how", ["none", "another key", "symmetric", "cut", "no token"])
def test_a_token_that_the_issuer_did_not_sign_is_refused(provider: Provider, somewhere: Somewhere, how: str) -> None:
    def symmetric(told: dict[str, Any]) -> str:
        public = somewhere.key.as_pem(private=False)
        return jwt.encode({"alg": "HS256", "kid": "k1"}, told, OctKey.import_key(public.ljust(64, b"x")[:64]))

    def cut(told: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": "k1"}, told, somewhere.key)[:-8]

    kept = away(provider, somewhere)
    ways = {"none": unsigned, "another key": strange, "symmetric": symmetric, "cut": cut}
    if how == "no token":
        somewhere.answer = lambda: JSONResponse({"access_token": "x", "token_type": "Bearer"})
    else:
        somewhere.sign = ways[how]
    with pytest.raises(ProviderError):
        provider.finish(kept, back(somewhere), BACK)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("address", ["https://evil.example/x", "http://localhost/x", "", "https://user@localhost/x"])
def test_a_host_that_store_toml_does_not_name_is_not_called(
    there: tuple[Somewhere, Served], somewhere: Somewhere, name: str, address: str
) -> None:
    somewhere.settings = lambda told: {**told, name: address}
    provider = Provider(settings(there[1]))
    with pytest.raises(ProviderError, match="does not name the host"):
        provider.begin(BACK)
    assert somewhere.calls == ["settings"]


def test_a_host_that_store_toml_names_may_be_another(there: tuple[Somewhere, Served], somewhere: Somewhere) -> None:
    here = there[1].url.replace("localhost", "127.0.0.1")
    somewhere.settings = lambda told: {**told, "token_endpoint": f"{here}/token"}
    provider = Provider(settings(there[1], hosts=frozenset({here.removeprefix("https://")})))
    kept = away(provider, somewhere)
    assert provider.finish(kept, back(somewhere), BACK).invited is not None


def test_a_provider_that_calls_itself_otherwise_is_refused(
    there: tuple[Somewhere, Served], somewhere: Somewhere
) -> None:
    somewhere.settings = lambda told: {**told, "issuer": "https://evil.example"}
    with pytest.raises(ProviderError, match="calls itself"):
        Provider(settings(there[1])).begin(BACK)


def test_a_provider_whose_certificate_is_not_trusted_or_that_leads_elsewhere_is_refused(
    there: tuple[Somewhere, Served], somewhere: Somewhere
) -> None:
    with pytest.raises(ProviderError, match="does not answer"):
        Provider(settings(there[1], authority=None)).begin(BACK)
    assert somewhere.calls == []
    kept = away(leads := Provider(settings(there[1])), somewhere)
    somewhere.answer = lambda: RedirectResponse("https://evil.example/token", 307)
    with pytest.raises(ProviderError):
        leads.finish(kept, back(somewhere), BACK)


def test_no_proxy_of_the_environment_is_asked(
    there: tuple[Somewhere, Served], somewhere: Somewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as (port, heard):
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        provider = Provider(settings(there[1]))
        kept = away(provider, somewhere)
        provider.finish(kept, back(somewhere), BACK)
        assert heard == []


@contextmanager
def listening() -> Iterator[tuple[int, list[str]]]:
    heard: list[str] = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            heard.append(self.path)
            self.send_error(502)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port, heard
        finally:
            server.shutdown()
            thread.join(10)


def test_who_goes_away_and_does_not_come_back_is_forgotten(
    there: tuple[Somewhere, Served], somewhere: Somewhere
) -> None:
    now = [0.0]
    provider = Provider(settings(there[1]), clock=lambda: now[0])
    late = away(provider, somewhere)
    now[0] = AWAY_S
    with pytest.raises(ProviderError, match="too long ago"):
        provider.finish(late, back(somewhere), BACK)
    first = provider.begin(BACK)[1]
    for _ in range(MOST_AWAY):
        provider.begin(BACK)
    with pytest.raises(ProviderError, match="from this browser"):
        provider.finish(first, {}, BACK)


@pytest.mark.parametrize("claim", [{"email_verified": False}, {"email_verified": "true"}, {"email": None}])
def test_an_address_that_the_provider_has_not_checked_opens_no_account(
    provider: Provider, somewhere: Somewhere, claim: dict[str, Any]
) -> None:
    kept = away(provider, somewhere)
    somewhere.claims = lambda told: {**told, **claim}
    assert provider.finish(kept, back(somewhere), BACK).invited is None


def test_an_invitation_counts_once_and_then_the_number_does(tmp_path: Path) -> None:
    with Accounts(tmp_path / "access.sqlite") as accounts:
        her = accounts.add("Ada", Desk.MANAGER, now_us=NOON, invited=invitation("https://i", "ada@shop.example"))
        number, another = b"1" * 32, b"2" * 32
        assert accounts.by_provider(number, None) is None
        assert accounts.by_provider(number, invitation("https://j", "ada@shop.example")) is None
        assert accounts.by_provider(number, invitation("https://i", "ada@shop.example")) == her
        assert accounts.by_provider(number, None) == her
        assert accounts.by_provider(another, invitation("https://i", "ada@shop.example")) is None
        assert accounts.check("Ada", "") is None  # and there is no password
