"""Time every layout on the GPU of this machine: `python -m tests.kernels.measure OUT.csv`.

Names of parts behind the file (`blocks`, `eight_bit`, `decode`, `prompts`) measure those alone.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from tests.kernels.attention import attention_seconds, kernels
from tests.kernels.blocks import best_seconds, check, random_weights
from tests.kernels.layouts import (
    ATTENTIONS,
    BLOCKS,
    PROMPT_LENGTHS,
    PROMPT_STEP_TOKENS,
    TOKENS,
)
from tests.kernels.prompts import check as check_prompts
from tests.kernels.prompts import prompt_seconds
from tests.kernels.rows import COLUMNS, PROMPT_KERNEL, Row


def block_rows(eight_bit: bool, gpu: str) -> Iterator[Row]:
    """Rows of every feed-forward block of 16 or of 8 bits."""
    for name, block in BLOCKS.items():
        if block.eight_bit != eight_bit:
            continue
        weights = [random_weights(block) for _ in range(2)]
        check(block, weights[0])
        for tokens in TOKENS:
            kernel, seconds = best_seconds(block, weights, tokens)
            yield Row(gpu, name, kernel, tokens, 0, seconds)
        del weights
        torch.cuda.empty_cache()


def decode_rows(gpu: str) -> Iterator[Row]:
    """Rows of every attention of sequences that decode."""
    for name, attention in ATTENTIONS.items():
        for kernel in kernels(attention):
            for context in attention.contexts:
                for sequences in attention.sequences:
                    seconds = attention_seconds(attention, sequences, context, kernel)
                    yield Row(gpu, name, kernel, sequences, context, seconds)
                    torch.cuda.empty_cache()


def prompt_rows(gpu: str) -> Iterator[Row]:
    """Rows of every attention of whole prompts."""
    for name, attention in ATTENTIONS.items():
        check_prompts(attention)
        for length in PROMPT_LENGTHS:
            prompts = PROMPT_STEP_TOKENS // length
            seconds = prompt_seconds(attention, prompts, length)
            yield Row(gpu, name, PROMPT_KERNEL, prompts, length, seconds)
            torch.cuda.empty_cache()


PARTS: Mapping[str, Callable[[str], Iterator[Row]]] = {
    "blocks": partial(block_rows, False),
    "eight_bit": partial(block_rows, True),
    "decode": decode_rows,
    "prompts": prompt_rows,
}


def main(path: Path, parts: Sequence[str]) -> None:
    """Write a row as soon as it is measured."""
    torch.manual_seed(0)
    gpu = torch.cuda.get_device_name()
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        for part in parts or PARTS:
            for row in PARTS[part](gpu):
                writer.writerow(row.cells())
                handle.flush()
                print(*row.cells(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
