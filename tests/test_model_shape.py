"""Shapes from configs, and the weights and cache elements that follow."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.model_shape import (
    ModelShape,
    active_ffn_width,
    active_layer_parameters,
    attention_parameters,
    decode_flops_per_pair,
    expert_parameters,
    ffn_parameters,
    kv_elements_per_token,
    layer_parameters,
    prefill_flops_per_pair,
    total_parameters,
)

DENSE = ModelShape("dense", 4, 64, 256, 8, 2, 1000)


def test_grouped_query_attention_shares_key_and_value_heads() -> None:
    # dh = 64/8 = 8; query and output 2·64·8·8 = 8192, key and value 2·64·2·8 = 2048
    assert DENSE.dim_per_head == 8
    assert attention_parameters(DENSE) == 8192 + 2048
    # all heads have their own (MHA): 4·D² = 16384; one for all (MQA): 8192 + 2·64·8 = 9216
    assert attention_parameters(replace(DENSE, num_key_value_heads=8)) == 4 * 64**2
    assert attention_parameters(replace(DENSE, num_key_value_heads=1)) == 8192 + 1024


def test_a_gated_ffn_has_three_matrices_and_a_plain_one_two() -> None:
    assert ffn_parameters(DENSE, 256) == 3 * 64 * 256
    assert ffn_parameters(replace(DENSE, gated_ffn=False), 256) == 2 * 64 * 256


def test_kv_heads_are_replicated_once_there_are_fewer_than_gpus() -> None:
    # 2 tensors · heads · 8 elements
    assert [kv_elements_per_token(DENSE, degree) for degree in (1, 2, 4)] == [32, 16, 16]


def test_total_parameters_counts_a_tied_table_once() -> None:
    layers = 4 * (10240 + 3 * 64 * 256)
    assert total_parameters(DENSE) == layers + 2 * 64000
    assert total_parameters(replace(DENSE, tie_word_embeddings=True)) == layers + 64000


def test_a_mixture_averages_its_dense_first_layers_over_all_layers() -> None:
    shape = replace(
        DENSE,
        num_experts=8,
        experts_per_token=2,
        shared_experts=1,
        moe_intermediate_size=32,
        first_dense_layers=1,
    )
    expert = 3 * 64 * 32  # 6144
    moe = expert * (8 + 1) + 64 * 8  # routed, shared, router
    dense = 3 * 64 * 256
    assert expert_parameters(shape) == 0.75 * expert
    assert 4 * layer_parameters(shape) == 4 * 10240 + 3 * moe + dense
    active = expert * (2 + 1) + 64 * 8
    assert 4 * active_layer_parameters(shape) == 4 * 10240 + 3 * active + dense
    assert active_ffn_width(shape) == 0.25 * 256 + 0.75 * 3 * 32


def test_latent_attention_caches_the_rank_and_the_rope_part_on_every_gpu() -> None:
    shape = replace(
        DENSE,
        kv_lora_rank=16,
        q_lora_rank=24,
        qk_nope_head_dim=8,
        qk_rope_head_dim=4,
        v_head_dim=8,
    )
    assert kv_elements_per_token(shape, 1) == kv_elements_per_token(shape, 8) == 20
    # query 24·(64 + 8·12) = 3840, down 64·20 = 1280, up 16·8·16 = 2048, out 8·8·64 = 4096
    assert attention_parameters(shape) == 3840 + 1280 + 2048 + 4096
    assert prefill_flops_per_pair(shape) == 2 * 8 * (8 + 4 + 8)
    # 8 heads take a tile of 64 rows on every GPU; 256 of them fill four on one, one on each of 4
    assert decode_flops_per_pair(shape) == 2 * 64 * (2 * 16 + 4)
    assert decode_flops_per_pair(shape, 2) == 2 * 2 * 64 * (2 * 16 + 4)
    many = replace(shape, num_attention_heads=256)
    assert decode_flops_per_pair(many) == decode_flops_per_pair(many, 4) == 2 * 256 * 36
    # without a query rank the query is one matrix 64·8·12 = 6144
    assert attention_parameters(replace(shape, q_lora_rank=0)) == 6144 + 1280 + 2048 + 4096


@given(degree=st.sampled_from([1, 2, 4, 8, 16]), kv=st.sampled_from([1, 2, 4, 8]))
def test_a_group_holds_at_least_the_whole_cache(degree: int, kv: int) -> None:
    shape = replace(DENSE, num_key_value_heads=kv)
    assert degree * kv_elements_per_token(shape, degree) >= kv_elements_per_token(shape)
