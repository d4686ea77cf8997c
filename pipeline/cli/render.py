"""Tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pipeline.baseline import BaselineTry
    from pipeline.compare import GranularityRow
    from pipeline.search_space import SearchSpace


def grid(title: str, columns: Sequence[tuple[str, str]]) -> Table:
    """Return an empty table; a column is (header, justify)."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for header, justify in columns:
        table.add_column(header, justify="right" if justify == "right" else "left", no_wrap=True)
    return table


def per_million(usd_per_token: float) -> str:
    """Write a price per token as $ per million tokens."""
    return f"${usd_per_token * 1e6:.6f}"


def signed_percent(value: float | None) -> str:
    """Write a difference in percent with its sign; a dash where there is none."""
    return "–" if value is None else f"{value:+.1f} %"


def bar(share: float, width: int = 10) -> str:
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
            ("", "left"),
        ],
    )
    for tried in tries:
        head = (tried.gpu, str(tried.tp_degree))
        if tried.fits:
            price = tried.usd_per_token
            figures = (f"{tried.tokens_per_s:,.0f}", f"{tried.usd_per_hour:.2f}", f"{price:.4e}")
            table.add_row(*head, *figures, per_million(price), "fits")
        else:
            table.add_row(*head, "–", "–", "–", "–", f"does not fit: {tried.reason}")
    return table


def granularity_view(rows: Sequence[GranularityRow]) -> RenderableType:
    """Show the lowest $/token of every granularity beside what it took."""
    swept = list(rows[0].swept) if rows else []
    table = grid(
        "Lowest cost per token by granularity",
        [
            *((name, "left") for name in swept),
            ("granularity", "left"),
            ("$/M tokens", "right"),
            ("tokens/s", "right"),
            ("$/h", "right"),
            ("to baseline", "right"),
            ("to exact", "right"),
            ("proof", "left"),
            ("by", "left"),
            ("options", "right"),
            ("binaries", "right"),
            ("points", "right"),
            ("build + solve s", "right"),
        ],
    )
    for row in rows:
        table.add_row(
            *(str(row.swept[name]) for name in swept),
            row.granularity,
            per_million(row.usd_per_token),
            f"{row.tokens_per_s:,.0f}",
            f"{row.usd_per_hour:.2f}",
            signed_percent(row.percent_to_baseline),
            signed_percent(row.percent_to_exact),
            row.status,
            row.method,
            f"{row.options:,}",
            f"{row.binaries:,}",
            str(row.points),
            f"{row.solve_seconds:.2f}",
        )
    return Group(table, Text(), usage_view(rows))


def usage_view(rows: Sequence[GranularityRow]) -> RenderableType:
    """Show which segments the best placement of every granularity uses."""
    swept = list(rows[0].swept) if rows else []
    table = grid(
        "Segments of these placements",
        [*((name, "left") for name in swept), ("granularity", "left"), ("segments", "left")],
    )
    for row in rows:
        used = ", ".join(map(str, row.segments_used))
        table.add_row(*(str(row.swept[name]) for name in swept), row.granularity, used)
    return table


def space_view(spaces: Sequence[tuple[str, SearchSpace]]) -> RenderableType:
    """Show the size of the search space of every granularity."""
    table = grid(
        "Search space",
        [
            ("granularity", "left"),
            ("options", "right"),
            ("segments", "right"),
            ("connections before filter", "right"),
            ("connections", "right"),
            ("binaries", "right"),
            ("connections, GPUs told apart", "right"),
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
