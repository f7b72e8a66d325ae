"""Checks what the callbacks say of a model against weights in float64, names and files."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

import keras_lcb as lcb
from battery.models import Case
from keras_lcb.training.layers import tracked_layers

TOLERANCE = 1e-5
EPOCHS = 2


@dataclasses.dataclass
class Checked:
    """What a check found.

    Attributes:
        layers: The number of layers in the run.
        parameters: The number of parameters.
        error: The largest relative error of a norm beyond rounding.
        faults: What is wrong, in words; empty if nothing is.
        only_without_optimizer: Whether the weights are those of a plain run only where TensorFlow
            does not optimize its graphs.
    """

    layers: int = 0
    parameters: int = 0
    error: float = 0.0
    faults: list[str] = dataclasses.field(default_factory=list)
    only_without_optimizer: bool = False


class Weights(keras.callbacks.Callback):
    """Copies all weights before training and after each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[list[np.ndarray]] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self.kept:
            self._keep()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._keep()

    def _keep(self) -> None:
        self.kept.append([_value(v) for v in self.model.weights])


def check(make: Callable[[], Case]) -> Checked:
    """Trains a model twice, with the callbacks and without, for one update an epoch.

    Plain SGD at rate 1 moves weights by their gradients. So the difference of the weights is the
    gradient, which the norms in the run must have.
    """
    found = Checked()
    convergence = lcb.LayerConvergence(budget=16 * 2**30)  # for the largest networks
    norms, weights = lcb.GradientNorms(), Weights()
    with_callbacks = _trained(make, weights, convergence, norms)
    plain = _trained(make)
    weights.kept[0] = _initial(make)  # the model may have had no weights before training
    run = lcb.collect(convergence, norms)
    rows = tracked_layers(with_callbacks.model).layers
    found.layers = len(rows)
    found.parameters = sum(row.parameters for row in rows)
    if list(run.layer.values) != [row.name for row in rows]:
        found.faults.append("the run has other layers than the model")
    if with_callbacks.steady:
        _check_norms(found, run, rows, _by_variable(with_callbacks.model, weights))
    elif not np.allclose(run.update_norm[1:], run.gradient_norm[1:], rtol=TOLERANCE):
        found.faults.append("an update of SGD at rate 1 is not as large as the gradient")
    _check_weights(found, make, with_callbacks.model, plain.model)
    if with_callbacks.saves:
        with tempfile.TemporaryDirectory() as folder:
            _check_files(found, with_callbacks.model, plain.model, Path(folder), rows)
    if with_callbacks.clones:
        _check_clone(found, with_callbacks.model, rows)
    return found


def _by_variable(model: keras.Model, weights: Weights) -> list[dict[int, np.ndarray]]:
    """Returns the weights at each moment, by the `id` of the variable."""
    identities = [id(variable) for variable in model.weights]
    return [dict(zip(identities, kept, strict=True)) for kept in weights.kept]


