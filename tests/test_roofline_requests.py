"""Steps and whole requests, derived by hand for a model and a GPU of round figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.model_shape import ModelShape
from pipeline.roofline.cases import Case, CaseArrays, case_arrays
from pipeline.roofline.constants import Constants, ConstantTable, resolve
from pipeline.roofline.requests import (
    resident_weight_bytes,
    room_tokens,
    running_requests,
    step_seconds,
    tokens_per_s,
)
from pipeline.roofline.step import StepLoad, decode_load, prefill_load
from tests.roofline_helpers import SHAPE, table_of

# SHAPE: D = 1000, h = kv = 10, dh = 100, f = 2000, L = 10, V = 5000, 2 bytes.
# Weights of a layer: 4·D² + 3·D·f = 4e6 + 6e6 = 1e7; LM head 5e6.
WEIGHTS = 1e7
HEAD = 5e6
# H100: 989.4e12 FLOP/s, 3350e9 B/s; 81559 MiB.
FLOPS = 989.4e12
BANDWIDTH = 3350e9


@pytest.fixture
def shape() -> ModelShape:
    return SHAPE


def arrays(case: Case, table: ConstantTable | None = None) -> tuple[CaseArrays, Constants]:
    cases = case_arrays([case])
    return cases, resolve(table or table_of(), cases.labels)


def case(shape: ModelShape, **changes: object) -> Case:
    start = Case("H100", shape, "decode", 1.0, 100.0, 50.0, engine="vllm")
    return replace(start, **changes)  # type: ignore[arg-type]


def one(load: StepLoad, given: Case, table: ConstantTable | None = None) -> float:
    return float(step_seconds(load, *arrays(given, table))[0])


def test_a_decode_step_reads_weights_cache_and_head(shape: ModelShape) -> None:
    # one sequence of 125 cached tokens is bound by memory everywhere:
    # L·(2·1e7 + 125·2·10·100·2) + 2·5e6 bytes over the bandwidth
    read = 10 * (2 * WEIGHTS + 125 * 2000 * 2) + 2 * HEAD
    load = decode_load(np.array([1.0]), np.array([125.0]))
    assert one(load, case(shape)) == pytest.approx(read / BANDWIDTH, rel=1e-6)


def test_a_long_prefill_is_bound_by_compute(shape: ModelShape) -> None:
    # T = 8000 tokens of 4 prompts of 2000: 2·1e7·T FLOPs a layer for the weights;
    # attention 4 · 2000²/2 pairs · 4·10·100 FLOPs; the head: 4 rows, bound by memory
    matrices = 2 * WEIGHTS * 8000
    attention = 4 * 2000**2 / 2 * 4 * 1000
    head = 2 * HEAD / BANDWIDTH
    load = prefill_load(np.array([8000.0]), np.array([2000.0]))
    expected = 10 * (matrices + attention) / FLOPS + head
    assert one(load, case(shape)) == pytest.approx(expected, rel=1e-6)


def test_tensor_parallelism_divides_the_work_and_adds_two_all_reduces(shape: ModelShape) -> None:
    # d = 2 over NVLink (450e9 B/s, α = 10 us): steps 1 + 1/7, 2·1/2·x/bus with x = 2·1·1000
    table = table_of(all_reduce_latency=1.0)
    reduce_s = (1 + 1 / 7) * 10e-6 + 2000 / 450e9
    read = (10 * (2 * WEIGHTS + 125 * 2000 * 2) + 2 * HEAD) / 2
    load = decode_load(np.array([1.0]), np.array([125.0]))
    expected = read / BANDWIDTH + 10 * 2 * reduce_s
    assert one(load, case(shape, tp=2), table) == pytest.approx(expected, rel=1e-6)


def test_overheads_count_per_layer_step_and_sequence(shape: ModelShape) -> None:
    load = decode_load(np.array([3.0]), np.array([125.0]))
    table = table_of(layer_overhead_s=1.0, step_overhead_s=5.0, sequence_overhead_s=2.0)
    added = one(load, case(shape), table) - one(load, case(shape))
    assert added == pytest.approx(10 * 1.0 + 5.0 + 3 * 2.0)


def test_fewer_layers_than_the_model_leave_out_head_and_host_time(shape: ModelShape) -> None:
    load = decode_load(np.array([1.0]), np.array([125.0]))
    table = table_of(step_overhead_s=5.0)
    expected = (2 * WEIGHTS + 125 * 2000 * 2) / BANDWIDTH
    assert one(load, case(shape, layers=1), table) == pytest.approx(expected, rel=1e-6)


def test_quantised_weights_are_read_in_their_own_size(shape: ModelShape) -> None:
    small = replace(shape, bytes_per_weight=0.5)
    read = 10 * (0.5 * WEIGHTS + 125 * 2000 * 1) + 2 * HEAD
    given = case(small, bytes_per_kv_element=1.0)
    load = decode_load(np.array([1.0]), np.array([125.0]))
    assert one(load, given) == pytest.approx(read / BANDWIDTH, rel=1e-6)


def test_a_mixture_reads_the_experts_that_its_batch_touches(shape: ModelShape) -> None:
    # every layer routes 2 of 8 experts of width 500: 3·1000·500 = 1.5e6 weights each;
    # two tokens touch 8·(1 − 0.75²) = 3.5; router 1000·8
    mixture = replace(shape, num_experts=8, experts_per_token=2, moe_intermediate_size=500)
    weights = 4e6 + 8e3 + 3.5 * 1.5e6
    read = 10 * (2 * weights + 2 * 125 * 2000 * 2) + 2 * HEAD
    load = decode_load(np.array([2.0]), np.array([125.0]))
    assert one(load, case(mixture)) == pytest.approx(read / BANDWIDTH, rel=1e-6)


def test_windowed_layers_read_no_more_cache_than_their_window(shape: ModelShape) -> None:
    windowed = replace(shape, sliding_window=25, sliding_window_share=0.5)
    read = 10 * (2 * WEIGHTS + (0.5 * 125 + 0.5 * 25) * 2000 * 2) + 2 * HEAD
    load = decode_load(np.array([1.0]), np.array([125.0]))
    assert one(load, case(windowed)) == pytest.approx(read / BANDWIDTH, rel=1e-6)


def test_kv_room_is_what_weights_and_runtime_leave(shape: ModelShape) -> None:
    table = table_of(reserved_gb=2.0)
    cases, constants = arrays(case(shape), table)
    # 10 layers of 2e7 bytes, embedding and head of 1e7 each
    assert resident_weight_bytes(cases)[0] == 10 * 2e7 + 2e7
    free = 0.9 * 81559 * 1024**2 - 2.2e8 - 2e9
    assert room_tokens(cases, constants)[0] == pytest.approx(free / (10 * 2000 * 2))


def test_a_smaller_nominal_memory_shrinks_what_the_driver_reports(shape: ModelShape) -> None:
    full, _ = arrays(case(shape))
    half, _ = arrays(case(shape, memory_gb=40.0))
    assert half.hardware.memory_bytes[0] == full.hardware.memory_bytes[0] / 2


def test_no_more_requests_run_than_fit(shape: ModelShape) -> None:
    given = case(shape, phase="online", requests=1e9)
    cases, constants = arrays(given)
    expected = room_tokens(cases, constants)[0] / (100 + 0.5 * 50)
    assert running_requests(cases, constants)[0] == pytest.approx(expected)
    few, constants = arrays(replace(given, requests=7.0))
    assert running_requests(few, constants)[0] == 7.0


def throughput(given: Case, table: ConstantTable | None = None) -> float:
    return float(tokens_per_s(*arrays(given, table))[0])


def test_prefill_counts_prompt_tokens_over_the_time_to_the_first(shape: ModelShape) -> None:
    given = case(shape, phase="prefill", requests=4.0, input_len=2000.0)
    step_s = one(prefill_load(np.array([8000.0]), np.array([2000.0])), given)
    table = table_of(request_overhead_s=1.0)
    assert throughput(given, table) == pytest.approx(8000 / (step_s + 1.0), rel=1e-6)


def test_decode_counts_sequences_over_a_step_at_mean_context(shape: ModelShape) -> None:
    given = case(shape, requests=4.0)
    step_s = one(decode_load(np.array([4.0]), np.array([125.0])), given)
    assert throughput(given) == pytest.approx(4 / step_s, rel=1e-6)


def test_prompts_admitted_beside_decoding_slow_it(shape: ModelShape) -> None:
    given = case(shape, requests=4.0)
    step_s = one(decode_load(np.array([4.0]), np.array([125.0])), given)
    prefill_s = one(prefill_load(np.array([125.0]), np.array([125.0])), given)
    slowed = throughput(given, table_of(prefill_intrusion=0.01))
    assert slowed == pytest.approx(4 / (step_s + 3 * 0.01 * prefill_s), rel=1e-6)


def test_a_static_batch_is_its_prefill_and_its_steps(shape: ModelShape) -> None:
    given = case(shape, phase="static", requests=4.0)
    prefill_s = one(prefill_load(np.array([400.0]), np.array([100.0])), given)
    step_s = one(decode_load(np.array([4.0]), np.array([125.0])), given)
    assert throughput(given) == pytest.approx(600 / (prefill_s + 49 * step_s), rel=1e-6)


def test_a_static_batch_on_two_stages_waits_for_itself_in_part(shape: ModelShape) -> None:
    # two micro-batches of 2; s = ½ makes each pass count 1 + ½
    given = case(shape, phase="static", requests=4.0, pp=2)
    prefill_s = one(prefill_load(np.array([200.0]), np.array([100.0])), given)
    step_s = one(decode_load(np.array([2.0]), np.array([125.0])), given)
    expected = 600 / (1.5 * prefill_s + 49 * 1.5 * step_s)
    table = table_of(static_serialisation=0.5)
    assert throughput(given, table) == pytest.approx(expected, rel=1e-6)


def test_offline_shares_steps_among_all_and_prefills_apart(shape: ModelShape) -> None:
    given = case(shape, phase="offline", requests=1e6)
    step_s = one(decode_load(np.array([8.0]), np.array([125.0])), given)
    prefill_s = one(prefill_load(np.array([100.0]), np.array([100.0])), given)
    expected = 150 / (50 * step_s / 8 + prefill_s)
    assert throughput(given, table_of(max_batch=8.0)) == pytest.approx(expected, rel=1e-6)


def test_with_full_overlap_prompts_ride_in_the_decode_steps(shape: ModelShape) -> None:
    given = case(shape, phase="offline", requests=1e6)
    load = StepLoad(*(np.array([value]) for value in (8 * 100 / 50, 100.0, 8.0, 125.0)))
    table = table_of(max_batch=8.0, overlap=1 - 1e-12)
    assert throughput(given, table) == pytest.approx(150 / (50 * one(load, given) / 8), rel=1e-6)


def test_online_is_littles_law_over_work_and_waiting(shape: ModelShape) -> None:
    given = case(shape, phase="online", requests=8.0)
    step_s = one(decode_load(np.array([8.0]), np.array([125.0])), given)
    prefill_s = one(prefill_load(np.array([100.0]), np.array([100.0])), given)
    life = 50 * step_s + 8 * prefill_s + 0.5
    table = table_of(request_overhead_s=0.5)
    assert throughput(given, table) == pytest.approx(8 * 150 / life, rel=1e-6)


def test_two_stages_work_on_two_micro_batches_at_once(shape: ModelShape) -> None:
    given = case(shape, phase="offline", requests=1e6, pp=2)
    step_s = one(decode_load(np.array([4.0]), np.array([125.0])), given)
    prefill_s = one(prefill_load(np.array([100.0]), np.array([100.0])), given)
    expected = 2 * 150 / (50 * step_s / 4 + prefill_s) / 1.25
    table = table_of(max_batch=8.0, pipeline_inefficiency=1.25)
    assert throughput(given, table) == pytest.approx(expected, rel=1e-6)


def test_phases_may_be_mixed_in_one_call(shape: ModelShape) -> None:
    given = [
        case(shape, phase=phase, requests=4.0)
        for phase in ("online", "decode", "prefill", "static", "offline")
    ]
    cases = case_arrays(given)
    together = tokens_per_s(cases, resolve(table_of(), cases.labels))
    assert together.tolist() == pytest.approx([throughput(entry) for entry in given])
