"""`tf.distribute` on two logical CPUs, and two workers of one machine."""

from __future__ import annotations

import json

import numpy as np

from tests.devices.program import assert_same_run, free_ports, results, run, start

MIRRORED = """
import tensorflow as tf

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
import keras_lcb as lcb

OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05),
    "clipped": lambda: keras.optimizers.SGD(0.05, global_clipnorm=0.1),
    "decay": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, epsilon=0.1),
}


class Total(lcb.StepQuantity):
    name, long_name, needs_weights = "total", "sum of gradient entries and of steps", True

    def init(self, variable):
        return (keras.ops.zeros(variable.shape),)

    def update(self, state, gradient, before, after):
        moved = keras.ops.sum(after - before)
        return (state[0] + gradient,), (keras.ops.sum(state[0] + gradient), moved)

    def result(self, sums, updates):
        return sums[0] + sums[1]


def fit(model, optimizer):
    model.compile(OPTIMIZERS[optimizer](), "mse")
    callbacks = [
        lcb.LayerConvergence(every=3),
        lcb.GradientNorms(per_update=True),
        lcb.StepQuantities(Total()),
    ]
    history = model.fit(X, Y, 16, 2, shuffle=False, verbose=0, callbacks=callbacks).history
    return told(*callbacks), history


found = {}
for optimizer in OPTIMIZERS:
    alone, _ = fit(build(), optimizer)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        replicas, _ = fit(build(), optimizer)
    found[optimizer] = [alone, replicas]

# LayerwiseModel: the same steps, and the same logs.
factors = {"a": 0.0, "b": 0.5}
layerwise = build(lcb.LayerwiseModel)
layerwise.learning_rate_multipliers = factors
alone = [fit(layerwise, "sgd"), [w.tolist() for w in layerwise.get_weights()]]
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    layerwise = build(lcb.LayerwiseModel)
    layerwise.learning_rate_multipliers = factors
    replicas = [fit(layerwise, "sgd"), [w.tolist() for w in layerwise.get_weights()]]
tell(runs=found, layerwise=[alone, replicas])
"""


def test_two_replicas_give_the_numbers_of_one_device():
    told = run(MIRRORED, backend="tensorflow")
    for optimizer, (alone, replicas) in told["runs"].items():
        assert replicas["step"] == [0, 3, 4, 6, 8]
        if optimizer == "clipped":  # Keras clips in each replica, so that trainings part
            norms = [run["gradient_norm_per_update"][0] for run in (replicas, alone)]
            np.testing.assert_allclose(*norms, rtol=1e-5)  # of the reduced gradient, unclipped
            assert min(norms[0]) > 0.1
        else:
            assert_same_run(replicas, alone)
    ((run_alone, logs_alone), weights), ((run_both, logs_both), weights_both) = told["layerwise"]
    assert_same_run(run_both, run_alone)
    for name, values in logs_alone.items():
        np.testing.assert_allclose(logs_both[name], values, rtol=1e-4, err_msg=name)
    for ours, theirs in zip(weights_both, weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


# A process takes seconds to start, so the same ones train several times.
WORKERS = """
rank, ports, folder = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
if len(ports) > 1:
    task = {"type": "worker", "index": rank}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
import tensorflow as tf

if len(ports) > 1:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
else:
    strategy = tf.distribute.get_strategy()
import keras
import keras_lcb as lcb

data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
data = strategy.experimental_distribute_dataset(data)


def new_step(model, optimizer):
    @tf.function
    def step(batch):
        def one(x, y):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum((model(x, training=True) - y) ** 2) / 16
            variables = model.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
            return loss

        return strategy.reduce("SUM", strategy.run(one, args=batch), axis=None)

    return step


def train(recording):
    with strategy.scope():
        model = build()
        optimizer = keras.optimizers.SGD(0.05)
        optimizer.build(model.trainable_variables)
    backup = os.path.join(folder, recording, str(rank))
    os.makedirs(backup)
    callbacks = [
        lcb.LayerConvergence(backup=backup), lcb.GradientNorms(per_update=True, backup=backup)
    ]
    with lcb.track(model, *callbacks, optimizer=optimizer) as tracker:
        step = new_step(model, optimizer)
        for epoch in range(2):
            for batch in data:
                loss = step(batch)
            if recording != "the first" or rank == 0:
                tracker.record(loss=float(loss))
    return {"run": told(*callbacks), "backups": sorted(os.listdir(backup))}


recordings = ["alone"] if len(ports) == 1 else ["all", "the first"]
tell(**{recording: train(recording) for recording in recordings})
"""


def test_two_workers_record_the_numbers_of_one(tmp_path):
    alone = start(WORKERS, 0, "[0]", tmp_path, backend="tensorflow")
    ports = json.dumps(free_ports(2))
    workers = [start(WORKERS, rank, ports, tmp_path, backend="tensorflow") for rank in range(2)]
    expected = results(alone)["alone"]["run"]
    first, second = (results(worker) for worker in workers)
    for found in (first["all"], second["all"], first["the first"]):
        assert_same_run(found["run"], expected)
    # The second worker takes no records in between, and the first does not wait for it.
    assert second["the first"]["run"]["step"] == [0, 8]
    for recording in ("all", "the first"):
        assert first[recording]["backups"] == ["GradientNorms", "LayerConvergence"]
        assert second[recording]["backups"] == []  # only the first worker writes
