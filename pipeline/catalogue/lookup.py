"""Catalogue files read into records, and names looked up without guessing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from pipeline.catalogue.errors import unknown
from pipeline.catalogue.packaged import packaged
from pipeline.catalogue.records import Engine, Figure, Gpu, Link, ModelEntry, Source
from pipeline.model_config import from_hf_config

ComputeType = Literal["fp16", "bf16", "fp8", "int8", "int4", "fp4"]
# What does instead of a name that a catalogue lacks.
OWN_GPU = "One that it lacks is described under performance.hardware of a config"
OWN_MODEL = (
    "One that it lacks is described under model of a config, or by the config.json that "
    "model.hf_config names"
)
OWN_ENGINE = "One that it lacks can take the name of the engine that it is most like"
# A number, and the key of its source.
Cited = tuple[float, str]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _SourceText(_Strict):
    title: str
    url: str
    date: str = Field(pattern=r"^\d{4}-\d{2}$")


class _LinkText(_Strict):
    kind: Literal["nvlink", "pcie"]
    gb_per_s: Cited
    latency_us: Cited


class _GpuText(_Strict):
    aliases: tuple[str, ...] = ()
    architecture: str
    peak_tflops: dict[str, Cited]
    memory_gb: Cited
    reported_mib: Cited
    bandwidth_gb_per_s: Cited
    link: _LinkText
    usd_per_hour: Cited | None = None


class _GpuFile(_Strict):
    sources: dict[str, _SourceText]
    gpus: dict[str, _GpuText]


class _ModelText(_Strict):
    source: str
    date: str = Field(pattern=r"^\d{4}-\d{2}$")
    bytes_per_weight: float = 2.0
    config: dict[str, int | float | str | bool]


class _ModelFile(_Strict):
    models: dict[str, _ModelText]


class _EngineText(_Strict):
    engine_class: Literal["compiled", "graph", "eager", "concatenating"] = Field(alias="class")
    memory_share_of: Literal["total", "free"]
    matches: tuple[str, ...]
    source: str


class _EngineFile(_Strict):
    sources: dict[str, _SourceText]
    engines: dict[str, _EngineText]


def _sources(texts: Mapping[str, _SourceText]) -> dict[str, Source]:
    return {key: Source(text.title, text.url, text.date) for key, text in texts.items()}


def _figure(cited: Cited, sources: Mapping[str, Source], file: str) -> Figure:
    """Pair a number with its source; raises CatalogueError when the source is not listed."""
    if cited[1] not in sources:
        raise unknown("source", cited[1], sources, f"It is cited in {file}")
    return Figure(cited[0], sources[cited[1]])


def _gpu(name: str, text: _GpuText, sources: Mapping[str, Source]) -> Gpu:
    """Record of one GPU entry."""

    def figure(cited: Cited) -> Figure:
        return _figure(cited, sources, "gpus.yaml")

    link = Link(text.link.kind, figure(text.link.gb_per_s), figure(text.link.latency_us))
    return Gpu(
        name=name,
        aliases=text.aliases,
        architecture=text.architecture,
        peak_tflops={key: figure(cited) for key, cited in text.peak_tflops.items()},
        memory_gb=figure(text.memory_gb),
        reported_mib=figure(text.reported_mib),
        bandwidth_gb_per_s=figure(text.bandwidth_gb_per_s),
        link=link,
        usd_per_hour=figure(text.usd_per_hour) if text.usd_per_hour else None,
    )


@cache
def _gpus() -> dict[str, Gpu]:
    file = packaged(_GpuFile, "gpus.yaml")
    sources = _sources(file.sources)
    return {name: _gpu(name, text, sources) for name, text in file.gpus.items()}


@cache
def _models() -> dict[str, ModelEntry]:
    return {
        name: ModelEntry(
            from_hf_config(text.config, name, text.bytes_per_weight),
            Source(f"config.json of {name}", text.source, text.date),
        )
        for name, text in packaged(_ModelFile, "models.yaml").models.items()
    }


@cache
def _engine_file() -> _EngineFile:
    return packaged(_EngineFile, "engines.yaml")


def gpu_names() -> tuple[str, ...]:
    """Names of all GPUs in the catalogue, in its order."""
    return tuple(_gpus())


def model_names() -> tuple[str, ...]:
    """Names of all models in the catalogue, in its order."""
    return tuple(_models())


def engine_names() -> tuple[str, ...]:
    """Families of all engines in the catalogue, in its order."""
    return tuple(_engine_file().engines)


def compute_types() -> tuple[str, ...]:
    """Compute types that a workload can name."""
    return get_args(ComputeType)


def find_gpu(gpu: str | Gpu) -> Gpu:
    """GPU of that name or alias, case aside, or the GPU itself where it is one already.

    Raises CatalogueError with the near names.
    """
    return gpu if isinstance(gpu, Gpu) else _gpu_of_name(gpu)


@cache
def _gpu_of_name(name: str) -> Gpu:
    """Look a GPU up by name or alias."""
    wanted = name.casefold()
    for gpu in _gpus().values():
        if wanted in {alias.casefold() for alias in (gpu.name, *gpu.aliases)}:
            return gpu
    aliases = {alias: gpu.name for gpu in _gpus().values() for alias in gpu.aliases}
    raise unknown("gpu", name, _gpus(), OWN_GPU, aliases)


def find_model(name: str) -> ModelEntry:
    """Model of that name, or name on the hub, case aside.

    Raises CatalogueError with the near names.
    """
    for key, entry in _models().items():
        if name.casefold() in (key.casefold(), entry.hub_name.casefold()):
            return entry
    raise unknown("model", name, _models(), OWN_MODEL)


@cache
def find_engine(name: str) -> Engine:
    """Engine of a label such as `vllm` or `argonne-vLLM`: its family is the one it names.

    A name in the midst of letters is none: `vllmx` is another engine. Where several families
    match, the one with the longest match counts. Raises CatalogueError with the near names where
    none does.
    """
    file, folded = _engine_file(), name.casefold()
    hits = [
        (len(match), family)
        for family, text in file.engines.items()
        for match in text.matches
        if re.search(rf"(?<![a-z]){re.escape(match)}(?!(?!v[0-9])[a-z])", folded)
    ]
    if not hits:
        raise unknown("engine", name, file.engines, OWN_ENGINE)
    family = max(hits)[1]
    text = file.engines[family]
    source = file.sources[text.source]
    record = Source(source.title, source.url, source.date)
    return Engine(name, family, text.engine_class, text.memory_share_of, record)
