"""Several tests of one claim: corrected p-values, and groups of similar quantities."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from keras_lcb.analysis.estimate import Estimate
from keras_lcb.analysis.verdict import ConvergenceBias

Setting = TypeVar("Setting", bound=Hashable)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p-values corrected for the number of tests, by Holm's method.

    The n p-values are sorted in ascending order, and the k-th is multiplied by n − k + 1, but is
    at least as large as the one before it. If each test with a corrected p-value of at most 5 % is
    rejected, the probability of any false rejection is at most 5 %, however the tests depend on
    each other.

    Args:
        p_values: The p-values of all tests of one claim, one for each setting. NaN, for a test
            that could not be made, stays NaN and does not count.

    Returns:
        The corrected p-values, in the same order.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure".

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=float)
    corrected = np.full(len(given), np.nan)
    order = [place for place in np.argsort(given) if not np.isnan(given[place])]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return corrected.tolist()


def corrected(found: Mapping[Setting, ConvergenceBias]) -> dict[Setting, ConvergenceBias]:
    """Corrects the verdicts on several settings for the number of tests.

    Holm's method is applied over the settings, separately to the tests of an order and to the
    tests of equivalence. Then the probability of even one false order is at most 5 %, and so is
    that of even one false equivalence. Sizes and intervals of effects stay as they are.

    Args:
        found: What `convergence_bias` returned for each setting.

    Returns:
        The same with corrected p-values. Some verdicts may thereby become "inconclusive".

    Example:
        >>> import numpy as np
        >>> from keras_lcb.analysis.verdict import judged
        >>> times = np.array([[10, 20, 30], [10, 20, 31], [11, 20, 30], [10, 21, 30], [10, 20, 33]])
        >>> clear = judged(times, times / 100, ["first", "second", "third"])
        >>> mixed = np.array([np.roll(row, place) for place, row in enumerate(times)])
        >>> unclear = judged(mixed, mixed / 100, ["first", "second", "third"])
        >>> verdicts = corrected({"sgd": clear, "adam": unclear})
        >>> {name: bias.verdict for name, bias in verdicts.items()}
        {'sgd': 'shallower faster', 'adam': 'inconclusive'}
    """
    if not isinstance(found, Mapping):
        raise ValueError(
            "`corrected` expects a dictionary from each setting to what `convergence_bias` "
            f"returned for it; received {type(found).__name__}."
        )
    orders = holm([bias.p_order for bias in found.values()])
    equivalences = holm([bias.p_equivalent for bias in found.values()])
    return {
        setting: dataclasses.replace(bias, p_order=p_order, p_equivalent=p_equivalent)
        for (setting, bias), p_order, p_equivalent in zip(
            found.items(), orders, equivalences, strict=True
        )
    }


def pooled(settings: Sequence[Sequence[float]]) -> Estimate:
    """Returns the mean over settings, in which each setting counts once.

    The sample consists of the means of the settings. The interval therefore tells what to expect
    of other settings of this kind. It does not become narrower with more seeds alone.

    Args:
        settings: For each setting, the values of its runs, such as `bias.ratio.logs.values`.

    Returns:
        The mean of the means, with its t interval and tests.

    Example:
        >>> found = pooled([[0.1, 0.3], [0.4, 0.6, 0.5], [0.2]])
        >>> round(found.mean, 2), [round(end, 2) for end in found.interval()]
        (0.3, [-0.13, 0.73])
    """
    return Estimate(tuple(Estimate(tuple(values)).mean for values in settings))


def families(quantities: Mapping[str, Sequence[float]], above: float = 0.9) -> list[list[str]]:
    """Groups quantities that are highly correlated, so that each group counts as one test.

    Two quantities belong to one family if the absolute value of their rank correlation over
    settings (or layers, or runs) is at least `above`. Families that share a member are joined.

    Args:
        quantities: A mapping from names to values over the same settings. The correlation of two
            quantities is over the settings in which both are finite.
        above: The smallest absolute correlation within a family. Defaults to 0.9.

    Returns:
        The families, in the order of their first members. Test the first member of each.

    Example:
        >>> values = {"eigenvalue": [1, 2, 3, 4], "trace": [3, 5, 9, 11], "rise": [2, 1, 1, 2]}
        >>> families(values)
        [['eigenvalue', 'trace'], ['rise']]
    """
    found: list[list[str]] = []
    for name in quantities:
        linked = [
            family
            for family in found
            if any(_alike(quantities[name], quantities[other], above) for other in family)
        ]
        joined = [member for family in linked for member in family] + [name]
        found = [family for family in found if family not in linked] + [joined]
    order = list(quantities)
    return sorted(
        (sorted(family, key=order.index) for family in found), key=lambda own: order.index(own[0])
    )


def _alike(one: Sequence[float], other: Sequence[float], above: float) -> bool:
    from scipy.stats import spearmanr

    pair = np.array([one, other], dtype=float)
    known = pair[:, np.isfinite(pair).all(axis=0)]
    if known.shape[1] < 3 or (np.ptp(known, axis=1) == 0).any():
        return False
    return abs(float(spearmanr(*known).statistic)) >= above
