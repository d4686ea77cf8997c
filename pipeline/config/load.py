"""Loads a config: reads it, applies overrides, finds all faults at once, gives instances."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline.config.build import build_instance, build_pool
from pipeline.config.checks import check_labels, run_checks
from pipeline.config.csv_directory import read_directory
from pipeline.config.document import Document, FieldPath, key_parts, path_of
from pipeline.config.faults import faults_of
from pipeline.config.names import resolve_names
from pipeline.config.packaged import located
from pipeline.config.schema import Config, Section
from pipeline.config.yaml_file import parse_yaml, read_yaml
from pipeline.errors import Fault, InputError
from pipeline.fault_words import UNKNOWN_FIELD
from pipeline.instance import Instance
from pipeline.network import TooManyZonesError

Assignment = tuple[str, Any]
# Sections that are no part of the instance, and what is read before anything is swept: files and
# the catalogue.
NOT_SWEPT = (
    ["name"],
    ["solver"],
    ["sweep"],
    ["hf_config"],
    ["model", "hf_config"],
    ["model", "catalogue"],
    ["network", "matrix"],
    ["performance", "constants"],
    ["performance", "hardware"],
)

IS_MODEL = "must be a config, and is the config.json of a model: name it under hf_config of one"


@dataclass(frozen=True)
class LoadedConfig:
    """A checked config together with the document that it came from."""

    config: Config
    document: Document

    @cached_property
    def instance(self) -> Instance:
        """The instance as the config states it, before anything is swept. Raises InputError."""
        try:
            return build_instance(self.config)
        except TooManyZonesError as error:
            raise InputError([self.document.lacking(("network",), str(error))]) from None

    def variants(self) -> Iterator[tuple[dict[str, Any], LoadedConfig]]:
        """Yield every combination of the swept fields, with the config that it makes.

        Raises InputError for a combination that is unsound, though each value alone is sound.
        """
        over = self.config.sweep.over
        for values in itertools.product(*over.values()):
            swept = dict(zip(over, values, strict=True))
            yield swept, self.swept(list(swept.items())) if swept else self

    def swept(self, assignments: Sequence[Assignment]) -> LoadedConfig:
        """Return this config with swept values in place. Raises InputError."""
        return self.with_values(assignments, self.document.file, "sweep.over.")

    def with_values(
        self, assignments: Sequence[Assignment], origin: str, prefix: str = ""
    ) -> LoadedConfig:
        """Return this config with fields replaced.

        Raises InputError; a fault of a replaced field names the origin, and the field behind the
        prefix.
        """
        document = self.document.with_values(assignments, origin, prefix)
        return LoadedConfig(_validated(document, self), document)


def load_config(path: str | Path, assignments: Sequence[Assignment] = ()) -> LoadedConfig:
    """Load a YAML file, a directory of CSV files, or a config of the package by its name.

    assignments: fields to replace, as ("workload.batch_size", 16). Raises InputError with every
    fault that was found.
    """
    source = located(Path(path))
    is_directory = os.path.isdir(source)
    document = (read_directory if is_directory else read_yaml)(source)
    if "num_hidden_layers" in document.data:
        raise InputError([Fault(str(source), "file", IS_MODEL, source.name)])
    document = document.with_values(assignments, "--set")
    base = source if is_directory else source.parent
    resolve_names(document, base)
    document.faults += check_labels(document)
    loaded = LoadedConfig(_validated(document), document)
    _check_swept_values(loaded)
    return loaded


def stored_config(run: Mapping[str, Any]) -> LoadedConfig:
    """Return the config that a run was made with, as its `run.json` holds it.

    Raises InputError where it was changed so that it is no config any more.
    """
    config = run.get("config")
    if not isinstance(config, dict):
        raise InputError([Fault("run.json", "config", "must hold fields", config)])
    document = Document("run.json: config", dict(config))
    return LoadedConfig(_validated(document), document)


def parse_assignments(texts: Sequence[str]) -> list[Assignment]:
    """Read key=value texts; the value is read as YAML. Raises InputError."""
    faults: list[Fault] = []
    assignments: list[Assignment] = []
    for text in texts:
        before, equals, value = text.partition("=")
        key = before.strip()
        if not key or not equals:
            reason = "must be key=value, as workload.batch_size=16"
            faults.append(Fault("--set", text, reason, text))
        elif not _is_utf8(key):
            faults.append(Fault("--set", key, "is not UTF-8 text", key))
        else:
            try:
                assignments.append((key, parse_yaml(value, f"--set: {key}")))
            except InputError as error:
                faults += error.faults
    if faults:
        raise InputError(faults)
    return assignments


def _is_utf8(text: str) -> bool:
    """Tell whether a text is one; what else a terminal hands on comes as half characters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _validated(document: Document, before: LoadedConfig | None = None) -> Config:
    """Validate every field, then what the sound sections say together.

    before: a config whose sections need not be validated again where they are the same. Raises
    InputError with all faults, first those found while reading.
    """
    faults: list[Fault] = []
    broken: set[str | int] = set()
    try:
        config = Config.model_validate(document.data | _unchanged(document, before))
        sections = {name: getattr(config, name) for name in Config.model_fields}
    except ValidationError as error:
        faults += faults_of(error, document)
        broken = {detail["loc"][0] for detail in error.errors(include_url=False)}
        sections = _sound_sections(document, broken)
    faults += run_checks(document, sections)
    faults = document.faults + document.news(faults)
    if faults:
        raise InputError(faults)
    return config


