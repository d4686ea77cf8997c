"""Every number in the catalogues has a source, and no name is guessed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.catalogue import (
    CatalogueError,
    Figure,
    engine_names,
    find_engine,
    find_gpu,
    find_model,
    gpu_names,
    model_names,
)
from pipeline.catalogue.records import peak_tflops
from pipeline.model_shape import total_parameters

GPUS = [
    "V100-16G",
    "V100-32G",
    "T4",
    "A10",
    "A10G",
    "L4",
    "L20",
    "L40",
    "L40S",
    "A40",
    "A100-40G",
    "A100-40G-PCIe",
    "A100-80G",
    "A100-80G-PCIe",
    "H100",
    "H100-PCIe",
    "H200",
    "GH200",
    "B200",
    "RTX-3090",
    "RTX-4090",
    "RTX-PRO-6000",
    "MI300X",
]


def figures(name: str) -> list[Figure]:
    gpu = find_gpu(name)
    prices = [gpu.usd_per_hour] if gpu.usd_per_hour else []
    link = [gpu.link.gb_per_s, gpu.link.latency_us]
    memory = [gpu.memory_gb, gpu.reported_mib, gpu.bandwidth_gb_per_s]
    return [*gpu.peak_tflops.values(), *memory, *link, *prices]


def test_the_catalogue_holds_the_gpus_that_were_asked_for() -> None:
    assert set(GPUS) <= set(gpu_names())


@pytest.mark.parametrize("name", gpu_names())
def test_every_figure_of_a_gpu_is_positive_and_has_source_and_date(name: str) -> None:
    for figure in figures(name):
        assert figure.value > 0
        assert figure.source.title
        assert figure.source.url.startswith("https://")
        assert len(figure.source.date) == 7


@pytest.mark.parametrize("name", gpu_names())
def test_figures_of_a_gpu_are_of_the_right_size(name: str) -> None:
    gpu = find_gpu(name)
    assert 50 <= gpu.peak_tflops["fp16"].value <= 3000
    assert 250 <= gpu.bandwidth_gb_per_s.value <= 10000
    # what the driver reports lies within a tenth of the nominal size, in either reading of GB
    assert 0.9 <= gpu.reported_mib.value * 1024**2 / 1e9 / gpu.memory_gb.value <= 1.1


def test_a_type_without_units_of_its_own_runs_in_a_wider_one() -> None:
    a100, h100 = find_gpu("A100-80G"), find_gpu("H100")
    assert peak_tflops(a100, "fp8") == peak_tflops(a100, "fp16") == 312
    assert peak_tflops(h100, "fp4") == peak_tflops(h100, "fp8") == 1978.9
    assert peak_tflops(h100, "int4") == peak_tflops(h100, "bf16") == 989.4
    figure = h100.peak_tflops["fp16"]
    stated = {"bf16": replace(figure, value=500.0), "int4": replace(figure, value=4000.0)}
    own = replace(h100, peak_tflops={**h100.peak_tflops, **stated})
    assert (peak_tflops(own, "bf16"), peak_tflops(own, "int4")) == (500.0, 4000.0)


def test_names_and_aliases_are_found_whatever_their_case() -> None:
    assert find_gpu("rtx4090") is find_gpu("RTX-4090")
    assert find_model("llama-3.1-70b").shape.hidden_size == 8192


@pytest.mark.parametrize("name", ["A100", "V100", "H-100", "quantum"])
def test_an_unknown_gpu_is_an_error_with_near_names_and_what_does_instead(name: str) -> None:
    with pytest.raises(CatalogueError, match=r"performance\.hardware") as caught:
        find_gpu(name)
    if name == "A100":
        assert "A100-80G" in str(caught.value)


def test_unknown_models_and_engines_are_errors_too() -> None:
    with pytest.raises(CatalogueError, match=r"Llama-3\.1-70B.*model\.hf_config"):
        find_model("Llama-3.1-71B")
    with pytest.raises(CatalogueError, match="can take the name of the engine"):
        find_engine("mystery")


@pytest.mark.parametrize("label", ["vllmx", "nanovllm", "tgist"])
def test_a_longer_word_is_not_the_family_whose_name_is_in_it(label: str) -> None:
    with pytest.raises(CatalogueError, match="can take the name of the engine"):
        find_engine(label)


@pytest.mark.parametrize("name", model_names())
def test_every_model_has_source_and_date(name: str) -> None:
    source = find_model(name).source
    assert source.url.startswith("https://huggingface.co/")
    assert len(source.date) == 7


@pytest.mark.parametrize(
    ("name", "billions"),
    [  # as the model cards state them
        ("Llama-2-7B", 6.74),
        ("Llama-3.1-405B", 405.8),
        ("Qwen3-235B-A22B", 235.1),
        ("Mixtral-8x7B", 46.7),
        ("DeepSeek-V2", 235.7),
        ("DeepSeek-V3", 671.0),
        ("gpt-oss-120b", 116.8),
        ("Gemma-2-27B", 27.2),
    ],
)
def test_shapes_add_up_to_the_published_parameter_counts(name: str, billions: float) -> None:
    assert total_parameters(find_model(name).shape) / 1e9 == pytest.approx(billions, rel=2e-3)


@pytest.mark.parametrize(
    ("label", "family", "engine_class"),
    [
        ("argonne-TensorRT-LLM", "trtllm", "compiled"),
        ("trtllm-1.0", "trtllm", "compiled"),
        ("helix-vllm0.4", "vllm", "graph"),
        ("tgis", "tgis", "concatenating"),
        ("argonne-Deepspeed-MII", "deepspeed-mii", "eager"),
        ("tgi", "tgi", "graph"),
    ],
)
def test_an_engine_label_belongs_to_the_family_it_names(
    label: str, family: str, engine_class: str
) -> None:
    engine = find_engine(label)
    assert (engine.name, engine.family, engine.engine_class) == (label, family, engine_class)


def test_every_engine_has_a_source() -> None:
    assert all(find_engine(name).source.url.startswith("https://") for name in engine_names())


def test_a_model_is_found_by_its_name_on_the_hub_too() -> None:
    assert find_model("qwen/Qwen2.5-14B") is find_model("Qwen2.5-14B")
    assert all(find_model(name).hub_name.count("/") == 1 for name in model_names())
