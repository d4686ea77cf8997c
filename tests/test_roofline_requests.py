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
    table = table_of(request_overhead_s=2.0)
    assert throughput(given, table) == pytest.approx(8000 / (step_s + 2.0), rel=1e-6)


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


# 8 experts of width 500, 2 a token, beside attention 4e6 and a router of 8e3 weights.
MIXTURE = replace(SHAPE, num_experts=8, experts_per_token=2, moe_intermediate_size=500)
EXPERT = 1.5e6
# Latent attention: 60 elements of cache, 2·10·(40 + 20 + 40) FLOPs a pair of a prompt and
# 2·10·(2·40 + 20) a decoded one.
LATENT = replace(
    SHAPE,
    kv_lora_rank=40,
    q_lora_rank=50,
    qk_nope_head_dim=40,
    qk_rope_head_dim=20,
    v_head_dim=40,
)
# 50·(1000 + 600), 1000·60, 40·10·80, 10·40·1000
LATENT_WEIGHTS = 8e4 + 6e4 + 3.2e4 + 4e5 + 6e6


def load_of(prefill: float, prompt: float, sequences: float, context: float) -> StepLoad:
    return StepLoad(*(np.array([float(value)]) for value in (prefill, prompt, sequences, context)))


def test_hops_between_stages_carry_every_token_of_a_step(shape: ModelShape) -> None:
    # two hops of 20 µs and 2 bytes · (30 + 4 tokens) · 1000 over half of 450e9 B/s
    load, table = load_of(30, 10, 4, 100), table_of(hop_latency_s=20e-6, link_efficiency=0.5)
    added = one(load, case(shape, pp=3), table) - one(load, case(shape), table)
    assert added == pytest.approx(2 * (20e-6 + 2 * 34 * 1000 / 225e9))


def test_every_expert_is_resident_whatever_a_token_takes() -> None:
    cases, _ = arrays(case(MIXTURE, tp=2, pp=5))
    layer = 4e6 + 8e3 + 8 * EXPERT
    # 2 of 10 layers on one of two GPUs; embedding and head, 2 bytes each, over all ten GPUs
    assert resident_weight_bytes(cases)[0] == pytest.approx(2 * layer * 2 / 2 + 2 * 2 * HEAD / 10)
    profile, _ = arrays(case(MIXTURE, layers=1))
    assert resident_weight_bytes(profile)[0] == pytest.approx(layer * 2)


def test_a_prompt_computes_with_the_experts_that_each_token_takes() -> None:
    # 8000 tokens of 2000: compute-bound; 2 of 8 experts, attention as in the dense prefill
    matrices = 2 * (4e6 + 8e3 + 2 * EXPERT) * 8000
    attention = 4 * 2000**2 / 2 * 4 * 1000
    expected = 10 * (matrices + attention) / FLOPS + 2 * HEAD / BANDWIDTH
    load = load_of(8000, 2000, 0, 0)
    assert one(load, case(MIXTURE)) == pytest.approx(expected, rel=1e-6)


def test_latent_attention_reads_its_whole_cache_on_every_gpu() -> None:
    load = load_of(0, 1, 1, 1e6)
    read = 10 * (LATENT_WEIGHTS * 2 / 2 + 1e6 * 60 * 2) + 2 * HEAD / 2
    reduced = 10 * 2 * 2000 / 450e9
    assert one(load, case(LATENT, tp=2)) == pytest.approx(read / BANDWIDTH + reduced, rel=1e-6)


def test_latent_attention_decodes_on_the_latent_vectors() -> None:
    # an efficiency of 1 % makes the FLOPs of 1e6 cached tokens decide; 10 heads take a tile of 64
    load = load_of(0, 1, 1, 1e6)
    table = table_of(latent_attention_efficiency=0.01, decode_attention_efficiency=0.5)
    attention = 1e6 * 2 * 64 * (2 * 40 + 20) / (0.01 * FLOPS)
    expected = 10 * (LATENT_WEIGHTS * 2 / BANDWIDTH + attention) + 2 * HEAD / BANDWIDTH
    assert one(load, case(LATENT), table) == pytest.approx(expected, rel=1e-6)


def test_experts_have_a_corner_of_their_own() -> None:
    # Four tokens are bound by reading; with p = 1 what their two experts compute comes on top of
    # it, while the products that every token takes keep the sharp corner.
    load = load_of(0, 1, 4, 0)
    sharp, blunt = (one(load, case(MIXTURE), table_of(expert_sharpness=p)) for p in (200.0, 1.0))
    assert blunt - sharp == pytest.approx(10 * 4 * 2 * 2 * EXPERT / FLOPS, rel=1e-4)


