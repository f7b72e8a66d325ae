"""Curvature against explicit Hessians, closed forms and other tools; and no trace of it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import keras_lcb as lcb
from keras_lcb.landscape import Objective, curvature
from keras_lcb.landscape.blocks import Accuracy, largest_eigenvalues, measure
from keras_lcb.landscape.hessian import BlockProducts
from tests.landscape.bowls import linear
from tests.models import dense
from tests.oracle import Network

NETWORK = Network((3, 12, 8, 2))  # blocks of 48, 104 and 18 parameters: two too large to be dense
BLOCKS = {"a": [0, 1], "b": [2, 3], "c": [4, 5], "(all)": [0, 1, 2, 3, 4, 5]}


def network_model(loss="mse", **options):
    keras.utils.set_random_seed(3)
    start = end = keras.Input((3,))
    for name, units in zip("abc", NETWORK.sizes[1:], strict=True):
        activation = None if name == "c" else "tanh"
        end = layers.Dense(units, activation, name=name)(end)
    model = keras.Model(start, end, name="chain")
    model.set_weights(NETWORK.weights())
    model.compile("sgd", loss, **options)
    return model


def explicit_hessian(x, y, places, step=1e-5):
    """By central differences of the gradient written out in NumPy, in double precision."""
    own = [weight.astype("float64") for weight in NETWORK.weights()]
    flat = np.concatenate([own[place].ravel() for place in places])

    def gradient(values):
        moved, start = list(own), 0
        for place in places:
            size = own[place].size
            moved[place] = values[start : start + size].reshape(own[place].shape)
            start += size
        found = NETWORK.gradients(moved, x.astype("float64"), y.astype("float64"))
        return np.concatenate([found[place].ravel() for place in places])

    columns = [
        (gradient(flat + step * unit) - gradient(flat - step * unit)) / (2 * step)
        for unit in np.eye(flat.size)
    ]
    return np.stack(columns, axis=1)


@pytest.fixture(scope="module")
def data():
    return NETWORK.data(20)


@pytest.fixture(scope="module")
def exact(data):
    return {name: explicit_hessian(*data, places) for name, places in BLOCKS.items()}


@pytest.fixture(scope="module")
def found(data):
    return curvature(network_model(), *data, top_k=3)


def test_names_and_places(found):
    assert found.layer.values.tolist() == ["a", "b", "c", "(all)"]
    assert found.depth.values.tolist() == [0, 1, 2, 3]
    assert found.role.values.tolist() == ["hidden", "hidden", "head", "whole"]
    assert found.parameters.values.tolist() == [48, 104, 18, 170]
    assert found["rank"].values.tolist() == [1, 2, 3]
    assert found.attrs["mode"] == "evaluation"
    assert found.eigenvalue.dims == ("layer", "rank")
    assert all(values.attrs["long_name"] for values in found.values())


def test_eigenvalues_are_those_of_the_explicit_hessian(found, exact):
    for name, matrix in exact.items():
        values = np.linalg.eigvalsh(matrix)
        own = found.sel(layer=name)
        np.testing.assert_allclose(own.eigenvalue, values[::-1][:3], rtol=1e-4, atol=1e-6)
        scale = abs(values).max()
        assert float(own.smallest_eigenvalue) == pytest.approx(values[0], abs=1e-4 * scale)


def test_residuals_are_within_the_tolerance(found):
    assert (found.residual <= 1e-3).all()
    assert (found.residual >= 0).all()


def test_traces_are_exact_or_within_their_error(found, exact):
    for name, matrix in exact.items():
        own = found.sel(layer=name)
        error = float(own.trace_standard_error)
        assert float(own.trace) == pytest.approx(np.trace(matrix), abs=4 * error + 1e-5)
    assert float(found.trace_standard_error.sel(layer="c")) == 0.0
    assert float(found.products.sel(layer="c")) == 18
    assert (found.products.sel(layer=["a", "b", "(all)"]) < 60).all()


def test_scaled_eigenvalue_is_relative_to_the_weights(found):
    own = NETWORK.weights()
    for name, places in BLOCKS.items():
        norm = sum(float(np.sum(own[place] ** 2)) for place in places)
        one = found.sel(layer=name)
        np.testing.assert_allclose(one.scaled_eigenvalue, norm * one.eigenvalue, rtol=1e-5)


def test_chunks_change_nothing(found, data):
    again = curvature(network_model(), *data, top_k=3, batch_size=7)  # 7, 7 and 6 samples
    for name in ("eigenvalue", "trace", "trace_standard_error", "scaled_eigenvalue"):
        np.testing.assert_allclose(again[name], found[name], rtol=2e-4, atol=1e-6, err_msg=name)


def test_products_with_the_columns_of_each_block(data, exact):
    objective = Objective(network_model(), *data)
    products = BlockProducts(objective, objective.layers)
    assert products.sizes == [48, 104, 18]
    random = np.random.default_rng(0)
    vectors = [random.normal(size=size) for size in products.sizes]
    for name, vector, product in zip("abc", vectors, products(vectors), strict=True):
        np.testing.assert_allclose(product, exact[name] @ vector, rtol=1e-4, atol=1e-5)
    first, second, third = products([None, vectors[1], None])
    assert first is third is None
    np.testing.assert_allclose(second, exact["b"] @ vectors[1], rtol=1e-4, atol=1e-5)


def test_penalties_and_weights_of_samples_count():
    x, y = NETWORK.data(6)
    weight = np.linspace(0.5, 2.0, 6)
    start = keras.Input((3,))
    penalty = keras.regularizers.L2(0.25)  # adds 0.5 to each eigenvalue
    line = layers.Dense(1, use_bias=False, kernel_regularizer=penalty, name="line")
    model = keras.Model(start, line(start))
    model.compile(loss="mse")
    run = curvature(model, x, y[:, :1], sample_weight=weight, layers=["line"])
    hessian = 2 * (x * weight[:, None]).T @ x / 6 + 0.5 * np.eye(3)
    values = np.linalg.eigvalsh(hessian)
    assert float(run.eigenvalue[0, 0]) == pytest.approx(values[-1], rel=1e-5)
    assert float(run.smallest_eigenvalue[0]) == pytest.approx(values[0], rel=1e-5)
    assert float(run.trace[0]) == pytest.approx(np.trace(hessian), rel=1e-5)


@pytest.mark.parametrize("inputs", [4, 70])  # dense, and by Lanczos
def test_linear_least_squares(inputs):
    model, x, y, hessian = linear(inputs, samples=90)
    run = curvature(model, x, y, layers=["line"])
    values = np.linalg.eigvalsh(hessian)
    assert float(run.eigenvalue[0, 0]) == pytest.approx(values[-1], rel=1e-5)
    assert float(run.smallest_eigenvalue[0]) == pytest.approx(values[0], abs=1e-3 * values[-1])
    error = float(run.trace_standard_error[0])
    assert float(run.trace[0]) == pytest.approx(np.trace(hessian), abs=4 * error + 1e-4)
    largest = largest_eigenvalues(Objective(model, x, y), Objective(model, x, y).layers[:1])
    assert largest == pytest.approx([values[-1]], rel=1e-5)


def test_outputs_that_share_a_block_share_its_eigenvalues():
    x, y = np.random.default_rng(0).normal(size=(2, 30, 10)).astype("float32")
    start = keras.Input((10,))
    model = keras.Model(start, layers.Dense(10, use_bias=False, name="line")(start))
    model.compile(loss="mse")  # the Hessian is 2xᵀx/300 once for each output
    run = curvature(model, x, y, layers=["line"], top_k=12, trace_samples=0, tolerance=1e-4)
    values = np.linalg.eigvalsh(2 * x.astype("float64").T @ x / 300)[::-1]
    expected = np.repeat(values, 10)[:12]
    np.testing.assert_allclose(run.eigenvalue[0], expected, rtol=1e-4)
    assert (run.residual <= 1e-4).all()


def test_chosen_layers_and_groups(data, found):
    model = network_model()
    run = curvature(model, *data, layers=["(all)", "b"], trace_samples=0)
    assert run.layer.values.tolist() == ["b", "(all)"]
    assert "trace" not in run
    np.testing.assert_allclose(
        run.eigenvalue[:, 0], found.eigenvalue.sel(layer=["b", "(all)"])[:, 0], rtol=1e-4
    )
    pair = curvature(model, *data, layers=lambda layer: None if layer.name == "c" else "ab")
    together = explicit_hessian(*data, [0, 1, 2, 3])
    assert pair.layer.values.tolist() == ["ab"]
    assert float(pair.eigenvalue[0, 0]) == pytest.approx(np.linalg.eigvalsh(together)[-1], rel=1e-4)


def test_frozen_layers_have_no_block(data):
    model = network_model()
    model.get_layer("a").trainable = False
    model.compile("sgd", "mse")
    run = curvature(model, *data, trace_samples=0)
    assert run.layer.values.tolist() == ["b", "c", "(all)"]
    assert run.depth.values.tolist() == [1, 2, 3]
    assert run.parameters.values.tolist()[-1] == 122


def test_an_objective_is_compiled_once(data, monkeypatch):
    objective = Objective(network_model(), *data)
    first = curvature(objective, layers=["b"])
    compiled = len(objective._programs)
    second = curvature(objective, layers=["b"])
    # On JAX a program answers one request, so gradients have a program of their own.
    programs = 2 if keras.backend.backend() == "jax" else 1
    assert len(objective._programs) == compiled == programs
    assert first.equals(second)
    with pytest.raises(ValueError, match="already has its data"):
        curvature(objective, *data)


# Layers of many kinds.


def image_model():
    keras.utils.set_random_seed(1)
    start = end = keras.Input((6, 6, 2))
    end = layers.Conv2D(4, 3, activation="tanh", name="conv")(end)
    end = layers.BatchNormalization(name="norm")(end)
    end = layers.DepthwiseConv2D(2, activation="softplus", name="depthwise")(end)
    end = layers.MaxPooling2D(2, name="pool")(end)
    end = layers.Dense(3, name="head")(layers.Flatten(name="flat")(end))
    model = keras.Model(start, end)
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:  # the same on every backend
        variable.assign(0.5 * random.normal(size=variable.shape))
    model.get_layer("norm").moving_variance.assign([0.5, 1.0, 2.0, 3.0])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model, random.normal(size=(8, 6, 6, 2)).astype("float32"), random.integers(0, 3, 8)


def sequence_model():
    keras.utils.set_random_seed(1)
    start = keras.Input((4,), dtype="int32")
    end = layers.Embedding(5, 3, name="embedding")(start)
    end = layers.GRU(3, name="gru")(end)
    model = keras.Model(start, layers.Dense(2, name="head")(end))
    model.compile("adam", "mse")
    random = np.random.default_rng(0)
    return model, random.integers(0, 5, (6, 4)), random.normal(size=(6, 2)).astype("float32")


def attention_model():
    keras.utils.set_random_seed(1)
    start = keras.Input((4, 3))
    end = layers.MultiHeadAttention(2, 2, name="attention")(start, start)
    model = keras.Model(start, layers.Dense(2, name="head")(layers.Flatten(name="flat")(end)))
    model.compile("adam", "mse")
    x, y = np.random.default_rng(0).normal(size=(2, 6, 4, 3)).astype("float32")
    return model, x, y[:, 0, :2]


def normalized_model(layer):
    keras.utils.set_random_seed(1)
    ends = [keras.Input((3,)), layers.Dense(8, name="first"), layer, layers.Activation("gelu")]
    model = keras.Sequential([*ends, layers.Dense(4, name="head")])
    model.compile("adam", "mse")
    random = np.random.default_rng(0)
    return model, random.normal(size=(6, 3)), random.normal(size=(6, 4))


@pytest.mark.parametrize("build", [image_model, sequence_model, attention_model])
def test_products_are_differences_of_gradients(build):
    check_products(*build())


@pytest.mark.parametrize(
    ("layer", "training"),
    [
        (layers.LayerNormalization(name="norm"), False),
        (layers.GroupNormalization(2, name="norm"), False),
        (layers.UnitNormalization(name="norm"), False),
        (layers.BatchNormalization(name="norm"), True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else "",
)
def test_statistics_of_the_batch_have_second_derivatives(layer, training):
    """In TensorFlow's own moments, the variance takes the mean for a constant."""
    check_products(*normalized_model(layer), training=training)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow lacks any")
