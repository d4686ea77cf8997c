"""Checks what a results folder holds before anything is made of it: `run.json`, then the tables.

A folder may come from anywhere. What is refused here is what no reader could make sense of; that a
value is wrong, and the placement not what the config says, is for the verification to find.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import ResultsError
from pipeline.fault_words import told
from pipeline.results.folder import Folder, LocalFolder
from pipeline.results.schema import METHODS, POINT_COLUMNS, SEGMENT_COLUMNS, STATUSES, Column
from pipeline.texts import check_printable

# Each row has an id of its own, which no compression makes shorter than a byte.
BYTES_PER_ROW, FEW_ROWS = 1, 10_000
MAX_VALUES, MAX_TEXT_BYTES = 100_000_000, 512 * 1024**2
# What a terminal would obey or show in another order than it stands there; line breaks are text.
UNPRINTABLE = r"[\x00-\x08\x0b-\x1f\x7f-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}]"
# Nothing that is computed comes near; their ratios, and sums over all rows, are numbers still.
MOST = 1e100
SWEPT_TYPES = (pa.string(), pa.int64(), pa.float64(), pa.bool_())


def _time(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("must be a time with its zone")
    return text


def _of_config(names: list[str]) -> list[str]:
    if len(set(names)) != len(names) or {column.name for column in POINT_COLUMNS} & set(names):
        raise ValueError("must name fields of the config, each once")
    return names


Text = Annotated[str, AfterValidator(check_printable)]
Time = Annotated[str, AfterValidator(_time)]
NotNegative = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    """Part of `run.json`; what is not named here is kept and not looked at."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class _Baseline(_Part):
    model_config = ConfigDict(extra="forbid")

    gpu: Text
    tp_degree: Annotated[int, Field(ge=1)]
    reason: str
    tokens_per_s: NotNegative
    usd_per_hour: NotNegative


class _Kind(_Part):
    gpu: Text
    count: Annotated[int, Field(ge=1)]


class _Network(_Part):
    rows: list[Any] | None = None


class _Workload(_Part):
    phase: str | None = None
    input_tokens: Annotated[int, Field(ge=1)] | None = None
    output_tokens: Annotated[int, Field(ge=0)] | None = None


NO_TOKENS = "must state the tokens of whole requests"


def tells_tokens(phase: Any, *tokens: Any) -> bool:
    """Tell whether requests that are served whole have tokens: numbers, 1 or more of each."""
    return phase != "mixed" or all(
        isinstance(number, int | float) and not isinstance(number, bool) and number >= 1
        for number in tokens
    )


def _of_whole_requests(workload: _Workload) -> _Workload:
    """Check that requests which are served whole have tokens."""
    if not tells_tokens(workload.phase, workload.input_tokens, workload.output_tokens):
        raise ValueError(NO_TOKENS)
    return workload


class _Performance(_Part):
    model: Text


class _Solver(_Part):
    time_limit_s: NotNegative


class _Sweep(_Part):
    granularities: list[Text] | None = None
    methods: list[Text] | None = None
    budgets_usd_per_hour: str | list[float] | None = None
    cost_weights: list[float] | None = None
    over: dict[str, list[Any]] | None = None
    target_usd_per_million_tokens: float | None = None


class _PlanConfig(_Part):
    """What telling the points of the plan from those of others takes of the config."""

    sweep: _Sweep | None = None


class _Config(_PlanConfig):
    """What comparisons and the report read of the config; `stored_config` reads all of it."""

    model: dict[str, Any]
    workload: Annotated[_Workload, AfterValidator(_of_whole_requests)]
    pool: list[_Kind]
    network: _Network
    performance: _Performance
    solver: _Solver
    sweep: _Sweep


class _Columns(_Part):
    """What reading the tables takes."""

    swept_fields: Annotated[list[Text], AfterValidator(_of_config)]


class _Ballparks(_Part):
    """The costs that budgets are multiples of, by problem; null where nothing can be placed."""

    ballparks_usd_per_hour: dict[Text, NotNegative | None] | None = None


