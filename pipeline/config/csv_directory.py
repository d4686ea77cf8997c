"""Reads the published system's directory of three CSV files into a document.

`config.csv` (parameter,value), `gpu_pool.csv` (gpu_type,count,memory_gb,dollar_per_hour) and
`network_bandwidth.csv` (square, with a header row and an index column, both in the order of the
GPUs' ids).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.config.document import Document, FieldPath
from pipeline.config.matrix_labels import Labels
from pipeline.config.yaml_file import not_taken, read_text
from pipeline.errors import Fault, InputError, missing
from pipeline.texts import TextError, parse_csv
from pipeline.texts.numbers import is_plain
from pipeline.texts.plain_data import MAX_DIGITS
from pipeline.words import counted

CONFIG_FILE = "config.csv"
POOL_FILE = "gpu_pool.csv"
NETWORK_FILE = "network_bandwidth.csv"
FILES = (CONFIG_FILE, POOL_FILE, NETWORK_FILE)
PERCENTILE = "network_bandwidth_percentile_threshold"
QUANTIZED = "enable_segment_quantization"
BATCH_RANGE = ("min_batch_size", "max_batch_size")
# Parameters and pool are short; a matrix is held as some forty bytes a number.
MAX_TABLE_BYTES, MAX_ROWS = 1024**2, 1000
MAX_MATRIX_BYTES, MAX_MATRIX_GPUS = 64 * 1024**2, 1000

# What the published system assumes where a parameter is absent.
DEFAULTS: Mapping[FieldPath, Any] = {
    ("limits", "max_stages"): 8,
    ("limits", "min_memory_utilization"): 0.5,
    ("limits", "min_layers_per_stage"): 10,
    ("limits", "tp_degrees"): [1, 2, 4, 8],
    ("network", "drop_below_percentile"): 10.0,
    ("model", "bytes_per_weight"): 2,
}


def _percent(share: Any) -> Any:
    return share * 100 if _is_number(share) else share


def _per_million(price: Any) -> Any:
    return price * 1_000_000 if _is_number(price) else price


def _sizes(coarse: Any) -> Any:
    """Return the 14 sizes of the published system, or the 6 that it calls quantised."""
    return {True: ["coarse"], False: ["fine"]}.get(coarse, coarse)


def _listed(value: Any) -> Any:
    return [value]


def _as_is(value: Any) -> Any:
    return value


PARAMETERS: Mapping[str, tuple[FieldPath, Callable[[Any], Any]]] = {
    "model_name": (("model", "name"), _as_is),
    "num_decoder_layers": (("model", "num_hidden_layers"), _as_is),
    "d_model": (("model", "hidden_size"), _as_is),
    "d_hidden": (("model", "intermediate_size"), _as_is),
    "vocab_size": (("model", "vocab_size"), _as_is),
    "num_attention_heads": (("model", "num_attention_heads"), _as_is),
    "layer_weight_memory_gb": (("model", "layer_weight_gb"), _as_is),
    "bytes_per_element": (("model", "bytes_per_weight"), _as_is),
    "sequence_length": (("workload", "sequence_length"), _as_is),
    "batch_size": (("workload", "batch_size"), _as_is),
    "max_pipeline_stages": (("limits", "max_stages"), _as_is),
    "min_layers_per_stage": (("limits", "min_layers_per_stage"), _as_is),
    "min_memory_utilization": (("limits", "min_memory_utilization"), _as_is),
    PERCENTILE: (("network", "drop_below_percentile"), _percent),
    "time_limit_seconds": (("solver", "time_limit_s"), _as_is),
    "optimality_gap": (("solver", "mip_gap"), _as_is),
    QUANTIZED: (("sweep", "granularities"), _sizes),
    "cost_throughput_weight": (("sweep", "cost_weights"), _listed),
    "max_hourly_cost": (("sweep", "budgets_usd_per_hour"), _listed),
    "max_cost_per_token": (("sweep", "target_usd_per_million_tokens"), _per_million),
    "throughput_normalization": (
        ("sweep", "normalization", "throughput_tokens_per_s"),
        _as_is,
    ),
    "cost_normalization": (("sweep", "normalization", "cost_usd_per_hour"), _as_is),
}
"""Each parameter of `config.csv`: the field that it fills and how its value is translated.

