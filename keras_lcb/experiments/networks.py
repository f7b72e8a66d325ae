"""The networks that sections 3 and 4 train: on a function of one variable, and on digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_lcb import synthetic, vision

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FUNCTION, DIGITS = "function", "digits"
NETWORKS = (FUNCTION, DIGITS)
PLAIN, RESIDUAL = "plain", "residual"
KINDS = {PLAIN: False, RESIDUAL: True}
# Rates at which the loss of all these networks falls; none was tuned.
OPTIMIZERS = {
    FUNCTION: (("sgd", 0.02), ("momentum", 0.005), ("adam", 0.001)),
    DIGITS: (("sgd", 0.1), ("momentum", 0.01), ("adam", 0.001)),
}


def base(network: str, quick: bool) -> Any:
    """Return the settings of a network's experiment: a `Config` of `synthetic` or `vision`."""
    if network == FUNCTION:
        if quick:
            return synthetic.Config(
                depth=3, width=8, points=64, batch_size=32, updates=60, record_every=3
            )
        return synthetic.Config(depth=5, width=64, updates=4000, record_every=100)
    if quick:
        return vision.Config(depth=3, width=4, updates=60, record_every=3)
    return vision.Config(depth=6, width=16, updates=800, record_every=20)


def described(network: str, quick: bool) -> str:
    """Return a sentence on a network and its training."""
    config = base(network, quick)
    if network == FUNCTION:
        kind = f"ReLU networks of {config.depth} hidden layers of {config.width}"
        data = f"the sum of four sines at {config.points} points"
    else:
        kind = f"CNNs of {config.depth} convolutions of {config.width} channels"
        data = "8x8 digits, without normalisation"
    return (
        f"{network.capitalize()}: {kind} on {data}; {config.updates:,} updates with batches of "
        f"{config.batch_size}."
    )


@dataclass(frozen=True)
class Window:
    """A part of training.

    Attributes:
        name: What it is called.
        start: Where it begins, as a fraction of all updates.
        stop: Where it ends.
    """

    name: str
    start: float
    stop: float


WINDOWS = (Window("early", 0.0, 0.1), Window("middle", 0.1, 0.5), Window("late", 0.5, 1.0))


def retitle(ax: Axes, title: str) -> None:
    """Change the title of a figure, but not its place, above the remarks on the figure."""
    from matplotlib.text import Text

    drawn = ax.get_title(loc="left")
    for text in ax.findobj(lambda artist: isinstance(artist, Text)):
        if isinstance(text, Text) and text.get_text() == drawn:
            text.set_text(title)
