"""Where parameters and rates are spent."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from keras_lcb import vision
from keras_lcb.experiments.engines import spending

CONFIG = vision.Config(
    depth=6, updates=4, record_every=1, data_arguments={"validation_fraction": 0.4}
)


@pytest.fixture(scope="module")
def data():
    return vision.load("digits", batch_size=64, validation_fraction=0.4, seed=0)


def test_networks_have_the_same_number_of_parameters(data):
    counts = [
        spending._with_widths(widths)(CONFIG, data).count_params()
        for widths in spending.WIDTHS.values()
    ]
    assert max(counts) / min(counts) < 1.01
    even = spending._with_widths(spending.WIDTHS["even"])(CONFIG, data)
    plain = vision.build_cnn(data.shape, data.classes, depth=6, width=16)
    assert even.count_params() == plain.count_params()


def test_one_half_learns_at_twice_the_rate(data):
    for half, expected in {"shallow": [2, 2, 2, 1, 1, 1], "deep": [1, 1, 1, 2, 2, 2]}.items():
        model = spending._with_faster(half)(CONFIG, data)
        factors = model.learning_rate_multipliers
        assert [factors[f"conv_{n}"] for n in range(6)] == expected
        assert factors["head"] == 1
    assert type(spending._with_faster("even")(CONFIG, data)).__name__ == "Functional"


def test_the_rate_is_chosen_on_other_images_than_it_is_tested_on(data, monkeypatch):
    seen = []

    def scores(model, held_out):
        seen.append(held_out[0])
        return {"loss": float(model.rate), "accuracy": 0.5}

    def trained(build, config, factor, data):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.rate = {0.5: 3.0, 1.0: 2.0, 2.0: 4.0}[factor]
        return model

    monkeypatch.setattr(spending, "_scores", scores)
    monkeypatch.setattr(spending, "_trained", trained)
    run = spending.rates(CONFIG)
    assert run.test_loss.values.tolist() == [2.0] * 3
    choosing, testing = seen[0], seen[3]
    assert len(choosing) + len(testing) == 719
    assert not (choosing[:50, None] == testing[None, :50]).all(axis=(2, 3, 4)).any()


def test_scores_are_those_of_keras(data):
    model = vision.build_cnn(data.shape, data.classes, depth=2, width=4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    x, y = (np.concatenate(part) for part in zip(*data.validation.as_numpy_iterator(), strict=True))
    found = spending._scores(model, [x, y])
    assert list(found.values()) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)
