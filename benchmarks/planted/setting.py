"""The settings of one training of the benchmark, from which the name of its file is computed."""

from __future__ import annotations

import dataclasses
import hashlib
import json


@dataclasses.dataclass(frozen=True)
class Setting:
    """The settings of one training.

    Attributes:
        network: The network: "mlp", "cnn", "transformer" or "mixer".
        data: The name of a function in `data.py`.
        optimizer: "sgd", "momentum" or "adam".
        rate: The learning rate.
        seed: The seed of the weights and of the order of the samples.
        records: The number of records.
        updates: The number of updates between two records.
        depth: The number of blocks.
        width: The number of units of a hidden layer.
        activation: The activation of the hidden layers.
        gain: A factor of the initial kernels. With 1, signals keep their size.
        bias: The initial value of the bias (of the layer or its normalization) before an
            activation.
        normalization: Whether each block has a normalization layer.
        residual: Whether each block's input is added to its output.
        multipliers: Factors of the learning rate: (part of the layers, factor, first record).
        frozen: The part of the layers that does not train; empty for none.
        cut: Whether the gradient stops after a block: "yes", or empty.
        schedule: The learning rate: "constant", "cosine", or "drop" (to 1/100 after half of the
            updates).
        precision: A dtype policy of Keras.
        growth: The number of steps after which the loss scale grows; 0 for no loss scaling.
        naive: Whether the loss computes the logarithm of a probability that may be 0.
        decay: The weight decay.
        clip: The largest norm of the whole gradient; 0 for no clipping.
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
        """Returns a name that no other setting has."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self)).encode()).hexdigest()[:20]

    def but(self, **changes: object) -> Setting:
        """Returns the same setting with some other values."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
