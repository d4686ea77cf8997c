"""Messages between GPUs, turned into seconds: TP all-reduce and pipeline hops."""

from __future__ import annotations

import numpy as np

from pipeline.roofline.compute import Numbers


def ring_steps(tp: Numbers, switched: Numbers) -> Numbers:
    """Latency steps of one all-reduce over d GPUs: 2(d−1) on a bus, 1 + (d−1)/7 behind a switch.

    Over a switch, engines use one-shot kernels whose latency hardly grows with d; on PCIe the
    ring of NCCL takes every step. Source: NCCL tests, PERFORMANCE.md; TensorRT-LLM custom
    all-reduce.
    """
    return np.asarray(np.where(switched > 0, 1.0 + (tp - 1.0) / 7.0, 2.0 * (tp - 1.0)))


def shared_bus_factor(tp: Numbers, switched: Numbers, collapse: Numbers) -> Numbers:
    """Share of a PCIe link's bandwidth that is left when d GPUs reduce over one host: (2/d)^γ.

    1 behind an NVLink switch. γ is fitted: rings that cross host bridges and sockets share them.
    """
    crowded = (2.0 / np.maximum(tp, 2.0)) ** collapse
    return np.asarray(np.where(switched > 0, 1.0, crowded))


def all_reduce_seconds(
    message_bytes: Numbers,
    tp: Numbers,
    latency_s: Numbers,
    bytes_per_s: Numbers,
    switched: Numbers,
    collapse: Numbers,
) -> Numbers:
    """Time of one all-reduce of x bytes over d GPUs, s; 0 for d = 1.

    Equation: steps(d)·α + 2(d−1)/d · x / (bus·(2/d)^γ). Source: NCCL tests, PERFORMANCE.md
    (bus bandwidth of all-reduce); DESIGN §5.
    """
    bus = bytes_per_s * shared_bus_factor(tp, switched, collapse)
    seconds = ring_steps(tp, switched) * latency_s + 2.0 * (tp - 1.0) / tp * message_bytes / bus
    return np.asarray(np.where(tp > 1, seconds, 0.0))


def hop_seconds(message_bytes: Numbers, latency_s: Numbers, bytes_per_s: Numbers) -> Numbers:
    """Time to hand activations to the next pipeline stage: α + x / bw, s."""
    return latency_s + message_bytes / bytes_per_s
