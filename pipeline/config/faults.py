"""Says in plain words what pydantic found wrong, naming the field as the user wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.config.document import Document, Path
from pipeline.config.schema import Config
from pipeline.errors import Fault
from pipeline.words import close_names

_PLAIN: Mapping[str, str] = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must hold fields",
    "model_type": "must hold fields",
    "model_attributes_type": "must hold fields",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "too_long": "must hold at most {max_length}",
}


def faults_of(error: ValidationError, document: Document) -> Iterable[Fault]:
    """Translate every error found in a document."""
    for detail in error.errors(include_url=False):
        path = detail["loc"]
        if detail["type"] == "missing":
            yield document.lacking(path, "is missing")
        elif detail["type"] == "extra_forbidden":
            hint = _hint(path[-1], _known_fields(path[:-1]))
            yield document.fault(path, f"is not a known field{hint}", detail["input"])
        else:
            yield document.fault(path, _reason(detail), detail["input"])


def _reason(detail: ErrorDetails) -> str:
    """Return the reason as a clause that follows the field's name."""
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    pattern = _PLAIN.get(detail["type"])
    if pattern is None:
        return detail["msg"][:1].lower() + detail["msg"][1:]
    return pattern.format(**detail.get("ctx", {}))


def _known_fields(path: Path) -> list[str]:
    """List the fields of the section that a path leads to."""
    section: type[BaseModel] | None = Config
    for part in path:
        # A part that is no field is an index or a key of the user's own, as a GPU's name.
        if section is not None and part in section.model_fields:
            annotation = section.model_fields[str(part)].annotation
            section = next(iter(_sections_in(annotation)), None)
    return list(section.model_fields) if section else []


def _sections_in(annotation: Any) -> Iterable[type[BaseModel]]:
    """Find the sections named in an annotation, as in `list[GpuSection]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _sections_in(argument)


def _hint(name: str | int, known: Iterable[str]) -> str:
    near = close_names(str(name), known, n=1)
    return f", did you mean {near[0]}?" if near else ""
