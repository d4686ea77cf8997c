"""The arguments and flags that commands share, with their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def named_path(text: str) -> Path:
    """Return a path, unless it is empty: `Path` takes that for the working folder."""
    if not text:
        raise typer.BadParameter("must not be empty; . is the folder that we are in")
    return Path(text)


ConfigPath = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG",
        parser=named_path,
        help="YAML file, directory of the published system's CSV files, "
        "or a name that `placement configs` lists.",
    ),
]
ResultsPath = Annotated[
    str,
    typer.Argument(
        metavar="DIR", help="Folder of a sweep's results: a path, or an address as s3://bucket/run."
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Replace a field, as workload.batch_size=16 or pool.A100.usd_per_hour=1.2. Repeats.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
GranularityName = Annotated[
    str,
    typer.Option(
        "--granularity",
        "-g",
        help="coarsest, coarse, moderate, fine, exact, or sizes as 5+10+40.",
    ),
]
Budget = Annotated[
    float | None,
    typer.Option("--budget", "-b", min=0.0, help="Most that the placement may cost, $/h."),
]
Tolerance = Annotated[
    float,
    typer.Option(
        "--tolerance", min=0.0, help="How far above the lowest $/token a search may end, %."
    ),
]
