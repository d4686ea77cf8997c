"""Bytes that weights and KV cache take, and the tokens for which room is left."""

from __future__ import annotations

import numpy as np

from pipeline.roofline.compute import Numbers

MIB = 1024.0**2
GB = 1e9


def weight_bytes_per_gpu(
    layers: Numbers, layer_weights: Numbers, bytes_per_weight: Numbers, tp: Numbers
) -> Numbers:
    """Weights of k layers on one GPU of a TP group: k·P·w/d, bytes."""
    return layers * layer_weights * bytes_per_weight / tp


def kv_bytes_per_token(
    layers: Numbers, kv_elements: Numbers, bytes_per_element: Numbers
) -> Numbers:
    """KV cache of one token in k layers on one GPU: k·e·q, bytes.

    e: elements per token, layer and GPU (`kv_elements_per_token`); q: bytes per element.
    """
    return layers * kv_elements * bytes_per_element


def kv_room_tokens(
    memory_bytes: Numbers,
    usable_fraction: Numbers,
    weight_bytes: Numbers,
    reserved_bytes: Numbers,
    bytes_per_token: Numbers,
    fraction_of_free: Numbers,
) -> Numbers:
    """Tokens whose KV cache fits beside the weights: (u·M − W − R) / kv, never below 0.

    u: share of the GPU's memory M that the engine may use; W: weights; R: runtime, workspace
    and activations; kv: bytes per token, all on one GPU. With `fraction_of_free` 1 the share is
    one of what is left: u·(M − W − R) / kv. Source: vLLM, `gpu_memory_utilization` and the
    profiling run before block allocation; TensorRT-LLM, `kv_cache_free_gpu_memory_fraction`.
    """
    taken = weight_bytes + reserved_bytes
    of_total = usable_fraction * memory_bytes - taken
    of_free = usable_fraction * (memory_bytes - taken)
    room = np.where(fraction_of_free > 0, of_free, of_total)
    return np.asarray(np.maximum(room, 0.0) / bytes_per_token)


def concurrency_limit(
    room_tokens: Numbers, input_len: Numbers, output_len: Numbers, occupancy: Numbers
) -> Numbers:
    """Limit of requests whose KV cache fits at once: room / (in + φ·out), at least 1.

    φ: share of the output that a request holds on average, between 1/2 (requests evenly spread
    over their life, none reserved) and 1 (the whole length reserved on admission).
    """
    return np.maximum(room_tokens / (input_len + occupancy * output_len), 1.0)
