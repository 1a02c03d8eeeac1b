"""How the normal variables move together.

What can be seen of a variable is the interval it lies in. Its score, the mean of the variable in that interval, varies
less than the variable, and so scores correlate less than variables: for two variables with correlation r, by Mehler's
formula, the covariance of their scores is the sum over m >= 1 of a_m · b_m · r^m, where a_m and b_m are the Hermite
coefficients of the two step functions. It grows with r, so the r that explains a covariance is found by bisection.
(Cario and Nelson, "Modeling and generating random vectors with arbitrary marginal distributions and correlation
matrix", 1997; for two columns of two values it is the tetrachoric correlation of Pearson, 1900.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mirage_engine.codec.column import Leaves
from mirage_engine.gaussian_copula.latents import Latent
from mirage_engine.gaussian_copula.normal import Floats, density

STRONGEST = 0.9995
_TERMS = 100
_BISECTIONS = 40
_ROWS_AT_ONCE = 16_384
_LEAST_VARIANCE = 1e-9


@dataclass(frozen=True)
class Moments:
    """Of each pair of variables: rows that tell of both, and the covariance of the scores; shapes (variables,) * 2."""

    rows: Floats
    covariances: Floats


def moments_of(latents: Sequence[Latent], leaves: Leaves, told: Callable[[int], None]) -> Moments:
    """Moments of rows; a pair's are of those rows that tell of both. `told` hears how many rows are done.

    The correlation within those rows is taken with the variances in all: gaps may choose rows that vary less.
    """
    scores = [np.where(latent.place_of < 0, 0.0, latent.scores[latent.place_of]) for latent in latents]
    seen = [(latent.place_of >= 0).astype(np.float64) for latent in latents]
    shape = (len(latents), len(latents))
    rows, products, sums, squares = (np.zeros(shape) for _ in range(4))
    for start in range(0, len(leaves), _ROWS_AT_ONCE):
        part = leaves[start : start + _ROWS_AT_ONCE]
        by_row = np.stack([table[part[:, latent.column]] for table, latent in zip(scores, latents, strict=True)], 1)
        there = np.stack([table[part[:, latent.column]] for table, latent in zip(seen, latents, strict=True)], 1)
        rows += there.T @ there
        products += by_row.T @ by_row
        sums += by_row.T @ there
        squares += (by_row**2).T @ there
        told(start + len(part))
    several = np.maximum(rows, 1.0)
    means = sums / several
    covariances = products / several - means * means.T
    variances = np.maximum(squares / several - means**2, 0.0)
    within = variances * variances.T
    correlations = np.where(within > _LEAST_VARIANCE, covariances / np.sqrt(np.maximum(within, _LEAST_VARIANCE)), 0.0)
    deviations = np.array([np.sqrt(np.sum(latent.probabilities * latent.scores**2)) for latent in latents])
    return Moments(rows, np.clip(correlations, -1.0, 1.0) * np.outer(deviations, deviations))


def correlations_of(latents: Sequence[Latent], moments: Moments, least_eigenvalue: float) -> Floats:
    """The variables' correlations, positive definite; shape (variables, variables)."""
    if not latents:
        return np.zeros((0, 0))
    correlations = _unattenuated(np.stack([hermite_coefficients(latent) for latent in latents], 1), moments.covariances)
    return positive_definite(_shrunk(correlations, moments.rows), least_eigenvalue)


def hermite_coefficients(latent: Latent) -> Floats:
    """Coefficients of a variable's scores in the normalised Hermite polynomials 1 … _TERMS; shape (_TERMS,).

    A step at b from score s to t adds (t - s) · h_{m-1}(b) · density(b) / sqrt(m) to the m-th one.
    """
    ends = latent.bounds[1:-1]
    weights = np.diff(latent.scores) * density(ends)
    previous, current = np.zeros_like(ends), np.ones_like(ends)
    coefficients = np.empty(_TERMS)
    for term in range(1, _TERMS + 1):
        coefficients[term - 1] = np.sum(weights * current) / np.sqrt(term)
        previous, current = current, (ends * current - np.sqrt(term - 1) * previous) / np.sqrt(term)
    return coefficients


def _unattenuated(coefficients: Floats, covariances: Floats) -> Floats:
    """The correlations under which scores have these covariances; `coefficients` have shape (_TERMS, variables)."""
    low, high = np.full(covariances.shape, -STRONGEST), np.full(covariances.shape, STRONGEST)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        expected = np.zeros(covariances.shape)
        for row in coefficients[::-1]:
            expected = (expected + np.outer(row, row)) * middle
        less = expected < covariances
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    correlations = np.where(covariances == 0.0, 0.0, (low + high) / 2)
    np.fill_diagonal(correlations, 1.0)
    return correlations


def _shrunk(correlations: Floats, rows: Floats) -> Floats:
    """Correlations drawn towards none by as much as chance made them differ from it.

    (Schäfer and Strimmer, "A shrinkage approach to large-scale covariance matrix estimation", 2005, with the variance
    that a correlation of normal variables has.) With many rows hardly anything changes;
    few rows and many columns need it.
    """
    apart = ~np.eye(len(correlations), dtype=np.bool_)
    by_chance = np.sum((1 - correlations[apart] ** 2) ** 2 / np.maximum(rows[apart] - 1, 1.0))
    in_all = np.sum(correlations[apart] ** 2)
    kept = max(0.0, 1.0 - by_chance / in_all) if in_all > 0 else 0.0
    return np.where(apart, correlations * kept, 1.0)


def positive_definite(correlations: Floats, least_eigenvalue: float) -> Floats:
    """Correlations with no eigenvalue below about `least_eigenvalue`.

    Correlations of pairs, each right by itself, needn't fit together. (Eigenvalue method of Rousseeuw and Molenberghs,
    "Transformation of non positive semidefinite correlation matrices", 1993.)
    """
    values, vectors = np.linalg.eigh(correlations)
    if values[0] >= least_eigenvalue:
        return correlations
    raised = (vectors * np.maximum(values, least_eigenvalue)) @ vectors.T
    deviations = np.sqrt(np.diagonal(raised))
    fitting = raised / np.outer(deviations, deviations)
    fitting = (fitting + fitting.T) / 2
    np.fill_diagonal(fitting, 1.0)
    return np.asarray(fitting)
