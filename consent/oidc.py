"""Sign-in by somebody else's word: OpenID Connect (authorization code with PKCE), where store.toml names a provider.

Rules:
- Off unless store.toml names an issuer. Only its host, and those that store.toml names beside it, are called: over
  https with the certificate checked, without a redirect followed, and through no proxy that the environment names.
- Each sign-in has its own state, nonce and PKCE verifier. They are kept here, in memory, for ten minutes and for one
  answer, and tied to the browser that began by a cookie.
- An ID token counts only with a signature of the issuer's own keys (an asymmetric one), the right issuer, audience and
  nonce, and within its time. Nothing else that a provider says is asked for or kept.
- A provider's word makes no account. Somebody here has made one for the address; at the first sign-in it is bound to
  the number under which the provider knows the person, and from then on the number counts, not the address.

authlib and joserfc do what OAuth 2 and JOSE say; what an account may do is none of this module's business.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from consent.events import ConsentError

AWAY_S = 600.0  # for whoever signs in elsewhere
MOST_AWAY = 256  # at once
SKEW_S = 60  # how wrong the provider's clock may be
_TIMEOUT_S = 10.0
_KNOWN_S = 3600.0  # for which the provider's own settings are believed
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderError(ConsentError):
    """The provider does not answer, or what it said is not to be believed; for the process's own log."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What store.toml says.

    Attributes:
        issuer: https address, as the provider writes it.
        client_id: under which it knows this dashboard.
        secret: that goes with it, None for a public client.
        hosts: further hosts that it may name for its endpoints.
        authority: certificate that its own must follow from; None for the machine's own.
        label: on the button.
    """

    issuer: str
    client_id: str
    secret: str | None = field(default=None, repr=False)
    hosts: frozenset[str] = frozenset()
    authority: Path | None = None
    label: str = "your work account"


@dataclass(frozen=True, slots=True)
class Said:
    """For whom the provider vouches.

    Attributes:
        number: SHA-256 of the issuer and the number under which it knows them.
        invited: SHA-256 of the issuer and their address, see `invitation`; None where the provider has not checked it.
    """

    number: bytes
    invited: bytes | None


@dataclass(frozen=True, slots=True)
class _Away:
    state: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    back: str
    until_s: float


class Provider:
    """One provider.

    Args:
        settings: see `Settings`.
        now_s: POSIX seconds, against which a token's time is held.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now_s: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._now_s, self._clock = settings, now_s, clock
        self._hosts = frozenset({_authority_of(settings.issuer), *settings.hosts})
        self._away: dict[bytes, _Away] = {}
        self._known: tuple[float, dict[str, str]] | None = None
        self._lock = threading.Lock()

    @property
    def label(self) -> str:
        """What stands on the button."""
        return self._settings.label

    def begin(self, back: str) -> tuple[str, str]:
        """Begin a sign-in: return the address to which the browser goes, and what its cookie keeps.

        Args:
            back: address of ours to which it comes back.

        Raises:
            ProviderError: the provider does not answer as it should.
        """
        endpoint = self._endpoints()["authorization_endpoint"]
        away = _Away(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            back=back,
            until_s=self._clock() + AWAY_S,
        )
        with self._session(back) as session:
            address, _ = session.create_authorization_url(
                endpoint, state=away.state, nonce=away.nonce, code_verifier=away.verifier
            )
        kept = secrets.token_urlsafe(32)
        with self._lock:
            now_s = self._clock()
            self._away = {key: one for key, one in self._away.items() if one.until_s > now_s}
            while len(self._away) >= MOST_AWAY:
                self._away.pop(next(iter(self._away)))
            self._away[_digest(kept)] = away
        return str(address), kept

    def finish(self, kept: str, answer: Mapping[str, str], back: str) -> Said:
        """Return for whom the provider vouches, by the answer with which the browser came back.

        Args:
            kept: what the browser's cookie kept.
            answer: the query of the address to which it came back.
            back: that address without its query.

        Raises:
            ProviderError: nobody went away like that, or the answer or the token is not to be believed.
        """
        with self._lock:
            away = self._away.pop(_digest(kept), None)
        if away is None or away.until_s <= self._clock() or away.back != back:
            raise ProviderError("nobody went to the sign-in provider from this browser, or too long ago")
        if not hmac.compare_digest(answer.get("state", "").encode(), away.state.encode()):
            raise ProviderError("the sign-in provider's answer carries another state")
        if answer.get("iss", self._settings.issuer) != self._settings.issuer:
            raise ProviderError("the answer is of another sign-in provider")
        if "code" not in answer:
            raise ProviderError("the sign-in provider let nobody in")
        return self._said(self._token(away, answer["code"]), away.nonce)

    # what the provider is asked

    def _token(self, away: _Away, code: str) -> str:
        endpoint = self._endpoints()["token_endpoint"]
        try:
            with self._session(away.back) as session:
                found = session.fetch_token(endpoint, code=code, code_verifier=away.verifier)
        except (AuthlibBaseError, requests.RequestException, ValueError) as error:
            raise ProviderError(f"the sign-in provider gave no token ({type(error).__name__})") from error
        token = found.get("id_token") if isinstance(found, dict) else None
        if not isinstance(token, str):
            raise ProviderError("the sign-in provider gave no ID token")
        return token

    def _said(self, token: str, nonce: str) -> Said:
        settings = self._settings
        claims = jwt.JWTClaimsRegistry(
            now=lambda: int(self._now_s()),
            leeway=SKEW_S,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.client_id},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            keys = KeySet.import_key_set(self._get(self._endpoints()["jwks_uri"]))  # type: ignore[arg-type]
            told = jwt.decode(token, keys, algorithms=_ALGORITHMS).claims
            claims.validate(told)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderError(f"the sign-in provider's token does not hold ({type(error).__name__})") from error
        audience, party = told["aud"], told.get("azp")
        if (isinstance(audience, list) and len(audience) > 1 and party is None) or party not in (
            None,
            settings.client_id,
        ):
            raise ProviderError("the sign-in provider's token is for another party")
        address = told.get("email")
        checked = told.get("email_verified") is True and isinstance(address, str)
        return Said(
            number=_digest(f"{settings.issuer}\n{told['sub']}"),
            invited=invitation(settings.issuer, str(address)) if checked else None,
        )

    def _endpoints(self) -> dict[str, str]:
        """Return the provider's own settings, as long as they name allowed hosts only."""
        with self._lock:
            if self._known is not None and self._known[0] > self._clock():
                return self._known[1]
        told = self._get(f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
        if told.get("issuer") != self._settings.issuer:
            raise ProviderError("the sign-in provider calls itself otherwise than store.toml does")
        found = {name: str(told.get(name, "")) for name in _ENDPOINTS}
        for address in found.values():
            self._check(address)
        with self._lock:
            self._known = (self._clock() + _KNOWN_S, found)
        return found

    def _get(self, address: str) -> dict[str, Any]:
        self._check(address)
        try:
            with self._session("") as session:
                answer = session.get(address, withhold_token=True)
            answer.raise_for_status()
            told = answer.json()
        except (requests.RequestException, AuthlibBaseError, ValueError) as error:
            raise ProviderError(f"the sign-in provider does not answer ({type(error).__name__})") from error
        if not isinstance(told, dict):
            raise ProviderError("the sign-in provider's answer is none")
        return told

    def _check(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme != "https" or not parts.hostname or parts.username or _authority_of(address) not in self._hosts:
            raise ProviderError(f"store.toml does not name the host {parts.hostname!r}; add it to hosts under [oidc]")

    def _session(self, back: str) -> OAuth2Session:
        settings, check = self._settings, self._check

        class Session(OAuth2Session):  # type: ignore[misc]
            """Calls nobody but the named hosts."""

            def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
                check(str(request.url))
                how.update(timeout=_TIMEOUT_S, allow_redirects=False)
                return super().send(request, **how)  # type: ignore[no-any-return]

        session = Session(
            settings.client_id,
            settings.secret,
            token_endpoint_auth_method="client_secret_basic" if settings.secret else "none",
            scope="openid email",
            redirect_uri=back or None,
            code_challenge_method="S256",
        )
        session.trust_env = False
        if settings.authority is not None:
            session.verify = str(settings.authority)
        return session


def invitation(issuer: str, address: str) -> bytes:
    """Return under what an invited address is kept until its first sign-in: SHA-256 of issuer and address."""
    return _digest(f"{issuer}\n{address.strip().casefold()}")


def _authority_of(address: str) -> str:
    """Return host and, where it is named, port of an address."""
    return urlsplit(address).netloc.lower()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