class _Progress(_Columns, _Ballparks):
    """What a run notes of its course."""

    name: Text
    status: Text
    started_at: Time
    planned_points: Annotated[int, Field(ge=0)] | None = None
    config: _PlanConfig


class _Run(_Progress):
    """What every run notes."""

    finished_at: Time | None = None
    failed: Annotated[int, Field(ge=0)] | None = None
    instance_hash: Text
    granularities: list[Text]
    baseline: list[_Baseline]
    config: _Config


def check_columns(run: Mapping[str, Any], file: object) -> None:
    """Raise ResultsError where `run.json` does not say which fields were swept."""
    _check(_Columns, run, file)


def check_ballparks(run: Mapping[str, Any], file: object) -> None:
    """Raise ResultsError where a ballpark that `run.json` holds is no cost."""
    _check(_Ballparks, run, file)


def check_progress(run: Mapping[str, Any], file: object) -> None:
    """Raise ResultsError where `run.json` does not say how a run goes."""
    _check(_Progress, run, file)


def check_run(run: Mapping[str, Any], file: object) -> None:
    """Raise ResultsError where `run.json` is not what a run notes for comparisons."""
    _check(_Run, run, file)
    for tried in run["baseline"]:
        if not tried["reason"] and not tried["tokens_per_s"]:
            raise ResultsError(f"{file}: baseline: one that fits must have a throughput")


def _check(form: type[BaseModel], run: Mapping[str, Any], file: object) -> None:
    """Raise ResultsError with every fault."""
    try:
        form.model_validate(run)
    except ValidationError as error:
        raise ResultsError("\n".join(told(str(file), fault) for fault in error.errors())) from None


def check_folders(folders: Iterable[Folder]) -> None:
    """Raise OSError where a folder that a run writes to is a link: files elsewhere are not its."""
    for folder in folders:
        if isinstance(folder, LocalFolder) and folder.path.is_symlink():
            raise OSError(f"{folder.name} is a link to another folder")