def test_an_operation_without_a_second_derivative_is_named():
    model, x, y = normalized_model(layers.Activation("softsign", name="soft"))
    with pytest.raises(ValueError, match="twice .*SoftsignGrad.*abs"):
        curvature(model, x, y, layers=["first"])
    own = layers.Lambda(lambda x: x / (1 + keras.ops.abs(x)), name="soft")
    assert curvature(*normalized_model(own), layers=["first"]).eigenvalue.notnull().all()


def check_products(model, x, y, training=False):
    """Compares products of the Hessian and vectors with differences of gradients."""
    objective = Objective(model, x, y, training=training)
    random = np.random.default_rng(0)
    products = BlockProducts(objective, objective.layers)
    vectors = [random.normal(size=size) for size in products.sizes]
    step = 2e-3
    for row, vector, product in zip(objective.layers, vectors, products(vectors), strict=True):
        ends = [_gradient_at(objective, row, sign * step * vector) for sign in (1, -1)]
        difference = (ends[0] - ends[1]) / (2 * step)
        scale = np.abs(product).max()
        np.testing.assert_allclose(product, difference, atol=0.02 * scale, err_msg=row.name)


def _gradient_at(objective, row, moved):
    own, start = [], 0
    for weight in objective.weights(row):
        array = keras.ops.convert_to_numpy(weight)
        own.append(array + moved[start : start + array.size].reshape(array.shape))
        start += array.size
    found = objective.gradients(own, layer=row)[row.name]
    return np.concatenate([keras.ops.convert_to_numpy(g).ravel() for g in found])


