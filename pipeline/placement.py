"""A placement: which GPUs run which layers, how fast, at what cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.errors import SolverError
from pipeline.groups import GroupClasses
from pipeline.instance import Instance
from pipeline.links import Links
from pipeline.options import Option

# Stages of 5 layers on one GPU and of 3 on two may differ in the last digit alone.
AS_SLOW = 1e-9
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Stage:
    """One pipeline stage: layers start_layer to end_layer, from 1, on the GPUs of one TP group."""

    gpu: str
    gpu_ids: tuple[int, ...]
    start_layer: int
    end_layer: int
    tokens_per_s: float
    usd_per_hour: float
    memory_gb: float
    gpu_memory_gb: float

    @property
    def size(self) -> int:
        """Layers of the stage."""
        return self.end_layer - self.start_layer + 1

    @property
    def tp_degree(self) -> int:
        """GPUs of the group."""
        return len(self.gpu_ids)

    @property
    def memory_utilization(self) -> float:
        """Share of each GPU's memory that the stage takes."""
        return self.memory_gb / self.gpu_memory_gb


@dataclass(frozen=True)
class Placement:
    """Stages in pipeline order. link_tokens_per_s: slowest hop, infinite for a single stage."""

    stages: tuple[Stage, ...]
    link_tokens_per_s: float

    @property
    def tokens_per_s(self) -> float:
        """Throughput: the slowest stage or hop."""
        return min(self.link_tokens_per_s, *(stage.tokens_per_s for stage in self.stages))

    @property
    def usd_per_hour(self) -> float:
        """Cost of all groups together."""
        return math.fsum(stage.usd_per_hour for stage in self.stages)

    @property
    def num_gpus(self) -> int:
        """GPUs of all groups together."""
        return sum(stage.tp_degree for stage in self.stages)

    @property
    def usd_per_token(self) -> float:
        """Cost of a token at full load."""
        return usd_per_token(self.usd_per_hour, self.tokens_per_s)

    def is_bottleneck(self, stage: Stage) -> bool:
        """Tell whether a stage sets the throughput, alone or with others as slow."""
        return stage.tokens_per_s <= self.tokens_per_s * (1 + AS_SLOW)


def usd_per_token(usd_per_hour: float, tokens_per_s: float) -> float:
    """Return `cost / (throughput · 3600)`, $/token."""
    return usd_per_hour / (tokens_per_s * SECONDS_PER_HOUR)


@dataclass(frozen=True)
class ChosenGroup:
    """A group that the search chose: its class and its number of layers."""

    group_class: int
    size: int


def place(
    instance: Instance,
    groups: GroupClasses,
    options: Sequence[Option],
    chosen: Sequence[ChosenGroup],
    links: Links,
    first_gpu_ids: Sequence[int] | None = None,
) -> Placement:
    """Give GPUs and layers to the chosen groups, in their order.

    groups: the classes that `chosen` speaks of. first_gpu_ids: lowest GPU id of each chosen
    group, where that is decided already. Raises SolverError where the chosen groups do not
    fit the pool or the layers: then model and pool disagree, which is a defect and no answer.
    """
    first_ids = _assign(groups, chosen) if first_gpu_ids is None else first_gpu_ids
    by_kind = {(o.gpu, o.degree, o.size): o for o in options}
    stages: list[Stage] = []
    start = 1
    for group, first in zip(chosen, first_ids, strict=True):
        group_class = groups.classes[group.group_class]
        kind = instance.pool[group_class.gpu]
        option = by_kind[group_class.gpu, group_class.degree, group.size]
        stages.append(
            Stage(
                gpu=kind.name,
                gpu_ids=tuple(range(first, first + group_class.degree)),
                start_layer=start,
                end_layer=start + group.size - 1,
                tokens_per_s=option.tokens_per_s,
                usd_per_hour=option.usd_per_hour,
                memory_gb=option.memory_gb,
                gpu_memory_gb=kind.memory_gb,
            )
        )
        start += group.size
    if start != instance.num_layers + 1:
        raise SolverError(f"the chosen groups hold {start - 1} of {instance.num_layers} layers")
    hops = [links.hop_tokens_per_s(a.gpu_ids, b.gpu_ids) for a, b in pairwise(stages)]
    return Placement(tuple(stages), min(hops, default=math.inf))


def _assign(groups: GroupClasses, chosen: Sequence[ChosenGroup]) -> list[int]:
    """Return the lowest GPU id of each chosen group; larger degrees are served first.

    The order within a class does not matter, since its blocks contain equal numbers of blocks of
    every other class; serving large blocks first keeps small ones from splitting them.
    """
    taken: set[int] = set()
    first_ids = [-1] * len(chosen)
    by_degree = sorted(
        range(len(chosen)), key=lambda i: -groups.classes[chosen[i].group_class].degree
    )
    for index in by_degree:
        group_class = groups.classes[chosen[index].group_class]
        for first in group_class.first_gpu_ids:
            block = range(first, first + group_class.degree)
            if taken.isdisjoint(block):
                taken.update(block)
                first_ids[index] = first
                break
        else:
            raise SolverError(
                f"no free block is left of a group class of degree {group_class.degree}"
            )
    return first_ids
