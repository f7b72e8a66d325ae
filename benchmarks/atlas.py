"""What a reader of the atlas waits for, in headless Chromium.

python -m benchmarks.atlas [--page docs/atlas/index.html] [--rounds 5] [--chromium PATH]

The page is opened from its file, without a cache, in a window of 1280 × 720.

- first picture: from the start of the navigation to the first frame with target and network;
- a slider's answer: from the slider's event to the frame that shows the other training, before
  the prediction, after it (with all panels), and beside another training (with all panels
  twice), over all positions of all sliders;
- size: of all files of the page.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
from pathlib import Path

FIRST_PICTURE_MS, ANSWER_MS = 1000, 50
ROOT = Path(__file__).parents[1]

_FIRST_PICTURE = """
new Promise((resolve) => {
  const look = () => {
    if (document.querySelector('.lcb-functions canvas')) {
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
    } else requestAnimationFrame(look);
  };
  look();
})
"""
_ANSWERS = """
async () => {
  const found = [];
  const frame = () => new Promise(requestAnimationFrame);
  for (const slider of document.querySelectorAll('.lcb-dials input[type=range]')) {
    for (let value = 0; value <= Number(slider.max); value += 1) {
      await frame();
      const start = performance.now();
      slider.value = value;
      slider.dispatchEvent(new Event('input'));
      await frame();
      document.body.offsetHeight;
      found.push(performance.now() - start);
      await frame();
    }
  }
  return found;
}
"""

# What is pressed before each measurement.
_STAGES = {
    "before the prediction": (),
    "after it": ("About the same", "Pause"),
    "beside another training": ("Keep this one as A",),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "atlas" / "index.html")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="default: the first")
    options = parser.parse_args(arguments)
    for sentence in report(options.page, options.rounds, options.chromium):
        print(sentence)


def report(page: Path, rounds: int, chromium: str | None) -> list[str]:
    """What was measured, in sentences."""
    first, answers = measure(page, rounds, chromium)
    size = sum(file.stat().st_size for file in page.parent.iterdir())
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        f"load average {load} (1, 5, 15 minutes)",
        f"first picture: {_spread(first)} (to reach: {FIRST_PICTURE_MS} ms)",
        *(
            f"a slider's answer {when}: {_spread(took)} (to reach: {ANSWER_MS} ms)"
            for when, took in answers.items()
        ),
        f"size: {size / 1e6:.2f} MB",
    ]


def measure(
    page: Path, rounds: int, chromium: str | None
) -> tuple[list[float], dict[str, list[float]]]:
    """Milliseconds to the first picture, and of a slider's answers, by what is shown."""
    from playwright.sync_api import sync_playwright

    first: list[float] = []
    answers: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(rounds):
            tab = browser.new_page(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
            tab.goto(page.resolve().as_uri(), wait_until="commit")
            first.append(tab.evaluate(_FIRST_PICTURE))
            for when, buttons in _STAGES.items():
                for name in buttons:
                    tab.get_by_role("button", name=name).click()
                answers.setdefault(when, []).extend(tab.evaluate(_ANSWERS))
            tab.close()
        browser.close()
    return first, answers


def _spread(values: list[float]) -> str:
    worst = sorted(values)[int(0.95 * (len(values) - 1))]
    return f"{statistics.median(values):.0f} ms, 95 % below {worst:.0f} ms, {len(values)} times"


if __name__ == "__main__":
    main()
