"""Rules on placements under `roofline`: requests, latency and ranges beside what all have."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.serving_check import served_figures, served_range, served_stages, stage_alone
from pipeline.verify.case import TOLERANCE, Case, Mismatch, compare, mismatch
from pipeline.verify.rules import (
    Rule,
    bound_holds,
    cost_adds_up,
    groups_disjoint_and_aligned,
    layers_covered_once,
    restrictions_hold,
    stages_numbered,
)


def load_is_offered(case: Case) -> Iterator[Mismatch]:
    """Under `roofline`: requests and micro-batches are among those that the config states."""
    serving, point = case.instance.serving, case.point
    assert serving is not None
    for name in ("concurrency", "micro_batches"):
        stated = getattr(serving, name)
        if stated and point[name] not in stated:
            yield mismatch(case, name, point[name], f"one of {list(stated)[:10]}")
    if point["concurrency"] % point["micro_batches"]:
        whole = f"a multiple of {point['micro_batches']} micro-batches"
        yield mismatch(case, "concurrency", point["concurrency"], whole)


def requests_fit(case: Case) -> Iterator[Mismatch]:
    """Under `roofline`: memory is as computed, holds all requests, and is as full as asked."""
    instance, serving = case.instance, case.instance.serving
    assert serving is not None
    stages = served_stages(serving, case.point, case.stage_figures)
    for segment, stage in zip(case.segments, stages, strict=True):
        kind = case.kind(segment)
        assert kind is not None
        name = f"memory of stage {segment['stage']}"
        yield from compare(case, name, segment["memory_gb"], stage.memory_gb)
        share = stage.memory_gb / kind.memory_gb
        yield from compare(case, f"share of {name}", segment["memory_utilization"], share)
        if case.point["concurrency"] > stage.max_requests * (1 + TOLERANCE):
            what = f"requests that stage {segment['stage']} holds"
            yield mismatch(case, what, case.point["concurrency"], stage.max_requests)
        # A size that leaves memory unused is allowed only where one layer more is too many.
        wanted = instance.limits.min_memory_utilization * kind.memory_gb
        one_more = case.point["concurrency"] * (1 + TOLERANCE) <= stage.next_max_requests
        is_full = stage.memory_gb >= wanted * (1 - TOLERANCE) or not one_more
        if not is_full and segment["size"] != instance.num_layers:
            yield mismatch(case, name, segment["memory_gb"], f"at least {wanted}")
        if segment["size"] < instance.limits.min_layers_per_stage:
            fewest = f"at least {instance.limits.min_layers_per_stage}"
            yield mismatch(case, f"layers of stage {segment['stage']}", segment["size"], fewest)


def pipeline_delivers(case: Case) -> Iterator[Mismatch]:
    """Under `roofline`: throughput and latency are those of the stages in their order."""
    instance, serving, point = case.instance, case.instance.serving, case.point
    assert serving is not None
    found = served_figures(instance, serving, point, case.segments, case.stage_figures)
    rate = found.tokens_per_s
    yield from compare(case, "throughput_tokens_per_s", point["throughput_tokens_per_s"], rate)
    yield from compare(case, "ttft_s", point["ttft_s"], found.ttft_s)
    price = point["cost_usd_per_hour"] / (rate * 3600)
    yield from compare(case, "cost_usd_per_token", point["cost_usd_per_token"], price)
    limits = instance.limits
    latencies = [("ttft_s", found.ttft_s, limits.max_ttft_s)]
    if serving.phase != "prefill":
        yield from compare(case, "tpot_s", point["tpot_s"], found.tpot_s)
        latencies.append(("tpot_s", found.tpot_s, limits.max_tpot_s))
    for name, seconds, limit in latencies:
        if limit is not None and seconds > limit * (1 + TOLERANCE):
            yield mismatch(case, name, seconds, f"at most {limit}")
    stages = served_stages(serving, point, case.stage_figures)
    slowest = max(stage.stage_s for stage in stages)
    for segment, stage in zip(case.segments, stages, strict=True):
        alone = stage_alone(instance, serving, point, stage.stage_s)
        name = f"throughput of stage {segment['stage']}"
        yield from compare(case, name, segment["throughput_tokens_per_s"], alone)
        if bool(segment["is_bottleneck"]) != (stage.stage_s >= slowest * (1 - TOLERANCE)):
            name = f"bottleneck mark of stage {segment['stage']}"
            yield mismatch(case, name, segment["is_bottleneck"], not segment["is_bottleneck"])


def ranges_follow(case: Case) -> Iterator[Mismatch]:
    """Under `roofline`: the range of a prediction is that of its GPUs, engine and model."""
    serving, point = case.instance.serving, case.point
    assert serving is not None
    low, high = served_range(case.instance, serving, point, case.segments)
    cost = point["cost_usd_per_hour"]
    expected = {
        "throughput_low_tokens_per_s": low,
        "throughput_high_tokens_per_s": high,
        "cost_low_usd_per_token": cost / (high * 3600),
        "cost_high_usd_per_token": cost / (low * 3600),
    }
    for name, value in expected.items():
        yield from compare(case, name, point[name], value)


SERVED_RULES: tuple[Rule, ...] = (
    layers_covered_once,
    stages_numbered,
    groups_disjoint_and_aligned,
    restrictions_hold,
    load_is_offered,
    requests_fit,
    cost_adds_up,
    pipeline_delivers,
    ranges_follow,
    bound_holds,
)
"""Every rule that a stored placement under `roofline` must keep."""
