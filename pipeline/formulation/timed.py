"""The timed model: the cheapest pipeline whose pass takes no longer than a limit.

Under `roofline` the time of a pass is the sum over the stages, so layers cost time wherever they
lie. With the longest stage fixed (it cuts the sizes of each run), what remains is the compact
model with the layers of each run as variables,

    minimise    Σ_r c_r · n_r                                          (cost)
    subject to  Σ_r ℓ_r = L,  lo_r · n_r ≤ ℓ_r ≤ hi_r · n_r             (layers)
                Σ_r a_r · ℓ_r + Σ_g h_g · (n_g − N_g) + h · (Σ_g N_g − 1) ≤ P      (pass)
                G_g · N_g ≥ Σ_{r of type g} d_r · n_r                   (hosts)
                and the rows on stages, groups and alternatives of `compact`

where a_r is the time of one layer, N_g the hosts used of type g with G_g GPUs each, n_g its
groups, h_g the hop inside a host and h ≥ h_g the hop between hosts. Stages of one host follow
each other, so Σ N_g − 1 hops are between hosts and all others inside; blocks of powers of two
pack without gaps, so the least N_g of that row is the least there is. Where hosts are not told
apart, N_g = n_g. A second pass row with the times of prefill holds the time to the first token.

No big-M: P is fixed by the throughput asked for. ℓ may be continuous where the pass is the only
row on it: filling the fastest groups first needs no parts of a layer. With a second limit it must
be whole, unless the layers of the groups chosen are dealt anew and found to be in time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyomo.core as pyo

from pipeline.formulation.compact import (
    CompactProblem,
    Goal,
    add_alternatives,
    add_budget,
    add_groups,
    add_stages,
    cost_scale,
    group_counts,
    most_groups,
    plain_sum,
    scaled_prices,
    weighted_sum,
    within,
)

# Rows on time are kept at this right-hand side, far above the solver's tolerances.
TIME_SCALE = 1000.0
# In place of a class: all groups together.
FEWER = -1
# Layers that a run holds: a factor and the variable that it multiplies.
Held = tuple[float, pyo.Var]


@dataclass(frozen=True)
class PassLimit:
    """A longest pass. layer_s: time of one layer, by run. inside_s: hop inside a host, by type."""

    longest_s: float
    layer_s: Sequence[float]
    between_s: float
    inside_s: Sequence[float]


@dataclass(frozen=True)
class SlowGroups:
    """Groups by class that are too slow at any sizes; fewer_too: and so are any part of them."""

    groups: Mapping[int, int]
    fewer_too: bool


@dataclass(frozen=True)
class TimedProblem:
    """What the timed model needs: the compact problem, hosts by type and limits on passes.

    gpus_per_node: GPUs of one host by type, where hosts of this type are told apart.
    most_groups: how many groups are asked for at most, by class.
    whole_layers: whether the layers of a run must be whole; without, the model is a relaxation
    unless there is one limit alone. too_slow: groups that are known to be too slow at any sizes.
    min_stages: fewest stages.
    """

    compact: CompactProblem
    gpus_per_node: Mapping[int, int]
    passes: tuple[PassLimit, ...]
    most_groups: Sequence[int]
    whole_layers: bool = True
    too_slow: tuple[SlowGroups, ...] = ()
    min_stages: int = 1


@dataclass(frozen=True)
class TimedModel:
    """A built model, the factor between its objective and $/h, and the layers of its runs."""

    model: pyo.ConcreteModel
    cost_scale: int
    held: Sequence[Held]

    def counts(self) -> list[int]:
        """Return the number of groups of each run in the incumbent."""
        return group_counts(self.model)

    def layers(self) -> list[float]:
        """Return the layers of each run in the incumbent."""
        return [factor * float(pyo.value(variable)) for factor, variable in self.held]


def build(
    problem: TimedProblem, goal: Goal = Goal.COST, max_usd_per_hour: float = math.inf
) -> TimedModel:
    """Build the model. max_usd_per_hour: most that the placement may cost."""
    compact = problem.compact
    runs = compact.runs
    model = pyo.ConcreteModel()
    model.groups_used = pyo.Var(range(len(runs)), domain=pyo.NonNegativeIntegers)
    whole = pyo.NonNegativeIntegers if problem.whole_layers else pyo.NonNegativeReals
    free = [index for index, run in enumerate(runs) if run.smallest < run.largest]
    model.layers_of = pyo.Var(free, domain=whole)
    used = list(model.groups_used.values())
    held: list[Held] = [
        (1.0, model.layers_of[index]) if index in model.layers_of else (float(run.smallest), n)
        for index, (run, n) in enumerate(zip(runs, used, strict=True))
    ]
    for variable, run in zip(used, runs, strict=True):
        most = min(most_groups(compact, run), problem.most_groups[run.group_class])
        if math.isfinite(max_usd_per_hour) and run.usd_per_hour > 0:
            most = min(most, int(within(max_usd_per_hour) / run.usd_per_hour))
        variable.setub(most)
    add_layers(model, compact, used, held)
    add_stages(model, compact, used)
    if problem.min_stages > 1:
        model.fewest_stages = pyo.Constraint(expr=plain_sum(used) >= problem.min_stages)
    add_groups(model, compact, used)
    if compact.alternatives:
        add_alternatives(model, compact, used)
    if problem.too_slow:
        add_more_groups(model, problem, used)
    scale = cost_scale(run.usd_per_hour for run in runs)
    if math.isfinite(max_usd_per_hour):
        add_budget(model, compact, used, max_usd_per_hour, scale)
    limits = [limit for limit in problem.passes if math.isfinite(limit.longest_s)]
    if limits:
        add_hosts(model, problem, used)
    model.passes = pyo.ConstraintList()
    for limit in limits:
        add_pass(model, problem, limit, used, held)
    costs = scaled_prices(compact, scale) if goal is Goal.COST else [1.0] * len(runs)
    model.objective = pyo.Objective(expr=weighted_sum(costs, used))
    return TimedModel(model, scale, held)


def add_layers(
    model: pyo.ConcreteModel, problem: CompactProblem, used: list[pyo.Var], held: list[Held]
) -> None:
    """Cover all layers once, each run within its sizes: Σ ℓ = L, lo·n ≤ ℓ ≤ hi·n.

    Where lo = hi, ℓ is lo·n and needs no variable.
    """
    every = weighted_sum([factor for factor, _ in held], [variable for _, variable in held])
    model.all_layers = pyo.Constraint(expr=every == problem.num_layers)
    model.layers_within = pyo.ConstraintList()
    for n, (_, ell), run in zip(used, held, problem.runs, strict=True):
        if run.smallest < run.largest:
            model.layers_within.add(weighted_sum([1.0, -float(run.smallest)], [ell, n]) >= 0)
            model.layers_within.add(weighted_sum([1.0, -float(run.largest)], [ell, n]) <= 0)


def add_more_groups(model: pyo.ConcreteModel, problem: TimedProblem, used: list[pyo.Var]) -> None:
    """Differ from each set that is too slow: Σ_c y_c + z ≥ 1, k·y_c ≤ n_c, Σ n ≤ s − 1 + u·(1 − z).

    y_c binary: whether class c has k groups at least, one more than in the set. z binary, only
    where fewer groups could be faster: whether there are less than the set's s. u: as many more
    stages as there may be. Each class has one run.
    """
    of_class = {run.group_class: n for n, run in zip(used, problem.compact.runs, strict=True)}
    model.choices = pyo.VarList(domain=pyo.Binary)
    model.more_groups = pyo.ConstraintList()
    chosen: dict[tuple[int, int], pyo.Var] = {}

    def choice(key: tuple[int, int], factors: list[float], most: float) -> pyo.Var:
        if key not in chosen:
            chosen[key] = model.choices.add()
            variables = used if key[0] == FEWER else [of_class[key[0]]]
            row = weighted_sum(factors, [chosen[key], *variables])
            model.more_groups.add(row <= most)
        return chosen[key]

    for slow in problem.too_slow:
        thresholds = [(c, slow.groups.get(c, 0) + 1) for c in of_class]
        ways = [
            choice(key, [float(key[1]), -1.0], 0.0)
            for key in thresholds
            if key[1] <= of_class[key[0]].ub
        ]
        stages = sum(slow.groups.values())
        if not slow.fewer_too and stages > problem.min_stages:
            more = float(problem.compact.max_stages - stages + 1)
            factors = [more] + [1.0] * len(used)
            ways.append(choice((FEWER, stages), factors, stages - 1 + more))
        if not ways:
            raise NoMoreGroupsError
        model.more_groups.add(plain_sum(ways) >= 1)


class NoMoreGroupsError(Exception):
    """Some set of groups that is too few holds all groups that there are."""


def add_hosts(model: pyo.ConcreteModel, problem: TimedProblem, used: list[pyo.Var]) -> None:
    """Count the hosts used of each type: G·N ≥ Σ d·n, as many as are filled without gaps."""
    model.hosts = pyo.Var(sorted(problem.gpus_per_node), domain=pyo.NonNegativeIntegers)
    model.hosts_hold = pyo.ConstraintList()
    for gpu, size in sorted(problem.gpus_per_node.items()):
        terms = [
            (float(problem.compact.groups.classes[run.group_class].degree), n)
            for n, run in zip(used, problem.compact.runs, strict=True)
            if problem.compact.groups.classes[run.group_class].gpu == gpu
        ]
        factors, variables = [f for f, _ in terms], [v for _, v in terms]
        held = weighted_sum([-float(size), *factors], [model.hosts[gpu], *variables])
        model.hosts_hold.add(held <= 0)


def add_pass(
    model: pyo.ConcreteModel,
    problem: TimedProblem,
    limit: PassLimit,
    used: list[pyo.Var],
    held: list[Held],
) -> None:
    """Keep a pass within its limit: Σ a·ℓ + Σ h_g·(n_g − N_g) + h·(Σ N_g − 1) ≤ P, s."""
    scale = TIME_SCALE / limit.longest_s if limit.longest_s > 0 else TIME_SCALE
    factors = [scale * a * factor for a, (factor, _) in zip(limit.layer_s, held, strict=True)]
    variables = [variable for _, variable in held]
    for n, run in zip(used, problem.compact.runs, strict=True):
        gpu = problem.compact.groups.classes[run.group_class].gpu
        hop_s = limit.inside_s[gpu] if gpu in problem.gpus_per_node else limit.between_s
        factors.append(scale * hop_s)
        variables.append(n)
    for gpu in sorted(problem.gpus_per_node):
        factors.append(scale * (limit.between_s - limit.inside_s[gpu]))
        variables.append(model.hosts[gpu])
    most = scale * (limit.longest_s + limit.between_s)
    model.passes.add(weighted_sum(factors, variables) <= most)
