"""The versions that an answer rests on."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

_PACKAGES = ("placement-pipeline", "pyomo", "highspy")


@cache
def package_versions() -> str:
    """Return the versions of this package and of what solves for it, as one line."""
    return ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
