"""The decoder's shape: a model's config as one frozen record, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

TILE_ROWS = 64.0


@dataclass(frozen=True)
class ModelShape:
    """Shape of a decoder-only transformer, in the terms of Hugging Face's `config.json`.

    MHA, GQA and MQA differ in `num_key_value_heads` alone. `num_experts` 0 is a dense model;
    else the layers after `first_dense_layers` hold `num_experts` routed experts of
    `moe_intermediate_size`, `experts_per_token` of them active, beside `shared_experts` that
    always are. `kv_lora_rank` 0 is ordinary attention; else multi-head latent attention (MLA).
    """

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
    num_experts: int = 0
    experts_per_token: int = 0
    shared_experts: int = 0
    moe_intermediate_size: int = 0
    first_dense_layers: int = 0
    kv_lora_rank: int = 0
    q_lora_rank: int = 0
    qk_nope_head_dim: int = 0
    qk_rope_head_dim: int = 0
    v_head_dim: int = 0
    sliding_window: int = 0
    sliding_window_share: float = 0.0
    tie_word_embeddings: bool = False

    @property
    def dim_per_head(self) -> int:
        """Size of one attention head: as stated, else D / heads."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def parameters_per_layer(self) -> int:
        """Weights of the mean decoder layer, all experts included (`layer_parameters`)."""
        return round(layer_parameters(self))

    @property
    def layer_gb(self) -> float:
        """Weight memory of one layer, GB: as stated, else from the shape."""
        if self.layer_weight_gb is not None:
            return self.layer_weight_gb
        return self.parameters_per_layer * self.bytes_per_weight / 1024.0**3


def why_not_split(shape: ModelShape, tp_degree: int) -> str:
    """Say why engines cannot split the attention over a TP degree; empty where they can.

    GPUs hold as many query heads as each other, and as many key/value heads or a copy of one;
    the latent cache of MLA is whole on each. Source: vLLM, which refuses all others at its start.
    """
    heads, kv_heads = shape.num_attention_heads, shape.num_key_value_heads
    if heads % tp_degree:
        return f"{heads} attention heads cannot be split over TP {tp_degree}"
    if not shape.kv_lora_rank and kv_heads % tp_degree and tp_degree % kv_heads:
        return f"{kv_heads} key/value heads cannot be split over TP {tp_degree}"
    return ""


def attention_parameters(shape: ModelShape) -> float:
    """Weights of one layer's attention projections.

    Equation: 2·D·h·dh + 2·D·kv·dh for query, output, key and value. With MLA:
    D·rq + rq·h·(dn+dr) for the query (D·h·(dn+dr) without a query rank), D·(r+dr) down,
    r·h·(dn+dv) up, h·dv·D out, with r, rq the ranks and dn, dr, dv the head widths.
    Source: Llama 2 (arXiv 2307.09288); DeepSeek-V2 (arXiv 2405.04434), section 2.1.
    """
    hidden, heads = shape.hidden_size, shape.num_attention_heads
    if not shape.kv_lora_rank:
        return 2.0 * hidden * (heads + shape.num_key_value_heads) * shape.dim_per_head
    query_width = heads * (shape.qk_nope_head_dim + shape.qk_rope_head_dim)
    rank = shape.q_lora_rank
    query = rank * (hidden + query_width) if rank else hidden * query_width
    down = hidden * (shape.kv_lora_rank + shape.qk_rope_head_dim)
    up = shape.kv_lora_rank * heads * (shape.qk_nope_head_dim + shape.v_head_dim)
    return float(query + down + up + heads * shape.v_head_dim * hidden)


def ffn_parameters(shape: ModelShape, width: int) -> float:
    """Weights of one feed-forward block of the given intermediate width: (3 gated | 2)·D·f."""
    return (3.0 if shape.gated_ffn else 2.0) * shape.hidden_size * width


def moe_layer_share(shape: ModelShape) -> float:
    """Share of the layers that route over experts; the first dense ones do not."""
    if not shape.num_experts:
        return 0.0
    return 1.0 - shape.first_dense_layers / shape.num_hidden_layers


