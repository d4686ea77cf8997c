"""Says in plain words what pydantic found wrong, naming the field as the user wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.config.document import Document, FieldPath
from pipeline.config.schema import NAMING, Config
from pipeline.errors import Fault
from pipeline.fault_words import UNKNOWN_FIELD, reason
from pipeline.words import close_names

# So many names can be read at a glance.
FEW_FIELDS = 8
IN_CATALOGUE = "a name of the catalogue goes under model.catalogue"


def faults_of(error: ValidationError, document: Document) -> Iterable[Fault]:
    """Translate every error found in a document."""
    for detail in error.errors(include_url=False):
        path = detail["loc"]
        if detail["type"] == "missing":
            yield document.lacking(path, "is missing" + _named_alone(detail))
        elif detail["type"] == "extra_forbidden":
            hint = _hint(path[-1], _known_fields(path[:-1]))
            yield document.fault(path, f"{UNKNOWN_FIELD}{hint}", detail["input"])
        else:
            yield document.fault(path, reason(detail) + _advice(detail), detail["input"])


def _elsewhere(name: str | int) -> str:
    """Name the section that has a field of this name, where there is one."""
    fields = [f"{at}.{name}" for at in Config.model_fields if name in _known_fields((at,))]
    return f"; there is {' and '.join(fields)}" if fields else ""


def _named_alone(detail: ErrorDetails) -> str:
    """Say, once, where a name of the catalogue belongs where the model has a name and no shape."""
    is_first = detail["loc"] == ("model", "num_hidden_layers")
    return f"; {IN_CATALOGUE}" if is_first and detail["input"].keys() <= {"name"} else ""


def _advice(detail: ErrorDetails) -> str:
    """Say where the value that was given belongs, where it is one that is often misplaced."""
    path, given = detail["loc"], detail["input"]
    if path == ("model",) and isinstance(given, str):
        return f"; {IN_CATALOGUE}"
    if path == ("performance",):
        return ", as {model: flops} or {model: roofline}"
    is_one = detail["type"] in ("int_type", "float_type", "string_type", "bool_type")
    if is_one and isinstance(given, list) and path[0] not in ("sweep", "solver", "name"):
        return "; values to cross go under sweep.over"
    return ""


def _known_fields(path: FieldPath) -> list[str]:
    """List the fields of the section that a path leads to."""
    section: type[BaseModel] | None = Config
    for part in path:
        # A part that is no field is an index or a key of the user's own, as a GPU's name.
        if section is not None and part in section.model_fields:
            annotation = section.model_fields[str(part)].annotation
            section = next(iter(_sections_in(annotation)), None)
    naming = NAMING.get(".".join(map(str, path)), ())
    return [*section.model_fields, *naming] if section else []


def _sections_in(annotation: Any) -> Iterable[type[BaseModel]]:
    """Find the sections named in an annotation, as in `list[GpuSection]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _sections_in(argument)


def _hint(name: str | int, known: Iterable[str]) -> str:
    """Name the field that was meant; else all that there are, where few, and those elsewhere."""
    names = list(known)
    if near := close_names(str(name), names, n=1):
        return f", did you mean {near[0]}?"
    listed = f"; known: {', '.join(names)}" if 0 < len(names) <= FEW_FIELDS else ""
    return listed + _elsewhere(name)
