import json

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.report import recipe
from tests.freezing.conftest import Weights, data, network, train, weights_of

BACKEND = keras.backend.backend()
OPTIMIZERS = {
    "momentum and decay": lambda: keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.1),
    "averages": lambda: keras.optimizers.AdamW(0.05, use_ema=True, ema_momentum=0.9),
    "overwriting averages": lambda: keras.optimizers.Adam(
        0.05, use_ema=True, ema_overwrite_frequency=3
    ),
    "accumulation": lambda: keras.optimizers.Adam(0.05, gradient_accumulation_steps=2),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.05)),
}


def freeze_linear(**options):
    """Freezes `a` with its normalization after 3 of 6 epochs, and `b` after 4."""
    return lcb.FreezeConverged("linear", 0.5, **options)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_frozen_layers_stay_as_they_are_to_the_last_bit(name):
    weights = Weights()
    model = network(OPTIMIZERS[name]())
    train(model, weights, freeze_linear())
    assert weights.stay("a", since=3)
    assert weights.stay("a_norm", since=3)  # moving statistics included
    assert not weights.stay("b", since=3)
    assert weights.stay("b", since=4)
    assert not weights.stay("c", since=5)
    end = weights_of(model)  # after averages have replaced the weights
    then = weights.kept[2]
    assert all(np.array_equal(end[path], then[path]) for path in then if "a/" in path)


def test_keras_flags_follow_what_is_frozen_and_come_back():
    weights = Weights()
    model = network()
    model.get_layer("c").bias.trainable = False  # set by the user, so it must stay
    train(model, weights, freeze_linear())
    counts = [len(paths) for paths in weights.training]
    assert counts == [7, 7, 7, 3, 1, 1]
    assert len(model.trainable_variables) == 7
    assert all(layer.trainable for layer in model.layers)
    assert not model.get_layer("c").bias.trainable


def test_each_update_of_a_layer_is_its_own_part_of_the_optimizers_step():
    model = network(keras.optimizers.SGD(0.1))
    plain = network(keras.optimizers.SGD(0.1))
    start = weights_of(model)
    per_update = lcb.GradientNorms(per_update=True)
    train(model, freeze_linear(), per_update)
    results = per_update.results
    rate = results.update_norm_per_update / results.gradient_norm_per_update / 0.1
    updates = np.arange(24)  # 4 batches in each of 6 epochs
    for layer, end in {"a": 12, "b": 16, "c": 24}.items():
        expected = 0.5 * (1 + np.cos(np.pi * updates / end))
        measured = rate.sel(layer=layer).values
        np.testing.assert_allclose(measured[:end], expected[:end], rtol=2e-3, atol=1e-4)
        assert np.isnan(measured[end:]).all()
    assert all(np.array_equal(start[path], value) for path, value in weights_of(plain).items())


def test_the_optimizers_state_comes_back_when_layers_thaw():
    model = network()
    train(model, freeze_linear())
    count = len(model.optimizer.variables)
    variables = [v.path for v in model.optimizer._trainable_variables]
    assert variables == [v.path for v in model.trainable_variables]
    before = weights_of(model)
    train(model, epochs=1)
    after = weights_of(model)
    assert all(not np.array_equal(before[path], after[path]) for path in before)
    assert len(model.optimizer.variables) == count


def test_a_frozen_layers_slots_stay_as_they_are():
    model = network()

    class Slots(keras.callbacks.Callback):
        kept = []

        def on_epoch_end(self, epoch, logs=None):
            slots = self.model.optimizer.variables
            found = [np.array(keras.ops.convert_to_numpy(v)) for v in slots if "a_kernel" in v.path]
            self.kept.append(found)

    slots = Slots()
    train(model, slots, freeze_linear())
    assert len(slots.kept[0]) == 2  # both momentums
    for then, now in zip(slots.kept[2], slots.kept[-1], strict=True):
        np.testing.assert_array_equal(then, now)


