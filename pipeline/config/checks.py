"""What the fields of a config must say together: one function per rule.

Each check gets the sections that are sound in themselves and yields the faults it finds; it is
not asked when a section that it needs is not sound. What the performance model has a say in is in
`performance_checks`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

from pipeline.config.counts import num_points
from pipeline.config.document import Document
from pipeline.config.fields import MAX_LAYERS, granularity_name
from pipeline.config.matrix_labels import label_faults
from pipeline.config.performance_checks import (
    architectures_as_known,
    figures_keyed_as_pool,
    formulation_suits_model,
    gpus_known,
    hosts_suit_model,
    limits_suit_model,
    memory_suits_gpus,
    network_suits_model,
    performance_suits_model,
    unmeant_model,
    workload_suits_model,
)
from pipeline.config.schema import (
    BaselineSection,
    GpuSection,
    LimitsSection,
    ModelSection,
    NetworkSection,
    SolverSection,
    SweepSection,
)
from pipeline.errors import Fault
from pipeline.granularity import can_sum_to, granularity
from pipeline.performance.flops import TP_EFFICIENCY

MAX_GPUS = 100_000
MAX_POINTS = 1_000_000
MAX_SWEPT_VALUES = 10_000
# Fields of a model that say nothing without the other.
PARTNERS = (
    ("sliding_window", "sliding_window_share"),
    ("sliding_window_share", "sliding_window"),
    ("experts_per_token", "num_experts"),
    ("shared_experts", "num_experts"),
    ("moe_intermediate_size", "num_experts"),
    ("first_dense_layers", "num_experts"),
    ("q_lora_rank", "kv_lora_rank"),
    ("qk_nope_head_dim", "kv_lora_rank"),
    ("qk_rope_head_dim", "kv_lora_rank"),
    ("v_head_dim", "kv_lora_rank"),
)
ONE_NETWORK = "must have exactly one of gb_per_s, matrix, rows"


def heads_divide(document: Document, model: ModelSection) -> Iterator[Fault]:
    """Heads split the hidden size, and key/value heads split the heads."""
    heads, key_value = model.num_attention_heads, model.num_key_value_heads
    if model.head_dim is None and model.hidden_size % heads:
        reason = f"must divide hidden_size {model.hidden_size}, unless head_dim is given"
        yield document.fault(("model", "num_attention_heads"), reason, heads)
    if key_value and heads % key_value:
        reason = f"must divide num_attention_heads {heads}"
        yield document.fault(("model", "num_key_value_heads"), reason, key_value)


def experts_go_together(document: Document, model: ModelSection) -> Iterator[Fault]:
    """What is stated of experts, and of latent attention, makes a model."""
    active, experts = model.experts_per_token, model.num_experts
    if experts and not 1 <= active <= experts:
        reason = f"must be from 1 to the {experts} experts"
        yield document.fault(("model", "experts_per_token"), reason, active)
    if experts and not model.moe_intermediate_size:
        reason = "must be at least 1 where there are experts"
        yield document.fault(("model", "moe_intermediate_size"), reason, 0)
    if experts and model.first_dense_layers > model.num_hidden_layers:
        reason = f"must be at most num_hidden_layers {model.num_hidden_layers}"
        yield document.fault(("model", "first_dense_layers"), reason, model.first_dense_layers)
    for name in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"):
        if model.kv_lora_rank and not getattr(model, name):
            reason = "must be at least 1 where kv_lora_rank is stated"
            yield document.fault(("model", name), reason, 0)


def partners_are_stated(document: Document, model: ModelSection) -> Iterator[Fault]:
    """What has an effect only beside another field does not stand alone; a stated 0 is meant."""
    for name, partner in PARTNERS:
        if getattr(model, name) and partner not in model.model_fields_set:
            yield document.lacking(("model", partner), f"is missing beside {name}")


def gpus_listed_once(document: Document, gpu_names: dict[int, str]) -> Iterator[Fault]:
    """No type stands in the pool twice."""
    times = Counter(gpu_names.values())
    for index, name in gpu_names.items():
        if times[name] > 1:
            yield document.fault(("pool", index, "gpu"), "stands in the pool twice", name)


def pool_is_numberable(document: Document, num_gpus: int) -> Iterator[Fault]:
    """Ids can be given to a pool of this size."""
    if num_gpus > MAX_GPUS:
        yield document.fault(("pool",), f"may hold at most {MAX_GPUS} GPUs", num_gpus)


def degrees_are_powers(document: Document, limits: LimitsSection) -> Iterator[Fault]:
    """TP degrees are powers of two whose efficiency is known."""
    for index, degree in enumerate(limits.tp_degrees):
        yield from _degree_fault(document, ("limits", "tp_degrees", index), degree)


def largest_degrees_are_powers(document: Document, pool: list[GpuSection]) -> Iterator[Fault]:
    """Each type's largest TP degree is a power of two whose efficiency is known."""
    for index, kind in enumerate(pool):
        if kind.max_tp is not None:
            yield from _degree_fault(document, ("pool", index, "max_tp"), kind.max_tp)


