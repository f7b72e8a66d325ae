"""The callbacks attach to the models that people write: unbuilt, wrapped, with own steps."""

from __future__ import annotations

import copy
import json
import pickle
import warnings

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.runs import schema
from tests.modes import BACKEND
from tests.several import new_pair

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(16, 3)).astype("float32")
Y = RANDOM.normal(size=(16, 1)).astype("float32")
on_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="other backends build a model before callbacks see it"
)
not_on_jax = pytest.mark.skipif(
    BACKEND == "jax", reason="on JAX, `fit` carries the state of the model's own optimizer only"
)


@keras.saving.register_keras_serializable("keras_lcb_tests")
class Unbuilt(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.hidden = keras.layers.Dense(4, "tanh")
        self.norm = keras.layers.BatchNormalization()
        self.out = keras.layers.Dense(1, name="out")

    def call(self, inputs, training=False):
        return self.out(self.norm(self.hidden(inputs), training=training))


def sequential():
    return keras.Sequential(
        [keras.layers.Dense(4, "tanh", name="hidden"), keras.layers.Dense(1, name="out")]
    )


def weights(model):
    return [keras.ops.convert_to_numpy(v) for v in model.weights]


def fit(model, *callbacks, epochs=2, **options):
    model.fit(X, Y, 4, epochs, verbose=0, shuffle=False, callbacks=list(callbacks), **options)
    return model


def compiled(make, optimizer, **mode):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    model = make()
    model.compile(optimizer(), "mse", **mode)
    return model


# Models that `fit` builds.


@pytest.mark.parametrize("make", [Unbuilt, sequential])
def test_a_model_that_fit_builds(make, mode):
    def optimizer():
        return keras.optimizers.Adam(0.05)

    plain = fit(compiled(make, optimizer, **mode))
    model = compiled(make, optimizer, **mode)
    convergence, gradients = lcb.LayerConvergence(), lcb.GradientNorms(per_update=True)
    fit(model, convergence, gradients)
    for ours, theirs in zip(weights(model), weights(plain), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(model.optimizer.variables) == len(plain.optimizer.variables)
    run = lcb.collect(convergence, gradients)
    names = ["hidden", "norm", "out"] if make is Unbuilt else ["hidden", "out"]
    assert run.layer.values.tolist() == names
    assert run.step.values.tolist() == [0, 4, 8]
    assert np.isfinite(run.gradient_norm_per_update).all()
    # Step 0 is before training: the same weights as those of a model that is built at once.
    fresh = compiled(make, optimizer)
    fresh(X[:1])
    for name, layer in (("hidden", fresh.layers[0]), ("out", fresh.layers[-1])):
        squares = [float((keras.ops.convert_to_numpy(w) ** 2).sum()) for w in layer.weights]
        start = run.parameter_norm.sel(layer=name, step=0)
        np.testing.assert_allclose(start, np.sqrt(sum(squares)), rtol=1e-6)


def test_the_first_update_of_a_model_that_fit_builds_is_measured():
    model = compiled(Unbuilt, lambda: keras.optimizers.SGD(1.0))
    gradients, convergence = lcb.GradientNorms(every=1), lcb.LayerConvergence(every=1)
    fit(model, gradients, convergence, epochs=1)
    assert gradients.results.step.values.tolist() == [0, 1, 2, 3, 4]
    first = convergence.results
    moved = first.parameter_norm.sel(step=1) - first.parameter_norm.sel(step=0)
    assert (abs(moved) <= gradients.results.update_norm.sel(step=1) * (1 + 1e-5)).all()
    np.testing.assert_allclose(
        gradients.results.update_norm[1:], gradients.results.gradient_norm[1:], rtol=1e-4
    )


def test_a_model_that_fit_builds_goes_on_and_is_tracked(tmp_path):
    model = compiled(sequential, lambda: keras.optimizers.SGD(0.1))
    convergence = lcb.LayerConvergence()
    with lcb.track(model, convergence) as tracker:
        for _ in range(2):
            model.train_on_batch(X, Y)
            tracker.record()
    fit(model, convergence, epochs=1)
    assert convergence.results.step.values.tolist() == [0, 1, 2, 6]


@on_tensorflow
def test_layers_that_only_the_step_builds():
    """A wrapper without a `call`, one of whose parts is not built either."""
    import tensorflow as tf

    class Wrapper(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="e")])
            self.decoder = keras.Sequential([keras.layers.Dense(3, name="d")])

        def train_step(self, data):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self.decoder(self.encoder(data)) - data) ** 2)
            variables = self.trainable_variables
            self.optimizer.apply_gradients(
                zip(tape.gradient(loss, variables), variables, strict=True)
            )
            return {"loss": loss}

    model = Wrapper()
    model.compile(keras.optimizers.SGD(0.1))
    convergence, gradients = lcb.LayerConvergence(), lcb.GradientNorms()
    model.fit(X, batch_size=4, epochs=2, verbose=0, callbacks=[convergence, gradients])
    run = lcb.collect(convergence, gradients)
    assert run.layer.values.tolist() == ["encoder/e", "decoder/d"]
    assert run.role.values.tolist() == ["head", "head"]
    assert run.step.values.tolist() == [0, 4, 8]
    assert (run.normalized_distance[0] == 1).all() and (run.gradient_norm[1:] > 0).all()
    assert "has no `call`" in schema.missing(run)["depth"]
    assert "\x1b" not in run.attrs["missing"]


