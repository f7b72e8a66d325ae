"""Quantities of one's own inside the training step: their numbers, and what is refused."""

from __future__ import annotations

import gc
import weakref

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.runs import schema
from tests import oracle
from tests.models import dense
from tests.modes import BACKEND, modes

NETWORK = oracle.Network()
RATE = 0.1


class SignAgreement(lcb.StepQuantity):
    """As in the documentation: outside of the package, in few lines."""

    name = "own_sign_agreement"
    long_name, units = "share of gradient entries that keep their sign", "1"

    def init(self, variable):
        return (keras.ops.zeros(variable.shape),)

    def update(self, state, gradient, before, after):
        same = keras.ops.sum(keras.ops.cast(gradient * state[0] > 0, "float32"))
        return (gradient,), (same, keras.ops.cast(keras.ops.size(gradient), "float32"))

    def result(self, sums, updates):
        return sums[0] / sums[1]


class Moved(lcb.StepQuantity):
    """Needs weights: the product of the gradient and the step, over the squared gradient."""

    name, long_name, units = "moved", "step along the gradient", "1"
    needs_weights = True

    def update(self, state, gradient, before, after):
        step = keras.ops.cast(after - before, "float32")
        gradient = keras.ops.cast(gradient, "float32")
        return (), (keras.ops.sum(step * gradient), keras.ops.sum(gradient * gradient))

    def result(self, sums, updates):
        return sums[0] / sums[1]


class Count(lcb.StepQuantity):
    """Counts updates in its state, which begins anew after each record."""

    name, long_name = "count", "updates since the last record"
    window = True

    def init(self, variable):
        return (keras.ops.zeros(()),)

    def update(self, state, gradient, before, after):
        return (state[0] + 1,), (state[0] + 1, keras.ops.ones(()))

    def result(self, sums, updates):
        return sums[0] / sums[1]  # of 1 … n: (n + 1) / 2


def model_of(optimizer=None, mode=None):
    model = dense(NETWORK)
    model.compile(optimizer or keras.optimizers.SGD(RATE), "mse", **(mode or {}))
    return model


def fit(model, *callbacks, count=44, epochs=2, size=4):
    x, y = NETWORK.data(count)
    return model.fit(x, y, size, epochs, shuffle=False, verbose=0, callbacks=list(callbacks))


def gradients(count=44, epochs=2, size=4, accumulate=1):
    """The gradients of each update of SGD, in double precision."""
    found = []

    def noted(weights, mean):
        found.append(mean)
        return oracle.sgd(RATE)(weights, mean)

    x, y = NETWORK.data(count)
    batches = oracle.batches(x, y, size=size, epochs=epochs)
    oracle.train(
        NETWORK.gradients, NETWORK.weights(), batches, noted, NETWORK.layers, accumulate=accumulate
    )
    return [
        np.stack([np.concatenate([g[place].ravel() for place in places]) for g in found])
        for places in NETWORK.layers
    ]


def agreement(rows, before=None):
    """The share of entries that keep their sign, of all entries and updates."""
    previous = np.vstack([np.zeros_like(rows[:1]) if before is None else before, rows[:-1]])
    return (rows * previous > 0).mean()


def values(callback, name):
    return callback.results[name].values


# Numbers.


@pytest.mark.parametrize("mode", modes(7))
def test_a_quantity_of_ones_own(mode):
    signs = lcb.StepQuantities(SignAgreement(), per_update=True)
    fit(model_of(mode=mode), signs)
    run = signs.results
    assert run.own_sign_agreement.attrs["long_name"] == SignAgreement.long_name
    assert run.own_sign_agreement.dims == ("step", "layer")
    assert np.isnan(run.own_sign_agreement[0]).all()
    for place, rows in enumerate(gradients()):
        expected = [agreement(rows[:11]), agreement(rows[11:], rows[10:11])]
        np.testing.assert_allclose(values(signs, "own_sign_agreement")[1:, place], expected)
        previous = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
        np.testing.assert_allclose(
            run.own_sign_agreement_per_update[:, place], (rows * previous > 0).mean(axis=1)
        )


