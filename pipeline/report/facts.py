"""What the report says in words: the answers to the four questions, and what limits them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.baseline import TOO_SLOW, BaselineTry, best_baseline, stored_tries, why_none
from pipeline.compare import Advice, Comparison, unfinished
from pipeline.compare.advice import about_load, about_target, against_baseline, found_with
from pipeline.compare.granularities import REFERENCE_GRANULARITY
from pipeline.results.frames import Results, asked
from pipeline.words import counted, duration, listed, per_million, signed_percent

_MODELS = {
    "flops": "the published formula of peak arithmetic and bandwidth, which knows neither decode "
    "nor KV cache",
    "roofline": "prefill and decode with KV cache and interconnect; docs/accuracy.md says how near "
    "it comes to measurements",
}


@dataclass(frozen=True)
class Fact:
    """A question of the reader with its answer, in sentences; the first is the short answer."""

    question: str
    answer: str
    details: tuple[str, ...]


def facts(comparison: Comparison, advice: Advice, verified: str) -> list[Fact]:
    """Answer the four questions of a reader.

    verified: what recomputing every placement came to.
    """
    results = comparison.results
    return [
        _which_placement(results, advice),
        _what_it_costs(results, advice),
        _which_granularity(comparison, advice),
        _whether_to_trust(results, advice, verified),
    ]


def headline(results: Results, advice: Advice | None) -> str:
    """Say in one sentence what the run found."""
    if advice is None:
        return f"None of {counted(len(asked(results.points)), 'point')} has a placement."
    best = advice.best
    proven = ", and no placement costs less per token" if advice.proven else ""
    distance = against_baseline(best.percent_to_baseline, bool(best.swept))
    where = f" with {found_with(best)}" if best.swept else ""
    return f"{per_million(best.usd_per_token)} per million tokens{where}{distance}{proven}."


def warnings(results: Results) -> list[str]:
    """List what a reader must know before believing the page."""
    found = [text] if (text := unfinished(results)) else []
    questions = asked(results.points)
    failed = questions[questions.status == "error"]
    if len(failed):
        reason = Counter(failed.message).most_common(1)[0][0]
        found.append(f"{counted(len(failed), 'point')} failed; most often: {reason}")
    late = int((questions.status == "time_limit").sum())
    if late:
        found.append(f"{counted(late, 'point')} hit the time limit; their gaps are in the table.")
    return found


def provenance(results: Results) -> list[tuple[str, str]]:
    """List where the figures come from."""
    run, points = results.run, results.points
    nodes = sorted(set(points.node))
    shown = listed(nodes[:5]) + (f" and {len(nodes) - 5} more" if len(nodes) > 5 else "")
    return [
        ("run", str(run["name"])),
        ("status", "not finished" if run["status"] == "running" else str(run["status"])),
        ("started", str(run.get("started_at", "–"))),
        ("finished", str(run.get("finished_at", "–"))),
        ("started on", str(run.get("host", "–"))),
        ("solved on", shown),
        ("versions", listed(sorted(set(points.versions)))),
        ("hash of the instance", str(run["instance_hash"])),
        ("results schema", str(run["schema_version"])),
        ("performance model", str(run["config"]["performance"]["model"])),
        *_constants(run["config"]["performance"]),
    ]


def shown_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config without what is too long to read.

    A bandwidth matrix is shown as its size, fitted constants as where they come from.
    """
    shown = dict(config)
    rows = config["network"].get("rows")
    if rows and len(rows) > 16:
        size = f"{len(rows)} × {len(rows)} matrix"
        shown["network"] = {**config["network"], "rows": size}
    for _, provenance in _constants(config.get("performance", {})):
        shown["performance"] = {**config["performance"], "constants": provenance}
    return shown


def _constants(performance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say where the constants come from, where a run was given its own."""
    given = performance.get("constants")
    return [("constants", str(given["provenance"]))] if given else []


def _which_placement(results: Results, advice: Advice) -> Fact:
    best = advice.best
    details = [
        f"{best.tokens_per_s:,.0f} tokens/s for ${best.usd_per_hour:.2f}/h.",
        *about_load(results, best),
        f"Found at granularity {best.granularity} by {best.method}.",
    ]
    if best.swept:
        details += [f"Found with {found_with(best)}.", *advice.of_sets]
    stages = sum(use.count for use in best.segments_used)
    gpus = sum(use.count * use.tp_degree for use in best.segments_used)
    used = listed([str(use) for use in best.segments_used])
    short = f"{counted(stages, 'stage')} on {counted(gpus, 'GPU')}: {used}."
    return Fact("Which placement should I run?", short, tuple(details))


def _what_it_costs(results: Results, advice: Advice) -> Fact:
    best, tries = advice.best, stored_tries(results.run)
    return Fact(
        "What does a token cost?",
        f"{per_million(best.usd_per_token)} per million tokens"
        f"{against_baseline(best.percent_to_baseline, bool(best.swept))}.",
        (*_baseline_sentences(tries, bool(best.swept)), *about_target(results, best)),
    )


def _baseline_sentences(tries: tuple[BaselineTry, ...], swept: bool) -> Iterator[str]:
    """Say what the baseline is, and at which TP degrees it does not fit."""
    best = best_baseline(tries)
    if best is None:
        yield why_none(tries)
        return
    before = "Before anything is swept, the" if swept else "The"
    yield (
        f"{before} baseline is the whole model as a single segment on {best.gpu} TP "
        f"{best.tp_degree}: {per_million(best.usd_per_token)} per million tokens, "
        f"{best.tokens_per_s:,.0f} tokens/s for ${best.usd_per_hour:.2f}/h."
    )
    misfits = [tried for tried in tries if not tried.fits]
    for said, own in (
        ("it does not fit", [tried for tried in misfits if tried.reason != TOO_SLOW]),
        (TOO_SLOW, [tried for tried in misfits if tried.reason == TOO_SLOW]),
    ):
        if own:
            yield f"At TP {listed([str(tried.tp_degree) for tried in own])} {said}."


def _which_granularity(comparison: Comparison, advice: Advice) -> Fact:
    swept = repr(advice.best.swept)
    coarser = [
        f"{row.granularity} {signed_percent(row.percent_to_exact)}"
        for row in comparison.granularities
        if repr(row.swept) == swept
        and row.percent_to_exact is not None
        and row.granularity != REFERENCE_GRANULARITY
    ]
    details = [f"Tokens cost, against exact: {', '.join(coarser)}."] if coarser else []
    if advice.search is None:
        return Fact("Which granularity is worth it?", advice.search_this, tuple(details))
    search = advice.search
    short = f"{search.granularity}, by the method {search.method} ({duration(search.seconds)})."
    return Fact("Which granularity is worth it?", short, (advice.search_this, *details))


def _whether_to_trust(results: Results, advice: Advice, verified: str) -> Fact:
    questions = asked(results.points)
    counts = Counter(str(status) for status in questions.status)
    statuses = ", ".join(f"{n:,} {status}" for status, n in counts.most_common())
    model = str(results.run["config"]["performance"]["model"])
    short = "Not proven to be the cheapest: run ratio at exact for a proof."
    if advice.proven:
        short = "Proven: no placement of any segment sizes costs less per token."
    return Fact(
        "Can I trust it?",
        short,
        (
            f"{counted(len(questions), 'point')}: {statuses}.",
            verified,
            f"The proof is about the performance model, not about hardware: {model}"
            + (f", {_MODELS[model]}." if model in _MODELS else "."),
        ),
    )
