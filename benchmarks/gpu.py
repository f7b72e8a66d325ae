"""Checks the numbers on an accelerator, and measures what the callbacks cost there.

python -m benchmarks.gpu [--backend tensorflow|jax|torch] [--rounds 5] [--quick]

Without `--backend`, each installed backend is measured in a process of its own, for at most
`MINUTES` minutes in all. A backend that finds no accelerator is left out. No part needs a network,
and each prints its result as it ends, so that a run that is cut off still says something.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

# Keras chooses its backend when it is imported. So it is imported only after the options are read.
if TYPE_CHECKING:
    import keras

BACKENDS = ("jax", "torch", "tensorflow")
MINUTES = 8
CASES = ("layer Dense", "layer Conv2D", "layer LSTM", "transformer block")
AT_MOST = {"MLP": 1.02, "ResNet-50": 1.01, "transformer": 1.01}
# Products in full float32, as the weights in float64 that norms are compared with.
_FULL_PRECISION = {"NVIDIA_TF32_OVERRIDE": "0", "JAX_DEFAULT_MATMUL_PRECISION": "highest"}


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    if options.backend is None:
        _each_backend(options)
        return
    os.environ["KERAS_BACKEND"] = options.backend
    from benchmarks import machine

    if not options.quick and not _has_accelerator(options.backend):
        print(f"{options.backend}: left out, since it finds no accelerator", flush=True)
        return
    print(machine.sentence(machine.describe()), flush=True)
    if options.quick:
        print("QUICK: tiny sizes, to show that the program runs; the times have no meaning")
    _norms()
    _waits()
    for name, workload in WORKLOADS.items():
        _ratios(name, workload, options.rounds, options.quick)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=BACKENDS, help="default: each that is installed")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: 5)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to show that it runs")
    return parser.parse_args(arguments)


def _has_accelerator(backend: str) -> bool:
    if backend == "jax":
        import jax

        return any(device.platform != "cpu" for device in jax.devices())
    if backend == "torch":
        import torch

        return bool(torch.accelerator.is_available())
    import tensorflow as tf

    return any(device.device_type != "CPU" for device in tf.config.list_physical_devices())


def _each_backend(options: argparse.Namespace) -> None:
    end = time.monotonic() + 60 * MINUTES
    for backend in filter(importlib.util.find_spec, BACKENDS):
        command = [sys.executable, "-m", "benchmarks.gpu", "--backend", backend]
        command += ["--rounds", str(options.rounds), *(["--quick"] if options.quick else [])]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        left = max(0.0, end - time.monotonic())
        try:
            ended = subprocess.run(command, env=environment, check=False, timeout=left).returncode
        except subprocess.TimeoutExpired:
            print(f"{backend}: cut off after {MINUTES} minutes in all", flush=True)
            continue
        if ended:
            print(f"{backend}: ended with exit status {ended}", flush=True)


def _norms() -> None:
    """Compares norms in full precision with weights in float64, in a process of its own."""
    command = [sys.executable, "-c", _CHECK.format(cases=CASES)]
    environment = {**os.environ, **_FULL_PRECISION}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = told.stdout.strip().splitlines()
    print(lines[-1] if lines else told.stderr.strip().splitlines()[-1], flush=True)


_CHECK = """
from battery import models, models_check
chosen = [case for case in models.cases() if case.name in {cases}]
found = {{case.name: models_check.check(case.make) for case in chosen}}
worst = max(each.error for each in found.values())
faults = [fault for each in found.values() for fault in each.faults]
print(f"norms of {{len(found)}} models: relative error at most {{worst:.1g}} beyond the rounding "
      f"of the weights; {{faults[0] if faults else 'no fault'}}")