def excluded_in_pool(
    document: Document, gpu_names: dict[int, str], limits: LimitsSection
) -> Iterator[Fault]:
    """Excluded types are in the pool, and something is left."""
    names = set(gpu_names.values())
    for index, name in enumerate(limits.exclude):
        if name not in names:
            reason = f"is not in the pool ({', '.join(gpu_names.values())})"
            yield document.fault(("limits", "exclude", index), reason, name)
    if names and names <= set(limits.exclude):
        yield document.fault(("limits", "exclude"), "leaves no GPU", limits.exclude)


def formulation_knows_limits(
    document: Document, limits: LimitsSection, solver: SolverSection
) -> Iterator[Fault]:
    """The published formulation knows none of the restrictions that came later."""
    if solver.formulation != "pairwise":
        return
    for name in ("uniform_tp", "single_gpu_type", "equal_sizes"):
        if getattr(limits, name):
            reason = "is not known to the pairwise formulation"
            yield document.fault(("limits", name), reason, True)


def formulation_knows_methods(
    document: Document, sweep: SweepSection, solver: SolverSection
) -> Iterator[Fault]:
    """The published formulation has no frontier."""
    if solver.formulation == "pairwise" and "frontier" in sweep.methods:
        reason = "frontier is not known to the pairwise formulation"
        yield document.fault(("sweep", "methods"), reason, sweep.methods)


def network_is_one(document: Document, network: NetworkSection) -> Iterator[Fault]:
    """Bandwidths are given once, and exceptions only to a single bandwidth."""
    if (network.gb_per_s is None) == (network.rows is None):
        yield document.lacking(("network",), ONE_NETWORK)
    if network.rows is not None and network.overrides:
        reason = "go with gb_per_s, not with a matrix"
        yield document.fault(("network", "overrides"), reason, len(network.overrides))


def overrides_have_links(document: Document, network: NetworkSection) -> Iterator[Fault]:
    """Exceptions speak of links, of which one GPU by itself has none."""
    for index, override in enumerate(network.overrides):
        ids = override.gpus | (override.to or frozenset())
        if len(ids) == 1:
            advice = "; give `to`" if override.to is None else ""
            reason = f"names one GPU, which has no links inside{advice}"
            path = ("network", "overrides", index, "gpus")
            yield document.fault(path, reason, min(ids))


def network_covers_pool(
    document: Document, num_gpus: int, network: NetworkSection
) -> Iterator[Fault]:
    """Bandwidths speak of exactly the GPUs of the pool."""
    if network.rows is not None:
        yield from _matrix_faults(document, network.rows, num_gpus)
    for index, override in enumerate(network.overrides):
        for side in ("gpus", "to"):
            ids = getattr(override, side) or ()
            if any(i >= num_gpus for i in ids):
                reason = f"must be ids of the pool, 0 to {num_gpus - 1}"
                yield document.fault(("network", "overrides", index, side), reason, max(ids))


def granularities_fit(
    document: Document, num_layers: int, granularity_names: dict[int, str]
) -> Iterator[Fault]:
    """Every granularity's sizes can sum to the number of layers."""
    for index, name in granularity_names.items():
        if not can_sum_to(granularity(name, num_layers).sizes, num_layers):
            reason = f"has sizes that cannot sum to {num_layers} layers"
            yield document.fault(("sweep", "granularities", index), reason, name)


def sweep_is_countable(document: Document, sweep: SweepSection) -> Iterator[Fault]:
    """A sweep has no more points than tables can hold, and no more values than can be checked."""
    values = sum(map(len, sweep.over.values()))
    if values > MAX_SWEPT_VALUES:
        reason = f"may hold at most {MAX_SWEPT_VALUES} values in all"
        yield document.fault(("sweep", "over"), reason, values)
    points = num_points(sweep)
    if points > MAX_POINTS:
        reason = f"may have at most {MAX_POINTS} points"
        yield document.fault(("sweep",), reason, points)


def baseline_in_pool(
    document: Document, gpu_names: dict[int, str], baseline: BaselineSection | None
) -> Iterator[Fault]:
    """Baselines are of a GPU in the pool and of a degree that can be."""
    if baseline is None:
        return
    if baseline.gpu not in gpu_names.values():
        reason = f"is not in the pool ({', '.join(gpu_names.values())})"
        yield document.fault(("baseline", "gpu"), reason, baseline.gpu)
    if baseline.tp is not None:
        yield from _degree_fault(document, ("baseline", "tp"), baseline.tp)


