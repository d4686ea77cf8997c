"""Constants of the roofline model as files: priors read, fitted effects read and written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from pipeline.catalogue.errors import CatalogueError
from pipeline.catalogue.packaged import packaged, validated
from pipeline.errors import SourceError
from pipeline.roofline.constants import CONSTANT_NAMES, LEVELS, ConstantTable, Effect, Prior, Spread
from pipeline.texts import TextError, check_name, check_printable, parse_yaml, read_text

FORMAT = "roofline-constants/1"
MAX_FILE_BYTES = 1024**2
MAX_RATIO = 1e6
# In spreads of the prior. Fits stay within 5, and deviate by no more than the prior; far beyond,
# times and powers of the model overflow.
MOST_SPREADS = {"mean": 10.0, "deviation": 2.0}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _PriorText(_Strict):
    value: float = Field(gt=0)
    fraction: bool = False
    spread: dict[str, float]
    offsets: dict[str, float]
    source: str


class _PriorFile(_Strict):
    constants: dict[str, _PriorText]


def _one_of(names: tuple[str, ...]) -> AfterValidator:
    """Check that a text is one of some names."""

    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return value

    return AfterValidator(check)


def _about_one(bounds: list[float]) -> list[float]:
    """Check that a range of measured over predicted holds the prediction itself."""
    if not 1 / MAX_RATIO <= bounds[0] <= 1 <= bounds[1] <= MAX_RATIO:
        least, most = f"{1 / MAX_RATIO:g}", f"{MAX_RATIO:g}"
        raise ValueError(f"must be a share from {least} to 1, and one from 1 to {most}")
    return bounds


Range = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_about_one)]


class _EffectText(_Strict):
    constant: Annotated[str, _one_of(CONSTANT_NAMES)]
    level: Annotated[str, _one_of(LEVELS)]
    member: Annotated[str, Field(min_length=1), AfterValidator(check_name)]
    mean: float
    deviation: float = Field(ge=0)
    determined: float = Field(ge=0, le=1)

    @field_validator("mean", "deviation")
    @classmethod
    def _within_reach(cls, value: float, given: ValidationInfo) -> float:
        prior = _priors().get(given.data.get("constant", ""))
        spread = prior.spread.get(given.data.get("level", "")) if prior else None
        most = MOST_SPREADS[str(given.field_name)] * (spread or 1.0)
        if abs(value) > most:
            bound = f"at most {most:g}" if value > 0 else f"at least {-most:g}"
            raise ValueError(f"must be {bound} for this constant and level")
        return value


class _SpreadText(_Strict):
    known: Range
    unknown: Range


def _sound(effects: list[_EffectText]) -> list[_EffectText]:
    """Check that every effect is one that the model has, and stands there once."""
    seen: set[tuple[str, str, str]] = set()
    for effect in effects:
        name = f"{effect.constant} / {effect.level} {effect.member}"
        levels = _priors()[effect.constant].spread
        if effect.level not in levels:
            raise ValueError(f"{name}: {effect.constant} differs by {', '.join(levels)} alone")
        if (effect.constant, effect.level, effect.member) in seen:
            raise ValueError(f"{name}: stands here twice")
        seen.add((effect.constant, effect.level, effect.member))
    return effects


class FittedConstants(_Strict):
    """What a file of fitted constants holds; `undetermined` is for readers and follows from it."""

    format: Annotated[str, _one_of((FORMAT,))]
    provenance: Annotated[str, AfterValidator(check_printable)]
    prediction_spread: _SpreadText
    undetermined: list[str] = Field(default_factory=list, exclude=True)
    effects: Annotated[list[_EffectText], AfterValidator(_sound)]


@cache
def _priors() -> dict[str, Prior]:
    file = packaged(_PriorFile, "constants.yaml")
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
    return table_of(validated(FittedConstants, contents, name))


def table_of(fitted: FittedConstants) -> ConstantTable:
    """Return the table of constants that the contents of a file make with the package's priors."""
    effects = tuple(Effect(**effect.model_dump()) for effect in fitted.effects)
    (low, high), (lowest, highest) = (
        fitted.prediction_spread.known,
        fitted.prediction_spread.unknown,
    )
    spread = Spread((low, high), (lowest, highest))
    return ConstantTable(_priors(), effects, fitted.provenance, spread)


def write_constants(table: ConstantTable, path: str | os.PathLike[str]) -> None:
    """Write fitted constants as YAML, whole or not at all (temporary name, then rename).

    Raises SourceError where they cannot be written, and CatalogueError where they could not be
    read again.
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
        read_constants(temporary)
        temporary.replace(target)
    except OSError as error:
        raise SourceError(f"{target}: cannot be written: {error.strerror or error}") from error
    except CatalogueError as error:
        told = error.message().replace(temporary.name, target.name)
        raise CatalogueError(told) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


@cache
def shipped_table() -> ConstantTable:
    """Return the constants that come with the package, fitted on public measurements."""
    return table_of(packaged(FittedConstants, "calibration.yaml"))


NAMED: Mapping[str, Callable[[], ConstantTable]] = {"shipped": shipped_table, "priors": prior_table}
"""Constants that have a name: those that come with the package, and those before any fit."""


def named_constants(name: str) -> ConstantTable:
    """Return the constants of a name in `NAMED` or of a file. Raises CatalogueError."""
    return NAMED[name]() if name in NAMED else read_constants(name)
