"""The catalogues as tables for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from pipeline.catalogue import Figure, Gpu, ModelEntry
from pipeline.grids import Grid, figures, names, texts
from pipeline.model_shape import active_layer_parameters, layer_parameters, total_parameters


def gpu_view(gpus: Iterable[Gpu]) -> RenderableType:
    """Show every GPU: peaks, memory, bandwidth, link and reference price, with their sources."""
    table = Grid(
        "GPUs of the roofline model",
        [
            names("GPU"),
            figures("TFLOP/s fp16"),
            figures("fp8"),
            figures("memory GB"),
            figures("GB/s"),
            names("link"),
            figures("link GB/s"),
            figures("$/h"),
            texts("price from", spare=1),
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
            "–" if gpu.usd_per_hour is None else f"{gpu.usd_per_hour.value:.2f}",
            "–" if gpu.usd_per_hour is None else _source(gpu.usd_per_hour),
        )
    return table


def figure_view(gpu: Gpu) -> RenderableType:
    """Show every figure of one GPU with its unit, source and date."""
    also = f", also {', '.join(gpu.aliases)}" if gpu.aliases else ""
    columns = [names("figure"), figures("value"), texts("source"), names("date")]
    table = Grid(f"{gpu.name}{also}: {gpu.architecture}", columns)
    peaks = {f"dense peak {kind}, TFLOP/s": peak for kind, peak in gpu.peak_tflops.items()}
    stated: dict[str, Figure | None] = {
        **peaks,
        "memory, GB": gpu.memory_gb,
        "memory that the driver reports, MiB": gpu.reported_mib,
        "memory bandwidth, GB/s": gpu.bandwidth_gb_per_s,
        f"{gpu.link.kind} link, one direction, GB/s": gpu.link.gb_per_s,
        f"{gpu.link.kind} link, one message, µs": gpu.link.latency_us,
        "price, $/h": gpu.usd_per_hour,
    }
    for name, figure in stated.items():
        if figure is not None:
            table.add_row(name, _value(figure), figure.source.title, figure.source.date)
    sources = {figure.source.title: figure.source.url for figure in stated.values() if figure}
    # An address has a line of its own: it is there to be opened.
    return Group(table, *(Text(f"\n{title}\n{url}") for title, url in sources.items()))


def model_view(models: Iterable[ModelEntry]) -> RenderableType:
    """Show every model: layers, parameters in all and per token, attention, source."""
    table = Grid(
        "Models that a config can name",
        [
            names("model"),
            figures("layers"),
            figures("hidden", spare=1),
            figures("heads/KV", spare=1),
            figures("experts"),
            figures("parameters"),
            figures("active"),
            figures("bytes"),
            names("date", spare=2),
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
