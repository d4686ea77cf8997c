"""Bounds and comparisons of loads, against every placement on GPUs of small instances."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from pipeline.instance import GpuType, Instance, Limits, Serving
from pipeline.network import uniform_network
from pipeline.serving import methods
from pipeline.serving.cells import one_cell
from pipeline.serving.dominance import Dominance
from pipeline.serving.search import ServingSearch
from pipeline.serving.tables import ServingTables
from tests.serving.oracle import Oracle
from tests.serving.test_against_oracle import (
    PHASES,
    SHAPE,
    random_instance,
    search_of,
    with_many_loads,
)


def placed(search: ServingSearch) -> Iterator[tuple[int, float, float, dict[int, float]]]:
    """Yield load, tokens/s, $/h and the tokens/s under every load of all placements."""
    oracle = Oracle(search.instance)
    index = {(d.concurrency, d.micro_batches): i for i, d in enumerate(search.tables.decisions)}
    for stages in oracle.chains(search.granularity.sizes):
        cost = sum(g.degree * search.instance.pool[g.kind].usd_per_hour for g, _ in stages)
        rates = {
            index[load]: found[0]
            for load in oracle.loads
            if (found := oracle.figures_of(stages, load)) is not None
        }
        for load, rate in rates.items():
            yield load, rate, cost, rates


def chosen_groups(search: ServingSearch) -> Iterator[tuple[int, float, float, Counter[int]]]:
    """Yield load, tokens/s, $/h and groups by class of all placements."""
    oracle, classes = Oracle(search.instance), list(search.tables.groups)
    of_kind = {(c.gpu, c.degree): index for index, c in enumerate(classes)}
    loads = {(d.concurrency, d.micro_batches): i for i, d in enumerate(search.tables.decisions)}
    for stages in oracle.chains(search.granularity.sizes):
        cost = sum(g.degree * search.instance.pool[g.kind].usd_per_hour for g, _ in stages)
        groups = Counter(of_kind[g.kind, g.degree] for g, _ in stages)
        for load in oracle.loads:
            if (found := oracle.figures_of(stages, load)) is not None:
                yield loads[load], found[0], cost, groups


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("seed", [0, 4, 6])
def test_prices_of_one_cell_bound_every_other(phase: str, seed: int) -> None:
    search = search_of(random_instance(seed, phase), "exact")
    every = list(placed(search))
    assert every
    least = search._least
    rates = np.quantile([rate for _, rate, _, _ in every], [0.2, 0.5, 0.8])
    before = np.array([least.at(rate, search.cells) for rate in rates.tolist()])
    for rate in rates.tolist():
        for cell in range(len(search.cells)):
            least.sharpen(rate, search.cells.at(np.array([cell])))
    after = np.array([least.at(rate, search.cells) for rate in rates.tolist()])
    assert (after >= before).all()
    assert (after > before).any()
    stages = search.instance.limits.max_stages
    for load, rate, cost, _ in every:
        assert least.at(rate * (1 - 1e-9), one_cell(load, stages))[0] <= cost + 1e-9


def with_slow_gpus(instance: Instance) -> Instance:
    """Add GPUs that cost next to nothing, hold many layers and are slow: few layers may do."""
    slow = GpuType("T4", 2, memory_gb=40.0, usd_per_hour=0.001)
    count = sum(kind.count for kind in instance.pool) + slow.count
    bandwidth = float(instance.network.bandwidth.max())
    return replace(instance, pool=(*instance.pool, slow), network=uniform_network(count, bandwidth))


@pytest.mark.parametrize("phase", PHASES)
def test_no_placement_within_a_cost_has_more_groups_than_its_prices_leave(phase: str) -> None:
    left_out = 0
    bases = [random_instance(seed, phase) for seed in (0, 1, 4, 6)]
    for instance in [*bases, *map(with_slow_gpus, bases)]:
        search = search_of(instance, "exact")
        every, stages = list(chosen_groups(search)), search.instance.limits.max_stages
        for asked in np.quantile([rate for _, rate, _, _ in every], [0.1, 0.4, 0.7, 0.95]):
            for load in {load for load, _, _, _ in every}:
                cell = one_cell(load, stages)
                search._least.sharpen(float(asked), cell)
                reaching = [(c, groups) for d, r, c, groups in every if d == load and r >= asked]
                for cost in np.quantile([0.0, *(c for c, _ in reaching)], [0.02, 0.1, 0.3]):
                    most = search._least.most_groups(float(asked) * (1 - 1e-9), cell, float(cost))
                    met = {g for c, groups in reaching if c <= cost for g in groups.items()}
                    assert all(most[group_class] >= number for group_class, number in met)
                    left_out += bool(met and (most < search._least._members).any())
    assert left_out


@pytest.mark.parametrize("phase", ["decode", "mixed"])
def test_what_is_not_there_for_the_price_of_the_pool_is_not_there_at_any(phase: str) -> None:
    """It was asked for at ever higher prices, until one was too large to be a number."""
    search = search_of(random_instance(0, phase), "exact")
    fastest = max(rate for _, rate, _, _ in placed(search)) * 1.001
    assert np.isfinite(search.bounds(fastest)).any()
    for cell in search.own_cells.tolist():
        search.cheapest(cell, fastest, at_most=search.instance.pool_usd_per_hour)
    assert np.isinf(search.bounds(fastest)).all()


def test_what_is_known_to_be_the_cheapest_is_not_asked_for_again() -> None:
    search = search_of(with_many_loads(random_instance(1, "prefill")), "exact")
    rate = float(np.median([rate for _, rate, _, _ in placed(search)]))
    index, found = int(search.own_cells[np.argmin(search.bounds(rate))]), None
    while found is None:
        found = search.raise_bound(index, rate, enough=np.inf)
    asked = search.effort.num_solves
    again = search.raise_bound(index, rate, enough=np.inf)
    assert again is not None
    assert (again.usd_per_hour, search.effort.num_solves) == (found.usd_per_hour, asked)


def test_what_prices_prove_of_a_throughput_holds_of_every_higher_one() -> None:
    """Else a search for the fastest asks the same again and again, until its time is up."""
    base = with_many_loads(random_instance(1, "prefill"))
    free = replace(base, pool=tuple(replace(kind, usd_per_hour=0.0) for kind in base.pool))
    search = search_of(free, "exact")
    for cell in search.own_cells:
        for rate in np.geomspace(2e4, 1e5, 25).tolist():
            search.raise_bound(int(cell), rate, enough=0.0, at_most=0.0)
            proven, above = (search.bounds(r, np.array([cell])) for r in (rate, 1.1 * rate))
            assert above >= proven
    assert np.isinf(search.bounds(1e5)).any()


def test_a_search_for_fewer_stages_ends_where_layers_dealt_anew_lie_outside_its_cell() -> None:
    """It asked 6,090 models until its time was up; all but a few ask for what is known to fail."""
    free_and_not = {"A100-80G": (2, 16.0, 1.0), "L40S": (1, 24.0, 0.0), "H100": (1, 40.0, 0.5)}
    instance = replace(
        random_instance(1, "prefill"),
        model=replace(SHAPE, num_hidden_layers=14),
        pool=tuple(GpuType(name, *kind) for name, kind in free_and_not.items()),
        network=uniform_network(4, 10.0),
        limits=Limits(max_stages=4, tp_degrees=(1,)),
        serving=Serving("prefill", 2000, 0, concurrency=(4,), micro_batches=(4,)),
    )
    search = search_of(instance, "exact")
    assert methods.enumeration(search).status == "optimal"
    assert search.effort.num_solves < 100


@pytest.mark.parametrize("phase", PHASES)
def test_a_load_that_is_no_worse_serves_every_placement_as_well(phase: str) -> None:
    seeds = (1, 4, 6)
    bases = [with_many_loads(random_instance(seed, phase)) for seed in seeds]
    assert sum(serves_as_well(search_of(base, "exact")) for base in bases)


@pytest.mark.parametrize("seed", [3, 5])
def test_where_hops_are_long_the_first_token_is_in_time_under_a_load_that_is_no_worse(
    seed: int,
) -> None:
    base = with_many_loads(random_instance(seed, "prefill"))
    base = replace(base, network=uniform_network(8, 0.02))
    firsts = first_tokens(replace(base, limits=replace(base.limits, max_ttft_s=None)))
    compared = 0
    for share in (0.5, 0.8):
        limits = replace(base.limits, max_ttft_s=float(np.quantile(firsts, share)) * 1.0001)
        compared += serves_as_well(search_of(replace(base, limits=limits), "exact"))
    assert compared


def serves_as_well(search: ServingSearch) -> int:
    """Hold loads that are no worse to all placements; return how many were compared."""
    stages, compared = search.instance.limits.max_stages, 0
    dominance = Dominance(search.tables, search.rates, search._least, stages)
    every = list(placed(search))
    for asked in np.quantile([rate for _, rate, _, _ in every], [0.1, 0.5, 0.9]).tolist():
        loads = range(len(search.tables.decisions))
        best = [dominance.best_of(load, asked) for load in loads]
        no_better = [set(dominance.no_better_than(load, asked).tolist()) for load in loads]
        assert all(load in no_better[load] for load in loads)
        for load, rate, _, rates in every:
            if rate < asked:
                continue
            no_worse = {other for other in loads if load in no_better[other]} | {best[load]}
            compared += len(no_worse - {load})
            assert min(rates.get(other, 0.0) for other in no_worse) >= asked * (1 - 1e-9)
    return compared


def first_tokens(instance: Instance) -> list[float]:
    """Return the time to the first token of placements under every load, s."""
    oracle = Oracle(instance)
    chains = [stages for _, _, stages in oracle.placements(range(1, 6))][:200]
    found = (oracle.figures_of(stages, load) for stages in chains for load in oracle.loads)
    return [figures[1] for figures in found if figures is not None]


@pytest.mark.parametrize("figure", ["pass_s", "largest", "smallest"])
def test_a_load_that_is_worse_in_one_figure_is_no_longer_asked(figure: str) -> None:
    search = search_of(with_many_loads(random_instance(1, "prefill")), "exact")
    tables, stages = search.tables, search.instance.limits.max_stages

    def best_of(decision: int, changed: ServingTables) -> int:
        return Dominance(changed, search.rates, search._least, stages).best_of(decision, 1.0)

    pairs = [(d, best_of(d, tables)) for d in range(len(tables.decisions))]
    one, best = next((d, b) for d, b in pairs if b != d)
    values = getattr(tables, figure).copy()
    values[:, best] = {"pass_s": 100 * values[:, best], "largest": 0, "smallest": 9}[figure]
    assert best_of(one, replace(tables, **{figure: values})) != best
