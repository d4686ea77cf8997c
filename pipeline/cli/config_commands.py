"""The command around the configs that ship with the package: list them, write one out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import command, out
from pipeline.cli.options import AsJson
from pipeline.errors import InputError, missing


@command()
def configs(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One of them; else all are listed.")
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write it there, to start one's own."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List the configs that ship with the package, print one, or write one out.

    Every command takes these names for a config; `packaged:NAME` where a file is named the same.
    """
    if name is not None:
        return _show(name, target, as_json)
    if target is not None:
        reason = "needs the name of a config to write, as: placement configs medium --out FILE"
        raise InputError([missing("command line", "--out", reason)])
    _list(as_json)
    return 0


def _list(as_json: bool) -> None:
    from pipeline.config.packaged import packaged_configs
    from pipeline.grids import Grid, names, texts

    found = packaged_configs()
    if as_json:
        listed = [{"name": c.name, "about": c.about, "path": str(c.path)} for c in found]
        typer.echo(json.dumps(listed, indent=2))
        return
    table = Grid("Configs in the package", [names("name"), texts("what it describes")])
    for config in found:
        table.add_row(config.name, config.about)
    out().print(table)


def _show(name: str, target: Path | None, as_json: bool) -> int:
    """Print a config, or write it where it is wanted; return the exit code."""
    from pipeline.config.packaged import PREFIX, packaged_path, write_copy

    named = name.removeprefix(PREFIX)
    path = packaged_path(named)
    if target is not None:
        write_copy(named, target)
        if as_json:
            typer.echo(json.dumps({"name": named, "written": str(target)}, indent=2))
        else:
            out().print(f"Written: {target}")
        return 0
    if path.is_dir():
        reason = (
            f"is a directory of CSV files; write it with --out: placement configs {named} -o DIR"
        )
        raise InputError([missing("command line", "NAME", reason)])
    text = path.read_text(encoding="utf-8")
    typer.echo(json.dumps({"name": named, "text": text}, indent=2) if as_json else text, nl=as_json)
    return 0
