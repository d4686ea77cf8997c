"""Weights of a layer, from the shapes of published models."""

from dataclasses import replace

from pipeline.model_shape import ModelShape

# Llama 2 70B: https://huggingface.co/meta-llama/Llama-2-70b-hf, config.json.
LLAMA_70B = ModelShape("llama-2-70b", 80, 8192, 28672, 64, 8, 32000)


def test_a_layer_of_llama_70b_has_its_published_weights() -> None:
    # q and o: 2·8192·64·128 = 134,217,728; k and v: 2·8192·8·128 = 16,777,216;
    # gate, up, down: 3·8192·28672 = 704,643,072. Sum 855,638,016: 80 of them are 68.5e9.
    assert LLAMA_70B.parameters_per_layer == 855_638_016


def test_an_ungated_ffn_has_two_matrices() -> None:
    ungated = replace(LLAMA_70B, gated_ffn=False)
    assert LLAMA_70B.parameters_per_layer - ungated.parameters_per_layer == 8192 * 28672


def test_the_size_of_a_head_may_be_stated() -> None:
    # Twice the size of every head doubles the attention weights: 134,217,728 + 16,777,216 more.
    assert LLAMA_70B.dim_per_head == 128
    wide = replace(LLAMA_70B, head_dim=256)
    assert wide.dim_per_head == 256
    assert wide.parameters_per_layer - LLAMA_70B.parameters_per_layer == 150_994_944


def test_a_layers_memory_follows_from_its_weights_unless_stated() -> None:
    assert LLAMA_70B.layer_gb == 855_638_016 * 2 / 1024**3
    assert replace(LLAMA_70B, bytes_per_weight=1.0).layer_gb == 855_638_016 / 1024**3
    assert replace(LLAMA_70B, layer_weight_gb=3.5).layer_gb == 3.5