def read_bounded(file: pa.NativeFile, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file that holds no more than could be kept. Raises ArrowInvalid.

    A few bytes can stand for any number of equal rows, and for any number of equal texts.
    """
    size = file.size()
    with _opened(file) as parquet:
        found, fields = parquet.metadata, parquet.schema_arrow
        chunks = [
            found.row_group(group).column(index)
            for group in range(found.num_row_groups)
            for index in range(found.num_columns)
        ]
        if not 0 <= found.num_rows <= max(size // BYTES_PER_ROW, FEW_ROWS):
            raise pa.ArrowInvalid(f"claims {found.num_rows} rows in {size} bytes")
        if sum(chunk.num_values for chunk in chunks) > MAX_VALUES:
            raise pa.ArrowInvalid(f"claims more than {MAX_VALUES} values")
        if absent := [name for name in columns or () if name not in fields.names]:
            raise pa.ArrowInvalid(f"lacks the columns {', '.join(absent)}")
    texts = [field.name for field in fields if pa.types.is_string(field.type)]
    with pq.ParquetFile(file, read_dictionary=texts) as parquet:
        table = parquet.read(columns=None if columns is None else list(columns))
    return _spelt_out(table, fields)


def _opened(file: pa.NativeFile) -> pq.ParquetFile:
    """Open a Parquet file. Raises ArrowInvalid, where PyArrow cannot read a name too."""
    try:
        return pq.ParquetFile(file)
    except UnicodeDecodeError:
        raise pa.ArrowInvalid("names a column in bytes that are no text") from None


def _spelt_out(table: pa.Table, fields: pa.Schema) -> pa.Table:
    """Write every text where it stands, once it is known how long they are together."""
    coded = [f.name for f in table.schema if pa.types.is_dictionary(f.type)]
    total = sum(
        pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py() or 0
        for name in coded
        for chunk in table[name].chunks
    )
    if total > MAX_TEXT_BYTES:
        raise pa.ArrowInvalid(f"holds {total} bytes of text")
    for name in coded:
        index = table.schema.get_field_index(name)
        column = table.column(index).cast(fields.field(name).type)
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            raise pa.ArrowInvalid(f"{name} holds bytes that are no text") from None
        table = table.set_column(index, fields.field(name), column)
    return table


def check_part(table: pa.Table, file: object) -> None:
    """Raise ResultsError where a part has not the columns of its table.

    The first column that only one of the tables has tells which it is.
    """
    names = table.schema.names
    fixed: Sequence[Column] = SEGMENT_COLUMNS if "stage" in names else POINT_COLUMNS
    if len(set(names)) != len(names):
        raise ResultsError(f"{file}: has a column twice")
    by_name = {column.name: column for column in fixed}
    for name in names:
        kind = table.schema.field(name).type
        wanted = [by_name[name].type] if name in by_name else SWEPT_TYPES
        if not any(_alike(kind, type_) for type_ in wanted):
            expected = " or ".join(map(str, wanted))
            raise ResultsError(f"{file}: {name}: must be of type {expected} (got {kind})")
        if name in by_name:
            _check_column(table[name], by_name[name], file)


def _alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Tell whether two types are the same, whatever a list calls what it holds."""
    if pa.types.is_list(one) and pa.types.is_list(other):
        return bool(one.value_type == other.value_type)
    return bool(one == other)


def completed(table: pa.Table, columns: Sequence[Column], file: object) -> pa.Table:
    """Return a table with all of its columns; those that came with a later version hold nulls.

    Raises ResultsError where a column is absent that cannot be null.
    """
    absent = [column for column in columns if column.name not in table.schema.names]
    if needed := [column.name for column in absent if not column.nullable]:
        raise ResultsError(f"{file}: lacks the columns {', '.join(needed)}")
    for column in absent:
        table = table.append_column(column.field(), pa.nulls(table.num_rows, column.type))
    return table


KNOWN: Mapping[str, Sequence[str]] = {"status": STATUSES, "method": METHODS}


def _check_column(values: pa.ChunkedArray, column: Column, file: object) -> None:
    """Raise ResultsError for nulls, numbers that are none, and words that mean nothing."""
    if not column.nullable and values.null_count:
        raise ResultsError(f"{file}: {column.name}: must not be null")
    if pa.types.is_list(column.type) and pc.list_flatten(values).null_count:
        raise ResultsError(f"{file}: {column.name}: must not hold null")
    if pa.types.is_floating(column.type):
        _check_numbers(values, f"{file}: {column.name}")
    if pa.types.is_timestamp(column.type):
        ends = pa.array([datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)])
        first, last = ends.cast(column.type)
        is_told = pc.and_(pc.greater_equal(values, first), pc.less(values, last))
        if pc.all(is_told).as_py() is False:
            raise ResultsError(f"{file}: {column.name}: must be a time of the years 1970 to 9998")
    if column.name in KNOWN:
        known = KNOWN[column.name]
        odd = [word for word in pc.unique(values).to_pylist() if word not in known]
        if odd:
            words = ", ".join(known)
            raise ResultsError(f"{file}: {column.name}: must be one of {words} (got {odd[0]!r})")


def _check_numbers(values: pa.ChunkedArray, where: str) -> None:
    """Raise ResultsError for numbers whose sums and ratios would be none."""
    if pc.all(pc.is_finite(values)).as_py() is False:
        raise ResultsError(f"{where}: must be finite")
    sizes = pc.abs(values)
    is_far = pc.or_(pc.greater(sizes, MOST), pc.less(sizes, 1 / MOST))
    if pc.any(pc.and_(is_far, pc.not_equal(values, 0.0))).as_py():
        raise ResultsError(f"{where}: must be 0 or of a size from {1 / MOST:g} to {MOST:g}")


def printable_table(table: pa.Table) -> pa.Table:
    """Return a table in whose texts nothing stands that a terminal would obey."""
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = table.column(index)
            if pc.any(pc.match_substring_regex(column, UNPRINTABLE)).as_py():
                clean = pc.replace_substring_regex(column, UNPRINTABLE, "\ufffd")
                table = table.set_column(index, field, clean)
    return table
