"""The words with which two people raise a shop's privacy level."""

from __future__ import annotations

from pathlib import Path

ASKS, APPROVES = "ada", "grace"


def words(state: Path, level: str, folder: Path) -> list[list[str]]:
    """Return the commands, one after another: two accounts, a request, an approval.

    Args:
        state: of the shop.
        level: wanted.
        folder: where files with their passwords are written.
    """
    found: list[list[str]] = []
    secrets = {}
    for name, desk in zip((ASKS, APPROVES), ("administrator", "compliance"), strict=True):
        secrets[name] = folder / f"{desk}.password"
        secrets[name].touch(mode=0o600)
        secrets[name].write_text(f"the long password of {desk}\n")
        found.append(["user", "add", name, "--desk", desk, "--password-file", str(secrets[name])])
    found.append(["level", "request", level, "--dpia", "DPIA-7", *_user(ASKS, secrets)])
    found.append(["level", "approve", level, "--dpia", "DPIA-7", *_user(APPROVES, secrets)])
    return [[*one, "--state", str(state)] for one in found]


def _user(name: str, secrets: dict[str, Path]) -> list[str]:
    return ["--user", name, "--password-file", str(secrets[name])]
