"""GPUs that a user describes, turned into records like those of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from pipeline.catalogue import Figure, Gpu, Link, Source
from pipeline.config.document import Document
from pipeline.config.faults import faults_of
from pipeline.config.performance_checks import architectures_as_known
from pipeline.config.schema import HardwareSection, PerformanceSection, Section
from pipeline.config.yaml_file import read_yaml
from pipeline.errors import InputError

STATED = Source("stated by the user", "", "")
BYTES_PER_MIB = 1024.0**2


class _File(Section):
    """Puts the content of a file where a config has it, so that faults name the same fields."""

    performance: PerformanceSection


def read_hardware(path: Path) -> dict[str, Gpu]:
    """Return the GPUs of a YAML file, as under `performance.hardware`. Raises InputError."""
    content = read_yaml(path).data
    document = Document(str(path), content, {("performance", "hardware"): (str(path), "")})
    try:
        file = _File.model_validate({"performance": {"hardware": content}})
    except ValidationError as error:
        raise InputError(faults_of(error, document)) from None
    if faults := list(architectures_as_known(document, file.performance)):
        raise InputError(faults)
    return gpus_of(file.performance.hardware)


def gpus_of(sections: Mapping[str, HardwareSection]) -> dict[str, Gpu]:
    """Return the GPUs of a config by name."""
    return {name: _gpu(name, section) for name, section in sections.items()}


def _gpu(name: str, section: HardwareSection) -> Gpu:
    reported_mib = section.reported_mib or section.memory_gb * 1e9 / BYTES_PER_MIB
    link = section.link
    return Gpu(
        name=name,
        aliases=(),
        architecture=section.architecture,
        peak_tflops={kind: _figure(peak) for kind, peak in section.tflops.items()},
        memory_gb=_figure(section.memory_gb),
        reported_mib=_figure(reported_mib),
        bandwidth_gb_per_s=_figure(section.gb_per_s),
        link=Link(link.kind, _figure(link.gb_per_s), _figure(link.latency_us)),
        usd_per_hour=None,
    )


def _figure(value: float) -> Figure:
    return Figure(float(value), STATED)
