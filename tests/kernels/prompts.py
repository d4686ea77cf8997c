"""Causal attention of whole prompts by FlashInfer, the kernel that engines take on Hopper."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flashinfer
import torch

from tests.kernels.layouts import HEAD_DIM, ROPE_DIM, Attention
from tests.kernels.timing import seconds_per_call

KERNEL = "fa3"
WORKSPACE_BYTES = 512 * 1024**2
COPIES = 2
LARGEST_ERROR = 0.01
# Of the check: tokens of a prompt.
FEW_TOKENS = 1500


def _half(*shape: int) -> Any:
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)


def _calls(attention: Attention, prompts: int, length: int) -> list[Callable[[], Any]]:
    """Attention over several sets of queries, keys and values; MLA has them unfolded by head."""
    kv_heads = attention.kv_heads or attention.heads
    key_dim = HEAD_DIM + (0 if attention.kv_heads else ROPE_DIM)
    workspace = torch.empty(WORKSPACE_BYTES, dtype=torch.uint8, device="cuda")
    wrapper = flashinfer.BatchPrefillWithRaggedKVCacheWrapper(workspace, "NHD", backend=KERNEL)
    starts = torch.arange(prompts + 1, device="cuda", dtype=torch.int32) * length
    wrapper.plan(
        starts,
        starts,
        attention.heads,
        kv_heads,
        key_dim,
        HEAD_DIM,
        causal=True,
        window_left=attention.window - 1,
        sm_scale=key_dim**-0.5,
        q_data_type=torch.bfloat16,
        kv_data_type=torch.bfloat16,
    )
    tokens = prompts * length
    return [
        partial(
            wrapper.run,
            _half(tokens, attention.heads, key_dim),
            _half(tokens, kv_heads, key_dim),
            _half(tokens, kv_heads, HEAD_DIM),
        )
        for _ in range(COPIES)
    ]


def _expected(attention: Attention, query: Any, key: Any, value: Any) -> Any:
    """One prompt in 32 bits."""
    group = query.shape[1] // key.shape[1]
    query, key, value = (one.float().transpose(0, 1) for one in (query, key, value))
    key, value = (one.repeat_interleave(group, dim=0) for one in (key, value))
    scores = query @ key.transpose(1, 2) * query.shape[2] ** -0.5
    behind = torch.arange(query.shape[1], device="cuda")
    behind = behind[:, None] - behind[None, :]
    seen = (behind >= 0) & (behind < (attention.window or query.shape[1]))
    scores = scores.masked_fill(~seen, float("-inf"))
    return (scores.softmax(dim=-1) @ value).transpose(0, 1)


def check(attention: Attention) -> None:
    """Raise ValueError where the kernel does not compute the attention."""
    call: Any = _calls(attention, 1, FEW_TOKENS)[0]
    expected = _expected(attention, *call.args)
    error = float((call().float() - expected).norm() / expected.norm())
    if not error < LARGEST_ERROR:
        raise ValueError(f"the kernel is off by {error:.3g}")


def prompt_seconds(attention: Attention, prompts: int, length: int) -> float:
    """Time of one layer's attention in a step of so many prompts of one length, s."""
    return seconds_per_call(_calls(attention, prompts, length))
