"""Samples of every kind of data that `fit` takes, against the arrays that they were made of."""

from __future__ import annotations

import random

import keras
import numpy as np
import pytest

from keras_lcb.landscape import (
    Objective,
    curvature,
    largest_stable_learning_rate,
    loss_slice,
    samples,
)
from keras_lcb.landscape.samples import read
from tests.landscape.bowls import linear
from tests.models import dense
from tests.oracle import Network

NETWORK = Network()
COUNT, SIZE = 14, 4  # so that the last batch is smaller
X, Y = (array.astype("float32") for array in NETWORK.data(COUNT))
WEIGHT = np.linspace(0.5, 2, COUNT, dtype="float32")


def batches(*arrays, size=SIZE):
    return [tuple(a[at : at + size] for a in arrays) for at in range(0, len(arrays[0]), size)]


def tensorflow_data(*arrays):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(arrays).batch(SIZE)


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays, num_batches=4, **options):
        super().__init__(**options)
        self.batches, self.count = batches(*arrays), num_batches
        self.epochs = 0

    @property
    def num_batches(self):
        return self.count

    def __getitem__(self, index):
        return self.batches[index % len(self.batches)]

    def on_epoch_end(self):
        self.epochs += 1


def torch_data(*arrays, **options):
    import torch

    tensors = torch.utils.data.TensorDataset(*map(torch.tensor, arrays))
    return torch.utils.data.DataLoader(tensors, SIZE, **options)


def filled_again(*arrays):
    """A generator that has one array only, and fills it for each batch."""
    room = [np.empty_like(a[:2]) for a in arrays]
    for batch in batches(*arrays, size=2):
        for place, values in zip(room, batch, strict=True):
            place[:] = values
        yield tuple(room)


def endless(*arrays):
    while True:
        yield from batches(*arrays)


