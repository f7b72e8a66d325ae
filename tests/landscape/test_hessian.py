"""Products with blocks of the Hessian: what they cost, and how searches are sent them."""

from __future__ import annotations

import itertools
import re

import keras
import numpy as np
import pytest

from keras_lcb.landscape import Objective, host_search, objective
from keras_lcb.landscape.hessian import BlockProducts

SIDE = 24  # samples, inputs and units of each layer, so that all matrix products are as large


class NothingComputed(Exception):
    pass


@pytest.fixture
def counted(monkeypatch):
    """What is compiled counts its matrix products instead of computing."""
    counts = []

    def compiled(function):
        def counting(*arguments):
            counts.append(count(function, arguments))
            raise NothingComputed

        return counting

    monkeypatch.setattr(objective.ops, "compiled", compiled)
    return counts


def count(function, arguments):
    """How many matrix products a call takes."""
    return {"tensorflow": in_graph, "jax": by_xla, "torch": by_torch}[keras.backend.backend()](
        function, arguments
    )


def in_graph(function, arguments):
    loop, body = loop_of(function, arguments)
    return matrix_products(needed([loop])) + matrix_products(needed(outputs_of(body)))


def loop_of(function, arguments):
    import tensorflow as tf

    graph = tf.function(function, autograph=False).get_concrete_function(*arguments).graph
    (loop,) = [operation for operation in graph.get_operations() if operation.type == "While"]
    return loop, graph._get_function(loop.get_attr("body").name).graph


def outputs_of(graph):
    return [tensor.op for tensor in graph.outputs]


def needed(operations):
    """TensorFlow runs no operation that the outputs do not need."""
    reached, left = set(), list(operations)
    while left:
        operation = left.pop()
        if operation not in reached:
            reached.add(operation)
            left += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    return reached


def matrix_products(operations):
    return sum(operation.type == "MatMul" for operation in operations)


def by_xla(function, arguments):
    import jax

    program = jax.jit(function).lower(*arguments).compile().as_text()
    return len(re.findall(r" dot\(|custom-call\(.*(?:gemm|matmul)", program))


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
        with pytest.raises(NothingComputed):
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


ON_TENSORFLOW = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow has loops in graphs"
)


@ON_TENSORFLOW
def test_nothing_is_traced_that_no_product_needs(monkeypatch):
    """TensorFlow would not run it, but tracing and compiling it takes as long."""
    bodies = []

    def compiled(function):
        def traced(*arguments):
            bodies.append(loop_of(function, arguments)[1])
            raise NothingComputed

        return traced

    monkeypatch.setattr(objective.ops, "compiled", compiled)
    around = chain(5)
    products = BlockProducts(around, around.layers)
    with pytest.raises(NothingComputed):
        products([np.ones(size) for size in products.sizes])
    (body,) = bodies
    assert matrix_products(body.get_operations()) == matrix_products(needed(outputs_of(body))) > 0


# Searches.


def gathered(products, vectors, failure=None):
    """A search that asks for products one after the other, each block's as long as it has some."""
    found = []

    def search():
        for asked in vectors:
            found.append((yield asked))
        if failure is not None:
            raise failure

    products.answer(search())
    return found


@pytest.fixture
def two_blocks():
    around = chain(3)
    products = BlockProducts(around, around.layers[1:])
    random = np.random.default_rng(1)
    first, second, third, fourth = random.normal(size=(4, SIDE**2)).astype("float32")
    return products, [[first, second], [None, third], [fourth, None]]


def test_a_search_is_sent_the_products_of_what_it_yields(two_blocks):
    products, vectors = two_blocks
    for asked, found in zip(vectors, gathered(products, vectors), strict=True):
        for vector, product, alone in zip(asked, found, products(asked), strict=True):
            if vector is None:
                assert product is None
            else:
                np.testing.assert_allclose(product, alone, rtol=1e-5, atol=1e-7)


def test_a_program_comes_back_in_between_and_goes_on(two_blocks, monkeypatch):
    products, vectors = two_blocks
    at_once = gathered(products, vectors)
    monkeypatch.setattr(host_search, "_SECONDS_PER_PROGRAM", 0.0)
    for one, other in zip(at_once, gathered(products, vectors), strict=True):
        for product, again in zip(one, other, strict=True):
            np.testing.assert_array_equal(product, again)


@pytest.mark.parametrize("failure", [FloatingPointError("no curvature"), KeyboardInterrupt()])
def test_what_a_search_raises_comes_through_as_it_is(two_blocks, failure):
    products, vectors = two_blocks
    with pytest.raises(type(failure)) as raised:
        gathered(products, vectors, failure)
    assert raised.value is failure
    assert len(gathered(products, vectors)) == 3  # nothing is left of it
    assert not host_search._running


