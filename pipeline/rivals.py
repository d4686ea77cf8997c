"""Holds the rows of one run against each other: what one row found can refute what another proves.

A row says that its granularity and budget allow no placement, or none better than its bound. A
placement that any other row holds is a witness for or against that.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.points import Scales
from pipeline.results.schema import BOUND_COLUMNS, base_id, present
from pipeline.verify import PROOF_TOLERANCE, Mismatch

Row = Mapping[str, Any]
Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a row says: its question, its answer and what it proves of it.

    tokens_per_s, usd_per_hour: 0 and infinite without a placement. bounds: by column, those given.
    """

    point_id: str
    method: str
    status: str
    sizes: Sizes
    budget_usd_per_hour: float
    cost_weight: float | None
    tokens_per_s: float
    usd_per_hour: float
    bounds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Witness:
    """A placement that holds, by the row that has it.

    layers: of each stage in order; groups: the ids of its GPUs.
    """

    point_id: str
    layers: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    tokens_per_s: float
    usd_per_hour: float


# Tells whether a granularity's link filter leaves the links of a placement.
Admits = Callable[[Sizes, Witness], bool]


def claim_of(row: Row, sizes: Sizes) -> Claim:
    """Return what a row of points claims; sizes: those that its granularity allows."""
    budget, weight = row["budget_usd_per_hour"], row["cost_weight"]
    rate, cost = row["throughput_tokens_per_s"], row["cost_usd_per_hour"]
    return Claim(
        str(row["point_id"]),
        row["method"],
        row["status"],
        sizes,
        budget if present(budget) else math.inf,
        weight if present(weight) else None,
        rate if present(rate) else 0.0,
        cost if present(cost) else math.inf,
        {name: row[name] for name in BOUND_COLUMNS if present(row[name])},
    )


def witness_of(row: Row, segments: Sequence[Row]) -> Witness:
    """Return the placement of a row of points and its segments in pipeline order."""
    return Witness(
        str(row["point_id"]),
        tuple(segment["size"] for segment in segments),
        tuple(tuple(segment["gpu_ids"]) for segment in segments),
        row["throughput_tokens_per_s"],
        row["cost_usd_per_hour"],
    )


def contradictions(
    claims: Sequence[Claim], witnesses: Iterable[Witness], scales: Scales, admits: Admits
) -> Iterator[Mismatch]:
    """Yield every claim of one problem that a witness refutes, and what frontiers left out."""
    known = list(witnesses)
    best: dict[Sizes, list[Witness]] = {}
    frontiers: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        if claim.sizes not in best:
            sizes = set(claim.sizes)
            allowed = (w for w in known if sizes.issuperset(w.layers))
            best[claim.sizes] = undominated(w for w in allowed if admits(claim.sizes, w))
        most = claim.budget_usd_per_hour
        yield from _refuted(claim, [w for w in best[claim.sizes] if w.usd_per_hour <= most], scales)
        if claim.method == "frontier":
            frontiers[base_id(claim.point_id)].append(claim)
    for base, rows in frontiers.items():
        if all(row.status == "optimal" for row in rows):
            yield from _left_out(base, rows, best[rows[0].sizes])


def undominated(witnesses: Iterable[Witness]) -> list[Witness]:
    """Return those that no other is as fast as at no higher cost, the cheapest first."""
    best: list[Witness] = []
    for witness in sorted(witnesses, key=lambda w: (w.usd_per_hour, -w.tokens_per_s)):
        if not best or witness.tokens_per_s > best[-1].tokens_per_s:
            best.append(witness)
    return best


def _refuted(claim: Claim, allowed: Sequence[Witness], scales: Scales) -> Iterator[Mismatch]:
    """Hold one claim against the undominated placements that its question allows."""
    if not allowed:
        return
    if claim.status == "infeasible":
        yield _mismatch(claim, "status", claim.status, "a placement", allowed[0])
    for column, bound in claim.bounds.items():
        value, best = max(
            ((_worth(witness, column, claim, scales), witness) for witness in allowed),
            key=lambda pair: pair[0],
        )
        sign = _sign(column)
        if _beats(value, sign * bound):
            yield _mismatch(claim, column, bound, sign * value, best)
    # The cheapest of the fastest is what this method promises.
    if claim.method == "enumeration" and claim.status == "optimal":
        as_fast = next((w for w in allowed if w.tokens_per_s >= claim.tokens_per_s), None)
        if as_fast is not None and _beats(-as_fast.usd_per_hour, -claim.usd_per_hour):
            cost, found = claim.usd_per_hour, as_fast.usd_per_hour
            yield _mismatch(claim, "status optimal at", cost, found, as_fast)


def _sign(column: str) -> int:
    """Return 1 for a bound on what is better when higher, -1 for one on a cost."""
    return -1 if column.startswith("bound_cost") else 1


def _worth(witness: Witness, column: str, claim: Claim, scales: Scales) -> float:
    """Return what a placement has of what a column bounds, costs below zero; higher is better."""
    if column == "bound_throughput_tokens_per_s":
        return witness.tokens_per_s
    if column == "bound_cost_usd_per_token":
        return -witness.usd_per_hour / (witness.tokens_per_s * 3600)
    if column == "bound_cost_usd_per_hour":
        return -witness.usd_per_hour if witness.tokens_per_s >= claim.tokens_per_s else -math.inf
    if claim.cost_weight is None:
        return -math.inf
    return scales.score(claim.cost_weight, witness.tokens_per_s, witness.usd_per_hour)


def _left_out(base: str, rows: Sequence[Claim], known: Sequence[Witness]) -> Iterator[Mismatch]:
    """Name the first placement that no row of a proven frontier is as good as."""
    for witness in known:
        if not any(
            not _beats(witness.tokens_per_s, row.tokens_per_s)
            and not _beats(-witness.usd_per_hour, -row.usd_per_hour)
            for row in rows
        ):
            found = f"{witness.tokens_per_s} tokens/s for {witness.usd_per_hour} $/h"
            yield Mismatch(base, "frontier", "no point as good", f"{found}, of {witness.point_id}")
            return


def _beats(value: float, other: float) -> bool:
    """Tell whether a value is higher than another by more than a solver's tolerance."""
    return value > other + PROOF_TOLERANCE * abs(value)


def _mismatch(claim: Claim, what: str, stored: Any, found: Any, witness: Witness) -> Mismatch:
    return Mismatch(claim.point_id, what, stored, f"{found}, of {witness.point_id}")