KINDS = {
    "tf.data": (tensorflow_data, None),
    "tf.data, unknown length": (lambda *a: tensorflow_data(*a).filter(lambda *_: True), None),
    "tf.data, endless": (lambda *a: tensorflow_data(*a).repeat(), 4),
    "PyDataset": (Batches, None),
    "PyDataset with workers": (lambda *a: Batches(*a, workers=2), None),
    "PyDataset, endless": (lambda *a: Batches(*a, num_batches=None), 4),
    "DataLoader": (torch_data, None),
    "generator": (filled_again, 7),
    "endless generator": (endless, 4),
    "other iterable": (lambda *a: map(list, batches(*a)), 4),
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_data_sets_give_all_samples(kind):
    make, steps = KINDS[kind]
    for arrays in ((X, Y), (X, Y, WEIGHT)):
        (part,) = read(make(*arrays), steps=steps).parts
        for found, expected in zip(part, (*arrays, None), strict=False):
            np.testing.assert_array_equal(found, expected)


def test_the_loss_of_a_data_set_is_that_of_all_its_samples():
    model = dense(NETWORK)
    model.compile(loss="mse")
    own = NETWORK.weights()
    for batch_size in (512, 3):
        plain = Objective(model, tensorflow_data(X, Y), batch_size=batch_size)
        assert plain.samples == COUNT
        np.testing.assert_allclose(plain.loss(), NETWORK.loss(own, X, Y), rtol=1e-5)
        weighted = Objective(model, Batches(X, Y, WEIGHT), batch_size=batch_size)
        np.testing.assert_allclose(weighted.loss(), NETWORK.loss(own, X, Y, WEIGHT), rtol=1e-5)


def test_curvature_of_a_data_set_with_class_weights():
    model, x, y, _ = linear()
    classes = np.arange(len(x)) % 2
    weight = np.where(classes == 1, 3.0, 0.5)
    data = ((x[at : at + 5], y[at : at + 5], weight[at : at + 5]) for at in (0, 5, 10))
    found = curvature(model, data, steps=3, layers=["line"], top_k=4)
    exact = np.linalg.eigvalsh(2 * x.T @ (x * weight[:, None]) / len(x))[::-1]
    np.testing.assert_allclose(found.eigenvalue.sel(layer="line"), exact, rtol=1e-4)


def test_the_other_functions_take_data_sets_and_losses():
    model = dense(NETWORK)
    model.compile(loss="mae")
    given = {"loss": "mse", "layer": "c", "directions": 1, "points": 3}
    found = loss_slice(model, endless(X, Y), steps=4, **given)
    exact = NETWORK.loss(NETWORK.weights(), X, Y)
    np.testing.assert_allclose(found.loss.sel(alpha=0).item(), exact, rtol=1e-5)
    model, x, y, hessian = linear()
    objective = Objective(model, map(tuple, batches(x, y)), steps=3, loss="mse")
    found = largest_stable_learning_rate(objective, layers=["line"], steps=2)
    np.testing.assert_allclose(found.theory, 2 / np.linalg.eigvalsh(hessian)[-1], rtol=1e-4)
    for options in ({"steps": 3}, {"loss": "mse"}):
        with pytest.raises(ValueError, match="already has its data"):
            curvature(objective, **options)


def test_a_data_set_is_read_once():
    made = []

    def drawn():
        while True:
            made.append(np.random.normal(size=(3, 3)).astype("float32"))
            yield made[-1], np.ones((3, 2), "float32")

    model = dense(NETWORK)
    model.compile(loss="mse")
    objective = Objective(model, drawn(), steps=2)
    assert objective.loss() == objective.loss()
    assert len(made) == 2
    x, y = np.concatenate(made), np.ones((6, 2))
    np.testing.assert_allclose(objective.loss(), NETWORK.loss(NETWORK.weights(), x, y), rtol=1e-5)


def test_inputs_and_targets_in_dicts_and_lists():
    data = (({"a": [x, 2 * x]}, {"b": y}) for x, y in batches(X, Y))
    (part,) = read(data, steps=4).parts
    np.testing.assert_array_equal(part[0]["a"][1], 2 * X)
    np.testing.assert_array_equal(part[1]["b"], Y)
    (part,) = read(iter([{"a": X[:3]}, {"a": X[3:]}]), steps=2).parts
    np.testing.assert_array_equal(part[0]["a"], X)
    assert part[1:] == (None, None)


def test_arrays_of_other_libraries():
    import pandas as pd
    import scipy.sparse
    import tensorflow as tf
    import torch

    for x in (X.tolist(), torch.tensor(X), tf.constant(X), pd.DataFrame(X), keras.ops.array(X)):
        np.testing.assert_array_equal(read(x, Y).parts[0][0], X)
    np.testing.assert_array_equal(read(scipy.sparse.csr_matrix(X)).parts[0][0], X)
    assert read(X.astype("float64")).parts[0][0].dtype == "float32"
    assert read(np.array(["a", "b"], object)).count == 2


def test_batches_of_several_shapes():
    inputs = keras.Input((None, 3))
    average = keras.layers.GlobalAveragePooling1D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="line")(average))
    model.compile(loss="mse")
    draw = np.random.default_rng(0).normal
    made = [(draw(size=(n, t, 3)), draw(size=(n, 1))) for n, t in ((4, 5), (4, 7), (3, 5))]
    kernel, bias = model.get_weights()
    exact = np.concatenate([(x.mean(1) @ kernel + bias - y) ** 2 for x, y in made]).mean()
    for batch_size in (512, 3):
        objective = Objective(model, iter(made), steps=3, batch_size=batch_size)
        np.testing.assert_allclose(objective.loss(), exact, rtol=1e-5)
    ones = np.concatenate([np.append(x.mean(1), np.ones((len(x), 1)), 1) for x, _ in made])
    found = curvature(model, iter(made), steps=3, layers=["line"])
    expected = np.linalg.eigvalsh(2 * ones.T @ ones / len(ones))[-1]
    np.testing.assert_allclose(found.eigenvalue.item(), expected, rtol=1e-4)