def _degree_fault(document: Document, path: tuple[str | int, ...], degree: int) -> Iterator[Fault]:
    if degree & (degree - 1):
        yield document.fault(path, "must be a power of two", degree)
    elif degree not in TP_EFFICIENCY:
        reason = f"must be one of {', '.join(map(str, TP_EFFICIENCY))}"
        yield document.fault(path, reason, degree)


def _matrix_faults(document: Document, rows: list[list[float]], total: int) -> Iterator[Fault]:
    """Yield what makes a bandwidth matrix unfit for `total` GPUs."""
    uneven = next((i for i, row in enumerate(rows) if len(row) != len(rows)), None)
    if uneven is not None:
        reason = f"must be square: row {uneven} of {len(rows)} has {len(rows[uneven])} values"
        yield document.lacking(("network", "rows"), reason)
    elif len(rows) != total:
        reason = f"must be {total} × {total}, one row per GPU of the pool"
        yield document.fault(("network", "rows"), reason, f"{len(rows)} × {len(rows)}")


CHECKS: tuple[tuple[Callable[..., Iterator[Fault]], tuple[str, ...]], ...] = (
    (heads_divide, ("model",)),
    (experts_go_together, ("model",)),
    (partners_are_stated, ("model",)),
    (gpus_known, ("gpu_names", "performance")),
    (figures_keyed_as_pool, ("gpu_names", "performance")),
    (gpus_listed_once, ("gpu_names",)),
    (pool_is_numberable, ("num_gpus",)),
    (degrees_are_powers, ("limits",)),
    (largest_degrees_are_powers, ("pool",)),
    (excluded_in_pool, ("gpu_names", "limits")),
    (formulation_knows_limits, ("limits", "solver")),
    (formulation_knows_methods, ("sweep", "solver")),
    (workload_suits_model, ("workload", "performance")),
    (limits_suit_model, ("workload", "limits", "performance")),
    (hosts_suit_model, ("pool", "network", "performance")),
    (memory_suits_gpus, ("pool", "performance")),
    (network_suits_model, ("network", "performance")),
    (performance_suits_model, ("performance",)),
    (architectures_as_known, ("performance",)),
    (formulation_suits_model, ("solver", "performance")),
    (network_is_one, ("network",)),
    (overrides_have_links, ("network",)),
    (network_covers_pool, ("num_gpus", "network")),
    (granularities_fit, ("num_layers", "granularity_names")),
    (sweep_is_countable, ("sweep",)),
    (baseline_in_pool, ("gpu_names", "baseline")),
)
"""Every check with the sections and facts that it needs."""


def run_checks(document: Document, sections: Mapping[str, Any]) -> list[Fault]:
    """Run every check whose sections and facts are sound."""
    known = {**sections, **_facts(document.data)}
    faults = []
    if "performance" in known and (fault := unmeant_model(document, known["performance"])):
        faults.append(fault)
        del known["performance"]  # what follows from a model that nobody meant is no news
    for check, needs in CHECKS:
        if all(name in known for name in needs):
            faults += check(document, *(known[name] for name in needs))
    return faults


def check_labels(document: Document) -> list[Fault]:
    """Check the labels of the matrix that was read from a file, if one was.

    Apart from the other checks, as it takes long and no value that is swept changes a label.
    """
    file, _ = document.where(("network", "rows"))
    pool = _facts(document.data).get("pool_counts", [])
    return [
        Fault(file, f"{axis} of matrix", reason, label)
        for labels in filter(None, [document.labels.get(file)])
        for axis, reason, label in label_faults(labels, pool)
    ]


def _facts(data: Mapping[str, Any]) -> dict[str, Any]:
    """Draw what can be known from sections that have faults elsewhere."""
    facts: dict[str, Any] = {}
    pool = data.get("pool")
    if pool and isinstance(pool, list) and all(isinstance(entry, dict) for entry in pool):
        names = {i: entry.get("gpu") for i, entry in enumerate(pool)}
        facts["gpu_names"] = {i: name for i, name in names.items() if isinstance(name, str)}
        counts = [entry.get("count") for entry in pool]
        if all(_is_count(count) for count in counts):
            facts["num_gpus"] = sum(counts)
            if len(facts["gpu_names"]) == len(pool):
                facts["pool_counts"] = list(zip(names.values(), counts, strict=True))
    model, sweep = data.get("model"), data.get("sweep")
    layers = model.get("num_hidden_layers") if isinstance(model, dict) else None
    if _is_count(layers) and layers <= MAX_LAYERS:
        facts["num_layers"] = layers
    listed = sweep.get("granularities", []) if isinstance(sweep, dict) else []
    if isinstance(listed, list):
        facts["granularity_names"] = dict(_sound_granularities(listed))
    return facts


def _sound_granularities(listed: list[Any]) -> Iterator[tuple[int, str]]:
    for index, value in enumerate(listed):
        with contextlib.suppress(ValueError):
            yield index, granularity_name(value)


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and value >= 1