def test_the_run_says_which_layer_froze_when_and_why():
    freeze = freeze_linear()
    train(network(), freeze)
    assert [(e["layers"], e["epoch"], e["step"]) for e in freeze.events] == [
        (["a", "a_norm"], 3, 12),
        (["b"], 4, 16),
    ]
    assert freeze.events[0]["why"] == "linear schedule: due at 0.5 of the run"
    run = freeze.results
    np.testing.assert_array_equal(run.frozen.sel(layer="b"), [0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(
        run.update_factor.sel(layer="b"), [1, 0.853553, 0.5, 0.146447, 0, 0, 0], atol=1e-6
    )
    assert json.loads(run.attrs["settings"])["frozen"] == freeze.events


def test_other_callbacks_work_beside_it():
    freeze, gradients, convergence = freeze_linear(), lcb.GradientNorms(), lcb.LayerConvergence()
    train(network(), convergence, gradients, freeze)
    run = lcb.collect(convergence, gradients, freeze)
    frozen = run.frozen.sel(layer="a").values.astype(bool)
    assert (run.update_norm.sel(layer="a").values[1:][frozen[:-1]] == 0).all()
    assert (run.update_norm.sel(layer="c").values[1:] > 0).all()
    assert np.isfinite(run.gradient_norm.sel(layer="c").values[1:]).all()
    np.testing.assert_array_equal(run.normalized_distance.sel(layer="a").values[3:], 0)
    assert run.sizes["step"] == 7


def test_by_weights_a_layer_freezes_when_it_and_all_before_it_move_little():
    # A falling rate makes every layer settle, all of them in the same epoch.
    rate = keras.callbacks.LearningRateScheduler(lambda epoch, _: 0.1 if epoch < 2 else 1e-5)
    freeze, weights = lcb.FreezeConverged(patience=2), Weights()
    train(network(keras.optimizers.SGD(0.1)), rate, freeze, weights)
    assert [(e["layers"], e["epoch"]) for e in freeze.events] == [
        (["a", "a_norm"], 4),
        (["b"], 4),
    ]
    assert weights.stay("b", since=4)
    assert not weights.stay("c", since=4)
    start, paths = weights_of(network()), ("a/kernel", "a/bias", "a_norm/gamma", "a_norm/beta")
    before, after = weights.kept[1], weights.kept[2]
    moved, way = (
        np.sqrt(sum(np.sum((after[path] - then[path]) ** 2.0) for path in paths))
        for then in (before, start)
    )
    movement = freeze.results.movement.sel(layer="a").values
    np.testing.assert_allclose(movement[3], moved / way, rtol=1e-5)
    assert movement[1] == 1.0


def test_by_activations_a_layer_freezes_when_its_outputs_hardly_change():
    rate = keras.callbacks.LearningRateScheduler(lambda epoch, _: 0.1 if epoch < 2 else 1e-6)
    x, _ = data()
    freeze = lcb.FreezeConverged(x=x, patience=1, threshold=1e-6)
    train(network(keras.optimizers.SGD(0.1)), rate, freeze)
    change = freeze.results.representation_change.sel(layer="a").values
    assert np.isnan(change[0])
    assert (change[1:3] > 1e-4).all()
    assert change[3] < 1e-6
    assert "1 - CKA" in freeze.events[0]["why"]
    made = "lcb.FreezeConverged(x=x, patience=1, threshold=1e-06, layers='blocks')"
    assert made in recipe.code(freeze.results)


@pytest.mark.parametrize("way", ["weights", "activations", "schedule"])
def test_layers_that_the_user_has_frozen_do_not_keep_others_from_freezing(way):
    model = network(keras.optimizers.SGD(0.1))
    model.get_layer("a").trainable = False
    model.compile(model.optimizer, "mse", run_eagerly=BACKEND != "torch")
    options = {"schedule": "linear"} if way == "schedule" else {"patience": 1, "threshold": 5.0}
    if way == "activations":
        options["x"] = data()[0]
    freeze = lcb.FreezeConverged(**options, layers=None)
    train(model, freeze)
    frozen = [event["layers"] for event in freeze.events]
    assert frozen == [["a_norm"], ["b"]]
    assert not freeze.results.frozen.sel(layer=["a", "c"]).any()
    assert not model.get_layer("a").trainable

    model.get_layer("a").trainable = True
    model.compile(model.optimizer, "mse", run_eagerly=BACKEND != "torch")
    with pytest.raises(ValueError, match="Other layers train than"):
        train(model, freeze, epochs=7)
    with pytest.raises(ValueError, match="None of the layers that `layers` selects trains"):
        model.get_layer("a").trainable = False
        train(model, lcb.FreezeConverged(layers=["a"]))


class Unused(keras.Model):
    """Has layers that it never calls, or only on demand; built or not."""

    def __init__(
        self, names=("block1_a", "block1_unused", "block2_b", "block3_unused"), built=True
    ):
        super().__init__()
        self.parts = [keras.layers.Dense(6, name=name) for name in names]
        self.demanded = False
        for part in self.parts if built else ():
            part.build((None, 6))

    def call(self, x):
        for part in self.parts:
            if "unused" not in part.name or self.demanded:
                x = part(x)
        return x


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("way", ["weights", "activations", "schedule"])
@pytest.mark.parametrize("layers", [None, "blocks"])
def test_layers_that_are_never_called_are_left_out(way, layers):
    x, _ = data()
    model = Unused()
    model(x)
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=BACKEND == "tensorflow")
    options = {"schedule": "linear"} if way == "schedule" else {"patience": 1, "threshold": 5.0}
    if way == "activations":
        options["x"] = x
    freeze = lcb.FreezeConverged(**options, layers=layers)
    model.fit(x, x, epochs=4, verbose=0, callbacks=[freeze])
    (event,) = freeze.events  # `block2_b` trains to the end, since nothing else would train
    assert event["layers"][0] == "block1_a"
    assert not freeze.results.frozen.sel(layer="block3_unused").any()


@pytest.mark.filterwarnings("ignore:`build\\(\\)` was called on layer")
@pytest.mark.parametrize("way", ["weights", "schedule"])
def test_layers_that_are_never_called_may_be_unbuilt(way):
    x, _ = data()
    model = Unused(built=False)
    model(x)
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=BACKEND == "tensorflow")
    options = {"schedule": "linear"} if way == "schedule" else {"patience": 1, "threshold": 5.0}
    freeze, weights = lcb.FreezeConverged(**options), Weights()
    for _ in range(1 + (way == "weights")):  # the second `fit` continues the run
        model.fit(x, x, epochs=4, verbose=0, callbacks=[freeze, weights])
    assert [event["layers"] for event in freeze.events] == [["block1_a"]]
    assert weights.stay("block1_a", since=2)
    assert freeze.results.layer.values.tolist() == ["block1_a", "block2_b"]


