"""A few checks of the battery, on each backend; `make battery` runs all of them."""

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from battery import models, models_check, optimizers, trainings, trainings_check
from battery.models import layers as layer_models

BACKEND = keras.backend.backend()
MODELS = [
    "shared layer",
    "subclassed with tied weights",
    "dict of inputs and outputs",
    "layer SpectralNormalization",
    "layer ReversibleEmbedding",
    "LoRA Conv2D",
    "quantised to int8, with LoRA",
    "precision mixed_float16",
]
TRAININGS = {
    "tensorflow": ["diffusion", "wasserstein gan", "actor critic"],
    "jax": ["recommender"],
    "torch": ["diffusion"],
}
PAIRS = [("Adafactor", "accumulation"), ("Muon", "multipliers"), ("Lion", "loss scaling")]
if BACKEND == "jax":  # compiles each of them for seconds
    MODELS, PAIRS = MODELS[::4], PAIRS[:1]


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    (case,) = [case for case in models.cases() if case.name == name]
    assert models_check.check(case.make).faults == []


@pytest.mark.parametrize("name", TRAININGS[BACKEND])
def test_trainings(name):
    (module,) = [each for each in trainings.trainings() if trainings.name_of(each) == name]
    assert trainings_check.check(module).faults == []


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_optimizers(pair):
    assert optimizers.check(*pair).faults == []


def test_each_layer_class_with_weights_has_a_model():
    """Layers without weights, and those that wrap code of other frameworks, need none."""
    without = {"FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper", "Layer", "Wrapper"}
    with_weights = {
        name
        for name, made in vars(keras.layers).items()
        if isinstance(made, type) and "add_weight" in _code(made) and name not in without
    }
    aliases = {"Convolution", "SeparableConvolution"}
    lacking = {n for n in with_weights - set(layer_models.MADE) if not n.startswith(tuple(aliases))}
    assert lacking <= {"Pipeline", "Masking"}, lacking


def _code(made):
    import inspect

    return "".join(
        inspect.getsource(base)
        for base in made.__mro__
        if base.__module__.startswith("keras.src.layers") and base is not keras.layers.Layer
    )


def test_a_wrong_norm_is_a_fault(monkeypatch):
    """The check itself can fail."""
    from keras_lcb.quantities import GradientNorm

    results = GradientNorm.results
    monkeypatch.setattr(GradientNorm, "results", lambda *args: results(*args) * (1 + 1e-4))
    (case,) = [case for case in models.cases("layers") if case.name == "layer Dense"]
    found = models_check.check(case.make)
    assert found.faults and np.isclose(found.error, 1e-4, rtol=0.1)


def test_changed_weights_are_a_fault(monkeypatch):
    """They are also looked for without TensorFlow's graph optimizer, which finds them, too."""

    class Changing(lcb.GradientNorms):
        def on_epoch_end(self, epoch, logs=None):
            bias = self.model.layers[-1].bias
            bias.assign(bias + 1e-3)
            super().on_epoch_end(epoch, logs)

    monkeypatch.setattr(lcb, "GradientNorms", Changing)
    (case,) = [case for case in models.cases("layers") if case.name == "layer Dense"]
    faults = models_check.check(case.make).faults
    assert any("differ from a plain run" in fault for fault in faults), faults


def test_each_file_has_its_own_models():
    applications = {case.name for case in models.cases("applications")}
    structures = {case.name for case in models.cases("structures")}
    assert "application ResNet50" in applications
    assert "subclassed with tied weights" in structures and not applications & structures
