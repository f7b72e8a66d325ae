"""Several tests of one claim: corrected p-values, and quantities that say the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import scipy.stats

from keras_lcb.analysis.estimate import Estimate
from keras_lcb.analysis.verdict import ConvergenceBias

Setting = TypeVar("Setting", bound=Hashable)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, by Holm's method.

    With n p-values in ascending order, the k-th is multiplied by n − k + 1, and is then no smaller
    than the one before it. Rejecting what is then at most 5 % errs in any of the tests in at most
    5 % of cases, however they depend on each other.

    Args:
        p_values: Those of all tests of one claim, one for each setting. NaN, for a test that could
            not be made, stays NaN and does not count.

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
    """Return the verdicts on several settings of one claim, corrected for their number.

    Holm's method is applied over the settings, to the tests of an order and to the tests of
    equivalence, so that the chance of even one order that is none is at most 5 %, as is that of
    even one equivalence. Sizes and intervals are each setting's own and stay as they are.

    Args:
        found: What `convergence_bias` found for each setting.

    Returns:
        The same with corrected p-values, and so with verdicts that may have become "inconclusive".

    Example:
        >>> found = {"sgd": first, "adam": second}  # doctest: +SKIP
        >>> {name: bias.verdict for name, bias in corrected(found).items()}  # doctest: +SKIP
        {'sgd': 'shallower faster', 'adam': 'inconclusive'}
    """
    orders = holm([bias.p_order for bias in found.values()])
    equivalences = holm([bias.p_equivalent for bias in found.values()])
    return {
        setting: dataclasses.replace(bias, p_order=p_order, p_equivalent=p_equivalent)
        for (setting, bias), p_order, p_equivalent in zip(
            found.items(), orders, equivalences, strict=True
        )
    }


def pooled(settings: Sequence[Sequence[float]]) -> Estimate:
    """Return the mean over settings, each of which counts once.

    The sample are the settings' means, so that the interval is about other settings of the kind
    and not about other seeds; more seeds alone do not make it narrower.

    Args:
        settings: For each setting, what each of its runs says, such as `bias.ratio.logs.values`.

    Returns:
        The mean of the settings' means, with its t interval and tests.

    Example:
        >>> found = pooled([[0.1, 0.3], [0.4, 0.6, 0.5], [0.2]])
        >>> round(found.mean, 2), [round(end, 2) for end in found.interval()]
        (0.3, [-0.13, 0.73])
    """
    return Estimate(tuple(Estimate(tuple(values)).mean for values in settings))


def families(quantities: Mapping[str, Sequence[float]], above: float = 0.9) -> list[list[str]]:
    """Gather quantities that say nearly the same, so that they count as one piece of evidence.

    Two belong together where the size of their rank correlation over settings (or layers, or runs)
    is at least `above`, and so does what is linked through others.

    Args:
        quantities: By name, values over the same settings. Settings without a value in both are
            left out of the correlation of two.
        above: The least correlation, in size, of near-duplicates.

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
    pair = np.array([one, other], dtype=float)
    known = pair[:, np.isfinite(pair).all(axis=0)]
    if known.shape[1] < 3 or (np.ptp(known, axis=1) == 0).any():
        return False
    return abs(float(scipy.stats.spearmanr(*known).statistic)) >= above
