"""A section: claims that belong together. Sections are found, not listed."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
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

    Raises:
        ValueError: If two of them have the same name.

    Example:
        >>> list(known_sections())
        ['2', '3', '4', '5', '6']
    """
    from keras_lcb.experiments import sections as folder

    found: dict[str, Section] = {}
    files: dict[str, str] = {}
    for file in sorted(found.name for found in pkgutil.iter_modules(folder.__path__)):
        section = importlib.import_module(f"{folder.__name__}.{file}").SECTION
        if section.name in found:
            raise ValueError(
                f"Both {files[section.name]}.py and {file}.py declare a section {section.name!r}. "
                "Give one of them another name."
            )
        found[section.name], files[section.name] = section, file
    return found


def claims(names: Sequence[str] | None = None, *, quick: bool = False) -> dict[str, Claim]:
    """Returns the claims of sections, by name.

    Args:
        names: Of the sections; all of them by default.
        quick: Whether to take their small settings.

    Raises:
        ValueError: If there is no such section, two sections or claims have the same name, or the
            control of a claim is not the name of a claim.

    Example:
        >>> list(claims(["3"]))
        ['gradients-are-not-speed']
    """
    known = known_sections()
    for name in names or ():
        if name not in known:
            raise ValueError(f"There is no section {name!r}; there are {', '.join(known)}.")
    found: dict[str, Claim] = {}
    sections: dict[str, str] = {}
    for name in dict.fromkeys(known if names is None else names):
        for claim in known[name].claims(quick):
            if claim.name in found:
                raise ValueError(
                    f"There are two claims {claim.name!r}, in section {sections[claim.name]!r} and "
                    f"in section {name!r}. Give one of them another name."
                )
            found[claim.name], sections[claim.name] = claim, name
    _check_controls(found, known)
    return found


def _check_controls(found: Mapping[str, Claim], known: Mapping[str, Section]) -> None:
    """Raises a `ValueError` for a control that is no claim of any section, quick or not."""
    unseen = [claim for claim in found.values() if claim.control and claim.control not in found]
    if not unseen:
        return
    names = [
        claim.name
        for section in known.values()
        for claim in (*section.claims(False), *section.claims(True))
    ]
    for claim in unseen:
        if claim.control not in names:
            raise ValueError(
                f"The control of the claim {claim.name!r} must be the name of a claim; received "
                f"{claim.control!r}. There are {', '.join(dict.fromkeys(names))}."
            )
