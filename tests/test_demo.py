"""The demonstration, as `make demo` runs it."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import xarray as xr

import keras_lcb as lcb
import keras_lcb_cli as cli

LAYERS = {
    "images": [*(f"conv_{index}" for index in range(6)), "head"],
    "sines": [*(f"layer_{index}" for index in range(5)), "readout"],
}
UPDATES = {"images": 800, "sines": 6000}


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "new folder"
    patch = pytest.MonkeyPatch()
    printed: list[str] = []
    patch.setattr("builtins.print", lambda *words, **_: printed.append(" ".join(map(str, words))))
    try:
        code = cli.main(["demo", "--out", str(out), "--seed", "5"])
    finally:
        patch.undo()
    return code, out, "\n".join(printed)


def test_it_writes_two_runs_and_two_reports(demonstration):
    code, out, _ = demonstration
    assert code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "images.nc",
        "report-images.html",
        "report-sines.html",
        "sines.nc",
    ]


def test_it_says_what_was_looked_at_and_which_seed_is_another(demonstration):
    _, _, printed = demonstration
    assert "% of 359 held-out images are recognised." in printed
    assert "try --seed 0." in printed


@pytest.mark.parametrize("name", LAYERS)
def test_the_runs_hold_both_callbacks_records(demonstration, name):
    _, out, _ = demonstration
    run = lcb.load_run(out / f"{name}.nc")
    assert run["layer"].values.tolist() == LAYERS[name]
    assert run["step"].values[[0, -1]].tolist() == [0, UPDATES[name]]
    assert np.isfinite(run["gradient_norm"].values[1:]).all()
    np.testing.assert_allclose(
        run["normalized_distance"].values[[0, -1]], [[1.0], [0.0]] * np.ones(len(LAYERS[name]))
    )
    assert float(run["loss"][-1]) < 0.3 * float(run["loss"][1])
    with xr.open_dataset(out / f"{name}.nc") as plain:
        assert plain.attrs["seed"] == 5
        assert json.loads(plain.attrs["settings"])["command"] == (
            f"keras-lcb demo --data digits --backend {keras.backend.backend()} --seed 5"
        )


@pytest.mark.parametrize("name", LAYERS)
def test_tables_and_verdicts_are_printed(demonstration, name):
    _, out, printed = demonstration
    run = lcb.load_run(out / f"{name}.nc")
    assert all(f"\n{layer} " in printed for layer in LAYERS[name])
    assert " ".join(str(lcb.convergence_bias(run)).split()) in " ".join(printed.split())
    assert str(out / f"report-{name}.html") in printed


def test_the_images_are_learned(demonstration):
    _, _, printed = demonstration
    share = int(printed.split("% of 359 held-out images")[0].split("\n")[-1])
    assert share > 70
