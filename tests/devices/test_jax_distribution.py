"""`keras.distribution` on JAX, on two devices of the host."""

from __future__ import annotations

import numpy as np

from tests.devices.program import assert_same_run, run

DISTRIBUTED = """
import keras
import keras_lcb as lcb


class Size(lcb.StepQuantity):
    name, long_name = "size", "mean over updates of the summed gradients' size"

    def init(self, variable):
        return (keras.ops.zeros(variable.shape),)

    def update(self, state, gradient, before, after):
        total = state[0] + gradient
        return (total,), (keras.ops.sum(keras.ops.abs(total)),)

    def result(self, sums, updates):
        return sums[0] / updates


def fit(**options):
    found = []
    for multipliers in (None, {"a": 0.0, "b": 0.5}):
        model = build(lcb.LayerwiseModel if multipliers else None)
        if multipliers:
            model.learning_rate_multipliers = multipliers
        model.compile(keras.optimizers.Adam(0.01, epsilon=0.1), "mse", **options)
        callbacks = [
            lcb.LayerConvergence(every=3),
            lcb.GradientNorms(per_update=True),
            lcb.StepQuantities(Size()),
        ]
        history = model.fit(X, Y, 16, 2, shuffle=False, verbose=0, callbacks=callbacks).history
        found.append([told(*callbacks), history])
    return found


alone = fit()
keras.distribution.set_distribution(keras.distribution.DataParallel())
data_parallel = fit()
mesh = keras.distribution.DeviceMesh((1, 2), ["batch", "model"])
layouts = keras.distribution.LayoutMap(mesh)
layouts["a/kernel"] = (None, "model")
layouts["b/kernel"] = ("model", None)
keras.distribution.set_distribution(
    keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")
)
import jax

tell(alone=alone, data_parallel=data_parallel, model_parallel=fit(), devices=len(jax.devices()))
"""


def test_two_devices_give_the_numbers_of_one():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    told = run(DISTRIBUTED, backend="jax", **flags)
    assert told["devices"] == 2
    for kind in ("data_parallel", "model_parallel"):
        for (found, logs), (expected, expected_logs) in zip(told[kind], told["alone"], strict=True):
            assert found["step"] == [0, 3, 4, 6, 8]
            assert_same_run(found, expected)
            for name, values in expected_logs.items():
                np.testing.assert_allclose(logs[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
