"""Small random instances, by seed: every kind of network, limit and price that can matter."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from pipeline.granularity import Granularity
from pipeline.instance import GpuFigures, GpuType, Instance, Limits, Performance, Workload
from pipeline.model_shape import ModelShape
from pipeline.network import Network, Override, matrix_network, uniform_network
from pipeline.restrictions import RESTRICTIONS

HIDDEN_SIZE = 1024


@dataclass(frozen=True)
class Shape:
    """How large and of what kind the instances are.

    restricted: under some of the restrictions, and with so little memory that placements have
    several stages; else every one keeps to them by itself.
    """

    max_types: int = 3
    max_gpus: int = 6
    max_layers: int = 7
    linked: bool = True
    restricted: bool = False
    filtered: bool = True


def random_case(seed: int, shape: Shape = Shape()) -> tuple[Instance, Granularity]:
    """Draw an instance and the sizes that its segments may have."""
    rng = random.Random(seed)
    pool = _pool(rng, shape)
    num_gpus = sum(kind.count for kind in pool)
    layers = rng.randint(2, shape.max_layers)
    model = ModelShape(
        "random",
        layers,
        HIDDEN_SIZE,
        4 * HIDDEN_SIZE,
        8,
        8,
        1000,
        layer_weight_gb=rng.uniform(0.5, 2.0),
    )
    figures = {
        kind.name: GpuFigures(rng.uniform(20, 200), rng.uniform(200, 900), rng.uniform(0.3, 0.7))
        for kind in pool
    }
    instance = Instance(
        name=f"random-{seed}",
        model=model,
        workload=Workload(rng.choice([128, 512]), rng.choice([1, 8])),
        pool=pool,
        network=_network(rng, num_gpus, shape),
        limits=_limits(rng, shape),
        performance=Performance("flops", figures),
    )
    every = range(1, layers + 1)
    sizes = tuple(every) if rng.random() < 0.5 else rng.sample(every, rng.randint(1, layers))
    return instance, Granularity("random", tuple(sorted(sizes)))


def _pool(rng: random.Random, shape: Shape) -> tuple[GpuType, ...]:
    pool: list[GpuType] = []
    for index in range(rng.randint(1, shape.max_types)):
        room = shape.max_gpus - sum(kind.count for kind in pool)
        if room < 1:
            break
        price = rng.choice([round(rng.uniform(0.1, 2.0), 1), round(rng.uniform(0.1, 2.0), 9)])
        max_tp = rng.choice([None, None, 1, 2])
        count = min(rng.choice([1, 2, 2, 3, 4]), room)
        memory_gb = rng.uniform(2, 12)
        if shape.restricted:
            max_tp, memory_gb = None, 0.6 * memory_gb
        pool.append(GpuType(f"G{index}", count, memory_gb, price, max_tp))
    return tuple(pool)


def _network(rng: random.Random, num_gpus: int, shape: Shape) -> Network:
    """Draw a network: uniform, with a slow or cut-off part, or a matrix with or without zeros."""
    if not shape.linked:
        return uniform_network(num_gpus, 1e6)
    scale = rng.choice([0.001, 0.003, 0.01, 0.03, 0.1, 1.0, 10.0])
    kind = rng.randint(0, 3)
    if kind == 0:
        network = uniform_network(num_gpus, 600 * scale)
    elif kind == 1:
        part = frozenset(range(rng.randint(0, num_gpus - 1), num_gpus))
        slow = Override(part, None, rng.choice([0.0, 50 * scale]))
        network = uniform_network(num_gpus, 600 * scale, [slow])
    else:
        steps = [0, 1, 2, 5, 10, 50]

        def draw() -> float:
            return 10 * scale * rng.choice(steps) if kind == 2 else scale * rng.uniform(1, 600)

        network = matrix_network([[draw() for _ in range(num_gpus)] for _ in range(num_gpus)])
    if shape.filtered and rng.random() < 0.25:
        network = replace(network, drop_below_percentile=rng.choice([10.0, 30.0, 60.0]))
    return network


def _limits(rng: random.Random, shape: Shape) -> Limits:
    limits = Limits(
        max_stages=rng.randint(1, 5),
        min_layers_per_stage=rng.choice([1, 1, 2]),
        min_memory_utilization=rng.choice([0.0, 0.3, 0.5]),
        tp_degrees=tuple(sorted(rng.sample([1, 2, 4], rng.randint(1, 3)))),
    )
    if not shape.restricted:
        return limits
    limits = replace(limits, max_stages=rng.randint(2, 4), tp_degrees=(1, 2))
    asked: dict[str, Any] = {name: rng.random() < 0.5 for name in RESTRICTIONS}
    return replace(limits, **asked)
