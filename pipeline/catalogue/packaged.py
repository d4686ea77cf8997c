"""Reads the YAML files that ship with this package, and checks contents of such files."""

from __future__ import annotations

from importlib import resources
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.catalogue.errors import CatalogueError
from pipeline.fault_words import told

Form = TypeVar("Form", bound=BaseModel)


def packaged(form: type[Form], file: str) -> Form:
    """Return a file of the catalogue, dates in it as text. Raises CatalogueError with every fault.

    Nobody else writes these files, so that the strict parser need not read them: PyYAML's in C,
    where it has one, takes a tenth of the time, which every process of a sweep pays.
    """
    text = resources.files("pipeline.catalogue").joinpath(file).read_text(encoding="utf-8")
    return validated(form, yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), file)


def validated(form: type[Form], contents: object, file: str) -> Form:
    """Return contents checked against a form. Raises CatalogueError with every fault."""
    try:
        return form.model_validate(contents)
    except ValidationError as error:
        raise CatalogueError("\n".join(told(file, fault) for fault in error.errors())) from error
