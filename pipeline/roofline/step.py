"""One forward step through layers of one GPU type: tokens in, seconds out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.roofline.communication import all_reduce_seconds
from pipeline.roofline.compute import (
    Numbers,
    activation_bytes,
    causal_pairs,
    gemm_seconds,
    smooth_max,
    touched_experts,
)
from pipeline.roofline.constants import Constants


@dataclass(frozen=True)
class Hardware:
    """Peak figures of one GPU and its link, one entry per case, in base units.

    flops_per_s: dense peak of the weights' compute type; half_flops_per_s: of 16-bit types;
    bytes_per_s: memory; link_bytes_per_s: one direction of the TP link; link_latency_s: of one
    message on it; switched: 1 behind NVLink, 0 over PCIe; memory_bytes: capacity.
    """

    flops_per_s: Numbers
    half_flops_per_s: Numbers
    bytes_per_s: Numbers
    link_bytes_per_s: Numbers
    link_latency_s: Numbers
    switched: Numbers
    memory_bytes: Numbers


@dataclass(frozen=True)
class LayerWork:
    """What the mean layer of a model asks for, one entry per case.

    always_weights: attention and always-on FFN weights; expert_weights: one routed expert;
    experts, experts_per_token: routed experts and how many a token takes; bytes_per_weight;
    hidden: D; ffn_width: active intermediate width; routed_width: elements of a token's copies
    for its experts; kv_elements: per token and GPU of the TP group; bytes_per_kv_element;
    prefill_pair_flops, decode_pair_flops: per (query, key) pair; latent: 1 with MLA, else 0;
    window, window_share: sliding window (infinite when none) and the share of layers with it;
    head_weights: LM head V·D.
    """

    always_weights: Numbers
    expert_weights: Numbers
    experts: Numbers
    experts_per_token: Numbers
    bytes_per_weight: Numbers
    hidden: Numbers
    ffn_width: Numbers
    routed_width: Numbers
    kv_elements: Numbers
    bytes_per_kv_element: Numbers
    prefill_pair_flops: Numbers
    decode_pair_flops: Numbers
    latent: Numbers
    window: Numbers
    window_share: Numbers
    head_weights: Numbers


@dataclass(frozen=True)
class StepLoad:
    """Tokens that one step carries: prompts prefilled and sequences decoded.

    prefill_tokens: prompt tokens in all; prompt_len: tokens of one prompt; sequences: decoding;
    context: their mean cached tokens.
    """

    prefill_tokens: Numbers
    prompt_len: Numbers
    sequences: Numbers
    context: Numbers


def prefill_load(tokens: Numbers, prompt_len: Numbers) -> StepLoad:
    """Load of a step that only prefills."""
    zero = np.zeros_like(tokens)
    return StepLoad(tokens, prompt_len, zero, zero)


def decode_load(sequences: Numbers, context: Numbers) -> StepLoad:
    """Load of a step that only decodes, one token per sequence."""
    return StepLoad(np.zeros_like(sequences), np.ones_like(sequences), sequences, context)


def prefill_attention_seconds(
    load: StepLoad, work: LayerWork, hardware: Hardware, tp: Numbers, constants: Constants
) -> Numbers:
    """Attention of the prompts in one layer: prompts · pairs(s) · flops / (d·F₁₆·e_a), s."""
    full = causal_pairs(load.prompt_len, np.full_like(load.prompt_len, np.inf))
    windowed = causal_pairs(load.prompt_len, work.window)
    pairs = (1.0 - work.window_share) * full + work.window_share * windowed
    flops = load.prefill_tokens / load.prompt_len * pairs * work.prefill_pair_flops
    return flops / (tp * hardware.half_flops_per_s * constants.attention_efficiency)


def decode_attention_seconds(
    load: StepLoad, work: LayerWork, hardware: Hardware, tp: Numbers, constants: Constants
) -> Numbers:
    """Attention of the decoding sequences in one layer: reading the cache against computing, s.

    Equation: max~( b·c·e·q / (BW·e_kv), b·c·flops / (d·F₁₆·e_d) ), c cut to the window where
    layers have one. Grouped heads read less but compute as much; decode kernels leave most of
    the matrix units idle, hence an efficiency e_d of their own. With MLA all heads of a GPU meet
    the same cached vector, which fills the matrix units: another efficiency there.
    """
    share = work.window_share
    context = (1.0 - share) * load.context + share * np.minimum(load.context, work.window)
    cached = load.sequences * context
    read = cached * work.kv_elements * work.bytes_per_kv_element
    read_s = read / (hardware.bytes_per_s * constants.kv_bandwidth_efficiency)
    efficiency = np.where(
        work.latent > 0,
        constants.latent_attention_efficiency,
        constants.decode_attention_efficiency,
    )
    peak = tp * hardware.half_flops_per_s * efficiency
    return smooth_max(read_s, cached * work.decode_pair_flops / peak, constants.roofline_sharpness)


def matrix_seconds(
    tokens: Numbers, work: LayerWork, hardware: Hardware, tp: Numbers, constants: Constants
) -> Numbers:
    """Weight matrices of one layer for T tokens: those of every token, then the routed ones, s.

    Each is a roofline of active FLOPs and touched bytes. An expert's product has the few rows
    that were routed to it, so that computing hides less behind reading than in one large
    product: a corner of its own (docs/accuracy.md has the measurement).
    """
    flops_per_s = tp * hardware.flops_per_s * constants.compute_efficiency
    bytes_per_s = tp * hardware.bytes_per_s * constants.bandwidth_efficiency
    touched = touched_experts(tokens, work.experts, work.experts_per_token)
    always_s = gemm_seconds(
        2.0 * work.always_weights * tokens,
        work.always_weights * work.bytes_per_weight,
        flops_per_s,
        bytes_per_s,
        constants.roofline_sharpness,
    )
    routed_s = gemm_seconds(
        2.0 * work.experts_per_token * work.expert_weights * tokens,
        touched * work.expert_weights * work.bytes_per_weight,
        flops_per_s,
        bytes_per_s,
        constants.expert_sharpness,
    )
    return always_s + routed_s


def layer_seconds(
    load: StepLoad, work: LayerWork, hardware: Hardware, tp: Numbers, constants: Constants
) -> Numbers:
    """Time of one layer in one step: matrices + activations + attention + 2 all-reduces + o, s."""
    tokens = load.prefill_tokens + load.sequences
    moved = (
        activation_bytes(tokens, work.hidden, work.ffn_width, work.routed_width, tp)
        * constants.activation_traffic
    )
    reduce_s = all_reduce_seconds(
        2.0 * tokens * work.hidden,
        tp,
        hardware.link_latency_s * constants.all_reduce_latency,
        hardware.link_bytes_per_s * constants.link_efficiency,
        hardware.switched,
        constants.bus_collapse,
    )
    return (
        matrix_seconds(tokens, work, hardware, tp, constants)
        + moved / (hardware.bytes_per_s * constants.bandwidth_efficiency)
        + prefill_attention_seconds(load, work, hardware, tp, constants)
        + decode_attention_seconds(load, work, hardware, tp, constants)
        + 2.0 * reduce_s
        + constants.layer_overhead_s
    )


def head_seconds(
    load: StepLoad, work: LayerWork, hardware: Hardware, tp: Numbers, constants: Constants
) -> Numbers:
    """LM head and host time of one step: one logit row per sequence and per finished prompt, s.

    Equation: max~( 2·V·D·n/(d·F₁₆·e_c), 2·V·D/(d·BW·e_m) ) + o_step + n·o_seq, n rows.
    """
    rows = load.sequences + load.prefill_tokens / np.maximum(load.prompt_len, 1.0)
    product_s = gemm_seconds(
        2.0 * work.head_weights * rows,
        2.0 * work.head_weights,
        tp * hardware.half_flops_per_s * constants.compute_efficiency,
        tp * hardware.bytes_per_s * constants.bandwidth_efficiency,
        constants.roofline_sharpness,
    )
    return product_s + constants.step_overhead_s + rows * constants.sequence_overhead_s
