"""Constants of the roofline model as files: priors read, fitted effects read and written."""

from __future__ import annotations

import contextlib
import os
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.catalogue.errors import CatalogueError
from pipeline.errors import Fault, SourceError
from pipeline.roofline.constants import CONSTANT_NAMES, LEVELS, ConstantTable, Effect, Prior, Spread
from pipeline.texts import TextError, parse_yaml, read_text

FORMAT = "roofline-constants/1"
MAX_FILE_BYTES = 1024**2


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _PriorText(_Strict):
    value: float = Field(gt=0)
    fraction: bool = False
    spread: dict[str, float]
    offsets: dict[str, float]
    source: str


class _PriorFile(_Strict):
    constants: dict[str, _PriorText]


class _EffectText(_Strict):
    constant: str
    level: str
    member: str
    mean: float = Field(ge=-100, le=100)
    deviation: float = Field(ge=0, le=100)
    determined: float = Field(ge=0, le=1)


Ratio = Annotated[float, Field(gt=0, le=1e6)]


class _SpreadText(_Strict):
    known: list[Ratio] = Field(min_length=2, max_length=2)
    unknown: list[Ratio] = Field(min_length=2, max_length=2)


class _FittedFile(_Strict):
    format: str
    provenance: str
    prediction_spread: _SpreadText
    undetermined: list[str]
    effects: list[_EffectText]


def _validated(model: type[Any], contents: object, file: str) -> Any:
    """Contents checked against a schema; raises CatalogueError with every fault."""
    try:
        return model.model_validate(contents)
    except ValidationError as error:
        lines = [
            str(Fault(file, ".".join(map(str, fault["loc"])), fault["msg"], given))
            for fault in error.errors()
            for given in [fault["input"]]
        ]
        raise CatalogueError("\n".join(lines)) from error


@cache
def _priors() -> dict[str, Prior]:
    text = resources.files("pipeline.catalogue").joinpath("constants.yaml").read_text("utf-8")
    file: _PriorFile = _validated(_PriorFile, yaml.safe_load(text), "constants.yaml")
    wrong = set(file.constants) ^ set(CONSTANT_NAMES)
    levels = {level for prior in file.constants.values() for level in prior.spread} - set(LEVELS)
    if wrong or levels:
        raise CatalogueError(f"constants.yaml: names: do not match (got {sorted(wrong | levels)})")
    return {
        name: Prior(text.value, text.fraction, text.spread, text.offsets, text.source)
        for name, text in file.constants.items()
    }


def prior_table() -> ConstantTable:
    """Return the constants as assumed before any measurement."""
    return ConstantTable(
        _priors(), (), "priors only, no measurement", Spread((0.6, 1.7), (0.6, 1.7))
    )


def read_constants(path: str | os.PathLike[str]) -> ConstantTable:
    """Fitted constants from a file of `write_constants`; raises CatalogueError with all faults."""
    name = Path(path).name
    try:
        contents = parse_yaml(read_text(Path(path), MAX_FILE_BYTES))
    except TextError as error:
        raise CatalogueError(f"{name}: {error.where}: {error}") from error
    file: _FittedFile = _validated(_FittedFile, contents, name)
    faults = [
        f"{name}: effects.{index}: constant or level is unknown"
        f" (got {effect.constant!r}, {effect.level!r})"
        for index, effect in enumerate(file.effects)
        if effect.constant not in CONSTANT_NAMES or effect.level not in LEVELS
    ]
    if file.format != FORMAT:
        faults.append(f"{name}: format: must be {FORMAT} (got {file.format!r})")
    if faults:
        raise CatalogueError("\n".join(faults))
    effects = tuple(Effect(**effect.model_dump()) for effect in file.effects)
    known, unknown = file.prediction_spread.known, file.prediction_spread.unknown
    spread = Spread((known[0], known[1]), (unknown[0], unknown[1]))
    return ConstantTable(_priors(), effects, file.provenance, spread)


def write_constants(table: ConstantTable, path: str | os.PathLike[str]) -> None:
    """Write fitted constants as YAML, whole or not at all (temporary name, then rename).

    Raises SourceError where they cannot be written.
    """
    effects = [
        {
            "constant": effect.constant,
            "level": effect.level,
            "member": effect.member,
            "mean": round(effect.mean, 5),
            "deviation": round(effect.deviation, 5),
            "determined": round(effect.determined, 4),
        }
        for effect in table.effects
    ]
    contents = {
        "format": FORMAT,
        "provenance": table.provenance,
        "prediction_spread": {
            "known": [round(value, 4) for value in table.spread.known],
            "unknown": [round(value, 4) for value in table.spread.unknown],
        },
        "undetermined": list(table.undetermined()),
        "effects": effects,
    }
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    text = yaml.safe_dump(contents, sort_keys=False, width=100, default_flow_style=None)
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise SourceError(f"{target}: cannot be written: {error.strerror or error}") from error


@cache
def shipped_table() -> ConstantTable:
    """Return the constants that come with the package, fitted on public measurements."""
    with resources.as_file(
        resources.files("pipeline.catalogue").joinpath("calibration.yaml")
    ) as path:
        return read_constants(path)
