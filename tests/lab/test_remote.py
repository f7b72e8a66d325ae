"""A training in the server's process is, to a page, the training in its own."""

import dataclasses
import os
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from keras_lcb.lab.declaration import Declaration
from keras_lcb.lab.engine import place, remote
from keras_lcb.lab.labs.depth import DepthLab
from keras_lcb.lab.labs.flatness import FlatnessLab
from keras_lcb.lab.labs.images import ImagesLab
from keras_lcb.lab.serving import trainer
from keras_lcb.lab.settings import Settings
from keras_lcb.lab.settings.images import ImageSettings
from tests.lab.conftest import until

SETTINGS = Settings(depth=2, width=8, updates=100, target="sin(x)", learning_rate=0.05)


@pytest.fixture(scope="module")
def process():
    secret = secrets.token_hex()
    started = subprocess.Popen(
        [sys.executable, trainer.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, remote.SECRET: secret},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(remote.SECRET, secret)
        patch.setenv(remote.ADDRESS, started.stdout.readline().decode().strip())
        remote._asking.cache_clear()
        yield started
        started.communicate(timeout=20)
        assert started.returncode == 0
    remote._asking.cache_clear()
    remote._answers.clear()


def there(lab) -> remote.There:
    found = place.place_of(lab.declared)
    assert isinstance(found, remote.There)
    return found


def test_at_first_only_the_outline_is_known_and_then_the_network(process):
    depth, ready = there(DepthLab), threading.Event()
    outline = depth.untrained(SETTINGS)
    assert not depth.ready  # or the outline was not tested
    assert np.isnan(outline.prediction).all()
    depth.when_ready(ready.set)
    assert ready.wait(120) and depth.ready
    whole, own = depth.untrained(SETTINGS), DepthLab.declared.untrained(SETTINGS)
    assert whole.alike(own) and not whole.alike(outline)
    np.testing.assert_array_equal(whole.target, outline.target)
    images = ImageSettings(depth=2)
    assert there(ImagesLab).untrained(images).alike(ImagesLab.declared.untrained(images))


def test_a_run_is_that_of_this_process(process):
    training = there(DepthLab).training(SETTINGS, 3)
    own = DepthLab.declared.engine(SETTINGS, 3)
    asked = []
    training.advance(lambda: bool(asked.append(training.records)))
    own.advance(lambda: False)
    assert asked == list(range(1, 11))
    assert training.done and not training.diverged and training.step == own.step == 100
    assert training.config.record_every == own.config.record_every
    assert training.view().alike(own.view())
    same = training.run().drop_vars("wall_time"), own.run().drop_vars("wall_time")
    xr.testing.assert_allclose(*same, rtol=1e-6)


def test_a_prepared_training_is_the_same_training(process):
    depth = there(DepthLab)
    depth.when_ready(lambda: None)
    until(lambda: depth.ready)
    for seed, records in ((SETTINGS.seed, 1), (SETTINGS.seed + 1, 0)):
        depth.untrained(SETTINGS)
        time.sleep(1)  # so that it is begun; what is begun is waited for
        training = depth.training(SETTINGS, seed)
        assert training.records == records
        own = DepthLab.declared.engine(SETTINGS, seed)
        training.advance(lambda: False)
        own.advance(lambda: False)
        same = training.run().drop_vars("wall_time"), own.run().drop_vars("wall_time")
        xr.testing.assert_allclose(*same, rtol=1e-6)


def test_it_stops_when_it_is_enough_and_goes_on_at_another_rate(process):
    training = there(DepthLab).training(SETTINGS, 0)
    training.advance(lambda: training.records == 4)
    assert (training.records, training.step, training.done) == (4, 40, False)
    training.learning_rate = 0.01
    training.advance(lambda: False)
    assert training.changes == [(40, 0.01)]
    assert training.run().attrs["learning_rate"] == pytest.approx(0.05)


def test_rates_that_are_planned_are_kept_and_one_that_is_set_replaces_them(process):
    planned = dataclasses.replace(SETTINGS, changes="0:0.02,30:0.01")
    training = there(DepthLab).training(planned, 0)
    training.advance(lambda: training.records == 6)
    assert training.changes == [(0, 0.02), (30, 0.01)] and training.learning_rate == 0.01
    training.learning_rate = 0.03
    training.advance(lambda: False)
    assert training.changes == [(0, 0.02), (30, 0.01), (60, 0.03)]


def test_a_lab_of_a_line_with_planned_rates_trains_with_them(process):
    lab = DepthLab.from_config("depth=2&width=8&updates=100&learning_rate=0.05&changes=0:0.02")
    time.sleep(1)  # so that a training is prepared, which has begun with the planned rate
    lab.start()
    until(lambda: lab.run is not None)
    assert lab.settings.changes == "0:0.02"
    lab.close()


def test_measurements_are_news_as_soon_as_they_are_there(process):
    training = there(FlatnessLab).training(SETTINGS, 0)
    training.advance(lambda: training.news >= 2)
    assert len(training.view().moments) >= 1


def test_what_fails_there_is_told_here(process):
    nothing = Declaration.__new__(Declaration)
    object.__setattr__(nothing, "name", "no such lab")
    with pytest.raises(RuntimeError, match="KeyError: 'no such lab'"):
        remote.There(nothing).training(SETTINGS, 0)
    with pytest.raises(RuntimeError, match="AttributeError: 'str' object"):
        there(DepthLab).training("no settings", 0)


def test_a_process_that_has_ended_is_told(process, monkeypatch, tmp_path):
    monkeypatch.setenv(remote.ADDRESS, str(tmp_path / "nobody"))
    with pytest.raises(RuntimeError, match="End `keras-lcb lab` with Ctrl-C and start it again"):
        there(DepthLab).training(SETTINGS, 0)


def test_a_lab_uses_it(process):
    lab = DepthLab(depth=2, width=8, updates=100)
    lab.start()
    until(lambda: lab.run is not None)
    assert lab.state == "done" and lab.run.sizes["step"] == 11
    lab.close()


def test_a_closed_page_ends_its_training(process):
    program = """
from keras_lcb.lab.engine import place
from keras_lcb.lab.labs.depth import DepthLab
from keras_lcb.lab.settings import Settings
training = place.place_of(DepthLab.declared).training(Settings(updates=20_000), 0)
training.advance(lambda: print(training._state["key"], flush=True))
"""
    page = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    key = int(page.stdout.readline())
    assert remote._asked("view", key).step > 0
    page.kill()
    page.communicate()

    def ended():
        try:
            remote._asked("view", key)
        except RuntimeError as error:
            return "KeyError" in str(error)

    until(ended)
