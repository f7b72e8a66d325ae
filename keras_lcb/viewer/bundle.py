"""The viewer's script and styles, as `viewer/` at the root of the repository makes them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def static(name: str) -> str:
    """Returns one of the viewer's files as text.

    Args:
        name: `"report.js"`, `"widget.js"`, `"atlas.js"` or `"viewer.css"`.
    """
    return path(name).read_text(encoding="utf-8")


def path(name: str) -> Path:
    """Returns where one of the viewer's files is."""
    with resources.as_file(resources.files("keras_lcb.viewer") / "static" / name) as file:
        return file


def in_script(json_text: str) -> str:
    r"""Returns JSON that may stand inside a `<script>`, whatever the names in it say.

    Example:
        >>> in_script('"</script>"')
        '"\\u003c/script>"'
    """
    return json_text.replace("<", "\\u003c")
