"""Stages for the optimiser, and their composition into pipelines."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.catalogue import find_model, gpu_names
from pipeline.model_shape import ModelShape
from pipeline.roofline import Workload, case_arrays, resolve, tokens_per_s
from pipeline.roofline.cases import Case
from pipeline.roofline.constant_files import shipped_table
from pipeline.roofline.pipelines import (
    drawn_table,
    fill_seconds,
    pipeline_figures,
    request_overhead,
    round_inefficiency,
    round_seconds,
    throughput_range,
)
from pipeline.roofline.requests import step_seconds
from pipeline.roofline.stages import stage_figures, stage_hop_seconds
from pipeline.roofline.step import StepLoad
from tests.roofline_helpers import SHAPE, table_of

MIXED = Workload("mixed", 100.0, 50.0)
NONE = np.zeros(0)


@pytest.fixture
def shape() -> ModelShape:
    return SHAPE


def test_a_stage_takes_its_layers_and_their_share_of_the_head(shape: ModelShape) -> None:
    # one sequence, context 125: see the decode step of test_roofline_requests
    figures = stage_figures("H100", 1, [1, 5, 10], shape, MIXED, "vllm", table_of(), [1.0])
    whole = (10 * (2e7 + 125 * 4000) + 1e7) / 3350e9
    assert figures.decode_s[0].tolist() == pytest.approx([0.1 * whole, 0.5 * whole, whole])


def test_stages_of_a_cut_add_up_to_the_whole(shape: ModelShape) -> None:
    figures = stage_figures("A100-80G", 2, [3, 7, 10], shape, MIXED, "vllm", table_of(), [1.0, 8.0])
    for times in (figures.prefill_s, figures.decode_s, figures.mixed_s):
        assert times[:, 0] + times[:, 1] == pytest.approx(times[:, 2])


def test_memory_charges_the_larger_of_embedding_and_head(shape: ModelShape) -> None:
    table = table_of(reserved_gb=2.0)
    figures = stage_figures("H100", 2, [5, 10], shape, MIXED, "vllm", table, [1.0])
    # 2e7 bytes a layer, 1e7 for one table, both tables with all layers; over 2 GPUs
    assert figures.weight_gb.tolist() == pytest.approx([0.055, 0.11])
    # per token: 5 or 10 layers · 2·5·100 elements · 2 bytes
    assert figures.kv_gb_per_request.tolist() == pytest.approx([125e4 / 1e9, 250e4 / 1e9])
    room = (0.9 * 81559 * 1024**2 - 0.055e9 - 2e9) / 1e4
    assert figures.kv_room_tokens[0] == pytest.approx(room)
    assert figures.max_requests[0] == pytest.approx(room / 125)


def test_tied_tables_are_charged_once_and_every_expert_is_held(shape: ModelShape) -> None:
    tied = replace(shape, tie_word_embeddings=True)
    figures = stage_figures("H100", 1, [5, 10], tied, MIXED, "vllm", table_of(), [1.0])
    assert figures.weight_gb.tolist() == pytest.approx([0.1 + 0.01, 0.2 + 0.01])
    # 8 experts of 3·1000·500 weights, attention 4e6 and a router of 8e3
    experts = {"num_experts": 8, "experts_per_token": 2, "moe_intermediate_size": 500}
    mixture = replace(shape, **experts)
    figures = stage_figures("H100", 1, [5], mixture, MIXED, "vllm", table_of(), [1.0])
    assert figures.weight_gb[0] == pytest.approx((5 * 2 * (4e6 + 8e3 + 8 * 1.5e6) + 1e7) / 1e9)


def test_a_request_holds_its_prompt_and_a_share_of_its_output(shape: ModelShape) -> None:
    # 100 + 0.8·50 tokens in 10 layers of 2000 elements of 2 bytes
    table = table_of(output_occupancy=0.8)
    figures = stage_figures("H100", 1, [10], shape, MIXED, "vllm", table, [1.0])
    assert figures.kv_gb_per_request[0] == pytest.approx(140 * 10 * 2000 * 2 / 1e9)
    assert figures.max_requests[0] == pytest.approx(figures.kv_room_tokens[0] / 140)
    assert figures.reserved_gb == pytest.approx(0.0, abs=1e-6)
    assert figures.capacity_gb == pytest.approx(81559 * 1024**2 / 1e9)


def test_memory_and_link_of_a_pool_take_the_place_of_the_catalogues(shape: ModelShape) -> None:
    given = ("H100", 2, [10], shape, MIXED, "vllm", table_of(), [1.0])
    whole, half = stage_figures(*given), stage_figures(*given, memory_gb=40.0)
    assert half.capacity_gb == pytest.approx(whole.capacity_gb / 2)
    slow = stage_figures(*given, link_gb_per_s=45.0).decode_s - whole.decode_s
    assert slow[0, 0] == pytest.approx(10 * 2 * (2000 / 45e9 - 2000 / 450e9), rel=1e-6)


def test_types_and_engines_of_a_workload_are_its_own(shape: ModelShape) -> None:
    small = Workload("mixed", 8000.0, 50.0, "fp8", 1.0, 0.5)
    plain = Workload("mixed", 8000.0, 50.0)
    fp8, fp16 = (
        stage_figures("H100", 1, [10], shape, w, "vllm", table_of(), [1.0]) for w in (small, plain)
    )
    # 8000 tokens of 2e7 FLOPs in 10 layers; attention stays in 16 bits
    saved = 10 * 2e7 * 8000 * (1 / 989.4e12 - 1 / 1978.9e12)
    assert fp16.prefill_s[0, 0] - fp8.prefill_s[0, 0] == pytest.approx(saved, rel=1e-6)
    assert fp8.kv_gb_per_request[0] == pytest.approx(fp16.kv_gb_per_request[0] / 2)
    memory = 81559 * 1024**2
    room = (0.5 * memory - 0.22e9) / (10 * 2000)
    assert fp8.kv_room_tokens[0] == pytest.approx(room)


def test_a_mixed_step_batches_no_more_prompts_than_there_are_requests(shape: ModelShape) -> None:
    table = table_of(prefill_batch=4.0)
    figures = stage_figures("H100", 1, [10], shape, MIXED, "vllm", table, [2.0, 4.0, 8.0])
    for row, (requests, batch) in enumerate(((2.0, 0), (4.0, 1), (8.0, 1))):
        # the prompts of 2 or 4 requests together, of which n/50 in batches come with each step
        prompts_s = figures.prefill_s[batch, 0]
        expected = figures.decode_s[row, 0] + requests / 50 / (2.0, 4.0)[batch] * prompts_s
        assert figures.mixed_s[row, 0] == pytest.approx(expected, rel=1e-6)


def test_prompts_that_ride_along_make_one_larger_step(shape: ModelShape) -> None:
    table = table_of(overlap=1 - 1e-12)
    figures = stage_figures("H100", 1, [10], shape, MIXED, "vllm", table, [8.0])
    cases = case_arrays([Case("H100", shape, "online", 8.0, 100.0, 50.0)])
    # 8·100/50 prompt tokens and 8 sequences at a context of 125
    load = StepLoad(*(np.array([value]) for value in (16.0, 100.0, 8.0, 125.0)))
    expected = step_seconds(load, cases, resolve(table, cases.labels))[0]
    assert figures.mixed_s[0, 0] == pytest.approx(expected, rel=1e-6)


def test_overheads_of_requests_and_rounds_are_those_of_engine_and_gpu() -> None:
    table = table_of(request_overhead_s=0.25, pipeline_inefficiency=1.5)
    assert request_overhead("vllm", "H100", table) == pytest.approx(0.25)
    assert round_inefficiency("vllm", "H100", table) == pytest.approx(1.5)


def test_a_stage_whose_weights_do_not_fit_holds_no_request(shape: ModelShape) -> None:
    figures = stage_figures("T4", 1, [10], shape, MIXED, "vllm", table_of(), [1.0], memory_gb=0.1)
    assert figures.max_requests.tolist() == [0.0]


def test_a_step_without_overlap_is_decoding_plus_its_share_of_prompts(shape: ModelShape) -> None:
    figures = stage_figures("H100", 1, [10], shape, MIXED, "vllm", table_of(), [1.0, 8.0])
    prompt_s = figures.prefill_s[0, 0]  # prefill_batch 1: a prompt alone
    expected = figures.decode_s[:, 0] + np.array([1.0, 8.0]) / 50 * prompt_s
    assert figures.mixed_s[:, 0] == pytest.approx(expected, rel=1e-6)


def test_one_stage_gives_the_throughput_of_a_whole_request_prediction(shape: ModelShape) -> None:
    table = table_of(overlap=0.3, prefill_batch=3.0, request_overhead_s=0.01)
    figures = stage_figures("H100", 1, [10], shape, MIXED, "vllm", table, [8.0])
    overhead = request_overhead("vllm", "H100", table)
    composed = pipeline_figures(
        MIXED, 8.0, 1.0, figures.prefill_s[0], figures.mixed_s[0], NONE, NONE, overhead
    )
    cases = case_arrays([Case("H100", shape, "online", 8.0, 100.0, 50.0)])
    expected = tokens_per_s(cases, resolve(table, cases.labels))[0]
    assert composed.tokens_per_s == pytest.approx(expected, rel=1e-6)


def test_filling_a_pipeline_costs_all_stages_once_and_the_slowest_for_the_rest() -> None:
    # stages 1, 3, 2 and hops of ½: 7 + 3·3
    assert fill_seconds(np.array([1.0, 3.0, 2.0]), np.array([0.5, 0.5]), 4.0) == 16.0


def test_a_round_is_a_pass_until_the_slowest_stage_is_full() -> None:
    stages, hops = np.array([1.0, 3.0, 2.0]), np.array([0.5, 0.5])
    assert round_seconds(stages, hops, 2.0) == 7.0
    assert round_seconds(stages, hops, 3.0) == 9.0


def test_pipeline_figures_follow_their_phase() -> None:
    stages, hops = np.array([1.0, 3.0]), np.array([1.0])

    def figures(phase: str) -> tuple[float, float, float]:
        workload = Workload(phase, 100.0, 50.0)
        result = pipeline_figures(workload, 4.0, 2.0, 10 * stages, stages, hops, hops, 5.0)
        return result.tokens_per_s, result.ttft_s, result.tpot_s

    # TTFT 40 + 1 + 5; TPOT max(4 + 1, 2·3) = 6; filling two micro-batches 41 + 30
    assert figures("prefill") == pytest.approx((800 / 71, 46.0, 6.0))
    assert figures("decode") == pytest.approx((8 / 6, 46.0, 6.0))
    assert figures("mixed") == pytest.approx((8 * 150 / (50 * 6 + 5), 46.0, 6.0))


@given(
    stages=st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=6),
    micro_batches=st.integers(1, 12),
)
def test_throughput_never_exceeds_that_of_the_slowest_stage(
    stages: list[float], micro_batches: int
) -> None:
    times, hops = np.array(stages), np.full(len(stages) - 1, 1e-4)
    workload = Workload("decode", 10.0, 10.0)
    result = pipeline_figures(workload, 1.0, float(micro_batches), times, times, hops, hops)
    assert result.tokens_per_s <= 1.0 / max(stages) * (1 + 1e-9)


def test_a_hop_moves_sixteen_bit_activations(shape: ModelShape) -> None:
    table = table_of(hop_latency_s=1e-5)
    seconds = stage_hop_seconds(np.array([3.0]), shape, 10.0, "H100", "vllm", table)
    assert seconds[0] == pytest.approx(1e-5 + 2 * 3 * 1000 / 10e9)


def test_the_range_of_a_prediction_is_wider_where_engine_gpu_or_kind_of_model_is_new(
    shape: ModelShape,
) -> None:
    table = shipped_table()
    h100 = frozenset({"H100"})
    low, high = throughput_range(100.0, shape, h100, "vllm", table)
    wide_low, wide_high = throughput_range(100.0, shape, h100 | {"B200"}, "vllm", table)
    assert wide_low < low < 100.0 < high < wide_high
    assert (low, high) == pytest.approx(tuple(100 * share for share in table.spread.known))
    assert throughput_range(100.0, shape, h100, "tgi", table) == (wide_low, wide_high)
    latent = replace(shape, kv_lora_rank=512)
    assert throughput_range(100.0, latent, h100, "vllm", table) == (wide_low, wide_high)


def test_draws_of_the_constants_are_seeded_and_centred() -> None:
    table = shipped_table()
    assert drawn_table(table, 1) == drawn_table(table, 1)
    drawn = [drawn_table(table, seed).effects[0] for seed in range(200)]
    spread = np.std([effect.mean for effect in drawn])
    assert spread == pytest.approx(table.effects[0].deviation, rel=0.25)
    assert drawn[0].deviation == table.effects[0].deviation


def test_all_options_of_a_large_instance_take_under_a_fifth_of_a_second() -> None:
    shape, table = find_model("Llama-3.1-405B").shape, shipped_table()
    sizes, degrees = np.arange(1, 127), (1, 2, 4, 8, 16)

    def seconds() -> float:
        started = time.process_time()
        count = sum(
            stage_figures(gpu, degree, sizes, shape, MIXED, "vllm", table, [32.0]).mixed_s.size
            for gpu in gpu_names()[:10]
            for degree in degrees
        )
        assert count == 10 * 5 * 126
        return time.process_time() - started

    assert min(seconds() for _ in range(5)) < 0.2
