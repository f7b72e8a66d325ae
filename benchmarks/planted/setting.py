"""All that defines one training of the benchmark, small enough to be its file's name."""

from __future__ import annotations

import dataclasses
import hashlib
import json


@dataclasses.dataclass(frozen=True)
class Setting:
    """One training.

    Attributes:
        network: A function of `networks.py`.
        data: A function of `data.py`.
        optimizer: "sgd", "momentum" or "adam".
        rate: Learning rate.
        seed: Of weights and of the order of samples.
        records: How many, each after `updates` updates.
        updates: Updates between records.
        depth: Blocks.
        width: Units of a hidden layer.
        activation: Of the hidden layers.
        gain: Factor of the initial kernels; 1 keeps the size of signals.
        bias: Initial value of what is added right before an activation.
        normalization: Whether there is a normalisation layer in each block.
        residual: Whether each block's input is added to its output.
        multipliers: Which layers get another rate: (part, factor, first record).
        frozen: A part of the layers that does not train.
        cut: A part of the layers behind which the gradient stops.
        schedule: "constant", "cosine", "drop" (to 1/100 at half) or "warm-up".
        precision: A dtype policy of Keras.
        growth: Steps after which the loss scale grows; 0 without loss scaling.
        naive: Whether the loss takes the logarithm of a probability that may be 0.
        decay: Weight decay.
        clip: Largest norm of the whole gradient; 0 for no clipping.
    """

    network: str = "mlp"
    data: str = "digits"
    optimizer: str = "momentum"
    rate: float = 0.03
    seed: int = 0
    records: int = 20
    updates: int = 10
    depth: int = 5
    width: int = 32
    activation: str = "relu"
    gain: float = 1.0
    bias: float = 0.0
    normalization: bool = False
    residual: bool = False
    multipliers: tuple[tuple[str, float, int], ...] = ()
    frozen: str = ""
    cut: str = ""
    schedule: str = "constant"
    precision: str = "float32"
    growth: int = 0
    naive: bool = False
    decay: float = 0.0
    clip: float = 0.0

    @property
    def key(self) -> str:
        """A name that no other setting has."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self)).encode()).hexdigest()[:20]

    def but(self, **changes: object) -> Setting:
        """The same with other values."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
