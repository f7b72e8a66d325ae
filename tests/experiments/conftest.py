"""An engine that takes no time, to study studies with, and a claim about its runs."""

from __future__ import annotations

import importlib
import os
import sys

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor

from keras_lcb import experiments
from keras_lcb.experiments import running
from keras_lcb.experiments.finding import finding
from keras_lcb.experiments.scale import RATIO

ENGINE = """
import dataclasses, json, os, signal, time
from pathlib import Path
from keras_lcb.runs import schema

@dataclasses.dataclass(frozen=True)
class Settings:
    size: float = 1.0
    power: int = 1
    wait: float = 0.0
    deaths: int = 0  # how often it kills its process, which `marks` counts
    marks: str = ""
    seed: int = 0

    def to_json(self):
        return json.dumps(dataclasses.asdict(self))

def engine(settings):
    if settings.size < 0:
        raise ValueError(f"no size is {settings.size}")
    if settings.marks:
        mark = f"{settings.size:g}-{settings.seed}-{time.time_ns()}"
        (Path(settings.marks) / mark).write_text(str(os.getpid()))
        before = len(list(Path(settings.marks).glob(f"{settings.size:g}-{settings.seed}-*")))
        if before <= settings.deaths:
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(settings.wait)
    start = settings.size ** settings.power + settings.seed
    threads = int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0))
    return schema.dataset(
        {"distance": (("step", "layer"), [[start], [0.0]])},
        {"step": [0, 10], "layer": ["one"], "wall_time": [0.0, time.time()]},
        {"seed": settings.seed, "backend": os.environ.get("KERAS_BACKEND", ""),
         "process": [os.getpid(), settings.seed], "threads": threads,
         "all": {"size": settings.size, "seed": settings.seed},
         "first_nonfinite_update": settings.seed - 1},
    )
"""


@pytest.fixture(scope="package", autouse=True)
def toy(tmp_path_factory):
    """A module with an engine that takes no time, and its settings; other processes find it."""
    folder = tmp_path_factory.mktemp("module")
    (folder / "toy_engine.py").write_text(ENGINE)
    get_reusable_executor().shutdown()  # joblib keeps processes, which look in the old places
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        yield importlib.import_module("toy_engine")
    del sys.modules["toy_engine"]


@pytest.fixture
def on_jax(monkeypatch):
    """Runs studies as on JAX: their processes load Keras in half the time that TensorFlow takes."""
    get_reusable_executor().shutdown()  # its processes are on the backend of this one
    monkeypatch.setattr(running, "_keras_backend", lambda: "jax")
    yield
    get_reusable_executor().shutdown()


@pytest.fixture
def study(toy):
    return experiments.Study("toy_engine:engine", toy.Settings(), {"size": (1.0, 5.0)}, (0, 1, 2))


def size_to_ten(runs):
    """Times as large as 10: seeds scatter."""
    values = np.log(runs["distance"].isel(step=0, layer=0).values / 10 + 0.01)
    return finding(values, runs["seed"].values.tolist(), RATIO)


@pytest.fixture
def claim(toy):
    sizes = {"large": 100.0, "larger": 200.0, "small": 1.0, "missing": -1.0}
    settings = {
        name: experiments.Setting("toy_engine:engine", toy.Settings(size=size))
        for name, size in sizes.items()
    }
    return experiments.Claim(
        name="toys-are-large",
        says="Toys are large.",
        source="a child",
        effect="size ÷ 10",
        above="large",
        below="small",
        holds=("large",),
        measure=size_to_ten,
        scale=RATIO,
        settings=settings,
        seeds=5,
        challenge="--set power=0",
    )


@pytest.fixture
def answer(claim, tmp_path):
    experiments.complete(claim.members(), tmp_path / "runs", jobs=1, progress=False)
    return claim.answer(tmp_path / "runs")
