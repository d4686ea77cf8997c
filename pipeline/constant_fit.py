"""Measurements in, fitted constants out: hierarchical effects, robust, every source equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.measurements import Measurement, MeasurementError, measured_tokens_per_s
from pipeline.robust_fit import Belief, Noise, fit
from pipeline.roofline.cases import case_arrays
from pipeline.roofline.compute import Numbers
from pipeline.roofline.constant_files import prior_table
from pipeline.roofline.constants import (
    CONSTANT_NAMES,
    NOT_CONVERGED,
    Constants,
    ConstantTable,
    Effect,
    Prior,
    Spread,
    from_scale,
    prior_position,
    resolve,
)
from pipeline.roofline.requests import (
    PhaseParts,
    phase_parts,
    tokens_per_s,
    tokens_per_s_of_parts,
)
from pipeline.words import counted

NOISE = Noise(scale=0.07, freedom=2.0)
BUMP = 1e-4
# Files keep five digits of a deviation, and may so hold none.
LEAST_DEVIATION = 1e-5
# Rows and effects, times the effects: numbers that a fit holds several times over. All measurements
# that the constants of the package were fitted on make less than a million.
MAX_FITTED = 20_000_000


@dataclass(frozen=True)
class Block:
    """Effects of one constant at one level: where they start in θ, and each case's own.

    spread: standard deviation of the effects before any measurement.
    """

    constant: str
    level: str
    members: tuple[str, ...]
    start: int
    index: NDArray[np.intp]
    spread: float


@dataclass(frozen=True)
class Design:
    """How the effects θ move the constants of each case.

    before: what is believed of every effect before the fit.
    """

    priors: Mapping[str, Prior]
    base: Mapping[str, Numbers]
    blocks: tuple[Block, ...]
    before: Belief

    @property
    def size(self) -> int:
        """Number of effects."""
        return self.before.mean.size


def design(start: ConstantTable, labels: Mapping[str, tuple[str, ...]]) -> Design:
    """Blocks of effects for the members present, in the order of constants and levels.

    start: what is believed before the fit. Effects that it lacks are about 0, with the spread of
    their level; those that it has are about their mean, with their deviation, and independent,
    since tables hold no covariances.
    """
    priors, known = start.priors, {e.key: e for e in start.effects}
    means: list[float] = []
    deviations: list[float] = []
    blocks: list[Block] = []
    for name in CONSTANT_NAMES:
        for level, spread in priors[name].spread.items():
            members = tuple(sorted(set(labels[level])))
            order = {member: position for position, member in enumerate(members)}
            index = np.array([order[member] for member in labels[level]], dtype=np.intp)
            blocks.append(Block(name, level, members, len(means), index, spread))
            for member in members:
                effect = known.get((name, level, member))
                means.append(effect.mean if effect else 0.0)
                deviations.append(max(effect.deviation, LEAST_DEVIATION) if effect else spread)
    base = {name: prior_position(priors[name], labels["engine_class"]) for name in CONSTANT_NAMES}
    before = Belief(np.array(means), np.array(deviations))
    return Design(priors, base, tuple(blocks), before)


def positions(plan: Design, effects: Numbers) -> dict[str, Numbers]:
    """Constants of each case on their own scales: prior plus the effects of its members."""
    place = dict(plan.base)
    for block in plan.blocks:
        place[block.constant] = place[block.constant] + effects[block.start + block.index]
    return place


def constants_at(plan: Design, place: Mapping[str, Numbers]) -> Constants:
    """Constants from positions on their scales."""
    return Constants(
        **{name: from_scale(place[name], plan.priors[name].fraction) for name in CONSTANT_NAMES}
    )


def source_weights(sources: Sequence[str]) -> Numbers:
    """Weight of each row, such that every source weighs the same: n / (sources · n_source)."""
    counts = Counter(sources)
    return np.array([len(sources) / (len(counts) * counts[name]) for name in sources])


def check_fittable(measurements: Sequence[Measurement], name: str) -> None:
    """Raise MeasurementError for more rows, or more GPUs and engines, than a fit has room for.

    name: of the file.
    """
    labels = case_arrays([entry.case for entry in measurements]).labels
    rows, effects = len(measurements), design(prior_table(), labels).size
    if (rows + effects) * effects > MAX_FITTED:
        told = (
            f"has {counted(rows, 'row')} whose GPUs and engines have {effects:,} effects, too "
            "many for a fit; calibrate on fewer rows, or on fewer GPUs or engines at a time"
        )
        raise MeasurementError([f"{name}: file: {told}"])


def _jacobian(plan: Design, parts: PhaseParts, effects: Numbers, base: Numbers) -> Numbers:
    """D ln(tokens/s) / dθ, by one forward difference per constant.

    Each case depends on exactly one member of each block, so bumping a constant for all cases
    at once gives every effect's column.
    """
    place = positions(plan, effects)
    constants = constants_at(plan, place)
    slope = np.zeros((base.size, plan.size))
    rows = np.arange(base.size)
    for name in CONSTANT_NAMES:
        bumped = from_scale(place[name] + BUMP, plan.priors[name].fraction)
        moved = np.log(tokens_per_s_of_parts(parts, replace(constants, **{name: bumped})))
        change = (moved - base) / BUMP
        for block in plan.blocks:
            if block.constant == name:
                slope[rows, block.start + block.index] += change
    return slope


def fit_constants(
    measurements: Sequence[Measurement],
    provenance: str,
    spread: Spread | None = None,
    start: ConstantTable | None = None,
) -> ConstantTable:
    """Constants fitted on measurements, each effect with its deviation and identifiability.

    Residual: ln(predicted / measured). Prior of every effect: normal about 0 with the spread of
    its level, so that a member with few rows stays near the level above it; of those that a table
    to start from has, their mean and deviation there. Its effects that no row touches are kept.
    `determined` is 1 − (posterior / prior variance), the prior being that before any measurement.
    Where the fit did not converge, the provenance says so.
    """
    start = start or prior_table()
    cases = case_arrays([entry.case for entry in measurements])
    target = np.log(measured_tokens_per_s(measurements))
    parts, plan = phase_parts(cases), design(start, cases.labels)

    def residuals(effects: Numbers) -> Numbers:
        constants = constants_at(plan, positions(plan, effects))
        return np.asarray(np.log(tokens_per_s_of_parts(parts, constants)) - target)

    def jacobian(effects: Numbers, residual: Numbers) -> Numbers:
        return _jacobian(plan, parts, effects, residual + target)

    weights = source_weights([entry.source for entry in measurements])
    estimate = fit(residuals, jacobian, weights, plan.before, NOISE)
    deviations = np.sqrt(np.diag(estimate.covariance))
    effects = [
        Effect(
            block.constant,
            block.level,
            member,
            float(estimate.position[block.start + offset]),
            float(deviations[block.start + offset]),
            float(np.clip(1.0 - (deviations[block.start + offset] / block.spread) ** 2, 0.0, 1.0)),
        )
        for block in plan.blocks
        for offset, member in enumerate(block.members)
    ]
    fitted = {effect.key for effect in effects}
    kept = [effect for effect in start.effects if effect.key not in fitted]
    told = provenance if estimate.converged else f"{provenance}; {NOT_CONVERGED}"
    return ConstantTable(start.priors, (*effects, *kept), told, spread or start.spread)


def predicted_tokens_per_s(table: ConstantTable, measurements: Sequence[Measurement]) -> Numbers:
    """Model's tokens/s for measured configurations."""
    cases = case_arrays([entry.case for entry in measurements])
    return tokens_per_s(cases, resolve(table, cases.labels))
