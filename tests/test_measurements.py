"""Measurement files: read whole, or refused with every fault."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from pipeline.measurements import (
    MeasurementError,
    group_labels,
    measured_tokens_per_s,
    read_kv_blocks,
    read_measurements,
)
from pipeline.measurements.records import MAX_MEMBERS
from pipeline.roofline.cases import case_arrays
from tests.roofline_helpers import BLOCK_ROW, ROW, write_csv


def test_a_row_becomes_a_case_and_its_value(tmp_path: Path) -> None:
    (entry,) = read_measurements(write_csv(tmp_path / "m.csv", [ROW]))
    case = entry.case
    assert (entry.source, entry.tokens_per_s) == ("lab", 1234.5)
    assert (case.gpu, case.tp, case.pp, case.phase, case.engine) == ("H100", 2, 1, "online", "vllm")
    assert (case.shape.num_hidden_layers, case.layers) == (32, 32)
    assert (case.shape.hidden_size, case.shape.head_dim, case.shape.gated_ffn) == (4096, 128, True)
    assert (case.memory_gb, case.memory_fraction) == (80.0, 0.9)


def test_columns_may_come_in_any_order_and_others_are_ignored(tmp_path: Path) -> None:
    row = dict(reversed([*ROW.items(), ("notes", "anything")]))
    assert len(read_measurements(write_csv(tmp_path / "m.csv", [row]))) == 1


def test_every_fault_of_a_file_is_listed_at_once(tmp_path: Path) -> None:
    bad = {**ROW, "gpu": "H101", "tp": "1.5", "tokens_per_s_total": "nan", "phase": "warm"}
    worse = {**ROW, "runtime": "mystery", "compute_dtype": "fp3", "input_len": ""}
    with pytest.raises(MeasurementError) as caught:
        read_measurements(write_csv(tmp_path / "m.csv", [ROW, bad, worse]))
    faults = caught.value.faults
    assert len(faults) == 7
    assert all(fault.startswith("m.csv: line ") for fault in faults)
    assert any("line 3, gpu:" in fault and "near names: H100" in fault for fault in faults)
    assert any("line 3, phase:" in fault and "(got 'warm')" in fault for fault in faults)
    assert any("line 4, input_len:" in fault for fault in faults)


def test_empty_lines_and_breaks_in_cells_count_as_lines(tmp_path: Path) -> None:
    rows = [{**ROW, "notes": "two\nlines"}, {**ROW, "notes": "", "tp": "x"}]
    path = write_csv(tmp_path / "m.csv", rows)
    path.write_text(path.read_text().replace("\n", "\n\n", 1))
    with pytest.raises(MeasurementError, match=r"line 5, tp:"):
        read_measurements(path)


@pytest.mark.parametrize("name", ["source", "model", "runtime"])
@pytest.mark.parametrize("mark", ["\x1b[31m", "\x1b]0;title\x07", "\u202e"])
def test_a_label_that_a_terminal_would_obey_is_refused(
    tmp_path: Path, name: str, mark: str
) -> None:
    row = {**ROW, name: f"vllm{mark}"}
    with pytest.raises(MeasurementError) as caught:
        read_measurements(write_csv(tmp_path / "m.csv", [ROW, row]))
    [fault] = caught.value.faults
    told = "must hold only characters that can be printed (got "
    assert fault.startswith(f"m.csv: line 3, {name}: {told}")


def test_missing_columns_are_named(tmp_path: Path) -> None:
    row = {key: value for key, value in ROW.items() if key not in ("vocab", "phase")}
    with pytest.raises(MeasurementError) as caught:
        read_measurements(write_csv(tmp_path / "m.csv", [row]))
    assert caught.value.faults == (
        "m.csv: line 1: must have the columns vocab, phase; docs/measured-format.md has an example",
    )


def test_the_example_of_the_documentation_can_be_read(tmp_path: Path) -> None:
    page = Path(__file__).parent.parent / "docs" / "measured-format.md"
    [example] = re.findall(r"```csv\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "m.csv").write_text(example, encoding="utf-8")
    rows = read_measurements(tmp_path / "m.csv")
    assert [row.case.phase for row in rows] == ["prefill", "decode", "online"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("PP", "pp"),
        (" pp", "pp"),
        ("mem_frac ", "mem_frac"),
        ("kv_byte", "kv_bytes"),
        ("heads_dim", "head_dim"),
        ("Vocab", "vocab"),
    ],
)
def test_a_column_that_is_all_but_a_known_one_is_refused(
    tmp_path: Path, written: str, meant: str
) -> None:
    row = {written if key == meant else key: value for key, value in ROW.items()}
    with pytest.raises(MeasurementError) as caught:
        read_measurements(write_csv(tmp_path / "m.csv", [row]))
    told = f"m.csv: line 1: is not a known column, did you mean {meant}? (got {written!r})"
    assert caught.value.faults == (told,)


@pytest.mark.parametrize("name", ["ep", "ppp", "gpu_mem_mib", "KV_bytes", "quality", "n_layers"])
def test_a_column_that_is_like_no_absent_one_is_ignored(tmp_path: Path, name: str) -> None:
    row = {key: value for key, value in ROW.items() if key not in ("pp", "gpu_mem_gb")}
    assert read_measurements(write_csv(tmp_path / "m.csv", [{**row, name: "9"}]))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"source,gpu\n"])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    with pytest.raises(MeasurementError, match=r"m\.csv: file:"):
        read_measurements(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=r"absent\.csv: file:"):
        read_measurements(tmp_path / "absent.csv")


def test_a_row_with_too_few_cells_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(ROW)
        writer.writerow(list(ROW.values())[:-1])
    with pytest.raises(
        MeasurementError, match=r"m\.csv: line 2: must have as many cells as"
    ) as caught:
        read_measurements(path)
    assert len(caught.value.faults) == 1
    path.write_text(f"{','.join(ROW)}\n{','.join(ROW.values())},,\n", encoding="utf-8")
    assert len(read_measurements(path)) == 1
    path.write_text(f"{','.join(ROW)}\n{','.join(ROW.values())},more\n", encoding="utf-8")
    with pytest.raises(MeasurementError, match=r"the header, 25"):
        read_measurements(path)


OPTIONAL = {
    "gpu_mem_gb": "80",
    "head_dim": "128",
    "gated_ffn": "1",
    "kv_bytes": "2",
    "compute_dtype": "fp16",
    "pp": "1",
    "measured_layers": "32",
    "mem_frac": "0.9",
}


@pytest.mark.parametrize("name", OPTIONAL)
def test_an_optional_column_may_be_absent_or_empty(tmp_path: Path, name: str) -> None:
    (whole,) = read_measurements(write_csv(tmp_path / "m.csv", [ROW]))
    assert ROW[name] == OPTIONAL[name]
    absent = {key: value for key, value in ROW.items() if key != name}
    for row in (absent, {**ROW, name: ""}):
        (entry,) = read_measurements(write_csv(tmp_path / "m.csv", [row]))
        assert repr(case_arrays([entry.case])) == repr(case_arrays([whole.case]))


def test_a_head_size_is_needed_where_heads_do_not_divide_the_width(tmp_path: Path) -> None:
    row = {**ROW, "head_dim": "", "d_model": "4100"}
    with pytest.raises(MeasurementError, match=r"line 2, head_dim: must be given where n_heads 32"):
        read_measurements(write_csv(tmp_path / "m.csv", [row]))


def test_one_fault_of_many_lines_is_told_once(tmp_path: Path) -> None:
    rows = [ROW, *[{**ROW, "gpu": "H101"}] * 5]
    with pytest.raises(MeasurementError) as caught:
        read_measurements(write_csv(tmp_path / "m.csv", rows))
    [fault] = caught.value.faults
    assert fault.startswith(
        "m.csv: lines 3, 4, 5 and 2 more, gpu: is not in the catalogue; near names: H100"
    )
    assert "in a file of such entries under --hardware" in fault
    assert fault.endswith("(got 'H101')")


@pytest.mark.parametrize(
    ("columns", "told"),
    [(1001, "holds more than 1000 columns"), (200_000, "has more than 100000 commas in a row")],
)
def test_a_header_without_end_is_refused_at_once(tmp_path: Path, columns: int, told: str) -> None:
    header = ",".join(f"c{number}" for number in range(columns))
    (tmp_path / "m.csv").write_text(f"{header}\n1\n", encoding="utf-8")
    with pytest.raises(MeasurementError, match=rf"m\.csv: line 1: {told}"):
        read_measurements(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("dimension", "column", "member"),
    [
        ("source", "source", "lab{}"),
        ("model", "model", "m{}"),
        ("engine", "runtime", "vllm-0.{}"),
        ("tp x pp", "tp", "{}"),
    ],
)
def test_more_members_than_figures_are_told_of_are_refused(
    tmp_path: Path, dimension: str, column: str, member: str
) -> None:
    rows = [{**ROW, column: member.format(1 + number)} for number in range(MAX_MEMBERS + 1)]
    assert read_measurements(write_csv(tmp_path / "m.csv", rows[1:]))
    with pytest.raises(MeasurementError) as caught:
        read_measurements(write_csv(tmp_path / "m.csv", rows))
    assert caught.value.faults == (
        f"m.csv: {dimension}: may have at most {MAX_MEMBERS} different ones (got 501)",
    )


@pytest.mark.parametrize("mark", [";", "\t"])
def test_columns_that_commas_do_not_separate_are_told(tmp_path: Path, mark: str) -> None:
    (tmp_path / "m.csv").write_text(f"{mark.join(ROW)}\n", encoding="utf-8")
    with pytest.raises(MeasurementError, match=r"line 1: must separate its columns by commas"):
        read_measurements(tmp_path / "m.csv")


def test_a_spreadsheets_mark_at_the_start_is_no_part_of_a_column(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "m.csv", [ROW])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_measurements(path)) == 1


def test_a_column_that_stands_twice_is_told(tmp_path: Path) -> None:
    text = f"{','.join(ROW)},gpu\n{','.join(ROW.values())},T4\n"
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    with pytest.raises(MeasurementError, match=r"m\.csv: gpu: column stands twice"):
        read_measurements(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("tokens_per_s_total", "5_000", "must be a number without underscores"),
        ("batch_or_concurrency", "1_0", "must be a number without underscores"),
        ("pp", "1_0", "must be a number without underscores"),
        ("n_kv_heads", "7", "must divide n_heads 32"),
        ("measured_layers", "64", "must be at most num_layers 32"),
        ("pp", "64", "must be at most num_layers 32"),
        ("gpu_mem_gb", "81920", "must be at most 4096.0"),
    ],
)
def test_a_number_that_no_configuration_has_is_refused(
    tmp_path: Path, name: str, value: str, reason: str
) -> None:
    with pytest.raises(MeasurementError) as caught:
        read_measurements(write_csv(tmp_path / "m.csv", [ROW, {**ROW, name: value}]))
    assert caught.value.faults == (f"m.csv: line 3, {name}: {reason} (got {value!r})",)


@pytest.mark.parametrize("label", ["VLLM", " vllm", "Argonne-VLLM", "MY-vllm"])
def test_an_engine_that_is_another_but_for_case_or_spaces_is_refused(
    tmp_path: Path, label: str
) -> None:
    rows = [{**ROW, "runtime": "my-vllm"}, {**ROW, "runtime": label}]
    with pytest.raises(MeasurementError) as caught:
        read_measurements(write_csv(tmp_path / "m.csv", rows))
    known = {"VLLM": "vllm", " vllm": "vllm", "Argonne-VLLM": "argonne-vLLM", "MY-vllm": "my-vllm"}
    where = "as the catalogue, the package's constants or an earlier row have it"
    told = f"must be written {known[label]!r}, {where} (got {label!r})"
    assert caught.value.faults == (f"m.csv: line 3, runtime: {told}",)


def test_engines_that_differ_by_their_version_stay_apart(tmp_path: Path) -> None:
    rows = [{**ROW, "runtime": label} for label in ("vllm", "vllm-0.10", "argonne-vLLM", "vllm-1")]
    assert len(read_measurements(write_csv(tmp_path / "m.csv", rows))) == 4


def test_block_counts_take_the_memory_that_was_found(tmp_path: Path) -> None:
    (entry,) = read_kv_blocks(write_csv(tmp_path / "kv.csv", [BLOCK_ROW]))
    assert (entry.blocks, entry.block_tokens, entry.case.layers) == (1000.0, 16.0, 3)
    # 15360 MiB are what the driver reports of a T4: its nominal 16 GB
    assert entry.case.memory_gb == pytest.approx(16.0)


def test_labels_break_rows_down(tmp_path: Path) -> None:
    entries = read_measurements(write_csv(tmp_path / "m.csv", [ROW, {**ROW, "pp": "2"}]))
    labels = group_labels(entries)
    assert labels["tp x pp"] == ("2 x 1", "2 x 2")
    assert labels["model"] == ("Llama-3.1-8B", "Llama-3.1-8B")
    assert measured_tokens_per_s(entries).tolist() == [1234.5, 1234.5]
