"""Results folders for the fuzz: a small finished run, changed in its files, tables and texts."""

from __future__ import annotations

import io
import json
import socket
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from tests.fuzz.cases import Case, Content, Special
from tests.fuzz.hostile import changed, damaged, values
from tests.sweeps import run_without_ray, small_config

CHANGES = {
    "sweep.methods": ["enumeration", "ratio", "frontier", "weighted", "iterative"],
    "sweep.over": {"workload.batch_size": [1, 2], "pool.Fast.max_tp": [None, 1]},
}
TEXTS = (
    "",
    "-",
    "x",
    "exact",
    "ratio",
    "optimal",
    "error",
    "[1]",
    "{",
    "<b>",
    "A100",
    "é",
    "\x1b[2J",
)


@cache
def sound_run(swept: bool) -> Mapping[str, bytes]:
    """Return the files of a finished run, with and without swept fields."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loaded = small_config(folder, CHANGES if swept else {})
        run_without_ray(loaded, folder / "run")
        return {
            str(file.relative_to(folder)): file.read_bytes()
            for file in sorted((folder / "run").rglob("*"))
            if file.is_file()
        }


@st.composite
def damaged_runs(draw: st.DrawFn, target: str) -> Case:
    """A finished run of which one or two files are not as they were."""
    files: dict[str, Content] = dict(sound_run(draw(st.booleans())))
    files["elsewhere/kept.parquet"] = b"not ours"
    files["out"] = Special("folder")
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(f for f in files if f.startswith("run/"))))
        _damage(draw, files, name)
    if draw(st.integers(0, 9)) == 0:
        _displace(draw, files)
    if draw(st.integers(0, 9)) == 0:
        files["run/run.lock"] = draw(_locks())
    return Case(target, files, tuple(draw(st.lists(st.sampled_from(TEXTS), max_size=1))))


def _damage(draw: st.DrawFn, files: dict[str, Content], name: str) -> None:
    """Change one file of a run."""
    content = files[name]
    if not isinstance(content, bytes):
        return
    way = draw(st.sampled_from(["inside"] * 7 + ["bytes", "bytes", "special", "absent"]))
    if way == "absent":
        del files[name]
    elif way == "special":
        files[name] = draw(_specials())
    elif way == "bytes":
        files[name] = draw(damaged(content, 3))
    elif name.endswith(".json"):
        files[name] = draw(_records(content))
    elif name.endswith(".parquet"):
        files[name] = draw(_tables(content))


def _specials() -> st.SearchStrategy[Special]:
    kinds = ("fifo", "folder")
    targets = ("/dev/zero", "/etc/hostname", "absent", "../elsewhere/kept.parquet", "..")
    return st.sampled_from([*map(Special, kinds), *(Special("link", to) for to in targets)])


def _displace(draw: st.DrawFn, files: dict[str, Content]) -> None:
    """Put a link or a file where a table's folder belongs."""
    table = draw(st.sampled_from(["run/points", "run/segments"]))
    for name in [f for f in files if f.startswith(f"{table}/")]:
        del files[name]
    others: list[Content] = [Special("link", "../elsewhere"), b"", Special("fifo")]
    files[table] = draw(st.sampled_from(others))


def _locks() -> st.SearchStrategy[Content]:
    texts = [
        b"",
        b"{",
        b'{"host": "elsewhere", "pid": 1, "since": "x"}',
        b'{"host": 1, "pid": Infinity, "since": null}',
        json.dumps({"host": "h", "pid": 10**30, "since": "x"}).encode(),
        json.dumps({"host": socket.gethostname(), "pid": 1, "since": "x"}).encode(),
        b'{"host": "h", "pid": 1, "since": "x", "started_ticks": [1e308]}',
        b"[1]",
        b"null",
        b"[" * 100_000,
    ]
    specials = [Special("fifo"), Special("folder"), Special("link", "../elsewhere/kept.parquet")]
    return st.sampled_from([*texts, *specials, Special("link", "/dev/zero")])


@st.composite
def _records(draw: st.DrawFn, content: bytes) -> bytes:
    """A run.json with other values."""
    try:
        data = json.loads(content)
    except ValueError:
        return content
    if draw(st.integers(0, 20)) == 0:
        return json.dumps(draw(values)).encode("utf-8", "surrogatepass")
    if not isinstance(data, dict) or not data:
        return content
    if draw(st.booleans()):
        name = draw(st.sampled_from(sorted(data)))
        ways = [values, st.just([name]), st.just({name: 1})]
        data[name] = draw(st.one_of(*ways))
    else:
        data = draw(changed(data))
    return json.dumps(data).encode("utf-8", "surrogatepass")


@st.composite
def _tables(draw: st.DrawFn, content: bytes) -> bytes:
    """A Parquet file with other columns, types and values."""
    try:
        table = pq.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError):
        return content
    for _ in range(draw(st.integers(1, 3))):
        if table.num_columns:
            table = _changed_table(draw, table)
    written = io.BytesIO()
    try:
        pq.write_table(table, written)
    except pa.ArrowException:  # a column that may not be null was made so; there is no such file
        return content
    return written.getvalue()


def _changed_table(draw: st.DrawFn, table: pa.Table) -> pa.Table:
    index = draw(st.integers(0, table.num_columns - 1))
    name = table.column_names[index]
    way = draw(
        st.sampled_from(["value"] * 6 + ["drop", "type", "nulls", "rename", "swap", "meta", "rows"])
    )
    if way == "drop":
        return table.remove_column(index)
    if way == "type":
        other = draw(st.sampled_from([pa.string(), pa.int32(), pa.float64(), pa.null()]))
        return table.set_column(index, name, pa.nulls(table.num_rows, other))
    if way == "nulls":
        field = table.schema.field(index).with_nullable(True)
        return table.set_column(index, field, pa.nulls(table.num_rows, field.type))
    if way == "rename":
        names = [f"{n}x" if n == name else n for n in table.column_names]
        return table.rename_columns(names)
    if way == "swap":
        other_index = draw(st.integers(0, table.num_columns - 1))
        field = table.schema.field(other_index).with_name(name)
        return table.set_column(index, field, table.column(other_index))
    if way == "meta":
        metadata = draw(
            st.sampled_from([None, {"schema_version": b"\xff"}, {"schema_version": "2"}])
        )
        return table.replace_schema_metadata(metadata)
    if way == "rows":
        return draw(st.sampled_from([table.slice(0, 0), pa.concat_tables([table] * 3)]))
    return _other_value(draw, table, index)


def _other_value(draw: st.DrawFn, table: pa.Table, index: int) -> pa.Table:
    """Replace one value, or all of a column, by one of the column's own type."""
    field = table.schema.field(index)
    column = table.column(index).to_pylist()
    value = draw(_values_of(field.type))
    if draw(st.booleans()) or not column:
        column = [value] * len(column)
    else:
        column[draw(st.integers(0, len(column) - 1))] = value
    return table.set_column(index, field, pa.array(column, field.type))


def _values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_string(kind):
        return st.sampled_from(TEXTS) | st.text(
            st.characters(exclude_categories=["Cs"]), max_size=5
        )
    if pa.types.is_floating(kind):
        ends = [0.0, -1.0, 1e308, 1e-308, float("inf"), float("-inf"), float("nan"), None]
        return st.sampled_from(ends)
    if pa.types.is_integer(kind):
        return st.sampled_from([0, -1, 1, 2**31 - 1, -(2**31)])
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_list(kind):
        return st.sampled_from([[], [0], [-1], [1, 2, 3, 4], [2**31 - 1]])
    return st.none()
