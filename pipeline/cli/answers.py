"""One answer, or a frontier of them, as text for people and as data for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.baseline import baseline_tries, best_baseline, why_none
from pipeline.catalogue import find_engine
from pipeline.cli.render import bar
from pipeline.granularity import PRESETS
from pipeline.grids import Grid, figures, names
from pipeline.loads import counted_tokens, load_sentences, rate_sentence
from pipeline.methods import RELATIVE_TOLERANCE
from pipeline.points import Problem
from pipeline.results.schema import BOUND_COLUMNS, PointRow, SegmentRow
from pipeline.run import PointRows
from pipeline.words import (
    counted,
    id_range,
    per_hour,
    per_million,
    short_time,
    signed_percent,
    target_sentence,
)

_SHOWN = (
    "status",
    "message",
    "granularity",
    "method",
    "throughput_tokens_per_s",
    "cost_usd_per_hour",
    "cost_usd_per_token",
    "cost_low_usd_per_token",
    "cost_high_usd_per_token",
    "concurrency",
    "micro_batches",
    "ttft_s",
    "tpot_s",
    *BOUND_COLUMNS,
    "mip_gap",
    "num_stages",
    "num_gpus",
    "links",
    "ratio_to_baseline",
    "target_met",
    "num_solves",
    "build_seconds",
    "solve_seconds",
    "total_seconds",
)


def answer_json(problem: Problem, row: PointRow, segments: Iterable[SegmentRow]) -> dict[str, Any]:
    """Return an answer as plain data, its segments in pipeline order."""
    point_id = row.values["point_id"]
    return {
        **{name: row.values.get(name) for name in _SHOWN},
        "weighted_score": _score(problem, row.values),
        "segments": [s.as_dict() for s in segments if s.point_id == point_id],
    }


def answer_view(problem: Problem, rows: PointRows) -> RenderableType:
    """Draw one answer: what it is, how sure, and the pipeline stage by stage."""
    values = rows.points[0].values
    if values.get("throughput_tokens_per_s") is None:
        return Text(f"{values['status']}: {values['message']}")
    return Group(
        Text(_sentence(values), style="bold"),
        Text(_proof(values)),
        *(Text(sentence) for sentence in _weighting(problem, values)),
        Text(_against_baseline(problem, values)),
        *(Text(sentence) for sentence in _target(problem, values)),
        Text(rate_sentence(_workload(problem), values)),
        *(Text(sentence) for sentence in load_sentences(values)),
        *(Text(sentence) for sentence in _question(problem)),
        *(Text(sentence) for sentence in _unseen_engine(problem)),
        Text(),
        segments_view(rows.segments, problem),
    )


def _question(problem: Problem) -> Iterator[str]:
    """Say which limits on latency the `roofline` model was asked to keep."""
    limits, serving = problem.instance.limits, problem.instance.serving
    asked = []
    if limits.max_ttft_s is not None:
        asked.append(f"first token within {limits.max_ttft_s:g} s")
    if limits.max_tpot_s is not None:
        asked.append(f"{1000 * limits.max_tpot_s:g} ms per output token at most")
    if asked:
        too = "; the baseline keeps to it too" if problem.instance.baseline else ""
        yield f"Asked for: {', '.join(asked)}{too}."
    elif serving is not None:
        fields = "limits.max_ttft_s sets"
        if serving.phase != "prefill":
            fields = "limits.max_ttft_s and limits.max_tpot_s set"
        yield f"No limit on latency was asked for; {fields} one."


def segments_view(segments: Iterable[SegmentRow], problem: Problem) -> RenderableType:
    """Draw a pipeline stage by stage, the bottleneck marked."""
    memory = {kind.name: kind.memory_gb for kind in problem.instance.pool}
    table = Grid(
        "Pipeline",
        [
            figures("stage"),
            figures("layers"),
            figures("size", spare=1),
            names("GPU"),
            figures("TP"),
            names("GPU ids"),
            names("", spare=2),
            figures("GB on\neach GPU"),
            figures("tokens/s"),
            figures("$/h"),
            names(""),
        ],
    )
    for s in segments:
        table.add_row(
            str(s.stage),
            f"{s.start_layer}–{s.end_layer}",
            str(s.size),
            s.gpu,
            str(s.tp_degree),
            id_range(s.gpu_ids),
            bar(s.memory_utilization),
            f"{s.memory_gb:.1f} of {memory[s.gpu]:g}",
            f"{s.throughput_tokens_per_s:,.0f}",
            f"{s.cost_usd_per_hour:.2f}",
            Text("◀ bottleneck", style="yellow") if s.is_bottleneck else "",
        )
    return table


def _workload(problem: Problem) -> dict[str, Any]:
    """Return what is served, by the names of a config; empty under `flops`."""
    serving = problem.instance.serving
    return {} if serving is None else asdict(serving)


def frontier_view(problem: Problem, rows: PointRows) -> RenderableType:
    """List the Pareto points, fastest first, the lowest $/token marked."""
    placed = [row.values for row in rows.points if row.values.get("cost_usd_per_token") is not None]
    if not placed:
        values = rows.points[0].values
        return Text(f"{values['status']}: {values['message']}")
    lowest = min(values["cost_usd_per_token"] for values in placed)
    table = Grid(
        f"Pareto frontier at {placed[0]['granularity']}",
        [
            figures("tokens/s"),
            figures("$/h"),
            figures("$/M tokens"),
            figures("stages"),
            figures("GPUs"),
            names("proof"),
            names(""),
        ],
    )
    for values in placed:
        table.add_row(
            f"{values['throughput_tokens_per_s']:,.0f}",
            f"{values['cost_usd_per_hour']:.2f}",
            per_million(values["cost_usd_per_token"]),
            str(values["num_stages"]),
            str(values["num_gpus"]),
            values["status"],
            Text("◀ lowest $/token", style="green")
            if values["cost_usd_per_token"] <= lowest * (1 + RELATIVE_TOLERANCE)
            else "",
        )
    seconds = placed[0]["total_seconds"]
    solves = placed[0]["num_solves"]
    return Group(
        table,
        Text(f"{counted(len(placed), 'point')}, {_programs(solves)}, {short_time(seconds)}"),
        Text(f"{counted_tokens(_workload(problem))}."),
    )


def _programs(count: int) -> str:
    return counted(count, "integer program")


def _sentence(values: Any) -> str:
    return (
        f"{values['throughput_tokens_per_s']:,.0f} tokens/s for "
        f"${values['cost_usd_per_hour']:.2f}/h: "
        f"{per_million(values['cost_usd_per_token'])} per million tokens"
    )


def _proof(values: Any) -> str:
    """Say what was proven, in words, and what it took."""
    claims = {
        "enumeration": "no placement within the budget is faster, none as fast is cheaper",
        "ratio": "no placement has a lower cost per token",
        "weighted": "no placement has a higher weighted score",
    }
    took = f"{_programs(values['num_solves'])} in {short_time(values['total_seconds'])}"
    if values["status"] == "optimal":
        return f"Proven at {_granularity(values)}: {claims[values['method']]} ({took})."
    gap = values["mip_gap"]
    within = "nothing bounds it" if gap is None else f"within {100 * gap:.2f} % of the bound"
    return f"Not proven ({values['status']}): {within} ({took})."


def _granularity(values: Any) -> str:
    """Name a granularity, with its sizes where the name tells only what it would like to have."""
    name = values["granularity"]
    sizes = " ".join(map(str, values["sizes"]))
    return f"{name} (sizes {sizes})" if PRESETS.get(name) else name


def _score(problem: Problem, values: Any) -> float | None:
    """Return the weighted score of a placement; None where none was asked for."""
    weight, rate = values.get("cost_weight"), values.get("throughput_tokens_per_s")
    if weight is None or rate is None:
        return None
    return problem.scales.score(weight, rate, values["cost_usd_per_hour"])


def _weighting(problem: Problem, values: Any) -> Iterator[str]:
    """Say what the weighted score is and how it comes about, where one was asked for."""
    score = _score(problem, values)
    if score is None:
        return
    weight, scales = values["cost_weight"], problem.scales
    parts = []
    if weight < 1:
        rate = values["throughput_tokens_per_s"] / scales.throughput_tokens_per_s
        parts.append(f"throughput over {scales.throughput_tokens_per_s:,g} tokens/s ({rate:.4g})")
    if weight > 0:
        times = "" if weight == 1 else f"{weight / (1 - weight):.4g} × "
        cost = values["cost_usd_per_hour"] / scales.cost_usd_per_hour
        parts.append(f"minus {times}cost over {per_hour(scales.cost_usd_per_hour)} ({cost:.4g})")
    yield (
        f"Weighted score {score:.4g} at cost weight {weight:g}: {' '.join(parts)}; "
        "scales: sweep.normalization."
    )


def _target(problem: Problem, values: Any) -> Iterator[str]:
    """Say whether the price to beat is met, where there is one."""
    target = problem.scales.target_usd_per_token
    if target is not None:
        yield target_sentence(1e6 * target, values["target_met"])


def _unseen_engine(problem: Problem) -> Iterator[str]:
    """Say on what the figures rest where no fit has seen the engine by the name it was given."""
    serving = problem.instance.serving
    if serving is None:
        return
    table = problem.instance.performance.constant_table
    if serving.engine in table.seen("engine"):
        return
    family = find_engine(serving.engine).family
    if family in table.seen("engine_family"):
        rest = "; the figures are those of its family."
    else:
        rest = " or its family; the figures are what all engines have in common."
    yield f"No fit has seen engine {serving.engine!r}{rest}"


def _against_baseline(problem: Problem, values: Any) -> str:
    tries = baseline_tries(problem.instance)
    baseline = best_baseline(tries)
    if baseline is None:
        return why_none(tries)
    ratio = values.get("ratio_to_baseline")
    if ratio is None:
        return f"The baseline, {baseline.gpu} TP {baseline.tp_degree}, costs nothing."
    return (
        f"{signed_percent(100 * (ratio - 1))} against the baseline, {baseline.gpu} TP "
        f"{baseline.tp_degree}: {baseline.tokens_per_s:,.0f} tokens/s for "
        f"${baseline.usd_per_hour:.2f}/h, {per_million(baseline.usd_per_token)} per million tokens."
    )
