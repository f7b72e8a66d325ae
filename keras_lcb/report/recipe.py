"""How a run can be had again: the settings it was made with, as code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from keras_lcb.runs import schema

if TYPE_CHECKING:
    import xarray as xr

_RECORDERS = {"LayerConvergence": "normalized_distance", "GradientNorms": "gradient_norm"}


def command(run: xr.Dataset) -> str | None:
    """Return the command line that made the run, if it was one and the run names it."""
    made_by = schema.settings(run).get("command")
    return str(made_by) if made_by else None


def code(run: xr.Dataset) -> str:
    """Return Python code that makes the run, or records such a run of one's own model."""
    known = schema.settings(run)
    if "engine" in known:
        return _experiment(known["engine"], json.dumps(known.get("Config", {})))
    recorders = {_variable(name): _call(name, options) for name, options in _recorders(run).items()}
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


def _recorders(run: xr.Dataset) -> dict[str, dict[str, Any]]:
    known = schema.settings(run)
    recorded = {name: known.get(name) for name, held in _RECORDERS.items() if held in run}
    recorded |= {name: known[name] for name in known if _class(name) == "StepQuantities"}
    return {name: options or {} for name, options in recorded.items()}


def _class(name: str) -> str:
    """Return the class of a callback from its name in the settings, which may be numbered."""
    return re.sub(r"_\d+$", "", name)


def _call(name: str, options: dict[str, Any]) -> str:
    """Return the code that makes a callback."""
    options = dict(options)
    quantities = [_quantity(each) for each in options.pop("quantities", [])]
    arguments = [*quantities, *filter(None, [_arguments(options)])]
    return f"lcb.{_class(name)}({', '.join(arguments)})"


def _quantity(made_of: dict[str, Any]) -> str:
    """Return the code that makes a quantity."""
    module, _, name = made_of["class"].rpartition(".")
    own = f"lcb.quantities.{name}" if module.startswith("keras_lcb.quantities") else name
    return f"{own}({_arguments(made_of['attributes'])})"


def _imports(run: xr.Dataset) -> list[str]:
    """Return how to get the classes of quantities that are not the package's."""
    classes = [
        made_of["class"].rpartition(".")
        for options in _recorders(run).values()
        for made_of in options.get("quantities", [])
    ]
    own = [(m, name) for m, _, name in classes if not m.startswith("keras_lcb.quantities")]
    return [
        f"# … define the class {name}, a keras_lcb.StepQuantity …"
        if module == "__main__" or "<locals>" in module
        else f"from {module} import {name}"
        for module, name in dict.fromkeys(own)
    ]


def _variable(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]


def _arguments(options: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items() if value is not None)
