"""GradientNorms leaves nothing behind: in files, in optimizers, in models, after failures."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import subprocess
import sys
import weakref
import zipfile

import h5py
import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb import GradientNorms
from keras_lcb.backend.internals import needed
from tests.models import dense
from tests.oracle import Network

NETWORK = Network((3, 4, 2))
X, Y = NETWORK.data(16)

OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "adam with options": lambda: keras.optimizers.AdamW(
        0.01, weight_decay=0.1, gradient_accumulation_steps=2, clipnorm=1.0
    ),
    "loss scaling": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
}


def compiled(optimizer, mode):
    keras.utils.clear_session(free_memory=False)  # so that names come out the same
    model = dense(NETWORK)
    model.compile(optimizer(), "mse", **mode)
    return model


@pytest.fixture(params=OPTIMIZERS)
def new_model(request, fast_mode):
    """Makes equal models with each kind of optimizer."""

    return lambda: compiled(OPTIMIZERS[request.param], fast_mode)


@pytest.fixture
def new_momentum_model(fast_mode):
    return lambda: compiled(OPTIMIZERS["momentum"], fast_mode)


@pytest.fixture
def new_averaging_model(fast_mode):
    """Not among the others, since Keras on JAX cannot go on after a `fit` with `use_ema`."""

    def optimizer():
        return keras.optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=3)

    return lambda: compiled(optimizer, fast_mode)


def fit(model, *callbacks, epochs=2, **options):
    return model.fit(
        X, Y, 4, epochs, verbose=0, shuffle=False, callbacks=list(callbacks), **options
    )


def assert_equal_state(model, other):
    """Weights, optimizer variables and their names are bit for bit the same."""
    for ours, theirs in (
        (model.variables, other.variables),
        (model.optimizer.variables, other.optimizer.variables),
    ):
        assert [v.path.split("/", 1)[-1] for v in ours] == [
            v.path.split("/", 1)[-1] for v in theirs
        ]
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(
                keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b), err_msg=a.path
            )


def assert_no_trace(model):
    """Nothing of the tap is left on the objects that a user holds."""
    optimizer = model.optimizer
    for owner in (model, optimizer, getattr(optimizer, "inner_optimizer", optimizer)):
        for name in (
            "apply",
            "_clip_gradients",
            "make_train_function",
            "finalize_variable_values",
            "save_own_variables",
            "load_own_variables",
        ):
            assert name not in vars(owner), f"{name} of {owner}"
    assert not [v.path for v in optimizer.variables if "tap_" in v.path]


# Files.


def members(path):
    """What a file of weights or a `.keras` archive holds: keys and shapes, names, the config."""
    if not zipfile.is_zipfile(path):
        return _h5_items(path)
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"), object_hook=_without_object_ids)
        weights = _h5_items(archive.open("model.weights.h5"))
        return sorted(archive.namelist()), config, weights


def _h5_items(file):
    items = {}
    with h5py.File(file) as h5:
        h5.visititems(lambda name, item: items.update({name: getattr(item, "shape", None)}))
    return items


def _without_object_ids(item):
    item.pop("shared_object_id", None)
    return item


def files_of_a_training(model, folder, *callbacks):
    folder.mkdir()
    checkpoints = [
        keras.callbacks.ModelCheckpoint(folder / "each{epoch}.keras"),
        keras.callbacks.ModelCheckpoint(folder / "each{epoch}.weights.h5", save_weights_only=True),
        keras.callbacks.ModelCheckpoint(folder / "batch.keras", save_freq=3),
        keras.callbacks.BackupAndRestore(folder / "backup", delete_checkpoint=False),
    ]
    fit(model, *callbacks, *checkpoints)
    model.save(folder / "after.keras")
    model.save_weights(folder / "after.weights.h5")
    files = [path for path in folder.rglob("*") if path.suffix in (".keras", ".h5")]
    return {str(path.relative_to(folder)): path for path in files}


LOAD = """
import sys
sys.modules["keras_lcb"] = None  # no import of it can succeed
import keras, numpy as np
for path in sys.argv[1:]:
    model = keras.models.load_model(path)
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    print("trained")
"""


def test_files_are_those_of_a_training_without_the_callback(new_model, tmp_path):
    compare_files(new_model, tmp_path)


def test_files_with_averaged_weights(new_averaging_model, tmp_path):
    compare_files(new_averaging_model, tmp_path)


def compare_files(new_model, tmp_path):
    plain_model, model = new_model(), new_model()
    plain = files_of_a_training(plain_model, tmp_path / "plain")
    tapped = files_of_a_training(
        model, tmp_path / "tapped", GradientNorms(every=2, per_update=True)
    )
    assert plain.keys() == tapped.keys()
    assert {"each1.keras", "each2.weights.h5", "batch.keras"} <= plain.keys()
    assert any("backup" in name for name in plain)
    for name, path in plain.items():
        assert members(tapped[name]) == members(path), name
    assert_equal_state(model, plain_model)
    assert_no_trace(model)


def test_files_load_where_the_package_is_not_installed(new_momentum_model, tmp_path):
    files = files_of_a_training(new_momentum_model(), tmp_path / "run", GradientNorms())
    whole = [str(files[name]) for name in ("each1.keras", "batch.keras", "after.keras")]
    command = [sys.executable, "-c", LOAD, *whole]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stdout.split() == ["trained"] * 3, result.stderr


def test_weights_can_be_loaded_in_the_middle_of_training(new_model, tmp_path):
    """A callback that puts model and optimizer back, as some do when the loss rises."""

    def train(model, *callbacks):
        path = tmp_path / "kept.weights.h5"
        back = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: model.save_weights(path) if epoch == 1 else None,
            on_epoch_end=lambda epoch, logs: model.load_weights(path) if epoch == 1 else None,
        )
        fit(model, *callbacks, back, epochs=3)
        return model

    assert_equal_state(train(new_model(), GradientNorms()), train(new_model()))


# Weights.


def test_a_network_with_random_layers_trains_bit_for_bit_the_same(fast_mode):
    def trained(*callbacks):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [
                keras.Input((3,)),
                keras.layers.Dense(8),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.5),
                keras.layers.GaussianNoise(0.1),
                keras.layers.Dense(2),
            ]
        )
        model.compile("adam", "mse", **fast_mode)
        model.fit(X, Y, 4, 2, verbose=0, callbacks=list(callbacks))  # shuffled
        return model

    assert_equal_state(trained(GradientNorms(per_update=True, log=True)), trained())


# Failures.


class Failing(keras.callbacks.Callback):
    """Raises at one of Keras' hooks."""

    def __init__(self, hook, error):
        super().__init__()
        self.hook, self.error = hook, error
        setattr(self, hook, self._fail)

    def _fail(self, *args, **kwargs):
        # `set_model` passes a model; batches fail in the middle of an epoch.
        if self.hook != "on_train_batch_end" or args[0] == 1:
            raise self.error


