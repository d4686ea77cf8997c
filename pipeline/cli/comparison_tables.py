"""The tables of a comparison, for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.cli.render import grid, per_million, signed_percent
from pipeline.compare import ClaimRow, GranularityRow, MethodRow, RunComparison, band
from pipeline.compare.claims import AFTER, BEFORE, SOURCE


def granularity_view(rows: Sequence[GranularityRow]) -> RenderableType:
    """Show the lowest $/token of every granularity beside what it took."""
    swept = _swept_columns(rows)
    table = grid(
        "Lowest cost per token by granularity",
        [
            *swept,
            ("granularity", "left"),
            ("$/M tokens", "right"),
            ("tokens/s", "right"),
            ("$/h", "right"),
            ("to baseline", "right"),
            ("target band", "left"),
            ("to exact", "right"),
            ("proof", "left"),
            ("by", "left"),
        ],
    )
    for row in rows:
        table.add_row(
            *map(str, row.swept.values()),
            row.granularity,
            per_million(row.usd_per_token),
            f"{row.tokens_per_s:,.0f}",
            f"{row.usd_per_hour:.2f}",
            signed_percent(row.percent_to_baseline),
            band(row.percent_to_baseline),
            signed_percent(row.percent_to_exact),
            row.status,
            row.method,
        )
    return Group(table, Text(), effort_view(rows), Text(), usage_view(rows))


def effort_view(rows: Sequence[GranularityRow]) -> RenderableType:
    """Show what every granularity took, beside the size of its search space."""
    table = grid(
        "Effort by granularity",
        [
            *_swept_columns(rows),
            ("granularity", "left"),
            ("options", "right"),
            ("binaries", "right"),
            ("points", "right"),
            ("infeasible", "right"),
            ("failed", "right"),
            ("models", "right"),
            ("build + solve s", "right"),
            ("speed-up to exact", "right"),
        ],
    )
    for row in rows:
        speed_up = row.speed_up_to_exact
        counts = (row.options, row.binaries, row.points, row.infeasible, row.failed, row.models)
        table.add_row(
            *map(str, row.swept.values()),
            row.granularity,
            *(f"{count:,}" for count in counts),
            f"{row.solve_seconds:.2f}",
            "–" if speed_up is None else f"× {speed_up:.1f}",
        )
    return table


def usage_view(rows: Sequence[GranularityRow]) -> RenderableType:
    """Show which segments the best placement of every granularity uses."""
    table = grid(
        "Segments of these placements",
        [*_swept_columns(rows), ("granularity", "left"), ("segments", "left")],
    )
    for row in rows:
        used = ", ".join(map(str, row.segments_used))
        table.add_row(*map(str, row.swept.values()), row.granularity, used)
    return table


def method_view(rows: Sequence[MethodRow]) -> RenderableType:
    """Show how far every method stayed from the proven optimum of its granularity."""
    table = grid(
        "Methods: distance from the proven optimum of the same granularity",
        [
            *_swept_columns(rows),
            ("granularity", "left"),
            ("method", "left"),
            ("$/M tokens", "right"),
            ("to optimum", "right"),
            ("points", "right"),
            ("placed", "right"),
            ("infeasible", "right"),
            ("failed", "right"),
            ("models", "right"),
            ("build + solve s", "right"),
        ],
    )
    for row in rows:
        table.add_row(
            *map(str, row.swept.values()),
            row.granularity,
            row.method,
            "–" if row.usd_per_token is None else per_million(row.usd_per_token),
            signed_percent(row.percent_to_optimum),
            *(str(n) for n in (row.points, row.placed, row.infeasible, row.failed, row.models)),
            f"{row.solve_seconds:.2f}",
        )
    return table


def claims_view(rows: Sequence[ClaimRow]) -> RenderableType:
    """Set the published claims beside what was measured."""
    table = grid(
        f"Claimed ({SOURCE}) beside measured (this run)",
        [
            ("quantity", "left"),
            ("14 sizes, claimed", "right"),
            (f"{BEFORE}, measured", "right"),
            ("6 sizes, claimed", "right"),
            (f"{AFTER}, measured", "right"),
            ("on the claim", "left"),
        ],
    )
    for row in rows:
        claim = row.claim
        figures = (claim.before, row.measured_before, claim.after, row.measured_after)
        table.add_row(claim.quantity, *(figure or "–" for figure in figures), claim.note)
    return table


def runs_view(comparison: RunComparison) -> RenderableType:
    """Show what differs between two runs."""
    before, after = comparison.before.directory, comparison.after.directory
    fields = grid(
        f"Config: {before} → {after}", [("field", "left"), ("before", "left"), ("after", "left")]
    )
    for change in comparison.fields:
        fields.add_row(change.field, *(_short(value) for value in (change.before, change.after)))
    answers = grid(
        "Lowest cost per token, $/M tokens",
        [
            *((name, "left") for name in _swept_names(comparison)),
            ("granularity", "left"),
            ("before", "right"),
            ("after", "right"),
            ("change", "right"),
        ],
    )
    for answer in comparison.answers:
        prices = (
            "–" if row is None else per_million(row.usd_per_token)
            for row in (answer.before, answer.after)
        )
        values = (_short(answer.swept.get(name)) for name in _swept_names(comparison))
        answers.add_row(*values, answer.granularity, *prices, signed_percent(answer.percent))
    parts: list[RenderableType] = [fields if comparison.fields else Text("Same config."), Text()]
    parts += [answers, Text(f"{comparison.shared_points} points are in both runs.")]
    if comparison.contradictions:
        ids = ", ".join(comparison.contradictions)
        parts.append(Text(f"Proved differently in the two runs: {ids}", style="red"))
    return Group(*parts)


def _swept_names(comparison: RunComparison) -> list[str]:
    return list(dict.fromkeys(name for answer in comparison.answers for name in answer.swept))


def _swept_columns(rows: Sequence[GranularityRow | MethodRow]) -> list[tuple[str, str]]:
    return [(name, "left") for name in rows[0].swept] if rows else []


def _short(value: Any, most: int = 60) -> str:
    text = "–" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= most else text[: most - 1] + "…"
