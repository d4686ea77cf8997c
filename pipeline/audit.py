"""Verifies a whole run: every row against the config that `run.json` holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import LoadedConfig
from pipeline.config.load import stored_config
from pipeline.granularity import granularity
from pipeline.groups import group_classes
from pipeline.instance import Instance
from pipeline.options import stage_options
from pipeline.points import make_point
from pipeline.results import load
from pipeline.results.frames import records
from pipeline.results.schema import base_id
from pipeline.search_space import connections
from pipeline.sweep import problem_of
from pipeline.verify import Mismatch, swept_values, verify_point

Linked = Callable[[Sequence[int], Sequence[int]], bool]


@dataclass(frozen=True)
class Audit:
    """What a verification looked at and what it found."""

    points: int
    placements: int
    mismatches: tuple[Mismatch, ...]


def audit(directory: Path) -> Audit:
    """Verify every point of a run. Raises ResultsError and InputError for an unusable folder."""
    results = load(directory)
    base = stored_config(results.run)
    names = list(results.run["swept_fields"])
    variants: dict[str, LoadedConfig] = {}
    filters: dict[tuple[str, tuple[int, ...]], Linked] = {}
    segments = {
        str(point_id): records(frame.sort_values("stage"))
        for point_id, frame in results.segments.groupby("point_id")
    }
    mismatches: list[Mismatch] = []
    for row in records(results.points):
        swept = swept_values(row, names)
        key = repr(swept)
        if key not in variants:
            variants[key] = base.with_values(list(swept.items()), "swept values")
        variant = variants[key]
        sizes = tuple(int(size) for size in row["sizes"])
        if (key, sizes) not in filters:
            filters[key, sizes] = link_filter(variant.instance, sizes)
        rows = segments.get(row["point_id"], [])
        mismatches += _identity(row, variant)
        mismatches += verify_point(row, rows, variant.instance, filters[key, sizes])
    stray = set(segments) - set(results.points.point_id)
    mismatches += [Mismatch(i, "segments without a point", len(segments[i]), 0) for i in stray]
    placed = int(results.points.throughput_tokens_per_s.notna().sum())
    return Audit(len(results.points), placed, tuple(mismatches))


def _identity(row: dict[str, Any], variant: LoadedConfig) -> list[Mismatch]:
    """Recompute a point's id: a changed question does not go with the stored answer."""
    budget, weight = (
        None if row[name] != row[name] else row[name]
        for name in ("budget_usd_per_hour", "cost_weight")
    )
    point = make_point(problem_of(variant, {}), row["granularity"], row["method"], budget, weight)
    stored, asked = str(row["point_id"]), base_id(str(row["point_id"]))
    found = []
    if asked != point.point_id:
        found.append(Mismatch(stored, "question", asked, point.point_id))
    allowed = granularity(row["granularity"], variant.instance.num_layers).sizes
    if tuple(row["sizes"]) != allowed:
        found.append(Mismatch(stored, "sizes", tuple(row["sizes"]), allowed))
    return found


def link_filter(instance: Instance, sizes: tuple[int, ...]) -> Linked:
    """Return a test for whether the bandwidth filter leaves a link between two groups."""
    network = instance.network
    if network.drop_below_percentile <= 0:
        return lambda _one, _other: True
    groups = group_classes(instance)
    threshold = connections(instance, groups, stage_options(instance, sizes)).threshold_gb_per_s

    def linked(one: Sequence[int], other: Sequence[int]) -> bool:
        return min(network.between(a, b) for a in one for b in other) >= threshold

    return linked
