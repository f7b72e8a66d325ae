"""Measures how often the verdict of `convergence_bias` is right, on simulated studies.

python -m benchmarks.calibration [--studies 500] [--quick]

A study has several seeds. In each seed, every layer has a time to half the distance. The program
prints how often each verdict comes up, in two kinds of studies:

- Layers in random order. A verdict of a clear order is then an error. There is a cell for each
  number of layers from 3 to 20, and each number of seeds from 5 to 20. Either all seeds have the
  same times in different orders, or all times are drawn independently.
- Layers whose times were drawn once, and are the same in all seeds but for noise of 10 %. They do
  differ, though not because of their depth, so that a clear order is right about these layers and
  says nothing about others. This table is no test of `convergence_bias`: it shows how far its
  verdict goes.
- Layers with a trend, which the verdict should find. The last layer takes R times as long as the
  first. In each seed, each time is multiplied by a random factor whose logarithm has the standard
  deviation σ.

The areas are assumed to rank the layers like the times. So they cannot prevent an error.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from keras_lcb.analysis.verdict import DEEPER_FASTER, EQUIVALENT, SHALLOWER_FASTER, judged

CLEAR = (SHALLOWER_FASTER, DEEPER_FASTER)
LAYERS, SEEDS = range(3, 21), range(5, 21)
SPREAD = 0.5  # standard deviation of the logarithms of the times, for layers in random order
RATIOS, NOISES = (1.0, 1.05, 1.11, 1.25, 1.5, 2.0), (0.05, 0.1, 0.3)

Times = Callable[[np.random.Generator, int, int], np.ndarray]


def reordered(rng: np.random.Generator, seeds: int, layers: int) -> np.ndarray:
    """Returns times (seeds, layers): the same times in each seed, in different orders."""
    return rng.permuted(np.tile(rng.lognormal(0, SPREAD, layers), (seeds, 1)), axis=1)


def drawn_anew(rng: np.random.Generator, seeds: int, layers: int) -> np.ndarray:
    """Returns times (seeds, layers) that are all drawn independently."""
    return rng.lognormal(0, SPREAD, (seeds, layers))


def drawn_once(rng: np.random.Generator, seeds: int, layers: int) -> np.ndarray:
    """Returns times (seeds, layers) that are drawn once, and nearly alike in all seeds."""
    return rng.lognormal(0, SPREAD, layers) * rng.lognormal(0, 0.1, (seeds, layers))


def along(ratio: float, noise: float) -> Times:
    """Returns a function that draws times with a trend.

    Args:
        ratio: Time of the last layer, divided by that of the first.
        noise: Standard deviation of the logarithms of the times over seeds.
    """

    def times(rng: np.random.Generator, seeds: int, layers: int) -> np.ndarray:
        return np.geomspace(1, ratio, layers) * rng.lognormal(0, noise, (seeds, layers))

    return times


def verdicts(times: Times, seeds: int, layers: int, studies: int) -> Counter[str]:
    """Counts the verdicts of simulated studies."""
    rng = np.random.default_rng([seeds, layers])
    names = [str(place) for place in range(layers)]
    drawn = (times(rng, seeds, layers) for _ in range(studies))
    return Counter(judged(own, own, names).verdict for own in drawn)


def errors(times: Times, layers: Sequence[int], seeds: Sequence[int], studies: int) -> np.ndarray:
    """Returns the share of studies with a verdict of a clear order, in each (layers, seeds)."""
    return np.array(
        [[_share(verdicts(times, own, count, studies), CLEAR) for own in seeds] for count in layers]
    )


def _share(counted: Counter[str], wanted: Iterable[str]) -> float:
    return sum(counted[verdict] for verdict in wanted) / counted.total()


def _print_errors(layers: Sequence[int], seeds: Sequence[int], studies: int) -> None:
    for times in (reordered, drawn_anew, drawn_once):
        found = errors(times, layers, seeds, studies)
        print(f"\nVerdicts of a clear order for layers in random order, in % ({times.__name__})")
        print("layers  " + "".join(f"{own:>5}" for own in seeds) + "  seeds")
        for count, row in zip(layers, found, strict=True):
            print(f"{count:>6}  " + "".join(f"{100 * share:5.1f}" for share in row))
        summary = f"mean {100 * found.mean():.2f}, largest {100 * found.max():.2f}"
        print(summary, flush=True)  # the next table takes minutes


def _print_power(layers: Sequence[int], seeds: Sequence[int], studies: int) -> None:
    print("\nVerdicts 'shallower faster' / 'equivalent' for a true ratio R, in %")
    cells = [(count, own) for count in layers for own in seeds]
    print("   R     σ  " + "".join(f"{f'{count} × {own}':>12}" for count, own in cells))
    for ratio in RATIOS:
        for noise in NOISES:
            found = [verdicts(along(ratio, noise), own, n, studies) for n, own in cells]
            shares = [
                f"{100 * _share(c, [SHALLOWER_FASTER]):.0f} / {100 * _share(c, [EQUIVALENT]):.0f}"
                for c in found
            ]
            print(f"{ratio:5.2f} {noise:5.2f} " + "".join(f"{share:>12}" for share in shares))
    print("(layers × seeds)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=500, help="in each cell; default: 500")
    parser.add_argument("--quick", action="store_true", help="some cells only")
    options = parser.parse_args()
    began = time.perf_counter()
    layers, seeds = ((3, 6, 20), (5, 10, 20)) if options.quick else (LAYERS, SEEDS)
    _print_errors(layers, seeds, options.studies)
    _print_power((3, 6, 20), (5, 10, 20), options.studies)
    print(f"{options.studies} studies in each cell, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
