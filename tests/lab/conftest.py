"""A browser, and servers that a test starts and ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

# For what only a busy machine makes slow: a test waits for what it wants to see, not so long.
PATIENCE = 120

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def until(condition: Callable[[], object], seconds: float = PATIENCE, every: float = 0.05) -> float:
    """Wait until a condition holds; return how long it took."""
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        assert waited < seconds, f"not so after {seconds} s"
        time.sleep(every)
    return time.monotonic() - start


@dataclass
class Server:
    """A server that runs: where, as what, and what it wrote."""

    address: str
    process: subprocess.Popen
    log: Path

    def kernels(self) -> list[int]:
        """Processes of its kernels."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                command = (folder / "cmdline").read_bytes()
            except OSError:  # It ended meanwhile.
                continue
            if parent == self.process.pid and b"ipykernel" in command:
                found.append(int(folder.name))
        return found


@contextmanager
def running(command: Sequence[str], folder: Path, **environment: str) -> Iterator[Server]:
    """Start a server, wait until it tells its address, and end it after use."""
    quiet = {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "BROWSER": "true",
    }
    log = folder / "server.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, *command],
            stdout=written,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **quiet, **environment},
        )
        try:
            until(lambda: address_in(log) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield Server(address_in(log), process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def address_in(log: Path) -> str:
    found = re.search(r"http://127\.0\.0\.1:\S+token=\w+", log.read_text())
    return found[0] if found else ""


@pytest.fixture(scope="module")
def context(chromium, tmp_path_factory):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=chromium,
            headless=True,
            args=FLAGS,
            viewport={"width": 1280, "height": 720},
        )
        context.set_default_timeout(1000 * PATIENCE)
        yield context
        context.close()


@pytest.fixture
def visit(context):
    """Opens an address in a page of its own; what the page complained of must be nothing."""
    pages, complaints = [], []

    def visit(address: str):
        page = context.new_page()
        pages.append(page)
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.goto(address)
        return page

    yield visit
    for page in pages:
        if not page.is_closed():
            page.close()
    assert complaints == []