def test_a_search_may_begin_with_the_gradients():
    around = chain(3)
    products, found = BlockProducts(around, around.layers), []
    ones = [np.ones(size, "float32") for size in products.sizes]

    def search():
        found.append((yield None))
        found.append((yield ones))

    products.answer(search())
    exact = around.gradients()
    for row, gradient in zip(around.layers, found[0], strict=True):
        (tensor,) = exact[row.name]
        np.testing.assert_allclose(
            gradient, keras.ops.convert_to_numpy(tensor).ravel(), rtol=1e-5, atol=1e-7
        )
    for product, alone in zip(found[1], products(ones), strict=True):
        np.testing.assert_allclose(product, alone, rtol=1e-5, atol=1e-7)


def test_a_search_that_asks_for_nothing_ends(two_blocks):
    products, _ = two_blocks
    assert gathered(products, []) == []


# Blocks that are not asked for.


def alone_and_together(around):
    """Products with each subset of the blocks, and those of the same vectors with all of them."""
    products, random = BlockProducts(around, around.layers), np.random.default_rng(2)
    vectors = [random.normal(size=size).astype("float32") for size in products.sizes]
    together = products(vectors)
    for asked in list(itertools.product([False, True], repeat=len(vectors)))[1:]:
        some = [vector if one else None for vector, one in zip(vectors, asked, strict=True)]
        expected = [found if one else None for found, one in zip(together, asked, strict=True)]
        yield products(some), expected


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_blocks_of_loops_can_be_left_out(kind):
    """Recurrent layers are loops on some backends, whose products are loops, too."""
    keras.utils.set_random_seed(0)
    recurrent = getattr(keras.layers, kind)
    layers = [recurrent(3, return_sequences=True), recurrent(2), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4, 2)), *layers])
    model.compile(loss="mse")
    x = np.random.default_rng(1).normal(size=(5, 4, 2)).astype("float32")
    for found, expected in alone_and_together(Objective(model, x, np.ones((5, 1)))):
        for product, other in zip(found, expected, strict=True):
            if other is None:
                assert product is None
            else:
                np.testing.assert_allclose(product, other, rtol=1e-5, atol=1e-7)


def test_blocks_without_curvature_can_be_left_out():
    """Their products are zeros that do not come of the vectors."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(3, "relu"), keras.layers.Dense(2, "relu")]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.compile(loss=lambda y, predicted: keras.ops.mean(predicted))
    for found, expected in alone_and_together(Objective(model, np.eye(2), np.ones((2, 2)))):
        for product, other in zip(found, expected, strict=True):
            assert (product is None) == (other is None)
            assert product is None or not product.any()


@ON_TENSORFLOW
def test_products_without_graphs():
    import tensorflow as tf

    around = chain(3)
    products = BlockProducts(around, around.layers)
    vectors = [np.ones(size, "float32") for size in products.sizes]
    vectors[1] = None
    compiled = products(vectors)
    tf.config.run_functions_eagerly(True)
    try:
        eager = products(vectors)
    finally:
        tf.config.run_functions_eagerly(False)
    assert compiled[1] is eager[1] is None
    for place in (0, 2):
        np.testing.assert_allclose(eager[place], compiled[place], rtol=1e-5, atol=1e-7)


@ON_TENSORFLOW
@pytest.mark.parametrize(
    ("stateful", "expected"), [(False, [1, 0, 1]), (True, [1, 1, 1])], ids=["plain", "stateful"]
)
def test_a_block_that_is_left_out_takes_no_passes(stateful, expected):
    """Unless one of its operations has effects, which TensorFlow keeps in order with others."""
    import tensorflow as tf

    passes = []

    def note(array):
        passes.append(1)
        return array

    def noted(tensor):
        result = tf.numpy_function(note, [tensor], tensor.dtype, stateful=stateful)
        return tf.ensure_shape(result, tensor.shape)

    @tf.custom_gradient
    def backward(tensor):  # its own derivative is taken by products only
        return tf.identity(tensor), noted

    @tf.custom_gradient
    def same(tensor):
        return tf.identity(tensor), backward

    start = keras.Input((2,))
    middle = keras.layers.Lambda(same)(keras.layers.Dense(2, "tanh", name="below")(start))
    model = keras.Model(start, keras.layers.Dense(2, "tanh", name="above")(middle))
    model.compile(loss="mse")
    around = Objective(model, np.eye(2), np.ones((2, 2)))
    products = BlockProducts(around, around.layers)
    vectors, counts = [np.ones(size, "float32") for size in products.sizes], []
    together = products(vectors)
    for asked in ([True, False], [False, True], [True, True]):
        passes.clear()
        found = products([v if one else None for v, one in zip(vectors, asked, strict=True)])
        counts.append(len(passes))
        for product, other, one in zip(found, together, asked, strict=True):
            if one:
                np.testing.assert_array_equal(product, other)
    assert counts == expected
