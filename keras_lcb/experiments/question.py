"""A question of one's own: do shallow layers of my model converge faster?"""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import keras

from keras_lcb.analysis import ConvergenceBias, convergence_bias, corrected
from keras_lcb.experiments.engines import own
from keras_lcb.experiments.member import Member, check_different, choice_of
from keras_lcb.experiments.results import Results, load_members
from keras_lcb.experiments.running import complete


@dataclass(frozen=True)
class Verdicts:
    """What `study` found; `str` gives it in words.

    Attributes:
        biases: For each setting, what `convergence_bias` found, corrected for their number.
        results: The runs themselves, stacked along `seed`, and the members that failed.
    """

    biases: Mapping[str, ConvergenceBias]
    results: Results

    def __str__(self) -> str:
        """A sentence a setting, and what failed."""
        told = [f"{name}: {bias}" if name else str(bias) for name, bias in self.biases.items()]
        failed = [f"{member} failed: {error}" for member, error in self.results.failures]
        return "\n".join([*told, *failed])


def study(
    build: Callable[..., keras.Model],
    data: Any,
    grid: Mapping[str, Sequence[Any]] | None = None,
    *,
    seeds: Sequence[int] = range(5),
    epochs: int = 10,
    batch_size: int = 32,
    folder: str | os.PathLike[str] = "study",
    **options: Any,
) -> Verdicts:
    """Tells whether shallow layers of your own model converge faster, over settings.

    Each member trains for twice the epochs, and is looked at up to the middle, against where it
    ends: so no layer is at its endpoint just because training stops. It runs in a process of its
    own and is kept in the folder as it ends; the same call goes on where it was left. With `jobs=1`
    all run in this process, and each begins with `keras.utils.clear_session()`.

    Args:
        build: Takes `seed` and the settings of the grid by name; returns a compiled model. A
            function, or anything else that can be called, which processes get by value: it has to
            stand on its own, with what it needs imported in it or in its module.
        data: `(x, y)`, two arrays; or a function without arguments, which each process calls,
            that returns these, or a data set as `fit` takes it. Arrays are sent along with each
            member: for large ones, let a function load them.
        grid: A mapping from each setting to its values. Defaults to none: one setting.
        seeds: The seeds of each setting. A verdict takes five or more. Defaults to 0 to 4.
        epochs: The number of epochs to evaluate; each model trains twice as long. Defaults to 10.
        batch_size: Of arrays. Defaults to 32.
        folder: For the runs. They are found by the text of `build`, the values that it encloses,
            and the arguments: if you change what `build` calls, or a global variable that it
            reads, take another folder. Defaults to `"study"`.
        **options: Those of `experiments.complete`: `jobs`, `backend`, `address`, `progress`.

    Returns:
        A verdict for each setting, and the runs.

    Raises:
        ValueError: If there is no seed, a seed or a value is given twice, a setting has no list of
            values, or no run succeeded.

    Example:
        >>> import keras
        >>> import tempfile
        >>> import numpy as np
        >>> def build(seed, width):
        ...     layers = [keras.layers.Dense(width, "relu") for _ in range(3)]
        ...     model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(1)])
        ...     model.compile("sgd", "mse")
        ...     return model
        >>> x = np.random.default_rng(0).normal(size=(64, 2))
        >>> found = study(
        ...     build, (x, x[:, :1]), {"width": [4]}, seeds=range(2), epochs=2,
        ...     folder=tempfile.mkdtemp(), jobs=1, progress=False,
        ... )
        >>> found.biases["width 4"].verdict, found.biases["width 4"].lacking
        ('inconclusive', 'a verdict takes at least 5 seeds')
    """
    for name, values in (grid or {}).items():
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise ValueError(
                f"`grid` must map each setting to a list of its values; received {values!r} for "
                f"'{name}'. Write {{'{name}': [{values!r}]}}."
            )
    members = list(_members(build, data, grid or {}, seeds, epochs, batch_size))
    if not members:
        raise ValueError("A study needs a seed, and a value for each setting of its grid.")
    check_different(members)
    complete(members, folder, **options)
    results = load_members(members, folder)
    if not results.runs:
        raise ValueError(f"No run succeeded; the first error: {results.failures[0][1]}")
    biases = {
        ", ".join(f"{name} {value}" for name, value in choice): convergence_bias(
            runs, float(runs["step"].values[-1]) / 2
        )
        for choice, runs in results.runs.items()
    }
    return Verdicts(corrected(biases), results)


def _members(
    build: Callable[..., keras.Model],
    data: Any,
    grid: Mapping[str, Sequence[Any]],
    seeds: Sequence[int],
    epochs: int,
    batch_size: int,
) -> Any:
    import joblib

    what = joblib.hash((_text(build), _text(data) if callable(data) else data))
    for values in itertools.product(*grid.values()):
        choice = choice_of(grid, values)
        settings = dict(zip(grid, values, strict=True))
        objects = [_told(name, value) for name, value in settings.items() if not _is_text(value)]
        for seed in seeds:
            config = own.Config(settings, epochs, batch_size, seed)
            key = joblib.hash((what, config.to_json(), *objects))
            make = functools.partial(own.run, build, data, config)
            yield Member(choice, seed, config, key, make)


def _is_text(value: Any) -> bool:
    """Returns whether a value can be written as JSON."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _text(function: Callable[..., Any]) -> Any:
    """What tells a function from another: its source or code, and the values that it holds.

    It is the same in each process, so it has no address in memory.
    """
    held = _held_by(function)
    return _source(function), [_told(name, value) for name, value in held if value is not function]


def _source(function: Callable[..., Any]) -> Any:
    written: Any = type(function) if _is_object(function) else function
    try:
        if written is not functools.partial:
            return inspect.getsource(written)
    except (OSError, TypeError):
        pass
    code = getattr(function, "__code__", None)
    return written.__qualname__ if code is None else _compiled(code)


def _compiled(code: CodeType) -> Any:
    constants = [_compiled(each) if inspect.iscode(each) else repr(each) for each in code.co_consts]
    return code.co_code, code.co_names, constants


def _held_by(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Yields the values that a function has from where it was defined, by their names."""
    if isinstance(function, functools.partial):
        yield from {"func": function.func, "args": function.args, **function.keywords}.items()
    elif inspect.ismethod(function):
        yield "self", function.__self__
        yield from _held_by(function.__func__)
    elif inspect.isfunction(function):
        yield from inspect.getclosurevars(function).nonlocals.items()
        yield from {"defaults": function.__defaults__, **(function.__kwdefaults__ or {})}.items()
    elif _is_object(function):
        yield "state", [function]


def _is_object(function: Callable[..., Any]) -> bool:
    """Whether it is neither a function nor a class, but an object with a method `__call__`."""
    return not (inspect.isroutine(function) or inspect.isclass(function))


def _told(name: str, value: Any) -> Any:
    import joblib

    if inspect.isfunction(value):
        return name, _text(value)
    if inspect.ismodule(value):
        return name, value.__name__
    try:
        return name, joblib.hash(value)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise ValueError(
            f"`build`, `data` or `grid` uses `{name}` = {value!r}, which cannot be compared with "
            "that of another study. Pass it through `grid` as text or numbers, or define it in a "
            "module."
        ) from error
