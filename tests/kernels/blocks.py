"""Feed-forward blocks on a GPU: dense, and routed over experts by two kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import triton
import triton.language as tl

from tests.kernels.layouts import Block
from tests.kernels.timing import seconds_per_call

# Rows, columns and depth of a tile, warps, pipeline stages.
Tile = tuple[int, int, int, int, int]
TILES: tuple[Tile, ...] = (
    (16, 64, 128, 4, 4),
    (16, 128, 128, 4, 4),
    (16, 128, 64, 4, 5),
    (32, 128, 128, 4, 4),
    (64, 128, 64, 4, 4),
    (64, 128, 128, 8, 3),
    (128, 128, 64, 8, 4),
    (128, 256, 64, 8, 3),
)
LARGEST_ERROR = {False: 0.01, True: 0.06}
MANY_TOKENS = 2048


@triton.jit  # type: ignore[untyped-decorator]
def _routed_product(
    inputs: tl.tensor,
    weights: tl.tensor,
    outputs: tl.tensor,
    scale: tl.tensor,
    rows: tl.tensor,
    tile_expert: tl.tensor,
    total: tl.tensor,
    columns: tl.tensor,
    depth: tl.tensor,
    copies: tl.tensor,
    scaled: tl.constexpr,
    bm: tl.constexpr,
    bn: tl.constexpr,
    bk: tl.constexpr,
) -> None:
    """One tile of rows that go to the same expert, against a tile of its columns."""
    across = tl.cdiv(columns, bn)
    tile, part = tl.program_id(0) // across, tl.program_id(0) % across
    expert = tl.load(tile_expert + tile).to(tl.int64)
    row = tl.load(rows + tile * bm + tl.arange(0, bm)).to(tl.int64)
    used = row < total
    column = part * bn + tl.arange(0, bn)
    step = tl.arange(0, bk)
    left = inputs + (row // copies)[:, None] * depth + step[None, :]
    right = weights + (expert * columns + column)[None, :] * depth + step[:, None]
    sums = tl.zeros((bm, bn), dtype=tl.float32)
    for _ in range(tl.cdiv(depth, bk)):
        sums = tl.dot(tl.load(left, mask=used[:, None], other=0.0), tl.load(right), sums)
        left += bk
        right += bk
    if scaled:
        sums = sums * tl.load(scale + row, mask=used, other=0.0)[:, None]
    target = outputs + row[:, None] * columns + column[None, :]
    tl.store(target, sums.to(tl.bfloat16), mask=used[:, None])


@triton.jit  # type: ignore[untyped-decorator]
def _gate_kernel(
    both: tl.tensor, product: tl.tensor, width: tl.tensor, block: tl.constexpr
) -> None:
    """silu(gate)·up of one row."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * block + tl.arange(0, block)
    used = column < width
    gate = tl.load(both + row * 2 * width + column, mask=used).to(tl.float32)
    up = tl.load(both + row * 2 * width + width + column, mask=used).to(tl.float32)
    value = (gate * tl.sigmoid(gate) * up).to(tl.bfloat16)
    tl.store(product + row * width + column, value, mask=used)


def _gated(both: Any) -> Any:
    width = both.shape[1] // 2
    product = torch.empty(both.shape[0], width, device="cuda", dtype=torch.bfloat16)
    _gate_kernel[(both.shape[0], triton.cdiv(width, 1024))](both, product, width, block=1024)
    return product


