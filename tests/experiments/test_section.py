"""Sections are found, and declare what the issue of each is."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys

import pytest

from keras_lcb import experiments
from keras_lcb.experiments import sections as folder
from keras_lcb.experiments.changing import changed
from keras_lcb.experiments.grid import imported
from keras_lcb.experiments.section import claims, known_sections


@pytest.fixture
def extra(tmp_path, monkeypatch):
    """Adds a section like section 3, with some changes, as one would add it to the package's."""

    def add(**changes):
        source = inspect.getsource(importlib.import_module(f"{folder.__name__}.section3"))
        source = source.replace('Section("3"', f'Section("{changes["section"]}"')
        source = source.replace('name="gradients-are-not-speed"', f'name="{changes["claim"]}"')
        if "control" in changes:
            source = source.replace(
                "    holds=", f"    control={changes['control']!r},\n    holds="
            )
        (tmp_path / "section9.py").write_text(source)
        monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])

    yield add
    sys.modules.pop(f"{folder.__name__}.section9", None)


def test_a_file_is_a_section(extra):
    extra(section="9", claim="gradients-are-speed")
    assert list(known_sections()) == ["2", "3", "4", "5", "6", "9"]
    assert list(claims(["9", "9"])) == ["gradients-are-speed"]


def test_two_sections_of_one_name_are_refused(extra):
    extra(section="3", claim="gradients-are-speed")
    with pytest.raises(ValueError, match="Both section3.py and section9.py declare a section '3'"):
        known_sections()


def test_two_claims_of_one_name_are_refused(extra):
    extra(section="9", claim="shallower-first")
    with pytest.raises(ValueError, match="'shallower-first', in section '2' and in section '9'"):
        claims()


def test_a_control_is_the_name_of_a_claim_of_any_section(extra):
    extra(section="9", claim="gradients-are-speed", control="periodic-control")
    for names in (None, ["9"]):
        assert claims(names)["gradients-are-speed"].control == "periodic-control"


@pytest.mark.parametrize("names", [None, ["9"]])
def test_an_unknown_control_is_refused(extra, names):
    extra(section="9", claim="gradients-are-speed", control="periodic-contrl")
    told = "control of the claim 'gradients-are-speed' .* received 'periodic-contrl'. There are sh"
    with pytest.raises(ValueError, match=told):
        claims(names)


@pytest.mark.parametrize("quick", [False, True])
def test_all_that_is_declared_can_run(quick):
    for name, claim in claims(quick=quick).items():
        assert claim.name == name and claim.settings
        assert {claim.above, claim.below, claim.none}.issuperset(claim.holds)
        for setting in claim.settings.values():
            assert callable(imported(setting.engine))
        keys = [member.key for member in claim.members()]
        assert len(set(keys)) == len(keys)


def test_names_of_claims_are_one_s_own():
    every = [claim.name for section in known_sections().values() for claim in section.claims(False)]
    assert len(set(every)) == len(every)


def test_the_twelve_settings():
    found = claims(["2"])["shallower-first"].settings
    assert len(found) == 12
    assert sum("MNIST" in name for name in found) == 4
    gradients = claims(["3"])["gradients-are-not-speed"]
    own = {member.key for member in claims(["2"])["shallower-first"].members()}
    assert {member.key for member in gradients.members()} == own  # no further training


def test_quick_settings_are_smaller():
    for name, claim in claims(quick=True).items():
        whole = [setting.config for setting in claims()[name].settings.values()]
        for small in (setting.config for setting in claim.settings.values()):
            assert small.updates < min(own.updates for own in whole if type(own) is type(small))


@pytest.mark.parametrize(
    ("quick", "changes", "told"),
    [
        (False, {}, "up to update T, 800 on images and 4,000 on 1-D functions; distances"),
        (True, {}, "up to update T, 200 on images and 500 on 1-D functions; distances"),
        (False, {"updates": 600}, "up to update T, 300 on images and 300 on 1-D functions; dist"),
    ],
)
def test_a_note_tells_the_updates_of_its_own_settings(quick, changes, told):
    claim = claims(["2"], quick=quick)["shallower-first"]
    assert told in (changed(claim, changes, {}) if changes else claim).noted


def test_networks_that_are_the_same_before_training_count_once():
    settings = claims(["5"])["untrained-control"].settings.values()
    before = {dataclasses.replace(s.config, optimizer="sgd", learning_rate=1.0) for s in settings}
    assert len(before) == len(settings) == 8


def test_an_unknown_section():
    with pytest.raises(ValueError, match="no section '7'; there are 2, 3, 4, 5, 6"):
        claims(["7"])


def test_sections_are_short():
    for name in known_sections():
        module = importlib.import_module(f"{folder.__name__}.section{name}")
        assert len(inspect.getsource(module).splitlines()) <= 150


def test_a_claim_is_plain_data():
    assert dataclasses.is_dataclass(experiments.Claim)
