"""Matrix and attention work of one layer, turned into seconds on one GPU of a TP group."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def smooth_max(first: Numbers, second: Numbers, sharpness: Numbers) -> Numbers:
    """Larger of two times, rounded where they meet: (a^p + b^p)^(1/p).

    p → ∞ is the plain roofline; a finite p says how badly compute and memory traffic overlap
    near the ridge point. Scaled by the larger, a·(1 + (b/a)^p)^(1/p) for a ≥ b, so it cannot
    overflow. Source: Williams, Waterman and Patterson, "Roofline" (CACM 2009), with the corner
    smoothed.
    """
    largest = np.maximum(first, second)
    share = np.minimum(first, second) / np.maximum(largest, 1e-30)
    return np.asarray(largest * (1.0 + share**sharpness) ** (1.0 / sharpness))


def touched_experts(tokens: Numbers, experts: Numbers, per_token: Numbers) -> Numbers:
    """Count the distinct experts that a batch of T tokens is expected to route to.

    Equation: E·(1 − (1 − a/E)^T), a of E experts drawn evenly per token; 0 without experts.
    Source: expectation of the occupancy of E cells, tokens independent.
    """
    safe = np.maximum(experts, 1.0)
    missed = (1.0 - np.minimum(per_token / safe, 1.0)) ** tokens
    return np.asarray(np.where(experts > 0, experts * (1.0 - missed), 0.0))


def gemm_seconds(
    flops: Numbers,
    weight_bytes: Numbers,
    flops_per_s: Numbers,
    bytes_per_s: Numbers,
    sharpness: Numbers,
) -> Numbers:
    """Time of the weight matrices: smooth max of compute and of reading the weights once, s.

    Equation: max~( W_flops / F , W_bytes / BW ), F and BW already times their efficiency.
    Source: DESIGN §5; Pope et al., "Efficiently Scaling Transformer Inference" (2022), §2.
    """
    return smooth_max(flops / flops_per_s, weight_bytes / bytes_per_s, sharpness)


def causal_pairs(prompt_tokens: Numbers, window: Numbers) -> Numbers:
    """(Query, key) pairs of one causal prompt of s tokens: s²/2, or s·w − w²/2 beyond a window w.

    `window` is infinite for full attention.
    """
    reach = np.minimum(prompt_tokens, window)
    return np.asarray(reach * (prompt_tokens - reach / 2.0))


def activation_bytes(
    tokens: Numbers, hidden: Numbers, ffn_width: Numbers, routed_width: Numbers, tp: Numbers
) -> Numbers:
    """Bytes of activations that one layer moves between its kernels: 2·T·(12·D + 5·f/d + 3·a·D).

    12·D: two norms (read, write), two residual sums (read twice, write), the blocks' inputs and
    outputs; 5·f/d: gate and up written and read, their product written; 3·a·D (`routed_width`
    is a·D): each of a token's copies gathered for its expert, written by it and read by the
    weighted sum, whole on every GPU of a TP group. 16-bit elements.
    """
    return 2.0 * tokens * (12.0 * hidden + 5.0 * ffn_width / tp + 3.0 * routed_width)
