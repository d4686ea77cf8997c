"""What links do to a stored placement; the rules on everything else are tried in test_audit.

Two layers each on two Fast (TP 2, a ring) and on one Slow of `sweeps`: 1200/2·2·.9 = 1080 and
400/2 = 200 tokens/s. A token is D·B/1024³ = 4/1024³ GB on the way.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.instance import Instance
from pipeline.results.schema import POINT_COLUMNS
from pipeline.verify import Mismatch, verify_point
from tests.sweeps import SMALL, small_config

GB_PER_TOKEN = 2 * 2 / 1024**3
SIZES = [1, 2, 3, 4]


def activations_gb(degree: int) -> float:
    return 1.15 * (max(14 / degree, 2) + 4 / degree) * 2 / 1024**3


def instance(folder: Path, gb_per_s: float, overrides: list[Any] | None = None) -> Instance:
    changes = {
        "pool": [{**kind, "count": 2} for kind in SMALL["pool"]],
        "limits.tp_degrees": [1, 2],
        "network": {"gb_per_s": gb_per_s, "overrides": overrides or []},
    }
    return small_config(folder, changes).instance


def stored(tokens_per_s: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the point and the segments as a table would hold them."""
    fast, slow = 2 / 2 + activations_gb(2), 2 + activations_gb(1)
    stages = [
        {"gpu": "Fast", "tp_degree": 2, "gpu_ids": [0, 1], "start_layer": 1, "end_layer": 2},
        {"gpu": "Slow", "tp_degree": 1, "gpu_ids": [2], "start_layer": 3, "end_layer": 4},
    ]
    figures = [(1080.0, 1.0, fast), (200.0, 0.25, slow)]
    segments = [
        {
            **stage,
            "stage": number,
            "size": 2,
            "throughput_tokens_per_s": rate,
            "cost_usd_per_hour": cost,
            "memory_gb": memory,
            "memory_utilization": memory / 4.5,
            "is_bottleneck": rate <= tokens_per_s,
        }
        for number, (stage, (rate, cost, memory)) in enumerate(zip(stages, figures, strict=True))
    ]
    point: dict[str, Any] = {
        **dict.fromkeys(column.name for column in POINT_COLUMNS),
        "point_id": "p",
        "granularity": "exact",
        "sizes": SIZES,
        "method": "iterative",
        "status": "feasible",
        "throughput_tokens_per_s": tokens_per_s,
        "cost_usd_per_hour": 1.25,
        "cost_usd_per_token": 1.25 / (tokens_per_s * 3600),
        "num_stages": 2,
        "num_gpus": 3,
    }
    return point, segments


def whats(mismatches: list[Mismatch]) -> set[str]:
    return {mismatch.what for mismatch in mismatches}


def test_a_fast_network_leaves_the_slowest_stage_in_charge(tmp_path: Path) -> None:
    assert verify_point(*stored(200.0), instance(tmp_path, 100.0)) == []


def test_a_slow_link_sets_the_throughput(tmp_path: Path) -> None:
    # Slow enough for 150 tokens/s from group to group; the rings of the groups are fast.
    slow = {"gpus": [0, 1], "to": [2], "gb_per_s": 150 * GB_PER_TOKEN}
    network = instance(tmp_path, 100.0, [slow])
    assert verify_point(*stored(150.0), network) == []
    assert "throughput_tokens_per_s" in whats(verify_point(*stored(200.0), network))


def test_the_ring_of_a_group_passes_on_half_of_its_bandwidth_at_tp_2(tmp_path: Path) -> None:
    slow = {"gpus": [0, 1], "gb_per_s": 300 * GB_PER_TOKEN}
    network = instance(tmp_path, 100.0, [slow])
    assert verify_point(*stored(150.0), network) == []
    assert "throughput_tokens_per_s" in whats(verify_point(*stored(200.0), network))


@pytest.mark.parametrize("tokens_per_s", [150.0, 200.0])
def test_groups_without_a_link_cannot_follow_each_other(
    tmp_path: Path, tokens_per_s: float
) -> None:
    apart = {"gpus": [0, 1], "to": [2], "gb_per_s": 0}
    found = verify_point(*stored(tokens_per_s), instance(tmp_path, 100.0, [apart]))
    assert "throughput_tokens_per_s" in whats(found)


def test_a_link_that_the_filter_drops_is_none(tmp_path: Path) -> None:
    found = verify_point(*stored(200.0), instance(tmp_path, 100.0), lambda _a, _b: False)
    assert "throughput_tokens_per_s" in whats(found)


@pytest.mark.parametrize(
    ("restriction", "what"),
    [
        ("uniform_tp", "tp_degree of all stages"),
        ("single_gpu_type", "gpu of all stages"),
        ("equal_sizes", "sizes of all stages"),
    ],
)
def test_what_all_stages_must_have_in_common_is_checked(
    tmp_path: Path, restriction: str, what: str
) -> None:
    free = instance(tmp_path, 100)
    asked: dict[str, Any] = {restriction: True}
    bound = replace(free, limits=replace(free.limits, **asked))
    point, segments = stored(200.0)
    segments[0] |= {"size": 3, "end_layer": 3}
    segments[1] |= {"size": 1, "start_layer": 4}
    assert what in whats(verify_point(point, segments, bound))
    assert what not in whats(verify_point(point, segments, free))
