"""What the other sections of a config must say for the performance model that is asked.

Checks of the same kind as those in `checks`, which asks them all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pipeline.catalogue import (
    UnknownNameError,
    engine_names,
    find_engine,
    find_gpu,
    gpu_names,
)
from pipeline.config.document import Document
from pipeline.config.schema import (
    GpuSection,
    LimitsSection,
    NetworkSection,
    PerformanceSection,
    SolverSection,
    WorkloadSection,
)
from pipeline.errors import Fault
from pipeline.performance.flops import GPU_FIGURES
from pipeline.roofline.constant_files import shipped_table
from pipeline.words import close_names, folded, other_spelling

MOST_MEMORY = 100
FLOPS_FIELDS = ("sequence_length", "batch_size")
SERVING_FIELDS = ("phase", "input_tokens", "output_tokens")
# They have defaults, which `run.json` states whatever the model is.
SERVING_CHOICES = (
    "concurrency",
    "micro_batches",
    "compute_type",
    "kv_bytes",
    "memory_fraction",
    "engine",
)


def gpus_known(
    document: Document, gpu_names: dict[int, str], performance: PerformanceSection
) -> Iterator[Fault]:
    """Every GPU of the pool has figures in the performance model."""
    if performance.model == "roofline":
        yield from _catalogued(document, gpu_names, performance)
        return
    known = sorted({*GPU_FIGURES, *performance.gpus})
    for index, name in gpu_names.items():
        if name not in known:
            near = close_names(name, known, n=3, cutoff=0.4) or known[:20]
            reason = (
                f"is not a GPU that the flops model knows; near: {', '.join(near)}; "
                f"add its figures under performance.gpus.{name}"
            )
            yield document.fault(("pool", index, "gpu"), reason, name)


def _catalogued(
    document: Document, gpu_names: dict[int, str], performance: PerformanceSection
) -> Iterator[Fault]:
    """Every GPU of the pool is in the catalogue of the roofline model, or the config states it."""
    for index, name in gpu_names.items():
        if name in performance.hardware:
            continue
        try:
            find_gpu(name)
        except UnknownNameError as error:
            reason = f"{error.reason}; add its figures under performance.hardware.{name}"
            yield document.fault(("pool", index, "gpu"), reason, name)


def figures_keyed_as_pool(
    document: Document, gpu_names: dict[int, str], performance: PerformanceSection
) -> Iterator[Fault]:
    """Figures of a GPU of the pool stand under the name that the pool has, else nobody looks."""
    pool = set(gpu_names.values())
    for section, stated in (("gpus", performance.gpus), ("hardware", performance.hardware)):
        names = sorted(pool - stated.keys()) if stated else []
        written = {other: name for name in names for other in _names_of(name, section)}
        for key in stated:
            name = None if key in pool else written.get(folded(key))
            if name is not None:
                path = ("performance", section, key)
                yield document.fault(path, f"is written {name} in the pool", key)


def _names_of(name: str, section: str) -> set[str]:
    """Return the names that mean the same GPU, folded; `flops` knows no aliases."""
    names = {name}
    if section == "hardware":
        with contextlib.suppress(UnknownNameError):
            gpu = find_gpu(name)
            names |= {gpu.name, *gpu.aliases}
    return {folded(other) for other in names}


def unmeant_model(document: Document, performance: PerformanceSection) -> Fault | None:
    """Return the fault of `flops` beside a workload that only `roofline` knows; None if sound."""
    workload = document.data.get("workload")
    stated = workload if isinstance(workload, dict) else {}
    serving = [name for name in SERVING_FIELDS if stated.get(name) is not None]
    if performance.model != "flops" or not serving or stated.keys() >= {*FLOPS_FIELDS}:
        return None
    path, fields = ("performance", "model"), f"a workload of {', '.join(serving)}"
    if "model" in performance.model_fields_set:
        return document.fault(path, f"must be roofline for {fields}", performance.model)
    reason = f"is missing; {fields} needs performance: {{model: roofline}}"
    return document.lacking(path, reason)


def workload_suits_model(
    document: Document, workload: WorkloadSection, performance: PerformanceSection
) -> Iterator[Fault]:
    """The workload has the fields of the performance model that is asked, and no others."""
    is_flops = performance.model == "flops"
    serving = (*SERVING_FIELDS, *SERVING_CHOICES)
    own, foreign = (FLOPS_FIELDS, serving) if is_flops else (SERVING_FIELDS, FLOPS_FIELDS)
    for name in own:
        optional = name == "output_tokens" and workload.phase == "prefill"
        if getattr(workload, name) is None and not optional:
            yield document.lacking(("workload", name), "is missing")
    for name in foreign:
        if getattr(workload, name) != WorkloadSection.model_fields[name].default:
            reason = f"is not known to the {performance.model} model"
            if name == "batch_size":
                reason += "; concurrency lists the requests at once"
            yield document.fault(("workload", name), reason, document.data["workload"][name])
    if not is_flops:
        yield from _serving_faults(document, workload)
        yield from _engine_faults(document, workload.engine, performance)


def _serving_faults(document: Document, workload: WorkloadSection) -> Iterator[Fault]:
    """Outputs are generated where they are counted, and loads can be cut."""
    if workload.phase in ("decode", "mixed") and workload.output_tokens == 0:
        reason = f"must be at least 1 in phase {workload.phase}"
        yield document.fault(("workload", "output_tokens"), reason, 0)
    requests, cuts = workload.concurrency, workload.micro_batches
    if not isinstance(requests, str) and not isinstance(cuts, str):
        for n in requests:
            if all(n % m for m in cuts):
                reason = f"must be a multiple of one of micro_batches {cuts}"
                yield document.fault(("workload", "concurrency"), reason, n)


def _engine_faults(
    document: Document, engine: str, performance: PerformanceSection
) -> Iterator[Fault]:
    """The engine is known, and written as the fit has it: effects are looked up by the label."""
    written = other_spelling(engine, {*engine_names(), *_fitted(performance, "engine")})
    if written is not None:
        yield document.fault(("workload", "engine"), f"must be written {written}", engine)
        return
    try:
        find_engine(engine)
    except UnknownNameError as error:
        yield document.fault(("workload", "engine"), error.reason, engine)


def architectures_as_known(document: Document, performance: PerformanceSection) -> Iterator[Fault]:
    """A known architecture is written as the catalogue or the fit has it."""
    if not performance.hardware:
        return
    known = known_architectures(performance)
    for name, section in performance.hardware.items():
        written = other_spelling(section.architecture, known)
        if written is not None:
            path = ("performance", "hardware", name, "architecture")
            yield document.fault(path, f"must be written {written}", section.architecture)


def known_architectures(performance: PerformanceSection) -> set[str]:
    """Return the architectures of the catalogue, and those that the constants were fitted on."""
    catalogued = {find_gpu(name).architecture for name in gpu_names()}
    return catalogued | _fitted(performance, "architecture")


def _fitted(performance: PerformanceSection, level: str) -> set[str]:
    """Return the members of a level that the constants in force were fitted on."""
    constants = performance.constants or shipped_table()
    return {effect.member for effect in constants.effects if effect.level == level}


def limits_suit_model(
    document: Document,
    workload: WorkloadSection,
    limits: LimitsSection,
    performance: PerformanceSection,
) -> Iterator[Fault]:
    """Limits on latency need a model and a phase that know of it."""
    for name in ("max_ttft_s", "max_tpot_s"):
        value = getattr(limits, name)
        if value is not None and performance.model == "flops":
            yield document.fault(("limits", name), "is not known to the flops model", value)
    if limits.max_tpot_s is not None and workload.phase == "prefill":
        reason = "has no meaning in phase prefill, which generates nothing"
        yield document.fault(("limits", "max_tpot_s"), reason, limits.max_tpot_s)


def hosts_suit_model(
    document: Document,
    pool: list[GpuSection],
    network: NetworkSection,
    performance: PerformanceSection,
) -> Iterator[Fault]:
    """Hosts hold a power of two of GPUs, and their links are no slower than the network."""
    for index, kind in enumerate(pool):
        given = [n for n in ("gpus_per_node", "link_gb_per_s") if getattr(kind, n) is not None]
        if performance.model == "flops":
            for name in given:
                reason = "is not known to the flops model"
                yield document.fault(("pool", index, name), reason, getattr(kind, name))
        elif kind.gpus_per_node is not None:
            yield from _host_faults(document, index, kind, network, performance)


def _host_faults(
    document: Document,
    index: int,
    kind: GpuSection,
    network: NetworkSection,
    performance: PerformanceSection,
) -> Iterator[Fault]:
    size = kind.gpus_per_node or 1
    if size & (size - 1):
        yield document.fault(("pool", index, "gpus_per_node"), "must be a power of two", size)
    with contextlib.suppress(UnknownNameError):
        own = performance.hardware.get(kind.gpu)
        link = find_gpu(kind.gpu).link.gb_per_s.value if own is None else own.link.gb_per_s
        inside = kind.link_gb_per_s or link
        if network.gb_per_s is not None and network.gb_per_s > inside:
            reason = (
                f"must be at most the link inside hosts of {kind.gpu}, {inside:g} GB/s; for "
                f"{network.gb_per_s:g} Gbit/s give {network.gb_per_s / 8:g}, else state that link "
                "for all hosts, and no hop is thought faster than it is"
            )
            yield document.fault(("network", "gb_per_s"), reason, network.gb_per_s)


def gpu_memory_gb(gpu: str, performance: PerformanceSection) -> float:
    """Return the memory of a GPU as a config describes it, else of the catalogue's, GB.

    Raises UnknownNameError where neither knows it.
    """
    own = performance.hardware.get(gpu)
    return float(find_gpu(gpu).memory_gb.value if own is None else own.memory_gb)


def memory_suits_gpus(
    document: Document, pool: list[GpuSection], performance: PerformanceSection
) -> Iterator[Fault]:
    """Memory is stated or known, and in GB: a hundred times that of the GPU was meant in MiB."""
    for index, kind in enumerate(pool):
        if performance.model == "flops" and kind.memory_gb is not None:
            # GPUs of the flops model may be made up, also under the names of real ones.
            continue
        path = ("pool", index, "memory_gb")
        try:
            known_gb = gpu_memory_gb(kind.gpu, performance)
        except UnknownNameError:
            # Under roofline the name is at fault, which is told where GPUs are looked up.
            if performance.model == "flops":
                yield document.lacking(path, "is missing")
            continue
        if (kind.memory_gb or 0) > MOST_MEMORY * known_gb:
            reason = f"must be in GB, of which {kind.gpu} has {known_gb:g}; is this MiB?"
            yield document.fault(path, reason, kind.memory_gb)


def network_suits_model(
    document: Document, network: NetworkSection, performance: PerformanceSection
) -> Iterator[Fault]:
    """The roofline model knows one bandwidth between hosts, and that there is one."""
    if performance.model == "flops":
        return
    for name in ("overrides", "rows", "drop_below_percentile"):
        if getattr(network, name):
            reason = "is not known to the roofline model; give gb_per_s and pool gpus_per_node"
            yield document.fault(("network", name), reason, "…")
    if network.gb_per_s == 0:
        reason = "must be greater than 0 for the roofline model"
        yield document.fault(("network", "gb_per_s"), reason, 0)


def performance_suits_model(document: Document, performance: PerformanceSection) -> Iterator[Fault]:
    """What stands beside the catalogue of a performance model is for that model."""
    if performance.model == "flops" and performance.constants is not None:
        reason = "must be roofline where performance.constants are given"
        yield document.fault(("performance", "model"), reason, "flops")
    if performance.model == "flops" and performance.hardware:
        reason = "is not known to the flops model; give performance.gpus"
        yield document.fault(("performance", "hardware"), reason, ", ".join(performance.hardware))
    if performance.model == "roofline" and performance.gpus:
        reason = "is not known to the roofline model; give performance.hardware"
        yield document.fault(("performance", "gpus"), reason, ", ".join(performance.gpus))


def formulation_suits_model(
    document: Document, solver: SolverSection, performance: PerformanceSection
) -> Iterator[Fault]:
    """The published formulation knows only stages with a throughput of their own."""
    if performance.model != "flops" and solver.formulation == "pairwise":
        reason = f"is not known to the {performance.model} model"
        yield document.fault(("solver", "formulation"), reason, "pairwise")
