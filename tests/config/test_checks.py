"""Checks that look at several fields: each is asked, and only about sections that are sound."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.config import checks, performance_checks
from tests.config.builders import faults_after


def faulty_fields(folder: Path, change: Callable[[dict[str, Any]], None]) -> list[str]:
    """Return the field of every fault that a change of the config makes, in their order."""
    return [fault.split(": ")[1] for fault in faults_after(folder, change)]


def test_every_check_is_asked() -> None:
    public = {
        function
        for module in (checks, performance_checks)
        for name, function in inspect.getmembers(module, inspect.isgeneratorfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert {check for check, _ in checks.CHECKS} == public


def test_a_check_needs_what_its_arguments_are_called() -> None:
    for check, needs in checks.CHECKS:
        assert tuple(inspect.signature(check).parameters)[1:] == needs


def test_a_broken_section_does_not_hide_the_faults_of_others(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["pool"][0]["memory_gb"] = -1
        data["pool"][1]["gpu"] = "T5"
        data["model"]["hidden_size"] = None
        data["network"]["rows"] = [[0]]
        data["sweep"] = {"granularities": ["4+5"], "cost_weights": [2]}

    assert faulty_fields(tmp_path, change) == [
        "model.hidden_size",
        "pool[0].memory_gb",
        "sweep.cost_weights[0]",
        "pool[1].gpu",
        "network",
        "network.rows",
        "sweep.granularities[0]",
    ]


def test_experts_and_latent_attention_that_make_no_model_are_faults(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["model"] |= {"num_experts": 8, "experts_per_token": 20, "first_dense_layers": 999}
        data["model"] |= {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "v_head_dim": 128}

    assert faulty_fields(tmp_path, change) == [
        "model.experts_per_token",
        "model.moe_intermediate_size",
        "model.first_dense_layers",
        "model.qk_rope_head_dim",
    ]


def test_a_pool_whose_size_is_unknown_is_not_held_against_the_network(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["pool"][0]["count"] = "many"
        data["network"]["overrides"] = [{"gpus": "0-99", "gb_per_s": 1}]

    assert faults_after(tmp_path, change) == [
        "c.yaml: pool[0].count: must be a whole number (got 'many')"
    ]


def test_an_empty_pool_is_not_held_against_network_and_baseline(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["pool"] = []
        data["network"]["overrides"] = [{"gpus": "0-1", "gb_per_s": 1}]
        data["baseline"] = {"gpu": "A100"}

    assert faults_after(tmp_path, change) == ["c.yaml: pool: must not be empty (got [])"]
