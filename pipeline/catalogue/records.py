"""Catalogue entries as frozen records, every number beside its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.model_shape import ModelShape

MOST_MEMORY_GB = 4096
"""A GPU of more is one whose memory is given in MiB."""


@dataclass(frozen=True)
class Source:
    """Where a number stands: title, address, and the month it was published or read."""

    title: str
    url: str
    date: str


@dataclass(frozen=True)
class Figure:
    """One number and its source."""

    value: float
    source: Source


@dataclass(frozen=True)
class Link:
    """Link between GPUs of one host; gb_per_s is one direction, latency_us one message."""

    kind: str
    gb_per_s: Figure
    latency_us: Figure


@dataclass(frozen=True)
class Gpu:
    """One GPU type; peak_tflops per compute type is dense, usd_per_hour a reference price.

    memory_gb is the nominal size that a pool states, reported_mib what the driver finds of it.
    """

    name: str
    aliases: tuple[str, ...]
    architecture: str
    peak_tflops: Mapping[str, Figure] = field(hash=False)
    memory_gb: Figure
    reported_mib: Figure
    bandwidth_gb_per_s: Figure
    link: Link
    usd_per_hour: Figure | None


@dataclass(frozen=True)
class ModelEntry:
    """One model: its shape, and the config it was read from."""

    shape: ModelShape
    source: Source

    @property
    def hub_name(self) -> str:
        """Its name on the Hugging Face hub, which is where its config was read."""
        return "/".join(urlsplit(self.source.url).path.split("/")[1:3])


@dataclass(frozen=True)
class Engine:
    """One inference engine: its label, family and class, as in `engines.yaml`.

    memory_share_of: what its memory fraction is a share of, `total` memory of the GPU, or the
    memory `free` once weights and runtime are loaded.
    """

    name: str
    family: str
    engine_class: str
    memory_share_of: str
    source: Source


def peak_tflops(gpu: Gpu, compute_type: str) -> float:
    """Dense peak for a compute type, TFLOP/s; a type without a peak of its own runs in wider ones.

    fp4 falls back to fp8 and then fp16; fp8, int8 and int4 to fp16 (weights are widened on the
    way into the product); bf16 to the rate of fp16.
    """
    wider = {"fp4": ("fp8",)}
    for name in (compute_type, *wider.get(compute_type, ())):
        if name in gpu.peak_tflops:
            return gpu.peak_tflops[name].value
    return gpu.peak_tflops["fp16"].value