def test_mode_decides_the_statistics_of_normalization():
    model, x, y = image_model()
    model.get_layer("norm").moving_variance.assign(np.full(4, 9.0))
    evaluation = curvature(model, x, y, layers=["conv"], trace_samples=0)
    training = curvature(model, x, y, layers=["conv"], trace_samples=0, training=True)
    assert evaluation.attrs["mode"] == "evaluation"
    assert training.attrs["mode"] == "training"
    assert float(training.eigenvalue[0, 0]) != pytest.approx(float(evaluation.eigenvalue[0, 0]))


def test_same_seed_same_numbers(data):
    model = network_model()
    one, two, other = (
        curvature(model, *data, layers=["b"], seed=seed, tolerance=0.05) for seed in (1, 1, 2)
    )
    assert one.equals(two)
    assert float(one.trace[0]) != float(other.trace[0])


def test_eigenvalues_short_of_the_tolerance_are_noted(data):
    objective = Objective(network_model(), *data)
    accuracy = Accuracy(tolerance=1e-3, most_products=3)
    from keras_lcb.landscape.curvature import tabulate

    rows = objective.layers[:1]
    measured = measure(objective, rows, accuracy, seed=0)
    values, missing = tabulate(rows, measured, np.ones(1), accuracy)
    assert values["residual"][1][0, 0] > 1e-3
    assert "after 3 products" in missing["residual/a"]


