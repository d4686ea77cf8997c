"""Result tables in Parquet: schema, writing, reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.results.folder import Place
    from pipeline.results.frames import Results


def load(directory: Place) -> Results:
    """Load the tables of a run into pandas frames, each point once. Raises ResultsError.

    directory: a path, or an address such as `s3://bucket/run`.
    """
    # Workers write rows and never read them: they are spared the half second that pandas takes.
    from pipeline.results.frames import read_results

    return read_results(directory)
