"""Faults of what the performance model that is asked does not know, told with their fields."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import load_config
from pipeline.errors import InputError

CONFIG = Path(__file__).parent.parent.parent / "configs" / "llama-3.1-8b-workstation.yaml"


def faults(*assignments: tuple[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        load_config(CONFIG, assignments)
    return str(caught.value)


def test_a_catalogue_model_brings_its_shape_and_keeps_what_is_stated_beside_it() -> None:
    loaded = load_config(CONFIG, [("model.bytes_per_weight", 1)])
    model = loaded.instance.model
    assert (model.name, model.num_hidden_layers, model.num_key_value_heads) == (
        "Llama-3.1-8B",
        32,
        8,
    )
    assert model.bytes_per_weight == 1


def test_half_of_what_goes_together_beside_a_catalogue_model_is_a_fault() -> None:
    told = "model.sliding_window_share: is missing beside sliding_window"
    assert faults(("model.sliding_window", 4096)) == f"{CONFIG}: {told}"


@pytest.mark.parametrize("name", ["Llama-3.1-9B", [1], {"a": 1}])
def test_a_name_that_no_catalogue_has_is_the_one_fault_of_where_it_stands(name: Any) -> None:
    [told] = faults(("model.catalogue", name)).splitlines()
    assert told.startswith("--set: model.catalogue: is not in the catalogue; ")
    assert told.endswith(f"or give its config.json under hf_config (got {name!r})")


def test_a_catalogue_name_beside_a_whole_model_is_refused() -> None:
    reference = CONFIG.with_name("medium.yaml")
    with pytest.raises(InputError, match="is not looked at beside a whole model"):
        load_config(reference, [("model.catalogue", "Qwen2.5-14B")])
    replaced = load_config(reference, [("model", {"catalogue": "Qwen2.5-14B"})])
    assert replaced.instance.model.num_hidden_layers == 48


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("model.catalogue", "Llama-3.1-9B"), "near names: Llama-3.1-8B"),
        (("pool.0.gpu", "RTX4091"), "near names: RTX-4090, RTX-3090"),
        (("pool.0.gpus_per_node", 3), "must be a power of two (got 3)"),
        (("pool.0.memory_gb", 24576), "must be in GB, of which RTX-4090 has 24; is this MiB?"),
        (
            ("workload.batch_size", 4),
            "is not known to the roofline model; concurrency lists the requests at once (got 4)",
        ),
        (("workload.output_tokens", 0), "must be at least 1 in phase mixed (got 0)"),
        (("workload.concurrency", "all"), "must be auto, a positive whole number or a list"),
        (("workload.engine", "vlm9"), "near names: vllm"),
        (("workload.engine", "vllmx"), "near names: vllm"),
        (("network.drop_below_percentile", 10), "is not known to the roofline model"),
        (("network.gb_per_s", 0), "must be greater than 0 for the roofline model"),
        (("solver.formulation", "pairwise"), "is not known to the roofline model"),
        (("limits.max_ttft_s", 0), "must be greater than 0"),
    ],
)
def test_what_the_roofline_model_cannot_use_is_a_fault(change: tuple[str, Any], told: str) -> None:
    assert told in faults(change)


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("vLLM", "vllm"),
        (" vllm", "vllm"),
        ("ArgonNE-vllm", "argonne-vLLM"),  # a label that a fit has seen
        ("VLLM-0.10 ", "vllm-0.10"),
    ],
)
def test_an_engine_in_another_spelling_is_told_how_it_is_written(written: str, known: str) -> None:
    fault = f"--set: workload.engine: must be written {known} (got {written!r})"
    assert faults(("workload.engine", written)) == fault


def test_a_label_of_an_engine_may_name_a_version_that_no_fit_has_seen() -> None:
    for label in ("argonne-vLLM", "vllm-0.6.3", "vllm0.6", "VLLM-0.6.3"):
        loaded = load_config(CONFIG, [("workload.engine", label)])
        assert loaded.config.workload.engine == label


def test_concurrency_must_be_cut_into_equal_micro_batches() -> None:
    told = faults(("workload.concurrency", [9, 8]), ("workload.micro_batches", [2, 4]))
    assert "workload.concurrency: must be a multiple of one of micro_batches [2, 4] (got 9)" in told


def test_the_network_may_not_be_faster_than_the_link_inside_hosts() -> None:
    told = faults(("pool.0.gpus_per_node", 2), ("network.gb_per_s", 100))
    assert "must be at most the link inside hosts of RTX-4090, 32 GB/s" in told
    assert "else state that link for all hosts" in told


def test_a_network_in_bits_is_told_what_it_is_in_bytes() -> None:
    told = faults(("pool.0.gpus_per_node", 2), ("network.gb_per_s", 100))
    assert "; for 100 Gbit/s give 12.5, else " in told


def test_limits_on_latency_need_the_roofline_model() -> None:
    medium = CONFIG.parent / "medium.yaml"
    with pytest.raises(InputError, match=r"limits.max_ttft_s: is not known to the flops model"):
        load_config(medium, [("limits.max_ttft_s", 1.0)])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            [("performance", {})],
            "performance.model: is missing; a workload of phase, input_tokens, output_tokens "
            "needs performance: {model: roofline}",
        ),
        (
            [("performance.model", "flops")],
            "performance.model: must be roofline for a workload of phase, input_tokens, "
            "output_tokens (got 'flops')",
        ),
        (
            [("performance", {}), ("workload.phase", "all"), ("workload.batch_size", 4)],
            "performance.model: is missing; a workload of phase, input_tokens, output_tokens "
            "needs performance: {model: roofline}",
        ),
        (
            [("performance", "roofline")],
            "performance: must hold fields, as {model: flops} or {model: roofline} "
            "(got 'roofline')",
        ),
        (
            [("performance", "flop")],
            "performance: must hold fields, as {model: flops} or {model: roofline} (got 'flop')",
        ),
    ],
)
def test_a_model_left_out_or_wrong_is_one_fault_that_names_the_one_that_was_meant(
    changes: list[tuple[str, Any]], told: str
) -> None:
    of_model = [line for line in faults(*changes).splitlines() if "performance" in line]
    assert [line.split(": ", 1)[1] for line in of_model] == [told]
    others = [line for line in faults(*changes).splitlines() if "flops model" in line]
    assert others == []


def test_flops_needs_its_own_workload() -> None:
    medium = CONFIG.parent / "medium.yaml"
    with pytest.raises(InputError, match=r"workload.phase: is not known to the flops model"):
        load_config(medium, [("workload.phase", "decode")])


@pytest.mark.parametrize(
    ("name", "value", "default"),
    [
        ("concurrency", [8], "auto"),
        ("concurrency", 8, "auto"),
        ("micro_batches", [1, 2], "auto"),
        ("compute_type", "fp8", "fp16"),
        ("kv_bytes", 1.0, 2),
        ("memory_fraction", 0.5, 0.9),
        ("engine", "sglang", "vllm"),
    ],
)
def test_what_only_roofline_serves_by_may_stand_under_flops_as_its_default_alone(
    name: str, value: Any, default: Any
) -> None:
    medium, field = CONFIG.parent / "medium.yaml", f"workload.{name}"
    load_config(medium, [(field, default)])
    with pytest.raises(InputError) as caught:
        load_config(medium, [(field, value)])
    assert str(caught.value) == f"--set: {field}: is not known to the flops model (got {value!r})"
