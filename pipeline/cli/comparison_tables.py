"""The tables of a comparison, for people."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.compare import ClaimRow, GranularityRow, MethodRow, RunComparison, band
from pipeline.compare.advice import TARGET_BAND_PERCENT
from pipeline.compare.claims import AFTER, BEFORE, SOURCE
from pipeline.grids import Column, Grid, apart, figures, names, texts
from pipeline.words import counted, per_million, short_name, signed_percent

Row = TypeVar("Row", GranularityRow, MethodRow)


def granularity_view(rows: Sequence[GranularityRow], is_published: bool) -> RenderableType:
    """Show the lowest $/token of every granularity, what it is made of, and what it took.

    is_published: whether they are of the instance that the published target is about.
    """
    used = _by_granularity(
        "Segments of these placements",
        rows,
        [texts("segments")],
        lambda row: (", ".join(map(str, row.segments_used)),),
    )
    has_baseline = any(row.percent_to_baseline is not None for row in rows)
    said = [Text(_published_target(rows))] if is_published and has_baseline else []
    return apart(_prices_view(rows), *said, used, _effort_view(rows))


def _prices_view(rows: Sequence[GranularityRow]) -> Grid:
    return _by_granularity(
        "Lowest cost per token by granularity",
        rows,
        [
            figures("$/M tokens"),
            figures("tokens/s", spare=1),
            figures("$/h"),
            figures("against\nbaseline"),
            figures("against\nexact"),
            names("status", spare=2),
            names("by", spare=3),
        ],
        lambda row: (
            per_million(row.usd_per_token),
            f"{row.tokens_per_s:,.0f}",
            f"{row.usd_per_hour:.2f}",
            signed_percent(row.percent_to_baseline),
            signed_percent(row.percent_to_exact),
            row.status,
            row.method,
        ),
    )


def _published_target(rows: Sequence[GranularityRow]) -> str:
    """Say where prices lie in the published target band."""
    near, far = TARGET_BAND_PERCENT
    bands = ", ".join(f"{row.granularity}: {band(row.percent_to_baseline)}" for row in rows)
    return f"Published target, within {near:g}–{far:g} % of the baseline: {bands}"


def _effort_view(rows: Sequence[GranularityRow]) -> Grid:
    return _by_granularity(
        "Search space, and what the points took",
        rows,
        [
            figures("options"),
            figures("segments", spare=4),
            figures("connections", spare=4),
            figures("binaries", spare=2),
            figures("points"),
            figures("failed", spare=1),
            figures("models", spare=5),
            figures("build +\nsolve s"),
            figures("speed-up\nto exact", spare=3),
        ],
        lambda row: (
            *(f"{n:,}" for n in (row.options, row.segments, row.connections, row.binaries)),
            *(str(n) for n in (row.points, row.failed, row.models)),
            f"{row.solve_seconds:.3f}",
            "–" if row.speed_up_to_exact is None else f"× {row.speed_up_to_exact:.1f}",
        ),
    )


def method_view(rows: Sequence[MethodRow]) -> RenderableType:
    """Show how far every method stayed from the proven optimum of its granularity."""
    return _by_granularity(
        "Methods: distance from the proven optimum of the same granularity",
        rows,
        [
            names("method"),
            figures("$/M tokens"),
            figures("to\noptimum"),
            figures("points", spare=3),
            figures("placed", spare=4),
            figures("failed", spare=2),
            figures("models", spare=5),
            figures("build +\nsolve s", spare=1),
        ],
        lambda row: (
            row.method,
            "–" if row.usd_per_token is None else per_million(row.usd_per_token),
            signed_percent(row.percent_to_optimum),
            *(str(n) for n in (row.points, row.placed, row.failed, row.models)),
            f"{row.solve_seconds:.3f}",
        ),
    )


def _by_granularity(
    title: str,
    rows: Sequence[Row],
    columns: Sequence[Column],
    cells: Callable[[Row], tuple[str, ...]],
) -> Grid:
    """Return a table with a line for every granularity and set of swept values."""
    swept: list[str] = list(rows[0].swept) if rows else []
    table = Grid(title, [*_swept_heads(swept), names("granularity"), *columns])
    for row in rows:
        table.add_row(*(str(row.swept[name]) for name in swept), row.granularity, *cells(row))
    return table


def claims_view(rows: Sequence[ClaimRow]) -> RenderableType:
    """Set the published claims beside what was measured."""
    table = Grid(
        f"Claimed ({SOURCE}) beside measured (this run)",
        [
            names("quantity"),
            figures("14 sizes,\nclaimed"),
            figures(f"{BEFORE},\nmeasured"),
            figures("6 sizes,\nclaimed"),
            figures(f"{AFTER},\nmeasured"),
        ],
    )
    for row in rows:
        claim = row.claim
        cells = (claim.before, row.measured_before, claim.after, row.measured_after)
        table.add_row(claim.quantity, *(cell or "–" for cell in cells))
    notes = [f"{row.claim.quantity}: {row.claim.note}" for row in rows if row.claim.note]
    return Group(table, Text(f"On the claims: {'; '.join(notes)}."))


def runs_view(comparison: RunComparison) -> RenderableType:
    """Show what differs between two runs."""
    before, after = comparison.before.directory, comparison.after.directory
    fields = Grid(f"Config: {before} → {after}", [names("field"), texts("before"), texts("after")])
    for change in comparison.fields:
        fields.add_row(change.field, *(_short(value) for value in (change.before, change.after)))
    swept = _swept_names(comparison)
    answers = Grid(
        "Lowest cost per token, $/M tokens",
        [
            *_swept_heads(swept),
            names("granularity"),
            figures("before"),
            figures("after"),
            figures("change"),
        ],
    )
    for answer in comparison.answers:
        prices = (
            "–" if row is None else per_million(row.usd_per_token)
            for row in (answer.before, answer.after)
        )
        values = (_short(answer.swept.get(name)) for name in swept)
        answers.add_row(*values, answer.granularity, *prices, signed_percent(answer.percent))
    parts: list[RenderableType] = [fields if comparison.fields else Text("Same config."), Text()]
    parts += [answers, Text(f"In both runs: {counted(comparison.shared_points, 'point')}.")]
    if comparison.contradictions:
        ids = ", ".join(comparison.contradictions)
        parts.append(Text(f"Proved differently in the two runs: {ids}", style="red"))
    return Group(*parts)


def _swept_heads(swept: Sequence[str]) -> list[Column]:
    """Return the columns of swept fields; the parts of a name stand below each other.

    So do its words where many columns need the room.
    """
    ends = "[.]" if len(swept) < 3 else "[._]"
    return [names(re.sub(f"({ends})", r"\1\n", short_name(field, swept))) for field in swept]


def _swept_names(comparison: RunComparison) -> list[str]:
    return list(dict.fromkeys(name for answer in comparison.answers for name in answer.swept))


def _short(value: Any, most: int = 60) -> str:
    text = "–" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= most else text[: most - 1] + "…"
