"""Tables for people, plain data for machines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from pipeline.grids import Grid, figures, names, texts
from pipeline.words import per_million

if TYPE_CHECKING:
    from pipeline.baseline import BaselineTry
    from pipeline.search_space import SearchSpace


def bar(share: float, width: int = 8) -> str:
    """Draw a share between 0 and 1 as a bar."""
    filled = round(min(max(share, 0.0), 1.0) * width)
    return "█" * filled + "░" * (width - filled)


def baseline_view(tries: Iterable[BaselineTry], swept: bool) -> RenderableType:
    """Show the baseline at every TP degree, with the reason where it does not fit.

    swept: whether other rows of the run have other baselines, of their own swept values.
    """
    before = ", before anything is swept" if swept else ""
    table = Grid(
        f"Baseline: the whole model as a single segment{before}",
        [
            names("GPU"),
            figures("TP"),
            figures("tokens/s"),
            figures("$/h"),
            figures("$/token", spare=1),
            figures("$/M tokens"),
            texts("can run"),
        ],
    )
    for tried in tries:
        head = (tried.gpu, str(tried.tp_degree))
        if tried.fits:
            price = tried.usd_per_token
            rates = (f"{tried.tokens_per_s:,.0f}", f"{tried.usd_per_hour:.2f}", f"{price:.4e}")
            table.add_row(*head, *rates, per_million(price), "yes")
        else:
            table.add_row(*head, "–", "–", "–", "–", f"no: {tried.reason}")
    return table


def space_view(spaces: Sequence[tuple[str, SearchSpace]]) -> RenderableType:
    """Show the size of the search space of every granularity."""
    table = Grid(
        "Search space",
        [
            names("granularity"),
            figures("options"),
            figures("segments"),
            figures("connections\nbefore filter", spare=2),
            figures("connections"),
            figures("binaries"),
            figures("connections,\nGPUs told apart", spare=1),
        ],
    )
    for name, space in spaces:
        sizes = (
            space.options,
            space.segments,
            space.connections_before_filter,
            space.connections,
            space.binary_variables,
            space.disjoint_connections,
        )
        table.add_row(name, *(f"{size:,}" for size in sizes))
    return table


def plain(value: Any) -> Any:
    """Return what JSON can hold: numbers of other libraries as plain ones, NaN as null."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    number = value.item() if hasattr(value, "item") else value
    return None if isinstance(number, float) and not math.isfinite(number) else number
