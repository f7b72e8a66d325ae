"""Any model's training, live: what is shown, paused, stopped, and what is left."""

import html
import threading
import time

import keras
import numpy as np
import pytest

from keras_lcb.diagnosis import diagnose
from keras_lcb.lab import watch
from keras_lcb.lab.views.form import form_of
from keras_lcb.lab.views.layers import layers_view_of
from tests.viewer.test_encoding import decoded

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(256, 3)).astype("float32")
Y = X @ np.array([[1.0], [-2.0], [0.5]], dtype="float32")


def model():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4, "tanh", name="first"), keras.layers.Dense(1, name="last")]
    made = keras.Sequential([keras.Input((3,)), *layers])
    made.compile(keras.optimizers.SGD(0.05), "mse")
    return made


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(scope="module")
def watched():
    watched = watch(model(), X, Y, epochs=20, shuffle=False)
    assert watched.wait(120)
    yield watched
    watched.close()


def test_the_run_is_that_of_fit_with_the_callbacks(watched):
    import keras_lcb as lcb

    assert watched.state == "done"
    convergence = lcb.LayerConvergence(every=1)
    model().fit(X, Y, epochs=20, shuffle=False, verbose=0, callbacks=[convergence])
    expected = convergence.results.sel(step=watched.run.step)
    assert 80 <= watched.run.sizes["step"] <= 161 and not watched.run.attrs["provisional"]
    np.testing.assert_allclose(
        watched.run.normalized_distance, expected.normalized_distance, rtol=1e-4, atol=1e-6
    )
    assert watched.run.gradient_norm.notnull().any()


def test_the_viewer_shows_it_and_a_sentence_tells_it(watched):
    (shown,) = watched._viewer.shown
    assert [layer["name"] for layer in shown["form"]["layers"]] == ["first", "last"]
    assert decoded(shown["form"]["variables"]["normalized_distance"])[-1].tolist() == [0.0, 0.0]
    assert "half-way at update" in watched.sentence and "So far" not in watched.sentence
    mimes = watched._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in mimes and "done" in mimes["text/plain"]


def test_in_the_end_the_sentence_tells_what_is_wrong():
    broken = model()
    broken.get_layer("first").trainable = False
    broken.compile(keras.optimizers.SGD(0.05), "mse")
    watched = watch(broken, X, Y, epochs=20)
    assert watched.wait(120)
    found = diagnose(watched.run).sentence()
    assert "first" in found and watched.sentence.endswith(found)
    assert found in html.unescape(watched._status.value)
    watched.close()


def test_filters_of_a_convolutional_network_are_shown():
    convolution = keras.layers.Conv1D(2, 2, name="conv")
    made = keras.Sequential([keras.Input((3, 1)), convolution, keras.layers.Flatten()])
    made.add(keras.layers.Dense(1))
    made.compile(keras.optimizers.SGD(0.05), "mse")
    watched = watch(made, X[..., np.newaxis], Y, epochs=2)
    assert watched.wait(120) and watched.state == "done", watched._training.error
    expected = keras.ops.convert_to_numpy(convolution.kernel)[:, 0].T
    form = watched._viewer.shown[0]["form"]
    np.testing.assert_allclose(decoded(form["variables"]["filters"])[-1, 0, :, 0], expected)
    assert "filters" in form_of(watched._training.view())["variables"]
    watched.close()


def test_it_pauses_and_stops_after_a_batch_and_leaves_no_thread():
    before = set(threading.enumerate())
    watched = watch(model(), X, Y, epochs=100_000, every=1, batch_size=256)
    until(lambda: watched._training.records > 3)
    watched._pause.click()
    until(lambda: watched._training.held)
    records = watched._training.records
    time.sleep(0.2)
    assert watched.state == "paused" and watched._training.records == records
    watched._pause.click()
    until(lambda: watched._training.records > records)
    watched._stop.click()
    assert watched.wait(60) and watched.state == "stopped"
    assert watched.run.sizes["step"] > records
    assert not {t for t in set(threading.enumerate()) - before if t.name == "keras_lcb.lab"}
    watched.close()


def test_the_updates_that_are_planned_are_those_that_are_made():
    made = model()
    made.compile(keras.optimizers.SGD(0.05, gradient_accumulation_steps=2), "mse")
    watched = watch(made, X, Y, epochs=75, initial_epoch=50, every="epoch", batch_size=16)
    assert watched.wait(60) and watched.state == "done"
    assert watched._training.updates == int(watched.run.step[-1]) == 25 * 16 // 2
    watched.close()


def test_a_pause_after_stop_holds_nothing_up():
    watched = watch(model(), X, Y, epochs=100_000, batch_size=256)
    watched.stop()
    watched.pause()
    assert watched.wait(60) and watched.state == "stopped"
    watched.close()


def several_outputs():
    taken = keras.Input((3,))
    deep = keras.layers.Dense(4, "tanh", name="deep")
    shallow = keras.layers.Dense(4, "tanh", name="shallow")(taken)
    heads = [
        keras.layers.Dense(1, name="early")(shallow),
        keras.layers.Dense(1, name="late")(deep(shallow)),
    ]
    return keras.Model(taken, heads)


def one_layer():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="only")])


@pytest.mark.parametrize(
    ("make", "layers", "told"),
    [
        (several_outputs, None, ["deep", "shallow"]),
        (several_outputs, ["shallow", "deep"], ["deep", "shallow"]),
        (one_layer, None, ["only"]),
    ],
    ids=["outputs", "chosen", "one"],
)
def test_it_tells_of_the_hidden_layers_whichever_are_recorded(make, layers, told):
    made = make()
    made.compile(keras.optimizers.SGD(0.05), "mse")
    watched = watch(made, X, Y if make is one_layer else [Y, Y], epochs=5, layers=layers)
    assert watched.wait(120) and watched.state == "done", watched._training.error
    assert sorted(watched._training.view().hidden) == told
    assert sorted(layers_view_of(watched.run).hidden) == told
    said = watched.sentence.partition(".")[0]
    assert all(name in said for name in told) and "early" not in said and "late" not in said
    watched.close()


def test_a_single_callback_is_taken_as_fit_takes_it():
    seen = keras.callbacks.History()
    watched = watch(model(), X, Y, epochs=2, callbacks=seen)
    assert watched.wait(60) and watched.state == "done" and len(seen.epoch) == 2
    watched.close()


def test_what_goes_wrong_is_said():
    with pytest.raises(ValueError, match="must be compiled; received 'bare'"):
        watch(keras.Sequential([keras.layers.Dense(1)], name="bare"), X, Y)
    watched = watch(model(), X, Y[:10], epochs=1)
    assert watched.wait(60) and watched.state == "failed"
    assert "Error" in watched._status.value
