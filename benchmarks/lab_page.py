"""How long a learner waits for a page of the lab, and what a second page costs.

python -m benchmarks.lab_page [--rounds 5] [--chromium PATH]

Each round starts `keras-lcb lab`, opens its page in headless Chromium as soon as the command prints
the address, and presses Start.

- usable: from the command to the frame in which the target is drawn and the first control answers;
- complete: from the command until the untrained network is drawn too, for which Keras was loaded;
- first picture: from Start to the first picture of the training, if Start is pressed two seconds
  after the page is complete, so that the learner has read the question and predicted;
- pressed at once: the same on a second page, if Start is pressed as soon as that is complete;
- pictures a second: of that training, as the page draws them. There is one for each record at
  most, so what can be reached depends on the training;
- records drawn: the share of the records that became a picture;
- second page: memory (proportional set size) of all processes of the server with two pages that
  have trained, over that with one.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, sentence

USABLE_S, FIRST_PICTURE_S, PICTURES, SECOND_PAGE_MB = 4.0, 0.5, 15.0, 300.0
_DRAWN = "document.querySelectorAll('.keras-lcb-lab .lcb-functions canvas').length > 0"
_READS_S = 2.0
_RECORDS = 101  # of the first preset, with the one before training
# The error of the untrained network, whose outline has none.
_READING = "document.querySelector('.lcb-functions .lcb-reading')"
_PREDICTED = f"{_READING}?.innerText.match(/: \\d/)"
# The scrubber's text changes with each picture of a training.
_COUNT = """
() => {
  window.pictures = [];
  const told = document.querySelector('.lcb-scrubber output');
  new MutationObserver(() => window.pictures.push(performance.now()))
    .observe(told, {childList: true, characterData: true, subtree: true});
}
"""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="default: the first")
    options = parser.parse_args(arguments)
    print(sentence(describe()))
    measured = [measure(options.chromium) for _ in range(options.rounds)]
    for name, unit, wanted, least in (
        ("usable", "s", USABLE_S, False),
        ("complete", "s", None, False),
        ("first picture", "s", FIRST_PICTURE_S, False),
        ("pressed at once", "s", None, False),
        ("pictures a second", "", PICTURES, True),
        ("records drawn", "of 1", None, True),
        ("second page", "MB", SECOND_PAGE_MB, False),
    ):
        values = sorted(one[name] for one in measured)
        value, spread = statistics.median(values), f"{values[0]:.2f} to {values[-1]:.2f}"
        verdict = ""
        if wanted is not None:
            reached = value >= wanted if least else value <= wanted
            bound = f"{'at least' if least else 'at most'} {wanted:g}"
            verdict = f"; {bound}: {'reached' if reached else 'NOT reached'}"
        print(f"{name}: {value:.2f} {unit} ({spread} in {len(values)} rounds){verdict}")


def measure(chromium: str | None) -> dict[str, float]:
    """Returns the figures of one round, by name."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        began = time.perf_counter()
        with _served() as (address, server):
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(address, wait_until="commit")
            page.wait_for_function(_DRAWN)
            slider = page.get_by_role("slider", name="Depth", exact=True)
            slider.focus()
            before = page.locator(".lcb-network").inner_text()
            page.keyboard.press("ArrowRight")
            _until(lambda: page.locator(".lcb-network").inner_text() != before)
            found = {"usable": time.perf_counter() - began}
            page.wait_for_function(_PREDICTED)
            found["complete"] = time.perf_counter() - began
            time.sleep(_READS_S)
            found |= _trained(page)
            with_one = _memory(server)
            second = browser.new_page(viewport={"width": 1280, "height": 720})
            second.goto(address, wait_until="commit")
            second.wait_for_function(_PREDICTED)
            found["pressed at once"] = _trained(second)["first picture"]
            found["second page"] = _memory(server) - with_one
        browser.close()
    return found


def _trained(page: Any) -> dict[str, float]:
    """Trains once on a page, and returns how soon and how often it drew."""
    page.locator(".keras-lcb-predict label", has_text="a shallow layer").click()
    start = page.get_by_role("button", name="Start", exact=True)
    _until(start.is_enabled)
    page.evaluate(_COUNT)
    pressed = page.evaluate("performance.now()")
    start.click()
    _until(lambda: "Run 1" in page.locator(".keras-lcb-sentence").inner_text())
    pictures = [moment for moment in page.evaluate("window.pictures") if moment > pressed]
    lasted = (pictures[-1] - pictures[0]) / 1000
    return {
        "first picture": (pictures[0] - pressed) / 1000,
        "pictures a second": (len(pictures) - 1) / lasted,
        "records drawn": len(pictures) / _RECORDS,
    }


@contextmanager
def _served() -> Iterator[tuple[str, int]]:
    """Runs the command, and yields the page's address and the process."""
    command = [sys.executable, "-m", "keras_lcb_cli", "lab", "--no-browser"]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
        assert server.stdout is not None
        try:
            found = (re.search(r"The lab is at (\S+)", line) for line in server.stdout)
            yield next(match[1] for match in found if match), server.pid
        finally:
            server.terminate()
            server.wait(30)


def _memory(process: int) -> float:
    """Returns the MB that a process and all that it started take, shared pages counted once."""
    tasks = Path(f"/proc/{process}/task")
    children = [int(one) for task in tasks.iterdir() for one in _read(task / "children").split()]
    own = re.search(r"^Pss:\s+(\d+) kB", _read(Path(f"/proc/{process}/smaps_rollup")), re.M)
    return (int(own[1]) / 1000 if own else 0.0) + sum(map(_memory, children))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""


def _until(condition: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("The page does not do what it should.")
        time.sleep(0.005)


if __name__ == "__main__":
    main()
