"""The norms among the epoch's logs, and what bad use of GradientNorms gets."""

from __future__ import annotations

import csv
import warnings

import keras
import numpy as np
import pytest

from keras_lcb import GradientNorms
from tests.models import dense
from tests.oracle import Network

NETWORK = Network((3, 4, 2))
X, Y = NETWORK.data(16)
NAMES = [f"{kind}_norm/{layer}" for kind in ("gradient", "update") for layer in "ab"]


@pytest.fixture
def model(fast_mode):
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(0.1), "mse", **fast_mode)
    return model


def fit(model, *callbacks, epochs=2, **options):
    return model.fit(
        X, Y, 4, epochs, verbose=0, shuffle=False, callbacks=list(callbacks), **options
    )


def recorded(norms):
    run = norms.results
    return {
        f"{kind}_norm/{layer}": run[f"{kind}_norm"].sel(layer=layer)[1:].values
        for kind in ("gradient", "update")
        for layer in "ab"
    }


def test_history_shows_the_norms(model):
    norms = GradientNorms(log=True)
    history = fit(model, norms, validation_data=(X, Y)).history
    assert {*NAMES, "loss", "val_loss"} == set(history)
    for name, values in recorded(norms).items():
        np.testing.assert_allclose(history[name], values, rtol=1e-6)
    assert set(model.evaluate(X, Y, verbose=0, return_dict=True)) == {"loss"}


def test_logs_are_of_the_epoch_whenever_records_are_taken(model):
    norms = GradientNorms(every=3, per_update=True, log=True)
    history = fit(model, norms, epochs=3).history
    each = norms.results.gradient_norm_per_update.sel(layer="a").values
    expected = np.sqrt(np.mean(each.reshape(3, 4) ** 2, axis=1))
    np.testing.assert_allclose(history["gradient_norm/a"], expected, rtol=1e-5)


def test_csv_logger_writes_them(model, tmp_path):
    norms = GradientNorms(log=True)
    fit(model, norms, keras.callbacks.CSVLogger(tmp_path / "log.csv"))
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    for name, values in recorded(norms).items():
        np.testing.assert_allclose([float(row[name]) for row in rows], values, rtol=1e-6)


def test_tensorboard_shows_them(model, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    norms = GradientNorms(log=True)
    fit(model, norms, keras.callbacks.TensorBoard(tmp_path, write_graph=False))
    (folder,) = {path.parent for path in tmp_path.rglob("events.out.tfevents*")}
    events = EventAccumulator(str(folder)).Reload()
    for name, values in recorded(norms).items():
        shown = [make_ndarray(e.tensor_proto).item() for e in events.Tensors(f"epoch_{name}")]
        np.testing.assert_allclose(shown, values, rtol=1e-6)


def test_a_logger_that_stands_earlier_gets_a_warning(model, tmp_path):
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    with pytest.warns(UserWarning, match="CSVLogger comes before GradientNorms"):
        fit(model, logger, GradientNorms(log=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit(model, GradientNorms(log=True), logger)
        fit(model, logger, GradientNorms())  # which has nothing to log


def test_nothing_is_logged_unasked(model):
    assert set(fit(model, GradientNorms()).history) == {"loss"}


# Bad use.


@pytest.mark.parametrize("every", [0, -1, 2.5, True, "step", None])
def test_every_is_a_number_of_updates(every):
    with pytest.raises(
        ValueError, match="`every` must be 'epoch' or a number of updates, 1 or more"
    ):
        GradientNorms(every=every)


def test_a_model_that_is_not_compiled():
    with pytest.raises(ValueError, match=r"not compiled.*`model.compile\(optimizer, loss\)`"):
        GradientNorms().set_model(dense(NETWORK))


def test_a_model_without_trainable_layers(model):
    model.trainable = False
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no trainable variables.*`layer.trainable = True`"):
        fit(model, GradientNorms())


def test_an_unknown_layer(model):
    before = model.get_weights()
    with pytest.raises(
        ValueError, match=r"No layer or nested model is called 'aa'.*Nearest: a\..*are: a, b"
    ):
        fit(model, GradientNorms(layers=["aa"]))
    for weight, unchanged in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, unchanged)
