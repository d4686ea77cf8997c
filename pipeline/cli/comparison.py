"""The comparison of runs, as text for people and as data for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.baseline import BaselineTry, stored_tries
from pipeline.cli.comparison_tables import claims_view, granularity_view, method_view, runs_view
from pipeline.cli.render import baseline_view, plain
from pipeline.compare import (
    DEFAULT_TOLERANCE_PERCENT,
    Comparison,
    GranularityRow,
    RunComparison,
    advise,
    claims_apply,
    compare_runs,
    unfinished,
    unplaced,
)
from pipeline.compare.advice import Advice, about_load, about_target, against_baseline, found_with
from pipeline.results.frames import Results, asked
from pipeline.words import counted, per_million

_TABLE_NAMES = {
    "tokens_per_s": "throughput_tokens_per_s",
    "usd_per_hour": "cost_usd_per_hour",
    "usd_per_token": "cost_usd_per_token",
}


def comparison_view(
    results: Results, tolerance_percent: float = DEFAULT_TOLERANCE_PERCENT
) -> RenderableType:
    """Draw the whole comparison of a run, ending in what to do."""
    comparison = Comparison(results)
    rows = comparison.granularities
    advice = advise(comparison, tolerance_percent)
    said = what_was_found(results, None if advice is None else advice.best)
    parts: list[RenderableType] = [Text(f"{results.directory}: {said}")]
    parts += [Text(text) for text in [unfinished(results)] if text]
    parts.append(Text())
    tries = stored_tries(results.run)
    if tries:
        parts += [baseline_view(tries, bool(results.run["swept_fields"])), Text()]
    if rows:
        parts += [granularity_view(rows, claims_apply(results)), Text()]
        parts += [method_view(comparison.methods), Text()]
    if comparison.claims:
        parts += [claims_view(comparison.claims), Text()]
    for name, points, reason in unplaced(results):
        parts.append(Text(f"{name}: none of {counted(points, 'point')} has a placement; {reason}"))
    if advice is not None:
        parts += [Text("Recommendation", style="bold"), Text(advice.run_this)]
        parts += [Text(s) for s in about_target(results, advice.best)]
        parts += [Text(s) for s in about_load(results, advice.best)]
        parts += [Text(proof_of(advice)), Text(advice.search_this)]
    return Group(*parts)


def run_to_run_views(runs: Sequence[Results]) -> Iterator[RenderableType]:
    """Draw what changed from each run to the next."""
    for comparison in _each_to_next(runs):
        yield runs_view(comparison)


def comparison_json(
    results: Results, tolerance_percent: float = DEFAULT_TOLERANCE_PERCENT
) -> dict[str, Any]:
    """Return the comparison of a run as plain data."""
    comparison = Comparison(results)
    advice = advise(comparison, tolerance_percent)
    report = {
        "directory": str(results.directory),
        "baseline": [_baseline_json(tried) for tried in stored_tries(results.run)],
        "unfinished": unfinished(results) or None,
        "granularities": [_row(asdict(row)) for row in comparison.granularities],
        "methods": [_row(asdict(row)) for row in comparison.methods],
        "claims": [asdict(row) for row in comparison.claims],
        "recommendation": None if advice is None else _advice_json(advice),
    }
    return dict(plain(report))


def run_to_run_json(runs: Sequence[Results]) -> list[dict[str, Any]]:
    """Return what changed from each run to the next as plain data."""
    changes = [
        {
            "before": str(comparison.before.directory),
            "after": str(comparison.after.directory),
            "fields": [asdict(change) for change in comparison.fields],
            "answers": [
                {
                    **asdict(answer),
                    "before": answer.before and _row(asdict(answer.before)),
                    "after": answer.after and _row(asdict(answer.after)),
                    "percent": answer.percent,
                }
                for answer in comparison.answers
            ],
            "shared_points": comparison.shared_points,
            "contradictions": list(comparison.contradictions),
        }
        for comparison in _each_to_next(runs)
    ]
    return list(plain(changes))


def what_was_found(results: Results, best: GranularityRow | None) -> str:
    """Say in one sentence what the run found; best: the row that is recommended."""
    if best is None:
        return f"none of {counted(len(asked(results.points)), 'point')} has a placement"
    where = f" with {found_with(best)}" if best.swept else ""
    return (
        f"lowest cost {per_million(best.usd_per_token)} per million tokens at "
        f"{best.granularity}{where}{against_baseline(best.percent_to_baseline, bool(best.swept))} "
        f"({best.tokens_per_s:,.0f} tokens/s for ${best.usd_per_hour:.2f}/h)"
    )


def proof_of(advice: Advice) -> str:
    """Say whether a lower cost per token is possible."""
    if advice.proven:
        return "No placement of any segment size has a lower cost per token: proven."
    return "That no placement has a lower cost per token is not proven; ratio at exact proves it."


def _baseline_json(tried: BaselineTry) -> dict[str, Any]:
    """Return a try as plain data; what does not fit has no throughput and makes no tokens."""
    made: dict[str, float | None] = dict.fromkeys(("tokens_per_s", "usd_per_token"))
    if tried.fits:
        made |= {"usd_per_token": tried.usd_per_token, "tokens_per_s": tried.tokens_per_s}
    return _row(asdict(tried) | made)


def _advice_json(advice: Advice) -> dict[str, Any]:
    return {
        "placement": advice.run_this,
        "point_id": advice.best.point_id,
        "proven": advice.proven,
        "search": advice.search_this,
        "granularity": advice.search.granularity if advice.search else None,
        "method": advice.search.method if advice.search else None,
        "tolerance_percent": advice.tolerance_percent,
    }


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its figures also under the names that they have in the tables."""
    named = {name: values[short] for short, name in _TABLE_NAMES.items() if short in values}
    return {**values, **named}


def _each_to_next(runs: Sequence[Results]) -> Iterator[RunComparison]:
    return (compare_runs(before, after) for before, after in pairwise(runs))
