"""What CONTRIBUTING.md shows works as it stands there: each file is added, and found everywhere."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
SHOWN = re.findall(
    r"(?:[Ss]ave (?:it|this one) as|Add it to)\s+`(keras_lcb/[\w/]+\.py)`:\n\n```python\n(.*?)```",
    TEXT,
    flags=re.DOTALL,
)
ADDED_TO = {"depth"}  # files that there are; the others are new
USES = {
    "mean_size": """
        quantity = lcb.StepQuantities(lcb.quantities.MeanSize())
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="lin")])
        model.compile(keras.optimizers.SGD(0.0), "mse")
        x, y = np.ones((4, 2)), np.zeros(4)
        model.set_weights([np.ones((2, 1)), np.zeros(1)])
        model.fit(x, y, verbose=0, callbacks=[quantity])
        run = quantity.results  # the gradient is 2 · (1 + 1) · 1 for each of three entries
        assert float(run.mean_size[-1, 0]) == 4.0
        (line,) = lcb.plotting.plot_quantity(run, "mean_size")
        lcb.write_report(run, "report.html")
        report = open("report.html").read()
        assert "Mean absolute gradient entry" in report and "lcb.quantities.MeanSize()" in report
    """,
    "update_norms": """
        run = example_run()
        assert len(lcb.plotting.plot_update_norms(run)) == 4
        assert "update_norms" in lcb.plotting.plot_overview(run)
        lcb.write_report(run, "report.html")
        report = open("report.html").read()
        assert "A high line moves far. Each line has its name at its end." in report
        try:
            lcb.plotting.plot_update_norms(example_run(gradients=False))
        except ValueError as refusal:
            assert "holds no update_norm. Record it with keras_lcb.GradientNorms()" in str(refusal)
        else:
            raise AssertionError
    """,
    "perceptron": """
        model = lcb.vision.build_perceptron((8, 8, 1), 10, depths=(3,))
        assert model.output_shape == (None, 10)
        config = lcb.vision.Config(network="perceptron", depths=(2,), updates=4, record_every=2)
        run = lcb.vision.run(config)
        assert "stage1_block2_dense" in run.layer.values
        lcb.plotting.plot_convergence(run)
        lcb.write_report(run, "report.html")
    """,
    "section7": """
        from keras_lcb.experiments import answering
        asked = {"claims": ["training-helps"], "quick": True, "jobs": 1, "progress": False}
        page = answering.results("out", "runs", **asked)
        text = page.read_text()
        assert "**Holds**" in text
        assert "Training lowers the loss. Of 2 settings, 2 as claimed" in text
        assert "keras-lcb results --claims training-helps --first-seed 100 --set" in text
        assert (page.parent / "results" / "training-helps.png").exists()

        from keras_lcb import synthetic
        from keras_lcb.experiments.results import stacked
        from keras_lcb.experiments.sections.section7 import loss_that_is_left
        runs = [
            synthetic.run(synthetic.Config(depth=3, updates=60, record_every=20, **changes))
            for changes in [{"seed": 0}, {"seed": 1, "learning_rate": 1e6}, {"seed": 2}]
        ]
        known = [float(np.log(run.loss[-1] / run.loss[1])) for run in (runs[0], runs[2])]
        apart = [run.expand_dims(seed=[seed]) for seed, run in enumerate(runs)]
        found = loss_that_is_left(stacked(apart))
        assert found.seeds == (0, 2)
        np.testing.assert_allclose(found.effect.values, known, rtol=1e-5)
        assert loss_that_is_left(stacked(apart[1:2])).lacking == "every run diverged"
    """,
    "depth": """
        from keras_lcb import exercises
        assert exercises.names()[4] == "01.5"
        assert exercises.check("01.5", ...).right is None
        assert exercises.check("01.5", "1/6").right
        assert "number of orders" in exercises.check("01.5", 6).said
        assert exercises.hint("01.5", 2).startswith("Hint 2 of 2: 3 · 2 · 1 orders")
    """,
}


TRIED = {Path(path).stem: (path, code) for path, code in SHOWN if Path(path).stem in USES}


# Each use in a folder of its own; what goes wrong in one does not keep the others.
PROGRAM = """
import json, os, sys, traceback
import keras, numpy as np, keras_lcb as lcb
from keras_lcb.runs import example_run

faults = {}
for name, code in json.loads(sys.stdin.read()).items():
    os.mkdir(name)
    os.chdir(name)
    try:
        exec(code, dict(keras=keras, np=np, lcb=lcb, example_run=example_run))
        faults[name] = ""
    except Exception:
        faults[name] = traceback.format_exc()
    os.chdir("..")
with open("faults.json", "w") as file:
    json.dump(faults, file)
"""


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """Adds all examples to a copy of the package, uses each, and returns the errors.

    It is one process for all of them, since most of the time goes into loading TensorFlow.
    """
    folder = tmp_path_factory.mktemp("copy")
    subprocess.run(
        ["cp", "-r", ROOT / "keras_lcb", ROOT / "keras_lcb_worker.py", folder], check=True
    )
    for name in USES:
        path, code = TRIED[name]
        assert (folder / path).exists() == (name in ADDED_TO)
        with open(folder / path, "a") as file:
            file.write(f"\n\n{code}" if name in ADDED_TO else code)
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps({name: textwrap.dedent(code) for name, code in USES.items()}),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    return json.loads((folder / "faults.json").read_text())


@pytest.mark.parametrize("name", USES)
def test_what_is_added_is_found(name, faults):
    assert faults[name] == ""


def test_an_exercise_is_asked_as_those_of_the_notebooks_are():
    """Two cells, of which the title and the check are as tests/tutorials wants them."""
    (shown,) = re.findall(r"```python\n(# %% \[markdown\]\n.*?)```", TEXT, flags=re.DOTALL)
    (number,) = re.findall(r'@exercise\(\n    "(\d\d\.\d)"', TEXT)
    text = (ROOT / "tutorials" / "01_which_layer_learns_first.py").read_text()
    levels = set(re.findall(r"(?m)^# ### Exercise \d\d\.\d · (.+)$", text))
    ((titled, level),) = re.findall(r"(?m)^# ### Exercise (\d\d\.\d) · (.+)$", shown)
    assert titled == number and level in levels
    assert shown.endswith(f'\n\n# %%\nexercises.check("{number}", ...)\n')
