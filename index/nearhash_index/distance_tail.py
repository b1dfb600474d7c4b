"""A model of how rare small distances between unrelated hashes are, fitted to the smallest that were counted.

Were a hash's bits fair and independent, the distance of two would be binomial: ln P(d) = ln C(b, d) - b ln 2. The bits
of a real one depend on each other, and the distance behaves as that of fewer, fair or unfair bits: Daugman's degrees of
freedom [1]. With f of them for each real bit, ln C(f b, f d) is close to f ln C(b, d). So the model is

    ln P(d) = a + s d + f ln C(b, d)

with three parameters, fitted by Lindsey's method [2, 3]: a Poisson regression of the counts, a small convex problem.

[1] J. Daugman, "The importance of being random: statistical principles of iris recognition", Pattern Recognition 36
    (2003), 279-291.
[2] J. K. Lindsey, "Construction and comparison of statistical models", J. R. Stat. Soc. B 36 (1974), 418-425.
[3] B. Efron, R. Tibshirani, "Using specially designed exponential families for density estimation", Annals of
    Statistics 24 (1996), 2431-2461.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TailFit", "TailModel"]

_MISFIT = 0.05
"""The model is trusted to so much of a count: else the many pairs farther up would outvote the few low ones."""
_MAX_STEPS = 50
_RARE_PARITY = 1e-3


@dataclass(frozen=True, slots=True)
class TailFit:
    """A fitted model.

    Attributes
    ----------
    log_share : float64[b + 1]
        ln P(d), the share of pairs at each distance.
    effective_bits : float
        How many independent bits the hash is worth, as far as small distances go.
    """

    log_share: NDArray[np.float64]
    effective_bits: float

    @property
    def share(self) -> NDArray[np.float64]:
        """P(d)."""
        return np.exp(self.log_share)


class TailModel:
    """The model for hashes of one width.

    Parameters
    ----------
    bits : int
    odd_share : float
        Share of pairs at an odd distance. It is nearly 0 for hashes that have half of their bits set: the median of
        the coefficients is their threshold.
    """

    def __init__(self, bits: int, odd_share: float) -> None:
        distance = np.arange(bits + 1)
        log_factorial = np.array([math.lgamma(d + 1) for d in range(bits + 1)])
        self._bits = bits
        self._log_choose = log_factorial[bits] - log_factorial - log_factorial[::-1]
        # Scaled to one size, for the sake of the regression.
        self._basis = np.stack([np.ones(bits + 1), distance / bits, self._log_choose / bits], axis=1)
        share = np.where(distance % 2, odd_share, 1 - odd_share)
        self.usable: NDArray[np.bool_] = share > _RARE_PARITY
        """Distances that occur, by parity."""
        self._parity = np.log(2 * np.maximum(share, 1e-12))

    def fit(self, counts: NDArray[np.float64], exposure: NDArray[np.float64], first: int, last: int) -> TailFit:
        """Fit to the distances from `first` to `last`, inclusive.

        Parameters
        ----------
        counts, exposure : float64[b + 1]
            Pairs at each distance, of so many.
        """
        at = np.arange(first, last + 1)
        at = at[self.usable[at]]
        basis, seen = self._basis[at], counts[at]
        offset = np.log(exposure[at]) + self._parity[at]
        predictor = np.log(seen + 0.5)
        parameters = np.zeros(3)
        for _ in range(_MAX_STEPS):
            # Iteratively reweighted least squares.
            mean = np.exp(predictor)
            weight = np.sqrt(mean / (1 + _MISFIT**2 * mean))
            target = predictor - offset + (seen - mean) / mean
            parameters = np.linalg.lstsq(basis * weight[:, None], target * weight, rcond=None)[0]
            new = np.clip(basis @ parameters + offset, -50, 50)
            change = np.abs(new - predictor).max()
            predictor = new
            if change < 1e-8:
                break
        return TailFit(self._basis @ parameters + self._parity, float(parameters[2]))

    def straightened(self, fit: TailFit, below: int) -> NDArray[np.float64]:
        """Return P(d), with the tangent of ln P at `below` in its place under it.

        ln P falls ever more steeply towards 0 in the model, and whenever unrelated images are of one kind: so the
        tangent is a bound from above.
        """
        smooth = fit.log_share - self._parity
        slope = smooth[below + 1] - smooth[below]
        distance = np.arange(self._bits + 1)
        tangent = smooth[below] + slope * (distance - below)
        return np.asarray(np.exp(np.where(distance < below, tangent, smooth) + self._parity))