@on_tensorflow
@pytest.mark.parametrize("eager", [False, True])
def test_an_unbuilt_model_whose_optimizer_nobody_knows_of(eager):
    import tensorflow as tf

    hidden = keras.optimizers.SGD(0.1)

    class Secretive(Unbuilt):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self(x, training=True) - y) ** 2)
            variables = self.trainable_variables
            hidden.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return {"loss": loss}

    model = compiled(Secretive, lambda: keras.optimizers.SGD(0.1), run_eagerly=eager)
    convergence = lcb.LayerConvergence()
    with pytest.warns(UserWarning, match=r"could not begin .*optimizer=\[\.\.\.\]"):
        fit(model, convergence)
    assert convergence.results.step.values.tolist() == [0]
    named = lcb.LayerConvergence(optimizer=hidden)
    fit(model, named)
    assert named.results.step.values.tolist() == [0, 4, 8]
    assert (named.results.distance[0] > 0).all()


def recorders_with_samples():
    return {
        "similarity": lcb.RepresentationSimilarity(X),
        "response": lcb.ResponseFrequency(X, cutoffs=[0.3]),
        "sharpness": lcb.LayerSharpness(X, Y),
        "predictiveness": lcb.GradientPredictiveness(X, Y),
    }


@pytest.mark.parametrize(
    ("make", "names"),
    [(sequential, ("response", "sharpness")), (Unbuilt, ("similarity", "predictiveness"))],
)
def test_callbacks_with_samples_build_a_model_that_fit_would_build(make, names):
    def train(*callbacks):
        model = compiled(make, lambda: keras.optimizers.SGD(0.05), run_eagerly=False)
        return weights(fit(model, *callbacks, epochs=1))

    recorders = [recorders_with_samples()[name] for name in names]
    for one, other in zip(train(*recorders), train(), strict=True):
        np.testing.assert_array_equal(one, other)
    for each in recorders:
        assert each.results.step.values.tolist() == [0, 4]
        assert each.results.sizes["layer"] >= 2


@on_tensorflow
def test_samples_on_which_a_model_cannot_be_built():
    model = compiled(sequential, lambda: keras.optimizers.SGD(0.05))
    model.layers[0].input_spec = keras.layers.InputSpec(ndim=4)
    for recorder in recorders_with_samples().values():
        with pytest.raises(ValueError, match="could not be built by a call .* Build the model"):
            fit(model, recorder)


# Several optimizers.


def rates():
    return keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.2)


def pair(where="attributes", disc_steps=1):
    keras.utils.set_random_seed(2)
    model = new_pair(where=where, disc_steps=disc_steps)
    model(X[:1])
    model.compile(*rates())
    return model


