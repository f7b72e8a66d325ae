"""What products with blocks of the Hessian cost: their backward pass ends at the block."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb.landscape import Objective, objective
from keras_lcb.landscape.hessian import BlockProducts

SIDE = 24  # samples, inputs and units of each layer, so that all matrix products are as large


@pytest.fixture
def counted(monkeypatch):
    """What is compiled counts its matrix products instead of computing."""
    counts = []

    def compiled(function):
        return lambda *arguments: counts.append(count(function, arguments))

    monkeypatch.setattr(objective.ops, "compiled", compiled)
    return counts


def count(function, arguments):
    """How many matrix products a call takes."""
    return {"tensorflow": in_graph, "jax": by_xla, "torch": by_torch}[keras.backend.backend()](
        function, arguments
    )


def in_graph(function, arguments):
    import tensorflow as tf

    graph = tf.function(function, autograph=False).get_concrete_function(*arguments).graph
    reached, left = set(), [tensor.op for tensor in graph.outputs]
    while left:  # TensorFlow runs no operation that the outputs do not need
        operation = left.pop()
        if operation not in reached:
            reached.add(operation)
            left += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    return sum(operation.type == "MatMul" for operation in reached)


def by_xla(function, arguments):
    import jax

    cost = jax.jit(function).lower(*arguments).compile().cost_analysis()
    return round(cost["flops"] / (2 * SIDE**3) - 0.3)  # what else there is, is small


def by_torch(function, arguments):
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        function(*arguments)
    return round(counter.get_total_flops() / (2 * SIDE**3))


def chain(depth):
    keras.utils.set_random_seed(0)
    start = end = keras.Input((SIDE,))
    for place in range(depth):
        end = keras.layers.Dense(SIDE, "tanh", use_bias=False, name=f"layer{place}")(end)
    model = keras.Model(start, end)
    model.compile(loss="mse")
    x, y = np.random.default_rng(0).normal(size=(2, SIDE, SIDE)).astype("float32")
    return Objective(model, x, y)


def products_of(depth, places, counted):
    """How many matrix products it takes to multiply with the block of each layer."""
    around, found = chain(depth), []
    for place in places:
        products = BlockProducts(around, [around.layers[place]])
        with pytest.raises(TypeError):  # nothing is computed
            products([np.ones(products.sizes[0])])
        found.append(counted.pop())
    return found


def test_the_backward_pass_of_a_late_block_ends_there(counted):
    first, middle, last = products_of(5, [0, 2, 4], counted)
    assert first > middle > last
    # All layers are passed forward; those between two blocks backward for the earlier one only.
    assert first - middle == middle - last >= 2 * 3


def test_what_lies_beneath_a_block_adds_its_forward_pass_only(counted):
    few, more = (products_of(depth, [-1], counted)[0] for depth in (2, 6))
    assert more - few == 4
