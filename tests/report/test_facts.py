from pathlib import Path

from pipeline.compare import Comparison, advise
from pipeline.report.facts import facts, provenance, shown_config, warnings
from pipeline.results.frames import Results
from tests.result_builders import SERVED, point, write_run


def sentences(results: Results) -> dict[str, str]:
    comparison = Comparison(results)
    advice = advise(comparison)
    assert advice is not None
    found = facts(comparison, advice, "verified")
    return {fact.question: " ".join([fact.answer, *fact.details]) for fact in found}


def test_the_answers_name_placement_price_granularity_and_proof(tmp_path: Path) -> None:
    rows = [point("e"), point("c", "coarse", usd_per_million=1.1)]
    said = sentences(write_run(tmp_path, rows))
    assert "1 stage on 2 GPUs: 1 × 40 layers on A100 TP 2." in said["Which placement should I run?"]
    assert "$1.000000 per million tokens, 50.0 % below" in said["What does a token cost?"]
    assert "At TP 1, 2 and 4 it does not fit." in said["What does a token cost?"]
    assert "coarse +10.0 %" in said["Which granularity is worth it?"]
    assert said["Can I trust it?"].startswith("Proven")
    assert "neither decode nor KV cache" in said["Can I trust it?"]


def test_the_load_that_an_answer_is_for_is_told(tmp_path: Path) -> None:
    said = sentences(write_run(tmp_path, [point("e", **SERVED)]))
    told = said["Which placement should I run?"]
    assert "640 requests at once in 5 micro-batches: first token after 2.00 s" in told
    assert "between $0.900000 and $1.200000 per million tokens" in told


def test_what_is_not_proven_is_said(tmp_path: Path) -> None:
    said = sentences(write_run(tmp_path, [point("w", method="weighted")]))
    assert said["Can I trust it?"].startswith("Not proven")


def test_a_target_is_met_or_missed(tmp_path: Path) -> None:
    fields = {"sweep.target_usd_per_million_tokens": 0.9}
    said = sentences(write_run(tmp_path, [point("e")], fields=fields))
    assert "The target of $0.9 per million tokens is missed." in said["What does a token cost?"]


def test_without_a_baseline_none_is_claimed(tmp_path: Path) -> None:
    results = write_run(tmp_path, [point("e")])
    results.run["baseline"] = []
    said = sentences(results)
    assert "No baseline was asked for" in said["What does a token cost?"]


def test_failures_and_time_limits_are_warned_of(tmp_path: Path) -> None:
    rows = [
        point("e"),
        point("x", usd_per_million=None, status="error", message="crash"),
        point("t", status="time_limit", mip_gap=0.1),
    ]
    failed, late = warnings(write_run(tmp_path, rows))
    assert failed == "1 point failed; most often: crash"
    assert late.startswith("1 point hit the time limit")


def test_a_run_that_was_killed_is_not_called_running(tmp_path: Path) -> None:
    results = write_run(tmp_path, [point("e")])
    results.run["status"] = "running"
    assert warnings(results)[0].startswith("This run has not finished: 1 of 45 points are there")
    assert dict(provenance(results))["status"] == "not finished"


def test_provenance_names_hosts_and_versions(tmp_path: Path) -> None:
    found = dict(provenance(write_run(tmp_path, [point("e")])))
    assert found["solved on"] == "here"
    assert found["versions"] == "placement-pipeline 0.1.0"


def test_a_large_bandwidth_matrix_is_shown_by_its_size() -> None:
    rows = [[1.0] * 20] * 20
    shown = shown_config({"network": {"rows": rows}})
    assert shown["network"]["rows"] == "20 × 20 matrix"
    assert shown_config({"network": {"rows": None}}) == {"network": {"rows": None}}


def test_fitted_constants_are_shown_by_where_they_come_from(tmp_path: Path) -> None:
    results = write_run(tmp_path, [point("e")])
    assert "constants" not in dict(provenance(results))
    performance = results.run["config"]["performance"]
    performance["constants"] = {"provenance": "fitted on my rows", "effects": [{}] * 300}
    assert dict(provenance(results))["constants"] == "fitted on my rows"
    shown = shown_config(results.run["config"])
    assert shown["performance"] == {**performance, "constants": "fitted on my rows"}
