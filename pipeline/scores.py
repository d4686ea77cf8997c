"""Scores of predictions against measurements: arrays in, figures out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.roofline.compute import Numbers


@dataclass(frozen=True)
class ErrorScores:
    """Relative errors |predicted/measured − 1| of a set of rows, and the rank correlation."""

    rows: int
    median: float
    mean: float
    p90: float
    bias: float
    spearman: float


@dataclass(frozen=True)
class GroupScores(ErrorScores):
    """Errors of the rows of one GPU, model, phase or the like, and the choice among them alone.

    pairs, pairs_right, regret: as in `ChoiceScores`, by tokens/s per GPU.
    """

    pairs: int
    pairs_right: float
    regret: float


@dataclass(frozen=True)
class ChoiceScores:
    """How well predictions choose among configurations of one workload.

    pairs, pairs_right: pairs of configurations, and the share whose better one is predicted
    better; workloads, regret: groups of at least two, and how much of the best measured value
    the predicted best loses, mean over the groups.
    """

    pairs: int
    pairs_right: float
    workloads: int
    regret: float


def relative_errors(predicted: Numbers, measured: Numbers) -> Numbers:
    """Absolute relative errors |predicted/measured − 1|."""
    return np.abs(predicted / measured - 1.0)


def average_ranks(values: Numbers) -> Numbers:
    """Ranks from 1, ties sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[inverse])


def spearman(first: Numbers, second: Numbers) -> float:
    """Spearman's rank correlation: Pearson's of average ranks; NaN where all are equal."""
    ranks = average_ranks(first), average_ranks(second)
    if min(np.ptp(rank) for rank in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def error_scores(predicted: Numbers, measured: Numbers) -> ErrorScores:
    """Error figures of one set of rows; bias is the median of predicted/measured − 1."""
    errors = relative_errors(predicted, measured)
    return ErrorScores(
        rows=errors.size,
        median=float(np.median(errors)),
        mean=float(np.mean(errors)),
        p90=float(np.quantile(errors, 0.9)),
        bias=float(np.median(predicted / measured - 1.0)),
        spearman=spearman(predicted, measured),
    )


def grouped(keys: Sequence[Hashable]) -> list[np.ndarray]:
    """List the rows of each key, keys in order of first appearance."""
    rows: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        rows.setdefault(key, []).append(index)
    return [np.array(indices) for indices in rows.values()]


def pair_outcomes(predicted: Numbers, measured: Numbers) -> tuple[int, float]:
    """Pairs with different measured values, and how many of them are ordered right.

    A pair predicted equal counts half. Never are all pairs held at once, of which 100,000 rows
    have five billion.
    """
    order = np.lexsort((predicted, measured))
    both = np.unique(np.column_stack((measured, predicted)), axis=0, return_counts=True)[1]
    counted = measured.size * (measured.size - 1) // 2 - _pairs_alike(measured)
    halves = _pairs_alike(predicted) - _pairs(both)
    # Where measured values are the same, predicted ones ascend, and so are in no wrong order.
    return counted, counted - _descents(predicted[order]) - halves / 2.0


def _pairs(counts: NDArray[np.intp]) -> int:
    """Count the pairs within groups of so many: Σ n(n − 1)/2."""
    return int(np.sum(counts * (counts - 1) // 2))


def _pairs_alike(values: Numbers) -> int:
    """Count the pairs of equal values."""
    return _pairs(np.unique(values, return_counts=True)[1])


def _descents(values: Numbers) -> int:
    """Count the pairs whose first value is the larger, in n·log²n steps.

    Two ranks differ first at one of their bits: for every bit, those pairs are counted whose
    higher bits are the same and of which the one with a 1 comes first.
    """
    ranks = np.unique(values, return_inverse=True)[1]
    found = 0
    for bit in range(int(ranks.max(initial=0)).bit_length()):
        higher = ranks >> (bit + 1)
        order = np.argsort(higher, kind="stable")
        ones = ranks[order] >> bit & 1
        before = np.cumsum(ones) - ones
        starts = np.searchsorted(higher[order], higher[order])
        found += int(np.sum((before - before[starts])[ones == 0]))
    return found


def choice_scores(
    predicted: Numbers, measured: Numbers, workloads: Sequence[Hashable]
) -> ChoiceScores:
    """Pairs ranked right and regret, over rows that share a workload; larger values are better."""
    groups = [rows for rows in grouped(workloads) if rows.size > 1]
    outcomes = [pair_outcomes(predicted[rows], measured[rows]) for rows in groups]
    pairs = sum(count for count, _ in outcomes)
    right = sum(good for _, good in outcomes)
    losses = [
        1.0 - measured[rows][np.argmax(predicted[rows])] / measured[rows].max() for rows in groups
    ]
    return ChoiceScores(
        pairs=pairs,
        pairs_right=right / pairs if pairs else float("nan"),
        workloads=len(groups),
        regret=float(np.mean(losses)) if losses else float("nan"),
    )


def scores_by_group(
    predicted: Numbers,
    measured: Numbers,
    gpus: Numbers,
    workloads: Sequence[Hashable],
    labels: Sequence[str],
) -> Mapping[str, GroupScores]:
    """Scores per label, in alphabetical order.

    predicted, measured: tokens/s over all GPUs; gpus: how many; workloads: what rows share that
    are alternatives of each other.
    """
    names = np.array(labels)
    found = {}
    for name in sorted(set(labels)):
        rows = np.flatnonzero(names == name)
        keys = [workloads[row] for row in rows.tolist()]
        choice = choice_scores(predicted[rows] / gpus[rows], measured[rows] / gpus[rows], keys)
        errors = error_scores(predicted[rows], measured[rows])
        found[name] = GroupScores(
            **vars(errors), pairs=choice.pairs, pairs_right=choice.pairs_right, regret=choice.regret
        )
    return found