def test_weights_before_and_after():
    moved = lcb.StepQuantities(Moved())
    fit(model_of(), moved)
    np.testing.assert_allclose(values(moved, "moved")[1:], -RATE, rtol=1e-4)


@pytest.mark.parametrize("every, counts", [("epoch", [11, 11]), (4, [4, 4, 4, 4, 4, 2])])
def test_a_window_begins_anew_with_each_record(every, counts):
    count = lcb.StepQuantities(Count(), every=every)
    other = lcb.StepQuantities(Count(), every=5)  # has a state of its own
    fit(model_of(), count, other)
    expected = np.array(counts)[:, None] * np.ones(3)
    np.testing.assert_allclose(values(count, "count")[1:], (expected + 1) / 2)
    np.testing.assert_allclose(values(other, "count")[1:, 0], [3, 3, 3, 3, 1.5])


def test_windows_of_several_readers_do_not_disturb_each_other():
    """Even if they share one object, since their records end at different updates."""
    quantity = Count()
    seldom = lcb.StepQuantities(quantity, every=8, log=True)
    often = lcb.StepQuantities(quantity, every=3)
    logs = fit(model_of(), seldom, often).history

    def expected(counts):
        return np.repeat([[(n + 1) / 2] for n in counts], len(NETWORK.layers), axis=1)

    np.testing.assert_allclose(values(seldom, "count")[1:], expected([8, 8, 6]))
    np.testing.assert_allclose(values(often, "count")[1:], expected([3] * 7 + [1]))
    logged = np.stack([logs[f"count/{layer}"] for layer in "abc"], axis=1)
    np.testing.assert_allclose(logged, expected([11, 11]))


@pytest.mark.parametrize("compiled", [False, True])
def test_accumulated_gradients_are_one_update(compiled):
    if compiled and BACKEND == "torch":
        pytest.skip("the tests of norms have torch's compiler")
    optimizer = keras.optimizers.SGD(RATE, gradient_accumulation_steps=3)
    signs, count = lcb.StepQuantities(SignAgreement(), per_update=True), lcb.StepQuantities(Count())
    fit(model_of(optimizer, {"jit_compile": compiled}), signs, count)
    assert signs.results.sizes["update"] == 7
    np.testing.assert_allclose(values(count, "count")[1:, 0], [2.0, 2.5])  # 3 and 4 updates
    for place, rows in enumerate(gradients(accumulate=3)):
        previous = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
        np.testing.assert_allclose(
            signs.results.own_sign_agreement_per_update[:, place],
            (rows * previous > 0).mean(axis=1),
        )


def test_loss_scaling_clipping_and_skipped_steps():
    """Signs are those of unscaled gradients, without the steps that overflow."""
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(RATE, clipvalue=1e-3), initial_scale=2.0**14
    )
    size = lcb.StepQuantities(LargestSize())
    reference = lcb.StepQuantities(LargestSize())
    fit(model_of(optimizer), size, epochs=1, count=4)
    fit(model_of(), reference, epochs=1, count=4)
    np.testing.assert_allclose(
        values(size, "largest")[1], values(reference, "largest")[1], rtol=1e-5
    )


class LargestSize(lcb.StepQuantity):
    name, long_name = "largest", "mean over variables of the largest gradient entry"

    def update(self, state, gradient, before, after):
        return (), (keras.ops.max(keras.ops.abs(gradient)), 1.0)

    def result(self, sums, updates):
        return sums[0] / sums[1]