def test_prompts_attend_at_an_efficiency_of_their_own(shape: ModelShape) -> None:
    load = load_of(8000, 2000, 0, 0)
    windowed = replace(shape, sliding_window=500, sliding_window_share=0.25)
    # pairs of a prompt: 2000²/2 = 2e6 in full, 500·(2000 − 250) = 8.75e5 within the window
    pairs = 4 * (0.75 * 2e6 + 0.25 * 8.75e5)
    expected = 10 * (2 * WEIGHTS * 8000 + pairs * 4000 / 0.5) / FLOPS + 2 * HEAD / BANDWIDTH
    table = table_of(attention_efficiency=0.5)
    assert one(load, case(windowed), table) == pytest.approx(expected, rel=1e-6)


def test_every_efficiency_slows_its_own_part(shape: ModelShape) -> None:
    load, start = load_of(0, 1, 1, 125), table_of()
    weights_s = (10 * 2 * WEIGHTS + 2 * HEAD) / BANDWIDTH
    cache_s = 10 * 125 * 2000 * 2 / BANDWIDTH
    slow_weights = one(load, case(shape), table_of(bandwidth_efficiency=0.5))
    slow_cache = one(load, case(shape), table_of(kv_bandwidth_efficiency=0.5))
    assert slow_weights == pytest.approx(2 * weights_s + cache_s, rel=1e-6)
    assert slow_cache == pytest.approx(weights_s + 2 * cache_s, rel=1e-6)
    # 8000 tokens compute; half the efficiency doubles the matrices and not the attention
    prompts = load_of(8000, 2000, 0, 0)
    added = one(prompts, case(shape), table_of(compute_efficiency=0.5)) - one(
        prompts, case(shape), start
    )
    assert added == pytest.approx(10 * 2 * WEIGHTS * 8000 / FLOPS, rel=1e-6)


def test_activations_move_between_the_kernels_of_a_layer(shape: ModelShape) -> None:
    # 2 bytes · 7 tokens · (12·1000 + 5·2000/2), at half the bandwidth, on each of two GPUs
    load = load_of(5, 5, 2, 100)
    moving = one(
        load, case(shape, tp=2), table_of(activation_traffic=3.0, bandwidth_efficiency=0.5)
    )
    still = one(load, case(shape, tp=2), table_of(bandwidth_efficiency=0.5))
    expected = 10 * 3 * 2 * 7 * (12000 + 5000) / (0.5 * BANDWIDTH)
    assert moving - still == pytest.approx(expected, rel=1e-6)


def test_a_group_on_a_shared_bus_reduces_more_slowly_as_it_grows(shape: ModelShape) -> None:
    # T4: 16e9 B/s over PCIe; d = 4: 2·3/4·x over 16e9·(2/4)^0.5 at 80 %, x = 2·(5 + 2)·1000
    load = load_of(5, 5, 2, 100)
    plain = {"bus_collapse": 0.5, "link_efficiency": 0.8}
    given = case(shape, gpu="T4", tp=4)
    # six steps of 10 µs, twice a layer
    latency = one(load, given, table_of(**plain, all_reduce_latency=1.0)) - one(
        load, given, table_of(**plain)
    )
    assert latency == pytest.approx(10 * 2 * 6 * 10e-6, rel=1e-6)
    slow = one(load, given, table_of(**plain)) - one(load, given, table_of(link_efficiency=0.8))
    whole = 1.5 * 14000 / (16e9 * 0.8)
    assert slow == pytest.approx(10 * 2 * whole * (2**0.5 - 1), rel=1e-6)


def test_finished_prompts_and_sequences_each_ask_for_a_row_of_logits(shape: ModelShape) -> None:
    # 20 prompt tokens of prompts of 5: four rows, and two sequences
    load, table = load_of(20, 5, 2, 100), table_of(sequence_overhead_s=1.0)
    assert one(load, case(shape), table) - one(load, case(shape)) == pytest.approx(6.0)
    # 4e6 rows compute: 2·5e6 FLOPs each, on each of two GPUs
    many = load_of(0, 1, 4e6, 0)
    half, whole = table_of(compute_efficiency=0.5), case(shape, tp=2)
    head = one(many, whole, half) - 10 * one(many, replace(whole, layers=1), half)
    assert head == pytest.approx(2 * HEAD * 4e6 / (2 * 0.5 * FLOPS), rel=1e-3)


def test_an_engine_that_takes_a_share_of_the_free_memory_leaves_the_rest(shape: ModelShape) -> None:
    table = table_of(reserved_gb=2.0)
    cases, constants = arrays(case(shape, engine="trtllm-1.0", memory_fraction=0.8), table)
    free = 0.8 * (81559 * 1024**2 - 2.2e8 - 2e9)
    assert room_tokens(cases, constants)[0] == pytest.approx(free / (10 * 2000 * 2))


