"""What stands beside each record: losses, rates, epochs, times; and what a run goes on from."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from tests.callbacks.tiny import close, compiled, data, dense, dense_rows, train
from tests.plain_copies import PlainCopies, distances


def batch_losses(taken, batches):
    """The loss of each batch under the weights before it, in NumPy, for the model `a`, `b`."""
    losses = []
    for place, weights in enumerate(taken[:-1]):
        x, y = batches[place % len(batches)]
        (kernel_a, bias_a, kernel_b, bias_b) = (w.astype("float64") for w in weights)
        output = np.tanh(x @ kernel_a + bias_a) @ kernel_b + bias_b
        losses.append(((output - y) ** 2).mean())
    return np.array(losses)


def train_on(count, *callbacks, epochs=2, **options):
    """Trains in batches of two and returns the batches and Keras' history."""
    model = compiled(dense("a", "b"))
    x, y = data(count=count)
    history = model.fit(
        x, y, 2, epochs, verbose=0, shuffle=False, callbacks=list(callbacks), **options
    )
    return [(x[i : i + 2], y[i : i + 2]) for i in range(0, count, 2)], history.history


def test_the_loss_is_the_mean_since_the_previous_record():
    epochs, updates = lcb.LayerConvergence(), lcb.LayerConvergence(every=3)
    plain = PlainCopies(each_batch=True)
    batches, history = train_on(10, epochs, updates, plain)
    losses = batch_losses(plain.taken, batches)
    close(epochs.results.loss, [np.nan, losses[:5].mean(), losses[5:].mean()], rtol=1e-5)
    close(epochs.results.loss[1:], history["loss"])
    assert updates.results.step.values.tolist() == [0, 3, 6, 9, 10]
    expected = [np.nan, *(losses[a:b].mean() for a, b in [(0, 3), (3, 6), (6, 9), (9, 10)])]
    close(updates.results.loss, expected, rtol=1e-5)


def test_a_smaller_last_batch_counts_with_its_samples():
    epochs, updates = lcb.LayerConvergence(), lcb.LayerConvergence(every=3)
    plain = PlainCopies(each_batch=True)
    batches, history = train_on(9, epochs, updates, plain)
    losses = batch_losses(plain.taken, batches)
    epoch_mean = (2 * losses[:4].sum() + losses[4]) / 9
    close(epochs.results.loss[1], epoch_mean, rtol=1e-5)
    close(epochs.results.loss[1:], history["loss"])
    expected = (2 * losses[3] + losses[4] + 2 * losses[5]) / 5
    close(updates.results.loss[1:3], [losses[:3].mean(), expected], rtol=1e-5)


def test_validation_losses_stand_where_there_was_a_validation():
    epochs, updates = lcb.LayerConvergence(), lcb.LayerConvergence(every=3)
    every_second = lcb.LayerConvergence(every=4)
    _, history = train_on(10, epochs, updates, validation_data=data(count=6))
    (first, second), nan = history["val_loss"], np.nan
    close(epochs.results.validation_loss, [nan, first, second])
    assert updates.results.step.values.tolist() == [0, 3, 5, 6, 9, 10]
    close(updates.results.validation_loss, [nan, nan, first, nan, nan, second])
    assert updates.results.epoch.values.tolist() == [0, 0, 1, 1, 1, 2]
    _, history = train_on(8, every_second, validation_data=data(count=6), validation_freq=2)
    close(every_second.results.validation_loss, [nan, nan, history["val_loss"][0]])
    assert every_second.results.epoch.values.tolist() == [0, 1, 2]
    unvalidated = lcb.LayerConvergence()
    train_on(4, unvalidated)
    assert "validation_loss" not in unvalidated.results


