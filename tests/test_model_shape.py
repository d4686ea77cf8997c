"""Shapes from configs, and the weights and cache elements that follow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model_shape import (
    ModelConfigError,
    ModelShape,
    active_ffn_width,
    active_layer_parameters,
    attention_parameters,
    decode_flops_per_pair,
    expert_parameters,
    ffn_parameters,
    from_hf_config,
    kv_elements_per_token,
    layer_parameters,
    prefill_flops_per_pair,
    total_parameters,
)

DENSE = ModelShape("dense", 4, 64, 256, 8, 2, 1000)
CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
}


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
    assert decode_flops_per_pair(shape) == 2 * 8 * (2 * 16 + 4)
    # without a query rank the query is one matrix 64·8·12 = 6144
    assert attention_parameters(replace(shape, q_lora_rank=0)) == 6144 + 1280 + 2048 + 4096


def test_a_config_is_read_with_the_names_of_hugging_face() -> None:
    assert from_hf_config(CONFIG, "dense") == replace(DENSE, name="dense")


def test_absent_fields_take_their_usual_meaning() -> None:
    config = {"num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 10}
    shape = from_hf_config({**config, "model_type": "gpt2"}, "tiny")
    assert shape.num_key_value_heads == 2
    assert shape.intermediate_size == 32
    assert not shape.gated_ffn


def test_a_multimodal_config_is_read_from_its_text_part() -> None:
    shape = from_hf_config({"model_type": "gemma3", "text_config": CONFIG}, "dense")
    assert shape.hidden_size == 64


@pytest.mark.parametrize(
    ("fields", "share"),
    [
        ({"layer_types": ["sliding_attention", "full_attention"] * 2}, 0.5),
        ({"sliding_window_pattern": 6}, 5 / 6),
        ({}, 1.0),
        ({"use_sliding_window": False}, 0.0),
    ],
)
def test_the_share_of_windowed_layers_is_read(fields: dict[str, object], share: float) -> None:
    shape = from_hf_config({**CONFIG, "sliding_window": 128, **fields}, "windowed")
    assert shape.sliding_window_share == pytest.approx(share)
    assert shape.sliding_window == (128 if share else 0)


def test_all_faults_of_a_config_are_listed_at_once() -> None:
    config = {**CONFIG, "hidden_size": -1, "head_dim": 0.5}
    del config["vocab_size"]
    with pytest.raises(ModelConfigError) as caught:
        from_hf_config(config, "bad")
    assert caught.value.faults == (
        "bad: vocab_size: is required (got nothing)",
        "bad: hidden_size: must be a positive whole number (got -1)",
        "bad: head_dim: must be a positive whole number (got 0.5)",
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"hidden_size": 65}, "hidden_size"),
        ({"num_experts": 8}, "num_experts_per_tok"),
        ({"num_experts": 8, "num_experts_per_tok": 9}, "num_experts_per_tok"),
        ({"hidden_size": True}, "hidden_size"),
    ],
)
def test_figures_that_contradict_each_other_are_faults(
    change: dict[str, object], field: str
) -> None:
    with pytest.raises(ModelConfigError, match=f"bad: {field}:"):
        from_hf_config({**CONFIG, **change}, "bad")


@given(degree=st.sampled_from([1, 2, 4, 8, 16]), kv=st.sampled_from([1, 2, 4, 8]))
def test_a_group_holds_at_least_the_whole_cache(degree: int, kv: int) -> None:
    shape = replace(DENSE, num_key_value_heads=kv)
    assert degree * kv_elements_per_token(shape, degree) >= kv_elements_per_token(shape)
