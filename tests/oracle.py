"""Training by hand, in NumPy and double precision: what the measured norms are compared with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

Arrays = list[np.ndarray]
Rule = Callable[[Arrays, Arrays], Arrays]


@dataclasses.dataclass(frozen=True)
class Network:
    """A fully-connected tanh network with a linear last layer and a mean squared error.

    `sizes` are the widths, input first. Weights are a flat list: kernel, bias, kernel, bias, …
    """

    sizes: tuple[int, ...] = (3, 5, 4, 2)

    @property
    def layers(self) -> list[list[int]]:
        """The places of each layer's weights."""
        return [[2 * depth, 2 * depth + 1] for depth in range(len(self.sizes) - 1)]

    def weights(self, seed: int = 0) -> Arrays:
        random = np.random.default_rng(seed)
        weights = []
        for inputs, outputs in zip(self.sizes, self.sizes[1:], strict=False):
            weights.append(random.normal(size=(inputs, outputs)) / np.sqrt(inputs))
            weights.append(0.1 * random.normal(size=outputs))
        return [_as_float32(w) for w in weights]

    def data(self, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(seed)
        x = random.normal(size=(count, self.sizes[0]))
        y = random.normal(size=(count, self.sizes[-1]))
        return _as_float32(x), _as_float32(y)

    def activations(self, weights: Arrays, x: np.ndarray) -> Arrays:
        values = [x]
        for depth, (kernel, bias) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
            signal = values[-1] @ kernel + bias
            values.append(signal if depth == len(self.sizes) - 2 else np.tanh(signal))
        return values

    def loss(self, weights: Arrays, x: np.ndarray, y: np.ndarray, sample_weight=None) -> float:
        losses = np.mean((self.activations(weights, x)[-1] - y) ** 2, axis=1)
        return float(np.mean(losses if sample_weight is None else losses * sample_weight))

    def gradients(self, weights: Arrays, x: np.ndarray, y: np.ndarray, sample_weight=None):
        """Backpropagation, written out."""
        values = self.activations(weights, x)
        signal = 2 * (values[-1] - y) / y.size
        if sample_weight is not None:
            signal = signal * sample_weight[:, None]
        gradients: Arrays = []
        for depth in reversed(range(len(self.sizes) - 1)):
            gradients[:0] = [values[depth].T @ signal, signal.sum(axis=0)]
            signal = (signal @ weights[2 * depth].T) * (1 - values[depth] ** 2)
        return gradients


@dataclasses.dataclass(frozen=True)
class Training:
    """What each update was: norms have the shape (updates, layers)."""

    gradient_norms: np.ndarray
    update_norms: np.ndarray
    weights: Arrays

    def rms(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """RMS norms of gradients and updates over the updates `first` + 1 … `last`."""
        chosen = slice(first, last)
        return tuple(
            np.sqrt(np.mean(norms[chosen] ** 2, axis=0))
            for norms in (self.gradient_norms, self.update_norms)
        )


def train(
    gradients: Callable[..., Arrays],
    weights: Arrays,
    batches: Sequence[tuple],
    rule: Rule,
    layers: list[list[int]],
    accumulate: int = 1,
) -> Training:
    """Trains on the batches one after the other, each update on `accumulate` of them."""
    gradient_norms, update_norms = [], []
    gathered: list[Arrays] = []
    for batch in batches:
        gathered.append(gradients(weights, *batch))
        if len(gathered) < accumulate:
            continue
        mean = [sum(parts) / accumulate for parts in zip(*gathered, strict=True)]
        gathered.clear()
        after = rule(weights, mean)
        gradient_norms.append(layer_norms(mean, layers))
        update_norms.append(
            layer_norms([a - b for a, b in zip(after, weights, strict=True)], layers)
        )
        weights = after
    return Training(np.array(gradient_norms), np.array(update_norms), weights)


def layer_norms(arrays: Arrays, layers: list[list[int]]) -> list[float]:
    """The Euclidean norm of each layer's arrays, taken as one vector."""
    return [float(np.sqrt(sum(np.sum(arrays[p] ** 2) for p in places))) for places in layers]


def batches(*arrays: np.ndarray, size: int, epochs: int = 1) -> list[tuple]:
    """Cuts arrays into batches as `fit(shuffle=False)` does."""
    count = len(arrays[0])
    epoch = [tuple(a[at : at + size] for a in arrays) for at in range(0, count, size)]
    return epoch * epochs


def finite_differences(
    loss: Callable[[Arrays], float], weights: Arrays, step: float = 1e-6
) -> Arrays:
    """Central differences of a loss, one weight after the other."""
    gradients = [np.zeros_like(w) for w in weights]
    weights = [w.copy() for w in weights]
    for weight, gradient in zip(weights, gradients, strict=True):
        for place in np.ndindex(*weight.shape):
            kept = weight[place]
            weight[place] = kept + step
            above = loss(weights)
            weight[place] = kept - step
            gradient[place] = (above - loss(weights)) / (2 * step)
            weight[place] = kept
    return gradients


# Optimizers, from the papers' formulas; each keeps its own state.


def sgd(rate: float, momentum: float = 0.0) -> Rule:
    speed: Arrays = []

    def rule(weights: Arrays, gradients: Arrays) -> Arrays:
        speed[:] = speed or [np.zeros_like(w) for w in weights]
        speed[:] = [momentum * v - rate * g for v, g in zip(speed, gradients, strict=True)]
        return [w + v for w, v in zip(weights, speed, strict=True)]

    return rule


def adam(rate: float, decay: float = 0.0, second_rate: float = 0.999) -> Rule:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), and an epsilon of 0.1."""
    first: Arrays = []
    second: Arrays = []
    count = 0

    def rule(weights: Arrays, gradients: Arrays) -> Arrays:
        nonlocal count
        count += 1
        first[:] = first or [np.zeros_like(w) for w in weights]
        second[:] = second or [np.zeros_like(w) for w in weights]
        first[:] = [0.9 * m + 0.1 * g for m, g in zip(first, gradients, strict=True)]
        second[:] = [
            second_rate * v + (1 - second_rate) * g**2
            for v, g in zip(second, gradients, strict=True)
        ]
        scaled = rate * np.sqrt(1 - second_rate**count) / (1 - 0.9**count)
        return [
            w - rate * decay * w - scaled * m / (np.sqrt(v) + 0.1)
            for w, m, v in zip(weights, first, second, strict=True)
        ]

    return rule


def clipped(rule: Rule, clip: Callable[[Arrays], Arrays]) -> Rule:
    return lambda weights, gradients: rule(weights, clip(gradients))


def constrained(rule: Rule, constraint: Callable[[np.ndarray], np.ndarray]) -> Rule:
    """Projects the kernels after each update."""

    def projected(weights: Arrays, gradients: Arrays) -> Arrays:
        return [constraint(w) if w.ndim == 2 else w for w in rule(weights, gradients)]

    return projected


def averaged(rule: Rule, momentum: float, every: int) -> Rule:
    """Puts an exponential average in the weights' place, `every` so many updates."""
    average: Arrays = []
    count = 0

    def overwritten(weights: Arrays, gradients: Arrays) -> Arrays:
        nonlocal count
        count += 1
        after = rule(weights, gradients)
        # Keras begins its average with the weights as they are after the first update.
        kept = 0.0 if count == 1 else momentum
        average[:] = average or [np.zeros_like(w) for w in after]
        average[:] = [kept * a + (1 - kept) * w for a, w in zip(average, after, strict=True)]
        return [a.copy() for a in average] if count % every == 0 else after

    return overwritten


def _as_float32(array: np.ndarray) -> np.ndarray:
    """Double precision numbers that single precision holds exactly."""
    return array.astype("float32").astype("float64")