def _initial(make: Callable[[], Case]) -> list[np.ndarray]:
    """Returns the weights with which a model begins."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    case = make()
    if not case.model.built:
        case.model(case.x[:1])
    return [_value(v) for v in case.model.weights]


def _trained(make: Callable[[], Case], *callbacks: Any) -> Case:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    case = make()
    y = case.y if case.y is not None else _targets(case)
    case.model.compile(keras.optimizers.SGD(1.0), case.loss, **case.compile)
    batch_size = case.batch_size or len(keras.tree.flatten(case.x)[0])
    case.model.fit(
        case.x,
        y,
        epochs=EPOCHS,
        batch_size=batch_size,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )
    return case


def _targets(case: Case) -> Any:
    outputs = keras.tree.map_structure(
        lambda array: keras.KerasTensor(array.shape, keras.backend.standardize_dtype(array.dtype)),
        case.x,
    )
    spec = case.model.compute_output_spec(outputs)
    random = np.random.default_rng(9)
    count = len(keras.tree.flatten(case.x)[0])
    return keras.tree.map_structure(
        lambda tensor: random.normal(size=(count, *tensor.shape[1:])).astype("float32"), spec
    )


def _check_norms(found: Checked, run: Any, rows: Any, weights: list[dict[int, np.ndarray]]) -> None:
    """Compares with the differences of weights, up to the rounding of the weights themselves."""
    one_update = run.step.values[1] == 1  # then the RMS over updates is the norm itself
    for epoch in range(1, EPOCHS + 1) if one_update else ():
        before, after = weights[epoch - 1], weights[epoch]
        for place, row in enumerate(rows):
            moved = [_moved(before, after, v) for v in row.variables]
            rounding = [_spacing(v, after[id(v)]) for v in row.variables]
            truth = np.sqrt(sum(np.sum(each**2) for each in moved))
            slack = np.sqrt(sum(np.sum(each**2) for each in rounding))
            for name in ("update_norm", "gradient_norm"):
                value = float(run[name].values[epoch, place])
                excess = max(0.0, abs(value - truth) - slack)
                error = excess / truth if truth else excess
                found.error = max(found.error, error)
                if not error <= TOLERANCE:
                    found.faults.append(
                        f"{name} of {row.name} at epoch {epoch}: {value:.9g}, should be {truth:.9g}"
                    )
    for place, row in enumerate(rows):
        way = [_moved(weights[0], weights[-1], v) for v in row.variables]
        truth = np.sqrt(sum(np.sum(each**2) for each in way))
        value = float(run["distance"].values[0, place])
        if not np.isclose(value, truth, rtol=TOLERANCE, atol=1e-12):
            found.faults.append(f"distance of {row.name}: {value:.9g}, should be {truth:.9g}")


def _moved(before: dict[int, np.ndarray], after: dict[int, np.ndarray], v: Any) -> np.ndarray:
    return after[id(v)].astype("float64") - before[id(v)]


def _spacing(variable: Any, values: np.ndarray) -> np.ndarray:
    """Returns the largest rounding error of each weight when it was updated."""
    bits = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}
    kept = bits[keras.backend.standardize_dtype(variable.dtype)]
    with np.errstate(divide="ignore"):
        exponents = np.where(values == 0, -126, np.floor(np.log2(np.abs(values))))
    return 2.0 ** (exponents - kept)


def _check_weights(
    found: Checked, make: Callable[[], Case], one: keras.Model, other: keras.Model
) -> None:
    """Compares all weights with those of a plain run.

    TensorFlow's graph optimizer merges operations unless another one reads a result between them,
    as the callbacks do. This changes roundings, which deep networks may blow up. So where weights
    differ, the trainings without that optimizer decide.
    """
    differing = _differing(one, other)
    if differing and keras.backend.backend() == "tensorflow":
        norms = lcb.LayerConvergence(budget=16 * 2**30), lcb.GradientNorms()
        with _without_graph_optimizer():
            found.only_without_optimizer = not _differing(
                _trained(make, *norms).model, _trained(make).model
            )
    if not found.only_without_optimizer:
        found.faults += differing


def _differing(one: keras.Model, other: keras.Model) -> list[str]:
    """Returns a sentence for each variable of a model whose value another model does not have."""
    exact = keras.backend.backend() != "jax"  # XLA may fuse the longer program in another way
    sentences = []
    for ours, plain in zip(one.weights, other.weights, strict=True):
        a, b = _value(ours), _value(plain)
        same = np.array_equal(a, b, equal_nan=True) if exact else np.allclose(a, b, 1e-4, 1e-6)
        if not same:
            difference = f"{np.abs(a - b).max():.3g}"
            sentences.append(f"weights {ours.path} differ from a plain run by {difference}")
    return sentences


@contextlib.contextmanager
def _without_graph_optimizer() -> Iterator[None]:
    import tensorflow as tf

    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})


def _check_files(
    found: Checked, one: keras.Model, other: keras.Model, folder: Path, rows: Any
) -> None:
    contents = []
    for name, model in (("one", one), ("other", other)):
        path = folder / f"{name}.keras"
        model.save(path)
        contents.append(_content(path))
    if contents[0] != contents[1]:
        found.faults.append("the saved file differs from that of a plain run")
    loaded = keras.models.load_model(folder / "one.keras")
    _compare_names(found, "loading", loaded, rows)


def _content(path: Path) -> Any:
    """Returns the configuration, and names and shapes of all arrays of a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        config = _without_ids(json.loads(archive.read("config.json")))
        with archive.open("model.weights.h5") as file, h5py.File(file) as weights:
            shapes: list[tuple[str, Any]] = []
            weights.visititems(
                lambda name, item: shapes.append((name, getattr(item, "shape", None)))
            )
    return config, sorted(shapes, key=str)


def _without_ids(config: Any) -> Any:
    """Returns a configuration without the addresses of objects in memory."""
    if isinstance(config, dict):
        kept = {key: value for key, value in config.items() if key != "shared_object_id"}
        return {key: _without_ids(value) for key, value in kept.items()}
    return [_without_ids(each) for each in config] if isinstance(config, list) else config


def _check_clone(found: Checked, model: keras.Model, rows: Any) -> None:
    if isinstance(model, (keras.Sequential,)) or hasattr(model, "_operations_by_depth"):
        clone = keras.models.clone_model(model)
    else:
        clone = type(model).from_config(model.get_config())
        clone.build_from_config(model.get_build_config())
    if clone.built:
        _compare_names(found, "cloning", clone, rows)


def _compare_names(found: Checked, how: str, model: keras.Model, rows: Any) -> None:
    names = [row.name for row in tracked_layers(model).layers]
    if names != [row.name for row in rows]:
        found.faults.append(f"names after {how}: {names} instead of {[r.name for r in rows]}")


def _value(variable: Any) -> np.ndarray:
    """Returns a copy of a variable's value, in single precision if it has less."""
    if keras.backend.standardize_dtype(variable.dtype) in ("bfloat16", "float16"):
        return np.array(keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32")))
    return np.array(keras.ops.convert_to_numpy(variable.value))


def _float64(variable: Any) -> np.ndarray:
    return _value(variable).astype("float64")
