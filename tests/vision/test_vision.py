"""How the subpackage is imported and added to, in processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keras_lcb import vision

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", vision.__all__)
def test_every_public_name_is_there(name):
    assert getattr(vision, name) is getattr(vision, name)
    assert name in dir(vision)


def test_a_new_network_is_one_file(tmp_path):
    copy = tmp_path / "keras_lcb"
    shutil.copytree(ROOT / "keras_lcb", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "vision" / "networks" / "linear.py").write_text("""
import keras

def build_linear(input_shape, classes, width=1, normalization=True, seed=0, *, scale=1.0):
    inputs = keras.Input(input_shape)
    kernel = keras.initializers.RandomUniform(-scale, scale, seed)
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(classes, kernel_initializer=kernel, name="only")(x)
    return keras.Model(inputs, x)
""")
    program = """
from keras_lcb import vision
assert vision.build_linear((8, 8, 1), 10).count_params() == 650
scale = {"scale": 0.1}
config = vision.Config(network="linear", updates=2, record_every=1, network_arguments=scale)
print(vision.run(config).layer.values.tolist())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "['only']\n", done.stderr


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_networks_need_no_tensorflow(backend):
    program = """
import sys
sys.modules["tensorflow"] = None  # any import of it fails
from keras_lcb import vision
from keras_lcb.vision import networks
for name in networks.NAMES:
    networks.builder(name)
model = vision.build_resnet((8, 8, 1), 10, depths=(1,), width=2)
assert sys.modules["tensorflow"] is None
print(model.name)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    assert done.stdout == "resnet\n", done.stderr
