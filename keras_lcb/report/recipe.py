"""Code that makes a run again, written from the settings that the run holds."""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING, Any

import keras_lcb
from keras_lcb.plotting.figures import figures_of
from keras_lcb.runs import schema

if TYPE_CHECKING:
    import xarray as xr


def command(run: xr.Dataset) -> str | None:
    """Returns the command line that made the run; `None` if the run does not name one."""
    made_by = schema.settings(run).get("command")
    return str(made_by) if made_by else None


def code(run: xr.Dataset) -> str:
    """Returns Python code that makes the run again, or records such a run of the user's model."""
    known = schema.settings(run)
    # A study's engine needs what the run does not hold, such as the function that builds the model.
    if not known.get("engine", "keras_lcb.experiments").startswith("keras_lcb.experiments"):
        return _experiment(known["engine"], json.dumps(known.get("Config", {})))
    recorders = {_variable(name): call for name, call in _calls(run).items()}
    names = ", ".join(recorders)
    seed = run.attrs.get("seed")
    lines = [
        "import keras",
        "import keras_lcb as lcb",
        *_imports(run),
        "",
        *([f"keras.utils.set_random_seed({int(seed)})"] if seed is not None else []),
        "# … build and compile the model, load the data …",
        *(f"{variable} = {call}" for variable, call in recorders.items()),
        f"model.fit(x, y, callbacks=[{names}])",
        f"run = lcb.collect({names})",
        'lcb.save_run(run, "run.nc")',
        'lcb.write_report(run, "report.html")',
    ]
    return "\n".join(lines)


def _experiment(engine: str, config: str) -> str:
    lines = [
        "import keras_lcb as lcb",
        f"from {engine} import Config, run",
        "",
        f"config = Config.from_json({config!r})",
        "recorded = run(config)",
        'lcb.save_run(recorded, "run.nc")',
        'lcb.write_report(recorded, "report.html")',
    ]
    return "\n".join(lines)


def _calls(run: xr.Dataset) -> dict[str, str]:
    """Returns the code that makes each callback, by name.

    The settings determine it; without settings, the quantities that the run holds.
    """
    calls = {name: _call(name, options) for name, options in _recorders(run).items()}
    if calls:
        return calls
    recorded_by = " ".join(each.recorded_by for each in figures_of(run))
    found = re.findall(r"keras_lcb\.([A-Z]\w+)(\([^()]*\))", recorded_by)
    return {name: f"lcb.{name}{arguments}" for name, arguments in found}


def _recorders(run: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Returns the settings of each callback that recorded the run."""
    return {
        name: options
        for name, options in schema.settings(run).items()
        if isinstance(options, dict) and ("class" in options or _public(name) is not None)
    }


def _public(name: str) -> type | None:
    """Returns the package's callback for a name in the settings; `None` if there is none."""
    found = getattr(keras_lcb, _class(name), None)
    return found if isinstance(found, type) and hasattr(found, "on_train_begin") else None


def _class(name: str) -> str:
    """Returns the class name for a name in the settings, which may end in a number."""
    return re.sub(r"_\d+$", "", name)


def _call(name: str, options: dict[str, Any]) -> str:
    """Returns the code that makes a callback."""
    options = dict(options)
    quantities = [_quantity(each) for each in options.pop("quantities", [])]
    data = options.pop("data", [])
    made_of = options.pop("class", "")
    own = made_of.rpartition(".")[2] or f"lcb.{_class(name)}"
    public = _public(name)
    in_order = {"x", "y"}
    if public is not None and not made_of:
        taken = inspect.signature(public).parameters
        options = {key: value for key, value in options.items() if key in taken}
        in_order -= {key for key, each in taken.items() if each.kind is each.KEYWORD_ONLY}
    given = [each if each in in_order else f"{each}={each}" for each in data]
    selecting = _selecting(options)
    if selecting:
        del options["layers"]
        given.append(f"layers={selecting}")
    arguments = [*quantities, *given, *filter(None, [_arguments(options)])]
    return f"{own}({', '.join(arguments)})"


def _selecting(options: dict[str, Any]) -> str:
    """Returns a name for the function that selected layers; empty if none did.

    Settings hold the name that it had, which is no word if it was a lambda.
    """
    chosen = options.get("layers")
    if not isinstance(chosen, str) or chosen == "blocks":
        return ""
    return chosen if chosen.isidentifier() else "select_layers"


def _quantity(made_of: dict[str, Any]) -> str:
    """Returns the code that makes a quantity."""
    module, _, name = made_of["class"].rpartition(".")
    own = f"lcb.quantities.{name}" if module.startswith("keras_lcb.quantities") else name
    return f"{own}({_arguments(made_of['attributes'])})"


def _imports(run: xr.Dataset) -> list[str]:
    """Returns the code that imports or announces the user's own classes and functions."""
    recorders = _recorders(run).values()
    classes = [(options["class"], "Recorder") for options in recorders if "class" in options]
    classes += [
        (made_of["class"], "StepQuantity")
        for options in recorders
        for made_of in options.get("quantities", [])
    ]
    own = [(name, base) for name, base in classes if not name.startswith("keras_lcb.")]
    functions = dict.fromkeys(filter(None, map(_selecting, recorders)))
    return [
        *(_import(name, base) for name, base in dict.fromkeys(own)),
        *(f"# … define the function {name}, which selects layers …" for name in functions),
    ]


def _import(made_of: str, base: str) -> str:
    module, _, name = made_of.rpartition(".")
    if module == "__main__" or "<locals>" in module:
        return f"# … define the class {name}, a keras_lcb.{base} …"
    return f"from {module} import {name}"


def _variable(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]


def _arguments(options: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items() if value is not None)
