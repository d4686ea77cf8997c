"""Splits of measurements, and predictions for rows that the fit behind them had not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.catalogue import find_gpu
from pipeline.constant_fit import fit_constants, predicted_tokens_per_s, source_weights
from pipeline.measurements import Measurement, group_labels, measured_tokens_per_s
from pipeline.roofline.compute import Numbers
from pipeline.roofline.constant_files import prior_table
from pipeline.roofline.constants import ConstantTable, Spread

Mask = NDArray[np.bool_]
Predictor = Callable[[Sequence[Measurement], Sequence[Measurement]], tuple[Numbers, bool]]
"""Training and test rows in; tokens/s of the test rows, and whether the fit converged, out."""
Tell = Callable[[int, int, str], None]
"""Told before each fit: how many are made, how many there will be, and what comes now."""
FLOOR = 0.02
HALF = "random half"


@dataclass(frozen=True)
class Split:
    """Rows to train on; kind and member say what the others are, as `source` and `argonne`."""

    kind: str
    member: str
    training: Mask

    @property
    def name(self) -> str:
        """What a fit on its rows is told as."""
        return f"{self.kind} {self.member}"


class Predicted(NamedTuple):
    """Rows and what was predicted for them, tokens/s; converged: whether the fit behind it did."""

    rows: list[Measurement]
    tokens_per_s: Numbers
    converged: bool = True


def tell_nobody(_made: int, _total: int, _what: str) -> None:
    """Say nothing of how far the fits are."""


def fitted_prediction(
    training: Sequence[Measurement],
    testing: Sequence[Measurement],
    start: ConstantTable | None = None,
) -> tuple[Numbers, bool]:
    """Predicted tokens/s of the test rows, from constants fitted on the training rows only.

    start: what the fit starts from, by default the priors.
    """
    table = fit_constants(training, "training rows of a split", start=start)
    return predicted_tokens_per_s(table, testing), table.converged


def random_half(count: int, seed: int) -> Mask:
    """Rows to train on: each with probability one half, from a seeded generator."""
    return np.random.default_rng(seed).random(count) < 0.5


def configuration_half(measurements: Sequence[Measurement], seed: int) -> Mask:
    """Rows to train on, whole configurations (source, GPU, model, engine, TP, PP) at a time.

    Harder than `random_half`: no other batch size or length of a test configuration was seen.
    """
    keys = [
        (entry.source, find_gpu(case.gpu).name, case.shape.name, case.engine, case.tp, case.pp)
        for entry in measurements
        for case in (entry.case,)
    ]
    chosen = random_half(len(set(keys)), seed)
    side = dict(zip(sorted(set(keys)), chosen, strict=True))
    return np.array([side[key] for key in keys])


def left_out(measurements: Sequence[Measurement], dimension: str) -> dict[str, Mask]:
    """Rows to train on when each member of a dimension is left out; none where only one is."""
    labels = np.array(group_labels(measurements)[dimension])
    members = sorted(set(labels.tolist()))
    return {member: labels != member for member in members} if len(members) > 1 else {}


def picked(measurements: Sequence[Measurement], mask: Mask) -> list[Measurement]:
    """Measurements where the mask holds."""
    return [entry for entry, keep in zip(measurements, mask, strict=True) if keep]


def held_out_prediction(
    measurements: Sequence[Measurement], training: Mask, predict: Predictor = fitted_prediction
) -> Predicted:
    """Rows outside the training mask, and what a fit on the rows inside predicts for them."""
    testing = picked(measurements, ~training)
    return Predicted(testing, *predict(picked(measurements, training), testing))


def number_of_fits(splits: Sequence[Split]) -> int:
    """Count the fits that splits take: those of the same rows share one."""
    return len({split.training.tobytes() for split in splits})


def held_out_predictions(
    measurements: Sequence[Measurement],
    splits: Sequence[Split],
    tell: Tell = tell_nobody,
    following: int = 0,
    predict: Predictor = fitted_prediction,
) -> Iterator[Predicted]:
    """Predict the unseen rows of every split; splits of the same rows share one fit.

    following: fits that the caller will make afterwards, to be counted among those to come.
    """
    found: dict[bytes, Predicted] = {}
    total = number_of_fits(splits) + following
    for split in splits:
        key = split.training.tobytes()
        if key not in found:
            tell(len(found), total, split.name)
            found[key] = held_out_prediction(measurements, split.training, predict)
        yield found[key]


def weighted_quantiles(values: Numbers, weights: Numbers, shares: Sequence[float]) -> list[float]:
    """Quantiles of weighted values: the smallest value with at least that share of the weight."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / np.sum(weights)
    positions = np.searchsorted(reached, np.asarray(shares) - 1e-12)
    return [float(value) for value in values[order][np.minimum(positions, values.size - 1)]]


def ratio_range(parts: Sequence[Predicted]) -> tuple[float, float] | None:
    """10th and 90th percentile of measured / predicted over all splits' unseen rows.

    Every source weighs the same. None without a split.
    """
    if not parts:
        return None
    testing = [entry for part in parts for entry in part.rows]
    predicted = np.concatenate([part.tokens_per_s for part in parts])
    weights = source_weights([entry.source for entry in testing])
    ratios = measured_tokens_per_s(testing) / predicted
    low, high = weighted_quantiles(ratios, weights, (0.1, 0.9))
    return min(low, 1.0 - FLOOR), max(high, 1.0 + FLOOR)


def spread_splits(measurements: Sequence[Measurement]) -> list[Split]:
    """Splits that the prediction spread rests on: two random halves, and each source left out."""
    halves = {str(seed): random_half(len(measurements), seed) for seed in (101, 102)}
    return [
        Split(kind, member, mask)
        for kind, masks in ((HALF, halves), ("source", left_out(measurements, "source")))
        for member, mask in masks.items()
        if mask.any() and not mask.all()
    ]


def prediction_spread(
    measurements: Sequence[Measurement],
    tell: Tell = tell_nobody,
    start: ConstantTable | None = None,
) -> Spread | None:
    """Range of measured over predicted: two random halves (known), each source left out (unknown).

    The range of what is unknown is no narrower than that of what is known, and the prior's where
    no source can be left out. None, so that the range before the fit stays, when there are too few
    rows to hold any out. start: what the fits start from, by default the priors; no range is
    narrower than that of a table to start from, which goes on to speak for what these rows lack.
    """
    splits = spread_splits(measurements)
    predict = partial(fitted_prediction, start=start)
    parts = list(held_out_predictions(measurements, splits, tell, following=1, predict=predict))
    known = ratio_range([p for p, s in zip(parts, splits, strict=True) if s.kind == HALF])
    unknown = ratio_range([p for p, s in zip(parts, splits, strict=True) if s.kind != HALF])
    if known is None:
        return None
    # With one source, no row tells how far a fit is off on what it has not seen.
    unknown = unknown or (start or prior_table()).spread.unknown
    if start is not None:
        known, unknown = _hull(known, start.spread.known), _hull(unknown, start.spread.unknown)
    return Spread(known, _hull(unknown, known))


def _hull(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Return the range that holds two ranges."""
    return min(one[0], other[0]), max(one[1], other[1])
