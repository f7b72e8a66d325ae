"""The benchmark for accelerators, in its small form."""

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from benchmarks import gpu


def test_a_read_of_the_device_is_counted():
    tensor = keras.ops.convert_to_tensor(np.ones((), "float32"))
    with gpu._counted() as waits:
        assert float(tensor + tensor) == 2.0
    assert len(waits) >= 1
    with gpu._counted() as waits:
        keras.ops.add(tensor, tensor)
    assert not waits


def test_callbacks_add_no_wait_to_a_step():
    def added(*kinds):
        few, many = (gpu._waits_in(steps, lambda: [kind() for kind in kinds]) for steps in (4, 8))
        return many - few

    class ReadsEachBatch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            float(keras.ops.sum(self.model.weights[0].value))

    plain = added()
    assert added(lambda: lcb.GradientNorms(per_update=True)) == plain
    assert added(ReadsEachBatch) >= plain + 4


def test_each_way_is_compared_with_plain_fit(capsys):
    gpu._ratios("MLP", gpu._mlp, rounds=1, quick=True)
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 4 and all("of plain fit" in line for line in told)
    assert all("; between epochs " in line for line in told)


@pytest.mark.skipif(gpu._has_accelerator(keras.backend.backend()), reason="needs none")
def test_a_backend_without_an_accelerator_is_left_out(capsys):
    gpu.main(["--backend", keras.backend.backend()])
    assert "left out, since it finds no accelerator" in capsys.readouterr().out


def test_a_backend_that_takes_too_long_is_cut_off(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "MINUTES", 0)
    gpu.main([])
    told = capsys.readouterr().out.splitlines()
    assert told == [f"{each}: cut off after 0 minutes in all" for each in gpu.BACKENDS]