def test_refuses_several_shapes_where_the_mean_is_not_over_samples():
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile(loss="mse")
    made = [(np.ones((2, t, 3)), np.ones((2, t, 1))) for t in (4, 5)]
    with pytest.raises(ValueError, match="2 shapes.*because outputs, targets or weights differ"):
        Objective(model, iter(made), steps=2)


def test_random_states_are_as_before():
    import torch

    def drawn():
        for _ in range(3):
            yield np.random.normal(size=(2, 3)) + random.random()

    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    expected = random.random(), np.random.random(), torch.rand(()).item()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    read(drawn(), steps=3)
    read(torch_data(X, Y, shuffle=True))
    assert (random.random(), np.random.random(), torch.rand(()).item()) == expected


def test_runs_no_hooks_of_a_data_set():
    data = Batches(X, Y)
    read(data)
    assert data.epochs == 0


@pytest.mark.parametrize(
    "data",
    [lambda: endless(X), lambda: Batches(X, num_batches=None), lambda: tensorflow_data(X).repeat()],
)
def test_refuses_what_does_not_end(data):
    with pytest.raises(ValueError, match="may be endless.*Pass `steps`"):
        read(data())


def test_refuses_what_does_not_fit_into_memory(monkeypatch):
    monkeypatch.setattr(samples, "MOST_BYTES", X.nbytes)
    read(Batches(X))
    with pytest.raises(ValueError, match="first 3 batches.*Pass `steps`"):
        read(Batches(X, Y))
    assert read(Batches(X, Y), steps=2).count == 2 * SIZE


def test_refuses_what_does_not_end_though_it_does_not_say_so(monkeypatch):
    import tensorflow as tf

    signature = (tf.TensorSpec((None, 3)), tf.TensorSpec((None, 2)))
    data = tf.data.Dataset.from_generator(lambda: endless(X, Y), output_signature=signature)
    monkeypatch.setattr(samples, "MOST_BATCHES", 8)
    with pytest.raises(ValueError, match="first 9 batches.*Pass `steps`"):
        read(data)
    assert read(data, steps=12).count == 3 * COUNT


def test_warns_of_data_that_end_early():
    with pytest.warns(UserWarning, match="ended after 4 batches, but `steps` is 9"):
        assert read(Batches(X, Y), steps=9).count == COUNT


REFUSED = {
    "same number of samples; received x 14, y 5": (lambda: (X, Y[:5]),),
    "same number of samples; received x 3, y 2": (lambda: (iter([(X[:3], Y[:2])]),), 1),
    "arrays without samples": (lambda: (X[:0], Y[:0]),),
    "data set without samples": (lambda: (tensorflow_data(X, Y).take(0),),),
    "Received no data. Pass `x`": (lambda: (None,),),
    "no data. Pass `x`": (lambda: (None, Y),),
    "Received `y` together with a data set": (lambda: (Batches(X), Y),),
    "Received `sample_weight` together": (lambda: (Batches(X, Y), None, WEIGHT),),
    "`steps` counts the batches": (lambda: (X, Y), 3),
    "`steps` must be a number of batches": (lambda: (Batches(X, Y),), 0),
    "received a tuple with 4": (lambda: (iter([(X, Y, WEIGHT, WEIGHT)]),), 1),
    r"batches with \(x, y\) and \(x, y, sample_weight\)": (
        lambda: (iter([(X, Y), (X, Y, WEIGHT)]),),
        2,
    ),
    "received float": (lambda: (iter([1.0]),), 1),
    "received TensorDataset": (lambda: (torch_data(X, Y).dataset,),),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refusals(message):
    make, *steps = REFUSED[message]
    with pytest.raises(ValueError, match=message):
        read(*make(), steps=steps[0] if steps else None)
