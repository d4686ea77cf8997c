"""Shapes from the `config.json` of many families, odd keys and all."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.catalogue import find_model
from pipeline.model_config import ModelConfigError, from_hf_config
from pipeline.model_shape import ModelShape, total_parameters
from tests.hf_configs import CATALOGUED, OTHERS

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


def test_a_config_is_read_with_the_names_of_hugging_face() -> None:
    assert from_hf_config(CONFIG, "dense") == replace(DENSE, name="dense")


def test_absent_fields_take_their_usual_meaning() -> None:
    config = {"num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 10}
    shape = from_hf_config({**config, "model_type": "gpt2"}, "tiny")
    assert shape.num_key_value_heads == 2
    assert shape.intermediate_size == 32
    assert not shape.gated_ffn


@pytest.mark.parametrize(("written", "known"), [("GPT2", "gpt2"), (" qwen3 ", "qwen3")])
def test_a_family_in_another_spelling_is_told_how_it_is_written(written: str, known: str) -> None:
    """Read as none that is known, GPT-2 would have a gate and two tables of words."""
    with pytest.raises(ModelConfigError) as caught:
        from_hf_config({**CONFIG, "model_type": written}, "m")
    told = f"m: model_type: must be written {known} (got {written!r})"
    assert caught.value.message() == told


@pytest.mark.parametrize("family", ["qwen4", "gemma5_text", "internlm2", "aquila"])
def test_a_family_that_nothing_is_known_of_is_read_by_its_fields(family: str) -> None:
    assert from_hf_config({**CONFIG, "model_type": family}, "dense") == DENSE


def test_a_multimodal_config_is_read_from_its_text_part() -> None:
    shape = from_hf_config({"model_type": "gemma3", "text_config": CONFIG}, "dense")
    assert shape.hidden_size == 64


@pytest.mark.parametrize(
    ("fields", "share"),
    [
        ({"layer_types": ["sliding_attention", "full_attention"] * 2}, 0.5),
        ({"sliding_window_pattern": 2}, 0.5),
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
    assert str(caught.value).split("\n") == [
        "bad: vocab_size: is required",
        "bad: hidden_size: must be a positive whole number (got -1)",
        "bad: head_dim: must be a positive whole number (got 0.5)",
    ]


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


@pytest.mark.parametrize(
    "flag",
    ["tie_word_embeddings", "use_sliding_window", "multi_query", "new_decoder_architecture"],
)
@pytest.mark.parametrize("value", ["false", 0])
def test_what_is_neither_true_nor_false_is_a_fault_where_one_is_asked(
    flag: str, value: object
) -> None:
    with pytest.raises(ModelConfigError, match=f"bad: {flag}: must be true or false"):
        from_hf_config({**CONFIG, flag: value}, "bad")
    assert from_hf_config({**CONFIG, flag: None}, "dense") == DENSE


def test_a_width_that_is_left_out_follows_from_the_hidden_size_only_where_the_class_says_so() -> (
    None
):
    config = {key: value for key, value in CONFIG.items() if key != "intermediate_size"}
    for family in ("llama", "opt", "gpt_neox", "unheard-of"):
        with pytest.raises(ModelConfigError, match="bad: intermediate_size: is required"):
            from_hf_config({**config, "model_type": family}, "bad")
    for family in ("gpt2", "bloom", "falcon", "mpt"):
        assert from_hf_config({**config, "model_type": family}, "m").intermediate_size == 4 * 64
    falcon = {**config, "model_type": "falcon", "ffn_hidden_size": 200}
    assert from_hf_config(falcon, "m").intermediate_size == 200


def test_a_model_whose_layers_all_have_experts_needs_no_width_beside_theirs() -> None:
    experts = {"num_experts": 4, "num_experts_per_tok": 1, "moe_intermediate_size": 8}
    config = {key: value for key, value in CONFIG.items() if key != "intermediate_size"}
    assert from_hf_config({**config, **experts}, "m").moe_intermediate_size == 8
    for lacking in ({"first_k_dense_replace": 1}, {"moe_intermediate_size": None}):
        with pytest.raises(ModelConfigError, match="bad: intermediate_size: is required"):
            from_hf_config({**config, **experts, **lacking}, "bad")


@pytest.mark.parametrize("name", CATALOGUED)
def test_a_real_config_gives_the_shape_that_the_catalogue_holds(name: str) -> None:
    known = find_model(name).shape
    assert from_hf_config(CATALOGUED[name], name, known.bytes_per_weight) == known


@pytest.mark.parametrize("name", OTHERS)
def test_a_real_config_adds_up_to_the_published_parameter_count(name: str) -> None:
    config, billions = OTHERS[name]
    assert total_parameters(from_hf_config(config, name)) / 1e9 == pytest.approx(billions, rel=5e-3)


def test_layers_without_experts_count_wherever_they_stand() -> None:
    experts = {"num_experts": 4, "num_experts_per_tok": 1, "moe_intermediate_size": 8}
    dense: list[tuple[dict[str, Any], int]] = [
        ({}, 0),
        ({"first_k_dense_replace": 1}, 1),
        ({"decoder_sparse_step": 2}, 2),  # layers 0 and 2 of 4
        ({"mlp_only_layers": [3]}, 1),
        ({"decoder_sparse_step": 2, "mlp_only_layers": [0, 1]}, 3),
        ({"decoder_sparse_step": 0, "mlp_only_layers": None}, 0),
    ]
    for fields, count in dense:
        shape = from_hf_config({**CONFIG, **experts, **fields}, "mixed")
        assert shape.first_dense_layers == count


def test_a_wide_shared_expert_counts_as_several() -> None:
    experts = {"num_experts": 4, "num_experts_per_tok": 1, "moe_intermediate_size": 8}
    for width, count in ((0, 0), (8, 1), (24, 3), (25, 4)):
        fields = {**experts, "shared_expert_intermediate_size": width}
        assert from_hf_config({**CONFIG, **fields}, "shared").shared_experts == count


@pytest.mark.parametrize(
    ("fields", "share"),
    [
        # the first 3 of 4 layers look at everything, where windows are in use at all
        ({"model_type": "qwen2", "use_sliding_window": True, "max_window_layers": 3}, 0.25),
        ({"model_type": "qwen2", "max_window_layers": 3}, 0.0),
        ({"model_type": "gemma2"}, 0.5),
        # every sixth layer of 62 looks at everything, and those after the sixtieth do not
        ({"model_type": "gemma3_text", "num_hidden_layers": 62}, 52 / 62),
        ({"model_type": "gemma3_text", "sliding_window_pattern": None}, 1.0),
        ({"model_type": "gpt_oss", "num_hidden_layers": 5}, 3 / 5),
        ({"model_type": "mistral"}, 1.0),
        ({"sliding_window_pattern": "LLLG"}, 0.75),
        ({"sliding_window_pattern": "LLLG", "num_hidden_layers": 6}, 5 / 6),
        ({"sliding_window_pattern": 1}, 0.0),
        # where the class has a number for the layers that come first
        ({"model_type": "qwen2", "use_sliding_window": True, "num_hidden_layers": 32}, 4 / 32),
        ({"model_type": "qwen2_5_vl"}, 0.0),
        ({"model_type": "smollm3"}, 0.0),
        ({"layer_types": ["full_attention"] * 4}, 0.0),
    ],
)
def test_families_place_their_windows_as_their_classes_do(
    fields: dict[str, Any], share: float
) -> None:
    shape = from_hf_config({**CONFIG, "sliding_window": 128, **fields}, "windowed")
    assert shape.sliding_window_share == pytest.approx(share)


@pytest.mark.parametrize(
    ("fields", "kv_heads"),
    [
        # one for all where the class says multi_query, as it does where a file leaves it out
        ({"model_type": "falcon", "multi_query": True}, 1),
        ({"model_type": "falcon"}, 1),
        ({"model_type": "falcon", "num_kv_heads": 8}, 1),
        ({"model_type": "falcon", "multi_query": False}, 8),
        ({"model_type": "falcon", "new_decoder_architecture": True, "num_kv_heads": 4}, 4),
        ({"model_type": "falcon", "new_decoder_architecture": True, "n_head_kv": 4}, 4),
        ({"model_type": "falcon", "new_decoder_architecture": True}, 8),
        ({"model_type": "gpt_bigcode"}, 1),
        ({"model_type": "gpt_bigcode", "multi_query": False}, 8),
        ({"model_type": "llama"}, 8),
        ({"model_type": "mpt", "attn_config": {"kv_n_heads": 2, "model_type": ""}}, 2),
        ({"model_type": "chatglm", "multi_query_group_num": 2}, 2),
    ],
)
def test_families_have_the_key_value_heads_that_their_classes_give_them(
    fields: dict[str, Any], kv_heads: int
) -> None:
    config = {key: value for key, value in CONFIG.items() if key != "num_key_value_heads"}
    assert from_hf_config({**config, **fields}, "f").num_key_value_heads == kv_heads


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"model_type": "mamba2"}, "model_type: has no attention layers (got 'mamba2')"),
        ({"model_type": "rwkv"}, "model_type: has no attention layers (got 'rwkv')"),
        (
            {"model_type": "jamba", "attn_layer_period": 8},
            "model_type: has layers of another kind between those of attention (got 'jamba')",
        ),
        (
            {"model_type": "zamba2"},
            "model_type: has layers of another kind between those of attention (got 'zamba2')",
        ),
        (
            {"model_type": "granitemoehybrid", "layer_types": ["mamba", "mamba", "attention"]},
            "layer_types: must all be of attention (got 'mamba')",
        ),
        ({"layer_types": ["full_attention", 3]}, "layer_types: must all be of attention (got 3)"),
        (
            {"model_type": "nemotron-nas"},
            "model_type: has layers of different shapes (got 'nemotron-nas')",
        ),
        ({"model_type": "bert"}, "model_type: is an encoder; it decodes nothing (got 'bert')"),
        (
            {"model_type": "t5", "is_encoder_decoder": True},
            "model_type: has an encoder beside its decoder (got 't5')",
        ),
        (
            {"is_encoder_decoder": True, "text_config": {"model_type": "of its own"}},
            "is_encoder_decoder: must be false (got True)",
        ),
    ],
)
def test_a_model_that_is_no_decoder_of_attention_layers_is_refused(
    fields: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ModelConfigError) as caught:
        from_hf_config({**CONFIG, **fields}, "other")
    assert str(caught.value) == f"other: {fault}"


def test_layers_of_linear_attention_are_read_as_full_attention() -> None:
    linear = {"model_type": "qwen3_next", "layer_types": ["linear_attention", "full_attention"] * 2}
    assert from_hf_config({**CONFIG, **linear}, "dense") == DENSE
    plain = {"model_type": "granitemoehybrid", "layer_types": ["attention"] * 4}
    assert from_hf_config({**CONFIG, **plain}, "dense") == DENSE


def test_the_two_tables_of_words_are_one_where_the_family_says_so() -> None:
    for family, tied in (("gemma2", True), ("llama", False), ("gpt2", True)):
        assert from_hf_config({**CONFIG, "model_type": family}, "t").tie_word_embeddings is tied
    untied = {**CONFIG, "model_type": "gemma2", "tie_word_embeddings": False}
    assert not from_hf_config(untied, "t").tie_word_embeddings


ODD = st.none() | st.booleans() | st.integers(-2, 9) | st.text(max_size=3) | st.lists(st.integers())


@given(st.dictionaries(st.sampled_from([*CATALOGUED["DeepSeek-V3"], *OTHERS["gpt2"][0]]), ODD))
def test_whatever_a_config_holds_it_is_a_shape_or_faults(changes: dict[str, Any]) -> None:
    for base in (CATALOGUED["DeepSeek-V3"], CATALOGUED["Qwen3-30B-A3B"], OTHERS["gpt2"][0]):
        with contextlib.suppress(ModelConfigError):
            assert total_parameters(from_hf_config({**base, **changes}, "odd")) > 0
