"""Writes the reference pages of `docs/` from the code: config, results, commands.

`python -m pipeline.docs_build [DIR]` writes them; `--check` fails where one is not current.
"""

from __future__ import annotations

import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic.fields import FieldInfo

from pipeline.config.schema import Config, Section
from pipeline.results.schema import POINT_COLUMNS, SCHEMA_VERSION, SEGMENT_COLUMNS, Column
from pipeline.roofline.constant_files import FittedConstants

DOCS = Path("docs")
_GENERATED = "<!-- Written by `python -m pipeline.docs_build`; change the code, not this page. -->"
_BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def config_reference() -> str:
    """Return the page of every field of a config."""
    lines = [
        "# Config reference",
        "",
        _GENERATED,
        "",
        "One YAML file per instance. Unknown fields are errors; a field without default must be "
        "given. The fields of `model` may be replaced by `model: {catalogue: NAME}`, a name that "
        "`placement models` lists, with fields beside it that differ; or `model` itself by "
        "`hf_config: FILE`, the path of a Hugging Face `config.json`; fields of `model` beside it, "
        "or beside `model.hf_config`, go before those of the file.",
    ]
    for name, section in _sections(Config, ""):
        doc = _sentence(section.__doc__)
        lines += ["", f"## {f'`{name}`' if name else 'Top level'}", "", doc, ""]
        lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
        for key, field in section.model_fields.items():
            meaning = _sentence(field.description) or _nested_meaning(field)
            cells = (f"`{key}`", _type_name(field), _default(field), meaning)
            lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return _page(lines)


def results_reference() -> str:
    """Return the page of every column of the result tables."""
    lines = [
        "# Results reference",
        "",
        _GENERATED,
        "",
        f"Schema version {SCHEMA_VERSION}, in the metadata of every file and in `run.json`. "
        "A run's folder holds `points/*.parquet`, `segments/*.parquet` and `run.json`. Where "
        "budgets are multiples of a ballpark, `ballparks_usd_per_hour` in `run.json` keeps those "
        "that were found, by problem; null where nothing can be placed.",
    ]
    tables = {
        "points": (
            POINT_COLUMNS,
            "One row for each point; a point of `frontier` has one for each Pareto point. Swept "
            "fields follow as columns under their dotted names.",
        ),
        "segments": (SEGMENT_COLUMNS, "One row for each pipeline stage of each placement."),
    }
    for table, (columns, about) in tables.items():
        lines += ["", f"## `{table}`", "", about, ""]
        lines += ["| column | type | null | meaning |", "|---|---|---|---|"]
        lines += [_column_line(column) for column in columns]
    return _page(lines)


def commands_reference() -> str:
    """Return the page of every command, from the help that the commands print."""
    from typer.main import get_command

    from pipeline.cli.app import app, register

    register()
    group: Any = get_command(app)
    lines = [
        "# Commands",
        "",
        _GENERATED,
        "",
        "`placement COMMAND`, the same as `python -m pipeline COMMAND`. Exit codes: 0 done; 1 "
        "done, but something failed; 2 bad input; 3 no placement exists; 130 stopped by Ctrl-C; "
        "141 the reader of the output left, as `head` does.",
    ]
    for name, command in sorted(group.commands.items()):
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option"]
        usage = " ".join(["placement", name, *(a.metavar or a.name.upper() for a in arguments)])
        lines += ["", f"## {name}", "", f"`{usage} [OPTIONS]`", "", _paragraphs(command.help)]
        lines += ["", "| | | |", "|---|---|---|"]
        for parameter in (*arguments, *options):
            names = ", ".join([*parameter.opts, *parameter.secondary_opts])
            shown = parameter.metavar or parameter.name.upper() if parameter in arguments else names
            default = parameter.default
            plain = isinstance(default, str | int | float) and not isinstance(default, bool)
            value = f"default {default}" if plain and default != "" else ""
            cells = (f"`{shown}`", _sentence(getattr(parameter, "help", "")), value)
            lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
        if command.epilog:
            lines += ["", command.epilog]
    return _page(lines)


PAGES: Mapping[str, Callable[[], str]] = {
    "config-reference.md": config_reference,
    "results-reference.md": results_reference,
    "commands.md": commands_reference,
}


def outdated(directory: Path) -> list[str]:
    """Name the pages that do not say what the code says."""
    return [
        name
        for name, page in PAGES.items()
        if not (file := directory / name).is_file() or file.read_text(encoding="utf-8") != page()
    ]


def main(arguments: list[str]) -> int:
    """Write the pages, or with --check only compare them; return the exit code."""
    named = [argument for argument in arguments if argument != "--check"]
    directory = Path(named[0]) if named else DOCS
    if "--check" in arguments:
        stale = outdated(directory)
        if stale:
            sys.stderr.write(f"not current, run python -m pipeline.docs_build: {stale}\n")
        return 1 if stale else 0
    directory.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (directory / name).write_text(page(), encoding="utf-8")
    return 0


def _sections(section: type[Section], name: str) -> Iterator[tuple[str, type[Section]]]:
    """Yield a section and all within it, by dotted name."""
    yield name, section
    for key, field in section.model_fields.items():
        for inner in _inner_sections(field.annotation):
            yield from _sections(inner, f"{name}.{key}" if name else key)


def _inner_sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _inner_sections(argument)


def _nested_meaning(field: FieldInfo) -> str:
    return next((_sentence(inner.__doc__) for inner in _inner_sections(field.annotation)), "")


def _type_name(field: FieldInfo) -> str:
    """Write a field's type as a YAML author thinks of it, with its bounds."""
    return ", ".join([_plain_type(field.annotation), *_bounds(field.metadata, field.annotation)])


def _bounds(metadata: Sequence[Any], annotation: Any) -> Iterator[str]:
    """Yield the bounds of a number, those of an optional one too."""
    for constraint in metadata:
        if isinstance(constraint, FieldInfo):
            yield from _bounds(constraint.metadata, None)
        for name, sign in _BOUNDS.items():
            if getattr(constraint, name, None) is not None:
                yield f"{sign} {getattr(constraint, name):.10g}"
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        for part in typing.get_args(annotation):
            yield from _bounds(getattr(part, "__metadata__", ()), None)


def _plain_type(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _plain_type(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_plain_type(a) for a in arguments if a is not type(None))
    if origin is list:
        return f"list of {_plain_type(arguments[0])}"
    if origin is dict:
        return f"mapping of {_plain_type(arguments[0])} to {_plain_type(arguments[1])}"
    if origin is frozenset:
        return "GPU ids"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "section"
    names = {int: "integer", float: "number", str: "text", bool: "true or false", Any: "any"}
    names[FittedConstants] = "file"
    return names.get(annotation, str(annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ([], {}):
        return "none"
    return "as its fields" if isinstance(value, Section) else f"`{value}`"


def _column_line(column: Column) -> str:
    kind = re.sub(r"<.*", " of integers", str(column.type))
    null = "yes" if column.nullable else "no"
    return f"| `{column.name}` | {kind} | {null} | {_cell(column.meaning)} |"


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(_sentence(part) for part in (text or "").split("\n\n"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _page(lines: list[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
