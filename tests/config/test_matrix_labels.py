"""The labels of a bandwidth matrix are read: they must not contradict the ids of the GPUs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import load_config
from tests.config.builders import POOL, faults_of, write_directory, write_yaml

# A hundred GPUs of one type do for every order of labels.
HEADER, ONE_TYPE = POOL.split("\n")[0], "A100,{},4,1.0\n"


def matrix(columns: Sequence[str], rows: Sequence[str] | None = None) -> str:
    """Write a matrix of 600 GB/s with labels; the rows' are the columns' unless given."""
    lines = [",".join([row, *["600"] * len(columns)]) for row in rows or columns]
    return "\n".join([",".join(["", *columns]), *lines])


def directory(folder: Path, pool: str, text: str) -> Path:
    return write_directory(folder, pool=f"{HEADER}\n{pool}", matrix=text)


def numbered(prefix: str, ids: Sequence[int]) -> list[str]:
    return [f"{prefix}{i}" for i in ids]


def only_fault(folder: Path, columns: Sequence[str], rows: Sequence[str] | None = None) -> str:
    """Return the only fault of a matrix with such labels, without the file's name."""
    pool = ONE_TYPE.format(len(columns))
    (fault,) = faults_of(directory(folder, pool, matrix(columns, rows)))
    return fault.removeprefix("published/network_bandwidth.csv: ")


def test_labels_sorted_as_text_are_refused_on_each_axis(tmp_path: Path) -> None:
    as_text = sorted(numbered("gpu_", range(12)))
    pool = ONE_TYPE.format(12)
    assert faults_of(directory(tmp_path, pool, matrix(as_text))) == [
        f"published/network_bandwidth.csv: {axis} of matrix: must be in the order of the GPU ids; "
        "this one stands behind 'gpu_11'; leave labels empty where they are no ids (got 'gpu_2')"
        for axis in ("rows", "columns")
    ]


@pytest.mark.parametrize("rows", [["gpu_0", "gpu_2", "gpu_1"], ["1", "0", "2"]])
def test_reordered_rows_are_refused(tmp_path: Path, rows: list[str]) -> None:
    found = only_fault(tmp_path, ["gpu_0", "gpu_1", "gpu_2"], rows)
    assert found.startswith("rows of matrix: must be in the order of the GPU ids")


def test_rows_in_another_order_than_the_columns_are_refused_without_any_number(
    tmp_path: Path,
) -> None:
    assert only_fault(tmp_path, ["a", "b", "c"], ["a", "c", "b"]) == (
        "rows of matrix: must be in the order of the columns, where 'b' stands here (got 'c')"
    )


def test_a_label_that_stands_twice_is_refused(tmp_path: Path) -> None:
    assert only_fault(tmp_path, ["a", "b", "a"], ["a", "b", "c"]) == (
        "columns of matrix: must be labels, each once; leave labels empty where they are no ids "
        "(got 'a')"
    )


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (["gpu_0", "gpu_1", "gpu_2"], ["0", "1", "2"]),
        (["gpu_0", "gpu_1", "gpu_2"], ["", "", ""]),
        (["gpu_0", "", "gpu_1"], ["gpu_0", "", "gpu_1"]),
        (["z", "b", "a"], ["z", "b", "a"]),
        (["h1-gpu0", "h1-gpu1", "h0-gpu0"], None),
        (["n7", "n9", "n20"], None),
        (["host17", "host18", "host3"], None),
        (["10.0.0.17", "10.0.0.3", "10.0.0.4"], None),
        (["A100", "A100", "A100"], None),
        ([f"a{'9' * 5000}", "a1", "a2"], None),
        (["gpu_08", "gpu_09", "gpu_10"], None),
    ],
)
def test_other_labels_are_as_good_as_any(
    tmp_path: Path, columns: list[str], rows: list[str] | None
) -> None:
    load_config(directory(tmp_path, ONE_TYPE.format(3), matrix(columns, rows)))


TWO_TYPES = "A100,2,4,1.0\nV100,2,4,0.2\n"


def test_labels_that_name_a_type_are_held_to_its_ids(tmp_path: Path) -> None:
    labels = ["V100_0", "V100_1", "A100_0", "A100_1"]
    assert faults_of(directory(tmp_path, TWO_TYPES, matrix(labels))) == [
        f"published/network_bandwidth.csv: {axis} of matrix: must be in the order of the pool, in "
        "which V100 has the ids 2-3; this one stands for id 0; leave labels empty where they are "
        "no ids (got 'V100_0')"
        for axis in ("rows", "columns")
    ]


@pytest.mark.parametrize(
    "labels",
    [
        ["A100_0", "A100_1", "V100_0", "V100_1"],
        ["A100-0", "A100-1", "V100-2", "V100-3"],
        ["A100", "A100", "V100", "V100"],
        ["A1000", "A1001", "V1000", "V1001"],
    ],
)
def test_labels_that_name_types_in_the_pools_order_are_fine(
    tmp_path: Path, labels: list[str]
) -> None:
    load_config(directory(tmp_path, TWO_TYPES, matrix(labels)))


def test_names_of_types_are_labels_without_a_number(tmp_path: Path) -> None:
    pool = "A100,1,4,1.0\nA10,1,4,0.2\n"
    load_config(directory(tmp_path, pool, matrix(["A100", "A10"])))


def test_a_matrix_of_a_yaml_config_is_held_to_the_same(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(matrix(["g0", "g2", "g1"]), encoding="utf-8")
    found = faults_of(write_yaml(tmp_path, lambda data: data.update(network={"matrix": "m.csv"})))
    assert [fault.split(":")[:2] for fault in found] == [
        ["m.csv", " rows of matrix"],
        ["m.csv", " columns of matrix"],
    ]


def test_bandwidths_that_replace_the_files_need_not_answer_to_its_labels(tmp_path: Path) -> None:
    path = directory(tmp_path, ONE_TYPE.format(3), matrix(["g0", "g2", "g1"]))
    load_config(path, [("network.rows", [[0, 1, 1], [1, 0, 1], [1, 1, 0]])])
    load_config(path, [("network", {"gb_per_s": 600})])


def test_a_type_without_a_name_is_told_and_its_labels_are_still_read(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(matrix(["g0", "g2", "g1"]), encoding="utf-8")

    def unnamed(data: dict[str, Any]) -> None:
        data["network"] = {"matrix": "m.csv"}
        data["pool"][0]["gpu"] = [1]

    told = faults_of(write_yaml(tmp_path, unnamed))
    assert (
        "c.yaml: pool[0].gpu: must be text; values to cross go under sweep.over (got [1])" in told
    )
    assert sum(fault.startswith("m.csv: ") for fault in told) == 2
