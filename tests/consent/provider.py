"""A small provider of OpenID Connect on this machine: real TLS, real signatures, and answers as a test wishes."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "dashboard", "the client's own secret"


@dataclass
class Somewhere:
    """A provider: hands out one code, and a token for it, as a test wishes."""

    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"}))
    issuer: str = ""
    asked: dict[str, str] = field(default_factory=dict)  # what the browser brought
    calls: list[str] = field(default_factory=list)
    claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda told: told
    sign: Callable[[dict[str, Any]], str] | None = None
    settings: Callable[[dict[str, Any]], dict[str, Any]] = lambda told: told
    answer: Callable[[], Response] | None = None

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._settings),
                Route("/keys", self._keys),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _settings(self, _: Request) -> Response:
        self.calls.append("settings")
        told = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        return JSONResponse(self.settings(told))

    async def _keys(self, _: Request) -> Response:
        self.calls.append("keys")
        return JSONResponse(KeySet([self.key]).as_dict(private=False))

    async def _token(self, request: Request) -> Response:
        self.calls.append("token")
        if self.answer is not None:
            return self.answer()
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if (
            form.get("code") != "the-code"
            or form.get("redirect_uri") != self.asked["redirect_uri"]
            or proof != self.asked["code_challenge"]
            or request.headers.get("authorization") != f"Basic {basic}"
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        told = self.claims(
            {
                "iss": self.issuer,
                "aud": CLIENT,
                "sub": "248289761001",
                "nonce": self.asked["nonce"],
                "iat": now,
                "exp": now + 300,
                "email": "Ada@shop.example",
                "email_verified": True,
            }
        )
        token = self.sign(told) if self.sign else jwt.encode({"alg": "RS256", "kid": "k1"}, told, self.key)
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": token})