class Routing:
    """Which experts each token goes to, drawn evenly, and the order of its copies by expert."""

    def __init__(self, tokens: int, block: Block) -> None:
        drawn = torch.rand(tokens, block.experts, device="cuda")
        self.ids = drawn.topk(block.active, dim=1).indices
        flat = self.ids.reshape(-1)
        self.copies, self.total = block.active, len(flat)
        self.scale = torch.rand(self.total, device="cuda")
        self.order = torch.sort(flat, stable=True).indices
        self.counts = torch.bincount(flat, minlength=block.experts)
        self.ends = self.counts.cumsum(0).to(torch.int32)
        self.place = torch.empty_like(self.order)
        self.place[self.order] = torch.arange(self.total, device="cuda")
        self._tiles: dict[int, tuple[Any, Any]] = {}

    def tiles(self, size: int) -> tuple[Any, Any]:
        """Rows in whole tiles of one expert each (filled up with `total`), and their experts."""
        if size not in self._tiles:
            order, rows, experts, at = self.order.tolist(), [], [], 0
            for expert, count in enumerate(self.counts.tolist()):
                missing = -count % size
                rows += order[at : at + count] + [self.total] * missing
                experts += [expert] * ((count + missing) // size)
                at += count
            self._tiles[size] = (
                torch.tensor(rows, device="cuda", dtype=torch.int32),
                torch.tensor(experts, device="cuda", dtype=torch.int32),
            )
        return self._tiles[size]


@dataclass(frozen=True)
class Weights:
    """Gate and up (experts, 2·width, hidden), down (experts, hidden, width); dense has one."""

    up: Any
    down: Any


def random_weights(block: Block) -> Weights:
    """Weights of a block, 16-bit or fp8."""
    first = (block.experts,) if block.experts else ()
    shapes = (*first, 2 * block.width, block.hidden), (*first, block.hidden, block.width)
    kind = torch.float8_e4m3fn if block.eight_bit else torch.bfloat16
    up, down = (
        (torch.randn(*s, device="cuda", dtype=torch.bfloat16) * 0.02).to(kind) for s in shapes
    )
    return Weights(up, down)


def _linear(inputs: Any, weights: Any) -> Any:
    """One product by the vendor's library; fp8 with one scale for a tensor, inputs narrowed."""
    if weights.dtype == torch.bfloat16:
        return torch.nn.functional.linear(inputs, weights)
    one = torch.ones((), device="cuda")
    narrow = inputs.to(weights.dtype)
    return torch._scaled_mm(
        narrow, weights.t(), scale_a=one, scale_b=one, out_dtype=inputs.dtype, use_fast_accum=True
    )


def dense(inputs: Any, weights: Weights) -> Any:
    """Dense block by the vendor's library."""
    return _linear(_gated(_linear(inputs, weights.up)), weights.down)


def _product(
    inputs: Any, weights: Any, routing: Routing, copies: int, scaled: bool, tile: Tile
) -> Any:
    rows, experts = routing.tiles(tile[0])
    columns, depth = weights.shape[1:]
    outputs = torch.empty(routing.total, columns, device="cuda", dtype=torch.bfloat16)
    _routed_product[(len(experts) * triton.cdiv(columns, tile[1]),)](
        inputs.to(weights.dtype),
        weights,
        outputs,
        routing.scale,
        rows,
        experts,
        routing.total,
        columns,
        depth,
        copies,
        scaled=scaled,
        bm=tile[0],
        bn=tile[1],
        bk=tile[2],
        num_warps=tile[3],
        num_stages=tile[4],
    )
    return outputs


def fused(inputs: Any, weights: Weights, routing: Routing, tile: Tile) -> Any:
    """Experts by a kernel that gathers its rows itself, as vLLM and SGLang have one."""
    both = _product(inputs, weights.up, routing, routing.copies, False, tile)
    outputs = _product(_gated(both), weights.down, routing, 1, True, tile)
    return outputs.view(len(inputs), routing.copies, -1).sum(1)


def grouped(inputs: Any, weights: Weights, routing: Routing) -> Any:
    """Experts by PyTorch's grouped product, over rows gathered before."""
    rows = inputs[routing.order // routing.copies]
    both = torch._grouped_mm(rows, weights.up.transpose(1, 2), offs=routing.ends)
    outputs = torch._grouped_mm(_gated(both), weights.down.transpose(1, 2), offs=routing.ends)
    scaled = outputs[routing.place] * routing.scale[:, None].to(torch.bfloat16)
    return scaled.view(len(inputs), routing.copies, -1).sum(1)


def _exact(inputs: Any, up: Any, down: Any) -> Any:
    """One gated block in 32 bits."""
    gate, product = (inputs.float() @ up.float().t()).chunk(2, dim=-1)
    return (torch.nn.functional.silu(gate) * product) @ down.float().t()


def _expected(inputs: Any, weights: Weights, routing: Routing) -> Any:
    """Experts in 32 bits, token by token."""
    outputs = torch.zeros(inputs.shape, device="cuda")
    scale = routing.scale.view(len(inputs), -1)
    for token, experts in enumerate(routing.ids.tolist()):
        for copy, expert in enumerate(experts):
            one = _exact(inputs[token], weights.up[expert], weights.down[expert])
            outputs[token] += scale[token, copy] * one
    return outputs


def check(block: Block, weights: Weights) -> None:
    """Raise ValueError where a kernel does not compute the block."""
    inputs = _inputs(16, block)
    if not block.experts:
        expected = _exact(inputs, weights.up, weights.down)
        computed = [dense(inputs, weights)]
    else:
        routing = Routing(16, block)
        expected = _expected(inputs, weights, routing)
        computed = [fused(inputs, weights, routing, TILES[0])]
        if not block.eight_bit:
            computed.append(grouped(inputs, weights, routing))
    for outputs in computed:
        error = float((outputs.float() - expected).norm() / expected.norm())
        if not error < LARGEST_ERROR[block.eight_bit]:
            raise ValueError(f"a kernel is off by {error:.3g}")


def _inputs(tokens: int, block: Block) -> Any:
    return torch.randn(tokens, block.hidden, device="cuda", dtype=torch.bfloat16)


def _worth_trying(tile: Tile, rows: float) -> bool:
    """Whether a tile's rows are near the rows that an expert gets, or none lies nearer."""
    fewest, most = TILES[0][0], TILES[-1][0]
    return (tile[0] <= max(fewest, 4 * rows)) and tile[0] >= min(most, rows / 8)


def best_seconds(block: Block, weights: Sequence[Weights], tokens: int) -> tuple[str, float]:
    """Name and time of the fastest kernel for a block and so many tokens, s."""
    count = len(weights) * (4 if block.experts and tokens < MANY_TOKENS else 2)
    pairs = [(_inputs(tokens, block), weights[index % len(weights)]) for index in range(count)]
    if not block.experts:
        return "cublas", seconds_per_call([partial(dense, *pair) for pair in pairs])
    routed = [(*pair, Routing(tokens, block)) for pair in pairs]
    found = {}
    if not block.eight_bit:
        found["grouped"] = seconds_per_call([partial(grouped, *one) for one in routed])
    found["fused"] = min(
        seconds_per_call([partial(fused, *one, tile) for one in routed])
        for tile in TILES
        if _worth_trying(tile, tokens * block.active / block.experts)
    )
    name = min(found, key=found.__getitem__)
    return name, found[name]
