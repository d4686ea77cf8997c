"""Compares one run with another: what changed in the config, and what in the answers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.compare.granularities import GranularityRow, granularity_rows
from pipeline.compare.tables import percent_above
from pipeline.results.config_changes import FieldChange, changed_fields
from pipeline.results.frames import Results
from pipeline.results.schema import base_id

TOLERANCE = 1e-9
# What each method promises to find; equal optima may come in many placements.
_OBJECTIVES = {
    "enumeration": ["throughput_tokens_per_s", "cost_usd_per_hour"],
    "frontier": ["throughput_tokens_per_s", "cost_usd_per_hour"],
    "ratio": ["cost_usd_per_token"],
    "weighted": ["bound_weighted_score"],
}


@dataclass(frozen=True)
class AnswerChange:
    """The lowest $/token of one granularity in two runs; None where a run has none."""

    swept: dict[str, Any]
    granularity: str
    before: GranularityRow | None
    after: GranularityRow | None

    @property
    def percent(self) -> float | None:
        """How much more the tokens cost in the second run, %."""
        if self.before is None or self.after is None:
            return None
        return percent_above(self.after.usd_per_token, self.before.usd_per_token)


@dataclass(frozen=True)
class RunComparison:
    """Two runs side by side.

    shared_points: in both; a frontier is one. contradictions: points both proved optimal, with
    other values.
    """

    before: Results
    after: Results
    fields: tuple[FieldChange, ...]
    answers: tuple[AnswerChange, ...]
    shared_points: int
    contradictions: tuple[str, ...]


def compare_runs(before: Results, after: Results) -> RunComparison:
    """Compare two runs."""
    asked = ({base_id(i) for i in results.points.point_id} for results in (before, after))
    return RunComparison(
        before=before,
        after=after,
        fields=tuple(changed_fields(before.run["config"], after.run["config"])),
        answers=tuple(_answer_changes(before, after)),
        shared_points=len(set.intersection(*asked)),
        contradictions=tuple(sorted(_contradictions(before.points, after.points))),
    )


def _answer_changes(before: Results, after: Results) -> Iterator[AnswerChange]:
    rows = [{_key(row): row for row in granularity_rows(results)} for results in (before, after)]
    for key in dict.fromkeys([*rows[0], *rows[1]]):
        one, other = rows[0].get(key), rows[1].get(key)
        known = one or other
        assert known is not None
        yield AnswerChange(known.swept, known.granularity, one, other)


def _key(row: GranularityRow) -> tuple[str, str]:
    return json.dumps(row.swept, sort_keys=True, default=str), row.granularity


def _contradictions(before: pd.DataFrame, after: pd.DataFrame) -> Iterator[str]:
    """Yield the points that both runs proved, of which they say different things."""
    pairs = before.merge(after, on=["point_id", "method"], suffixes=("_1", "_2"))
    for _, row in pairs[(pairs.status_1 == "optimal") & (pairs.status_2 == "optimal")].iterrows():
        for name in _OBJECTIVES.get(row.method, []):
            one, other = float(row[f"{name}_1"]), float(row[f"{name}_2"])
            if not math.isclose(one, other, rel_tol=TOLERANCE):
                yield str(row.point_id)
                break
