import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from pipeline.compare import Comparison
from pipeline.errors import ResultsError
from pipeline.export import Launch, launch_of
from pipeline.plots import all_plots
from pipeline.report import page as report_page
from pipeline.report import write_report
from pipeline.report.page import ToRun, render, script_json, to_run, verification
from pipeline.results.frames import Results
from tests.report.conftest import HOSTILE_NAME
from tests.result_builders import point, solve_run, write_run


class Elements(HTMLParser):
    """Collects every element with its attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def html(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_the_page_answers_the_four_questions(html: str) -> None:
    for question in ("Which placement", "What does a token cost", "Which granularity", "trust"):
        assert question in html


def test_the_page_shows_the_known_optimum_and_baseline(html: str) -> None:
    """Known: exact costs 9.8697e-8 $/token, the baseline 1.2085e-7; 18.3 % less."""
    assert "$0.098697 per million tokens, 18.3 % below the baseline" in html
    assert "$0.120854" in html


def test_the_command_shown_is_one_that_can_be_run(html: str, solved: Results) -> None:
    """Known: the optimum mixes TP 2 and TP 4, which vLLM does not run."""
    (shown,) = re.findall(r"placement export DIR --point ([\w-]+)", html)
    assert "the TP degrees 2, 4, and vLLM has one for all stages" in html
    assert isinstance(launch_of(solved, shown), Launch)


def test_where_the_best_can_be_run_its_command_is_shown(solved: Results) -> None:
    uniform = solved.points[solved.points.granularity == "coarsest"]
    best = uniform.sort_values("cost_usd_per_token").point_id.iloc[0]
    assert to_run(solved, best) == ToRun(best)


def test_the_page_loads_nothing_from_anywhere(html: str) -> None:
    for tag, attributes in Elements(html).found:
        for name in ("src", "href", "data", "action", "srcset", "poster"):
            value = attributes.get(name) or ""
            assert not re.match(r"(https?:)?//", value), f"{tag} {name}={value}"
    assert "default-src &#39;none&#39;" in html or "default-src 'none'" in html


def test_names_from_the_config_are_escaped(html: str) -> None:
    assert HOSTILE_NAME not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert not [a for tag, a in Elements(html).found if tag == "img"]


def test_the_page_is_small_and_its_plots_lie_beside_it(page: Path) -> None:
    assert page.stat().st_size < 3_000_000
    links = [a.get("href") or "" for tag, a in Elements(page.read_text()).found if tag == "a"]
    plots = [link for link in links if link.startswith("plots/")]
    assert len(plots) >= 14
    assert all((page.parent / plot).is_file() for plot in plots)


def test_a_page_of_another_name_has_plots_of_its_own(
    solved: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the plots of two pages in one folder are not written over each other."""
    monkeypatch.setattr(report_page, "all_plots", lambda *args: all_plots(*args)[:1])
    written = write_report(solved, tmp_path / "a #2.html", 1.0)
    found = Elements((tmp_path / "a #2.html").read_text(encoding="utf-8")).found
    links = [a.get("href") or "" for tag, a in found if tag == "a"]
    files = [link for link in links if link.endswith((".png", ".svg"))]
    assert not any(set(link) & set(" #") for link in files)
    assert sorted(str(tmp_path / unquote(link)) for link in files) == sorted(written.plots)
    assert all(Path(plot).is_file() for plot in written.plots)
    assert {Path(plot).parent.name for plot in written.plots} == {"a #2-plots"}


def test_every_link_within_the_page_has_its_target(html: str) -> None:
    elements = Elements(html).found
    ids = {attributes.get("id") for _, attributes in elements}
    inner = [a["href"] or "" for tag, a in elements if tag == "a" and "href" in a]
    for link in inner:
        if link.startswith("#") and not link.startswith("#point-"):
            assert link[1:] in ids, link


def test_a_page_without_plot_files_does_not_speak_of_them(solved: Results) -> None:
    comparison = Comparison(solved)
    best = comparison.granularities[0]
    plots = all_plots(comparison, best)
    beside = "files beside this page"
    assert beside in render(comparison, None, plots)
    assert beside not in render(comparison, None, plots, plot_files="")
    assert beside not in render(comparison, None, [])


def test_json_cannot_end_its_script_element() -> None:
    text = script_json({"a": "</script><!-- & \u2028"})
    assert not set("<>&\u2028") & set(text)


def test_a_run_without_any_placement_still_has_a_page(tmp_path: Path) -> None:
    results = write_run(tmp_path, [point("a", usd_per_million=None)])
    html = render(Comparison(results), None, [])
    assert "None of 1 point has a placement." in html
    assert "budget: too small" in html


def test_stored_placements_are_recomputed_for_the_page(solved: Results) -> None:
    assert re.match(r"All \d+ placements were recomputed", verification(solved))


def test_a_wrong_figure_is_called_wrong(tmp_path: Path) -> None:
    results = write_run(tmp_path, [point("a")])
    assert verification(results).startswith("WRONG")


def test_a_page_that_cannot_be_written_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = write_run(tmp_path / "run", [point("a", usd_per_million=None)])
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setattr(report_page, "verification", lambda _: "")
    with pytest.raises(ResultsError, match=r"report\.html: cannot be written"):
        write_report(results, tmp_path / "file" / "report.html", 1.0, plot_files=False)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResultsError, match="folder: cannot be written"):
        write_report(results, tmp_path / "folder", 1.0, plot_files=False)
    assert {entry.name for entry in tmp_path.iterdir()} == {"run", "file", "folder"}


def test_plots_are_not_written_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of results that came from elsewhere may hold one that leads anywhere."""
    results = write_run(tmp_path / "run", [point("a", usd_per_million=None)])
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / "plots").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(report_page, "verification", lambda _: "")
    with pytest.raises(ResultsError, match="plots is a link to another folder"):
        write_report(results, tmp_path / "run" / "report.html", 1.0)
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_page_of_many_points_stays_below_six_megabytes(tmp_path: Path) -> None:
    rows = [
        point(f"p{i:05}", method="enumeration", budget_usd_per_hour=float(i), usd_per_million=1 + i)
        for i in range(3000)
    ]
    results = write_run(tmp_path, rows)
    html = render(Comparison(results), None, [])
    assert "The page holds 2,000 of 3,000 rows" in html
    assert len(html.encode()) < 3_000_000


def test_the_report_loads_neither_ray_nor_pyomo_nor_highs() -> None:
    code = (
        "import sys; import pipeline.report, pipeline.compare, pipeline.results.frames;"
        "print([m for m in ('ray', 'pyomo', 'highspy') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_published_target_band_is_shown_for_the_published_instance_alone(
    html: str, tmp_path: Path
) -> None:
    assert "<th>target band</th>" in html
    assert "the published target" in html
    fields = {"pool.A100.usd_per_hour": 1.5, "sweep.granularities": ["coarsest"]}
    own = solve_run(tmp_path, {**fields, "sweep.budgets_usd_per_hour": [4.0]})
    page = Path(write_report(own, tmp_path / "report.html", 1.0, plot_files=False).page)
    told = page.read_text(encoding="utf-8")
    assert "target band" not in told
    assert "the published target" not in told
