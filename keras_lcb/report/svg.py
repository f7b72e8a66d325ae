"""Figures as SVG inside a page, with unique ids, and colours that follow the page's theme."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from keras_lcb.plotting.frequency_error import frequency_colors
from keras_lcb.plotting.style import depth_colors

if TYPE_CHECKING:
    import xarray as xr

# Text is kept as text, large enough for a phone. Ids are the same in every report.
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "keras_lcb",
    "figure.figsize": (4.9, 3.7),
    "axes.titlesize": "medium",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def palette(layers: int, frequencies: int = 0) -> str:
    """Returns the style sheet rules for the colours of lines on light and on dark pages."""
    light, dark = (
        depth_colors(layers, dark=dark) + frequency_colors(frequencies, dark)
        for dark in (False, True)
    )
    by_name = dict(zip(map(_variable, light), zip(light, dark, strict=True), strict=True))
    return "\n".join(
        (
            _rule({name: pair[0] for name, pair in by_name.items()}),
            "@media screen and (prefers-color-scheme: dark) {",
            _rule({name: pair[1] for name, pair in by_name.items()}),
            "}",
        )
    )


def theme_color(color: str) -> str:
    """Returns the style sheet's variable for a colour that `depth_colors` returned."""
    return f"var({_variable(color)})"


def draw(plot: Callable[..., Any], run: xr.Dataset, name: str, describe: Callable[..., str]) -> str:
    """Draws a figure as an SVG element.

    Args:
        plot: A function of `keras_lcb.plotting`.
        run: The run to plot.
        name: The prefix of all ids in the SVG, so that a page may hold several figures.
        describe: A function that takes the run and returns what its figure shows, in words.

    Returns:
        An `<svg>` element without XML declaration, namespaces, scripts or styles for the page.

    Raises:
        ValueError: If the run does not hold what the figure needs.
        TypeError: If `plot` does not return artists, or `describe` no text.
    """
    with style.context(["default", _SETTINGS]):
        figure = Figure(layout="constrained")
        artists = plot(run, ax=figure.subplots())
        if isinstance(artists, dict):
            artists = list(artists.values())
        artists = artists if isinstance(artists, list) else [artists]
        if not all(isinstance(artist, Artist) for artist in artists):
            raise TypeError(
                f"A figure must return the artists that it drew; {name} returned {artists}."
            )
        for index, artist in enumerate(artists):
            if isinstance(artist, Line2D):
                artist.set_gid(f"line-{index}")
        content = io.BytesIO()
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None})
    titles = {artist.get_gid(): str(artist.get_label()) for artist in artists if artist.get_gid()}
    words = describe(run)
    if not isinstance(words, str):
        raise TypeError(
            f"`showing` of a figure must return a text; that of {name} returned {words}."
        )
    return _embedded(content.getvalue(), name, words, titles)


def _embedded(content: bytes, name: str, alternative: str, titles: dict[str, str]) -> str:
    root = ElementTree.fromstring(content)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        title = titles.get(element.get("id", ""))
        attributes = {
            _bare(key): _themed(_own(_bare(key), value, name))
            for key, value in element.attrib.items()
        }
        element.tag = _bare(element.tag)
        element.attrib.clear()
        element.attrib.update(attributes)
        if title is not None:  # browsers show it when the pointer rests on the line
            element.insert(0, ElementTree.Element("title"))
            element[0].text = title
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.attrib.update({"role": "img", "aria-label": alternative})
    return ElementTree.tostring(root, encoding="unicode")


def _bare(name: str) -> str:
    return name.rpartition("}")[2]


def _own(key: str, value: str, name: str) -> str:
    """Puts the figure's name before an id, and before each reference to an id."""
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return value.replace("#", f"#{name}-", 1)
    return value.replace("url(#", f"url(#{name}-")


def _themed(value: str) -> str:
    value = value.replace("#000000", "currentColor")
    return re.sub("#[0-9a-f]{6}", lambda found: f"var({_variable(found[0])}, {found[0]})", value)


def _variable(color: str) -> str:
    return f"--layer-{color.lstrip('#')}"


def _rule(values: dict[str, str]) -> str:
    declarations = "".join(f" {name}: {value};" for name, value in values.items())
    return f":root {{{declarations} }}"
