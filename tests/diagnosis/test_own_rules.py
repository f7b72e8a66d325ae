"""A rule that someone adds is checked, and spoils neither a diagnosis nor a training."""

import sys
import warnings

import keras
import numpy as np
import pytest

import keras_lcb as lcb
from keras_lcb.diagnosis import Advice, Finding, diagnosing
from keras_lcb.diagnosis import rules as folder
from keras_lcb.diagnosis.observed import Observed
from keras_lcb.diagnosis.rule import Rule
from tests.diagnosis.trainings import times, training

FROZEN = times("update_norm", "second", 0.0)  # what another rule finds
HEAD = """
import numpy as np
from keras_lcb.diagnosis.finding import Finding
from keras_lcb.diagnosis.rule import Rule

def found(**changes):
    own = dict(layers=("first",), updates=(1, 2), says="it is so.", evidence={"e": 1.0},
               sure="certain", try_next=())
    return Finding(**own | changes)

"""
RULE = '\nRULE = Rule(look=look, says="A rule.", source="A test.")'


def finding(**changes):
    own = dict(layers=("a",), updates=(1, 2), says="it is so.", evidence={"e": 1.0})
    own |= dict(sure="certain", try_next=(Advice("kind", "Do it."),))
    return Finding(**own | changes)


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Adds a rule with the name "own rule" to those of the package."""

    def file(code):
        (tmp_path / "own_rule.py").write_text(HEAD + code)
        monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
        monkeypatch.setattr(diagnosing, "NAMES", (*folder.NAMES, "own rule"))

    yield file
    sys.modules.pop(f"{folder.__name__}.own_rule", None)


def test_a_rule_of_ones_own_finds(add):
    add(f"def look(seen):\n    yield found(){RULE}")
    findings = lcb.diagnose(training(change=FROZEN))
    assert findings.names == ["frozen layer", "own rule"] and not findings.failed


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def look(seen):\n    yield from ()\n    raise KeyError('foo')" + RULE, "KeyError: 'foo'"),
        ("def look(seen):\n    return None" + RULE, "`look` must yield findings; it returned None"),
        ("def look(seen):\n    return found()" + RULE, "must yield findings; it returned Finding("),
        ("def look(seen):\n    yield 'it'" + RULE, "`look` must yield findings; it yielded 'it'"),
        ("def look(seen):\n    yield found(sure='sure')" + RULE, "`sure` of a finding must be one"),
        (
            "def look(seen):\n    seen.of('los')\n    yield found()" + RULE,
            "Similar names are: loss",
        ),
        ("def look(seen): pass", "own_rule.py must define `RULE`, a Rule; it is None"),
        ("RULE = Rule(None, 'A rule.', 'A test.')", "`look` of a rule must be a function"),
        ("RULE = Rule(", "SyntaxError"),
    ],
)
def test_a_rule_that_fails_is_named_and_the_others_are_told(add, code, told):
    add(code)
    findings = lcb.diagnose(training(change=FROZEN))
    assert findings.names == ["frozen layer"]
    assert findings.failed == ("own rule",)
    assert told in findings.untold["own rule"]
    assert "Not decided: own rule. The rule ended with an error, " in str(findings)


def test_a_rule_that_fails_does_not_stop_training_and_is_told_once(add):
    add("def look(seen):\n    raise KeyError('foo')" + RULE)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="line")])
    model.compile("sgd", "mse")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(
            np.ones((8, 2)), np.ones((8, 1)), epochs=4, verbose=0, callbacks=[lcb.Diagnosis()]
        )
    told = [str(each.message) for each in caught if "own rule" in str(each.message)]
    assert told == ["Not decided: own rule. The rule ended with an error, KeyError: 'foo'"]
    assert len(history.history["loss"]) == 4


@pytest.mark.parametrize("name", ["angle", "my_quantity"])
def test_a_rule_may_need_any_variable(add, name):
    add(f"def look(seen):\n    yield found(){RULE[:-1]}, needs=('{name}',))")
    run = training()
    findings = lcb.diagnose(run)
    told = f"The run holds no {name}, which another callback records."
    assert findings.untold["own rule"] == told and not findings.failed
    assert "own rule" in lcb.diagnose(run.assign({name: run.update_norm})).names


@pytest.mark.parametrize("method", ["of", "along", "largest", "largest_along"])
def test_a_variable_is_in_the_run_or_known(method):
    run = training()
    read = getattr(Observed(run), method)
    assert np.isfinite(read("update_norm")).all()
    for known in ("angle", "first_gradient"):  # of `VARIABLES`, and a quantity
        assert np.isnan(read(known)).all()
    with pytest.raises(ValueError, match="holds no 'updates_norm'.* are: update_norm.*`needs`"):
        read("updates_norm")
    renamed = run.rename(update_norm="updates_norm")
    assert np.isfinite(getattr(Observed(renamed), method)("updates_norm")).all()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"look": 3}, "`look` of a rule must be a function; received 3"),
        ({"says": None}, "`says` of a rule must be a text; received None"),
        ({"source": 1}, "`source` of a rule must be a text"),
        ({"needs": "loss"}, "`needs` of a rule must be a tuple of names; received 'loss'"),
        ({"needs": ["loss"]}, "`needs` of a rule must be a tuple of names"),
        ({"records": -1}, "`records` of a rule must be a whole number, 0 or more; received -1"),
        ({"records": True}, "`records` of a rule must be a whole number"),
        ({"at_end": 1}, "`at_end` of a rule must be True or False; received 1"),
        ({"against": (1,)}, "`against` of a rule must be a tuple of names"),
    ],
)
def test_the_fields_of_a_rule_are_checked(changes, told):
    with pytest.raises(ValueError, match=told):
        Rule(**{"look": iter, "says": "A rule.", "source": "A test."} | changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"layers": "a"}, "`layers` of a finding must be a tuple of names; received 'a'"),
        ({"updates": (1,)}, "`updates` of a finding must be two whole numbers"),
        ({"says": None}, "`says` of a finding must be a text"),
        ({"evidence": {"e": np.ones(3)}}, "`evidence` of a finding must be a mapping from names"),
        ({"evidence": 1.0}, "`evidence` of a finding must be a mapping from names to numbers"),
        ({"sure": "sure"}, "must be one of 'certain', 'likely', 'possible'; received 'sure'"),
        ({"try_next": Advice("kind", "Do it.")}, "`try_next` of a finding must be a tuple of Adv"),
    ],
)
def test_the_fields_of_a_finding_are_checked(changes, told):
    assert finding().sure == "certain"
    with pytest.raises(ValueError, match=told):
        finding(**changes)
