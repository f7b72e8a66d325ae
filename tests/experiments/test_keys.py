"""Runs are found again when settings have been added since."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest

from keras_lcb import experiments, synthetic, vision
from keras_lcb.experiments import landscape_probe
from keras_lcb.experiments import study as studies
from keras_lcb.experiments.keys import key, made_with
from keras_lcb.runs import schema
from keras_lcb.runs.storage import save_run

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
    [synthetic.Config(depth=3), vision.Config(depth=3), landscape_probe.Config(steps=3)],
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
    assert made_with(settings, ENGINE, Old(size=2.0, seed=1)) is True
    assert made_with(settings, ENGINE, New(size=2.0, seed=1)) is True
    assert made_with(settings, ENGINE, New(size=2.0, seed=1, power=2)) is False
    assert made_with(settings, ENGINE, Old(size=2.0)) is False
    assert made_with(settings, "other:run", Old(size=2.0, seed=1)) is False
    assert made_with({"engine": "toy", "Config": {"sise": 2.0}}, ENGINE, Old()) is False
    assert made_with({"engine": "toy"}, ENGINE, Old()) is None


def _old_run(folder, config) -> None:
    """Writes a run as it was named before settings at their defaults were left out."""
    told = json.dumps({"engine": "keras_lcb.vision", "Config": config})
    run = schema.dataset(
        {"distance": (("step", "layer"), [[1.0], [0.0]])},
        {"step": [0, 10], "layer": ["one"]},
        {"seed": config["seed"]},
    ).assign_attrs(settings=told)
    name = hashlib.sha256(f"keras_lcb.vision:run {json.dumps(config)}".encode()).hexdigest()[:20]
    save_run(run, folder / f"{name}.nc")


# As `vision.Config().to_json()` wrote it in the first version.
FIRST = {
    **{"data": "digits", "depth": 6, "width": 16, "residual": False, "normalization": False},
    **{"batch_size": 64, "optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    **{"updates": 800, "record_every": 20, "seed": 0},
}


def test_runs_of_the_first_version_are_found(tmp_path):
    for seed in (0, 1):
        _old_run(tmp_path, FIRST | {"depth": 3, "seed": seed})
    (tmp_path / "notes.nc").write_text("no run")
    base = vision.Config(depth=3)
    study = experiments.Study("keras_lcb.vision:run", base, {"width": (16, 8)}, (0, 1))
    results = experiments.load(study, tmp_path)
    assert list(results.runs) == [(("width", 16),)]
    assert results.runs[("width", 16),].seed.values.tolist() == [0, 1]
    assert [member.config.width for member in results.missing] == [8, 8]
    wide = experiments.Study("keras_lcb.vision:run", base, {"width": (16,)}, (0, 1))
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert experiments.run(wide, tmp_path, jobs=1, progress=False).missing == []
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_settings_of_the_first_version_load():
    assert vision.Config.from_json(json.dumps(FIRST)) == vision.Config()
    changed = vision.Config.from_json(json.dumps(FIRST | {"depth": 3, "optimizer": "adam"}))
    assert changed == vision.Config(depth=3, optimizer="adam")


def test_a_changed_default_is_noticed(tmp_path):
    study = experiments.Study("keras_lcb.vision:run", vision.Config(), {}, (0,))
    (member,) = study.members()
    _old_run(tmp_path, FIRST | {"depth": 7})
    (path,) = tmp_path.glob("*.nc")
    path.rename(studies.result_path(tmp_path, member))
    with pytest.raises(ValueError, match="made with other settings.*default has changed"):
        experiments.load(study, tmp_path)
