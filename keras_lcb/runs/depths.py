"""The depth of each layer among those of several runs of one network."""

from __future__ import annotations

import graphlib
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def with_common_depths(parts: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Returns the runs with one depth for each layer.

    Depths on which all runs agree stay as they are. Otherwise all layers are counted anew, since
    some runs count from the first layer that they hold, and others from that of the model.

    Args:
        parts: Runs of one network. Those without layers are returned as they are.

    Raises:
        ValueError: If the runs do not tell the order of all layers.
    """
    known = [_depths(part) for part in parts]
    order = _in_order(known)
    common = {layer: depth for each in known for layer, depth in each.items()}
    agree = all(each.items() <= common.items() for each in known)
    if not agree or sorted(common, key=common.__getitem__) != order:
        common = {layer: depth for depth, layer in enumerate(order)}
    return [
        part.assign_coords(depth=("layer", [common[layer] for layer in each], part["depth"].attrs))
        if each
        else part
        for part, each in zip(parts, known, strict=True)
    ]


def _depths(part: xr.Dataset) -> dict[str, int]:
    if "layer" not in part.coords or "depth" not in part.coords:
        return {}
    pairs = zip(part["layer"].values.tolist(), part["depth"].values.tolist(), strict=True)
    return dict(pairs)


def _in_order(known: Sequence[dict[str, int]]) -> list[str]:
    """Returns all layers in their order, which must be the only one that fits all runs."""
    sorter = graphlib.TopologicalSorter[str]()
    for depths in known:
        ordered = sorted(depths, key=depths.__getitem__)
        for layer in ordered:
            sorter.add(layer)
        for before, after in itertools.pairwise(ordered):
            sorter.add(after, before)
    found: list[str] = []
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        first, second = error.args[1][:2]
        raise ValueError(
            f"One callback has the layer '{first}' before '{second}', and another has them in the "
            "other order. They watched different networks. Do not merge their runs."
        ) from None
    while sorter.is_active():
        first, *others = sorter.get_ready()
        if others:
            raise ValueError(
                f"Which comes first, the layer '{first}' or '{others[0]}', is not known, since no "
                "callback has both. Pass the same `layers` to all callbacks, or do not merge their "
                "runs."
            )
        found.append(first)
        sorter.done(first)
    return found
