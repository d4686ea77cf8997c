"""The model's fitted constants: which there are, and how effects on them add up to a value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from functools import cached_property

import numpy as np

from pipeline.roofline.compute import Numbers

LEVELS = (
    "all",
    "architecture",
    "gpu",
    "link",
    "engine_class",
    "engine_family",
    "engine",
    "compute_type",
)


@dataclass(frozen=True)
class Constants:
    """One value (or one per case, broadcast) of every constant of the model.

    compute_efficiency: share of the peak FLOP/s that large matrix products reach
    attention_efficiency: share of the 16-bit peak that prefill attention reaches
    decode_attention_efficiency: share of the 16-bit peak that decode attention computes at
    latent_attention_efficiency: the same with MLA, on whole tiles of heads
    bandwidth_efficiency: share of the memory bandwidth at which weights stream
    kv_bandwidth_efficiency: share of it at which decode attention reads the KV cache
    activation_traffic: activation bytes moved, relative to `activation_bytes`
    roofline_sharpness: p of `smooth_max`
    expert_sharpness: p of `smooth_max` in products of routed experts
    layer_overhead_s: launch and scheduling time per layer and step, s
    step_overhead_s: host time per step (scheduling, sampling), s
    sequence_overhead_s: host time per sequence and step, s
    request_overhead_s: host time per request (queueing, tokenising, first-token handling), s
    all_reduce_latency: α of one all-reduce step, relative to the link's stated latency
    link_efficiency: share of a link's bandwidth that an all-reduce reaches
    bus_collapse: γ of `shared_bus_factor`
    hop_latency_s: α of a hop between pipeline stages, s
    reserved_gb: memory of runtime, workspace and activations on a GPU, GB
    output_occupancy: φ of `concurrency_limit`
    max_batch: most requests that an engine runs at once when a queue feeds it
    prefill_batch: prompts that a queue-fed engine prefills in one step
    overlap: share of prefill work that rides along in decode steps
    static_serialisation: share of a static batch's micro-batches that wait for each other
    prefill_intrusion: prompts that a server prefills per decoded token, in measured decode phases
    pipeline_inefficiency: round time of a filled pipeline over its ideal
    """

    compute_efficiency: Numbers
    attention_efficiency: Numbers
    decode_attention_efficiency: Numbers
    latent_attention_efficiency: Numbers
    bandwidth_efficiency: Numbers
    kv_bandwidth_efficiency: Numbers
    activation_traffic: Numbers
    roofline_sharpness: Numbers
    expert_sharpness: Numbers
    layer_overhead_s: Numbers
    step_overhead_s: Numbers
    sequence_overhead_s: Numbers
    request_overhead_s: Numbers
    all_reduce_latency: Numbers
    link_efficiency: Numbers
    bus_collapse: Numbers
    hop_latency_s: Numbers
    reserved_gb: Numbers
    output_occupancy: Numbers
    max_batch: Numbers
    prefill_batch: Numbers
    overlap: Numbers
    static_serialisation: Numbers
    prefill_intrusion: Numbers
    pipeline_inefficiency: Numbers


DETERMINED = 0.2
NOT_CONVERGED = "the fit ended before it converged"
CONSTANT_NAMES = tuple(field.name for field in fields(Constants))


@dataclass(frozen=True)
class Prior:
    """What is assumed of one constant before any measurement.

    value: prior median; fraction: whether it lies in (0, 1), moved on the logit scale (else on
    the log scale); spread: standard deviation of the effects at each level, on that scale;
    offsets: shift of the prior for an engine class, on that scale.
    """

    value: float
    fraction: bool
    spread: Mapping[str, float]
    offsets: Mapping[str, float]
    source: str


@dataclass(frozen=True)
class Effect:
    """Shift of one constant for one member of one level, and how well it is known.

    mean and deviation are on the constant's log or logit scale; `determined` is the share of
    the prior's variance that the data removed.
    """

    constant: str
    level: str
    member: str
    mean: float
    deviation: float
    determined: float

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is an effect on: constant, level, member."""
        return self.constant, self.level, self.member


@dataclass(frozen=True)
class Spread:
    """Measured over predicted tokens/s, 10th and 90th percentile on rows that no fit had seen.

    known: GPU and engine were in the fit; unknown: the engine or GPU was not.
    """

    known: tuple[float, float]
    unknown: tuple[float, float]


@dataclass(frozen=True)
class ConstantTable:
    """Priors and fitted effects, from which the constants of any case follow."""

    priors: Mapping[str, Prior]
    effects: tuple[Effect, ...]
    provenance: str
    spread: Spread

    @cached_property
    def means(self) -> Mapping[tuple[str, str, str], float]:
        """Fitted shift of each (constant, level, member)."""
        return {item.key: item.mean for item in self.effects}

    @cached_property
    def fingerprint(self) -> str:
        """20 hexadecimal digits that stand for all in the table that decides a prediction."""
        priors = {
            name: (prior.value, prior.fraction, dict(prior.spread), dict(prior.offsets))
            for name, prior in self.priors.items()
        }
        decisive = [priors, [astuple(effect) for effect in self.effects], astuple(self.spread)]
        text = json.dumps(decisive, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    @property
    def converged(self) -> bool:
        """Whether the fit came to its end; the provenance says so where it did not."""
        return not self.provenance.endswith(NOT_CONVERGED)

    def undetermined(self) -> tuple[str, ...]:
        """Effects that the data could not determine: they stay near their prior."""
        return tuple(
            f"{effect.constant} / {effect.level} {effect.member}"
            for effect in self.effects
            if effect.determined < DETERMINED
        )

    def seen(self, level: str) -> frozenset[str]:
        """Members of a level that the fit had rows of."""
        return frozenset(effect.member for effect in self.effects if effect.level == level)


def to_scale(value: Numbers | float, fraction: bool) -> Numbers:
    """Unbounded scale of a constant: log v, or log v/(1−v) for a fraction."""
    number = np.asarray(value, dtype=float)
    return np.asarray(np.log(number / (1.0 - number)) if fraction else np.log(number))


def from_scale(position: Numbers, fraction: bool) -> Numbers:
    """Value of a constant from its position on the log or logit scale."""
    return np.asarray(1.0 / (1.0 + np.exp(-position)) if fraction else np.exp(position))


def prior_position(prior: Prior, engine_classes: tuple[str, ...]) -> Numbers:
    """Prior of a constant per case, shifted by what its engine class is known for."""
    shifts = np.array([prior.offsets.get(name, 0.0) for name in engine_classes])
    return np.asarray(to_scale(prior.value, prior.fraction) + shifts)


def resolve(table: ConstantTable, labels: Mapping[str, tuple[str, ...]]) -> Constants:
    """Constants of cases whose levels have the given members, one entry per case.

    A member that the calibration never saw contributes nothing: its constants fall back on the
    levels above it (family, architecture), and in the end on the prior.
    """
    values = {}
    for name in CONSTANT_NAMES:
        prior = table.priors[name]
        position = prior_position(prior, labels["engine_class"])
        for level in prior.spread:
            shifts = [table.means.get((name, level, member), 0.0) for member in labels[level]]
            position = position + np.array(shifts)
        values[name] = from_scale(position, prior.fraction)
    return Constants(**values)
