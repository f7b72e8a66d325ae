"""The site in a real browser: its search, and its width on a telephone."""

from __future__ import annotations

import functools
import http.server
import threading

import pytest

from tests.viewer.test_in_browser import browser  # noqa: F401

pytestmark = pytest.mark.browser


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address(site):
    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_search_finds_in_one_try(address, browser):  # noqa: F811
    page = browser.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith(address) or complaints.append(asked.url))
    for asked, page_of_answer in [
        ("LayerConvergence", "generated/api/keras_lcb.html#keras_lcb.LayerConvergence"),
        ("mixed precision", "recipes/mixed-precision.html"),
        ("freeze", "recipes/freezing.html"),
    ]:
        page.goto(address)
        page.get_by_role("textbox", name="Search").fill(asked)
        page.keyboard.press("Enter")
        page.get_by_text("Search finished").wait_for()
        first = page.locator("#search-results li a").first
        assert first.get_attribute("href").split("?")[0] == page_of_answer, asked
    page.close()
    assert complaints == []


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(address, site, browser, width):  # noqa: F811
    page = browser.new_page(viewport={"width": width, "height": 800})
    too_wide = []
    for path in sorted(site.rglob("*.html")):
        page.goto(address + str(path.relative_to(site)), wait_until="domcontentloaded")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            too_wide.append(path.name)
    page.close()
    assert too_wide == []


def test_the_results_are_four_screens(address, browser):  # noqa: F811
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address + "RESULTS.html", wait_until="domcontentloaded")
    screens = page.evaluate("document.documentElement.scrollHeight / innerHeight")
    page.close()
    assert screens <= 4
