"""Shape, constants and measurements that the tests of the roofline model share."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.catalogue import find_model
from pipeline.measurements import Measurement
from pipeline.model_shape import ModelShape
from pipeline.roofline.cases import Case, case_arrays
from pipeline.roofline.constants import CONSTANT_NAMES, ConstantTable, Prior, Spread, resolve
from pipeline.roofline.requests import tokens_per_s

PLAIN: Mapping[str, float] = {
    "compute_efficiency": 1.0,
    "attention_efficiency": 1.0,
    "decode_attention_efficiency": 1.0,
    "latent_attention_efficiency": 1.0,
    "bandwidth_efficiency": 1.0,
    "kv_bandwidth_efficiency": 1.0,
    "activation_traffic": 1e-12,
    "roofline_sharpness": 200.0,
    "expert_sharpness": 200.0,
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
    "static_serialisation": 1e-12,
    "prefill_intrusion": 1e-30,
    "pipeline_inefficiency": 1.0,
}
FRACTIONS = {"output_occupancy", "overlap", "static_serialisation"}


def table_of(**changes: float) -> ConstantTable:
    """Constants with every efficiency 1 and every overhead 0, but for the given ones."""
    values = {**PLAIN, **changes}
    assert set(values) == set(CONSTANT_NAMES)
    priors = {
        name: Prior(value, name in FRACTIONS, {}, {}, "test") for name, value in values.items()
    }
    return ConstantTable(priors, (), "test", Spread((0.9, 1.1), (0.5, 2.0)))


SHAPE = ModelShape(
    name="round",
    num_hidden_layers=10,
    hidden_size=1000,
    intermediate_size=2000,
    num_attention_heads=10,
    num_key_value_heads=10,
    vocab_size=5000,
)
ROW: Mapping[str, str] = {
    "source": "lab",
    "gpu": "H100",
    "gpu_mem_gb": "80",
    "model": "Llama-3.1-8B",
    "num_layers": "32",
    "d_model": "4096",
    "n_heads": "32",
    "n_kv_heads": "8",
    "head_dim": "128",
    "d_ff": "14336",
    "gated_ffn": "1",
    "vocab": "128256",
    "dtype_bytes": "2",
    "kv_bytes": "2",
    "compute_dtype": "fp16",
    "tp": "2.0",
    "pp": "1",
    "batch_or_concurrency": "16",
    "input_len": "1000",
    "output_len": "200",
    "phase": "online",
    "tokens_per_s_total": "1234.5",
    "runtime": "vllm",
    "measured_layers": "32",
    "mem_frac": "0.9",
}
BLOCK_ROW: Mapping[str, str] = {
    "source": "lab",
    "gpu": "T4",
    "gpu_mem_mib": "15360",
    "tp": "2",
    "model": "LLaMA-30B",
    "layers_on_stage": "3",
    "d_model": "6656",
    "n_heads": "52",
    "n_kv_heads": "52",
    "head_dim": "128",
    "d_ff": "17920",
    "dtype_bytes": "2",
    "kv_bytes": "2",
    "mem_frac": "0.9",
    "kv_blocks": "1000",
    "block_tokens": "16",
}


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write a CSV file of the given rows."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def synthetic(truth: ConstantTable) -> tuple[Measurement, ...]:
    """Measurements that a known truth would give: two sources, two GPUs, two engines."""
    shape = find_model("Llama-3.1-8B").shape
    cases = [
        (source, Case(gpu, shape, phase, requests, prompt, output, engine, tp=tp))
        for source, gpu, engine in (
            ("lab", "H100", "vllm"),
            ("lab", "A100-80G", "vllm"),
            ("field", "H100", "trtllm"),
        )
        for phase, output in (
            ("prefill", 1.0),
            ("decode", 0.0),
            ("static", 128.0),
            ("online", 256.0),
        )
        for requests in (1.0, 8.0, 64.0)
        for prompt in (128.0, 2048.0)
        for tp in (1, 2)
    ]
    arrays = case_arrays([case for _, case in cases])
    values = tokens_per_s(arrays, resolve(truth, arrays.labels))
    return tuple(
        Measurement(source, case, float(value))
        for (source, case), value in zip(cases, values, strict=True)
    )
