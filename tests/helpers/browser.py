"""A real browser without a window, driven by Playwright: Chromium as Debian or the system brings it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    """Return the path of a browser; None if this machine has none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a browser, and end it."""
    found = program()
    assert found, f"found no browser, expected one of {', '.join(NAMES)}"
    # As root, as in a container, Chromium starts only without its sandbox.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=arguments)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(
    browser: Browser, where: Path | str, *, width: int = 1400, height: int = 900, **options: Any
) -> Iterator[Page]:
    """Open a gallery's folder as a file, or an address; errors of the page fail, and so does any use of a network."""
    address = where if isinstance(where, str) else (where / "index.html").as_uri()
    allowed = ("file:", "data:", "blob:", *([where] if isinstance(where, str) else []))
    problems: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    try:
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: request.url.startswith(allowed) or problems.append(request.url))
        page.goto(address)
        page.wait_for_selector(".card, #trouble:not([hidden]), #none:not([hidden]), .run")
        yield page
        assert not problems, problems
    finally:
        context.close()
