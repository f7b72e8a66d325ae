"""Describes the machine on which a measurement was made."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

import keras


def describe() -> dict[str, Any]:
    """Returns versions, device, cores and load average: times on a busy machine are unreliable."""
    backend = keras.backend.backend()
    return {
        "backend": backend,
        "versions": {
            "python": platform.python_version(),
            "keras-lcb": importlib.metadata.version("keras-lcb"),
            "keras": keras.__version__,
            backend: importlib.metadata.version(backend),
            "numpy": importlib.metadata.version("numpy"),
        },
        "device": _device(backend),
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()),
        "platform": platform.platform(),
    }


def sentence(machine: dict[str, Any]) -> str:
    """Returns the same description as two lines of text."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = ", ".join(f"{value:.1f}" for value in machine["load_average"])
    return (
        f"{versions}\n{machine['device']}, {machine['cores']} cores, load average {load} "
        "(1, 5, 15 minutes)"
    )


def _device(backend: str) -> str:
    if backend == "jax":
        import jax

        return jax.devices()[0].device_kind.upper()
    if backend == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
