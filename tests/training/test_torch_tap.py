"""The tap for `torch.optim`: what it refuses, and that it lets go."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.models import dense
from tests.oracle import Network

if keras.backend.backend() != "torch":
    pytest.skip(
        "models on other backends have no torch tensors, which torch.optim moves",
        allow_module_level=True,
    )

import torch

from keras_lcb import GradientNorms
from keras_lcb.training.torch_tap import TorchOptimizerTap
from keras_lcb.training.tracking import track

NETWORK = Network()
X, Y = NETWORK.data(4)


def loss_of(model):
    return torch.mean((model(X) - keras.ops.convert_to_tensor(Y, "float32")) ** 2)


def test_a_closure_is_refused():
    model = dense(NETWORK)
    optimizer = torch.optim.LBFGS(model.parameters())
    with pytest.raises(ValueError, match=r"LBFGS.step was given a closure.*`loss.backward\(\)`"):
        with track(model, GradientNorms(), optimizer=optimizer):
            optimizer.step(lambda: loss_of(model))
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_what_is_no_optimizer_is_refused():
    with pytest.raises(ValueError, match="str is no optimizer that can be followed"):
        TorchOptimizerTap(dense(NETWORK), "sgd")


def test_parameters_without_a_gradient_are_left_out():
    model = dense(NETWORK)
    optimizer = torch.optim.SGD(model.get_layer("c").parameters(), lr=0.1)
    for variable in model.get_layer("a").trainable_variables:
        variable.value.requires_grad_(False)
    norms = GradientNorms()
    with track(model, norms, optimizer=optimizer):
        loss_of(model).backward()
        optimizer.step()
    gradient, update = norms.results.gradient_norm[1], norms.results.update_norm[1]
    assert np.isnan(gradient.sel(layer="a"))
    assert (gradient.sel(layer=["b", "c"]) > 0).all()
    assert (update.sel(layer=["a", "b"]) == 0).all() and update.sel(layer="c") > 0


def test_hooks_are_set_once_and_removed():
    model = dense(NETWORK)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    tap = TorchOptimizerTap(model, optimizer)
    tap.hold()
    tap.open()
    assert len(optimizer._optimizer_step_pre_hooks) == 1
    tap.close()
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
