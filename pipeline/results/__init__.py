"""Result tables in Parquet: schema, writing, reading."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.results.frames import Results


def load(directory: str | Path) -> Results:
    """Load the tables of a run into pandas frames, each point once. Raises ResultsError."""
    # Workers write rows and never read them: they are spared the half second that pandas takes.
    from pipeline.results.frames import read_results

    return read_results(Path(directory))
