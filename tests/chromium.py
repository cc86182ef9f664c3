"""A headless Chromium for the tests of pages: the one that CHROMIUM names, or one in the PATH; driven by playwright."""

import os
import shutil
from contextlib import contextmanager

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright, which drives the browser, is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NO_LIMIT = 0
"""Playwright's timeout that never ends a wait."""
WITH_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason=f"no Chromium: set CHROMIUM, or install one of {NAMES}")


@contextmanager
def running():
    """A started browser."""
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS), timeout=NO_LIMIT)
        yield started
        started.close()


@contextmanager
def opened(browser, path, *, url=None, expects_complaints=False, **options):
    """A page that must neither complain nor request anything but itself; with `url`, as if a server had sent it."""
    options = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"} | options
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(NO_LIMIT)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    if url:
        page.route(url, lambda route: route.fulfill(path=path, content_type="text/html"))
    page.goto(url or path.as_uri())
    yield page
    context.close()
    assert bool(said) is expects_complaints, said
    assert set(asked) == {url or path.as_uri()}