def test_a_flat_layer_has_no_curvature(data):
    x, y = data
    model = network_model(loss=lambda true, predicted: keras.ops.mean(predicted, axis=-1))
    run = curvature(model, x, y, layers=["c"])
    assert float(run.eigenvalue[0, 0]) == float(run.trace[0]) == float(run.residual[0, 0]) == 0.0


def test_run_can_be_saved(found, tmp_path):
    lcb.save_run(found, tmp_path / "curvature.nc")
    again = lcb.load_run(tmp_path / "curvature.nc")
    assert again.equals(found)
    assert again.attrs["mode"] == "evaluation"


# Refusals.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ["d"]}, "No layer or nested model is called 'd'"),
        ({"layers": ["aa"]}, "Nearest: a"),
        ({"top_k": 0}, "1 or more; received 0"),
        ({"top_k": 1.5}, "whole number"),
        ({"top_k": 19}, "'c' has 18 parameters"),
        ({"trace_samples": 1}, "no standard error"),
        ({"tolerance": 0}, "between 0 and 1"),
        ({"batch_size": 0}, "1 or more"),
    ],
)
def test_refuses(data, options, message):
    with pytest.raises(ValueError, match=message):
        curvature(network_model(), *data, **options)


def test_refuses_models_and_data_that_do_not_fit(data):
    x, y = data
    with pytest.raises(ValueError, match="same number of samples"):
        curvature(network_model(), x, y[:-1])
    with pytest.raises(ValueError, match="not compiled"):
        curvature(dense(NETWORK), x, y)
    model = keras.Sequential([layers.Dense(2)])
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="not built"):
        curvature(model, x, y)
    model = network_model()
    model.trainable = False
    with pytest.raises(ValueError, match="no trainable variables"):
        curvature(model, x, y)