def test_rows_of_an_embedding_are_dense():
    inputs = keras.Input((3,), dtype="int32")
    rows = keras.layers.Embedding(6, 2, name="rows")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(rows)))
    model.compile(keras.optimizers.SGD(RATE), "mse")
    before = model.get_weights()[0]
    largest = lcb.StepQuantities(LargestSize(), layers=["rows"])
    x = np.array([[1, 1, 3], [1, 2, 3]])
    model.fit(x, np.ones((2, 1)), verbose=0, callbacks=[largest])
    moved = (before - model.get_weights()[0]) / RATE  # the gradient, repeated rows added up
    np.testing.assert_allclose(values(largest, "largest")[1, 0], abs(moved).max(), rtol=1e-5)


def test_layers_without_a_gradient_are_left_out():
    model = dense(NETWORK)
    model.get_layer("b").trainable = False
    model.compile(keras.optimizers.SGD(RATE), "mse")
    signs = lcb.StepQuantities(SignAgreement(), Count())
    fit(model, signs)
    assert np.isnan(signs.results.own_sign_agreement.sel(layer="b")).all()
    assert np.isfinite(signs.results.own_sign_agreement.sel(layer=["a", "c"])[1:]).all()
    assert "frozen" in schema.missing(signs.results)["count/b"]


# The quantities of the package, against NumPy.


def of_package(quantity, **options):
    callback = lcb.StepQuantities(quantity, **options)
    fit(model_of(), callback)
    return callback.results[quantity.name].values[1:]


def test_gradient_noise():
    found = of_package(lcb.quantities.GradientNoise())
    for place, rows in enumerate(gradients()):
        for record, window in enumerate((rows[:11], rows[11:])):
            mean = window.mean(axis=0)
            expected = window.var(axis=0, ddof=1).sum() / (mean @ mean)
            np.testing.assert_allclose(found[record, place], expected, rtol=1e-4)
    assert np.isnan(of_package(lcb.quantities.GradientNoise(), every=1)).all()


def test_successive_cosine():
    found = of_package(lcb.quantities.SuccessiveCosine())
    for place, rows in enumerate(gradients()):
        for record, (first, last) in enumerate(((1, 11), (11, 22))):
            now, before = rows[first:last], rows[first - 1 : last - 1]
            norms = np.sqrt((now**2).sum() * (before**2).sum())
            np.testing.assert_allclose(
                found[record, place], (now * before).sum() / norms, rtol=1e-5
            )


def test_sign_agreement():
    found = of_package(lcb.quantities.SignAgreement())
    for place, rows in enumerate(gradients()):
        for record, (first, last) in enumerate(((1, 11), (11, 22))):
            products = rows[first:last] * rows[first - 1 : last - 1]
            expected = (products > 0).sum() / (products != 0).sum()
            np.testing.assert_allclose(found[record, place], expected, rtol=1e-6)


def test_the_norms_are_two_quantities():
    norms = lcb.GradientNorms(per_update=True)
    own = lcb.StepQuantities(
        lcb.quantities.GradientNorm(), lcb.quantities.UpdateNorm(), per_update=True
    )
    assert isinstance(norms, lcb.StepQuantities)
    fit(model_of(), norms, own)
    for name in norms.results.data_vars:
        np.testing.assert_array_equal(norms.results[name], own.results[name])


# In runs, logs and files.


def test_in_logs_collections_and_files(tmp_path):
    signs = lcb.StepQuantities(SignAgreement(), log=True)
    convergence, norms = lcb.LayerConvergence(), lcb.GradientNorms()
    history = fit(model_of(), signs, convergence, norms).history
    for layer in "abc":
        expected = signs.results.own_sign_agreement.sel(layer=layer)[1:]
        np.testing.assert_allclose(history[f"own_sign_agreement/{layer}"], expected)
    run = lcb.collect(convergence, norms, signs)
    lcb.save_run(run, tmp_path / "run.nc")
    loaded = lcb.load_run(tmp_path / "run.nc")
    np.testing.assert_array_equal(loaded.own_sign_agreement, run.own_sign_agreement)
    assert loaded.own_sign_agreement.attrs == run.own_sign_agreement.attrs
    assert "own_sign_agreement" in signs.results and "distance" not in signs.results


