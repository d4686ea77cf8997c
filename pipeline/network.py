"""Bandwidth between GPUs, held by zones: sets of GPUs that the network cannot tell apart.

A pool of 4,000 GPUs on a uniform network is one zone and one number; an arbitrary matrix is, at
worst, one zone per GPU. Everything downstream counts and models zones, never single GPUs, which
is what keeps large pools small.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


MAX_ZONES = 1000
"""Zones of the most varied network: what is held for every pair of groups has its square."""


class TooManyZonesError(ValueError):
    """A network with more kinds of GPUs than can be told apart."""

    def __init__(self) -> None:
        super().__init__(f"may tell at most {MAX_ZONES} kinds of GPUs apart by their links")


@dataclass(frozen=True)
class Override:
    """One bandwidth, GB/s, for the links inside a set of GPU ids, or between two sets."""

    gpus: frozenset[int]
    to: frozenset[int] | None
    gb_per_s: float


@dataclass(frozen=True)
class Network:
    """Directed bandwidths between all pairs of different GPUs.

    zone_of: zone of each GPU, by id.
    zone_gb_per_s[y][z]: bandwidth from a GPU of zone y to another GPU of zone z; 0 is no link.
    """

    zone_of: tuple[int, ...]
    zone_gb_per_s: tuple[tuple[float, ...], ...]
    drop_below_percentile: float = 0.0

    @cached_property
    def bandwidth(self) -> FloatArray:
        """`zone_gb_per_s` as an array, shape (zones, zones)."""
        return np.array(self.zone_gb_per_s, dtype=np.float64)

    def between(self, one: int, other: int) -> float:
        """Return the bandwidth from GPU `one` to a different GPU `other`, GB/s."""
        return self.zone_gb_per_s[self.zone_of[one]][self.zone_of[other]]

    def slowest_inside(self, zones: Sequence[int]) -> float:
        """Return the smallest bandwidth between two GPUs whose zones are given, GB/s.

        zones: the zone of each GPU of a group. Infinite for a group of one.
        """
        if len(zones) < 2:
            return float("inf")
        pairs = ((a, b) for i, a in enumerate(zones) for j, b in enumerate(zones) if i != j)
        return min(self.zone_gb_per_s[a][b] for a, b in set(pairs))


def uniform_network(
    num_gpus: int, gb_per_s: float, overrides: Sequence[Override] = (), percentile: float = 0.0
) -> Network:
    """Build a network with one bandwidth and exceptions; where two apply, the later one holds.

    Raises TooManyZonesError.
    """
    zone_of, members = _number_by_first_appearance(_signatures(num_gpus, overrides))
    if len(members) > MAX_ZONES:
        raise TooManyZonesError
    rows = np.full((len(members), len(members)), gb_per_s)
    zone_at = {gpu: zone for zone, gpu in enumerate(members)}
    for override in overrides:
        sides = [override.gpus, override.gpus if override.to is None else override.to]
        one, other = ([zone_at[gpu] for gpu in side if gpu in zone_at] for side in sides)
        rows[np.ix_(one, other)] = rows[np.ix_(other, one)] = override.gb_per_s
    return Network(zone_of, tuple(map(tuple, rows.tolist())), percentile)


def _signatures(num_gpus: int, overrides: Sequence[Override]) -> list[tuple[int, ...]]:
    """Return for every GPU the sides of overrides on which it stands, two numbers for each."""
    sides: list[list[int]] = [[] for _ in range(num_gpus)]
    for index, override in enumerate(overrides):
        for side, gpus in enumerate((override.gpus, override.to or ())):
            for gpu in gpus:
                sides[gpu].append(2 * index + side)
    return list(map(tuple, sides))


def matrix_network(matrix: Sequence[Sequence[float]], percentile: float = 0.0) -> Network:
    """Build a network from a square matrix of bandwidths, GB/s; its diagonal is not read.

    Two GPUs share a zone when exchanging them leaves the matrix as it is, so the answer does not
    depend on the merging. Raises TooManyZonesError.
    """
    full = np.array(matrix, dtype=np.float64)
    np.fill_diagonal(full, 0.0)
    # Exchangeable GPUs have the same bandwidths in some order: only such pairs need the full look.
    outward, inward = np.sort(full, axis=1), np.sort(full, axis=0)
    candidates: dict[tuple[bytes, bytes], list[int]] = {}
    members: list[int] = []
    inner: list[float] = []
    zone_of: list[int] = []
    for gpu in range(len(full)):
        alike = candidates.setdefault((outward[gpu].tobytes(), inward[:, gpu].tobytes()), [])
        zone = next((z for z in alike if _exchangeable(full, members[z], gpu)), None)
        if zone is None:
            zone = len(members)
            if zone == MAX_ZONES:
                raise TooManyZonesError
            alike.append(zone)
            members.append(gpu)
            inner.append(0.0)
        else:
            inner[zone] = float(full[members[zone], gpu])
        zone_of.append(zone)
    rows = full[np.ix_(members, members)]
    np.fill_diagonal(rows, inner)
    return Network(tuple(zone_of), tuple(tuple(row) for row in rows.tolist()), percentile)


def _exchangeable(matrix: FloatArray, one: int, other: int) -> bool:
    """Tell whether swapping two GPUs leaves every bandwidth as it is.

    Their rows, and their columns, then differ in the link between the two alone, which stands in
    each beside a 0 of the diagonal.
    """
    link = matrix[one, other]
    apart = 2 if link else 0
    return bool(
        link == matrix[other, one]
        and np.count_nonzero(matrix[one] != matrix[other]) == apart
        and np.count_nonzero(matrix[:, one] != matrix[:, other]) == apart
    )


def _number_by_first_appearance(
    keys: Iterable[object],
) -> tuple[tuple[int, ...], list[int]]:
    """Return equal keys' common number, in order of appearance, and the first index of each."""
    numbers: dict[object, int] = {}
    first: list[int] = []
    numbered: list[int] = []
    for index, key in enumerate(keys):
        if key not in numbers:
            numbers[key] = len(numbers)
            first.append(index)
        numbered.append(numbers[key])
    return tuple(numbered), first
