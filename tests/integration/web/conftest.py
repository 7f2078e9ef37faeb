"""A browser on a running platform. Whatever a page complains of in its console fails the test that opened it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.integration.web.platform import OPERATOR, READER, Platform, platform
from tests.integration.web.visitor import Visitor

ROOT = Path(__file__).resolve().parents[3]
ARTIFACTS = ROOT / "test-artifacts" / "pages"
"""Where screenshots are kept, for people to look at."""


@pytest.fixture(scope="package")
def program() -> str:
    """Debian's Chromium. Continuous integration installs it; who has none is told how to."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("CI"):
        subprocess.run([ROOT / "scripts" / "apt.sh", "chromium"], check=True)
        found = shutil.which("chromium")
    return found or pytest.skip("Chromium is not installed: scripts/apt.sh chromium")


@pytest.fixture(scope="package")
def tejido(program: str, fashion_dir: Path) -> Iterator[Platform]:
    """The platform that all tests in here look at; those who change it put it back."""
    with tempfile.TemporaryDirectory(prefix="tejido-test-") as folder, platform(Path(folder), fashion_dir) as running:
        yield running


@pytest.fixture(scope="package")
def browser(program: str) -> Iterator[Browser]:
    """One headless browser."""
    with sync_playwright() as playwright:
        # Chromium's sandbox needs a user other than root, which containers and CI have not.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, tejido: Platform) -> Iterator[Callable[..., Visitor]]:
    """Opens the site for somebody new: ``visit(locale="es-ES", dark=True, width=390, height=844)``."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    visitors: list[Visitor] = []

    def new(*, locale: str = "en-GB", dark: bool = False, width: int = 1360, height: int = 900) -> Visitor:
        context = browser.new_context(
            base_url=tejido.url,
            locale=locale,
            color_scheme="dark" if dark else "light",
            viewport={"width": width, "height": height},
            has_touch=width < 600,
        )
        visitors.append(Visitor(context.new_page(), tejido, ARTIFACTS))
        return visitors[-1]

    yield new
    for visitor in visitors:
        visitor.page.context.close()
    for visitor in visitors:
        assert visitor.complaints == []


@pytest.fixture
def reader(visit: Callable[..., Visitor]) -> Visitor:
    """Somebody who has signed in, and sees the catalogue."""
    return visit().signed_in_as(READER)


@pytest.fixture
def operator(visit: Callable[..., Visitor]) -> Visitor:
    """An operator who looks at the federation."""
    return visit().signed_in_as(OPERATOR, path="/federation")
