"""The demonstration: trains two small networks, and writes reports on them."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from tqdm import tqdm

import keras_lcb as lcb
from keras_lcb.runs import schema

if TYPE_CHECKING:
    import xarray as xr


# The columns of the summary that fit a terminal. The report has all of them.
_COLUMNS: dict[str, Callable[[Any], str]] = {
    "role": str,
    "parameters": "{:,}".format,
    "time_to_half": "{:,.0f}".format,
    "area": "{:.3f}".format,
    "gradient_norm": "{:.3g}".format,
    "update_ratio": "{:.2g}".format,
}


def run(out: str | os.PathLike[str] = "demo", data: str = "digits", seed: int = 0) -> None:
    """Trains both networks, prints their tables and verdicts, and writes runs and reports.

    Args:
        out: The folder for `images.nc`, `report-images.html`, `sines.nc`, `report-sines.html`.
            Defaults to "demo".
        data: The name of a data set of `vision.load`. Defaults to "digits".
        seed: The random seed of the weights and of the order of the data. Defaults to 0.

    Raises:
        ValueError: If the data set is unknown or cannot be loaded.
        OSError: If a file cannot be written.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    print(f"Keras {keras.__version__} on {keras.backend.backend()}, seed {seed}")
    for name, train in {"images": _train_on_images, "sines": _train_on_sines}.items():
        keras.utils.set_random_seed(seed)
        recorded, title = train(data, seed)
        command = f"keras-lcb demo --data {data} --backend {keras.backend.backend()} --seed {seed}"
        settings = schema.settings(recorded) | {"command": command}
        recorded.attrs |= {"seed": seed, "settings": json.dumps(settings)}
        lcb.save_run(recorded, out / f"{name}.nc")
        lcb.write_report(recorded, out / f"report-{name}.html", title=title)
        table = lcb.summary(recorded)[list(_COLUMNS)]
        print(table.to_string(formatters=_COLUMNS))
        print(textwrap.fill(str(lcb.convergence_bias(recorded)), 88))
        print(f"Written: {out / f'report-{name}.html'} and {out / f'{name}.nc'}")
    other = 1 if seed == 0 else 0
    print(f"\nWith another seed or optimizer, the order of layers may differ: try --seed {other}.")


def _train_on_images(data: str, seed: int) -> tuple[xr.Dataset, str]:
    images = lcb.vision.load(data, seed=seed)
    model = lcb.vision.build_cnn(images.shape, images.classes, depth=6, seed=seed)
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    title = f"A convolutional network on {data}"
    validation = images.validation.take(10).cache()
    recorded = _record(model, images.train, title, 800, 20, validation_data=validation)
    accuracy = model.evaluate(validation, verbose=0, return_dict=True)["accuracy"]
    seen = sum(len(labels) for _, labels in validation)  # of a large set, a part
    print(f"{accuracy:.0%} of {seen} held-out images are recognised.")
    return recorded, title


def _train_on_sines(data: str, seed: int) -> tuple[xr.Dataset, str]:
    target = lcb.synthetic.default_target()
    x = target.grid(512)
    model = lcb.synthetic.build_network(depth=5, width=64, seed=seed)
    # These updates are so short that the overhead between them matters. Therefore many updates are
    # made in one call, if the backend supports it.
    together = 1 if keras.backend.backend() == "torch" else 20
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, "mse", steps_per_execution=together)
    points = tf.data.Dataset.from_tensor_slices((x, target(x)))
    batches = points.cache().shuffle(len(x), seed=seed).batch(128)
    title = "A fully connected network on a sum of four sines"
    return _record(model, batches, title, 6000, 100), title


def _record(
    model: keras.Model, train: tf.data.Dataset, title: str, updates: int, every: int, **fit: Any
) -> xr.Dataset:
    """Trains for `updates` updates, and takes a record after every `every` of them."""
    convergence, gradients = lcb.LayerConvergence(), lcb.GradientNorms()
    print(f"\n{title}: {model.count_params():,} parameters")
    with tqdm(total=updates, unit=" updates") as bar:
        progress = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: (
                bar.set_postfix(loss=f"{logs['loss']:.3g}", refresh=False),
                bar.update(every),
            )
        )
        model.fit(
            train.repeat().prefetch(tf.data.AUTOTUNE),
            epochs=updates // every,
            steps_per_epoch=every,
            shuffle=False,
            verbose=0,
            callbacks=[convergence, gradients, progress],
            **fit,
        )
    return lcb.collect(convergence, gradients)