"""


# Waits for the device.


def _waits() -> None:
    """Counts, for each step, how often Python waits for values of the device."""
    import keras_lcb as lcb

    ways: dict[str, Callable[[], list[Any]]] = {
        "plain fit": list,
        "both callbacks": lambda: [lcb.LayerConvergence(), lcb.GradientNorms()],
        "per_update": lambda: [lcb.GradientNorms(per_update=True)],
    }
    for name, callbacks in ways.items():
        few, many = (_waits_in(steps, callbacks) for steps in (20, 40))
        print(f"waits for the device in a step, {name}: {(many - few) / 20:g}", flush=True)


def _waits_in(steps: int, callbacks: Callable[[], list[Any]]) -> int:
    model = _mlp(True)[0]
    x = np.zeros((4 * steps, 16), "float32")
    model.fit(x[:4], x[:4, :1], verbose=0)  # compiles
    with _counted() as waits:
        model.fit(x, x[:, :1], batch_size=4, verbose=0, callbacks=callbacks())
    return len(waits)


@contextlib.contextmanager
def _counted() -> Iterator[list[str]]:
    """Notes each read of a device's values by Python within this context."""
    import keras

    owner, names = _readers(keras.backend.backend())
    waits: list[str] = []
    kept = {name: getattr(owner, name) for name in names}

    def counting(name: str, read: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            waits.append(name)
            return read(*args, **kwargs)

        return counted

    for name, read in kept.items():
        is_property = isinstance(read, property)
        counted = counting(name, read.fget if is_property else read)
        setattr(owner, name, property(counted) if is_property else counted)
    try:
        yield waits
    finally:
        for name, read in kept.items():
            setattr(owner, name, read)


def _readers(backend: str) -> tuple[Any, tuple[str, ...]]:
    """Returns the class of a backend's tensors, and what in it reads their values."""
    if backend == "jax":
        import jax

        return type(jax.numpy.zeros(1)), ("_value",)
    if backend == "torch":
        import torch

        return torch.Tensor, ("cpu", "item", "tolist", "__float__", "__int__", "__bool__")
    import tensorflow as tf

    return type(tf.zeros(1)), ("_numpy", "__float__", "__int__", "__bool__")


# Times.


def _mlp(quick: bool) -> tuple[keras.Model, Any, Any, int]:
    import keras

    steps = 20 if quick else 500
    hidden = [keras.layers.Dense(64, activation="relu") for _ in range(5)]
    model = keras.Sequential([keras.Input((16,)), *hidden, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(64 * steps, 16)).astype("float32")
    return model, x, x[:, :1], 64


def _resnet(quick: bool) -> tuple[keras.Model, Any, Any, int]:
    """ResNet-50 in bfloat16 at batch 256."""
    import keras

    from keras_lcb import vision

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        if quick:
            model = vision.build_resnet((8, 8, 3), 10, depths=(1, 1))
        else:
            model = keras.applications.ResNet50(
                weights=None, input_shape=(64, 64, 3), classes=10, classifier_activation=None
            )
    finally:
        keras.config.set_dtype_policy(before)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    batch, steps = (4, 2) if quick else (256, 8)
    random = np.random.default_rng(0)
    x = random.normal(size=(batch * steps, *model.input_shape[1:])).astype("float32")
    return model, x, random.integers(0, 10, len(x)), batch


def _transformer(quick: bool) -> tuple[keras.Model, Any, Any, int]:
    """Four blocks of width 256 on 128 tokens, at batch 32."""
    import keras
    from keras import layers

    blocks, width, length, batch, steps = (1, 8, 8, 4, 2) if quick else (4, 256, 128, 32, 16)
    inputs = keras.Input((length,), dtype="int32")
    x = layers.Embedding(1000, width)(inputs)
    for _ in range(blocks):
        normed = layers.LayerNormalization()(x)
        attention = layers.MultiHeadAttention(4, width // 4)
        x = layers.Add()([x, attention(normed, normed, use_causal_mask=True)])
        normed = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.Dense(width)(layers.Dense(4 * width, "gelu")(normed))])
    model = keras.Model(inputs, layers.Dense(1000)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    words = np.random.default_rng(0).integers(0, 1000, (batch * steps, length + 1))
    return model, words[:, :-1], words[:, 1:], batch


WORKLOADS = {"MLP": _mlp, "ResNet-50": _resnet, "transformer": _transformer}


def _ratios(name: str, workload: Any, rounds: int, quick: bool) -> None:
    """Times the ways to train one model in interleaved rounds, and prints a line for each.

    Records, which copy weights to the host, are taken between two epochs. They are told apart from
    the steps: an epoch here has few steps.
    """
    import keras_lcb as lcb
    from benchmarks.interleaved import Variant, ratio, time_variants

    ways: dict[str, Callable[[], list[Any]]] = {
        "plain fit": list,
        "plain fit, a second one": list,
        "both callbacks": lambda: [lcb.LayerConvergence(every=10**9), lcb.GradientNorms()],
        "per_update": lambda: [lcb.GradientNorms(per_update=True)],
        "LayerwiseModel": list,
    }
    variants, data, batch_size = {}, None, 0
    for way, callbacks in ways.items():
        model, x, y, batch_size = workload(quick)
        if way == "LayerwiseModel":
            plain = model
            model = lcb.LayerwiseModel.from_model(plain)
            model.compile(plain.optimizer, plain.loss)
        variants[way], data = Variant(model, callbacks), (x, y)
    assert data is not None
    timings = time_variants(variants, data, batch_size=batch_size, rounds=rounds, epochs=2)
    steps = {
        way: dataclasses.replace(own, epochs=own.epochs - own.hooks) for way, own in timings.items()
    }
    for way in list(ways)[1:]:
        found = ratio(steps[way], steps["plain fit"])
        wanted = f" (wanted: {AT_MOST[name]})" if "plain" not in way else ""
        between = 1e3 * float(np.median(timings[way].hooks[..., 0]))
        print(
            f"{name}, {way}: steps take {found.median:.3f} of plain fit, quartiles "
            f"{found.lower:.3f} to {found.upper:.3f}{wanted}; between epochs {between:.1f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
