"""Time every layout on the GPU of this machine: `python -m tests.kernels.measure OUT.csv`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from tests.kernels.attention import attention_seconds, kernels
from tests.kernels.blocks import best_seconds, check, random_weights
from tests.kernels.layouts import ATTENTIONS, BLOCKS, TOKENS
from tests.kernels.rows import COLUMNS, Row


def block_rows(gpu: str) -> Iterator[Row]:
    """Rows of every feed-forward block."""
    for name, block in BLOCKS.items():
        weights = [random_weights(block) for _ in range(2)]
        if block.experts:
            check(block, weights[0])
        for tokens in TOKENS:
            kernel, seconds = best_seconds(block, weights, tokens)
            yield Row(gpu, name, kernel, tokens, 0, seconds)
        del weights
        torch.cuda.empty_cache()


def attention_rows(gpu: str) -> Iterator[Row]:
    """Rows of every attention."""
    for name, attention in ATTENTIONS.items():
        for kernel in kernels(attention):
            for context in attention.contexts:
                for sequences in attention.sequences:
                    seconds = attention_seconds(attention, sequences, context, kernel)
                    yield Row(gpu, name, kernel, sequences, context, seconds)
                    torch.cuda.empty_cache()


def main(path: Path) -> None:
    """Write a row as soon as it is measured."""
    torch.manual_seed(0)
    gpu = torch.cuda.get_device_name()
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        for rows in (block_rows(gpu), attention_rows(gpu)):
            for row in rows:
                writer.writerow(row.cells())
                handle.flush()
                print(*row.cells(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
