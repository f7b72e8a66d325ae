import base64
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from keras_lcb.runs import example_run, schema
from keras_lcb.synthetic import Config, run
from keras_lcb.viewer.compact import compact
from tests.viewer.test_encoding import decoded

FIXTURE = Path(__file__).parents[2] / "viewer" / "tests" / "form.json"


def values(form, name):
    return decoded(form["variables"][name])


def test_the_numbers_are_those_of_the_run(run_factory):
    given = run_factory()
    form = compact(given)
    assert form["steps"] == given.step.values.tolist()
    np.testing.assert_array_equal(
        values(form, "distance"), given.distance.values.astype(np.float32)
    )
    # Before training there is no gradient, and so no record.
    assert form["variables"]["gradient_norm"]["at"] == form["steps"][1:]
    np.testing.assert_array_equal(
        values(form, "gradient_norm"), given.gradient_norm.values[1:].astype(np.float32)
    )
    assert form["variables"]["loss"]["dims"] == []
    assert form["layers"][2] == {
        "name": "layer_2",
        "block": "layer_2",
        "kind": "Dense",
        "role": "head",
        "parameters": 12,
    }


def test_it_is_json_without_nan(run_factory):
    given = run_factory(attrs={"learning_rate": np.float32(0.1)})
    form = json.loads(json.dumps(compact(given), allow_nan=False))
    assert form["attributes"]["learning_rate"] == pytest.approx(0.1)
    given.attrs["learning_rate"] = float("nan")
    given["distance"][0] = 1e300
    form = json.loads(json.dumps(compact(given), allow_nan=False))
    assert "learning_rate" not in form["attributes"]
    assert np.isposinf(values(form, "distance")[0]).all()


def test_every_kind_of_quantity_of_a_run_is_kept():
    form = compact(run(Config(depth=2, width=8, updates=20, record_every=10)))
    dims = {name: described["dims"] for name, described in form["variables"].items()}
    assert dims["frequency_share"] == ["layer", "frequency"]
    assert dims["frequency_error"] == ["frequency"]
    assert dims["normalized_distance"] == ["layer"]
    assert form["axes"]["frequency"] == [1, 3, 10, 30]


def test_functions_are_kept_at_fewer_points():
    from keras_lcb.atlas.functions import run as with_functions

    given = with_functions(Config(depth=2, width=8, points=128, updates=20, record_every=10))
    form = compact(given, points=32)
    assert len(form["axes"]["x"]) == 32
    kept = np.searchsorted(given.x.values, form["axes"]["x"])
    np.testing.assert_array_equal(
        values(form, "prediction"), given.prediction.values[:, kept].astype(np.float32)
    )
    assert form["variables"]["target"]["at"] == []
    assert values(form, "contribution").shape == (3, 3, 32)


def test_each_update_is_a_quantity_of_its_own(run_factory):
    given = run_factory().assign_coords(update=np.arange(1, 101))
    given["gradient_norm_per_update"] = (("update", "layer"), np.ones((100, 3)))
    described = compact(given)["variables"]["gradient_norm_per_update"]
    assert described["at"] == list(range(1, 101)) and described["dims"] == ["layer"]


def test_a_further_dimension_makes_a_quantity_for_each_of_its_values():
    given = example_run()
    form = compact(given)
    described = form["variables"]["gradient_cosine/step_size=0.03"]
    assert described["dims"] == ["layer"]
    assert described["longName"].endswith("before and after a step, step size 0.03")
    np.testing.assert_array_equal(
        values(form, "gradient_cosine/step_size=0.03"),
        given.gradient_cosine.values[:, :, 1].astype(np.float32),
    )
    assert "eigenvalue/rank=1" in form["variables"]


def test_gaps_between_callbacks_are_no_records_but_what_diverged_is(run_factory):
    given = run_factory()
    given["angle"][[1, 3]] = np.nan
    assert compact(given)["variables"]["angle"]["at"] == [0, 20, 40, 60, 80, 100]
    given["angle"][6:] = np.nan
    given.attrs["first_nonfinite_update"] = 75
    assert compact(given)["variables"]["angle"]["at"] == [0, 20, 40, 60, 80, 100]


def test_more_records_than_a_screen_shows_are_thinned(run_factory):
    steps = np.arange(1001)
    form = compact(run_factory(steps=steps), records=101)
    described = form["variables"]["distance"]
    assert described["at"] == list(range(0, 1001, 10)) and described["of"] == 1001


