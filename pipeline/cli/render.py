"""Tables for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pipeline.baseline import BaselineTry
    from pipeline.compare import GranularityRow
    from pipeline.search_space import SearchSpace


def grid(title: str, columns: Sequence[tuple[str, str]]) -> Table:
    """Return an empty table; a column is (header, justify). Figures stay whole, text may wrap."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for header, justify in columns:
        if justify == "right":
            table.add_column(header, justify="right", no_wrap=True, vertical="top")
        else:
            table.add_column(header, justify="left", overflow="fold", vertical="top")
    return table


def per_million(usd_per_token: float) -> str:
    """Write a price per token as $ per million tokens."""
    return f"${usd_per_token * 1e6:.6f}"


def signed_percent(value: float | None) -> str:
    """Write a difference in percent with its sign; a dash where there is none."""
    return "–" if value is None else f"{value:+.1f} %"


def bar(share: float, width: int = 8) -> str:
    """Draw a share between 0 and 1 as a bar."""
    filled = round(min(max(share, 0.0), 1.0) * width)
    return "█" * filled + "░" * (width - filled)


def id_range(ids: Sequence[int]) -> str:
    """Write consecutive ids as first–last."""
    return str(ids[0]) if len(ids) == 1 else f"{ids[0]}–{ids[-1]}"


def baseline_view(tries: Iterable[BaselineTry]) -> RenderableType:
    """Show the baseline at every TP degree, with the reason where it does not fit."""
    table = grid(
        "Baseline: the whole model as a single segment",
        [
            ("GPU", "left"),
            ("TP", "right"),
            ("tokens/s", "right"),
            ("$/h", "right"),
            ("$/token", "right"),
            ("$/M tokens", "right"),
            ("fits", "left"),
        ],
    )
    for tried in tries:
        head = (tried.gpu, str(tried.tp_degree))
        if tried.fits:
            price = tried.usd_per_token
            figures = (f"{tried.tokens_per_s:,.0f}", f"{tried.usd_per_hour:.2f}", f"{price:.4e}")
            table.add_row(*head, *figures, per_million(price), "yes")
        else:
            table.add_row(*head, "–", "–", "–", "–", f"no: {tried.reason}")
    return table


def granularity_view(rows: Sequence[GranularityRow]) -> RenderableType:
    """Show the lowest $/token of every granularity, what it is made of, and what it took."""
    found = _by_granularity(
        "Lowest cost per token by granularity",
        rows,
        [
            ("$/M tokens", "right"),
            ("tokens/s", "right"),
            ("$/h", "right"),
            ("against\nbaseline", "right"),
            ("against\nexact", "right"),
            ("status", "left"),
            ("by", "left"),
        ],
        lambda row: (
            per_million(row.usd_per_token),
            f"{row.tokens_per_s:,.0f}",
            f"{row.usd_per_hour:.2f}",
            signed_percent(row.percent_to_baseline),
            signed_percent(row.percent_to_exact),
            row.status,
            row.method,
        ),
    )
    used = _by_granularity(
        "Segments of these placements",
        rows,
        [("segments", "left")],
        lambda row: (", ".join(map(str, row.segments_used)),),
    )
    took = _by_granularity(
        "Search space, and what the points took",
        rows,
        [
            ("options", "right"),
            ("segments", "right"),
            ("connections", "right"),
            ("binaries", "right"),
            ("points", "right"),
            ("failed", "right"),
            ("build +\nsolve s", "right"),
        ],
        lambda row: (
            *(f"{n:,}" for n in (row.options, row.segments, row.connections, row.binaries)),
            str(row.points),
            str(row.failed),
            f"{row.solve_seconds:.2f}",
        ),
    )
    return Group(found, Text(), used, Text(), took)


def _by_granularity(
    title: str,
    rows: Sequence[GranularityRow],
    columns: Sequence[tuple[str, str]],
    cells: Callable[[GranularityRow], tuple[str, ...]],
) -> Table:
    """Return a table with a line for every granularity and set of swept values."""
    swept = list(rows[0].swept) if rows else []
    heads = [(short_name(name, swept), "left") for name in swept]
    table = grid(title, [*heads, ("granularity", "left"), *columns])
    for row in rows:
        table.add_row(*(str(row.swept[name]) for name in swept), row.granularity, *cells(row))
    return table


def short_name(name: str, among: Sequence[str]) -> str:
    """Return the last part of a field's dotted name, or all of it where another ends alike."""
    last = name.rpartition(".")[2]
    alike = [other for other in among if other.rpartition(".")[2] == last]
    return last if len(alike) == 1 else name


def space_view(spaces: Sequence[tuple[str, SearchSpace]]) -> RenderableType:
    """Show the size of the search space of every granularity."""
    table = grid(
        "Search space",
        [
            ("granularity", "left"),
            ("options", "right"),
            ("segments", "right"),
            ("connections\nbefore filter", "right"),
            ("connections", "right"),
            ("binaries", "right"),
            ("connections,\nGPUs told apart", "right"),
        ],
    )
    for name, space in spaces:
        figures = (
            space.options,
            space.segments,
            space.connections_before_filter,
            space.connections,
            space.binary_variables,
            space.disjoint_connections,
        )
        table.add_row(name, *(f"{figure:,}" for figure in figures))
    return table
