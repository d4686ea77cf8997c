"""A module imports only modules beneath it; HiGHS and Ray each stay behind one module."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Lowest first; a name stands for a module or a folder of them, whose files may import each other.
ORDER = [
    "errors",
    "texts",
    "fault_words",
    "words",
    "grids",
    "versions",
    "settings",
    "model_shape",
    "model_families",
    "model_config",
    "weight_bytes",
    "network",
    "granularity",
    "budgets",
    "catalogue",
    "roofline",
    "instance",
    "performance",
    "measurements",
    "robust_fit",
    "constant_fit",
    "scores",
    "held_out",
    "calibration",
    "validation",
    "groups",
    "options",
    "runs",
    "restrictions",
    "reason_texts",
    "search_space",
    "links",
    "placement",
    "formulation",
    "solver",
    "bounds",
    "cheapest",
    "curve",
    "methods",
    "serving",
    "baseline",
    "published",
    "reasons",
    "points",
    "config",
    "results",
    "run",
    "copies",
    "explain",
    "ballparks",
    "sweep",
    "serving_check",
    "verify",
    "rivals",
    "audit",
    "plan",
    "driver",
    "loads",
    "compare",
    "plots",
    "export",
    "report",
    "cli",
    "docs_build",
    "__main__",
]
FOUNDATIONS = ORDER[: ORDER.index("groups")]
# Modules that are kept further apart than the order alone would keep them.
ONLY_ON = {"config": FOUNDATIONS, "verify": [*FOUNDATIONS, "config", "results", "serving_check"]}
OUTSIDE = {
    "highspy": "solver",
    "ray": "driver",
    "altair": "plots",
    "vl_convert": "plots",
    "fsspec": "results",
}
MODULES = sorted(ROOT.glob("pipeline/**/*.py"))


def imports_of(file: Path) -> Iterator[str]:
    """Yield the full name of every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(file: Path) -> str:
    """Return the name in ORDER that a file belongs to."""
    return file.relative_to(ROOT / "pipeline").with_suffix("").parts[0]


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_imports_only_modules_beneath_it(file: Path) -> None:
    part = part_of(file)
    if part == "__init__":
        beneath: set[str] = set()
    else:
        assert part in ORDER, f"give {part} a place in ORDER"
        beneath = {part, *ONLY_ON.get(part, ORDER[: ORDER.index(part)])}
    for name in imports_of(file):
        top, *rest = name.split(".")
        if top == "pipeline":
            assert rest[0] in beneath | {"__version__"}, f"{part} imports {name}"
        assert OUTSIDE.get(top, part) == part, f"only {OUTSIDE.get(top)} may import {top}"
