import ast

import keras
import numpy as np
import pytest
import xarray as xr

import keras_lcb as lcb
from keras_lcb import synthetic
from keras_lcb.report.recipe import code, command
from keras_lcb.runs import schema


def test_code_calls_the_callbacks_as_they_were_called(run_factory):
    settings = {
        "LayerConvergence": {"every": 5, "memory": "sketch", "layers": None},
        "GradientNorms": {"every": "epoch", "per_update": True},
    }
    tree = ast.parse(code(run_factory(attrs={"settings": settings, "seed": 7})))
    calls = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert "lcb.LayerConvergence(every=5, memory='sketch')" in calls
    assert "lcb.GradientNorms(every='epoch', per_update=True)" in calls
    assert "keras.utils.set_random_seed(7)" in calls
    assert "model.fit(x, y, callbacks=[layer_convergence, gradient_norms])" in calls


def test_only_what_the_run_holds_is_recorded_again(run_factory):
    text = code(run_factory(gradients=False, attrs={"seed": None}))
    assert "GradientNorms" not in text and "set_random_seed" not in text
    ast.parse(text)


def test_an_experiment_is_run_again_from_its_settings(tmp_path, monkeypatch):
    recorded = synthetic.run(synthetic.Config(depth=2, width=4, updates=4, record_every=2, seed=3))
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code(recorded), names)
    xr.testing.assert_equal(
        names["recorded"].drop_vars("wall_time"), recorded.drop_vars("wall_time")
    )
    assert (tmp_path / "run.nc").exists() and (tmp_path / "report.html").exists()


def test_a_run_of_a_study_tells_its_callbacks(run_factory):
    settings = {"engine": "keras_lcb.experiments.engines.own", "LayerConvergence": {"every": 5}}
    assert "lcb.LayerConvergence(every=5)" in code(run_factory(attrs={"settings": settings}))


def test_the_command_is_told_if_there_was_one(run_factory):
    made = run_factory(attrs={"settings": {"command": "keras-lcb demo --seed 0"}})
    assert command(made) == "keras-lcb demo --seed 0"
    assert command(run_factory()) is None


def test_quantities_of_the_package_and_of_ones_own():
    settings = {
        "StepQuantities": {
            "every": 5,
            "layers": None,
            "per_update": False,
            "quantities": [
                {"class": "keras_lcb.quantities.gradient_noise.GradientNoise", "attributes": {}},
                {"class": "mine.signs.Signs", "attributes": {"threshold": 0.5}},
            ],
        }
    }
    run = schema.dataset({}, {"step": [0], "layer": ["a"]}, {"settings": settings})
    lines = code(run)
    assert "from mine.signs import Signs\n" in lines
    made = "lcb.StepQuantities(lcb.quantities.GradientNoise(), Signs(threshold=0.5), every=5, per_"
    assert f"step_quantities = {made}" in lines
    assert "run = lcb.collect(step_quantities)" in lines
    compile(lines, "recipe", "exec")


def by_kind(layer):
    return type(layer).__name__


class Sparsity(lcb.Recorder):
    variables = {"sparsity": {"long_name": "share of weights near zero", "units": "1"}}

    def measure(self):
        return {"sparsity": [float(len(layer.variables)) for layer in self.followed]}


X, Y = np.linspace(0, 1, 8).reshape(4, 2), np.ones((4, 1))


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: lcb.LayerSharpness(X, Y, top_k=2), "lcb.LayerSharpness(x, y, every='epoch'"),
        (
            lambda: lcb.GradientPredictiveness(X, Y, step_sizes=[0.1], loss="mae"),
            "lcb.GradientPredictiveness(x, y, loss=loss, every='epoch'",
        ),
        (Sparsity, "Sparsity(every='epoch')"),
        (lambda: lcb.GradientNorms(per_update=True), "per_update=True"),
        (lambda: lcb.GradientNorms(layers="blocks"), "layers='blocks'"),
        (lambda: lcb.GradientNorms(layers=by_kind), "# … define the function by_kind, which"),
        (lambda: lcb.GradientNorms(layers=lambda layer: "all"), "layers=select_layers"),
    ],
    ids=[
        "LayerSharpness",
        "GradientPredictiveness",
        "own",
        "GradientNorms",
        "blocks",
        "function",
        "lambda",
    ],
)
def test_a_run_of_one_callback_has_its_figures_and_a_recipe_that_runs(
    make, says, tmp_path, monkeypatch
):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callback = make()
    model.fit(X, Y, verbose=0, callbacks=[callback])
    monkeypatch.chdir(tmp_path)
    lcb.write_report(callback.results, "report.html")
    assert "<svg" in (tmp_path / "report.html").read_text()
    text = code(callback.results)
    assert says in text
    again = text.replace(f"from {__name__} import Sparsity\n", "")
    own = {"Sparsity": Sparsity, "by_kind": by_kind, "select_layers": by_kind}
    names = {"model": model, "x": X, "y": Y, "loss": "mae", **own}
    exec(again, names)
    assert set(names["run"].data_vars) == set(callback.results.data_vars)
