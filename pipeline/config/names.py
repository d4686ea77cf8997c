"""Puts what a config names, files and models of the catalogue, where the names stood."""

from __future__ import annotations

from pathlib import Path

from pipeline.catalogue import UnknownNameError, find_model
from pipeline.config.checks import ONE_NETWORK
from pipeline.config.csv_directory import read_matrix
from pipeline.config.document import Document
from pipeline.config.hugging_face import beyond_usual, read_hf_config
from pipeline.config.schema import NAMING, ModelSection
from pipeline.config.yaml_file import read_yaml
from pipeline.errors import InputError

# A model whose fields are all these is stated as a whole.
SHAPE = {name for name, field in ModelSection.model_fields.items() if field.is_required()}


def resolve_names(document: Document, base: Path) -> None:
    """Put what a config names where the names stood: files, and models of the catalogue.

    base: the folder that the names of files are relative to. What cannot be read is noted among
    the document's faults.
    """
    _resolve_matrix(document, base)
    _resolve_hf_config(document, base)
    _resolve_model_hf_config(document, base)
    _resolve_catalogue(document)
    for name in ("constants", "hardware"):
        _resolve_performance(document, base, name)


def _resolve_matrix(document: Document, base: Path) -> None:
    """Read the file under `network.matrix` into `network.rows`."""
    network = document.data.get("network")
    if not isinstance(network, dict) or not isinstance(network.get("matrix"), str):
        return
    if "rows" in network:
        document.faults.append(document.lacking(("network",), ONE_NETWORK))
    file = base / network.pop("matrix")
    document.origins["network", "rows"] = (str(file), "matrix")
    network["rows"] = []
    try:
        network["rows"], document.labels[str(file)] = read_matrix(file)
    except InputError as error:
        document.note_unread(error, ("network", "matrix"))


def _resolve_catalogue(document: Document) -> None:
    """Put the catalogue's fields in place of `model.catalogue`; fields beside it stay."""
    model = document.data.get("model")
    if not isinstance(model, dict) or "catalogue" not in model:
        return
    named = model["catalogue"]
    stated = {key: value for key, value in model.items() if key != "catalogue"}
    try:
        shape = find_model(str(named)).shape
    except UnknownNameError as error:
        path = ("model", "catalogue")
        reason = f"{error.reason}; or give its config.json under hf_config"
        document.faults.append(document.fault(path, reason, named))
        document.origins["model",] = document.where(path)
        document.data = {key: value for key, value in document.data.items() if key != "model"}
        return
    if stated.keys() >= SHAPE:
        whole = f"model={{catalogue: {named}}}"
        reason = f"is not looked at beside a whole model; for this one alone give {whole}"
        document.faults.append(document.fault(("model", "catalogue"), reason, named))
    document.data = {**document.data, "model": {**beyond_usual(shape), **stated}}


def _resolve_hf_config(document: Document, base: Path) -> None:
    """Read the file under `hf_config` into `model`, where single fields go before the file's."""
    named = document.data.pop("hf_config", None)
    if named is None:
        return
    model = document.data.get("model", {})
    if not isinstance(model, dict) or model.keys() >= SHAPE or model.keys() & NAMING["model"]:
        reason = "cannot stand beside model; leave one of them out"
        document.faults.append(document.fault(("hf_config",), reason, named))
    elif model and isinstance(named, str):
        document.origins["model", "hf_config"] = document.where(("hf_config",))
        document.data = {**document.data, "model": {**model, "hf_config": named}}
    elif isinstance(named, str):
        document.origins["model",] = (str(base / named), "")
        try:
            document.data["model"] = read_hf_config(base / named)
        except InputError as error:
            document.note_unread(error, ("hf_config",))
    else:
        document.faults.append(document.fault(("hf_config",), "must be the name of a file", named))
        document.origins["model",] = document.where(("hf_config",))
        document.data.pop("model", None)


def _resolve_model_hf_config(document: Document, base: Path) -> None:
    """Put what the file under `model.hf_config` says beside the fields that are stated there."""
    model = document.data.get("model")
    if not isinstance(model, dict) or "hf_config" not in model:
        return
    named, read = model["hf_config"], {}
    stated = {key: value for key, value in model.items() if key not in NAMING["model"]}
    stated_at = [(("model", key), document.where(("model", key))) for key in stated]
    path = ("model", "hf_config")
    if "catalogue" in model:
        document.faults.append(document.fault(path, "cannot stand beside catalogue", named))
    if isinstance(named, str):
        try:
            read = read_hf_config(base / named, stated)
        except InputError as error:
            document.note_unread(error, path)
            document.origins["model",] = (str(base / named), "")
        document.origins |= {("model", key): (str(base / named), key) for key in read}
    else:
        document.faults.append(document.fault(path, "must be the name of a file", named))
    document.origins.update(stated_at)
    document.data = {**document.data, "model": {**read, **stated}}


def _resolve_performance(document: Document, base: Path, name: str) -> None:
    """Read the file under `performance.constants` or `performance.hardware` into its place."""
    performance = document.data.get("performance")
    named = performance.get(name) if isinstance(performance, dict) else None
    if not isinstance(performance, dict) or named is None or isinstance(named, dict):
        return
    path, read = ("performance", name), {}
    if isinstance(named, str):
        file = base / named
        try:
            read = {name: read_yaml(file).data}
            document.origins[path] = (str(file), "")
        except InputError as error:
            document.note_unread(error, path)
    else:
        document.faults.append(document.fault(path, "must be the name of a file", named))
    others = {key: value for key, value in performance.items() if key != name}
    document.data = {**document.data, "performance": {**others, **read}}
