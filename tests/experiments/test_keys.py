"""Runs are found again when settings have been added since."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest

from keras_lcb import synthetic, vision
from keras_lcb.experiments.keys import key, made_with

ENGINE = "toy:run"


@dataclasses.dataclass(frozen=True)
class Old:
    size: float = 1.0
    seed: int = 0

    def to_json(self):
        return json.dumps(dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class New(Old):
    """The same after a setting was added."""

    power: int = 1
    parts: dict = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize("settings", [{}, {"size": 2.5}, {"size": 2.5, "seed": 3}])
def test_a_new_setting_with_a_default_changes_no_key(settings):
    assert key(ENGINE, Old(**settings)) == key(ENGINE, New(**settings))
    assert key(ENGINE, New(**settings, power=2)) != key(ENGINE, New(**settings))
    assert key(ENGINE, New(**settings, parts={"a": 1})) != key(ENGINE, New(**settings))


def test_other_settings_and_engines_have_other_keys():
    configs = [Old(), Old(size=2.0), Old(seed=2), Old(size=2.0, seed=2)]
    keys = {key(engine, config) for config in configs for engine in (ENGINE, "toy:walk")}
    assert len(keys) == 8


@pytest.mark.parametrize(
    "config",
    [synthetic.Config(depth=3), vision.Config(depth=3)],
    ids=lambda config: type(config).__module__,
)
def test_only_what_differs_from_the_defaults_counts(config):
    """The hash, computed by hand."""
    (name,) = [
        f.name
        for f in dataclasses.fields(config)
        if getattr(config, f.name) != getattr(type(config)(), f.name)
    ]
    by_hand = hashlib.sha256(f'{ENGINE} {{"{name}": 3}}'.encode()).hexdigest()
    assert key(ENGINE, config) == by_hand[:20]


def test_a_run_is_known_by_the_settings_in_it():
    settings = {"engine": "toy", "Config": {"size": 2.0, "seed": 1}}
    assert made_with(settings, Old(size=2.0, seed=1)) is True
    assert made_with(settings, New(size=2.0, seed=1)) is True
    assert made_with(settings, New(size=2.0, seed=1, power=2)) is False
    assert made_with(settings, Old(size=2.0)) is False
    assert made_with({"Config": {"sise": 2.0}}, Old()) is False
    assert made_with({"engine": "toy"}, Old()) is None


# As `vision.Config().to_json()` wrote it in the first version.
FIRST = {
    **{"data": "digits", "depth": 6, "width": 16, "residual": False, "normalization": False},
    **{"batch_size": 64, "optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    **{"updates": 800, "record_every": 20, "seed": 0},
}


def test_settings_of_the_first_version_load():
    assert vision.Config.from_json(json.dumps(FIRST)) == vision.Config()
    changed = vision.Config.from_json(json.dumps(FIRST | {"depth": 3, "optimizer": "adam"}))
    assert changed == vision.Config(depth=3, optimizer="adam")