def test_seeds_become_a_mean_with_a_band(run_factory):
    runs = [run_factory(rates=(5.0 + shift, 2.0)) for shift in range(3)]
    stacked = xr.concat(runs, xr.DataArray(range(3), dims="seed", name="seed"), data_vars="all")
    form = compact(stacked)
    described = form["variables"]["distance"]
    per_seed = stacked.distance.transpose("seed", "step", "layer").values
    for found, expected in (
        (described, per_seed.mean(axis=0)),
        (described["band"]["low"], per_seed.min(axis=0)),
        (described["band"]["high"], per_seed.max(axis=0)),
    ):
        np.testing.assert_allclose(decoded(found), expected, rtol=1e-6)
    assert form["attributes"]["seeds"] == 3


def with_filters(run_factory, layers=3, records=7, value=0.0):
    over = ("step", "layer", "filter", "row", "column")
    run = run_factory(rates=np.linspace(5, 1, layers), steps=np.arange(records))
    values = value + np.arange(records * layers * 4 * 9.0).reshape(records, layers, 4, 3, 3)
    return run.assign(filters=(over, values))


def test_filters_are_kept_with_all_their_weights(run_factory):
    given = with_filters(run_factory)
    described = compact(given)["variables"]["filters"]
    assert described["dims"] == ["layer", "filter", "row", "column"]
    np.testing.assert_array_equal(decoded(described), given.filters.values)


def test_of_several_seeds_filters_are_those_of_the_first(run_factory):
    runs = [with_filters(run_factory, value=value) for value in (0.0, 10.0)]
    stacked = xr.concat(runs, xr.DataArray([0, 1], dims="seed", name="seed"), data_vars="all")
    described = compact(stacked)["variables"]["filters"]
    assert "band" not in described
    np.testing.assert_array_equal(decoded(described), runs[0].filters.values)


def test_filters_of_a_large_network_have_fewer_records(run_factory):
    described = compact(with_filters(run_factory, layers=100, records=150))["variables"]["filters"]
    assert len(described["at"]) == 60_000 // (100 * 36) and described["of"] == 150
    assert (described["at"][0], described["at"][-1]) == (0, 149)
    assert len(described["data"]) < 330_000


def test_layers_stand_in_the_order_of_depth(run_factory):
    given = run_factory().isel(layer=[2, 0, 1])
    form = compact(given)
    assert [layer["name"] for layer in form["layers"]] == ["layer_0", "layer_1", "layer_2"]
    np.testing.assert_allclose(
        values(form, "distance"), given.sortby("depth").distance.values, rtol=1e-6
    )


def test_blocks_are_read_from_names(run_factory):
    names = ["stage1_block1_conv1", "stage1_block1_norm1", "head"]
    layers = compact(run_factory(layers=names))["layers"]
    assert [layer["block"] for layer in layers] == ["stage1_block1", "stage1_block1", "head"]


@pytest.mark.parametrize("dim", ["layer", "step"])
def test_what_is_no_run_is_refused(run_factory, dim):
    with pytest.raises(ValueError, match="at least one layer and one record"):
        compact(run_factory().isel({dim: slice(0)}))
    with pytest.raises(ValueError, match="at least one layer"):
        compact(xr.Dataset())


def fixture():
    """What the JavaScript tests read: the same numbers both ways, packed too."""
    from keras_lcb.atlas.packing import packed

    over = ("step", "layer")
    given = schema.dataset(
        {
            "distance": (over, [[4.0, 2.0], [1.0, float("nan")], [0.0, 1.0]]),
            "gradient_norm": (over, [[float("nan")] * 2, [100.0, 0.01], [1.0, 1.0]]),
            "loss": (("step",), [float("nan"), 0.5, 0.25]),
            # One layer has two filters of two weights, the other none.
            "filters": (
                (*over, "filter", "row", "column"),
                [[[[[w, -w]], [[1.0, 0.0]]], [[[float("nan")] * 2]] * 2] for w in (0.5, 1.0, 2.0)],
            ),
        },
        {
            "step": [0, 10, 30],
            "layer": ["block1_a", "block1_b"],
            "depth": [0, 1],
            "filter": [0, 1],
            "row": [0],
            "column": [0, 1],
        },
        {"first_nonfinite_update": 25, "optimizer": "SGD"},
    )
    forms = {name: compact(given, precision=name) for name in ("float32", "byte")}
    return {**forms, "packed": packed({"0.1": forms["byte"]})}


def test_the_viewers_tests_read_what_python_writes():
    """Where the form changes: `python -m tests.viewer.test_compact` writes the file anew."""
    kept, made = json.loads(FIXTURE.read_text(encoding="utf-8")), fixture()
    # How gzip compresses differs from machine to machine; what it holds does not.
    assert unzipped(kept.pop("packed")) == unzipped(made.pop("packed"))
    assert kept == made


def unzipped(text):
    return gzip.decompress(base64.b64decode(text))


if __name__ == "__main__":
    FIXTURE.write_text(json.dumps(fixture(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