def fit_pair(model, *callbacks, epochs=2):
    real = RANDOM.normal(size=(16, 2)).astype("float32")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Gradients do not exist")
        model.fit(X, real, 4, epochs, verbose=0, shuffle=False, callbacks=list(callbacks))


@not_on_jax
@pytest.mark.parametrize("where", ["attributes", "a dictionary"])
def test_each_layer_is_followed_with_its_own_optimizer(where):
    model = pair(where)
    convergence, gradients = lcb.LayerConvergence(), lcb.GradientNorms(per_update=True)
    fit_pair(model, convergence, gradients)
    run = lcb.collect(convergence, gradients)
    assert run.step.values.tolist() == [0, 8, 16]  # the updates of both
    each = run.gradient_norm_per_update
    for layers, first, rate in ((["disc/d1", "disc/d2"], 0, 0.2), (["gen/g1", "gen/g2"], 1, 0.05)):
        own = each.sel(layer=layers)
        assert np.isfinite(own[first::2]).all() and np.isnan(own[1 - first :: 2]).all()
        moved = run.update_norm_per_update.sel(layer=layers)[first::2]
        np.testing.assert_allclose(moved, rate * own[first::2], rtol=1e-4)
        np.testing.assert_allclose(
            run.gradient_norm.sel(layer=layers, step=8),
            np.sqrt((own[first:8:2].values ** 2).mean(axis=0)),
            rtol=1e-5,
        )
        np.testing.assert_allclose(run.learning_rate.sel(layer=layers)[-1], rate)
    assert run.learning_rate.dims == ("step", "layer")
    assert (run.normalized_distance[0] == 1).all()
    assert not schema.missing(run)
    assert run.attrs["optimizer"] == "SGD"


@not_on_jax
def test_an_optimizer_that_is_built_with_all_variables_trains_those_that_it_updates():
    """`MirroredStrategy` builds so. At step 0, no update has shown yet what each trains."""
    model, gradients = pair(), lcb.GradientNorms()
    for optimizer in model.get_optimizers():
        optimizer.build(model.trainable_variables)
    fit_pair(model, gradients)
    rate = gradients.results.learning_rate
    for layers, expected in ((["disc/d1", "disc/d2"], 0.2), (["gen/g1", "gen/g2"], 0.05)):
        np.testing.assert_allclose(rate.sel(layer=layers), expected, rtol=1e-6)


@not_on_jax
def test_several_updates_a_batch():
    model = pair(disc_steps=2)
    every = lcb.LayerConvergence(every=3)
    gradients = lcb.GradientNorms(every=3)
    fit_pair(model, every, gradients)
    assert every.results.step.values.tolist() == [0, 3, 6, 9, 12, 15, 18, 21, 24]
    assert gradients.results.step.values.tolist() == every.results.step.values.tolist()


def compiled_pair():
    model = new_pair()
    model.compile(keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.02))
    return model


@not_on_jax
@pytest.mark.parametrize("named_last", [True, False])
def test_all_callbacks_of_a_fit_count_the_same_optimizers(named_last):
    model = compiled_pair()
    norms, convergence = lcb.GradientNorms(optimizer=model.for_gen), lcb.LayerConvergence()
    fit_pair(model, *([convergence, norms] if named_last else [norms, convergence]))
    assert norms.results.step.values.tolist() == convergence.results.step.values.tolist()


