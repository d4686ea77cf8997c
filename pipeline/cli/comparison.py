"""The comparison of a run, as text for people and as data for machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.baseline import BaselineTry
from pipeline.cli.render import baseline_view, granularity_view, per_million
from pipeline.compare import GranularityRow, granularity_rows, unplaced
from pipeline.results.frames import Results


def comparison_view(results: Results) -> RenderableType:
    """Draw the whole comparison of a run."""
    rows = granularity_rows(results)
    parts: list[RenderableType] = [Text(f"{results.directory}: {headline(results, rows)}"), Text()]
    tries = _baseline(results)
    if tries:
        parts += [baseline_view(tries), Text()]
    if rows:
        parts += [granularity_view(rows), Text()]
    for name, points, reason in unplaced(results):
        parts.append(Text(f"{name}: none of {points} points has a placement; {reason}"))
    return Group(*parts)


def comparison_json(results: Results) -> dict[str, Any]:
    """Return the comparison of a run as plain data."""
    return {
        "directory": str(results.directory),
        "baseline": [
            {**asdict(tried), "usd_per_token": tried.usd_per_token if tried.fits else None}
            for tried in _baseline(results)
        ],
        "granularities": [asdict(row) for row in granularity_rows(results)],
    }


def headline(results: Results, rows: list[GranularityRow]) -> str:
    """Say in one sentence what the run found."""
    if not rows:
        return f"none of {len(results.points)} points has a placement"
    best = min(rows, key=lambda row: row.usd_per_token)
    distance = best.percent_to_baseline
    against = "" if distance is None else f", {abs(distance):.1f} % "
    if distance is not None:
        against += "below the baseline" if distance < 0 else "above the baseline"
    return (
        f"lowest cost {per_million(best.usd_per_token)} per million tokens at "
        f"{best.granularity}{against} ({best.tokens_per_s:,.0f} tokens/s for "
        f"${best.usd_per_hour:.2f}/h)"
    )


def _baseline(results: Results) -> list[BaselineTry]:
    """Return the baseline's tries as `run.json` holds them."""
    return [BaselineTry(**tried) for tried in results.run["baseline"]]
