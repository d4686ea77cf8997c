"""Least squares that shrugs off outliers and leans on priors: residuals in, estimate out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """Posterior mode and its Gaussian approximation."""

    position: Numbers
    covariance: Numbers
    objective: float
    converged: bool


@dataclass(frozen=True)
class Belief:
    """Normal prior of the unknowns θ: means and standard deviations, both of shape (p,)."""

    mean: Numbers
    deviation: Numbers


@dataclass(frozen=True)
class Noise:
    """Student-t noise of the residuals: scale, and degrees of freedom ν."""

    scale: float
    freedom: float


def loss(residual: Numbers, noise: Noise) -> Numbers:
    """Negative log density of Student-t noise, without constants: (ν+1)/2·ln(1 + r²/(ν·σ²))."""
    ratio = residual**2 / (noise.freedom * noise.scale**2)
    return np.asarray((noise.freedom + 1.0) / 2.0 * np.log1p(ratio))


def influence(residual: Numbers, noise: Noise) -> Numbers:
    """Weight of each residual in the equivalent least squares: (ν+1)/(ν·σ² + r²)."""
    return (noise.freedom + 1.0) / (noise.freedom * noise.scale**2 + residual**2)


def fit(
    residuals: Callable[[Numbers], Numbers],
    jacobian: Callable[[Numbers, Numbers], Numbers],
    weights: Numbers,
    before: Belief,
    noise: Noise,
    max_iterations: int = 60,
) -> Estimate:
    """Minimise Σ w·loss(r(θ)) + ½ Σ ((θ − μ)/s)² by damped, reweighted Gauss-Newton steps.

    residuals(θ): r, (n,); jacobian(θ, r): dr/dθ, (n, p); weights w, (n,); before: μ, where
    the fit begins, and s. Each step solves (JᵀWJ + 1/s² + λ·diag)δ = −gradient
    and is kept only if the objective falls. The covariance is the inverse of JᵀWJ + 1/s² at the
    end. Source: Huber, "Robust Statistics" (iteratively reweighted least squares); Levenberg
    and Marquardt for λ.
    """
    precision = 1.0 / before.deviation**2

    def objective(position: Numbers, residual: Numbers) -> float:
        misfit = float(np.sum(weights * loss(residual, noise)))
        return misfit + 0.5 * float(np.sum(precision * (position - before.mean) ** 2))

    position = before.mean.copy()
    residual = residuals(position)
    value, damping, converged = objective(position, residual), 1e-2, False
    for _ in range(max_iterations):
        slope = jacobian(position, residual)
        curvature, gradient = _normal(
            slope, residual, weights, noise, precision, position - before.mean
        )
        for _ in range(8):
            damped = curvature + damping * np.diag(np.diag(curvature))
            step = np.clip(np.linalg.solve(damped, -gradient), -0.7, 0.7)
            trial = residuals(position + step)
            trial_value = objective(position + step, trial)
            if np.isfinite(trial_value) and trial_value < value:
                break
            damping *= 4.0
        else:
            converged = True
            break
        gain, value = value - trial_value, trial_value
        position, residual, damping = position + step, trial, max(damping / 5.0, 1e-6)
        if gain < 1e-4 * max(abs(value), 1.0):
            converged = True
            break
    slope = jacobian(position, residual)
    curvature, _ = _normal(slope, residual, weights, noise, precision, position - before.mean)
    return Estimate(position, _inverse(curvature), value, converged)


def _inverse(matrix: Numbers) -> Numbers:
    """Inverse of a symmetric positive definite matrix."""
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _normal(
    slope: Numbers,
    residual: Numbers,
    weights: Numbers,
    noise: Noise,
    precision: Numbers,
    moved: Numbers,
) -> tuple[Numbers, Numbers]:
    """Curvature JᵀWJ + 1/s² and gradient JᵀWr + (θ − μ)/s² of the reweighted problem."""
    importance = weights * influence(residual, noise)
    curvature = slope.T @ (importance[:, None] * slope) + np.diag(precision)
    return curvature, slope.T @ (importance * residual) + precision * moved
