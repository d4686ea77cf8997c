"""Measurements and constants in, scores out at once: nothing is fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.constant_fit import predicted_tokens_per_s
from pipeline.held_out import Predicted
from pipeline.measurements import (
    NONE,
    KvBlocks,
    Measurement,
    OwnGpus,
    read_kv_blocks,
    read_measurements,
)
from pipeline.roofline.constants import ConstantTable
from pipeline.scores import ErrorScores, GroupScores
from pipeline.validation.report import SplitScores, group_scores, kv_scores, split_scores


@dataclass(frozen=True)
class GivenReport:
    """Scores of given constants on a measurement file.

    provenance: what the constants were fitted on; rows of that may be among those scored.
    by_group: by dimension and member. kv: KV-block counts, where a file was given.
    """

    rows: int
    provenance: str
    scores: SplitScores
    by_group: Mapping[str, Mapping[str, GroupScores]]
    kv: ErrorScores | None


def score(
    table: ConstantTable, measurements: Sequence[Measurement], kv: Sequence[KvBlocks] = ()
) -> GivenReport:
    """Score constants on measurements as they are."""
    part = Predicted(list(measurements), predicted_tokens_per_s(table, measurements))
    return GivenReport(
        rows=len(measurements),
        provenance=table.provenance,
        scores=split_scores(part.rows, part.tokens_per_s),
        by_group=group_scores([part]),
        kv=kv_scores(kv, table) if kv else None,
    )


def score_given(
    csv_path: str | Path,
    table: ConstantTable,
    kv_path: str | Path | None = None,
    hardware: OwnGpus = NONE,
) -> GivenReport:
    """Score constants on a CSV. Raises MeasurementError."""
    kv = read_kv_blocks(kv_path, hardware) if kv_path else ()
    return score(table, read_measurements(csv_path, hardware), kv)
