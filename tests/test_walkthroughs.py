"""What CONTRIBUTING.md shows works as it stands there: each file is added, and found everywhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHOWN = re.findall(
    r"[Ss]ave (?:it|this one) as\s+`(keras_lcb/[\w/]+\.py)`:\n\n```python\n(.*?)```",
    (ROOT / "CONTRIBUTING.md").read_text(),
    flags=re.DOTALL,
)
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
    """,
}


TRIED = {Path(path).stem: (path, code) for path, code in SHOWN if Path(path).stem in USES}


@pytest.mark.parametrize("name", USES)
def test_what_is_added_is_found(name, tmp_path):
    path, code = TRIED[name]
    subprocess.run(
        ["cp", "-r", ROOT / "keras_lcb", ROOT / "keras_lcb_worker.py", tmp_path], check=True
    )
    assert not (tmp_path / path).exists()
    (tmp_path / path).write_text(code)
    lines = [line[8:] for line in USES[name].splitlines()]
    head = "import keras, numpy as np, keras_lcb as lcb\nfrom keras_lcb.runs import example_run\n"
    found = subprocess.run(
        [sys.executable, "-c", head + "\n".join(lines)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-3000:]
