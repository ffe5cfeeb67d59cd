"""Sign-in by somebody else's word: OpenID Connect, where store.toml names a provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consent.events import ConsentError


class ProviderError(ConsentError):
    """The provider, or what it said, is not to be believed."""


@dataclass(frozen=True, slots=True)
class Said:
    number: bytes
    invited: bytes | None


class Provider:
    label: str

    def begin(self, back: str) -> tuple[str, str]:
        raise ProviderError("not yet")

    def finish(self, kept: str, answer: Mapping[str, str], back: str) -> Said:
        raise ProviderError("not yet")