HOOKS = ["set_model", "on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_epoch_end"]


@pytest.mark.parametrize("hook", HOOKS)
def test_training_goes_on_after_a_failure_in_another_callback(hook, new_momentum_model):
    model, plain = new_momentum_model(), new_momentum_model()
    for each, callbacks in ((model, [GradientNorms()]), (plain, [])):
        with pytest.raises(RuntimeError, match="theirs"):
            fit(each, *callbacks, Failing(hook, RuntimeError("theirs")))
    assert not [v.path for v in model.optimizer.variables if "tap_" in v.path]
    copied, pickled = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    if model.optimizer.built:  # else the copies' are built when they are loaded, and it is not yet
        assert_equal_state(copied, model)
    fit(model)
    fit(plain)
    fit(pickled)
    assert_no_trace(model)
    assert_equal_state(model, plain)
    assert_equal_state(pickled, plain)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_training_goes_on_after_an_interrupt(error, new_model, tmp_path):
    model, plain = new_model(), new_model()
    norms = GradientNorms(log=True)
    for each, callbacks in ((model, [norms]), (plain, [])):
        with pytest.raises(type(error)):
            fit(each, *callbacks, Failing("on_train_batch_end", error))
        each.save(tmp_path / f"{each is model}.keras")
        each.train_on_batch(X, Y)
    assert members(tmp_path / "True.keras") == members(tmp_path / "False.keras")
    assert_no_trace(model)
    assert_equal_state(model, plain)
    fit(model, norms)  # and the callback itself goes on
    assert norms.results.step.values[-1] == model.optimizer.iterations


def test_training_goes_on_after_terminate_on_nan(new_momentum_model):
    model = new_momentum_model()
    norms = GradientNorms()
    x = X.copy()
    x[5] = np.nan
    model.fit(
        x, Y, 4, 5, verbose=0, shuffle=False, callbacks=[norms, keras.callbacks.TerminateOnNaN()]
    )
    assert norms.results.attrs["first_nonfinite_update"] == 2
    assert_no_trace(model)
    plain = new_momentum_model()
    plain.optimizer.build(plain.trainable_variables)
    for ours, theirs in (
        (model.variables, plain.variables),
        (model.optimizer.variables, plain.optimizer.variables),
    ):
        for a, b in zip(ours, theirs, strict=True):
            a.assign(keras.ops.convert_to_numpy(b))
    fit(model)
    fit(plain)
    assert_equal_state(model, plain)


