"""Image classifiers, one file each: the module `vgg` defines `build_vgg`, and so on.

To add a network, add a module to this folder: `keras_lcb.vision` and `vision.run` find it by
themselves. Each builder takes `input_shape`, `classes`, `width`, `normalization` and `seed`, and
all except `build_cnn` also take `depths`. It returns an uncompiled functional model that outputs
logits.

The names of the layers group them: first `stem_...`, then, for example, `stage1_block2_conv1` for
a convolution in the second block of the first stage, and finally `head`. Stages and blocks are
counted from 1. So `layers=["stage1"]` makes a stage one row of a run, and
`layers=["stage1_block2"]` a block.

The networks consist only of Keras' own layers. So a saved network can be loaded without this
package. TensorFlow is imported only if it is the backend.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))

__all__ = ["NAMES", "builder", *(f"build_{name}" for name in NAMES)]


def builder(name: str) -> Callable[..., keras.Model]:
    """Returns the function that builds a network.

    Args:
        name: One of `NAMES`: the name of the builder without `build_`.

    Returns:
        The function, for example `build_resnet` for `"resnet"`.

    Raises:
        ValueError: If there is no such network.

    Example:
        >>> builder("cnn")((8, 8, 1), classes=10).output_shape
        (None, 10)
    """
    if name not in NAMES:
        near = difflib.get_close_matches(str(name), NAMES, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"There is no network {name!r}.{hint} There are: {', '.join(NAMES)}.")
    return getattr(importlib.import_module(f"{__name__}.{name}"), f"build_{name}")


def __getattr__(name: str) -> Callable[..., keras.Model]:
    if name in __all__:
        return builder(name.removeprefix("build_"))
    raise AttributeError(f"module '{__name__}' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