`min_batch_size` and `max_batch_size` are read apart: equal, they are the batch size; unequal,
the larger is the batch size and a sweep crosses the doublings from one to the other.
"""

POOL_COLUMNS: Mapping[str, str] = {
    "gpu_type": "gpu",
    "count": "count",
    "memory_gb": "memory_gb",
    "dollar_per_hour": "usd_per_hour",
}


def read_directory(directory: Path) -> Document:
    """Read the three files; the document notes what is wrong with each.

    Raises InputError for a folder that has none of them.
    """
    if not any(os.path.exists(directory / name) for name in FILES):
        reason = f"must hold {FILES[0]}, {FILES[1]} and {FILES[2]} where it is a folder"
        if os.path.exists(directory / "run.json"):
            reason = "is the folder of a sweep, which compare, report and export read"
        # A folder that was given as "." has no name to be known by.
        named = directory if directory.name else directory.resolve()
        raise InputError([missing(str(named), "file", reason)])
    document = Document(str(directory), {"name": directory.resolve().name})
    for read in (_read_parameters, _read_pool, _read_network):
        try:
            read(directory, document)
        except InputError as error:
            document.note_unread(error)
    return document


def _read_parameters(directory: Path, document: Document) -> None:
    """Fill model, workload, limits, solver and sweep from `config.csv`."""
    file = str(directory / CONFIG_FILE)
    document.data |= {"model": {}, "workload": {}}
    document.origins |= {path: (file, name) for name, (path, _) in PARAMETERS.items()}
    given = _given(_table(directory / CONFIG_FILE), document, file)
    share, quantized = given.get(PERCENTILE, 0), given.get(QUANTIZED, True)
    if _is_number(share) and not 0 <= share <= 1:
        document.faults.append(Fault(file, PERCENTILE, "must be a share from 0 to 1", share))
    if quantized not in (True, False):
        document.faults.append(Fault(file, QUANTIZED, "must be true or false", quantized))
    for path, value in DEFAULTS.items():
        _put(document, path, value, document.where(path))
    for name, (path, translate) in PARAMETERS.items():
        if name in given:
            _put(document, path, translate(given[name]), (file, name))
    _put_batch_sizes(document, given, file)


def _given(table: list[list[str]], document: Document, file: str) -> dict[str, Any]:
    """Return the value of each parameter; rows that are none are noted among the faults."""
    given: dict[str, Any] = {}
    header = table[0]
    has_header = _is_header(header)
    if not has_header:
        reason = "must be the header, parameter,value"
        document.faults.append(Fault(file, "line 1", reason, ",".join(header)))
    elif "value" in [cell.casefold() for cell in header[:1] + header[2:]]:
        reason = "must have value as its second column"
        document.faults.append(Fault(file, "line 1", reason, ",".join(header)))
    for line, row in enumerate(table[has_header:], start=1 + has_header):
        name, value = [*row, ""][:2]
        if any(row[max(2, len(header)) :]):
            reason = f"has {counted(len(row), 'value')}, the header has {len(header)}"
            document.faults.append(Fault(file, name, reason, ",".join(row)))
        if name in given:
            reason = f"stands here twice, again in line {line}"
            document.faults.append(Fault(file, name, reason, value))
        elif _is_parameter(name):
            given[name] = value if name == "model_name" else _parsed(value)
        else:
            field = name or f"line {line}"
            document.faults.append(Fault(file, field, "is not a known parameter", value))
    return given


def _is_header(row: list[str]) -> bool:
    """Tell whether a first row names columns, in whatever words; a number names none."""
    return not _is_parameter(row[0]) and isinstance(_parsed([*row, ""][1]), str)


def _is_parameter(name: str) -> bool:
    return name in PARAMETERS or name in BATCH_RANGE


def _put_batch_sizes(document: Document, given: Mapping[str, Any], file: str) -> None:
    """Translate min_batch_size and max_batch_size, where batch_size itself is not given."""
    names = [name for name in BATCH_RANGE if name in given]
    if "batch_size" in given or not names:
        return
    _put(document, ("workload", "batch_size"), given[names[-1]], (file, names[-1]))
    low, high = given[names[0]], given[names[-1]]
    if len(names) == 1 or type(high) is not int or high < 1:
        return  # told by the schema
    if type(low) is not int or low < 1:
        reason = "must be a whole number of at least 1"
        document.faults.append(Fault(file, names[0], reason, low))
    elif low > high:
        reason = f"must be at most max_batch_size {high}"
        document.faults.append(Fault(file, names[0], reason, low))
    elif low < high:
        doublings = [low * 2**i for i in range((high // low).bit_length())]
        batches = sorted({*doublings, high})
        _put(document, ("sweep", "over"), {"workload.batch_size": batches}, (file, names[0]))


def _read_pool(directory: Path, document: Document) -> None:
    """Fill the pool from `gpu_pool.csv`."""
    file = str(directory / POOL_FILE)
    document.origins["pool",] = (file, "rows")
    header, *rows = _table(directory / POOL_FILE)
    for position, name in enumerate(header):
        if not name:
            field = f"column {position + 1}"
            document.faults.append(missing(file, field, "has no name"))
        elif name not in POOL_COLUMNS:
            document.faults.append(Fault(file, name, "is not a known column", name))
        elif name in header[:position]:
            document.faults.append(Fault(file, name, "is a column twice", name))
    for index, row in enumerate(rows):
        label = dict(zip(header, row, strict=False)).get("gpu_type") or f"row {index + 1}"
        for column, key in POOL_COLUMNS.items():
            document.origins["pool", index, key] = (file, f"{column} of {label}")
        if len(row) != len(header):
            reason = f"has {counted(len(row), 'value')}, the header has {len(header)}"
            document.faults.append(Fault(file, f"row {index + 1}", reason, ",".join(row)))
    if "dollar_per_hour" not in header:
        for index in range(len(rows)):
            document.origins["pool", index, "usd_per_hour"] = (file, "dollar_per_hour")
    document.data["pool"] = [
        {
            POOL_COLUMNS[column]: value if column == "gpu_type" else _parsed(value)
            for column, value in zip(header, row, strict=False)
            if column in POOL_COLUMNS
        }
        for row in rows
    ]


def _read_network(directory: Path, document: Document) -> None:
    """Fill the bandwidth matrix from `network_bandwidth.csv`."""
    file = directory / NETWORK_FILE
    _put(document, ("network", "rows"), [], (str(file), "matrix"))
    rows, document.labels[str(file)] = read_matrix(file)
    _put(document, ("network", "rows"), rows, (str(file), "matrix"))


def read_matrix(file: Path) -> tuple[list[list[Any]], Labels]:
    """Read a matrix with a header row and an index column; what is no number stays text.

    The diagonal, a GPU's link to itself, has no meaning: whatever stands there becomes 0.
    """
    matrix: list[list[Any]] = []
    columns: tuple[str, ...] = ()
    index: list[str] = []
    for row, cells in enumerate(_rows(file, MAX_MATRIX_BYTES, blank_header=True)):
        if max(row, len(cells) - 1) > MAX_MATRIX_GPUS:
            reason = (
                f"may be of at most {MAX_MATRIX_GPUS} GPUs; larger pools need gb_per_s with "
                "overrides"
            )
            raise InputError([missing(str(file), "matrix", reason)])
        if row == 0:
            columns = tuple(cells[1:])
            continue
        index.append(cells[0])
        matrix.append([_parsed(value) for value in cells[1:]])
        if row < len(cells):
            matrix[-1][row - 1] = 0.0
    return matrix, Labels(tuple(index), columns)


def _table(file: Path) -> list[list[str]]:
    """Return the rows of a CSV file, stripped, without empty ones. Raises InputError."""
    rows = list(islice(_rows(file, MAX_TABLE_BYTES), MAX_ROWS + 1))
    if len(rows) > MAX_ROWS:
        raise InputError([missing(str(file), "file", f"has more than {MAX_ROWS} rows")])
    return rows


def _rows(file: Path, max_bytes: int, blank_header: bool = False) -> Iterator[list[str]]:
    """Yield the rows of a CSV file, stripped, without empty ones. Raises InputError.

    blank_header: a first row of several cells is the header even where all are empty.
    """
    is_empty = True
    try:
        for number, (_, row) in enumerate(parse_csv(read_text(file, max_bytes))):
            cells = [cell.strip() for cell in row]
            is_header = blank_header and number == 0 and len(cells) > 1
            if any(cells) or is_header:
                is_empty = False
                yield cells
    except TextError as error:
        raise not_taken(error, str(file)) from None
    if is_empty:
        raise InputError([missing(str(file), "file", "is empty")])


def _put(document: Document, path: FieldPath, value: Any, origin: tuple[str, str]) -> None:
    """Store a value in the document under a path of section names, with where it came from."""
    at: Any = document.data
    for part in path[:-1]:
        at = at.setdefault(part, {})
    at[path[-1]] = value
    document.origins[path] = origin


def _parsed(text: str) -> Any:
    """Read a cell as whole number, number, truth value or text, in this order."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float) if len(text) <= MAX_DIGITS and is_plain(text) else ():
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
