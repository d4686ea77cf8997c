"""Shapes, constants and measurements that several tests share."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pipeline.model_shape import ModelShape
from pipeline.roofline.constant_files import prior_table
from pipeline.roofline.constants import CONSTANT_NAMES, ConstantTable, Prior, Spread

PLAIN: Mapping[str, float] = {
    "compute_efficiency": 1.0,
    "attention_efficiency": 1.0,
    "decode_attention_efficiency": 1.0,
    "bandwidth_efficiency": 1.0,
    "kv_bandwidth_efficiency": 1.0,
    "activation_traffic": 1e-12,
    "roofline_sharpness": 200.0,
    "layer_overhead_s": 1e-15,
    "step_overhead_s": 1e-15,
    "sequence_overhead_s": 1e-15,
    "request_overhead_s": 1e-15,
    "all_reduce_latency": 1e-12,
    "link_efficiency": 1.0,
    "bus_collapse": 1e-12,
    "hop_latency_s": 1e-15,
    "reserved_gb": 1e-9,
    "output_occupancy": 0.5,
    "max_batch": 1e9,
    "prefill_batch": 1.0,
    "overlap": 1e-12,
    "prefill_intrusion": 1e-30,
    "pipeline_inefficiency": 1.0,
}
FRACTIONS = {"output_occupancy", "overlap"}


def table_of(**changes: float) -> ConstantTable:
    """Constants with every efficiency 1 and every overhead 0, but for the given ones."""
    values = {**PLAIN, **changes}
    assert set(values) == set(CONSTANT_NAMES)
    priors = {
        name: Prior(value, name in FRACTIONS, {}, {}, "test") for name, value in values.items()
    }
    return ConstantTable(priors, (), "test", Spread((0.9, 1.1), (0.5, 2.0)))


@pytest.fixture
def shape() -> ModelShape:
    """A dense model of round figures: 1,000 layers' worth of nothing but D = 1000."""
    return ModelShape(
        name="round",
        num_hidden_layers=10,
        hidden_size=1000,
        intermediate_size=2000,
        num_attention_heads=10,
        num_key_value_heads=10,
        vocab_size=5000,
    )


@pytest.fixture
def priors() -> ConstantTable:
    """The constants before any measurement."""
    return prior_table()
