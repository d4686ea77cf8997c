"""Which groups can follow each other, and how many tokens/s a hop between them carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.groups import GroupClasses, group_classes, hop_gb_per_s, slowest_pair_gb_per_s
from pipeline.instance import Instance
from pipeline.options import Option
from pipeline.performance import performance_model
from pipeline.search_space import connections

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Links:
    """Throughput of hops between group classes, tokens/s; 0 where there is no link.

    groups: classes by network. tokens_per_s: shape (classes, classes), from row to column; a
    link that the bandwidth filter drops is 0. possible: pairs with disjoint members.
    """

    groups: GroupClasses
    tokens_per_s: FloatArray
    possible: NDArray[np.bool_]

    def hop_tokens_per_s(self, one: Sequence[int], other: Sequence[int]) -> float:
        """Return the throughput of a hop between two groups, given by their GPU ids."""
        a, b = (self.groups.class_at[ids[0], len(ids)] for ids in (one, other))
        return float(self.tokens_per_s[a, b])

    def slowest_between(self, kinds: set[tuple[int, int]]) -> float:
        """Return the slowest hop between any two groups of the given (type, degree)s.

        Infinite where no two of them are disjoint.
        """
        chosen = np.array([(c.gpu, c.degree) in kinds for c in self.groups], dtype=bool)
        hops = self.tokens_per_s[np.ix_(chosen, chosen)]
        possible = self.possible[np.ix_(chosen, chosen)]
        return float(hops[possible].min(initial=np.inf))


def stage_links(instance: Instance, options: Sequence[Option]) -> Links:
    """Return the links of an instance; the options weigh the bandwidth filter's percentile."""
    groups = group_classes(instance)
    network = instance.network
    hops = performance_model(instance).link_tokens_per_s(hop_gb_per_s(network, groups))
    if network.drop_below_percentile > 0:
        threshold = connections(instance, groups, options).threshold_gb_per_s
        hops = np.where(slowest_pair_gb_per_s(network, groups) >= threshold, hops, 0.0)
    return Links(groups, hops, groups.disjoint_pairs() > 0)