def test_a_model_is_freed_with_its_last_reference(new_model):
    model = new_model()
    fit(model, GradientNorms())
    with pytest.raises(KeyboardInterrupt):
        fit(model, GradientNorms(), Failing("on_train_batch_end", KeyboardInterrupt()))
    references = [weakref.ref(model), weakref.ref(model.optimizer)]
    del model
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_evaluate_and_predict_leave_no_trace(new_momentum_model):
    model, plain = new_momentum_model(), new_momentum_model()
    norms = GradientNorms()
    model.evaluate(X, Y, verbose=0, callbacks=[norms])
    model.predict(X, verbose=0, callbacks=[norms])
    assert_no_trace(model)
    fit(model)
    fit(plain)
    assert_no_trace(model)
    assert_equal_state(model, plain)
    with pytest.raises(RuntimeError, match="recorded nothing"):
        norms.results  # noqa: B018


# One trace.


@keras.saving.register_keras_serializable("tests")
class Counting(keras.layers.Layer):
    """Notes each time that Python runs through it, which is when a step is traced."""

    traces = 0

    def call(self, inputs, training=False):
        if training:
            type(self).traces += 1
        return inputs


@pytest.fixture
def counting_model(fast_mode):
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, name="a")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="b")(Counting()(hidden)))
    model.compile(keras.optimizers.SGD(0.1), "mse", **fast_mode)
    Counting.traces = 0
    return model


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="torch traces nothing: it runs Python in every step"
)
def test_fit_in_a_loop_is_traced_once(counting_model):
    fit(counting_model, epochs=1)
    once = Counting.traces
    norms = GradientNorms()
    for _ in range(3):
        fit(counting_model, norms, epochs=1)
    for _ in range(2):
        fit(counting_model, GradientNorms(every=3), epochs=1)
    fit(counting_model, epochs=1)  # what was traced without it still is there
    assert Counting.traces == 2 * once
    counting_model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    fit(counting_model, norms, epochs=1)
    assert Counting.traces > 2 * once
    after = Counting.traces
    fit(counting_model, norms, epochs=1)
    assert Counting.traces == after or keras.backend.backend() == "jax"  # eager there


def test_a_change_of_what_trains_is_traced_again(counting_model):
    norms = GradientNorms()
    fit(counting_model, norms, epochs=1)
    counting_model.get_layer("a").trainable = False
    counting_model.compile(keras.optimizers.SGD(0.1), "mse")
    frozen = counting_model.get_layer("a").get_weights()
    fit(counting_model, norms, epochs=1)
    for before, after in zip(frozen, counting_model.get_layer("a").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    run = norms.results
    assert np.isfinite(run.gradient_norm.sel(layer="a", step=4))
    assert np.isnan(run.gradient_norm.sel(layer="a", step=8))
    assert np.isfinite(run.gradient_norm.sel(layer="b", step=8))


# Several callbacks, several models, several compilations.


def test_two_callbacks_on_one_model(new_model):
    first, second = GradientNorms(every=3), GradientNorms(per_update=True)
    model, plain = new_model(), new_model()
    fit(model, first, second, epochs=3)
    fit(plain, epochs=3)
    assert_equal_state(model, plain)
    each = second.results.gradient_norm_per_update
    for run in (first.results, second.results):
        for before, now in zip(run.step.values, run.step.values[1:], strict=False):
            expected = np.sqrt((each.sel(update=slice(before + 1, now)) ** 2).mean("update"))
            np.testing.assert_allclose(run.gradient_norm.sel(step=now), expected, rtol=1e-5)


def test_a_callback_does_not_go_on_with_another_model(new_momentum_model):
    norms = GradientNorms()
    model, other = new_momentum_model(), new_momentum_model()
    fit(model, norms)
    before = norms.results
    with pytest.raises(ValueError, match=r"cannot continue with .* `reset\(\)`"):
        fit(other, norms)
    assert_no_trace(other)
    assert norms.results.identical(before)
    norms.reset()
    fit(other, norms)
    assert norms.results.step.values.tolist() == [0, 4, 8]


def test_compiling_between_fits(new_momentum_model, fast_mode):
    model, plain = new_momentum_model(), new_momentum_model()
    norms = GradientNorms(per_update=True)
    for each, callbacks in ((model, [norms]), (plain, [])):
        fit(each, *callbacks)
        each.compile(each.optimizer, "mae", **fast_mode)  # the same optimizer
        fit(each, *callbacks)
        each.compile(keras.optimizers.Adam(0.01), "mse", **fast_mode)  # a new one
        fit(each, *callbacks)
    assert_equal_state(model, plain)
    assert_no_trace(model)
    run = norms.results
    assert run.step.values.tolist() == [0, 4, 8, 12, 16, 20, 24]
    assert run["update"].values.tolist() == list(range(1, 25))
    assert np.isfinite(run.gradient_norm_per_update).all()


# The optimizer's identity.


def test_learning_rates_can_be_set_in_training(new_model):
    rates = [0.1, 0.05, 0.01]
    model, plain = new_model(), new_model()
    norms = GradientNorms()
    for each, callbacks in ((model, [norms]), (plain, [])):
        optimizer = each.optimizer
        schedule = keras.callbacks.LearningRateScheduler(lambda epoch: rates[epoch])
        fit(each, *callbacks, schedule, epochs=3)
        assert each.optimizer is optimizer
        optimizer.learning_rate = 0.025  # by the user's own reference
        fit(each, *callbacks, epochs=1)
    np.testing.assert_allclose(norms.results.learning_rate[1:], [*rates, 0.025], rtol=1e-6)
    assert_equal_state(model, plain)


def test_reduce_lr_on_plateau(new_momentum_model):
    model = new_momentum_model()
    optimizer = model.optimizer
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=1e9)
    fit(model, GradientNorms(), plateau, epochs=4)
    assert model.optimizer is optimizer
    assert float(keras.ops.convert_to_numpy(optimizer.learning_rate)) < 0.011


