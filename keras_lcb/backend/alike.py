"""Which small tensors can be handled together: many small operations cost more than one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def alike(tensors: Sequence[Any], at_most: int) -> list[list[int]]:
    """Groups the places of tensors.

    Args:
        tensors: The tensors.
        at_most: How many entries a tensor may have that is handled with others.

    Returns:
        The places of tensors of one shape and dtype together; of large ones, or of those whose
        shape is not known, one by one.
    """
    groups: dict[Any, list[int]] = {}
    for place, tensor in enumerate(tensors):
        shape = tuple(tensor.shape)
        is_small = None not in shape and math.prod(shape) <= at_most
        groups.setdefault((shape, tensor.dtype) if is_small else place, []).append(place)
    return list(groups.values())


def order_of(groups: Sequence[Sequence[int]]) -> list[int] | None:
    """Returns where each place stands among the groups; `None` if they stand in order."""
    places = [place for group in groups for place in group]
    order = sorted(range(len(places)), key=places.__getitem__)
    return None if places == sorted(places) else order
