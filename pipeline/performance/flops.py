"""The published performance model: peak arithmetic or bandwidth, whichever takes longer.

It knows neither decode nor KV cache; it is kept to the digit because published numbers rest on
it. Symbols: b batch size, s sequence length, D hidden size, B bytes per element, d TP degree,
k layers of a segment, w `layer_weight_gb`, L layers of the model.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.instance import GpuFigures, GpuType, Workload
from pipeline.model_shape import ModelShape

FloatArray = NDArray[np.float64]

# Some of these differ from the datasheets; the published numbers rest on them as they are.
GPU_FIGURES: Mapping[str, GpuFigures] = {
    "H100": GpuFigures(989.0, 3350.0, 0.65),
    "A100": GpuFigures(312.0, 2039.0, 0.60),
    "L40S": GpuFigures(362.0, 864.0, 0.55),
    "A40": GpuFigures(150.0, 696.0, 0.55),
    "L40": GpuFigures(181.0, 864.0, 0.50),
    "V100": GpuFigures(125.0, 900.0, 0.55),
    "RTX4090": GpuFigures(165.0, 1008.0, 0.50),
    "L20": GpuFigures(119.0, 480.0, 0.50),
    "A10": GpuFigures(125.0, 600.0, 0.45),
    "T4": GpuFigures(65.0, 320.0, 0.40),
}

# Share of the ideal d-fold speed-up that TP degree d keeps.
TP_EFFICIENCY: Mapping[int, float] = {1: 1.0, 2: 0.9, 4: 0.8, 8: 0.7, 16: 0.7}

# Temporary buffers, as a factor on the activations.
ACTIVATION_OVERHEAD = 1.15
BYTES_PER_GB = 1024.0**3


class FlopsModel:
    """The published formulas for one model and workload."""

    def __init__(
        self,
        model: ModelShape,
        workload: Workload,
        gpus: Mapping[str, GpuFigures] | None = None,
    ) -> None:
        self.hidden_size = float(model.hidden_size)
        self.bytes_per_element = float(model.bytes_per_weight)
        self.layer_weight_gb = model.layer_gb
        self.batch_size = float(workload.batch_size)
        self.sequence_length = float(workload.sequence_length)
        self.gpus = {**GPU_FIGURES, **(gpus or {})}

    def stage_seconds(self, gpu: GpuType, sizes: FloatArray) -> FloatArray:
        """Return the time that one GPU takes for k layers, s.

            max( k·(24·b·s·D² + 4·b·s²·D) / (tflops·1e12·eff),
                 (k·12·D²·B + b·s·D·B) / (bandwidth·1e9) )

        Raises KeyError for a GPU without figures. Source: the published system.
        """
        figures = self.gpus[gpu.name]
        b, s, hidden = self.batch_size, self.sequence_length, self.hidden_size
        flop = sizes * (24 * b * s * hidden**2 + 4 * b * s**2 * hidden)
        moved_bytes = (sizes * 12 * hidden**2 + b * s * hidden) * self.bytes_per_element
        return np.maximum(
            flop / (figures.tflops * 1e12 * figures.efficiency),
            moved_bytes / (figures.gb_per_s * 1e9),
        )

    def stage_tokens_per_s(self, gpu: GpuType, degree: int, sizes: FloatArray) -> FloatArray:
        """Return `b·s / time · d · η(d)`, tokens/s. Source: the published system."""
        tokens = self.batch_size * self.sequence_length
        return tokens / self.stage_seconds(gpu, sizes) * degree * TP_EFFICIENCY[degree]

    def activation_gb(self, degree: int) -> float:
        """Return the activation memory of each GPU, GB.

        A(d) = 1.15·( max(7D/d, D) + 2D/d )·b·s·B / 1024³. Source: the published system.
        """
        hidden = self.hidden_size
        elements = max(7 * hidden / degree, hidden) + 2 * hidden / degree
        tokens = self.batch_size * self.sequence_length
        return ACTIVATION_OVERHEAD * elements * tokens * self.bytes_per_element / BYTES_PER_GB

    def stage_memory_gb(self, gpu: GpuType, degree: int, sizes: FloatArray) -> FloatArray:  # noqa: ARG002
        """Return `k·w/d + A(d)`, GB per GPU. Source: the published system."""
        return sizes * self.layer_weight_gb / degree + self.activation_gb(degree)

    def link_tokens_per_s(self, gb_per_s: FloatArray) -> FloatArray:
        """Return `b·s / (b·s·D·B/1024³ / bw)`, tokens/s. Source: the published system."""
        gb_per_token = self.hidden_size * self.bytes_per_element / BYTES_PER_GB
        return gb_per_s / gb_per_token
