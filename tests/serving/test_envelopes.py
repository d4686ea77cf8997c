"""Envelopes can do all that their members can, so that what is proven of one holds for them."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.serving.bounds import LeastCosts
from pipeline.serving.cells import one_cell
from pipeline.serving.dominance import Dominance
from pipeline.serving.envelopes import WIDTH, with_envelopes
from pipeline.serving.rates import Rates
from tests.serving.test_against_oracle import random_instance, search_of
from tests.serving.test_bounds import placed


@pytest.mark.parametrize("seed", [0, 4, 6])
def test_every_placement_of_a_member_costs_at_least_the_bound_of_its_envelope(seed: int) -> None:
    base = random_instance(seed, "prefill")
    assert base.serving is not None
    serving = replace(base.serving, concurrency=(2, 4, 6, 12, 24), micro_batches=(1, 2, 3))
    instance = replace(base, serving=serving)
    search = search_of(instance, "exact")
    tables = with_envelopes(search.tables)
    own, stages = len(search.tables.decisions), instance.limits.max_stages
    rates = Rates(instance, tables)
    least = LeastCosts(instance, search.granularity, tables, rates)
    dominance = Dominance(tables, rates, least, stages)
    checked = 0
    for load, rate, cost, _ in placed(search):
        asked = rate * (1 - 1e-9)
        best = dominance.best_of(load, asked)
        if tables.decisions[load].micro_batches > 1:
            assert best >= own
        if best >= own and checked < 200:
            checked += 1
            assert least.sharpen(asked, one_cell(best, stages)) <= cost + 1e-9
    assert checked


def test_an_envelope_takes_the_best_of_each_figure() -> None:
    base = random_instance(0, "prefill")
    assert base.serving is not None
    serving = replace(base.serving, concurrency=(4, 64, 512), micro_batches=(2,))
    tables = search_of(replace(base, serving=serving), "exact").tables
    with_one = with_envelopes(tables)
    assert [d.micro_batch for d in with_one.decisions] == [2, 32, 256, 256]
    assert len(with_one.decisions) - len(tables.decisions) == 1 <= WIDTH
    relative = tables.pass_s / np.array([2.0, 32.0, 256.0])
    assert with_one.pass_s[:, -1] == pytest.approx(256 * relative.min(axis=1), rel=1e-11)
    assert (with_one.pass_s[:, [-1]] / 256 < relative).all()
    assert with_one.prefill_s[:, -1].tolist() == tables.prefill_s.min(axis=1).tolist()
    assert (tables.largest.max(axis=1) > tables.largest.min(axis=1)).any()
    assert with_one.largest[:, -1].tolist() == tables.largest.max(axis=1).tolist()


def test_loads_of_one_micro_batch_have_none() -> None:
    base = random_instance(0, "prefill")
    assert base.serving is not None
    serving = replace(base.serving, concurrency=(4, 8), micro_batches=(1,))
    tables = search_of(replace(base, serving=serving), "exact").tables
    assert with_envelopes(tables).decisions == tables.decisions
