"""Trains a network with given settings and records it. All seeds share one compiled model."""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import xarray as xr

import keras_lcb as lcb
from benchmarks.planted import data as sets
from benchmarks.planted.networks import build, part
from benchmarks.planted.setting import Setting

_BATCH = 64


class _Compiled:
    """A compiled model that can be trained several times, each time from new weights."""

    def __init__(self, setting: Setting) -> None:
        self.x, self.y, classes = getattr(sets, setting.data)()
        self.shape, self.outputs = self.x.shape[1:], classes or self.y.shape[-1]
        plain = build(setting, self.shape, self.outputs)
        for layer in part(plain, setting.frozen) if setting.frozen else ():
            layer.trainable = False
        needs_factors = bool(setting.multipliers)
        self.model = lcb.LayerwiseModel.from_model(plain) if needs_factors else plain
        optimizer = _optimizer(setting)
        self.model.compile(
            optimizer,
            _loss(setting, classes),
            steps_per_execution=setting.updates,
            jit_compile=False,
        )
        optimizer.build(self.model.trainable_variables)
        self._fresh = [(v, keras.ops.convert_to_numpy(v)) for v in optimizer.variables]

    def train(self, setting: Setting) -> xr.Dataset:
        """Trains a setting that differs from the first only in its seed, and returns the run."""
        keras.utils.set_random_seed(setting.seed)
        self.model.set_weights(build(setting, self.shape, self.outputs).get_weights())
        for variable, value in self._fresh:
            variable.assign(value)
        order = np.random.default_rng(setting.seed).integers(
            0, len(self.x), setting.records * setting.updates * _BATCH
        )
        batches = tf.data.Dataset.from_tensor_slices((self.x[order], self.y[order])).batch(_BATCH)
        watched, convergence = _Silent(), lcb.LayerConvergence()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model.fit(
                batches.repeat(),
                epochs=setting.records,
                steps_per_epoch=setting.updates,
                verbose=0,
                shuffle=False,
                callbacks=[watched, convergence, *_changes(setting, self.model)],
            )
        run = lcb.collect(watched, convergence)
        reached = float(run["loss"][-3:].mean(skipna=False)) if "loss" in run else math.nan
        return run.assign_attrs(reached=reached if math.isfinite(reached) else math.inf)


class _Silent(lcb.Diagnosis):
    """Only records, without warnings. The runs are diagnosed afterwards."""

    def _look(self) -> None:
        pass


def trained(setting: Setting, folder: Path, last: dict[str, Any]) -> xr.Dataset:
    """Reads the run of a setting from its file, or trains it if there is no file.

    Args:
        setting: The setting.
        folder: The folder of the files.
        last: The compiled model of the previous setting, which is used again if only the seed is
            different. The function updates it.
    """
    path = folder / f"{setting.key}.nc"
    if not path.exists():
        kind = setting.but(seed=0).key
        if last.get("kind") != kind:
            last.clear()
            keras.backend.clear_session()
            last |= {"kind": kind, "compiled": _Compiled(setting)}
        lcb.save_run(last["compiled"].train(setting), path)
    return lcb.load_run(path)


def _optimizer(setting: Setting) -> keras.optimizers.Optimizer:
    options: dict[str, Any] = {"weight_decay": setting.decay or None}
    options |= {"global_clipnorm": setting.clip} if setting.clip else {}
    rate: Any = setting.rate
    total = setting.records * setting.updates
    if setting.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, total)
    if setting.schedule == "drop":
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([total // 2], [rate, rate / 100])
    made: keras.optimizers.Optimizer
    if setting.optimizer == "adam":
        made = keras.optimizers.Adam(rate, **options)
    else:
        momentum = 0.9 if setting.optimizer == "momentum" else 0.0
        made = keras.optimizers.SGD(rate, momentum=momentum, **options)
    if setting.growth:
        return keras.optimizers.LossScaleOptimizer(made, dynamic_growth_steps=setting.growth)
    return made


def _loss(setting: Setting, classes: int) -> Any:
    if not classes:
        return "mse"
    if setting.naive:
        return _naive
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _naive(labels: Any, logits: Any) -> Any:
    """Returns the cross-entropy by its definition, which is infinite for a probability of 0."""
    chosen = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), logits.shape[-1])
    return -keras.ops.log(keras.ops.sum(chosen * keras.ops.softmax(logits), axis=-1))


def _changes(setting: Setting, model: Any) -> list[keras.callbacks.Callback]:
    """Returns a callback that sets the layers' factors at the start of their first epochs."""
    if not setting.multipliers:
        return []

    def begin(epoch: int, logs: Any = None) -> None:
        if epoch == 0:
            for layer in part(model, "all"):
                model.learning_rate_multipliers[layer.name] = 1.0
        for name, factor, first in setting.multipliers:
            if epoch == first:
                for layer in part(model, name):
                    model.learning_rate_multipliers[layer.name] = factor

    return [keras.callbacks.LambdaCallback(on_epoch_begin=begin)]


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
