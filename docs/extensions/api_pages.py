"""Writes a page of the reference for each room: what its `__all__` names, told by docstrings.

What the package offers under its own name is on the package's page, and on no other.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

PACKAGE = "keras_lcb"


def setup(app):
    """Registers the extension."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}


def write_pages(app):
    """Writes the pages that changed, so that Sphinx reads only those again."""
    folder = Path(app.srcdir) / "generated" / "api"
    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{module.__name__}.rst": page(module, names) for module, names in public()}
    for path in set(folder.iterdir()) - {folder / name for name in pages}:
        path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def public():
    """Yields the package and its rooms, with the names that belong on the page of each."""
    package = importlib.import_module(PACKAGE)
    shown: set[int] = set()
    rooms = [room.name for room in pkgutil.iter_modules(package.__path__, f"{PACKAGE}.")]
    for module in map(importlib.import_module, [PACKAGE, *rooms]):
        things = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
        names = [
            name
            for name, thing in things.items()
            if not inspect.ismodule(thing) and id(thing) not in shown
        ]
        shown |= {id(things[name]) for name in names}
        if names:
            yield module, names


def page(module, names):
    """Returns the text of a page: the module's docstring, a table, and each name."""
    title = module.__name__
    table = "\n".join(f"   {name}" for name in names)
    entries = "\n".join(entry(module, name) for name in names)
    return (
        f"{title}\n{'=' * len(title)}\n\n.. automodule:: {title}\n   :no-members:\n\n"
        f".. autosummary::\n   :signatures: none\n\n{table}\n\n{entries}"
    )


def entry(module, name):
    """Returns the directive that shows one name."""
    thing = getattr(module, name)
    kind = "class" if inspect.isclass(thing) else "function" if callable(thing) else "data"
    members = "   :members:\n" if kind == "class" else ""
    return f".. auto{kind}:: {module.__name__}.{name}\n{members}\n"
