"""Reasons for which there is no placement that both performance models know, in the same words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline.granularity import Granularity, can_sum_to
from pipeline.instance import Instance, Limits
from pipeline.model_shape import why_not_split
from pipeline.restrictions import RESTRICTIONS
from pipeline.words import counted, enough_per_hour, per_hour

NO_COMBINATION = "no combination of allowed sizes on the pool's groups covers all layers"
# By type of GPU: the most layers that a group of each TP degree holds.
Held = Sequence[Mapping[int, int]]


def sizes_reason(instance: Instance, sizes: Granularity) -> str:
    """Tell whether the sizes alone are in the way; empty where they are not."""
    layers, fewest = instance.num_layers, instance.limits.min_layers_per_stage
    if fewest > layers:
        has = counted(layers, "layer")
        return f"sizes: min_layers_per_stage is {fewest}, the model has {has}"
    if can_sum_to([size for size in sizes.sizes if size >= fewest], layers):
        return ""
    told = f"sizes: {sizes.name} cannot sum to {counted(layers, 'layer')}"
    return f"{told} with min_layers_per_stage at {fewest}" if fewest > sizes.sizes[0] else told


def no_option_reason(instance: Instance, held: Held, beside: str = "") -> str:
    """Name the most layers that fit per type, where no allowed size is an option.

    beside: what else has to fit, as ` beside 8 requests`.
    """
    limits, most = instance.limits, max(max(of.values(), default=0) for of in held)
    fits = "; ".join(_most_layers(instance, held))
    fewest = limits.min_layers_per_stage
    if not any(held):
        return f"groups: no GPU type of the pool forms a TP group: {fits}"
    if 0 < most < fewest:
        told = f"no group holds the {fewest} layers of min_layers_per_stage{beside}"
        return f"memory: {told}: {fits}"
    full = ""
    if most and limits.min_memory_utilization:
        full = f" and fills {limits.min_memory_utilization:.0%} of its memory"
    return f"memory: no allowed size fits any group{beside}{full}: {fits}"


def _most_layers(instance: Instance, held: Held) -> Iterator[str]:
    """Yield, for every GPU type, how many layers each TP degree holds."""
    for kind, of in zip(instance.pool, held, strict=True):
        if of:
            (first, most), *others = of.items()
            told = [f"{counted(most, 'layer')} at TP {first}"]
            told += [f"{layers} at TP {degree}" for degree, layers in others]
            yield f"{kind.name} holds {', '.join(told)}"
        elif kind.name in instance.limits.exclude:
            yield f"{kind.name} is excluded"
        else:
            yield f"{kind.name} allows no TP degree of {_degrees_asked(instance)}"


def _degrees_asked(instance: Instance) -> str:
    """Name the TP degrees of the limits, and which of them the model's heads rule out."""
    degrees = sorted(set(instance.limits.tp_degrees))
    asked = " or ".join(map(str, degrees))
    if instance.serving is None:
        return asked
    unsplit = "; ".join(filter(None, (why_not_split(instance.model, d) for d in degrees)))
    return f"{asked} ({unsplit})" if unsplit else asked


def pool_reason(instance: Instance, held: Held, beside: str = "") -> str:
    """Name the layers that the whole pool holds where they are too few; else empty."""
    layers = 0
    for kind, of in zip(instance.pool, held, strict=True):
        layers += max((kind.count * most // degree for degree, most in of.items()), default=0)
    if layers >= instance.num_layers:
        return ""
    needed = counted(instance.num_layers, "layer")
    return f"memory: the whole pool holds at most {layers} of {needed}{beside}"


def budget_reason(
    budget_usd_per_hour: float, cheapest_usd_per_hour: float, is_proven: bool = True
) -> str:
    """Name the cost of the cheapest placement, or of the cheapest found, above the budget."""
    budget, cheapest = per_hour(budget_usd_per_hour), enough_per_hour(cheapest_usd_per_hour)
    found = "" if is_proven else " found"
    return f"budget: {budget} is below the cheapest placement{found}, {cheapest}"


def restrictions_reason(limits: Limits) -> str:
    """Say that there is a placement without what all stages must have in common."""
    stated = [name for name in RESTRICTIONS if getattr(limits, name)]
    return f"restrictions: without {', '.join(stated)} there is a placement"