def always_on_ffn_parameters(shape: ModelShape) -> float:
    """Feed-forward weights that every token passes, averaged over the layers.

    Equation: (1−m)·F(f) + m·(n_shared·F(f_e) + D·E), m the share of MoE layers, F a block's
    weights, D·E the router. Layers are treated as alike: a model whose first layers are dense
    gets the mean layer, so the totals over the whole model are exact and a segment's share of
    the dense layers does not depend on where it lies.
    """
    share = moe_layer_share(shape)
    dense = ffn_parameters(shape, shape.intermediate_size)
    shared = shape.shared_experts * ffn_parameters(shape, shape.moe_intermediate_size)
    return (1.0 - share) * dense + share * (shared + shape.hidden_size * shape.num_experts)


def expert_parameters(shape: ModelShape) -> float:
    """Weights of one routed expert, averaged over the layers (0 for a dense model)."""
    return moe_layer_share(shape) * ffn_parameters(shape, shape.moe_intermediate_size)


def layer_parameters(shape: ModelShape) -> float:
    """All weights of the mean layer: attention + always-on FFN + every routed expert."""
    experts = shape.num_experts * expert_parameters(shape)
    return attention_parameters(shape) + always_on_ffn_parameters(shape) + experts


def active_layer_parameters(shape: ModelShape) -> float:
    """Weights of the mean layer that one token passes: the routed experts it takes, not all."""
    experts = shape.experts_per_token * expert_parameters(shape)
    return attention_parameters(shape) + always_on_ffn_parameters(shape) + experts


def embedding_parameters(shape: ModelShape) -> float:
    """Weights of the embedding table, as many again in the LM head: V·D."""
    return float(shape.vocab_size) * shape.hidden_size


def total_parameters(shape: ModelShape) -> float:
    """Weights of the whole model: L·P + V·D, twice where the LM head has its own table."""
    tables = 1.0 if shape.tie_word_embeddings else 2.0
    return shape.num_hidden_layers * layer_parameters(shape) + tables * embedding_parameters(shape)


def kv_elements_per_token(shape: ModelShape, tp_degree: int = 1) -> float:
    """KV-cache elements of one token in one layer on one GPU of a TP group of degree d.

    Equation: 2·max(1, kv/d)·dh; heads are replicated once there are fewer than GPUs. MLA
    caches r + dr elements, replicated on every GPU. Source: DeepSeek-V2, section 2.1.
    """
    if shape.kv_lora_rank:
        return float(shape.kv_lora_rank + shape.qk_rope_head_dim)
    return 2.0 * max(1.0, shape.num_key_value_heads / tp_degree) * shape.dim_per_head


def prefill_flops_per_pair(shape: ModelShape) -> float:
    """FLOPs of one (query, key) pair in one layer, all heads: 4·h·dh, or 2·h·(dn+dr+dv) (MLA)."""
    if not shape.kv_lora_rank:
        return 4.0 * shape.num_attention_heads * shape.dim_per_head
    widths = shape.qk_nope_head_dim + shape.qk_rope_head_dim + shape.v_head_dim
    return 2.0 * shape.num_attention_heads * widths


def decode_flops_per_pair(shape: ModelShape, tp_degree: int = 1) -> float:
    """FLOPs of one new token against one cached one, all heads: 4·h·dh, or 2·h'·(2r+dr) (MLA).

    MLA decodes on the latent vectors themselves, with the up-projections absorbed. All heads of
    a GPU are then the rows of one product, computed in tiles of 64 rows whether heads fill them
    or not: h' = d·max(64, h/d) over a TP group of degree d. Source: FlashMLA
    (github.com/deepseek-ai/FlashMLA); docs/accuracy.md has a measurement of both.
    """
    if not shape.kv_lora_rank:
        return 4.0 * shape.num_attention_heads * shape.dim_per_head
    rows = tp_degree * max(TILE_ROWS, shape.num_attention_heads / tp_degree)
    return 2.0 * rows * (2.0 * shape.kv_lora_rank + shape.qk_rope_head_dim)


def routed_width(shape: ModelShape) -> float:
    """Hidden elements of the copies that one token sends to its experts in the mean layer: a·D."""
    return moe_layer_share(shape) * shape.experts_per_token * shape.hidden_size


def active_ffn_width(shape: ModelShape) -> float:
    """Intermediate elements that one token produces in the mean layer."""
    share = moe_layer_share(shape)
    routed = (shape.shared_experts + shape.experts_per_token) * shape.moe_intermediate_size
    return (1.0 - share) * shape.intermediate_size + share * routed
