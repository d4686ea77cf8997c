"""What a config says that was hardly meant, though it can be: told beside an answer, never refused.

Checks of the same kind as those in `checks`, of a config that is sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pipeline.catalogue import MOST_MEMORY_GB, UnknownNameError, find_gpu, gpu_names
from pipeline.config.document import Document
from pipeline.config.load import LoadedConfig
from pipeline.config.performance_checks import known_architectures
from pipeline.config.schema import (
    Config,
    GpuSection,
    LimitsSection,
    ModelSection,
    PerformanceSection,
)
from pipeline.errors import Fault
from pipeline.words import close_names

# A month has 730 hours; what eight GPUs cost at the dearest provider is mostly below.
MOST_TIMES_USUAL = 50
# Of a GPU in a host of several: providers differ by less, and a host of eight costs more.
MOST_TIMES_USUAL_IN_HOST = 4
NARROW_BITS = {"fp8": 8, "int8": 8, "int4": 4, "fp4": 4}
# Engines load weights of 16 bits, also where a file holds 32. Nobody waits so long for a token.
MOST_BYTES_PER_WEIGHT, MOST_TPOT_S, MOST_TTFT_S = 2, 5, 300
# Close enough that two letters of a short name were swapped.
CLOSE = 0.8


def doubts(loaded: LoadedConfig) -> list[Fault]:
    """Return what a user may want to look at again, as faults name it."""
    config, document = loaded.config, loaded.document
    return [
        *dear_gpus(document, config.pool),
        *memory_in_mib(document, config.pool),
        *unseen_architectures(document, config.performance, config.pool),
        *wide_weights(document, config),
        *bits_for_bytes(document, config.model),
        *milliseconds(document, config.limits),
    ]


def dear_gpus(document: Document, pool: list[GpuSection]) -> Iterator[Fault]:
    """Prices are of one GPU for one hour: many times the usual may be a month's, or in cents.

    Where hosts hold several GPUs, what is beyond the dearest GPU too may be a host's.
    """
    priced = {name: price.value for name in gpu_names() if (price := find_gpu(name).usd_per_hour)}
    for index, kind in enumerate(pool):
        usual, whose = _usual_usd_per_hour(kind.gpu, priced)
        most = MOST_TIMES_USUAL * usual
        if (kind.gpus_per_node or 1) > 1:
            most = max(MOST_TIMES_USUAL_IN_HOST * usual, *priced.values())
        if kind.usd_per_hour > most:
            times = f"{kind.usd_per_hour / usual:,.0f} times the ${usual:g} of {whose}"
            reason = f"is {times}; is it for one GPU and one hour, in dollars?"
            yield document.fault(("pool", index, "usd_per_hour"), reason, kind.usd_per_hour)


def _usual_usd_per_hour(gpu: str, priced: Mapping[str, float]) -> tuple[float, str]:
    """Return what the catalogue says that a GPU costs, $/h, else what its dearest does; and whose.

    priced: prices of the catalogue by name, $/h.
    GPUs of no price of their own are those that it does not know, and some that nobody rents out.
    """
    try:
        name = find_gpu(gpu).name
    except UnknownNameError:
        name = gpu
    if name in priced:
        return priced[name], f"{name} in the catalogue"
    dearest = max(priced, key=priced.__getitem__)
    return priced[dearest], f"{dearest}, the dearest of the catalogue"


def memory_in_mib(document: Document, pool: list[GpuSection]) -> Iterator[Fault]:
    """Memory is in GB. GPUs of the flops model may be made up; under roofline this is a fault."""
    for index, kind in enumerate(pool):
        if (kind.memory_gb or 0) > MOST_MEMORY_GB:
            reason = "is more GB than any GPU has; is this MiB?"
            yield document.fault(("pool", index, "memory_gb"), reason, kind.memory_gb)


def wide_weights(document: Document, config: Config) -> Iterator[Fault]:
    """Engines that multiply in 8 or 4 bits keep weights of that size, and so read less."""
    bits = NARROW_BITS.get(config.workload.compute_type)
    if bits and config.performance.model == "roofline" and config.model.bytes_per_weight >= 2:
        reason = (
            f"multiplies in {bits} bits, but weights have {config.model.bytes_per_weight:g} bytes; "
            f"engines store them so too: model.bytes_per_weight={bits / 8:g}"
        )
        yield document.fault(("workload", "compute_type"), reason, config.workload.compute_type)


def bits_for_bytes(document: Document, model: ModelSection) -> Iterator[Fault]:
    """A weight of 8 or 4 bits has 1 byte or half a one."""
    size = model.bytes_per_weight
    if size > MOST_BYTES_PER_WEIGHT:
        reason = (
            f"is {8 * size:g} bits a weight, more than engines load; for {size:g} bits give "
            f"{size / 8:g}"
        )
        yield document.fault(("model", "bytes_per_weight"), reason, size)


def milliseconds(document: Document, limits: LimitsSection) -> Iterator[Fault]:
    """Limits on latency are in seconds."""
    for name, most_s in (("max_tpot_s", MOST_TPOT_S), ("max_ttft_s", MOST_TTFT_S)):
        limit_s = getattr(limits, name)
        if limit_s is not None and limit_s >= most_s:
            reason = f"is in seconds; are milliseconds meant, {limit_s / 1000:g} s?"
            yield document.fault(("limits", name), reason, limit_s)


def unseen_architectures(
    document: Document, performance: PerformanceSection, pool: list[GpuSection]
) -> Iterator[Fault]:
    """An architecture that no fit has seen is not a known one misspelt.

    A number apart, as `cdna4` and `cdna3`, it is another generation. What the pool lacks is not
    looked at: a file may describe thousands.
    """
    if not performance.hardware:
        return
    known, pooled = known_architectures(performance), {kind.gpu for kind in pool}
    for name, section in performance.hardware.items():
        if name not in pooled:
            continue
        given = section.architecture
        others = [other for other in known if _without_numbers(other) != _without_numbers(given)]
        if given not in known and (near := close_names(given, others, n=1, cutoff=CLOSE)):
            path = ("performance", "hardware", name, "architecture")
            reason = f"is one that no fit has seen; did you mean {near[0]}?"
            yield document.fault(path, reason, given)


def _without_numbers(name: str) -> str:
    return re.sub("[0-9]", "", name)
