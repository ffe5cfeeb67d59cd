"""Debian's Chromium for tests: real, quiet, and asking nobody but the page under test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Page, Playwright, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

PATIENCE_MS = 20_000  # how long a page may take to show what is expected of it, on a busy machine
expect.set_options(timeout=PATIENCE_MS)


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong with a page, a line each.

    A page that gives way to the next one while axe reads it is read again, so that a test never meets half of it; and
    a fault counts where it is there a moment later, too: what is drawn gets its focus and its full colour last.
    """
    faults: list[str] = []
    for attempt in range(5):
        page.wait_for_load_state("load")
        try:
            told = Axe().run(page).response
        except Error as error:
            if attempt == 4 or not any(word in error.message for word in ("documentElement", "context was destroyed")):
                raise
            continue
        faults = [f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in told["violations"]]
        if not faults:
            break
        page.wait_for_timeout(400)
    return faults


@contextmanager
def playing() -> Iterator[Playwright]:
    """Start what drives a browser; where there is none, that fails in CI and skips elsewhere."""
    if not CHROMIUM.exists():
        reason = f"no browser at {CHROMIUM}; install Debian's chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        yield playwright


@contextmanager
def chromium() -> Iterator[Browser]:
    """Open a browser; see `playing`."""
    with playing() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
