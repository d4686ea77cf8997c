"""The decoder's shape: what a model's config says, as one frozen record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelShape:
    """Shape of a decoder-only transformer, in the terms of Hugging Face's `config.json`."""

    name: str
    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    bytes_per_weight: float = 2.0
    head_dim: int | None = None
    gated_ffn: bool = True
    layer_weight_gb: float | None = None
