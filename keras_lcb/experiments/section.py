"""A section: claims that belong together. Sections are found, not listed."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keras_lcb.experiments.claim import Claim


@dataclass(frozen=True)
class Section:
    """What a file in `keras_lcb/experiments/sections` declares as `SECTION`.

    Attributes:
        name: Such as "2".
        question: A sentence with a question mark.
        claims: Returns its claims; given `True`, with settings so small that all of them take a
            minute, and still say something.
    """

    name: str
    question: str
    claims: Callable[[bool], Sequence[Claim]]


def known_sections() -> dict[str, Section]:
    """Returns all sections by name: those of the files in `keras_lcb/experiments/sections`.

    Example:
        >>> list(known_sections())
        ['2', '3', '4', '5', '6']
    """
    from keras_lcb.experiments import sections as folder

    names = sorted(found.name for found in pkgutil.iter_modules(folder.__path__))
    modules = (importlib.import_module(f"{folder.__name__}.{name}") for name in names)
    return {module.SECTION.name: module.SECTION for module in modules}


def claims(names: Sequence[str] | None = None, *, quick: bool = False) -> dict[str, Claim]:
    """Returns the claims of sections, by name.

    Args:
        names: Of the sections; all of them by default.
        quick: Whether to take their small settings.

    Raises:
        ValueError: If there is no such section.

    Example:
        >>> list(claims(["3"]))
        ['gradients-are-not-speed']
    """
    known = known_sections()
    for name in names or ():
        if name not in known:
            raise ValueError(f"There is no section {name!r}; there are {', '.join(known)}.")
    chosen = [known[name] for name in (known if names is None else names)]
    return {claim.name: claim for section in chosen for claim in section.claims(quick)}
