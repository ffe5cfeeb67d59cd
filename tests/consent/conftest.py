"""A ledger to work with, and how often to try."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.keys import KeyRing
from consent.ledger import Ledger


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing.create(tmp_path_factory.mktemp("kept") / "keys")


@pytest.fixture
def ledger(tmp_path: Path, keys: KeyRing) -> Iterator[Ledger]:
    state = tmp_path / "state"
    state.mkdir()
    with Ledger(state / "ledger.sqlite", keys, store="main-street") as opened:
        yield opened


@pytest.fixture
def fast_path() -> Iterator[Path]:
    """A directory in memory where there is one, for tests that open hundreds of ledgers and kill no machine."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)
