"""A real browser: Chromium as it is installed, driven by Playwright."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

#: The names of the program on Debian, on Ubuntu and of Chrome.
_NAMES = ("chromium", "chromium-browser", "google-chrome")

#: What axe calls a fault that keeps somebody out.
_SERIOUS = ("serious", "critical")

#: Milliseconds that a page may take on a busy machine.
_PATIENCE = 30_000


@dataclass
class Tab:
    """A page in the browser, and what went wrong or out of it.

    Attributes:
        page: To click on.
        complaints: Errors and warnings on the console, of the content security policy too.
        requests: The addresses that were asked for.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def faults(self, *rules: str) -> list[str]:
        """The serious faults that axe finds, of all its rules or of some.

        A drawing is left out: it is one image with a name to it. It is empty afterwards, since axe takes
        its time for what is left out too.
        """
        self.page.evaluate(
            "document.querySelectorAll('.main-svg').forEach(one => one.replaceChildren())"
        )
        context = {"exclude": [[".main-svg"]]}
        options: dict[str, Any] = {"resultTypes": ["violations"], "selectors": False}
        if rules:
            options["runOnly"] = rules
        answer = Axe().run(self.page, context=context, options=options).response
        found: list[dict[str, Any]] = answer["violations"]
        return [
            f"{one['id']}: {node['html'][:200]}"
            for one in found
            if one["impact"] in _SERIOUS
            for node in one["nodes"]
        ]

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        return int(
            self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
        )


#: Opens a tab: the width of the window in pixels, and `light` or `dark`.
Open = Callable[..., Tab]


@contextmanager
def started() -> Iterator[Browser]:
    """A browser, to be closed by the caller. The test is skipped where none is installed."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(_NAMES)} is installed")
    # Root has no sandbox to give away.
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        yield _launched(playwright, program, ["--no-sandbox"] if is_root else [])


def _launched(playwright: Playwright, program: str, words: list[str]) -> Browser:
    return playwright.chromium.launch(executable_path=program, args=words, timeout=_PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a module: Playwright's loop must not be there when others run theirs."""
    with started() as running:
        yield running
        running.close()


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Open]:
    """Opens tabs that forget everything."""
    contexts: list[BrowserContext] = []

    def opened(*, width: int = 1280, scheme: Any = "light", scripts: bool = True) -> Tab:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
        )
        contexts.append(context)
        context.set_default_timeout(_PATIENCE)
        tab = Tab(context.new_page())
        tab.page.on(
            "console",
            lambda told: (
                tab.complaints.append(told.text) if told.type in {"error", "warning"} else None
            ),
        )
        tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.page.on("request", lambda request: tab.requests.append(request.url))
        return tab

    yield opened
    for context in contexts:
        context.close()