class Counted(lcb.StepQuantity):
    """Notes how often Python runs through it."""

    name, long_name = "counted", "nothing"
    calls = 0

    def update(self, state, gradient, before, after):
        type(self).calls += 1
        return (), (keras.ops.sum(gradient),)

    def result(self, sums, updates):
        return sums[0]


def test_what_two_callbacks_record_is_computed_once():
    def calls(*callbacks):
        Counted.calls = 0
        fit(model_of(), *callbacks)
        return Counted.calls

    alone = calls(lcb.StepQuantities(Counted()))
    both = [lcb.StepQuantities(Counted(), every=3), lcb.StepQuantities(Counted(), per_update=True)]
    assert calls(*both) == alone
    each = both[1].results.counted_per_update
    for before, now in zip([0, 3, 6], [3, 6, 9], strict=True):
        expected = each.sel(update=slice(before + 1, now)).sum("update")
        np.testing.assert_allclose(both[0].results.counted.sel(step=now), expected, rtol=1e-5)


def test_only_what_is_asked_for_is_in_the_step():
    Counted.calls = 0
    model = model_of()
    fit(model, lcb.StepQuantities(Counted()))
    once = Counted.calls
    fit(model, lcb.GradientNorms())
    assert once > 0 and Counted.calls == once


def test_a_state_goes_on_with_its_callback_and_begins_anew_with_another():
    model = model_of()
    signs = lcb.StepQuantities(SignAgreement(), per_update=True)
    for _ in range(2):
        fit(model, signs, epochs=1)
    each = signs.results.own_sign_agreement_per_update
    assert (each[0] == 0).all() and (each[11] > 0).any()  # the last gradient of the fit before
    another = lcb.StepQuantities(SignAgreement(), per_update=True)
    fit(model, another, epochs=1)
    assert (another.results.own_sign_agreement_per_update[0] == 0).all()


def test_a_new_callback_does_not_take_over_the_state_of_one_that_is_gone():
    model, gone = model_of(), []
    for _ in range(3):
        first = lcb.StepQuantities(lcb.quantities.FirstGradient())
        norms = lcb.GradientNorms(per_update=True)
        fit(model, first, norms, epochs=1)
        np.testing.assert_allclose(
            first.results.first_gradient[-1], norms.results.gradient_norm_per_update[0], rtol=1e-6
        )
        gone.append(weakref.ref(first._reader))
        del first
        gc.collect()
    assert not any(reader() for reader in gone)  # nor does the model keep what it has collected


def test_a_state_goes_on_with_all_readers_of_a_callback():
    model = model_of()
    first = lcb.StepQuantities(lcb.quantities.FirstGradient(), log=True)
    histories = [fit(model, first, epochs=1).history for _ in range(2)]
    one, two = values(first, "first_gradient")[1:]
    np.testing.assert_allclose(one, two, rtol=1e-6)
    for layer, value in zip("abc", one, strict=True):
        logged = [history[f"first_gradient/{layer}"] for history in histories]
        np.testing.assert_allclose(logged, [[value]] * 2, rtol=1e-6)


def test_nothing_is_left_behind():
    model, plain = model_of(), model_of()
    fit(model, lcb.StepQuantities(SignAgreement(), Moved(), Count(), per_update=True))
    fit(plain)
    for ours, theirs in zip(
        [*model.weights, *model.optimizer.variables],
        [*plain.weights, *plain.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (ours, theirs)))
    assert "apply" not in vars(model.optimizer)
    assert not [v.path for v in model.optimizer.variables if "tap_" in v.path]


# What is refused.


def quantity(**members):
    return type("Bad", (lcb.StepQuantity,), {"name": "bad", "long_name": "bad", **members})()