@not_on_jax
def test_optimizers_named_for_a_fit_that_fails_are_not_those_of_the_next():
    class Fails(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise RuntimeError("theirs")

    model, plain, alone = compiled_pair(), lcb.GradientNorms(), lcb.GradientNorms()
    with pytest.raises(RuntimeError, match="theirs"):
        fit_pair(model, lcb.GradientNorms(optimizer=model.for_gen), Fails())
    fit_pair(model, plain)
    fit_pair(compiled_pair(), alone)
    assert plain.results.step.values.tolist() == alone.results.step.values.tolist()


def test_a_training_that_another_one_interrupts_says_so():
    model = compiled(sequential, lambda: keras.optimizers.SGD(0.1))
    model.build((None, 3))
    norms, convergence = lcb.GradientNorms(), lcb.LayerConvergence(every=2)
    callbacks = keras.callbacks.CallbackList([norms, convergence], model=model)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    model.train_on_batch(X, Y)
    with pytest.warns(UserWarning, match="For a loop of your own, use `with lcb.track"):
        callbacks.on_epoch_end(0, {})
    callbacks.on_train_end()
    for callback in (norms, convergence):
        assert "does not see all updates" in schema.missing(callback.results)["step"]
    assert list(schema.missing(norms.results)) == ["step"]

    again = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: fit(model, epochs=1))
    with pytest.warns(UserWarning, match="was called before this training had come to its end"):
        fit(model, lcb.GradientNorms(), again)


@pytest.mark.parametrize("kind", [keras.Model, lcb.LayerwiseModel])
def test_train_on_batch_within_fit_is_measured(kind):
    def make():
        inputs = keras.Input((3,))
        return kind(inputs, keras.layers.Dense(1, name="out")(inputs))

    model = compiled(make, lambda: keras.optimizers.SGD(0.1))
    more = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: model.train_on_batch(X, Y))
    norms, convergence = lcb.GradientNorms(per_update=True), lcb.LayerConvergence(every=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit(model, more, norms, convergence)
    assert norms.results.step.values.tolist() == [0, 5, 10]
    assert (norms.results.gradient_norm_per_update > 0).all()
    assert convergence.results.step.values.tolist() == [0, 2, 4, 6, 8, 10]


def test_a_layer_that_the_model_never_calls():
    model = Unbuilt()
    model.spare = keras.layers.Dense(4)
    model.compile("sgd", "mse")
    model(X[:1])
    norms = lcb.GradientNorms()
    fit(model, norms)
    assert norms.results.sizes["layer"] == 3 and (norms.results.gradient_norm[1:] > 0).all()


def test_records_come_where_they_are_due_if_executions_make_different_numbers_of_updates():
    model = sequential()
    optimizer = keras.optimizers.SGD(1e-3, gradient_accumulation_steps=2)
    model.build((None, 3))
    model.compile(optimizer, "mse", steps_per_execution=1 if BACKEND == "torch" else 3)
    norms, convergence = lcb.GradientNorms(per_update=True), lcb.LayerConvergence(every=100)
    x, y = (np.repeat(each, 45, axis=0) for each in (X, Y))
    model.fit(x, y, 1, epochs=2, verbose=0, callbacks=[norms, convergence])
    # Executions make 1 and 2 updates in turn, and records come with the first that reaches 100.
    assert all(0 <= step % 100 <= 1 for step in convergence.results.step.values[:-1])
    assert np.isfinite(norms.results.gradient_norm_per_update).all()


@not_on_jax
def test_optimizers_that_are_not_found_are_asked_for():
    model = pair("a closure")
    convergence, gradients = lcb.LayerConvergence(), lcb.GradientNorms()
    with pytest.warns(UserWarning, match="but none of the followed optimizers") as warned:
        fit_pair(model, convergence, gradients)
    told = [w for w in warned if "changed, but" in str(w.message)]
    assert len(told) == 2  # once for each callback
    run = lcb.collect(convergence, gradients)
    assert run.step.values.tolist() == [0]
    missing = schema.missing(run)
    assert "changed, but" in missing["step"]
    assert not any("never moved" in why for why in missing.values())
    named = lcb.GradientNorms(optimizer=list(model.get_optimizers()))
    fit_pair(model, named)
    assert named.results.step.values.tolist() == [0, 8, 16]
    assert (named.results.gradient_norm[1:] > 0).all()


@not_on_jax
def test_what_another_optimizer_moves_is_said_to_be_moved():
    model = pair("a closure")
    for_gen, _ = model.get_optimizers()
    gradients = lcb.GradientNorms(optimizer=for_gen)
    fit_pair(model, gradients)
    run = gradients.results
    assert run.step.values.tolist() == [0, 4, 8]
    assert np.isnan(run.gradient_norm.sel(layer="disc/d1")).all()
    assert np.isnan(run.update_norm.sel(layer="disc/d1")).all()
    assert "but its weights change" in schema.missing(run)["gradient_norm/disc/d1"]


def test_on_jax_others_are_refused_in_fit():
    if BACKEND != "jax":
        pytest.skip("only on JAX does `fit` carry one optimizer alone")
    model = compiled(sequential, lambda: keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match=r"`track\(model, callback, optimizer=\[\.\.\.\]\)`"):
        fit(model, lcb.GradientNorms(optimizer=keras.optimizers.SGD(0.1)))


def test_a_discriminator_that_is_part_of_two_compiled_models():
    """The classic way to write a GAN; nothing is built before the loop would build it."""

    def models():
        keras.utils.set_random_seed(4)
        made = new_pair()
        disc, gen = made.disc, made.gen
        disc.compile(keras.optimizers.SGD(0.2), "mse")
        inputs = keras.Input((3,))
        disc.trainable = False
        both = keras.Model(inputs, disc(gen(inputs)), name="both")
        both.compile(keras.optimizers.SGD(0.05), "mse")
        disc.trainable = True
        return disc, both

    def loop(disc, both, *trackers):
        for _ in range(3):
            disc.trainable = True
            disc.train_on_batch(X[:, :2], Y)
            disc.trainable = False
            both.train_on_batch(X, Y)
            for tracker in trackers:
                tracker.record()

    plain, watched = models(), models()
    loop(*plain)
    of_disc, of_both, convergence = lcb.GradientNorms(), lcb.GradientNorms(), lcb.LayerConvergence()
    disc, both = watched
    with (
        lcb.track(disc, of_disc) as first,
        lcb.track(both, of_both, convergence) as second,
    ):
        loop(disc, both, first, second)
    for ours, theirs in zip((disc, both), plain, strict=True):
        for a, b in zip(ours.variables, theirs.variables, strict=True):
            np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (a, b)))
    assert of_disc.results.step.values.tolist() == [0, 1, 2, 3]
    run = lcb.collect(of_both, convergence)
    assert run.step.values.tolist() == [0, 2, 4, 6]  # those of the discriminator's, too
    np.testing.assert_allclose(
        run.gradient_norm.sel(layer="disc/d1")[1:],
        of_disc.results.gradient_norm.sel(layer="d1")[1:],
        rtol=1e-5,
    )
    assert (run.normalized_distance[0] == 1).all()


