"""The published formulas, term by term, and the published baseline."""

import numpy as np
import pytest

from pipeline.instance import GpuFigures, GpuType, Workload
from pipeline.model_shape import ModelShape
from pipeline.performance import performance_model
from pipeline.performance.flops import GPU_FIGURES, TP_EFFICIENCY, FlopsModel
from tests.builders import reference_instance, small_instance

V100 = GpuType("V100", 12, 24.0, 0.3)
REFERENCE = performance_model(reference_instance())
LAYERS = np.array([1.0, 40.0])


def unit_model(tflops: float, gb_per_s: float, efficiency: float = 1.0) -> FlopsModel:
    """Return a model with b = 2, s = 3, D = 10, B = 2, w = 1 and one GPU, named X."""
    shape = ModelShape("unit", 4, 10, 20, 1, 1, 50, layer_weight_gb=1.0)
    figures = {"X": GpuFigures(tflops, gb_per_s, efficiency)}
    return FlopsModel(shape, Workload(sequence_length=3, batch_size=2), figures)


X = GpuType("X", 16, 24.0, 1.0)


def test_arithmetic_sets_the_time_where_bandwidth_abounds() -> None:
    # k·(24·b·s·D² + 4·b·s²·D) = 5·(24·2·3·100 + 4·2·9·10) = 5·(14,400 + 720) = 75,600 FLOP
    # over 1e12·0.5 FLOP/s.
    seconds = unit_model(1.0, 1e9, efficiency=0.5).stage_seconds(X, np.array([5.0]))
    assert seconds == pytest.approx([75_600 / 0.5e12])


def test_memory_traffic_sets_the_time_where_arithmetic_abounds() -> None:
    # k·12·D²·B + b·s·D·B = 5·12·100·2 + 2·3·10·2 = 12,120 bytes over 1e9 bytes/s.
    seconds = unit_model(1e9, 1.0).stage_seconds(X, np.array([5.0]))
    assert seconds == pytest.approx([12_120 / 1e9])


@pytest.mark.parametrize(
    ("degree", "speed_up"), [(1, 1.0), (2, 1.8), (4, 3.2), (8, 5.6), (16, 11.2)]
)
def test_a_group_is_as_fast_as_its_gpus_times_their_efficiency(
    degree: int, speed_up: float
) -> None:
    # d·η(d) with η = 1, .9, .8, .7, .7 (DESIGN.md §4).
    model = unit_model(1.0, 1e9)
    single = 6 / model.stage_seconds(X, LAYERS)
    assert model.stage_tokens_per_s(X, degree, LAYERS) == pytest.approx(single * speed_up)


def test_the_v100_baseline_is_reproduced() -> None:
    # DESIGN.md §4: all 40 layers at TP 8 give 5,516 tok/s and $0.000000121/token at $2.40/h.
    [rate] = REFERENCE.stage_tokens_per_s(V100, 8, np.array([40.0]))
    assert round(rate) == 5_516
    assert round(8 * V100.usd_per_hour / (rate * 3600), 9) == 0.000000121


def test_memory_is_weights_and_activations() -> None:
    # 40·3.5/8 = 17.5 GB and A(8) = 1.15·(8192 + 2·1024)·131072·2 / 1024³ = 2.875 GB.
    [used] = REFERENCE.stage_memory_gb(V100, 8, np.array([40.0]))
    assert used == pytest.approx(17.5 + 2.875)


@pytest.mark.parametrize(
    ("degree", "gb"),
    # 1.15·(max(7/d, 1) + 2/d)·8192·131072·2 / 1024³, where 8192·131072·2 / 1024³ = 2.
    [(1, 2.3 * 9), (2, 2.3 * 4.5), (4, 2.3 * 2.25), (8, 2.3 * 1.25), (16, 2.3 * 1.125)],
)
def test_activations_shrink_with_the_degree_down_to_one_hidden_state(
    degree: int, gb: float
) -> None:
    [activations] = REFERENCE.stage_memory_gb(V100, degree, np.array([0.0]))
    assert activations == pytest.approx(gb)


def test_a_hop_carries_its_bandwidth_over_the_bytes_of_a_token() -> None:
    # A token is D·B = 16,384 bytes = 2⁻¹⁶ GB, so 600 GB/s are 600·65,536 tok/s.
    found = REFERENCE.link_tokens_per_s(np.array([0.0, 600.0]))
    assert found == pytest.approx([0.0, 39_321_600.0])


def test_the_catalogue_holds_the_published_figures() -> None:
    # Source: DESIGN.md §4 (tflops, GB/s, efficiency).
    assert {name: (f.tflops, f.gb_per_s, f.efficiency) for name, f in GPU_FIGURES.items()} == {
        "H100": (989, 3350, 0.65),
        "A100": (312, 2039, 0.60),
        "L40S": (362, 864, 0.55),
        "A40": (150, 696, 0.55),
        "L40": (181, 864, 0.50),
        "V100": (125, 900, 0.55),
        "RTX4090": (165, 1008, 0.50),
        "L20": (119, 480, 0.50),
        "A10": (125, 600, 0.45),
        "T4": (65, 320, 0.40),
    }
    assert TP_EFFICIENCY == {1: 1.0, 2: 0.9, 4: 0.8, 8: 0.7, 16: 0.7}


def test_figures_of_an_instance_replace_those_of_the_catalogue() -> None:
    slow = GpuFigures(tflops=1e-3, gb_per_s=1e9, efficiency=1.0)
    kind = GpuType("A100", 1, 4.0, 1.0)
    own = performance_model(small_instance(kind, figures={"A100": slow}))
    # b·s = 2·16, D = 64: 24·32·64² + 4·2·16²·64 = 3,276,800 FLOP at 1e9 FLOP/s.
    found = own.stage_tokens_per_s(kind, 1, np.array([1.0]))
    assert found == pytest.approx([32 / (3_276_800 / 1e9)])


def test_a_gpu_without_figures_is_an_error() -> None:
    with pytest.raises(KeyError, match="X9000"):
        REFERENCE.stage_tokens_per_s(GpuType("X9000", 1, 24.0, 1.0), 1, LAYERS)
