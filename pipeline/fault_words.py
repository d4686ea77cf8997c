"""Says in plain words what pydantic found wrong with a value."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic_core import ErrorDetails

from pipeline.errors import Fault

UNKNOWN_FIELD = "is not a known field"

_PLAIN: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": UNKNOWN_FIELD,
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
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
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d*,\d+\s*", re.ASCII)


def reason(detail: ErrorDetails) -> str:
    """Return the reason as a clause that follows the field's name."""
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    pattern = _PLAIN.get(detail["type"])
    if pattern is None:
        return detail["msg"][:1].lower() + detail["msg"][1:]
    words, given = pattern.format(**detail.get("ctx", {})), detail["input"]
    is_number = isinstance(given, str) and _DECIMAL_COMMA.fullmatch(given)
    return f"{words} with a decimal point" if is_number and words == "must be a number" else words


def told(file: str, detail: ErrorDetails) -> str:
    """Write a fault of a file as `file: field: reason (got value)`."""
    field = ".".join(str(part) for part in detail["loc"]) or "file"
    # Where a field is missing, the input is all that stands around it.
    given = detail["type"] != "missing"
    return str(Fault(file, field, reason(detail), detail["input"], shows_value=given))