# What a run says of weights and losses.


def test_nan_is_called_nan_and_standing_still_is_seen():
    def still(weight):
        return weight * 0 + 1

    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(
        3, kernel_initializer="ones", kernel_constraint=still, use_bias=False, name="still"
    )(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="out")(hidden))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    convergence = lcb.LayerConvergence()
    fit(model, convergence)
    missing = schema.missing(convergence.results)
    assert "ends where it started" in missing["normalized_distance/still"]
    assert "normalized_distance/out" not in missing
    x = X.copy()
    x[5] = np.nan
    diverged = lcb.LayerConvergence()
    model.fit(x, Y, 4, 2, verbose=0, shuffle=False, callbacks=[diverged])
    missing = schema.missing(diverged.results)
    assert "not finite" in missing["distance/out"]
    assert not any("never moved" in why for name, why in missing.items() if "/out" in name)


def test_every_validation_of_fit_is_in_the_run():
    model = compiled(sequential, lambda: keras.optimizers.SGD(0.1))
    for every in ("epoch", 2, 3, 5):
        convergence = lcb.LayerConvergence(every=every)
        history = model.fit(
            X, Y, 3, 3, verbose=0, callbacks=[convergence], validation_data=(X, Y)
        ).history
        losses = convergence.results.validation_loss
        np.testing.assert_allclose(losses[np.isfinite(losses)], history["val_loss"], rtol=1e-6)


# Copies.