def test_what_is_not_finite_is_said(data):
    x, y = data
    with pytest.raises(FloatingPointError, match="NaN or infinite"):
        curvature(network_model(), x, np.full_like(y, np.nan), layers=["b"])


# Other tools.


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the peers are written for torch")
def test_agrees_with_curvlinops_and_pyhessian():
    import curvlinops
    import pyhessian
    import torch
    from scipy.sparse.linalg import eigsh

    x, y = NETWORK.data(20)
    own = [torch.tensor(np.asarray(weight, "float32")) for weight in NETWORK.weights()]
    linears = [
        torch.nn.Linear(*sizes) for sizes in zip(NETWORK.sizes, NETWORK.sizes[1:], strict=False)
    ]
    for place, part in enumerate(linears):
        part.weight.data, part.bias.data = own[2 * place].T.contiguous(), own[2 * place + 1]
    tanh = torch.nn.Tanh()
    peer = torch.nn.Sequential(linears[0], tanh, linears[1], tanh, linears[2])
    batch = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    loss = torch.nn.MSELoss()
    parts = {"a": [linears[0]], "b": [linears[1]], "c": [linears[2]], "(all)": linears}
    run = curvature(network_model(), x, y)
    for name, modules in parts.items():
        ours = run.sel(layer=name)
        parameters = [p for module in modules for p in module.parameters()]
        operator = curvlinops.HessianLinearOperator(
            peer, loss, parameters, [batch], check_deterministic=False
        ).to_scipy()
        theirs = eigsh(operator, k=1, which="LA", tol=1e-4)[0][0]
        assert float(ours.eigenvalue[0]) == pytest.approx(theirs, rel=0.01)
        for parameter in peer.parameters():
            parameter.requires_grad_(any(parameter is p for p in parameters))
        if ours.eigenvalue[0] > abs(ours.smallest_eigenvalue):
            torch.manual_seed(0)
            hessian = pyhessian.hessian(peer, loss, data=batch, cuda=False)
            (value,), _ = hessian.eigenvalues(maxIter=1000, tol=1e-7)
            assert float(ours.eigenvalue[0]) == pytest.approx(value, rel=0.01)
            # Its rule divides by the trace, so that a negative one would end it at any tolerance.
            forms = np.array(hessian.trace(maxIter=60, tol=float("-inf")))
            error = np.hypot(forms.std(ddof=1) / 60**0.5, float(ours.trace_standard_error))
            assert abs(float(ours.trace) - forms.mean()) <= 4 * error
        for parameter in peer.parameters():
            parameter.requires_grad_(True)
