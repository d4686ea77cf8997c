"""Tables for people: where a terminal is narrow, the columns that matter least are left out.

Figures and names stay whole, so that a table can be read across; only texts are broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

_GAP = 2
# A text may be broken into lines of this length before a column is left out for it.
_NARROWEST_TEXT = 20


@dataclass(frozen=True)
class Column:
    """A column: its header, whether its cells are figures, and whether they may be broken.

    spare: columns of the highest number are left out first where a line is too short; 0: never.
    """

    header: str
    is_figure: bool = True
    breaks: bool = False
    spare: int = 0


def figures(header: str, spare: int = 0) -> Column:
    """Return a column of figures, which end in line."""
    return Column(header, spare=spare)


def names(header: str, spare: int = 0) -> Column:
    """Return a column of names, which are not broken while there is anything else to give."""
    return Column(header, is_figure=False, spare=spare)


def texts(header: str, spare: int = 0) -> Column:
    """Return a column of sentences, which are broken where a line ends."""
    return Column(header, is_figure=False, breaks=True, spare=spare)


def apart(*parts: RenderableType) -> Group:
    """Return parts with an empty line between each and the next."""
    return Group(*[piece for part in parts for piece in (Text(), part)][1:])


class Grid:
    """A table without lines. Cells are texts; a row has one for every column."""

    def __init__(self, title: str, columns: Sequence[Column]) -> None:
        self.title = title
        self.columns = tuple(columns)
        self.rows: list[tuple[str | Text, ...]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add a row. Raises ValueError where its cells are not one for every column."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        self.rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        shown = self._shown(options.max_width)
        yield self._table(shown)
        left_out = [c.header for i, c in enumerate(self.columns) if i not in shown and c.header]
        if left_out:
            headers = ", ".join(" ".join(header.split()) for header in left_out)
            yield Text(f"In a wider terminal also: {headers}.", style="dim")

    def _shown(self, width: int) -> list[int]:
        """Return the columns that fit into a width, and those that are always shown."""
        shown = list(range(len(self.columns)))
        widths = [self._width(index) for index in shown]
        while sum(widths[i] + _GAP for i in shown) - _GAP > width:
            spare = max(shown, key=lambda index: self.columns[index].spare)
            if not self.columns[spare].spare:
                break
            shown.remove(spare)
        return shown

    def _width(self, index: int) -> int:
        """Return the characters that a column needs."""
        column = self.columns[index]
        cells = [column.header, *(str(row[index]) for row in self.rows)]
        widest = max(cell_len(line) for cell in cells for line in cell.split("\n"))
        return min(widest, _NARROWEST_TEXT) if column.breaks else widest

    def _table(self, shown: Sequence[int]) -> Table:
        table = Table(
            title=self.title, title_justify="left", header_style="bold", box=None, pad_edge=False
        )
        for column in (self.columns[index] for index in shown):
            if column.is_figure:
                table.add_column(column.header, justify="right", no_wrap=True, vertical="top")
            else:
                table.add_column(column.header, overflow="fold", vertical="top")
        for row in self.rows:
            table.add_row(*(row[index] for index in shown))
        return table