@pytest.mark.parametrize(
    "make",
    [
        lcb.LayerConvergence,
        lambda: lcb.LayerConvergence(every=2, memory="sketch", buckets=4),
        lambda: lcb.LayerConvergence(on_device=True),
        lambda: lcb.GradientNorms(every=2, per_update=True, log=True),
        lambda: lcb.LayerSharpness(X, Y),
        lambda: lcb.GradientPredictiveness(X, Y),
        lambda: lcb.StepQuantities(lcb.quantities.SignAgreement()),
    ],
)
def test_a_callback_can_be_copied_and_pickled_at_any_time(make):
    model = compiled(sequential, lambda: keras.optimizers.SGD(0.1))
    model(X[:1])
    callback = make()
    for copied in (
        copy.copy(callback),
        copy.deepcopy(callback),
        pickle.loads(pickle.dumps(callback)),
    ):
        assert vars(copied).keys() == vars(callback).keys()
    fit(model, callback)
    run = callback.results
    for copied in (
        copy.copy(callback),
        copy.deepcopy(callback),
        pickle.loads(pickle.dumps(callback)),
    ):
        assert copied.results.identical(run)
        assert pickle.loads(pickle.dumps(copied)).results.identical(run)
        with pytest.raises(ValueError, match=r"is a copy.*`reset\(\)`"):
            fit(model, copied)
        copied.reset()
        fit(model, copied, epochs=1)
        assert copied.results.sizes["step"] > 1
    assert callback.results.equals(run)  # copies have taken nothing from it


# Frozen without compiling.


@on_tensorflow
def test_a_layer_that_is_frozen_without_compiling_trains_as_keras_trains_it():
    def trained(*callbacks, first=()):
        model = compiled(sequential, lambda: keras.optimizers.SGD(0.1, momentum=0.9))
        fit(model, *first, epochs=1)
        model.layers[0].trainable = False
        fit(model, *callbacks, epochs=1)
        return model

    plain = trained()
    norms = lcb.GradientNorms()
    watched = trained(norms)
    for ours, theirs in zip(weights(watched), weights(plain), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not watched.layers[0].trainable
    assert (norms.results.gradient_norm[1:] > 0).all()
    both = lcb.GradientNorms()
    other = lcb.StepQuantities(lcb.quantities.SignAgreement())  # needs another step
    for callback in (both, other):
        again = trained(callback, first=[both])
        for ours, theirs in zip(weights(again), weights(plain), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        both.reset()


# Numbers of LoRA layers.


def test_the_effective_kernel_of_a_lora_layer():
    inputs = keras.Input((3,))
    model = keras.Model(
        inputs, keras.layers.Dense(1, name="out")(keras.layers.Dense(4, name="a")(inputs))
    )
    layer = model.get_layer("a")
    layer.enable_lora(2, lora_alpha=3)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    kernels = [keras.ops.convert_to_numpy(layer.kernel)]
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: kernels.append(keras.ops.convert_to_numpy(layer.kernel))
    )
    convergence = lcb.LayerConvergence()
    fit(model, convergence, keep, epochs=3)
    expected = [np.linalg.norm(kernel.astype("f8") - kernels[-1]) for kernel in kernels]
    run = convergence.results
    np.testing.assert_allclose(run.effective_distance.sel(layer="a"), expected, atol=2e-6)
    assert expected[0] > 1e-2
    assert np.isnan(run.effective_distance.sel(layer="out")).all()
    assert run.parameters.sel(layer="a") == 3 * 2 + 2 * 4 + 4


def test_why_a_diverged_lora_layer_has_no_effective_distance():
    first = keras.layers.Dense(4, name="a")
    model = keras.Sequential([keras.Input((3,)), first, keras.layers.Dense(1, name="out")])
    first.enable_lora(2)
    model.compile(keras.optimizers.SGD(1e30), "mse")
    convergence = lcb.LayerConvergence()
    fit(model, convergence, epochs=2)
    missing = json.loads(convergence.results.attrs["missing"])
    assert "not finite" in missing["effective_distance/a"]
