"""Timed parts beside what the roofline model says: `python -m tests.kernels.compare`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.roofline.cases import Case, CaseArrays, case_arrays
from pipeline.roofline.compute import activation_bytes
from pipeline.roofline.constant_files import shipped_table
from pipeline.roofline.constants import Constants, resolve
from pipeline.roofline.step import (
    decode_attention_seconds,
    decode_load,
    matrix_seconds,
    prefill_attention_seconds,
    prefill_load,
)
from tests.kernels.layouts import ATTENTIONS, BLOCKS, Attention, attention_shape, block_shape
from tests.kernels.rows import PROMPT_KERNEL, Row, read_rows

GPUS = {"NVIDIA H100 80GB HBM3": "H100", "NVIDIA H200": "H200"}
ENGINE = "vllm"
# Below this a kernel's own latency shows; `layer_overhead_s` stands for that in the model.
LEAST_S = 50e-6
MANY_TOKENS = 256
GROUPS: Mapping[str, Callable[[Row], bool]] = {
    "dense block": lambda row: _dense(row, eight_bit=False),
    "dense block, fp8": lambda row: _dense(row, eight_bit=True),
    "experts, up to 256 tokens": lambda row: _routed(row, eight_bit=False, many=False),
    "experts, 512 to 8192 tokens": lambda row: _routed(row, eight_bit=False, many=True),
    "fp8 experts, up to 256 tokens": lambda row: _routed(row, eight_bit=True, many=False),
    "fp8 experts, 512 to 8192 tokens": lambda row: _routed(row, eight_bit=True, many=True),
    "decode attention": lambda row: row.kernel == "decode" and not _attention(row).window,
    "decode attention, window": lambda row: row.kernel == "decode" and _attention(row).window > 0,
    "MLA, kernel for Hopper": lambda row: row.kernel == "fa3",
    "MLA, older kernel": lambda row: row.kernel == "fa2",
    "prompts": lambda row: _plain_prompts(row),
    "prompts, window": lambda row: row.kernel == PROMPT_KERNEL and _attention(row).window > 0,
    "prompts, MLA": lambda row: row.kernel == PROMPT_KERNEL and not _attention(row).kv_heads,
}


@dataclass(frozen=True)
class Agreement:
    """Predicted over measured time of some rows: how many, median, smallest and largest."""

    rows: int
    median: float
    lowest: float
    highest: float


def _dense(row: Row, *, eight_bit: bool) -> bool:
    block = BLOCKS.get(row.layout)
    return block is not None and not block.experts and block.eight_bit == eight_bit


def _routed(row: Row, *, eight_bit: bool, many: bool) -> bool:
    block = BLOCKS.get(row.layout)
    if block is None or not block.experts or block.eight_bit != eight_bit:
        return False
    return (row.tokens > MANY_TOKENS) == many


def _attention(row: Row) -> Attention:
    return ATTENTIONS[row.layout]


def _plain_prompts(row: Row) -> bool:
    if row.kernel != PROMPT_KERNEL:
        return False
    return _attention(row).kv_heads > 0 and not _attention(row).window


def _resolved(row: Row) -> tuple[CaseArrays, Constants]:
    block = BLOCKS.get(row.layout)
    shape = block_shape(block) if block else attention_shape(_attention(row))
    compute_type = "fp8" if block and block.eight_bit else "fp16"
    case = Case(
        GPUS[row.gpu], shape, "decode", 1.0, 1.0, 1.0, engine=ENGINE, compute_type=compute_type
    )
    arrays = case_arrays([case])
    return arrays, resolve(shipped_table(), arrays.labels)


def _block_seconds(row: Row) -> float:
    """Time of the block's products and of what moves between them: the attention's part is out."""
    arrays, constants = _resolved(row)
    block, tokens, one = BLOCKS[row.layout], np.array([float(row.tokens)]), np.ones(1)
    # The router's product is not in the timing.
    always = np.zeros(1) if block.experts else np.array([3.0 * block.hidden * block.width])
    work = replace(arrays.work, always_weights=always)
    moved = activation_bytes(tokens, np.zeros(1), work.ffn_width, work.routed_width, one)
    bytes_per_s = arrays.hardware.bytes_per_s * constants.bandwidth_efficiency
    products_s = matrix_seconds(tokens, work, arrays.hardware, one, constants)
    return float((products_s + moved * constants.activation_traffic / bytes_per_s).item())


def _attention_seconds(row: Row) -> float:
    arrays, constants = _resolved(row)
    number, length = np.array([float(row.tokens)]), np.array([float(row.context)])
    if row.kernel == PROMPT_KERNEL:
        load, formula = prefill_load(number * length, length), prefill_attention_seconds
    else:
        load, formula = decode_load(number, length), decode_attention_seconds
    return float(formula(load, arrays.work, arrays.hardware, np.ones(1), constants).item())


def predicted_seconds(row: Row) -> float:
    """Time that the model gives to a timed part, with the constants of the package, s."""
    return _block_seconds(row) if row.layout in BLOCKS else _attention_seconds(row)


def timed_gpus(group: str) -> tuple[str, ...]:
    """GPUs on which rows of a group were timed."""
    timed = {row.gpu for row in read_rows() if GROUPS[group](row)}
    return tuple(name for gpu, name in GPUS.items() if gpu in timed)


def agreement(gpu: str, group: str) -> Agreement:
    """How predicted times of a group's rows of at least `LEAST_S` lie to the measured ones."""
    ratios = [
        predicted_seconds(row) / row.seconds
        for row in read_rows()
        if GPUS[row.gpu] == gpu and row.seconds >= LEAST_S and GROUPS[group](row)
    ]
    return Agreement(len(ratios), float(np.median(ratios)), min(ratios), max(ratios))


def main(every_row: bool) -> None:
    """Print a line for each group, or with --rows for each row."""
    if every_row:
        for row in read_rows():
            print(*row.cells(), f"{predicted_seconds(row) / row.seconds:.2f}", sep=", ")
        return
    for group in GROUPS:
        for gpu in timed_gpus(group):
            found = agreement(gpu, group)
            span = f"{found.lowest:.2f} to {found.highest:.2f}"
            print(f"{group:34}{gpu:6}{found.rows:4} rows  median {found.median:.2f}  {span}")


if __name__ == "__main__":
    main("--rows" in sys.argv[1:])
