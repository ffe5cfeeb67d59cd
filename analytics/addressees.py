"""For whom a password is: the one place to which `store.toml` sends it.

Rules:
- A page names the file or the variable of a password, and types an address beside it. Together they are believed only
  where they stand together in `store.toml`: else any password of this machine could be sent to what is called a camera.
- What the broker or the provider is sent, or a camera at another host, no page makes a camera's. By hand it can be.

A file is the same by whatever path or link it is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from analytics.config import CameraTable, ConfigError, StoreFile
from analytics.relay import host_of

Secret = tuple[str, ...]
Place = tuple[str, str, int]  # scheme, host, port


def host(camera: CameraTable) -> str:
    """Return the host that a camera's address names; empty where it names none."""
    return _place(camera)[1]


def known(root: Path, store: StoreFile, camera: CameraTable) -> bool:
    """Say whether a camera's password is sent to its address already, by `store.toml`; True where it has none.

    Args:
        root: the state directory, from which relative paths go.
        store: `store.toml` as it stands.
        camera: as somebody typed it.
    """
    secret = _secret(root, camera.password_env, camera.password_file)
    return secret is None or (secret, _place(camera)) in set(_cameras(root, store))


def refuse_others(root: Path, was: StoreFile, now: StoreFile) -> None:
    """Refuse a change by which a camera would be sent what somebody else is.

    Args:
        root: the state directory.
        was: `store.toml` as it stands.
        now: as it is to stand.

    Raises:
        ConfigError: it would.
    """
    before, after = set(_cameras(root, was)), set(_cameras(root, now))
    broker, provider = now.alerts.mqtt, now.oidc
    others = {
        None if broker is None else _secret(root, broker.password_env, broker.password_file),
        _secret(root, provider.client_secret_env, provider.client_secret_file),
    }
    for secret, place in after - before:
        if secret in others or any(one == secret and at[1] != place[1] for one, at in after):
            raise ConfigError(
                "that password goes to another host by store.toml; name a password of its own for this camera, or edit"
                " store.toml by hand"
            )


def _cameras(root: Path, store: StoreFile) -> Iterator[tuple[Secret, Place]]:
    for camera in store.camera:
        secret = _secret(root, camera.password_env, camera.password_file)
        if secret is not None:
            yield secret, _place(camera)


def _place(camera: CameraTable) -> Place:
    try:
        return (camera.source.partition("://")[0].lower(), *host_of(camera.source))
    except ValueError:
        return ("", "", 0)


def _secret(root: Path, variable: str | None, file: Path | None) -> Secret | None:
    if variable is not None:
        return ("variable", variable)
    if file is None:
        return None
    path = root / file
    try:
        found = path.stat()
    except (OSError, ValueError):
        return ("path", str(path))
    return ("file", str(found.st_dev), str(found.st_ino))
