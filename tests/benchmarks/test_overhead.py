import json
import os

import keras
import pytest

from benchmarks import memory, overhead, workloads


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The benchmark at its tiniest, with only the cheapest of the alternatives."""
    path = tmp_path_factory.mktemp("overhead") / "numbers.json"
    environment = dict(os.environ)
    options = ["--quick", "--rounds", "2", "--only", "mlp", "--variants", "weights"]
    options += ["--backend", keras.backend.backend()]
    try:
        overhead.main([*options, "--json", str(path)])
    finally:
        os.environ.clear()
        os.environ.update(environment)
    return json.loads(path.read_text())


def test_report_says_what_was_measured_on_what(run):
    machine = run["machine"]
    assert machine["backend"] == keras.backend.backend()
    assert {"keras", "keras-lcb", machine["backend"]} <= set(machine["versions"])
    assert machine["device"]
    assert machine["cores"] >= 1
    assert len(machine["load_average"]) == 3


def test_all_asked_for_variants_are_there(run):
    assert list(run["mlp"]["variants"]) == [
        workloads.PLAIN,
        workloads.CONTROL,
        workloads.BOTH,
        "get_weights each batch",
    ]


def test_numbers_follow_from_the_seconds(run):
    seconds = run["mlp"]["seconds"]
    assert len(seconds[workloads.BOTH]["epochs"]) == 2
    for name, row in run["mlp"]["variants"].items():
        fastest = [
            min(wall for fit in seconds[n]["epochs"] for wall, _ in fit)
            for n in (name, workloads.PLAIN)
        ]
        assert row["wall"]["fastest"] == pytest.approx(fastest[0] / fastest[1])
    assert run["mlp"]["variants"][workloads.PLAIN]["wall"]["median"] == 1.0


def test_target_is_judged_by_the_median(run):
    wall, cpu = run["targets"]
    row = run["mlp"]["variants"][workloads.BOTH]
    for target, clock in ((wall, "wall"), (cpu, "cpu")):
        assert target["at_most"] == 1.03
        assert target["measured"] == row[clock]["median"]
        assert target["reached"] == (target["measured"] <= 1.03)


@pytest.mark.parametrize(("build", "layers"), [(workloads.mlp, 6), (workloads.cnn, 7)])
def test_workloads_are_what_they_are_called(build, layers):
    workload = build(3)
    assert workload.steps == 3
    model = workload.build()
    assert len([layer for layer in model.layers if layer.weights]) == layers
    assert model(workload.data[0][:2]).shape[0] == 2


def test_alternatives_measure_what_they_stand_for(tmp_path):
    workload = workloads.mlp(2)
    variants = workloads.variants(workload, tmp_path)
    variant = variants["get_weights each batch"]
    (callback,) = variant.callbacks()
    variant.model.fit(*workload.data, batch_size=64, verbose=0, callbacks=[callback])
    for seen, now in zip(callback.weights, variant.model.get_weights(), strict=True):
        assert (seen == now).all()

    variant = variants["TensorBoard histograms"]
    variant.model.fit(*workload.data, batch_size=64, verbose=0, callbacks=variant.callbacks())
    assert any(tmp_path.rglob("events.out.*"))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="its two tapes are of TensorFlow"
)
def test_second_tape_gives_the_gradient_of_its_batch(tmp_path):
    import numpy as np

    workload = workloads.mlp(1)
    variant = workloads.variants(workload, tmp_path, ["second tape"])["a second tape each batch"]
    (callback,) = variant.callbacks()
    model = variant.model
    # One step of plain SGD on the whole data moves each variable by rate times its gradient.
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 1.0
    model.fit(*workload.data, batch_size=64, verbose=0, callbacks=[callback])
    before = model.get_weights()
    norms = np.array(callback.norms())
    model.fit(*workload.data, batch_size=64, verbose=0)
    steps = [np.linalg.norm(b - a) for b, a in zip(before, model.get_weights(), strict=True)]
    np.testing.assert_allclose(norms, steps, rtol=1e-3, atol=1e-6)


def test_memory_target_compares_what_is_held(monkeypatch):
    def measured_apart(kind, records, small):
        size = {"none": 0.0, "sketch": 199.0, "exact": 7.0}[kind]
        return {
            "parameters": 1000 if small else 25_000_000,
            "records": records,
            "held_mib": size,
            "most_held_mib": size + 50,
            "peak_rss_mib": size + 900,
            "fit_s": 2.0,
        }

    monkeypatch.setattr(memory, "measured_apart", measured_apart)
    report = overhead._memory(quick=False)
    (target,) = report["targets"]
    assert target["reached"]
    assert target["measured"] == 199.0
    assert report["exact_computed_mib"] == pytest.approx(25_000_000 * 200 * 4 / 2**20)
