"""Somebody with a browser: opens pages, signs in, looks, and writes down whatever a page complains of."""

from __future__ import annotations

import re
import time
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

from tests.integration.web.platform import Platform

PATIENCE_MS = 20_000
LEFT = "net::ERR_ABORTED"
"""What the browser calls a request whose answer nobody waits for any more: a newer search took its place."""

HAND_OVER = """(access) =>
    sessionStorage.setItem("session", JSON.stringify({access, refresh: null, endsAt: Date.now() + 240_000}))"""


class Visitor:
    """One browser with one page.

    Args:
        page: a fresh one.
        platform: whose pages it opens.
        artifacts: where screenshots go.
    """

    def __init__(self, page: Page, platform: Platform, artifacts: Path) -> None:
        self.page, self._platform, self._artifacts = page, platform, artifacts
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("requestfailed", self._failed)

    def at(self, path: str = "/") -> Visitor:
        """Open a page of the site."""
        self.page.goto(path)
        return self

    def signed_in_as(self, name: str, *, path: str = "/") -> Visitor:
        """Open a page as somebody who comes from another one of the site, with an access token and no other."""
        self.at(path)
        self.page.evaluate(HAND_OVER, self._platform.token(name))
        self.page.reload()
        return self.settled()

    def sign_in(self, name: str, password: str) -> None:
        """Fill in the dialog that is open."""
        self.page.locator("[name=username]").fill(name)
        self.page.locator("[name=password]").fill(password)
        self.page.locator("[name=password]").press("Enter")

    def settled(self) -> Visitor:
        """Wait until no answer is on its way any more."""
        expect(self.page.locator(".skeleton")).to_have_count(0)
        self.page.wait_for_load_state("networkidle" if self.page.locator("#results").count() else "load")
        return self

    def search(self, words: str) -> Visitor:
        """Search by words."""
        self.page.locator("#text").fill(words)
        self.page.locator("#text").press("Enter")
        expect(self.facts).to_contain_text(re.compile("model|modelo"))
        return self.settled()

    @property
    def cards(self) -> Locator:
        """The products that are shown."""
        return self.page.locator(".card:not(.skeleton)")

    @property
    def titles(self) -> list[str]:
        """Their titles, in order."""
        return self.page.locator(".card h3").all_text_contents()

    @property
    def facts(self) -> Locator:
        """What the page says about the results."""
        return self.page.locator("#facts")

    def chip(self, key: str) -> Locator:
        """The chip of ``attribute=value``."""
        return self.page.locator(f'#facets [data-chip="{key}"]')

    def photograph(self, name: str, *, whole: bool = False) -> Visitor:
        """Keep what the page looks like now; ``whole``: below the window too."""
        self.until("[...document.querySelectorAll('.picture img[src]')].every((image) => image.complete)")
        self.page.wait_for_timeout(350)  # fading in
        self.page.screenshot(path=self._artifacts / f"{name}.png", full_page=whole)
        return self

    def until(self, expression: str) -> None:
        """Wait until it is so. Playwright's own way would evaluate text in the page, which its policy forbids."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, expression
            self.page.wait_for_timeout(50)

    def forgive(self, pattern: str) -> None:
        """Drop the complaints that this test has caused on purpose; there must be one."""
        assert [complaint for complaint in self.complaints if re.search(pattern, complaint)], self.complaints
        self.complaints = [complaint for complaint in self.complaints if not re.search(pattern, complaint)]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _failed(self, request: Request) -> None:
        if request.failure != LEFT:
            self.complaints.append(f"failed: {request.url}: {request.failure}")
