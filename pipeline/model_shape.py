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

    @property
    def dim_per_head(self) -> int:
        """Size of one attention head: as stated, else D / heads."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def parameters_per_layer(self) -> int:
        """Weights of one decoder layer: `2·D·h·dh + 2·D·kv·dh + (3|2)·D·f`.

        D hidden size, h heads, kv key/value heads, dh size of a head, f FFN size; three FFN
        matrices where the FFN is gated, two where not. Norms and biases are left out.
        """
        heads = self.num_attention_heads + self.num_key_value_heads
        ffn_matrices = 3 if self.gated_ffn else 2
        attention = 2 * self.hidden_size * heads * self.dim_per_head
        return attention + ffn_matrices * self.hidden_size * self.intermediate_size

    @property
    def layer_gb(self) -> float:
        """Weight memory of one layer, GB: as stated, else from the shape."""
        if self.layer_weight_gb is not None:
            return self.layer_weight_gb
        return self.parameters_per_layer * self.bytes_per_weight / 1024.0**3
