"""The catalogues as tables for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType

from pipeline.catalogue import Figure, Gpu, ModelEntry
from pipeline.cli.render import grid
from pipeline.model_shape import active_layer_parameters, layer_parameters, total_parameters


def gpu_view(gpus: Iterable[Gpu]) -> RenderableType:
    """Show every GPU: peaks, memory, bandwidth, link and reference price, with their sources."""
    table = grid(
        "GPUs of the roofline model",
        [
            ("GPU", "left"),
            ("TFLOP/s fp16", "right"),
            ("fp8", "right"),
            ("memory GB", "right"),
            ("GB/s", "right"),
            ("link", "left"),
            ("link GB/s", "right"),
            ("$/h", "right"),
            ("price from", "left"),
        ],
    )
    for gpu in gpus:
        table.add_row(
            gpu.name,
            _value(gpu.peak_tflops.get("fp16")),
            _value(gpu.peak_tflops.get("fp8")),
            _value(gpu.memory_gb),
            _value(gpu.bandwidth_gb_per_s),
            gpu.link.kind,
            _value(gpu.link.gb_per_s),
            _value(gpu.usd_per_hour),
            "–" if gpu.usd_per_hour is None else _source(gpu.usd_per_hour),
        )
    return table


def figure_view(gpu: Gpu) -> RenderableType:
    """Show every figure of one GPU with its unit, source and date."""
    also = f", also {', '.join(gpu.aliases)}" if gpu.aliases else ""
    columns = [("figure", "left"), ("value", "right"), ("source", "left"), ("date", "left")]
    table = grid(f"{gpu.name}{also}: {gpu.architecture}", columns)
    peaks = {f"dense peak {kind}, TFLOP/s": peak for kind, peak in gpu.peak_tflops.items()}
    figures: dict[str, Figure | None] = {
        **peaks,
        "memory, GB": gpu.memory_gb,
        "memory that the driver reports, MiB": gpu.reported_mib,
        "memory bandwidth, GB/s": gpu.bandwidth_gb_per_s,
        f"{gpu.link.kind} link, one direction, GB/s": gpu.link.gb_per_s,
        f"{gpu.link.kind} link, one message, µs": gpu.link.latency_us,
        "price, $/h": gpu.usd_per_hour,
    }
    for name, figure in figures.items():
        if figure is not None:
            source = f"{figure.source.title}, {figure.source.url}"
            table.add_row(name, _value(figure), source, figure.source.date)
    return table


def model_view(models: Iterable[ModelEntry]) -> RenderableType:
    """Show every model: layers, parameters in all and per token, attention, source."""
    table = grid(
        "Models that a config can name",
        [
            ("model", "left"),
            ("layers", "right"),
            ("hidden", "right"),
            ("heads/KV", "right"),
            ("experts", "right"),
            ("parameters", "right"),
            ("active", "right"),
            ("bytes", "right"),
            ("date", "left"),
        ],
    )
    for entry in models:
        shape = entry.shape
        idle = layer_parameters(shape) - active_layer_parameters(shape)
        whole = total_parameters(shape)
        table.add_row(
            shape.name,
            str(shape.num_hidden_layers),
            str(shape.hidden_size),
            f"{shape.num_attention_heads}/{shape.num_key_value_heads}",
            f"{shape.experts_per_token} of {shape.num_experts}" if shape.num_experts else "–",
            f"{whole / 1e9:.1f} B",
            f"{(whole - shape.num_hidden_layers * idle) / 1e9:.1f} B",
            f"{shape.bytes_per_weight:g}",
            entry.source.date,
        )
    return table


def _value(figure: Figure | None) -> str:
    return "–" if figure is None else f"{figure.value:g}"


def _source(figure: Figure) -> str:
    return f"{figure.source.title}, {figure.source.date}"
