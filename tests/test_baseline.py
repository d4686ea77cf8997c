"""The baseline of the reference instance, worked out by hand."""

from pathlib import Path

import pytest

from pipeline.baseline import TOO_SLOW, BaselineTry, baseline_tries, best_baseline, why_none
from pipeline.config import load_config
from tests.sweeps import REFERENCE, SMALL, small_config

# The flops formula for 40 layers on one V100 (125 TFLOP/s, .55 of it reached), b = 32, s = 4096,
# D = 8192, then 8 GPUs at an efficiency of .7.
TOKENS = 32 * 4096
SECONDS = 40 * (24 * TOKENS * 8192**2 + 4 * TOKENS * 4096 * 8192) / (125e12 * 0.55)
TOKENS_PER_S = TOKENS / SECONDS * 8 * 0.7


def activations_gb(degree: int) -> float:
    return 1.15 * (max(7 * 8192 / degree, 8192) + 2 * 8192 / degree) * TOKENS * 2 / 1024**3


@pytest.fixture(scope="module")
def tries() -> dict[int, BaselineTry]:
    return {tried.tp_degree: tried for tried in baseline_tries(load_config(REFERENCE).instance)}


def test_it_is_the_published_one(tries: dict[int, BaselineTry]) -> None:
    # Published: 5,516 tokens/s, $2.40/h, $0.000000121/token; DESIGN.md section 4.
    assert round(TOKENS_PER_S) == 5516
    best = best_baseline(tuple(tries.values()))
    assert best is tries[8]
    assert best.tokens_per_s == pytest.approx(TOKENS_PER_S, rel=1e-12)
    assert best.usd_per_hour == pytest.approx(8 * 0.3)
    assert best.usd_per_token == pytest.approx(2.4 / (TOKENS_PER_S * 3600), rel=1e-12)
    # $1.2086e-7 is the price at 5,516 tokens/s sharp; the unrounded rate makes it 1.20854e-7.
    assert best.usd_per_token == pytest.approx(1.2086e-7, rel=1e-4)
    assert f"{best.usd_per_token:.9f}" == "0.000000121"


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_it_does_not_fit_fewer_gpus_and_says_how_much_it_needs(
    tries: dict[int, BaselineTry], degree: int
) -> None:
    needed_gb = 40 * 3.5 / degree + activations_gb(degree)
    assert needed_gb > 24
    assert not tries[degree].fits
    assert tries[degree].reason == f"needs {needed_gb:.1f} GB on each GPU, a V100 has 24 GB"


def test_it_needs_as_many_gpus_as_its_degree(tmp_path: Path) -> None:
    loaded = small_config(tmp_path, {"limits.tp_degrees": [1, 2]})
    reasons = [tried.reason for tried in baseline_tries(loaded.instance)]
    assert reasons == ["", "needs 2 GPUs, the pool has 1"]


def test_a_degree_that_was_asked_for_is_the_only_one_tried(tmp_path: Path) -> None:
    loaded = small_config(tmp_path, {"baseline": {"gpu": "Fast", "tp": 1}})
    assert [(t.gpu, t.tp_degree) for t in baseline_tries(loaded.instance)] == [("Fast", 1)]


def test_a_pool_without_v100_has_no_baseline_unless_one_is_named(tmp_path: Path) -> None:
    loaded = small_config(tmp_path, {"baseline": None})
    assert baseline_tries(loaded.instance) == ()
    assert best_baseline(()) is None


def test_without_a_baseline_the_reason_is_told(tmp_path: Path) -> None:
    """4 layers of 1 GB do not fit a GPU of 2 GB, and there are no two."""
    assert why_none(()).startswith("No baseline was asked for")
    changes = {"pool": [{**SMALL["pool"][1], "memory_gb": 2.0}], "limits.tp_degrees": [1, 2]}
    tries = baseline_tries(small_config(tmp_path, changes).instance)
    assert "Slow cannot run the whole model" in why_none(tries)
    assert why_none(tries).endswith(
        "TP 1: needs 4.0 GB on each GPU, a Slow has 2 GB; TP 2: needs 2 GPUs, the pool has 1."
    )


def test_without_a_baseline_the_field_that_asks_for_one_is_told(tmp_path: Path) -> None:
    loaded = small_config(tmp_path, {"baseline": {"gpu": "Fast"}})
    assert "baseline: {gpu: NAME}" in why_none(())
    assert baseline_tries(loaded.instance)


def test_a_stage_that_fits_but_is_too_slow_is_not_told_to_lack_memory() -> None:
    # Llama-3.1-8B: 16 GB of weights in 24 GB; a step of 1 ms would need 16 TB/s.
    loaded = load_config(
        Path("configs/llama-3.1-8b-workstation.yaml"), [("limits.max_tpot_s", 0.001)]
    )
    reasons = {tried.reason for tried in baseline_tries(loaded.instance)}
    assert reasons == {TOO_SLOW}


def test_a_baseline_that_does_not_split_the_heads_says_so() -> None:
    heads = [(f"model.num_{kind}_heads", 3) for kind in ("attention", "key_value")]
    config = Path("configs/llama-3.1-8b-workstation.yaml")
    loaded = load_config(config, [*heads, ("model.head_dim", 128)])
    reasons = {tried.tp_degree: tried.reason for tried in baseline_tries(loaded.instance)}
    assert reasons[2] == "3 attention heads cannot be split over TP 2"
    assert not reasons[1]
