"""Reads the YAML files that ship with this package."""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml


def packaged_yaml(file: str) -> Any:
    """Return the contents of a file of the catalogue, dates as text.

    Nobody else writes these files, so that the strict parser need not read them: PyYAML's in C,
    where it has one, takes a tenth of the time, which every process of a sweep pays.
    """
    text = resources.files("pipeline.catalogue").joinpath(file).read_text(encoding="utf-8")
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