def test_each_applied_update_is_measured_once(new_model):
    model = new_model()
    norms = GradientNorms(per_update=True)
    fit(model, norms, epochs=3)
    applied = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
    assert norms.results.sizes["update"] == applied > 0
    assert (norms.results.gradient_norm_per_update > 0).all()


def test_an_optimizer_that_lacks_a_private_name_is_refused(new_momentum_model, monkeypatch):
    changed = {**needed.NEEDED, "optimizer": ("_variables", "_gone")}
    monkeypatch.setattr(needed, "NEEDED", changed)
    model = new_momentum_model()
    with pytest.raises(ValueError, match="has no `_gone` in Keras"):
        fit(model, GradientNorms())


def test_a_method_that_others_replaced_goes_on_working(new_momentum_model):
    def trained(*callbacks):
        model = new_momentum_model()
        apply = model.optimizer.apply

        def halving(grads, trainable_variables=None):
            return apply([gradient / 2 for gradient in grads], trainable_variables)

        object.__setattr__(model.optimizer, "apply", halving)
        fit(model, *callbacks)
        assert vars(model.optimizer).pop("apply") is halving
        return model

    norms = GradientNorms()
    model = trained(norms)
    assert_equal_state(model, trained())
    assert (norms.results.gradient_norm[1:] > 0).all()
    assert_no_trace(model)


class _Sum(lcb.StepQuantity):
    """Reads gradients as a user's quantity does."""

    name = "sum"

    def update(self, state, gradient, before, after):
        return state, (keras.ops.sum(gradient),)

    def result(self, sums, updates):
        return sums[0]


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="TensorFlow regroups products that nothing else reads",
)
@pytest.mark.parametrize("way", ["callbacks", "own quantity", "LayerwiseModel", "predictiveness"])
def test_products_among_the_gradients_stay_as_they_are(way):
    """The gradient of a normalization's scale is a product, and that of an embedding may be."""
    random = np.random.default_rng(0)
    x, y = random.integers(0, 9, (32, 6)), random.normal(size=(32, 3))

    def trained(way):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6,))
        hidden = 2.0 * keras.layers.Embedding(9, 5)(inputs)
        for _ in range(2):
            hidden = keras.layers.Conv1D(7, 3, padding="same")(hidden)
            hidden = keras.layers.BatchNormalization()(hidden)
            hidden = keras.layers.Activation("swish")(hidden)
        outputs = keras.layers.Dense(3)(keras.layers.Flatten()(hidden))
        callbacks, options = [], {}
        if way == "callbacks":
            callbacks = [lcb.GradientNorms(), lcb.LayerConvergence()]
        if way == "own quantity":
            callbacks = [lcb.StepQuantities(_Sum())]
        if way == "predictiveness":
            options = {"gradient_predictiveness": True}
        make = keras.Model if way in ("", "callbacks", "own quantity") else lcb.LayerwiseModel
        model = make(inputs, outputs, **options)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
        return model.get_weights()

    for plain, measured in zip(trained(""), trained(way), strict=True):
        np.testing.assert_array_equal(measured, plain)
