"""Bounds and comparisons of loads, against every placement on GPUs of small instances."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from pipeline.serving.dominance import Dominance
from pipeline.serving.search import ServingSearch
from pipeline.serving.tables import ServingTables
from tests.serving.oracle import Oracle
from tests.serving.test_against_oracle import (
    PHASES,
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
    for load, rate, cost, _ in every:
        assert least.at(rate * (1 - 1e-9), search.cells.at(np.array([load])))[0] <= cost + 1e-9


@pytest.mark.parametrize("phase", PHASES)
def test_a_load_that_is_no_worse_serves_every_placement_as_well(phase: str) -> None:
    compared = 0
    for seed in (1, 4, 6):
        search = search_of(with_many_loads(random_instance(seed, phase)), "exact")
        stages = search.instance.limits.max_stages
        dominance = Dominance(search.tables, search.rates, search._least, stages)
        every = list(placed(search))
        for asked in np.quantile([rate for _, rate, _, _ in every], [0.1, 0.5, 0.9]).tolist():
            best = [dominance.best_of(d, asked) for d in range(len(search.tables.decisions))]
            for load, rate, _, rates in every:
                if rate >= asked and best[load] != load:
                    compared += 1
                    assert rates.get(best[load], 0.0) >= asked * (1 - 1e-9)
    assert compared


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
