"""Groups small tensors of equal shape, since one operation costs less than many small ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def alike(tensors: Sequence[Any], at_most: int) -> list[list[int]]:
    """Groups tensors that can be stacked.

    Args:
        tensors: The tensors.
        at_most: The most entries that a tensor may have to be grouped with others.

    Returns:
        Groups of indices. Small tensors of equal shape and dtype form a group. Large tensors, and
        tensors of unknown shape, are groups of their own.
    """
    groups: dict[Any, list[int]] = {}
    for place, tensor in enumerate(tensors):
        shape = tuple(tensor.shape)
        is_small = None not in shape and math.prod(shape) <= at_most
        groups.setdefault((shape, tensor.dtype) if is_small else place, []).append(place)
    return list(groups.values())


def order_of(groups: Sequence[Sequence[int]]) -> list[int] | None:
    """Returns the permutation that undoes the grouping; `None` if no index has moved.

    Args:
        groups: Groups of indices, from `alike`.
    """
    places = [place for group in groups for place in group]
    order = sorted(range(len(places)), key=places.__getitem__)
    return None if places == sorted(places) else order
