"""What is recorded of filters is what the layers hold."""

import pickle

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.callbacks.filters import LARGEST, MOST

X, Y = np.random.default_rng(0).normal(size=(8, 12, 12, 2)), np.zeros(8)


def trained(*layers, rows=None, x=X):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(x.shape[1:]), *layers, keras.layers.Flatten()])
    model.add(keras.layers.Dense(1, name="head"))
    model.compile(keras.optimizers.SGD(0.01), "mse")
    filters = lcb.Filters(layers=rows)
    model.fit(x, Y, epochs=2, batch_size=4, verbose=0, callbacks=[filters])
    return model, filters.results


def kernel(model, name):
    return keras.ops.convert_to_numpy(model.get_layer(name).kernel)


def test_they_are_the_first_filters_at_the_first_channel_and_change():
    convolutions = [
        keras.layers.Conv2D(7, 3, name="wide"),
        keras.layers.Conv2D(3, (1, 2), name="small"),
    ]
    model, run = trained(*convolutions)
    assert run.filters.dims == ("step", "layer", "filter", "row", "column")
    last = run.filters.isel(step=-1)
    for name, count, rows, columns in (("wide", MOST, 3, 3), ("small", 3, 1, 2)):
        own = last.sel(layer=name).values
        expected = np.moveaxis(kernel(model, name)[:, :, 0, :count], -1, 0)
        np.testing.assert_array_equal(own[:count, :rows, :columns], expected)
        assert np.isfinite(own).sum() == count * rows * columns
    assert last.sel(layer="head").isnull().all()
    assert (run.filters.sel(layer="wide").diff("step") != 0).any(["filter", "row", "column"]).all()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (keras.layers.DepthwiseConv2D(3, name="conv"), (2, 3, 3)),
        (keras.layers.SeparableConv2D(4, 3, name="conv"), (2, 3, 3)),
        (keras.layers.Conv2DTranspose(4, 3, name="conv"), (4, 3, 3)),
        (keras.layers.Conv2D(4, (11, 2), name="conv"), (4, LARGEST, 2)),
    ],
)
def test_each_kind_of_convolution_has_filters(layer, shape):
    _, run = trained(layer)
    assert run.filters.sel(layer="conv").shape[1:] == shape


def test_of_a_convolution_in_one_dimension_a_filter_is_a_row():
    model, run = trained(keras.layers.Conv1D(3, 4, name="conv"), x=X[:, 0])
    expected = kernel(model, "conv")[:, 0, :].T[:, np.newaxis]
    np.testing.assert_array_equal(run.filters.isel(step=-1).sel(layer="conv"), expected)


def test_of_a_block_they_are_those_of_its_first_convolution():
    model, run = trained(
        keras.layers.BatchNormalization(name="block1_norm"),
        keras.layers.Conv2D(4, 3, name="block1_conv"),
        keras.layers.Conv2D(4, 3, name="block1_second"),
        rows="blocks",
    )
    own = run.filters.isel(step=-1).sel(layer="block1").values
    expected = np.moveaxis(kernel(model, "block1_conv")[:, :, 0], -1, 0)
    np.testing.assert_array_equal(own, expected)


def test_a_network_without_convolutions_is_refused_before_training():
    with pytest.raises(ValueError, match="needs a convolution .* Leave the callback out"):
        trained(keras.layers.Dense(2))


def test_a_copy_holds_the_run_but_no_weights():
    filters = lcb.Filters()
    model = keras.Sequential([keras.Input((5, 5, 1)), keras.layers.Conv2D(2, 3)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 5, 5, 1)), np.ones((4, 3, 3, 2)), verbose=0, callbacks=[filters])
    copied = pickle.loads(pickle.dumps(filters))
    np.testing.assert_array_equal(copied.results.filters, filters.results.filters)