def test_a_stage_of_a_pipeline_caches_its_own_layers_alone(shape: ModelShape) -> None:
    cases, constants = arrays(case(shape, tp=2, pp=5))
    # 2 of 10 layers and half of the heads
    free = 0.9 * 81559 * 1024**2 - (10 * 2e7 + 2e7) / 10
    assert room_tokens(cases, constants)[0] == pytest.approx(free / (2 * 1000 * 2), rel=1e-6)


def test_a_static_batch_that_does_not_fit_runs_in_waves(shape: ModelShape) -> None:
    # memory for the weights and for 1500 tokens of 40 kB: 12 requests of 100 + ½·50 at once
    nominal = 80 * (2.2e8 + 1500 * 4e4) / 0.9 / (81559 * 1024**2)
    given = case(shape, phase="static", requests=64.0, memory_gb=nominal)
    prefill_s = one(load_of(1200, 100, 0, 0), given)
    step_s = one(load_of(0, 1, 12, 125), given)
    assert throughput(given) == pytest.approx(12 * 150 / (prefill_s + 49 * step_s), rel=1e-5)


def test_requests_fewer_than_stages_leave_stages_idle(shape: ModelShape) -> None:
    # 2 requests on 5 stages: two micro-batches of one; a lone one is never slowed by others
    table = table_of(pipeline_inefficiency=1.25)
    for requests, slowed in ((2.0, 1.25), (1.0, 1.0)):
        given = case(shape, phase="offline", requests=requests, pp=5)
        step_s = one(load_of(0, 1, 1, 125), given)
        prefill_s = one(load_of(100, 100, 0, 0), given)
        expected = requests * 150 / (50 * step_s + prefill_s) / slowed
        assert throughput(given, table) == pytest.approx(expected, rel=1e-6)


def test_prompts_prefill_in_batches_no_larger_than_the_requests_there_are(
    shape: ModelShape,
) -> None:
    given = case(shape, phase="offline", requests=3.0)
    for most, batch in ((2.0, 2.0), (8.0, 3.0)):
        step_s = one(load_of(0, 1, 3, 125), given)
        prefill_s = one(load_of(batch * 100, 100, 0, 0), given)
        expected = 150 / (50 * step_s / 3 + prefill_s / batch)
        assert throughput(given, table_of(prefill_batch=most)) == pytest.approx(expected, rel=1e-6)


def test_partial_overlap_weighs_both_ways_of_prefilling(shape: ModelShape) -> None:
    given = case(shape, phase="offline", requests=8.0)
    apart, together = (150 / throughput(given, table_of(overlap=o)) for o in (1e-12, 1 - 1e-12))
    found = throughput(given, table_of(overlap=0.25))
    assert found == pytest.approx(150 / (0.25 * together + 0.75 * apart), rel=1e-6)


def test_layer_profiles_have_neither_request_overhead_nor_other_requests(
    shape: ModelShape,
) -> None:
    table = table_of(request_overhead_s=1.0, prefill_intrusion=0.5)
    given = case(shape, phase="prefill", requests=4.0, layers=1)
    step_s = one(load_of(400, 100, 0, 0), given)
    assert throughput(given, table) == pytest.approx(400 / step_s, rel=1e-6)
    step_s = one(load_of(0, 1, 4, 125), case(shape, layers=1))
    assert throughput(case(shape, requests=4.0, layers=1), table) == pytest.approx(4 / step_s)


def test_requests_without_output_count_their_prompts_alone(shape: ModelShape) -> None:
    # at most one step is counted for nothing generated; a static batch has none beyond prefill
    static = case(shape, phase="static", requests=4.0, output_len=0.0)
    prefill_s = one(load_of(400, 100, 0, 0), static)
    assert throughput(static) == pytest.approx(400 / prefill_s, rel=1e-6)
    offline = case(shape, phase="offline", requests=4.0, output_len=0.0)
    step_s = one(load_of(0, 1, 4, 100.5), offline)
    expected = 100 / (step_s / 4 + one(load_of(100, 100, 0, 0), offline))
    assert throughput(offline) == pytest.approx(expected, rel=1e-3)


def test_a_link_of_ones_own_takes_the_place_of_the_catalogues(shape: ModelShape) -> None:
    load = load_of(0, 1, 1, 125)
    slow = one(load, case(shape, tp=2, link_gb_per_s=45.0)) - one(load, case(shape, tp=2))
    assert slow == pytest.approx(10 * 2 * (2000 / 45e9 - 2000 / 450e9), rel=1e-6)