def test_a_layer_that_is_not_called_on_the_probe_batch_is_named_before_training():
    x, _ = data()
    model = Unused(names=("a", "unused", "b"))
    model.demanded = True
    model(x)
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=BACKEND == "tensorflow")
    freeze = lcb.FreezeConverged(x=x, layers=None)
    freeze.set_model(model)
    model.demanded = False
    with pytest.raises(ValueError, match="activations of 'unused' cannot be read"):
        model.fit(x, x, epochs=2, verbose=0, callbacks=[freeze])


def test_quantized_layers_settle_by_their_activations():
    model = network()
    model.get_layer("a").quantize("int8")  # its bias still trains
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=BACKEND != "torch")
    freeze = lcb.FreezeConverged(x=data()[0], patience=1, threshold=5.0, layers=None)
    train(model, freeze, epochs=3)
    assert [event["layers"] for event in freeze.events] == [["a"], ["a_norm"], ["b"]]
    assert freeze.results.representation_change.sel(layer="a").values[1] > 0


@pytest.mark.parametrize("by", ["weights", "activations"])
def test_a_layer_that_does_not_change_at_all_has_settled(by):
    model = network(keras.optimizers.SGD(0.1))
    a = model.get_layer("a")
    a.set_weights([0 * weights for weights in a.get_weights()])
    b = model.get_layer("b")
    b.set_weights([0 * weights for weights in b.get_weights()])  # so `a` has no gradient either
    x = data()[0] if by == "activations" else None
    freeze = lcb.FreezeConverged(patience=2, threshold=1e-9, x=x, layers=["a", "b", "c"])
    train(model, freeze)
    change = freeze.results[freeze._rule.name].sel(layer="a").values
    np.testing.assert_array_equal(change[1:3], 0)
    assert freeze.events[0]["layers"] == ["a"]


def test_nothing_freezes_while_everything_moves():
    freeze = lcb.FreezeConverged(threshold=1e-9)
    train(network(), freeze)
    assert freeze.events == []
    assert not freeze.results.frozen.any()


def test_a_training_that_failed_leaves_nothing_frozen_in_the_next():
    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 4:
                raise KeyboardInterrupt

    model = network()
    with pytest.raises(KeyboardInterrupt):
        train(model, freeze_linear(), Fails())
    before = weights_of(model)
    train(model, epochs=1)
    assert len(model.trainable_variables) == 8
    after = weights_of(model)
    assert all(not np.array_equal(before[path], after[path]) for path in before)


