"""Networks against their layers written out in NumPy."""

import keras
import numpy as np
import pytest

from keras_lcb.synthetic import networks

X = np.linspace(-3, 3, 23, dtype=np.float32)[:, None]


def run(model, x):
    return keras.ops.convert_to_numpy(model(x))


def forward(model, hidden, residual, activation):
    """Every hidden state, and the output, with the model's own weights."""
    states = []
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Dense):
            continue
        kernel, bias = layer.get_weights()
        out = hidden @ kernel + bias
        if layer.name != "readout":
            out = activation(out)
            if residual and layer.name != "layer_0":
                out = hidden + out
            states.append(out)
        hidden = out
    return states, hidden


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    ("name", "activation"), [("relu", lambda z: np.maximum(z, 0)), ("tanh", np.tanh)]
)
def test_output_is_that_of_the_layers(residual, name, activation):
    model = networks.build_network(4, 9, residual, name, initializer="fan_in", seed=2)
    expected = forward(model, X, residual, activation)[1]
    np.testing.assert_allclose(run(model, X), expected, atol=1e-5)
    dense = [layer.name for layer in model.layers if layer.weights]
    assert dense == ["layer_0", "layer_1", "layer_2", "layer_3", "readout"]
    assert model.count_params() == (1 * 9 + 9) + 3 * (9 * 9 + 9) + (9 + 1)
    assert model.input_shape == (None, 1) and model.output_shape == (None, 1)


def test_the_seed_decides_the_weights():
    def weights(**given):
        return networks.build_network(3, 8, True, **given).get_weights()

    for initializer in ("glorot_uniform", "fan_in", keras.initializers.HeNormal()):
        first, again, other = (weights(initializer=initializer, seed=seed) for seed in (1, 1, 2))
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
        assert not np.array_equal(first[0], other[0])
        kernels = [w for w in first if w.shape == (8, 8)]
        assert not np.array_equal(*kernels)


def test_initializers_keep_their_scale():
    model = networks.build_network(3, 100, initializer="fan_in")
    kernel, bias = model.get_layer("layer_1").get_weights()
    for values in (kernel, bias):
        assert abs(values).max() <= 0.1 and abs(values).max() > 0.09
    assert abs(model.get_layer("layer_0").get_weights()[1]).max() > 0.5
    kernel, bias = networks.build_network(3, 100).get_layer("layer_1").get_weights()
    assert abs(kernel).max() == pytest.approx(np.sqrt(6 / 200), rel=0.01)
    assert not bias.any()


def test_branches_are_scaled_so_that_deep_networks_start_out_sane():
    scaled, unscaled = (
        networks.build_network(4, 16, True, branch_scale=scale) for scale in (None, 1.0)
    )
    for index, factor in ((0, 1.0), (1, 0.5), (3, 0.5)):
        name = f"layer_{index}"
        np.testing.assert_allclose(
            scaled.get_layer(name).get_weights()[0],
            factor * unscaled.get_layer(name).get_weights()[0],
            rtol=1e-6,
        )
    plain = networks.build_network(4, 16)
    np.testing.assert_array_equal(plain.get_weights()[2], unscaled.get_weights()[2])
    assert abs(run(networks.build_network(64, 32, True), X)).max() < 100
    assert abs(run(networks.build_network(64, 32, True, branch_scale=1.0), X)).max() > 1e4


def test_a_period_makes_the_network_periodic():
    model = networks.build_network(3, 8, period=2.0, initializer="fan_in")
    np.testing.assert_allclose(run(model, X), run(model, X + 2.0), atol=1e-5)
    assert abs(run(model, X) - run(model, X + 1.0)).max() > 1e-3
    embedded = np.concatenate([np.cos(np.pi * X), np.sin(np.pi * X)], axis=1)
    expected = forward(model, embedded, False, lambda z: np.maximum(z, 0))[1]
    np.testing.assert_allclose(run(model, X), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_normalization_stands_between_kernel_and_activation(kind):
    model = networks.build_network(2, 16, normalization=kind, initializer="fan_in")
    normalized = keras.Model(model.input, model.get_layer("layer_1_normalization").output)
    values = keras.ops.convert_to_numpy(normalized(X, training=True))
    axis = 0 if kind == "batch" else 1
    np.testing.assert_allclose(values.mean(axis), 0, atol=1e-5)
    after = keras.Model(model.input, model.get_layer("layer_1_activation").output)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(after(X, training=True)), np.maximum(values, 0), atol=1e-6
    )


def test_a_network_survives_its_file(tmp_path):
    model = networks.build_network(3, 8, True, "tanh", normalization="layer", period=6.0, seed=4)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        run(keras.models.load_model(tmp_path / "model.keras"), X), run(model, X)
    )


def test_any_optimizer_trains_it():
    model = networks.build_network(2, 16, True)
    model.compile(keras.optimizers.Lion(1e-3), "mse")
    history = model.fit(X, np.sin(X), epochs=20, batch_size=23, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_an_initializer_may_be_a_function():
    model = networks.build_network(
        2, 4, initializer=lambda shape, dtype=None: np.ones(shape, dtype)
    )
    assert (model.get_layer("layer_1").get_weights()[0] == 1).all()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"depth": 0}, "`depth` must be a whole number from 1 to 64"),
        ({"depth": 65}, "`depth`"),
        ({"depth": 2.5}, "`depth`"),
        ({"width": 0}, "`width`"),
        ({"normalization": "group"}, "`normalization`"),
        ({"period": 0.0}, "`period`"),
        ({"branch_scale": -1.0}, "`branch_scale`"),
        ({"depth": True}, "`depth`"),
        ({"period": np.inf}, "`period`"),
        ({"period": "one"}, "`period`"),
        ({"branch_scale": np.inf}, "`branch_scale`"),
        ({"branch_scale": "one"}, "`branch_scale`"),
        ({"activation": "step"}, "step"),
        ({"initializer": "magic"}, "magic"),
    ],
)
def test_what_makes_no_network_is_refused(given, says):
    with pytest.raises(ValueError, match=says):
        networks.build_network(**{"depth": 2, "width": 4, **given})