def test_the_learning_rate_in_force():
    falling = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True)
    convergence = lcb.LayerConvergence()
    train(compiled(dense("a", "b"), keras.optimizers.SGD(falling)), convergence)
    close(convergence.results.learning_rate, [0.1, 0.05, 0.025, 0.0125])
    assert convergence.results.attrs["learning_rate"] == pytest.approx(0.1)

    def halve(epoch, rate):
        return rate / 2 if epoch else rate

    convergence = lcb.LayerConvergence()
    train(compiled(dense("a", "b")), keras.callbacks.LearningRateScheduler(halve), convergence)
    close(convergence.results.learning_rate, [0.05, 0.05, 0.025, 0.0125])


def test_a_run_says_what_it_was_made_with():
    convergence = lcb.LayerConvergence()
    train(compiled(dense("a", "b")), convergence)
    attributes = convergence.results.attrs
    assert attributes["keras_version"] == keras.__version__
    assert attributes["backend"] == keras.backend.backend()
    assert attributes["optimizer"] == "Adam"
    assert attributes["seed"] == 3


def test_trainings_with_other_seeds_are_not_collected():
    convergence, gradients = lcb.LayerConvergence(), lcb.GradientNorms(every=3)
    model = compiled(dense("a", "b"))
    train(model, convergence)
    keras.utils.set_random_seed(4)
    train(model, gradients)
    assert (convergence.results.attrs["seed"], gradients.results.attrs["seed"]) == (3, 4)
    with pytest.raises(ValueError, match="different trainings: their seed is 3 and 4"):
        lcb.collect(convergence, gradients)


def test_no_epoch_is_no_record():
    convergence = lcb.LayerConvergence()
    train(compiled(dense("a", "b")), convergence, epochs=0)
    with pytest.raises(RuntimeError, match="recorded nothing yet"):
        convergence.results  # noqa: B018


def fail_at(epoch, batch):
    """Fails once, in the middle of an epoch."""
    state = {"epoch": None, "failed": False}

    def begin(now, logs):
        state["epoch"] = now

    def end(now, logs):
        if (state["epoch"], now) == (epoch, batch) and not state["failed"]:
            state["failed"] = True
            raise RuntimeError("out of power")

    return keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_train_batch_end=end)


@pytest.mark.parametrize("every", ["epoch", 2])
def test_records_that_keras_undoes_are_dropped(every, tmp_path):
    """As in the example of BackupAndRestore, whose second `fit` goes on after a failure."""

    def watched(failure, folder):
        model = compiled(dense("a", "b"))
        callbacks = [lcb.LayerConvergence(every=every), lcb.GradientNorms(every=every)]
        resuming = keras.callbacks.BackupAndRestore(tmp_path / folder)
        if failure:
            with pytest.raises(RuntimeError, match="out of power"):
                train(model, *callbacks, resuming, failure, batches=4)
            if every == 2:
                with pytest.warns(UserWarning, match="set back to update 4. The records after"):
                    train(model, *callbacks, resuming, failure, batches=4)
                return lcb.collect(*callbacks)
        train(model, *callbacks, resuming, batches=4)
        return lcb.collect(*callbacks)

    run, expected = watched(fail_at(1, 2), "interrupted"), watched(None, "whole")
    assert run.step.values.tolist() == expected.step.values.tolist()
    assert run.epoch.values.tolist() == expected.epoch.values.tolist()
    assert (np.diff(run.wall_time) > 0).all()
    for name in ("distance", "angle", "loss", "gradient_norm", "update_norm"):
        close(run[name], expected[name], rtol=1e-4)


