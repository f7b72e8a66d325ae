"""Data whose length is not known in advance: on TensorFlow, an epoch ends within a step."""

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from tests.models import dense
from tests.modes import BACKEND
from tests.oracle import Network, batches, train

NETWORK, RATE, BATCH, EPOCHS = Network(), 0.1, 8, 3
X, Y = NETWORK.data(5 * BATCH)


def generator():
    yield from batches(X, Y, size=BATCH)


class Batches(keras.utils.PyDataset):
    """A data set that tells its length, to compare with."""

    def __len__(self):
        return len(X) // BATCH

    def __getitem__(self, number):
        part = slice(BATCH * number, BATCH * (number + 1))
        return X[part], Y[part]


def known():
    return Batches()


def filtered():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y)).filter(lambda *_: True).batch(BATCH)


def generated():
    import tensorflow as tf

    shapes = [tf.TensorSpec((None, *each.shape[1:])) for each in (X, Y)]
    return tf.data.Dataset.from_generator(generator, output_signature=tuple(shapes))


def fit(data, *callbacks, optimizer=None, epochs=EPOCHS, model=None, **options):
    model = model or dense(NETWORK)
    model.compile(optimizer or keras.optimizers.SGD(RATE), "mse", **options)
    model.fit(data(), epochs=epochs, verbose=0, shuffle=False, callbacks=[*callbacks])
    return model


def by_hand(epochs=EPOCHS):
    def rule(weights, gradients):
        return [w - RATE * g for w, g in zip(weights, gradients, strict=True)]

    data = [batch for _ in range(epochs) for batch in batches(X, Y, size=BATCH)]
    return train(NETWORK.gradients, NETWORK.weights(), data, rule, NETWORK.layers)


@pytest.mark.parametrize("data", [known, filtered, generated])
def test_updates_are_those_that_were_made(data):
    gradients = lcb.GradientNorms(per_update=True)
    convergence = lcb.LayerConvergence()
    fit(data, gradients, convergence)
    run, expected = gradients.results, by_hand()
    assert run.step.values.tolist() == [0, 5, 10, 15]
    assert convergence.results.step.values.tolist() == [0, 5, 10, 15]
    assert run["update"].values.tolist() == list(range(1, 16))
    assert (run.attrs["nonfinite_updates"], run.attrs["first_nonfinite_update"]) == (0, -1)
    np.testing.assert_allclose(run.gradient_norm_per_update, expected.gradient_norms, rtol=1e-5)
    rms = np.sqrt(np.mean(np.square(expected.gradient_norms).reshape(3, 5, -1), axis=1))
    np.testing.assert_allclose(run.gradient_norm[1:], rms, rtol=1e-5)


@pytest.mark.parametrize("steps", [1] if BACKEND == "torch" else [1, 2])
def test_data_that_end_before_the_given_steps(steps):
    """Seven batches, of which Keras asks for four an epoch, and for four more."""
    gradients, convergence = lcb.GradientNorms(per_update=True), lcb.LayerConvergence()
    model = dense(NETWORK)
    model.compile(keras.optimizers.SGD(RATE), "mse", steps_per_execution=steps, jit_compile=False)
    data = iter([(X[:BATCH], Y[:BATCH])] * 7)
    options = {"steps_per_epoch": 4, "epochs": 2, "verbose": 0}
    model.fit((batch for batch in data), callbacks=[gradients, convergence], **options)
    run = lcb.collect(gradients, convergence)
    assert run.step.values.tolist() == [0, 4, 7]
    assert run["update"].values.tolist() == list(range(1, 8))
    assert (run.gradient_norm_per_update > 0).all()


def test_records_of_weights_alone_count_right():
    convergence = lcb.LayerConvergence()
    fit(filtered, convergence)
    assert convergence.results.step.values.tolist() == [0, 5, 10, 15]


@pytest.mark.parametrize("data", [known, filtered])
def test_accumulated_gradients(data):
    """Five batches an epoch, three an update: an epoch may end between two updates."""
    gradients = lcb.GradientNorms(per_update=True)
    sgd = keras.optimizers.SGD(RATE, gradient_accumulation_steps=3)
    fit(data, gradients, optimizer=sgd)
    norms = gradients.results.gradient_norm_per_update.values
    assert np.isfinite(norms).all() and (norms > 0).all()
    assert gradients.results.step.values[-1] == len(norms)


@pytest.mark.parametrize("data", [known, filtered])
@pytest.mark.parametrize("steps", [1] if BACKEND == "torch" else [1, 2, 4])
def test_losses_are_those_of_the_batches_between_records(data, steps):
    convergence = lcb.LayerConvergence(every=2)
    fit(data, convergence, steps_per_execution=steps, jit_compile=False)
    run, losses = convergence.results, _losses()
    edges = run.step.values
    expected = [losses[a:b].mean() for a, b in zip(edges[:-1], edges[1:], strict=True)]
    np.testing.assert_allclose(run.loss[1:], expected, rtol=1e-4)


def _losses():
    found, model = [], dense(NETWORK)
    model.compile(keras.optimizers.SGD(RATE), "mse")
    for _ in range(EPOCHS):
        for x, y in batches(X, Y, size=BATCH):
            found.append(float(model.train_on_batch(x, y)))
    return np.array(found)


def test_weights_are_those_of_plain_training():
    models = [
        fit(filtered, *callbacks, optimizer=keras.optimizers.Adam(0.01))
        for callbacks in ([], [lcb.LayerConvergence(), lcb.GradientNorms()])
    ]
    for ours, theirs in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_backup_counts_on(tmp_path):
    """In another process only Keras' own count is known, with the updates that were not made."""
    model = fit(filtered, lcb.LayerConvergence(backup=tmp_path), epochs=2)
    other = dense(NETWORK)
    other.compile(keras.optimizers.SGD(RATE), "mse")
    other.optimizer.build(other.trainable_variables)
    other.set_weights(model.get_weights())
    for ours, theirs in zip(other.optimizer.variables, model.optimizer.variables, strict=True):
        ours.assign(theirs)
    again = lcb.LayerConvergence(backup=tmp_path)
    other.fit(filtered(), epochs=3, initial_epoch=2, verbose=0, callbacks=[again])
    assert again.results.step.values.tolist() == [0, 5, 10, 15]


def test_a_new_callback_takes_over_a_backup_in_the_same_process(tmp_path):
    model = fit(filtered, lcb.LayerConvergence(backup=tmp_path), epochs=2)
    again = lcb.LayerConvergence(backup=tmp_path)
    model.fit(filtered(), epochs=3, initial_epoch=2, verbose=0, callbacks=[again])
    assert again.results.step.values.tolist() == [0, 5, 10, 15]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow counts in vain")
def test_keras_counts_updates_that_are_not_made():
    """If Keras mends this, what this package does about it can go."""
    assert int(fit(filtered).optimizer.iterations) > 15
