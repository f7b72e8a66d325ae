"""Which layers are compared with which, and how deep each of them lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from keras_lcb.runs.block_names import block_name

_EQUAL_ONES = 3  # with so many layers of equal shape, only layers of equal shape are compared
_BLOCKS = 3  # with fewer, the order of blocks says nothing


@dataclass(frozen=True)
class Comparison:
    """Layers to compare, each with the others of its group.

    Attributes:
        layers: The names of the layers, shallow first.
        groups: The group of each layer.
        places: How deep each layer lies. Layers that lie equally deep have equal places.
        which: Which layers these are, in words.
    """

    layers: tuple[str, ...]
    groups: tuple[int, ...]
    places: tuple[int, ...]
    which: str = ""

    @classmethod
    def of_all(cls, layers: Sequence[str], which: str = "") -> Comparison:
        """Compares each layer with all others."""
        return cls(tuple(layers), (0,) * len(layers), tuple(range(len(layers))), which)

    @property
    def count(self) -> int:
        """How many layers there are, for tests of their order.

        Each group after the first costs one: the order of groups is not looked at.
        """
        return len(self.layers) - max(len(set(self.groups)) - 1, 0)


def equal_layers(run: xr.Dataset, layers: Sequence[str]) -> Comparison:
    """Compares layers whose kernels have equal shapes, since their distances compare best.

    Layers of different sizes may converge at different speeds for reasons other than depth. So a
    layer is compared only with layers of its shape, and a layer whose shape no other has is left
    out. If no three layers have equal shapes, all layers are compared.

    Layers of one block count as equally deep: whether a block's first or second convolution is
    faster, or its queries or its values, says nothing about depth. If there are fewer than three
    blocks, each layer counts as deeper than the one before. `keras_lcb.runs.block_names` reads
    blocks from the layers' names.

    Args:
        run: A run. It may hold the shapes of kernels as `shape` along `layer`.
        layers: The names of the layers to choose from, shallow first.

    Example:
        >>> names = ["stem", "block1_conv", "block2_conv", "block3_conv", "top"]
        >>> run = xr.Dataset(coords={"layer": names, "shape": ("layer", list("abbbc"))})
        >>> equal_layers(run, names).layers
        ('block1_conv', 'block2_conv', 'block3_conv')
    """
    if "shape" not in run.coords:
        unknown = "of all shapes, since the run does not say the shapes of kernels"
        return Comparison.of_all(layers, unknown)
    shapes = [str(run["shape"].sel(layer=name).item()) for name in layers]
    equal = Counter(shape for shape in shapes if shape)  # no shape: no kernel
    if max(equal.values(), default=0) < _EQUAL_ONES:
        few = f"of all shapes, since no {_EQUAL_ONES} have kernels of equal shape"
        return Comparison.of_all(layers, few)
    chosen = [(name, own) for name, own in zip(layers, shapes, strict=True) if equal[own] > 1]
    kinds = list(dict.fromkeys(own for _, own in chosen))
    which = "of equal shape"
    if len(kinds) > 1:
        which = f"of {len(kinds)} shapes, each compared with those of its own shape"
    names = tuple(name for name, _ in chosen)
    groups = tuple(kinds.index(own) for _, own in chosen)
    return Comparison(names, groups, _places(names), which)


def _places(layers: Sequence[str]) -> tuple[int, ...]:
    """Returns the number of each layer's block; of each layer, if there are too few blocks."""
    blocks = [block_name(name) for name in layers]
    numbers = list(dict.fromkeys(blocks))
    if len(numbers) < _BLOCKS:
        return tuple(range(len(layers)))
    return tuple(np.maximum.accumulate([numbers.index(block) for block in blocks]).tolist())


def within_groups(values: np.ndarray, groups: Sequence[int]) -> np.ndarray:
    """Subtracts from each value (…, layers) the mean over the group of its layer."""
    centred = np.array(values, dtype=float)
    for group in set(groups):
        own = np.flatnonzero(np.array(groups) == group)
        centred[..., own] -= centred[..., own].mean(axis=-1, keepdims=True)
    return centred
