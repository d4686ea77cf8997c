"""A report as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from rich.console import Group
from rich.table import Table

from pipeline.scores import ErrorScores
from pipeline.validation.report import Report, SplitScores

TARGETS = {
    "median error, halves": 0.09,
    "pairs right, halves": 0.965,
    "regret, halves": 0.006,
    "source left out, macro median": 0.17,
    "median error, no fit": 0.15,
    "KV blocks, median error": 0.04,
    "KV blocks, median error, no fit": 0.04,
}


def percent(share: float) -> str:
    """Format a share as a percentage; a dash where there is none."""
    return f"{100.0 * share:.2f} %" if np.isfinite(share) else "-"


def mean_and_range(splits: Sequence[SplitScores], read: Callable[[SplitScores], float]) -> str:
    """Mean over the splits, with the smallest and largest beside it."""
    values = [read(split) for split in splits]
    if not values:
        return "-"
    return f"{percent(float(np.mean(values)))} ({percent(min(values))} to {percent(max(values))})"


FIGURES: Mapping[str, Callable[[SplitScores], float]] = {
    "median error": lambda split: split.errors.median,
    "mean error": lambda split: split.errors.mean,
    "90th percentile of error": lambda split: split.errors.p90,
    "Spearman": lambda split: split.errors.spearman,
    "pairs right, tokens/s per GPU": lambda split: split.per_gpu.pairs_right,
    "pairs right, same batch size": lambda split: split.per_gpu_at_batch.pairs_right,
    "pairs right, tokens/$": lambda split: split.per_dollar.pairs_right,
    "regret, tokens/s per GPU": lambda split: split.per_gpu.regret,
    "regret, same batch size": lambda split: split.per_gpu_at_batch.regret,
    "regret, tokens/$": lambda split: split.per_dollar.regret,
}


def headline_table(report: Report) -> Table:
    """All figures: random halves, halves of whole configurations, and no fit at all."""
    table = Table(title=f"Unseen rows of {report.rows}: mean over the seeds (smallest to largest)")
    for heading in ("figure", "random halves", "halves of configurations", "no fit"):
        table.add_column(heading)
    for name, read in FIGURES.items():
        table.add_row(
            name,
            mean_and_range(report.halves, read),
            mean_and_range(report.configuration_halves, read),
            percent(read(report.no_fit)),
        )
    return table


def reached(report: Report) -> dict[str, float]:
    """Collect the figures that have a target."""

    def mean(read: Callable[[SplitScores], float]) -> float:
        return float(np.mean([read(split) for split in report.halves])) if report.halves else np.nan

    return {
        "median error, halves": mean(lambda split: split.errors.median),
        "pairs right, halves": mean(lambda split: split.per_gpu.pairs_right),
        "regret, halves": mean(lambda split: split.per_gpu.regret),
        "source left out, macro median": report.macro_left_out("source"),
        "median error, no fit": report.no_fit.errors.median,
        "KV blocks, median error": report.kv.median if report.kv else np.nan,
        "KV blocks, median error, no fit": report.kv_no_fit.median if report.kv_no_fit else np.nan,
    }


def target_table(report: Report) -> Table:
    """Reached figures beside their targets."""
    table = Table(title="Targets")
    for heading in ("figure", "reached", "target", ""):
        table.add_column(heading)
    for name, value in reached(report).items():
        goal = TARGETS[name]
        met = value >= goal if "right" in name else value <= goal
        verdict = "met" if met else ("missed" if np.isfinite(value) else "not scored")
        sign = "at least" if "right" in name else "at most"
        table.add_row(name, percent(value), f"{sign} {percent(goal)}", verdict)
    return table


def error_table(title: str, scores: Mapping[str, ErrorScores]) -> Table:
    """Error figures per member of one dimension."""
    table = Table(title=title)
    for heading in ("", "rows", "median", "mean", "p90", "bias", "Spearman"):
        table.add_column(heading)
    for name, entry in scores.items():
        table.add_row(
            name,
            str(entry.rows),
            percent(entry.median),
            percent(entry.mean),
            percent(entry.p90),
            percent(entry.bias),
            f"{entry.spearman:.3f}",
        )
    return table


def report_tables(report: Report) -> Group:
    """Lay out the whole report."""
    groups = [
        error_table(f"By {dimension}: unseen rows of the random halves", scores)
        for dimension, scores in report.by_group.items()
    ]
    outs = [
        error_table(
            f"Left out by {dimension}; macro median {percent(report.macro_left_out(dimension))}",
            scores,
        )
        for dimension, scores in report.left_out.items()
        if scores
    ]
    return Group(target_table(report), headline_table(report), *groups, *outs)