def test_there_must_be_something_to_record():
    with pytest.raises(ValueError, match="no quantity to record"):
        lcb.StepQuantities()
    with pytest.raises(ValueError, match="Did you forget the parentheses"):
        lcb.StepQuantities(SignAgreement)
    with pytest.raises(ValueError, match="both need the name 'count'"):
        lcb.StepQuantities(Count(), Count())
    with pytest.raises(ValueError, match="both need the name 'bad_per_update'"):
        lcb.StepQuantities(quantity(), quantity(name="bad_per_update"))
    with pytest.raises(ValueError, match="`of_frozen` of the quantity Bad must be a number"):
        lcb.StepQuantities(quantity(of_frozen="none"))


NAMES_OF_RUNS = ["loss", "distance", "layer", "gradient_norm", "step"]
NAMES_OF_RECORDS = ["updates", "updates_of", "nonfinite", "skipped", "lost", "learning_rates"]


@pytest.mark.parametrize("name", NAMES_OF_RUNS + NAMES_OF_RECORDS)
def test_names_that_runs_use(name):
    with pytest.raises(
        ValueError, match=f"has the name '{name}', but .* already has another meaning"
    ):
        lcb.StepQuantities(quantity(name=name))


@pytest.mark.parametrize("name", ["", "two words", 3, None])
def test_names_that_are_none(name):
    with pytest.raises(ValueError, match="must be an identifier"):
        lcb.StepQuantities(quantity(name=name))


def raises(self, state, gradient, before, after):
    return (), (keras.ops.reshape(gradient, (7, 7, 7)),)


BAD = {
    "an error": (raises, "Bad cannot be measured"),
    "no update": (lcb.StepQuantity.update, "Bad cannot be measured.*method `update`"),
    "no pair": (lambda self, s, gradient, b, a: gradient, r"`return state, \(number,\)`"),
    "no numbers": (lambda self, s, gradient, b, a: (s, keras.ops.sum(gradient)), "each as a tuple"),
    "no number": (lambda *_: ((), ()), "must return at least one number"),
    "a tensor": (lambda self, s, gradient, b, a: ((), (gradient,)), "must return scalars"),
    "a state": (lambda *_: ((1.0,), (1.0,)), "the same shapes and dtypes as `init`"),
    "no numbers but text": (lambda *_: ((), ("1",)), "received '1'|not a valid JAX type"),
    "numbers that differ": (
        lambda self, s, gradient, b, a: ((), (1.0,) * len(gradient.shape)),
        "must return equally many numbers",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_an_update_that_fails_is_refused_before_training(fault):
    update, sentence = BAD[fault]
    model = model_of()
    before = model.get_weights()
    with pytest.raises(ValueError, match=sentence):
        fit(model, lcb.StepQuantities(quantity(update=update)))
    for ours, unchanged in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, unchanged)
    fit(model)  # trains on
    assert "apply" not in vars(model.optimizer)


def one(self, state, gradient, before, after):
    return state, (keras.ops.sum(gradient),)


@pytest.mark.parametrize(
    "fault",
    {
        "no state": ({"init": lambda *_: None}, "`init` of the quantity Bad must return a tuple"),
        "a bare state": ({"init": lambda self, v: keras.ops.zeros(3)}, "must return a tuple"),
        "no result": ({"result": lambda *_: None}, "`result` of the quantity Bad must return a n"),
        "a wrong sum": ({"result": lambda self, sums, _: sums[1]}, "it raised IndexError"),
    }.items(),
    ids=lambda fault: fault[0],
)
def test_a_method_that_fails_is_refused_before_training(fault):
    members, sentence = fault[1]
    model = model_of()
    before = model.get_weights()
    with pytest.raises(ValueError, match=sentence):
        fit(model, lcb.StepQuantities(quantity(update=one, **members)))
    for ours, unchanged in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, unchanged)


def test_a_result_may_fail_for_numbers_that_do_not_occur():
    def result(self, sums, updates):
        assert updates == 11 or 1 // (updates - 1)
        return 5.0

    callback = lcb.StepQuantities(quantity(update=one, result=result))
    fit(model_of(), callback, epochs=1)
    assert (values(callback, "bad")[1] == 5).all()


