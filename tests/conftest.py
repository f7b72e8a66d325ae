"""What every test may rely on: toy runs made without training, and where the browser is."""

from __future__ import annotations

import gc
import os
import shutil

import hypothesis
import numpy as np
import pytest

from keras_lcb.runs import schema

CHROMIUM = next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)

# Loading leaves a million objects, and hardly any garbage: see `pytest_collection_finish`.
gc.disable()

# On accelerators float32 products have fewer digits unless asked otherwise, the oracles have all.
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")

# Examples take as long as the machine is busy; a deadline would fail tests by chance.
hypothesis.settings.register_profile("keras_lcb", deadline=None)
hypothesis.settings.load_profile("keras_lcb")


def pytest_report_header() -> str:
    if CHROMIUM:
        return f"browser tests: run in {CHROMIUM}"
    return "browser tests: NOT run, since no Chromium was found (on Debian: apt install chromium)"


def pytest_collection_finish() -> None:
    """Keeps TensorFlow's million of objects out of each `gc.collect()`, which takes 0.3 s more."""
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if CHROMIUM is None and item.get_closest_marker("browser"):
        if os.environ.get("KERAS_LCB_REQUIRE_BROWSER") == "1":
            pytest.fail("KERAS_LCB_REQUIRE_BROWSER=1 is set, and no Chromium was found")
        pytest.skip("no Chromium was found")


@pytest.fixture(scope="session")
def chromium() -> str | None:
    """The browser's path, for Playwright's `executable_path`; for tests marked `browser`."""
    return CHROMIUM


def make_run(
    distance=None,
    *,
    rates=(4.0, 2.0, 1.0),
    steps=(0, 10, 20, 30, 40, 60, 80, 100),
    layers=None,
    roles=None,
    kinds=None,
    gradients=True,
    attrs=None,
):
    """Build a run with exponentially falling distances, or with the given ones.

    Args:
        distance: Distances (steps, layers); by default layer l falls like exp(-rates[l] t / T),
            shifted so that it ends at 0.
        rates: How fast each layer falls, shallow first.
        steps: Updates at which there is a record.
        layers: Names; `layer_0` … by default.
        roles: `hidden` for all but the last, which is `head`, by default.
        kinds: `Dense` for all by default.
        gradients: Whether to add gradient, update and parameter norms.
        attrs: More attributes.
    """
    steps = np.asarray(steps)
    if distance is None:
        time = steps[:, None] / steps[-1]
        falling = np.exp(-np.asarray(rates)[None, :] * time)
        distance = 3.0 * (falling - falling[-1])
    distance = np.asarray(distance, dtype=float)
    count = distance.shape[1]
    start = distance[0]
    normalized = np.divide(
        distance, start, out=np.full_like(distance, np.nan), where=(start > 0)[None, :]
    )
    over = ("step", "layer")
    variables = {
        "distance": (over, distance),
        "normalized_distance": (over, normalized),
        "angle": (over, (1.0 - normalized) / 2.0),
        "loss": (("step",), np.r_[np.nan, np.exp(-steps[1:] / steps[-1])]),
        "learning_rate": (("step",), np.full(len(steps), 0.1)),
    }
    if gradients:
        norms = np.linspace(1.0, 2.0, count)[None, :] * np.exp(-steps / steps[-1])[:, None]
        norms[0] = np.nan
        variables["gradient_norm"] = (over, norms)
        variables["update_norm"] = (over, 0.1 * norms)
        variables["parameter_norm"] = (over, np.full((len(steps), count), 5.0))
    coords = {
        "step": steps,
        "epoch": np.arange(len(steps)),
        "wall_time": np.linspace(0.0, 1.0, len(steps)),
        "layer": layers or [f"layer_{depth}" for depth in range(count)],
        "depth": np.arange(count),
        "parameters": np.full(count, 12),
        "kind": kinds or ["Dense"] * count,
        "role": roles or ["hidden"] * (count - 1) + ["head"],
    }
    known = {"reference": "final", "optimizer": "SGD", "provisional": False, "seed": 0}
    return schema.dataset(variables, coords, {**known, **(attrs or {})})


@pytest.fixture
def run_factory():
    """The builder of toy runs; see `make_run`."""
    return make_run