def test_updates_undone_within_an_epoch_are_in_no_record(tmp_path):
    """A backup every two batches: the third update of the second epoch is undone, two are kept."""
    norms = lcb.GradientNorms(per_update=True)
    resuming = keras.callbacks.BackupAndRestore(tmp_path, save_freq=2)
    model, failure = compiled(dense("a", "b")), fail_at(1, 2)
    with pytest.raises(RuntimeError, match="out of power"):
        train(model, norms, resuming, failure, epochs=2, batches=4)
    train(model, norms, resuming, failure, epochs=2, batches=4)
    run = norms.results
    assert run.step.values.tolist() == [0, 4, 6, 10]
    assert run["update"].values.tolist() == [1, 2, 3, 4, 7, 8, 9, 10]
    assert np.isnan(run.gradient_norm.sel(step=6)).all()
    for step, updates in ((4, [1, 2, 3, 4]), (10, [7, 8, 9, 10])):
        each = run.gradient_norm_per_update.sel(update=updates)
        close(run.gradient_norm.sel(step=step), np.sqrt((each.values**2).mean(axis=0)))


@pytest.mark.parametrize("every", ["epoch", 3])
def test_records_that_a_callback_undoes_within_a_fit_are_dropped(every, tmp_path):
    """At the end of the third epoch, all is set back to the end of the first."""
    path = tmp_path / "first.weights.h5"
    model = compiled(dense("a", "b"))

    def end(epoch, logs):
        if epoch == 0:
            model.save_weights(path)
        if epoch == 2:
            model.load_weights(path)

    rollback = keras.callbacks.LambdaCallback(on_epoch_end=end)
    convergence, norms = lcb.LayerConvergence(every=every), lcb.GradientNorms(every=every)
    plain = PlainCopies()
    with pytest.warns(UserWarning, match="set back to update 2. The records after"):
        train(model, convergence, norms, plain, rollback, epochs=5)
    run = lcb.collect(convergence, norms)
    if every == "epoch":
        assert run.step.values.tolist() == [0, 2, 4, 6]
        assert run.epoch.values.tolist() == [0, 1, 4, 5]
        kept = [plain.taken[place] for place in (0, 1, 4, 5)]
        close(run.distance, distances(model, kept, dense_rows("a", "b")))
    else:
        assert run.step.values.tolist() == [0, 3, 6]
    assert (run.gradient_norm[1:] > 0).all()


def test_counting_from_zero_within_a_fit_is_seen_at_the_end_of_the_epoch():
    model = compiled(dense("a", "b"))

    def begin(epoch, logs):
        if epoch == 2:
            model.optimizer.iterations.assign(0)

    restart = keras.callbacks.LambdaCallback(on_epoch_begin=begin)
    convergence = lcb.LayerConvergence()
    with pytest.warns(UserWarning, match="set back to update 0. The records after"):
        train(model, convergence, restart, epochs=5, batches=4)
    assert convergence.results.step.values.tolist() == [0, 4, 8, 12]
    assert convergence.results.epoch.values.tolist() == [0, 3, 4, 5]


def test_an_optimizer_set_back_to_before_the_run_is_refused():
    model = compiled(dense("a", "b"))
    train(model, epochs=1)
    convergence = lcb.LayerConvergence()
    train(model, convergence, epochs=1)
    model.optimizer.iterations.assign(0)
    with pytest.raises(ValueError, match="set back to before this run began. Call `reset\\(\\)`"):
        train(model, convergence, epochs=1)


def test_updates_between_fits_are_counted_and_recorded():
    model = compiled(dense("a", "b"))
    convergence, plain = lcb.LayerConvergence(), PlainCopies()
    train(model, convergence, plain, epochs=1)
    train(model, epochs=1)
    plain.take()
    train(model, convergence, plain, epochs=1)
    assert convergence.results.step.values.tolist() == [0, 2, 4, 6]
    close(convergence.results.distance, distances(model, plain.taken, dense_rows("a", "b")))


def test_a_model_that_has_other_parameters_than_before_is_refused():
    model = compiled(dense("a", "b"))
    convergence = lcb.LayerConvergence()
    train(model, convergence, epochs=1)
    model.get_layer("a").enable_lora(2)
    compiled(model)
    with pytest.raises(ValueError, match="or their parameters have changed"):
        train(model, convergence, epochs=1)
    assert convergence.results.step.values.tolist() == [0, 2]
