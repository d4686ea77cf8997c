"""From a method's name to its answers under `roofline`, and to columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from pipeline import methods as common
from pipeline.granularity import Granularity
from pipeline.instance import Instance
from pipeline.methods import Answer
from pipeline.options import Option, stage_options
from pipeline.placement import Placement, usd_per_token
from pipeline.roofline.pipelines import throughput_range
from pipeline.serving import methods
from pipeline.serving.placement import ServedPlacement
from pipeline.serving.search import ServingSearch
from pipeline.serving.tables import serving_of
from pipeline.settings import SolverSettings


def serving_search(
    instance: Instance, sizes: Granularity, settings: SolverSettings
) -> ServingSearch:
    """Return the search of an instance under its own constants."""
    return ServingSearch(instance, sizes, settings, instance.performance.constant_table)


def all_options(instance: Instance, sizes: Granularity) -> tuple[Option, ...]:
    """Return the options of an instance under its performance model, for counting."""
    if instance.serving is None:
        return stage_options(instance, sizes.sizes)
    return serving_search(instance, sizes, SolverSettings()).options()


def answers(
    search: ServingSearch,
    method: str,
    budget_usd_per_hour: float,
    weighting: tuple[float, float, float],
    target_usd_per_token: float | None,
) -> Iterator[Answer]:
    """Yield the answers of a method, more than one only for `frontier`."""
    if method == "enumeration":
        yield methods.enumeration(search, budget_usd_per_hour)
    elif method == "ratio":
        yield methods.ratio(search)
    elif method == "weighted":
        yield methods.weighted(search, *weighting)
    elif method == "iterative":
        yield common.iterative(partial(methods.enumeration, search), target_usd_per_token)
    else:
        found = list(methods.frontier(search))
        yield from found or [methods.no_answer(search, None)]


def served_columns(instance: Instance, placement: Placement | None) -> dict[str, Any]:
    """Return the columns that only `roofline` fills: load, latency, ranges."""
    if not isinstance(placement, ServedPlacement):
        return {}
    used = {stage.gpu for stage in placement.stages}
    gpus = frozenset(kind.hardware for kind in instance.pool if kind.name in used)
    engine, table = serving_of(instance).engine, instance.performance.constant_table
    low, high = throughput_range(placement.tokens_per_s, instance.model, gpus, engine, table)
    return {
        "concurrency": placement.load.concurrency,
        "micro_batches": placement.load.micro_batches,
        "ttft_s": placement.ttft_s,
        "tpot_s": placement.tpot_s,
        "throughput_low_tokens_per_s": low,
        "throughput_high_tokens_per_s": high,
        "cost_low_usd_per_token": usd_per_token(placement.usd_per_hour, high),
        "cost_high_usd_per_token": usd_per_token(placement.usd_per_hour, low),
    }


def single_stage(instance: Instance, gpu: int, degree: int) -> tuple[float, float]:
    """Return throughput and least memory of the whole model on one group, under its best load.

    Throughput 0 where it does not fit. Memory is that of the fewest requests, per GPU.
    """
    alone = replace(
        instance,
        pool=(replace(instance.pool[gpu], count=degree, max_tp=None, gpus_per_node=None),),
        limits=replace(
            instance.limits, max_stages=1, tp_degrees=(degree,), exclude=(), min_layers_per_stage=1
        ),
    )
    layers = instance.num_layers
    whole = Granularity("whole", (layers,))
    search = ServingSearch(alone, whole, SolverSettings(), instance.performance.constant_table)
    fewest = int(np.argmin(search.tables.concurrency))
    needed_gb = search.tables.memory_gb(0, fewest, layers)
    rates = search.known.deal({0: 1}).tokens_per_s
    return float(rates.max(initial=0.0)), needed_gb
