"""Decode attention over a paged cache by FlashInfer, the kernels that vLLM and SGLang can use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flashinfer
import torch

from tests.kernels.layouts import HEAD_DIM, LATENT_RANK, ROPE_DIM, Attention
from tests.kernels.timing import seconds_per_call

PAGE_TOKENS = {True: 64, False: 16}
WORKSPACE_BYTES = 256 * 1024**2
# Several copies of the cache, so that none is found in the GPU's L2.
LEAST_BYTES, MOST_COPIES = 300e6, 32
# Group sizes from which engines take the kernel for matrix units.
MATRIX_GROUP = 4


def kernels(attention: Attention) -> tuple[str, ...]:
    """Kernels that can do this attention: those for MLA are of two generations."""
    return ("decode",) if attention.kv_heads else ("fa3", "fa2")


def _half(*shape: int) -> Any:
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)


def _copies(attention: Attention, sequences: int, context: int) -> int:
    elements = 2 * attention.kv_heads * HEAD_DIM or LATENT_RANK + ROPE_DIM
    cache_bytes = 2 * sequences * context * elements
    return int(min(MOST_COPIES, max(2, LEAST_BYTES // cache_bytes + 1)))


def _pages(sequences: int, context: int, page: int) -> tuple[Any, Any, int]:
    """Where each sequence's pages begin, the pages in disorder, and how many there are."""
    each = -(-context // page)
    starts = torch.arange(sequences + 1, device="cuda", dtype=torch.int32) * each
    return starts, torch.randperm(sequences * each, device="cuda").to(torch.int32), sequences * each


def _latent_calls(
    attention: Attention, sequences: int, context: int, kernel: str
) -> list[Callable[[], object]]:
    page = PAGE_TOKENS[True]
    starts, order, pages = _pages(sequences, context, page)
    workspace = torch.empty(WORKSPACE_BYTES, dtype=torch.uint8, device="cuda")
    wrapper = flashinfer.mla.BatchMLAPagedAttentionWrapper(workspace, backend=kernel)
    queries = torch.arange(sequences + 1, device="cuda", dtype=torch.int32)
    lengths = torch.full((sequences,), context, dtype=torch.int32, device="cuda")
    scale = (HEAD_DIM + ROPE_DIM) ** -0.5
    sizes = (attention.heads, LATENT_RANK, ROPE_DIM, page)
    half = torch.bfloat16
    wrapper.plan(queries, starts, order, lengths, *sizes, False, scale, half, half)
    calls: list[Callable[[], object]] = []
    for _ in range(_copies(attention, sequences, context)):
        query = _half(sequences, attention.heads, LATENT_RANK)
        rope = _half(sequences, attention.heads, ROPE_DIM)
        cache, keys = _half(pages, page, LATENT_RANK), _half(pages, page, ROPE_DIM)
        arguments = (query, rope, cache, keys)
        calls.append(partial(wrapper.run, *arguments))
    return calls


def _grouped_calls(
    attention: Attention, sequences: int, context: int
) -> list[Callable[[], object]]:
    page = PAGE_TOKENS[False]
    starts, order, pages = _pages(sequences, context, page)
    workspace = torch.empty(WORKSPACE_BYTES, dtype=torch.uint8, device="cuda")
    matrix = attention.heads // attention.kv_heads >= MATRIX_GROUP
    wrapper = flashinfer.BatchDecodeWithPagedKVCacheWrapper(
        workspace, "NHD", use_tensor_cores=matrix
    )
    last = torch.full((sequences,), (context - 1) % page + 1, dtype=torch.int32, device="cuda")
    sizes = (attention.heads, attention.kv_heads, HEAD_DIM, page)
    half = torch.bfloat16
    window = attention.window - 1
    wrapper.plan(
        starts, order, last, *sizes, window_left=window, q_data_type=half, kv_data_type=half
    )
    calls: list[Callable[[], object]] = []
    for _ in range(_copies(attention, sequences, context)):
        cache = _half(pages, 2, page, attention.kv_heads, HEAD_DIM)
        arguments = (_half(sequences, attention.heads, HEAD_DIM), cache)
        calls.append(partial(wrapper.run, *arguments))
    return calls


def attention_seconds(attention: Attention, sequences: int, context: int, kernel: str) -> float:
    """Time of one step's attention in one layer, s."""
    if attention.kv_heads:
        return seconds_per_call(_grouped_calls(attention, sequences, context))
    return seconds_per_call(_latent_calls(attention, sequences, context, kernel))
