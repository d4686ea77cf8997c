"""Granularities: the named sets of segment sizes that a sweep compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.texts import is_plain

MAX_SIZE = 10_000
"""Layers of the deepest model, so that no segment can be larger."""
# All sizes from 1 to 10,000, joined by +, are shorter than this.
MAX_TEXT_CHARACTERS = 60_000

PRESETS: Mapping[str, tuple[int, ...] | None] = {
    "coarsest": (1, 10, 20, 40),
    "coarse": (1, 5, 10, 20, 30, 40),
    "moderate": (1, 3, 5, 8, 10, 15, 20, 25, 30, 35, 40),
    "fine": (1, 2, 4, 5, 8, 10, 15, 16, 20, 25, 30, 32, 35, 40),
    "exact": None,
}
"""Sizes of each preset before they are fitted to a model; None stands for every size."""


@dataclass(frozen=True)
class Granularity:
    """A named set of allowed segment sizes, ascending."""

    name: str
    sizes: tuple[int, ...]


def parse_granularity(text: str) -> tuple[int, ...] | None:
    """Return the sizes that a name stands for, None for every size.

    text: a preset, or sizes joined by +, as 5+10+40. Raises ValueError for anything else.
    """
    if text in PRESETS:
        return PRESETS[text]
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"must have at most {MAX_TEXT_CHARACTERS} characters")
    try:
        sizes = tuple(sorted({_size(part) for part in text.split("+")}))
    except ValueError:
        names = ", ".join(PRESETS)
        raise ValueError(f"must be one of {names}, or sizes joined by + as 5+10+40") from None
    if sizes[0] < 1:
        raise ValueError("must have sizes of at least 1")
    if sizes[-1] > MAX_SIZE:
        raise ValueError(f"must have sizes of at most {MAX_SIZE}")
    return sizes


def canonical_name(text: str) -> str:
    """Return the one name of a granularity: a preset's, else its sizes ascending, each once.

    Raises ValueError as `parse_granularity` does.
    """
    sizes = parse_granularity(text)
    return text if text in PRESETS or sizes is None else "+".join(map(str, sizes))


def _size(text: str) -> int:
    """Read a size."""
    if not is_plain(text):
        raise ValueError(text)
    return int(text)


def granularity(text: str, num_layers: int) -> Granularity:
    """Fit a named granularity to a model of L layers.

    Of a preset, sizes above L are dropped and L itself is always there; sizes that were listed
    one by one stay as they are. Raises ValueError as `parse_granularity` does.
    """
    sizes = parse_granularity(text)
    if sizes is None:
        return Granularity(text, tuple(range(1, num_layers + 1)))
    if text in PRESETS:
        sizes = tuple(sorted({k for k in sizes if k <= num_layers} | {num_layers}))
    return Granularity(text, sizes)


def can_sum_to(sizes: Sequence[int], num_layers: int) -> bool:
    """Tell whether some multiset of the sizes has the sum `num_layers`."""
    reachable = 1  # bit n is set when n layers can be covered
    mask = (1 << (num_layers + 1)) - 1
    for size in sizes:
        if size < 1:
            continue
        step = size
        while step <= num_layers:
            reachable |= (reachable << step) & mask
            step *= 2
    return bool(reachable >> num_layers & 1)
