"""Runs programs on several devices, each in processes of its own, since devices are set up once."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys
import textwrap

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
BEGINNING = """
import json, os, sys, warnings
import numpy as np

random = np.random.default_rng(0)
X = random.normal(size=(64, 8)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def build(cls=None):
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(16, "tanh", name="a")(inputs)
    outputs = keras.layers.Dense(1, name="b")(hidden)
    return (cls or keras.Model)(inputs, outputs)


def told(*callbacks):
    import keras_lcb as lcb

    run = lcb.collect(*callbacks)
    return {"step": run.step.values.tolist()} | {
        name: np.nan_to_num(values.values).tolist() for name, values in run.data_vars.items()
    }


def tell(**results):
    print("TOLD " + json.dumps(results), flush=True)
"""


def program(text):
    """A whole program from its middle part."""
    return BEGINNING + textwrap.dedent(text)


def start(text, *arguments, backend, **environment):
    """Starts a program."""
    return subprocess.Popen(
        [sys.executable, "-c", program(text), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )


def results(process, timeout=240):
    """What a program told, once it has ended."""
    out, err = process.communicate(timeout=timeout)
    lines = [line for line in out.splitlines() if line.startswith("TOLD ")]
    assert lines, err[-3000:]
    return json.loads(lines[-1].removeprefix("TOLD "))


def run(text, *arguments, backend, **environment):
    """What a program tells."""
    return results(start(text, *arguments, backend=backend, **environment))


def free_ports(count):
    """Ports of this machine that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def assert_same_run(found, expected, rtol=1e-5):
    """Whether two runs hold the same values under the same names."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if name not in ("loss", "wall_time"):
            np.testing.assert_allclose(found[name], values, rtol=rtol, atol=1e-6, err_msg=name)
