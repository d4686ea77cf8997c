"""Bytes of a weight, from what a `config.json` says of its type."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.weight_bytes import UnknownWeightTypeError, bytes_per_weight

QUANTIZED = [
    ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 1.0),
    ({"quant_method": "mxfp4"}, 0.53125),  # 4 bits, and 8 for each 32 weights
    ({"quant_method": "gptq", "bits": 4, "group_size": 128}, 0.5 + 2 / 128),
    ({"quant_method": "gptq", "bits": 8, "group_size": -1}, 1.0),
    ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}, 0.5 + 2 / 128),
    ({"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False}, 0.5 + 2 / 64),
    ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 1.0),
    ({"quant_method": "modelopt", "quant_algo": "FP8"}, 1.0),
    ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 0.5 + 1 / 16),
    (
        {
            "quant_method": "compressed-tensors",
            "config_groups": {"group_0": {"weights": {"num_bits": 8, "group_size": None}}},
        },
        1.0,
    ),
    (
        {
            "quant_method": "compressed-tensors",
            "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 128}}},
        },
        0.5 + 2 / 128,
    ),
]


@pytest.mark.parametrize("group", [5, "x", {"weights": "x"}, {"weights": [4]}, {}])
def test_groups_of_weights_that_say_nothing_are_a_fault(group: object) -> None:
    odd = {"quant_method": "compressed-tensors", "config_groups": {"g": group}}
    with pytest.raises(UnknownWeightTypeError, match="must be from 1 to 16, as 4 or 8") as caught:
        bytes_per_weight({"quantization_config": odd})
    assert caught.value.field == "quantization_config.config_groups.g.weights.num_bits"


@pytest.mark.parametrize(("quantization", "size"), QUANTIZED)
def test_a_quantized_weight_takes_its_bits_and_its_share_of_a_scale(
    quantization: dict[str, Any], size: float
) -> None:
    stated = {"torch_dtype": "bfloat16", "quantization_config": quantization}
    assert bytes_per_weight(stated) == pytest.approx(size)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"dtype": "int3"}, "dtype"),
        ({"torch_dtype": 16}, "torch_dtype"),
        ({"quantization_config": {"quant_method": "magic"}}, "quantization_config.quant_method"),
        ({"quantization_config": {}}, "quantization_config.quant_method"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config.bits"),
        ({"quantization_config": "fp8"}, "quantization_config"),
        ({"quantization_config": []}, "quantization_config"),
        (
            {"quantization_config": {"quant_method": "bitsandbytes"}},
            "quantization_config.load_in_8bit",
        ),
        (
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": False}},
            "quantization_config.load_in_8bit",
        ),
        ({"compression_config": {"quant_method": "magic"}}, "compression_config.quant_method"),
        (
            {"quantization_config": {"quant_method": "awq", "bits": True}},
            "quantization_config.bits",
        ),
        (
            {"quantization_config": {"quant_method": "modelopt", "quant_algo": "W4A8"}},
            "quantization_config.quant_algo",
        ),
    ],
)
def test_a_weight_of_unknown_size_is_a_fault(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(UnknownWeightTypeError, match=r"^must ") as caught:
        bytes_per_weight(fields)
    assert caught.value.field == field


def test_the_older_name_of_the_section_is_read_too() -> None:
    groups = {"group_0": {"weights": {"num_bits": 8}}}
    older = {"quant_method": "compressed-tensors", "config_groups": groups}
    assert bytes_per_weight({"torch_dtype": "bfloat16", "compression_config": older}) == 1.0