@pytest.mark.parametrize("rule", ["schedule", "evidence"])
def test_another_process_continues_where_the_first_was_killed(tmp_path, rule):
    def callbacks(folder):
        rate = keras.callbacks.LearningRateScheduler(lambda epoch, _: 0.1 / (1 + 9 * epoch**3))
        options = {"backup": folder / "freeze"}
        if rule == "schedule":
            freeze = lcb.FreezeConverged("linear", 0.5, **options)
        else:
            freeze = lcb.FreezeConverged(patience=2, threshold=0.2, **options)
        return rate, keras.callbacks.BackupAndRestore(folder / "model"), freeze

    class Killed(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 3:
                raise KeyboardInterrupt

    whole = network()
    *others, freeze = callbacks(tmp_path / "whole")
    train(whole, *others, freeze)
    with pytest.raises(KeyboardInterrupt):
        train(network(), *callbacks(tmp_path / "killed"), Killed())
    resumed = network()
    *others, again = callbacks(tmp_path / "killed")
    train(resumed, *others, again)
    assert freeze.events
    assert again.events == freeze.events
    expected, found = weights_of(whole), weights_of(resumed)
    for path, value in expected.items():
        np.testing.assert_allclose(found[path], value, rtol=1e-5, atol=1e-7)


def test_compiled_steps_freeze_too():
    weights, model = Weights(), network(run_eagerly=False)
    history = train(model, weights, freeze_linear(), validation_data=data())
    assert weights.stay("a", since=3)
    assert not weights.stay("b", since=3)
    loss = model.evaluate(*data(), verbose=0)  # after thawing, and compiled again if needed
    np.testing.assert_allclose(loss, history.history["val_loss"][-1], rtol=1e-5)


def test_the_backward_pass_ends_before_frozen_layers():
    backward = []

    class Counted(keras.layers.Layer):
        def call(self, x):
            @keras.ops.custom_gradient
            def through(x):
                def gradient(*args, upstream=None):
                    backward.append(1)
                    return args[0] if upstream is None else upstream

                return 1.0 * x, gradient

            return through(x)

    a, b = keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b")
    model = keras.Sequential([keras.Input((6,)), a, Counted(), b])
    model.compile("sgd", "mse", run_eagerly=BACKEND != "torch")
    train(model, freeze_linear())
    assert len(backward) == 3 * 4  # of 6 epochs of 4 batches


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"schedule": "quadratic"}, "'linear', 'cubic' or None"),
        ({"start": 1.0}, "between 0 and 1"),
        ({"patience": 0}, "1 or more"),
        ({"threshold": -1}, "positive"),
        ({"schedule": "linear", "threshold": 0.1}, "by evidence"),
    ],
)
def test_settings_out_of_range_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        lcb.FreezeConverged(**options)


def test_what_cannot_be_frozen_is_refused_before_training():
    with pytest.raises(ValueError, match="With epochs=1, no layer freezes"):
        train(network(), freeze_linear(), epochs=1)
    with pytest.raises(ValueError, match="would leave nothing to train"):
        train(network(), lcb.FreezeConverged(layers=lambda layer: "all"))
    with pytest.raises(ValueError, match="fit_in_stages"):
        train(network(), lcb.FreezeConverged(cache=True))
    unbuilt = keras.Sequential([keras.layers.Dense(2)])
    unbuilt.compile("sgd", "mse")
    with pytest.raises(ValueError, match="not built"):
        lcb.FreezeConverged().set_model(unbuilt)


def test_moving_statistics_before_all_layers_that_train_stay_the_same():
    keras.utils.set_random_seed(3)
    norm = keras.layers.BatchNormalization(scale=False, center=False, name="norm")
    above = keras.layers.BatchNormalization(scale=False, center=False, name="above")
    a, b = keras.layers.Dense(4, name="a"), keras.layers.Dense(2, name="b")
    model = keras.Sequential([keras.Input((6,)), a, norm, b, above])
    model.compile("sgd", "mse", run_eagerly=BACKEND != "torch")
    weights = Weights()
    train(model, weights, freeze_linear())
    assert weights.stay("norm", since=3)
    assert not weights.stay("above", since=3)
    assert norm.trainable


def test_a_layerwise_model_freezes_by_evidence_only():
    model = lcb.LayerwiseModel.from_model(network())
    model.compile(keras.optimizers.SGD(1e-9), "mse", run_eagerly=BACKEND != "torch")
    with pytest.raises(ValueError, match="train a plain"):
        train(model, freeze_linear())
    freeze, weights = lcb.FreezeConverged(patience=1, threshold=2.0), Weights()
    train(model, freeze, weights)
    assert freeze.events[0]["epoch"] == 1
    assert weights.stay("a", since=1)
