import warnings

import keras
import numpy as np
import pytest

import keras_lcb as lcb


def _data(samples=64):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 3)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


def _model(rate=0.01, bias=0.0):
    initial = keras.initializers.Constant(bias)
    layers = [
        keras.layers.Dense(8, "relu", bias_initializer=initial, name="hidden"),
        keras.layers.Dense(1, name="head"),
    ]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def _told(model, watched, epochs=4, **fit):
    """Trains; returns the first words of each warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*_data(), epochs=epochs, verbose=0, callbacks=[watched], **fit)
    ours = [str(each.message) for each in caught if "Rule: " in str(each.message)]
    return [text.partition(" (")[0] for text in ours]


def test_a_sound_training_gets_no_warning():
    watched = lcb.Diagnosis()
    assert _told(_model(), watched, epochs=10) == []
    assert watched.findings.names == []


def test_it_warns_once_of_each_finding_as_soon_as_it_is_clear():
    watched, model = lcb.Diagnosis(), _model(bias=-99.0)
    stopped = []

    class Count(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            stopped.append(set(watched._told))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*_data(), epochs=4, verbose=0, callbacks=[watched, Count()])
    assert "dead units" not in stopped[0] and "dead units" in stopped[1]
    assert sum(str(each.message).startswith("Dead units") for each in caught) == 1
    assert "dead units" in watched.findings.names


def test_a_second_fit_continues_without_repeating_warnings():
    watched, model = lcb.Diagnosis(), _model(bias=-99.0)
    assert "Dead units" in _told(model, watched)
    assert "Dead units" not in _told(model, watched)
    watched.reset()
    assert "Dead units" in _told(model, watched)


def test_its_numbers_are_those_of_the_other_callbacks():
    watched, norms, convergence = lcb.Diagnosis(), lcb.GradientNorms(), lcb.LayerConvergence()
    _model().fit(*_data(), epochs=3, verbose=0, callbacks=[watched, norms, convergence])
    own = watched.results
    for name, other in (
        ("gradient_norm", norms),
        ("update_norm", norms),
        ("parameter_norm", convergence),
    ):
        np.testing.assert_allclose(own[name], other.results[name], rtol=1e-5)
    run = lcb.collect(watched, norms, convergence)
    assert lcb.diagnose(run).untold == lcb.diagnose(run).untold
    assert set(own.dead_units.dims) == {"step", "layer"}


def test_records_may_be_taken_within_epochs():
    watched = lcb.Diagnosis(every=2)
    assert _told(_model(), watched, epochs=2, batch_size=8) == []
    assert watched.results.step.values.tolist() == list(range(0, 17, 2))


def test_training_is_the_same_as_without_it():
    plain, watched = _model(), _model()
    plain.fit(*_data(), epochs=3, verbose=0, shuffle=False)
    watched.fit(*_data(), epochs=3, verbose=0, shuffle=False, callbacks=[lcb.Diagnosis()])
    for one, other in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_before_training_there_is_nothing_to_find():
    with pytest.raises(RuntimeError, match="recorded nothing"):
        _ = lcb.Diagnosis().findings


def test_a_run_continues_from_its_backup(tmp_path):
    model = _model()
    _told(model, lcb.Diagnosis(backup=tmp_path), epochs=2)
    again = lcb.Diagnosis(backup=tmp_path)
    _told(model, again, epochs=2)
    assert again.results.sizes["step"] == 5
    assert np.isfinite(again.results.parameter_norm).all()