def _unchanged(document: Document, before: LoadedConfig | None) -> dict[str, Section]:
    """Return the sections of an earlier config whose data are the very same; lists are small."""
    if before is None:
        return {}
    known = before.document.data
    return {
        name: section
        for name, section in before.config
        if isinstance(section, Section) and document.data.get(name, known) is known.get(name)
    }


def _sound_sections(document: Document, broken: set[str | int]) -> dict[str, Any]:
    """Validate the sections in which no fault was found, each by itself."""
    sections: dict[str, Any] = {}
    for name, field in Config.model_fields.items():
        if name in document.data and name not in broken:
            sections[name] = TypeAdapter(field.rebuild_annotation()).validate_python(
                document.data[name]
            )
        elif name not in broken:
            sections[name] = field.get_default(call_default_factory=True)
    return sections


def _check_swept_values(loaded: LoadedConfig) -> None:
    """Check every value of every swept field by itself, so that a sweep cannot stumble later."""
    faults = list(_swept_twice(loaded))
    for key, values in loaded.config.sweep.over.items():
        parts = key_parts(key)
        if parts[:1] in NOT_SWEPT or parts in NOT_SWEPT:
            field = f"sweep.over.{key}"
            faults.append(Fault(loaded.document.file, field, "cannot be swept", values))
            continue
        faults += _value_faults(loaded, key, values)
    if faults:
        raise InputError(faults)


def _value_faults(loaded: LoadedConfig, key: str, values: Sequence[Any]) -> Iterator[Fault]:
    """Yield the faults of a swept field's values."""
    known: set[str] = set()
    for value in values:
        try:
            variant = loaded.swept([(key, value)])
        except InputError as error:
            yield from error.faults
            if any(fault.reason.startswith(UNKNOWN_FIELD) for fault in error.faults):
                return  # the same for every value
            continue
        # Ids are of what a value makes of the config: 600 and 600.0 would be run twice as one, and
        # so would the memory that a GPU has by itself and the same stated.
        config, section = variant.config, str(key_parts(key)[0])
        made = repr(build_pool(config) if section == "pool" else getattr(config, section))
        if made in known:
            reason = "stands there twice, if in other words"
            yield Fault(loaded.document.file, f"sweep.over.{key}", reason, value)
        known.add(made)


def _swept_twice(loaded: LoadedConfig) -> Iterator[Fault]:
    """Yield the swept fields that are, or lie in, what another swept field replaces."""
    paths: dict[str, FieldPath] = {}
    for key, values in loaded.config.sweep.over.items():
        with contextlib.suppress(LookupError, TypeError):  # told where its values are checked
            path = path_of(loaded.document.data, key)
            for other, known in paths.items():
                length = min(len(path), len(known))
                if path[:length] == known[:length]:
                    reason = f"cannot be swept beside {other}"
                    field = f"sweep.over.{key}"
                    yield Fault(loaded.document.file, field, reason, values)
            paths[key] = path
