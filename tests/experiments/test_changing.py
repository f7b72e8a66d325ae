"""Claims with other settings train what they say, and count it once."""

from __future__ import annotations

import dataclasses

import pytest

import keras_lcb_cli as cli
from keras_lcb import synthetic
from keras_lcb.experiments.changing import changed
from keras_lcb.experiments.keys import key
from keras_lcb.experiments.section import claims

DECLARED = claims()


@pytest.fixture
def claim():
    return DECLARED["gradients-are-not-speed"]


def keys_of(claim):
    return [key(setting.engine, setting.config) for setting in claim.settings.values()]


def test_values_go_to_the_settings_that_have_them(claim):
    found = changed(claim, {"depth": 4, "activation": "tanh"}, {})
    assert {setting.config.depth for setting in found.settings.values()} == {4}
    for name, setting in found.settings.items():
        if isinstance(setting.config, synthetic.Config):
            assert setting.config.activation == "tanh"
        else:
            assert setting.config == dataclasses.replace(claim.settings[name].config, depth=4)
    with pytest.raises(ValueError, match="no setting 'dpeth'; there are activation"):
        changed(claim, {"dpeth": 4}, {})


def test_factors_keep_what_tells_settings_apart(claim):
    found = changed(claim, {}, {"learning_rate": 0.5, "width": 2})
    assert list(found.settings) == list(claim.settings)
    for before, after in zip(claim.settings.values(), found.settings.values(), strict=True):
        assert after.config.learning_rate == before.config.learning_rate / 2
        assert after.config.width == 2 * before.config.width and isinstance(after.config.width, int)
    both = changed(claim, {"width": 10}, {"width": 1.5})
    assert {setting.config.width for setting in both.settings.values()} == {15}


@pytest.mark.parametrize(
    ("factors", "error"),
    [
        ({"width": 0.3}, "whole number; received 16 × 0.3"),
        ({"width": float("inf")}, "must be finite; received 16 × inf"),
        ({"residual": 2}, "`residual` is no number"),
        ({"optimizer": 2}, "`optimizer` is no number"),
        ({"learning_rate": -1}, "`learning_rate` must be a positive number"),
    ],
)
def test_what_cannot_be_multiplied(claim, factors, error):
    with pytest.raises(ValueError, match=error):
        changed(claim, {}, factors)


def test_a_multiple_is_whole_in_spite_of_rounding(claim):
    found = changed(claim, {"width": 100}, {"width": 1.1})
    assert {setting.config.width for setting in found.settings.values()} == {110}
    found = changed(claim, {"learning_rate": 1}, {"learning_rate": 0.5})
    assert {setting.config.learning_rate for setting in found.settings.values()} == {0.5}


@pytest.mark.parametrize("change", [({"seed": 7}, {}), ({}, {"seed": 2})])
def test_the_seed_is_no_setting(claim, change):
    """It would be told on the page, and not be trained."""
    with pytest.raises(ValueError, match="`seed` is no setting.*--first-seed"):
        changed(claim, *change)


@pytest.mark.parametrize("value", ["false", "no", None, 2])
def test_a_word_is_not_true(claim, value):
    """Python takes "false" for true."""
    with pytest.raises(ValueError, match="`residual` must be True or False; received"):
        changed(claim, {"residual": value}, {})
    for setting in changed(claim, {"residual": 0}, {}).settings.values():
        assert setting.config.residual is False


def test_settings_that_become_the_same_count_once(claim):
    found = changed(claim, {"optimizer": "rmsprop", "learning_rate": 0.001}, {})
    assert len(set(keys_of(found))) == len(found.settings) == 6 == len(claim.settings) / 2
    assert "digits, plain" in found.settings and "1-D, residual" in found.settings
    assert "Here with optimizer = rmsprop, learning_rate = 0.001, whatever" in found.note


def test_a_name_that_is_taken_is_not_given_again(claim):
    sgd, adam = claim.settings["digits, plain, sgd"], claim.settings["digits, plain, adam"]
    wide = dataclasses.replace(sgd, config=dataclasses.replace(sgd.config, width=7))
    three = {"digits, plain, sgd": sgd, "digits, plain, adam": adam, "digits, plain": wide}
    of_three = dataclasses.replace(claim, settings=three)
    found = changed(of_three, {"optimizer": "rmsprop", "learning_rate": 0.001}, {})
    assert list(found.settings) == ["digits, plain, sgd = digits, plain, adam", "digits, plain"]


@pytest.mark.parametrize("name", DECLARED)
def test_challenges_change_each_setting_and_keep_what_tells_them_apart(name):
    """A value is for settings that share it; where they differ, they are multiplied."""
    declared = DECLARED[name]
    options = cli._parser().parse_args(["results", *declared.challenge.split()])
    values, factors = dict(options.changes), dict(options.factors)
    assert values or factors
    found = changed(declared, values, factors)
    assert list(found.settings) == list(declared.settings)
    assert not set(keys_of(found)) & set(keys_of(declared))
    for field in values:
        of_kind = {(type(s.config), getattr(s.config, field)) for s in declared.settings.values()}
        assert len(of_kind) == len({kind for kind, _ in of_kind}), f"settings differ in {field}"
