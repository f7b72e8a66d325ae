"""Every public function has an example, and every callback says what it costs.

The examples themselves are run with the tests.
"""

import ast
import builtins
import doctest
import importlib
import inspect
import pkgutil

import keras
import pytest

import keras_lcb as lcb

ROOMS = ["keras_lcb", *(f"keras_lcb.{room.name}" for room in pkgutil.iter_modules(lcb.__path__))]


def public(is_of_kind):
    """Returns the names in `__all__` of the package and its rooms, for things of a kind."""
    found = []
    for room in map(importlib.import_module, ROOMS):
        for name in getattr(room, "__all__", ()):
            thing = getattr(room, name, None)
            if is_of_kind(thing):
                found.append(pytest.param(thing, id=f"{room.__name__}.{name}"))
    return found


def needs_example(thing):
    is_quantity = inspect.isclass(thing) and issubclass(thing, lcb.StepQuantity)
    return inspect.isfunction(thing) or is_quantity or is_callback(thing)


def is_callback(thing):
    return inspect.isclass(thing) and issubclass(thing, keras.callbacks.Callback)


@pytest.mark.parametrize("thing", public(needs_example))
def test_it_has_an_example_that_is_run(thing):
    assert ">>> " in inspect.getdoc(thing)
    assert "+SKIP" not in inspect.getdoc(thing)


@pytest.mark.parametrize("thing", public(needs_example))
def test_its_example_runs_where_it_is_copied_to(thing):
    """It imports what it uses, but for the public names of the package and of its own room."""
    room = importlib.import_module(".".join(thing.__module__.split(".")[:2]))
    assert not used_without_import(thing) - {*dir(builtins), *lcb.__all__, *room.__all__}


def used_without_import(thing):
    """Returns the names that an example uses and neither imports nor defines."""
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(thing))
    nodes = list(ast.walk(ast.parse("".join(example.source for example in examples))))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    known = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    known |= {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
    known |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    known |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    return {node.id for node in names} - known - {thing.__name__}


@pytest.mark.parametrize("callback", public(is_callback))
def test_a_callback_says_what_it_costs(callback):
    assert "cost" in callback.__doc__.lower()


@pytest.mark.parametrize("room", pkgutil.iter_modules(lcb.__path__), ids=lambda room: room.name)
def test_a_room_names_what_is_public(room):
    if room.ispkg:
        assert importlib.import_module(f"keras_lcb.{room.name}").__all__
