"""Which optimizers are followed, and how many updates they are seen to make."""

from __future__ import annotations

import keras
import pytest

from keras_lcb import GradientNorms, track
from keras_lcb.training.optimizers import optimizers_of
from keras_lcb.training.update_count import UpdateCount
from tests.models import dense
from tests.oracle import Network

NETWORK = Network((3, 4, 2))
ON_JAX = keras.backend.backend() == "jax"


class Counting:
    """An optimizer of which the count reads nothing but its updates."""

    steps_per_update = 1

    def __init__(self, updates=0):
        self.updates, self.not_made = updates, 0

    def iterations(self):
        return self.updates


def test_of_compile():
    model = dense(NETWORK)
    with pytest.raises(ValueError, match="not compiled.*`optimizer=...`"):
        optimizers_of(model)
    model.compile("sgd", "mse")
    assert optimizers_of(model) == [model.optimizer]


@pytest.mark.skipif(ON_JAX, reason="on JAX, `fit` carries one optimizer's state")
def test_in_attributes_of_models_within():
    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.other = dense(NETWORK), dense(NETWORK)
            self.own = {"first": keras.optimizers.SGD(), "more": [keras.optimizers.Adam()]}

    pair = Pair()
    pair.other.compile("rmsprop", "mse")
    found = optimizers_of(pair)
    assert {type(each).__name__ for each in found} == {"SGD", "Adam", "RMSprop"}
    pair.compile("adamw", "mse")
    assert optimizers_of(pair)[0] is pair.optimizer and len(optimizers_of(pair)) == 4


def test_those_that_are_named():
    model = dense(NETWORK)
    model.compile("sgd", "mse")
    named = keras.optimizers.Adam()
    assert optimizers_of(model, [named], in_fit=False) == [named]
    with pytest.raises(
        ValueError, match="must be an optimizer of keras.optimizers.*received object"
    ):
        optimizers_of(model, object())
    if ON_JAX:
        with pytest.raises(ValueError, match="On JAX, `fit` updates.*follow them with `track"):
            optimizers_of(model, named)


def test_counts_across_optimizers_and_from_where_they_are():
    count = UpdateCount()
    model, first, second = dense(NETWORK), Counting(7), Counting(3)
    count.follow(model, [first])
    assert count.begin() and not count.begin()
    assert count.now() == 0
    first.updates += 4
    assert count.now() == 4 and count.stepped == [True]
    count.follow(model, [first, second])  # another set: the count goes on
    assert count.begin() and count.now() == 4 and count.stepped == [False, False]
    second.updates += 2
    assert count.now() == 6 and count.stepped == [False, True]


def test_a_restored_count_goes_on():
    count, other = UpdateCount(), UpdateCount()
    model, optimizer = dense(NETWORK), Counting()
    count.follow(model, [optimizer])
    count.begin()
    optimizer.updates = 5
    other.follow(model, [optimizer])
    other.restore(count.state())
    assert not other.begin() and other.now() == 5


def test_another_process_restores_a_count_with_updates_that_were_not_made():
    """There, only Keras' own count is known, which has them in it."""
    count, other = UpdateCount(), UpdateCount()
    model, optimizer = dense(NETWORK), Counting()
    count.follow(model, [optimizer])
    count.begin()
    optimizer.updates, optimizer.not_made = 5, 2
    other.follow(model, [Counting(5 + 2)])
    other.restore(count.state())
    assert count.now() == other.now() == 5


def test_the_device_is_asked_only_where_a_record_may_be_due():
    count = UpdateCount()
    optimizer = Counting()
    count.follow(dense(NETWORK), [optimizer])
    count.begin()
    assert count.may_have_reached(100, executions=1)  # nothing is known yet
    optimizer.updates = 2
    assert count.at_execution(1) == 2  # two updates in one execution
    assert not count.may_have_reached(10, executions=4)
    assert count.may_have_reached(10, executions=5)


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="torch.optim moves torch tensors only"
)
def test_torch_optimizers():
    import numpy as np
    import torch

    x, y = NETWORK.data(4)

    def loss_of(model):
        return torch.mean((model(x) - keras.ops.convert_to_tensor(y, "float32")) ** 2)

    model = dense(NETWORK)
    optimizer = torch.optim.LBFGS(model.parameters())
    with pytest.raises(ValueError, match=r"LBFGS.step received a closure.*`loss.backward\(\)`"):
        with track(model, GradientNorms(), optimizer=optimizer):
            optimizer.step(lambda: loss_of(model))
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks

    model = dense(NETWORK)
    optimizer = torch.optim.SGD(model.get_layer("b").parameters(), lr=0.1)
    for variable in model.get_layer("a").trainable_variables:
        variable.value.requires_grad_(False)
    norms = GradientNorms()
    with track(model, norms, optimizer=optimizer):
        loss_of(model).backward()
        optimizer.step()
    assert not optimizer._optimizer_step_pre_hooks
    gradient, update = norms.results.gradient_norm[1], norms.results.update_norm[1]
    assert np.isnan(gradient.sel(layer="a")) and gradient.sel(layer="b") > 0
    assert np.isnan(update.sel(layer="a")) and update.sel(layer="b") > 0