@pytest.mark.skipif(BACKEND != "torch", reason="only torch's tensors can be written into")
def test_what_a_quantity_receives_is_not_written_into():
    def update(self, state, gradient, before, after):
        return state, (gradient.mul_(100).sum(),)

    with pytest.raises(ValueError, match="Bad cannot be measured.*writes into a tensor"):
        fit(model_of(), lcb.StepQuantities(quantity(update=update)))


# States.


class FromStart(lcb.StepQuantity):
    """Keeps the first weights as its state, and measures the squared distance to them."""

    name, long_name, needs_weights = "from_start", "squared way", True

    def __init__(self, kept):
        self.kept = kept

    def init(self, variable):
        return (self.kept(variable),)

    def update(self, state, gradient, before, after):
        way = keras.ops.sum(keras.ops.square(after - state[0]))
        return (state[0] + 0.0,), (keras.ops.cast(way, "float32"),)

    def result(self, sums, updates):
        return sums[0]


@pytest.mark.parametrize(
    "kept",
    [
        lambda variable: variable,
        lambda variable: variable.value,
        keras.ops.convert_to_tensor,
        lambda variable: variable.numpy(),
    ],
    ids=["variable", "value", "tensor", "array"],
)
def test_a_state_is_not_the_weights_themselves(kept):
    plain, model, callback = model_of(), model_of(), lcb.StepQuantities(FromStart(kept))
    begin = plain.get_weights()
    for each, callbacks in ((plain, ()), (model, (callback,))):
        fit(each, *callbacks, count=8, epochs=1, size=8)  # one update
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    ways = [np.sum((a - b) ** 2) for a, b in zip(plain.get_weights(), begin, strict=True)]
    rows = np.reshape(ways, (-1, 2)).sum(axis=1)
    np.testing.assert_allclose(values(callback, "from_start")[1], rows, rtol=1e-4)


class Plus(lcb.StepQuantity):
    name, long_name = "plus", "its setting"

    def __init__(self, amount):
        self.amount = amount

    def update(self, state, gradient, before, after):
        return (), (keras.ops.sum(gradient * 0) + self._amount(),)

    def _amount(self):
        return self.amount

    def result(self, sums, updates):
        return sums[0] / updates / 2  # of a layer's two variables


class Slotted(Plus):
    __slots__ = ("slotted",)

    def __init__(self, amount):
        self.slotted = amount

    def _amount(self):
        return self.slotted


class OfClass(Plus):
    def __init__(self, amount):
        type(self).amount = amount


class Listed(Plus):
    def __init__(self, amount):
        self.amounts = [np.float32(amount)]

    def _amount(self):
        return self.amounts[0]


def last(callback):
    return values(callback, "plus")[-1].tolist()


@pytest.mark.parametrize("mode", modes(7))
def test_settings_that_have_changed_are_those_of_the_next_fit(mode):
    model, quantity = model_of(mode=mode), Plus(1.0)
    for amount in (1.0, 7.0):
        quantity.amount = amount
        callback = lcb.StepQuantities(quantity)
        fit(model, callback)
        assert set(last(callback)) == {amount}
    for amount in (1.0, 7.0):
        callback = lcb.StepQuantities(Plus(amount))
        fit(model, callback)
        assert set(last(callback)) == {amount}


@pytest.mark.parametrize("kind", [Plus, Slotted, Listed])
def test_quantities_of_other_settings_are_told_apart(kind):
    one, other = lcb.StepQuantities(kind(1.0)), lcb.StepQuantities(kind(2.0))
    fit(model_of(), one, other)
    assert set(last(one)) == {1.0} and set(last(other)) == {2.0}


def test_settings_of_a_class_count():
    model = model_of()
    for amount in (1.0, 2.0):
        callback = lcb.StepQuantities(OfClass(amount))
        fit(model, callback)
        assert set(last(callback)) == {amount}
