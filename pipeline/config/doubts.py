"""What a config says that was hardly meant, though it can be: told beside an answer, never refused.

Checks of the same kind as those in `checks`, of a config that is sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.catalogue import MOST_MEMORY_GB, UnknownNameError, find_gpu, gpu_names
from pipeline.config.document import Document
from pipeline.config.load import LoadedConfig
from pipeline.config.performance_checks import known_architectures
from pipeline.config.schema import GpuSection, PerformanceSection
from pipeline.errors import Fault
from pipeline.words import close_names

# A month has 730 hours; what eight GPUs cost at the dearest provider is mostly below.
MOST_TIMES_USUAL = 50
# Close enough that two letters of a short name were swapped.
CLOSE = 0.8


def doubts(loaded: LoadedConfig) -> list[Fault]:
    """Return what a user may want to look at again, as faults name it."""
    config, document = loaded.config, loaded.document
    return [
        *dear_gpus(document, config.pool),
        *memory_in_mib(document, config.pool),
        *unseen_architectures(document, config.performance),
    ]


def dear_gpus(document: Document, pool: list[GpuSection]) -> Iterator[Fault]:
    """Prices are of one GPU for one hour: many times the usual may be a month's, or in cents."""
    for index, kind in enumerate(pool):
        usual, whose = _usual_usd_per_hour(kind.gpu)
        if kind.usd_per_hour > MOST_TIMES_USUAL * usual:
            times = f"{kind.usd_per_hour / usual:,.0f} times the ${usual:g} of {whose}"
            reason = f"is {times}; is it for one GPU and one hour, in dollars?"
            yield document.fault(("pool", index, "usd_per_hour"), reason, kind.usd_per_hour)


def _usual_usd_per_hour(gpu: str) -> tuple[float, str]:
    """Return what the catalogue says that a GPU costs, $/h, else what its dearest does; and whose.

    GPUs of no price of their own are those that it does not know, and some that nobody rents out.
    """
    priced = {name: price.value for name in gpu_names() if (price := find_gpu(name).usd_per_hour)}
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


def unseen_architectures(document: Document, performance: PerformanceSection) -> Iterator[Fault]:
    """An architecture that no fit has seen is not a known one misspelt.

    A number apart, as `cdna4` and `cdna3`, it is another generation.
    """
    if not performance.hardware:
        return
    known = known_architectures(performance)
    for name, section in performance.hardware.items():
        given = section.architecture
        others = [other for other in known if _without_numbers(other) != _without_numbers(given)]
        if given not in known and (near := close_names(given, others, n=1, cutoff=CLOSE)):
            path = ("performance", "hardware", name, "architecture")
            reason = f"is one that no fit has seen; did you mean {near[0]}?"
            yield document.fault(path, reason, given)


def _without_numbers(name: str) -> str:
    return re.sub("[0-9]", "", name)
