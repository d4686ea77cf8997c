"""Groups that are known to be too slow are no answer of the timed model, all others are."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from pipeline.formulation import timed
from pipeline.formulation.compact import CompactProblem, Goal
from pipeline.formulation.timed import PassLimit, SlowGroups, TimedProblem
from pipeline.groups import group_classes
from pipeline.runs import Run
from pipeline.settings import SolverSettings
from pipeline.solver import solve
from tests.serving.test_against_oracle import random_instance, search_of

PRICES = (0.7, 0.9, 1.1)


def problem() -> TimedProblem:
    """Return six layers on groups of one GPU of three kinds, up to four layers each."""
    base = random_instance(0, "decode")
    pool = tuple(replace(base.pool[0], count=2, usd_per_hour=p) for p in PRICES)
    limits = replace(base.limits, tp_degrees=(1,))
    groups = group_classes(replace(base, pool=pool, limits=limits), by_network=False)
    runs = tuple(Run(c, 1, 4, price) for c, price in enumerate(PRICES))
    endless = PassLimit(1e3, [1.0] * 3, 0.0, [0.0] * 3)
    compact = CompactProblem(groups, runs, 6, 4)
    return TimedProblem(compact, {}, (endless,), most_groups=[2] * 3, whole_layers=False)


def cheapest(excluded: tuple[SlowGroups, ...]) -> float | None:
    """Try all numbers of groups."""
    costs = []
    for counts in itertools.product(range(3), repeat=3):
        stages = sum(counts)
        if not 2 <= stages <= 4:  # four layers a group hold six on two groups
            continue
        within = [all(n <= s.groups.get(c, 0) for c, n in enumerate(counts)) for s in excluded]
        same = [stages == sum(s.groups.values()) for s in excluded]
        if not any(
            w and (s.fewer_too or e) for w, s, e in zip(within, excluded, same, strict=True)
        ):
            costs.append(sum(n * price for n, price in zip(counts, PRICES, strict=True)))
    return min(costs, default=None)


@pytest.mark.parametrize("fewer_too", [True, False])
def test_only_what_is_excluded_is_left_out(fewer_too: bool) -> None:
    excluded: tuple[SlowGroups, ...] = ()
    for groups in ({0: 2}, {0: 1, 1: 1}, {0: 2, 1: 2}, {0: 2, 2: 2}, {0: 1, 1: 1, 2: 1}):
        excluded += (SlowGroups(groups, fewer_too),)
        built = timed.build(replace(problem(), too_slow=excluded), Goal.COST)
        found = solve(built.model, SolverSettings())
        assert found.objective is not None
        assert found.objective / built.cost_scale == pytest.approx(cheapest(excluded), rel=1e-9)


def test_nothing_is_left_where_the_whole_pool_is_too_slow() -> None:
    all_groups = SlowGroups({0: 2, 1: 2, 2: 2}, True)
    with pytest.raises(timed.NoMoreGroupsError):
        timed.build(replace(problem(), too_slow=(all_groups,)))


def test_no_part_of_some_groups_is_faster_than_what_is_said_of_them() -> None:
    instance = random_instance(6, "prefill")
    limits = replace(instance.limits, equal_sizes=False, max_ttft_s=None, max_tpot_s=None)
    search = search_of(replace(instance, limits=limits), "exact")
    whole = dict.fromkeys(range(len(search.tables.groups)), 1)
    dealt, most, faster = search.known.deal(whole), search.known.most_tokens_per_s(whole), 0
    for some in range(1, len(whole)):
        for part in itertools.combinations(whole, some):
            rates = search.known.deal(dict.fromkeys(part, 1)).tokens_per_s
            assert (rates <= most * (1 + 1e-12)).all()
            faster += int((rates > dealt.tokens_per_s).sum())
    assert faster  # a group too many is slower: it holds a layer at least, and makes a hop


def test_a_part_is_excluded_with_its_groups_only_where_it_is_too_slow_too() -> None:
    instance = random_instance(6, "prefill")
    limits = replace(instance.limits, equal_sizes=False, max_ttft_s=None, max_tpot_s=None)
    search = search_of(replace(instance, limits=limits), "exact")
    whole = dict.fromkeys(range(len(search.tables.groups)), 1)
    search._fail(whole)
    ((dealt, most_by_load),) = search._failed.values()
    load = int(np.argmax(most_by_load - dealt.tokens_per_s))
    own, most = dealt.tokens_per_s[load], most_by_load[load]
    told = [
        search._too_slow(load, float(rate), np.inf) for rate in (own, (own + most) / 2, 2 * most)
    ]
    assert [[slow.fewer_too for slow in found] for found in told] == [[], [False], [True]]
