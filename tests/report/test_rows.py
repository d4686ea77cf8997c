from pathlib import Path
from typing import Any

import pytest

from pipeline.report.rows import point_table
from tests.result_builders import SERVED, point, segment, write_run


def test_the_lowest_price_stands_first_and_what_has_none_last(tmp_path: Path) -> None:
    rows = [point("a", usd_per_million=None), point("b", usd_per_million=2.0), point("c")]
    table = point_table(write_run(tmp_path, rows))
    assert [line.point_id for line in table.lines] == ["c", "b", "a"]
    assert [line.has_placement for line in table.lines] == [True, True, False]
    assert table.lines[-1].cells[-1].text == "budget: too small"


def test_where_not_all_fit_the_wanted_and_the_failed_stay(tmp_path: Path) -> None:
    rows = [
        *(point(f"p{i}", usd_per_million=1.0 + i) for i in range(5)),
        point("bad", usd_per_million=None, status="error", message="crash"),
        point("none", usd_per_million=None),
    ]
    table = point_table(write_run(tmp_path, rows), keep={"p4"}, most_rows=3)
    assert [line.point_id for line in table.lines] == ["p0", "p4", "bad"]
    assert table.total == 7
    assert set(table.placements) == {"p0", "p4"}


def test_of_many_failed_rows_the_first_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    bad: dict[str, Any] = {"usd_per_million": None, "status": "error", "message": "crash"}
    rows = [point("p"), *(point(f"bad{i}", **bad) for i in range(201))]
    table = point_table(write_run(tmp_path, rows), most_rows=201)
    assert table.chosen == (
        "the first 200 of 201 that failed, then those of the lowest cost per token"
    )
    assert [line.status for line in table.lines].count("error") == 200


def test_a_cell_sorts_by_its_number_and_shows_its_unit(tmp_path: Path) -> None:
    table = point_table(write_run(tmp_path, [point("a", usd_per_million=1.25)]))
    cells = dict(zip((column.title for column in table.columns), table.lines[0].cells, strict=True))
    assert cells["$/M tokens"].text == "1.250000"
    assert cells["$/M tokens"].value == 1.25
    assert cells["to baseline, %"].text == "-37.5"
    assert cells["budget, $/h"].value is None


@pytest.mark.parametrize("usd_per_million", [2.0, 2.0002, 1.9998])
def test_a_difference_that_rounds_to_nothing_has_no_sign(
    tmp_path: Path, usd_per_million: float
) -> None:
    """The baseline costs $2 per million; the terminal writes the same difference as 0.0 %."""
    table = point_table(write_run(tmp_path, [point("a", usd_per_million=usd_per_million)]))
    cells = dict(zip((column.title for column in table.columns), table.lines[0].cells, strict=True))
    assert cells["to baseline, %"].text == "0.0"


def test_loads_and_latencies_are_columns_only_where_a_row_has_them(tmp_path: Path) -> None:
    table = point_table(write_run(tmp_path / "served", [point("a", **SERVED), point("b")]))
    titles = [column.title for column in table.columns]
    cells = {line.point_id: dict(zip(titles, line.cells, strict=True)) for line in table.lines}
    shown = [cells["a"][title].text for title in ("requests", "first token, s", "per token, ms")]
    assert shown == ["640", "2.00", "169.1"]
    assert cells["b"]["requests"].text == ""
    plain = point_table(write_run(tmp_path / "plain", [point("a")]))
    assert "requests" not in [column.title for column in plain.columns]


def test_swept_fields_are_columns(tmp_path: Path) -> None:
    field = "workload.batch_size"
    swept: dict[str, Any] = {field: 16}
    results = write_run(tmp_path, [point("a", **swept)], fields={"sweep.over": {field: [16]}})
    table = point_table(results)
    titles = [column.title for column in table.columns]
    assert table.lines[0].cells[titles.index(field)].value == 16


def test_a_stage_names_its_gpus_and_layers(tmp_path: Path) -> None:
    table = point_table(write_run(tmp_path, [point("a")], [segment("a")]))
    (stage,) = table.placements["a"]
    assert (stage["layers"], stage["ids"], stage["tp"]) == ("1–40", "0–1", 2)
    assert stage["stage"] == 0, "as in the column of the table, and on the command line"
