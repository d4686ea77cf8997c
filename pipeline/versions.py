"""The versions that an answer rests on."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from pipeline import __version__

_SOLVERS = ("pyomo", "highspy")


@cache
def package_versions() -> str:
    """Return the versions of this package and of what solves for it, as one line."""
    solvers = [f"{name} {version(name)}" for name in _SOLVERS]
    return ", ".join([f"placement-pipeline {__version__}", *solvers])
