"""Commands that look at configs and results: space, compare, verify."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer
from rich.text import Text

from pipeline.cli.app import FAILED, command, examples, out
from pipeline.cli.inputs import listed_granularities, read_config
from pipeline.cli.options import AsJson, Assignments, ConfigPath, ResultsPath, Tolerance
from pipeline.words import counted


@command()
def space(
    config: ConfigPath,
    granularity: Annotated[
        str | None, typer.Option("--granularity", "-g", help="Names, separated by commas.")
    ] = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
) -> int:
    """Count options, segments, connections and binaries of every granularity.

    Segments and connections are those of the published formulation, counted and not built.
    """
    from pipeline.cli.render import space_view
    from pipeline.granularity import granularity as fitted
    from pipeline.groups import group_classes
    from pipeline.search_space import search_space
    from pipeline.serving.answers import all_options

    loaded = read_config(config, assignments)
    instance = loaded.instance
    names = loaded.config.sweep.granularities
    if granularity is not None:
        names = listed_granularities(granularity, instance.num_layers)
    groups = group_classes(instance)
    spaces = []
    for name in names:
        sizes = fitted(name, instance.num_layers)
        options = all_options(instance, sizes)
        spaces.append((name, search_space(instance, groups, options)))
    if as_json:
        rows = [
            {
                "granularity": name,
                **dataclasses.asdict(space),
                "binary_variables": space.binary_variables,
                "binaries": space.binary_variables,
            }
            for name, space in spaces
        ]
        typer.echo(json.dumps(rows, indent=2))
    else:
        out().print(space_view(spaces))
    return 0


@command(epilog=examples("compare results/medium", "compare results/before results/after --json"))
def compare(
    directories: Annotated[
        list[str], typer.Argument(metavar="DIR...", help="Folders of sweeps: paths or addresses.")
    ],
    tolerance: Tolerance = 1.0,
    as_json: AsJson = False,
) -> int:
    """Compare granularities, methods, the baseline, published claims; and run against run.

    Ends with the placement to run, and the fastest search within the tolerance.
    """
    from pipeline.cli import comparison
    from pipeline.results import load

    loaded = [load(directory) for directory in directories]
    if as_json:
        report = [comparison.comparison_json(results, tolerance) for results in loaded]
        changes = comparison.run_to_run_json(loaded)
        for entry, change in zip(report[1:], changes, strict=True):
            entry["changes"] = change
        typer.echo(json.dumps(report, indent=2, default=str))
        return 0
    for results in loaded:
        out().print(comparison.comparison_view(results, tolerance))
    for view in comparison.run_to_run_views(loaded):
        out().print(view)
    return 0


@command()
def verify(directory: ResultsPath, as_json: AsJson = False) -> int:
    """Recompute every placement of a sweep from its config alone; exit 1 if a row is wrong.

    Rows are held against each other, the run against its plan: docs/reading-the-answers.md.
    """
    from pipeline.audit import audit

    found = audit(directory)
    if as_json:
        mismatches = [dataclasses.asdict(mismatch) for mismatch in found.mismatches]
        report = {
            "points": found.points,
            "placements": found.placements,
            "mismatches": mismatches,
        }
        typer.echo(json.dumps(report, indent=2, default=_plain))
    else:
        for mismatch in found.mismatches:
            out().print(Text.assemble(("wrong ", "red"), str(mismatch)), soft_wrap=True)
        verdict = f"{len(found.mismatches)} wrong" if found.mismatches else "all hold"
        rows = counted(found.points, "row")
        out().print(f"{rows}, {counted(found.placements, 'placement')}: {verdict}")
    return FAILED if found.mismatches else 0


def _plain(value: Any) -> Any:
    """Return a number of a table's own type as one that JSON knows; else text."""
    return value.item() if hasattr(value, "item") else str(value)
