"""A report as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from rich.console import Group

from pipeline.grids import Grid, apart, figures, names
from pipeline.scores import ErrorScores, GroupScores
from pipeline.validation.given import GivenReport
from pipeline.validation.report import Report, SplitScores
from pipeline.words import counted

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
    return f"{100.0 * share:z.2f} %" if np.isfinite(share) else "-"


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


def _of_seeds(name: str, splits: Sequence[SplitScores]) -> list[float]:
    """Return a figure of every split that has it; too few rows may leave nothing to choose from."""
    return [value for value in map(FIGURES[name], splits) if np.isfinite(value)]


def seed_mean(name: str, splits: Sequence[SplitScores]) -> float:
    """Mean of a figure over the splits that have it; NaN where none has."""
    values = _of_seeds(name, splits)
    return float(np.mean(values)) if values else np.nan


def mean_and_range(name: str, splits: Sequence[SplitScores]) -> str:
    """Write the mean of a figure, with the smallest and largest beside it."""
    values = _of_seeds(name, splits)
    if not values:
        return "-"
    mean, low, high = (_shown(name, v) for v in (seed_mean(name, splits), min(values), max(values)))
    return f"{mean} ({low} to {high})"


def headline_table(report: Report) -> Grid:
    """All figures: random halves, halves of whole configurations, and no fit at all."""
    columns = [
        names("figure"),
        names("random halves"),
        names("halves of\nconfigurations", spare=1),
        figures("no fit"),
    ]
    title = (
        f"Unseen rows of {report.rows:,}: mean over the seeds that have the figure "
        "(smallest to largest)"
    )
    table = Grid(title, columns)
    for name, read in FIGURES.items():
        table.add_row(
            name,
            mean_and_range(name, report.halves),
            mean_and_range(name, report.configuration_halves),
            _shown(name, read(report.no_fit)),
        )
    return table


def reached(report: Report) -> dict[str, float]:
    """Collect the figures that have a target."""
    return {
        "median error, halves": seed_mean("median error", report.halves),
        "pairs right, halves": seed_mean("pairs right, tokens/s per GPU", report.halves),
        "regret, halves": seed_mean("regret, tokens/s per GPU", report.halves),
        "source left out, macro median": report.macro_left_out("source"),
        "median error, no fit": report.no_fit.errors.median,
        "KV blocks, median error": report.kv.median if report.kv else np.nan,
        "KV blocks, median error, no fit": report.kv_no_fit.median if report.kv_no_fit else np.nan,
    }


def target_table(report: Report) -> Grid:
    """Reached figures beside their targets."""
    table = Grid("Targets", [names("figure"), figures("reached"), figures("target"), names("")])
    for name, value in reached(report).items():
        goal = TARGETS[name]
        met = value >= goal if "right" in name else value <= goal
        verdict = "met" if met else ("missed" if np.isfinite(value) else "not scored")
        sign = "at least" if "right" in name else "at most"
        table.add_row(name, percent(value), f"{sign} {percent(goal)}", verdict)
    return table


def error_table(title: str, scores: Mapping[str, GroupScores]) -> Grid:
    """Scores per member of one dimension."""
    columns = [
        names(""),
        figures("rows"),
        figures("median"),
        figures("mean", spare=2),
        figures("p90"),
        figures("bias"),
        figures("Spearman", spare=1),
        figures("pairs\nright"),
        figures("regret"),
    ]
    table = Grid(title, columns)
    for name, entry in scores.items():
        choice = percent(entry.pairs_right), percent(entry.regret)
        table.add_row(name, str(entry.rows), *_errors(entry), *choice)
    return table


def _errors(entry: ErrorScores) -> tuple[str, ...]:
    """Format the error figures of some rows."""
    shares = (entry.median, entry.mean, entry.p90, entry.bias)
    rank = f"{entry.spearman:.3f}" if np.isfinite(entry.spearman) else "-"
    return (*map(percent, shares), rank)


def given_tables(report: GivenReport) -> Group:
    """Lay out the scores of given constants, with what must be kept in mind beside them."""
    title = f"{counted(report.rows, 'row')} under given constants"
    table = Grid(title, [names("figure"), figures("reached")])
    for name, read in FIGURES.items():
        table.add_row(name, _shown(name, read(report.scores)))
    if report.kv is not None:
        table.add_row(f"KV blocks ({report.kv.rows}), median error", percent(report.kv.median))
        table.add_row("KV blocks, 90th percentile of error", percent(report.kv.p90))
    groups = [error_table(f"By {name}", scores) for name, scores in report.by_group.items()]
    return apart(table, *groups, seen_sentence(report))


def seen_sentence(report: GivenReport) -> str:
    """Say that a fit may have seen what its constants are scored on here."""
    return (
        f"Constants: {report.provenance}. Rows that this fit had seen may be among those scored "
        "here; without --constants every figure is on rows that its fit had not seen."
    )


def _shown(name: str, value: float) -> str:
    """Format a figure: a rank correlation is no share."""
    return f"{value:.3f}" if name == "Spearman" and np.isfinite(value) else percent(value)


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
    few = [] if report.halves else ["Too few rows to fit on some and score the others."]
    return apart(
        target_table(report), headline_table(report), *groups, *outs, *few, *_not_converged(report)
    )


def _not_converged(report: Report) -> list[str]:
    """Say which fits ended before they converged, where one did."""
    named = report.not_converged
    if not named:
        return []
    return [f"{counted(len(named), 'fit')} ended before converging: {'; '.join(named)}."]
