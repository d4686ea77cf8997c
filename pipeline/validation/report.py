"""A measurement file in, a report out: how far predictions are from rows that no fit had seen."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.catalogue import find_gpu
from pipeline.constant_fit import check_fittable, fit_constants, predicted_tokens_per_s
from pipeline.held_out import (
    HALF,
    Predicted,
    Split,
    Tell,
    configuration_half,
    held_out_predictions,
    left_out,
    number_of_fits,
    random_half,
    tell_nobody,
)
from pipeline.measurements import (
    NONE,
    KvBlocks,
    Measurement,
    OwnGpus,
    group_labels,
    measured_tokens_per_s,
    read_kv_blocks,
    read_measurements,
)
from pipeline.roofline.cases import case_arrays
from pipeline.roofline.compute import Numbers
from pipeline.roofline.constant_files import prior_table
from pipeline.roofline.constants import ConstantTable, resolve
from pipeline.roofline.requests import room_tokens
from pipeline.scores import (
    ChoiceScores,
    ErrorScores,
    GroupScores,
    choice_scores,
    error_scores,
    scores_by_group,
)

SEEDS = (1, 2, 3, 4, 5)
WHOLE = "half of the configurations"
LEFT_OUT_DIMENSIONS = ("source", "gpu", "model", "engine")
LENGTH_STEP = 1.25
# The block counts are never part of a fit.
FOR_KV = "all rows, for the block counts"


@dataclass(frozen=True)
class SplitScores:
    """Scores of one set of predictions.

    per_gpu, per_dollar: choice among all configurations of a workload, the batch size being
    part of the configuration; per_gpu_at_batch: among those of the same batch size.
    """

    errors: ErrorScores
    per_gpu: ChoiceScores
    per_gpu_at_batch: ChoiceScores
    per_dollar: ChoiceScores


@dataclass(frozen=True)
class Report:
    """All scores of one measurement file.

    no_fit: priors alone; halves, configuration_halves: one entry per seed, scored on the other
    half; by_group: scores of the unseen rows of all random halves, by dimension and member;
    left_out: by dimension and member left out; kv, kv_no_fit: KV-block counts, where a file was
    given, with constants fitted on the throughput rows and with priors alone; not_converged: what
    the fits were of that ended before they converged.
    """

    rows: int
    no_fit: SplitScores
    halves: tuple[SplitScores, ...]
    configuration_halves: tuple[SplitScores, ...]
    by_group: Mapping[str, Mapping[str, GroupScores]]
    left_out: Mapping[str, Mapping[str, GroupScores]]
    kv: ErrorScores | None
    kv_no_fit: ErrorScores | None
    not_converged: tuple[str, ...]

    def macro_left_out(self, dimension: str) -> float:
        """Mean over the members left out of their median errors; NaN where none was."""
        medians = [scores.median for scores in self.left_out[dimension].values()]
        return float(np.mean(medians)) if medians else float("nan")


def length_class(tokens: float) -> int:
    """Lengths within about a quarter of each other count as one workload: round(log₁.₂₅ t)."""
    return round(math.log(max(tokens, 1.0)) / math.log(LENGTH_STEP))


def workload_key(entry: Measurement) -> tuple[Hashable, ...]:
    """Key that two rows share when they are alternatives: model, phase and lengths."""
    case = entry.case
    lengths = length_class(case.input_len), length_class(case.output_len)
    return (case.shape.name, case.shape.num_hidden_layers, case.layers, case.phase, *lengths)


def _num_gpus(rows: Sequence[Measurement]) -> Numbers:
    """Count the GPUs of every row."""
    return np.array([float(entry.case.tp * entry.case.pp) for entry in rows])


def usd_per_hour(entry: Measurement) -> float:
    """Price of the GPUs of a row, $/h; NaN where the catalogue states none."""
    price = find_gpu(entry.case.gpu).usd_per_hour
    return price.value * entry.case.tp * entry.case.pp if price else float("nan")


def split_scores(rows: Sequence[Measurement], predicted: Numbers) -> SplitScores:
    """Scores of predictions for some rows."""
    measured = measured_tokens_per_s(rows)
    gpus = _num_gpus(rows)
    dollars = np.array([usd_per_hour(entry) for entry in rows])
    keys = [workload_key(entry) for entry in rows]
    batch_keys = [(*key, entry.case.requests) for key, entry in zip(keys, rows, strict=True)]
    priced = np.isfinite(dollars)
    priced_keys = [key for key, keep in zip(keys, priced, strict=True) if keep]
    return SplitScores(
        errors=error_scores(predicted, measured),
        per_gpu=choice_scores(predicted / gpus, measured / gpus, keys),
        per_gpu_at_batch=choice_scores(predicted / gpus, measured / gpus, batch_keys),
        per_dollar=choice_scores(
            (predicted / dollars)[priced], (measured / dollars)[priced], priced_keys
        ),
    )


def kv_scores(entries: Sequence[KvBlocks], table: ConstantTable) -> ErrorScores:
    """Error of the KV room, in blocks, against counted blocks."""
    cases = case_arrays([entry.case for entry in entries])
    tokens = room_tokens(cases, resolve(table, cases.labels))
    predicted = tokens / np.array([entry.block_tokens for entry in entries])
    return error_scores(predicted, np.array([entry.blocks for entry in entries]))


def group_scores(
    parts: Sequence[Predicted], only: str | None = None
) -> dict[str, Mapping[str, GroupScores]]:
    """Scores by dimension over the rows of all parts; only rows of one part are alternatives.

    only: the one dimension to score, where not all are asked for.
    """
    rows = [entry for part in parts for entry in part.rows]
    predicted = np.concatenate([part.tokens_per_s for part in parts])
    keys = [(index, *workload_key(e)) for index, part in enumerate(parts) for e in part.rows]
    measured, gpus = measured_tokens_per_s(rows), _num_gpus(rows)
    return {
        dimension: scores_by_group(predicted, measured, gpus, keys, labels)
        for dimension, labels in group_labels(rows).items()
        if only in (None, dimension)
    }


def planned_splits(measurements: Sequence[Measurement]) -> list[Split]:
    """List the splits of a report, each with at least two rows (left out: one) on either side."""
    halves = [Split(HALF, str(seed), random_half(len(measurements), seed)) for seed in SEEDS]
    whole = [Split(WHOLE, str(seed), configuration_half(measurements, seed)) for seed in SEEDS]
    usable = [s for s in (*halves, *whole) if 2 <= s.training.sum() <= s.training.size - 2]
    outs = [
        Split(dimension, member, mask)
        for dimension in LEFT_OUT_DIMENSIONS
        for member, mask in left_out(measurements, dimension).items()
    ]
    return [*usable, *outs]


def _left_out_scores(split: Split, part: Predicted) -> GroupScores:
    """Scores of the member that a split left out."""
    return group_scores([part], split.kind)[split.kind][split.member]


def report(
    measurements: Sequence[Measurement], kv: Sequence[KvBlocks] = (), tell: Tell = tell_nobody
) -> Report:
    """All scores of some measurements. tell: told before each of the fits what it is of."""
    splits = planned_splits(measurements)
    parts = list(held_out_predictions(measurements, splits, tell, following=1 if kv else 0))
    pairs = list(zip(splits, parts, strict=True))
    halves = [part for split, part in pairs if split.kind == HALF]
    whole = [part for split, part in pairs if split.kind == WHOLE]
    not_converged = _not_converged(pairs)
    fitted_kv = None
    if kv:
        tell(number_of_fits(splits), number_of_fits(splits) + 1, FOR_KV)
        table = fit_constants(measurements, "all rows")
        fitted_kv = kv_scores(kv, table)
        not_converged += [] if table.converged else [FOR_KV]
    return Report(
        rows=len(measurements),
        no_fit=split_scores(measurements, predicted_tokens_per_s(prior_table(), measurements)),
        halves=tuple(_scores(part) for part in halves),
        configuration_halves=tuple(_scores(part) for part in whole),
        by_group=group_scores(halves) if halves else {},
        left_out={
            dimension: {
                split.member: _left_out_scores(split, part)
                for split, part in pairs
                if split.kind == dimension
            }
            for dimension in LEFT_OUT_DIMENSIONS
        },
        kv=fitted_kv,
        kv_no_fit=kv_scores(kv, prior_table()) if kv else None,
        not_converged=tuple(not_converged),
    )


def _not_converged(pairs: Iterable[tuple[Split, Predicted]]) -> list[str]:
    """Name the fits that ended before they converged, each once, after its first split."""
    names: dict[int, str] = {}
    for split, part in pairs:
        if not part.converged:
            names.setdefault(id(part), split.name)
    return list(names.values())


def _scores(part: Predicted) -> SplitScores:
    """Scores of the unseen rows of a split."""
    return split_scores(part.rows, part.tokens_per_s)


def validate(
    csv_path: str | Path,
    kv_path: str | Path | None = None,
    tell: Tell = tell_nobody,
    hardware: OwnGpus = NONE,
) -> Report:
    """Score the model on a CSV of the documented form; raises MeasurementError for one at fault."""
    kv = read_kv_blocks(kv_path, hardware) if kv_path else ()
    measurements = read_measurements(csv_path, hardware)
    check_fittable(measurements, Path(csv_path).name)
    return report(measurements, kv, tell)
