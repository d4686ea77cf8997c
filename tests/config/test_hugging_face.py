"""Models given by a Hugging Face `config.json`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.catalogue import find_model
from pipeline.config import load_config
from pipeline.errors import InputError
from pipeline.model_shape import total_parameters
from tests.config.builders import faults_of, write_yaml
from tests.hf_configs import CATALOGUED, OTHERS

# Source: https://huggingface.co/meta-llama/Llama-2-70b-hf, config.json.
LLAMA_70B = {
    "_name_or_path": "meta-llama/Llama-2-70b-hf",
    "architectures": ["LlamaForCausalLM"],
    "hidden_act": "silu",
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_attention_heads": 64,
    "num_hidden_layers": 80,
    "num_key_value_heads": 8,
    "torch_dtype": "float16",
    "vocab_size": 32000,
}


def with_hf_config(folder: Path, content: Any) -> Path:
    """Write a config whose model is in hf/config.json, with the content given, None for no file."""

    def change(data: dict[str, Any]) -> None:
        del data["model"]
        data["hf_config"] = "hf/config.json"

    (folder / "hf").mkdir()
    if content is not None:
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / "hf" / "config.json").write_text(text, encoding="utf-8")
    return write_yaml(folder, change)


def test_the_shape_is_read_relative_to_the_config(tmp_path: Path) -> None:
    model = load_config(with_hf_config(tmp_path, LLAMA_70B)).instance.model
    assert model.name == "meta-llama/Llama-2-70b-hf"
    assert (model.num_hidden_layers, model.hidden_size, model.intermediate_size) == (
        80,
        8192,
        28672,
    )
    assert (model.num_attention_heads, model.num_key_value_heads) == (64, 8)
    assert (model.vocab_size, model.bytes_per_weight) == (32000, 2)
    # 855,638,016 weights a layer (see test_model_shape) of two bytes.
    assert model.layer_gb == 855_638_016 * 2 / 1024**3


@pytest.mark.parametrize(
    ("fields", "num_bytes"),
    [
        ({"torch_dtype": "float32"}, 4),
        ({"torch_dtype": "bfloat16"}, 2),
        ({"dtype": "float8_e4m3fn", "torch_dtype": "float32"}, 1),
        ({"torch_dtype": None}, 2),
        ({"dtype": None, "torch_dtype": "float32"}, 4),
    ],
)
def test_bytes_per_weight_follow_from_the_dtype(
    tmp_path: Path, fields: dict[str, Any], num_bytes: int
) -> None:
    model = load_config(with_hf_config(tmp_path, {**LLAMA_70B, **fields})).instance.model
    assert model.bytes_per_weight == num_bytes


def test_without_a_name_the_model_is_called_as_its_folder(tmp_path: Path) -> None:
    content = {**LLAMA_70B, "_name_or_path": ""}
    assert load_config(with_hf_config(tmp_path, content)).instance.model.name == "hf"


def test_without_a_name_a_file_of_its_own_name_gives_it_to_the_model(tmp_path: Path) -> None:
    path = with_hf_config(tmp_path, {**LLAMA_70B, "_name_or_path": None})
    (tmp_path / "hf" / "config.json").rename(tmp_path / "hf" / "llama-2.1.json")
    assignments = [("hf_config", "hf/llama-2.1.json")]
    assert load_config(path, assignments).instance.model.name == "llama-2.1"


def test_a_folder_in_place_of_the_file_is_told_which_file_to_name(tmp_path: Path) -> None:
    path = with_hf_config(tmp_path, LLAMA_70B)
    path.write_text(path.read_text().replace("hf/config.json", "hf"))
    assert faults_of(path) == ["hf: file: is a folder; name the config.json in it"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "file: does not exist; named under hf_config of c.yaml"),
        ("[1]", "file: must hold an object (got [1])"),
        ({**LLAMA_70B, "vocab_size": None}, "vocab_size: is missing"),
        ({**LLAMA_70B, "hidden_size": "8192"}, "hidden_size: must be a whole number (got '8192')"),
        ({**LLAMA_70B, "num_hidden_layers": -1}, "num_hidden_layers: must be at least 1 (got -1)"),
        (
            {**LLAMA_70B, "num_key_value_heads": 7},
            "num_key_value_heads: must divide num_attention_heads 64 (got 7)",
        ),
        ({**LLAMA_70B, "intermediate_size": None}, "intermediate_size: is missing"),
        (
            '{"hidden_size": 1, "hidden_size": 2}',
            "file: key 'hidden_size' stands here twice",
        ),
        (
            {"model_type": "mamba", "d_model": 2560, "n_layer": 64, "vocab_size": 50280},
            "model_type: has no attention layers (got 'mamba')",
        ),
        (
            {**LLAMA_70B, "tie_word_embeddings": "false"},
            "tie_word_embeddings: must be true or false (got 'false')",
        ),
        (
            {
                **LLAMA_70B,
                "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": "false"},
            },
            "quantization_config.load_in_4bit: must be one of true, false (got 'false')",
        ),
        (
            {**LLAMA_70B, "torch_dtype": []},
            "torch_dtype: must be one of float32, float16, bfloat16, float8_e4m3fn, int8 (got [])",
        ),
        (
            {**LLAMA_70B, "dtype": "int3"},
            "dtype: must be one of float32, float16, bfloat16, float8_e4m3fn, int8 (got 'int3')",
        ),
    ],
)
def test_a_fault_of_the_model_is_told_by_its_own_file(
    tmp_path: Path, content: Any, fault: str
) -> None:
    assert faults_of(with_hf_config(tmp_path, content)) == [f"hf/config.json: {fault}"]


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000])
def test_what_is_no_json_is_told(tmp_path: Path, text: str) -> None:
    [fault] = faults_of(with_hf_config(tmp_path, text))
    assert fault.startswith("hf/config.json: file: is not valid JSON: ")


def test_a_model_cannot_be_given_twice(tmp_path: Path) -> None:
    path = write_yaml(tmp_path, lambda data: data.update(hf_config="x.json"))
    assert faults_of(path) == [
        "c.yaml: hf_config: cannot stand beside model; leave one of them out (got 'x.json')"
    ]


def test_single_fields_of_the_model_go_before_those_of_the_file(tmp_path: Path) -> None:
    path = with_hf_config(tmp_path, LLAMA_70B)
    model = load_config(path).instance.model
    changed = load_config(path, [("model.bytes_per_weight", 1)]).instance.model
    assert changed == replace(model, bytes_per_weight=1)
    with pytest.raises(InputError) as told:
        load_config(path, [("model.bytes_per_weight", 9)])
    assert str(told.value) == ("--set: model.bytes_per_weight: must be at most 8.0 (got 9)")


@pytest.mark.parametrize("named", ["nope.json", 5])
def test_a_file_beside_fields_of_the_model_is_told_as_the_file_alone(
    tmp_path: Path, named: Any
) -> None:
    path = with_hf_config(tmp_path, LLAMA_70B)
    with pytest.raises(InputError) as alone:
        load_config(path, [("hf_config", named)])
    with pytest.raises(InputError) as beside:
        load_config(path, [("hf_config", named), ("model.bytes_per_weight", 1)])
    assert str(beside.value) == str(alone.value)


def test_the_name_of_the_file_must_be_text(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        del data["model"]
        data["hf_config"] = 5

    assert faults_of(write_yaml(tmp_path, change)) == [
        "c.yaml: hf_config: must be the name of a file (got 5)"
    ]


def test_a_config_without_any_model_is_a_fault(tmp_path: Path) -> None:
    path = write_yaml(tmp_path, lambda data: data.pop("model"))
    assert faults_of(path) == ["c.yaml: model: is missing"]


def test_experts_and_latent_attention_are_read_too(tmp_path: Path) -> None:
    """Source: DeepSeek-V3 (arXiv 2412.19437), section 4.2."""
    experts = {"n_routed_experts": 256, "num_experts_per_tok": 8, "n_shared_experts": 1}
    latent = {"kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128}
    widths = {"qk_rope_head_dim": 64, "v_head_dim": 128, "moe_intermediate_size": 2048}
    content = {**LLAMA_70B, **experts, **latent, **widths, "first_k_dense_replace": 3}
    model = load_config(with_hf_config(tmp_path, content)).instance.model
    assert (model.num_experts, model.experts_per_token, model.shared_experts) == (256, 8, 1)
    assert (model.kv_lora_rank, model.v_head_dim, model.first_dense_layers) == (512, 128, 3)


def test_experts_without_how_many_are_active_are_a_fault(tmp_path: Path) -> None:
    content = {**LLAMA_70B, "num_local_experts": 8}
    [fault] = faults_of(with_hf_config(tmp_path, content))
    assert fault.endswith("config.json: num_experts_per_tok: is required with experts")


def inside_model(folder: Path, content: Any, **stated: Any) -> Path:
    """Write a config that names the file within its model, beside fields of its own."""
    path = with_hf_config(folder, content)
    data = yaml.safe_load(path.read_text())
    data["model"] = {"hf_config": data.pop("hf_config"), **stated}
    path.write_text(yaml.safe_dump(data))
    return path


def test_fields_beside_the_file_go_before_it(tmp_path: Path) -> None:
    path = inside_model(tmp_path, LLAMA_70B, layer_weight_gb=3.5, name="mine")
    model = load_config(path).instance.model
    assert (model.name, model.layer_weight_gb) == ("mine", 3.5)
    assert model.num_hidden_layers == LLAMA_70B["num_hidden_layers"]


def test_what_the_file_lacks_may_stand_beside_it_and_the_rest_is_read_all_the_same(
    tmp_path: Path,
) -> None:
    content = {**LLAMA_70B, "intermediate_size": None, "tie_word_embeddings": True}
    path = inside_model(tmp_path, content, intermediate_size=28672)
    model = load_config(path).instance.model
    assert (model.intermediate_size, model.tie_word_embeddings) == (28672, True)


def test_what_is_stated_of_experts_goes_before_the_file_too(tmp_path: Path) -> None:
    stated = {"experts_per_token": 2, "first_dense_layers": 4}
    path = inside_model(tmp_path, {**LLAMA_70B, "num_local_experts": 8}, **stated)
    model = load_config(path).instance.model
    assert (model.num_experts, model.experts_per_token, model.first_dense_layers) == (8, 2, 4)
    (tmp_path / "x").mkdir()
    assert faults_of(inside_model(tmp_path / "x", LLAMA_70B, num_experts=8)) == [
        "hf/config.json: num_experts_per_tok: is required with experts"
    ]


def test_a_file_beside_a_model_of_the_catalogue_is_refused(tmp_path: Path) -> None:
    # What the one leaves out would be taken from the other.
    path = inside_model(tmp_path, LLAMA_70B, catalogue="Qwen2.5-14B")
    assert faults_of(path) == [
        "c.yaml: model.hf_config: cannot stand beside catalogue (got 'hf/config.json')"
    ]


def test_faults_beside_the_file_are_told_by_where_they_stand(tmp_path: Path) -> None:
    content = {**LLAMA_70B, "num_attention_heads": 0}
    assert faults_of(inside_model(tmp_path, content, layer_weight_gb=-1)) == [
        "hf/config.json: num_attention_heads: must be at least 1 (got 0)",
        "c.yaml: model.layer_weight_gb: must be greater than 0.0 (got -1)",
    ]
    (tmp_path / "x").mkdir()
    assert faults_of(inside_model(tmp_path / "x", "[1]")) == [
        "hf/config.json: file: must hold an object (got [1])"
    ]


@pytest.mark.parametrize("name", CATALOGUED)
def test_real_configs_give_the_instance_that_the_catalogue_gives(tmp_path: Path, name: str) -> None:
    model = load_config(with_hf_config(tmp_path, CATALOGUED[name])).instance.model
    known = find_model(name).shape
    stored = {"Gemma-2-27B": 4.0}  # published in float32, served in 16 bits
    size = stored.get(name, known.bytes_per_weight)
    assert model == replace(known, name="hf", bytes_per_weight=size)


@pytest.mark.parametrize("name", OTHERS)
def test_real_configs_of_other_models_are_read(tmp_path: Path, name: str) -> None:
    model = load_config(with_hf_config(tmp_path, OTHERS[name][0])).instance.model
    assert total_parameters(model) / 1e9 == pytest.approx(OTHERS[name][1], rel=5e-3)


def test_a_weight_of_unknown_size_is_told_by_its_own_file(tmp_path: Path) -> None:
    content = {**LLAMA_70B, "quantization_config": {"quant_method": "magic"}}
    [fault] = faults_of(with_hf_config(tmp_path, content))
    assert fault.startswith(
        "hf/config.json: quantization_config.quant_method: must be one of fp8, fbgemm_fp8, mxfp4,"
    )


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"hidden_size": None}, "hidden_size: is missing"),
        ({"layer_types": 5, "sliding_window": 8}, "layer_types: must be a list (got 5)"),
        (
            {"sliding_window": 8, "sliding_window_pattern": [6]},
            "sliding_window_pattern: must be a positive whole number, or letters (got [6])",
        ),
        (
            {"num_hidden_layers": 10**9, "num_experts": 8, "num_experts_per_tok": 2},
            "num_hidden_layers: must be at most 10000 (got 1000000000)",
        ),
        (
            {"sliding_window": 8, "sliding_window_pattern": 10**400},
            f"sliding_window_pattern: must be at most 1000000000 (got 1{'0' * 76}...)",
        ),
        (
            {"num_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": []},
            "n_shared_experts: must be a positive whole number (got [])",
        ),
        (
            {"_name_or_path": "a: b: kv_lora_rank", "num_local_experts": -1},
            "num_local_experts: must be a positive whole number (got -1)",
        ),
    ],
)
def test_a_particular_that_is_none_is_told_by_its_field(
    tmp_path: Path, fields: dict[str, Any], fault: str
) -> None:
    assert faults_of(with_hf_config(tmp_path, {**LLAMA_70B, **fields})) == [
        f"hf/config.json: {fault}"
    ]


def test_what_is_stated_goes_before_the_file_that_then_loses_nothing(tmp_path: Path) -> None:
    # The file's own text would be a fault, and with it the experts would be lost.
    experts = {"num_local_experts": 8, "num_experts_per_tok": 2}
    content = {**LLAMA_70B, "model_type": "mixtral", **experts, "num_key_value_heads": "8"}
    model = load_config(inside_model(tmp_path, content, num_key_value_heads=8)).instance.model
    assert (model.num_key_value_heads, model.num_experts) == (8, 8)


def test_bytes_stated_beside_a_file_need_no_known_quantization(tmp_path: Path) -> None:
    content = {**LLAMA_70B, "quantization_config": {"quant_method": "hqq"}}
    model = load_config(inside_model(tmp_path, content, bytes_per_weight=0.5)).instance.model
    assert model.bytes_per_weight == 0.5
