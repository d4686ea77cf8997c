"""From options to runs: what is left of the options once a throughput is asked for.

With the throughput T fixed, an option either reaches it or is out, and sizes matter no more than
to cover the layers. The sizes of one group class that reach T and follow each other without a
gap form one run: n groups of a run [lo, hi] cover any number of layers from n·lo to n·hi. At
`exact` that leaves about one integer variable per (type, degree) instead of one per size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.groups import GroupClasses
from pipeline.options import Option


@dataclass(frozen=True)
class Run:
    """Consecutive sizes that groups of one class may take.

    group_class: index of the class. smallest, largest: sizes in layers. usd_per_hour: price of
    one group.
    """

    group_class: int
    smallest: int
    largest: int
    usd_per_hour: float


def size_runs(
    groups: GroupClasses, options: Sequence[Option], tokens_per_s: float, split: bool = False
) -> tuple[Run, ...]:
    """Return the runs of the options that reach a throughput.

    split: make every size a run of its own, for limits that speak of single sizes.
    """
    sizes: dict[tuple[int, int], list[int]] = {}
    price: dict[tuple[int, int], float] = {}
    for option in options:
        if option.tokens_per_s >= tokens_per_s:
            sizes.setdefault((option.gpu, option.degree), []).append(option.size)
            price[option.gpu, option.degree] = option.usd_per_hour
    intervals = {kind: gapless(of_kind, split) for kind, of_kind in sizes.items()}
    return tuple(
        Run(index, low, high, price[group_class.gpu, group_class.degree])
        for index, group_class in enumerate(groups)
        for low, high in intervals.get((group_class.gpu, group_class.degree), ())
    )


def gapless(sizes: Sequence[int], split: bool = False) -> list[tuple[int, int]]:
    """Cut ascending sizes into intervals without gaps."""
    intervals: list[tuple[int, int]] = []
    for size in sizes:
        if intervals and not split and size == intervals[-1][1] + 1:
            intervals[-1] = (intervals[-1][0], size)
        else:
            intervals.append((size, size))
    return intervals


def deal_layers(
    runs: Sequence[Run],
    counts: Sequence[int],
    num_layers: int,
    rate: Callable[[int, int], float],
) -> list[tuple[int, int]]:
    """Deal L layers to the chosen groups; return (run, size) of every group.

    Every group starts at its run's smallest size; each further layer goes where the throughput
    stays highest, so that no group is slowed without need.

    counts: groups chosen of each run. rate: tokens/s of a group class at a size.
    """
    dealt = [[run, runs[run].smallest] for run, n in enumerate(counts) for _ in range(n)]
    for _ in range(num_layers - sum(size for _, size in dealt)):
        growing = [group for group in dealt if group[1] < runs[group[0]].largest]
        chosen = max(growing, key=lambda g: rate(runs[g[0]].group_class, g[1] + 1))
        chosen[1] += 1
    return [(run, size) for run, size in dealt]
