"""What every test may rely on: where the browser is, and what happens without one."""

from __future__ import annotations

import os
import shutil

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)


def pytest_report_header() -> str:
    if CHROMIUM:
        return f"browser tests: run in {CHROMIUM}"
    return "browser tests: NOT run, since no Chromium was found (on Debian: apt install chromium)"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if CHROMIUM is None and item.get_closest_marker("browser"):
        if os.environ.get("KERAS_LCB_REQUIRE_BROWSER") == "1":
            pytest.fail("KERAS_LCB_REQUIRE_BROWSER=1 is set, and no Chromium was found")
        pytest.skip("no Chromium was found")


@pytest.fixture(scope="session")
def chromium() -> str | None:
    """The browser's path, for Playwright's `executable_path`; for tests marked `browser`."""
    return CHROMIUM
